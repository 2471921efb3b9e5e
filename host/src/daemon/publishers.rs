//! Whose packages are trusted: the keys in `HOME/publishers.txt`, one a line.
//! Source: docs/spec/package.md#publishers.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fcp_api::types::ErrorBody;
use fcp_proto_core::crypto::role::Publisher;
use fcp_proto_core::crypto::sign::{KeyError, VerifyingKey};
use fcp_proto_core::error::Code;
use rustix::fs::OFlags;

use super::app::App;

/// The file's name in the home.
const FILE: &str = "publishers.txt";

/// What stands before the key of a development publisher.
const DEVELOPMENT: &str = "dev ";

/// Whose packages are trusted.
pub struct Trusted {
    /// The keys.
    pub keys: Vec<VerifyingKey<Publisher>>,
    /// The keys of development publishers, whose packages are taken only where the operator says so.
    pub development: Vec<VerifyingKey<Publisher>>,
    /// How many of them must have signed.
    pub threshold: usize,
}

impl App {
    /// Whose packages are trusted now; nobody's if there is no file.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`] naming the line that is no key.
    pub fn publishers(&self) -> Result<Trusted, ErrorBody> {
        publishers_of(self.home.path()).map_err(|why| refused(&self.home.path().join(FILE), &why))
    }
}

/// The error of a file that does not say whose packages are trusted.
fn refused(file: &Path, why: &str) -> ErrorBody {
    let next = format!("correct {}: one publisher's key a line; `fwc doctor` reads it again", file.display());
    ErrorBody::new(Code::ConfigInvalid).because(format!("{FILE}: {why}")).next(next)
}

/// Whose packages are trusted in the home at `path`.
///
/// # Errors
/// What is wrong with the file, naming the line that is no key.
pub(crate) fn publishers_of(path: &Path) -> Result<Trusted, String> {
    let text = match read(&path.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.to_string()),
    };
    let (mut keys, mut development) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (list, key) = match line.strip_prefix(DEVELOPMENT) {
            Some(key) => (&mut development, key.trim_start()),
            None => (&mut keys, line),
        };
        let key = key.parse().map_err(|error: KeyError| format!("line {}: {error}", number + 1));
        list.push(key?);
    }
    // A key that stands in both lists is the one that is trusted less.
    keys.retain(|key: &VerifyingKey<Publisher>| development.iter().all(|it| it.key_id() != key.key_id()));
    Ok(Trusted { keys, development, threshold: 1 })
}

/// The text of a file of the owner's, who may have put a link in its place, but no pipe that nobody writes to.
fn read(path: &Path) -> io::Result<String> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES { Err(io::Error::other("it is longer than 1 MiB")) } else { Ok(text) }
}

/// Chosen: ten thousand keys.
const MAX_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_proto_core::crypto::sign::SigningKey;

    fn key(seed: u8) -> VerifyingKey<Publisher> {
        SigningKey::from_seed(&zeroize::Zeroizing::new([seed; 32])).verifying_key()
    }

    fn read(text: &str) -> Result<Trusted, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE), text).unwrap();
        publishers_of(home.path())
    }

    //= docs/spec/package.md#publishers
    #[test]
    fn a_development_publisher_is_trusted_for_development_alone() {
        let (one, two) = (key(1), key(2));
        let trusted = read(&format!("{one} # release\n\ndev {two}\n")).unwrap();
        assert_eq!(trusted.keys.iter().map(|it| it.key_id()).collect::<Vec<_>>(), [one.key_id()]);
        assert_eq!(trusted.development.iter().map(|it| it.key_id()).collect::<Vec<_>>(), [two.key_id()]);
        let both = read(&format!("{one}\ndev {one}\n")).unwrap();
        assert_eq!((both.keys.len(), both.development.len()), (0, 1));
        for wrong in [format!("dev{one}"), format!("devel {one}"), "dev".into(), "dev ".into()] {
            let why = read(&format!("\n{wrong}\n")).err().unwrap();
            assert!(why.starts_with("line 2: "), "{wrong}: {why}");
        }
    }

    //= docs/spec/package.md#publishers
    #[test]
    fn a_line_that_is_no_key_is_to_be_corrected_in_its_own_file() {
        let refused = refused(Path::new("/home/publishers.txt"), "line 7: no key");
        assert_eq!(refused.code, Code::ConfigInvalid);
        assert_eq!(refused.why.as_deref(), Some("publishers.txt: line 7: no key"));
        assert!(
            refused.next.contains("correct /home/publishers.txt") && !refused.next.contains("config.toml")
        );
    }
}
