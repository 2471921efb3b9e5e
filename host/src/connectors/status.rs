//! What can be said of a connector's process.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, Digest, OperationId, ZoneId};
use fcp_proto_core::time::UnixTime;
pub use fcp_state_machines::call::supervisor::{HealthReport, StateName};

use crate::sandbox::PropertyReport;

/// How the process of a connector in a zone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStatus {
    /// The connector.
    pub connector: ConnectorId,
    /// The zone.
    pub zone: ZoneId,
    /// The supervisor's state.
    pub state: StateName,
    /// The code that runs or would run; absent before the first call.
    pub code_digest: Option<Digest>,
    /// Calls that wait for the process.
    pub waiting: usize,
    /// Calls that are with it.
    pub running: usize,
    /// How often it was started again.
    pub restarts: u64,
    /// Why the last process failed.
    pub trouble: Option<Trouble>,
    /// What calls are told, if no process is made until the owner acts.
    pub stopped: Option<Code>,
    /// The number of the process that holds the sandbox, if it runs.
    pub launcher: Option<u32>,
    /// How each property of the sandbox of the newest process is met.
    pub sandbox: Option<Box<PropertyReport>>,
    /// The last health check.
    pub health: Option<HealthCheck>,
    /// Whether it speaks of the process that runs now.
    pub health_is_current: bool,
}

/// Why a process failed, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connector refused to begin: as it is configured, another process of it says the same.
    Refused(String),
    /// It could not be made, broke the protocol, or ended.
    Failed(String),
}

impl Trouble {
    /// The words: the host's, and the connector's own where it can only repeat what its owner knows.
    pub fn words(&self) -> &str {
        match self {
            Self::Refused(words) | Self::Failed(words) => words,
        }
    }
}

/// What a health check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The finding.
    pub report: HealthReport,
    /// What it rests on.
    pub exercised: Exercised,
    /// What is wrong.
    pub detail: Option<String>,
    /// When.
    pub checked_at: UnixTime,
}

/// What a health check exercised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exercised {
    /// Nothing: there was no process to ask.
    Nothing,
    /// Nothing beyond the connector: its word about itself. No service is known to have answered.
    Word,
    /// This operation. If the finding is good, through its whole path.
    Operation(OperationId),
}
