//! The vault on a real folder: stopped at every file operation, and with files that were changed behind its back.

use std::fs;
use std::sync::Arc;

use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ZoneId};
use fcp_proto_core::manifest::AuthKind;
use zeroize::Zeroizing;

use super::*;
use crate::ceremony::tests::files_with;
use crate::home::faulty::{FAULTS, Faulty};

/// Makes a secret; secrets are not cloned.
type Make = fn() -> Secret;

const NOW: UnixTime = UnixTime::from_secs(1_795_426_200);

pub(crate) fn key(zone: &str, connector: &str, name: &str) -> CredentialKey {
    CredentialKey {
        zone: ZoneId::new(zone).unwrap(),
        connector: ConnectorId::new(connector).unwrap(),
        name: CredentialId::new(name).unwrap(),
    }
}

fn entropy() -> Entropy {
    Entropy::from_seed(&Zeroizing::new([3; 32]))
}

fn vault_key() -> SymmetricKey<VaultRole> {
    SymmetricKey::from_bytes(Zeroizing::new([7; 32]))
}

fn bearer(text: &str) -> Secret {
    Secret::Bearer(SecretBytes::from(text.to_owned()))
}

fn oauth2(access: &str) -> Secret {
    let secret = |text: &str| SecretBytes::from(text.to_owned());
    Secret::OAuth2(Box::new(OAuth2 {
        access: secret(access),
        refresh: Some(secret("refresh-token")),
        expires_at: Some(NOW),
        token_url: "https://auth.example.com/token".into(),
        client_id: "client".into(),
        client_secret: None,
    }))
}

/// Stores a secret whose record becomes durable.
fn store(vault: &Vault, key: &CredentialKey, slot: &str, secret: &Secret) -> u64 {
    let version = vault.put(key, slot, secret, NOW).unwrap();
    vault.settle(key, version).unwrap();
    version
}

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        Home::create(&world.home()).unwrap();
        world
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn open(&self) -> Vault {
        Vault::open(&Home::open(&self.home()).unwrap(), vault_key(), entropy()).unwrap()
    }

    fn open_in(&self, files: Faulty) -> Option<Vault> {
        let home = Home::open_in(Arc::new(files), &self.home()).ok()?;
        Vault::open(&home, vault_key(), entropy()).ok()
    }

    fn file(&self, key: &CredentialKey, version: u64) -> PathBuf {
        let folder = self.home().join("vault").join(key.zone_folder()).join(key.connector.as_str());
        folder.join(file_name(key.name.as_str(), version))
    }
}

/// A vault on this disk that holds the credential by the record of version 1, if the disk lets it open.
pub(crate) fn vault_on(
    disk: &Faulty,
    key: &CredentialKey,
    secret: &Secret,
) -> Option<(tempfile::TempDir, Vault)> {
    let world = World::new();
    store(&world.open(), key, "token", secret);
    let vault = world.open_in(disk.clone())?;
    Some((world.folder, vault))
}

#[test]
fn every_kind_comes_back_as_it_was_stored_and_stands_nowhere_in_clear() {
    let world = World::new();
    let vault = world.open();
    let kinds: [(&str, Make); 4] = [
        ("a", || bearer("bearer-token-value")),
        ("b", || Secret::Header(SecretBytes::from("key header-value".to_owned()))),
        ("c", || Secret::Basic {
            user: SecretBytes::from("someone".to_owned()),
            password: SecretBytes::from("pass:word é".to_owned()),
        }),
        ("d", || oauth2("access-token")),
    ];
    for (name, make) in kinds {
        assert_eq!(store(&vault, &key("z:work", "github", name), "token", &make()), 1);
        let opened = world.open().get(&key("z:work", "github", name), 1).unwrap();
        assert_eq!(opened.secret, make());
        assert_eq!((opened.metadata.slot.as_str(), opened.metadata.version), ("token", 1));
    }
    for secret in
        ["bearer-token-value", "header-value", "someone", "pass:word", "access-token", "refresh-token"]
    {
        assert_eq!(files_with(&world.home(), secret.as_bytes()), 0, "{secret}");
    }
    let listing = vault.list().unwrap();
    let kinds: Vec<_> = listing.credentials.iter().map(|metadata| metadata.kind).collect();
    let all = [AuthKind::Bearer, AuthKind::Header, AuthKind::Basic, AuthKind::Oauth2].map(Some);
    assert_eq!(kinds, all);
    assert_eq!(
        format!("{:?}", vault.get(&key("z:work", "github", "a"), 1).unwrap().secret),
        "Secret(bearer)"
    );
}

