//! The packets on the socket between daemon and launcher.

use crate::report::{Property, PropertyReport};
use crate::spec::{SandboxSpec, SpecError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of [`Order`] and [`Message`]. The two programs are built and shipped together; anything else is refused.
pub const ORDER_VERSION: u32 = 1;

/// The largest packet either side accepts. Chosen: far above any real order, below the default socket buffer.
pub const MAX_PACKET: usize = 96 * 1024;

/// What to start. The packet carries these descriptors, in this order: the sealed code, standard input, output and
/// error of the connector, and, if `egress` says so, its egress socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Must be [`ORDER_VERSION`].
    pub version: u32,
    /// The walls and the program.
    pub spec: SandboxSpec,
    /// Whether a fifth descriptor came along, which becomes the connector's descriptor 3.
    pub egress: bool,
}

/// What the launcher says to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// All walls stand, and this is how. The program has not run yet.
    Report(PropertyReport),
    /// The program runs.
    Started,
    /// The program was not started and never will be.
    Refused(Refusal),
    /// The program ended, and everything it had started with it.
    Ended(Ending),
}

/// Why the program was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// The order is not valid.
    Spec(SpecError),
    /// The order is of a version this launcher does not know.
    Version(u32),
    /// The packet cannot be read as an order, or carries the wrong number of descriptors.
    Malformed(String),
    /// The machine cannot provide these properties, and the owner accepted no exception.
    Unattainable(Vec<(Property, String)>),
    /// The code is not an executable this launcher can start.
    Code(String),
    /// A step failed that must not.
    Failed {
        /// Which.
        step: Step,
        /// What it worked on, or nothing.
        subject: String,
        /// The error number of the system.
        errno: i32,
    },
}

/// A step of building the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Making the processes of the sandbox.
    Fork,
    /// Entering the control groups.
    EnterControlGroup,
    /// Mapping the user.
    MapUser,
    /// Taking the user's identity.
    TakeIdentity,
    /// Opening a granted path.
    OpenGrant,
    /// Mounting the private root.
    MountRoot,
    /// Giving up capabilities.
    DropPrivileges,
    /// Placing the descriptors.
    PlaceDescriptors,
    /// Setting a limit.
    SetLimit,
    /// Building or loading the filter of system calls.
    FilterSyscalls,
    /// Restricting files by Landlock.
    RestrictFiles,
    /// Leaving the terminal's session.
    LeaveSession,
    /// Talking to the other processes of the launcher.
    Synchronise,
    /// Starting the program.
    Execute,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ending {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Signalled(i32),
    /// The daemon closed the lifeline, and the launcher killed it.
    LifelineClosed,
}

impl Ending {
    /// The exit status that stands for it, by the custom of shells.
    pub const fn exit_status(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Signalled(signal) => 128 + signal,
            Self::LifelineClosed => 128 + 9,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(error) => write!(f, "the sandbox order is not valid: {error}"),
            Self::Version(version) => write!(f, "the launcher does not know order version {version}"),
            Self::Malformed(what) => write!(f, "the launcher cannot read its order: {what}"),
            Self::Unattainable(missing) => {
                f.write_str("this machine cannot provide what the sandbox demands")?;
                missing.iter().try_for_each(|(property, remedy)| write!(f, "; {property}: {remedy}"))
            }
            Self::Code(what) => write!(f, "the connector's code cannot be started: {what}"),
            Self::Failed { step, subject, errno } => {
                let error = std::io::Error::from_raw_os_error(*errno);
                write!(f, "building the sandbox failed at {step:?} {subject}: {error}")
            }
        }
    }
}
