use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use frost_ed25519::rand_core::{CryptoRng, Error, RngCore};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::curve::Draws;
use super::message::{Commitments, NonceCommitments, SignatureShare};
use super::sign::{commit_with, draw};
use super::{
    Committed, Dealt, FrostError, FrostFault, GroupKey, KeyShare, Received, SecretMessage, SigningRequest,
    begin_keygen, begin_refresh, commit,
};
use crate::encoding::cbor::{self, FromCbor, ToCbor};
use crate::encoding::json::{Json, parse};
use crate::random::Entropy;

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

/// Every participant's state and message after the first step.
struct FirstStep {
    states: BTreeMap<u8, Committed>,
    messages: Received<Vec<u8>>,
}

/// Every participant's state, and the shares dealt, by recipient and then by sender.
struct SecondStep {
    states: BTreeMap<u8, Dealt>,
    dealt: BTreeMap<u8, Received<SecretMessage>>,
}

impl FirstStep {
    fn keygen(threshold: u8, total: u8, entropy: &mut Entropy) -> Self {
        let begun = (1..=total).map(|index| {
            (index, begin_keygen([7; 32], (threshold, total), index, entropy).expect("a quorum"))
        });
        Self::of(begun)
    }

    fn refresh(shares: &BTreeMap<u8, KeyShare>, participants: &BTreeSet<u8>, entropy: &mut Entropy) -> Self {
        Self::of(participants.iter().map(|index| {
            let begun = begin_refresh([8; 32], &shares[index], participants.clone(), entropy);
            (*index, begun.expect("a quorum"))
        }))
    }

    fn of(begun: impl Iterator<Item = (u8, (Committed, Vec<u8>))>) -> Self {
        let (mut states, mut messages) = (BTreeMap::new(), BTreeMap::new());
        for (index, (state, message)) in begun {
            states.insert(index, state);
            messages.insert(index, message);
        }
        Self { states, messages }
    }

    /// What `index` hears: all messages but its own.
    fn heard_by(&self, index: u8) -> Received<Vec<u8>> {
        self.messages.iter().filter(|(from, _)| **from != index).map(|(from, m)| (*from, m.clone())).collect()
    }

    fn second(mut self) -> SecondStep {
        let (mut states, mut dealt) = (BTreeMap::new(), BTreeMap::<u8, Received<SecretMessage>>::new());
        for (index, state) in core::mem::take(&mut self.states) {
            let (state, shares) = state.receive(&self.heard_by(index)).expect("honest");
            states.insert(index, state);
            for (to, share) in shares {
                dealt.entry(to).or_default().insert(index, share);
            }
        }
        SecondStep { states, dealt }
    }
}

impl SecondStep {
    fn finish(self) -> BTreeMap<u8, KeyShare> {
        let dealt = self.dealt;
        let finished = self.states.into_iter().map(|(index, state)| (index, state.receive(&dealt[&index])));
        finished.map(|(index, share)| (index, share.expect("honest"))).collect()
    }
}

fn keygen(threshold: u8, total: u8, seed: u8) -> BTreeMap<u8, KeyShare> {
    FirstStep::keygen(threshold, total, &mut entropy(seed)).second().finish()
}

fn refresh(shares: &BTreeMap<u8, KeyShare>, who: &[u8], seed: u8) -> BTreeMap<u8, KeyShare> {
    let participants = who.iter().copied().collect();
    FirstStep::refresh(shares, &participants, &mut entropy(seed)).second().finish()
}

fn group(shares: &BTreeMap<u8, KeyShare>) -> &GroupKey {
    shares.values().next().expect("a share").group()
}

/// A request to `signers`, and each one's answer.
fn answers(
    shares: &BTreeMap<u8, KeyShare>,
    signers: &[u8],
    entropy: &mut Entropy,
) -> Result<(SigningRequest, Received<Vec<u8>>), FrostError> {
    let (mut nonces, mut commitments) = (BTreeMap::new(), BTreeMap::new());
    for index in signers {
        let (secret, message) = commit(&shares[index], entropy)?;
        nonces.insert(*index, secret);
        commitments.insert(*index, message);
    }
    let request = SigningRequest::new(shares[&signers[0]].group(), b"message".to_vec(), &commitments)?;
    let sent = SigningRequest::from_bytes(&request.to_bytes()?)?;
    assert_eq!(sent, request);
    let answer = |(index, nonces): (u8, _)| Ok((index, shares[&index].sign(&sent, nonces)?));
    let answers = nonces.into_iter().map(answer).collect::<Result<_, FrostError>>()?;
    Ok((request, answers))
}

