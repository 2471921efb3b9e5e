//! Whose packages are trusted: the keys in `HOME/publishers.txt`, one a line.

use std::path::Path;

use fcp_api::types::ErrorBody;
use fcp_proto_core::crypto::role::Publisher;
use fcp_proto_core::crypto::sign::{KeyError, VerifyingKey};
use fcp_proto_core::error::Code;

use super::app::App;

/// The file's name in the home.
const FILE: &str = "publishers.txt";

/// Whose packages are trusted.
pub struct Trusted {
    /// The keys.
    pub keys: Vec<VerifyingKey<Publisher>>,
    /// How many of them must have signed.
    pub threshold: usize,
}

impl App {
    /// Whose packages are trusted now; nobody's if there is no file.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`] naming the line that is no key.
    pub fn publishers(&self) -> Result<Trusted, ErrorBody> {
        publishers_of(self.home.path())
    }
}

/// Whose packages are trusted in the home at `path`.
///
/// # Errors
/// As [`App::publishers`].
pub(crate) fn publishers_of(path: &Path) -> Result<Trusted, ErrorBody> {
    let invalid = |why: String| ErrorBody::new(Code::ConfigInvalid).because(format!("{FILE}: {why}"));
    let text = match std::fs::read_to_string(path.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(invalid(error.to_string())),
    };
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let key = line.parse().map_err(|error: KeyError| invalid(format!("line {}: {error}", number + 1)));
        keys.push(key?);
    }
    Ok(Trusted { keys, threshold: 1 })
}
