//! Frames with descriptors over a unix socket: a length (u32 little-endian), then that many bytes. At most one
//! descriptor travels with a frame's first byte (`SCM_RIGHTS`).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// Reads frames from one half of a control socket.
pub(crate) struct FrameReader<'a> {
    stream: &'a UnixStream,
    buffer: Zeroizing<Vec<u8>>,
    descriptors: VecDeque<OwnedFd>,
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(stream: &'a UnixStream) -> Self {
        Self { stream, buffer: Zeroizing::new(Vec::new()), descriptors: VecDeque::new() }
    }

    /// The next message, or nothing at the end of the stream.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(length) = self.fill(4).await? else { return Ok(None) };
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        let length =
            usize::try_from(length).ok().filter(|length| *length <= MAX_FRAME_BYTES).ok_or_else(too_large)?;
        let Some(body) = self.fill(length).await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "malformed control frame"))
    }

    /// The oldest descriptor received and not yet taken.
    pub(crate) fn take_descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    /// Exactly `wanted` bytes, or nothing if the stream ended before the first.
    async fn fill(&mut self, wanted: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        while self.buffer.len() < wanted {
            let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
            let stream = self.stream;
            let descriptors = &mut self.descriptors;
            let read = stream
                .async_io(Interest::READABLE, || receive(stream.as_fd(), &mut chunk, descriptors))
                .await?;
            if read == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
            self.append(&chunk[..read]);
        }
        let rest = Zeroizing::new(self.buffer[wanted..].to_vec());
        let mut taken = std::mem::replace(&mut self.buffer, rest);
        taken.truncate(wanted);
        Ok(Some(taken))
    }

    /// Grows into a fresh buffer, so that no reallocation leaves an unwiped copy behind.
    fn append(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() < self.buffer.len() + bytes.len() {
            let mut larger = Zeroizing::new(Vec::with_capacity((self.buffer.len() + bytes.len()) * 2));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        self.buffer.extend_from_slice(bytes);
    }
}

/// Writes one message, and the descriptor with its first byte.
pub(crate) async fn send<T: Serialize>(
    stream: &UnixStream,
    message: &T,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut frame = Zeroizing::new(Vec::with_capacity(FRAME_CAPACITY));
    frame.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut *frame, message).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(too_large());
    }
    frame[..4].copy_from_slice(&u32::try_from(length).map_err(io::Error::other)?.to_le_bytes());
    let mut sent = 0;
    while sent < frame.len() {
        let attached = if sent == 0 { descriptor } else { None };
        let rest = &frame[sent..];
        sent += stream.async_io(Interest::WRITABLE, || transmit(stream.as_fd(), rest, attached)).await?;
    }
    Ok(())
}

fn transmit(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.map(|descriptor| [descriptor]);
    if let Some(descriptors) = &descriptors
        && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
    {
        return Err(io::Error::other("no room for a descriptor"));
    }
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

fn receive(
    socket: BorrowedFd<'_>,
    chunk: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(chunk)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MAX_WAITING_DESCRIPTORS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors"));
    }
    Ok(received.bytes)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "control frame too large")
}

/// Largest frame. Chosen: a call with every credential and exception is a few tens of kilobytes.
const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// First capacity of an outgoing frame: larger than a common call, so that secrets are not copied by growth.
const FRAME_CAPACITY: usize = 64 * 1024;

/// Bytes asked of the socket at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Descriptors received whose frames were not read yet.
const MAX_WAITING_DESCRIPTORS: usize = 16;
