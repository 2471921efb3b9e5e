//! An established session of two nodes: what it seals and opens, its rekeys, its carriers, its end.
//!
//! A driver gives it what a carrier brought ([`Session::frame`], [`Session::datagram`]), asks it for the next frame
//! whenever the carrier can take one ([`Session::next_frame`]), and comes back at [`Session::deadline`]. A session is
//! bound to two nodes and to its keys, not to a carrier: it outlives a connection that breaks and a device that sleeps
//! ([`Session::carrier_changed`]), until its keys reach their bound.
//!
//! Spec: docs/spec/mesh-sessions.md, docs/spec/fcpc.md.

mod generations;
mod rekey;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::provider::TAG_BYTES;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::frame::content::{CloseReason, Content, ContentError, Lane, MAX_CONTENT_BYTES};
use fcp_proto_core::frame::control::{self, ControlError, HEADER_BYTES};
use fcp_proto_core::frame::datagram::{self, DatagramError};
use fcp_proto_core::ids::{MeshSessionId, NodeId};
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::keys::{KeyLife, ReceiveKeys, Session as Keys};
use fcp_proto_core::time::{Instant, Now};

use super::Local;
use super::lanes::{Backlog, Lanes, Violation};
use generations::Generations;
use rekey::{Rekey, Request};

/// Longest content of a control frame that this node sends or takes: a piece, or a rekey message.
pub const MAX_CONTENT: usize = MAX_CONTENT_BYTES;

/// Why a frame or a datagram is not taken. The session goes on, except after a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no control frame of this session.
    Control(ControlError),
    /// It is no datagram of this session.
    Datagram(DatagramError),
    /// The session has ended.
    Closed,
    /// What is left of the keys is for the rekey that is under way; try again after it.
    Scarce,
    /// A rekey message is not taken.
    Rekey(SessionError),
    /// The peer sealed what is no content, and the session ends.
    Content(ContentError),
    /// The peer broke a rule of the lanes, and the session ends.
    Violation(Violation),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(error) => error.fmt(f),
            Self::Datagram(error) => error.fmt(f),
            Self::Scarce => f.write_str("the keys are nearly used up, and the next ones are not there yet"),
            Self::Closed => f.write_str("the session has ended"),
            Self::Rekey(error) => error.fmt(f),
            Self::Content(error) => error.fmt(f),
            Self::Violation(Violation::BeyondLimit) => f.write_str("the peer sent beyond its limit"),
            Self::Violation(Violation::WindowMoved) => f.write_str("the peer's window contradicts itself"),
        }
    }
}

impl core::error::Error for Refused {}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This node ended it.
    Here(CloseReason),
    /// The peer did.
    There(CloseReason),
}

/// A session of this node with one peer.
#[derive(Debug)]
pub struct Session {
    peer: NodeId,
    keys: Generations,
    rekey: Rekey,
    lanes: Lanes,
    /// Whether the peer has shown that it has the other half of the keys.
    confirmed: bool,
    ended: Option<Ended>,
    /// The last word, which is still to be sent.
    farewell: Option<CloseReason>,
}

impl Session {
    /// The session whose keys an [`Ack`](fcp_proto_core::session::message::Ack) made at the node that asked for it.
    pub fn asked(peer: NodeId, keys: Keys, now: Now) -> Self {
        Self::new(peer, keys, true, now)
    }

    /// The session that this node answered with; it is confirmed by the first authentic frame.
    //= docs/spec/mesh-sessions.md#hello
    pub fn answered(peer: NodeId, keys: Keys, now: Now) -> Self {
        Self::new(peer, keys, false, now)
    }

    /// Whoever asked knows by the ack that the peer has the keys; whoever answered knows nothing yet.
    fn new(peer: NodeId, keys: Keys, confirmed: bool, now: Now) -> Self {
        let (keys, secret) = Generations::first(keys, now.mono, confirmed);
        Self {
            peer,
            keys,
            rekey: Rekey::of(secret),
            lanes: Lanes::default(),
            confirmed,
            ended: None,
            farewell: None,
        }
    }

    /// The other node.
    pub fn peer(&self) -> &NodeId {
        &self.peer
    }

    /// Whether frames of this id are this session's, now.
    pub fn knows(&self, id: MeshSessionId) -> bool {
        self.keys.opens(id) || self.rekey.offered() == Some(id)
    }

    /// The ids under which the peer may send, the newest last.
    pub fn ids(&self) -> impl Iterator<Item = MeshSessionId> {
        self.keys.ids().chain(self.rekey.offered())
    }

    /// Whether the peer has shown that it has the keys.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Which generation seals, from zero.
    pub fn generation(&self) -> u32 {
        self.keys.generation()
    }

    /// Takes a message for a lane.
    ///
    /// # Errors
    /// [`Backlog`]; it was not taken.
    pub fn send(&mut self, lane: Lane, message: &[u8]) -> Result<(), Backlog> {
        self.lanes.send(lane, message)
    }

