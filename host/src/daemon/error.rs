//! Why the daemon does not start.

use std::fmt;
use std::io;
use std::path::PathBuf;

use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use fcp_runtime_tokio::storage::error::StorageError;
use fcp_state_machines::node::ReplayError;

use crate::ceremony::CeremonyFailure;
use crate::home::HomeError;
use crate::keys::KeyStoreError;
use crate::vault::VaultError;

/// Why the daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// The home or its settings.
    Home(HomeError),
    /// The journal.
    Storage(StorageError),
    /// A record of the journal.
    Replay(ReplayError),
    /// The keys.
    Keys(KeyStoreError),
    /// The vault.
    Vault(VaultError),
    /// A ceremony that was interrupted.
    Ceremony(CeremonyFailure),
    /// The journal's owner is not the home's.
    OtherOwner,
    /// What runs connectors does not start.
    Runner {
        /// The registered code.
        code: Code,
        /// Why.
        message: String,
    },
    /// A part of the daemon met a defect.
    Defect,
    /// The system has no entropy.
    Entropy(io::Error),
    /// Something else listens on the address.
    AddressInUse(String),
    /// Something else listens on the home's socket: this process holds the lock, so it is no daemon.
    SocketInUse(PathBuf),
    /// It cannot listen.
    Listen {
        /// Where.
        at: String,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be written.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl StartError {
    /// The registered code.
    pub fn code(&self) -> Code {
        match self {
            Self::Home(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::Replay(_) | Self::OtherOwner => Code::StoreCorrupt,
            Self::Keys(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Ceremony(error) => error.code(),
            Self::Runner { code, .. } => *code,
            Self::Entropy(_) | Self::Defect => Code::Internal,
            Self::AddressInUse(_) | Self::SocketInUse(_) => Code::AddressInUse,
            Self::Listen { .. } | Self::File { .. } => Code::StoreFailed,
        }
    }
}

impl StartError {
    /// What to do next, where it is more than the code's own advice.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Home(error) => error.remedy(),
            Self::Keys(error) => error.remedy(),
            Self::SocketInUse(socket) => {
                let socket = quoted(&socket.to_string_lossy());
                Some(format!("end what listens there, or `rm {socket}`; then `fwc up`"))
            }
            Self::Storage(_)
            | Self::Replay(_)
            | Self::Vault(_)
            | Self::Ceremony(_)
            | Self::OtherOwner
            | Self::Runner { .. }
            | Self::Defect
            | Self::Entropy(_)
            | Self::AddressInUse(_)
            | Self::Listen { .. }
            | Self::File { .. } => None,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(error) => error.fmt(f),
            Self::Storage(error) => error.fmt(f),
            Self::Replay(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
            Self::Vault(error) => error.fmt(f),
            Self::Ceremony(error) => error.fmt(f),
            Self::OtherOwner => f.write_str("the journal's owner is not the one that home.toml names"),
            Self::Runner { message, .. } => f.write_str(message),
            Self::Defect => f.write_str("a part of the daemon met a defect"),
            Self::Entropy(error) => write!(f, "the system has no entropy: {error}"),
            Self::AddressInUse(at) => write!(f, "something listens on {at} already"),
            Self::SocketInUse(socket) => {
                write!(f, "no daemon of this home runs, and something listens on {}", socket.display())
            }
            Self::Listen { at, error } => write!(f, "cannot listen on {at}: {error}"),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for StartError {}
