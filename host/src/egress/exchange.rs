//! One request of a connector, from its arrival to the last byte of the answer. Source: docs/spec/egress.md#order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fcp_proto_core::error::{Code, ExitCode};
use fcp_state_machines::call::egress::credential::{self, Injectable, Injection};
use fcp_state_machines::call::egress::headers::{self, Verdict};
use fcp_state_machines::call::egress::{Admitted, Carry, EgressHandle, Method, Pinned, Refusal, Target};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::Environment;
use super::bodies::{Download, Ended, Upload};
use super::calls::{CallSecret, Calls, LiveCall};
use super::control::{Effect, Identity};
use super::oauth::RefreshDesk;
use super::scrub::{Needles, Scrubber};
use super::secret::Secret;
use super::upstream::{self, Connections};

/// What every exchange needs.
pub(crate) struct Shared {
    pub(crate) environment: Arc<Environment>,
    pub(crate) calls: Calls,
    pub(crate) desk: Arc<RefreshDesk>,
}

/// Answers one request of the connector at `identity`'s connection.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    request: Request<Incoming>,
) -> Response<Download> {
    let (head, answered) = oneshot::channel();
    // Held here until the answer's body holds it: dropped with either, it tells the exchange that nobody waits.
    let (present, absent) = oneshot::channel();
    let outlet = Outlet { head: Some(head), ended: Ended::default() };
    tokio::spawn(run(shared, identity, request, outlet, absent));
    let answer = answered.await;
    let answer = answer.unwrap_or_else(|_| refusal_response(&Refusal::CallClosed, Effect::Maybe));
    answer.map(|body| body.awaited_by(present))
}

/// Where the answer goes: first its head, then how its body ended.
struct Outlet {
    head: Option<oneshot::Sender<Response<Download>>>,
    ended: Ended,
}

impl Outlet {
    /// Hands the head on and gives the place for the body's chunks.
    fn begin(&mut self, mut response: Response<()>) -> Result<mpsc::Sender<Bytes>, Refusal> {
        let head = self.head.take().ok_or(Refusal::CallClosed)?;
        // One chunk ahead: what the connector does not read, the service is not asked for.
        let (sender, receiver) = mpsc::channel(1);
        let body = Download::stream(receiver, Arc::clone(&self.ended));
        let headers = std::mem::take(response.headers_mut());
        let mut whole = Response::new(body);
        *whole.status_mut() = response.status();
        *whole.headers_mut() = headers;
        head.send(whole).map_err(|_| Refusal::CallClosed)?;
        Ok(sender)
    }

    fn finish(self, outcome: Result<(), Refusal>, effect: Effect) {
        if let (Some(head), Err(refusal)) = (self.head, &outcome) {
            // A connector that has gone needs no answer; the report holds the refusal.
            drop(head.send(refusal_response(refusal, effect)));
        }
        drop(OnceLock::set(&self.ended, outcome));
    }
}

async fn run(
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    request: Request<Incoming>,
    mut outlet: Outlet,
    absent: oneshot::Receiver<()>,
) {
    let found = handle_of(request.headers()).and_then(|handle| shared.calls.find(&handle, &identity));
    let (call, mut ending) = match found {
        Ok(found) => found,
        Err(refusal) => {
            tracing::info!(connector = %identity.connector, zone = %identity.zone, reason = refusal.name(), "refused");
            shared.calls.count_stray(&identity);
            return outlet.finish(Err(refusal), Effect::None);
        }
    };
    let connections = Connections::default();
    let exchange = Exchange { shared: &shared, call: &call, connections: &connections };
    let outcome = tokio::select! {
        biased;
        changed = ending.wait_for(Option::is_some) => Err(ended_why(changed)),
        _ = absent => Err(Refusal::CallClosed),
        () = tokio::time::sleep_until(call.deadline) => Err(Refusal::DeadlinePassed),
        outcome = exchange.run(request, &mut outlet) => outcome,
    };
    if let Err(refusal) = &outcome {
        tracing::info!(call = %call.open.call, operation = %call.open.operation, reason = refusal.name(), "refused");
        call.record(|report| {
            if report.refusals.len() < MAX_LISTED {
                report.refusals.push(refusal.clone());
            }
        });
    }
    outlet.finish(outcome, call.effect());
    connections.end().await;
    // Held until the sockets are closed: whoever ends the call waits for this.
    drop(ending);
}

