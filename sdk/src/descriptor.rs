//! Inherited descriptors as asynchronous streams, without a thread behind them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{MsgFlags, recv, send};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The descriptor of the egress socket.
const EGRESS_DESCRIPTOR: RawFd = 3;

/// Something that can be read and written without waiting.
pub(crate) trait Source: AsRawFd + Send + Unpin {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// Standard input or output: a pipe, a socket or a terminal.
pub(crate) struct Stdio(OwnedFd);

impl AsRawFd for Stdio {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Source for Stdio {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, buffer)?)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }
}

/// The socket that the sandbox leaves open as descriptor 3. It belongs to the process and is never closed.
pub(crate) struct Inherited(RawFd);

impl AsRawFd for Inherited {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Source for Inherited {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0, buffer, MsgFlags::MSG_DONTWAIT)?)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?)
    }
}

/// A [`Source`] as a tokio stream.
pub(crate) struct Stream<S: Source>(AsyncFd<S>);

/// Standard input as a stream.
pub(crate) fn stdin() -> io::Result<Stream<Stdio>> {
    standard(io::stdin().as_fd().try_clone_to_owned()?)
}

/// Standard output as a stream.
pub(crate) fn stdout() -> io::Result<Stream<Stdio>> {
    standard(io::stdout().as_fd().try_clone_to_owned()?)
}

/// The egress socket as a stream.
pub(crate) fn egress() -> io::Result<Stream<Inherited>> {
    watch(Inherited(EGRESS_DESCRIPTOR))
}

fn standard(fd: OwnedFd) -> io::Result<Stream<Stdio>> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK)?;
    watch(Stdio(fd))
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe, for descriptors that may be closed while they are watched; \
              ours are either owned by the stream or, as descriptor 3, never closed"
)]
fn watch<S: Source>(source: S) -> io::Result<Stream<S>> {
    Ok(Stream(AsyncFd::new(source)?))
}

impl<S: Source> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            match guard.try_io(|source| source.get_ref().read(space)) {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl<S: Source> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            match guard.try_io(|source| source.get_ref().write(bytes)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
