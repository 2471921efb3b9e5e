//! The node that asks for a session.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::handshake::{Initiator, Offer};
use fcp_proto_core::session::message::{Ack, HelloRetry, TransportLimits};
use fcp_proto_core::time::Instant;

use crate::link::Local;
use crate::link::session::Session;

use super::NotOpened;

/// How long to wait for the first answer. Chosen: three times a bad round trip.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two hellos. With it a node sends fewer hellos within the tolerated skew than its peer
/// remembers.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A wish for a session with one peer, until it is given up or fulfilled.
#[derive(Debug)]
pub struct Dial {
    peer: NodeId,
    transport_limits: Option<TransportLimits>,
    /// The hello that waits; used up by an answer that the peer signed, good or not.
    initiator: Option<Initiator>,
    message: Option<Vec<u8>>,
    wait: Duration,
    again_at: Instant,
}

impl Dial {
    /// Begins with a hello.
    ///
    /// # Errors
    /// [`SessionError::WrongParties`] for this node itself, [`SessionError::SuiteCount`] if it takes no suite.
    pub fn new(
        peer: NodeId,
        transport_limits: Option<TransportLimits>,
        local: &mut Local<'_>,
    ) -> Result<Self, SessionError> {
        let (initiator, message) = hello(&peer, transport_limits, local)?;
        let again_at = local.now.mono.saturating_add(FIRST_WAIT);
        Ok(Self {
            peer,
            transport_limits,
            initiator: Some(initiator),
            message: Some(message),
            wait: FIRST_WAIT,
            again_at,
        })
    }

    /// Whom the wish is for.
    pub fn peer(&self) -> &NodeId {
        &self.peer
    }

    /// What to send now, once.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        self.message.take()
    }

    /// When to come back for [`tick`](Self::tick).
    pub fn deadline(&self) -> Instant {
        self.again_at
    }

    /// Says hello again if nobody answered: afresh, because a responder answers one hello once.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn tick(&mut self, local: &mut Local<'_>) -> Result<(), SessionError> {
        if local.now.mono < self.again_at {
            return Ok(());
        }
        let (initiator, message) = hello(&self.peer, self.transport_limits, local)?;
        self.initiator = Some(initiator);
        self.message = Some(message);
        self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
        self.again_at = local.now.mono.saturating_add(self.wait);
        Ok(())
    }

    /// Takes a demand for a cookie: the hello goes out once more with it.
    ///
    /// # Errors
    /// Why it is not taken; the wish stands.
    //= docs/spec/mesh-sessions.md#cookies
    pub fn retry(&mut self, retry: &HelloRetry, local: &Local<'_>) -> Result<(), NotOpened> {
        let initiator = self.initiator.as_mut().ok_or(NotOpened::NothingAsked)?;
        initiator.retry(retry, local.key, local.now.unix).map_err(NotOpened::Session)?;
        let hello = Opening::Hello(initiator.hello().clone());
        self.message = Some(hello.encode().map_err(NotOpened::Session)?);
        Ok(())
    }

    /// Takes an answer. With the session the wish is fulfilled.
    ///
    /// # Errors
    /// Why it is not taken; the wish stands.
    //= docs/spec/mesh-sessions.md#ack
    pub fn ack(&mut self, ack: &Ack, local: &Local<'_>) -> Result<Session, NotOpened> {
        let key = local.peers.key(&self.peer).ok_or(NotOpened::NotTrusted)?;
        let initiator = self.initiator.as_ref().ok_or(NotOpened::NothingAsked)?;
        let suites = &local.policy.suites;
        let checked = initiator.check(ack, &key, suites, local.now.unix).map_err(NotOpened::Session)?;
        let initiator = self.initiator.take().ok_or(NotOpened::NothingAsked)?;
        let keys = initiator.establish(&checked, local.context()).map_err(NotOpened::Session)?;
        Ok(Session::asked(self.peer.clone(), keys, local.now))
    }
}

/// A fresh hello, and its bytes.
fn hello(
    peer: &NodeId,
    transport_limits: Option<TransportLimits>,
    local: &mut Local<'_>,
) -> Result<(Initiator, Vec<u8>), SessionError> {
    let offer =
        Offer { from: local.me.clone(), to: peer.clone(), suites: &local.policy.suites, transport_limits };
    let initiator = Initiator::new(offer, local.key, local.now.unix, local.entropy)?;
    let message = Opening::Hello(initiator.hello().clone()).encode()?;
    Ok((initiator, message))
}
