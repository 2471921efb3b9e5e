//! The daemon's side of the sandbox: checks the code, starts a launcher, and holds its lifeline.
//!
//! A launcher is started with one descriptor, the far end of a private socket, as its standard input. Everything else
//! (the sealed code, the connector's streams, its egress socket) travels over that socket, so no descriptor is ever
//! inheritable and none can leak into another process that the daemon happens to start at the same moment. The socket
//! is the lifeline too: dropping [`SandboxedProcess`], or the death of the daemon, ends all that runs inside.
//!
//! What the sandbox guarantees, and how each property was met on this machine, stands in [`PropertyReport`].
//! Source: docs/spec/sandbox.md.

mod code;
mod process;

pub use code::{CodeError, CodeImage, CodeImages};
pub use fcp_launcher::{
    CpuLimit, Device, Ending, Limits, Mechanism, Profile, Property, PropertyReport, Refusal, SandboxSpec,
    Standing,
};
pub use process::{ConnectorStreams, SandboxedChild, SandboxedProcess};

use crate::sandbox::process::Launch;
use fcp_proto_core::error::Code;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Starts programs in sandboxes.
#[derive(Clone, Debug)]
pub struct Sandbox {
    launcher: PathBuf,
}

impl Sandbox {
    /// With this launcher.
    pub fn with_launcher(launcher: &Path) -> Result<Self, SandboxError> {
        if launcher.is_file() {
            Ok(Self { launcher: launcher.to_owned() })
        } else {
            Err(SandboxError::LauncherMissing(launcher.to_owned()))
        }
    }

    /// With the launcher that lies beside this program.
    pub fn beside_current_program() -> Result<Self, SandboxError> {
        let own = std::env::current_exe().map_err(SandboxError::system("finding this program"))?;
        Self::with_launcher(&own.with_file_name(LAUNCHER))
    }

    /// Starts a program inside the walls of `spec`. `egress` becomes its descriptor 3.
    ///
    /// It returns when the program runs. A program that could not be given every property it must have never runs.
    pub async fn start(
        &self,
        spec: &SandboxSpec,
        code: &CodeImage,
        egress: Option<OwnedFd>,
    ) -> Result<SandboxedChild, SandboxError> {
        spec.validate().map_err(|error| SandboxError::Refused(Refusal::Spec(error)))?;
        let image = code.clone();
        let checked = tokio::task::spawn_blocking(move || image.verify()).await;
        checked.map_err(|error| SandboxError::system("checking the code")(io::Error::other(error)))??;
        Launch { launcher: &self.launcher, spec, code, egress }.run().await
    }
}

/// The launcher's file name.
const LAUNCHER: &str = "fcp-launcher";

/// Why no program runs in the sandbox.
#[derive(Debug)]
pub enum SandboxError {
    /// There is no launcher here.
    LauncherMissing(PathBuf),
    /// The code is not what it should be.
    Code(CodeError),
    /// The launcher refused, and says why.
    Refused(Refusal),
    /// The launcher ended without an answer, or gave one that makes no sense.
    LauncherFailed(&'static str),
    /// The operating system failed us.
    System(&'static str, io::Error),
}

impl SandboxError {
    fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System(doing, error)
    }

    /// The code under which it is reported.
    pub const fn code(&self) -> Code {
        match self {
            Self::Refused(Refusal::Unattainable(_)) => Code::SandboxUnattainable,
            Self::Refused(Refusal::Spec(_) | Refusal::Version(_) | Refusal::Malformed(_))
            | Self::LauncherFailed(_) => Code::Internal,
            Self::Refused(Refusal::Code(_)) | Self::Code(_) => Code::PackageInvalid,
            Self::LauncherMissing(_) | Self::Refused(Refusal::Failed { .. }) | Self::System(..) => {
                Code::ConnectorUnavailable
            }
        }
    }
}

impl From<CodeError> for SandboxError {
    fn from(error: CodeError) -> Self {
        Self::Code(error)
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LauncherMissing(path) => write!(f, "there is no launcher at {}", path.display()),
            Self::Code(error) => write!(f, "{error}"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::LauncherFailed(what) => write!(f, "the launcher {what}"),
            Self::System(doing, error) => write!(f, "{doing} failed: {error}"),
        }
    }
}

impl std::error::Error for SandboxError {}
