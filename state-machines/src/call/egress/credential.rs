//! Which credential may go where, and how it is put into a request. Source: docs/spec/egress.md#credentials.
//!
//! No secret passes through here; the process that holds it asks these questions right before it injects.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fcp_proto_core::ids::CredentialId;
use serde::{Deserialize, Serialize};

use super::decide::Pinned;
use super::headers;
use super::host::HostPattern;
use super::refusal::Refusal;
use super::url::Scheme;

/// A credential that one call may use, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialGrant {
    /// The name the connector asks for it by.
    pub slot: String,
    /// The stored credential.
    pub credential: CredentialId,
    /// How it is put into a request.
    pub injection: Injection,
    /// The hosts it may be sent to; none means none.
    pub allowed_hosts: Vec<HostPattern>,
}

/// How a credential is put into a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Injection {
    /// `Authorization: Bearer SECRET` (RFC 6750).
    Bearer,
    /// A header of this name, its value `prefix` and the secret.
    Header {
        /// The header's name in lower case.
        name: String,
        /// What precedes the secret.
        prefix: String,
    },
    /// `Authorization: Basic` with the secret `USER:PASSWORD` in base64 (RFC 7617).
    Basic,
    /// A query parameter of this name.
    Query {
        /// The parameter's name.
        name: String,
    },
}

impl Injection {
    /// The header it fills.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Bearer | Self::Basic => Some("authorization"),
            Self::Header { name, .. } => Some(name),
            Self::Query { .. } => None,
        }
    }

    /// Whether the header or parameter can be filled at all.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Bearer | Self::Basic => true,
            Self::Header { name, prefix } => {
                headers::may_carry_credential(name) && prefix.bytes().all(|b| (b' '..=b'~').contains(&b))
            }
            Self::Query { name } => !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()),
        }
    }
}

/// Proof that a credential may be put into the request to a pinned place. Only [`decide`] makes it.
#[derive(Debug)]
#[must_use]
pub struct Injectable<'a> {
    grant: &'a CredentialGrant,
    pinned: &'a Pinned,
}

impl Injectable<'_> {
    /// The credential.
    pub const fn grant(&self) -> &CredentialGrant {
        self.grant
    }

    /// Path and query of the request, with the secret in the query if that is its place.
    pub fn path_and_query(&self, secret: &str) -> String {
        let target = self.pinned.admitted().target();
        match &self.grant.injection {
            Injection::Query { name } => target.with_parameter(name, secret),
            Injection::Bearer | Injection::Header { .. } | Injection::Basic => target.path_and_query(),
        }
    }
}

/// Whether the credential in `slot` may go to the pinned place.
///
/// # Errors
/// If the call has no such slot, the credential's hosts do not hold the target, the transport is in the clear, or
/// the connector filled the credential's parameter itself.
pub fn decide<'a>(
    grants: &'a [CredentialGrant],
    slot: &str,
    pinned: &'a Pinned,
) -> Result<Injectable<'a>, Refusal> {
    let grant = grants.iter().find(|grant| grant.slot == slot).ok_or(Refusal::SlotUnknown)?;
    let target = pinned.admitted().target();
    if !grant.allowed_hosts.iter().any(|pattern| pattern.covers(&target.origin.host)) {
        return Err(Refusal::CredentialHostDenied);
    }
    if target.origin.scheme != Scheme::Https {
        return Err(Refusal::CredentialInClear);
    }
    match &grant.injection {
        Injection::Query { name } if target.has_parameter(&name.to_string()) => {
            Err(Refusal::ParameterPresent)
        }
        Injection::Bearer | Injection::Header { .. } | Injection::Basic | Injection::Query { .. } => {
            Ok(Injectable { grant, pinned })
        }
    }
}
