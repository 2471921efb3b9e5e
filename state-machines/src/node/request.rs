//! What a node is asked.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::proof::{Challenge, ChannelBinding};
use fcp_proto_core::crypto::sign::Signature;
use fcp_proto_core::encoding::json::{Json, Pointer};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, CredentialId, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{
    AnyObject, ApprovalRequest, CredentialTest, Effect, NodeAttestation, Object, ObjectIdKey, OutcomeProbe,
    Signed, TraceContext,
};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::Label;

use super::calls::probing::DoubtfulCall;
use super::rekeyed::OwnKeys;
use super::sessions::SessionId;
use crate::trust::audit::Entry;

/// Names one request among those a node has not yet answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Whether an input fits an operation's schema; implemented by the host.
pub trait SchemaCheck {
    /// Whether `input` fits.
    ///
    /// # Errors
    /// The first place where it does not, and why.
    fn check(&self, connector: &ConnectorId, operation: &OperationId, input: &Json) -> Result<(), String>;
}

/// What a node is asked.
#[derive(Debug)]
pub enum Request {
    /// Take an object that the owner or an operator signed: a zone, grant, principal, decision, installation, credential,
    /// exception or revocation.
    Admit {
        /// The object.
        object: Box<AnyObject>,
        /// Who sent it.
        actor: String,
    },
    /// Take objects that the owner or an operator signed as one: all of them, or none. Each is judged as if those before it
    /// had been taken.
    AdmitTogether {
        /// The objects, in their order.
        objects: Vec<AnyObject>,
        /// Who sent them.
        actor: String,
    },
    /// Gives this revoked node the keys that the owner attests for it anew.
    ReplaceKeys {
        /// The owner's word for them.
        attestation: Box<Object<Signed<NodeAttestation>>>,
        /// The keys, stored already.
        keys: Box<OwnKeys>,
        /// Who gives them, for the chain.
        actor: String,
    },
    /// Hold the key of a zone that is about to be defined; it is stored already.
    HoldZoneKey {
        /// The zone.
        zone: ZoneId,
        /// Its key.
        key: ObjectIdKey,
    },
    /// Open a session for a principal that proves its key.
    OpenSession(SessionRequest),
    /// Close a session.
    CloseSession(SessionId),
    /// Mint tokens for calls outside the session.
    MintTokens {
        /// The session of whoever will hold them.
        session: SessionId,
        /// The connection it comes on.
        binding: ChannelBinding,
        /// What they are for.
        operations: BTreeSet<OperationId>,
    },
    /// Make a call.
    Invoke(CallRequest),
    /// Decide over a call and spend nothing.
    Simulate(CallRequest),
    /// Ask a person to approve a call.
    FileApproval {
        /// The call.
        call: CallRequest,
        /// What the caller says about it.
        note: Option<String>,
        /// Seconds in which it can be decided.
        valid_secs: u64,
    },
    /// Ask a person for a grant.
    FileGrantRequest(Box<GrantWish>),
    /// Make one call of a health operation with a credential, in the name of the operator who signed for it.
    TestCredential {
        /// The operator's word.
        test: Box<Object<Signed<CredentialTest>>>,
        /// Who sent it.
        actor: String,
    },
    /// Stop a call that is under way.
    Cancel {
        /// The call.
        call_id: CallId,
        /// Who asks; a principal may cancel only its own.
        by: Canceller,
    },
    /// Read a kept result: it joins the reader's context.
    ReadKept {
        /// The reader's session.
        session: SessionId,
        /// The connection it comes on.
        binding: ChannelBinding,
        /// The result.
        result: ObjectId,
        /// The result's zone, as stored.
        zone: ZoneId,
        /// Whose call made it, as stored.
        principal: PrincipalId,
        /// Its label, as stored.
        label: Label,
    },
    /// Open a fresh context for a principal.
    OpenContext {
        /// Whose.
        principal: PrincipalId,
        /// Who opens it.
        actor: String,
    },
    /// Make the read that shows what a call of unknown outcome did, in the name of the operator who signed for it, and settle
    /// the call if the answer says enough.
    ProbeOutcome {
        /// The operator's word.
        probe: Box<Object<Signed<OutcomeProbe>>>,
        /// The call, as it was stored.
        doubtful: Box<DoubtfulCall>,
        /// Who sent it.
        actor: String,
    },
    /// Say what became of a call whose outcome is unknown.
    Settle {
        /// The call's intent.
        intent: ObjectId,
        /// What it turned out to have done.
        effect: Effect,
        /// What the person says.
        note: Option<String>,
        /// Who says so.
        actor: String,
    },
    /// Tell the audit chain something that the host saw.
    Record {
        /// In which zone.
        zone: ZoneId,
        /// What.
        entry: Box<Entry>,
    },
}

