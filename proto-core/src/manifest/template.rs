//! Templates: text with `{field}` placeholders that a call's input and the connector's configuration fill.
//! Spec: `docs/spec/manifest.md#templates`.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most parts of one template. Chosen: far above any path or query of a real service.
const MAX_PARTS: usize = 64;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Literal(String),
    /// A value that is filled in.
    Field(Field),
}

/// A placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where the value comes from.
    pub source: Source,
    /// The keys that lead to it, outermost first; never empty.
    pub path: Vec<String>,
    /// How it becomes text.
    pub form: Form,
}

/// Where a placeholder's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operation's input: `{name}`.
    Input,
    /// The connector's configuration: `{config.name}`.
    Config,
}

/// How a placeholder's value becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A scalar as its text; alone in a body, the value keeps its JSON type: `{name}`.
    Plain,
    /// An array of scalars joined by commas: `{name|csv}`.
    Csv,
    /// The value as JSON text: `{name|json}`.
    Json,
    /// Several path segments, whose slashes stay: `{name|segments}`.
    Segments,
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{` without its `}`, or a `}` without its `{`; a literal brace is written twice.
    Unbalanced,
    /// A placeholder that names nothing.
    EmptyName,
    /// A name outside `[A-Za-z0-9_-]`.
    InvalidName,
    /// Something other than `csv`, `json` or `segments` after `|`.
    UnknownForm,
    /// More placeholders than a template may hold.
    TooLong,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbalanced => "has an unbalanced brace (a literal brace is written twice)",
            Self::EmptyName => "has an empty placeholder",
            Self::InvalidName => "has a placeholder that is no field name",
            Self::UnknownForm => "has a placeholder with a form other than csv, json or segments",
            Self::TooLong => "has too many placeholders",
        })
    }
}

impl core::error::Error for TemplateError {}

/// Why a template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// The field is absent; names it.
    Absent(String),
    /// The field is neither text nor integer nor boolean; names it.
    NotScalar(String),
    /// The field holds an empty or dot segment; names it.
    Segment(String),
    /// The text is no template.
    NoTemplate(TemplateError),
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(name) => write!(f, "the field `{name}` is needed and absent"),
            Self::NotScalar(name) => write!(f, "the field `{name}` must be text, an integer or a boolean"),
            Self::Segment(name) => write!(f, "the field `{name}` must not hold empty or dot segments"),
            Self::NoTemplate(error) => write!(f, "the template {error}"),
        }
    }
}

impl core::error::Error for RenderError {}

impl Template {
    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The placeholders in order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Field(field) => Some(field),
        })
    }

    /// The placeholder, if the template is nothing else.
    pub fn lone_field(&self) -> Option<&Field> {
        match self.parts.as_slice() {
            [Part::Field(field)] => Some(field),
            _ => None,
        }
    }

    /// The text as a resource name: every filled value is percent-encoded as one segment, so that no input can
    /// spell its way into another resource. The form `segments` keeps slashes and refuses segments that would make
    /// two names of one place: dots, and empty ones but the first.
    ///
    /// # Errors
    /// Names the field that is absent or no scalar.
    pub fn render_resource(&self, input: &Value, config: &Value) -> Result<String, RenderError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(field) => {
                    let value =
                        field.lookup(input, config).ok_or_else(|| RenderError::Absent(field.name()))?;
                    let value = scalar_text(value).ok_or_else(|| RenderError::NotScalar(field.name()))?;
                    match field.form {
                        Form::Segments => push_segments(field, &value, &mut text)?,
                        Form::Plain | Form::Csv | Form::Json => percent_encode(&value, &mut text),
                    }
                }
            }
        }
        Ok(text)
    }
}

impl Field {
    /// The placeholder's value; `None` if it is absent or null.
    pub fn lookup<'a>(&self, input: &'a Value, config: &'a Value) -> Option<&'a Value> {
        let root = match self.source {
            Source::Input => input,
            Source::Config => config,
        };
        self.path.iter().try_fold(root, |value, key| value.get(key)).filter(|value| !value.is_null())
    }

    /// The name as it is written.
    pub fn name(&self) -> String {
        let path = self.path.join(".");
        match self.source {
            Source::Input => path,
            Source::Config => "config.".to_owned() + &path,
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            if tail.starts_with("{{") || tail.starts_with("}}") {
                literal.push_str(&tail[..1]);
                rest = &tail[2..];
                continue;
            }
            let body = tail.strip_prefix('{').ok_or(TemplateError::Unbalanced)?;
            let end = body.find(['{', '}']).ok_or(TemplateError::Unbalanced)?;
            if !body[end..].starts_with('}') {
                return Err(TemplateError::Unbalanced);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(core::mem::take(&mut literal)));
            }
            parts.push(Part::Field(parse_field(&body[..end])?));
            rest = &body[end + 1..];
            if parts.len() > MAX_PARTS {
                return Err(TemplateError::TooLong);
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Field(field) => {
                    let form = match field.form {
                        Form::Plain => "",
                        Form::Csv => "|csv",
                        Form::Json => "|json",
                        Form::Segments => "|segments",
                    };
                    write!(f, "{{{}{form}}}", field.name())?;
                }
            }
        }
        Ok(())
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

/// The text of a scalar: strings as they are, integers and booleans as JSON writes them.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(bit) => Some(bit.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Appends `text` with every byte outside RFC 3986's unreserved set percent-encoded.
pub fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn push_segments(field: &Field, value: &str, text: &mut String) -> Result<(), RenderError> {
    for (index, segment) in value.split('/').enumerate() {
        if index > 0 {
            text.push('/');
        }
        if matches!(segment, "." | "..") || (segment.is_empty() && index > 0) {
            return Err(RenderError::Segment(field.name()));
        }
        percent_encode(segment, text);
    }
    Ok(())
}

fn parse_field(text: &str) -> Result<Field, TemplateError> {
    let (name, form) = match text.split_once('|') {
        None => (text, Form::Plain),
        Some((name, "csv")) => (name, Form::Csv),
        Some((name, "json")) => (name, Form::Json),
        Some((name, "segments")) => (name, Form::Segments),
        Some(_) => return Err(TemplateError::UnknownForm),
    };
    let (source, name) = match name.strip_prefix("config.") {
        Some(name) => (Source::Config, name),
        None => (Source::Input, name),
    };
    let mut path = Vec::new();
    for key in name.split('.') {
        if key.is_empty() {
            return Err(TemplateError::EmptyName);
        }
        if !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(TemplateError::InvalidName);
        }
        path.push(key.to_owned());
    }
    Ok(Field { source, path, form })
}
