//! Files that only their owner may read: made so, durable, and refused when they are not so.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use zeroize::Zeroizing;

use crate::{Failure, Result, file_failure, user_file};

/// Largest private file that is read, in bytes. Chosen: many times any key, session or passphrase.
const MAX_BYTES: u64 = 64 * 1024;

/// Makes the folder and those above it, for the owner alone.
///
/// # Errors
/// Says which folder cannot be made.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| file_failure("make the folder", path, &error))
}

/// Writes a new file for the owner alone, durable when this returns.
///
/// # Errors
/// [`Code::Conflict`] if there is such a file; nothing is overwritten.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| file_failure("write", path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    written.map_err(|error| {
        let failure = file_failure("write", path, &error);
        match std::fs::remove_file(path) {
            Ok(()) => failure,
            Err(left) => failure.because(format!("{error}; what was written remains: {left}")),
        }
    })
}

/// Writes a file for the owner alone in the place of the one that is there: a crash leaves one or the other.
///
/// # Errors
/// What the file system answers.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| file_failure("replace", path, &error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Named as the daemon names its own, so that it removes what a crash leaves in the home.
    let beside = path.with_file_name(format!(".{name}.{:016x}.new", std::process::id()));
    create(&beside, content)?;
    std::fs::rename(&beside, path).and_then(|()| sync_folder(path)).map_err(failed)
}

/// Reads a file that only its owner may read; the owner is whoever runs this.
///
/// # Errors
/// [`Code::FileForbidden`] if others may read it, or if it is someone else's.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>> {
    let failed = |error: std::io::Error| file_failure("read", path, &error);
    let file = user_file::open(path)?;
    let metadata = file.metadata().map_err(failed)?;
    let refused = |why: &str, next: String| {
        Failure::new(Code::FileForbidden).because(format!("{} {why}", path.display())).next(next)
    };
    let owner = rustix::process::geteuid().as_raw();
    if metadata.uid() != owner && metadata.uid() != 0 {
        return Err(refused("belongs to another user", "use a file of your own".into()));
    }
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let next = if metadata.uid() == owner && is_in_own_place(path) {
            format!("`chmod 600 {}`", quoted(&path.to_string_lossy()))
        } else {
            "name the right file: one of your own, that nobody else may read".into()
        };
        return Err(refused("may be read by other users", next));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Failure::new(Code::InputTooLarge).because(format!("{} is too large", path.display())));
    }
    Ok(text)
}

/// Whether it lies below the user's home, or in a folder that is the user's alone, as an FCP home is. What lies elsewhere
/// may be of use to others, and is hardly a secret of one's own.
fn is_in_own_place(path: &Path) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    let is_own = |folder: &Path| {
        let about = folder.metadata();
        about.is_ok_and(|about| about.uid() == owner && about.mode() & 0o077 == 0)
    };
    let home = std::env::home_dir().filter(|home| home.parent().is_some());
    std::fs::canonicalize(path).is_ok_and(|path| {
        path.ancestors().skip(1).any(|folder| home.as_deref() == Some(folder) || is_own(folder))
    })
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
