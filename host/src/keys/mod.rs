//! Keys on disk: each in a file of `HOME/keys`, wrapped, and opened only by its source.
//!
//! The node's own keys are wrapped under keys derived from the *node secret*, which stands in a file of mode 0600 or is
//! a credential of systemd. The owner's and the operators' keys are wrapped under passphrases and opened on demand.
//!
//! //= docs/spec/home.md#keys

mod error;
mod missing;
#[cfg(test)]
mod tests;

pub use error::KeyStoreError;
pub use missing::{file_of_zone, is_stored, missing_of_people, missing_of_zones, restore_alone};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::role::{KeyRole, Operator, Owner, Vault, Wrapping};
use fcp_proto_core::crypto::secret::{SecretBytes, SymmetricKey};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::crypto::source::{Argon2Cost, KeySource};
use fcp_proto_core::crypto::wrap::{WrappableKey, WrappedKey};
use fcp_proto_core::encoding::cbor::{FromCbor, decode, encode};
use fcp_proto_core::ids::{KeyId, PrincipalId, ZoneId};
use fcp_proto_core::object::ObjectIdKey;
use fcp_proto_core::random::Entropy;
use fcp_runtime_tokio::storage::atomic_file;
use fcp_runtime_tokio::storage::files::Files;
use fcp_state_machines::node::{Node, NodeKeys, OwnKeys, ZoneKeys};
use fcp_state_machines::trust::ceremony::NodeSecret;
use fcp_state_machines::trust::ceremony::files::{
    ENCRYPTION_KEY, ISSUANCE_KEY, OWNER_KEY, SIGNING_KEY, VAULT_KEY, file_wrapping_key, later_key_file,
    operator_key_file, wrap_for_file, zone_key_file, zone_of_key_file,
};
use zeroize::Zeroizing;

use crate::home::{Home, HomeError, read_private, remove_all_leftovers};

/// The file of the node secret, where it is a file.
pub const NODE_SECRET_FILE: &str = "node.secret";

/// The name of the node secret among systemd's credentials.
pub const NODE_SECRET_CREDENTIAL: &str = "fcp-node-secret";

/// Where systemd puts the credentials of a service: the variable that names the folder.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The stored keys of a home.
#[derive(Debug)]
pub struct KeyStore {
    files: Arc<dyn Files>,
    folder: PathBuf,
    secret: SymmetricKey<Wrapping>,
    source: KeySource,
}

/// What a node serves with.
#[derive(Debug)]
pub struct LoadedKeys {
    /// What its machines need.
    pub node: NodeKeys,
    /// Opens what is sealed to it.
    pub encryption: EncryptionKey,
    /// Opens its vault.
    pub vault: SymmetricKey<Vault>,
}

/// What may be shown of a stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// Its file.
    pub file: String,
    /// Its public name.
    pub key_id: KeyId,
    /// What it is for.
    pub role: KeyRole,
    /// Where the key that opens it comes from.
    pub source: KeySource,
    /// What that does not protect against; absent if there is nothing to show.
    pub caveat: Option<&'static str>,
}

/// The node secret that a ceremony is to use: systemd's credential if there is one, else a new file.
///
/// # Errors
/// What is wrong with the credential.
pub fn node_secret(credentials: Option<&Path>) -> Result<NodeSecret, KeyStoreError> {
    Ok(match systemd_credential(credentials)? {
        Some((source, key)) => NodeSecret::Existing { source, key },
        None => NodeSecret::File { name: NODE_SECRET_FILE.into() },
    })
}

/// Whether a home has any stored key.
///
/// # Errors
/// What the file system answers.
pub fn any_key(home: &Home) -> Result<bool, HomeError> {
    Ok(home.list(&home.keys())?.iter().any(|name| is_key_file(name)))
}

impl KeyStore {
    /// Opens the keys of a home whose ceremony has stored them. `credentials` is the folder of systemd's credentials.
    ///
    /// # Errors
    /// What is wrong with the node secret.
    pub fn open(home: &Home, credentials: Option<&Path>) -> Result<Self, KeyStoreError> {
        let (files, folder) = (Arc::clone(home.files()), home.keys());
        remove_all_leftovers(&*files, &folder)?;
        let (source, secret) = match read_stored::<WrappedKey>(&*files, &folder.join(SIGNING_KEY))?.source {
            KeySource::File { name } => {
                let path = folder.join(&name);
                let secret = secret_of(&path, &read_private(&*files, &path)?)?;
                (KeySource::File { name }, secret)
            }
            KeySource::SystemdCredential { name } => {
                systemd_credential(credentials)?.ok_or(KeyStoreError::CredentialMissing(name))?
            }
            source @ (KeySource::Passphrase { .. }
            | KeySource::OsKeystore { .. }
            | KeySource::OtherDevice { .. }) => {
                return Err(KeyStoreError::SourceUnsupported(source.kind()));
            }
        };
        Ok(Self { files, folder, secret, source })
    }

