//! Refreshing OAuth 2.0 tokens (RFC 6749 §6), once however many requests wait. Source: docs/spec/egress.md#refresh.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ZoneId};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::egress::{
    EgressRule, HostPattern, Limits, Method, OpenCall, PathTemplate, Refusal, Scheme, Target,
};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Environment;
use super::calls::{LiveCall, lock};
use super::control::{FromEgress, OAuthToken, RefreshedToken};
use super::secret::Secret;
use super::upstream::{self, Connections};

/// An OAuth token shared by every call that may use it.
pub(crate) struct Refreshable {
    key: (ConnectorId, ZoneId, CredentialId),
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
    pub(crate) fn new(key: (ConnectorId, ZoneId, CredentialId), token: OAuthToken) -> Self {
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
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<bool>>>,
}

impl RefreshDesk {
    pub(crate) fn new(environment: Arc<Environment>, outbox: mpsc::Sender<FromEgress>) -> Self {
        Self { environment, outbox, next: AtomicU64::new(1), waiting: Mutex::new(BTreeMap::new()) }
    }

    /// The daemon's word on a refreshed token.
    pub(crate) fn persisted(&self, refresh: u64, stored: bool) -> bool {
        let waiting = lock(&self.waiting).remove(&refresh);
        waiting.is_some_and(|waiting| waiting.send(stored).is_ok())
    }

    async fn make_durable(
        &self,
        key: &(ConnectorId, ZoneId, CredentialId),
        token: OAuthToken,
    ) -> Result<(), Refusal> {
        let refresh = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(refresh, sender);
        let (connector, zone, credential) = key.clone();
        let message = FromEgress::Refreshed(RefreshedToken { refresh, connector, zone, credential, token });
        let stored = async {
            self.outbox.send(message).await.map_err(|_| Refusal::RefreshFailed)?;
            receiver.await.map_err(|_| Refusal::RefreshFailed)
        };
        let stored = tokio::time::timeout(PERSIST_TIMEOUT, stored).await;
        lock(&self.waiting).remove(&refresh);
        match stored {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(Refusal::RefreshFailed),
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
    let connections = Connections::default();
    let fetched = tokio::time::timeout(FETCH_TIMEOUT, fetch(&desk, &call, &state.token, &connections)).await;
    connections.end().await;
    let outcome = match fetched {
        Ok(Ok(token)) => desk.make_durable(&shared.key, token.clone()).await.map(|()| token),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::TotalTimeout),
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
            state.failed_at = Some(Instant::now());
            Err(Refusal::RefreshFailed)
        }
    }
}

/// What a token endpoint answers (RFC 6749 §5.1); other members are of no use here.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<Secret>,
}

async fn fetch(
    desk: &RefreshDesk,
    call: &LiveCall,
    token: &OAuthToken,
    connections: &Connections,
) -> Result<OAuthToken, Refusal> {
    let refresh_token = token.refresh_token.as_ref().ok_or(Refusal::RefreshFailed)?;
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
    if !answer.status().is_success() {
        return Err(Refusal::RefreshFailed);
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|_| Refusal::RefreshFailed)?;
    let body = Zeroizing::new(body.to_bytes().to_vec());
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| Refusal::RefreshFailed)?;
    renewed(token, answer, (desk.environment.unix_time)())
}

fn renewed(token: &OAuthToken, answer: TokenAnswer, now: UnixTime) -> Result<OAuthToken, Refusal> {
    if !answer.access_token.is_usable() {
        return Err(Refusal::RefreshFailed);
    }
    let mut renewed = token.clone();
    renewed.generation = token.generation.saturating_add(1);
    renewed.access_token = answer.access_token;
    renewed.expires_at = answer.expires_in.map(|seconds| now.saturating_add(seconds));
    if answer.refresh_token.is_some() {
        renewed.refresh_token = answer.refresh_token;
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

/// After a refresh, a token that the service refuses is not refreshed again for this long.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Time for the token endpoint.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for the daemon to make a token durable.
const PERSIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer of a token endpoint.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
