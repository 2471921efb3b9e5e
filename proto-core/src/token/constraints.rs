//! What bounds each call under a token or a grant. Empty constraints permit nothing.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::argument::ArgumentRule;
use super::resource::{Resource, ResourcePattern};
use crate::encoding::cbor::{FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::encoding::json::{Json, Pointer};
use crate::error::Code;
use crate::ids::CredentialId;
use crate::time::UnixTime;

/// Bounds on calls; what is not listed is not permitted, and what has no limit is written as such by leaving it out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Constraints {
    /// Every resource of a call must fit one of these. Unless `*` is among them, a call must name its resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_allow: Vec<ResourcePattern>,
    /// No resource of a call may fit any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_deny: Vec<ResourcePattern>,
    /// Every credential of a call must be one of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub credential_allow: BTreeSet<CredentialId>,
    /// Every rule must let the call's input pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<ArgumentRule>,
    /// Most calls over the whole life of the token or grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u32>,
    /// Most bytes over the whole life of the token or grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// No call before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UnixTime>,
    /// No call from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixTime>,
}

/// What is known of a call when its constraints are judged.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts<'a> {
    /// What it touches.
    pub resources: &'a [Resource],
    /// The stored credentials it uses.
    pub credentials: &'a [CredentialId],
    /// Its input.
    pub input: &'a Json,
    /// The bytes it accounts for.
    pub bytes: u64,
    /// The calls already made under the same token or grant.
    pub calls_used: u64,
    /// The bytes already used under the same token or grant.
    pub bytes_used: u64,
    /// When it is made.
    pub now: UnixTime,
}

/// Why constraints do not permit a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintDenial {
    /// There are no constraints, and empty means none.
    Empty,
    /// Their time has not begun.
    NotYetValid,
    /// Their time is over.
    Expired,
    /// The call names no resource, and only named ones are allowed.
    ResourceMissing,
    /// This resource fits no allowed pattern.
    ResourceNotAllowed(Resource),
    /// This resource fits a denied pattern.
    ResourceDenied(Resource),
    /// This credential is not allowed.
    CredentialNotAllowed(CredentialId),
    /// The argument here is not allowed.
    ArgumentNotAllowed(Pointer),
    /// The calls are used up.
    CallLimit,
    /// The bytes are used up.
    ByteLimit,
}

impl ConstraintDenial {
    /// The registered code of this denial.
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty => Code::ConstraintsEmpty,
            Self::NotYetValid | Self::Expired => Code::GrantExpired,
            Self::ResourceMissing | Self::ResourceNotAllowed(_) | Self::ResourceDenied(_) => {
                Code::ResourceNotAllowed
            }
            Self::CredentialNotAllowed(_) => Code::CredentialNotAllowed,
            Self::ArgumentNotAllowed(_) => Code::ArgumentNotAllowed,
            Self::CallLimit => Code::CallLimitReached,
            Self::ByteLimit => Code::ByteLimitReached,
        }
    }
}

impl fmt::Display for ConstraintDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the constraints are empty"),
            Self::NotYetValid => f.write_str("the constraints' time has not begun"),
            Self::Expired => f.write_str("the constraints' time is over"),
            Self::ResourceMissing => f.write_str("the call names no resource"),
            Self::ResourceNotAllowed(resource) => write!(f, "the resource {resource} is not allowed"),
            Self::ResourceDenied(resource) => write!(f, "the resource {resource} is denied"),
            Self::CredentialNotAllowed(credential) => write!(f, "the credential {credential} is not allowed"),
            Self::ArgumentNotAllowed(pointer) => write!(f, "the argument {pointer} is not allowed"),
            Self::CallLimit => f.write_str("the number of calls is used up"),
            Self::ByteLimit => f.write_str("the number of bytes is used up"),
        }
    }
}

impl core::error::Error for ConstraintDenial {}

impl Constraints {
    /// Whether nothing is stated, which permits nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Judges one call.
    ///
    /// # Errors
    /// The first bound that the call breaks.
    //= docs/spec/tokens.md#constraints
    pub fn permits(&self, call: &CallFacts<'_>) -> Result<(), ConstraintDenial> {
        if self.is_empty() {
            return Err(ConstraintDenial::Empty);
        }
        self.permits_time(call.now)?;
        self.permits_resources(call.resources)?;
        let credential = call.credentials.iter().find(|id| !self.credential_allow.contains(*id));
        if let Some(credential) = credential {
            return Err(ConstraintDenial::CredentialNotAllowed(credential.clone()));
        }
        if let Some(rule) = self.arguments.iter().find(|rule| !rule.permits(call.input)) {
            return Err(ConstraintDenial::ArgumentNotAllowed(rule.pointer().clone()));
        }
        if self.max_calls.is_some_and(|most| call.calls_used >= u64::from(most)) {
            return Err(ConstraintDenial::CallLimit);
        }
        let bytes = call.bytes_used.saturating_add(call.bytes);
        if self.max_bytes.is_some_and(|most| bytes > most) {
            return Err(ConstraintDenial::ByteLimit);
        }
        Ok(())
    }

    /// Judges one resource by itself.
    ///
    /// # Errors
    /// Why a call that touches it is not permitted.
    pub fn permits_resource(&self, resource: &Resource) -> Result<(), ConstraintDenial> {
        if !self.resource_allow.iter().any(|pattern| pattern.fits(resource)) {
            return Err(ConstraintDenial::ResourceNotAllowed(resource.clone()));
        }
        if self.resource_deny.iter().any(|pattern| pattern.fits(resource)) {
            return Err(ConstraintDenial::ResourceDenied(resource.clone()));
        }
        Ok(())
    }

