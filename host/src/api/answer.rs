//! Answers as bytes: the body, what it says about itself, and the failure that says what to do next.

use std::sync::LazyLock;

use bytes::Bytes;
use fcp_api::headers::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use fcp_api::routes::DOCUMENT_PATH;
use fcp_api::types::{ErrorBody, Meta, MetaStatus, Reply, Source};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::Digest;
use fcp_proto_core::time::{Now, UnixTime};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::daemon::App;

/// A success, written.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<UnixTime>,
}

/// What the caller has already.
#[derive(Debug)]
pub(super) struct Condition {
    /// What was asked for.
    place: String,
    tags: Option<String>,
    since: Option<String>,
}

impl Condition {
    /// Reads the headers that say so; what cannot be read asks for a whole answer.
    pub(super) fn read(place: String, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self { place, tags: text(IF_NONE_MATCH), since: text(IF_MODIFIED_SINCE) }
    }

    /// Whether the caller has this version; the tag wins when both were sent.
    fn holds(&self, etag: &str, modified: Option<UnixTime>) -> bool {
        match (&self.tags, &self.since) {
            (Some(tags), _) => tags
                .split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag),
            (None, Some(since)) => modified.is_some_and(|modified| *since == http_date(modified)),
            (None, None) => false,
        }
    }
}

/// Writes a success.
///
/// # Errors
/// [`Code::Internal`] if the answer has no JSON form, which is a defect.
pub(super) fn write<T: Serialize>(
    app: &App,
    body: T,
    source: Source,
    condition: Option<Condition>,
    now: Now,
) -> Result<Answer, ErrorBody> {
    let mut meta = Meta::new(source, now.unix);
    let Some(condition) = condition else {
        return Ok(Answer { body: fcp_api::body::write(&Reply { body, meta })?, etag: None, modified: None });
    };
    let digest = hash::digest(&fcp_api::body::write(&body)?);
    let etag = tag(digest);
    let modified = app.versions.since(&condition.place, digest, now.unix);
    let status = if condition.holds(&etag, modified) { MetaStatus::NotModified } else { MetaStatus::Fresh };
    meta.status = Some(status);
    meta.etag = Some(etag.clone());
    let body = fcp_api::body::write(&Reply { body, meta })?;
    Ok(Answer { body, etag: Some(etag), modified })
}

/// The tag of a version.
fn tag(digest: Digest) -> String {
    format!("\"{}\"", &digest.to_string()[..32])
}

/// The OpenAPI document. It carries no `meta`, so whoever has it already is told by the status.
pub(super) fn document(app: &App, headers: &HeaderMap) -> Response<Full<Bytes>> {
    static DOCUMENT: LazyLock<(Bytes, Digest)> = LazyLock::new(|| {
        let text = Bytes::from(fcp_api::openapi::document().to_string());
        let digest = hash::digest(&text);
        (text, digest)
    });
    let (text, digest) = &*DOCUMENT;
    let (etag, modified) = (tag(*digest), Some(app.started_at));
    let known = Condition::read(DOCUMENT_PATH.into(), headers).holds(&etag, modified);
    let body = if known { Bytes::new() } else { text.clone() };
    let mut response = success(Answer { body, etag: Some(etag), modified });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

/// The HTTP answer of a success.
pub(super) fn success(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    let headers = response.headers_mut();
    put(headers, header::CONTENT_TYPE, "application/json");
    let caching = if answer.etag.is_some() { "private, no-cache" } else { "no-store" };
    put(headers, header::CACHE_CONTROL, caching);
    if let Some(etag) = &answer.etag {
        put(headers, header::ETAG, etag);
    }
    if let Some(modified) = answer.modified {
        put(headers, header::LAST_MODIFIED, &http_date(modified));
    }
    response
}

/// The HTTP answer of a failure.
pub(super) fn failure(error: &ErrorBody) -> Response<Full<Bytes>> {
    // A failure's own body always has a JSON form; if not, the status still says it.
    let body = fcp_api::body::write(error).unwrap_or_default();
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    put(response.headers_mut(), header::CONTENT_TYPE, "application/json");
    put(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    if let Some(ms) = error.retry_after_ms {
        put(response.headers_mut(), header::RETRY_AFTER, &ms.div_ceil(1000).max(1).to_string());
    }
    response
}

/// What nobody was told of but the log: a defect in an endpoint.
pub(super) fn defect() -> ErrorBody {
    ErrorBody::new(Code::Internal).because("the request met a defect; the daemon goes on")
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The date form of HTTP (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(time: UnixTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // RFC 3339 in UTC: 1994-11-06T08:49:37Z.
    let text = time.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, "00:00:00Z"));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?));
    let weekday = usize::try_from(time.as_secs() / 86_400 % 7).unwrap_or(0);
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[weekday],
        day.unwrap_or("01"),
        month.unwrap_or(&"Jan"),
        year.unwrap_or("1970"),
        clock.trim_end_matches('Z')
    )
}
