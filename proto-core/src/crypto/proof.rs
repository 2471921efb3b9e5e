//! Proofs of possession: who makes a call, who opens a session, who is to be enrolled.

use super::role::{HolderRole, KeyRole};
use super::sign::{Signature, SignatureInvalid, SigningKey, VerifyingKey};
use crate::cbor_map;
use crate::encoding::cbor::{CborError, MapBuilder, ToCbor, Value};
use crate::ids::{Digest, NodeId, PrincipalId, TokenId, ZoneId};

/// The schema of [`CallProof`] in what is signed.
pub const CALL_PROOF_SCHEMA: &str = "fcp.call-proof/1.0.0";

/// The schema of [`SessionProof`] in what is signed.
pub const SESSION_PROOF_SCHEMA: &str = "fcp.session-proof/1.0.0";

/// The schema of [`EnrolmentProof`] in what is signed.
pub const ENROLMENT_PROOF_SCHEMA: &str = "fcp.enrolment-proof/1.0.0";

/// A value from the daemon that may be answered once.
pub type Challenge = [u8; 32];

/// A value that both ends of one connection have and no other connection has.
pub type ChannelBinding = [u8; 32];

cbor_map! {
    /// What the holder of a token signs to make one call outside a session.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CallProof {
        /// The call.
        pub call_digest: Digest,
        /// The token it is made with.
        pub token_id: TokenId,
        /// The node it is made to.
        pub node_id: NodeId,
        /// The zone it is made in.
        pub audience: ZoneId,
        /// The daemon's challenge.
        pub challenge: Challenge,
    }
}

cbor_map! {
    /// What a principal signs to open a session on one connection.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SessionProof {
        /// Who opens it.
        pub principal_id: PrincipalId,
        /// The node it is opened with.
        pub node_id: NodeId,
        /// The connection it is opened on.
        pub channel_binding: ChannelBinding,
        /// The daemon's challenge.
        pub challenge: Challenge,
    }
}

cbor_map! {
    /// What a new principal signs to show that it has the key under which it is to be enrolled.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EnrolmentProof {
        /// The name it is enrolled under.
        pub principal_id: PrincipalId,
        /// The zone it is enrolled in.
        pub zone_id: ZoneId,
        /// The node that enrols it.
        pub node_id: NodeId,
        /// The daemon's challenge.
        pub challenge: Challenge,
    }
}

macro_rules! proof {
    ($name:ident, $schema:expr) => {
        impl $name {
            /// Signs this statement.
            ///
            /// # Errors
            /// None in practice: the statement is small.
            pub fn sign<R: HolderRole>(&self, key: &SigningKey<R>) -> Result<Signature, CborError> {
                key.sign_object($schema, &said_in(&R::ROLE, self.to_cbor()))
            }

            /// Checks that the holder of `key` signed this statement in that role.
            ///
            /// # Errors
            /// [`SignatureInvalid`].
            //= docs/spec/keys.md#proofs-of-possession
            pub fn verify<R: HolderRole>(
                &self,
                key: &VerifyingKey<R>,
                signature: &Signature,
            ) -> Result<(), SignatureInvalid> {
                key.verify_object($schema, &said_in(&R::ROLE, self.to_cbor()), signature)
            }
        }
    };
}

proof!(CallProof, CALL_PROOF_SCHEMA);
proof!(SessionProof, SESSION_PROOF_SCHEMA);
proof!(EnrolmentProof, ENROLMENT_PROOF_SCHEMA);

/// A statement together with the role in which it is made.
fn said_in<'a>(role: &'a KeyRole, statement: Value<'a>) -> Value<'a> {
    let mut map = MapBuilder::default();
    map.field("role", role);
    map.item("statement", statement);
    map.finish()
}