fn misbehaved(culprit: u8, fault: FrostFault) -> FrostError {
    FrostError::Misbehaved { fault, culprits: vec![culprit] }
}

/// Changes a message as its sender would.
fn bend<T: FromCbor + ToCbor>(bytes: &mut Vec<u8>, change: impl FnOnce(&mut T)) {
    let mut message = T::from_cbor(cbor::decode(bytes).expect("canonical")).expect("a message");
    change(&mut message);
    *bytes = cbor::encode(&message).expect("small");
}

#[test]
fn all_get_the_same_key_and_any_threshold_signs_as_the_owner() {
    let shares = keygen(2, 3, 1);
    assert!(shares.values().all(|share| share.group() == group(&shares)));
    for signers in [&[1, 2][..], &[1, 3], &[2, 3], &[1, 2, 3]] {
        let (request, answers) = answers(&shares, signers, &mut entropy(2)).expect("honest");
        let signature = request.aggregate(group(&shares), &answers).expect("enough");
        assert_eq!(group(&shares).verifying_key().verify(b"message", &signature), Ok(()));
    }
    let alone = answers(&shares, &[1], &mut entropy(2)).map(|_| ());
    assert_eq!(alone, Err(FrostError::Quorum));
}

#[test]
fn a_quorum_is_two_to_all() {
    let begin =
        |threshold, total, own| begin_keygen([0; 32], (threshold, total), own, &mut entropy(1)).map(|_| ());
    for (threshold, total, own) in [(0, 2, 1), (1, 2, 1), (3, 2, 1), (2, 0, 1), (2, 3, 0), (2, 3, 4)] {
        assert_eq!(begin(threshold, total, own), Err(FrostError::Quorum), "{threshold} of {total}, {own}");
    }
    assert_eq!(begin(2, 2, 2), Ok(()));
}

#[test]
fn who_is_missing_or_uninvited_is_named() {
    let mut step = FirstStep::keygen(2, 3, &mut entropy(1));
    let mut take = |change: &dyn Fn(&mut Received<Vec<u8>>)| {
        let mut heard = step.heard_by(1);
        change(&mut heard);
        let fresh = FirstStep::keygen(2, 3, &mut entropy(1)).states.remove(&1).expect("a state");
        core::mem::replace(step.states.get_mut(&1).expect("a state"), fresh).receive(&heard).map(|_| ())
    };
    assert_eq!(take(&|_| ()), Ok(()));
    assert_eq!(take(&|heard| drop(heard.remove(&3))), Err(FrostError::Missing(3)));
    assert_eq!(take(&|heard| drop(heard.insert(4, vec![]))), Err(FrostError::Uninvited(4)));
    assert_eq!(take(&|heard| drop(heard.insert(1, vec![]))), Err(FrostError::Uninvited(1)));
}

//= docs/spec/sealing.md#threshold-signatures
#[test]
fn wrong_commitments_name_their_sender() {
    type Change = fn(&mut Commitments);
    let changes: [(Change, FrostFault); 7] = [
        (|m| m.ceremony_id = [9; 32], FrostFault::OtherCeremony),
        (|m| m.generation = 1, FrostFault::OtherCeremony),
        (|m| m.participant = 3, FrostFault::Misaddressed),
        (|m| m.coefficients.truncate(1), FrostFault::Malformed),
        (|m| m.coefficients[0] = [0xff; 32], FrostFault::Malformed),
        (|m| m.proof[40] ^= 1, FrostFault::ProofOfKnowledge),
        (|m| m.coefficients.swap(0, 1), FrostFault::ProofOfKnowledge),
    ];
    for (change, fault) in changes {
        let mut step = FirstStep::keygen(2, 3, &mut entropy(1));
        let mut heard = step.heard_by(1);
        bend(heard.get_mut(&2).expect("a message"), change);
        let taken = step.states.remove(&1).expect("a state").receive(&heard).map(|_| ());
        assert_eq!(taken, Err(misbehaved(2, fault)), "{fault:?}");
    }
    let mut step = FirstStep::keygen(2, 3, &mut entropy(1));
    let mut heard = step.heard_by(1);
    heard.insert(2, b"rubbish".to_vec());
    let taken = step.states.remove(&1).expect("a state").receive(&heard).map(|_| ());
    assert_eq!(taken, Err(misbehaved(2, FrostFault::Malformed)));
}

