//! `home.toml` is gone from a home that was made. What it said stands in the journal too.

use std::path::Path;

use fcp_proto_core::object::{AnyObject, StoredObject};
use fcp_runtime_tokio::storage::Storage;
use fcp_runtime_tokio::storage::error::StorageError;
use fcp_state_machines::trust::ceremony::HomeFacts;

use super::{HOME_FILE, Home, HomeError};

/// Whether anything was ever recorded: then the home was made, whatever else of it is there.
///
/// # Errors
/// What is wrong with the journal.
pub(crate) fn has_records(storage: &Storage) -> Result<bool, StorageError> {
    for replayed in storage.batches()? {
        if !replayed?.batch.records.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The error of a home at `path` whose `home.toml` is gone, with the command that writes it again if the journal tells.
pub(crate) fn error(path: &Path, storage: &Storage) -> HomeError {
    let file = path.join(HOME_FILE);
    let remedy = facts_of(storage).map(|facts| {
        let text = Home::facts_text(&facts).replace('\n', "\\n").replace('\'', "");
        format!("`(umask 077; printf '{text}' > {})`", file.display())
    });
    HomeError::FactsLost { file, remedy }
}

/// What `home.toml` said, from the objects that the ceremony made.
fn facts_of(storage: &Storage) -> Option<HomeFacts> {
    let (mut owner, mut node, mut operator) = (None, None, None);
    for batch in storage.batches().ok()? {
        for record in batch.ok()?.batch.records {
            let object = StoredObject::from_bytes(&record.bytes).and_then(|stored| AnyObject::open(&stored));
            #[allow(clippy::wildcard_enum_match_arm, reason = "every other object says nothing of these")]
            match object.ok()? {
                AnyObject::OwnerRoot(root) => {
                    let fields = root.body.fields;
                    owner.get_or_insert((fields.home_id, fields.public_key.key_id()));
                }
                AnyObject::NodeAttestation(it) => drop(node.get_or_insert(it.body.fields.node_id)),
                AnyObject::OperatorDelegation(it) => drop(operator.get_or_insert(it.body.fields.operator)),
                _ => {}
            }
        }
    }
    let (home_id, owner_key) = owner?;
    Some(HomeFacts { home_id, node: node?, operator: operator?, owner_key })
}
