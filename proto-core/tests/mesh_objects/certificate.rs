//! A certificate is the word of enough of the right nodes, each once.

use fcp_proto_core::object::{
    CertificateError, Certified, DeviceEnrolment, Signed, ZoneAuditHead, ZoneRevocationHead,
};

use super::{after, at, certified, id, key, members, node, refuses, sample};

type Head = Certified<ZoneRevocationHead>;

//= docs/spec/objects.md#certificates
#[test]
fn members_certify_if_there_are_enough() {
    let head = sample::<Head>();
    assert_eq!(head.verify(&members(), 3), Ok(()));
    assert_eq!(head.verify(&members(), 4), Err(CertificateError::TooFew { have: 3, need: 4 }));
}

//= docs/spec/objects.md#certificates
#[test]
fn nobodys_word_is_never_enough() {
    let head = certified(&sample::<Head>(), &[]);
    assert_eq!(head.verify(&members(), 0), Err(CertificateError::TooFew { have: 0, need: 1 }));
}

//= docs/spec/objects.md#certificates
#[test]
fn the_word_of_others_does_not_count() {
    let mut fewer = members();
    fewer.remove(&node("phone"));
    let said = sample::<Head>().verify(&fewer, 1);
    assert_eq!(said, Err(CertificateError::UnknownSigner(node("phone"))));
    let forged = certified(&sample::<Head>(), &[("laptop", 99)]);
    assert_eq!(forged.verify(&members(), 1), Err(CertificateError::SignatureInvalid(node("laptop"))));
}

#[test]
fn a_signature_covers_header_fields_node_and_time() {
    let head = certified(&sample::<Head>(), &[("laptop", 3)]);
    assert_eq!(head.verify(&members(), 1), Ok(()));
    let invalid = Err(CertificateError::SignatureInvalid(node("laptop")));
    let mut header = head.clone();
    header.header.created_at = at(1);
    assert_eq!(header.verify(&members(), 1), invalid);
    let mut fields = head.clone();
    fields.body.fields.head_seq += 1;
    assert_eq!(fields.verify(&members(), 1), invalid);
    let mut vote = head.body.quorum_signatures.as_slice()[0].clone();
    vote.signed_at = at(10);
    let mut dated = certified(&head, &[]);
    dated.body.quorum_signatures.insert(vote.clone()).expect("the first");
    assert_eq!(dated.verify(&members(), 1), invalid);
    vote.node_id = node("phone");
    let mut renamed = certified(&head, &[]);
    renamed.body.quorum_signatures.insert(vote).expect("the first");
    assert_eq!(renamed.verify(&members(), 1), Err(CertificateError::SignatureInvalid(node("phone"))));
}

//= docs/spec/objects.md#certificates
#[test]
fn a_node_signs_once() {
    let mut head = sample::<Head>();
    let again = head.vote(&node("laptop"), at(20), &key(3)).expect("small");
    let said = head.body.quorum_signatures.insert(again);
    assert_eq!(said, Err(CertificateError::DuplicateSigner(node("laptop"))));
}

//= docs/spec/objects.md#certified-heads
#[test]
fn heads_agree_with_themselves() {
    refuses::<Head>(|head| head.body.fields.head_seq = 0);
    refuses::<Head>(|head| head.body.fields.head_event = None);
    refuses::<Head>(|head| head.header.refs = vec![id(99)]);
    refuses::<Certified<ZoneAuditHead>>(|head| head.body.fields.coverage_bps = 10_001);
    refuses::<Certified<ZoneAuditHead>>(|head| head.header.refs.clear());
    let head = sample::<Head>().body.fields;
    assert!(head.is_covered_by(2) && !head.is_covered_by(1));
}

//= docs/spec/objects.md#devices
#[test]
fn a_device_holds_what_it_is_let_into_while_it_is() {
    refuses::<Signed<DeviceEnrolment>>(|it| it.body.fields.allowed_zones.clear());
    refuses::<Signed<DeviceEnrolment>>(|it| it.body.fields.expires_at = Some(at(0)));
    let device = sample::<Signed<DeviceEnrolment>>().body.fields;
    let zone = |name: &str| name.parse().expect("a zone");
    assert!(device.permits(&zone("z:work"), at(0)));
    assert!(!device.permits(&zone("z:owner"), at(0)), "another zone");
    assert!(!device.permits(&zone("z:work"), at(86_400)), "over");
    let early = fcp_proto_core::time::UnixTime::from_secs(0);
    assert!(!device.permits(&zone("z:work"), early), "not yet");
    assert_eq!(after::<Signed<DeviceEnrolment>>(|it| it.body.fields.stores_symbols.clear()), Ok(()));
}
