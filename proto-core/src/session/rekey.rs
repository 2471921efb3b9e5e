//! Rekey: the next generation of a session's keys, by a fresh agreement that the old keys and both nodes vouch for.
//!
//! Both messages travel in control frames of the generation that they replace.

use core::fmt;

use super::ephemeral::EphemeralKey;
use super::error::SessionError;
use super::handshake::Context;
use super::keys::{KeyLimits, Session, Side};
use super::message::{KeyShare, Message, check_skew, decodes};
use super::schedule::{self, Parties, Secret};
use super::suite::Suite;
use super::transcript::{Transcript, UNSIGNED};
use crate::cbor_map;
use crate::crypto::role::Node;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey};
use crate::ids::{MeshSessionId, NodeId, SessionNonce};
use crate::random::Entropy;
use crate::time::UnixTime;

cbor_map! {
    /// A node wants the next generation; either side may ask.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RekeyRequest {
        /// Who asks.
        pub from: NodeId,
        /// Who is asked.
        pub to: NodeId,
        /// The id of the generation that is to be replaced.
        pub session_id: MeshSessionId,
        /// The number of the generation that is to come.
        pub generation: u32,
        /// The asking node's ephemeral key.
        pub eph_pubkey: KeyShare,
        /// The asking node's nonce.
        pub nonce: SessionNonce,
        /// When the request was made.
        pub timestamp: UnixTime,
        /// The asking node's signature.
        pub signature: Signature,
    }
}

cbor_map! {
    /// The answer that makes the next generation.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RekeyAck {
        /// Who was asked.
        pub from: NodeId,
        /// Who asked.
        pub to: NodeId,
        /// The id of the generation that is replaced.
        pub session_id: MeshSessionId,
        /// The number of the generation that comes.
        pub generation: u32,
        /// The answering node's ephemeral key.
        pub eph_pubkey: KeyShare,
        /// The answering node's nonce.
        pub nonce: SessionNonce,
        /// The id of the generation that comes.
        pub next_session_id: MeshSessionId,
        /// When the answer was made.
        pub timestamp: UnixTime,
        /// The answering node's signature.
        pub signature: Signature,
    }
}

impl RekeyRequest {
    /// What the asking node signs.
    ///
    /// # Errors
    /// None in practice: a request is small.
    //= docs/spec/mesh-sessions.md#rekey
    pub fn transcript(&self) -> Result<Transcript, SessionError> {
        Transcript::of(
            "FCP2-REKEY-REQUEST-V1",
            &[
                &self.from,
                &self.to,
                &self.session_id,
                &self.generation,
                &self.eph_pubkey,
                &self.nonce,
                &self.timestamp,
            ],
        )
    }
}

impl RekeyAck {
    /// What the answering node signs, and what the next keys are bound to.
    ///
    /// # Errors
    /// None in practice: an answer is small.
    //= docs/spec/mesh-sessions.md#rekey
    pub fn transcript(&self, request: &RekeyRequest) -> Result<Transcript, SessionError> {
        Transcript::of(
            "FCP2-REKEY-ACK-V1",
            &[
                &self.from,
                &self.to,
                &self.session_id,
                &self.generation,
                &self.eph_pubkey,
                &self.nonce,
                &self.next_session_id,
                &self.timestamp,
                &request.eph_pubkey,
                &request.nonce,
                &request.timestamp,
            ],
        )
    }
}

impl Message for RekeyRequest {}
impl Message for RekeyAck {}
decodes!(RekeyRequest, RekeyAck);

/// What stays the same through all generations of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// How datagrams are authenticated.
    pub suite: Suite,
    /// The two ends.
    pub parties: Parties,
    /// Which end this node is.
    pub side: Side,
    /// How much one generation of keys may be used.
    pub limits: KeyLimits,
    /// The longest datagram that the peer takes, in bytes.
    pub peer_datagram_bytes: usize,
}

