//! The vault: credentials, each sealed in a file of its own.
//!
//! ```text
//! HOME/vault/<zone>/<connector>/<name>.<version>.sealed
//! ```
//!
//! A new secret is written whole beside the one before and names the version of the signed record that will say so; it is
//! in force once that record is durable, and only then is the one before removed. So a crash leaves the old credential or
//! the new one, and never one of which no record tells. A removal is a version too, without a secret, so that versions
//! never repeat.
//!
//! //= docs/spec/vault.md

mod error;
mod record;
mod secret;
#[cfg(test)]
pub(crate) mod tests;
mod withheld;

pub use error::VaultError;
pub use record::{CredentialKey, Metadata};
pub use secret::{OAuth2, Secret, SecretInvalid};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fcp_proto_core::crypto::role::Vault as VaultRole;
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::encoding::cbor::encode;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_runtime_tokio::storage::atomic_file;
use fcp_runtime_tokio::storage::files::Files;

use crate::home::{Home, HomeError, Kind, check_private, read_private, remove_all_leftovers};
use record::Record;
use withheld::Withheld;

/// The vault of a home. Its functions read and write a few small files and do not need a runtime.
#[derive(Debug)]
pub struct Vault {
    files: Arc<dyn Files>,
    folder: PathBuf,
    key: SymmetricKey<VaultRole>,
    /// One change at a time; the entropy for nonces.
    changing: Mutex<Entropy>,
    withheld: Withheld,
}

/// A credential's secret and what may be known of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// What may be known.
    pub metadata: Metadata,
    /// The secret.
    pub secret: Secret,
}

/// What is in the vault, and what of it does not open.
#[derive(Debug, Default)]
pub struct Listing {
    /// What may be known of each credential that opens, in order of its key.
    pub credentials: Vec<Metadata>,
    /// Files that do not open, or do not belong there.
    pub invalid: Vec<VaultError>,
}

impl Vault {
    /// Opens the vault, and removes what interrupted changes left behind.
    ///
    /// # Errors
    /// A folder that is not ours alone, or what the system answers. A file that does not open is no error here.
    pub fn open(home: &Home, key: SymmetricKey<VaultRole>, entropy: Entropy) -> Result<Self, VaultError> {
        let vault = Self {
            files: Arc::clone(home.files()),
            folder: home.vault(),
            key,
            changing: Mutex::new(entropy),
            withheld: Withheld::default(),
        };
        for folder in vault.folders()? {
            remove_all_leftovers(&*vault.files, &folder)?;
        }
        Ok(vault)
    }

    /// Stores a secret beside the one that stands. It is in force once the signed record has the version that this
    /// returns; then [`Vault::settle`] it, or [`Vault::discard`] it if the record was refused.
    ///
    /// # Errors
    /// A secret that cannot be presented, or what the system answers; then the old one or the new one stands, whole.
    pub fn put(
        &self,
        key: &CredentialKey,
        slot: &str,
        secret: &Secret,
        now: UnixTime,
    ) -> Result<u64, VaultError> {
        self.change(key, Change::Put { slot, secret }, now)
    }

    /// Stores what follows `expected` by the same record, if nothing does yet: a refreshed token. A secret that waits for
    /// its own record beside it neither hinders it nor is touched: what the service has rotated must not be lost to a put
    /// that may still be refused.
    ///
    /// # Errors
    /// [`VaultError::Superseded`], or as [`Vault::put`].
    pub fn replace_if_version(
        &self,
        key: &CredentialKey,
        expected: u64,
        secret: &Secret,
        now: UnixTime,
    ) -> Result<u64, VaultError> {
        match self.change(key, Change::Replace { expected, secret }, now) {
            // The write before was refused at its very end: the file is there, and may not last.
            Err(VaultError::Superseded { version, .. }) if self.is_at(key, version, secret) => {
                self.write_again(key, version, true)?;
                self.remove_replaced(key, expected);
                Ok(version)
            }
            other => other,
        }
    }

