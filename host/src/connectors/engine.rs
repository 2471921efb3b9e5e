//! The engine of declarative connectors, as it lies beside the daemon now.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::Digest;

/// The engine's file, and the digest that it had when it was read last.
#[derive(Debug)]
pub struct Engine {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Digest)>>,
}

/// What changes with a file: device, inode, length, and its times in seconds and nanoseconds.
type Stamp = (u64, u64, u64, [i64; 4]);

impl Engine {
    /// The engine in this file.
    pub const fn new(path: PathBuf) -> Self {
        Self { path, read: Mutex::new(None) }
    }

    /// Its digest now. The file is read again only if it is another, or was written to.
    ///
    /// # Errors
    /// What the system answers.
    pub fn digest(&self) -> io::Result<Digest> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let about = std::fs::metadata(&self.path)?;
        let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
        let stamp = (about.dev(), about.ino(), about.len(), times);
        match *read {
            Some((known, digest)) if known == stamp => Ok(digest),
            Some(_) | None => {
                let digest = hash::digest(&std::fs::read(&self.path)?);
                *read = Some((stamp, digest));
                Ok(digest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_file_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine");
        let engine = Engine::new(path.clone());
        assert!(engine.digest().is_err());
        for text in [&b"one"[..], b"another", b"one"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(engine.digest().unwrap(), hash::digest(text));
            assert_eq!(engine.digest().unwrap(), hash::digest(text));
        }
    }
}
