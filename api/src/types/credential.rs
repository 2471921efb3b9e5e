//! Credentials: secrets go in and never come out.

use fcp_proto_core::ids::{ConnectorId, CredentialId, ObjectId, ZoneId};
use fcp_proto_core::manifest::AuthKind;
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;
use crate::secret::Secret;

/// The secret, by the kind of the slot it fills.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialMaterial {
    /// A token after `Authorization: Bearer`.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// The value of the header that the manifest names.
    Header {
        /// The value.
        value: Secret,
    },
    /// A user name and password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// OAuth 2 tokens; refreshed by the egress process where there is a refresh token.
    Oauth2 {
        /// The access token.
        access_token: Secret,
        /// The refresh token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refresh_token: Option<Secret>,
        /// Until when the access token is good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::UnixTime>)]
        expires_at: Option<UnixTime>,
        /// The client's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        /// The client's secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_secret: Option<Secret>,
    },
}

/// Stores or replaces a credential.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutCredential {
    /// The connector that may use it.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// The manifest's slot that it fills.
    pub slot: String,
    /// The zone that may use it.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The secret.
    pub material: CredentialMaterial,
}

/// What may be known of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialView {
    /// Its name.
    #[schema(value_type = schema::CredentialId)]
    pub name: CredentialId,
    /// The connector that may use it.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// The slot it fills.
    pub slot: String,
    /// How it is injected.
    #[schema(value_type = schema::AuthKind)]
    pub kind: AuthKind,
    /// The zone that may use it.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The hosts it may be sent to.
    pub hosts: Vec<String>,
    /// Rises by one with every replacement.
    pub version: u64,
    /// When it was stored.
    #[schema(value_type = schema::UnixTime)]
    pub stored_at: UnixTime,
    /// When a service last accepted it; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub accepted_at: Option<UnixTime>,
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub record_id: ObjectId,
}

/// The credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialList {
    /// Sorted by name.
    pub credentials: Vec<CredentialView>,
}

/// What the service said to a harmless call with the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialTest {
    /// The credential.
    #[schema(value_type = schema::CredentialId)]
    pub name: CredentialId,
    /// Whether the service accepted it.
    pub accepted: bool,
    /// What was called.
    pub probe: String,
    /// What the service said, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A credential is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialRemoved {
    /// Its name.
    #[schema(value_type = schema::CredentialId)]
    pub name: CredentialId,
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub record_id: ObjectId,
}
