//! The handshake, step by step; each step takes the proof that the one before it made.

use zeroize::Zeroizing;

use super::ephemeral::EphemeralKey;
use super::error::SessionError;
use super::keys::{KeyLimits, Session, Side};
use super::message::{Ack, Hello, HelloRetry, TransportLimits, check_skew};
use super::rekey::Lineage;
use super::schedule::{self, Parties};
use super::suite::{Suite, SuitePolicy};
use super::transcript::UNSIGNED;
use crate::crypto::provider::Provider;
use crate::crypto::role::Node;
use crate::crypto::sign::{SigningKey, VerifyingKey};
use crate::ids::{MeshSessionId, NodeId, SessionNonce};
use crate::limits::DEFAULT_DATAGRAM_BYTES;
use crate::random::Entropy;
use crate::time::{Now, UnixTime};

/// How a node takes part in sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Which suites it offers and takes.
    pub suites: SuitePolicy,
    /// How long one generation of keys lives.
    pub key_limits: KeyLimits,
}

/// What goes into a handshake besides its messages.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// How this node takes part.
    pub policy: &'a SessionPolicy,
    /// The primitives of the keys.
    pub provider: &'a dyn Provider,
    /// The time.
    pub now: Now,
}

/// What a hello says besides what is drawn for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The initiator.
    pub from: NodeId,
    /// The responder.
    pub to: NodeId,
    /// Which suites the initiator takes.
    pub suites: &'a SuitePolicy,
    /// The largest datagram that the initiator takes, if it is not the default.
    pub transport_limits: Option<TransportLimits>,
}

/// A handshake that this node began.
pub struct Initiator {
    hello: Hello,
    ephemeral: EphemeralKey,
}

impl Initiator {
    /// A fresh hello, signed with the node key of its sender.
    ///
    /// # Errors
    /// [`SessionError::WrongParties`] for a node and itself; [`SessionError::SuiteCount`] if there is no suite.
    pub fn new(
        offer: Offer<'_>,
        key: &SigningKey<Node>,
        now: UnixTime,
        entropy: &mut Entropy,
    ) -> Result<Self, SessionError> {
        let Offer { from, to, suites, transport_limits } = offer;
        let suites = suites.offer();
        if from == to {
            return Err(SessionError::WrongParties);
        }
        if suites.is_empty() {
            return Err(SessionError::SuiteCount(0));
        }
        let ephemeral = EphemeralKey::generate(entropy);
        let hello = Hello {
            from,
            to,
            eph_pubkey: ephemeral.share(),
            nonce: SessionNonce::from_bytes(entropy.bytes()),
            cookie: None,
            timestamp: now,
            suites,
            transport_limits,
            signature: UNSIGNED,
        };
        Ok(Self { hello: signed(hello, key)?, ephemeral })
    }

    /// The hello to send.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Puts the cookie that the responder asked for into the hello, which is then to be sent again.
    ///
    /// # Errors
    /// [`SessionError::AckMismatch`] if `retry` answers another hello, or this one has its cookie already;
    /// [`SessionError::TimestampSkew`]. The hello then is as it was.
    //= docs/spec/mesh-sessions.md#cookies
    pub fn retry(
        &mut self,
        retry: &HelloRetry,
        key: &SigningKey<Node>,
        now: UnixTime,
    ) -> Result<(), SessionError> {
        if retry.from != self.hello.to || retry.to != self.hello.from || self.hello.cookie.is_some() {
            return Err(SessionError::AckMismatch);
        }
        check_skew(retry.timestamp, now)?;
        let hello = Hello { cookie: Some(retry.cookie), ..self.hello.clone() };
        self.hello = signed(hello, key)?;
        Ok(())
    }

    /// Checks an answer; the handshake stays open if it is refused.
    ///
    /// # Errors
    /// Which rule the answer breaks.
    //= docs/spec/mesh-sessions.md#ack
    pub fn check(
        &self,
        ack: &Ack,
        peer: &VerifyingKey<Node>,
        policy: &SuitePolicy,
        now: UnixTime,
    ) -> Result<VerifiedAck, SessionError> {
        if ack.from != self.hello.to || ack.to != self.hello.from {
            return Err(SessionError::WrongParties);
        }
        if ack.suite < policy.floor {
            return Err(SessionError::AckSuiteBelowMinimum);
        }
        if !self.hello.suites.contains(&ack.suite.id()) {
            return Err(SessionError::AckSuiteNotOffered);
        }
        check_skew(ack.timestamp, now)?;
        ack.transcript(&self.hello)?.verify(peer, &ack.signature)?;
        Ok(VerifiedAck { ack: ack.clone(), answers: self.hello.nonce })
    }