/// A proof of one participant is none for another: it covers the participant's index.
#[test]
fn a_copied_proof_is_refused() {
    let mut step = FirstStep::keygen(2, 3, &mut entropy(1));
    let mut heard = step.heard_by(1);
    let mut copied = heard[&3].clone();
    bend::<Commitments>(&mut copied, |message| message.participant = 2);
    heard.insert(2, copied);
    let taken = step.states.remove(&1).expect("a state").receive(&heard).map(|_| ());
    assert_eq!(taken, Err(misbehaved(2, FrostFault::ProofOfKnowledge)));
}

/// Where fields of a dealt share begin: version, ceremony, generation, sender, recipient, share.
const DEALT: [(usize, FrostFault); 6] = [
    (0, FrostFault::Malformed),
    (1, FrostFault::OtherCeremony),
    (33, FrostFault::OtherCeremony),
    (37, FrostFault::Misaddressed),
    (38, FrostFault::Misaddressed),
    (71, FrostFault::DealtShare),
];

fn wrong_dealt_shares_are_refused(step: impl Fn() -> SecondStep) {
    let taken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut step = step();
        let mut dealt = step.dealt.remove(&1).expect("shares");
        change(dealt.get_mut(&3).expect("a share"));
        step.states.remove(&1).expect("a state").receive(&dealt).map(|_| ())
    };
    assert_eq!(taken(&|_| ()), Ok(()));
    for (at, fault) in DEALT {
        assert_eq!(taken(&|bytes| bytes[at] ^= 1), Err(misbehaved(3, fault)), "{at}");
    }
    assert_eq!(taken(&|bytes| bytes[39] ^= 1), Err(FrostError::HeardOtherwise(3)));
    let malformed = Err(misbehaved(3, FrostFault::Malformed));
    assert_eq!(taken(&|bytes| bytes.truncate(102)), malformed);
    assert_eq!(taken(&|bytes| bytes.push(0)), malformed);
    let mut late = step();
    let mut dealt = late.dealt.remove(&1).expect("shares");
    dealt.remove(&2);
    let taken = late.states.remove(&1).expect("a state").receive(&dealt).map(|_| ());
    assert_eq!(taken, Err(FrostError::Missing(2)));
}

#[test]
fn wrong_dealt_shares_name_their_sender() {
    wrong_dealt_shares_are_refused(|| FirstStep::keygen(2, 3, &mut entropy(1)).second());
    let shares = keygen(2, 3, 1);
    let all = BTreeSet::from([1, 2, 3]);
    wrong_dealt_shares_are_refused(|| FirstStep::refresh(&shares, &all, &mut entropy(2)).second());
}

//= docs/spec/sealing.md#key-generation
#[test]
fn whoever_tells_two_stories_is_noticed() {
    let mut step = FirstStep::keygen(2, 3, &mut entropy(1));
    let other_story = FirstStep::keygen(2, 3, &mut entropy(99)).messages.remove(&3).expect("a message");
    let mut heard_by_2 = step.heard_by(2);
    heard_by_2.insert(3, other_story);
    let heard_by_1 = step.heard_by(1);
    let (one, _) = step.states.remove(&1).expect("a state").receive(&heard_by_1).expect("honest");
    let (_, from_2) = step.states.remove(&2).expect("a state").receive(&heard_by_2).expect("well-formed");
    let heard_by_3 = step.heard_by(3);
    let (_, from_3) = step.states.remove(&3).expect("a state").receive(&heard_by_3).expect("honest");
    let dealt = BTreeMap::from([(2, from_2[&1].clone()), (3, from_3[&1].clone())]);
    assert_eq!(one.receive(&dealt).map(|_| ()), Err(FrostError::HeardOtherwise(2)));
}

