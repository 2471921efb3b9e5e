//! Messages are bounded, and answers answer.

use fcp_proto_core::encoding::cbor::{Bounded, ByteString, ShapeError};
use fcp_proto_core::object::gossip::{ObjectNames, Sketch, SymbolNames, is_fresh};
use fcp_proto_core::object::{
    GossipAnswer, GossipRequest, GossipSummary, Object, ReconcileAnswer, ReconcileRequest, RevocationNotice,
    Role, Signed,
};
use fcp_proto_core::time::UnixTime;

use super::{MADE, after, at, id, node, refuses, sample};

//= docs/spec/objects.md#gossip
#[test]
fn a_message_lives_for_five_minutes() {
    let header = sample::<Signed<GossipSummary>>().header;
    let before = |seconds| UnixTime::from_secs(MADE - seconds);
    assert!(is_fresh(&header, at(0)) && is_fresh(&header, at(300)) && is_fresh(&header, before(30)));
    assert!(!is_fresh(&header, at(301)) && !is_fresh(&header, before(31)));
}

//= docs/spec/objects.md#gossip
#[test]
fn a_summary_is_bounded() {
    refuses::<Signed<GossipSummary>>(|it| it.body.fields.object_count = 10_001);
    refuses::<Signed<GossipSummary>>(|it| it.body.fields.symbol_count = 100_001);
    let sketch = |bytes| Sketch::new(ByteString(vec![0; bytes])).map(drop);
    assert_eq!((sketch(0), sketch(768), sketch(127_992)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(sketch(756), Err(ShapeError::WrongLength), "63 cells");
    assert_eq!(sketch(774), Err(ShapeError::WrongLength), "half a cell");
    assert_eq!(sketch(128_004), Err(ShapeError::OutOfRange));
}

#[test]
fn lists_hold_a_hundred_names() {
    let names = |count: u8| ObjectNames::new((0..count).map(id).collect()).map(drop);
    assert_eq!((names(100), names(101)), (Ok(()), Err(ShapeError::OutOfRange)));
    let none = || (ObjectNames::default(), SymbolNames::default());
    refuses::<Signed<GossipRequest>>(|it| (it.body.fields.objects, it.body.fields.symbols) = none());
    assert!(Bounded::<ByteString, 2>::new(ByteString(vec![0; 3])).is_err());
}

//= docs/spec/objects.md#gossip
#[test]
fn an_answer_speaks_of_what_was_asked() {
    let request = sample::<Signed<GossipRequest>>().body.fields;
    let answers = |change: &dyn Fn(&mut GossipAnswer)| {
        let mut answer = sample::<Signed<GossipAnswer>>().body.fields;
        change(&mut answer);
        answer.answers(&request)
    };
    assert!(answers(&|_| {}));
    assert!(!answers(&|it| it.exchange.request_id = [0; 16]), "another exchange");
    assert!(!answers(&|it| it.exchange.from = node("phone")), "another node");
    assert!(!answers(&|it| it.exchange.to = node("phone")), "to another node");
    assert!(!answers(&|it| it.objects = ObjectNames::new([id(99)].into()).expect("few")), "not asked for");
}

//= docs/spec/objects.md#gossip
#[test]
fn pages_go_on_where_the_last_one_ended() {
    type Answer = Signed<ReconcileAnswer>;
    let names = |bytes: &[u8]| ObjectNames::new(bytes.iter().copied().map(id).collect()).expect("few");
    refuses::<Answer>(|it| it.body.fields.wanted = names(&[3]));
    refuses::<Answer>(|it| it.body.fields.next = Some(id(3)));
    assert_eq!(after::<Answer>(|it| it.body.fields.next = None), Ok(()));
    let request = sample::<Signed<ReconcileRequest>>().body.fields;
    let answers = |change: &dyn Fn(&mut Object<Answer>)| {
        let mut answer = sample::<Answer>();
        change(&mut answer);
        answer.body.fields.answers(&request)
    };
    assert!(answers(&|_| {}));
    assert!(!answers(&|it| it.body.fields.exchange.request_id = [0; 16]));
    assert!(!answers(&|it| it.body.fields.wanted = names(&[1])), "on an earlier page");
    assert!(!answers(&|it| it.body.fields.offered = names(&[0])), "on an earlier page");
    assert!(!answers(&|it| it.body.fields.next = Some(id(1))), "the same page again");
}

//= docs/spec/objects.md#gossip
#[test]
fn a_notice_carries_a_revocation_and_nothing_else() {
    let other = sample::<Signed<Role>>().store().and_then(|it| it.to_bytes()).expect("small");
    let said = after::<Signed<RevocationNotice>>(|it| {
        it.body.fields.revocation = Bounded::new(ByteString(other)).expect("small");
    });
    assert_eq!(said, Err(ShapeError::SchemaMismatch));
    refuses::<Signed<RevocationNotice>>(|it| it.header.zone_id = "z:private".parse().expect("a zone"));
}
