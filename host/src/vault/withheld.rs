//! Credentials that are not given out, since what follows them is on its way to a disk that refuses it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::CredentialKey;

/// Credentials, each with the version of the signed record by which it stands.
#[derive(Debug, Default)]
pub(super) struct Withheld(Mutex<BTreeMap<CredentialKey, u64>>);

impl Withheld {
    pub(super) fn add(&self, key: &CredentialKey, record: u64) {
        self.lock().insert(key.clone(), record);
    }

    pub(super) fn remove(&self, key: &CredentialKey, record: u64) {
        let mut withheld = self.lock();
        if withheld.get(key) == Some(&record) {
            withheld.remove(key);
        }
    }

    pub(super) fn holds(&self, key: &CredentialKey, record: u64) -> bool {
        self.lock().get(key) == Some(&record)
    }

    pub(super) fn all(&self) -> Vec<CredentialKey> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CredentialKey, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
