//! Why a ceremony did not come to its end.

use std::fmt;

use fcp_proto_core::error::Code;
use fcp_state_machines::trust::ceremony::{AnswerError, BeginError, Phase, ResumeError};

use crate::home::HomeError;

/// Why a ceremony did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CeremonyFailure {
    /// It did not begin.
    Begin(BeginError),
    /// The words prove nothing.
    Answer(AnswerError),
    /// Its record is of no use.
    Resume(ResumeError),
    /// `home.toml` is of another ceremony than the record.
    OtherHome,
    /// A file could not be read or written.
    Home(HomeError),
    /// The node did not take the founding objects.
    Founding {
        /// The registered code.
        code: Code,
        /// What the node said.
        reason: String,
    },
    /// The machine has no further step, and is not done: a defect of ours.
    Unfinished(Phase),
}

impl CeremonyFailure {
    /// The registered code of this failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Begin(error) => error.code(),
            Self::Answer(error) => error.code(),
            Self::Resume(error) => error.code(),
            Self::OtherHome => Code::StoreCorrupt,
            Self::Home(error) => error.code(),
            Self::Founding { code, .. } => *code,
            Self::Unfinished(_) => Code::Internal,
        }
    }
}

impl fmt::Display for CeremonyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(error) => error.fmt(f),
            Self::Answer(error) => error.fmt(f),
            Self::Resume(error) => error.fmt(f),
            Self::OtherHome => f.write_str("home.toml is of another ceremony than the record"),
            Self::Home(error) => error.fmt(f),
            Self::Founding { reason, .. } => {
                write!(f, "the node did not take the founding objects: {reason}")
            }
            Self::Unfinished(phase) => write!(f, "the ceremony stands at {phase:?} without a next step"),
        }
    }
}

impl std::error::Error for CeremonyFailure {}

impl From<BeginError> for CeremonyFailure {
    fn from(error: BeginError) -> Self {
        Self::Begin(error)
    }
}

impl From<AnswerError> for CeremonyFailure {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

impl From<ResumeError> for CeremonyFailure {
    fn from(error: ResumeError) -> Self {
        Self::Resume(error)
    }
}

impl From<HomeError> for CeremonyFailure {
    fn from(error: HomeError) -> Self {
        Self::Home(error)
    }
}
