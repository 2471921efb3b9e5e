//! Walls that the owner lowers, each for one connector and on record.

use core::fmt;

use fcp_proto_core::ids::{ConnectorId, Digest, ObjectId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// What exactly is permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ExceptionRule {
    /// A declared host may resolve to an address that is not global unicast.
    Egress {
        /// The host, as the manifest declares it.
        host: String,
        /// The address or network that it may resolve to, such as `127.0.0.1/32`.
        network: String,
        /// The only port.
        port: u16,
        /// The file of a certificate authority to trust for this host instead of the public ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<String>,
        /// BLAKE3 of that file; the exception opens nothing while the file is another. The daemon records it if it is
        /// absent; records of earlier releases have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::Digest>)]
        ca_digest: Option<Digest>,
    },
    /// A property of the sandbox is done without.
    Sandbox {
        /// The property, as the launcher names it.
        property: String,
    },
}

impl fmt::Display for ExceptionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress { host, network, port, ca_file, .. } => {
                write!(f, "{host} may be at {network}, port {port}")?;
                match ca_file {
                    Some(file) => write!(f, ", with the certificate authority in {file}"),
                    None => Ok(()),
                }
            }
            Self::Sandbox { property } => write!(f, "the sandbox may lack {property}"),
        }
    }
}

/// Lowers a wall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddException {
    /// For this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// What exactly.
    pub rule: ExceptionRule,
    /// Why.
    pub reason: String,
    /// How long; until it is removed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_secs: Option<u64>,
}

/// A lowered wall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExceptionView {
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub exception_id: ObjectId,
    /// For this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// What exactly.
    pub rule: ExceptionRule,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schema(value_type = schema::UnixTime)]
    pub recorded_at: UnixTime,
    /// Until when, exclusive; absent means until removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub expires_at: Option<UnixTime>,
    /// Whether it was withdrawn.
    pub removed: bool,
}

/// The lowered walls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExceptionList {
    /// Newest first.
    pub exceptions: Vec<ExceptionView>,
}