    /// The next message of a lane, which makes room for the peer.
    pub fn receive(&mut self, lane: Lane) -> Option<Vec<u8>> {
        self.lanes.receive(lane)
    }

    /// Messages that the peer did not acknowledge; it may have some of them.
    pub fn undelivered(self) -> impl Iterator<Item = (Lane, Vec<u8>)> {
        self.lanes.undelivered()
    }

    /// Ends the session; the peer is told by the next frame.
    pub fn close(&mut self, reason: CloseReason) {
        if self.ended.is_none() {
            self.ended = Some(Ended::Here(reason));
            self.farewell = Some(reason);
        }
    }

    /// The session has another carrier; what the old one held is lost, and nothing more of it may come.
    pub fn carrier_changed(&mut self) {
        self.lanes.carrier_changed();
        self.rekey.send_again();
    }

    /// Writes the next frame to `out`, if there is one. Ask when the carrier can take it, not before.
    pub fn next_frame(&mut self, local: &mut Local<'_>, out: &mut Vec<u8>) -> bool {
        self.tick(local);
        out.clear();
        out.resize(HEADER_BYTES, 0);
        if !self.next_content(out, local.now.mono) {
            out.clear();
            return false;
        }
        out.resize(out.len() + TAG_BYTES, 0);
        if control::seal(self.keys.send(), out, MAX_CONTENT, local.now.mono).is_err() {
            // The keys are spent: nothing that they could say is said any more.
            self.end(CloseReason::KeysSpent);
            self.farewell = None;
            out.clear();
            return false;
        }
        true
    }

    /// Whether [`next_frame`](Self::next_frame) would give one at this time.
    pub fn has_frame(&self, now: Instant) -> bool {
        if self.ended.is_some() {
            return self.farewell.is_some();
        }
        let content = || self.keys.must_show() || self.lanes.has_next();
        self.rekey.has_message() || (!self.keys.are_scarce(now) && content())
    }

    /// Whether it has ended and said so.
    pub fn is_over(&self) -> bool {
        self.ended.is_some() && self.farewell.is_none()
    }

    //= docs/spec/fcpc.md#lanes
    fn next_content(&mut self, out: &mut Vec<u8>, now: Instant) -> bool {
        if let Some(reason) = self.farewell.take() {
            Content::Close(reason).emit(out);
            return true;
        }
        if self.ended.is_some() {
            return false;
        }
        if let Some(message) = self.rekey.next() {
            message.emit(out);
            return true;
        }
        if self.keys.are_scarce(now) {
            return false;
        }
        let content = match self.lanes.next_content() {
            Some(content) => content,
            None if self.keys.must_show() => Content::Window(self.lanes.standing()),
            None => return false,
        };
        content.emit(out);
        self.keys.shown();
        true
    }

