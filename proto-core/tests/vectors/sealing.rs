//! Cases of `vectors/{hpke,shamir,frost}`.

use std::collections::BTreeMap;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::frost::{
    Committed, FrostError, GroupKey, KeyShare, Received, SigningRequest, begin_keygen, begin_refresh, commit,
};
use fcp_proto_core::crypto::hpke::{
    BoxContext, HpkeBox, HpkeError, HybridEncryptionKey, KemAlgorithm, OpeningKey, PublicEncryptionKey,
    Purpose, base,
};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::shamir::{
    CombineError, Dealing, DealingTerms, HeldShare, ShamirError, Share, combine,
};
use fcp_proto_core::crypto::sign::Signature;
use fcp_proto_core::crypto::wrap::WrappableKey;
use fcp_proto_core::encoding::cbor::{self, FromCbor, MapBuilder, ToCbor, Value};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

use super::Case;

pub(crate) fn hpke_base(case: &Case<'_>) {
    let kem: KemAlgorithm = case.text("kem").parse().expect("a kind");
    let (info, aad, sealed) = (case.bytes("info"), case.bytes("aad"), case.bytes("sealed"));
    let opened = base::open(kem, &case.array("secret"), &info, &aad, &sealed);
    assert_eq!(opened.map(|plain| plain.to_vec()), Ok(case.bytes("plaintext")), "{}", case.place);
    let secret = Zeroizing::new(case.array("secret"));
    let recipient = match kem {
        KemAlgorithm::X25519 => EncryptionKey::from_secret(secret).recipient(),
        KemAlgorithm::XWing => HybridEncryptionKey::from_secret(secret).recipient(),
    };
    assert_eq!(recipient.as_bytes(), case.bytes("public"), "{}", case.place);
}

pub(crate) fn hpke_box(case: &Case<'_>) {
    let opened = open_box(case).map(|plain| plain.to_vec());
    assert_eq!(opened, Ok(case.bytes("plaintext")), "{}", case.place);
}

//= docs/spec/sealing.md#boxes-to-a-device
pub(crate) fn hpke_box_reject(case: &Case<'_>) {
    let error = open_box(case).map(|_| ()).map_err(box_error);
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

/// The error as vectors name it; of which kind the box is stands beside it.
pub(crate) fn box_error(error: HpkeError) -> String {
    match error {
        HpkeError::OtherKem(_) => String::from("OtherKem"),
        HpkeError::TooLarge | HpkeError::Length(_) | HpkeError::RecipientKey | HpkeError::NotOpened => {
            format!("{error:?}")
        }
    }
}

fn open_box(case: &Case<'_>) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let kem = case.text("kem").parse().expect("a kind");
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == case.text("purpose"));
    let context = BoxContext {
        zone_id: &ZoneId::new(case.text("zone")).expect("a zone"),
        recipient: &NodeId::new(case.text("node")).expect("a node"),
        purpose: purpose.expect("a purpose"),
        issued_at: UnixTime::from_secs(case.text("issued_at").parse().expect("a number")),
    };
    let secret = Zeroizing::new(case.array("secret"));
    let sealed = HpkeBox::from_packed(kem, case.bytes("sealed"))?;
    match case.optional("key_kem").map_or(kem, |kem| kem.parse().expect("a kind")) {
        KemAlgorithm::X25519 => sealed.open(&EncryptionKey::from_secret(secret), context),
        KemAlgorithm::XWing => sealed.open(&HybridEncryptionKey::from_secret(secret), context),
    }
}

/// A box to the case's key.
//= docs/spec/sealing.md#boxes-to-a-device
pub(crate) fn hpke_recipient_reject(case: &Case<'_>) {
    let kem = case.text("kem").parse().expect("a kind");
    let context = BoxContext {
        zone_id: &ZoneId::new("z:work").expect("a zone"),
        recipient: &NodeId::new("laptop").expect("a node"),
        purpose: Purpose::ZoneKey,
        issued_at: UnixTime::from_secs(1),
    };
    let entropy = &mut Entropy::from_seed(&Zeroizing::new([1; 32]));
    let sealed = PublicEncryptionKey::from_bytes(kem, &case.bytes("public"))
        .and_then(|key| HpkeBox::seal(&key, context, b"content", entropy));
    assert_eq!(sealed.map(drop).map_err(box_error), Err(case.text("error").into()), "{}", case.place);
}

