//! Looking: list, stat, read, search.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fcp_proto_core::error::Code;
use fcp_proto_core::time::UnixTime;
use fcp_sdk::{Call, Error, Outcome};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, statat};
use serde_json::{Value, json};

use crate::place::{Place, failed, open_beneath};

/// Largest part of a file in one answer.
const MAX_READ_BYTES: u64 = 4 * 1024 * 1024;

/// Most entries of a listing or search.
const MAX_ENTRIES: usize = 5_000;

/// Entries without a limit from the caller.
const DEFAULT_ENTRIES: usize = 500;

/// Most entries that a search looks at, and how deep it goes.
const MAX_VISITED: usize = 100_000;
const MAX_SEARCH_DEPTH: usize = 32;

/// Largest file whose content a search looks into.
const MAX_SEARCHED_BYTES: u64 = 1024 * 1024;

/// Lists a directory, sorted by name.
pub(crate) fn list(place: &Place<'_>, call: &Call) -> Result<Outcome, Error> {
    let (directory, _) = place.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    for name in names_of(directory.as_fd())? {
        check(call)?;
        names.push(name);
    }
    names.sort();
    let limit = limit(call);
    let truncated = names.len() > limit;
    names.truncate(limit);
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        // What vanished since the names were read is left out.
        if let Ok(stat) = statat(&directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            entries.push(described(&name, &stat));
        }
    }
    Ok(Outcome::read(json!({ "entries": entries, "truncated": truncated })))
}

/// Describes what is at a place.
pub(crate) fn stat(place: &Place<'_>) -> Result<Outcome, Error> {
    let stat = place.stat()?;
    Ok(Outcome::read(described(&place.path(), &stat)))
}

/// Reads a regular file, or a part of it.
pub(crate) fn read(place: &Place<'_>, call: &Call) -> Result<Outcome, Error> {
    let (file, stat) = place.open(OFlags::RDONLY)?;
    let size = size(&stat);
    let offset = call.input["offset"].as_u64().unwrap_or(0);
    let wanted = call.input["length"].as_u64().unwrap_or(MAX_READ_BYTES).min(MAX_READ_BYTES);
    let bytes = read_at(&file, offset, wanted, call)?;
    let end = offset.saturating_add(bytes.len() as u64);
    let mut output = json!({ "size": size, "offset": offset, "length": bytes.len(), "end": end >= size });
    let content = match String::from_utf8(bytes) {
        Ok(text) => ("text", text),
        Err(error) => ("content_base64", STANDARD.encode(error.as_bytes())),
    };
    output[content.0] = content.1.into();
    Ok(Outcome::read(output))
}

/// Searches a directory tree for names, and for text within files.
pub(crate) fn search(place: &Place<'_>, call: &Call) -> Result<Outcome, Error> {
    let wanted = |field: &str| call.input[field].as_str().map(str::to_lowercase);
    let mut search = Search {
        call,
        name: wanted("name"),
        text: wanted("text"),
        limit: limit(call),
        visited: 0,
        found: Vec::new(),
        truncated: false,
    };
    let (directory, _) = place.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
    search.walk(directory.as_fd(), &place.path(), 0)?;
    Ok(Outcome::read(json!({ "entries": search.found, "truncated": search.truncated })))
}

struct Search<'a> {
    call: &'a Call,
    name: Option<String>,
    text: Option<String>,
    limit: usize,
    visited: usize,
    found: Vec<Value>,
    truncated: bool,
}

impl Search<'_> {
    fn walk(&mut self, directory: BorrowedFd<'_>, path: &str, depth: usize) -> Result<(), Error> {
        let mut names = names_of(directory)?;
        names.sort();
        for name in names {
            check(self.call)?;
            self.visited += 1;
            if self.found.len() >= self.limit || self.visited > MAX_VISITED {
                self.truncated = true;
                return Ok(());
            }
            let Ok(stat) = statat(directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let path = format!("{path}/{name}");
            if self.matches(directory, &name, &stat)? {
                self.found.push(described(&path, &stat));
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.descend(directory, &name, &path, depth)?;
            }
        }
        Ok(())
    }

    fn descend(&mut self, parent: BorrowedFd<'_>, name: &str, path: &str, depth: usize) -> Result<(), Error> {
        if depth >= MAX_SEARCH_DEPTH {
            self.truncated = true;
            return Ok(());
        }
        // A directory that may not be read, or has become something else, is passed over.
        match open_beneath(parent, name, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => self.walk(directory.as_fd(), path, depth + 1),
            Err(_) => Ok(()),
        }
    }

    fn matches(&self, directory: BorrowedFd<'_>, name: &str, stat: &Stat) -> Result<bool, Error> {
        if self.name.as_ref().is_some_and(|wanted| !name.to_lowercase().contains(wanted)) {
            return Ok(false);
        }
        let Some(text) = &self.text else { return Ok(true) };
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || size(stat) > MAX_SEARCHED_BYTES {
            return Ok(false);
        }
        let Ok(file) = open_beneath(directory, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
        else {
            return Ok(false);
        };
        let bytes = read_at(&file, 0, MAX_SEARCHED_BYTES, self.call)?;
        Ok(String::from_utf8_lossy(&bytes).to_lowercase().contains(text))
    }
}

fn names_of(directory: BorrowedFd<'_>) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A name that is not UTF-8 cannot be spoken of in JSON, and so cannot be asked for either.
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
        if names.len() > MAX_VISITED {
            break;
        }
    }
    Ok(names)
}

fn read_at(file: &OwnedFd, offset: u64, wanted: u64, call: &Call) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while (bytes.len() as u64) < wanted {
        check(call)?;
        let space = buffer.len().min(usize::try_from(wanted).unwrap_or(usize::MAX) - bytes.len());
        let at = offset.saturating_add(bytes.len() as u64);
        let count = rustix::io::pread(file, &mut buffer[..space], at).map_err(failed)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    Ok(bytes)
}

fn described(name: &str, stat: &Stat) -> Value {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => "special",
    };
    let modified = UnixTime::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    json!({ "path": name, "type": kind, "size": size(stat), "modified": modified.to_string() })
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn limit(call: &Call) -> usize {
    let asked = call.input["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    asked.unwrap_or(DEFAULT_ENTRIES).min(MAX_ENTRIES)
}

/// Long work asks here whether it is still wanted.
fn check(call: &Call) -> Result<(), Error> {
    if call.cancel.is_cancelled() {
        return Err(Error::new(Code::Cancelled, "the call was cancelled"));
    }
    if call.remaining().is_zero() {
        return Err(Error::new(Code::ConnectorTimeout, "the call's time is over"));
    }
    Ok(())
}
