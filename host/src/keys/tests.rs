//! Stored keys: opened by their sources alone, refused when others could read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fcp_proto_core::crypto::wrap::WrapError;
use fcp_proto_core::error::Code;

use super::*;
use crate::ceremony::tests::{PASSPHRASE, made_home};
use crate::home::Misplaced;

fn passphrase() -> SecretBytes {
    SecretBytes::from(PASSPHRASE.to_owned())
}

fn entropy() -> Entropy {
    Entropy::from_seed(&Zeroizing::new([4; 32]))
}

fn alice() -> PrincipalId {
    PrincipalId::new("alice").unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn passphrases_open_the_owners_and_the_operators_key_and_wrong_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (home, phrase) = made_home(&folder.path().join("home"), 1);
    let keys = KeyStore::open(&home, None).unwrap();
    assert_eq!(keys.unlock_owner(&passphrase()).unwrap(), phrase.owner_key());
    let key =
        read_stored::<WrappedKey>(&*keys.files, &home.keys().join("operator.alice.key")).unwrap().key_id;
    assert!(keys.unlock_operator(&alice(), key, &passphrase()).is_ok());
    let wrong = SecretBytes::from("wrong horse".to_owned());
    let wrong = keys.unlock_operator(&alice(), key, &wrong).unwrap_err();
    assert_eq!(wrong.code(), Code::UnlockFailed);
    assert!(matches!(wrong, KeyStoreError::Wrap { error: WrapError::NotOpened, .. }));
    let nobody = PrincipalId::new("bob").unwrap();
    let unknown = keys.unlock_operator(&nobody, key, &passphrase()).unwrap_err();
    assert_eq!((unknown.code(), unknown), (Code::NotFound, KeyStoreError::UnknownOperator(nobody)));
}

#[test]
fn a_further_key_of_an_operator_has_a_file_of_its_own_and_goes_if_nobody_delegates_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    let keys = KeyStore::open(&home, None).unwrap();
    let first = fs::read(home.keys().join("operator.alice.key")).unwrap();
    let new = SecretBytes::from("a new passphrase".to_owned());
    let key = keys.add_operator(&alice(), &new, Argon2Cost::LEAST, &mut entropy()).unwrap();
    let file = home.keys().join(format!("operator.alice.{}.key", key.key_id()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(keys.unlock_operator(&alice(), key.key_id(), &new).unwrap(), key);
    assert_eq!(fs::read(home.keys().join("operator.alice.key")).unwrap(), first, "nothing is written over");
    keys.remove_others(&BTreeSet::new()).unwrap();
    assert!(!file.exists(), "nobody's key");
    assert!(home.keys().join("operator.alice.key").exists(), "the ceremony's key stays");
}

#[test]
fn the_phrase_restores_the_owners_key_under_a_new_passphrase_and_no_other_phrase_does() {
    let folder = tempfile::tempdir().unwrap();
    let (home, phrase) = made_home(&folder.path().join("home"), 1);
    let keys = KeyStore::open(&home, None).unwrap();
    fs::remove_file(home.keys().join("owner.key")).unwrap();
    let owner = home.facts().unwrap().unwrap().owner_key;
    let recovered = fcp_state_machines::trust::ceremony::recover(&phrase.words()).unwrap();
    let new = SecretBytes::from("a new passphrase".to_owned());
    keys.restore_owner(&recovered, owner, &new, Argon2Cost::LEAST, &mut entropy()).unwrap();
    assert_eq!(keys.unlock_owner(&new).unwrap(), phrase.owner_key());
    let stranger = SigningKey::<Owner>::generate(&mut entropy());
    let refused = keys.restore_owner(&stranger, owner, &new, Argon2Cost::LEAST, &mut entropy()).unwrap_err();
    assert_eq!(refused, KeyStoreError::OtherOwner);
    assert_eq!(keys.unlock_owner(&new).unwrap(), phrase.owner_key());
}

#[test]
fn a_new_zone_gets_a_key_once() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    let keys = KeyStore::open(&home, None).unwrap();
    let zone = ZoneId::new("z:project:apollo").unwrap();
    let key = keys.add_zone_key(&zone, &mut entropy()).unwrap();
    assert_eq!(
        keys.add_zone_key(&zone, &mut entropy()).unwrap_err(),
        KeyStoreError::ZoneExists(zone.clone())
    );
    let loaded = KeyStore::open(&home, None).unwrap().load_node_keys().unwrap();
    assert_eq!(loaded.node.zones.len(), 6);
    assert_eq!(*loaded.node.zones[&zone].serving(), key);
}

#[test]
fn weak_sources_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    let report = KeyStore::open(&home, None).unwrap().report().unwrap();
    assert_eq!(report.len(), 11);
    for key in report {
        let by_passphrase = matches!(key.role, KeyRole::Owner | KeyRole::Operator);
        assert_eq!(key.source.kind(), if by_passphrase { "passphrase" } else { "file" });
        assert_eq!(key.caveat.is_none(), by_passphrase, "{}", key.file);
    }
}

