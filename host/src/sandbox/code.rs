//! Code as it is executed: one sealed, anonymous file a digest, so that nobody can change it between the check and the
//! execution, nor while it runs.

use blake3::Hasher;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// One connector's code, sealed.
#[derive(Clone)]
pub struct CodeImage {
    file: Arc<File>,
    digest: [u8; 32],
}

impl CodeImage {
    /// Seals code whose BLAKE3 digest must be `digest`.
    pub fn seal(code: &[u8], digest: [u8; 32]) -> Result<Self, CodeError> {
        if blake3::hash(code) != blake3::Hash::from_bytes(digest) {
            return Err(CodeError::DigestMismatch);
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels since 6.3 want to be told that it will be executed; older ones do not know the flag.
        let file = memfd_create("fcp-connector", flags | MemfdFlags::EXEC).or_else(|error| match error {
            Errno::INVAL => memfd_create("fcp-connector", flags),
            other => Err(other),
        });
        let mut file = File::from(file.map_err(|error| CodeError::System(error.into()))?);
        file.write_all(code).map_err(CodeError::System)?;
        fcntl_add_seals(&file, SEALS).map_err(|error| CodeError::System(error.into()))?;
        Ok(Self { file: Arc::new(file), digest })
    }

    /// The BLAKE3 digest of the code.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Checks the seals and the digest of what will be executed.
    pub fn verify(&self) -> Result<(), CodeError> {
        let seals = fcntl_get_seals(&*self.file).map_err(|error| CodeError::System(error.into()))?;
        if !seals.contains(SEALS) {
            return Err(CodeError::NotSealed);
        }
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; BUFFER];
        let mut offset = 0;
        loop {
            let length = self.file.read_at(&mut buffer, offset).map_err(CodeError::System)?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
            offset += length as u64;
        }
        if hasher.finalize() == blake3::Hash::from_bytes(self.digest) {
            Ok(())
        } else {
            Err(CodeError::DigestMismatch)
        }
    }

    /// The sealed file.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Debug for CodeImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeImage({})", blake3::Hash::from_bytes(self.digest))
    }
}

/// The code images in use, one a digest.
#[derive(Debug, Default)]
pub struct CodeImages {
    by_digest: Mutex<BTreeMap<[u8; 32], CodeImage>>,
}

impl CodeImages {
    /// The image of this digest, made from what `load` gives if there is none yet.
    pub fn get(
        &self,
        digest: [u8; 32],
        load: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> Result<CodeImage, CodeError> {
        let mut images = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = images.get(&digest) {
            return Ok(image.clone());
        }
        let image = CodeImage::seal(&load().map_err(CodeError::System)?, digest)?;
        images.insert(digest, image.clone());
        Ok(image)
    }

    /// Forgets an image; running programs keep theirs.
    pub fn forget(&self, digest: [u8; 32]) {
        self.by_digest.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
    }
}

/// Why code is not fit to run.
#[derive(Debug)]
pub enum CodeError {
    /// It is not the code with this digest.
    DigestMismatch,
    /// Its seals are missing.
    NotSealed,
    /// The operating system failed us.
    System(io::Error),
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DigestMismatch => f.write_str("the code's digest is not the one that was installed"),
            Self::NotSealed => f.write_str("the code is not sealed"),
            Self::System(error) => write!(f, "sealing the code failed: {error}"),
        }
    }
}

impl std::error::Error for CodeError {}

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Chosen: large enough for the hash to work in parallel lanes.
const BUFFER: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_code_is_sealed() {
        let digest = *blake3::hash(b"code").as_bytes();
        assert!(matches!(CodeImage::seal(b"other", digest), Err(CodeError::DigestMismatch)));
        let image = CodeImage::seal(b"code", digest).unwrap();
        image.verify().unwrap();
        assert!((&*image.file).write_all(b"x").is_err(), "a sealed file cannot be written");
        assert!(image.file.set_len(1).is_err(), "a sealed file cannot be cut");
    }

    #[test]
    fn an_unsealed_or_changed_file_is_found() {
        let digest = *blake3::hash(b"code").as_bytes();
        let open = |content: &[u8], seals| {
            let mut file = File::from(memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap());
            file.write_all(content).unwrap();
            fcntl_add_seals(&file, seals).unwrap();
            CodeImage { file: Arc::new(file), digest }
        };
        assert!(matches!(open(b"code", SealFlags::SHRINK).verify(), Err(CodeError::NotSealed)));
        assert!(matches!(open(b"c0de", SEALS).verify(), Err(CodeError::DigestMismatch)));
        open(b"code", SEALS).verify().unwrap();
    }

    #[test]
    fn one_image_a_digest() {
        let images = CodeImages::default();
        let digest = *blake3::hash(b"code").as_bytes();
        let first = images.get(digest, || Ok(b"code".to_vec())).unwrap();
        let second = images.get(digest, || panic!("it is there already")).unwrap();
        assert!(Arc::ptr_eq(&first.file, &second.file));
        images.forget(digest);
        assert!(images.get(digest, || Err(io::Error::from(io::ErrorKind::NotFound))).is_err());
    }
}
