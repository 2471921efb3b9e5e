//! Files that the user names: opened without waiting, read whole and bounded, and what is wrong with one that cannot be.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use rustix::fs::OFlags;

use crate::{Failure, Result};

/// The content of a file, of at most `most` bytes; what never ends is not read to its end.
///
/// # Errors
/// It cannot be read, or is longer.
pub(crate) fn read_file(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(most as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| file_failure("read", path, &error))?;
    if bytes.len() > most {
        let why = format!("{} is longer than {most} bytes", path.display());
        return Err(Failure::new(Code::InputTooLarge).because(why).next("name another file"));
    }
    Ok(bytes)
}

/// Opens a file to be read. What is open already, such as the pipe of `<(COMMAND)`, has somebody who writes, and is read to its
/// end; any other pipe may never have, so it is refused at once.
//= docs/spec/output.md#files
pub(crate) fn open(path: &Path) -> Result<File> {
    let failed = |error: Error| file_failure("read", path, &error);
    if is_open_already(path) {
        return File::open(path).map_err(failed);
    }
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(without_waiting).open(path);
    let file = opened.map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_char_device() {
        // A terminal is waited for.
        File::open(path).map_err(failed)
    } else {
        let what = if kind.is_fifo() { "a pipe that nobody may ever write to" } else { "no file" };
        Err(Failure {
            message: format!("cannot read {}", path.display()),
            ..Failure::new(Code::InputInvalid).because(format!("it is {what}")).next("name a file instead")
        })
    }
}

/// Whether the path names a file that this process was given open.
fn is_open_already(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || ["/dev/fd", "/proc/self/fd"].iter().any(|open| path.starts_with(open))
}

/// A file that cannot be read or written.
pub(crate) fn file_failure(what: &str, path: &Path, error: &Error) -> Failure {
    let place = quoted(&path.to_string_lossy());
    let kind = error.kind();
    let (code, next) = if kind == ErrorKind::NotFound {
        (Code::NotFound, format!("check the path {place}, and that its folder is there"))
    } else if kind == ErrorKind::AlreadyExists {
        (Code::Conflict, "nothing is overwritten: name another place".to_owned())
    } else if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        (Code::StoreFull, format!("free space on the file system of {place}, then run the command again"))
    } else if kind == ErrorKind::PermissionDenied {
        (Code::FileForbidden, format!("`ls -ld {place}` shows whose it is and who may use it"))
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        (Code::FileForbidden, "its file system is mounted for reading only: name another place".to_owned())
    } else {
        (Code::InputInvalid, format!("check the path {place}: `ls -ld {place}` shows what is there"))
    };
    let mut failure = Failure::new(code).because(error.to_string()).next(next);
    failure.message = format!("cannot {what} {}", path.display());
    failure
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    //= docs/spec/output.md#files
    #[test]
    fn a_pipe_that_nobody_may_write_to_is_refused_at_once_and_one_that_is_open_is_read() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("manifest.toml");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from(0o600), 0).unwrap();
        for path in [pipe.as_path(), folder.path()] {
            let refused = read_file(path, 10).unwrap_err();
            assert_eq!(refused.code, Code::InputInvalid);
            assert!(refused.next.contains("name a file"), "{refused}");
        }
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"words").unwrap();
        drop(writer);
        let given = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(read_file(Path::new(&given), 10).unwrap(), b"words");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's there");
        let failure = |kind: ErrorKind| file_failure("write", &path, &kind.into());
        for (kind, code, part) in [
            (ErrorKind::NotFound, Code::NotFound, "check the path"),
            (ErrorKind::AlreadyExists, Code::Conflict, "name another place"),
            (ErrorKind::PermissionDenied, Code::FileForbidden, "`ls -ld "),
            (ErrorKind::ReadOnlyFilesystem, Code::FileForbidden, "reading only"),
            (ErrorKind::StorageFull, Code::StoreFull, "free space"),
            (ErrorKind::IsADirectory, Code::InputInvalid, "check the path"),
        ] {
            let failure = failure(kind);
            assert_eq!(failure.code, code, "{kind}");
            assert!(failure.next.contains(part) && !failure.next.contains("fwc "), "{failure}");
            assert!(failure.message.contains("it's there"), "{failure}");
        }
    }
}