//= docs/spec/sealing.md#refresh
#[test]
fn a_refresh_keeps_the_key_and_ends_the_old_shares() {
    let old = keygen(2, 3, 1);
    let new = refresh(&old, &[1, 2, 3], 2);
    assert_eq!(group(&new).verifying_key(), group(&old).verifying_key());
    assert_eq!(group(&new).generation(), 1);
    let (request, shares) = answers(&new, &[1, 3], &mut entropy(3)).expect("honest");
    assert!(request.aggregate(group(&new), &shares).is_ok());

    let mut mixed = refresh(&old, &[1, 2, 3], 2);
    mixed.insert(1, keygen(2, 3, 1).remove(&1).expect("a share"));
    let refused = answers(&mixed, &[3, 1], &mut entropy(3)).map(|_| ());
    assert_eq!(refused, Err(misbehaved(1, FrostFault::OtherCeremony)));
}

/// The generation's number aside: an old share makes a signature share that does not verify.
#[test]
fn an_old_share_under_the_new_number_does_not_combine() {
    let old = keygen(2, 3, 1);
    let new = refresh(&old, &[1, 2, 3], 2);
    let entropy = &mut entropy(3);
    let (old_nonces, old_commitment) = commit(&old[&1], entropy).expect("commits");
    let (new_nonces, new_commitment) = commit(&new[&3], entropy).expect("commits");
    let request = |group: &GroupKey| {
        let mut commitments = BTreeMap::from([(1, old_commitment.clone()), (3, new_commitment.clone())]);
        for bytes in commitments.values_mut() {
            bend::<NonceCommitments>(bytes, |message| message.generation = group.generation());
        }
        SigningRequest::new(group, b"message".to_vec(), &commitments).expect("a request")
    };
    let mut pretender = old[&1].sign(&request(group(&old)), old_nonces).expect("signs");
    bend::<SignatureShare>(&mut pretender, |share| share.generation = 1);
    let honest = new[&3].sign(&request(group(&new)), new_nonces).expect("signs");
    let shares = BTreeMap::from([(1, pretender), (3, honest)]);
    let combined = request(group(&new)).aggregate(group(&new), &shares).map(|_| ());
    assert_eq!(combined, Err(misbehaved(1, FrostFault::SignatureShare)));

    let mut stored = new[&1].to_bytes().expect("small").to_vec();
    stored[2..34].copy_from_slice(&old[&1].to_bytes().expect("small")[2..34]);
    assert_eq!(KeyShare::from_bytes(&stored).map(|_| ()), Err(FrostError::Malformed));
}

#[test]
fn a_device_left_out_of_a_refresh_has_no_share_any_more() {
    let old = keygen(2, 3, 1);
    let new = refresh(&old, &[1, 3], 2);
    assert_eq!(group(&new).participants().collect::<Vec<_>>(), [1, 3]);
    let (request, shares) = answers(&new, &[1, 3], &mut entropy(3)).expect("honest");
    assert!(request.aggregate(group(&new), &shares).is_ok());
    let participants = BTreeSet::from([1, 2]);
    let again = begin_refresh([9; 32], &new[&1], participants, &mut entropy(4)).map(|_| ());
    assert_eq!(again, Err(FrostError::Uninvited(2)));
    let alone = begin_refresh([9; 32], &new[&1], BTreeSet::from([1]), &mut entropy(4)).map(|_| ());
    assert_eq!(alone, Err(FrostError::Quorum));
}

