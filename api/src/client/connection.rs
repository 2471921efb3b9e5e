//! One HTTP/1.1 connection: opening it, and one exchange after another.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Target;

/// Why an exchange failed, by what the daemon may have seen of it.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing listens there, or it did not admit us.
    Unreachable(String),
    /// The connection was closed before the request was sent; here it is back.
    NotTaken(Box<Request<Full<Bytes>>>, String),
    /// The request was sent, and no whole answer came.
    Unanswered(String),
    /// The answer is larger than permitted.
    TooLarge,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The body.
    pub(super) body: Bytes,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The process at the other end, where the kernel says.
    pub(super) peer_pid: Option<i32>,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self, Failed> {
        let unreachable = |error: std::io::Error| Failed::Unreachable(error.to_string());
        match target {
            Target::Unix(path) => {
                let stream = connect(path).await.map_err(unreachable)?;
                let peer_pid = stream.peer_cred().map_err(unreachable)?.pid();
                Self::over(stream, peer_pid).await
            }
            Target::Tcp { address, .. } => {
                let stream = TcpStream::connect(address).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                Self::over(stream, None).await
            }
        }
    }

    async fn over<S>(stream: S, peer_pid: Option<i32>) -> Result<Self, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = opened.map_err(|error| Failed::Unreachable(error.to_string()))?;
        // The driver ends with the connection; what went wrong is told to the exchange that waits.
        tokio::spawn(async move { driver.await.err() });
        Ok(Self { sender, peer_pid })
    }

    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        max_bytes: usize,
    ) -> Result<Answer, Failed> {
        if let Err(error) = self.sender.ready().await {
            return Err(Failed::NotTaken(Box::new(request), error.to_string()));
        }
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => {
                let why = error.error().to_string();
                return Err(match error.take_message() {
                    Some(request) => Failed::NotTaken(Box::new(request), why),
                    None => Failed::Unanswered(why),
                });
            }
        };
        let status = response.status();
        match Limited::new(response.into_body(), max_bytes).collect().await {
            Ok(body) => Ok(Answer { status, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => Err(Failed::TooLarge),
            Err(error) => Err(Failed::Unanswered(error.to_string())),
        }
    }
}

/// Connects to the unix socket. If others fill the kernel's queue of it, waits in line for a place there: without waiting,
/// whoever asks again and again would be first.
//= docs/spec/api.md#room
async fn connect(path: &Path) -> io::Result<UnixStream> {
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let path = path.to_owned();
            let connecting =
                tokio::task::spawn_blocking(move || std::os::unix::net::UnixStream::connect(path));
            let stream = connecting.await.map_err(io::Error::other)??;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        }
        connected => connected,
    }
}
