//! What was seen before is refused: sequence numbers within a session, hellos before there is one.

use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;

use super::error::SessionError;
use super::handshake::{FreshHello, VerifiedHello};
use super::message::check_skew;
use crate::ids::{NodeId, SessionNonce};
use crate::limits::{MAX_HELLOS_PER_PEER, REPLAY_WINDOW, SESSION_SKEW_SECS};
use crate::time::UnixTime;

/// A sequence number that was seen, is zero, or is too old to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The number.
    pub seq: u64,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sequence number {} was seen before, or is too old to tell", self.seq)
    }
}

impl core::error::Error for Replayed {}

/// Which of the last sequence numbers were seen: the newest, and a bit for each before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayWindow {
    newest: u64,
    /// Bit n stands for `newest` − n.
    seen: u128,
    size: u8,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new(REPLAY_WINDOW)
    }
}

impl ReplayWindow {
    /// A window over the last `size` numbers, at least one and at most 128.
    pub fn new(size: u8) -> Self {
        Self { newest: 0, seen: 0, size: size.clamp(1, REPLAY_WINDOW) }
    }

    /// Whether `seq` may still come. To be asked before its message is authenticated.
    ///
    /// # Errors
    /// [`Replayed`].
    //= docs/spec/mesh-sessions.md#replay
    pub fn check(&self, seq: u64) -> Result<(), Replayed> {
        let behind = self.newest.saturating_sub(seq);
        let seen = seq <= self.newest && (behind >= u64::from(self.size) || self.seen >> behind & 1 == 1);
        if seq == 0 || seen { Err(Replayed { seq }) } else { Ok(()) }
    }

    /// Notes that the message with `seq` came and is authentic.
    ///
    /// # Errors
    /// [`Replayed`], and nothing is noted.
    pub fn commit(&mut self, seq: u64) -> Result<(), Replayed> {
        self.check(seq)?;
        if seq > self.newest {
            let ahead = u32::try_from(seq - self.newest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0);
            self.newest = seq;
        }
        self.seen |= 1 << (self.newest - seq);
        Ok(())
    }
}

/// The hellos that a responder answered and that could come again.
///
/// Each peer has its own share, so that one peer can neither push another's hellos out nor keep another from being
/// heard. Only verified hellos enter, so there are no more peers than nodes with an attestation.
#[derive(Debug, Default)]
pub struct HelloReplay {
    heard: BTreeMap<NodeId, VecDeque<(UnixTime, SessionNonce)>>,
    /// The latest time of a hello that was dropped: if the clock goes back, those up to it cannot be told apart.
    forgotten: Option<UnixTime>,
}

impl HelloReplay {
    /// Notes a verified hello that was not noted before, and whose time is still good.
    ///
    /// # Errors
    /// [`SessionError::TimestampSkew`], [`SessionError::DuplicateHelloNonce`] or [`SessionError::TooManyHellos`].
    //= docs/spec/mesh-sessions.md#replay
    pub fn admit(&mut self, hello: VerifiedHello, now: UnixTime) -> Result<FreshHello, SessionError> {
        let message = hello.message();
        check_skew(message.timestamp, now)?;
        self.forget(now);
        if self.forgotten >= Some(message.timestamp) {
            return Err(SessionError::DuplicateHelloNonce);
        }
        let heard = self.heard.entry(message.from.clone()).or_default();
        if heard.iter().any(|(_, nonce)| *nonce == message.nonce) {
            return Err(SessionError::DuplicateHelloNonce);
        }
        if heard.len() >= MAX_HELLOS_PER_PEER {
            return Err(SessionError::TooManyHellos);
        }
        heard.push_back((message.timestamp, message.nonce));
        Ok(FreshHello::new(hello))
    }

    /// Drops what the check of the time refuses from now on.
    fn forget(&mut self, now: UnixTime) {
        self.heard.retain(|_, heard| {
            heard.retain(|(timestamp, _)| {
                let stays = now.saturating_since(*timestamp) <= SESSION_SKEW_SECS;
                if !stays {
                    self.forgotten = self.forgotten.max(Some(*timestamp));
                }
                stays
            });
            !heard.is_empty()
        });
    }
}
