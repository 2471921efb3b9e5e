//! What a node has with one other.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::frame::content::CloseReason;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::session::message::{Ack, HelloRetry};
use fcp_proto_core::time::Instant;

use super::CarrierId;
use crate::link::Local;
use crate::link::handshake::Dial;
use crate::link::session::Session;

/// The shortest pause before another try. The pause is drawn at random up to twice this, so that two nodes that reach
/// for each other at the same moment do not do so for ever.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a node has with one other.
#[derive(Debug)]
pub(super) struct Peer {
    wanted: bool,
    reach: Reach,
    dial: Option<Dial>,
    pub(super) session: Option<Session>,
    /// Whether the peer was heard on the carrier.
    heard: bool,
    pause: Duration,
}

/// How the peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Not at all, and nobody is at that.
    Not,
    /// Not any more: a time for another try is to be drawn.
    Lost,
    /// From this time on it is tried again.
    At(Instant),
    /// The driver makes a carrier.
    Connecting,
    /// On this carrier a handshake is under way.
    Trying(CarrierId),
    /// On this carrier.
    Bound(CarrierId),
}

impl Peer {
    pub(super) fn new() -> Self {
        Self { wanted: false, reach: Reach::Not, dial: None, session: None, heard: false, pause: FIRST_PAUSE }
    }

    pub(super) fn want(&mut self, now: Instant) {
        self.wanted = true;
        if self.reach == Reach::Not {
            self.reach = Reach::At(now);
        }
    }

    pub(super) fn leave(&mut self) {
        self.wanted = false;
        self.dial = None;
        match self.reach {
            Reach::Lost | Reach::At(_) => self.reach = Reach::Not,
            Reach::Not | Reach::Connecting | Reach::Trying(_) | Reach::Bound(_) => (),
        }
        if let Some(session) = &mut self.session {
            session.close(CloseReason::Done);
        }
    }

    /// The carrier that the session goes over.
    pub(super) fn carrier(&self) -> Option<CarrierId> {
        match self.reach {
            Reach::Bound(carrier) => Some(carrier),
            Reach::Not | Reach::Lost | Reach::At(_) | Reach::Connecting | Reach::Trying(_) => None,
        }
    }

    /// Begins a handshake on a carrier that was made for this; whether it is of use.
    pub(super) fn dial(&mut self, carrier: CarrierId, name: &NodeId, local: &mut Local<'_>) -> bool {
        if !self.wanted || self.carrier().is_some() {
            return false;
        }
        self.dial = Dial::new(name.clone(), None, local).ok();
        self.reach = Reach::Trying(carrier);
        self.dial.is_some()
    }

    pub(super) fn retried(&mut self, retry: &HelloRetry, local: &Local<'_>) -> bool {
        self.dial.as_mut().is_some_and(|dial| dial.retry(retry, local).is_ok())
    }

    pub(super) fn acknowledged(&mut self, ack: &Ack, local: &Local<'_>) -> Option<Session> {
        let session = self.dial.as_mut()?.ack(ack, local).ok()?;
        self.dial = None;
        Some(session)
    }

    /// Puts `session` in the place of the one that stands.
    pub(super) fn replace(&mut self, session: Session) -> Option<Session> {
        self.dial = None;
        self.pause = FIRST_PAUSE;
        self.session.replace(session)
    }

    /// The session goes over `carrier` now; the one that it takes the place of.
    pub(super) fn attach(&mut self, carrier: CarrierId) -> Option<CarrierId> {
        self.heard = false;
        self.dial = None;
        match core::mem::replace(&mut self.reach, Reach::Bound(carrier)) {
            Reach::Trying(older) | Reach::Bound(older) => Some(older).filter(|older| *older != carrier),
            Reach::Not | Reach::Lost | Reach::At(_) | Reach::Connecting => None,
        }
    }

    pub(super) fn heard(&mut self) {
        self.heard = true;
        self.pause = FIRST_PAUSE;
    }

    /// A carrier could not be made.
    pub(super) fn unreachable(&mut self) {
        if self.reach == Reach::Connecting {
            self.reach = Reach::Lost;
        }
    }

    /// A carrier is gone; whether the session is gone with it: a peer that was given the session on a fresh carrier and
    /// said nothing has forgotten it.
    pub(super) fn lost(&mut self, carrier: CarrierId) -> bool {
        match self.reach {
            Reach::Bound(it) if it == carrier => self.reach = Reach::Lost,
            Reach::Trying(it) if it == carrier => {
                self.reach = Reach::Lost;
                self.dial = None;
                return false;
            }
            Reach::Not
            | Reach::Lost
            | Reach::At(_)
            | Reach::Connecting
            | Reach::Trying(_)
            | Reach::Bound(_) => {
                return false;
            }
        }
        !self.heard
    }

    pub(super) fn next_frame(&mut self, id: CarrierId, local: &mut Local<'_>, out: &mut Vec<u8>) -> bool {
        let trying = self.reach == Reach::Trying(id);
        if let Some(message) = self.dial.as_mut().filter(|_| trying).and_then(Dial::next_message) {
            out.extend_from_slice(&message);
            return true;
        }
        let bound = self.carrier() == Some(id);
        let session = self.session.as_mut().filter(|_| bound);
        session.is_some_and(|session| session.next_frame(local, out))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let reach = match self.reach {
            Reach::Lost => Some(Instant::default()),
            Reach::At(at) => Some(at),
            Reach::Not | Reach::Connecting | Reach::Trying(_) | Reach::Bound(_) => None,
        };
        let dial = self.dial.as_ref().map(Dial::deadline);
        let session = self.session.as_ref().and_then(Session::deadline);
        [reach, dial, session].into_iter().flatten().min()
    }

    /// What time brings; whether to connect now.
    pub(super) fn tick(&mut self, local: &mut Local<'_>) -> bool {
        if let Some(session) = &mut self.session {
            session.tick(local);
        }
        self.dial.take_if(|dial| dial.tick(local).is_err());
        if self.reach == Reach::Lost {
            self.reach = if self.wanted { Reach::At(self.next_try(local)) } else { Reach::Not };
        }
        match self.reach {
            Reach::At(at) if at <= local.now.mono => self.reach = Reach::Connecting,
            Reach::Not
            | Reach::Lost
            | Reach::At(_)
            | Reach::Connecting
            | Reach::Trying(_)
            | Reach::Bound(_) => {
                return false;
            }
        }
        true
    }

    /// After a pause that grows.
    fn next_try(&mut self, local: &mut Local<'_>) -> Instant {
        let nanos = u64::try_from(self.pause.as_nanos()).unwrap_or(u64::MAX);
        let pause = self.pause + Duration::from_nanos(local.entropy.below(nanos));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        local.now.mono.saturating_add(pause)
    }
}
