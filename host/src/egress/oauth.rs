//! Refreshing OAuth 2.0 tokens (RFC 6749 §6), once however many requests wait. Source: docs/spec/egress.md#refresh.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fcp_proto_core::encoding::named;
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::egress::{
    EgressRule, HostPattern, Limits, Method, OpenCall, PathTemplate, Refusal, Scheme, Target,
};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Environment;
use super::calls::{LiveCall, TokenKey, lock};
use super::control::{FromEgress, OAuthToken, RefreshedToken};
use super::secret::Secret;
use super::upstream::{self, Connections};

/// An OAuth token shared by every call that may use it.
pub(crate) struct Refreshable {
    key: TokenKey,
    generation: AtomicU64,
    /// The service refused the token although its time is not over.
    refused: AtomicBool,
    /// The tokens of this time and the one before, for the search of answers.
    known: Mutex<Vec<Secret>>,
    state: Arc<AsyncMutex<TokenState>>,
}

struct TokenState {
    token: OAuthToken,
    /// When it was refreshed last, and when that failed last.
    refreshed_at: Option<Instant>,
    failed_at: Option<Instant>,
}

impl Refreshable {
    pub(crate) fn new(key: TokenKey, token: OAuthToken) -> Self {
        let generation = AtomicU64::new(token.generation);
        let known = Mutex::new(secrets_of(&token));
        let state = Arc::new(AsyncMutex::new(TokenState { token, refreshed_at: None, failed_at: None }));
        Self { key, generation, refused: AtomicBool::new(false), known, state }
    }

    /// The generation of the token it holds.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The tokens that no answer may repeat.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        lock(&self.known).clone()
    }

    /// Notes that the service answered 401: the next request refreshes first.
    pub(crate) fn note_refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// An access token that is not over, refreshed if need be. Whoever comes second waits for the first one's.
    pub(crate) async fn access_token(
        self: &Arc<Self>,
        desk: &Arc<RefreshDesk>,
        call: &Arc<LiveCall>,
    ) -> Result<Secret, Refusal> {
        let state = Arc::clone(&self.state).lock_owned().await;
        // A service that refuses even a new token is not cured by a newer one.
        let refused = self.refused.load(Ordering::Relaxed)
            && state.refreshed_at.is_none_or(|at| at.elapsed() >= REFUSED_PAUSE);
        if !refused && !is_over(&state.token, (desk.environment.unix_time)()) {
            return Ok(state.token.access_token.clone());
        }
        if state.failed_at.is_some_and(|at| at.elapsed() < FAILURE_PAUSE) {
            return Err(Refusal::RefreshFailed);
        }
        // On its own task: a call that ends meanwhile must not lose a token the service has already rotated.
        let work = refresh(Arc::clone(self), Arc::clone(desk), Arc::clone(call), state);
        tokio::spawn(work).await.unwrap_or(Err(Refusal::RefreshFailed))
    }
}

/// Where refreshed tokens are handed to the daemon, and its word that they are durable comes back.
pub(crate) struct RefreshDesk {
    environment: Arc<Environment>,
    outbox: mpsc::Sender<FromEgress>,
    /// Each refresh listens to it until the daemon has been handed what it got.
    fetching: watch::Sender<()>,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Option<u64>>>>,
    /// Tokens that the daemon was handed and has not stored yet: nothing else may be got in their place.
    handed: Mutex<BTreeMap<TokenKey, Handed>>,
    /// Tokens that their endpoint refused to refresh, and when: asking again would not do better.
    spent: Mutex<BTreeMap<TokenKey, (u64, Instant)>>,
}

/// A token that its endpoint gave and that the daemon stores.
struct Handed {
    /// The generation of the one that is spent for it.
    spent: u64,
    token: OAuthToken,
    /// The daemon's word on it.
    stored: oneshot::Receiver<Option<u64>>,
}

impl RefreshDesk {
    pub(crate) fn new(environment: Arc<Environment>, outbox: mpsc::Sender<FromEgress>) -> Self {
        let (waiting, handed, spent) = (Mutex::default(), Mutex::default(), Mutex::default());
        let fetching = watch::Sender::new(());
        Self { environment, outbox, fetching, next: AtomicU64::new(1), waiting, handed, spent }
    }

    /// Returns once no refresh has anything that the daemon was not handed.
    pub(crate) async fn fetched(&self) {
        self.fetching.closed().await;
    }

    /// The daemon's word on a refreshed token.
    pub(crate) fn persisted(&self, refresh: u64, stored: Option<u64>) -> bool {
        let waiting = lock(&self.waiting).remove(&refresh);
        waiting.is_some_and(|waiting| waiting.send(stored).is_ok())
    }

    /// Whether the endpoint has refused this very token a while ago.
    //= docs/spec/egress.md#refresh
    fn is_spent(&self, key: &TokenKey, generation: u64) -> bool {
        let mut spent = lock(&self.spent);
        spent.retain(|_, (_, at)| at.elapsed() < SPENT_PAUSE);
        spent.get(key).is_some_and(|(refused, _)| *refused == generation)
    }

