//! Stored objects: everything durable is one, in its final form from the start.
//!
//! An object is a header (schema, zone, time, provenance, references) and a body (the schema's hash, then canonical
//! CBOR). Its identity is a BLAKE3 hash keyed by the zone's object-id key, so that only the zone's nodes can compute or
//! check it. What a key holder vouches for is a [`Signed`] body. Spec: `docs/spec/objects.md`.

mod approval;
mod audit;
mod authority;
mod call;
mod chunk;
mod connector;
mod context;
mod header;
mod key_manifest;
mod revocation;
mod schema;
mod signed;
mod stored;
mod symbol;
#[cfg(test)]
mod tests;
mod zones;

pub use approval::{ApprovalDecision, ApprovalKind, ApprovalRequest, ApprovalToken, CallDigestInput};
pub use audit::{AuditEvent, AuditEventKind, AuditHead, TraceContext};
pub use authority::{
    Enrolment, FaultModel, Grant, Grantee, Membership, NodeAttestation, OperatorDelegation, OperatorRight,
    OwnerRoot, Role, RoleAssignment,
};
pub use call::{
    CallOutcome, CallRecord, DecisionReceipt, Effect, GateCheck, OperationIntent, OperationReceipt,
    SettledBy, Settlement, Usage, Verdict,
};
pub use chunk::{
    CHUNK_BYTES, Chunk, ChunkError, ChunkManifest, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Piece, RawChunk,
    VerifiedChunk,
};
pub use connector::{ConnectorInstall, ConnectorState, CredentialRecord, ExceptionKind, OwnerException};
pub use context::{ContextEntry, ContextOpened, KeptResult};
pub use header::Header;
pub use key_manifest::{
    KeyManifestError, KeyWrap, KeyWraps, OpenedZoneKeys, ZoneKey, ZoneKeyAlgorithm, ZoneKeyManifest,
    ZoneKeyTerms,
};
pub use revocation::{RevocationEvent, RevocationHead, RevocationObject, RevocationScope};
pub use schema::{Schema, SchemaId};
pub use signed::{Signed, SignedBody};
pub use stored::{AnyObject, Body, Object, ObjectIdKey, StoredObject};
pub use symbol::{
    DecodeStatus, HintError, MissingHint, SymbolAck, SymbolAckReason, SymbolAllowance, SymbolMessageError,
    SymbolOffer, SymbolRequest, Transcribed, TranscriptSigned,
};
pub use zones::{Budget, ZoneDefinition, ZonePolicy};