    /// Whether every call that `narrower` permits is one that these permit.
    ///
    /// The answer may be a false no for sets that only their union covers, never a false yes.
    //= docs/spec/tokens.md#containment
    pub fn contains(&self, narrower: &Self) -> bool {
        if narrower.is_empty() {
            return true;
        }
        !self.is_empty()
            && self.contains_times(narrower)
            && self.contains_resources(narrower)
            && narrower.credential_allow.is_subset(&self.credential_allow)
            && self.arguments.iter().all(|rule| narrower.arguments.iter().any(|other| rule.contains(other)))
            && within(self.max_calls, narrower.max_calls)
            && within(self.max_bytes, narrower.max_bytes)
    }

    fn permits_time(&self, now: UnixTime) -> Result<(), ConstraintDenial> {
        if self.not_before.is_some_and(|start| now < start) {
            Err(ConstraintDenial::NotYetValid)
        } else if self.expires.is_some_and(|end| now >= end) {
            Err(ConstraintDenial::Expired)
        } else {
            Ok(())
        }
    }

    fn permits_resources(&self, resources: &[Resource]) -> Result<(), ConstraintDenial> {
        if resources.is_empty() && !self.permits_unnamed() {
            return Err(ConstraintDenial::ResourceMissing);
        }
        resources.iter().try_for_each(|resource| self.permits_resource(resource))
    }

    /// Whether a call that touches no resource may be made: where resources are told apart, it must name them.
    fn permits_unnamed(&self) -> bool {
        let told_apart = !self.resource_allow.is_empty() || !self.resource_deny.is_empty();
        !told_apart
            || (self.resource_allow.iter().any(ResourcePattern::is_everything)
                && self.resource_deny.is_empty())
    }

    fn contains_times(&self, narrower: &Self) -> bool {
        let start = self.not_before.is_none_or(|start| narrower.not_before.is_some_and(|own| own >= start));
        start && within(self.expires, narrower.expires)
    }

    fn contains_resources(&self, narrower: &Self) -> bool {
        let allowed = |own: &ResourcePattern| self.resource_allow.iter().any(|pattern| pattern.contains(own));
        let denied = |pattern: &ResourcePattern| {
            narrower.resource_deny.iter().any(|own| own.contains(pattern))
                || narrower.resource_allow.iter().all(|own| own.is_disjoint(pattern))
        };
        narrower.resource_allow.iter().all(allowed)
            && self.resource_deny.iter().all(denied)
            && (self.permits_unnamed() || !narrower.permits_unnamed())
    }
}

/// Whether the limit `narrow` is at least as tight as `wide`; none is no limit.
fn within<T: PartialOrd>(wide: Option<T>, narrow: Option<T>) -> bool {
    wide.is_none_or(|wide| narrow.is_some_and(|narrow| narrow <= wide))
}

/// Lists that are empty are left out, so that one set of constraints has one encoding.
impl ToCbor for Constraints {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        list(&mut map, "resource_allow", &self.resource_allow);
        list(&mut map, "resource_deny", &self.resource_deny);
        if !self.credential_allow.is_empty() {
            map.field("credential_allow", &self.credential_allow);
        }
        list(&mut map, "arguments", &self.arguments);
        map.field("max_calls", &self.max_calls);
        map.field("max_bytes", &self.max_bytes);
        map.field("not_before", &self.not_before);
        map.field("expires", &self.expires);
        map.finish()
    }
}

impl FromCbor for Constraints {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let credentials: Option<BTreeSet<CredentialId>> = fields.field("credential_allow")?;
        let this = Self {
            resource_allow: read_list(fields.field("resource_allow")?)?,
            resource_deny: read_list(fields.field("resource_deny")?)?,
            credential_allow: read_list(credentials.map(|set| set.into_iter().collect()))?
                .into_iter()
                .collect(),
            arguments: read_list(fields.field("arguments")?)?,
            max_calls: fields.field("max_calls")?,
            max_bytes: fields.field("max_bytes")?,
            not_before: fields.field("not_before")?,
            expires: fields.field("expires")?,
        };
        fields.finish()?;
        Ok(this)
    }
}

fn list<'a, T: ToCbor>(map: &mut MapBuilder<'a>, name: &'static str, items: &'a [T]) {
    if !items.is_empty() {
        map.item(name, Value::Array(items.iter().map(ToCbor::to_cbor).collect()));
    }
}

fn read_list<T>(field: Option<Vec<T>>) -> Result<Vec<T>, ShapeError> {
    match field {
        Some(items) if items.is_empty() => Err(ShapeError::Invalid("an empty list is left out")),
        Some(items) => Ok(items),
        None => Ok(Vec::new()),
    }
}

/// One line a bound.
impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("  none, so nothing is permitted\n");
        }
        for pattern in &self.resource_allow {
            writeln!(f, "  allow resource {pattern}")?;
        }
        for pattern in &self.resource_deny {
            writeln!(f, "  deny resource {pattern}")?;
        }
        for credential in &self.credential_allow {
            writeln!(f, "  allow credential {credential}")?;
        }
        for rule in &self.arguments {
            writeln!(f, "  argument {rule}")?;
        }
        self.max_calls.map_or(Ok(()), |most| writeln!(f, "  at most {most} calls"))?;
        self.max_bytes.map_or(Ok(()), |most| writeln!(f, "  at most {most} bytes"))?;
        self.not_before.map_or(Ok(()), |start| writeln!(f, "  not before {start}"))?;
        self.expires.map_or(Ok(()), |end| writeln!(f, "  until {end}"))
    }
}