fn ended_why(
    changed: Result<tokio::sync::watch::Ref<'_, Option<Refusal>>, tokio::sync::watch::error::RecvError>,
) -> Refusal {
    changed.ok().and_then(|why| why.clone()).unwrap_or(Refusal::CallClosed)
}

/// The one handle of the request.
fn handle_of(headers: &HeaderMap) -> Result<EgressHandle, Refusal> {
    let text = single(headers, HANDLE_HEADER)?.ok_or(Refusal::HandleInvalid)?;
    EgressHandle::from_hex(text).ok_or(Refusal::HandleInvalid)
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::to_str).transpose().map_err(|_| Refusal::HandleInvalid)?;
    if values.next().is_some() { Err(Refusal::HandleInvalid) } else { Ok(first) }
}

struct Exchange<'a> {
    shared: &'a Arc<Shared>,
    call: &'a Arc<LiveCall>,
    connections: &'a Connections,
}

/// The parts of a request that stay the same over redirects.
struct Parts {
    headers: HeaderMap,
    slot: Option<String>,
}

/// A service's answer whose head was checked.
struct Checked {
    response: Response<Incoming>,
    scrubber: Scrubber,
    admitted: Admitted,
}

impl Exchange<'_> {
    async fn run(&self, request: Request<Incoming>, outlet: &mut Outlet) -> Result<(), Refusal> {
        let admitted = self.admit(&request)?;
        let total = Duration::from_millis(admitted.limits().total_timeout_ms);
        let work = async {
            let checked = self.follow(request, admitted).await?;
            self.hand_on(checked, outlet).await
        };
        tokio::time::timeout(total, work).await.unwrap_or(Err(Refusal::TotalTimeout))
    }

    fn admit(&self, request: &Request<Incoming>) -> Result<Admitted, Refusal> {
        let admitted = self.call.open.admit(request.method().as_str(), &request.uri().to_string())?;
        headers::check_framing(wire(request.headers()))?;
        for host in request.headers().get_all(header::HOST) {
            admitted.target().check_host_header(host.as_bytes())?;
        }
        if request.body().size_hint().lower() > admitted.limits().max_request_bytes {
            return Err(Refusal::RequestTooLarge);
        }
        Ok(admitted)
    }

    /// Sends the request, and again wherever the service redirects it to and the rules permit.
    async fn follow(&self, request: Request<Incoming>, mut admitted: Admitted) -> Result<Checked, Refusal> {
        let (head, body) = request.into_parts();
        let mut parts = Parts {
            slot: single(&head.headers, SLOT_HEADER)?.map(str::to_owned),
            headers: self.outgoing(head.headers),
        };
        let (mut upload, exceeded) =
            Upload::new(body, admitted.limits().max_request_bytes, Arc::clone(self.call));
        let mut followed = 0;
        loop {
            let body = std::mem::replace(&mut upload, Upload::Empty);
            let checked = self.send(admitted, &parts, body, &exceeded).await?;
            let status = checked.response.status().as_u16();
            let location = checked.response.headers().get(header::LOCATION);
            let wanted =
                checked.admitted.limits().max_redirects > 0 && matches!(status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = location.filter(|_| wanted) else { return Ok(checked) };
            let location =
                location.to_str().map_err(|_| Refusal::Redirect(Box::new(Refusal::CharacterDenied)))?;
            let (next, carry) = self.call.open.redirect(&checked.admitted, status, location, followed)?;
            if carry == Carry::Drop {
                parts.slot = None;
            }
            if next.method() != checked.admitted.method() {
                parts.headers.remove(header::CONTENT_TYPE);
            }
            (admitted, followed) = (next, followed + 1);
        }
    }

    async fn send(
        &self,
        admitted: Admitted,
        parts: &Parts,
        body: Upload,
        exceeded: &AtomicBool,
    ) -> Result<Checked, Refusal> {
        let resolver = &*self.shared.environment.resolver;
        let (pinned, mut sender) = upstream::reach(resolver, self.call, admitted, self.connections).await?;
        let secret = self.secret(parts.slot.as_deref(), &pinned).await?;
        // Before the check: an ended call has no secrets left to search for.
        let scrubber = Scrubber::new(self.needles());
        // Nothing may come between this check and the sending.
        self.shared.calls.stands(self.call)?;
        let request = self.compose(&pinned, parts, secret.as_ref(), body, sender.wants_absolute())?;
        self.record_sending(&pinned);
        let idle = Duration::from_millis(pinned.admitted().limits().idle_timeout_ms);
        let response = match tokio::time::timeout(idle, sender.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) if exceeded.load(Ordering::Relaxed) => return Err(Refusal::RequestTooLarge),
            Ok(Err(_)) => return Err(Refusal::UpstreamBroken),
            Err(_) => return Err(Refusal::IdleTimeout),
        };
        self.note_answer(response.status(), parts.slot.as_deref());
        check_head(&response, &scrubber)?;
        Ok(Checked { response, scrubber, admitted: pinned.admitted().clone() })
    }

    /// The secret for the slot, if the request asks for one and the rules permit it there.
    async fn secret(&self, slot: Option<&str>, pinned: &Pinned) -> Result<Option<Secret>, Refusal> {
        let Some(slot) = slot else { return Ok(None) };
        let grant = credential::decide(&self.call.open.credentials, slot, pinned)?;
        let secret = match self.call.secret(&grant.grant().slot)? {
            CallSecret::Fixed(secret) => secret,
            CallSecret::OAuth(shared) => shared.access_token(&self.shared.desk, self.call).await?,
        };
        Ok(Some(secret))
    }

    /// Builds the request, the credential last.
    fn compose(
        &self,
        pinned: &Pinned,
        parts: &Parts,
        secret: Option<&Secret>,
        body: Upload,
        absolute: bool,
    ) -> Result<Request<Upload>, Refusal> {
        let target = pinned.admitted().target();
        let mut request = Request::new(body);
        *request.method_mut() =
            pinned.admitted().method().as_str().parse().map_err(|_| Refusal::MethodNotDeclared)?;
        *request.headers_mut() = parts.headers.clone();
        if !absolute {
            let authority =
                HeaderValue::try_from(target.origin.authority()).map_err(|_| Refusal::HostInvalid)?;
            request.headers_mut().insert(header::HOST, authority);
        }
        let mut path = target.path_and_query();
        if let (Some(slot), Some(secret)) = (parts.slot.as_deref(), secret) {
            let injectable = credential::decide(&self.call.open.credentials, slot, pinned)?;
            path = inject(&injectable, secret, request.headers_mut())?;
        }
        *request.uri_mut() = place(target, &path, absolute).parse().map_err(|_| Refusal::CharacterDenied)?;
        Ok(request)
    }

    fn needles(&self) -> Needles {
        let secrets = self.call.secrets();
        // The password of a `user:password` pair is a secret by itself.
        let password = |secret: &'_ str| secret.split_once(':').map(|(_, password)| password.to_owned());
        let passwords: Vec<_> =
            secrets.iter().filter_map(|secret| password(secret.expose())).map(Secret::new).collect();
        Needles::new(secrets.iter().chain(&passwords).map(Secret::expose))
    }

    fn outgoing(&self, headers: HeaderMap) -> HeaderMap {
        let filled: Vec<&str> =
            self.call.open.credentials.iter().filter_map(|grant| grant.injection.header()).collect();
        let mut outgoing = HeaderMap::new();
        for (name, value) in &headers {
            let ours = filled.iter().any(|header| headers::reads_as(name.as_str(), header));
            if headers::request(name.as_str()) == Verdict::Pass && !ours {
                outgoing.append(name.clone(), value.clone());
            }
        }
        outgoing.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        outgoing
    }

    fn record_sending(&self, pinned: &Pinned) {
        let host = pinned.admitted().target().origin.authority();
        self.call.record(|report| {
            report.effect = Effect::Maybe;
            report.requests += 1;
            if !report.hosts.contains(&host) && report.hosts.len() < MAX_LISTED {
                report.hosts.push(host);
            }
        });
    }

    fn note_answer(&self, status: StatusCode, slot: Option<&str>) {
        self.call.record(|report| {
            if report.statuses.len() < MAX_LISTED {
                report.statuses.push(status.as_u16());
            }
        });
        if status == StatusCode::UNAUTHORIZED
            && let Some(Ok(CallSecret::OAuth(shared))) = slot.map(|slot| self.call.secret(slot))
        {
            shared.note_refused();
        }
    }

    /// Hands the answer on, chunk by chunk, as fast as the connector reads.
    async fn hand_on(&self, checked: Checked, outlet: &mut Outlet) -> Result<(), Refusal> {
        let Checked { response, mut scrubber, admitted } = checked;
        let limits = admitted.limits();
        let (head, mut body) = response.into_parts();
        if admitted.method() != Method::Head && body.size_hint().lower() > limits.max_response_bytes {
            return Err(Refusal::ResponseTooLarge);
        }
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        for (name, value) in &head.headers {
            if headers::response(name.as_str()) == Verdict::Pass {
                response.headers_mut().append(name.clone(), value.clone());
            }
        }
        let chunks = outlet.begin(response)?;
        let idle = Duration::from_millis(limits.idle_timeout_ms);
        let mut left = limits.max_response_bytes;
        loop {
            let frame = match tokio::time::timeout(idle, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(Refusal::UpstreamBroken),
                Ok(None) => break,
                Err(_) => return Err(Refusal::IdleTimeout),
            };
            // Trailers are dropped.
            let Ok(data) = frame.into_data() else { continue };
            let length = data.len() as u64;
            left = left.checked_sub(length).ok_or(Refusal::ResponseTooLarge)?;
            self.call.record(|report| report.bytes_received += length);
            let clean = scrubber.push(&data).map_err(|_| Refusal::SecretInAnswer)?;
            pass(&chunks, clean).await?;
        }
        pass(&chunks, scrubber.finish()).await
    }
}

