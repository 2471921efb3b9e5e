//! Messages are bounded, and answers answer.

use fcp_proto_core::encoding::cbor::{Bounded, ByteString, ShapeError};
use fcp_proto_core::object::gossip::{Finding, ObjectNames, Question, Sketch, SymbolNames, is_fresh};
use fcp_proto_core::object::{
    GossipAnswer, GossipRequest, GossipSummary, ReconcileAnswer, ReconcileRequest, RevocationNotice, Role,
    Signed,
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
//= docs/spec/sketches.md#filters
#[test]
fn a_filter_is_a_filter() {
    let filter = |bytes| Bounded::new(ByteString(bytes)).expect("short");
    refuses::<Signed<GossipSummary>>(|it| it.body.fields.object_filter = filter(vec![0; 20]));
    refuses::<Signed<GossipSummary>>(|it| {
        it.body.fields.symbol_filter = Bounded::new(ByteString(vec![1])).expect("short")
    });
    assert_eq!(
        after::<Signed<GossipSummary>>(|it| it.body.fields.object_filter = filter(Vec::new())),
        Ok(())
    );
}

fn cells(after: u32, count: u32) -> Question {
    Question::Cells { salt: [0; 32], after, count }
}

fn names_of(keys: usize) -> Question {
    Question::Names { salt: [0; 32], keys: Bounded::new(ByteString(vec![0; keys * 8])).expect("few") }
}

fn some_cells(after: u32, count: usize) -> Finding {
    Finding::Cells { after, cells: Bounded::new(ByteString(vec![0; count * 12])).expect("few") }
}

//= docs/spec/objects.md#gossip
#[test]
fn questions_are_bounded() {
    type Request = Signed<ReconcileRequest>;
    refuses::<Request>(|it| it.body.fields.question = cells(0, 0));
    refuses::<Request>(|it| it.body.fields.question = cells(262_100, 45));
    refuses::<Request>(|it| it.body.fields.question = cells(u32::MAX, 1));
    assert_eq!(after::<Request>(|it| it.body.fields.question = cells(262_100, 44)), Ok(()));
    let no_keys = after::<Request>(|it| it.body.fields.question = names_of(0));
    let no_cells = after::<Signed<ReconcileAnswer>>(|it| it.body.fields.finding = some_cells(0, 0));
    assert_eq!((no_keys, no_cells), (Err(ShapeError::WrongLength), Err(ShapeError::WrongLength)));
    refuses::<Signed<ReconcileAnswer>>(|it| {
        it.body.fields.finding = Finding::Page { names: ObjectNames::default(), more: true };
    });
}

//= docs/spec/objects.md#gossip
#[test]
fn a_finding_answers_its_question() {
    let request = |question| {
        let mut request = sample::<Signed<ReconcileRequest>>().body.fields;
        request.question = question;
        request
    };
    let answers = |finding, question| {
        let mut answer = sample::<Signed<ReconcileAnswer>>().body.fields;
        answer.finding = finding;
        answer.answers(&request(question))
    };
    let names = |bytes: &[u8]| ObjectNames::new(bytes.iter().copied().map(id).collect()).expect("few");
    assert!(answers(some_cells(7, 3), cells(7, 3)) && answers(some_cells(8, 1), cells(7, 3)));
    assert!(!answers(some_cells(6, 1), cells(7, 3)), "earlier cells");
    assert!(!answers(some_cells(8, 3), cells(7, 3)), "later cells");
    assert!(answers(Finding::Names { names: names(&[1, 2]) }, names_of(2)));
    assert!(!answers(Finding::Names { names: names(&[1, 2, 3]) }, names_of(2)), "more names than keys");
    let page = |bytes: &[u8]| Finding::Page { names: names(bytes), more: false };
    assert!(answers(page(&[3, 4]), Question::Page { after: Some(id(2)) }));
    assert!(!answers(page(&[2, 4]), Question::Page { after: Some(id(2)) }), "the page before");
    assert!(!answers(page(&[3]), names_of(1)) && answers(Finding::Gone {}, names_of(1)));
    let mut other = sample::<Signed<ReconcileAnswer>>().body.fields;
    other.exchange.request_id = [0; 16];
    assert!(!other.answers(&request(cells(64, 200))), "another exchange");
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
