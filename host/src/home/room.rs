//! Whether the file system that a home lies on takes what must be recorded.

use std::io;
use std::path::Path;

use fcp_proto_core::error::Code;
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::error::remedy_of_reading_only;

/// Bytes that a home should have left. Chosen: a journal's reserve, and what a start writes.
const LEAST: u64 = 8 * 1024 * 1024;

/// What a file system has left for a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It is mounted for reading only.
    ReadOnly,
    /// Too few bytes: calls and changes are refused.
    TooLittle(u64),
    /// Enough bytes.
    Enough(u64),
}

/// What is wrong with the room of a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cramped {
    /// The registered code.
    pub(crate) code: Code,
    /// What was found.
    pub(crate) detail: String,
    /// Why it matters.
    pub(crate) why: &'static str,
    /// What to do.
    pub(crate) remedy: String,
}

impl Room {
    /// Looks at the file system of `home`.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn of(home: &Path) -> io::Result<Self> {
        Ok(Self::read(&statvfs(home)?))
    }

    fn read(about: &StatVfs) -> Self {
        let left = about.f_bavail.saturating_mul(about.f_frsize);
        if about.f_flag.contains(StatVfsMountFlags::RDONLY) {
            Self::ReadOnly
        } else if left < LEAST {
            Self::TooLittle(left)
        } else {
            Self::Enough(left)
        }
    }

    /// What is wrong, for an examination and the status alike.
    //= docs/spec/home.md#examination
    pub(crate) fn cramped(self, home: &Path) -> Option<Cramped> {
        match self {
            Self::ReadOnly => Some(Cramped {
                code: Code::FileForbidden,
                detail: "its file system is mounted for reading only".into(),
                why: "no daemon can run on it, and nothing can be recorded",
                remedy: remedy_of_reading_only(home),
            }),
            Self::TooLittle(left) => Some(Cramped {
                code: Code::StoreFull,
                detail: format!("{} KiB are left on its file system", left / 1024),
                why: "what cannot be recorded is not done; only revocations have room of their own",
                remedy: "free space on that file system".into(),
            }),
            Self::Enough(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= docs/spec/home.md#examination
    #[test]
    fn a_file_system_that_is_full_or_takes_no_writes_is_no_room() {
        let (home, here) = (Path::new("/h"), statvfs("/").unwrap());
        let with =
            |blocks, flags| Room::read(&StatVfs { f_bavail: blocks, f_frsize: 1024, f_flag: flags, ..here });
        let none = StatVfsMountFlags::empty();
        assert_eq!(with(8 * 1024, none), Room::Enough(LEAST));
        assert_eq!(with(8 * 1024 - 1, none), Room::TooLittle(LEAST - 1024));
        assert_eq!(with(u64::MAX, StatVfsMountFlags::RDONLY), Room::ReadOnly);
        assert_eq!(Room::Enough(LEAST).cramped(home), None);
        let full = Room::TooLittle(0).cramped(home).unwrap();
        assert_eq!((full.code, full.detail.as_str()), (Code::StoreFull, "0 KiB are left on its file system"));
        assert!(Room::ReadOnly.cramped(home).unwrap().remedy.contains("`mount -o remount,rw "));
    }
}
