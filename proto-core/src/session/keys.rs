//! The keys of one generation of a session: a half that seals and a half that opens.
//!
//! Neither does the other's work, so a node cannot take its own words for the peer's:
//!
//! ```compile_fail,E0308
//! # use fcp_proto_core::{frame::datagram, session::keys::Session};
//! fn reflect(session: &mut Session, datagram: &mut [u8]) {
//!     let _ = datagram::open(&mut session.send, datagram, 1_200);
//! }
//! ```
//!
//! ```compile_fail,E0308
//! # use fcp_proto_core::{frame::control, session::keys::Session, time::Instant};
//! fn forge(session: &mut Session, frame: &mut [u8], now: Instant) {
//!     let _ = control::seal(&mut session.receive, frame, 1_200, now);
//! }
//! ```

use alloc::boxed::Box;
use core::fmt;

use super::rekey::{Lineage, RekeySecret};
use super::replay::{ReplayWindow, Replayed};
use super::schedule::Secrets;
use crate::crypto::provider::{Aead, AeadError, Mac, Provider, Tag};
use crate::ids::MeshSessionId;
use crate::limits::{REKEY_BYTES, REKEY_FRAMES, REKEY_SECS};
use crate::time::Instant;

/// What a handshake or a rekey makes: both halves of one generation, and what the next one is made of.
#[derive(Debug)]
pub struct Session {
    /// Seals what this node sends.
    pub send: SendKeys,
    /// Opens what the peer sends.
    pub receive: ReceiveKeys,
    /// Makes the next generation.
    pub rekey: RekeySecret,
}

impl Session {
    /// The keys of one generation, made of its secrets. Handshake and rekey call this.
    pub fn new(
        lineage: Lineage,
        session_id: MeshSessionId,
        generation: u32,
        secrets: Secrets,
        provider: &dyn Provider,
        now: Instant,
    ) -> Self {
        let half = |side: Side| {
            let (direction, mac) = match side {
                Side::Initiator => (Direction::InitiatorToResponder, &secrets.initiator_mac),
                Side::Responder => (Direction::ResponderToInitiator, &secrets.responder_mac),
            };
            Half {
                session_id,
                generation,
                direction,
                mac: lineage.suite.mac(provider, mac),
                context: provider.chacha20_poly1305(&secrets.context),
            }
        };
        let send = SendKeys {
            half: half(lineage.side),
            datagram_seq: 0,
            control_seq: 0,
            used: Used { frames: 0, bytes: 0, since: now },
            limits: lineage.limits,
            datagram_bytes: lineage.peer_datagram_bytes,
        };
        let receive = ReceiveKeys {
            half: half(lineage.side.peer()),
            datagrams: ReplayWindow::default(),
            controls: ReplayWindow::default(),
        };
        Self { send, receive, rekey: RekeySecret { lineage, session_id, generation, chain: secrets.chain } }
    }
}

/// Which part a node had in the handshake; rekeys do not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The node that said hello.
    Initiator,
    /// The node that answered.
    Responder,
}

impl Side {
    /// The other side.
    pub const fn peer(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the initiator of the handshake to its responder.
    InitiatorToResponder,
    /// The other way.
    ResponderToInitiator,
}

impl Direction {
    /// The byte that stands for the direction in nonces and authenticated messages.
    pub const fn byte(self) -> u8 {
        match self {
            Self::InitiatorToResponder => 0,
            Self::ResponderToInitiator => 1,
        }
    }
}

/// How much one generation of keys may be used by one node, for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// Frames sealed.
    pub frames: u64,
    /// Seconds since the keys were made.
    pub seconds: u64,
    /// Bytes sealed.
    pub bytes: u64,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { frames: REKEY_FRAMES, seconds: REKEY_SECS, bytes: REKEY_BYTES }
    }
}

/// Which limit of the keys' use is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLimit {
    /// The number of frames.
    Frames,
    /// The age.
    Age,
    /// The number of bytes.
    Bytes,
}

/// How far keys are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLife {
    /// Nothing to do.
    Fresh,
    /// The next generation should be made now.
    RekeyDue(KeyLimit),
    /// What is left is for the rekey alone.
    Scarce(KeyLimit),
    /// The keys seal nothing more.
    Spent(KeyLimit),
}

/// The keys have reached a limit of their use, and seal nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysSpent(pub KeyLimit);

impl fmt::Display for KeysSpent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            KeyLimit::Frames => "the keys have sealed as many frames as they may",
            KeyLimit::Age => "the keys are too old",
            KeyLimit::Bytes => "the keys have sealed as many bytes as they may",
        })
    }
}

impl core::error::Error for KeysSpent {}

/// What both halves have.
struct Half {
    session_id: MeshSessionId,
    generation: u32,
    direction: Direction,
    mac: Box<dyn Mac>,
    context: Box<dyn Aead<12>>,
}

impl Half {
    //= docs/spec/fcps.md#datagrams
    fn authenticated<T>(&self, seq: u64, frame: &[u8], check: impl FnOnce(&dyn Mac, &[&[u8]]) -> T) -> T {
        // One short part before the frame: a MAC takes two pieces faster than four.
        let mut prefix = [0; 25];
        prefix[..16].copy_from_slice(self.session_id.as_bytes());
        prefix[16] = self.direction.byte();
        prefix[17..].copy_from_slice(&seq.to_le_bytes());
        check(&*self.mac, &[&prefix, frame])
    }

