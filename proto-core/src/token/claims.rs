//! The claims of a capability token (CWT, RFC 8392), under integer labels.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::constraints::Constraints;
use crate::cbor_map;
use crate::crypto::encoded_key::EncodedKey;
use crate::crypto::role::Agent;

use crate::encoding::cbor::{CborError, FromCbor, Map, ShapeError, ToCbor, Value};
use crate::ids::{CapabilityId, NodeId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use crate::limits::TOKEN_SKEW_SECS;
use crate::time::UnixTime;

/// The version of the claims that this release writes and reads.
pub const CLAIMS_VERSION: u16 = 1;

cbor_map! {
    /// A capability that the token carries.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct TokenGrant {
        /// The capability.
        pub capability: CapabilityId,
        /// The one operation it is for; every operation that demands the capability, if absent.
        pub operation: Option<OperationId>,
    }
}

/// A state of the zone that the issuer had seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCheckpoint {
    /// The checkpoint.
    pub id: ObjectId,
    /// Its number.
    pub sequence: u64,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// This token (`cti`).
    pub token_id: TokenId,
    /// Who may call (`sub` and `principal_id`).
    pub principal_id: PrincipalId,
    /// Where (`aud` and `zone_id`).
    pub zone_id: ZoneId,
    /// The node that issued it.
    pub issuer_node: NodeId,
    /// When it was issued (`iat`).
    pub issued_at: UnixTime,
    /// From when it is valid (`nbf`).
    pub not_before: UnixTime,
    /// Until when, exclusive (`exp`).
    pub expires: UnixTime,
    /// The key whose holder may use it (`cnf`, RFC 8747), to be compared with the one that the principal is enrolled with.
    pub holder: EncodedKey<Agent>,
    /// The node it may be used on, if only one.
    pub holder_node: Option<NodeId>,
    /// The connector package it is for, if only one (`aud_binary`).
    pub connector_binary: Option<ObjectId>,
    /// The connector instance it is for, if only one.
    pub instance_id: Option<String>,
    /// The state of the zone that the issuer had seen.
    pub checkpoint: Option<SeenCheckpoint>,
    /// The signed grants that it stands on; at least one.
    pub grant_object_ids: BTreeSet<ObjectId>,
    /// What it carries; at least one.
    pub grants: BTreeSet<TokenGrant>,
    /// What bounds each call; empty permits nothing.
    pub constraints: Constraints,
}

/// Where a moment lies to a token's times. Skew of clocks is tolerated at the beginning, never at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Too early.
    NotYet,
    /// Within.
    Valid,
    /// Too late.
    Expired,
}

/// Why a signed payload is no set of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimsError {
    /// The payload is no map with integer keys.
    NotAMap,
    /// A required claim is absent.
    Missing(Label),
    /// A claim is not of its type.
    Invalid(Label, ShapeError),
    /// A claim that this release does not know.
    Unknown(i64),
    /// A claim that cannot be checked yet and must therefore not be believed.
    Unsupported(Label),
    /// Another version of the claims.
    Version(u16),
    /// Two claims that must say the same do not.
    Disagree(Label, Label),
    /// `nbf` or `iat` is not before `exp`.
    TimesOutOfOrder,
    /// A list that must name something is empty.
    Empty(Label),
    /// The claims have no encoding.
    NotEncodable(CborError),
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMap => f.write_str("the claims are no map with integer keys"),
            Self::Missing(label) => write!(f, "the claim {label} is missing"),
            Self::Invalid(label, error) => write!(f, "the claim {label}: {error}"),
            Self::Unknown(label) => write!(f, "the claim {label} is unknown"),
            Self::Unsupported(label) => write!(f, "the claim {label} is not supported"),
            Self::Version(version) => write!(f, "the claims have version {version}"),
            Self::Disagree(one, other) => write!(f, "the claims {one} and {other} disagree"),
            Self::TimesOutOfOrder => f.write_str("the token ends before it begins"),
            Self::Empty(label) => write!(f, "the claim {label} is empty"),
            Self::NotEncodable(error) => write!(f, "the claims cannot be encoded: {error}"),
        }
    }
}

