//! The node that answers, and what it spends on strangers.

use alloc::boxed::Box;
use core::time::Duration;

use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::cookie::Cookies;
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::message::{Hello, HelloRetry};
use fcp_proto_core::session::replay::HelloReplay;
use fcp_proto_core::time::{Instant, Now};

use super::NotOpened;
use crate::link::Local;
use crate::link::session::Session;

/// Signature checks a second for hellos without a cookie; beyond them one is asked for. Chosen: a check and an answer
/// take about 0.2 ms, so strangers get 1 % of a core.
const UNPROVEN_PER_SECOND: u64 = 50;

/// Signature checks a second for hellos with a cookie. Chosen: 5 % of a core.
const PROVEN_PER_SECOND: u64 = 250;

/// What a hello is answered with.
#[derive(Debug)]
pub enum Answer {
    /// Come again with this cookie.
    Retry(HelloRetry),
    /// A session, and the message that makes it at the other end.
    Session(Box<Session>, Opening),
}

/// Answers hellos.
#[derive(Debug)]
pub struct Responder {
    cookies: Cookies,
    heard: HelloReplay,
    unproven: Budget,
    proven: Budget,
}

impl Responder {
    /// A responder that has answered nobody.
    pub fn new(now: Instant, entropy: &mut Entropy) -> Self {
        Self {
            cookies: Cookies::new(now, entropy),
            heard: HelloReplay::default(),
            unproven: Budget::new(UNPROVEN_PER_SECOND, now),
            proven: Budget::new(PROVEN_PER_SECOND, now),
        }
    }

    /// Answers a hello. What is cheap comes first: a stranger's name is looked up, and no signature is checked beyond
    /// the budget.
    ///
    /// # Errors
    /// Why it is not answered.
    //= docs/spec/mesh-sessions.md#hello
    //= docs/spec/mesh-sessions.md#cookies
    pub fn hello(&mut self, hello: Hello, local: &mut Local<'_>) -> Result<Answer, NotOpened> {
        let Now { mono, unix } = local.now;
        if hello.to != *local.me || hello.from == *local.me {
            return Err(NotOpened::Session(SessionError::WrongParties));
        }
        let key = local.peers.key(&hello.from).ok_or(NotOpened::NotTrusted)?;
        if hello.cookie.is_some() {
            self.cookies.check(&hello, mono, local.entropy).map_err(NotOpened::Session)?;
            self.proven.take(mono)?;
        } else if self.unproven.take(mono).is_err() {
            let retry = self.cookies.retry(&hello, local.now, local.entropy);
            return retry.map(Answer::Retry).map_err(NotOpened::Session);
        }
        let verified = hello.verify(&key, local.me, unix).map_err(NotOpened::Session)?;
        let peer = verified.message().from.clone();
        let fresh = self.heard.admit(verified, unix).map_err(NotOpened::Session)?;
        let answered = fresh.answer(local.key, local.context(), local.entropy);
        let (ack, keys) = answered.map_err(NotOpened::Session)?;
        let session = Session::answered(peer, keys, local.now);
        Ok(Answer::Session(Box::new(session), Opening::Ack(ack)))
    }
}

/// So many a second, of which at most a second's worth is saved up.
#[derive(Debug)]
struct Budget {
    /// Time that one takes.
    each: Duration,
    /// When all that was taken is paid for.
    paid: Instant,
}

impl Budget {
    fn new(per_second: u64, now: Instant) -> Self {
        Self { each: Duration::from_nanos(1_000_000_000 / per_second), paid: now }
    }

    fn take(&mut self, now: Instant) -> Result<(), NotOpened> {
        let paid = self.paid.max(now).saturating_add(self.each);
        let debt = paid.saturating_since(now);
        if debt > Duration::from_secs(1) {
            return Err(NotOpened::Busy { retry_after: debt - Duration::from_secs(1) });
        }
        self.paid = paid;
        Ok(())
    }
}