    fn note_spent(&self, key: &TokenKey, generation: u64) {
        lock(&self.spent).insert(key.clone(), (generation, Instant::now()));
    }

    /// Hands a new token to the daemon.
    async fn hand_over(
        &self,
        key: &TokenKey,
        spent: u64,
        token: OAuthToken,
        fetching: watch::Receiver<()>,
    ) -> Result<Handed, Refusal> {
        let refresh = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, stored) = oneshot::channel();
        lock(&self.waiting).insert(refresh, sender);
        let (connector, zone, credential, _) = key.clone();
        let handed = RefreshedToken { refresh, connector, zone, credential, token: token.clone() };
        self.outbox.send(FromEgress::Refreshed(handed)).await.map_err(|_| Refusal::RefreshFailed)?;
        drop(fetching);
        Ok(Handed { spent, token, stored })
    }

    /// What was got for the token of this generation and is not stored yet.
    fn still_handed(&self, key: &TokenKey, spent: u64) -> Option<Handed> {
        lock(&self.handed).remove(key).filter(|handed| handed.spent == spent)
    }

    /// Gives the new token its generation, once the daemon says that it is durable. The daemon tries until it is; whoever
    /// does not wait so long finds the token here again.
    //= docs/spec/vault.md#refreshed-tokens
    async fn until_durable(&self, key: &TokenKey, mut handed: Handed) -> Result<OAuthToken, Refusal> {
        match tokio::time::timeout(PERSIST_TIMEOUT, &mut handed.stored).await {
            Ok(Ok(Some(generation))) => Ok(OAuthToken { generation, ..handed.token }),
            Ok(Ok(None) | Err(_)) => Err(Refusal::RefreshFailed),
            Err(_) => {
                lock(&self.handed).insert(key.clone(), handed);
                Err(Refusal::RefreshFailed)
            }
        }
    }
}

fn secrets_of(token: &OAuthToken) -> Vec<Secret> {
    std::iter::once(&token.access_token)
        .chain(&token.refresh_token)
        .chain(&token.client_secret)
        .cloned()
        .collect()
}

//= docs/spec/egress.md#refresh
fn is_over(token: &OAuthToken, now: UnixTime) -> bool {
    token.expires_at.is_some_and(|end| now.saturating_add(REFRESH_AHEAD_SECS) >= end)
}

async fn refresh(
    shared: Arc<Refreshable>,
    desk: Arc<RefreshDesk>,
    call: Arc<LiveCall>,
    mut state: OwnedMutexGuard<TokenState>,
) -> Result<Secret, Refusal> {
    let spent = state.token.generation;
    if desk.is_spent(&shared.key, spent) {
        return Err(Refusal::RefreshRefused);
    }
    // The old refresh token may be spent by now: nothing comes before the new one is durable.
    //= docs/spec/vault.md#refreshed-tokens
    let handed = match desk.still_handed(&shared.key, spent) {
        Some(handed) => Ok(handed),
        None => exchange(&shared.key, &desk, &call, &state.token).await,
    };
    let outcome = match handed {
        Ok(handed) => desk.until_durable(&shared.key, handed).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(token) => {
            let access = token.access_token.clone();
            shared.generation.store(token.generation, Ordering::Relaxed);
            shared.refused.store(false, Ordering::Relaxed);
            let mut known = secrets_of(&token);
            known.extend(secrets_of(&state.token));
            *lock(&shared.known) = known;
            *state = TokenState { token, refreshed_at: Some(Instant::now()), failed_at: None };
            Ok(access)
        }
        Err(refusal) => {
            tracing::warn!(reason = refusal.name(), credential = %shared.key.2, "token refresh failed");
            if refusal == Refusal::RefreshRefused {
                desk.note_spent(&shared.key, spent);
                return Err(refusal);
            }
            state.failed_at = Some(Instant::now());
            Err(Refusal::RefreshFailed)
        }
    }
}

/// Gets a new token from the endpoint and hands it to the daemon.
async fn exchange(
    key: &TokenKey,
    desk: &RefreshDesk,
    call: &LiveCall,
    token: &OAuthToken,
) -> Result<Handed, Refusal> {
    let (connections, fetching) = (Connections::default(), desk.fetching.subscribe());
    let fetched = tokio::time::timeout(FETCH_TIMEOUT, fetch(desk, call, token, &connections)).await;
    let handed = match fetched {
        Ok(Ok(renewed)) => desk.hand_over(key, token.generation, renewed, fetching).await,
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::TotalTimeout),
    };
    connections.end().await;
    handed
}

/// What a token endpoint answers (RFC 6749 §5.1, §5.2); other members are of no use here.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: Option<Secret>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(default)]
    expires_in: Option<Lifetime>,
    #[serde(default)]
    refresh_token: Option<Secret>,
}

/// Seconds, also as some endpoints write them. What else there stands is no reason to lose a token over.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lifetime {
    Seconds(u64),
    Text(String),
    Other(IgnoredAny),
}