//= docs/spec/sealing.md#signing
#[test]
fn wrong_signature_shares_name_all_their_senders() {
    let shares = keygen(3, 5, 1);
    let (request, right) = answers(&shares, &[1, 2, 4, 5], &mut entropy(2)).expect("honest");
    let aggregate = |change: &dyn Fn(&mut Received<Vec<u8>>)| {
        let mut given = right.clone();
        change(&mut given);
        request.aggregate(group(&shares), &given).map(|_| ())
    };
    let bent = |given: &mut Received<Vec<u8>>, index: u8, change: fn(&mut SignatureShare)| {
        bend(given.get_mut(&index).expect("a share"), change);
    };
    assert_eq!(aggregate(&|_| ()), Ok(()));
    let two = FrostError::Misbehaved { fault: FrostFault::SignatureShare, culprits: vec![2, 5] };
    assert_eq!(
        aggregate(&|given| {
            bent(given, 2, |share| share.share[0] ^= 1);
            bent(given, 5, |share| share.share[3] ^= 4);
        }),
        Err(two.clone())
    );
    assert_eq!(two.to_string(), "participant 2, 5 made a wrong signature share");
    let generation = aggregate(&|given| bent(given, 4, |share| share.generation = 1));
    assert_eq!(generation, Err(misbehaved(4, FrostFault::OtherCeremony)));
    let renamed = aggregate(&|given| bent(given, 4, |share| share.participant = 5));
    assert_eq!(renamed, Err(misbehaved(4, FrostFault::Misaddressed)));
    let beyond = aggregate(&|given| bent(given, 4, |share| share.share = [0xff; 32]));
    assert_eq!(beyond, Err(misbehaved(4, FrostFault::Malformed)));
    assert_eq!(aggregate(&|given| drop(given.remove(&4))), Err(FrostError::Missing(4)));
    assert_eq!(aggregate(&|given| drop(given.insert(3, vec![]))), Err(FrostError::Uninvited(3)));
}

#[test]
fn a_request_is_answered_only_with_the_nonces_it_holds() {
    let shares = keygen(2, 3, 1);
    let entropy = &mut entropy(2);
    let (_, own) = commit(&shares[&1], entropy).expect("commits");
    let (others, other) = commit(&shares[&2], entropy).expect("commits");
    let (fresh, _) = commit(&shares[&1], entropy).expect("commits");
    let commitments = BTreeMap::from([(1, own), (2, other)]);
    let request = SigningRequest::new(group(&shares), b"m".to_vec(), &commitments).expect("a request");
    assert_eq!(shares[&1].sign(&request, fresh), Err(FrostError::OtherNonces));
    assert_eq!(shares[&1].sign(&request, others), Err(FrostError::OtherNonces));
    let (nonces, _) = commit(&shares[&1], entropy).expect("commits");
    let mut bytes = request.to_bytes().expect("small");
    let at = bytes.windows(6).rposition(|window| window == b"hiding").expect("the second signer's");
    bytes[at + 8..at + 40].fill(0xff);
    let forged = SigningRequest::from_bytes(&bytes).expect("well-formed");
    assert_eq!(shares[&1].sign(&forged, nonces), Err(FrostError::Malformed), "the coordinator's doing");
    let refreshed = refresh(&shares, &[1, 2, 3], 3);
    let (nonces, _) = commit(&refreshed[&1], entropy).expect("commits");
    assert_eq!(refreshed[&1].sign(&request, nonces), Err(FrostError::OtherGeneration));
}

#[test]
fn wrong_nonce_commitments_name_their_sender() {
    type Change = fn(&mut NonceCommitments);
    // As a nonce's point: the nonce would be zero.
    const NEUTRAL: [u8; 32] = {
        let mut point = [0; 32];
        point[0] = 1;
        point
    };
    let shares = keygen(2, 3, 1);
    let commitments: Received<Vec<u8>> = [1, 2]
        .into_iter()
        .map(|index| (index, commit(&shares[&index], &mut entropy(index)).expect("commits").1))
        .collect();
    let changes: [(Change, FrostFault); 4] = [
        (|m| m.generation = 4, FrostFault::OtherCeremony),
        (|m| m.participant = 1, FrostFault::Misaddressed),
        (|m| m.hiding = [0xff; 32], FrostFault::Malformed),
        (|m| m.binding = NEUTRAL, FrostFault::Malformed),
    ];
    for (change, fault) in changes {
        let mut given = commitments.clone();
        bend(given.get_mut(&2).expect("a message"), change);
        let request = SigningRequest::new(group(&shares), vec![], &given).map(|_| ());
        assert_eq!(request, Err(misbehaved(2, fault)), "{fault:?}");
    }
    let mut given = commitments;
    given.insert(4, given[&1].clone());
    bend::<NonceCommitments>(given.get_mut(&4).expect("a message"), |m| m.participant = 4);
    let request = SigningRequest::new(group(&shares), vec![], &given).map(|_| ());
    assert_eq!(request, Err(FrostError::Uninvited(4)));
}

