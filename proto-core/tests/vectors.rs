//! Every vector file under the folders of [`FOLDERS`] is read, and each of its cases must hold.

#[path = "vectors/chunks.rs"]
mod chunks;
#[path = "vectors/decoding.rs"]
mod decoding;
#[path = "vectors/exchange.rs"]
mod exchange;
#[path = "vectors/keys.rs"]
mod keys;
#[path = "vectors/link.rs"]
mod link;
#[path = "vectors/mesh.rs"]
mod mesh;
#[path = "vectors/objects.rs"]
mod objects;
#[path = "vectors/sealing.rs"]
mod sealing;
#[path = "vectors/symbols.rs"]
mod symbols;
#[path = "vectors/zone_keys.rs"]
mod zone_keys;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::proof::CallProof;
use fcp_proto_core::crypto::role::{Agent, Node};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::sign::{Signature, SigningKey, VerifyingKey, signing_bytes};
use fcp_proto_core::crypto::wrap::{WrappableKey, WrappedKey};
use fcp_proto_core::crypto::{derive, hash};
use fcp_proto_core::encoding::cbor::{self, FromCbor, ToCbor, Value};
use fcp_proto_core::encoding::json::{Json, Pointer, parse};
use fcp_proto_core::ids::TokenId;
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::CallDigestInput;
use fcp_proto_core::token::Token;
use zeroize::Zeroizing;

const FOLDERS: [&str; 14] = [
    "cbor",
    "frames",
    "frost",
    "hpke",
    "json",
    "keys",
    "manifest",
    "objects",
    "sessions",
    "shamir",
    "sketches",
    "symbols",
    "tokens",
    "zone_keys",
];

const LARGEST: usize = 1 << 20;

/// Checks one case, described by an object.
type Check = fn(&Case<'_>);

const FILES: [(&str, Check); 53] = [
    ("cbor/accept.json", cbor_accept),
    ("cbor/reject.json", cbor_reject),
    ("frost/answers.json", sealing::frost_answer),
    ("frost/answers_reject.json", sealing::frost_answer_reject),
    ("frost/keygen.json", sealing::frost_keygen),
    ("frost/keygen_reject.json", sealing::frost_keygen_reject),
    ("frost/refresh.json", sealing::frost_refresh),
    ("frost/refresh_reject.json", sealing::frost_refresh_reject),
    ("frost/shares_reject.json", sealing::frost_share_reject),
    ("frost/signing.json", sealing::frost_signing),
    ("frost/signing_reject.json", sealing::frost_signing_reject),
    ("hpke/base.json", sealing::hpke_base),
    ("hpke/boxes.json", sealing::hpke_box),
    ("hpke/boxes_reject.json", sealing::hpke_box_reject),
    ("hpke/recipients_reject.json", sealing::hpke_recipient_reject),
    ("json/accept.json", json_accept),
    ("json/pointer.json", json_pointer),
    ("json/reject.json", json_reject),
    ("keys/blake3.json", blake3_modes),
    ("keys/ed25519.json", ed25519),
    ("keys/ed25519_reject.json", ed25519_reject),
    ("keys/encryption_key.json", encryption_key),
    ("keys/hkdf.json", hkdf),
    ("keys/key_id.json", key_id),
    ("keys/phrase.json", phrase),
    ("keys/phrase_reject.json", phrase_reject),
    ("keys/signing_bytes.json", signed),
    ("keys/wrapped_key.json", wrapped_key),
    ("keys/wrapped_key_reject.json", wrapped_key_reject),
    ("keys/x25519.json", x25519),
    ("manifest/interface.json", interface_hash),
    ("objects/identifiers.json", objects::identifier),
    ("objects/kinds.json", objects::kind),
    ("objects/kinds_reject.json", objects::kind_reject),
    ("objects/payloads.json", objects::payload),
    ("objects/payloads_reject.json", objects::payload_reject),
    ("objects/schemas.json", objects::schema),
    ("objects/zones.json", objects::zone),
    ("shamir/combine.json", sealing::shamir_combine),
    ("shamir/dealing.json", sealing::shamir_dealing),
    ("shamir/dealing_reject.json", sealing::shamir_dealing_reject),
    ("shamir/reject.json", sealing::shamir_reject),
    ("shamir/splitting.json", sealing::shamir_splitting),
    ("shamir/splitting_reject.json", sealing::shamir_splitting_reject),
    ("symbols/encoding.json", symbols::encoding),
    ("symbols/messages.json", symbols::message),
    ("symbols/messages_reject.json", symbols::message_reject),
    ("symbols/transmission.json", symbols::transmission),
    ("symbols/transmission_reject.json", symbols::transmission_reject),
    ("tokens/accept.json", token_accept),
    ("tokens/call_proof.json", call_proof),
    ("tokens/minted.json", token_minted),
    ("tokens/reject.json", token_reject),
];

/// One case and its place, for messages.
pub(crate) struct Case<'a> {
    pub(crate) place: String,
    fields: &'a Json,
}