#[test]
fn a_key_that_others_could_read_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    for name in ["node.secret", "node-signing.key", "vault.key", "zone.z_work.key"] {
        let path = home.keys().join(name);
        for mode in [0o640, 0o604, 0o620, 0o666] {
            chmod(&path, mode);
            let refused = load(&home).unwrap_err();
            assert_eq!(refused, KeyStoreError::File(HomeError::OpenToOthers { path: path.clone(), mode }));
            assert_eq!(refused.code(), Code::FileForbidden);
            assert_eq!(
                refused.remedy().unwrap(),
                format!("`chmod {} {}`", if path.is_dir() { 700 } else { 600 }, path.display())
            );
        }
        chmod(&path, 0o600);
    }
    load(&home).unwrap();
}

fn load(home: &Home) -> Result<LoadedKeys, KeyStoreError> {
    KeyStore::open(home, None)?.load_node_keys()
}

#[test]
fn missing_damaged_cut_and_exchanged_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    let file = |name: &str| home.keys().join(name);
    let whole = fs::read(file("node-issuance.key")).unwrap();
    let bad = [
        (Vec::new(), Code::StoreCorrupt),
        (whole[..whole.len() / 2].to_vec(), Code::StoreCorrupt),
        (fs::read(file("node-signing.key")).unwrap(), Code::NotPermitted),
    ];
    for (bytes, code) in bad {
        fs::write(file("node-issuance.key"), bytes).unwrap();
        let refused = load(&home).unwrap_err();
        assert!(refused.to_string().contains("node-issuance.key"), "{refused}");
        assert_eq!(refused.code(), code, "{refused}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(file("node-issuance.key"), bytes).unwrap();
        let refused = load(&home).unwrap_err();
        let codes = [Code::StoreCorrupt, Code::UnlockFailed, Code::VersionUnsupported, Code::NotPermitted];
        assert!(codes.contains(&refused.code()), "byte {at}: {refused}");
        assert!(refused.to_string().contains("node-issuance.key"), "byte {at}: {refused}");
    }
    fs::remove_file(file("node-issuance.key")).unwrap();
    let missing = load(&home).unwrap_err();
    assert_eq!(missing, KeyStoreError::File(HomeError::FileMissing(file("node-issuance.key"))));
    fs::write(file("node-issuance.key"), whole).unwrap();
    chmod(&file("node-issuance.key"), 0o600);

    fs::rename(file("zone.z_work.key"), file("swap")).unwrap();
    fs::rename(file("zone.z_public.key"), file("zone.z_work.key")).unwrap();
    fs::rename(file("swap"), file("zone.z_public.key")).unwrap();
    let exchanged = load(&home).unwrap_err();
    assert_eq!(exchanged.code(), Code::UnlockFailed, "a file passes for no other");
}

#[test]
fn a_link_in_place_of_a_key_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    let path = home.keys().join("vault.key");
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &path).unwrap();
    let found = Misplaced::LinkToFile(fs::canonicalize(aside).unwrap());
    assert_eq!(load(&home).unwrap_err(), KeyStoreError::File(HomeError::WrongKind { path, found }));
}

#[test]
fn a_credential_of_systemd_takes_the_place_of_the_file() {
    let credentials = tempfile::tempdir().unwrap();
    assert!(matches!(node_secret(Some(credentials.path())).unwrap(), NodeSecret::File { .. }));
    fs::write(credentials.path().join(NODE_SECRET_CREDENTIAL), [9; 32]).unwrap();
    let NodeSecret::Existing { source, key } = node_secret(Some(credentials.path())).unwrap() else {
        panic!("the credential is there")
    };
    assert_eq!((source.kind(), *key.expose()), ("systemd_credential", [9; 32]));
    fs::write(credentials.path().join(NODE_SECRET_CREDENTIAL), [9; 31]).unwrap();
    let short = node_secret(Some(credentials.path())).unwrap_err();
    assert_eq!(short, KeyStoreError::SecretLength(credentials.path().join(NODE_SECRET_CREDENTIAL)));
}

#[test]
fn keys_that_open_by_systemd_say_so_when_it_gives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    let credentials = tempfile::tempdir().unwrap();
    fs::write(credentials.path().join(NODE_SECRET_CREDENTIAL), [9; 32]).unwrap();
    let NodeSecret::Existing { source, key } = node_secret(Some(credentials.path())).unwrap() else {
        panic!("the credential is there")
    };
    let signing = SigningKey::<fcp_proto_core::crypto::role::Node>::generate(&mut entropy());
    let bytes = wrap_for_file(&signing, SIGNING_KEY, &key, source, &mut entropy()).unwrap();
    fs::write(home.keys().join(SIGNING_KEY), bytes).unwrap();
    let store = KeyStore::open(&home, Some(credentials.path())).unwrap();
    assert_eq!(store.load::<SigningKey<fcp_proto_core::crypto::role::Node>>(SIGNING_KEY).unwrap(), signing);
    let absent = KeyStore::open(&home, None).unwrap_err();
    assert_eq!(absent, KeyStoreError::CredentialMissing(NODE_SECRET_CREDENTIAL.into()));
    assert!(absent.remedy().is_some());
}