    /// Opens everything the node serves with.
    ///
    /// # Errors
    /// Names the file that is missing, open to others, damaged or not to be opened.
    pub fn load_node_keys(&self) -> Result<LoadedKeys, KeyStoreError> {
        Ok(LoadedKeys {
            node: NodeKeys {
                signing: self.load(SIGNING_KEY)?,
                issuance: self.load(ISSUANCE_KEY)?,
                zones: self.load_zone_keys()?,
            },
            encryption: self.load(ENCRYPTION_KEY)?,
            vault: self.load(VAULT_KEY)?,
        })
    }

    /// Each zone begins with its first key; the journal says which of the later ones took its place. Without the first
    /// nothing of the zone can be read, and the replay says so.
    fn load_zone_keys(&self) -> Result<BTreeMap<ZoneId, ZoneKeys>, KeyStoreError> {
        let mut zones: BTreeMap<ZoneId, ZoneKeys> = BTreeMap::new();
        let mut later = Vec::new();
        for name in self.names()? {
            match zone_of_key_file(&name) {
                Some((zone, None)) => {
                    zones.insert(zone, self.load::<ObjectIdKey>(&name)?.into());
                }
                Some((zone, Some(_))) => later.push((zone, name)),
                None => {}
            }
        }
        for (zone, name) in later {
            if let Some(keys) = zones.get_mut(&zone) {
                keys.hold(self.load(&name)?);
            }
        }
        Ok(zones)
    }

    /// Opens the key `key` of an operator. Takes as long as stretching a passphrase does.
    ///
    /// # Errors
    /// [`KeyStoreError::UnknownOperator`], a wrong passphrase, or what is wrong with the file.
    pub fn unlock_operator(
        &self,
        operator: &PrincipalId,
        key: KeyId,
        passphrase: &SecretBytes,
    ) -> Result<SigningKey<Operator>, KeyStoreError> {
        let name = self.file_of(&operator_key_file(operator), key)?;
        self.unlock(&name.ok_or_else(|| KeyStoreError::UnknownOperator(operator.clone()))?, passphrase)
    }

