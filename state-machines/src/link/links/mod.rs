//! All links of a node: whom it wants to reach, which carriers there are, which session goes over which.
//!
//! A driver connects where [`Event::Connect`] says, tells what became of it ([`Links::connected`], [`Links::lost`]),
//! brings whole frames ([`Links::received`]) and asks for the next one whenever a carrier can take it
//! ([`Links::next_frame`]). A carrier is anonymous until a frame on it proves whose it is.
//!
//! Of two sessions with one peer the newer stands: a peer that lost its memory is heard again, and two nodes that
//! reached each other at the same moment end with one session, if need be after another try.

mod carrier;
mod peer;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::frame::content::{CloseReason, Lane};
use fcp_proto_core::frame::control;
use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::ids::{MeshSessionId, NodeId};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::Instant;

use super::Local;
use super::handshake::{Answer, Responder};
use super::session::{Ended, Session};
use carrier::Carrier;
use peer::Peer;

/// How long a carrier may stay anonymous.
const OPENING: Duration = Duration::from_secs(10);

/// A carrier, by the name that the driver gave it; no name is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CarrierId(pub u64);

/// What a driver must do, or the node should know.
#[derive(Debug)]
pub enum Event {
    /// Make a carrier to this node.
    Connect(NodeId),
    /// Close this carrier, after what it was given.
    Disconnect(CarrierId),
    /// There is a session with this node.
    Up(NodeId),
    /// There is none any more.
    Down {
        /// With whom.
        peer: NodeId,
        /// How it ended; `None` if the peer forgot it.
        ended: Option<Ended>,
        /// What the peer did not acknowledge, and may have got.
        undelivered: Vec<(Lane, Vec<u8>)>,
    },
}

/// All links of a node.
#[derive(Debug)]
pub struct Links {
    responder: Responder,
    peers: BTreeMap<NodeId, Peer>,
    carriers: BTreeMap<CarrierId, Carrier>,
    events: VecDeque<Event>,
}

