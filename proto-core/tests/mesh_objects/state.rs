//! A connector's state has one writer at a time.

use fcp_proto_core::encoding::cbor::{Bounded, ByteString, ShapeError};
use fcp_proto_core::object::{
    Certified, Lease, LeasePurpose, MAX_CURSOR_STATE_BYTES, Object, Signed, StateDelta, StateError,
    StateModel, StateObject, StateRoot, StateSnapshot,
};

use super::{id, key, refuses, sample};

type State = Object<Signed<StateObject>>;

#[test]
fn a_state_is_canonical_and_small() {
    let half = || Bounded::new(ByteString(vec![0x18, 0x01])).expect("short");
    let said = super::after::<Signed<StateObject>>(|it| it.body.fields.state_cbor = half());
    assert!(matches!(said, Err(ShapeError::Cbor(_))), "{said:?}");
    let said = super::after::<Signed<StateDelta>>(|it| {
        it.body.fields.delta_cbor = Bounded::new(ByteString(vec![0x18, 0x01])).expect("short");
    });
    assert!(matches!(said, Err(ShapeError::Cbor(_))), "{said:?}");
    let said = super::after::<Signed<StateSnapshot>>(|it| {
        it.body.fields.state_cbor = Bounded::new(ByteString(vec![])).expect("short");
    });
    assert!(matches!(said, Err(ShapeError::Cbor(_))), "{said:?}");
    let long = Bounded::<_, MAX_CURSOR_STATE_BYTES>::new(ByteString(vec![0; 65_537]));
    assert_eq!(long, Err(ShapeError::OutOfRange));
}

#[test]
fn states_refer_to_what_they_name() {
    refuses::<Signed<StateObject>>(|it| {
        it.header.refs.remove(0);
    });
    refuses::<Signed<StateObject>>(|it| {
        it.header.refs.remove(1);
    });
    refuses::<Signed<StateObject>>(|it| it.body.fields.seq = 0);
    refuses::<Signed<StateObject>>(|it| it.body.fields.prev = None);
    refuses::<Signed<StateRoot>>(|it| it.header.refs.clear());
    refuses::<Signed<StateRoot>>(|it| it.body.fields.model = StateModel::Stateless {});
    refuses::<Signed<StateSnapshot>>(|it| it.header.refs.push(it.body.fields.covers_head));
}

fn follows(change: impl FnOnce(&mut State)) -> Result<(), StateError> {
    let last: State = sample();
    let mut next = last.clone();
    (next.body.fields.prev, next.body.fields.seq) = (Some(id(90)), 2);
    change(&mut next);
    next.follows(id(90), &last)
}

//= docs/spec/objects.md#connector-state
#[test]
fn a_state_follows_the_one_that_it_names_under_no_older_lease() {
    assert_eq!(follows(|_| {}), Ok(()));
    assert_eq!(follows(|it| it.body.fields.owner.instance_id = None), Err(StateError::OwnerMismatch));
    let zone = "z:private".parse().expect("a zone");
    assert_eq!(follows(|it| it.header.zone_id = zone), Err(StateError::OwnerMismatch));
    assert_eq!(follows(|it| it.body.fields.prev = Some(id(91))), Err(StateError::Conflict));
    assert_eq!(follows(|it| it.body.fields.seq = 3), Err(StateError::Conflict));
    assert_eq!(follows(|it| it.body.fields.lease_seq = 6), Err(StateError::Fenced));
    assert_eq!(follows(|it| it.body.fields.lease_seq = 8), Ok(()));
}

//= docs/spec/objects.md#connector-state
#[test]
fn a_state_is_written_under_its_lease_by_its_holder() {
    let fenced = |change: &dyn Fn(&mut State, &mut Object<Certified<Lease>>)| {
        let (mut state, mut lease) = (sample(), sample());
        change(&mut state, &mut lease);
        state.fenced_by(id(41), &lease, &key(3).verifying_key())
    };
    assert_eq!(fenced(&|_, _| {}), Ok(()));
    let zone = || "z:private".parse().expect("a zone");
    assert_eq!(fenced(&|_, lease| lease.header.zone_id = zone()), Err(StateError::OwnerMismatch));
    let other = LeasePurpose::ResourceAccess;
    assert_eq!(fenced(&|_, lease| lease.body.fields.purpose = other), Err(StateError::PurposeMismatch));
    assert_eq!(fenced(&|_, lease| lease.body.fields.lease_seq = 8), Err(StateError::Fenced));
    assert_eq!(fenced(&|state, _| state.body.fields.lease_object_id = id(1)), Err(StateError::Fenced));
    assert_eq!(fenced(&|state, _| state.body.signer = key(11).key_id()), Err(StateError::WriterMismatch));
    let writer = || key(11).verifying_key();
    assert_eq!(
        fenced(&|state, _| state.body.fields.writer_public_key = writer()),
        Err(StateError::WriterMismatch)
    );
}
