//! The generations of keys that are in use: one seals, one or two open.

use core::time::Duration;

use fcp_proto_core::ids::MeshSessionId;
use fcp_proto_core::limits::REKEY_OVERLAP_SECS;
use fcp_proto_core::session::keys::{KeyLife, KeyLimits, ReceiveKeys, SendKeys, Session as Keys};
use fcp_proto_core::session::rekey::RekeySecret;
use fcp_proto_core::time::Instant;

/// How long the keys before a rekey still open.
const OVERLAP: Duration = Duration::from_secs(REKEY_OVERLAP_SECS);

/// The keys that seal, and those that open.
#[derive(Debug)]
pub(super) struct Generations {
    send: SendKeys,
    receive: ReceiveKeys,
    older: Option<Older>,
    since: Instant,
    limits: KeyLimits,
    /// Whether the peer waits for a frame under the newest keys to know that its ack arrived.
    shows: bool,
}

/// The generation before.
#[derive(Debug)]
struct Older {
    receive: ReceiveKeys,
    /// Until when it opens; set by the first frame of the newer one.
    until: Option<Instant>,
}

impl Generations {
    pub(super) fn first(keys: Keys, now: Instant) -> (Self, RekeySecret) {
        let Keys { send, receive, rekey } = keys;
        let limits = rekey.limits();
        (Self { send, receive, older: None, since: now, limits, shows: false }, rekey)
    }

    /// Goes on with the next generation. The one that asked shows at once that it has it.
    //= docs/spec/mesh-sessions.md#rekey
    pub(super) fn turn(&mut self, next: Keys, now: Instant, asked: bool) -> RekeySecret {
        let Keys { send, receive, rekey } = next;
        self.send = send;
        let receive = core::mem::replace(&mut self.receive, receive);
        self.older = Some(Older { receive, until: None });
        self.since = now;
        self.shows = asked;
        rekey
    }

    /// Something authentic came under `id`.
    pub(super) fn heard(&mut self, id: MeshSessionId, now: Instant) {
        if id != self.receive.session_id() {
            return;
        }
        if let Some(older) = self.older.as_mut().filter(|older| older.until.is_none()) {
            older.until = Some(now.saturating_add(OVERLAP));
        }
    }

    /// Drops the older keys when their time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.older.take_if(|older| older.until.is_some_and(|until| until <= now));
    }

    /// Whether two generations open, so that no further rekey may begin.
    pub(super) fn overlap(&self) -> bool {
        self.older.is_some()
    }

    pub(super) fn send(&mut self) -> &mut SendKeys {
        &mut self.send
    }

    pub(super) fn opening(&mut self, id: MeshSessionId) -> Option<&mut ReceiveKeys> {
        let older = self.older.as_mut().map(|older| &mut older.receive);
        [Some(&mut self.receive), older].into_iter().flatten().find(|keys| keys.session_id() == id)
    }

    pub(super) fn opens(&self, id: MeshSessionId) -> bool {
        self.ids().any(|known| known == id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = MeshSessionId> {
        let older = self.older.as_ref().map(|older| older.receive.session_id());
        older.into_iter().chain([self.receive.session_id()])
    }

    pub(super) fn generation(&self) -> u32 {
        self.send.generation()
    }

    pub(super) fn life(&self, now: Instant) -> KeyLife {
        self.send.life(now)
    }

    /// Whether what is left of the keys is for a rekey alone.
    pub(super) fn are_scarce(&self, now: Instant) -> bool {
        match self.life(now) {
            KeyLife::Fresh | KeyLife::RekeyDue(_) => false,
            KeyLife::Scarce(_) | KeyLife::Spent(_) => true,
        }
    }

    pub(super) fn must_show(&self) -> bool {
        self.shows
    }

    pub(super) fn shown(&mut self) {
        self.shows = false;
    }

    /// Whether the newest keys are so old that nothing may be sealed or opened with them. A peer seals nothing after its
    /// own bound, so what comes later than the overlap is not the peer's.
    //= docs/spec/mesh-sessions.md#limits
    pub(super) fn are_over(&self, now: Instant) -> bool {
        now >= self.end()
    }

    fn end(&self) -> Instant {
        self.since.saturating_add(Duration::from_secs(self.limits.seconds)).saturating_add(OVERLAP)
    }

    /// When time changes something: the older keys end, the newest become due (if nobody is at that yet), or all end.
    pub(super) fn deadline(&self, idle: bool) -> Instant {
        let due = Duration::from_secs(self.limits.seconds - self.limits.seconds / 8);
        let next = match &self.older {
            Some(older) => older.until,
            None => idle.then(|| self.since.saturating_add(due)),
        };
        next.map_or(self.end(), |next| next.min(self.end()))
    }
}
