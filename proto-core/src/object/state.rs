//! A connector's state that outlives its process: one chain under a lease, or deltas that merge in any order.

use core::fmt;

use super::{Certified, Header, Lease, LeasePurpose, Object, Schema, Signed, SignedBody};
use crate::crypto::role::Node;
use crate::crypto::sign::VerifyingKey;
use crate::encoding::cbor::{self, Bounded, ByteString, ShapeError};
use crate::ids::{ConnectorId, NodeId, ObjectId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map, cbor_tagged};

/// The largest state that one writer keeps, in bytes: a cursor, not a database.
pub const MAX_CURSOR_STATE_BYTES: usize = 64 * 1024;
/// The largest branch of a merged state, in bytes.
pub const MAX_CRDT_BRANCH_BYTES: usize = 4 * 1024 * 1024;

cbor_enum! {
    /// How states that were written apart are merged.
    pub enum CrdtType {
        /// A map in which the last write of a key wins.
        LwwMap = "lww_map",
        /// A set of which only seen elements can be removed.
        OrSet = "or_set",
        /// A counter that grows.
        GCounter = "g_counter",
        /// A counter that grows and shrinks.
        PnCounter = "pn_counter",
    }
}

cbor_tagged! {
    /// How a connector keeps state.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum StateModel {
        /// Not at all.
        Stateless = "stateless" {},
        /// One writer at a time, under a lease.
        SingletonWriter = "singleton_writer" {},
        /// Any number of writers, whose deltas merge.
        Crdt = "crdt" {
            /// How.
            crdt_type: CrdtType,
        },
    }
}

cbor_map! {
    /// Whose state it is, in the zone of the header.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StateOwner {
        /// The connector.
        pub connector_id: ConnectorId,
        /// The instance, if the connector has several.
        pub instance_id: Option<alloc::string::String>,
    }
}

cbor_map! {
    /// Where a connector's state begins; signed by a node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StateRoot {
        /// Whose.
        pub owner: StateOwner,
        /// How it is kept.
        pub model: StateModel,
        /// The newest state; absent while there is none.
        pub head: Option<ObjectId>,
        /// The version of the state's own shape.
        pub state_schema_version: u32,
    }
    => StateRoot::check
}

impl StateRoot {
    fn check(&self) -> Result<(), ShapeError> {
        match (&self.model, self.head) {
            (StateModel::Stateless {}, Some(_)) => {
                Err(ShapeError::Invalid("what keeps no state has no head"))
            }
            (StateModel::Stateless {}, None)
            | (StateModel::SingletonWriter {} | StateModel::Crdt { .. }, _) => Ok(()),
        }
    }
}

impl SignedBody for StateRoot {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector-state", name: "root", version: "1.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        refers_to(header, self.head)
    }
}

cbor_map! {
    /// A state of a connector with one writer; signed by the writer.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StateObject {
        /// Whose.
        pub owner: StateOwner,
        /// The state before; absent at the first.
        pub prev: Option<ObjectId>,
        /// 0, then one more each.
        pub seq: u64,
        /// The state as canonical CBOR.
        pub state_cbor: Bounded<ByteString, MAX_CURSOR_STATE_BYTES>,
        /// When it was written.
        pub updated_at: UnixTime,
        /// The fencing token under which it was written.
        pub lease_seq: u64,
        /// The lease under which it was written.
        pub lease_object_id: ObjectId,
        /// The key that signs it, which is also the key that verified the right to write.
        pub writer_public_key: VerifyingKey<Node>,
    }
    => StateObject::check
}

impl StateObject {
    //= docs/spec/objects.md#connector-state
    fn check(&self) -> Result<(), ShapeError> {
        if (self.seq == 0) != self.prev.is_none() {
            return Err(ShapeError::Invalid("every state but number 0 names the one before"));
        }
        canonical(self.state_cbor.get())
    }
}

impl SignedBody for StateObject {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector-state", name: "object", version: "1.0.0" };

    //= docs/spec/objects.md#connector-state
    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        refers_to(header, self.prev).and_then(|()| refers_to(header, Some(self.lease_object_id)))
    }
}

/// Why a state is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It belongs to another connector, instance or zone.
    OwnerMismatch,
    /// It does not name the state before it, or its number does not follow.
    Conflict,
    /// It was written under an older lease than the state before it, or under another than it names.
    Fenced,
    /// The lease is for something else.
    PurposeMismatch,
    /// The key that signed it is not the writer's.
    WriterMismatch,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerMismatch => "the state belongs to another connector, instance or zone",
            Self::Conflict => "the state does not follow the one before it",
            Self::Fenced => "the state was written under a lease that is no longer the newest",
            Self::PurposeMismatch => "the lease is not for writing a connector's state",
            Self::WriterMismatch => "the key that signed the state is not the writer's",
        })
    }
}

