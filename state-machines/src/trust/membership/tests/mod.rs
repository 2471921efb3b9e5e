//! A few devices, their owner, and directories that it signs.

mod model;
mod paths;
mod refusals;
mod upkeep;
mod world;

use alloc::collections::BTreeSet;
use alloc::format;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{
    DeviceEnrolment, FaultModel, Header, LeasePurpose, Membership, NodeAttestation, Object, OwnerSuccession,
    RevocationObject, Signed, SignedBody,
};
use fcp_proto_core::zone::{Label, Level};
use zeroize::Zeroizing;

use super::*;
use crate::trust::lease::{CLOCK_BOUND_SECS, Proposal, Subject};

const START: u64 = 1_800_000_000;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(START + secs)
}

fn name(i: usize) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

fn names(of: impl IntoIterator<Item = usize>) -> BTreeSet<NodeId> {
    of.into_iter().map(name).collect()
}

fn zone(text: &str) -> ZoneId {
    ZoneId::new(text).unwrap()
}

fn ids() -> ObjectIdKey {
    ObjectIdKey::from_bytes([5; 32].into())
}

fn owner_key(i: u8) -> SigningKey<role::Owner> {
    SigningKey::from_seed(&Zeroizing::new([200 + i; 32]))
}

fn owner() -> Owner {
    Owner { home_id: [9; 32], public_key: owner_key(0).verifying_key() }
}

fn seed(i: usize, use_: u8) -> Zeroizing<[u8; 32]> {
    let mut seed = [use_; 32];
    seed[0] = u8::try_from(i).unwrap();
    Zeroizing::new(seed)
}

fn sign<T: SignedBody>(fields: T, secs: u64, by: &SigningKey<role::Owner>) -> Object<Signed<T>> {
    let header = Header::new(&T::SCHEMA, &zone("z:owner"), at(secs), Label::trusted(Level::OWNER), None);
    Object::sign(header, fields, by).unwrap()
}

fn attestation(i: usize) -> NodeAttestation {
    NodeAttestation {
        node_id: name(i),
        signing_key: SigningKey::from_seed(&seed(i, 1)).verifying_key(),
        encryption_key: *seed(i, 2),
        issuance_key: SigningKey::from_seed(&seed(i, 3)).verifying_key(),
        tags: Vec::new(),
        issued_at: at(0),
        expires_at: at(1_000_000),
        nonce: *seed(i, 4),
    }
}

fn enrolment(i: usize) -> DeviceEnrolment {
    DeviceEnrolment {
        node_id: name(i),
        signing_key: SigningKey::from_seed(&seed(i, 1)).verifying_key(),
        allowed_zones: [zone("z:work"), zone("z:private")].into(),
        stores_symbols: [zone("z:work")].into(),
        stores_secret_shares: true,
        stores_audit_events: true,
        issued_at: at(0),
        expires_at: None,
    }
}

/// A member as `by` signs it.
fn member_of(i: usize, secs: u64, by: &SigningKey<role::Owner>) -> Member {
    Member { attestation: sign(attestation(i), secs, by), enrolment: sign(enrolment(i), secs, by) }
}

fn member(i: usize) -> Member {
    member_of(i, 0, &owner_key(0))
}

fn signed(draft: Draft, by: &SigningKey<role::Owner>) -> Directory {
    let membership = Object::sign(draft.header.clone(), draft.membership.clone(), by).unwrap();
    draft.signed(membership)
}

/// The first directory of these devices.
fn first(n: usize, model: FaultModel) -> Directory {
    let place = (&zone("z:owner"), &ids());
    let members = (0..n).map(member);
    let draft = Draft::new(Basis::Anew { epoch: 1 }, Vec::new(), members, model, place, at(0)).unwrap();
    signed(draft, &owner_key(0))
}

fn revoke(revoked: &mut Revocations, revocations: &[RevocationObject]) {
    for revocation in revocations {
        let scope = if revocation.targets.len() > 1 { 1 } else { 0 };
        let mut id = [scope; 32];
        id[1..=8].copy_from_slice(
            &revocation.targets[0].0[..8.min(revocation.targets[0].0.len())]
                .iter()
                .copied()
                .chain([0; 8])
                .take(8)
                .collect::<Vec<_>>(),
        );
        revoked.apply(ObjectId::from_bytes(id), revocation);
    }
}

/// What a node is told, and a roster of it.
struct Chair {
    me: NodeId,
    ids: ObjectIdKey,
    revoked: Revocations,
    voter: Voter,
}

impl Chair {
    fn new(i: usize) -> Self {
        Self { me: name(i), ids: ids(), revoked: Revocations::default(), voter: Voter::restore(name(i), []) }
    }

    /// One that voted for a lease of this epoch, which is over then.
    fn vote(&mut self, i: usize, epoch: u64, quiet_at: UnixTime) {
        let ttl_secs = 300;
        let proposal = Proposal {
            subject: Subject { zone: zone("z:work"), object: ObjectId::from_bytes([9; 32]) },
            holder: name(i),
            token: (epoch << 32) + 1,
            purpose: LeasePurpose::OperationExecution,
            created_at: quiet_at.saturating_sub(ttl_secs + CLOCK_BOUND_SECS),
            ttl_secs,
        };
        let mut lease = proposal.object();
        let vote = lease.vote(&self.me, at(0), &SigningKey::from_seed(&seed(i, 1))).unwrap();
        lease.body.quorum_signatures.insert(vote).unwrap();
        self.voter = Voter::restore(self.me.clone(), [&lease]);
    }

    fn seat(&self) -> Seat<'_> {
        Seat { me: &self.me, ids: &self.ids, revoked: &self.revoked, voter: &self.voter }
    }
}

/// The roster of a node that has `directory`, durable.
fn roster(directory: &Directory) -> Roster {
    Roster::restore(&owner(), alloc::vec![directory.clone()], &ids())
}

/// Takes and stores a directory.
fn adopt(roster: &mut Roster, chair: &Chair, directory: &Directory, now: UnixTime) -> Vec<Output> {
    let mut out = Vec::new();
    assert_eq!(roster.take(directory.clone(), &chair.seat(), now, &mut out), Ok(Taken::Newer));
    let [Output::Persist { batch, .. }] = out[..] else { panic!("one write: {out:?}") };
    out.clear();
    roster.handle_stored(batch, Completion::Durable, &chair.seat(), &mut out);
    out
}

/// Tells `roster` that these members have its epoch.
fn report(roster: &mut Roster, chair: &Chair, from: impl IntoIterator<Item = usize>, now: UnixTime) {
    let epoch = roster.epoch();
    for i in from {
        let message = Message::Have { epoch, quiet_at: UnixTime::default() };
        roster.handle(&name(i), message, &chair.seat(), now, &mut Vec::new());
    }
}