impl Case<'_> {
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.as_str().expect("a text"))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_else(|| panic!("{}: no {name}", self.place))
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name)).unwrap_or_else(|_| panic!("{}: {name} is no hex", self.place))
    }

    /// `hex`, after as many repetitions as the case asks for.
    fn repeated(&self) -> Vec<u8> {
        let times = self.optional("times").map_or(0, |times| times.parse().expect("a number"));
        let mut bytes = self.optional("repeat").map_or_else(Vec::new, |_| self.bytes("repeat")).repeat(times);
        bytes.extend(self.bytes("hex"));
        bytes
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("{}: {name} has another length", self.place))
    }
}

fn all_files() -> impl Iterator<Item = (&'static str, Check)> {
    FILES
        .into_iter()
        .chain(mesh::FILES)
        .chain(link::FILES)
        .chain(keys::FILES)
        .chain(exchange::FILES)
        .chain(zone_keys::FILES)
        .chain(chunks::FILES)
        .chain(decoding::FILES)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

#[test]
fn every_vector_holds() {
    for (file, check) in all_files() {
        let bytes = fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let document = parse(&bytes, LARGEST).unwrap_or_else(|error| panic!("{file}: {error}"));
        let cases = document.get("cases").and_then(Json::as_array).expect("a list of cases");
        assert!(!cases.is_empty(), "{file} has no case");
        for (number, fields) in cases.iter().enumerate() {
            let case = Case { place: format!("{file} case {number}"), fields };
            assert!(!case.text("source").is_empty(), "{} has no source", case.place);
            check(&case);
        }
    }
}

/// The table of published suites says how many cases of each there are.
#[test]
fn the_published_suites_are_as_long_as_their_table_says() {
    let page = fs::read_to_string(root().join("README.md")).expect("the page");
    let table = page.split("## ").find(|part| part.starts_with("Published suites")).expect("the section");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut seen = 0;
    for row in rows {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, _, source, file, count, ..] = cells[..] else { panic!("{row}") };
        let bytes = fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let document = parse(&bytes, LARGEST).expect("JSON");
        let cases = document.get("cases").and_then(Json::as_array).expect("a list of cases");
        let named =
            |case: &&Json| case.get("source").and_then(Json::as_str).expect("a source").starts_with(source);
        assert_eq!(cases.iter().filter(named).count().to_string(), count, "{source} in {file}");
        seen += 1;
    }
    assert!(seen > 10, "{seen} rows");
}

