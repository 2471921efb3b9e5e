//! What the members tell each other about strict calls, and what they want done.

use alloc::boxed::Box;
use alloc::vec::Vec;

use fcp_proto_core::cbor_map;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{Signature, SigningKey, VerifyingKey, signing_bytes};
use fcp_proto_core::encoding::cbor::ToCbor;
use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{
    Certified, Lease, Object, ObjectIdKey, OperationIntent, OperationReceipt, Settlement, Signed, SignedBody,
};

use crate::persist::BatchToken;
use crate::replica::chain::Seat;

/// A strict call that is about to be made, or may have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The call.
    pub intent: Object<Signed<OperationIntent>>,
    /// The lease under which it is made.
    pub lease: Object<Certified<Lease>>,
    /// Its number among those under this lease: 0, then one more each.
    pub number: u64,
    /// All numbers below are of calls that ended.
    pub low: u64,
    /// The holder's, over the call's name and the numbers: another member tells them to the next holder.
    pub signature: Signature,
}

cbor_map! {
    /// What a holder signs of a call beside its intent.
    struct Numbering {
        /// Its intent's name.
        pub intent: ObjectId,
        /// The lease's token.
        pub lease_seq: u64,
        /// The call's number.
        pub number: u64,
        /// Below which all have ended.
        pub low: u64,
    }
}

/// The schema text that the signature over a [`Numbering`] binds.
const NUMBERING: &str = "fcp.connector.StrictCall/1.0.0";

impl Numbering {
    fn signing_bytes(&self) -> Option<Vec<u8>> {
        signing_bytes(NUMBERING, &self.to_cbor()).ok()
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Who made it saw.
    Receipt(Box<Object<Signed<OperationReceipt>>>),
    /// A later holder found out, or the owner said.
    Settlement(Box<Object<Signed<Settlement>>>),
}

/// The end of a call, as a holder says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// The lease of the holder that says so.
    pub lease: Object<Certified<Lease>>,
}

impl Ended {
    /// The token of the holder that says so.
    pub const fn token(&self) -> u64 {
        self.lease.body.fields.lease_seq
    }
}

impl Open {
    /// The token under which the call is made.
    pub const fn token(&self) -> u64 {
        self.lease.body.fields.lease_seq
    }

    /// A call of this member under `lease`, numbered and signed; nothing if it has no encoding.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn sign(
        intent: Object<Signed<OperationIntent>>,
        lease: Object<Certified<Lease>>,
        (number, low): (u64, u64),
        (key, ids): (&SigningKey<Node>, &ObjectIdKey),
    ) -> Option<Self> {
        let name = intent.store().ok()?.id(ids).ok()?;
        let numbering = Numbering { intent: name, lease_seq: lease.body.fields.lease_seq, number, low };
        let signature = key.sign(&numbering.signing_bytes()?);
        Some(Self { intent, lease, number, low, signature })
    }

    /// The call's name, if the holder of `lease` signed it, and its numbers, for this connector under that lease.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn verify(&self, by: &VerifyingKey<Node>, seat: &Seat<'_>) -> Option<ObjectId> {
        let intent = &self.intent.body.fields;
        let own = intent.planned_by == self.lease.body.fields.holder
            && intent.lease_seq == Some(self.token())
            && intent.connector == seat.owner.connector_id
            && self.intent.header.zone_id == *seat.zone
            && self.low <= self.number;
        if !own || !is_signed(&self.intent, by) {
            return None;
        }
        let name = self.intent.store().ok()?.id(seat.ids).ok()?;
        let Self { number, low, .. } = *self;
        let numbering = Numbering { intent: name, lease_seq: self.token(), number, low };
        by.verify(&numbering.signing_bytes()?, &self.signature).is_ok().then_some(name)
    }
}

impl End {
    /// Which call it is the end of.
    pub const fn intent(&self) -> ObjectId {
        match self {
            Self::Receipt(receipt) => receipt.body.fields.intent,
            Self::Settlement(settlement) => settlement.body.fields.intent,
        }
    }

    /// Whether `key` signed it. Whose word a settlement rests on, who signs it has looked at.
    pub(super) fn is_by(&self, key: &VerifyingKey<Node>) -> bool {
        match self {
            Self::Receipt(receipt) => is_signed(receipt, key),
            Self::Settlement(settlement) => is_signed(settlement, key),
        }
    }
}

fn is_signed<T: SignedBody>(object: &Object<Signed<T>>, key: &VerifyingKey<Node>) -> bool {
    let verifies = |bytes: Vec<u8>| key.verify(&bytes, &object.body.signature).is_ok();
    object.body.signer == key.key_id() && object.signing_bytes().is_ok_and(verifies)
}

/// A message between two members; who sent it, the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To all: the sender is to hold now. What was begun and has no end?
    Ask {
        /// The holder's round, repeated in the answer.
        round: u64,
        /// Its lease, whose token fences those before.
        lease: Box<Object<Certified<Lease>>>,
    },
    /// To a holder: this; and no earlier holder's call is taken any more.
    Answer {
        /// The round of the question.
        round: u64,
        /// What has no end here.
        open: Vec<Open>,
        /// The ends that are remembered: elsewhere these calls may have none.
        ended: Vec<Ended>,
    },
    /// To all: this call is to be made.
    Intent(Box<Open>),
    /// To all: this is how a call ended.
    End(Box<Ended>),
    /// To a holder: its intent is durable here.
    Kept(ObjectId),
    /// To a holder: the end of that call is durable here.
    Closed(ObjectId),
    /// To a holder: its question, intent or end is refused.
    Refuse(Refusal),
}

/// Why a sink takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not come from the holder of a certified lease over this state, or is not signed by it.
    Invalid,
    /// A later holder is known, by its fencing token.
    Fenced(u64),
    /// The call has ended.
    Old,
    /// As many calls have no end as may have none.
    Full,
}

/// What is to become durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The lease of a holder: nothing of one before it is taken.
    Fence(Box<Object<Certified<Lease>>>),
    /// A call that is about to be made.
    Intent(Box<Open>),
    /// Its end: from now on the intent need not be kept.
    End(Box<Ended>),
}

/// What the machine wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable, then call `handle_stored`.
    Persist {
        /// Names the write.
        batch: BatchToken,
        /// What.
        kept: Kept,
    },
    /// Send this to a member, which may be this one.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Find out what this call did, which an earlier holder may have made: by a receipt of it that there is, by its probe,
    /// or by a person. Never make it again. Then say its end.
    Settle(Box<Open>),
    /// Strict calls may be begun.
    Serving,
    /// Make this call now, if the lease may still be used, with its token.
    Dispatch(ObjectId),
    /// Do not make this call, and say its end: it was not delivered.
    Withdraw(ObjectId),
    /// The end of this call is durable at a quorum.
    Ended(ObjectId),
    /// Write the connector's state, stop the connector, and say when the state is committed.
    Checkpoint,
    /// Give the lease back, to this member alone.
    Release {
        /// To whom.
        to: NodeId,
    },
    /// A later holder is known: nothing more is begun, and no call of this one counts on being the only one.
    Fenced(u64),
}