impl Lineage {
    fn node(&self, side: Side) -> &NodeId {
        match side {
            Side::Initiator => &self.parties.initiator,
            Side::Responder => &self.parties.responder,
        }
    }

    fn me(&self) -> &NodeId {
        self.node(self.side)
    }

    fn peer(&self) -> &NodeId {
        self.node(self.side.peer())
    }
}

/// What the next generation is made of. It is used up by making it, so no generation can be made twice, and what was
/// sealed before cannot be opened with what comes after.
pub struct RekeySecret {
    pub(super) lineage: Lineage,
    pub(super) session_id: MeshSessionId,
    pub(super) generation: u32,
    pub(super) chain: Secret,
}

impl RekeySecret {
    /// How much each generation of the session may be used.
    pub fn limits(&self) -> KeyLimits {
        self.lineage.limits
    }

    /// A fresh request for the next generation.
    ///
    /// # Errors
    /// [`SessionError::NoMoreGenerations`].
    pub fn request(
        &self,
        key: &SigningKey<Node>,
        now: UnixTime,
        entropy: &mut Entropy,
    ) -> Result<PendingRekey, SessionError> {
        let ephemeral = EphemeralKey::generate(entropy);
        let mut request = RekeyRequest {
            from: self.lineage.me().clone(),
            to: self.lineage.peer().clone(),
            session_id: self.session_id,
            generation: self.next_generation()?,
            eph_pubkey: ephemeral.share(),
            nonce: SessionNonce::from_bytes(entropy.bytes()),
            timestamp: now,
            signature: UNSIGNED,
        };
        request.signature = request.transcript()?.sign(key);
        Ok(PendingRekey { request, ephemeral })
    }

    /// Checks that the peer asks for the generation after this one.
    ///
    /// # Errors
    /// Which rule the request breaks.
    //= docs/spec/mesh-sessions.md#rekey
    pub fn check_request(
        &self,
        request: RekeyRequest,
        peer: &VerifyingKey<Node>,
        now: UnixTime,
    ) -> Result<VerifiedRequest, SessionError> {
        self.check_place((&request.from, &request.to), request.session_id, request.generation)?;
        check_skew(request.timestamp, now)?;
        request.transcript()?.verify(peer, &request.signature)?;
        Ok(VerifiedRequest(request))
    }

    /// Whether this node must answer the peer's request although its own is under way: of two requests that cross, that
    /// of the session's initiator stands.
    //= docs/spec/mesh-sessions.md#rekey
    pub fn yields_to_peer(&self) -> bool {
        match self.lineage.side {
            Side::Initiator => false,
            Side::Responder => true,
        }
    }

    /// Answers a request, and makes the generation that the answer offers.
    ///
    /// # Errors
    /// [`SessionError::WeakKeyShare`], or [`SessionError::WrongGeneration`] for a request to another generation.
    pub fn answer(
        self,
        request: &VerifiedRequest,
        key: &SigningKey<Node>,
        context: Context<'_>,
        entropy: &mut Entropy,
    ) -> Result<(RekeyAck, Session), SessionError> {
        let VerifiedRequest(request) = request;
        self.check_place((&request.from, &request.to), request.session_id, request.generation)?;
        let ephemeral = EphemeralKey::generate(entropy);
        let mut ack = RekeyAck {
            from: self.lineage.me().clone(),
            to: self.lineage.peer().clone(),
            session_id: self.session_id,
            generation: request.generation,
            eph_pubkey: ephemeral.share(),
            nonce: SessionNonce::from_bytes(entropy.bytes()),
            next_session_id: MeshSessionId::from_bytes(entropy.bytes()),
            timestamp: context.now.unix,
            signature: UNSIGNED,
        };
        let shared = ephemeral.agree(&request.eph_pubkey)?;
        let transcript = ack.transcript(request)?;
        ack.signature = transcript.sign(key);
        let session = self.next(&ack, &transcript, &shared, context);
        Ok((ack, session))
    }