#[test]
fn a_credential_is_found_only_under_its_own_zone_connector_and_name() {
    let world = World::new();
    let vault = world.open();
    vault.put(&key("z:work", "github", "main"), "token", &bearer("x1"), NOW).unwrap();
    for other in [
        key("z:private", "github", "main"),
        key("z:work", "notion", "main"),
        key("z:work", "github", "other"),
    ] {
        assert_eq!(vault.get(&other, 1).unwrap_err(), VaultError::Missing(other.clone()));
        assert_eq!(vault.remove(&other, NOW).unwrap_err().code(), Code::CredentialMissing);
    }
}

#[test]
fn a_replacement_leaves_one_file_and_a_removal_no_secret() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "github", "main"));
    store(&vault, &main, "token", &bearer("one"));
    assert_eq!(store(&vault, &main, "token", &bearer("two")), 2);
    assert!(!world.file(&main, 1).exists());
    assert_eq!(vault.get(&main, 2).unwrap().secret, bearer("two"));
    vault.remove(&main, NOW).unwrap();
    assert!(!world.file(&main, 2).exists());
    assert_eq!(vault.get(&main, 2).unwrap_err(), VaultError::Missing(main.clone()));
    assert_eq!(vault.remove(&main, NOW).unwrap_err(), VaultError::Missing(main.clone()));
    assert!(vault.list().unwrap().credentials.is_empty());
    assert_eq!(store(&vault, &main, "token", &bearer("three")), 4, "versions never repeat");
}

#[test]
fn a_secret_is_in_force_by_its_record_alone() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "github", "main"));
    let first = vault.put(&main, "token", &bearer("one"), NOW).unwrap();
    assert_eq!(vault.get(&main, first - 1).unwrap_err(), VaultError::Missing(main.clone()));
    vault.settle(&main, first).unwrap();
    let second = vault.put(&main, "token", &bearer("two"), NOW).unwrap();
    assert_eq!(vault.get(&main, first).unwrap().secret, bearer("one"), "the record still says so");
    assert_eq!(vault.get(&main, second).unwrap().secret, bearer("two"));
    vault.discard(&main, second).unwrap();
    assert_eq!(vault.get(&main, first).unwrap().secret, bearer("one"));
    assert!(vault.get(&main, second).is_err());
}

#[test]
fn a_secret_of_which_no_record_tells_goes_at_the_next_start() {
    let world = World::new();
    let (vault, main, other) = (world.open(), key("z:work", "mail", "main"), key("z:work", "mail", "other"));
    store(&vault, &main, "oauth", &oauth2("kept"));
    vault.put(&main, "oauth", &oauth2("never recorded"), NOW).unwrap();
    vault.put(&other, "oauth", &oauth2("never recorded"), NOW).unwrap();
    world.open().reconcile(&[(main.clone(), 1)].into(), NOW).unwrap();
    let vault = world.open();
    assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("kept"));
    assert!(!world.file(&main, 2).exists());
    assert_eq!(vault.list().unwrap().credentials.len(), 1);
    assert!(vault.get(&other, 1).is_err());
}

/// Stores a version as a release did that knew no records.
fn store_without_record(vault: &Vault, key: &CredentialKey, version: u64, secret: &Secret) {
    vault.make_folder(key).unwrap();
    let (slot, kind) = ("oauth".into(), Some(secret.kind()));
    let metadata =
        Metadata { key: key.clone(), slot, kind, version, stored_at: NOW, record: None, untold: false };
    let sealed = Record::seal(metadata, Some(secret), &vault_key(), &mut entropy()).unwrap();
    vault.write(key, version, &sealed).unwrap();
}

/// What stands becomes what such a release stored.
fn forget_record(vault: &Vault, key: &CredentialKey, version: u64) {
    let (_, secret) = vault.read(key, version).unwrap();
    store_without_record(vault, key, version, &secret.unwrap());
}

