use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Package, PackageError, UntrustedPackage};
use crate::crypto::role::Publisher;
use crate::crypto::sign::SigningKey;
use crate::manifest::tests::SAMPLE;

fn key(seed: u8) -> SigningKey<Publisher> {
    SigningKey::from_seed(&[seed; 32].into())
}

fn native_manifest() -> String {
    let declarative = SAMPLE.replace("runtime = \"declarative\"", "runtime = \"native\"");
    let (before, rest) = declarative.split_once("[http]").unwrap();
    let (_, rest) = rest.split_once("[network]").unwrap();
    let (middle, rest) = rest.split_once("[operations.\"notes.note.get\".http]").unwrap();
    let (_, rest) = rest.split_once("[operations.\"notes.note.get\".hints]").unwrap();
    let network = "methods = [\"GET\"]\npaths = [\"/books/{rest*}\"]";
    alloc::format!(
        "{before}{}[operations.\"notes.note.get\".network]\nhosts = [\"api.notes.example\"]\n{network}\n\n[operations.\"notes.note.get\".hints]{rest}",
        middle.replace("\nhosts = [\"{config.base_url}\"]\n", "\n")
    )
}

fn native() -> Package {
    Package::build(native_manifest().as_bytes(), b"", Some(("x86_64-linux", vec![7; 1000]))).unwrap()
}

#[test]
fn a_package_survives_the_file_and_verifies() {
    let mut package = native();
    package.sign(&key(1)).unwrap();
    package.sign(&key(2)).unwrap();
    package.sign(&key(1)).unwrap();
    let bytes = package.to_bytes().unwrap();
    let read = Package::inspect(&bytes).unwrap();
    assert_eq!(read, package);
    assert_eq!(read.code(), [7; 1000]);
    let trusted = [key(1).verifying_key(), key(2).verifying_key(), key(3).verifying_key()];
    assert_eq!(read.clone().verify(&trusted, 2).unwrap().signers().len(), 2);
    assert_eq!(read.clone().verify(&trusted, 3), Err(UntrustedPackage::TooFew { have: 2, need: 3 }));
    assert_eq!(read.clone().verify(&trusted[2..], 1), Err(UntrustedPackage::TooFew { have: 0, need: 1 }));
    assert_eq!(read.verify(&trusted, 0), Err(UntrustedPackage::NoThreshold));
}

//= docs/spec/package.md#reading
#[test]
fn any_changed_byte_is_noticed() {
    let mut package = native();
    package.sign(&key(1)).unwrap();
    let bytes = package.to_bytes().unwrap();
    let trusted = [key(1).verifying_key()];
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let accepted = Package::inspect(&changed).ok().and_then(|package| package.verify(&trusted, 1).ok());
        assert!(accepted.is_none(), "byte {at}");
    }
}

//= docs/spec/package.md#reading
#[test]
fn every_cut_and_every_surplus_is_refused() {
    let bytes = native().to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(Package::inspect(&bytes[..length]).is_err(), "{length}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Package::inspect(&longer), Err(PackageError::TrailingBytes));
}

//= docs/spec/package.md#reading
#[test]
fn a_length_that_promises_too_much_is_refused_before_anything_is_read() {
    let mut bytes = super::MAGIC.to_vec();
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Package::inspect(&bytes), Err(PackageError::HeadTooLarge));
}

//= docs/spec/package.md#reading
#[test]
fn runtime_and_code_agree() {
    let code = || Some(("x86_64-linux", vec![1]));
    let build =
        |manifest: &str, code: Option<(&str, Vec<u8>)>| Package::build(manifest.as_bytes(), b"", code);
    assert!(build(SAMPLE, None).is_ok());
    for refused in [
        build(SAMPLE, code()),
        build(&native_manifest(), None),
        build(&native_manifest(), Some(("", vec![1]))),
        build(&native_manifest(), Some(("x86_64-linux", vec![]))),
    ] {
        assert_eq!(refused, Err(PackageError::RuntimeMismatch));
    }
}

#[test]
fn the_publisher_named_by_the_manifest_must_sign() {
    let publisher = key(1).key_id();
    let line = alloc::format!("runtime = \"declarative\"\npublisher = \"{publisher}\"");
    let manifest = SAMPLE.replace("runtime = \"declarative\"", &line);
    let mut package = Package::build(manifest.as_bytes(), b"", None).unwrap();
    package.sign(&key(2)).unwrap();
    let trusted = [key(1).verifying_key(), key(2).verifying_key()];
    assert_eq!(package.clone().verify(&trusted, 1), Err(UntrustedPackage::PublisherDidNotSign(publisher)));
    package.sign(&key(1)).unwrap();
    assert!(package.verify(&trusted, 1).is_ok());
}

#[test]
fn a_forged_signature_is_an_error_even_if_others_suffice() {
    let mut package = native();
    package.sign(&key(1)).unwrap();
    package.sign(&key(2)).unwrap();
    let forged = key(2).key_id();
    let at = package.head.signatures.iter().position(|signature| signature.kid == forged).unwrap();
    let mut sig = *package.head.signatures[at].sig.as_bytes();
    sig[0] ^= 1;
    package.head.signatures[at].sig = crate::crypto::sign::Signature::from_bytes(sig);
    let trusted = [key(1).verifying_key(), key(2).verifying_key()];
    assert_eq!(package.verify(&trusted, 1), Err(UntrustedPackage::BadSignature(forged)));
}

#[test]
fn a_signature_holds_for_no_other_schema() {
    let bytes = native().head().unsigned.signing_bytes().unwrap();
    assert!(bytes.starts_with(b"FCP2-SIGN-V1"));
    assert_eq!(bytes[12..20], blake3::hash(b"fcp.connector.package.v1").as_bytes()[..8]);
}

proptest::proptest! {
    //= docs/spec/package.md#reading
    #[test]
    fn no_bytes_make_the_reader_panic(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let mut bytes = super::MAGIC.to_vec();
        bytes.extend_from_slice(&u32::try_from(tail.len() / 2).unwrap().to_le_bytes());
        bytes.extend(&tail);
        let _ = Package::inspect(&bytes);
        let _ = Package::inspect(&tail);
    }
}
