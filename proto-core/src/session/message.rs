//! The messages of a handshake: canonical CBOR maps.

use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;

use super::error::SessionError;
use super::suite::{Suite, SuiteId};
use super::transcript::Transcript;
use crate::cbor_map;
use crate::crypto::sign::Signature;
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value, decode, encode};
use crate::ids::{MeshSessionId, NodeId, SessionNonce};
use crate::limits::{MAX_HANDSHAKE_BYTES, MAX_OFFERED_SUITES, SESSION_SKEW_SECS};
use crate::time::UnixTime;

/// The public half of an ephemeral X25519 key.
pub type KeyShare = [u8; 32];

cbor_map! {
    /// The first message: who wants a session with whom, and with what.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Hello {
        /// The initiator.
        pub from: NodeId,
        /// The responder.
        pub to: NodeId,
        /// The initiator's ephemeral key.
        pub eph_pubkey: KeyShare,
        /// The initiator's nonce.
        pub nonce: SessionNonce,
        /// The cookie that the responder asked for.
        pub cookie: Option<Cookie>,
        /// When the hello was made.
        pub timestamp: UnixTime,
        /// The suites on offer.
        pub suites: Vec<SuiteId>,
        /// The largest datagram that the initiator takes.
        pub transport_limits: Option<TransportLimits>,
        /// The initiator's signature.
        pub signature: Signature,
    }
}

cbor_map! {
    /// The answer to a hello without a cookie by a node that wants one. Unsigned: it commits nobody to anything.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HelloRetry {
        /// The responder.
        pub from: NodeId,
        /// The initiator.
        pub to: NodeId,
        /// What the initiator must put into its hello.
        pub cookie: Cookie,
        /// When the answer was made.
        pub timestamp: UnixTime,
    }
}

cbor_map! {
    /// The answer that makes the session.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Ack {
        /// The responder.
        pub from: NodeId,
        /// The initiator.
        pub to: NodeId,
        /// The responder's ephemeral key.
        pub eph_pubkey: KeyShare,
        /// The responder's nonce.
        pub nonce: SessionNonce,
        /// The session's id.
        pub session_id: MeshSessionId,
        /// The suite that the responder chose.
        pub suite: Suite,
        /// When the answer was made.
        pub timestamp: UnixTime,
        /// The responder's signature.
        pub signature: Signature,
    }
}

impl Hello {
    /// The hello encoded as `bytes`.
    ///
    /// # Errors
    /// [`SessionError::TooLong`], [`SessionError::Shape`] or [`SessionError::SuiteCount`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        let hello: Self = read(bytes)?;
        if hello.suites.is_empty() || hello.suites.len() > MAX_OFFERED_SUITES {
            return Err(SessionError::SuiteCount(hello.suites.len()));
        }
        Ok(hello)
    }

    /// What the initiator signs.
    ///
    /// # Errors
    /// None in practice: a hello is small.
    //= docs/spec/mesh-sessions.md#transcripts
    pub fn transcript(&self) -> Result<Transcript, SessionError> {
        Transcript::of(
            "FCP2-HELLO-V1",
            &[
                &self.from,
                &self.to,
                &self.eph_pubkey,
                &self.nonce,
                &self.cookie,
                &self.timestamp,
                &self.suites,
                &self.transport_limits,
            ],
        )
    }
}

impl Ack {
    /// What the responder signs in answer to `hello`.
    ///
    /// # Errors
    /// None in practice: an ack is small.
    //= docs/spec/mesh-sessions.md#transcripts
    pub fn transcript(&self, hello: &Hello) -> Result<Transcript, SessionError> {
        Transcript::of(
            "FCP2-ACK-V1",
            &[
                &self.from,
                &self.to,
                &self.eph_pubkey,
                &self.nonce,
                &self.session_id,
                &self.suite,
                &self.timestamp,
                &hello.eph_pubkey,
                &hello.nonce,
            ],
        )
    }
}

/// A message with one canonical encoding.
pub trait Message: ToCbor + FromCbor {
    /// The message's bytes.
    ///
    /// # Errors
    /// None in practice: every message is small.
    fn encode(&self) -> Result<Vec<u8>, SessionError> {
        Ok(encode(self)?)
    }
}

impl Message for Hello {}
impl Message for HelloRetry {}
impl Message for Ack {}

/// Messages without a rule of their own beyond their shape.
macro_rules! decodes {
    ($($name:ident),*) => {$(
        impl $name {
            #[doc = concat!("The [`", stringify!($name), "`] encoded as `bytes`.")]
            ///
            /// # Errors
            /// [`SessionError::TooLong`] or [`SessionError::Shape`].
            pub fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
                $crate::session::message::read(bytes)
            }
        }
    )*};
}
pub(super) use decodes;

decodes!(HelloRetry, Ack);

/// Reads a message, its length first.
//= docs/spec/mesh-sessions.md#messages
pub(super) fn read<T: FromCbor>(bytes: &[u8]) -> Result<T, SessionError> {
    if bytes.len() > MAX_HANDSHAKE_BYTES {
        return Err(SessionError::TooLong { len: bytes.len(), max: MAX_HANDSHAKE_BYTES });
    }
    Ok(T::from_cbor(decode(bytes).map_err(ShapeError::Cbor)?)?)
}

/// Refuses a message from too far in the past or the future.
//= docs/spec/mesh-sessions.md#time
pub(super) fn check_skew(timestamp: UnixTime, now: UnixTime) -> Result<(), SessionError> {
    let delta = now.as_secs().abs_diff(timestamp.as_secs());
    if delta > SESSION_SKEW_SECS {
        return Err(SessionError::TimestampSkew { delta, max: SESSION_SKEW_SECS });
    }
    Ok(())
}

/// What a responder gives to a hello and wants to see again, so that it need not remember the hello.
#[derive(Clone, Copy)]
pub struct Cookie([u8; 32]);

impl Cookie {
    /// The cookie made of `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Takes as long whichever byte differs.
impl PartialEq for Cookie {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Cookie {}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

impl ToCbor for Cookie {
    fn to_cbor(&self) -> Value<'_> {
        self.0.to_cbor()
    }
}

impl FromCbor for Cookie {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        <[u8; 32]>::from_cbor(value).map(Self)
    }
}

/// What a node's transport takes; on the wire one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportLimits {
    /// The largest datagram, prefix and all, in bytes; zero stands for the default.
    pub max_datagram_bytes: u16,
}

impl TransportLimits {
    /// The largest datagram in bytes, zero resolved.
    pub fn datagram_bytes(self) -> usize {
        match self.max_datagram_bytes {
            0 => crate::limits::DEFAULT_DATAGRAM_BYTES,
            bytes => usize::from(bytes),
        }
    }
}

impl ToCbor for TransportLimits {
    fn to_cbor(&self) -> Value<'_> {
        self.max_datagram_bytes.to_cbor()
    }
}

impl FromCbor for TransportLimits {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        u16::from_cbor(value).map(|max_datagram_bytes| Self { max_datagram_bytes })
    }
}
