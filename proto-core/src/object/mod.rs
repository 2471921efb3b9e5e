//! Stored objects: everything durable is one, in its final form from the start.
//!
//! An object is a header (schema, zone, time, provenance, references) and a body (the schema's hash, then canonical
//! CBOR). Its identity is a BLAKE3 hash keyed by the zone's object-id key, so that only the zone's nodes can compute or
//! check it. What a key holder vouches for is a [`Signed`] body. Spec: `docs/spec/objects.md`.

mod approval;
mod audit;
mod authority;
mod call;
mod checkpoint;
mod chunk;
mod computation;
mod connector;
mod context;
mod device;
pub mod gossip;
mod header;
mod key_manifest;
mod kinds;
mod lease;
mod payload;
mod quorum;
mod revocation;
mod schema;
mod secret;
mod signed;
mod state;
mod stored;
mod symbol;
mod symbol_refusal;
#[cfg(test)]
mod tests;
mod zones;

pub use approval::{ApprovalDecision, ApprovalKind, ApprovalRequest, ApprovalToken, CallDigestInput};
pub use audit::{AuditEvent, AuditEventKind, AuditHead, TraceContext, ZoneAuditHead};
pub use authority::{
    Enrolment, FaultModel, Grant, GrantDenial, GrantRequest, Grantee, Membership, NodeAttestation,
    OperatorDelegation, OperatorRight, OwnerRoot, OwnerSuccession, Role, RoleAssignment, RoleWithdrawal,
    StandingApproval,
};
pub use call::{
    CallOutcome, CallRecord, DecisionReceipt, Effect, GateCheck, OperationIntent, OperationReceipt,
    OutcomeProbe, SettledBy, Settlement, Usage, Verdict,
};
pub use checkpoint::{
    CHECKPOINT_AUDIT_EVENTS, CHECKPOINT_INTERVAL_SECS, ChainEnd, CheckpointError, CheckpointFork,
    CheckpointProposal, CheckpointTrigger, NamedCheckpoint, ZoneCheckpoint,
};
pub use chunk::{
    CHUNK_BYTES, Chunk, ChunkError, ChunkManifest, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Piece, RawChunk,
    VerifiedChunk,
};
pub use computation::{ComputationCheckpoint, ComputationState, MAX_INLINE_STATE_BYTES, ResumeError};
pub use connector::{
    ConnectorInstall, ConnectorState, CredentialRecord, CredentialTest, ExceptionKind, OwnerException,
};
pub use context::{ContextEntry, ContextOpened, KeptResult};
pub use device::DeviceEnrolment;
pub use gossip::{
    GossipAnswer, GossipRequest, GossipSummary, ReconcileAnswer, ReconcileRequest, RevocationNotice,
    RevocationWitness,
};
pub use header::Header;
pub use key_manifest::{
    KeyManifestError, KeyWrap, KeyWraps, OpenedZoneKeys, ZoneKey, ZoneKeyAlgorithm, ZoneKeyManifest,
    ZoneKeyTerms,
};
pub use kinds::{AnyObject, GossipMessage, MeshObject, SymbolMessage};
pub use lease::{Lease, LeaseDemand, LeaseError, LeaseFrontier, LeaseHandoff, LeasePurpose, NamedLease};
pub use payload::{SCHEMA_HASH_BYTES, decode_payload, encode_payload};
pub use quorum::{CertificateError, Certified, NodeSignature, QuorumBody, SignatureSet};
pub use revocation::{
    RevocationEvent, RevocationHead, RevocationObject, RevocationScope, ZoneRevocationHead,
};
pub use schema::{Schema, SchemaId};
pub use secret::{
    MAX_SECRET_ACCESS_SECS, SecretAccessToken, SecretFormat, SecretObject, SecretRotation, SecretType,
    SharingScheme, ThresholdSecretObject, WrappedShare, WrappedShareError,
};
pub use signed::{Signed, SignedBody};
pub use state::{
    CrdtType, MAX_CRDT_BRANCH_BYTES, MAX_CURSOR_STATE_BYTES, StateDelta, StateError, StateModel, StateObject,
    StateOwner, StateRoot, StateSnapshot,
};
pub(crate) use stored::identify;
pub use stored::{Body, Object, ObjectIdKey, StoredObject};
pub use symbol::{
    DecodeStatus, HintError, MissingHint, SymbolAck, SymbolAckReason, SymbolAllowance, SymbolMessageError,
    SymbolOffer, SymbolRequest, Transcribed, TranscriptSigned,
};
pub use symbol_refusal::{SymbolRefusal, SymbolRefusalReason};
pub use zones::{Budget, ZoneDefinition, ZoneKeyGeneration, ZonePolicy};