    /// Whether the key `key` of an operator is stored here.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn has_operator(&self, operator: &PrincipalId, key: KeyId) -> Result<bool, KeyStoreError> {
        Ok(self.file_of(&operator_key_file(operator), key)?.is_some())
    }

    /// Makes and stores a further key of an operator, in a file of its own. It is nobody's until a delegation names it.
    ///
    /// # Errors
    /// What the file system answers; a passphrase that cannot be stretched.
    //= docs/spec/ceremony.md#operators
    pub fn add_operator(
        &self,
        operator: &PrincipalId,
        passphrase: &SecretBytes,
        cost: Argon2Cost,
        entropy: &mut Entropy,
    ) -> Result<SigningKey<Operator>, KeyStoreError> {
        let key = SigningKey::<Operator>::generate(entropy);
        let name = later_key_file(&operator_key_file(operator), key.key_id());
        self.store_under_passphrase(&name, &key, passphrase, cost, entropy)?;
        Ok(key)
    }

    /// Makes and stores other keys of the node, each in a file of its own. They serve once an attestation names them; the
    /// public key to seal to comes with them.
    ///
    /// # Errors
    /// What the file system answers.
    //= docs/spec/authority.md#another-key-of-a-node
    pub fn add_node_keys(&self, entropy: &mut Entropy) -> Result<(OwnKeys, [u8; 32]), KeyStoreError> {
        let own = OwnKeys { signing: SigningKey::generate(entropy), issuance: SigningKey::generate(entropy) };
        let encryption = EncryptionKey::generate(entropy);
        self.store(&later_key_file(SIGNING_KEY, own.signing.key_id()), &own.signing, entropy)?;
        self.store(&later_key_file(ISSUANCE_KEY, own.issuance.key_id()), &own.issuance, entropy)?;
        self.store(&later_key_file(ENCRYPTION_KEY, WrappableKey::key_id(&encryption)), &encryption, entropy)?;
        Ok((own, encryption.public_key()))
    }

    /// Has a node serve with the keys that the owner attests, if it was opened on those of before.
    ///
    /// # Errors
    /// Names the file that is missing or does not open.
    pub fn take_attested(&self, node: &mut Node) -> Result<(), KeyStoreError> {
        let Some(word) = node.attestation() else { return Ok(()) };
        let (signing, issuance) = (word.signing_key.key_id(), word.issuance_key.key_id());
        if signing != node.signing_key() || issuance != node.issuance_key() {
            let own = OwnKeys {
                signing: self.load(&self.file_or_missing(SIGNING_KEY, signing)?)?,
                issuance: self.load(&self.file_or_missing(ISSUANCE_KEY, issuance)?)?,
            };
            node.take_keys(own);
        }
        Ok(())
    }

    /// Removes the stored later keys that are none of those that the owner's objects name: their enrolment, attestation or
    /// definition was refused, or ended before it was durable. Those of the ceremony are never among them.
    ///
    /// # Errors
    /// What the file system answers.
    //= docs/spec/ceremony.md#operators
    pub fn remove_others(&self, named: &BTreeSet<KeyId>) -> Result<(), KeyStoreError> {
        let kinds = ["operator.", "node-", "zone."];
        for name in self.names()?.into_iter().filter(|it| kinds.iter().any(|kind| it.starts_with(kind))) {
            let key = read_stored::<WrappedKey>(&*self.files, &self.folder.join(&name))?.key_id;
            if name.ends_with(&later_key_file("", key)) && !named.contains(&key) {
                let path = self.folder.join(&name);
                tracing::info!(file = %path.display(), "a key that was never in force is removed");
                self.files.remove(&path).map_err(HomeError::io("remove", &path))?;
            }
        }
        Ok(self.files.sync_dir(&self.folder).map_err(HomeError::io("flush", &self.folder))?)
    }

    /// Opens the owner's key, for what only the owner may sign.
    ///
    /// # Errors
    /// A wrong passphrase, or what is wrong with the file.
    pub fn unlock_owner(&self, passphrase: &SecretBytes) -> Result<SigningKey<Owner>, KeyStoreError> {
        self.unlock(OWNER_KEY, passphrase)
    }

    /// Stores the owner's key under a new passphrase, after a recovery by the phrase.
    ///
    /// # Errors
    /// [`KeyStoreError::OtherOwner`] if it is not the key of `owner`; else what the file system answers.
    pub fn restore_owner(
        &self,
        key: &SigningKey<Owner>,
        owner: KeyId,
        passphrase: &SecretBytes,
        cost: Argon2Cost,
        entropy: &mut Entropy,
    ) -> Result<(), KeyStoreError> {
        if key.key_id() != owner {
            return Err(KeyStoreError::OtherOwner);
        }
        self.store_under_passphrase(OWNER_KEY, key, passphrase, cost, entropy)
    }

    /// Makes and stores the object-id key of a new zone.
    ///
    /// # Errors
    /// [`KeyStoreError::ZoneExists`]: a zone's first key is never written over. Else what the file system answers.
    pub fn add_zone_key(&self, zone: &ZoneId, entropy: &mut Entropy) -> Result<ObjectIdKey, KeyStoreError> {
        let name = zone_key_file(zone);
        if self.names()?.contains(&name) {
            return Err(KeyStoreError::ZoneExists(zone.clone()));
        }
        let key = ObjectIdKey::generate(entropy);
        self.store(&name, &key, entropy)?;
        Ok(key)
    }

    /// Makes and stores another key of a zone, in a file of its own. It names nothing until the owner's definition names it.
    ///
    /// # Errors
    /// What the file system answers.
    //= docs/spec/authority.md#another-key-of-a-zone
    pub fn add_later_zone_key(
        &self,
        zone: &ZoneId,
        entropy: &mut Entropy,
    ) -> Result<ObjectIdKey, KeyStoreError> {
        let key = ObjectIdKey::generate(entropy);
        self.store(&later_key_file(&zone_key_file(zone), key.key_id()), &key, entropy)?;
        Ok(key)
    }

    /// Every stored key and where the key that opens it comes from.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn report(&self) -> Result<Vec<KeyReport>, KeyStoreError> {
        let read = |file: String| {
            let WrappedKey { key_id, role, source, .. } =
                read_stored(&*self.files, &self.folder.join(&file))?;
            Ok(KeyReport { file, key_id, role, caveat: source.caveat(), source })
        };
        self.names()?.into_iter().map(read).collect()
    }

    fn load<K: WrappableKey>(&self, name: &str) -> Result<K, KeyStoreError> {
        let file = self.folder.join(name);
        let stored = read_stored::<WrappedKey>(&*self.files, &file)?;
        stored
            .open_with_key(&file_wrapping_key(&self.secret, name))
            .map_err(|error| KeyStoreError::Wrap { file, error })
    }

    fn unlock<K: WrappableKey>(&self, name: &str, passphrase: &SecretBytes) -> Result<K, KeyStoreError> {
        let file = self.folder.join(name);
        let stored = read_stored::<WrappedKey>(&*self.files, &file)?;
        stored.open_with_passphrase(passphrase).map_err(|error| KeyStoreError::Wrap { file, error })
    }

    /// The file that holds the key `key`: the one of the ceremony, or a later one.
    fn file_of(&self, first: &str, key: KeyId) -> Result<Option<String>, KeyStoreError> {
        let names = self.names()?;
        let later = later_key_file(first, key);
        if names.contains(&later) {
            return Ok(Some(later));
        }
        if !names.iter().any(|name| name == first) {
            return Ok(None);
        }
        let stored = read_stored::<WrappedKey>(&*self.files, &self.folder.join(first))?;
        Ok((stored.key_id == key).then(|| first.to_owned()))
    }

    fn file_or_missing(&self, first: &str, key: KeyId) -> Result<String, KeyStoreError> {
        let missing = || HomeError::FileMissing(self.folder.join(later_key_file(first, key)));
        Ok(self.file_of(first, key)?.ok_or_else(missing)?)
    }

    /// Stores a key under the node's secret.
    fn store<K: WrappableKey>(
        &self,
        name: &str,
        key: &K,
        entropy: &mut Entropy,
    ) -> Result<(), KeyStoreError> {
        let path = self.folder.join(name);
        let bytes = wrap_for_file(key, name, &self.secret, self.source.clone(), entropy)
            .map_err(|_| KeyStoreError::Unencodable(path.clone()))?;
        self.write(&path, &bytes)
    }

    fn store_under_passphrase<K: WrappableKey>(
        &self,
        name: &str,
        key: &K,
        passphrase: &SecretBytes,
        cost: Argon2Cost,
        entropy: &mut Entropy,
    ) -> Result<(), KeyStoreError> {
        let path = self.folder.join(name);
        let wrapped = WrappedKey::with_passphrase(key, passphrase, cost, entropy)
            .map_err(|error| KeyStoreError::Wrap { file: path.clone(), error })?;
        let bytes = encode(&wrapped).map_err(|_| KeyStoreError::Unencodable(path.clone()))?;
        self.write(&path, &bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
        Ok(atomic_file::write_in(&*self.files, path, bytes).map_err(HomeError::from)?)
    }

    /// The names of stored keys, in order.
    fn names(&self) -> Result<Vec<String>, KeyStoreError> {
        let names = self.files.list(&self.folder).map_err(HomeError::io("list", &self.folder))?;
        let mut names: Vec<_> = names.into_iter().filter(|name| is_key_file(name)).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// The keys that the owner's objects name: those of the operators, the nodes and the zones.
pub fn named_keys(node: &Node) -> BTreeSet<KeyId> {
    let authority = node.authority();
    let mut named: BTreeSet<KeyId> = authority.operators().keys().copied().collect();
    let attested = authority.attestations();
    named.extend(
        attested.flat_map(|(key, it)| [*key, it.issuance_key.key_id(), hash::key_id(&it.encryption_key)]),
    );
    let zones = authority.zones().filter_map(|(zone, _)| node.zone_keys(zone));
    named.extend(zones.flat_map(ZoneKeys::all).map(ObjectIdKey::key_id));
    named
}

fn is_key_file(name: &str) -> bool {
    name.ends_with(".key") && !name.starts_with('.')
}

/// Reads a stored value that is ours alone.
fn read_stored<T: FromCbor>(files: &dyn Files, path: &Path) -> Result<T, KeyStoreError> {
    let bytes = read_private(files, path)?;
    let damaged = |reason: String| HomeError::Damaged { file: path.to_owned(), reason };
    let value = decode(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(T::from_cbor(value).map_err(|error| damaged(error.to_string()))?)
}

/// The node secret that systemd hands to this service, if it does.
fn systemd_credential(
    folder: Option<&Path>,
) -> Result<Option<(KeySource, SymmetricKey<Wrapping>)>, KeyStoreError> {
    let Some(folder) = folder else { return Ok(None) };
    let path = folder.join(NODE_SECRET_CREDENTIAL);
    // systemd owns these files and decides who reads them.
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(HomeError::io("read", &path)(error).into()),
    };
    let source = KeySource::SystemdCredential { name: NODE_SECRET_CREDENTIAL.into() };
    Ok(Some((source, secret_of(&path, &bytes)?)))
}

fn secret_of(path: &Path, bytes: &[u8]) -> Result<SymmetricKey<Wrapping>, KeyStoreError> {
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() != secret.len() {
        return Err(KeyStoreError::SecretLength(path.to_owned()));
    }
    secret.copy_from_slice(bytes);
    Ok(SymmetricKey::from_bytes(secret))
}