/// Who cancels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canceller {
    /// An operator, by name.
    Operator(String),
    /// The holder of a session.
    Session(SessionId),
}

/// A principal that proves its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// Who.
    pub principal: PrincipalId,
    /// What it answers, which the host gave out once.
    pub challenge: Challenge,
    /// What binds the proof to the connection.
    pub binding: ChannelBinding,
    /// The proof.
    pub proof: Signature,
}

/// By what the caller of a call is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalledBy {
    /// A session, in which it proved its key before.
    Session {
        /// The session.
        id: SessionId,
        /// The connection it comes on.
        binding: ChannelBinding,
    },
    /// A token, and the proof of its holder's key for this very call.
    Token(HeldToken),
    /// The signed word of an operator, which stands in the place of a grant. The node alone makes such a call, once it has
    /// taken the word; it is refused to everyone who asks for one.
    Word(ObjectId),
}

/// A token, and what shows that whoever sends it holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldToken {
    /// The token's bytes.
    pub token: Vec<u8>,
    /// The proof, if there is one.
    pub proof: Option<HolderProof>,
}

/// The proof that a token's holder makes one call: a signed
/// [`CallProof`](fcp_proto_core::crypto::proof::CallProof).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderProof {
    /// What it answers, which the host gave out once.
    pub challenge: Challenge,
    /// The signature.
    pub signature: Signature,
}

impl fmt::Debug for HeldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldToken(redacted)")
    }
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRequest {
    /// Who calls.
    pub by: CalledBy,
    /// The zone, if not the principal's own.
    pub zone: Option<ZoneId>,
    /// The connector.
    pub connector: ConnectorId,
    /// The operation.
    pub operation: OperationId,
    /// The input, with kept results already put in, or why it cannot be read.
    pub input: Result<Json, Code>,
    /// Which parts of the input are kept results.
    pub handles: Vec<Handle>,
    /// The credential to use, where there are several.
    pub credential: Option<CredentialId>,
    /// The caller's idempotency key.
    pub idempotency_key: Option<String>,
    /// The approvals to spend, each of them and no other; empty means whichever is of this call.
    pub approvals: BTreeSet<ObjectId>,
    /// The longest it may take, in milliseconds, if less than the operation's own bound.
    pub deadline_ms: Option<u64>,
    /// Whether to keep the output behind a handle instead of showing it.
    pub keep: bool,
    /// The caller's trace.
    pub trace: Option<TraceContext>,
}

/// The grant that an agent wishes for.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantWish {
    /// The agent's session.
    pub session: SessionId,
    /// The connection it comes on.
    pub binding: ChannelBinding,
    /// The connector.
    pub connector: ConnectorId,
    /// The operations.
    pub operations: BTreeSet<OperationId>,
    /// What shall bound it.
    pub constraints: Constraints,
    /// How long it shall last, in seconds.
    pub lifetime_secs: u64,
    /// What the agent says about it.
    pub note: Option<String>,
    /// Seconds in which it can be decided.
    pub valid_secs: u64,
}

/// A part of an input that is a kept result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Where it stands.
    pub at: Pointer,
    /// The result.
    pub result: ObjectId,
    /// The zone it is kept in.
    pub zone: ZoneId,
    /// Whose call made it.
    pub principal: PrincipalId,
    /// Its label.
    pub label: Label,
}

/// What a request for approval shows to whoever files it.
#[derive(Clone, Debug, PartialEq)]
pub struct FiledApproval {
    /// The request's object id.
    pub id: ObjectId,
    /// The request.
    pub request: ApprovalRequest,
}
