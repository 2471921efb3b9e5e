//! Rules over the arguments of a call.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};
use crate::encoding::json::{Json, Pointer};
use crate::{cbor_enum, cbor_map};

cbor_enum! {
    /// Whether an argument may be left out.
    #[derive(Default)]
    pub enum Presence {
        /// It must be there.
        #[default]
        Required = "required",
        /// It may be absent.
        Optional = "optional",
    }
}

/// What one argument must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleForm", into = "RuleForm")]
pub struct ArgumentRule {
    pointer: Pointer,
    presence: Presence,
    check: ArgumentCheck,
}

/// The test that a present argument must pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentCheck {
    /// It is one of these scalars.
    OneOf(Vec<Json>),
    /// It is a number within these bounds, of which there is at least one.
    Range {
        /// The least, included; a number.
        min: Option<Json>,
        /// The greatest, included; a number.
        max: Option<Json>,
    },
    /// It is a text that begins so and has no `.` or `..` between slashes.
    Prefix(String),
    /// It is a text of at most so many characters, or an array or object of at most so many items.
    MaxLength(u64),
}

impl ArgumentRule {
    /// The rule that what stands at `pointer` passes `check`.
    ///
    /// # Errors
    /// [`ShapeError::Invalid`] for a check that could not be passed or tests nothing.
    pub fn new(pointer: Pointer, presence: Presence, check: ArgumentCheck) -> Result<Self, ShapeError> {
        check.validate()?;
        Ok(Self { pointer, presence, check })
    }

    /// Where the argument stands.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Whether the rule lets `input` pass.
    pub fn permits(&self, input: &Json) -> bool {
        match input.pointer(&self.pointer) {
            Some(value) => self.check.passes(value),
            None => self.presence == Presence::Optional,
        }
    }

    /// Whether every input that `narrower` lets pass is one that this rule lets pass.
    pub fn contains(&self, narrower: &Self) -> bool {
        let presence = self.presence == Presence::Optional || narrower.presence == Presence::Required;
        self.pointer == narrower.pointer && presence && self.check.contains(&narrower.check)
    }
}

impl ArgumentCheck {
    fn validate(&self) -> Result<(), ShapeError> {
        let number = |bound: &Option<Json>| bound.as_ref().is_none_or(|json| json.as_number().is_some());
        match self {
            Self::OneOf(values) if values.is_empty() || !values.iter().all(Json::is_scalar) => {
                Err(ShapeError::Invalid("`one_of` lists at least one value, and only scalars"))
            }
            Self::Range { min: None, max: None } => Err(ShapeError::Invalid("a range has a bound")),
            Self::Range { min, max } if !number(min) || !number(max) => {
                Err(ShapeError::Invalid("`min` and `max` are numbers"))
            }
            Self::OneOf(_) | Self::Range { .. } | Self::Prefix(_) | Self::MaxLength(_) => Ok(()),
        }
    }

    fn passes(&self, value: &Json) -> bool {
        match self {
            Self::OneOf(values) => values.contains(value),
            Self::Range { min, max } => value.as_number().is_some_and(|number| {
                let bound = |json: &Option<Json>| json.as_ref().and_then(Json::as_number);
                bound(min).is_none_or(|min| min <= number) && bound(max).is_none_or(|max| number <= max)
            }),
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| {
                let climbs = |segment: &str| matches!(segment, "." | "..");
                text.starts_with(prefix) && !text.split(['/', '\\']).any(climbs)
            }),
            Self::MaxLength(most) => length(value).is_some_and(|length| length <= *most),
        }
    }

    fn contains(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (_, Self::OneOf(values)) => values.iter().all(|value| self.passes(value)),
            (Self::Range { min, max }, Self::Range { min: narrow_min, max: narrow_max }) => {
                let above =
                    |wide: &Json| narrow_min.as_ref().is_some_and(|n| wide.as_number() <= n.as_number());
                let below =
                    |wide: &Json| narrow_max.as_ref().is_some_and(|n| n.as_number() <= wide.as_number());
                min.as_ref().is_none_or(above) && max.as_ref().is_none_or(below)
            }
            (Self::Prefix(prefix), Self::Prefix(longer)) => longer.starts_with(prefix),
            (Self::MaxLength(most), Self::MaxLength(less)) => less <= most,
            (
                Self::OneOf(_) | Self::Range { .. } | Self::Prefix(_) | Self::MaxLength(_),
                Self::Range { .. } | Self::Prefix(_) | Self::MaxLength(_),
            ) => false,
        }
    }
}

fn length(value: &Json) -> Option<u64> {
    let length = match value {
        Json::String(text) => text.chars().count(),
        Json::Array(items) => items.len(),
        Json::Object(object) => object.len(),
        Json::Null | Json::Bool(_) | Json::Number(_) => return None,
    };
    u64::try_from(length).ok()
}

impl fmt::Display for ArgumentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) ", self.pointer, self.presence)?;
        match &self.check {
            ArgumentCheck::OneOf(values) => write!(f, "one of {}", Json::Array(values.clone())),
            ArgumentCheck::Range { min, max } => {
                f.write_str("a number")?;
                min.as_ref().map_or(Ok(()), |min| write!(f, " from {min}"))?;
                max.as_ref().map_or(Ok(()), |max| write!(f, " to {max}"))
            }
            ArgumentCheck::Prefix(prefix) => write!(f, "beginning with {}", Json::from(prefix.as_str())),
            ArgumentCheck::MaxLength(most) => write!(f, "of length {most} at most"),
        }
    }
}

cbor_map! {
    /// A rule as it is written: exactly one kind of check.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RuleForm {
        pub pointer: Pointer,
        #[serde(default)]
        pub presence: Presence,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub one_of: Option<Vec<Json>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub min: Option<Json>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max: Option<Json>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub prefix: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_length: Option<u64>,
    }
}

impl From<ArgumentRule> for RuleForm {
    fn from(rule: ArgumentRule) -> Self {
        let ArgumentRule { pointer, presence, check } = rule;
        let none =
            Self { pointer, presence, one_of: None, min: None, max: None, prefix: None, max_length: None };
        match check {
            ArgumentCheck::OneOf(values) => Self { one_of: Some(values), ..none },
            ArgumentCheck::Range { min, max } => Self { min, max, ..none },
            ArgumentCheck::Prefix(prefix) => Self { prefix: Some(prefix), ..none },
            ArgumentCheck::MaxLength(most) => Self { max_length: Some(most), ..none },
        }
    }
}

impl TryFrom<RuleForm> for ArgumentRule {
    type Error = ShapeError;

    fn try_from(form: RuleForm) -> Result<Self, ShapeError> {
        let RuleForm { pointer, presence, one_of, min, max, prefix, max_length } = form;
        let check = match (one_of, (min, max), prefix, max_length) {
            (Some(values), (None, None), None, None) => ArgumentCheck::OneOf(values),
            (None, (min, max), None, None) => ArgumentCheck::Range { min, max },
            (None, (None, None), Some(prefix), None) => ArgumentCheck::Prefix(prefix),
            (None, (None, None), None, Some(most)) => ArgumentCheck::MaxLength(most),
            _ => return Err(ShapeError::Invalid("an argument rule has exactly one kind of check")),
        };
        Self::new(pointer, presence, check)
    }
}

impl ToCbor for ArgumentRule {
    fn to_cbor(&self) -> Value<'_> {
        RuleForm::from(self.clone()).to_cbor().into_owned()
    }
}

impl FromCbor for ArgumentRule {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        RuleForm::from_cbor(value)?.try_into()
    }
}