impl core::error::Error for ClaimsError {}

macro_rules! labels {
    ($($(#[$meta:meta])* $name:ident = $number:literal $text:literal,)+) => {
        /// A claim, by its label. Sources: RFC 8392 §4, RFC 8747 §3.1 and `docs/spec/tokens.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(i64)]
        pub enum Label {
            $($(#[$meta])* $name = $number,)+
        }

        impl Label {
            fn from_number(number: i64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// The claim's name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

labels! {
    /// Issuer, as text; refused, since the node and its key say it better.
    Issuer = 1 "iss",
    /// Subject: the principal.
    Subject = 2 "sub",
    /// Audience: the zone.
    Audience = 3 "aud",
    /// Expiration time.
    Expires = 4 "exp",
    /// Not before.
    NotBefore = 5 "nbf",
    /// Issued at.
    IssuedAt = 6 "iat",
    /// The token's id.
    TokenId = 7 "cti",
    /// Confirmation: the holder's key.
    Confirmation = 8 "cnf",
    /// One capability, in an older form than `grants`.
    CapabilityId = -65537 "capability_id",
    /// The zone.
    ZoneId = -65538 "zone_id",
    /// Operations, in an older form than `grants`.
    Operations = -65539 "operations",
    /// The principal.
    PrincipalId = -65540 "principal_id",
    /// How often it was delegated.
    DelegationDepth = -65541 "delegation_depth",
    /// The token it was delegated from.
    ParentToken = -65542 "parent_token",
    /// The issuing node.
    IssuerNode = -65543 "iss_node",
    /// The connector package it is for.
    ConnectorBinary = -65544 "aud_binary",
    /// The grants it stands on.
    GrantObjectIds = -65545 "grant_object_ids",
    /// The node it may be used on.
    HolderNode = -65546 "holder_node",
    /// The checkpoint that the issuer had seen.
    CheckpointId = -65547 "chk_id",
    /// That checkpoint's number.
    CheckpointSequence = -65548 "chk_seq",
    /// Constraints.
    Constraints = -65549 "constraints",
    /// Capabilities and operations.
    Grants = -65550 "grants",
    /// The connector instance it is for.
    InstanceId = -65551 "instance_id",
    /// The version of the claims.
    SchemaVersion = -65552 "schema_version",
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Claims {
    /// Where `now` lies to the token's times.
    //= docs/spec/tokens.md#claims
    pub fn validity_at(&self, now: UnixTime) -> Validity {
        if now >= self.expires {
            Validity::Expired
        } else if now.saturating_add(TOKEN_SKEW_SECS) < self.not_before {
            Validity::NotYet
        } else {
            Validity::Valid
        }
    }

    /// Whether the token carries `operation`, which demands `capability`.
    pub fn carries(&self, capability: &CapabilityId, operation: &OperationId) -> bool {
        self.grants.iter().any(|grant| {
            grant.capability == *capability && grant.operation.as_ref().is_none_or(|own| own == operation)
        })
    }

    /// The rules that hold between claims, for minting and reading alike.
    fn check(&self) -> Result<(), ClaimsError> {
        if self.grant_object_ids.is_empty() {
            return Err(ClaimsError::Empty(Label::GrantObjectIds));
        }
        if self.grants.is_empty() {
            return Err(ClaimsError::Empty(Label::Grants));
        }
        if self.not_before >= self.expires || self.issued_at >= self.expires {
            return Err(ClaimsError::TimesOutOfOrder);
        }
        Ok(())
    }

    /// The claims as the data item that is signed.
    ///
    /// # Errors
    /// The rule between claims that these break.
    pub fn to_payload<'a>(&'a self) -> Result<Value<'a>, ClaimsError> {
        self.check()?;
        let mut payload = Vec::new();
        let mut put = |label: Label, value: Option<Value<'a>>| {
            if let Some(value) = value {
                payload.push((Value::integer(label as i64), value));
            }
        };
        put(Label::Subject, self.principal_id.to_field());
        put(Label::Audience, self.zone_id.to_field());
        put(Label::Expires, self.expires.to_field());
        put(Label::NotBefore, self.not_before.to_field());
        put(Label::IssuedAt, self.issued_at.to_field());
        put(Label::TokenId, self.token_id.to_field());
        put(Label::Confirmation, Some(confirmation(&self.holder)?));
        put(Label::ZoneId, self.zone_id.to_field());
        put(Label::PrincipalId, self.principal_id.to_field());
        put(Label::IssuerNode, self.issuer_node.to_field());
        put(Label::ConnectorBinary, self.connector_binary.to_field());
        put(Label::GrantObjectIds, self.grant_object_ids.to_field());
        put(Label::HolderNode, self.holder_node.to_field());
        put(Label::CheckpointId, self.checkpoint.as_ref().map(|seen| seen.id.to_cbor()));
        put(Label::CheckpointSequence, self.checkpoint.as_ref().map(|seen| seen.sequence.to_cbor()));
        put(Label::Constraints, self.constraints.to_field());
        put(Label::Grants, self.grants.to_field());
        put(Label::InstanceId, self.instance_id.to_field());
        put(Label::SchemaVersion, CLAIMS_VERSION.to_field());
        Map::new(payload).map(Value::Map).map_err(ClaimsError::NotEncodable)
    }

    /// The claims in a payload, whose signature has been verified.
    pub(super) fn from_payload(payload: Value<'_>) -> Result<Self, ClaimsError> {
        let mut reader = ClaimReader::new(payload)?;
        let version = reader.take(Label::SchemaVersion)?;
        if version != CLAIMS_VERSION {
            return Err(ClaimsError::Version(version));
        }
        let checkpoint_id: Option<ObjectId> = reader.take_optional(Label::CheckpointId)?;
        let checkpoint_sequence: Option<u64> = reader.take_optional(Label::CheckpointSequence)?;
        let claims = Self {
            token_id: reader.take(Label::TokenId)?,
            principal_id: reader.take_twice(Label::Subject, Label::PrincipalId)?,
            zone_id: reader.take_twice(Label::Audience, Label::ZoneId)?,
            issuer_node: reader.take(Label::IssuerNode)?,
            issued_at: reader.take(Label::IssuedAt)?,
            not_before: reader.take(Label::NotBefore)?,
            expires: reader.take(Label::Expires)?,
            holder: reader.take::<Confirmation>(Label::Confirmation)?.0,
            holder_node: reader.take_optional(Label::HolderNode)?,
            connector_binary: reader.take_optional(Label::ConnectorBinary)?,
            instance_id: reader.take_optional(Label::InstanceId)?,
            checkpoint: seen(checkpoint_id, checkpoint_sequence)?,
            grant_object_ids: reader.take(Label::GrantObjectIds)?,
            grants: reader.take(Label::Grants)?,
            constraints: reader.take(Label::Constraints)?,
        };
        reader.finish()?;
        claims.check()?;
        Ok(claims)
    }
}

/// Both parts of a checkpoint or neither.
fn seen(id: Option<ObjectId>, sequence: Option<u64>) -> Result<Option<SeenCheckpoint>, ClaimsError> {
    match (id, sequence) {
        (Some(id), Some(sequence)) => Ok(Some(SeenCheckpoint { id, sequence })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ClaimsError::Missing(Label::CheckpointSequence)),
        (None, Some(_)) => Err(ClaimsError::Missing(Label::CheckpointId)),
    }
}

/// Takes claims out of their map, one by one.
struct ClaimReader<'a>(Vec<(i64, Value<'a>)>);

impl<'a> ClaimReader<'a> {
    fn new(payload: Value<'a>) -> Result<Self, ClaimsError> {
        let Value::Map(map) = payload else { return Err(ClaimsError::NotAMap) };
        let numbered = map.into_entries().into_iter().map(|(key, value)| {
            let number = if let Value::Unsigned(n) = key {
                i64::try_from(n).ok()?
            } else if let Value::Negative(n) = key {
                !i64::try_from(n).ok()?
            } else {
                return None;
            };
            Some((number, value))
        });
        numbered.collect::<Option<Vec<_>>>().map(Self).ok_or(ClaimsError::NotAMap)
    }

    fn take_optional<T: FromCbor>(&mut self, label: Label) -> Result<Option<T>, ClaimsError> {
        let at = self.0.iter().position(|(number, _)| *number == label as i64);
        let value = at.map(|at| self.0.remove(at).1);
        value.map(T::from_cbor).transpose().map_err(|error| ClaimsError::Invalid(label, error))
    }

    fn take<T: FromCbor>(&mut self, label: Label) -> Result<T, ClaimsError> {
        self.take_optional(label)?.ok_or(ClaimsError::Missing(label))
    }

    /// A value that stands under two labels.
    fn take_twice<T: FromCbor + PartialEq>(&mut self, one: Label, other: Label) -> Result<T, ClaimsError> {
        let value: T = self.take(one)?;
        if self.take::<T>(other)? == value { Ok(value) } else { Err(ClaimsError::Disagree(one, other)) }
    }

    fn finish(self) -> Result<(), ClaimsError> {
        match self.0.first() {
            None => Ok(()),
            Some((number, _)) => Err(match Label::from_number(*number) {
                Some(label) => ClaimsError::Unsupported(label),
                None => ClaimsError::Unknown(*number),
            }),
        }
    }
}

/// `cnf` with a COSE_Key: {1: {1: 1 (OKP), -1: 6 (Ed25519), -2: key}} (RFC 8747 §3.2, RFC 9053 §7.2).
fn confirmation(holder: &EncodedKey<Agent>) -> Result<Value<'_>, ClaimsError> {
    let key = [
        (Value::Unsigned(1), Value::Unsigned(1)),
        (Value::integer(-1), Value::Unsigned(6)),
        (Value::integer(-2), holder.to_cbor()),
    ];
    let key = Map::new(key.into()).map_err(ClaimsError::NotEncodable)?;
    let cnf = Map::new([(Value::Unsigned(1), Value::Map(key))].into()).map_err(ClaimsError::NotEncodable)?;
    Ok(Value::Map(cnf))
}

struct Confirmation(EncodedKey<Agent>);

impl FromCbor for Confirmation {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let wrong = || ShapeError::WrongType("a confirmation by an Ed25519 COSE_Key");
        let [(Value::Unsigned(1), key)] = entries(value).ok_or_else(wrong)? else {
            return Err(wrong());
        };
        let [
            (Value::Unsigned(1), Value::Unsigned(1)),
            (Value::Negative(0), Value::Unsigned(6)),
            (Value::Negative(1), x),
        ] = entries(key).ok_or_else(wrong)?
        else {
            return Err(wrong());
        };
        EncodedKey::from_cbor(x).map(Self)
    }
}

/// The entries of a map that has exactly `N`.
fn entries<const N: usize>(value: Value<'_>) -> Option<[(Value<'_>, Value<'_>); N]> {
    if let Value::Map(map) = value { map.into_entries().try_into().ok() } else { None }
}

/// One line a claim, for people.
impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "token      {}", self.token_id)?;
        writeln!(f, "principal  {}", self.principal_id)?;
        writeln!(f, "zone       {}", self.zone_id)?;
        writeln!(f, "issued by  {} at {}", self.issuer_node, self.issued_at)?;
        writeln!(f, "valid      {} to {}", self.not_before, self.expires)?;
        writeln!(f, "holder     {}", self.holder.key_id())?;
        self.holder_node.as_ref().map_or(Ok(()), |node| writeln!(f, "on node    {node}"))?;
        self.connector_binary.as_ref().map_or(Ok(()), |id| writeln!(f, "package    {id}"))?;
        self.instance_id.as_ref().map_or(Ok(()), |id| writeln!(f, "instance   {id:?}"))?;
        self.checkpoint.as_ref().map_or(Ok(()), |c| writeln!(f, "checkpoint {} ({})", c.sequence, c.id))?;
        for id in &self.grant_object_ids {
            writeln!(f, "grant      {id}")?;
        }
        for grant in &self.grants {
            let operation = grant.operation.as_ref().map_or("every operation", OperationId::as_str);
            writeln!(f, "carries    {} for {operation}", grant.capability)?;
        }
        write!(f, "constraints\n{}", self.constraints)
    }
}
