//! The packages of installed connectors, each kept under its digest.
//! Source: docs/spec/package.md#kept-packages.

use std::collections::BTreeSet;

use fcp_proto_core::ids::Digest;
use fcp_runtime_tokio::storage::atomic_file;

use crate::home::{Home, HomeError, remove_all_leftovers};

/// Keeps a package, durable when this returns.
///
/// # Errors
/// What the file system answers.
pub(crate) fn keep(home: &Home, bytes: &[u8], digest: Digest) -> Result<(), HomeError> {
    Ok(atomic_file::write_in(&**home.files(), &home.packages().join(digest.to_string()), bytes)?)
}

/// Removes every package but these, and what a crash left of one. Files of another name are not ours to remove.
///
/// # Errors
/// What the file system answers.
pub(crate) fn remove_others(home: &Home, recorded: &BTreeSet<Digest>) -> Result<(), HomeError> {
    let folder = home.packages();
    remove_all_leftovers(&**home.files(), &folder)?;
    for name in home.list(&folder)? {
        if name.parse::<Digest>().is_ok_and(|digest| !recorded.contains(&digest)) {
            let path = folder.join(name);
            home.files().remove(&path).map_err(HomeError::io("remove", &path))?;
        }
    }
    home.files().sync_dir(&folder).map_err(HomeError::io("flush", &folder))
}
