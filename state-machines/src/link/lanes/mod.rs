//! The four ordered streams of a session: bounded, back-pressured both ways, the urgent one first.
//!
//! ```text
//!   send() ─► Outgoing ─► next_content() ── piece ──▶ piece() ─► Incoming ─► receive()
//!                ▲                                                   │
//!                └── window() ◀── window ── next_content() ◄─────────┘
//! ```
//!
//! Nothing is handed to the carrier before it asks: [`Lanes::next_content`] decides at the last moment, so a message that is
//! urgent overtakes whatever waits. Spec: docs/spec/fcpc.md#lanes.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::frame::content::{Content, Lane, Piece, Window};

use incoming::Incoming;
use outgoing::Outgoing;

/// How many bytes a lane holds on each side: what was sent and not yet acknowledged, and what arrived and was not yet
/// taken. It is also the longest message. Chosen: a revocation with its signatures is below 64 KiB.
pub const fn room(lane: Lane) -> u64 {
    match lane {
        Lane::Urgent => 256 * 1024,
        Lane::Control => 1024 * 1024,
        Lane::Sync => 2 * 1024 * 1024,
        Lane::Bulk => 4 * 1024 * 1024,
    }
}

/// Pieces that a lane sends in its turn; the urgent one needs none.
const fn turns(lane: Lane) -> u32 {
    match lane {
        Lane::Urgent => 0,
        Lane::Control => 8,
        Lane::Sync => 4,
        Lane::Bulk => 2,
    }
}

/// Why a message is not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// There is no room for it now: the peer takes less than this node sends.
    Full,
    /// No lane takes a message without bytes.
    Empty,
    /// It is longer than the lane ever takes.
    TooLong {
        /// The longest.
        max: u64,
    },
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the lane has no room now"),
            Self::Empty => f.write_str("the message is empty"),
            Self::TooLong { max } => write!(f, "the lane takes messages of at most {max} bytes"),
        }
    }
}

impl core::error::Error for Backlog {}

/// What the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It sent beyond what it was allowed.
    BeyondLimit,
    /// It says that it has what was never sent, or takes back what it said.
    WindowMoved,
}

/// All lanes of a session.
#[derive(Debug)]
pub struct Lanes {
    outgoing: [Outgoing; 4],
    incoming: [Incoming; 4],
    /// Pieces that each lane may still send in this round.
    turns: [u32; 4],
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            outgoing: Lane::ALL.map(Outgoing::new),
            incoming: Lane::ALL.map(Incoming::new),
            turns: Lane::ALL.map(turns),
        }
    }
}

impl Lanes {
    /// Takes a message for sending.
    ///
    /// # Errors
    /// [`Backlog`]; the message then was not taken.
    pub fn send(&mut self, lane: Lane, message: &[u8]) -> Result<(), Backlog> {
        self.outgoing[place(lane)].push(message)
    }

    /// The next whole message of a lane, which makes room for more.
    pub fn receive(&mut self, lane: Lane) -> Option<Vec<u8>> {
        self.incoming[place(lane)].take()
    }

    /// What to send next, if there is something.
    //= docs/spec/fcpc.md#lanes
    pub fn next_content(&mut self) -> Option<Content<'_>> {
        if let Some(window) = self.incoming.iter_mut().find_map(Incoming::window) {
            return Some(Content::Window(window));
        }
        let lane = self.pick()?;
        self.outgoing[place(lane)].next().map(Content::Piece)
    }

    /// A window that says nothing new, where something must be said.
    pub fn standing(&mut self) -> Window {
        self.incoming[place(Lane::Urgent)].tell()
    }

    /// Whether [`next_content`](Self::next_content) has something.
    pub fn has_next(&self) -> bool {
        self.incoming.iter().any(Incoming::has_window) || self.outgoing.iter().any(Outgoing::has_piece)
    }

    /// Takes a piece that the peer sent.
    ///
    /// # Errors
    /// [`Violation::BeyondLimit`].
    pub fn piece(&mut self, piece: Piece<'_>) -> Result<(), Violation> {
        self.incoming[place(piece.lane)].piece(piece)
    }

    /// Takes what the peer says of its room.
    ///
    /// # Errors
    /// [`Violation::WindowMoved`].
    pub fn window(&mut self, window: Window) -> Result<(), Violation> {
        self.outgoing[place(window.lane)].window(window)
    }

    /// The session has another carrier: what the old one held is lost, and each side tells the other how far it came.
    pub fn carrier_changed(&mut self) {
        self.outgoing.iter_mut().for_each(Outgoing::wait);
        self.incoming.iter_mut().for_each(Incoming::ask_again);
    }

    /// Messages that the peer did not acknowledge whole, in the order in which they were given. It may have some.
    pub fn undelivered(self) -> impl Iterator<Item = (Lane, Vec<u8>)> {
        let lanes = Lane::ALL.into_iter().zip(self.outgoing);
        lanes.flat_map(|(lane, outgoing)| outgoing.undelivered().map(move |message| (lane, message)))
    }

    /// The lane whose turn it is: the urgent one whenever it has something, the others in turns.
    fn pick(&mut self) -> Option<Lane> {
        if self.outgoing[place(Lane::Urgent)].has_piece() {
            return Some(Lane::Urgent);
        }
        if self.ready().is_none() {
            self.turns = Lane::ALL.map(turns);
        }
        let lane = self.ready()?;
        self.turns[place(lane)] -= 1;
        Some(lane)
    }

    /// The most important lane that has something and may still send in this round.
    fn ready(&self) -> Option<Lane> {
        Lane::ALL
            .into_iter()
            .find(|lane| self.turns[place(*lane)] > 0 && self.outgoing[place(*lane)].has_piece())
    }
}

/// Where a lane stands in the tables.
fn place(lane: Lane) -> usize {
    usize::from(lane.byte())
}
