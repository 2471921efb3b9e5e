//! Changing: write, mkdir, move, remove. A file is replaced whole or not at all.

use std::os::fd::{AsFd, OwnedFd};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fcp_proto_core::error::Code;
use fcp_sdk::{Call, Error, Outcome};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, fchmod, fsync, mkdirat, openat, renameat, renameat_with,
    statat, unlinkat,
};
use rustix::io::Errno;
use serde_json::json;

use crate::place::{Entry, Place, failed, open_beneath};

/// Largest file that is written.
const MAX_WRITE_BYTES: usize = 4 * 1024 * 1024;

/// Permissions of new files and directories, before the umask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Writes a file: into a new one beside it, which then takes its name.
pub(crate) fn write(place: &Place<'_>, call: &Call) -> Result<Outcome, Error> {
    place.writable()?;
    let content = content(call)?;
    let replace = call.input["overwrite"].as_bool().unwrap_or(false);
    let entry = place.entry()?;
    let mode = mode_of_replaced(&entry, replace)?;
    let temporary = temporary_name()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&entry.directory, temporary.as_str(), flags, FILE_MODE).map_err(failed)?;
    let put = fill(&file, &content, mode).and_then(|()| {
        if replace {
            renameat(&entry.directory, temporary.as_str(), &entry.directory, entry.name)
        } else {
            let noreplace = RenameFlags::NOREPLACE;
            renameat_with(&entry.directory, temporary.as_str(), &entry.directory, entry.name, noreplace)
        }
    });
    if let Err(error) = put {
        // If even this fails, an unnamed piece of our own is left, and the first error is still the one to tell.
        let _ = unlinkat(&entry.directory, temporary.as_str(), AtFlags::empty());
        return Err(failed(error));
    }
    settle(&entry)?;
    Ok(Outcome::made(json!({ "path": place.path(), "size": content.len() })))
}

/// Makes a directory.
pub(crate) fn mkdir(place: &Place<'_>) -> Result<Outcome, Error> {
    place.writable()?;
    let entry = place.entry()?;
    mkdirat(&entry.directory, entry.name, DIRECTORY_MODE).map_err(failed)?;
    settle(&entry)?;
    Ok(Outcome::made(json!({ "path": place.path() })))
}

/// Moves a file or directory to a place where nothing is.
pub(crate) fn rename(from: &Place<'_>, to: &Place<'_>) -> Result<Outcome, Error> {
    from.writable()?;
    to.writable()?;
    let (old, new) = (from.entry()?, to.entry()?);
    kind(&old)?;
    renameat_with(&old.directory, old.name, &new.directory, new.name, RenameFlags::NOREPLACE).map_err(
        |error| match error {
            Errno::XDEV => Error::new(Code::InputInvalid, "the two places are on different file systems"),
            error => failed(error),
        },
    )?;
    settle(&old)?;
    settle(&new)?;
    Ok(Outcome::made(json!({ "path": to.path() })))
}

/// Removes a file, a link or an empty directory.
pub(crate) fn remove(place: &Place<'_>) -> Result<Outcome, Error> {
    place.writable()?;
    let entry = place.entry()?;
    let flags = if kind(&entry)? == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    unlinkat(&entry.directory, entry.name, flags).map_err(failed)?;
    settle(&entry)?;
    Ok(Outcome::made(json!({ "path": place.path() })))
}

fn content(call: &Call) -> Result<Vec<u8>, Error> {
    let invalid = |message: &str| Error::new(Code::InputInvalid, message);
    let content = match (call.input["text"].as_str(), call.input["content_base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text).map_err(|_| invalid("`content_base64` is no base64"))?,
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("give exactly one of `text` and `content_base64`"));
        }
    };
    if content.len() > MAX_WRITE_BYTES {
        return Err(Error::new(
            Code::InputTooLarge,
            format!("a file may have at most {MAX_WRITE_BYTES} bytes"),
        ));
    }
    Ok(content)
}

/// The permissions of the file that is to be replaced; only a regular file may be.
fn mode_of_replaced(entry: &Entry<'_>, replace: bool) -> Result<Option<Mode>, Error> {
    match statat(&entry.directory, entry.name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(_) if !replace => Err(failed(Errno::EXIST)),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            // Set-id bits are not carried over to content of someone else's making.
            Ok(Some(Mode::from_raw_mode(stat.st_mode & 0o777)))
        }
        Ok(_) => Err(Error::new(Code::InputInvalid, "only a regular file can be replaced")),
    }
}

fn fill(file: &OwnedFd, content: &[u8], mode: Option<Mode>) -> Result<(), Errno> {
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(file, rest)?;
        rest = &rest[written..];
    }
    if let Some(mode) = mode {
        fchmod(file, mode)?;
    }
    fsync(file)
}

fn kind(entry: &Entry<'_>) -> Result<FileType, Error> {
    let stat = statat(&entry.directory, entry.name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Makes the change of the directory durable; it is visible already, whatever comes of this.
fn settle(entry: &Entry<'_>) -> Result<(), Error> {
    let made = |error: Errno| failed(error).with_unknown_effect();
    let directory =
        open_beneath(entry.directory.as_fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(made)?;
    fsync(directory).map_err(made)
}

fn temporary_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    Ok(format!(".fcp-{}", hex::encode(bytes)))
}
