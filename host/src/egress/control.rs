//! What the daemon and the egress process say to each other. Source: docs/spec/egress.md#control.
//!
//! Every message is one frame (see `framing`) of JSON. Enums are externally tagged so that no secret passes through
//! a buffering deserializer.

use fcp_proto_core::ids::{CallId, ConnectorId, CredentialId, ZoneId};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::egress::{EgressHandle, OpenCall, OpenRefusal, Refusal, Scope};
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// From the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToEgress {
    /// The number the answer repeats.
    pub(crate) id: u64,
    /// What is asked.
    pub(crate) request: Request,
}

/// What the daemon asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Opens a call.
    Open(Box<OpenWithSecrets>),
    /// Ends a call and reports on it.
    Close(EgressHandle),
    /// Serves a connector on the descriptor that comes with the frame.
    Attach(Identity),
    /// Ends every call in a scope that was sealed before a sequence number.
    Revoke { scope: Scope, sequence: u64 },
    /// Carries a call over to a newer revocation head, against which the daemon has checked it again.
    Reseal { handle: EgressHandle, seal: u64 },
    /// Says as which generation a refreshed token is durable, if it is.
    Persisted { refresh: u64, stored: Option<u64> },
    /// Asks for the requests that named no call of their connector, since this was asked last.
    Strays,
    /// Asks for a sign of life.
    Ping,
    /// Ends the process.
    Shutdown,
}

/// To the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FromEgress {
    /// The answer to a request.
    Answer { id: u64, answer: Answer },
    /// A token was refreshed and waits to be made durable.
    Refreshed(RefreshedToken),
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// The call was not opened.
    NotOpened(OpenRefusal),
    /// The call's report.
    Report(CallReport),
    /// The calls a revocation ended.
    Ended(Vec<EgressHandle>),
    /// Requests that named no call of their connector.
    Strays(Vec<Strays>),
    /// A sign of life.
    Alive(Vitals),
    /// There is no such call, or no descriptor came with the frame.
    Unknown,
}

/// A call and the secrets it may use, for its own time only.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenWithSecrets {
    /// The call.
    pub open: OpenCall,
    /// One secret for each of its credentials.
    pub secrets: Vec<SlotSecret>,
}

/// The secret of a slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSecret {
    /// The slot.
    pub slot: String,
    /// Its secret.
    pub secret: SecretValue,
}

/// A secret, or the means to get one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretValue {
    /// A secret that does not change.
    Fixed(Secret),
    /// An OAuth 2.0 access token that egress refreshes.
    OAuth(OAuthToken),
}

impl SecretValue {
    /// Whether a call can be opened with it.
    //= docs/spec/egress.md#open-call
    pub fn is_usable(&self) -> bool {
        match self {
            Self::Fixed(secret) => secret.is_usable(),
            Self::OAuth(token) => token.access_token.is_usable(),
        }
    }
}

/// A stored OAuth 2.0 token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthToken {
    /// The version of the signed record by which it is in force. Tokens of one record follow each other; those of
    /// different records have nothing to do with each other.
    pub record: u64,
    /// Grows with each token made durable, so that the newest of a record is known.
    pub generation: u64,
    /// What requests carry.
    pub access_token: Secret,
    /// When it ends; a token without an end is refreshed only after the service refused it.
    pub expires_at: Option<UnixTime>,
    /// What refreshes it, if anything does.
    pub refresh_token: Option<Secret>,
    /// Where it is refreshed; https.
    pub token_url: String,
    /// The client's public name.
    pub client_id: String,
    /// The client's secret, if it has one.
    pub client_secret: Option<Secret>,
}

/// A refreshed token. It is used once the daemon has said that it is durable, not before: a service that rotates
/// refresh tokens would otherwise lock the owner out after a crash.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshedToken {
    /// The number the acknowledgement repeats.
    pub refresh: u64,
    /// The connector the credential is stored for.
    pub connector: ConnectorId,
    /// The zone it is stored in.
    pub zone: ZoneId,
    /// Its name there.
    pub credential: CredentialId,
    /// The new token, still with the generation of the one that it was refreshed from.
    pub token: OAuthToken,
}

/// Whose connection a descriptor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The connector.
    pub connector: ConnectorId,
    /// The zone it runs in.
    pub zone: ZoneId,
}

/// Requests of a connector that named none of its open calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strays {
    /// Whose.
    pub identity: Identity,
    /// How many.
    pub requests: u64,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vitals {
    /// Calls open.
    pub calls: usize,
}

/// What one call did on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallReport {
    /// The call.
    pub call: CallId,
    /// Whether a service may have acted.
    pub effect: Effect,
    /// Requests sent, redirects included.
    pub requests: u64,
    /// Body bytes sent.
    pub bytes_sent: u64,
    /// Body bytes received.
    pub bytes_received: u64,
    /// The hosts requests went to, each once.
    pub hosts: Vec<String>,
    /// The statuses of the answers; the first 64.
    pub statuses: Vec<u16>,
    /// What was refused; the first 64.
    pub refusals: Vec<Refusal>,
}

/// Whether a service may have acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// No byte of a request was sent.
    None,
    /// A request was sent, at least in part.
    Maybe,
}