/// Whoever reads the vectors finds in the specification what their errors mean.
#[test]
fn every_error_of_a_vector_is_named_in_the_specification() {
    let mut specification = String::new();
    for chapter in fs::read_dir(root().join("../docs/spec")).expect("the folder") {
        specification += &fs::read_to_string(chapter.expect("readable").path()).expect("UTF-8");
    }
    let named: BTreeSet<&str> = specification.split('`').skip(1).step_by(2).collect();
    let mut seen = 0;
    for (file, _) in all_files() {
        let bytes = fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let document = parse(&bytes, LARGEST).expect("JSON");
        for case in document.get("cases").and_then(Json::as_array).expect("a list of cases") {
            let errors = case.get("answers").and_then(Json::as_array).unwrap_or_default().iter();
            let errors = errors.chain(case.get("error")).filter_map(Json::as_str);
            // What an error says besides its name stands in quotation marks.
            for plain in errors.flat_map(|error| error.split('"').step_by(2)) {
                let words = plain.split(|character: char| !character.is_alphanumeric());
                for name in words.filter(|word| word.starts_with(char::is_uppercase)) {
                    assert!(named.contains(name), "{file}: {name} stands in no chapter");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn no_vector_file_is_left_unread() {
    let mut found = BTreeSet::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(root().join(folder)).expect("the folder exists") {
            let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
            found.insert(format!("{folder}/{name}"));
        }
    }
    let read: BTreeSet<String> = all_files().map(|(file, _)| String::from(file)).collect();
    assert_eq!(found, read);
}

/// Whatever stands in no folder of this test is read by the crate that owns it, as the page of the vectors says.
#[test]
fn no_folder_is_left_unread() {
    let elsewhere = ["check", "egress", "node"];
    let known: BTreeSet<String> = FOLDERS.into_iter().chain(elsewhere).map(String::from).collect();
    let entries = fs::read_dir(root()).expect("the vectors").map(|entry| entry.expect("readable").path());
    let found: BTreeSet<String> = entries
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect();
    assert_eq!(found, known);
}

fn interface_hash(case: &Case<'_>) {
    let manifest = Manifest::parse(case.text("manifest").as_bytes());
    let manifest = manifest.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    let mut hasher = hash::Hasher::new("FCP-INTERFACE-V1");
    hasher = hasher.with(&case.bytes("canonical"));
    assert_eq!(hasher.finish(), case.array("hash"), "{}", case.place);
    assert_eq!(*manifest.interface_hash().as_bytes(), case.array("hash"), "{}", case.place);
}

fn cbor_accept(case: &Case<'_>) {
    let bytes = case.repeated();
    let item = cbor::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    assert_eq!(cbor::encode(&item), Ok(bytes.clone()), "{}", case.place);
    if let Some(notation) = case.optional("diagnostic") {
        assert_eq!(diagnostic(&item), notation, "{}", case.place);
    }
    if let Some(text) = case.optional("json") {
        let value = parse(text.as_bytes(), LARGEST).expect("valid");
        assert_eq!(Json::from_cbor(item), Ok(value), "{}", case.place);
    }
}

/// Diagnostic notation (RFC 8949 section 8), floats by their bits.
fn diagnostic(item: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match item {
        Value::Unsigned(n) => n.to_string(),
        Value::Negative(n) => (-1 - i128::from(*n)).to_string(),
        Value::Bytes(bytes) => format!("h'{}'", hex::encode(bytes)),
        Value::Text(text) => format!("\"{text}\""),
        Value::Array(items) => format!("[{}]", list(items.iter().map(diagnostic).collect())),
        Value::Map(map) => {
            let entries = map.entries().iter();
            let entries = entries.map(|(key, value)| format!("{}: {}", diagnostic(key), diagnostic(value)));
            format!("{{{}}}", list(entries.collect()))
        }
        Value::Bool(bit) => bit.to_string(),
        Value::Null => "null".into(),
        Value::Float(x) => format!("float'{:016x}'", x.to_bits()),
    }
}

//= docs/spec/encoding.md#canonical-cbor
fn cbor_reject(case: &Case<'_>) {
    let bytes = case.repeated();
    let error = cbor::decode(&bytes).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

fn json_accept(case: &Case<'_>) {
    let value = parse(case.text("text").as_bytes(), LARGEST);
    let canonical = value.map(|value| value.to_canonical());
    assert_eq!(canonical.as_deref(), Ok(case.text("canonical")), "{}", case.place);
}

fn json_reject(case: &Case<'_>) {
    let bytes = case.optional("text").map_or_else(|| case.bytes("hex"), |text| text.as_bytes().to_vec());
    let rule = parse(&bytes, LARGEST).map_err(|error| format!("{:?}", error.rule));
    assert_eq!(rule, Err(case.text("error").into()), "{}", case.place);
}

fn json_pointer(case: &Case<'_>) {
    let document = parse(case.text("document").as_bytes(), LARGEST).expect("valid");
    match Pointer::new(case.text("pointer")) {
        Ok(pointer) => {
            let found = document.pointer(&pointer).map(Json::to_canonical);
            assert_eq!(found.as_deref(), case.optional("value"), "{}", case.place);
            assert_eq!(case.optional("error"), None, "{}", case.place);
        }
        Err(error) => assert_eq!(format!("{error:?}"), case.text("error"), "{}", case.place),
    }
}

fn blake3_modes(case: &Case<'_>) {
    let length: usize = case.text("length").parse().expect("a number");
    let input: Vec<u8> = (0..=250).cycle().take(length).collect();
    let actual = match case.text("mode") {
        "hash" => *hash::digest(&input).as_bytes(),
        "keyed_hash" => hash::Hasher::keyed(&case.array("key"), "").with(&input).finish(),
        "derive_key" => blake3::derive_key(case.text("context"), &input),
        other => panic!("{}: mode {other}", case.place),
    };
    assert_eq!(actual, case.array("hash"), "{}", case.place);
}

fn ed25519(case: &Case<'_>) {
    let key = SigningKey::<Node>::from_seed(&Zeroizing::new(case.array("seed")));
    let message = case.bytes("message");
    let signature = Signature::from_bytes(case.array("signature"));
    assert_eq!(key.verifying_key().as_bytes(), &case.array("public"), "{}", case.place);
    assert_eq!(key.sign(&message), signature, "{}", case.place);
    let public = VerifyingKey::<Node>::from_bytes(&case.array("public")).expect("a key");
    assert_eq!(public.verify(&message, &signature), Ok(()), "{}", case.place);
}

//= docs/spec/keys.md#signatures
fn ed25519_reject(case: &Case<'_>) {
    let signature = Signature::from_bytes(case.array("signature"));
    let error = match VerifyingKey::<Node>::from_bytes(&case.array("public")) {
        Ok(key) => match key.verify(&case.bytes("message"), &signature) {
            Ok(()) => String::from("none"),
            Err(_) => String::from("signature"),
        },
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(error, case.text("error"), "{}", case.place);
}

fn encryption_key(case: &Case<'_>) {
    let key = EncryptionKey::from_secret(Zeroizing::new(case.array("secret")));
    assert_eq!(key.public_key(), case.array("public"), "{}", case.place);
}

fn x25519(case: &Case<'_>) {
    let (mut scalar, mut u): ([u8; 32], [u8; 32]) = (case.array("scalar"), case.array("u"));
    for _ in 0..case.text("times").parse().expect("a number") {
        (scalar, u) = (x25519_dalek::x25519(scalar, u), scalar);
    }
    assert_eq!(scalar, case.array("output"), "{}", case.place);
}

fn hkdf(case: &Case<'_>) {
    let expected = case.bytes("output");
    let mut output = vec![0; expected.len()];
    derive::hkdf_sha256(&case.bytes("salt"), &case.bytes("secret"), &case.bytes("info"), &mut output)
        .expect("short enough");
    assert_eq!(output, expected, "{}", case.place);
}

fn key_id(case: &Case<'_>) {
    assert_eq!(hash::key_id(&case.bytes("public")).as_bytes(), &case.array("key_id"), "{}", case.place);
}

fn phrase(case: &Case<'_>) {
    let phrase = RecoveryPhrase::from_entropy(Zeroizing::new(case.array("entropy")));
    assert_eq!(phrase.words().as_str(), case.text("words"), "{}", case.place);
    let read = RecoveryPhrase::parse(case.text("words")).expect("a phrase");
    assert_eq!(read.owner_key().verifying_key().to_string(), case.text("owner"), "{}", case.place);
}

fn phrase_reject(case: &Case<'_>) {
    let error = RecoveryPhrase::parse(case.text("words")).map(|_| ()).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

fn signed(case: &Case<'_>) {
    let bytes = case.bytes("item");
    let item = cbor::decode(&bytes).expect("canonical");
    assert_eq!(signing_bytes(case.text("schema"), &item), Ok(case.bytes("bytes")), "{}", case.place);
}

fn wrapped_key(case: &Case<'_>) {
    let bytes = case.bytes("record");
    let record = WrappedKey::from_cbor(cbor::decode(&bytes).expect("canonical")).expect("a record");
    let passphrase = SecretBytes::from(String::from(case.text("passphrase")));
    let key: SigningKey<Agent> = record.open_with_passphrase(&passphrase).expect("opens");
    assert_eq!(key.expose_seed(), &case.array("seed"), "{}", case.place);
    assert_eq!(cbor::encode(&record.to_cbor()), Ok(bytes), "{}", case.place);
}

//= docs/spec/keys.md#keys-at-rest
fn wrapped_key_reject(case: &Case<'_>) {
    let record = case.bytes("record");
    let item = cbor::decode(&record).expect("canonical");
    let passphrase = SecretBytes::from(String::from(case.text("passphrase")));
    let error = match WrappedKey::from_cbor(item) {
        Ok(record) => match record.open_with_passphrase::<SigningKey<Agent>>(&passphrase) {
            Ok(_) => String::from("none"),
            Err(error) => format!("{error:?}"),
        },
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(error, case.text("error"), "{}", case.place);
}

fn token_accept(case: &Case<'_>) {
    let issuer = case.text("issuer").parse().expect("a key");
    let token = Token::decode(&case.bytes("token")).and_then(|token| token.verify(&issuer));
    let token = token.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    assert_eq!(token.claims().principal_id.as_str(), case.text("principal"), "{}", case.place);
    assert_eq!(token.claims().zone_id.as_str(), case.text("zone"), "{}", case.place);
    let payload = token.claims().to_payload().expect("readable claims are writable");
    let payload = cbor::encode(&payload).expect("small");
    let contained = token.as_bytes().windows(payload.len()).any(|window| window == payload);
    assert!(contained, "{}: the claims do not encode to the signed payload", case.place);
}

fn call_proof(case: &Case<'_>) {
    fn words<T: std::str::FromStr<Err: std::fmt::Debug> + Ord>(text: &str) -> BTreeSet<T> {
        text.split_whitespace().map(|word| word.parse().expect("a name")).collect()
    }
    let covered = CallDigestInput {
        format: 1,
        zone: case.text("zone").parse().expect("a zone"),
        principal: case.text("principal").parse().expect("a principal"),
        connector: case.text("connector").parse().expect("a connector"),
        operation: case.text("operation").parse().expect("an operation"),
        input: case.text("input").into(),
        resources: words(case.text("resources")),
        credentials: words(case.text("credentials")),
        idempotency_key: case.optional("idempotency_key").map(Into::into),
    };
    let call_digest = covered.digest().expect("small");
    assert_eq!(*call_digest.as_bytes(), case.array("call_digest"), "{}", case.place);
    let statement = CallProof {
        call_digest,
        token_id: TokenId::from_bytes(case.array("token_id")),
        node_id: case.text("node").parse().expect("a node"),
        audience: covered.zone,
        challenge: case.array("challenge"),
    };
    let key = SigningKey::<Agent>::from_seed(&Zeroizing::new(case.array("seed")));
    assert_eq!(key.verifying_key(), case.text("holder").parse().expect("a key"), "{}", case.place);
    let signature = Signature::from_bytes(case.array("signature"));
    assert_eq!(statement.sign(&key), Ok(signature), "{}", case.place);
    assert_eq!(statement.verify(&key.verifying_key(), &signature), Ok(()), "{}", case.place);
    // The signature is of the statement, and of these bytes.
    assert_eq!(key.sign(&case.bytes("bytes")), signature, "{}", case.place);
}

fn token_minted(case: &Case<'_>) {
    let issuer = SigningKey::from_seed(&Zeroizing::new(case.array("seed")));
    let bytes = case.bytes("token");
    let token = Token::decode(&bytes).and_then(|token| token.verify(&issuer.verifying_key()));
    let token = token.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    let minted = Token::mint(token.claims().clone(), &issuer).expect("claims that were read");
    assert_eq!(minted.as_bytes(), bytes, "{}", case.place);
}

//= docs/spec/tokens.md#envelope
//= docs/spec/tokens.md#claims
fn token_reject(case: &Case<'_>) {
    let issuer = case.text("issuer").parse().expect("a key");
    let token = case.optional("text").map_or_else(|| Token::decode(&case.bytes("token")), Token::from_text);
    let verified = token.and_then(|token| token.verify(&issuer));
    let error = verified.map(|_| ()).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}