    /// The session that a checked answer makes.
    ///
    /// # Errors
    /// [`SessionError::AckMismatch`] for the answer to another handshake, [`SessionError::WeakKeyShare`].
    pub fn establish(self, answer: &VerifiedAck, context: Context<'_>) -> Result<Session, SessionError> {
        if answer.answers != self.hello.nonce {
            return Err(SessionError::AckMismatch);
        }
        let shared = self.ephemeral.agree(&answer.ack.eph_pubkey)?;
        Ok(session(Side::Initiator, &self.hello, &answer.ack, &shared, context))
    }
}

impl core::fmt::Debug for Initiator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Initiator").field("hello", &self.hello).finish_non_exhaustive()
    }
}

/// An answer whose signature and choice were checked; made by [`Initiator::check`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAck {
    ack: Ack,
    answers: SessionNonce,
}

impl VerifiedAck {
    /// The answer.
    pub fn message(&self) -> &Ack {
        &self.ack
    }
}

/// A hello that its sender signed for this node, now; made by [`Hello::verify`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHello(Hello);

impl VerifiedHello {
    /// The hello.
    pub fn message(&self) -> &Hello {
        &self.0
    }
}

impl Hello {
    /// Checks that the holder of `peer` made this hello for `me`, about now.
    ///
    /// # Errors
    /// Which rule the hello breaks.
    //= docs/spec/mesh-sessions.md#hello
    pub fn verify(
        self,
        peer: &VerifyingKey<Node>,
        me: &NodeId,
        now: UnixTime,
    ) -> Result<VerifiedHello, SessionError> {
        if self.to != *me || self.from == *me {
            return Err(SessionError::WrongParties);
        }
        check_skew(self.timestamp, now)?;
        self.transcript()?.verify(peer, &self.signature)?;
        Ok(VerifiedHello(self))
    }
}

/// A verified hello that was not answered before; made by [`HelloReplay::admit`](super::replay::HelloReplay::admit).
#[derive(Debug, PartialEq, Eq)]
pub struct FreshHello(VerifiedHello);

impl FreshHello {
    pub(super) fn new(hello: VerifiedHello) -> Self {
        Self(hello)
    }

    /// The hello.
    pub fn message(&self) -> &Hello {
        self.0.message()
    }

    /// Answers the hello, and makes the session that the answer offers.
    ///
    /// # Errors
    /// [`SessionError::NoMutualSuite`] or [`SessionError::WeakKeyShare`].
    pub fn answer(
        self,
        key: &SigningKey<Node>,
        context: Context<'_>,
        entropy: &mut Entropy,
    ) -> Result<(Ack, Session), SessionError> {
        let Self(VerifiedHello(hello)) = self;
        let suite: Suite = context.policy.suites.select(&hello.suites).ok_or(SessionError::NoMutualSuite)?;
        let ephemeral = EphemeralKey::generate(entropy);
        let mut ack = Ack {
            from: hello.to.clone(),
            to: hello.from.clone(),
            eph_pubkey: ephemeral.share(),
            nonce: SessionNonce::from_bytes(entropy.bytes()),
            session_id: MeshSessionId::from_bytes(entropy.bytes()),
            suite,
            timestamp: context.now.unix,
            signature: UNSIGNED,
        };
        let shared = ephemeral.agree(&hello.eph_pubkey)?;
        ack.signature = ack.transcript(&hello)?.sign(key);
        let session = session(Side::Responder, &hello, &ack, &shared, context);
        Ok((ack, session))
    }
}

fn signed(mut hello: Hello, key: &SigningKey<Node>) -> Result<Hello, SessionError> {
    hello.signature = hello.transcript()?.sign(key);
    Ok(hello)
}

/// How long a datagram the peer of `side` takes: a hello says it of the initiator, and nothing of the responder.
//= docs/spec/mesh-sessions.md#messages
fn datagram_bytes(side: Side, hello: &Hello) -> usize {
    match (side, hello.transport_limits) {
        (Side::Responder, Some(limits)) => limits.datagram_bytes(),
        (Side::Responder, None) | (Side::Initiator, _) => DEFAULT_DATAGRAM_BYTES,
    }
}

fn session(
    side: Side,
    hello: &Hello,
    ack: &Ack,
    shared: &Zeroizing<[u8; 32]>,
    context: Context<'_>,
) -> Session {
    let parties = Parties { initiator: hello.from.clone(), responder: hello.to.clone() };
    let nonces = [&hello.nonce, &ack.nonce];
    let secrets = schedule::first(ack.suite, &parties, &ack.session_id, nonces, shared);
    let limits = context.policy.key_limits;
    let peer_datagram_bytes = datagram_bytes(side, hello);
    let lineage = Lineage { suite: ack.suite, parties, side, limits, peer_datagram_bytes };
    Session::new(lineage, ack.session_id, 0, secrets, context.provider, context.now.mono)
}
