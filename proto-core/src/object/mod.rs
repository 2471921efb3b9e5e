//! Stored objects: everything durable is one, in its final form from the start.
//!
//! An object is a header (schema, zone, time, provenance, references) and a body (the schema's hash, then canonical
//! CBOR). Its identity is a BLAKE3 hash keyed by the zone's object-id key, so that only the zone's nodes can compute or
//! check it. What a key holder vouches for is a [`Signed`] body. Spec: `docs/spec/objects.md`.

mod approval;
mod audit;
mod authority;
mod call;
mod connector;
mod context;
mod header;
mod revocation;
mod schema;
mod signed;
mod stored;
#[cfg(test)]
mod tests;
mod zones;

pub use approval::{ApprovalDecision, ApprovalKind, ApprovalRequest, ApprovalToken, CallDigestInput};
pub use audit::{AuditEvent, AuditEventKind, AuditHead, TraceContext};
pub use authority::{
    Enrolment, FaultModel, Grant, GrantDenial, GrantRequest, Grantee, Membership, NodeAttestation,
    OperatorDelegation, OperatorRight, OwnerRoot, Role, RoleAssignment, RoleWithdrawal,
};
pub use call::{
    CallOutcome, CallRecord, DecisionReceipt, Effect, GateCheck, OperationIntent, OperationReceipt,
    SettledBy, Settlement, Usage, Verdict,
};
pub use connector::{
    ConnectorInstall, ConnectorState, CredentialRecord, CredentialTest, ExceptionKind, OwnerException,
};
pub use context::{ContextEntry, ContextOpened, KeptResult};
pub use header::Header;
pub use revocation::{RevocationEvent, RevocationHead, RevocationObject, RevocationScope};
pub use schema::{Schema, SchemaId};
pub use signed::{Signed, SignedBody};
pub use stored::{AnyObject, Body, Object, ObjectIdKey, StoredObject};
pub use zones::{Budget, ZoneDefinition, ZonePolicy};