async fn pass(chunks: &mpsc::Sender<Bytes>, chunk: Bytes) -> Result<(), Refusal> {
    if chunk.is_empty() {
        return Ok(());
    }
    chunks.send(chunk).await.map_err(|_| Refusal::CallClosed)
}

fn place(target: &Target, path: &str, absolute: bool) -> String {
    if absolute { format!("{}{path}", target.origin) } else { path.to_owned() }
}

/// Writes the secret into its header, and gives path and query, which may hold it instead.
fn inject(injectable: &Injectable<'_>, secret: &Secret, headers: &mut HeaderMap) -> Result<String, Refusal> {
    let injection = &injectable.grant().injection;
    let value = match injection {
        Injection::Bearer => Zeroizing::new(format!("Bearer {}", secret.expose())),
        Injection::Basic => Zeroizing::new(format!("Basic {}", STANDARD.encode(secret.expose()))),
        Injection::Header { prefix, .. } => Zeroizing::new(format!("{prefix}{}", secret.expose())),
        Injection::Query { .. } => Zeroizing::new(String::new()),
    };
    if let Some(name) = injection.header() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refusal::FramingAmbiguous)?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| Refusal::FramingAmbiguous)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(injectable.path_and_query(secret.expose()))
}

/// Refuses an answer that cannot be searched or whose head holds a secret.
fn check_head(response: &Response<Incoming>, scrubber: &Scrubber) -> Result<(), Refusal> {
    let codings = response.headers().get_all(header::CONTENT_ENCODING);
    headers::check_encoding(codings.iter().map(HeaderValue::as_bytes))?;
    headers::check_answer_framing(wire(response.headers()))?;
    for (name, value) in response.headers() {
        let found = scrubber
            .needles()
            .check_name(name.as_str())
            .and_then(|()| scrubber.needles().check(value.as_bytes()));
        found.map_err(|_| Refusal::SecretInAnswer)?;
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS { Err(Refusal::UpstreamBroken) } else { Ok(()) }
}

/// Headers as they were on the wire.
fn wire(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// How a refusal reads for the connector.
fn refusal_response(refusal: &Refusal, effect: Effect) -> Response<Download> {
    let code = refusal.code();
    let body = serde_json::json!({ "code": code.to_string(), "reason": refusal.name(), "message": refusal.to_string() });
    let mut response = Response::new(Download::Whole(Some(Bytes::from(body.to_string()))));
    *response.status_mut() = status_of(code);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(code) = HeaderValue::try_from(code.to_string()) {
        headers.insert(ERROR_HEADER, code);
    }
    let effect = match effect {
        Effect::None => "none",
        Effect::Maybe => "maybe",
    };
    headers.insert(EFFECT_HEADER, HeaderValue::from_static(effect));
    response
}

/// 403 for what the rules refuse, 504 for what took too long, 502 for what the network or the service did.
fn status_of(code: Code) -> StatusCode {
    match (code.http_status(), code.exit_code()) {
        (504, _) => StatusCode::GATEWAY_TIMEOUT,
        (_, ExitCode::Service) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::FORBIDDEN,
    }
}

/// Names the call. Source: docs/spec/egress.md#connection.
const HANDLE_HEADER: &str = "x-fcp-egress-handle";

/// Names the credential wanted.
const SLOT_HEADER: &str = "x-fcp-credential";

/// On a refusal: its code.
const ERROR_HEADER: &str = "x-fcp-egress-error";

/// On a refusal: whether a service may have acted.
const EFFECT_HEADER: &str = "x-fcp-egress-effect";

/// Hosts, statuses and refusals listed in a report.
const MAX_LISTED: usize = 64;
