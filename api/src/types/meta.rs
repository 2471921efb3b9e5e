//! What every answer says about itself.

use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// On whose word an answer stands, the strongest first; computed from evidence, never from a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Certified by the owner's devices; a mesh of one certifies itself.
    Mesh,
    /// The daemon's durable records.
    Host,
    /// This process or device alone, such as a socket that answers or a file that exists.
    NodeLocal,
    /// Files of the home or the working directory, read without the daemon.
    Offline,
}

impl Source {
    /// The word that stands for this source.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Host => "host",
            Self::NodeLocal => "node-local",
            Self::Offline => "offline",
        }
    }
}

/// The status of a conditional request, told in the body because the whole answer is sent in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum MetaStatus {
    /// 200: it changed, or the request was not conditional.
    Fresh,
    /// 304: it is what the caller has already.
    NotModified,
}

impl From<MetaStatus> for u16 {
    fn from(status: MetaStatus) -> Self {
        match status {
            MetaStatus::Fresh => 200,
            MetaStatus::NotModified => 304,
        }
    }
}

impl TryFrom<u16> for MetaStatus {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        match number {
            200 => Ok(Self::Fresh),
            304 => Ok(Self::NotModified),
            _ => Err("meta.status is 200 or 304"),
        }
    }
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meta {
    /// On whose word it stands.
    pub source: Source,
    /// When it was true.
    #[schema(value_type = schema::UnixTime)]
    pub at: UnixTime,
    /// Names this version of the answer, for a conditional request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The status of a conditional request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>)]
    pub status: Option<MetaStatus>,
}

impl Meta {
    /// The description of an answer that stands on `source` at `at`.
    pub const fn new(source: Source, at: UnixTime) -> Self {
        Self { source, at, etag: None, status: None }
    }
}

/// An answer's own fields, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// The answer.
    #[serde(flatten)]
    pub body: T,
    /// Where it comes from.
    pub meta: Meta,
}
