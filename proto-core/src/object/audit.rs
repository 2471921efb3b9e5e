//! The audit chain: one per zone and node, each event naming the one before.

use alloc::string::String;

use super::{Body, Header, QuorumBody, Schema, SignedBody};
use crate::encoding::cbor::ShapeError;
use crate::error::Code;
use crate::ids::{CallId, ConnectorId, NodeId, ObjectId, OperationId, TokenId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

cbor_map! {
    /// A W3C trace context.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TraceContext {
        /// The trace.
        pub trace_id: [u8; 16],
        /// The span that caused this.
        pub span_id: [u8; 8],
        /// Bit 0: sampled.
        pub flags: u16,
    }
}

cbor_enum! {
    /// What happened.
    pub enum AuditEventKind {
        /// The owner's keys and zones were made.
        CeremonyCompleted = "ceremony.completed",
        /// The node began to serve.
        NodeStarted = "node.started",
        /// The node stopped in order.
        NodeStopped = "node.stopped",
        /// An operator key was opened.
        OperatorUnlocked = "operator.unlocked",
        /// An operator key could not be opened.
        OperatorRefused = "operator.refused",
        /// A principal proved its key.
        SessionOpened = "session.opened",
        /// A principal did not.
        SessionRefused = "session.refused",
        /// A session ended.
        SessionClosed = "session.closed",
        /// A zone, policy, role, grant or principal was made or changed.
        AuthorityChanged = "authority.changed",
        /// Tokens were minted for calls outside a session; the detail says which.
        TokensMinted = "capability.minted",
        /// The gate refused a call.
        CallDenied = "capability.denied",
        /// Calls were refused before their holder was known; the detail says how many.
        CallsRefused = "capability.refused",
        /// A call was admitted and is about to be dispatched; the detail names the grant by whose standing approval it was
        /// spared one.
        CallDispatched = "capability.invoke",
        /// A call ended.
        CallEnded = "capability.ended",
        /// A call's outcome is not known.
        CallUnknown = "capability.unknown",
        /// An unknown outcome was settled.
        CallSettled = "capability.settled",
        /// A call was cancelled.
        CallCancelled = "capability.cancelled",
        /// A stored receipt answered a repeated call.
        CallReplayed = "capability.replayed",
        /// A call asks for a person.
        ApprovalRequested = "approval.requested",
        /// A person decided.
        ApprovalDecided = "approval.decided",
        /// Integrity was raised for a call.
        ElevationGranted = "elevation.granted",
        /// Confidentiality was lowered for a call.
        DeclassificationGranted = "declassification.granted",
        /// A credential was handed to the egress process for a call.
        SecretAccess = "secret.access",
        /// Egress refused requests of a connector; the detail says how many, and the first.
        EgressDenied = "egress.denied",
        /// A credential was stored or replaced.
        SecretStored = "secret.stored",
        /// A credential was removed.
        SecretRemoved = "secret.removed",
        /// Something was revoked.
        RevocationIssued = "revocation.issued",
        /// A connector was installed.
        ConnectorInstalled = "connector.installed",
        /// A connector was enabled, disabled or removed.
        ConnectorChanged = "connector.changed",
        /// A connector's process ended against the plan.
        ConnectorStopped = "connector.stopped",
        /// Other settings were read and are in force; the detail names them.
        SettingsChanged = "settings.changed",
        /// The owner lowered a wall.
        ExceptionRecorded = "exception.recorded",
        /// A principal began afresh.
        ContextOpened = "context.opened",
        /// A kept result was read.
        ResultRead = "result.read",
        /// Something moved from one zone to another.
        ZoneTransition = "zone.transition",
        /// A connector or peer did what it must not.
        SecurityViolation = "security.violation",
        /// Two heads claim the same place.
        ForkDetected = "audit.fork_detected",
    }
}

cbor_map! {
    /// What happened, in the header's zone, chained to what happened before.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AuditEvent {
        /// 0, then one more each.
        pub seq: u64,
        /// The event before; absent at the first.
        pub prev: Option<ObjectId>,
        /// The node whose chain this is.
        pub node_id: NodeId,
        /// What happened.
        pub kind: AuditEventKind,
        /// Who caused it: a principal, an operator, the node.
        pub actor: String,
        /// The connector concerned.
        pub connector: Option<ConnectorId>,
        /// The operation concerned.
        pub operation: Option<OperationId>,
        /// The call concerned.
        pub call_id: Option<CallId>,
        /// The token concerned.
        pub token_id: Option<TokenId>,
        /// The object that it made or concerns.
        pub subject: Option<ObjectId>,
        /// The failure, if it is one.
        pub code: Option<Code>,
        /// What else is to be known, without secrets.
        pub detail: Option<String>,
        /// The trace it belongs to.
        pub trace: Option<TraceContext>,
        /// When.
        pub occurred_at: UnixTime,
    }
}

cbor_map! {
    /// The end of a chain after a committed batch; signed by the node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AuditHead {
        /// The node whose chain this is.
        pub node_id: NodeId,
        /// The last event.
        pub head_event: ObjectId,
        /// Its number.
        pub head_seq: u64,
    }
}

cbor_map! {
    /// The end of a node's chain as certified by a quorum of the members of a mesh.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZoneAuditHead {
        /// The node whose chain this is.
        pub node_id: NodeId,
        /// The last event.
        pub head_event: ObjectId,
        /// Its number.
        pub head_seq: u64,
        /// How much of the chain the signers hold among them, in hundredths of a percent.
        pub coverage_bps: u16,
        /// The epoch of the membership whose members certify it.
        pub epoch: u64,
    }
    => ZoneAuditHead::check
}

impl ZoneAuditHead {
    //= docs/spec/objects.md#certified-heads
    fn check(&self) -> Result<(), ShapeError> {
        if self.coverage_bps <= 10_000 { Ok(()) } else { Err(ShapeError::OutOfRange) }
    }
}

impl QuorumBody for ZoneAuditHead {
    const SCHEMA: Schema = Schema { namespace: "fcp.audit", name: "AuditHead", version: "2.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if header.refs.contains(&self.head_event) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a head refers to the last event"))
        }
    }
}

impl Body for AuditEvent {
    const SCHEMA: Schema = Schema { namespace: "fcp.audit", name: "AuditEvent", version: "1.0.0" };
}

impl SignedBody for AuditHead {
    const SCHEMA: Schema = Schema { namespace: "fcp.audit", name: "AuditHead", version: "1.0.0" };
}
