//! Where the daemon listens: its unix socket, and a loopback address by choice.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::Digest;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::daemon::StartError;
use crate::home::{Config, Home, HomeError, read_private};

/// Where the daemon listens.
#[derive(Debug)]
pub struct Listeners {
    unix: UnixListener,
    tcp: Option<TcpListener>,
    path: PathBuf,
}

/// A connection that was accepted.
pub(super) enum Accepted {
    /// On the unix socket.
    Unix {
        /// The connection.
        stream: UnixStream,
        /// The user at the other end.
        uid: u32,
        /// The process there.
        pid: Option<i32>,
    },
    /// On TCP.
    Tcp(TcpStream),
}

/// Begins to listen. A socket that nobody listens on any more is replaced; one that answers is not.
///
/// # Errors
/// [`StartError::AddressInUse`], [`StartError::SocketInUse`]; [`HomeError::WrongKind`] for what is no socket; or what the system answers.
//= docs/spec/api.md#transport
pub async fn listen(socket: &Path, config: &Config) -> Result<Listeners, StartError> {
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            StartError::SocketInUse(socket.to_owned())
        } else {
            StartError::Listen { at: socket.display().to_string(), error }
        }
    };
    if socket.symlink_metadata().is_ok_and(|about| !about.file_type().is_socket()) {
        return Err(StartError::Home(HomeError::wrong_kind(socket)));
    }
    remove_stale(socket).await.map_err(failed)?;
    // The folder is open to its owner only, so nobody else can connect before the mode is set.
    let unix = UnixListener::bind(socket).map_err(failed)?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(failed)?;
    let tcp = match config.listen.tcp {
        None => None,
        Some(address) => {
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|error| in_use(address.to_string(), error))?)
        }
    };
    Ok(Listeners { unix, tcp, path: socket.to_owned() })
}

/// Why nothing can listen at `at`.
fn in_use(at: String, error: io::Error) -> StartError {
    if error.kind() == io::ErrorKind::AddrInUse {
        StartError::AddressInUse(at)
    } else {
        StartError::Listen { at, error }
    }
}

/// The digest of the token that admits callers over TCP, read from its file; absent without TCP.
///
/// # Errors
/// What is wrong with the file, which must be there and open to this user only. Its owner wrote it, so it is a setting like
/// others: no backup is asked for.
//= docs/spec/home.md#configtoml
pub fn admission(home: &Home, config: &Config) -> Result<Option<Digest>, StartError> {
    // The settings name both or neither.
    let Some(path) = config.listen.tcp_token_file.clone() else { return Ok(None) };
    let bad = |reason: String| StartError::Home(HomeError::BadToken { file: path.clone(), reason });
    let bytes = match read_private(&**home.files(), &path) {
        Err(HomeError::FileMissing(_)) => return Err(bad("is missing".into())),
        read => read.map_err(StartError::Home)?,
    };
    let text = bytes.trim_ascii();
    if text.len() < MIN_TOKEN_BYTES {
        return Err(bad(format!("must hold a token of at least {MIN_TOKEN_BYTES} characters")));
    }
    Ok(Some(hash::digest(text)))
}

/// Shortest token that admits callers over TCP: 128 bits in hexadecimal.
const MIN_TOKEN_BYTES: usize = 32;

async fn remove_stale(socket: &Path) -> io::Result<()> {
    match UnixStream::connect(socket).await {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        // Whoever listens lets nobody in: the kernel's queue of the socket is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(socket),
        Err(error) => Err(error),
    }
}

impl Listeners {
    /// The next connection.
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        let tcp = async {
            match &self.tcp {
                Some(tcp) => tcp.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.unix.accept() => {
                let (stream, _) = accepted?;
                let peer = stream.peer_cred()?;
                Ok(Accepted::Unix { stream, uid: peer.uid(), pid: peer.pid() })
            }
            accepted = tcp => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream))
            }
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // Whoever starts next finds out by itself that nobody listens, should the file remain.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket's file was not removed");
        }
    }
}
