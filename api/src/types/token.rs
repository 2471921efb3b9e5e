//! Capability tokens: minting them, and looking into one.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, KeyId, NodeId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::constraints::Constraints;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TokenText;
use crate::schema;

/// Asks for tokens with which to call outside the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MintTokens {
    /// What they are for; each must be given by a grant in force.
    #[schema(value_type = Vec<schema::OperationId>, min_items = 1, max_items = 64)]
    pub operations: Vec<OperationId>,
}

/// The tokens, one for each grant in force that gives any of the operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokensMinted {
    /// The tokens.
    pub tokens: Vec<MintedToken>,
}

/// A short token for calls outside a session. It serves nobody without its holder's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MintedToken {
    /// The token.
    #[schema(value_type = schema::TokenId)]
    pub token_id: TokenId,
    /// For this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// For these operations.
    #[schema(value_type = Vec<schema::OperationId>)]
    pub operations: Vec<OperationId>,
    /// On this grant.
    #[schema(value_type = schema::ObjectId)]
    pub grant: ObjectId,
    /// Until when.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
    /// The key that signed it.
    #[schema(value_type = schema::KeyId)]
    pub issuer_key: KeyId,
    /// The token's bytes (COSE_Sign1) in base64 with padding.
    #[schema(value_type = String)]
    pub token: TokenText,
}

/// Asks what a token says and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectToken {
    /// The token's bytes in base64 with padding.
    #[schema(value_type = String)]
    pub token: TokenText,
}

/// Whether a token holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TokenVerdict {
    /// It holds now.
    Valid,
    /// It does not, and everything else here is only what it claims.
    Refused {
        /// Why.
        #[schema(value_type = schema::ErrorCode)]
        code: Code,
        /// What exactly is wrong.
        why: String,
    },
}

/// What a token says and whether it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenReport {
    /// Whether it holds.
    pub status: TokenVerdict,
    /// Its id.
    #[schema(value_type = schema::TokenId)]
    pub token_id: TokenId,
    /// The key that it names as its issuer's.
    #[schema(value_type = schema::KeyId)]
    pub issuer_key: KeyId,
    /// The node that issued it.
    #[schema(value_type = schema::NodeId)]
    pub issuer_node: NodeId,
    /// Who holds it.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// In which zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// For this connector; absent if the token does not bind one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ConnectorId>)]
    pub connector: Option<ConnectorId>,
    /// For these operations.
    #[schema(value_type = Vec<schema::OperationId>)]
    pub operations: Vec<OperationId>,
    /// On these grants.
    #[schema(value_type = Vec<schema::ObjectId>)]
    pub grants: Vec<ObjectId>,
    /// What bounds it.
    #[schema(value_type = schema::Constraints)]
    pub constraints: Constraints,
    /// From when.
    #[schema(value_type = schema::UnixTime)]
    pub not_before: UnixTime,
    /// Until when.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
    /// Whether it is bound to a holder's key.
    pub holder_bound: bool,
}