/// What releases stored that knew no records: it stands by itself, whatever the record's version.
#[test]
fn what_an_older_release_stored_still_opens() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    store_without_record(&vault, &main, 7, &oauth2("old"));
    assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("old"));
    assert_eq!(rotate(&vault, &main, 7, &oauth2("refreshed")), 8);
    assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("refreshed"));
    let version = vault.put(&main, "oauth", &oauth2("new"), NOW).unwrap();
    assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("refreshed"));
    assert_eq!(vault.get(&main, version).unwrap().secret, oauth2("new"));
}

/// Stores a refreshed token, of which the audit was told.
fn rotate(vault: &Vault, key: &CredentialKey, expected: u64, secret: &Secret) -> u64 {
    let version = vault.replace_if_version(key, expected, secret, NOW).unwrap();
    vault.told(key, version).unwrap();
    version
}

//= docs/spec/vault.md#refreshed-tokens
#[test]
fn a_refreshed_token_is_given_out_once_the_audit_was_told_also_after_a_kill() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    store(&vault, &main, "oauth", &oauth2("first"));
    let version = vault.replace_if_version(&main, 1, &oauth2("second"), NOW).unwrap();
    for vault in [vault, world.open()] {
        assert_eq!(vault.get(&main, 1).unwrap_err(), VaultError::Withheld(main.clone()));
        assert!(vault.list().unwrap().credentials[0].untold);
    }
    let vault = world.open();
    vault.told(&main, version).unwrap();
    for vault in [vault, world.open()] {
        assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("second"));
        assert!(!vault.list().unwrap().credentials[0].untold);
    }
    assert_eq!(world.open().told(&main, 7).unwrap_err(), VaultError::Missing(main));
}

#[test]
fn a_refreshed_token_replaces_only_the_version_it_was_refreshed_from() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    assert_eq!(
        vault.replace_if_version(&main, 0, &oauth2("a"), NOW).unwrap_err().code(),
        Code::CredentialMissing
    );
    store(&vault, &main, "oauth", &oauth2("first"));
    assert_eq!(rotate(&vault, &main, 1, &oauth2("second")), 2);
    assert_eq!(vault.get(&main, 1).unwrap().metadata.slot, "oauth");
    let late = vault.replace_if_version(&main, 1, &oauth2("late"), NOW).unwrap_err();
    assert_eq!(
        (late.code(), late),
        (Code::Conflict, VaultError::Superseded { key: main.clone(), version: 2 })
    );
    vault.remove(&main, NOW).unwrap();
    let gone = vault.replace_if_version(&main, 2, &oauth2("late"), NOW).unwrap_err();
    assert_eq!(gone.code(), Code::CredentialMissing);
    assert_eq!(vault.get(&main, 1).unwrap_err().code(), Code::CredentialMissing);
}

//= docs/spec/vault.md#changes
#[test]
fn a_put_that_is_open_and_then_refused_costs_no_refreshed_token() {
    for old_release in [false, true] {
        let world = World::new();
        let (vault, main) = (world.open(), key("z:work", "mail", "main"));
        store(&vault, &main, "oauth", &oauth2("spent"));
        if old_release {
            forget_record(&vault, &main, 1);
        }
        let put = vault.put(&main, "oauth", &oauth2("refused"), NOW).unwrap();
        let refreshed = rotate(&vault, &main, 1, &oauth2("rotated"));
        assert_eq!((put, refreshed), (2, 3));
        // Whichever record a crash leaves, its own secret stands, and the token goes on from its own number.
        assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("rotated"));
        assert_eq!(vault.get(&main, put).unwrap().secret, oauth2("refused"));
        assert_eq!(rotate(&vault, &main, refreshed, &oauth2("again")), 4);
        vault.discard(&main, put).unwrap();
        assert_eq!(vault.get(&main, 1).unwrap().secret, oauth2("again"));
    }
}

