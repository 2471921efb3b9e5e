//! The launcher trusts nothing it is given: without a socket it does nothing, and it answers a bad order by a refusal.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may end by any failure")]

use fcp_launcher::{MAX_PACKET, Message, ORDER_VERSION, Order, Refusal, SandboxSpec};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

fn launcher() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fcp-launcher"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Sends one packet to a launcher, and gives its first answer and its exit status.
fn answer(packet: &[u8]) -> (Option<Message>, Option<i32>) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (near, far) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let mut child = launcher().stdin(Stdio::from(far)).spawn().unwrap();
    let near = UnixDatagram::from(near);
    near.send(packet).unwrap();
    let mut bytes = vec![0; MAX_PACKET];
    let length = near.recv(&mut bytes).unwrap_or(0);
    (serde_json::from_slice(&bytes[..length]).ok(), child.wait().unwrap().code())
}

#[test]
fn it_needs_a_socket() {
    let status = launcher().stdin(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let (reader, _writer) = std::io::pipe().unwrap();
    let status = launcher().stdin(Stdio::from(OwnedFd::from(reader))).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn bytes_that_are_no_order_are_refused() {
    for packet in [&b"x"[..], b"{}", b"null", b"[1,2]", &[0xff; 64]] {
        let (message, status) = answer(packet);
        assert!(matches!(message, Some(Message::Refused(Refusal::Malformed(_)))), "{message:?}");
        assert_eq!(status, Some(125));
    }
}

#[test]
fn an_order_without_descriptors_or_of_another_version_is_refused() {
    let mut order = Order { version: ORDER_VERSION, spec: SandboxSpec::new("probe"), egress: false };
    let (message, _) = answer(&serde_json::to_vec(&order).unwrap());
    assert!(matches!(message, Some(Message::Refused(Refusal::Malformed(_)))), "{message:?}");
    order.version += 1;
    let (message, _) = answer(&serde_json::to_vec(&order).unwrap());
    assert_eq!(message, Some(Message::Refused(Refusal::Version(ORDER_VERSION + 1))));
}

#[test]
fn a_daemon_that_goes_away_ends_it() {
    let (near, far) = UnixDatagram::pair().unwrap();
    drop(near);
    let status = launcher().stdin(Stdio::from(OwnedFd::from(far))).status().unwrap();
    assert_eq!(status.code(), Some(2), "and a socket of another kind is none");
}