impl core::error::Error for StateError {}

impl Object<Signed<StateObject>> {
    /// Whether this state follows `last`, whose identity is `last_id`.
    ///
    /// # Errors
    /// The first rule that does not hold.
    //= docs/spec/objects.md#connector-state
    pub fn follows(&self, last_id: ObjectId, last: &Self) -> Result<(), StateError> {
        let (this, before) = (&self.body.fields, &last.body.fields);
        if this.owner != before.owner || self.header.zone_id != last.header.zone_id {
            return Err(StateError::OwnerMismatch);
        }
        if this.prev != Some(last_id) || before.seq.checked_add(1) != Some(this.seq) {
            return Err(StateError::Conflict);
        }
        if this.lease_seq < before.lease_seq {
            return Err(StateError::Fenced);
        }
        Ok(())
    }

    /// Whether the state was written under `lease`, whose identity is `lease_id`, by its holder's key `writer`. Whether the
    /// lease itself can be relied on is the lease's own question.
    ///
    /// # Errors
    /// The first rule that does not hold.
    //= docs/spec/objects.md#connector-state
    pub fn fenced_by(
        &self,
        lease_id: ObjectId,
        lease: &Object<Certified<Lease>>,
        writer: &VerifyingKey<Node>,
    ) -> Result<(), StateError> {
        let (this, lease_fields) = (&self.body.fields, &lease.body.fields);
        if lease.header.zone_id != self.header.zone_id {
            return Err(StateError::OwnerMismatch);
        }
        if lease_fields.purpose != LeasePurpose::ConnectorStateWrite {
            return Err(StateError::PurposeMismatch);
        }
        if (this.lease_object_id, this.lease_seq) != (lease_id, lease_fields.lease_seq) {
            return Err(StateError::Fenced);
        }
        if this.writer_public_key != *writer || self.body.signer != writer.key_id() {
            return Err(StateError::WriterMismatch);
        }
        Ok(())
    }
}

cbor_map! {
    /// A change of a merged state; signed by the node that made it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StateDelta {
        /// Whose.
        pub owner: StateOwner,
        /// How it merges.
        pub crdt_type: CrdtType,
        /// The change as canonical CBOR.
        pub delta_cbor: Bounded<ByteString, MAX_CRDT_BRANCH_BYTES>,
        /// When it was made.
        pub applied_at: UnixTime,
        /// By whom.
        pub applied_by: NodeId,
    }
    => StateDelta::check
}

impl StateDelta {
    fn check(&self) -> Result<(), ShapeError> {
        canonical(self.delta_cbor.get())
    }
}

impl SignedBody for StateDelta {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector-state", name: "delta", version: "1.0.0" };
}

cbor_map! {
    /// The whole state at one point of its chain, so that what led to it may be forgotten; signed by a node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StateSnapshot {
        /// Whose.
        pub owner: StateOwner,
        /// The state or delta that it covers, with all before it.
        pub covers_head: ObjectId,
        /// Its number.
        pub covers_seq: u64,
        /// The state as canonical CBOR.
        pub state_cbor: Bounded<ByteString, MAX_CRDT_BRANCH_BYTES>,
        /// When it was taken.
        pub snapshotted_at: UnixTime,
    }
    => StateSnapshot::check
}

impl StateSnapshot {
    fn check(&self) -> Result<(), ShapeError> {
        canonical(self.state_cbor.get())
    }
}

impl SignedBody for StateSnapshot {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector-state", name: "snapshot", version: "1.0.0" };

    /// What a snapshot covers is not in `refs`: it is what may be forgotten.
    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if header.refs.contains(&self.covers_head) {
            Err(ShapeError::Invalid("a snapshot does not keep what it covers"))
        } else {
            Ok(())
        }
    }
}

/// A state is an item of its own, and as canonical as what it stands in.
fn canonical(bytes: &ByteString) -> Result<(), ShapeError> {
    cbor::decode(&bytes.0).map(drop).map_err(ShapeError::Cbor)
}

fn refers_to(header: &Header, id: Option<ObjectId>) -> Result<(), ShapeError> {
    if id.is_none_or(|id| header.refs.contains(&id)) {
        Ok(())
    } else {
        Err(ShapeError::Invalid("a state refers to what it names"))
    }
}