//= docs/spec/vault.md#changes
#[test]
fn a_put_that_takes_force_ends_what_was_refreshed_meanwhile() {
    for old_release in [false, true] {
        let world = World::new();
        let (vault, main) = (world.open(), key("z:work", "mail", "main"));
        store(&vault, &main, "oauth", &oauth2("spent"));
        if old_release {
            forget_record(&vault, &main, 1);
        }
        let put = vault.put(&main, "oauth", &oauth2("new"), NOW).unwrap();
        rotate(&vault, &main, 1, &oauth2("rotated"));
        vault.settle(&main, put).unwrap();
        assert_eq!(vault.get(&main, put).unwrap().secret, oauth2("new"));
        assert!(!world.file(&main, 3).exists(), "the token of the old secret is gone");
        let late = vault.replace_if_version(&main, 3, &oauth2("late"), NOW).unwrap_err();
        assert_eq!(late.code(), Code::CredentialMissing);
    }
}

#[test]
fn of_many_who_replace_one_version_one_succeeds() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    store(&vault, &main, "oauth", &oauth2("first"));
    let succeeded = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|at| {
                let (vault, main) = (&vault, &main);
                scope
                    .spawn(move || vault.replace_if_version(main, 1, &oauth2(&format!("t{at}")), NOW).is_ok())
            })
            .collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).filter(|done| *done).count()
    });
    assert_eq!(succeeded, 1);
}

#[test]
fn a_stop_at_any_file_operation_leaves_the_old_or_the_new_whole() {
    for fault in FAULTS {
        for change in ["put", "settle", "replace", "remove"] {
            for at in 0.. {
                if !stopped_at(at, fault, change) {
                    break;
                }
            }
        }
    }
}

/// Makes a change that stops at a file operation, and looks at what stands; whether it came so far.
fn stopped_at(at: u64, fault: crate::home::faulty::Fault, change: &str) -> bool {
    let world = World::new();
    let (main, other) = (key("z:work", "mail", "main"), key("z:work", "mail", "other"));
    let vault = world.open();
    store(&vault, &main, "oauth", &oauth2("old"));
    store(&vault, &other, "oauth", &oauth2("other"));
    if change == "settle" {
        vault.put(&main, "oauth", &oauth2("new"), NOW).unwrap();
    }
    let files = Faulty::new(at, fault);
    let done = world.open_in(files.clone()).map(|vault| match change {
        "put" => vault.put(&main, "oauth", &oauth2("new"), NOW).map(|_| ()),
        "settle" => vault.settle(&main, 2),
        "replace" => vault.replace_if_version(&main, 1, &oauth2("new"), NOW).map(|_| ()),
        _ => vault.remove(&main, NOW),
    });
    let answered = done.is_some_and(|done| done.is_ok());
    let vault = world.open();
    let secret = |record| vault.get(&main, record).map(|opened| opened.secret);
    let record = match change {
        // Its record may have become durable or not: either way there is what that record tells of.
        "put" => {
            assert_eq!(secret(1).unwrap(), oauth2("old"), "{fault:?} {at}");
            assert!(!answered || secret(2).unwrap() == oauth2("new"), "what was answered must stand");
            1
        }
        "settle" => {
            assert_eq!(secret(2).unwrap(), oauth2("new"), "{fault:?} {at}");
            2
        }
        "replace" => {
            // The next start tells the audit of what this one could not.
            if secret(1) == Err(VaultError::Withheld(main.clone())) {
                vault.told(&main, 2).unwrap();
            }
            let standing = secret(1).unwrap();
            assert!(standing == oauth2("new") || (standing == oauth2("old") && !answered), "{fault:?} {at}");
            1
        }
        _ => {
            match secret(1) {
                Err(error) => assert_eq!(error, VaultError::Missing(main.clone())),
                Ok(standing) => assert!(standing == oauth2("old") && !answered, "{fault:?} {at}"),
            }
            1
        }
    };
    vault.reconcile(&[(main.clone(), record), (other.clone(), 1)].into(), NOW).unwrap();
    assert_eq!(vault.get(&other, 1).unwrap().secret, oauth2("other"));
    let names = vault.files.list(world.file(&main, 1).parent().unwrap()).unwrap();
    assert_eq!(names.len(), 2, "nothing is left over: {names:?}");
    files.happened()
}

