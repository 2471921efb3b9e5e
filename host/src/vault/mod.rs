//! The vault: credentials, each sealed in a file of its own.
//!
//! ```text
//! HOME/vault/<zone>/<connector>/<name>.<version>.sealed
//! ```
//!
//! A change writes the next version whole, and only then removes the one before; whatever a crash leaves, the highest
//! version stands. A removal is a version too, without a secret, so that versions never repeat and an old file never
//! comes back into force while a newer one is there.
//!
//! //= docs/spec/vault.md

mod error;
mod record;
mod secret;
#[cfg(test)]
mod tests;

pub use error::VaultError;
pub use record::{CredentialKey, Metadata};
pub use secret::{OAuth2, Secret, SecretInvalid};

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fcp_proto_core::crypto::role::Vault as VaultRole;
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::encoding::cbor::{ToCbor, encode};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_runtime_tokio::storage::atomic_file;
use fcp_runtime_tokio::storage::files::Files;

use crate::home::{Home, HomeError, Kind, check_private, read_private, remove_all_leftovers};
use record::Record;

/// The vault of a home. Its functions read and write a few small files and do not need a runtime.
#[derive(Debug)]
pub struct Vault {
    files: Arc<dyn Files>,
    folder: PathBuf,
    key: SymmetricKey<VaultRole>,
    /// One change at a time; the entropy for nonces.
    changing: Mutex<Entropy>,
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
        };
        for folder in vault.folders()? {
            remove_all_leftovers(&*vault.files, &folder)?;
            for (name, versions) in vault.versions(&folder)? {
                let highest = versions.iter().max().map(|version| folder.join(file_name(&name, *version)));
                // Only what opens may take the place of what stood before.
                if highest.is_some_and(|path| vault.read_file(&path, None).is_ok()) {
                    vault.remove_older(&folder, &name, &versions);
                }
            }
        }
        Ok(vault)
    }

    /// Stores a credential, or replaces the one of this key. Returns its version.
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

    /// As [`Vault::put`], but only if the version that stands is still `expected`: for a refreshed token, which must not
    /// replace what was stored meanwhile.
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
        self.change(key, Change::Replace { expected, secret }, now)
    }

    /// Opens a credential.
    ///
    /// # Errors
    /// [`VaultError::Missing`]; [`VaultError::Invalid`] naming a file that does not open.
    pub fn get(&self, key: &CredentialKey) -> Result<Opened, VaultError> {
        let missing = || VaultError::Missing(key.clone());
        let version = self.highest(key)?.ok_or_else(missing)?;
        let (metadata, secret) = self.read(key, version)?;
        let secret = secret.ok_or_else(missing)?;
        Ok(Opened { metadata, secret })
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
        let slot = self.slot_after(key, change, highest)?;
        let version = highest.unwrap_or(0).checked_add(1).ok_or(VaultError::Exhausted)?;
        let kind = secret.map(Secret::kind);
        let metadata = Metadata { key: key.clone(), slot, kind, version, stored_at: now };
        let record = Record::seal(metadata, secret, &self.key, &mut entropy)?;
        self.write(key, version, &record)?;
        Ok(version)
    }

    /// The slot after a change, if what stands permits the change. Only a sealed file says what stands.
    fn slot_after(
        &self,
        key: &CredentialKey,
        change: Change<'_>,
        highest: Option<u64>,
    ) -> Result<String, VaultError> {
        let standing = || match highest {
            Some(version) => self.read(key, version).map(|(metadata, secret)| secret.map(|_| metadata)),
            None => Ok(None),
        };
        let missing = || VaultError::Missing(key.clone());
        match change {
            Change::Put { slot, .. } => Ok(slot.to_owned()),
            Change::Replace { expected, .. } => {
                let metadata = standing()?.ok_or_else(missing)?;
                if metadata.version == expected {
                    Ok(metadata.slot)
                } else {
                    Err(VaultError::Superseded { key: key.clone(), version: metadata.version })
                }
            }
            // What does not open can still be removed; which slot it filled is then not known.
            Change::Remove => match standing() {
                Err(VaultError::Invalid { .. }) => Ok(String::new()),
                other => other?.map(|metadata| metadata.slot).ok_or_else(missing),
            },
        }
    }

    fn write(&self, key: &CredentialKey, version: u64, record: &Record) -> Result<(), VaultError> {
        let folder = self.make_folder(key)?;
        let name = key.name.as_str();
        let path = folder.join(file_name(name, version));
        let bytes = encode(&record.to_cbor()).map_err(|_| VaultError::Unencodable)?;
        atomic_file::write_in(&*self.files, &path, &bytes).map_err(HomeError::from)?;
        for (found, versions) in self.versions(&folder)? {
            if found == name {
                self.remove_older(&folder, name, &versions);
            }
        }
        Ok(())
    }

    /// Removes all versions but the highest. One that stays is without force, and is removed at the next opening.
    fn remove_older(&self, folder: &Path, name: &str, versions: &[u64]) {
        let Some(highest) = versions.iter().max() else { return };
        for version in versions.iter().filter(|version| *version != highest) {
            let path = folder.join(file_name(name, *version));
            if let Err(error) = self.files.remove(&path) {
                tracing::warn!(file = %path.display(), %error, "a replaced credential could not be removed");
            }
        }
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
        let folder = self.folder.join(key.zone_folder()).join(key.connector.as_str());
        if folder.symlink_metadata().is_err() {
            return Ok(None);
        }
        let found = self.versions(&folder)?.into_iter().find(|(name, _)| name == key.name.as_str());
        Ok(found.and_then(|(_, versions)| versions.into_iter().max()))
    }

    fn read(&self, key: &CredentialKey, version: u64) -> Result<(Metadata, Option<Secret>), VaultError> {
        let folder = self.folder.join(key.zone_folder()).join(key.connector.as_str());
        self.read_file(&folder.join(file_name(key.name.as_str(), version)), Some((key, version)))
    }

    /// Reads a file, which must say that it is what it is named and asked for.
    //= docs/spec/vault.md#file
    fn read_file(
        &self,
        path: &Path,
        asked: Option<(&CredentialKey, u64)>,
    ) -> Result<(Metadata, Option<Secret>), VaultError> {
        let invalid = |reason: String| VaultError::Invalid { file: path.to_owned(), reason };
        let bytes = read_private(&*self.files, path).map_err(|error| {
            let untrusted = matches!(
                error,
                HomeError::OpenToOthers { .. } | HomeError::ForeignOwner { .. } | HomeError::WrongKind(_)
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

/// What becomes of a credential.
#[derive(Clone, Copy)]
enum Change<'a> {
    /// It is stored, whatever stands.
    Put { slot: &'a str, secret: &'a Secret },
    /// It is replaced, if this version stands.
    Replace { expected: u64, secret: &'a Secret },
    /// It is removed.
    Remove,
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