impl Lifetime {
    fn seconds(&self) -> Option<u64> {
        match self {
            Self::Seconds(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
            Self::Other(IgnoredAny) => None,
        }
    }
}

async fn fetch(
    desk: &RefreshDesk,
    call: &LiveCall,
    token: &OAuthToken,
    connections: &Connections,
) -> Result<OAuthToken, Refusal> {
    let refresh_token = token.refresh_token.as_ref().ok_or(Refusal::RefreshRefused)?;
    let target = Target::parse(&token.token_url)?;
    if target.origin.scheme != Scheme::Https {
        return Err(Refusal::PlaintextDenied);
    }
    let admitted = endpoint_call(call, &target)?.admit(Method::Post.as_str(), &token.token_url)?;
    let (_, mut sender) = upstream::reach(&*desk.environment.resolver, call, admitted, connections).await?;
    let uri = if sender.wants_absolute() { target.to_string() } else { target.path_and_query() };
    let mut request = Request::post(uri)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json");
    if !sender.wants_absolute() {
        request = request.header(header::HOST, target.origin.authority());
    }
    let body = Full::new(Bytes::from(form(token, refresh_token)));
    let request = request.body(body).map_err(|_| Refusal::RefreshFailed)?;
    let answer: Response<Incoming> = sender.send(request).await.map_err(|_| Refusal::UpstreamBroken)?;
    if refuses(answer.status()) {
        return Err(Refusal::RefreshRefused);
    }
    if !answer.status().is_success() {
        return Err(Refusal::RefreshFailed);
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|_| Refusal::RefreshFailed)?;
    let body = Zeroizing::new(body.to_bytes().to_vec());
    let mut text = serde_json::Deserializer::from_slice(&body);
    let answer = named::read::<TokenAnswer, _>(&mut text).map_err(|_| Refusal::RefreshFailed)?;
    text.end().map_err(|_| Refusal::RefreshFailed)?;
    renewed(token, answer, (desk.environment.unix_time)())
}

/// Whether the endpoint says that the request itself is at fault (RFC 6749 §5.2), so that another like it would be, too.
fn refuses(status: StatusCode) -> bool {
    let passes = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_client_error() && !passes.contains(&status)
}

fn renewed(token: &OAuthToken, answer: TokenAnswer, now: UnixTime) -> Result<OAuthToken, Refusal> {
    let access_token = match (answer.access_token, answer.error) {
        (Some(access_token), _) if access_token.is_usable() => access_token,
        // Some endpoints refuse with the status of a success.
        (None, Some(_)) => return Err(Refusal::RefreshRefused),
        (Some(_) | None, _) => return Err(Refusal::RefreshFailed),
    };
    let mut renewed = token.clone();
    renewed.access_token = access_token;
    let lifetime = answer.expires_in.and_then(|lifetime| lifetime.seconds());
    renewed.expires_at = lifetime.map(|seconds| now.saturating_add(seconds));
    // An empty one replaces none.
    if let Some(refresh_token) = answer.refresh_token.filter(|token| !token.expose().is_empty()) {
        renewed.refresh_token = Some(refresh_token);
    }
    Ok(renewed)
}

/// The token endpoint as an operation of its own: this URL, by POST, under the same address rule and exceptions.
fn endpoint_call(call: &LiveCall, target: &Target) -> Result<OpenCall, Refusal> {
    let rule = EgressRule {
        hosts: vec![HostPattern::Exact(target.origin.host.clone())],
        ports: vec![target.origin.port],
        methods: vec![Method::Post],
        paths: vec![target.path.parse::<PathTemplate>().map_err(|_| Refusal::PathNotDeclared)?],
        limits: Limits {
            max_request_bytes: MAX_ANSWER_BYTES as u64,
            max_response_bytes: MAX_ANSWER_BYTES as u64,
            max_redirects: 0,
            dns_max_ips: 16,
            connect_timeout_ms: 10_000,
            total_timeout_ms: 20_000,
            idle_timeout_ms: 20_000,
        },
        spki_pins: Vec::new(),
    };
    Ok(OpenCall { rules: vec![rule], credentials: Vec::new(), ..call.open.clone() })
}

fn form(token: &OAuthToken, refresh_token: &Secret) -> String {
    let mut form = url_pair("grant_type", "refresh_token");
    let fields = [
        ("refresh_token", Some(refresh_token.expose())),
        ("client_id", Some(token.client_id.as_str())),
        ("client_secret", token.client_secret.as_ref().map(Secret::expose)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            form.push('&');
            form.push_str(&url_pair(name, value));
        }
    }
    form
}

fn url_pair(name: &str, value: &str) -> String {
    format!("{name}={}", fcp_state_machines::call::egress::percent_encode(value))
}

/// A token is refreshed this long before its end. Chosen: longer than common clock differences.
const REFRESH_AHEAD_SECS: u64 = 300;

/// After a failed refresh, requests fail at once for this long instead of asking again each.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// A token that its endpoint refused to refresh is not tried again for this long. Chosen: long enough to be no nuisance to
/// the endpoint, short enough that an endpoint's mistake heals by itself.
const SPENT_PAUSE: Duration = Duration::from_secs(3600);

/// After a refresh, a token that the service refuses is not refreshed again for this long.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Time for the token endpoint.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for the daemon to make a token durable.
const PERSIST_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer of a token endpoint.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