    /// Gives the credential to nobody who asks by this record, since the secret that follows it is not durable: whoever
    /// used it would spend what is spent already.
    //= docs/spec/vault.md#refreshed-tokens
    pub fn withhold(&self, key: &CredentialKey, record: u64) {
        self.withheld.add(key, record);
    }

    /// Gives it again.
    pub fn give_again(&self, key: &CredentialKey, record: u64) {
        self.withheld.remove(key, record);
    }

    /// Whether it is withheld by this record, beside what the audit is only still to be told of.
    pub fn is_withheld(&self, key: &CredentialKey, record: u64) -> bool {
        self.withheld.holds(key, record)
    }

    /// The credentials that are withheld.
    pub fn withheld(&self) -> Vec<CredentialKey> {
        self.withheld.all()
    }

    fn is_at(&self, key: &CredentialKey, version: u64, secret: &Secret) -> bool {
        self.read(key, version).is_ok_and(|(_, stored)| stored.as_ref() == Some(secret))
    }

    /// Gives out a refreshed token that [`Vault::replace_if_version`] stored, since the audit was told of it.
    ///
    /// # Errors
    /// [`VaultError::Missing`] once another has taken its place, or what the system answers; then it is still given to nobody.
    //= docs/spec/vault.md#refreshed-tokens
    pub fn told(&self, key: &CredentialKey, version: u64) -> Result<(), VaultError> {
        if !self.versions_of(key)?.contains(&version) {
            return Err(VaultError::Missing(key.clone()));
        }
        self.write_again(key, version, false)
    }

    fn write_again(&self, key: &CredentialKey, version: u64, untold: bool) -> Result<(), VaultError> {
        let mut entropy = self.lock();
        let (metadata, secret) = self.read(key, version)?;
        let metadata = Metadata { untold, ..metadata };
        let sealed = Record::seal(metadata, secret.as_ref(), &self.key, &mut entropy)?;
        self.write(key, version, &sealed)
    }

    /// Opens a credential whose signed record has the version `record`.
    ///
    /// # Errors
    /// [`VaultError::Missing`]; [`VaultError::Invalid`] naming a file that does not open; [`VaultError::Withheld`].
    pub fn get(&self, key: &CredentialKey, record: u64) -> Result<Opened, VaultError> {
        if self.withheld.holds(key, record) {
            return Err(VaultError::Withheld(key.clone()));
        }
        let missing = || VaultError::Missing(key.clone());
        let (metadata, secret) = self.standing(key, record)?.ok_or_else(missing)?;
        let secret = secret.ok_or_else(missing)?;
        if metadata.untold {
            return Err(VaultError::Withheld(key.clone()));
        }
        Ok(Opened { metadata, secret })
    }

    /// The version that stands by the record: the highest that names it, else the highest that an older release stored.
    /// One that names another record is not in force yet, or no longer; nothing stands below a removal; one that does not
    /// open lets no lower one stand in.
    //= docs/spec/vault.md#changes
    fn standing(&self, key: &CredentialKey, record: u64) -> Result<Option<Read>, VaultError> {
        let mut unnamed = None;
        for version in self.versions_of(key)?.into_iter().rev() {
            let (metadata, secret) = self.read(key, version)?;
            match (metadata.record, &secret) {
                (Some(named), _) if named == record => return Ok(Some((metadata, secret))),
                (Some(_), _) => {}
                (None, Some(_)) => drop(unnamed.get_or_insert((metadata, secret))),
                (None, None) => return Ok(unnamed.or(Some((metadata, secret)))),
            }
        }
        Ok(unnamed)
    }

    /// Removes what does not stand by the record of version `record`, which is durable.
    ///
    /// # Errors
    /// A file that does not open: only what opens may take the place of what stood before.
    //= docs/spec/vault.md#changes
    pub fn settle(&self, key: &CredentialKey, record: u64) -> Result<(), VaultError> {
        let _changing = self.lock();
        let Some((stands, _)) = self.standing(key, record)? else { return Ok(()) };
        self.remove_all_but(key, stands.version)
    }

