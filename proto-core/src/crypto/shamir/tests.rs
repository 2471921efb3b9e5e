use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{
    CombineError, Dealing, DealingTerms, HeldShare, MAX_SHARED_SECRET_BYTES, SealedShareError, ShamirError,
    Share, ShareFault, ShareRecipient, combine, split,
};
use crate::crypto::agree::EncryptionKey;
use crate::crypto::hpke::{BoxContext, HpkeBox, HpkeError, OpeningKey, Purpose};
use crate::crypto::secret::SecretBytes;
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value, decode, encode};
use crate::ids::{NodeId, ZoneId};
use crate::random::Entropy;
use crate::time::UnixTime;

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

const TERMS: DealingTerms = DealingTerms { secret_id: [5; 16], generation: 3, threshold: 3, total: 5 };

fn deal(secret: &[u8], seed: u8) -> (Dealing, Vec<HeldShare>) {
    Dealing::deal(&SecretBytes::new(secret.to_vec()), TERMS, &mut entropy(seed)).expect("dealt")
}

fn bytes_of(held: &HeldShare) -> Vec<u8> {
    held.share.to_bytes().to_vec()
}

fn copy(held: &HeldShare) -> HeldShare {
    HeldShare { share: Share::from_bytes(&bytes_of(held)).expect("a share"), ..*held }
}

fn bent(held: &HeldShare, at: usize, bit: u8) -> HeldShare {
    let mut bytes = bytes_of(held);
    bytes[at] ^= 1 << bit;
    HeldShare { share: Share::from_bytes(&bytes).expect("a share"), ..*held }
}

//= docs/spec/sealing.md#shares
#[test]
fn the_numbers_are_checked() {
    let entropy = &mut entropy(1);
    assert_eq!(split(b"s", 0, 3, entropy), Err(ShamirError::ThresholdTooSmall));
    assert_eq!(split(b"s", 4, 3, entropy), Err(ShamirError::ThresholdExceedsTotal));
    assert_eq!(split(b"", 2, 3, entropy), Err(ShamirError::EmptySecret));
    assert_eq!(split(b"s", 255, 255, entropy).map(|shares| shares.len()), Ok(255));
    assert_eq!(Share::from_bytes(&[0, 1]), Err(ShamirError::ReservedIndex));
    assert_eq!(Share::from_bytes(&[1]), Err(ShamirError::EmptySecret));
    assert_eq!(Share::from_bytes(&[]), Err(ShamirError::EmptySecret));
    let share = |bytes: &[u8]| Share::from_bytes(bytes).expect("a share");
    assert_eq!(combine(&[share(&[1, 2]), share(&[1, 3])]), Err(ShamirError::DuplicateIndex(1)));
    assert_eq!(combine(&[share(&[1, 2]), share(&[2, 3, 4])]), Err(ShamirError::MismatchedLengths));
    assert_eq!(combine(&[]), Err(ShamirError::MismatchedLengths));
    let long = SecretBytes::new(vec![1; MAX_SHARED_SECRET_BYTES + 1]);
    assert_eq!(Dealing::deal(&long, TERMS, entropy).map(|_| ()), Err(ShamirError::SecretTooLong));
}

/// One share fewer is consistent with every secret: whatever it would be, a last share exists that gives it.
#[test]
fn fewer_shares_than_the_threshold_fit_every_secret() {
    let shares = split(&[0x42], 2, 2, &mut entropy(2)).expect("split");
    let found: Vec<u8> = (0..=255)
        .map(|value| {
            let last = Share::from_bytes(&[2, value]).expect("a share");
            let first = Share::from_bytes(&shares[0].to_bytes()).expect("a share");
            combine(&[first, last]).expect("combines")[0]
        })
        .collect();
    assert!((0..=255).all(|secret| found.contains(&secret)));
}

