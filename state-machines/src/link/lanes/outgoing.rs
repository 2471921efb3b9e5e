//! One lane, where it is sent.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use fcp_proto_core::frame::content::{Lane, MAX_PIECE_BYTES, Piece, Window};

use super::{Backlog, Violation, room};

/// What was given to a lane and not yet acknowledged.
#[derive(Debug)]
pub(super) struct Outgoing {
    lane: Lane,
    /// The messages, the oldest first.
    messages: VecDeque<Vec<u8>>,
    /// Where the first of them begins.
    begins: u64,
    /// Where the last of them ends.
    ends: u64,
    /// What is sent next.
    next: u64,
    /// The furthest that was ever sent.
    sent: u64,
    /// How far the peer has it.
    received: u64,
    /// How far the peer lets it be sent.
    limit: u64,
    /// Whether the peer must first say where to go on.
    waits: bool,
}

impl Outgoing {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            messages: VecDeque::new(),
            begins: 0,
            ends: 0,
            next: 0,
            sent: 0,
            received: 0,
            limit: room(lane),
            waits: false,
        }
    }

    pub(super) fn push(&mut self, message: &[u8]) -> Result<(), Backlog> {
        let (len, max) = (message.len() as u64, room(self.lane));
        if message.is_empty() {
            return Err(Backlog::Empty);
        }
        if len > max {
            return Err(Backlog::TooLong { max });
        }
        let ends = self.ends.checked_add(len).ok_or(Backlog::Full)?;
        if ends - self.begins > max {
            return Err(Backlog::Full);
        }
        self.messages.push_back(message.to_vec());
        self.ends = ends;
        Ok(())
    }

    pub(super) fn has_piece(&self) -> bool {
        !self.waits && self.next < self.ends.min(self.limit)
    }

    /// The next piece, which counts as sent.
    //= docs/spec/fcpc.md#lanes
    pub(super) fn next(&mut self) -> Option<Piece<'_>> {
        if !self.has_piece() {
            return None;
        }
        let position = self.next;
        let allowed = usize::try_from(self.limit - position).unwrap_or(usize::MAX);
        let rest = rest_of(&self.messages, self.begins, position)?;
        let bytes = &rest[..rest.len().min(MAX_PIECE_BYTES).min(allowed)];
        self.next = position.saturating_add(bytes.len() as u64);
        self.sent = self.sent.max(self.next);
        Some(Piece { lane: self.lane, position, last: bytes.len() == rest.len(), bytes })
    }

    //= docs/spec/fcpc.md#lanes
    pub(super) fn window(&mut self, window: Window) -> Result<(), Violation> {
        if window.received > self.sent || window.received < self.received || window.limit < self.limit {
            return Err(Violation::WindowMoved);
        }
        self.received = window.received;
        self.limit = window.limit;
        while let Some(first) = self.messages.front() {
            let ends = self.begins.saturating_add(first.len() as u64);
            if ends > self.received {
                break;
            }
            self.begins = ends;
            self.messages.pop_front();
        }
        if window.again {
            self.next = self.received;
            self.waits = false;
        }
        Ok(())
    }

    pub(super) fn wait(&mut self) {
        self.waits = true;
    }

    pub(super) fn undelivered(self) -> impl Iterator<Item = Vec<u8>> {
        self.messages.into_iter()
    }
}

/// What stands from `position` to the end of its message, where the first message begins at `begins`.
fn rest_of(messages: &VecDeque<Vec<u8>>, mut begins: u64, position: u64) -> Option<&[u8]> {
    for message in messages {
        let within = usize::try_from(position.checked_sub(begins)?).ok()?;
        if let Some(rest) = message.get(within..).filter(|rest| !rest.is_empty()) {
            return Some(rest);
        }
        begins = begins.saturating_add(message.len() as u64);
    }
    None
}
