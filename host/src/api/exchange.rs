//! One exchange: from the request's head to the answer's bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fcp_api::headers::{ADMISSION, AUTHORIZATION, SESSION, TRACEPARENT};
use fcp_api::routes::{Access, DOCUMENT_PATH, Endpoint, UnlockOperator};
use fcp_api::types::ErrorBody;
use fcp_proto_core::error::Code;
use fcp_proto_core::time::Now;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

use super::answer;
use super::connection::{Peer, most};
use super::mount::{Found, Mounted, Received, Table, only_reads};
use super::places::{Exchange, Share, Standing};
use super::{access, trace};
use crate::daemon::App;

/// Headers of which a request has one at most: who calls, and what the body is.
const SINGLE: [&str; 4] = [AUTHORIZATION, SESSION, ADMISSION, "content-type"];

/// Serves a request.
pub(super) async fn run(app: Arc<App>, peer: Arc<Peer>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Err(why) = check_head(request.version(), request.headers()) {
        return no_request(why);
    }
    let trace = trace::read(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let exchange = peer.place.begin();
    let served = tokio::spawn(serve(app, peer, exchange, request)).await;
    let mut response = match served {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => answer::failure(&error),
        Err(error) => {
            tracing::error!(%method, path, %error, "an exchange met a defect");
            answer::failure(&answer::defect())
        }
    };
    allow(&path, &mut response);
    tracing::debug!(%method, path, status = response.status().as_u16(), "served");
    if let Some(Ok(value)) = trace.map(|trace| HeaderValue::from_str(&trace::write(&trace))) {
        response.headers_mut().insert(TRACEPARENT, value);
    }
    response
}

/// What the protocol's library lets pass, and two readers could take for different requests.
/// Source: RFC 9112, sections 3.2, 6.1 and 6.3.
//= docs/spec/api.md#transport
fn check_head(version: http::Version, headers: &HeaderMap) -> Result<(), &'static str> {
    if version != http::Version::HTTP_11 {
        return Err("the head is no request of HTTP/1.1");
    }
    if headers.get_all(HOST).iter().count() != 1 {
        return Err("the head has not one `host`");
    }
    if SINGLE.iter().any(|name| headers.get_all(*name).iter().count() > 1) {
        return Err("a header that says who calls, or what the body is, stands twice");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if is_chunked(coding) && !headers.contains_key(CONTENT_LENGTH) => Ok(()),
        (Some(_), _) => Err("a body is `chunked`, or has a length, and is coded in no other way"),
    }
}

