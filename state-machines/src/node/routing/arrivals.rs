//! What another node sent here to be run: for this node, from who sent it, just now, and once.

use alloc::collections::BTreeMap;
use core::fmt;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::UnixTime;

/// How far the time of an envelope may be from this node's, in seconds: the reference's number.
pub const WINDOW_SECS: u64 = 30;

/// Envelopes that are remembered.
pub const MAX_ARRIVALS: usize = 10_000;

/// What stands around a forwarded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who is to run it.
    pub target: NodeId,
    /// Who forwards it.
    pub origin: NodeId,
    /// What tells it from all others of its origin.
    pub nonce: [u8; 16],
    /// When it was made.
    pub made_at: UnixTime,
}

/// Why a forwarded call is not looked at. It was not run, and the origin is told so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It names another origin than the session's peer.
    WrongOrigin,
    /// It is for another node.
    WrongTarget,
    /// It is too old, from too far ahead, or may be from before this node's start.
    Stale,
    /// It came before.
    Replayed,
    /// Too many came to tell.
    Full,
}

/// The envelopes that came, as long as they could come again.
#[derive(Debug)]
pub struct Arrivals {
    me: NodeId,
    clock: UnixTime,
    started: UnixTime,
    seen: BTreeMap<(NodeId, [u8; 16]), UnixTime>,
}

impl Arrivals {
    /// The arrivals of the node `me`, which starts now and does not remember what came before.
    pub const fn new(me: NodeId, now: UnixTime) -> Self {
        Self { me, clock: now, started: now, seen: BTreeMap::new() }
    }

    /// Takes an envelope that came over the session with `peer`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    //= docs/spec/planner.md#arrivals
    pub fn admit(&mut self, envelope: &Envelope, peer: &NodeId, now: UnixTime) -> Result<(), NotAdmitted> {
        self.clock = self.clock.max(now);
        if envelope.origin != *peer {
            return Err(NotAdmitted::WrongOrigin);
        }
        if envelope.target != self.me {
            return Err(NotAdmitted::WrongTarget);
        }
        // One from the last run was dated at most the window ahead of its end.
        let is_of_this_run = envelope.made_at > self.started.saturating_add(WINDOW_SECS);
        if !is_of_this_run
            || self.is_over(envelope.made_at)
            || envelope.made_at > self.clock.saturating_add(WINDOW_SECS)
        {
            return Err(NotAdmitted::Stale);
        }
        let key = (envelope.origin.clone(), envelope.nonce);
        if self.seen.contains_key(&key) {
            return Err(NotAdmitted::Replayed);
        }
        if self.seen.len() >= MAX_ARRIVALS {
            self.forget();
        }
        if self.seen.len() >= MAX_ARRIVALS {
            return Err(NotAdmitted::Full);
        }
        self.seen.insert(key, envelope.made_at);
        Ok(())
    }

    /// Whether an envelope of this time is stale by now, and for ever: the clock does not go back.
    fn is_over(&self, made_at: UnixTime) -> bool {
        made_at.saturating_add(WINDOW_SECS) < self.clock
    }

    fn forget(&mut self) {
        let seen = core::mem::take(&mut self.seen);
        self.seen = seen.into_iter().filter(|(_, made_at)| !self.is_over(*made_at)).collect();
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongOrigin => "the forwarded call names another origin than its session",
            Self::WrongTarget => "the forwarded call is for another node",
            Self::Stale => "the forwarded call is not from now",
            Self::Replayed => "the forwarded call came before",
            Self::Full => "too many forwarded calls came to tell whether this one is new",
        })
    }
}

impl core::error::Error for NotAdmitted {}

impl NotAdmitted {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::WrongOrigin | Self::WrongTarget => Code::PeerNotAuthentic,
            Self::Stale | Self::Replayed => Code::PeerReplayed,
            Self::Full => Code::Exhausted,
        }
    }
}
