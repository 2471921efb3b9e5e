//! Stored keys that are gone: which files, and what brings each back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fcp_proto_core::crypto::wrap::WrappedKey;
use fcp_proto_core::ids::{KeyId, PrincipalId, ZoneId};
use fcp_proto_core::object::{Signed, SignedBody, StoredObject, ZoneDefinition};
use fcp_runtime_tokio::storage::Storage;
use fcp_runtime_tokio::storage::error::StorageError;
use fcp_state_machines::trust::ceremony::files::{
    OWNER_KEY, later_key_file, operator_key_file, zone_key_file,
};

use super::read_stored;
use crate::home::Home;

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

/// The file of a zone's key: of its first, or of the later one `key`.
pub fn file_of_zone(home: &Home, zone: &ZoneId, key: Option<KeyId>) -> PathBuf {
    let first = zone_key_file(zone);
    home.keys().join(key.map_or_else(|| first.clone(), |key| later_key_file(&first, key)))
}

/// The files of zones' keys that are not there, of all zones that the journal has a record of.
///
/// # Errors
/// What is wrong with the journal.
//= docs/spec/home.md#keys
pub fn missing_of_zones(home: &Home, storage: &Storage) -> Result<Vec<PathBuf>, StorageError> {
    let mut keys = BTreeSet::new();
    for replayed in storage.batches()? {
        // What cannot be read at all is for the replay to name.
        for stored in replayed?.batch.records.iter().filter_map(|it| StoredObject::from_bytes(&it.bytes).ok())
        {
            if let Some(later) = later_key_of(&stored) {
                keys.insert((stored.header.zone_id.clone(), Some(later)));
            }
            keys.insert((stored.header.zone_id, None));
        }
    }
    let files = keys.iter().map(|(zone, key)| file_of_zone(home, zone, *key));
    Ok(files.filter(|file| file.symlink_metadata().is_err()).collect())
}

/// The later key of its zone that an object names, if it is such a definition.
fn later_key_of(stored: &StoredObject) -> Option<KeyId> {
    if stored.header.schema != ZoneDefinition::SCHEMA.id() {
        return None;
    }
    let object = stored.open::<Signed<ZoneDefinition>>().ok()?;
    object.body.fields.key.map(|it| it.key_id)
}