//= docs/spec/sealing.md#stored-key-shares
#[test]
fn stored_shares_read_back_and_altered_ones_do_not() {
    let shares = keygen(2, 3, 1);
    let bytes = shares[&2].to_bytes().expect("small");
    let read = KeyShare::from_bytes(&bytes).expect("its own bytes");
    assert_eq!((read.participant(), read.group()), (2, shares[&2].group()));
    assert_eq!(read.to_bytes().expect("small"), bytes);
    for at in [0, 1, 2, 33, 40] {
        let mut bent = bytes.to_vec();
        bent[at] ^= 1;
        assert!(KeyShare::from_bytes(&bent).is_err(), "{at}");
    }
    for length in [0, 1, 33, bytes.len() - 1] {
        assert!(KeyShare::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
}

//= docs/spec/sealing.md#key-generation
#[test]
fn a_stored_share_is_of_the_key_that_the_shares_make() {
    let (own, other) = (keygen(3, 5, 1), keygen(3, 5, 2));
    let stored = own[&4].to_bytes().expect("small").to_vec();
    let replaced = |what: &[u8], by: &[u8]| {
        let at = stored.windows(what.len()).position(|it| it == what).expect("it is there");
        let bent = [&stored[..at], by, &stored[at + what.len()..]].concat();
        KeyShare::from_bytes(&bent).map(|share| share.participant())
    };
    let [own_key, other_key] = [&own, &other].map(|shares| group(shares).verifying_key().as_bytes());
    assert_eq!(replaced(own_key, own_key), Ok(4));
    assert_eq!(replaced(own_key, other_key), Err(FrostError::Malformed));
    assert_eq!(replaced(b"threshold\x03", b"threshold\x02"), Err(FrostError::Malformed));
    let refreshed = refresh(&own, &[1, 4, 5], 3)[&5].to_bytes().expect("small");
    assert!(KeyShare::from_bytes(&refreshed).is_ok(), "the key of those who are left is the same");
}

#[test]
fn a_group_key_reads_back_and_its_numbers_are_checked() {
    let shares = keygen(2, 3, 1);
    let item = group(&shares).to_cbor();
    assert_eq!(GroupKey::from_cbor(item.clone()).as_ref(), Ok(group(&shares)));
    let change = |name: &str, value: cbor::Value| {
        let cbor::Value::Map(map) = item.clone() else { unreachable!("a map") };
        let entries = map.into_entries().into_iter().map(|(key, old)| {
            let value = if key == cbor::Value::Text(name.into()) { value.clone() } else { old };
            (key, value)
        });
        GroupKey::from_cbor(cbor::Value::Map(cbor::Map::new(entries.collect()).expect("a map")))
    };
    for threshold in [0, 1, 4, 300] {
        assert!(change("threshold", cbor::Value::Unsigned(threshold)).is_err(), "{threshold}");
    }
    assert!(change("verifying_shares", cbor::Value::Array(vec![])).is_err());
    assert!(change("threshold", cbor::Value::Unsigned(3)).is_ok());
}

#[test]
fn secrets_are_not_printed() {
    let shares = keygen(2, 2, 1);
    let secret = shares[&1].to_bytes().expect("small")[2..34].to_vec();
    let (nonces, _) = commit(&shares[&1], &mut entropy(2)).expect("commits");
    let step = FirstStep::keygen(2, 2, &mut entropy(1));
    let first = format!("{:?}", step.states[&1]);
    let second = step.second();
    let shown = format!("{:?} {nonces:?} {first} {:?}", shares[&1], second.states[&1]);
    assert!(!shown.contains(&hex::encode(&secret)) && !shown.contains(&format!("{secret:?}")));
    assert!(shown.starts_with("KeyShare(1 of "));
    assert!(shown.ends_with("SigningNonces(1, ..) Committed(1, ..) Dealt(1, ..)"));
}

/// A generator that yields the bytes it was given, and no more.
struct Script(Vec<u8>);

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        unreachable!("the library asks for bytes")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("the library asks for bytes")
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0[..buffer.len()]);
        self.0.drain(..buffer.len());
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(buffer);
        Ok(())
    }
}

impl CryptoRng for Script {}

