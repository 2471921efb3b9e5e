//! Packets of JSON on sockets that keep packets apart.

use fcp_launcher::{MAX_PACKET, Message, ORDER_VERSION, Order, Refusal};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, SocketFlags,
    SocketType, recvmsg, send, socketpair, sockopt,
};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Takes the descriptor 0 for the control socket, after closing whatever else leaked into this process.
pub(crate) fn adopt_standard_input() -> io::Result<OwnedFd> {
    crate::system::close_range(3, u32::MAX)?;
    let control = rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
    if sockopt::socket_type(&control)? != SocketType::SEQPACKET {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(control)
}

/// A private pair of sockets between two processes of the launcher.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one packet.
pub(crate) fn send_packet(socket: BorrowedFd<'_>, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    send(socket, &bytes, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Sends one message to the daemon. A daemon that is gone needs none, and its absence ends the sandbox by itself.
pub(crate) fn tell(control: &OwnedFd, message: &Message) {
    if let Err(error) = send_packet(control.as_fd(), message) {
        eprintln!("fcp-launcher: the daemon cannot be told: {error}");
    }
}

/// Receives one packet; nothing at the end of the stream.
pub(crate) fn receive_packet<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<T>> {
    Ok(receive_with_descriptors(socket)?.map(|(value, _)| value))
}

/// Receives one packet and the descriptors it carries; nothing at the end of the stream.
pub(crate) fn receive_with_descriptors<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let (bytes, descriptors) = receive(socket)?;
    if bytes.is_empty() { Ok(None) } else { Ok(Some((serde_json::from_slice(&bytes)?, descriptors))) }
}

/// Receives the order and what came with it.
pub(crate) fn receive_order(control: BorrowedFd<'_>) -> Result<(Order, Vec<OwnedFd>), Refusal> {
    let malformed = |what: &dyn ToString| Refusal::Malformed(what.to_string());
    let (bytes, descriptors) = receive(control).map_err(|error| malformed(&error))?;
    let order: Order = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
    if order.version != ORDER_VERSION {
        return Err(Refusal::Version(order.version));
    }
    if descriptors.len() != 4 + usize::from(order.egress) {
        return Err(malformed(&"it came with the wrong number of descriptors"));
    }
    order.spec.validate().map_err(Refusal::Spec)?;
    Ok((order, descriptors))
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    bytes.truncate(got.bytes);
    Ok((bytes, descriptors))
}
