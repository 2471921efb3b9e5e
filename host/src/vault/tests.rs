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

fn key(zone: &str, connector: &str, name: &str) -> CredentialKey {
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
        assert_eq!(vault.put(&key("z:work", "github", name), "token", &make(), NOW).unwrap(), 1);
        let opened = world.open().get(&key("z:work", "github", name)).unwrap();
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
    assert_eq!(format!("{:?}", vault.get(&key("z:work", "github", "a")).unwrap().secret), "Secret(bearer)");
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
        assert_eq!(vault.get(&other).unwrap_err(), VaultError::Missing(other.clone()));
        assert_eq!(vault.remove(&other, NOW).unwrap_err().code(), Code::CredentialMissing);
    }
}

#[test]
fn a_replacement_leaves_one_file_and_a_removal_no_secret() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "github", "main"));
    vault.put(&main, "token", &bearer("one"), NOW).unwrap();
    assert_eq!(vault.put(&main, "token", &bearer("two"), NOW).unwrap(), 2);
    assert!(!world.file(&main, 1).exists());
    assert_eq!(vault.get(&main).unwrap().secret, bearer("two"));
    vault.remove(&main, NOW).unwrap();
    assert!(!world.file(&main, 2).exists());
    assert_eq!(vault.get(&main).unwrap_err(), VaultError::Missing(main.clone()));
    assert_eq!(vault.remove(&main, NOW).unwrap_err(), VaultError::Missing(main.clone()));
    assert!(vault.list().unwrap().credentials.is_empty());
    assert_eq!(vault.put(&main, "token", &bearer("three"), NOW).unwrap(), 4, "versions never repeat");
}

#[test]
fn a_refreshed_token_replaces_only_the_version_it_was_refreshed_from() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    assert_eq!(
        vault.replace_if_version(&main, 0, &oauth2("a"), NOW).unwrap_err().code(),
        Code::CredentialMissing
    );
    vault.put(&main, "oauth", &oauth2("first"), NOW).unwrap();
    assert_eq!(vault.replace_if_version(&main, 1, &oauth2("second"), NOW).unwrap(), 2);
    assert_eq!(vault.get(&main).unwrap().metadata.slot, "oauth");
    let late = vault.replace_if_version(&main, 1, &oauth2("late"), NOW).unwrap_err();
    assert_eq!(
        (late.code(), late),
        (Code::Conflict, VaultError::Superseded { key: main.clone(), version: 2 })
    );
    vault.remove(&main, NOW).unwrap();
    let gone = vault.replace_if_version(&main, 2, &oauth2("late"), NOW).unwrap_err();
    assert_eq!(gone.code(), Code::CredentialMissing);
    assert_eq!(vault.get(&main).unwrap_err().code(), Code::CredentialMissing);
}

#[test]
fn of_many_who_replace_one_version_one_succeeds() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    vault.put(&main, "oauth", &oauth2("first"), NOW).unwrap();
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
        for change in ["put", "replace", "remove"] {
            for at in 0.. {
                let world = World::new();
                let (main, other) = (key("z:work", "mail", "main"), key("z:work", "mail", "other"));
                let vault = world.open();
                vault.put(&main, "oauth", &oauth2("old"), NOW).unwrap();
                vault.put(&other, "oauth", &oauth2("other"), NOW).unwrap();
                let files = Faulty::new(at, fault);
                let done = world.open_in(files.clone()).map(|vault| match change {
                    "put" => vault.put(&main, "oauth", &oauth2("new"), NOW).map(|_| ()),
                    "replace" => vault.replace_if_version(&main, 1, &oauth2("new"), NOW).map(|_| ()),
                    _ => vault.remove(&main, NOW),
                });
                let vault = world.open();
                let standing = vault.get(&main);
                let is_new = match (change, &standing) {
                    ("remove", Err(VaultError::Missing(_))) => true,
                    (_, Ok(opened)) if opened.secret == oauth2("new") => true,
                    (_, Ok(opened)) => {
                        assert_eq!(opened.secret, oauth2("old"));
                        false
                    }
                    (_, Err(error)) => panic!("{change} {fault:?} {at}: {error}"),
                };
                assert!(is_new || done.is_none_or(|done| done.is_err()), "what was answered must stand");
                assert_eq!(vault.get(&other).unwrap().secret, oauth2("other"));
                let names = vault.files.list(world.file(&main, 1).parent().unwrap()).unwrap();
                assert_eq!(names.len(), 2, "nothing is left over: {names:?}");
                if !files.happened() {
                    assert!(is_new);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_changed_cut_or_foreign_file_is_named_and_hurts_no_other() {
    let world = World::new();
    let (main, other) = (key("z:work", "mail", "main"), key("z:work", "mail", "other"));
    let elsewhere = key("z:public", "mail", "main");
    let vault = world.open();
    for key in [&main, &other, &elsewhere] {
        vault.put(key, "oauth", &oauth2("secret"), NOW).unwrap();
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
        let refused = vault.get(&main).unwrap_err();
        assert_eq!(refused.code(), Code::VaultInvalid);
        assert!(refused.to_string().contains(path.to_str().unwrap()));
        let listing = vault.list().unwrap();
        assert_eq!((listing.credentials.len(), listing.invalid.len()), (2, 1));
        assert!(vault.get(&other).is_ok() && vault.get(&elsewhere).is_ok());
    }
    let foreign = SymmetricKey::from_bytes(Zeroizing::new([8; 32]));
    let foreign = Vault::open(&Home::open(&world.home()).unwrap(), foreign, entropy()).unwrap();
    assert_eq!(foreign.get(&other).unwrap_err().code(), Code::VaultInvalid);
    vault.put(&main, "oauth", &oauth2("again"), NOW).unwrap();
    assert_eq!(vault.get(&main).unwrap().secret, oauth2("again"));
}

#[test]
fn what_does_not_open_can_be_removed_and_never_brings_an_older_secret_back() {
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    vault.put(&main, "oauth", &oauth2("one"), NOW).unwrap();
    fs::write(world.file(&main, 2), b"damaged").unwrap();
    fs::set_permissions(world.file(&main, 2), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let vault = {
        drop(vault);
        world.open()
    };
    assert!(world.file(&main, 1).exists(), "it is kept for whoever repairs");
    assert_eq!(vault.get(&main).unwrap_err().code(), Code::VaultInvalid);
    vault.remove(&main, NOW).unwrap();
    assert_eq!(vault.get(&main).unwrap_err().code(), Code::CredentialMissing);
    assert!(!world.file(&main, 1).exists() && !world.file(&main, 2).exists());
}

#[test]
fn a_file_or_folder_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let (vault, main) = (world.open(), key("z:work", "mail", "main"));
    vault.put(&main, "oauth", &oauth2("one"), NOW).unwrap();
    fs::set_permissions(world.file(&main, 1), fs::Permissions::from_mode(0o640)).unwrap();
    let refused = vault.get(&main).unwrap_err();
    assert!(refused.to_string().contains("0640"), "{refused}");
    let folder = world.home().join("vault").join("z_work");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Vault::open(&Home::open(&world.home()).unwrap(), vault_key(), entropy()).unwrap_err();
    assert_eq!(refused.code(), Code::NotPermitted);
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
