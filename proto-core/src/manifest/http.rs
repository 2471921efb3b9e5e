//! How the declarative engine performs an operation over HTTP. Spec: `docs/spec/manifest.md#http`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::network::{PathPattern, Segment};
use super::template::{Form, Part, Template};
use crate::cbor_enum;
use crate::error::Code;

cbor_enum! {
    /// An HTTP method.
    pub enum Method {
        /// Safe.
        Get = "GET",
        /// Safe, without a body.
        Head = "HEAD",
        /// Neither safe nor idempotent.
        Post = "POST",
        /// Idempotent.
        Put = "PUT",
        /// Neither safe nor idempotent.
        Patch = "PATCH",
        /// Idempotent.
        Delete = "DELETE",
    }
}

/// What all operations of a declarative connector share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpDefaults {
    /// The URL that operations' paths are appended to, usually `{config.base_url}`.
    pub base_url: Template,
    /// Headers of every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// What refusals look like.
    #[serde(default)]
    pub errors: Errors,
    /// When a request is repeated.
    #[serde(default)]
    pub retry: Retry,
}

/// One operation's request and how its answer is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the base URL.
    pub path: Template,
    /// Query parameters; one whose field is absent is left out, an array repeats its parameter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Template>,
    /// Headers beside the connector's; one whose field is absent is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// The body: a JSON value whose texts are templates. A text that is one placeholder keeps the field's type;
    /// an entry whose field is absent is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// How the body is sent.
    #[serde(default)]
    pub body_format: BodyFormat,
    /// How the answer is read.
    #[serde(default)]
    pub response: ResponseFormat,
    /// How further pages are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// What the output takes from the answer.
    #[serde(default)]
    pub output: Shape,
    /// The header in which the service takes an idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
}

impl Request {
    /// The paths that this request can have.
    pub fn path_pattern(&self) -> PathPattern {
        let mut segments = alloc::vec![Segment::Literal(String::new())];
        for part in self.path.parts() {
            match part {
                Part::Literal(text) => {
                    for (index, piece) in text.split('/').enumerate() {
                        if index > 0 {
                            segments.push(Segment::Literal(String::new()));
                        }
                        match segments.last_mut() {
                            Some(Segment::Literal(literal)) => literal.push_str(piece),
                            // Text beside a placeholder within one segment: the segment as a whole is free.
                            Some(Segment::One | Segment::Rest) | None => {}
                        }
                    }
                }
                Part::Field(field) => {
                    let filled = if field.form == Form::Segments { Segment::Rest } else { Segment::One };
                    segments.pop();
                    segments.push(filled);
                }
            }
        }
        segments.remove(0);
        PathPattern::from_segments(segments)
    }
}

cbor_enum! {
    /// How a body is sent.
    #[derive(Default)]
    pub enum BodyFormat {
        /// As JSON.
        #[default]
        Json = "json",
        /// As `application/x-www-form-urlencoded`; the body is an object of scalars.
        Form = "form",
        /// As bytes; the body is one placeholder for a base64 field.
        Binary = "binary",
    }
}

cbor_enum! {
    /// How an answer is read.
    #[derive(Default)]
    pub enum ResponseFormat {
        /// As one JSON document.
        #[default]
        Json = "json",
        /// As text: `{text, media_type}`.
        Text = "text",
        /// As bytes: `{content_base64, media_type, size}`.
        Binary = "binary",
        /// Not at all: `{}`.
        Empty = "empty",
        /// As one JSON document a line, each sent on as progress while it arrives.
        Lines = "lines",
        /// As server-sent events with JSON data, each sent on as progress while it arrives.
        Events = "events",
    }
}

cbor_enum! {
    /// How the next page is found.
    pub enum PageKind {
        /// By the `Link` header's `rel="next"` (RFC 8288), which must stay on the same origin.
        Link = "link",
        /// By a cursor in the answer.
        Cursor = "cursor",
        /// By counting pages.
        Page = "page",
        /// By counting items.
        Offset = "offset",
    }
}

