//! Looks at a home for what is wrong with it, whether or not a daemon runs, and changes nothing.
//!
//! ```text
//! layout (modes, lock, socket) ─► settings ─► journal ─► keys ─► node ─► vault, connectors
//! ```
//!
//! The home is opened by what opens it for good, over files whose changes stay in memory (`overlay`): so the
//! examination fails where a daemon would, and says so in words of its own. Spec: `docs/spec/home.md`.

mod contents;
mod layout;
mod overlay;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fcp_api::examination::{Finding, Look};
use fcp_proto_core::error::Code;

use crate::home::HomeError;
use overlay::Overlay;

/// A home that is looked at, and what was found.
struct Examination {
    path: PathBuf,
    files: Arc<Overlay>,
    /// The folder of the programs that a daemon starts.
    programs: PathBuf,
    looks: Vec<Look>,
}

/// Looks at the home in `path`; `programs` is the folder of the daemon's programs.
//= docs/spec/home.md#examination
pub fn examine(path: &Path, programs: &Path) -> Vec<Look> {
    let (path, programs) = (path.to_owned(), programs.to_owned());
    let mut examination =
        Examination { path, files: Arc::new(Overlay::default()), programs, looks: Vec::new() };
    if examination.is_a_folder() {
        let running = examination.layout();
        examination.manifests();
        examination.contents(running);
    }
    examination.looks
}

impl Examination {
    fn add(&mut self, look: Look) {
        self.looks.push(look);
    }

    fn ok(&mut self, check: &str, detail: impl Into<String>) {
        self.add(Look::new(check, Finding::Ok, detail));
    }

    /// Adds what is wrong with a file or folder.
    fn wrong(&mut self, check: &str, error: &HomeError) {
        let look = Look::problem(check, error.code(), error.to_string()).why(why(error));
        let look = match error.path() {
            Some(path) => look.at(path.display()),
            None => look,
        };
        self.add(match error.remedy() {
            Some(remedy) => look.remedy(remedy),
            None => look,
        });
    }

    fn has(&self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }
}

/// Why an error of the home matters.
fn why(error: &HomeError) -> &'static str {
    match error {
        HomeError::OpenToOthers { .. } => "other users could read or change what only the owner may",
        HomeError::ForeignOwner { .. } => "its owner could read or change what only this home's owner may",
        HomeError::WrongKind { .. } => "it could lead anywhere, so it is not followed",
        HomeError::FileMissing(_) | HomeError::FileTooLarge(_) | HomeError::Damaged { .. } => {
            "the daemon does not start without it, and nothing is made anew in its place"
        }
        HomeError::FactsLost { .. } => "the daemon does not know whose home it is, and does not start",
        HomeError::Missing(_) => Code::HomeMissing.meaning(),
        HomeError::NotAHome(_)
        | HomeError::NoFolder { .. }
        | HomeError::BadToken { .. }
        | HomeError::TooNew { .. }
        | HomeError::PathTooLong(_)
        | HomeError::Config(_)
        | HomeError::Io { .. }
        | HomeError::Storage(_) => "the daemon does not start",
    }
}