    /// Removes a version whose record was refused.
    ///
    /// # Errors
    /// What the system answers.
    pub fn discard(&self, key: &CredentialKey, version: u64) -> Result<(), VaultError> {
        let _changing = self.lock();
        let path = self.folder_of(key).join(file_name(key.name.as_str(), version));
        Ok(self.files.remove(&path).map_err(HomeError::io("remove", &path))?)
    }

    /// Brings the vault in line with the signed records, once they are known: each credential's older versions go, and
    /// secrets of which no record tells. What does not open stays and is reported when it is used.
    ///
    /// # Errors
    /// What the system answers to the listing.
    //= docs/spec/vault.md#changes
    pub fn reconcile(&self, records: &BTreeMap<CredentialKey, u64>, now: UnixTime) -> Result<(), VaultError> {
        for (key, record) in records {
            if let Err(error) = self.settle(key, *record) {
                tracing::warn!(credential = %key, %error, "older versions of a credential stay");
            }
        }
        let Listing { credentials, .. } = self.list()?;
        for metadata in credentials.iter().filter(|metadata| !records.contains_key(&metadata.key)) {
            tracing::warn!(credential = %metadata.key, "a secret of which no record tells is removed");
            if let Err(error) = self.remove(&metadata.key, now) {
                tracing::warn!(credential = %metadata.key, %error, "it could not be removed");
            }
        }
        Ok(())
    }

    /// Removes a credential.
    ///
    /// # Errors
    /// [`VaultError::Missing`], or what the system answers; then it is there, whole, or gone.
    pub fn remove(&self, key: &CredentialKey, now: UnixTime) -> Result<(), VaultError> {
        self.change(key, Change::Remove, now).map(|_| ())
    }