    /// The generation that the peer's checked answer to this node's request makes.
    ///
    /// # Errors
    /// [`SessionError::AckMismatch`] for the answer to another request, [`SessionError::WeakKeyShare`].
    pub fn establish(
        self,
        pending: PendingRekey,
        answer: &VerifiedRekeyAck,
        context: Context<'_>,
    ) -> Result<Session, SessionError> {
        let VerifiedRekeyAck { ack, answers } = answer;
        if *answers != pending.request.nonce {
            return Err(SessionError::AckMismatch);
        }
        self.check_place((&ack.from, &ack.to), ack.session_id, ack.generation)?;
        let transcript = ack.transcript(&pending.request)?;
        let shared = pending.ephemeral.agree(&ack.eph_pubkey)?;
        Ok(self.next(ack, &transcript, &shared, context))
    }

    fn next(self, ack: &RekeyAck, transcript: &Transcript, shared: &Secret, context: Context<'_>) -> Session {
        let Self { lineage, chain, .. } = self;
        let secrets = schedule::next(
            lineage.suite,
            &lineage.parties,
            ack.generation,
            transcript.as_bytes(),
            &chain,
            shared,
        );
        Session::new(
            lineage,
            ack.next_session_id,
            ack.generation,
            secrets,
            context.provider,
            context.now.mono,
        )
    }

    /// A message of the peer's about the generation after this one.
    fn check_place(
        &self,
        (from, to): (&NodeId, &NodeId),
        session_id: MeshSessionId,
        generation: u32,
    ) -> Result<(), SessionError> {
        if from != self.lineage.peer() || to != self.lineage.me() {
            return Err(SessionError::WrongParties);
        }
        let expected = self.next_generation()?;
        if session_id != self.session_id {
            return Err(SessionError::OtherSession);
        }
        if generation != expected {
            return Err(SessionError::WrongGeneration { expected, got: generation });
        }
        Ok(())
    }

    fn next_generation(&self) -> Result<u32, SessionError> {
        self.generation.checked_add(1).ok_or(SessionError::NoMoreGenerations)
    }
}

impl fmt::Debug for RekeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RekeySecret")
            .field("session_id", &self.session_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// A request of this node's that waits for its answer.
pub struct PendingRekey {
    request: RekeyRequest,
    ephemeral: EphemeralKey,
}

impl PendingRekey {
    /// The request to send; the same one again if no answer comes.
    pub fn request(&self) -> &RekeyRequest {
        &self.request
    }

    /// Checks an answer; the request stays open if it is refused.
    ///
    /// # Errors
    /// Which rule the answer breaks.
    //= docs/spec/mesh-sessions.md#rekey
    pub fn check(
        &self,
        ack: RekeyAck,
        peer: &VerifyingKey<Node>,
        now: UnixTime,
    ) -> Result<VerifiedRekeyAck, SessionError> {
        if ack.from != self.request.to || ack.to != self.request.from {
            return Err(SessionError::WrongParties);
        }
        if ack.session_id != self.request.session_id || ack.generation != self.request.generation {
            return Err(SessionError::AckMismatch);
        }
        check_skew(ack.timestamp, now)?;
        ack.transcript(&self.request)?.verify(peer, &ack.signature)?;
        Ok(VerifiedRekeyAck { ack, answers: self.request.nonce })
    }
}

impl fmt::Debug for PendingRekey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRekey").field("request", &self.request).finish_non_exhaustive()
    }
}

/// A request that the peer signed for this generation, now; made by [`RekeySecret::check_request`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRequest(RekeyRequest);

impl VerifiedRequest {
    /// The request.
    pub fn message(&self) -> &RekeyRequest {
        &self.0
    }
}

/// An answer that the peer signed for one request, now; made by [`PendingRekey::check`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRekeyAck {
    ack: RekeyAck,
    answers: SessionNonce,
}

impl VerifiedRekeyAck {
    /// The answer.
    pub fn message(&self) -> &RekeyAck {
        &self.ack
    }
}
