//! Templates filled in as text and as JSON. Spec: `docs/spec/manifest.md#templates`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::template::{Field, Form, Part, RenderError, Template, scalar_text};

impl Template {
    /// The template as one text; `None` if a field is absent.
    ///
    /// # Errors
    /// Names the field that is no scalar.
    pub fn text(&self, input: &Value, config: &Value) -> Result<Option<String>, RenderError> {
        let mut text = String::new();
        for part in self.parts() {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(field) => match field.lookup(input, config) {
                    Some(value) => text.push_str(&formed(field, value)?),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(text))
    }
}

/// JSON whose texts are templates, filled in: a text that is one plain placeholder keeps its field's type, and entries with
/// absent fields are left out, as are containers that lose all their entries. `None` if it is a text whose field is absent.
///
/// # Errors
/// Names the field that cannot stand there.
//= docs/spec/manifest.md#templates
pub fn fill(template: &Value, input: &Value, config: &Value) -> Result<Option<Value>, RenderError> {
    Ok(Some(match template {
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        Value::String(text) => return fill_text(text, input, config),
        Value::Array(items) => {
            let mut filled = Vec::with_capacity(items.len());
            for item in items {
                filled.extend(fill(item, input, config)?);
            }
            Value::Array(filled)
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                let value_of = fill(value, input, config)?.filter(|filled| !is_hollow(value, filled));
                filled.extend(value_of.map(|value| (name.clone(), value)));
            }
            Value::Object(filled)
        }
    }))
}

/// Whether a container that had entries lost all of them, and therefore says nothing.
fn is_hollow(template: &Value, filled: &Value) -> bool {
    let had = match template {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let has = match filled {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    had && !has
}

fn fill_text(template: &str, input: &Value, config: &Value) -> Result<Option<Value>, RenderError> {
    let template: Template = template.parse().map_err(RenderError::NoTemplate)?;
    if let Some(field) = template.lone_field().filter(|field| field.form == Form::Plain) {
        return Ok(field.lookup(input, config).cloned());
    }
    Ok(template.text(input, config)?.map(Value::String))
}

fn formed(field: &Field, value: &Value) -> Result<String, RenderError> {
    let no_scalar = || RenderError::NotScalar(field.name());
    match (field.form, value) {
        (Form::Json, value) => Ok(value.to_string()),
        (Form::Csv, Value::Array(items)) => {
            let texts: Option<Vec<String>> = items.iter().map(scalar_text).collect();
            Ok(texts.ok_or_else(no_scalar)?.join(","))
        }
        (Form::Plain | Form::Csv | Form::Segments, value) => scalar_text(value).ok_or_else(no_scalar),
    }
}
