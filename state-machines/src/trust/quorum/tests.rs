//! The rules on every size of mesh, and what certificates of an epoch refuse.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::{
    Body, CertificateError, Certified, FaultModel, Header, Membership, NodeSignature, Object,
    ZoneRevocationHead,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level, SafetyTier};
use zeroize::Zeroizing;

use super::*;

fn node(i: usize) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

fn key(i: usize) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([u8::try_from(i).unwrap(); 32]))
}

fn keys(n: usize) -> BTreeMap<NodeId, VerifyingKey<Node>> {
    (0..n).map(|i| (node(i), key(i).verifying_key())).collect()
}

fn membership(n: usize, fault_model: FaultModel) -> Membership {
    Membership { epoch: 7, nodes: (0..n).map(node).collect(), fault_model }
}

fn electorate(n: usize, fault_model: FaultModel) -> Electorate {
    Electorate::new(&membership(n, fault_model), &keys(n)).unwrap()
}

#[test]
fn the_quorum_of_each_size_is_the_tables() {
    //= docs/spec/quorum.md#fault-models
    let crash = [(1, 0, 1), (2, 0, 2), (3, 1, 2), (4, 1, 3), (5, 2, 3), (6, 2, 4), (7, 3, 4), (9, 4, 5)];
    let byzantine = [(4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (8, 2, 6), (9, 2, 6), (10, 3, 7)];
    for (model, table) in [(FaultModel::Crash, &crash[..]), (FaultModel::Byzantine, &byzantine[..])] {
        for &(n, faults, quorum) in table {
            let mesh = electorate(n, model);
            assert_eq!((mesh.faults(), mesh.quorum()), (faults, quorum), "{model:?}, {n} members");
        }
    }
}

#[test]
fn two_quorums_share_a_member_that_does_not_lie_and_faults_leave_one() {
    //= docs/spec/quorum.md#fault-models
    for n in 1..200 {
        for model in [FaultModel::Crash, FaultModel::Byzantine] {
            let Ok(mesh) = Electorate::new(&membership(n, model), &many(n)) else {
                assert!(model == FaultModel::Byzantine && n < 4, "{n} members");
                continue;
            };
            assert!(2 * mesh.quorum() > n + mesh.liars(), "{model:?}, {n} members: two quorums");
            assert!(n - mesh.faults() >= mesh.quorum(), "{model:?}, {n} members: the others can decide");
            assert!(2 * (mesh.quorum() - 1) <= n + mesh.liars(), "{model:?}, {n} members: no fewer do");
        }
    }
}

/// One key for all: the rules count members, and deriving keys takes long.
fn many(n: usize) -> BTreeMap<NodeId, VerifyingKey<Node>> {
    let one = key(1).verifying_key();
    (0..n).map(|i| (node(i), one)).collect()
}

#[test]
fn a_membership_that_can_decide_nothing_makes_no_electorate() {
    //= docs/spec/quorum.md#eligibility
    let none = Electorate::new(&membership(0, FaultModel::Crash), &keys(3));
    assert_eq!(none.unwrap_err(), ElectorateError::Empty);
    let three = Electorate::new(&membership(3, FaultModel::Byzantine), &keys(3));
    assert_eq!(three.unwrap_err(), ElectorateError::TooFewForByzantine(3));
    let keyless = Electorate::new(&membership(3, FaultModel::Crash), &keys(2));
    assert_eq!(keyless.unwrap_err(), ElectorateError::KeyMissing(node(2)));
    let stranger = Electorate::new(&membership(2, FaultModel::Crash), &keys(3)).unwrap();
    assert!(!stranger.has(&node(2)), "a key makes no member");
}

#[test]
fn each_decision_needs_whose_word_the_chapter_says() {
    //= docs/spec/quorum.md#decisions
    let mesh = electorate(7, FaultModel::Byzantine);
    for decision in [
        Decision::Lease,
        Decision::AuditHead,
        Decision::RevocationHead,
        Decision::Checkpoint,
        Decision::ZoneKey,
    ] {
        assert_eq!(mesh.need(decision), Need::Members(5), "{decision:?}");
    }
    assert_eq!(mesh.need(Decision::Accusation), Need::Members(3));
    assert_eq!(electorate(7, FaultModel::Crash).need(Decision::Accusation), Need::Members(1));
    for decision in [Decision::Revocation, Decision::Membership] {
        assert_eq!(mesh.need(decision), Need::Authority, "{decision:?}");
    }
}

#[test]
fn an_accusation_is_believed_from_enough_members_other_than_the_accused() {
    //= docs/spec/quorum.md#decisions
    let mesh = electorate(4, FaultModel::Byzantine);
    let from = |who: &[usize]| -> BTreeSet<NodeId> { who.iter().map(|i| node(*i)).collect() };
    assert!(mesh.believes(&node(0), &from(&[1, 2])));
    assert!(!mesh.believes(&node(0), &from(&[0, 1])), "the subject never votes");
    assert!(!mesh.believes(&node(0), &from(&[1, 9])), "nor does a stranger");
    assert!(!mesh.believes(&node(0), &from(&[])));
    assert!(
        !electorate(2, FaultModel::Crash).believes(&node(0), &from(&[])),
        "nobody's word is never enough"
    );
}

fn head(epoch: u64) -> Object<Certified<ZoneRevocationHead>> {
    let at = UnixTime::from_secs(100);
    let zone = ZoneId::new("z:work").unwrap();
    let schema = <Certified<ZoneRevocationHead> as Body>::SCHEMA;
    let header = Header::new(&schema, &zone, at, Label::trusted(Level::WORK), None);
    let fields = ZoneRevocationHead { head_event: None, head_seq: 0, epoch, as_of: at };
    Object::uncertified(header, fields)
}

fn signed(epoch: u64, by: &[usize]) -> Object<Certified<ZoneRevocationHead>> {
    let mut object = head(epoch);
    for i in by {
        let vote = object.vote(&node(*i), UnixTime::from_secs(101), &key(*i)).unwrap();
        object.body.quorum_signatures.insert(vote).unwrap();
    }
    object
}

#[test]
fn a_quorum_of_the_epochs_members_certifies() {
    //= docs/spec/quorum.md#certificates-of-an-epoch
    let mesh = electorate(3, FaultModel::Crash);
    let proof = mesh.certify(signed(7, &[0, 2])).unwrap();
    assert_eq!(proof.fields().epoch, 7);
}

#[test]
fn another_epoch_strangers_forgeries_and_too_few_certify_nothing() {
    //= docs/spec/quorum.md#certificates-of-an-epoch
    let mesh = electorate(3, FaultModel::Crash);
    let refused = |object| mesh.certify(object).unwrap_err();
    for epoch in [6, 8] {
        assert_eq!(refused(signed(epoch, &[0, 1, 2])), QuorumError::Epoch { found: epoch, expected: 7 });
    }
    let too_few = CertificateError::TooFew { have: 1, need: 2 };
    assert_eq!(refused(signed(7, &[0])), QuorumError::Certificate(too_few));
    let unknown = CertificateError::UnknownSigner(node(5));
    assert_eq!(refused(signed(7, &[0, 1, 5])), QuorumError::Certificate(unknown));
    let mut forged = signed(7, &[0]);
    let other = signed(7, &[2]).body.quorum_signatures.as_slice()[0].clone();
    forged.body.quorum_signatures.insert(NodeSignature { node_id: node(1), ..other }).unwrap();
    let invalid = CertificateError::SignatureInvalid(node(1));
    assert_eq!(refused(forged), QuorumError::Certificate(invalid));
}

#[test]
fn without_a_quorum_only_safe_goes_on_and_only_if_the_owner_says_so() {
    //= docs/spec/quorum.md#degraded
    let mesh = electorate(5, FaultModel::Crash);
    let with = |n: usize| mesh.standing(&(0..n).map(node).collect());
    assert_eq!(with(5), Standing::Whole);
    assert_eq!(with(3), Standing::Reduced { missing: 2 });
    assert_eq!(with(2), Standing::Degraded { have: 2, need: 3 });
    let strangers = mesh.standing(&[0, 7, 8, 9].map(node).into());
    assert_eq!(strangers, Standing::Degraded { have: 1, need: 3 }, "only members count");
    let tiers = [SafetyTier::Safe, SafetyTier::Risky, SafetyTier::Dangerous, SafetyTier::Critical];
    let permitted = |standing: Standing, policy| -> Vec<SafetyTier> {
        tiers.into_iter().filter(|tier| standing.permits(*tier, policy)).collect()
    };
    assert_eq!(permitted(with(3), DegradedPolicy::Halt), tiers);
    assert_eq!(permitted(with(2), DegradedPolicy::default()), []);
    assert_eq!(permitted(with(2), DegradedPolicy::Safe { min_nodes: 2 }), [SafetyTier::Safe]);
    assert_eq!(permitted(with(2), DegradedPolicy::Safe { min_nodes: 3 }), []);
    assert_eq!(permitted(with(0), DegradedPolicy::Safe { min_nodes: 0 }), []);
    assert!(!with(5).permits(SafetyTier::Forbidden, DegradedPolicy::Safe { min_nodes: 0 }));
}

#[test]
fn one_member_more_or_fewer_overlaps_and_a_change_at_once_of_many_does_not() {
    //= docs/spec/quorum.md#consecutive-epochs
    for n in 1..50 {
        let (one, next) = (membership(n, FaultModel::Crash), membership(n + 1, FaultModel::Crash));
        assert!(overlap(&one, &next) && overlap(&next, &one), "{n} members");
    }
    assert!(!overlap(&membership(1, FaultModel::Crash), &membership(3, FaultModel::Crash)));
    assert!(overlap(&membership(4, FaultModel::Byzantine), &membership(4, FaultModel::Byzantine)));
}

#[test]
fn a_barred_members_word_counts_for_nothing_and_thresholds_stay() {
    //= docs/spec/quorum.md#eligibility
    let mut mesh = electorate(3, FaultModel::Crash);
    mesh.bar(&node(1));
    assert_eq!((mesh.size(), mesh.quorum(), mesh.has(&node(1))), (3, 2, false));
    let reached = [node(0), node(2)].into();
    assert_eq!(mesh.standing(&reached), Standing::Reduced { missing: 1 });
}
