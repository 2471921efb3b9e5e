//! The rekey that is under way, if one is.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::frame::content::Content;
use fcp_proto_core::ids::MeshSessionId;
use fcp_proto_core::limits::SESSION_SKEW_SECS;
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::keys::{ReceiveKeys, Session as Keys};
use fcp_proto_core::session::message::Message;
use fcp_proto_core::session::rekey::{PendingRekey, RekeyAck, RekeyRequest, RekeySecret};
use fcp_proto_core::time::{Instant, Now};

use crate::link::Local;

/// How long to wait for an answer before the same request is sent again. Chosen: far above a round trip.
const RETRY: Duration = Duration::from_secs(5);

/// What makes the next generation, and how far that is.
#[derive(Debug)]
pub(super) struct Rekey {
    /// Used up by an answer, of this node or to it.
    secret: Option<RekeySecret>,
    asked: Option<Asked>,
    answered: Option<Answered>,
}

/// A request of this node that waits for its answer.
#[derive(Debug)]
struct Asked {
    pending: PendingRekey,
    message: Vec<u8>,
    /// Whether it is to be sent now.
    sends: bool,
    again_at: Instant,
}

/// An answer of this node that waits for a frame of the generation that it offered.
#[derive(Debug)]
struct Answered {
    next: Keys,
    request: RekeyRequest,
    message: Vec<u8>,
    /// Whether it is to be sent now.
    sends: bool,
}

/// What becomes of the peer's request.
pub(super) enum Request {
    /// It is answered, again, or waits for the end of this node's own.
    Taken,
    /// It is another than the one that was answered, and nothing is left to answer it with: the session cannot go on.
    Stuck,
}

impl Rekey {
    pub(super) fn of(secret: RekeySecret) -> Self {
        Self { secret: Some(secret), asked: None, answered: None }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_none() && self.answered.is_none()
    }

    /// Asks for the next generation, unless something is under way.
    pub(super) fn ask(&mut self, local: &mut Local<'_>) -> Result<(), SessionError> {
        if let Some(secret) = self.secret.as_ref().filter(|_| self.is_idle()) {
            let pending = secret.request(local.key, local.now.unix, local.entropy)?;
            let message = pending.request().encode()?;
            let again_at = local.now.mono.saturating_add(RETRY);
            self.asked = Some(Asked { pending, message, sends: true, again_at });
        }
        Ok(())
    }

    /// Takes the peer's request.
    //= docs/spec/mesh-sessions.md#rekey
    pub(super) fn request(
        &mut self,
        local: &mut Local<'_>,
        peer: &VerifyingKey<Node>,
        message: &[u8],
    ) -> Result<Request, SessionError> {
        let request = RekeyRequest::decode(message)?;
        if let Some(answered) = self.answered.as_mut() {
            if answered.request != request {
                return Ok(Request::Stuck);
            }
            answered.sends = true;
            return Ok(Request::Taken);
        }
        let Some(secret) = self.secret.as_ref() else { return Ok(Request::Stuck) };
        let verified = secret.check_request(request, peer, local.now.unix)?;
        if self.asked.is_some() && !secret.yields_to_peer() {
            return Ok(Request::Taken);
        }
        self.asked = None;
        let Some(secret) = self.secret.take() else { return Ok(Request::Stuck) };
        let context = local.context();
        let (ack, next) = secret.answer(&verified, local.key, context, local.entropy)?;
        let (request, message) = (verified.message().clone(), ack.encode()?);
        self.answered = Some(Answered { next, request, message, sends: true });
        Ok(Request::Taken)
    }

    /// Takes the peer's answer; the keys that it makes, if it answers what this node asks.
    pub(super) fn ack(
        &mut self,
        local: &Local<'_>,
        peer: &VerifyingKey<Node>,
        message: &[u8],
    ) -> Result<Option<Keys>, SessionError> {
        let ack = RekeyAck::decode(message)?;
        // An answer that comes twice, or to a request that was given up.
        let Some(asked) = self.asked.as_ref() else { return Ok(None) };
        let verified = asked.pending.check(ack, peer, local.now.unix)?;
        let (Some(secret), Some(asked)) = (self.secret.take(), self.asked.take()) else { return Ok(None) };
        secret.establish(asked.pending, &verified, local.context()).map(Some)
    }

    /// What became of time: an answer that is late, a request that is too old to be taken.
    //= docs/spec/mesh-sessions.md#rekey
    pub(super) fn tick(&mut self, now: Now) {
        self.asked.take_if(|asked| {
            let made = asked.pending.request().timestamp;
            now.unix.as_secs().abs_diff(made.as_secs()) > SESSION_SKEW_SECS
        });
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.again_at <= now.mono) {
            asked.sends = true;
            asked.again_at = now.mono.saturating_add(RETRY);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.again_at)
    }

    /// What was sent may be lost.
    pub(super) fn send_again(&mut self) {
        if let Some(asked) = &mut self.asked {
            asked.sends = true;
        }
        if let Some(answered) = &mut self.answered {
            answered.sends = true;
        }
    }

    pub(super) fn has_message(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.sends)
            || self.answered.as_ref().is_some_and(|answered| answered.sends)
    }

    /// What is to be sent, if something is; it then counts as sent.
    pub(super) fn next(&mut self) -> Option<Content<'_>> {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.sends) {
            asked.sends = false;
            return Some(Content::RekeyRequest(&asked.message));
        }
        let answered = self.answered.as_mut().filter(|answered| answered.sends)?;
        answered.sends = false;
        Some(Content::RekeyAck(&answered.message))
    }

    /// What opens frames of the generation that this node offered.
    pub(super) fn opening(&mut self, id: MeshSessionId) -> Option<&mut ReceiveKeys> {
        let receive = self.answered.as_mut().map(|answered| &mut answered.next.receive);
        receive.filter(|keys| keys.session_id() == id)
    }

    /// The id of the generation that this node offered.
    pub(super) fn offered(&self) -> Option<MeshSessionId> {
        self.answered.as_ref().map(|answered| answered.next.receive.session_id())
    }

    /// The generation that this node offered, once a frame of it came.
    pub(super) fn confirm(&mut self, id: MeshSessionId) -> Option<Keys> {
        if self.offered() != Some(id) {
            return None;
        }
        self.answered.take().map(|answered| answered.next)
    }
}
