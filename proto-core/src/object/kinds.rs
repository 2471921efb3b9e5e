//! Which kinds there are: those of a home, those that the devices of a mesh make together, and messages.

use super::{Body, Certified, Header, Object, Schema, Signed, StoredObject, TranscriptSigned};
use crate::encoding::cbor::{CborError, ShapeError};

/// Declares a closed set of kinds, which are told apart by their schemas.
macro_rules! kinds {
    ($(#[$set_meta:meta])* $set:ident { $($(#[$meta:meta])* $variant:ident($type:ty)),+ $(,)? }) => {
        $(#[$set_meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $set {
            $($(#[$meta])* $variant(Object<$type>),)+
        }

        impl $set {
            /// The schemas of the set.
            pub const SCHEMAS: &'static [Schema] = &[$(<$type as Body>::SCHEMA),+];

            /// Reads a stored object by its schema.
            ///
            /// # Errors
            /// [`ShapeError::UnknownVariant`] names a schema that is not of the set; else as [`StoredObject::open`].
            //= docs/spec/objects.md#layout
            //= docs/spec/kinds.md#kinds-of-objects
            pub fn open(stored: &StoredObject) -> Result<Self, ShapeError> {
                $(if stored.header.schema == <$type as Body>::SCHEMA.id() {
                    return stored.open().map(Self::$variant);
                })+
                Err(ShapeError::UnknownVariant(alloc::string::ToString::to_string(&stored.header.schema)))
            }

            /// The object as stored.
            ///
            /// # Errors
            /// As [`encode`](crate::encoding::cbor::encode).
            pub fn store(&self) -> Result<StoredObject, CborError> {
                match self { $(Self::$variant(object) => object.store(),)+ }
            }

            /// The header.
            pub fn header(&self) -> &Header {
                match self { $(Self::$variant(object) => &object.header,)+ }
            }
        }

        $(impl From<Object<$type>> for $set {
            fn from(object: Object<$type>) -> Self {
                Self::$variant(object)
            }
        })+
    };
}

kinds! {
    /// Any object of a home. One of another schema is refused by name, never skipped.
    AnyObject {
        /// The owner's key.
        OwnerRoot(Signed<super::OwnerRoot>),
        /// An operator's delegation.
        OperatorDelegation(Signed<super::OperatorDelegation>),
        /// A node's attestation.
        NodeAttestation(Signed<super::NodeAttestation>),
        /// The owner's devices.
        Membership(Signed<super::Membership>),
        /// A zone.
        ZoneDefinition(Signed<super::ZoneDefinition>),
        /// A zone's policy.
        ZonePolicy(Signed<super::ZonePolicy>),
        /// A role.
        Role(Signed<super::Role>),
        /// Who has a role.
        RoleAssignment(Signed<super::RoleAssignment>),
        /// Who has it no longer.
        RoleWithdrawal(Signed<super::RoleWithdrawal>),
        /// A principal's key.
        Enrolment(Signed<super::Enrolment>),
        /// A grant.
        Grant(Signed<super::Grant>),
        /// Leave that is asked for.
        GrantRequest(Signed<super::GrantRequest>),
        /// A refusal of such leave.
        GrantDenial(Signed<super::GrantDenial>),
        /// A revocation.
        Revocation(Signed<super::RevocationObject>),
        /// A link of the revocation chain.
        RevocationEvent(Signed<super::RevocationEvent>),
        /// The revocation chain's head.
        RevocationHead(Signed<super::RevocationHead>),
        /// A call that asks for an approval.
        ApprovalRequest(Signed<super::ApprovalRequest>),
        /// A decision over a request.
        ApprovalToken(Signed<super::ApprovalToken>),
        /// A call with its arguments.
        CallRecord(super::CallRecord),
        /// A call about to be dispatched.
        OperationIntent(Signed<super::OperationIntent>),
        /// A call's end.
        OperationReceipt(Signed<super::OperationReceipt>),
        /// A refusal.
        DecisionReceipt(Signed<super::DecisionReceipt>),
        /// Leave for one read that shows what a call did.
        OutcomeProbe(Signed<super::OutcomeProbe>),
        /// The end of an unknown outcome.
        Settlement(Signed<super::Settlement>),
        /// A link of the audit chain.
        AuditEvent(super::AuditEvent),
        /// The audit chain's head.
        AuditHead(Signed<super::AuditHead>),
        /// An installed connector.
        ConnectorInstall(Signed<super::ConnectorInstall>),
        /// Whether a connector may run.
        ConnectorState(Signed<super::ConnectorState>),
        /// A wall the owner lowered.
        OwnerException(Signed<super::OwnerException>),
        /// A credential's description.
        CredentialRecord(Signed<super::CredentialRecord>),
        /// Leave for one call that tries a credential.
        CredentialTest(Signed<super::CredentialTest>),
        /// A fresh context.
        ContextOpened(super::ContextOpened),
        /// What a principal read.
        ContextEntry(super::ContextEntry),
        /// A result kept behind a handle.
        KeptResult(super::KeptResult),
    }
}

kinds! {
    //= docs/spec/objects.md#of-a-mesh
    /// Any object that the devices of a mesh make together. A home does not take them.
    MeshObject {
        /// The owner's next key.
        OwnerSuccession(Signed<super::OwnerSuccession>),
        /// A device let in.
        DeviceEnrolment(Signed<super::DeviceEnrolment>),
        /// A zone's keys.
        ZoneKeyManifest(Signed<super::ZoneKeyManifest>),
        /// The end of a revocation chain.
        ZoneRevocationHead(Certified<super::ZoneRevocationHead>),
        /// The end of an audit chain.
        ZoneAuditHead(Certified<super::ZoneAuditHead>),
        /// Where a zone stands.
        ZoneCheckpoint(Certified<super::ZoneCheckpoint>),
        /// A checkpoint to vote on.
        CheckpointProposal(Signed<super::CheckpointProposal>),
        /// Two checkpoints in one place.
        CheckpointFork(Signed<super::CheckpointFork>),
        /// A lease.
        Lease(Certified<super::Lease>),
        /// A lease's passing on.
        LeaseHandoff(Signed<super::LeaseHandoff>),
        /// Where a connector's state begins.
        StateRoot(Signed<super::StateRoot>),
        /// A connector's state.
        StateObject(Signed<super::StateObject>),
        /// A change of a merged state.
        StateDelta(Signed<super::StateDelta>),
        /// A connector's whole state.
        StateSnapshot(Signed<super::StateSnapshot>),
        /// A sealed secret.
        SecretObject(Signed<super::SecretObject>),
        /// A shared secret.
        ThresholdSecretObject(Signed<super::ThresholdSecretObject>),
        /// The right to use a secret.
        SecretAccessToken(Signed<super::SecretAccessToken>),
        /// Where a computation stands.
        ComputationCheckpoint(Signed<super::ComputationCheckpoint>),
        /// The chunks of an object.
        ChunkManifest(Signed<super::ChunkManifest>),
        /// A chunk of an object.
        RawChunk(super::RawChunk),
    }
}

kinds! {
    //= docs/spec/objects.md#messages
    /// Any message of gossip; never stored.
    GossipMessage {
        /// What a node has.
        Summary(Signed<super::GossipSummary>),
        /// Which of these are there?
        Request(Signed<super::GossipRequest>),
        /// These are.
        Answer(Signed<super::GossipAnswer>),
        /// What is different?
        ReconcileRequest(Signed<super::ReconcileRequest>),
        /// This is.
        ReconcileAnswer(Signed<super::ReconcileAnswer>),
        /// An urgent revocation.
        RevocationNotice(Signed<super::RevocationNotice>),
        /// It is kept to.
        RevocationWitness(Signed<super::RevocationWitness>),
    }
}

kinds! {
    //= docs/spec/objects.md#messages
    /// Any message about symbols; never stored.
    SymbolMessage {
        /// These symbols are to be had.
        Offer(Signed<super::SymbolOffer>),
        /// Send these.
        Request(TranscriptSigned<super::SymbolRequest>),
        /// So far it has come.
        DecodeStatus(TranscriptSigned<super::DecodeStatus>),
        /// Send no more.
        Ack(TranscriptSigned<super::SymbolAck>),
        /// Nothing is sent.
        Refusal(Signed<super::SymbolRefusal>),
    }
}
