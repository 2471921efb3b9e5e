//! The answers, as docs.github.com/rest has them: `GET /user`, and under `/repos/{owner}/{repo}/issues` listing,
//! reading, opening, and comments.

use bytes::Bytes;
use fcp_proto_core::encoding::json as strict;
use http::header::{CONTENT_TYPE, HeaderName, LINK, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::Authorization;
use super::issues::{Issues, NewIssue, account};

/// An answer that refuses; boxed, since it travels beside small values.
type Refusal = Box<Response<Full<Bytes>>>;

/// Items on a page when the caller does not say, and at most.
const PAGE: (usize, usize) = (30, 100);

/// The API's versions that exist.
const VERSIONS: [&str; 1] = ["2022-11-28"];

/// A request.
pub(super) struct Question<'a> {
    /// Its method.
    pub(super) method: &'a Method,
    /// Its path.
    pub(super) path: &'a str,
    /// Its query.
    pub(super) query: &'a str,
    /// Its headers.
    pub(super) headers: &'a HeaderMap,
    /// What its credential was.
    pub(super) authorization: Authorization,
    /// Its body.
    pub(super) body: &'a Bytes,
}

/// Answers a request, changing the issues if it asks for that.
pub(super) fn answer(question: &Question<'_>, issues: &mut Issues) -> Response<Full<Bytes>> {
    if let Err(refused) = admit(question) {
        return *refused;
    }
    let segments: Vec<&str> = question.path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["user"] => match *question.method {
            Method::GET => reply(StatusCode::OK, &account()),
            _ => not_found(),
        },
        ["repos", owner, repo, "issues", rest @ ..] if issues.has(owner, repo) => {
            repository(question, repo, rest, issues)
        }
        _ => not_found(),
    }
}

/// A failure in the API's form.
pub(super) fn failure(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    reply(
        status,
        &json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_str(),
        }),
    )
}

fn refuse(status: StatusCode, message: &str) -> Refusal {
    Box::new(failure(status, message))
}

/// What every request must bring: a user agent, a known version if one is named, and the credential.
fn admit(question: &Question<'_>) -> Result<(), Refusal> {
    if !question.headers.contains_key(USER_AGENT) {
        return Err(refuse(StatusCode::FORBIDDEN, "Request forbidden by administrative rules."));
    }
    let version = question.headers.get("x-github-api-version");
    if version.is_some_and(|version| !VERSIONS.iter().any(|known| version == known)) {
        return Err(refuse(StatusCode::BAD_REQUEST, "The API version is not supported."));
    }
    match question.authorization {
        Authorization::Right => Ok(()),
        Authorization::Absent => Err(refuse(StatusCode::UNAUTHORIZED, "Requires authentication")),
        Authorization::Wrong => Err(refuse(StatusCode::UNAUTHORIZED, "Bad credentials")),
    }
}

fn repository(
    question: &Question<'_>,
    repo: &str,
    rest: &[&str],
    issues: &mut Issues,
) -> Response<Full<Bytes>> {
    let number = |text: &str| text.parse::<u64>().ok();
    match (question.method, rest) {
        (&Method::GET, []) => page(question, &issues.list(repo)),
        (&Method::POST, []) => match read_issue(question.body) {
            Ok(new) => issues.open(repo, new).map_or_else(not_found, |made| created(&made)),
            Err(refused) => *refused,
        },
        (&Method::GET, [text]) => {
            let found = number(text).and_then(|number| issues.get(repo, number));
            found.map_or_else(not_found, |issue| reply(StatusCode::OK, &issue))
        }
        (&Method::GET, [text, "comments"]) => {
            let found = number(text).and_then(|number| issues.comments(repo, number));
            found.map_or_else(not_found, |comments| page(question, &comments))
        }
        (&Method::POST, [text, "comments"]) => match read_comment(question.body) {
            Ok(body) => {
                let made = number(text).and_then(|number| issues.comment(repo, number, body));
                made.map_or_else(not_found, |made| created(&made))
            }
            Err(refused) => *refused,
        },
        _ => not_found(),
    }
}

/// One page of `items`, with `Link` to the next one (docs.github.com/rest: using pagination).
fn page(question: &Question<'_>, items: &[Value]) -> Response<Full<Bytes>> {
    let (usual, most) = PAGE;
    let size = parameter(question.query, "per_page").unwrap_or(usual).clamp(1, most);
    let number = parameter(question.query, "page").unwrap_or(1).max(1);
    let shown: Vec<Value> =
        items.iter().skip((number - 1).saturating_mul(size)).take(size).cloned().collect();
    let mut response = reply(StatusCode::OK, &Value::Array(shown));
    if number.saturating_mul(size) < items.len() {
        let host = question.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default();
        let path = question.path;
        put(
            &mut response,
            LINK,
            &format!("<https://{host}{path}?per_page={size}&page={}>; rel=\"next\"", number + 1),
        );
    }
    response
}

fn parameter(query: &str, name: &str) -> Option<usize> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
}

fn read_issue(body: &Bytes) -> Result<NewIssue, Refusal> {
    let value = read(body)?;
    let Some(title) = value["title"].as_str().filter(|title| !title.is_empty()) else {
        return Err(invalid("Issue", "title"));
    };
    let labels = match &value["labels"] {
        Value::Null => Vec::new(),
        Value::Array(labels) => {
            let texts: Option<Vec<_>> = labels.iter().map(|label| label.as_str().map(Into::into)).collect();
            texts.ok_or_else(|| invalid("Issue", "labels"))?
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(invalid("Issue", "labels"));
        }
    };
    let body = match &value["body"] {
        Value::Null => None,
        Value::String(body) => Some(body.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(invalid("Issue", "body"));
        }
    };
    Ok(NewIssue { title: title.to_owned(), body, labels })
}

fn read_comment(body: &Bytes) -> Result<String, Refusal> {
    let value = read(body)?;
    value["body"]
        .as_str()
        .filter(|body| !body.is_empty())
        .map(Into::into)
        .ok_or_else(|| invalid("IssueComment", "body"))
}

fn read(body: &Bytes) -> Result<Value, Refusal> {
    let value = strict::parse(body, body.len()).map(Value::from);
    match value {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) | Err(_) => Err(refuse(StatusCode::BAD_REQUEST, "Problems parsing JSON")),
    }
}

fn invalid(resource: &str, field: &str) -> Refusal {
    Box::new(reply(
        StatusCode::UNPROCESSABLE_ENTITY,
        &json!({
            "message": "Validation Failed",
            "errors": [{ "resource": resource, "field": field, "code": "missing_field" }],
            "documentation_url": "https://docs.github.com/rest/issues/issues",
            "status": "422",
        }),
    ))
}

fn created(made: &Value) -> Response<Full<Bytes>> {
    let mut response = reply(StatusCode::CREATED, made);
    if let Some(url) = made["html_url"].as_str() {
        put(&mut response, LOCATION, url);
    }
    response
}

fn not_found() -> Response<Full<Bytes>> {
    failure(StatusCode::NOT_FOUND, "Not Found")
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    put(&mut response, CONTENT_TYPE, "application/json; charset=utf-8");
    response
}

/// Sets a header; a value that no header can hold, which none of ours is, leaves it out.
fn put(response: &mut Response<Full<Bytes>>, name: HeaderName, value: &str) {
    if let Ok(value) = value.try_into() {
        response.headers_mut().insert(name, value);
    }
}
