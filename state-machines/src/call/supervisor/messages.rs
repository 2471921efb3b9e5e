//! What a supervisor is told and what it says.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;

use super::HealthProbe;
use super::states::StateName;

/// One life of the process, counted from 1. A report about an earlier one changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub u64);

/// What the driver, the decider or the owner tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An authorized call, its intent durable, wants the connector.
    Demand {
        /// The call.
        call: CallId,
    },
    /// The process is wanted before any call.
    Start,
    /// The process runs.
    Spawned {
        /// Which one.
        process: Process,
    },
    /// The process could not be made.
    SpawnFailed {
        /// Which one.
        process: Process,
        /// Why.
        error: SpawnError,
    },
    /// The process answered `initialize` as its manifest says.
    Initialized {
        /// Which one.
        process: Process,
    },
    /// The process answered `initialize` with an error, or as another connector.
    InitializeFailed {
        /// Which one.
        process: Process,
    },
    /// The process answered a health check.
    Health {
        /// Which one.
        process: Process,
        /// What it said.
        report: HealthReport,
    },
    /// The process ended and was reaped.
    Exited {
        /// Which one.
        process: Process,
        /// How.
        status: ExitStatus,
    },
    /// The connector answered a call, with a result or an error.
    Answered {
        /// The call.
        call: CallId,
    },
    /// No byte of a delivered call can have reached the process.
    NotWritten {
        /// The call.
        call: CallId,
    },
    /// The time of a call is over.
    TimedOut {
        /// The call.
        call: CallId,
    },
    /// The caller gives a call up.
    CancelRequested {
        /// The call.
        call: CallId,
    },
    /// The owner lets the connector run again; this also ends a crash loop.
    Enable,
    /// The owner stops the connector.
    Disable,
    /// The connector's code, its installation or its zone's node was revoked.
    Revoke,
    /// The revocation was lifted.
    Restore,
    /// The node stops. Nothing starts again.
    Shutdown,
}

/// Why a process could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The system lacks memory, processes or descriptors at the moment.
    Resources,
    /// A property of the sandbox cannot be attained on this system.
    Sandbox,
    /// The code is not what was installed.
    CodeMismatch,
}

/// What a health check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthReport {
    /// It works.
    Ready,
    /// It works in part.
    Degraded,
    /// It does not work.
    Failed,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What the driver is to do, and what the node is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Output {
    /// Make the process.
    Spawn {
        /// Its number.
        process: Process,
    },
    /// Send `initialize`.
    SendInitialize {
        /// To which one.
        process: Process,
    },
    /// Check the health.
    SendHealth {
        /// Of which one.
        process: Process,
        /// What to exercise.
        probe: HealthProbe,
    },
    /// Write the call. From here on its outcome is unknown unless it is answered.
    Deliver {
        /// To which one.
        process: Process,
        /// The call.
        call: CallId,
    },
    /// Send the `cancel` notification.
    SendCancel {
        /// To which one.
        process: Process,
        /// The call.
        call: CallId,
    },
    /// Ask the process to end: `shutdown`, the end of its input, SIGTERM.
    Terminate {
        /// Which one.
        process: Process,
    },
    /// Kill the process, or give up making it.
    Kill {
        /// Which one.
        process: Process,
    },
    /// A call is over. Said exactly once for each demand.
    CallEnded {
        /// The call.
        call: CallId,
        /// How it ended.
        end: CallEnd,
    },
    /// An answer to no open call: it came after the call was ended otherwise, and is dropped.
    LateAnswer {
        /// The call.
        call: CallId,
    },
    /// A killed process is still not reported gone.
    KillUnanswered {
        /// Which one.
        process: Process,
    },
    /// The state changed.
    Changed {
        /// From.
        from: StateName,
        /// To.
        to: StateName,
        /// For what reason.
        why: Why,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The connector answered.
    Answered,
    /// Provably nothing was sent: reservations may be given back.
    NotDelivered(Cause),
    /// It was sent, and no answer came.
    OutcomeUnknown(Cause),
}

/// Why a call ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The caller gave it up.
    Cancelled,
    /// Its time was over.
    TimedOut,
    /// The process ended, or was ended for another call or for its health.
    ProcessEnded,
    /// The pipe to the process was closed.
    WriteFailed,
    /// Too many calls wait already.
    Busy,
    /// The connector failed too often and waits for the owner.
    CrashLooped,
    /// A property of the sandbox cannot be attained.
    SandboxUnattainable,
    /// The code is not what was installed.
    CodeMismatch,
    /// The owner disabled the connector.
    Disabled,
    /// The connector was revoked.
    Revoked,
    /// The node stops.
    ShutDown,
}

impl CallEnd {
    /// The registry's code; none for an answered call.
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Answered => None,
            Self::OutcomeUnknown(_) => Some(Code::OutcomeUnknown),
            Self::NotDelivered(cause) => Some(match cause {
                Cause::Cancelled => Code::Cancelled,
                Cause::TimedOut => Code::ConnectorTimeout,
                Cause::ProcessEnded | Cause::WriteFailed => Code::ConnectorUnavailable,
                Cause::Busy => Code::Exhausted,
                Cause::CrashLooped => Code::ConnectorCrashLoop,
                Cause::SandboxUnattainable => Code::SandboxUnattainable,
                Cause::CodeMismatch => Code::PackageUntrusted,
                Cause::Disabled => Code::ConnectorDisabled,
                Cause::Revoked => Code::ConnectorRevoked,
                Cause::ShutDown => Code::Draining,
            }),
        }
    }
}

/// What keeps a connector from running, until it is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Block {
    /// The owner disabled it.
    Owner,
    /// It was revoked.
    Revoked,
    /// The node stops.
    Shutdown,
}

impl Block {
    /// What calls that are turned away for it are told.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Owner => Cause::Disabled,
            Self::Revoked => Cause::Revoked,
            Self::Shutdown => Cause::ShutDown,
        }
    }
}

/// Why a process failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It could not be made.
    Spawn(SpawnError),
    /// It was not ready in time.
    StartupTimeout,
    /// It did not initialize.
    Initialize,
    /// It failed its health checks.
    Health,
    /// It ended on its own.
    Exited(ExitStatus),
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A call demands the process.
    Demand,
    /// The process was wanted before any call.
    Start,
    /// The policy restarts it.
    Restart,
    /// It initialized.
    Initialized,
    /// A health check found it well.
    Recovered,
    /// A health check found it unwell.
    Unwell,
    /// It failed.
    Failed(Failure),
    /// It failed too often.
    TooManyFailures,
    /// It went on with a cancelled call.
    CancelIgnored(CallId),
    /// Nobody has called for a while.
    Idle,
    /// The delay after a failure is over and nobody waits.
    BackoffOver,
    /// A process that was to end, ended.
    Ended,
    /// It must not run.
    Blocked(Block),
    /// It may run again.
    Unblocked(Block),
}
