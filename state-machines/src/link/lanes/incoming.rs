//! One lane, where it arrives.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use fcp_proto_core::frame::content::{Lane, Piece, Window};

use super::{Violation, room};

/// What arrived of a lane and was not yet taken.
#[derive(Debug)]
pub(super) struct Incoming {
    lane: Lane,
    /// Whole messages, the oldest first.
    messages: VecDeque<Vec<u8>>,
    /// The beginning of the next one.
    partial: Vec<u8>,
    /// How far it arrived without a gap.
    received: u64,
    /// How far it was taken.
    taken: u64,
    /// What the peer was told last.
    told: Told,
    /// What the peer must be told.
    asks: Asks,
}

#[derive(Debug)]
struct Told {
    received: u64,
    limit: u64,
}

/// Whether the peer is to send again.
#[derive(Debug, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// It is to be told.
    Again,
    /// It was told; the gap stands.
    Asked,
}

impl Incoming {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            messages: VecDeque::new(),
            partial: Vec::new(),
            received: 0,
            taken: 0,
            told: Told { received: 0, limit: room(lane) },
            asks: Asks::Nothing,
        }
    }

    fn limit(&self) -> u64 {
        self.taken.saturating_add(room(self.lane))
    }

    //= docs/spec/fcpc.md#lanes
    pub(super) fn piece(&mut self, piece: Piece<'_>) -> Result<(), Violation> {
        if piece.end() > self.told.limit {
            return Err(Violation::BeyondLimit);
        }
        let Some(seen) = self.received.checked_sub(piece.position) else {
            if self.asks == Asks::Nothing {
                self.asks = Asks::Again;
            }
            return Ok(());
        };
        let fresh = usize::try_from(seen).ok().and_then(|seen| piece.bytes.get(seen..)).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(());
        }
        self.partial.extend_from_slice(fresh);
        self.received = piece.end();
        if self.asks == Asks::Asked {
            self.asks = Asks::Nothing;
        }
        if piece.last {
            self.messages.push_back(core::mem::take(&mut self.partial));
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let message = self.messages.pop_front()?;
        self.taken = self.taken.saturating_add(message.len() as u64);
        Some(message)
    }

    pub(super) fn ask_again(&mut self) {
        self.asks = Asks::Again;
    }

    pub(super) fn has_window(&self) -> bool {
        // A quarter at a time: a word for each message would double the traffic of small ones.
        let quarter = room(self.lane) / 4;
        self.asks == Asks::Again
            || self.limit() - self.told.limit >= quarter
            || self.received - self.told.received >= quarter
            || self.idle_and_untold()
    }

    /// Whether all that arrived was taken and the peer does not know: it can let go of its copies.
    fn idle_and_untold(&self) -> bool {
        self.taken == self.received && self.told.received < self.received
    }

    /// What the peer should know, if it should know something.
    pub(super) fn window(&mut self) -> Option<Window> {
        self.has_window().then(|| self.tell())
    }

    /// How far the lane is, which the peer then counts as told.
    pub(super) fn tell(&mut self) -> Window {
        let again = self.asks == Asks::Again;
        if again {
            self.asks = Asks::Asked;
        }
        self.told = Told { received: self.received, limit: self.limit() };
        Window { lane: self.lane, received: self.told.received, limit: self.told.limit, again }
    }
}
