//! A carrier, before and after it is known whose it is.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::Instant;

use crate::link::session::Session;

/// What is known of a carrier.
#[derive(Debug)]
pub(super) enum Carrier {
    /// Nothing that was proved.
    Opening(Anonymous),
    /// It carries the session with this node.
    Bound(NodeId),
}

/// A carrier that nobody has claimed with a key.
#[derive(Debug)]
pub(super) struct Anonymous {
    /// Whom this node meant to reach with it.
    peer: Option<NodeId>,
    until: Instant,
    messages: VecDeque<Vec<u8>>,
    /// What this node answered here, until the first frame confirms it.
    answered: Option<Box<Session>>,
}

impl Carrier {
    pub(super) fn opening(peer: Option<NodeId>, until: Instant) -> Self {
        Self::Opening(Anonymous { peer, until, messages: VecDeque::new(), answered: None })
    }

    /// Whose it is, or whom it was made for.
    pub(super) fn peer(&self) -> Option<&NodeId> {
        match self {
            Self::Opening(anonymous) => anonymous.peer.as_ref(),
            Self::Bound(peer) => Some(peer),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Opening(anonymous) => Some(anonymous.until),
            Self::Bound(_) => None,
        }
    }

    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Opening(anonymous) => anonymous.messages.pop_front(),
            Self::Bound(_) => None,
        }
    }

    /// Sends a message; whether that is possible.
    pub(super) fn say(&mut self, message: &Opening) -> bool {
        match (self, message.encode()) {
            (Self::Opening(anonymous), Ok(bytes)) => {
                anonymous.messages.push_back(bytes);
                true
            }
            (Self::Opening(_) | Self::Bound(_), _) => false,
        }
    }

    /// Answers with a session; a second hello on one carrier gets none.
    pub(super) fn answer(&mut self, session: Box<Session>, ack: &Opening) -> bool {
        match self {
            Self::Opening(anonymous) if anonymous.answered.is_none() => anonymous.answered = Some(session),
            Self::Opening(_) | Self::Bound(_) => return false,
        }
        self.say(ack)
    }

    pub(super) fn take_answered(&mut self) -> Option<Box<Session>> {
        match self {
            Self::Opening(anonymous) => anonymous.answered.take(),
            Self::Bound(_) => None,
        }
    }
}
