//! What the daemon hands over beside the call: what to run, inside which walls, and the way to the secrets.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, Digest, KeyId, ZoneId};
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::CredentialRecord;
use fcp_state_machines::call::egress::EgressException;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::egress::SecretValue;
use crate::sandbox::Property;

/// What one call is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What is installed.
    pub installation: Arc<Installation>,
    /// Opens the credentials that the call may use.
    pub secrets: Arc<dyn Secrets>,
    /// The zone's credential with which the manifest's health operation is exercised. Without one, an operation that
    /// needs a credential is not exercised, and health says so.
    pub health_credential: Option<CredentialRecord>,
    /// The keys on which the call's authority rests (issuance key, principal's key, the node's, the zone's). If the
    /// set is empty nobody knows them, and the revocation of any key ends the call.
    pub keys: BTreeSet<KeyId>,
    /// Where the connector's progress goes; what does not fit is dropped, for the output is whole without it.
    pub progress: Option<mpsc::Sender<Progress>>,
}

/// An installed connector, configured. Two that differ are never served by one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Installation {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its complete configuration.
    pub config: Value,
    /// The program.
    pub program: Program,
    /// BLAKE3 of the program.
    pub code_digest: Digest,
    /// BLAKE3 of the package.
    pub package_digest: Digest,
    /// Addresses that the owner opened for it.
    pub egress_exceptions: Vec<EgressException>,
    /// Properties of the sandbox that the owner does without.
    pub sandbox_exceptions: BTreeSet<Property>,
}

/// Where a connector's program is. Its digest is checked in any case.
#[derive(Clone, PartialEq, Eq)]
pub enum Program {
    /// The engine that runs declarative connectors.
    Engine,
    /// A file.
    File(PathBuf),
    /// These bytes.
    Bytes(Arc<[u8]>),
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.write_str("Engine"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// A secret, when it is there.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<SecretValue, SecretError>> + Send + 'a>>;

/// Opens stored secrets. Called once for each credential of a call that was handed to a process; what it gives goes to
/// egress and nowhere else.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The secret of this credential, in the version its record names.
    fn open<'a>(&'a self, zone: &'a ZoneId, credential: &'a CredentialRecord) -> Opening<'a>;
}

/// Why a secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// The registered reason.
    pub code: Code,
    /// In words, without the secret.
    pub message: String,
}

/// What a connector says while it works.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The call.
    pub call_id: CallId,
    /// In words.
    pub message: Option<String>,
    /// A part of the output, as canonical JSON.
    pub chunk: Option<String>,
}
