//! Keeps the manifests of what is installed beside the home's journal, for whoever asks while the daemon is away.
//!
//! They are copies: the journal says what is installed, and a copy that is lost is written again at the next start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fcp_proto_core::ids::ConnectorId;
use fcp_runtime_tokio::storage::atomic_file;
use fcp_runtime_tokio::storage::files::{Files, OsFiles};
use fcp_state_machines::node::Node;

/// The folder of the manifests, one file a connector.
#[derive(Clone, Debug)]
pub(super) struct Manifests(PathBuf);

impl Manifests {
    /// The folder at `path`, made when there is something to keep.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the folder hold exactly what is installed.
    pub(super) fn refresh_all(&self, node: &Node) {
        let installed = |name: &str| {
            name.strip_suffix(".toml")
                .and_then(|id| id.parse().ok())
                .is_some_and(|id| node.catalog().get(&id).is_some())
        };
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        for stale in entries.filter(|entry| entry.file_name().to_str().is_none_or(|name| !installed(name))) {
            tell(&stale.path(), fs::remove_file(stale.path()));
        }
        for installed in node.catalog().iter() {
            self.refresh(node, &installed.install.connector);
        }
    }

    /// Writes or removes the copy of one connector's manifest.
    pub(super) fn refresh(&self, node: &Node, connector: &ConnectorId) {
        let path = self.0.join(format!("{connector}.toml"));
        let done = match node.catalog().get(connector) {
            Some(installed) => OsFiles.create_dir(&self.0).and_then(|()| {
                atomic_file::write(&path, installed.manifest.source())
                    .map_err(|error| io::Error::other(error.to_string()))
            }),
            None if path.exists() => fs::remove_file(&path),
            None => Ok(()),
        };
        tell(&path, done);
    }
}

/// A copy that cannot be kept costs only answers without the daemon; the log says so.
fn tell(path: &Path, done: io::Result<()>) {
    if let Err(error) = done {
        tracing::warn!(path = %path.display(), %error, "a copy of a manifest is not up to date");
    }
}