    //= docs/spec/fcpc.md#sealing
    fn nonce(&self, seq: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[0] = self.direction.byte();
        nonce[4..].copy_from_slice(&seq.to_le_bytes());
        nonce
    }

    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("session_id", &self.session_id)
            .field("generation", &self.generation)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

struct Used {
    frames: u64,
    bytes: u64,
    since: Instant,
}

/// The half that seals, in one direction, with each sequence number once.
pub struct SendKeys {
    half: Half,
    datagram_seq: u64,
    control_seq: u64,
    used: Used,
    limits: KeyLimits,
    datagram_bytes: usize,
}

impl SendKeys {
    /// The generation's id on the wire.
    pub fn session_id(&self) -> MeshSessionId {
        self.half.session_id
    }

    /// Which generation these keys are, from zero.
    pub fn generation(&self) -> u32 {
        self.half.generation
    }

    /// The longest datagram that the peer takes, in bytes.
    pub fn datagram_bytes(&self) -> usize {
        self.datagram_bytes
    }

    /// Which way these keys seal.
    pub fn direction(&self) -> Direction {
        self.half.direction
    }

    /// How far the keys are used up; a rekey is due when an eighth of a limit is left, and nothing else should be sealed
    /// when a thirty-second part is.
    //= docs/spec/mesh-sessions.md#limits
    pub fn life(&self, now: Instant) -> KeyLife {
        let age = now.saturating_since(self.used.since).as_secs();
        let uses = [
            (self.used.frames, self.limits.frames, KeyLimit::Frames),
            (age, self.limits.seconds, KeyLimit::Age),
            (self.used.bytes, self.limits.bytes, KeyLimit::Bytes),
        ];
        let first = |left: fn(u64) -> u64| {
            uses.iter().find(|(used, limit, _)| *used >= limit - left(*limit)).map(|(_, _, which)| *which)
        };
        let spent = first(|_| 0).map(KeyLife::Spent);
        let scarce = || first(|limit| limit / 32).map(KeyLife::Scarce);
        let due = || first(|limit| limit / 8).map(KeyLife::RekeyDue);
        spent.or_else(scarce).or_else(due).unwrap_or(KeyLife::Fresh)
    }

    /// The number and the tag of the next datagram, whose frame has these bytes.
    pub(crate) fn authenticate(&mut self, frame: &[u8], now: Instant) -> Result<(u64, Tag), KeysSpent> {
        self.spend(frame.len(), now)?;
        self.datagram_seq += 1;
        let tag = self.half.authenticated(self.datagram_seq, frame, |mac, parts| mac.tag(parts));
        Ok((self.datagram_seq, tag))
    }

    /// The number of the next control frame, whose content has this many bytes.
    pub(crate) fn next_control(&mut self, len: usize, now: Instant) -> Result<u64, KeysSpent> {
        self.spend(len, now)?;
        self.control_seq += 1;
        Ok(self.control_seq)
    }

    /// Seals the control frame to which [`next_control`](Self::next_control) gave `seq`.
    pub(crate) fn seal_control(
        &self,
        seq: u64,
        associated: &[u8],
        buffer: &mut [u8],
    ) -> Result<(), AeadError> {
        self.half.context.seal(&self.half.nonce(seq), associated, buffer)
    }

    /// Counts one frame, unless it would pass a limit. Neither sequence passes the number of frames, so neither overflows.
    //= docs/spec/mesh-sessions.md#limits
    fn spend(&mut self, len: usize, now: Instant) -> Result<(), KeysSpent> {
        match self.life(now) {
            KeyLife::Spent(limit) => return Err(KeysSpent(limit)),
            KeyLife::Fresh | KeyLife::RekeyDue(_) | KeyLife::Scarce(_) => (),
        }
        let bytes = self.used.bytes.checked_add(len as u64).filter(|bytes| *bytes <= self.limits.bytes);
        self.used.bytes = bytes.ok_or(KeysSpent(KeyLimit::Bytes))?;
        self.used.frames += 1;
        Ok(())
    }
}

impl fmt::Debug for SendKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.half.debug("SendKeys", f)
    }
}

/// The half that opens, in one direction, each sequence number once.
pub struct ReceiveKeys {
    half: Half,
    datagrams: ReplayWindow,
    controls: ReplayWindow,
}

impl ReceiveKeys {
    /// The generation's id on the wire.
    pub fn session_id(&self) -> MeshSessionId {
        self.half.session_id
    }

    /// Which generation these keys are, from zero.
    pub fn generation(&self) -> u32 {
        self.half.generation
    }

    /// Which way the frames go that these keys open.
    pub fn direction(&self) -> Direction {
        self.half.direction
    }

    /// Checks that the peer sent this frame with this number, for the first time. A replay costs no MAC.
    pub(crate) fn check_datagram(&mut self, seq: u64, frame: &[u8], tag: &Tag) -> Result<(), Refused> {
        self.datagrams.check(seq).map_err(Refused::Replayed)?;
        if !self.half.authenticated(seq, frame, |mac, parts| mac.verifies(parts, tag)) {
            return Err(Refused::NotAuthentic);
        }
        self.datagrams.commit(seq).map_err(Refused::Replayed)
    }

    /// Opens the peer's control frame `seq` in place, for the first time.
    pub(crate) fn open_control(
        &mut self,
        seq: u64,
        associated: &[u8],
        buffer: &mut [u8],
    ) -> Result<(), Refused> {
        self.controls.check(seq).map_err(Refused::Replayed)?;
        let opened = self.half.context.open(&self.half.nonce(seq), associated, buffer);
        opened.map_err(|_| Refused::NotAuthentic)?;
        self.controls.commit(seq).map_err(Refused::Replayed)
    }
}

/// Why a frame is not the peer's next word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its number was seen, or may not come.
    Replayed(Replayed),
    /// The peer did not send it.
    NotAuthentic,
}

impl fmt::Debug for ReceiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.half.debug("ReceiveKeys", f)
    }
}