#[test]
fn a_changed_cut_or_foreign_file_is_named_and_hurts_no_other() {
    let world = World::new();
    let (main, other) = (key("z:work", "mail", "main"), key("z:work", "mail", "other"));
    let elsewhere = key("z:public", "mail", "main");
    let vault = world.open();
    for key in [&main, &other, &elsewhere] {
        store(&vault, key, "oauth", &oauth2("secret"));
    }
    let (path, whole) = (world.file(&main, 1), fs::read(world.file(&main, 1)).unwrap());
    let mut bad: Vec<Vec<u8>> = (0..whole.len())
        .step_by(5)
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        })
        .collect();
    bad.extend([whole[..whole.len() - 1].to_vec(), Vec::new(), b"not a box".to_vec()]);
    bad.push(fs::read(world.file(&other, 1)).unwrap());
    bad.push(fs::read(world.file(&elsewhere, 1)).unwrap());
    for bytes in bad {
        fs::write(&path, bytes).unwrap();
        let refused = vault.get(&main, 1).unwrap_err();
        assert_eq!(refused.code(), Code::VaultInvalid);
        assert!(refused.to_string().contains(path.to_str().unwrap()));
        let listing = vault.list().unwrap();
        assert_eq!((listing.credentials.len(), listing.invalid.len()), (2, 1));
        assert!(vault.get(&other, 1).is_ok() && vault.get(&elsewhere, 1).is_ok());
    }
    let foreign = SymmetricKey::from_bytes(Zeroizing::new([8; 32]));
    let foreign = Vault::open(&Home::open(&world.home()).unwrap(), foreign, entropy()).unwrap();
    assert_eq!(foreign.get(&other, 1).unwrap_err().code(), Code::VaultInvalid);
    assert_eq!(store(&vault, &main, "oauth", &oauth2("again")), 2);
    assert_eq!(vault.get(&main, 2).unwrap().secret, oauth2("again"));
}

#[test]
fn what_does_not_open_can_be_removed_and_never_brings_an_older_secret_back() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    store(&vault, &main, "oauth", &oauth2("one"));
    fs::write(world.file(&main, 2), b"damaged").unwrap();
    fs::set_permissions(world.file(&main, 2), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let vault = {
        drop(vault);
        world.open()
    };
    assert!(world.file(&main, 1).exists(), "it is kept for whoever repairs");
    assert_eq!(vault.get(&main, 1).unwrap_err().code(), Code::VaultInvalid);
    vault.remove(&main, NOW).unwrap();
    assert_eq!(vault.get(&main, 1).unwrap_err().code(), Code::CredentialMissing);
    assert!(!world.file(&main, 1).exists() && !world.file(&main, 2).exists());
}

#[test]
fn a_file_or_folder_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    store(&vault, &main, "oauth", &oauth2("one"));
    fs::set_permissions(world.file(&main, 1), fs::Permissions::from_mode(0o640)).unwrap();
    let refused = vault.get(&main, 1).unwrap_err();
    assert!(refused.to_string().contains("0640"), "{refused}");
    let folder = world.home().join("vault").join("z_work");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Vault::open(&Home::open(&world.home()).unwrap(), vault_key(), entropy()).unwrap_err();
    assert_eq!(refused.code(), Code::FileForbidden);
}

#[test]
fn secrets_that_no_header_can_carry_are_refused() {
    let world = World::new();
    let vault = world.open();
    let long = "a".repeat(65 * 1024);
    for (secret, why) in [
        (bearer(""), SecretInvalid::Empty),
        (bearer("two\r\nlines"), SecretInvalid::Character),
        (bearer(" padded"), SecretInvalid::Character),
        (bearer("é"), SecretInvalid::Character),
        (bearer(&long), SecretInvalid::TooLong),
        (
            Secret::Basic {
                user: SecretBytes::from("a:b".to_owned()),
                password: SecretBytes::from("c".to_owned()),
            },
            SecretInvalid::Colon,
        ),
    ] {
        let refused = vault.put(&key("z:work", "mail", "main"), "s", &secret, NOW).unwrap_err();
        assert_eq!((refused.code(), refused), (Code::InputInvalid, VaultError::Secret(why)));
    }
    assert!(vault.list().unwrap().credentials.is_empty());
}
