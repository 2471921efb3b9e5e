//! A label: how far a value is trusted, how secret it is, and what taints it.

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cbor_enum;
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};

/// A height on either axis of the lattice, 0 to 100: of integrity (how far the source is trusted) or of
/// confidentiality (how few may see it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Level(u8);

impl Level {
    /// Nothing is known of the source; everyone may see it.
    pub const NONE: Self = Self(0);
    /// `z:public`.
    pub const PUBLIC: Self = Self(20);
    /// `z:community`.
    pub const COMMUNITY: Self = Self(40);
    /// `z:work`.
    pub const WORK: Self = Self(60);
    /// `z:private`.
    pub const PRIVATE: Self = Self(80);
    /// `z:owner`.
    pub const OWNER: Self = Self(100);

    /// The level `height`, if it is at most 100.
    pub const fn new(height: u8) -> Option<Self> {
        if height <= 100 { Some(Self(height)) } else { None }
    }

    /// The height, 0 to 100.
    pub const fn height(self) -> u8 {
        self.0
    }
}

impl core::fmt::Display for Level {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u8> for Level {
    type Error = &'static str;

    fn try_from(height: u8) -> Result<Self, Self::Error> {
        Self::new(height).ok_or("a level is a number from 0 to 100")
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.0
    }
}

impl ToCbor for Level {
    fn to_cbor(&self) -> Value<'_> {
        Value::Unsigned(self.0.into())
    }
}

//= docs/spec/labels.md#labels
impl FromCbor for Level {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let height = u8::try_from(u16::from_cbor(value)?).map_err(|_| ShapeError::OutOfRange)?;
        Self::new(height).ok_or(ShapeError::OutOfRange)
    }
}

cbor_enum! {
    /// A reason to distrust a value, kept until a sanitizer's receipt removes it.
    pub enum Taint {
        /// It came from a source that anyone can write to.
        PublicInput = "PUBLIC_INPUT",
        /// It holds a link that nobody checked.
        UnverifiedLink = "UNVERIFIED_LINK",
        /// A program that nobody vouches for changed it.
        UntrustedTransform = "UNTRUSTED_TRANSFORM",
        /// A webhook brought it.
        WebhookInjected = "WEBHOOK_INJECTED",
        /// A user of the service wrote it.
        UserGenerated = "USER_GENERATED",
        /// A scanner found something that looks like an attack.
        PotentiallyMalicious = "POTENTIALLY_MALICIOUS",
        /// A model wrote it.
        AiGenerated = "AI_GENERATED",
        /// It crossed into a zone without an approval.
        CrossZoneUnapproved = "CROSS_ZONE_UNAPPROVED",
    }
}

impl Taint {
    /// Whether a value with this taint may never drive a dangerous operation, whatever its integrity.
    pub const fn is_critical(self) -> bool {
        match self {
            Self::PublicInput | Self::PotentiallyMalicious | Self::CrossZoneUnapproved => true,
            Self::UnverifiedLink
            | Self::UntrustedTransform
            | Self::WebhookInjected
            | Self::UserGenerated
            | Self::AiGenerated => false,
        }
    }
}

/// How far a value is trusted, how secret it is, and what taints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The least trusted of all its sources.
    pub integrity: Level,
    /// The most secret of all its sources.
    pub confidentiality: Level,
    /// The taints of all its sources.
    #[serde(default)]
    pub taints: BTreeSet<Taint>,
}

impl Label {
    /// The label of something the zone's owner says himself, secret to no one.
    pub const fn trusted(integrity: Level) -> Self {
        Self { integrity, confidentiality: Level::NONE, taints: BTreeSet::new() }
    }

    /// The label of a value made from both: the lower integrity, the higher confidentiality, all taints.
    //= docs/spec/labels.md#merging
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        Self {
            integrity: self.integrity.min(other.integrity),
            confidentiality: self.confidentiality.max(other.confidentiality),
            taints: self.taints.union(&other.taints).copied().collect(),
        }
    }

    /// Whether a value so labelled may stand for one labelled `other`: no less trusted, no more secret, no new taint.
    pub fn flows_as(&self, other: &Self) -> bool {
        self.integrity >= other.integrity
            && self.confidentiality <= other.confidentiality
            && self.taints.is_subset(&other.taints)
    }
}

impl ToCbor for Label {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = crate::encoding::cbor::MapBuilder::default();
        map.field("integrity", &self.integrity);
        map.field("confidentiality", &self.confidentiality);
        map.field("taints", &self.taints);
        map.finish()
    }
}

impl FromCbor for Label {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = crate::encoding::cbor::FieldReader::new(value)?;
        let label = Self {
            integrity: fields.field("integrity")?,
            confidentiality: fields.field("confidentiality")?,
            taints: fields.field("taints")?,
        };
        fields.finish()?;
        Ok(label)
    }
}