    /// Takes a control frame that a carrier brought, and opens it in place. `fresh` says that it is the first one on its
    /// carrier: if it is authentic, the session goes over to that carrier before it reads what the frame says of it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn frame(&mut self, local: &mut Local<'_>, frame: &mut [u8], fresh: bool) -> Result<(), Refused> {
        self.live(local)?;
        let id = session_id(frame, 6).ok_or(Refused::Control(ControlError::OtherSession))?;
        let keys = self.opening(id).ok_or(Refused::Control(ControlError::OtherSession))?;
        let opened = control::open(keys, frame, MAX_CONTENT).map_err(Refused::Control)?;
        let content = opened.content.to_vec();
        self.heard(id, local.now.mono);
        if fresh {
            self.carrier_changed();
        }
        self.content(local, &content)
    }

    /// The frame of a datagram that the network brought.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn datagram<'a>(
        &mut self,
        local: &mut Local<'_>,
        bytes: &'a mut [u8],
        max: usize,
    ) -> Result<&'a mut [u8], Refused> {
        self.live(local)?;
        let other = Refused::Datagram(DatagramError::OtherSession);
        let id = session_id(bytes, 0).ok_or(other.clone())?;
        let keys = self.opening(id).ok_or(other)?;
        let frame = datagram::open(keys, bytes, max).map_err(Refused::Datagram)?;
        self.heard(id, local.now.mono);
        Ok(frame)
    }

    /// Seals the frame that stands in `datagram` behind room for its prefix.
    ///
    /// # Errors
    /// [`Refused::Closed`], [`Refused::Scarce`], or why it cannot be sealed.
    pub fn seal_datagram(
        &mut self,
        local: &mut Local<'_>,
        bytes: &mut [u8],
        max: usize,
    ) -> Result<(), Refused> {
        self.live(local)?;
        if self.keys.are_scarce(local.now.mono) {
            return Err(Refused::Scarce);
        }
        datagram::seal(self.keys.send(), bytes, max, local.now.mono).map_err(Refused::Datagram)?;
        self.keys.shown();
        Ok(())
    }

    /// When to come back although nothing came, for [`tick`](Self::tick).
    pub fn deadline(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        let keys = self.keys.deadline(self.confirmed && self.rekey.is_idle());
        Some(self.rekey.deadline().map_or(keys, |rekey| rekey.min(keys)))
    }

    /// What time brings: a rekey that is due, one that must be asked for again, keys that end.
    pub fn tick(&mut self, local: &mut Local<'_>) {
        let now = local.now.mono;
        if self.ended.is_some() {
            return;
        }
        self.keys.expire(now);
        if self.keys.are_over(now) {
            self.end(CloseReason::KeysSpent);
            self.farewell = None;
            return;
        }
        match self.keys.life(now) {
            KeyLife::Fresh => (),
            KeyLife::RekeyDue(_) | KeyLife::Scarce(_) | KeyLife::Spent(_) => self.ask(local),
        }
        self.rekey.tick(local.now);
    }

    /// Asks for the next generation, unless one is under way or the last one is too young.
    fn ask(&mut self, local: &mut Local<'_>) {
        if !self.confirmed || self.keys.overlap() {
            return;
        }
        match self.rekey.ask(local) {
            Ok(()) => (),
            // Nothing follows the last generation: the session ends when its keys do.
            Err(_) => self.end(CloseReason::KeysSpent),
        }
    }

    fn live(&mut self, local: &mut Local<'_>) -> Result<(), Refused> {
        self.tick(local);
        if self.ended.is_some() { Err(Refused::Closed) } else { Ok(()) }
    }

    fn opening(&mut self, id: MeshSessionId) -> Option<&mut ReceiveKeys> {
        self.keys.opening(id).or_else(|| self.rekey.opening(id))
    }

    /// Something authentic came under `id`.
    //= docs/spec/mesh-sessions.md#rekey
    fn heard(&mut self, id: MeshSessionId, now: Instant) {
        self.confirmed = true;
        if let Some(next) = self.rekey.confirm(id) {
            let secret = self.keys.turn(next, now, false);
            self.rekey = Rekey::of(secret);
        }
        self.keys.heard(id, now);
    }

    fn content(&mut self, local: &mut Local<'_>, content: &[u8]) -> Result<(), Refused> {
        match Content::parse(content) {
            Ok(Content::Piece(piece)) => self.lanes.piece(piece).map_err(|broken| self.violated(broken)),
            Ok(Content::Window(window)) => self.lanes.window(window).map_err(|broken| self.violated(broken)),
            Ok(Content::RekeyRequest(message)) => self.rekey_request(local, message),
            Ok(Content::RekeyAck(message)) => self.rekey_ack(local, message),
            Ok(Content::Close(reason)) => {
                self.ended = Some(Ended::There(reason));
                Ok(())
            }
            Err(error) => {
                self.end(CloseReason::ProtocolViolation);
                Err(Refused::Content(error))
            }
        }
    }

    fn violated(&mut self, broken: Violation) -> Refused {
        self.end(CloseReason::ProtocolViolation);
        Refused::Violation(broken)
    }

    fn rekey_request(&mut self, local: &mut Local<'_>, message: &[u8]) -> Result<(), Refused> {
        let key = self.peer_key(local)?;
        if self.keys.overlap() {
            // The peer sealed it before it could know that the last rekey is not over here; it asks again.
            return Ok(());
        }
        match self.rekey.request(local, &key, message).map_err(Refused::Rekey)? {
            Request::Taken => Ok(()),
            Request::Stuck => {
                self.end(CloseReason::KeysSpent);
                Err(Refused::Closed)
            }
        }
    }

    fn rekey_ack(&mut self, local: &mut Local<'_>, message: &[u8]) -> Result<(), Refused> {
        let key = self.peer_key(local)?;
        if let Some(next) = self.rekey.ack(local, &key, message).map_err(Refused::Rekey)? {
            let secret = self.keys.turn(next, local.now.mono, true);
            self.rekey = Rekey::of(secret);
        }
        Ok(())
    }

    /// The key of the peer's attestation, which must be live now.
    //= docs/spec/mesh-sessions.md#rekey
    fn peer_key(&mut self, local: &Local<'_>) -> Result<VerifyingKey<Node>, Refused> {
        match local.peers.key(&self.peer) {
            Some(key) => Ok(key),
            None => {
                self.end(CloseReason::PeerNotTrusted);
                Err(Refused::Closed)
            }
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.close(reason);
    }
}

/// The session id at `at`, if there are as many bytes.
fn session_id(bytes: &[u8], at: usize) -> Option<MeshSessionId> {
    let field = bytes.get(at..)?.first_chunk::<16>()?;
    Some(MeshSessionId::from_bytes(*field))
}
