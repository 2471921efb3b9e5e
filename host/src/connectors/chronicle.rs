//! What the audit chains are told of connectors beside their calls: that a secret is given out for checks of health, what
//! egress refused, and what a connector did that it must not. Source: docs/spec/audit.md#connectors.

use std::fmt;
use std::pin::Pin;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, OperationId, ZoneId};
use fcp_proto_core::object::AuditEventKind;

/// One account of what happened, in the host's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// In which zone.
    pub zone: ZoneId,
    /// What.
    pub kind: AuditEventKind,
    /// Of which connector.
    pub connector: ConnectorId,
    /// In which operation, if it is known.
    pub operation: Option<OperationId>,
    /// In which call, if it is known.
    pub call: Option<CallId>,
    /// The failure, if it is one.
    pub code: Option<Code>,
    /// What else is to be known, without secrets and without a word of the connector's.
    pub detail: String,
}

/// An account, once it is durable.
pub type Telling = Pin<Box<dyn Future<Output = Result<(), (Code, String)>> + Send>>;

/// Tells the audit chains.
pub trait Chronicle: fmt::Debug + Send + Sync {
    /// Tells the chain of the account's zone.
    fn tell(&self, account: Account) -> Telling;
}
