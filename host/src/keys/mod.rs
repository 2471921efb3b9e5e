//! Keys on disk: each in a file of `HOME/keys`, wrapped, and opened only by its source.
//!
//! The node's own keys are wrapped under keys derived from the *node secret*, which stands in a file of mode 0600 or is
//! a credential of systemd. The owner's and the operators' keys are wrapped under passphrases and opened on demand.
//!
//! //= docs/spec/home.md#keys

mod error;
#[cfg(test)]
mod tests;

pub use error::KeyStoreError;

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
use fcp_proto_core::object::{ObjectIdKey, StoredObject};
use fcp_proto_core::random::Entropy;
use fcp_runtime_tokio::storage::error::StorageError;
use fcp_runtime_tokio::storage::files::Files;
use fcp_runtime_tokio::storage::{Storage, atomic_file};
use fcp_state_machines::node::{Node, NodeKeys, OwnKeys};
use fcp_state_machines::trust::authority::Authority;
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
        let mut zones = BTreeMap::new();
        for name in self.names()? {
            if let Some(zone) = zone_of_key_file(&name) {
                zones.insert(zone, self.load::<ObjectIdKey>(&name)?);
            }
        }
        Ok(LoadedKeys {
            node: NodeKeys { signing: self.load(SIGNING_KEY)?, issuance: self.load(ISSUANCE_KEY)?, zones },
            encryption: self.load(ENCRYPTION_KEY)?,
            vault: self.load(VAULT_KEY)?,
        })
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

    /// Removes the stored keys that nothing of the owner's names: their enrolment or attestation was refused, or ended before
    /// it was durable. Those of the ceremony are never among them.
    ///
    /// # Errors
    /// What the file system answers.
    //= docs/spec/ceremony.md#operators
    pub fn remove_unnamed(&self, authority: &Authority) -> Result<(), KeyStoreError> {
        let (operators, nodes) = (authority.operators(), authority.attestations());
        let mut named: BTreeSet<KeyId> = operators.keys().copied().collect();
        named.extend(
            nodes.flat_map(|(key, it)| [*key, it.issuance_key.key_id(), hash::key_id(&it.encryption_key)]),
        );
        for name in
            self.names()?.into_iter().filter(|it| it.starts_with("operator.") || it.starts_with("node-"))
        {
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
    /// [`KeyStoreError::ZoneExists`]: a zone's key is never replaced. Else what the file system answers.
    pub fn add_zone_key(&self, zone: &ZoneId, entropy: &mut Entropy) -> Result<ObjectIdKey, KeyStoreError> {
        let name = zone_key_file(zone);
        if self.names()?.contains(&name) {
            return Err(KeyStoreError::ZoneExists(zone.clone()));
        }
        let key = ObjectIdKey::generate(entropy);
        self.store(&name, &key, entropy)?;
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

/// The files of keys that people open, and that are not there: the owner's, and those of the operators' keys that can act.
/// With each the command that makes another in its place.
//= docs/spec/home.md#keys
pub fn missing_of_people(home: &Home, keys: &[(PrincipalId, KeyId)]) -> Vec<(PathBuf, String)> {
    let first_operator = home.facts().ok().flatten().map(|facts| facts.operator);
    let owner = home.keys().join(OWNER_KEY);
    let owner = (!is_there(&owner)).then(|| (owner, "fwc owner restore".to_owned()));
    let operator = |(name, key): &(PrincipalId, KeyId)| {
        let first = home.keys().join(operator_key_file(name));
        let later = home.keys().join(later_key_file(&operator_key_file(name), *key));
        let is_first = !is_there(&first) && first_operator.as_ref() == Some(name);
        let missing = if is_first { first.clone() } else { later.clone() };
        let gone = !is_stored(home, name, *key);
        gone.then(|| (missing, format!("fwc operator add {name} --replace")))
    };
    owner.into_iter().chain(keys.iter().filter_map(operator)).collect()
}

/// Whether the file of an operator's key is there. Of one that cannot be read it is told elsewhere that it cannot.
pub fn is_stored(home: &Home, name: &PrincipalId, key: KeyId) -> bool {
    let first = home.keys().join(operator_key_file(name));
    let later = home.keys().join(later_key_file(&operator_key_file(name), key));
    let in_first = read_stored::<WrappedKey>(&**home.files(), &first)
        .map_or_else(|_| is_there(&first), |it| it.key_id == key);
    is_there(&later) || in_first
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What to do about a key that people open and that is gone. Only its passphrase wraps it, and nothing else rests on it, so
/// a backup of any age has it, and the rest of the home stays as it is; the owner's words make another in its place.
pub fn restore_alone(file: &Path, anew: &str) -> String {
    format!(
        "restore {} from a backup of this home: that file alone, for nothing else rests on it; without a backup, \
         `{anew}` with the owner's 24 words",
        file.display()
    )
}

/// The file of a zone's key.
pub fn file_of_zone(home: &Home, zone: &ZoneId) -> PathBuf {
    home.keys().join(zone_key_file(zone))
}

/// The files of zones' keys that are not there, of all zones that the journal has a record of.
///
/// # Errors
/// What is wrong with the journal.
//= docs/spec/home.md#keys
pub fn missing_of_zones(home: &Home, storage: &Storage) -> Result<Vec<PathBuf>, StorageError> {
    let mut zones = BTreeSet::new();
    for replayed in storage.batches()? {
        let records = replayed?.batch.records;
        // A header is in clear. What cannot be read at all is for the replay to name.
        zones.extend(
            records.iter().filter_map(|it| Some(StoredObject::from_bytes(&it.bytes).ok()?.header.zone_id)),
        );
    }
    let files = zones.iter().map(|zone| file_of_zone(home, zone));
    Ok(files.filter(|file| file.symlink_metadata().is_err()).collect())
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