//= docs/spec/sealing.md#share-authentication
#[test]
fn each_fault_of_a_share_is_named() {
    let (dealing, shares) = deal(b"hunter2", 3);
    let (_, others) = deal(b"hunter2", 4);
    let right = copy(&shares[0]);
    let other_secret = HeldShare { secret_id: [6; 16], ..copy(&shares[1]) };
    let other_generation = HeldShare { generation: 2, ..copy(&shares[2]) };
    let beyond = HeldShare { share: Share::from_bytes(&[6, 1]).expect("a share"), ..copy(&shares[0]) };
    let altered = bent(&shares[3], 1, 0);
    let from_elsewhere = copy(&others[4]);
    let short = HeldShare {
        share: Share::from_bytes(&bytes_of(&shares[4])[..9]).expect("a share"),
        ..copy(&shares[4])
    };
    let all =
        vec![right, copy(&shares[0]), other_secret, other_generation, beyond, altered, from_elsewhere, short];
    let faults = vec![
        (1, ShareFault::Duplicate),
        (2, ShareFault::OtherSecret),
        (3, ShareFault::OtherGeneration(2)),
        (6, ShareFault::NoSuchIndex),
        (4, ShareFault::Altered),
        (5, ShareFault::Altered),
        (5, ShareFault::Altered),
    ];
    let error = dealing.combine(all).expect_err("wrong shares");
    assert_eq!(error, CombineError::Faulty(faults));
    assert!(error.to_string().contains("share 4 is not the one that was dealt"));
}

/// The index is part of what is hashed: a right value under another's index is wrong.
#[test]
fn a_share_under_another_index_is_wrong() {
    let (dealing, shares) = deal(b"hunter2", 3);
    let mut bytes = bytes_of(&shares[0]);
    bytes[0] = 2;
    let moved = HeldShare { share: Share::from_bytes(&bytes).expect("a share"), ..copy(&shares[0]) };
    assert_eq!(dealing.verify(&moved), Err(ShareFault::Altered));
}

#[test]
fn too_few_right_shares_are_said_to_be_too_few() {
    let (dealing, mut shares) = deal(b"s", 5);
    shares.truncate(2);
    assert_eq!(dealing.combine(shares), Err(CombineError::TooFew { have: 2, need: 3 }));
}

/// A dealer that hashes what it does not deal is caught when the secret comes together.
//= docs/spec/sealing.md#share-authentication
#[test]
fn a_dealer_that_dealt_wrongly_is_found_out() {
    let (mut dealing, shares) = deal(b"s", 6);
    dealing.secret_hash[0] ^= 1;
    assert_eq!(dealing.combine(shares), Err(CombineError::DealtWrongly));
}

/// Without the blind, one share and the hashes of the others would confirm a guess of a short secret.
#[test]
fn equal_secrets_and_coefficients_leave_no_equal_hashes() {
    let (one, _) = deal(&[1], 7);
    let (other, _) = deal(&[1], 8);
    assert!(one.share_hashes.iter().all(|hash| !other.share_hashes.contains(hash)));
    assert_ne!(one.secret_hash, other.secret_hash);
    let blind = Dealing::deal(
        &SecretBytes::new(vec![1]),
        DealingTerms { threshold: 1, total: 1, ..TERMS },
        &mut entropy(9),
    );
    let (_, shares) = blind.expect("dealt");
    assert_eq!(bytes_of(&shares[0]).len(), 1 + 1 + 32);
}

//= docs/spec/sealing.md#share-authentication
#[test]
fn a_dealing_reads_back_and_its_numbers_are_checked() {
    let (dealing, _) = deal(b"s", 10);
    let bytes = encode(&dealing).expect("small");
    assert_eq!(Dealing::from_cbor(decode(&bytes).expect("canonical")), Ok(dealing.clone()));
    let broken: [fn(&mut Dealing); 4] = [
        |dealing| dealing.terms.threshold = 0,
        |dealing| dealing.terms.threshold = 6,
        |dealing| dealing.terms.total = 6,
        |dealing| dealing.share_hashes.truncate(4),
    ];
    for change in broken {
        let mut other = dealing.clone();
        change(&mut other);
        assert!(matches!(Dealing::from_cbor(other.to_cbor()), Err(ShapeError::Invalid(_))));
    }
    assert!(Dealing::from_cbor(Value::Null).is_err());
}