impl Links {
    /// A node without links.
    pub fn new(now: Instant, entropy: &mut Entropy) -> Self {
        Self {
            responder: Responder::new(now, entropy),
            peers: BTreeMap::new(),
            carriers: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// From now on there shall be a session with `peer`.
    pub fn want(&mut self, peer: &NodeId, now: Instant) {
        self.peers.entry(peer.clone()).or_insert_with(Peer::new).want(now);
    }

    /// There need be no session with `peer` any more; one that is there is ended.
    pub fn leave(&mut self, peer: &NodeId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.leave();
        }
    }

    /// The session with `peer`, if there is one.
    pub fn session(&mut self, peer: &NodeId) -> Option<&mut Session> {
        self.peers.get_mut(peer).and_then(|peer| peer.session.as_mut())
    }

    /// The next thing to do or to know.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// There is a carrier: to `peer`, or from somebody.
    pub fn connected(&mut self, id: CarrierId, peer: Option<NodeId>, local: &mut Local<'_>) {
        let until = local.now.mono.saturating_add(OPENING);
        self.carriers.insert(id, Carrier::opening(peer.clone(), until));
        let Some(name) = peer else { return };
        let peer = self.peers.entry(name.clone()).or_insert_with(Peer::new);
        if peer.session.is_some() && peer.carrier().is_none() {
            self.bind(id, &name);
        } else if !peer.dial(id, &name, local) {
            self.disconnect(id);
        }
    }

    /// A carrier is gone.
    pub fn lost(&mut self, id: CarrierId) {
        let Some(carrier) = self.carriers.remove(&id) else { return };
        let Some(name) = carrier.peer().cloned() else { return };
        if self.peers.get_mut(&name).is_some_and(|peer| peer.lost(id)) {
            self.down(&name, None);
        }
    }

    /// A carrier to `peer` could not be made.
    pub fn unreachable(&mut self, peer: &NodeId) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.unreachable();
        }
    }

    /// A carrier brought a whole message of a handshake, or a whole control frame.
    pub fn received(&mut self, id: CarrierId, frame: &mut [u8], local: &mut Local<'_>) {
        let kept = if frame.starts_with(&control::MAGIC) {
            self.frame(id, frame, local)
        } else {
            self.opening(id, frame, local)
        };
        if !kept {
            self.disconnect(id);
        }
        self.reap();
    }

    /// What the carrier is to take next, if there is something.
    pub fn next_frame(&mut self, id: CarrierId, local: &mut Local<'_>, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(carrier) = self.carriers.get_mut(&id) else { return false };
        if let Some(message) = carrier.next_message() {
            out.extend_from_slice(&message);
            return true;
        }
        let Some(name) = carrier.peer() else { return false };
        let Some(peer) = self.peers.get_mut(name) else { return false };
        let sent = peer.next_frame(id, local, out);
        self.reap();
        sent
    }

    /// When to come back for [`tick`](Self::tick).
    pub fn deadline(&self) -> Option<Instant> {
        let peers = self.peers.values().filter_map(Peer::deadline);
        peers.chain(self.carriers.values().filter_map(Carrier::deadline)).min()
    }

    /// What time brings: another try, keys that turn over, carriers that nobody claimed.
    pub fn tick(&mut self, local: &mut Local<'_>) {
        let now = local.now.mono;
        let silent = |carrier: &Carrier| carrier.deadline().is_some_and(|until| until <= now);
        let silent: Vec<_> = self.carriers.iter().filter(|(_, it)| silent(it)).map(|(id, _)| *id).collect();
        silent.into_iter().for_each(|id| self.disconnect(id));
        for (name, peer) in &mut self.peers {
            if peer.tick(local) {
                self.events.push_back(Event::Connect(name.clone()));
            }
        }
        self.reap();
    }

    /// Takes a control frame; whether the carrier stays.
    fn frame(&mut self, id: CarrierId, frame: &mut [u8], local: &mut Local<'_>) -> bool {
        let Some(carrier) = self.carriers.get_mut(&id) else { return false };
        if let Some(mut answered) = carrier.take_answered() {
            return match answered.frame(local, frame, false) {
                Ok(()) => self.establish(id, *answered),
                Err(_) => false,
            };
        }
        let Some(session_id) = session_id(frame) else { return false };
        let known = |(_, peer): &(&NodeId, &mut Peer)| {
            peer.session.as_ref().is_some_and(|session| session.knows(session_id))
        };
        let Some((name, peer)) = self.peers.iter_mut().find(known) else { return false };
        let (name, fresh) = (name.clone(), peer.carrier() != Some(id));
        let Some(session) = peer.session.as_mut() else { return false };
        if session.frame(local, frame, fresh).is_err() {
            // A forged frame ends the carrier it came on; a violation by the peer has ended the session.
            return session.ended().is_some();
        }
        if fresh {
            self.attach(id, &name);
        }
        self.heard(&name);
        true
    }

    /// Takes a message of a handshake; whether the carrier stays.
    fn opening(&mut self, id: CarrierId, frame: &[u8], local: &mut Local<'_>) -> bool {
        let Some(carrier) = self.carriers.get_mut(&id) else { return false };
        match (Opening::decode(frame), carrier.peer().cloned()) {
            (Ok(Opening::Hello(hello)), None) => match self.responder.hello(hello, local) {
                Ok(Answer::Retry(retry)) => carrier.say(&Opening::Retry(retry)),
                Ok(Answer::Session(session, ack)) => carrier.answer(session, &ack),
                Err(_) => false,
            },
            (Ok(Opening::Retry(retry)), Some(name)) => {
                self.peers.get_mut(&name).is_some_and(|peer| peer.retried(&retry, local))
            }
            (Ok(Opening::Ack(ack)), Some(name)) => {
                let session = self.peers.get_mut(&name).and_then(|peer| peer.acknowledged(&ack, local));
                session.is_some_and(|session| self.establish(id, session))
            }
            (Ok(_) | Err(_), _) => false,
        }
    }

    /// `session` is the one with its peer, over this carrier.
    fn establish(&mut self, id: CarrierId, session: Session) -> bool {
        let name = session.peer().clone();
        let peer = self.peers.entry(name.clone()).or_insert_with(Peer::new);
        if let Some(older) = peer.replace(session) {
            self.events.push_back(Event::Down {
                peer: name.clone(),
                ended: Some(Ended::Here(CloseReason::Replaced)),
                undelivered: older.undelivered().collect(),
            });
        }
        self.events.push_back(Event::Up(name.clone()));
        self.attach(id, &name);
        self.heard(&name);
        true
    }

    fn heard(&mut self, name: &NodeId) {
        if let Some(peer) = self.peers.get_mut(name) {
            peer.heard();
        }
    }

    /// The session with `name` goes on over this carrier.
    fn bind(&mut self, id: CarrierId, name: &NodeId) {
        if let Some(session) = self.session(name) {
            session.carrier_changed();
        }
        self.attach(id, name);
    }

    fn attach(&mut self, id: CarrierId, name: &NodeId) {
        let Some(peer) = self.peers.get_mut(name) else { return };
        let older = peer.attach(id);
        self.carriers.insert(id, Carrier::Bound(name.clone()));
        if let Some(older) = older {
            self.disconnect(older);
        }
    }

    fn disconnect(&mut self, id: CarrierId) {
        if self.carriers.remove(&id).is_some() {
            self.events.push_back(Event::Disconnect(id));
            self.peers.values_mut().for_each(|peer| _ = peer.lost(id));
        }
    }

    /// Takes leave of sessions that have ended and said so.
    fn reap(&mut self) {
        let over = |peer: &Peer| peer.session.as_ref().is_some_and(|it| it.is_over());
        let over: Vec<_> =
            self.peers.iter().filter(|(_, peer)| over(peer)).map(|(name, _)| name.clone()).collect();
        for name in over {
            let ended = self.session(&name).and_then(|session| session.ended());
            self.down(&name, ended);
        }
    }

    fn down(&mut self, name: &NodeId, ended: Option<Ended>) {
        let Some(peer) = self.peers.get_mut(name) else { return };
        let Some(session) = peer.session.take() else { return };
        let carrier = peer.carrier();
        let undelivered = session.undelivered().collect();
        self.events.push_back(Event::Down { peer: name.clone(), ended, undelivered });
        if let Some(carrier) = carrier {
            self.disconnect(carrier);
        }
    }
}

/// The session that a control frame claims.
fn session_id(frame: &[u8]) -> Option<MeshSessionId> {
    frame.get(6..)?.first_chunk::<16>().map(|id| MeshSessionId::from_bytes(*id))
}
