//! The ceremony that gives a home its owner.

use fcp_proto_core::ids::{KeyId, NodeId, PrincipalId, ZoneId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeySourceRequest;
use crate::hex::Hex;
use crate::schema;
use crate::secret::Secret;

/// How far the ceremony is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CeremonyPhase {
    /// The home has no owner.
    None,
    /// The phrase was shown and waits to be confirmed; nothing is durable yet.
    Begun,
    /// It was confirmed and its records are being written; a restart resumes.
    Completing,
    /// The home has its owner.
    Done,
}

/// Begins the ceremony, or begins it afresh if no phrase was confirmed yet. The phrase of an earlier beginning is void.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginCeremony {
    /// The name of the first operator.
    #[schema(value_type = schema::PrincipalId)]
    pub operator: PrincipalId,
    /// How the first operator's key is kept.
    pub key_source: KeySourceRequest,
    /// This device's name; chosen by the daemon when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::NodeId>)]
    pub node: Option<NodeId>,
}

/// The phrase, for the only time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CeremonyBegun {
    /// Names this beginning.
    #[schema(value_type = schema::SessionId)]
    pub ceremony_id: Hex<16>,
    /// The 24 words that restore the owner's key, separated by single spaces.
    pub phrase: Secret,
    /// The places, counted from 1, of the words that a confirmation must repeat.
    pub confirm_words: Vec<u8>,
    /// Until when it can be confirmed.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
}

/// One word of the phrase, as proof that it was written down.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WordProof {
    /// The word's place, counted from 1.
    #[schema(minimum = 1, maximum = 24)]
    pub place: u8,
    /// The word.
    pub word: Secret,
}

/// Confirms that the phrase was written down, and completes the ceremony.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmCeremony {
    /// The beginning.
    #[schema(value_type = schema::SessionId)]
    pub ceremony_id: Hex<16>,
    /// The words asked for.
    pub words: Vec<WordProof>,
}

/// The home has its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CeremonyDone {
    /// The owner's key.
    #[schema(value_type = schema::KeyId)]
    pub owner_key: KeyId,
    /// The first operator.
    #[schema(value_type = schema::PrincipalId)]
    pub operator: PrincipalId,
    /// This node.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The zones made.
    #[schema(value_type = Vec<schema::ZoneId>)]
    pub zones: Vec<ZoneId>,
}

/// How far the ceremony is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CeremonyView {
    /// How far.
    pub phase: CeremonyPhase,
    /// What it made, once done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<CeremonyDone>,
}