/// The end of a connection whose head is refused: what follows it cannot be told apart.
//= docs/spec/api.md#transport
fn no_request(why: &str) -> Response<Full<Bytes>> {
    let error = ErrorBody::new(Code::MalformedInput).because(why);
    let mut response = answer::failure(&error);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn serve(
    app: Arc<App>,
    peer: Arc<Peer>,
    mut exchange: Exchange,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ErrorBody> {
    let (head, body) = request.into_parts();
    admitted(&app, &peer, &head.headers)?;
    if head.method == http::Method::GET && head.uri.path() == DOCUMENT_PATH {
        return Ok(answer::document(&app, &head.headers));
    }
    let (mounted, path) = match Table::find(&head.method, head.uri.path())? {
        Found::Route(mounted, path) => (mounted, path),
        Found::OtherMethod => {
            let why = format!("{} does not take {}", head.uri.path(), head.method);
            return Err(ErrorBody::new(Code::MethodNotAllowed).because(why));
        }
        Found::Nothing => {
            let why = format!("there is no {}", head.uri.path());
            return Err(ErrorBody::new(Code::UnknownMethod).because(why));
        }
    };
    check(&app, mounted)?;
    check_type(&head.headers)?;
    let body = whole(body, mounted.route.max_request_bytes, BODY_WITHIN).await?;
    // What expires is judged when all of the request is there, not when it began.
    let now = app.now();
    exchange.answer(share(&app, &peer, mounted, &head.headers, now), most(&app))?;
    let query = head.uri.query().unwrap_or_default().to_owned();
    let received = Received { app, peer, headers: head.headers, path, query, body, now };
    (mounted.serve)(received).await.map(answer::success)
}

/// Which places an exchange may take: an operator is served, and becomes one, however many others ask.
//= docs/spec/api.md#room
fn share(app: &App, peer: &Peer, mounted: &Mounted, headers: &HeaderMap, now: Now) -> Share {
    let is_operator = access::operator(app, peer, headers, now).is_some();
    if is_operator {
        peer.place.stands(Standing::Operator);
    } else if headers.contains_key(AUTHORIZATION) {
        // The key that was open on this connection is closed.
        peer.place.stands(Standing::Unknown);
    }
    if is_operator || mounted.route.name == UnlockOperator::ROUTE.name {
        Share::Reserved
    } else {
        Share::Common
    }
}

/// Says what a path takes, to who asked for another method.
fn allow(path: &str, response: &mut Response<Full<Bytes>>) {
    if response.status() == http::StatusCode::METHOD_NOT_ALLOWED
        && let Ok(methods) = HeaderValue::from_str(&Table::methods(path).join(", "))
    {
        response.headers_mut().insert(http::header::ALLOW, methods);
    }
}

/// Over TCP nobody is known by the kernel, so a caller shows the token that only this user can read.
fn admitted(app: &App, peer: &Peer, headers: &HeaderMap) -> Result<(), ErrorBody> {
    if peer.uid.is_some() {
        return Ok(());
    }
    let given = headers.get(ADMISSION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if app.admits(given) {
        Ok(())
    } else {
        let why = "over TCP a caller shows the token of the home in `x-fcp-admission`";
        Err(ErrorBody::new(Code::Unauthenticated).because(why))
    }
}

/// While the daemon stops, only reads are served.
fn check(app: &App, mounted: &Mounted) -> Result<(), ErrorBody> {
    if app.is_draining() && !(only_reads(mounted.route.method) && mounted.route.access == Access::Public) {
        return Err(ErrorBody::new(Code::Draining));
    }
    Ok(())
}

/// A page in a browser can send a form to a loopback address without asking; it cannot send JSON so.
fn check_type(headers: &HeaderMap) -> Result<(), ErrorBody> {
    let Some(given) = headers.get(http::header::CONTENT_TYPE) else { return Ok(()) };
    let given = given.to_str().unwrap_or_default();
    if given.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(ErrorBody::new(Code::MalformedInput).because("a body is `application/json`"))
}

/// The whole body. It must come within the time: a caller that dawdles holds a place that others need.
//= docs/spec/api.md#transport
async fn whole<B>(body: B, most: usize, within: Duration) -> Result<Bytes, ErrorBody>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large =
        || ErrorBody::new(Code::InputTooLarge).because(format!("a body has at most {most} bytes here"));
    // One that says how long it will be is not waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let Ok(collected) = tokio::time::timeout(within, Limited::new(body, most).collect()).await else {
        let why = format!("the body did not come within {} s", within.as_secs());
        return Err(ErrorBody::new(Code::MalformedInput).because(why));
    };
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ErrorBody::new(Code::MalformedInput).because(error.to_string())),
    }
}

/// How long a caller may take to send a body. Chosen: the largest package comes over the slowest loopback in a fraction of it.
const BODY_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body that sends a byte and then nothing more.
    struct Dawdling(bool);

    impl Body for Dawdling {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            match std::mem::replace(&mut self.0, true) {
                false => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{"))))),
                true => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_refused_and_gives_its_place_back() {
        let refused = whole(Dawdling(false), 100, Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(refused.code, Code::MalformedInput);
        let whole = whole(Full::new(Bytes::from_static(b"{}")), 100, BODY_WITHIN).await.unwrap();
        assert_eq!(whole, "{}");
    }

    //= docs/spec/api.md#transport
    #[tokio::test]
    async fn a_body_that_says_it_is_too_long_is_not_waited_for() {
        let long = Full::new(Bytes::from_static(b"123"));
        let refused = whole(long, 2, BODY_WITHIN).await.unwrap_err();
        assert_eq!(refused.code, Code::InputTooLarge);
    }

    //= docs/spec/api.md#transport
    #[test]
    fn a_head_that_can_be_read_in_two_ways_is_refused() {
        let check = |fields: &[(http::HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name, HeaderValue::from_static(value));
            }
            check_head(http::Version::HTTP_11, &headers).is_ok()
        };
        let (host, named) = ((HOST, "localhost"), http::HeaderName::from_static);
        assert!(check(std::slice::from_ref(&host)));
        assert!(check(&[host.clone(), (TRANSFER_ENCODING, "Chunked")]));
        assert!(check(&[host.clone(), (CONTENT_LENGTH, "2")]));
        for wrong in [
            vec![],
            vec![host.clone(), host.clone()],
            vec![host.clone(), (named(SESSION), "a"), (named(SESSION), "b")],
            vec![host.clone(), (named(AUTHORIZATION), "a"), (named(AUTHORIZATION), "a")],
            vec![host.clone(), (TRANSFER_ENCODING, "gzip, chunked")],
            vec![host.clone(), (TRANSFER_ENCODING, "gzip"), (TRANSFER_ENCODING, "chunked")],
            vec![host.clone(), (TRANSFER_ENCODING, "identity")],
            vec![host, (TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "2")],
        ] {
            assert!(!check(&wrong), "{wrong:?}");
        }
        assert!(check_head(http::Version::HTTP_10, &HeaderMap::new()).is_err());
    }
}