fn shares(case: &Case<'_>) -> Result<Vec<Share>, ShamirError> {
    let listed = case.fields.get("shares").and_then(Json::as_array).expect("shares");
    let bytes = listed.iter().map(|share| hex::decode(share.as_str().expect("a text")).expect("hex"));
    bytes.map(|bytes| Share::from_bytes(&bytes)).collect()
}

pub(crate) fn shamir_combine(case: &Case<'_>) {
    let secret = shares(case).and_then(|shares| combine(&shares)).map(|secret| secret.to_vec());
    assert_eq!(secret, Ok(case.bytes("secret")), "{}", case.place);
}

pub(crate) fn shamir_reject(case: &Case<'_>) {
    let error = shares(case).and_then(|shares| combine(&shares)).map(|_| ());
    assert_eq!(error.map_err(|error| format!("{error:?}")), Err(case.text("error").into()), "{}", case.place);
}

fn dealing(case: &Case<'_>) -> (Dealing, Vec<HeldShare>) {
    let bytes = case.bytes("dealing");
    let dealing = Dealing::from_cbor(cbor::decode(&bytes).expect("canonical")).expect("a dealing");
    assert_eq!(cbor::encode(&dealing.to_cbor()), Ok(bytes), "{}", case.place);
    let (secret_id, generation) =
        (case.array("secret_id"), case.text("generation").parse().expect("a number"));
    let held =
        shares(case).expect("shares").into_iter().map(|share| HeldShare { secret_id, generation, share });
    (dealing, held.collect())
}

pub(crate) fn shamir_dealing(case: &Case<'_>) {
    let (dealing, shares) = dealing(case);
    let secret = dealing.combine(shares).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    assert_eq!(secret.expose(), case.bytes("secret"), "{}", case.place);
}