    /// What may be known of every credential. Each is opened, so that what is said of it is true.
    ///
    /// # Errors
    /// What the system answers to the listing itself.
    pub fn list(&self) -> Result<Listing, VaultError> {
        let mut listing = Listing::default();
        for folder in self.folders()? {
            for (name, versions) in self.versions(&folder)? {
                let Some(version) = versions.iter().max() else { continue };
                let path = folder.join(file_name(&name, *version));
                match self.read_file(&path, None) {
                    Ok((metadata, Some(_))) => listing.credentials.push(metadata),
                    Ok((_, None)) => {}
                    Err(error) => listing.invalid.push(error),
                }
            }
        }
        listing.credentials.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listing)
    }

    /// Writes the next version and removes the ones before.
    //= docs/spec/vault.md#changes
    fn change(&self, key: &CredentialKey, change: Change<'_>, now: UnixTime) -> Result<u64, VaultError> {
        let secret = match change {
            Change::Put { secret, .. } | Change::Replace { secret, .. } => Some(secret),
            Change::Remove => None,
        };
        secret.map_or(Ok(()), Secret::check)?;
        let mut entropy = self.lock();
        let highest = self.highest(key)?;
        let (slot, base) = self.slot_after(key, change, highest)?;
        let version = highest.unwrap_or(0).checked_add(1).ok_or(VaultError::Exhausted)?;
        let kind = secret.map(Secret::kind);
        let record = change.record(version, base);
        let untold = matches!(change, Change::Replace { .. });
        let metadata = Metadata { key: key.clone(), slot, kind, version, stored_at: now, record, untold };
        let sealed = Record::seal(metadata, secret, &self.key, &mut entropy)?;
        self.write(key, version, &sealed)?;
        match change {
            Change::Put { .. } => {}
            Change::Replace { expected, .. } => self.remove_replaced(key, expected),
            Change::Remove => self.remove_all_but(key, version)?,
        }
        Ok(version)
    }

    /// The slot after a change and the record of what it changes, if what stands permits the change. Only a sealed file
    /// says what stands.
    fn slot_after(
        &self,
        key: &CredentialKey,
        change: Change<'_>,
        highest: Option<u64>,
    ) -> Result<(String, Option<u64>), VaultError> {
        let standing = || match highest {
            Some(version) => self.read(key, version).map(|(metadata, secret)| secret.map(|_| metadata)),
            None => Ok(None),
        };
        let missing = || VaultError::Missing(key.clone());
        match change {
            Change::Put { slot, .. } => Ok((slot.to_owned(), None)),
            Change::Replace { expected, .. } => {
                self.followed(key, expected)?.map(|base| (base.slot, base.record)).ok_or_else(missing)
            }
            // What does not open can still be removed; which slot it filled is then not known.
            Change::Remove => match standing() {
                Err(VaultError::Invalid { .. }) => Ok((String::new(), None)),
                other => other?.map(|metadata| (metadata.slot, None)).ok_or_else(missing),
            },
        }
    }

    /// The version that is to be followed by another, if it has a secret and nothing follows it yet.
    //= docs/spec/vault.md#changes
    fn followed(&self, key: &CredentialKey, expected: u64) -> Result<Option<Metadata>, VaultError> {
        let mut base = None;
        for version in self.versions_of(key)?.into_iter().filter(|version| *version >= expected) {
            let (metadata, secret) = self.read(key, version)?;
            match (&base, secret) {
                (None, Some(_)) if version == expected => base = Some(metadata),
                // A removal ends all before it.
                (_, None) => return Ok(None),
                (Some(Metadata { record, .. }), Some(_)) if metadata.record != *record => {}
                (_, Some(_)) => return Err(VaultError::Superseded { key: key.clone(), version }),
            }
        }
        Ok(base)
    }

    fn write(&self, key: &CredentialKey, version: u64, record: &Record) -> Result<(), VaultError> {
        let folder = self.make_folder(key)?;
        let name = key.name.as_str();
        let path = folder.join(file_name(name, version));
        let bytes = encode(record).map_err(|_| VaultError::Unencodable)?;
        Ok(atomic_file::write_in(&*self.files, &path, &bytes).map_err(HomeError::from)?)
    }

    /// Removes all versions but one. One that stays is without force, and is removed at the next start.
    fn remove_all_but(&self, key: &CredentialKey, stands: u64) -> Result<(), VaultError> {
        for version in self.versions_of(key)?.into_iter().filter(|version| *version != stands) {
            self.remove_replaced(key, version);
        }
        Ok(())
    }

    fn remove_replaced(&self, key: &CredentialKey, version: u64) {
        let path = self.folder_of(key).join(file_name(key.name.as_str(), version));
        if let Err(error) = self.files.remove(&path) {
            tracing::warn!(file = %path.display(), %error, "a replaced credential could not be removed");
        }
    }

    fn folder_of(&self, key: &CredentialKey) -> PathBuf {
        self.folder.join(key.zone_folder()).join(key.connector.as_str())
    }

    /// The folder of a key's connector, made if it is not there.
    fn make_folder(&self, key: &CredentialKey) -> Result<PathBuf, VaultError> {
        let zone = self.folder.join(key.zone_folder());
        let folder = zone.join(key.connector.as_str());
        for (path, parent) in [(&zone, &self.folder), (&folder, &zone)] {
            if path.symlink_metadata().is_err() {
                self.files.create_dir(path).map_err(HomeError::io("create", path))?;
                self.files.sync_dir(parent).map_err(HomeError::io("flush", parent))?;
            }
            check_private(path, Kind::Folder)?;
        }
        Ok(folder)
    }

    /// The highest version of a key, if there is any.
    fn highest(&self, key: &CredentialKey) -> Result<Option<u64>, VaultError> {
        Ok(self.versions_of(key)?.pop())
    }

    /// The versions of a key, lowest first.
    fn versions_of(&self, key: &CredentialKey) -> Result<Vec<u64>, VaultError> {
        let folder = self.folder_of(key);
        if folder.symlink_metadata().is_err() {
            return Ok(Vec::new());
        }
        let found = self.versions(&folder)?.into_iter().find(|(name, _)| name == key.name.as_str());
        let mut versions = found.map(|(_, versions)| versions).unwrap_or_default();
        versions.sort_unstable();
        Ok(versions)
    }

    fn read(&self, key: &CredentialKey, version: u64) -> Result<Read, VaultError> {
        self.read_file(&self.folder_of(key).join(file_name(key.name.as_str(), version)), Some((key, version)))
    }

    /// Reads a file, which must say that it is what it is named and asked for.
    //= docs/spec/vault.md#file
    fn read_file(&self, path: &Path, asked: Option<(&CredentialKey, u64)>) -> Result<Read, VaultError> {
        let invalid = |reason: String| VaultError::Invalid { file: path.to_owned(), reason };
        let bytes = read_private(&*self.files, path).map_err(|error| {
            let untrusted = matches!(
                error,
                HomeError::OpenToOthers { .. } | HomeError::ForeignOwner { .. } | HomeError::WrongKind { .. }
            );
            if untrusted { invalid(error.to_string()) } else { VaultError::File(error) }
        })?;
        let record = Record::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
        let metadata = record.metadata();
        let own = self.folder.join(metadata.key.zone_folder()).join(metadata.key.connector.as_str());
        let own = own.join(file_name(metadata.key.name.as_str(), metadata.version));
        if own != path
            || asked.is_some_and(|(key, version)| *key != metadata.key || version != metadata.version)
        {
            return Err(invalid("it belongs elsewhere".into()));
        }
        let secret = record.open(&self.key).map_err(|error| invalid(error.to_string()))?;
        Ok((metadata, secret))
    }

    /// Every folder that holds credentials.
    fn folders(&self) -> Result<Vec<PathBuf>, VaultError> {
        let mut folders = Vec::new();
        for zone in self.subfolders(&self.folder)? {
            folders.extend(self.subfolders(&zone)?);
        }
        Ok(folders)
    }

    fn subfolders(&self, folder: &Path) -> Result<Vec<PathBuf>, VaultError> {
        let mut names = self.files.list(folder).map_err(HomeError::io("list", folder))?;
        names.sort_unstable();
        let paths: Vec<_> =
            names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_dir()).collect();
        for path in &paths {
            check_private(path, Kind::Folder)?;
        }
        Ok(paths)
    }

    /// The credentials of a folder by name, with their versions.
    fn versions(&self, folder: &Path) -> Result<Vec<(String, Vec<u64>)>, VaultError> {
        let mut found = std::collections::BTreeMap::<String, Vec<u64>>::new();
        for name in self.files.list(folder).map_err(HomeError::io("list", folder))? {
            if let Some((name, version)) = parse_file_name(&name) {
                found.entry(name.to_owned()).or_default().push(version);
            }
        }
        Ok(found.into_iter().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Entropy> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file holds: what may be known, and the secret unless it says that the credential is removed.
type Read = (Metadata, Option<Secret>);

/// What becomes of a credential.
#[derive(Clone, Copy)]
enum Change<'a> {
    /// It is stored, whatever stands.
    Put { slot: &'a str, secret: &'a Secret },
    /// It is followed by another secret of the same record, if nothing follows this version yet.
    Replace { expected: u64, secret: &'a Secret },
    /// It is removed.
    Remove,
}

impl Change<'_> {
    /// The version of the record by which the change is in force: its own for a new secret, that of what it continues for a
    /// refreshed one. A removal needs none.
    const fn record(self, version: u64, base: Option<u64>) -> Option<u64> {
        match self {
            Self::Put { .. } => Some(version),
            Self::Replace { .. } => base,
            Self::Remove => None,
        }
    }
}

/// The file of a credential's version.
fn file_name(name: &str, version: u64) -> String {
    format!("{name}.{version}.sealed")
}

/// The name and version that a file is for.
fn parse_file_name(file: &str) -> Option<(&str, u64)> {
    if file.starts_with('.') {
        return None;
    }
    let (name, digits) = file.strip_suffix(".sealed")?.rsplit_once('.')?;
    let version: u64 = digits.parse().ok()?;
    (version.to_string() == digits).then_some((name, version))
}