#[test]
fn a_sealed_share_opens_for_its_device_alone_and_is_the_one_that_was_dealt() {
    let mut entropy = entropy(11);
    let (zone, node) = (ZoneId::new("z:work").expect("a zone"), NodeId::new("laptop").expect("a node"));
    let (key, other) = (EncryptionKey::generate(&mut entropy), EncryptionKey::generate(&mut entropy));
    let (dealing, shares) = deal(b"hunter2", 12);
    let to = ShareRecipient { zone_id: &zone, node_id: &node, issued_at: UnixTime::from_secs(5) };
    let mut seal = |held: &HeldShare| held.seal(&key.recipient(), to, &mut entropy).expect("sealed");
    let sealed = seal(&shares[2]);
    assert_eq!(dealing.open_share(&sealed, &key, to).as_ref(), Ok(&shares[2]));

    let not_opened = Err(SealedShareError::Box(HpkeError::NotOpened));
    assert_eq!(dealing.open_share(&sealed, &other, to), not_opened);
    let elsewhere = ShareRecipient { zone_id: &ZoneId::new("z:owner").expect("a zone"), ..to };
    assert_eq!(dealing.open_share(&sealed, &key, elsewhere), not_opened);
    let later = ShareRecipient { issued_at: UnixTime::from_secs(6), ..to };
    assert_eq!(dealing.open_share(&sealed, &key, later), not_opened);

    let altered = dealing.open_share(&seal(&bent(&shares[2], 5, 0)), &key, to);
    assert_eq!(altered, Err(SealedShareError::Fault(3, ShareFault::Altered)));
    let context = BoxContext {
        zone_id: &zone,
        recipient: &node,
        purpose: Purpose::SecretShare,
        issued_at: UnixTime::from_secs(5),
    };
    let no_share = HpkeBox::seal(&key.recipient(), context, &[0, 1], &mut entropy).expect("small");
    assert_eq!(
        dealing.open_share(&no_share, &key, to),
        Err(SealedShareError::NoShare(ShamirError::ReservedIndex))
    );
}

#[test]
fn shares_are_not_printed() {
    let (_, shares) = deal(b"hunter2", 13);
    let shown = format!("{:?}", shares[0]);
    let bytes = bytes_of(&shares[0]);
    assert!(!shown.contains(&format!("{:?}", &bytes[1..])) && !shown.contains(&hex::encode(&bytes[1..])));
    assert!(shown.contains("Share(1, ..)"));
}

proptest! {
    #[test]
    fn any_threshold_of_the_shares_give_the_secret(
        secret in proptest::collection::vec(any::<u8>(), 1..40),
        total in 1..9u8,
        pick in any::<u64>(),
        seed in any::<u8>(),
    ) {
        let threshold = 1 + (pick % u64::from(total)) as u8;
        let terms = DealingTerms { threshold, total, ..TERMS };
        let mut entropy = entropy(seed);
        let (dealing, mut shares) =
            Dealing::deal(&SecretBytes::new(secret.clone()), terms, &mut entropy).expect("dealt");
        while shares.len() > usize::from(threshold) {
            shares.remove(entropy.below(shares.len() as u64) as usize);
        }
        let whole = dealing.combine(shares).expect("right shares");
        prop_assert_eq!(whole.expose(), &secret[..]);
    }

    #[test]
    fn any_altered_share_is_named(which in 0..5usize, at in 1..40usize, bit in 0..8u8) {
        let (dealing, shares) = deal(b"hunter2", 14);
        let given: Vec<_> = shares
            .iter()
            .enumerate()
            .map(|(place, held)| if place == which { bent(held, at % 39 + 1, bit) } else { copy(held) })
            .collect();
        let index = which as u8 + 1;
        let faults = vec![(index, ShareFault::Altered)];
        prop_assert_eq!(dealing.combine(given), Err(CombineError::Faulty(faults)));
    }

    #[test]
    fn plain_shares_need_no_dealing(secret in proptest::collection::vec(any::<u8>(), 1..20), seed in any::<u8>()) {
        let mut shares = split(&secret, 3, 6, &mut entropy(seed)).expect("split");
        shares.swap(0, 5);
        shares.truncate(3);
        prop_assert_eq!(combine(&shares).expect("combines").to_vec(), secret);
    }
}
