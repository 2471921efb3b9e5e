//! From templates and input to one request: every value is encoded for the place where it stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::{
    BodyFormat, Field, Form, ParameterPlace, Part, RenderError, Template, fill, percent_encode, scalar_text,
};
use fcp_sdk::Error;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::Task;

/// A parameter that pagination adds, replacing one of the same name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) place: ParameterPlace,
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) method: http::Method,
    pub(crate) url: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it carries the service's own idempotency key.
    pub(crate) has_key: bool,
}

impl Built {
    /// The same request to another URL, as a `Link` header gives it.
    pub(crate) fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }
}

/// The request of a call.
pub(crate) fn build(task: Task<'_>, parameters: &[Parameter]) -> Result<Built, Error> {
    let request = task.request;
    let mut url = base_url(task)?;
    url.push_str(&path(task, &request.path)?);
    append_query(task, parameters, &mut url)?;
    let mut headers = http::HeaderMap::new();
    for (name, template) in task.defaults.headers.iter().chain(&request.headers) {
        if let Some(text) = text(task, template)? {
            set_header(&mut headers, name, &text)?;
        }
    }
    let mut has_key = false;
    if let (Some(name), Some(key)) = (&request.idempotency_header, &task.call.idempotency_key) {
        set_header(&mut headers, name, key)?;
        has_key = true;
    }
    let (media, body) = body(task, parameters)?;
    if let Some(media) = media {
        headers.entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static(media));
    }
    let method = http::Method::from_bytes(request.method.as_str().as_bytes())
        .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    Ok(Built { method, url, headers, body, has_key })
}

/// The base URL without a slash at its end.
pub(crate) fn base_url(task: Task<'_>) -> Result<String, Error> {
    let base = text(task, &task.defaults.base_url)?.unwrap_or_default();
    Ok(base.trim_end_matches('/').to_owned())
}

fn path(task: Task<'_>, template: &Template) -> Result<String, Error> {
    let mut path = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(text) => path.push_str(text),
            Part::Field(field) => {
                let value = value(task, field).ok_or_else(|| needed(field))?;
                let text = scalar_text(value).ok_or_else(|| wrong_type(field))?;
                match field.form {
                    Form::Segments => push_segments(field, &text, &mut path)?,
                    Form::Plain | Form::Csv | Form::Json => push_segment(field, &text, &mut path)?,
                }
            }
        }
    }
    Ok(path)
}

fn push_segments(field: &Field, text: &str, path: &mut String) -> Result<(), Error> {
    for (index, segment) in text.split('/').enumerate() {
        if index > 0 {
            path.push('/');
        }
        push_segment(field, segment, path)?;
    }
    Ok(())
}

/// Adds one segment; the empty one and dot segments would change which resource the path names.
fn push_segment(field: &Field, text: &str, path: &mut String) -> Result<(), Error> {
    if matches!(text, "" | "." | "..") {
        let message = format!("`{}` must not be or hold an empty or dot segment", field.name());
        return Err(Error::new(Code::InputInvalid, message));
    }
    percent_encode(text, path);
    Ok(())
}

fn append_query(task: Task<'_>, parameters: &[Parameter], url: &mut String) -> Result<(), Error> {
    let mut pairs = Vec::new();
    let added = || parameters.iter().filter(|parameter| parameter.place == ParameterPlace::Query);
    for (name, template) in &task.request.query {
        if !added().any(|parameter| parameter.name == *name) {
            for text in texts(task, template)? {
                pairs.push((name.as_str(), text));
            }
        }
    }
    for parameter in added() {
        pairs.push((parameter.name.as_str(), scalar_text(&parameter.value).unwrap_or_default()));
    }
    for (index, (name, value)) in pairs.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        percent_encode(name, url);
        url.push('=');
        percent_encode(value, url);
    }
    Ok(())
}

fn body(task: Task<'_>, parameters: &[Parameter]) -> Result<(Option<&'static str>, Bytes), Error> {
    let Some(template) = &task.request.body else { return Ok((None, Bytes::new())) };
    let filled = fill(template, &task.call.input, task.config).map_err(|error| unrendered(&error))?;
    let mut body = filled.unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut body {
        for parameter in parameters.iter().filter(|parameter| parameter.place == ParameterPlace::Body) {
            fields.insert(parameter.name.clone(), parameter.value.clone());
        }
    }
    Ok(match task.request.body_format {
        BodyFormat::Json => (Some("application/json"), body.to_string().into()),
        BodyFormat::Form => (Some("application/x-www-form-urlencoded"), form(&body).into()),
        BodyFormat::Binary => {
            let text = body.as_str().unwrap_or_default();
            let invalid = |_| Error::new(Code::InputInvalid, "the binary content is not base64");
            (Some("application/octet-stream"), STANDARD.decode(text).map_err(invalid)?.into())
        }
    })
}

fn form(body: &Value) -> String {
    let mut text = String::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        if !text.is_empty() {
            text.push('&');
        }
        percent_encode(name, &mut text);
        text.push('=');
        percent_encode(&scalar_text(value).unwrap_or_else(|| value.to_string()), &mut text);
    }
    text
}

/// A template as texts: several if it is one placeholder for an array, none if a field is absent.
fn texts(task: Task<'_>, template: &Template) -> Result<Vec<String>, Error> {
    if let Some(field) = template.lone_field().filter(|field| field.form == Form::Plain)
        && let Some(Value::Array(items)) = value(task, field)
    {
        return items.iter().map(|item| scalar_text(item).ok_or_else(|| wrong_type(field))).collect();
    }
    Ok(text(task, template)?.into_iter().collect())
}

/// A template as one text; `None` if a field is absent.
fn text(task: Task<'_>, template: &Template) -> Result<Option<String>, Error> {
    template.text(&task.call.input, task.config).map_err(|error| unrendered(&error))
}

fn value<'a>(task: Task<'a>, field: &Field) -> Option<&'a Value> {
    field.lookup(&task.call.input, task.config)
}

fn set_header(headers: &mut http::HeaderMap, name: &str, text: &str) -> Result<(), Error> {
    let invalid =
        || Error::new(Code::InputInvalid, format!("the value of the header `{name}` is not allowed there"));
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
    headers.insert(name, HeaderValue::from_str(text).map_err(|_| invalid())?);
    Ok(())
}

fn needed(field: &Field) -> Error {
    Error::new(Code::InputInvalid, format!("`{}` is needed", field.name()))
}

fn wrong_type(field: &Field) -> Error {
    unrendered(&RenderError::NotScalar(field.name()))
}

fn unrendered(error: &RenderError) -> Error {
    let code = match error {
        RenderError::Absent(_) | RenderError::NotScalar(_) | RenderError::Segment(_) => Code::InputInvalid,
        RenderError::NoTemplate(_) => Code::Internal,
    };
    Error::new(code, error.to_string())
}