cbor_enum! {
    /// Where a pagination parameter is sent.
    #[derive(Default)]
    pub enum ParameterPlace {
        /// In the query.
        #[default]
        Query = "query",
        /// At the top of the JSON or form body.
        Body = "body",
    }
}

/// How a list is fetched page by page. It ends with the service's last page, at the caller's limit or at
/// `max_pages`; the output says whether more was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// How the next page is found.
    pub kind: PageKind,
    /// The parameter that carries the cursor, page number or offset (not for `link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// Where that parameter is sent.
    #[serde(default)]
    pub place: ParameterPlace,
    /// Pointer to the next cursor (kind `cursor`); absent, null or empty ends the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Pointer to a boolean that says whether there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
    /// The first page's number or offset (kinds `page` and `offset`).
    #[serde(default)]
    pub first: u32,
    /// The parameter that carries the page size, sent in the same place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_param: Option<String>,
    /// The page size; a smaller limit of the caller goes first.
    #[serde(default = "default_page_size")]
    pub size: u32,
    /// Pointer to a page's items; the empty pointer is the page itself.
    #[serde(default)]
    pub items: String,
    /// The input field with the most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_field: Option<String>,
    /// The most items without that field.
    #[serde(default = "default_items")]
    pub default_items: u32,
    /// The most requests.
    #[serde(default = "default_max_pages")]
    pub max_pages: u32,
}

/// What the output takes from the answer.
///
/// Pointers are JSON pointers (RFC 6901) in which a segment `*` stands for every element of an array. What is absent
/// or null is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Pointer to the value that is taken; a paginated operation takes its items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The fields of the result, or of each of its elements if it is an array; none takes everything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The key under which an array stands; `items` unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap: Option<String>,
    /// Fields taken from the whole (first) answer and put beside the rest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, String>,
}

/// What refusals look like. A status in `status` or a code in `codes` gets that error; else the engine's own table
/// decides (401 and 403, 404, 400 and 422, 429, 5xx).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Pointer to the message for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Pointer to the service's own error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Pointer to a boolean that is false in a refusal, whatever the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
    /// HTTP status → error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub status: BTreeMap<String, Code>,
    /// The service's code → error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<String, Code>,
    /// A header that is `0` when a 403 means that the rate limit is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_header: Option<String>,
}

/// When a request is repeated. A write is repeated only if the service cannot have performed it, or if it carries an
/// idempotency key in `idempotency_header`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Most requests for one page, the first included.
    #[serde(default = "default_attempts")]
    pub attempts: u8,
    /// Statuses that are worth repeating.
    #[serde(default = "default_retry_statuses")]
    pub statuses: BTreeSet<u16>,
    /// The first pause, in milliseconds; it doubles each time, with jitter. `Retry-After` has precedence.
    #[serde(default = "default_base_delay_ms")]
    pub base_delay_ms: u32,
    /// The longest pause; a longer `Retry-After` ends the call with an error that names it.
    #[serde(default = "default_max_delay_ms")]
    pub max_delay_ms: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: default_attempts(),
            statuses: default_retry_statuses(),
            base_delay_ms: default_base_delay_ms(),
            max_delay_ms: default_max_delay_ms(),
        }
    }
}

/// 50, half of what most services give at most.
const fn default_page_size() -> u32 {
    50
}

/// 100, so that a list fits an agent's context.
const fn default_items() -> u32 {
    100
}

/// 10.
const fn default_max_pages() -> u32 {
    10
}

/// 3.
const fn default_attempts() -> u8 {
    3
}

/// Those that say "try again" (RFC 9110 §15.6.3 to §15.6.5, RFC 6585 §4).
fn default_retry_statuses() -> BTreeSet<u16> {
    [429, 502, 503, 504].into()
}

/// Half a second.
const fn default_base_delay_ms() -> u32 {
    500
}

/// 10 s, a third of a call's default time.
const fn default_max_delay_ms() -> u32 {
    10_000
}