//= docs/spec/sealing.md#share-authentication
pub(crate) fn shamir_dealing_reject(case: &Case<'_>) {
    let (dealing, shares) = dealing(case);
    let error = dealing.combine(shares).map(|_| ()).map_err(|error| match error {
        CombineError::Faulty(faults) => {
            let named: Vec<String> =
                faults.iter().map(|(index, fault)| format!("({index}, {fault:?})")).collect();
            format!("Faulty([{}])", named.join(", "))
        }
        CombineError::TooFew { .. } | CombineError::DealtWrongly => format!("{error:?}"),
    });
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

/// The dealer's entropy gives the blind, and then the coefficients.
pub(crate) fn shamir_splitting(case: &Case<'_>) {
    let mut entropy = Entropy::from_seed(&Zeroizing::new(case.array("seed")));
    let rows = case.fields.get("coefficients").and_then(Json::as_array).expect("rows").iter();
    let rows: String = rows.map(|row| row.as_str().expect("a text")).collect();
    assert_eq!(entropy.bytes(), case.array::<32>("blind"), "{}", case.place);
    let mut drawn = vec![0; rows.len() / 2];
    entropy.fill(&mut drawn);
    assert_eq!(hex::encode(drawn), rows, "{}", case.place);
    assert_eq!(deal(case), Ok(dealing(case)), "{}", case.place);
}

//= docs/spec/sealing.md#shares
pub(crate) fn shamir_splitting_reject(case: &Case<'_>) {
    let error = deal(case).map(drop).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

fn deal(case: &Case<'_>) -> Result<(Dealing, Vec<HeldShare>), ShamirError> {
    let number = |name| case.text(name).parse().expect("a number");
    let times = case.optional("times").map_or(1, |times| times.parse().expect("a number"));
    let secret = SecretBytes::new(case.bytes("secret").repeat(times));
    let generation = case.text("generation").parse().expect("a number");
    let (threshold, total) = (number("threshold"), number("total"));
    let terms = DealingTerms { secret_id: case.array("secret_id"), generation, threshold, total };
    Dealing::deal(&secret, terms, &mut Entropy::from_seed(&Zeroizing::new(case.array("seed"))))
}

/// The first participant is this implementation with its entropy; what the others say is the vector's.
pub(crate) fn frost_keygen(case: &Case<'_>) {
    keeps(case, keygen(case, |who, name, said| tells(case, who, name, said)));
}

//= docs/spec/sealing.md#key-generation
pub(crate) fn frost_keygen_reject(case: &Case<'_>) {
    let error = keygen(case, |_, _, _| ()).map(drop).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

pub(crate) fn frost_refresh(case: &Case<'_>) {
    keeps(case, refresh(case, |who, name, said| tells(case, who, name, said)));
}

//= docs/spec/sealing.md#refresh
pub(crate) fn frost_refresh_reject(case: &Case<'_>) {
    let error = refresh(case, |_, _, _| ()).map(drop).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

/// What the first participant keeps.
fn keeps(case: &Case<'_>, share: Result<KeyShare, FrostError>) {
    let kept = share.expect("honest").to_bytes().expect("small");
    assert_eq!(hex::encode(&kept[..]), case.text("key_share"), "{}", case.place);
}

/// What the first participant says: to all, or to `who`.
fn tells(case: &Case<'_>, who: u8, name: &str, said: &[u8]) {
    let told = if who == 0 { case.bytes(name) } else { others(case)[&who].bytes(name) };
    assert_eq!(hex::encode(said), hex::encode(told), "{}: {name} to {who}", case.place);
}

/// The other participants.
fn others<'a>(case: &Case<'a>) -> BTreeMap<u8, Case<'a>> {
    case.list("others").map(|other| (other.text("participant").parse().expect("a number"), other)).collect()
}

/// What came of the others under a name.
fn came<T: From<Vec<u8>>>(case: &Case<'_>, name: &str) -> Received<T> {
    let came = others(case).into_iter().filter(|(_, other)| other.optional(name).is_some());
    came.map(|(who, other)| (who, other.bytes(name).into())).collect()
}

/// The share that the first participant has afterwards; `said` is shown what it says, and to whom.
fn keygen(case: &Case<'_>, said: impl Fn(u8, &str, &[u8])) -> Result<KeyShare, FrostError> {
    let entropy = &mut Entropy::from_seed(&Zeroizing::new(case.array("seed")));
    let [threshold, total] = ["threshold", "total"].map(|name| case.text(name).parse().expect("a number"));
    let begun = begin_keygen(case.array("ceremony_id"), (threshold, total), 1, entropy)?;
    ceremony(case, begun, said)
}

fn refresh(case: &Case<'_>, said: impl Fn(u8, &str, &[u8])) -> Result<KeyShare, FrostError> {
    let entropy = &mut Entropy::from_seed(&Zeroizing::new(case.array("seed")));
    let old = KeyShare::from_bytes(&case.bytes("old_share"))?;
    let participants = case.text("participants").split(' ').map(|it| it.parse().expect("a number")).collect();
    let begun = begin_refresh(case.array("ceremony_id"), &old, participants, entropy)?;
    ceremony(case, begun, said)
}

fn ceremony(
    case: &Case<'_>,
    (own, first): (Committed, Vec<u8>),
    said: impl Fn(u8, &str, &[u8]),
) -> Result<KeyShare, FrostError> {
    said(0, "own_first", &first);
    let (own, second) = own.receive(&came(case, "first"))?;
    second.iter().for_each(|(who, share)| said(*who, "own_second", share));
    own.receive(&came(case, "second"))
}

//= docs/spec/sealing.md#stored-key-shares
pub(crate) fn frost_share_reject(case: &Case<'_>) {
    let error =
        KeyShare::from_bytes(&case.bytes("key_share")).map(drop).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

/// The signer's entropy gives the randomness of its nonces.
pub(crate) fn frost_answer(case: &Case<'_>) {
    let mut entropy = Entropy::from_seed(&Zeroizing::new(case.array("seed")));
    for random in case.fields.get("randomness").and_then(Json::as_array).expect("a list") {
        assert_eq!(Some(&*hex::encode(entropy.bytes::<32>())), random.as_str(), "{}", case.place);
    }
    let answer =
        answer(case, |said| assert_eq!(hex::encode(said), case.text("commitment"), "{}", case.place));
    assert_eq!(answer, Ok(case.bytes("answer")), "{}", case.place);
}

//= docs/spec/sealing.md#signing
pub(crate) fn frost_answer_reject(case: &Case<'_>) {
    let error = answer(case, |_| ()).map(drop).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

/// The answer to the case's request; `said` is shown the commitment.
fn answer(case: &Case<'_>, said: impl Fn(&[u8])) -> Result<Vec<u8>, FrostError> {
    let share = KeyShare::from_bytes(&case.bytes("key_share")).expect("a share");
    let (nonces, commitment) = commit(&share, &mut Entropy::from_seed(&Zeroizing::new(case.array("seed"))))?;
    said(&commitment);
    let request = SigningRequest::from_bytes(&case.bytes("request"))?;
    assert_eq!(request.to_bytes(), Ok(case.bytes("request")), "{}", case.place);
    share.sign(&request, nonces)
}

pub(crate) fn frost_signing(case: &Case<'_>) {
    let signature = Signature::from_bytes(case.array("signature"));
    assert_eq!(aggregate(case), Ok(signature), "{}", case.place);
    let key = group(case).verifying_key().verify(&case.bytes("message"), &signature);
    assert_eq!(key, Ok(()), "{}", case.place);
}

pub(crate) fn frost_signing_reject(case: &Case<'_>) {
    let error = aggregate(case).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

/// The participants of a case, each as a case of its own.
fn participants<'a>(case: &Case<'a>) -> Vec<(u8, Case<'a>)> {
    let listed = case.fields.get("participants").and_then(Json::as_array).expect("participants");
    let part = |fields: &'a Json| {
        let part = Case { place: case.place.clone(), fields };
        (part.text("participant").parse().expect("a number"), part)
    };
    listed.iter().map(part).collect()
}

/// A map of the fields that all messages of a participant have, and of `fields` as byte strings.
fn message(index: u8, generation: Option<u32>, fields: &[(&'static str, Vec<u8>)]) -> Value<'static> {
    let mut map = MapBuilder::default();
    map.field("generation", &generation);
    map.item("participant", Value::Unsigned(index.into()));
    for (name, bytes) in fields {
        map.item(name, Value::Bytes(bytes.into()));
    }
    map.finish().into_owned()
}

fn group(case: &Case<'_>) -> GroupKey {
    let entry =
        |(index, part): (u8, Case<'_>)| message(index, None, &[("share", part.bytes("verifying_share"))]);
    let mut map = MapBuilder::default();
    map.field("generation", &0_u32);
    map.item("threshold", Value::Unsigned(case.text("threshold").parse().expect("a number")));
    map.item("verifying_key", Value::Bytes(case.bytes("verifying_key").into()));
    map.item("verifying_shares", Value::Array(participants(case).into_iter().map(entry).collect()));
    GroupKey::from_cbor(map.finish()).expect("a group key")
}

fn aggregate(case: &Case<'_>) -> Result<Signature, FrostError> {
    let (mut commitments, mut answers) = (Received::new(), BTreeMap::new());
    for (index, part) in participants(case) {
        if part.optional("signature_share").is_some() {
            let write = |fields: &[(&'static str, Vec<u8>)]| {
                cbor::encode(&message(index, Some(0), fields)).expect("small")
            };
            let points = [("hiding", part.bytes("hiding")), ("binding", part.bytes("binding"))];
            commitments.insert(index, write(&points));
            answers.insert(index, write(&[("share", part.bytes("signature_share"))]));
        }
    }
    let group = group(case);
    SigningRequest::new(&group, case.bytes("message"), &commitments)?.aggregate(&group, &answers)
}
