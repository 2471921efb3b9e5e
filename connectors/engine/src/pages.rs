//! Fetches a list page by page, within the caller's limit and the manifest's bounds.

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::{PageKind, Pagination, scalar_text};
use fcp_sdk::Error;
use serde_json::Value;

use crate::request::{Built, Parameter};
use crate::{Task, answer, exchange, request, shape};

/// The most items of any list, whatever the caller asks for.
const MAX_ITEMS: usize = 10_000;

/// What the next request asks for.
enum Position {
    First,
    Url(String),
    Cursor(Value),
    Number(u64),
}

/// The whole list, as far as it may be fetched.
pub(crate) async fn collect(task: Task<'_>, pagination: &Pagination) -> Result<Value, Error> {
    let limit = limit(task, pagination);
    let size = pagination.size.min(u32::try_from(limit).unwrap_or(u32::MAX));
    let (mut items, mut first_page, mut position) = (Vec::new(), Value::Null, Position::First);
    let mut more = false;
    for page in 0..pagination.max_pages {
        let built = build(task, pagination, size, &position)?;
        let response = exchange::send(task, built.clone()).await?;
        let link = response.header("link").map(str::to_owned);
        let body = answer::read(task, response).await?;
        let found = page_items(pagination, &body)?;
        let count = found.len();
        items.extend(found);
        let next = match pagination.kind {
            PageKind::Link => next_link(task, &built, link.as_deref())?,
            PageKind::Cursor => next_cursor(pagination, &body),
            PageKind::Page | PageKind::Offset => {
                next_number(pagination, &body, count, size, page, items.len())
            }
        };
        if page == 0 {
            first_page = body;
        }
        more = next.is_some();
        // The declared size bounds the pages together, not each: memory and the host's line are finite.
        let room = task.call.usage().bytes_received < task.max_response_bytes() as u64;
        match next {
            Some(next) if items.len() < limit && room => position = next,
            Some(_) | None => break,
        }
    }
    let truncated = more || items.len() > limit;
    items.truncate(limit);
    Ok(shape::list(&task.request.output, &first_page, items, truncated))
}

fn limit(task: Task<'_>, pagination: &Pagination) -> usize {
    let asked =
        pagination.limit_field.as_ref().and_then(|name| task.call.input.get(name)).and_then(Value::as_u64);
    let items = asked.unwrap_or_else(|| pagination.default_items.into());
    usize::try_from(items).unwrap_or(MAX_ITEMS).clamp(1, MAX_ITEMS)
}

fn build(task: Task<'_>, pagination: &Pagination, size: u32, position: &Position) -> Result<Built, Error> {
    let mut parameters = Vec::new();
    let mut add = |name: &Option<String>, value: Value| {
        if let Some(name) = name {
            parameters.push(Parameter { place: pagination.place, name: name.clone(), value });
        }
    };
    add(&pagination.size_param, size.into());
    match position {
        Position::Cursor(cursor) => add(&pagination.param, cursor.clone()),
        Position::Number(number) => add(&pagination.param, (*number).into()),
        Position::First => match pagination.kind {
            PageKind::Page | PageKind::Offset => add(&pagination.param, pagination.first.into()),
            PageKind::Link | PageKind::Cursor => {}
        },
        Position::Url(_) => {}
    }
    let built = request::build(task, &parameters)?;
    Ok(match position {
        Position::Url(url) => built.at(url.clone()),
        Position::First | Position::Cursor(_) | Position::Number(_) => built,
    })
}

fn page_items(pagination: &Pagination, body: &Value) -> Result<Vec<Value>, Error> {
    match shape::pointer(body, &pagination.items) {
        Some(Value::Array(items)) => Ok(items),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))
        | None => {
            Err(Error::new(Code::UpstreamFailed, "the service's answer holds no list where one should be"))
        }
    }
}

fn next_cursor(pagination: &Pagination, body: &Value) -> Option<Position> {
    if says_no_more(pagination, body) {
        return None;
    }
    let cursor = shape::pointer(body, pagination.cursor.as_deref()?)?;
    let text = scalar_text(&cursor)?;
    (!text.is_empty()).then_some(Position::Cursor(cursor))
}

fn next_number(
    pagination: &Pagination,
    body: &Value,
    count: usize,
    size: u32,
    page: u32,
    so_far: usize,
) -> Option<Position> {
    let ended = match &pagination.more {
        Some(_) => says_no_more(pagination, body),
        None => count < size as usize,
    };
    if ended || count == 0 {
        return None;
    }
    let first = u64::from(pagination.first);
    Some(Position::Number(match pagination.kind {
        PageKind::Offset => first + so_far as u64,
        PageKind::Page | PageKind::Link | PageKind::Cursor => first + u64::from(page) + 1,
    }))
}

fn says_no_more(pagination: &Pagination, body: &Value) -> bool {
    pagination.more.as_ref().is_some_and(|more| shape::pointer(body, more) != Some(Value::Bool(true)))
}

/// The next page by the `rel="next"` target (RFC 8288), which must be on the base URL's origin. Only its query is taken:
/// some services name the same list by another path, and none shall steer a call to a path that it did not ask for.
fn next_link(task: Task<'_>, built: &Built, link: Option<&str>) -> Result<Option<Position>, Error> {
    let Some(target) = link.and_then(find_next) else { return Ok(None) };
    let base = request::base_url(task)?;
    let same_origin = target.strip_prefix(origin(&base)).is_some_and(|rest| rest.starts_with('/'));
    let path = built.url.split('?').next().unwrap_or_default();
    let query = target.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
    match query.map(|query| format!("{path}?{query}")) {
        Some(url) if same_origin && url != built.url => Ok(Some(Position::Url(url))),
        Some(_) | None => {
            Err(Error::new(Code::UpstreamFailed, "the service's next page is at another place"))
        }
    }
}

/// Scheme, host and port of a base URL.
fn origin(base: &str) -> &str {
    let start = base.find("://").map_or(0, |at| at + 3);
    base[start..].find('/').map_or(base, |at| &base[..start + at])
}

fn find_next(header: &str) -> Option<&str> {
    header.split(',').find_map(|entry| {
        let (target, parameters) = entry.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim();
            parameter == "rel=next" || parameter == "rel=\"next\""
        });
        is_next.then_some(target)
    })
}