/// No block of memory holds a nonce, or the share that goes into it, so none is freed with it.
//= docs/spec/keys.md#memory
#[test]
fn a_nonce_is_drawn_without_memory_that_nobody_wipes() {
    let (shares, mut entropy) = (keygen(2, 3, 1), entropy(2));
    let drawn = allocation_counter::measure(|| assert!(draw(&shares[&1], &mut Draws(&mut entropy)).is_ok()));
    assert_eq!(drawn.count_total, 0);
}

/// The published randomness makes the published commitments, signature shares and signature.
#[test]
fn signing_gives_the_values_of_the_published_vectors() {
    let document = parse(include_bytes!("../../../../vectors/frost/signing.json"), 1 << 20).expect("JSON");
    for case in document.get("cases").and_then(Json::as_array).expect("cases") {
        let text = |item: &Json, name: &str| item.get(name).and_then(Json::as_str).map(ToString::to_string);
        let bytes = |item: &Json, name: &str| hex::decode(text(item, name).expect("a text")).expect("hex");
        let all = case.get("participants").and_then(Json::as_array).expect("participants");
        let index = |item: &Json| text(item, "participant").expect("a text").parse::<u8>().expect("a number");
        let mut map = cbor::MapBuilder::default();
        map.field("generation", &0_u32);
        let threshold = text(case, "threshold").expect("a text").parse().expect("a number");
        map.item("threshold", cbor::Value::Unsigned(threshold));
        map.item("verifying_key", cbor::Value::Bytes(bytes(case, "verifying_key").into()));
        let entry = |item: &Json| {
            let mut map = cbor::MapBuilder::default();
            map.item("participant", cbor::Value::Unsigned(index(item).into()));
            map.item("share", cbor::Value::Bytes(bytes(item, "verifying_share").into()));
            map.finish()
        };
        map.item("verifying_shares", cbor::Value::Array(all.iter().map(entry).collect()));
        let group = cbor::encode(&map.finish()).expect("small");
        let (mut signers, mut commitments) = (Vec::new(), BTreeMap::new());
        for item in all.iter().filter(|item| item.get("signature_share").is_some()) {
            let stored = [&[1, index(item)][..], &bytes(item, "share"), &group].concat();
            let share = KeyShare::from_bytes(&stored).expect("a share");
            let mut script =
                Script([bytes(item, "hiding_randomness"), bytes(item, "binding_randomness")].concat());
            let (nonces, message) = commit_with(&share, &mut script).expect("commits");
            let read =
                NonceCommitments::from_cbor(cbor::decode(&message).expect("canonical")).expect("a message");
            assert_eq!(
                (read.hiding.to_vec(), read.binding.to_vec()),
                (bytes(item, "hiding"), bytes(item, "binding"))
            );
            commitments.insert(index(item), message);
            signers.push((share, nonces, bytes(item, "signature_share")));
        }
        let group = signers[0].0.group().clone();
        let request = SigningRequest::new(&group, bytes(case, "message"), &commitments).expect("a request");
        let mut answers = BTreeMap::new();
        for (share, nonces, expected) in signers {
            let answer = share.sign(&request, nonces).expect("signs");
            let read = SignatureShare::from_cbor(cbor::decode(&answer).expect("canonical")).expect("a share");
            assert_eq!(read.share.to_vec(), expected);
            answers.insert(share.participant(), answer);
        }
        let signature = request.aggregate(&group, &answers).expect("right shares");
        assert_eq!(signature.as_bytes().to_vec(), bytes(case, "signature"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_threshold_of_any_group_signs(total in 2..7u8, pick in any::<u64>(), seed in any::<u8>()) {
        let threshold = 2 + (pick % u64::from(total - 1)) as u8;
        let shares = keygen(threshold, total, seed);
        let mut entropy = entropy(seed.wrapping_add(1));
        let mut signers: Vec<u8> = (1..=total).collect();
        while signers.len() > usize::from(threshold) {
            signers.remove(entropy.below(signers.len() as u64) as usize);
        }
        let (request, answers) = answers(&shares, &signers, &mut entropy).expect("honest");
        let signature = request.aggregate(group(&shares), &answers).expect("enough");
        prop_assert_eq!(group(&shares).verifying_key().verify(b"message", &signature), Ok(()));
    }
}
