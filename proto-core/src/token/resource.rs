//! Names of what a call touches, and patterns over them.
//!
//! A resource is `scheme:segment/segment/…`, where the scheme is the connector's id. A pattern is a resource in which
//! a whole segment may be `*` (any one segment) and the last may be `**` (any number of segments, also none); the
//! pattern `*` alone fits everything. Nothing is decoded: texts are compared as they stand.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};

/// Longest resource or pattern, in bytes. Chosen: room for a file's path of four folders with long names.
pub const MAX_RESOURCE_BYTES: usize = 1024;

/// Why a text is no resource or no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceError {
    /// It is longer than [`MAX_RESOURCE_BYTES`].
    TooLong,
    /// It has no scheme before its first colon.
    MissingScheme,
    /// A segment is empty, `.` or `..`.
    InvalidSegment,
    /// A character that is not visible ASCII, or a backslash.
    InvalidCharacter,
    /// A wildcard in a resource, or one that is not a whole segment, or `**` before the end.
    InvalidWildcard,
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "a resource has at most 1024 bytes",
            Self::MissingScheme => "a resource begins with a scheme and a colon",
            Self::InvalidSegment => "a resource has no empty, `.` or `..` segment",
            Self::InvalidCharacter => "a resource holds visible ASCII characters other than a backslash",
            Self::InvalidWildcard => "`*` stands for a whole segment of a pattern, `**` for the last ones",
        })
    }
}

impl core::error::Error for ResourceError {}

/// One thing that a call touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resource(String);

impl Resource {
    /// The resource named `text`.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn new(text: &str) -> Result<Self, ResourceError> {
        let (_, segments) = split(text)?;
        for segment in segments {
            check_literal(segment)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The resource's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, Vec<&str>) {
        split(&self.0).unwrap_or_default()
    }
}

impl TryFrom<String> for Resource {
    type Error = ResourceError;

    fn try_from(text: String) -> Result<Self, ResourceError> {
        Self::new(&text)
    }
}

impl From<Resource> for String {
    fn from(resource: Resource) -> Self {
        resource.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourcePattern(Shape);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shape {
    Everything,
    Scheme { scheme: String, steps: Vec<Step>, open: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Literal(String),
    Any,
}

impl ResourcePattern {
    /// The pattern spelled `text`.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn new(text: &str) -> Result<Self, ResourceError> {
        if text == "*" {
            return Ok(Self(Shape::Everything));
        }
        let (scheme, mut segments) = split(text)?;
        let open = segments.last() == Some(&"**");
        if open {
            segments.pop();
        }
        let steps = segments.into_iter().map(|segment| match segment {
            "*" => Ok(Step::Any),
            literal => check_literal(literal).map(|()| Step::Literal(literal.to_owned())),
        });
        Ok(Self(Shape::Scheme { scheme: scheme.to_owned(), steps: steps.collect::<Result<_, _>>()?, open }))
    }

    /// Whether this is `*`, which fits everything.
    pub fn is_everything(&self) -> bool {
        self.0 == Shape::Everything
    }

    /// Whether `resource` belongs to the set.
    pub fn fits(&self, resource: &Resource) -> bool {
        match &self.0 {
            Shape::Everything => true,
            Shape::Scheme { scheme, steps, open } => {
                let (own, segments) = resource.parts();
                let long_enough =
                    if *open { segments.len() >= steps.len() } else { segments.len() == steps.len() };
                own == scheme && long_enough && steps.iter().zip(segments).all(|(step, text)| step.fits(text))
            }
        }
    }

    /// Whether every resource of `narrower` belongs to this set.
    pub fn contains(&self, narrower: &Self) -> bool {
        match (&self.0, &narrower.0) {
            (Shape::Everything, _) => true,
            (Shape::Scheme { .. }, Shape::Everything) => false,
            (
                Shape::Scheme { scheme, steps, open },
                Shape::Scheme { scheme: other, steps: narrow, open: narrow_open },
            ) => {
                let lengths = if *open {
                    narrow.len() >= steps.len()
                } else {
                    !narrow_open && narrow.len() == steps.len()
                };
                scheme == other && lengths && steps.iter().zip(narrow).all(|(wide, step)| wide.contains(step))
            }
        }
    }

    /// Whether no resource belongs to both sets.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        let (Shape::Scheme { scheme: a, steps: x, open: p }, Shape::Scheme { scheme: b, steps: y, open: q }) =
            (&self.0, &other.0)
        else {
            return false;
        };
        let too_short = (!p && x.len() < y.len()) || (!q && y.len() < x.len());
        a != b || too_short || x.iter().zip(y).any(|(step, other)| step.excludes(other))
    }
}

impl Step {
    fn fits(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => text == segment,
            Self::Any => true,
        }
    }

    fn contains(&self, narrower: &Self) -> bool {
        *self == Self::Any || self == narrower
    }

    fn excludes(&self, other: &Self) -> bool {
        *self != Self::Any && *other != Self::Any && self != other
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape::Scheme { scheme, steps, open } = &self.0 else { return f.write_str("*") };
        write!(f, "{scheme}:")?;
        let literals = steps.iter().map(|step| match step {
            Step::Literal(text) => text.as_str(),
            Step::Any => "*",
        });
        for (at, segment) in literals.chain(open.then_some("**")).enumerate() {
            write!(f, "{}{segment}", if at == 0 { "" } else { "/" })?;
        }
        Ok(())
    }
}

impl FromStr for ResourcePattern {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        Self::new(text)
    }
}

impl TryFrom<String> for ResourcePattern {
    type Error = ResourceError;

    fn try_from(text: String) -> Result<Self, ResourceError> {
        Self::new(&text)
    }
}

impl From<ResourcePattern> for String {
    fn from(pattern: ResourcePattern) -> Self {
        alloc::format!("{pattern}")
    }
}

impl ToCbor for ResourcePattern {
    fn to_cbor(&self) -> Value<'_> {
        Value::Text(alloc::format!("{self}").into())
    }
}

impl FromCbor for ResourcePattern {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        Self::new(&String::from_cbor(value)?).map_err(|_| ShapeError::Invalid("not a resource pattern"))
    }
}

/// Scheme and segments of a text of permitted length and characters.
fn split(text: &str) -> Result<(&str, Vec<&str>), ResourceError> {
    if text.len() > MAX_RESOURCE_BYTES {
        return Err(ResourceError::TooLong);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(ResourceError::InvalidCharacter);
    }
    let (scheme, rest) = text.split_once(':').ok_or(ResourceError::MissingScheme)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if scheme.is_empty() || !scheme.bytes().all(plain) {
        return Err(ResourceError::MissingScheme);
    }
    Ok((scheme, rest.split('/').collect()))
}

fn check_literal(segment: &str) -> Result<(), ResourceError> {
    if matches!(segment, "" | "." | "..") {
        Err(ResourceError::InvalidSegment)
    } else if segment.contains('*') {
        Err(ResourceError::InvalidWildcard)
    } else {
        Ok(())
    }
}
