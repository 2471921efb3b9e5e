//! The egress process: the only one with the network, and with the secrets of the calls open now; it has no keys and
//! no files. Source: docs/spec/egress.md.
//!
//! ```text
//! daemon ──control socket (frames of JSON, descriptors)──► control loop ──► open calls, seals
//! connector ──fd 3, HTTP/2──► exchange: find the call ─► admit ─► resolve, pin ─► connect, TLS ─► seal, inject, send
//!                                 ◄── scrubbed, capped answer ◄── service
//! ```
//!
//! All decisions are `fcp_state_machines::call::egress`; this process carries them out. When the control socket
//! closes, it ends, and with it every secret it held.

mod bodies;
mod calls;
mod client;
mod control;
mod exchange;
mod framing;
mod oauth;
mod resolve;
mod scrub;
mod secret;
mod server;
mod upstream;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use fcp_proto_core::time::UnixTime;

pub use client::{ClientError, EgressClient, Refreshed};
pub use control::{
    CallReport, Effect, Identity, OAuthToken, OpenWithSecrets, RefreshedToken, SecretValue, SlotSecret,
    Strays, Vitals,
};
pub use resolve::{Resolver, Resolving, SystemResolver};
pub use secret::Secret;

/// What the process asks of the system.
pub struct Environment {
    /// Turns names into addresses.
    pub resolver: Box<dyn Resolver>,
    /// Reads the wall clock.
    pub unix_time: fn() -> UnixTime,
}

impl Environment {
    /// The system's resolver and clock.
    pub fn system() -> Self {
        Self { resolver: Box::new(SystemResolver), unix_time: system_time }
    }
}

/// The whole egress process: hardens itself, then serves the daemon at `control` until the daemon closes it or asks
/// it to end. The daemon passes the socket as standard input.
///
/// # Errors
/// If the process cannot be hardened or the control socket fails.
pub fn run(control: OwnedFd) -> io::Result<()> {
    run_in(control, Environment::system())
}

/// The whole egress process in another environment.
///
/// # Errors
/// As [`run`].
pub fn run_in(control: OwnedFd, environment: Environment) -> io::Result<()> {
    crate::private_memory::make()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(control, environment));
    // A name that the system is still resolving blocks a thread, and nobody waits for the answer any more.
    runtime.shutdown_background();
    ended
}

/// Serves the daemon at `control`, within a running tokio runtime.
///
/// # Errors
/// If the control socket fails or the daemon breaks its protocol.
pub async fn serve(control: OwnedFd, environment: Environment) -> io::Result<()> {
    server::serve(stream(control)?, Arc::new(environment)).await
}

/// Whether a text holds certificates in PEM that can be trusted as authorities.
pub(crate) fn is_authority(pem: &str) -> bool {
    upstream::root_store(std::iter::once(pem)).is_ok()
}

/// A socket of ours for tokio.
fn stream(descriptor: OwnedFd) -> io::Result<tokio::net::UnixStream> {
    let stream = UnixStream::from(descriptor);
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

#[allow(clippy::disallowed_methods, reason = "the one place where the egress process reads the wall clock")]
fn system_time() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 makes every token look fresh; the service then decides.
    UnixTime::from_secs(since.map_or(0, |since| since.as_secs()))
}
