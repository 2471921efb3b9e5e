//! The writer: reads what a quorum has, writes it again under its own lease, and then one state after the other.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::{self, Bounded, ByteString};
use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Body, Certified, Header, Lease, Object, Signed, StateObject, StateSnapshot};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, default_level};

use super::messages::{Output, Refusal, WriteError};
use super::state::{Seat, Written};

/// One member's writing, in this run alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    open: Option<Open>,
    next_round: u64,
}

#[derive(Clone, Debug)]
struct Open {
    round: u64,
    lease: Box<Object<Certified<Lease>>>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// What the members answered.
    Reading(BTreeMap<NodeId, Option<Box<Written>>>),
    /// A state is on its way to a quorum; the first one under this lease was not asked for.
    Writing { id: ObjectId, written: Box<Written>, stored: BTreeSet<NodeId>, first: bool },
    /// The newest state is durable at a quorum; none if there is none.
    Ready(Option<(ObjectId, Box<Written>)>),
}

impl Writer {
    pub(super) fn open(&mut self, lease: Object<Certified<Lease>>) -> u64 {
        let round = self.next_round;
        self.next_round = round.wrapping_add(1);
        self.open = Some(Open { round, lease: Box::new(lease), phase: Phase::Reading(BTreeMap::new()) });
        round
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Takes an answer. When a quorum has answered, the newest state is to be written again.
    //= docs/spec/replica.md#opening
    pub(super) fn on_answer(
        &mut self,
        from: &NodeId,
        round: u64,
        newest: Option<Box<Written>>,
        now: UnixTime,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> Option<Written> {
        let open = self.open.as_mut().filter(|open| open.round == round)?;
        let Phase::Reading(answers) = &mut open.phase else { return None };
        if newest.as_ref().is_some_and(|newest| newest.verify(seat).is_none()) {
            return None;
        }
        answers.insert(from.clone(), newest);
        if answers.len() < seat.electorate.quorum() {
            return None;
        }
        let known = answers.values().flatten().map(|newest| &**newest);
        let Some(newest) = known.max_by_key(|written| (written.token(), written.seq())).cloned() else {
            open.phase = Phase::Ready(None);
            out.push(Output::Ready);
            return None;
        };
        let (id, state) = (newest.id(seat.ids)?, newest.state.body.fields.state_cbor.get().0.clone());
        open.phase = Phase::Ready(Some((id, Box::new(newest))));
        open.begin(state, now, seat, true).ok()
    }

    pub(super) fn write(
        &mut self,
        state_cbor: Vec<u8>,
        now: UnixTime,
        seat: &Seat<'_>,
    ) -> Result<Written, WriteError> {
        let open = self.open.as_mut().ok_or(WriteError::NotOpen)?;
        open.begin(state_cbor, now, seat, false)
    }

    /// Counts a sink that has the state. The state, once a quorum has.
    //= docs/spec/replica.md#writing
    pub(super) fn on_stored(
        &mut self,
        from: &NodeId,
        stored_id: ObjectId,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> Option<Written> {
        let open = self.open.as_mut()?;
        let Phase::Writing { id, written, stored, first } = &mut open.phase else { return None };
        if *id != stored_id {
            return None;
        }
        stored.insert(from.clone());
        if stored.len() < seat.electorate.quorum() {
            return None;
        }
        out.push(if *first { Output::Ready } else { Output::Committed(*id) });
        let committed = (**written).clone();
        open.phase = Phase::Ready(Some((*id, written.clone())));
        Some(committed)
    }

    /// Who is fenced, or meets a pause, has nothing more to write.
    //= docs/spec/replica.md#fencing
    pub(super) fn on_refuse(&mut self, why: &Refusal) {
        match why {
            Refusal::Fenced(token) => {
                self.open.take_if(|open| open.lease.body.fields.lease_seq < *token);
            }
            Refusal::Invalid | Refusal::Old | Refusal::Discarded | Refusal::Paused => {}
        }
    }
}

impl Open {
    fn begin(
        &mut self,
        state_cbor: Vec<u8>,
        now: UnixTime,
        seat: &Seat<'_>,
        first: bool,
    ) -> Result<Written, WriteError> {
        let before = match &self.phase {
            Phase::Reading(_) => return Err(WriteError::NotOpen),
            Phase::Writing { .. } => return Err(WriteError::Busy),
            Phase::Ready(before) => before.as_ref(),
        };
        let written = compose(before, &self.lease, state_cbor, now, seat)?;
        let id = written.id(seat.ids).ok_or(WriteError::Shape)?;
        let stored = BTreeSet::new();
        self.phase = Phase::Writing { id, written: Box::new(written.clone()), stored, first };
        Ok(written)
    }
}

//= docs/spec/replica.md#writing
fn compose(
    before: Option<&(ObjectId, Box<Written>)>,
    lease: &Object<Certified<Lease>>,
    state_cbor: Vec<u8>,
    now: UnixTime,
    seat: &Seat<'_>,
) -> Result<Written, WriteError> {
    cbor::decode(&state_cbor).map_err(|_| WriteError::Shape)?;
    let lease_id = lease.store().and_then(|it| it.id(seat.ids)).map_err(|_| WriteError::Shape)?;
    let prev = before.map(|(id, _)| *id);
    let fields = StateObject {
        owner: seat.owner.clone(),
        prev,
        seq: before.map_or(0, |(_, written)| written.seq().saturating_add(1)),
        state_cbor: Bounded::new(ByteString(state_cbor)).map_err(|_| WriteError::Shape)?,
        updated_at: now,
        lease_seq: lease.body.fields.lease_seq,
        lease_object_id: lease_id,
        writer_public_key: seat.key.verifying_key(),
    };
    let refs = prev.into_iter().chain([lease_id]);
    let header = header::<Signed<StateObject>>(now, seat).with_refs(refs);
    let state = Object::sign(header, fields, seat.key).map_err(|_| WriteError::Shape)?;
    Ok(Written { state, lease: lease.clone() })
}

/// The snapshot that covers `written` and all before it.
//= docs/spec/replica.md#snapshots
pub(super) fn snapshot(
    written: &Written,
    id: ObjectId,
    now: UnixTime,
    seat: &Seat<'_>,
) -> Option<Object<Signed<StateSnapshot>>> {
    let fields = StateSnapshot {
        owner: seat.owner.clone(),
        covers_head: id,
        covers_seq: written.seq(),
        state_cbor: Bounded::new(written.state.body.fields.state_cbor.get().clone()).ok()?,
        snapshotted_at: now,
    };
    Object::sign(header::<Signed<StateSnapshot>>(now, seat), fields, seat.key).ok()
}

fn header<T: Body>(now: UnixTime, seat: &Seat<'_>) -> Header {
    let level = default_level(seat.zone);
    let label = Label { confidentiality: level, ..Label::trusted(level) };
    Header::new(&T::SCHEMA, seat.zone, now, label, None)
}
