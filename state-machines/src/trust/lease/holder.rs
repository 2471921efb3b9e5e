//! The holder: asks, and uses a lease only while no voter could let another have it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{Certified, Lease, LeasePurpose, Object};
use fcp_proto_core::time::{Instant, Now, UnixTime};

use super::{CLOCK_BOUND_SECS, DEFAULT_TTL_SECS, Message, Output, Request, Subject, Term, ranking};
use crate::persist::{BatchToken, Completion};
use crate::trust::quorum::{ByQuorum, QuorumError};

/// Subjects that one member may want or hold at once.
pub const MAX_LEASES: usize = 64;
/// What is left of the usual lease when it is to be prolonged: a fifth.
const RENEW_SECS: u64 = DEFAULT_TTL_SECS / 5;

/// One member's leases, in this run alone: what an earlier run held is not held.
#[derive(Clone, Debug)]
pub struct Holder {
    me: NodeId,
    /// The latest time that its wall clock read.
    clock: UnixTime,
    wants: BTreeMap<Subject, Want>,
    storing: BTreeMap<BatchToken, (Subject, Held)>,
    next_batch: u64,
}

#[derive(Clone, Debug)]
struct Want {
    purpose: LeasePurpose,
    /// No lease with this token or a lower one is taken: it may have been given back, or be of an earlier run.
    floor: u64,
    attempts: usize,
    held: Option<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    tenure: Tenure,
    /// When its use ends at the latest on the clock that only runs, should the wall clock stop or be set back.
    until_mono: Instant,
}

/// A lease that may be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// The fencing token, for every effect under the lease.
    pub token: u64,
    /// When its use ends on this member's clock, exclusive.
    pub until: UnixTime,
}

/// Why a granted lease is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// This member does not want it, not for this, or not for itself.
    NotWanted,
    /// Its token is none that this member can have asked for.
    Stale,
    /// The members do not stand behind it.
    Quorum(QuorumError),
    /// This member did not vote for it itself.
    NotOwnVote,
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWanted => f.write_str("the lease was not asked for"),
            Self::Stale => f.write_str("the lease is an old one"),
            Self::Quorum(error) => error.fmt(f),
            Self::NotOwnVote => f.write_str("the lease was granted without its holder's own vote"),
        }
    }
}

impl core::error::Error for GrantError {}

impl Holder {
    /// The member `me`, which holds nothing.
    //= docs/spec/leases.md#restart
    pub fn new(me: NodeId) -> Self {
        Self {
            me,
            clock: UnixTime::default(),
            wants: BTreeMap::new(),
            storing: BTreeMap::new(),
            next_batch: 0,
        }
    }

    /// Asks for a lease over `subject`, or for more of it. Call it again if no answer comes or a denial does: each time
    /// the next coordinator in the ranking is asked. `promised` is the token of this member's own voter over the subject.
    /// Whether the request was made: it is not beyond [`MAX_LEASES`], nor for another purpose than before.
    //= docs/spec/leases.md#holding
    pub fn want(
        &mut self,
        subject: &Subject,
        purpose: LeasePurpose,
        promised: Option<u64>,
        term: &Term,
        now: Now,
        out: &mut Vec<Output>,
    ) -> bool {
        self.clock = self.clock.max(now.unix);
        if !self.wants.contains_key(subject) && self.wants.len() >= MAX_LEASES {
            return false;
        }
        let floor = promised.unwrap_or(0);
        let fresh = Want { purpose, floor, attempts: 0, held: None };
        let want = self.wants.entry(subject.clone()).or_insert(fresh);
        let order = ranking(subject, term.electorate.members());
        if want.purpose != purpose {
            return false;
        }
        let Some(&to) = order.get(want.attempts % order.len().max(1)) else { return false };
        want.attempts = want.attempts.wrapping_add(1);
        let held = want.held.as_ref().filter(|held| held.is_usable(self.clock, now.mono));
        // One that its own voter has voted past can only be replaced.
        let renews = held.map(|held| held.tenure.token).filter(|token| promised == Some(*token));
        let request = Request { subject: subject.clone(), purpose, ttl_secs: DEFAULT_TTL_SECS, renews };
        out.push(Output::Send { to: to.clone(), message: Message::Request(request) });
        true
    }

    /// Takes a certified lease. It may be used once it is durable.
    ///
    /// # Errors
    /// Why it is not taken.
    //= docs/spec/leases.md#holding
    pub fn handle_grant(
        &mut self,
        lease: Object<Certified<Lease>>,
        term: &Term,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), GrantError> {
        self.clock = self.clock.max(now.unix);
        let lease = term.electorate.certify(lease).map_err(GrantError::Quorum)?;
        let subject = self.check(&lease)?;
        let fields = lease.fields();
        let tenure = Tenure { token: fields.lease_seq, until: fields.exp.saturating_sub(CLOCK_BOUND_SECS) };
        // Readings are cut to whole seconds: up to one of what seems left has passed.
        let left = tenure.until.saturating_since(self.clock).saturating_sub(1);
        let until_mono = now.mono.saturating_add(Duration::from_secs(left));
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        self.storing.insert(batch, (subject, Held { tenure, until_mono }));
        out.push(Output::Persist { batch, lease: Box::new(lease.into_object()) });
        Ok(())
    }

    fn check(&self, lease: &ByQuorum<Lease>) -> Result<Subject, GrantError> {
        let (object, fields) = (lease.object(), lease.fields());
        let subject = Subject { zone: object.header.zone_id.clone(), object: fields.subject_object_id };
        let want = self.wants.get(&subject).ok_or(GrantError::NotWanted)?;
        if fields.holder != self.me || fields.purpose != want.purpose {
            return Err(GrantError::NotWanted);
        }
        if fields.lease_seq <= want.floor {
            return Err(GrantError::Stale);
        }
        let own = object.body.quorum_signatures.as_slice().iter().any(|by| by.node_id == self.me);
        if own { Ok(subject) } else { Err(GrantError::NotOwnVote) }
    }

    /// Takes what became of the write `batch`.
    //= docs/spec/leases.md#holding
    pub fn handle_stored(&mut self, batch: BatchToken, completion: Completion, out: &mut Vec<Output>) {
        let Some((subject, stored)) = self.storing.remove(&batch) else { return };
        match completion {
            Completion::Refused(_) | Completion::Failed => return,
            Completion::Durable => {}
        }
        let Some(want) = self.wants.get_mut(&subject) else { return };
        let age = |held: &Held| (held.tenure.token, held.tenure.until);
        if want.held.as_ref().is_none_or(|held| age(held) < age(&stored)) {
            want.held = Some(stored);
            want.attempts = 0;
            out.push(Output::Held(subject));
        }
    }

    /// The lease over `subject`, if it may be used now. Ask before every use, and put the token into the effect.
    //= docs/spec/leases.md#clocks
    //= docs/spec/leases.md#what-holds
    pub fn tenure(&mut self, subject: &Subject, now: Now) -> Option<&Tenure> {
        self.clock = self.clock.max(now.unix);
        let held = self.wants.get(subject)?.held.as_ref()?;
        held.is_usable(self.clock, now.mono).then_some(&held.tenure)
    }

    /// Whether it is time to [`want`](Self::want) more of the lease over `subject`.
    //= docs/spec/leases.md#renewal
    pub fn should_renew(&mut self, subject: &Subject, now: Now) -> bool {
        let clock = self.clock.max(now.unix);
        self.tenure(subject, now).is_some_and(|held| held.until.saturating_since(clock) <= RENEW_SECS)
    }

    /// Stops using and wanting `subject`, for good as far as any lease up to now is concerned, and tells the voters;
    /// `successor` alone may have it for the rest of the time. `promised` is the token of this member's own voter.
    //= docs/spec/leases.md#release-and-handoff
    pub fn release(
        &mut self,
        subject: &Subject,
        promised: Option<u64>,
        successor: Option<&NodeId>,
        term: &Term,
        out: &mut Vec<Output>,
    ) {
        let Some(_) = self.wants.remove(subject) else { return };
        self.storing.retain(|_, (stored, _)| stored != subject);
        let Some(token) = promised else { return };
        out.extend(term.electorate.members().map(|to| Output::Send {
            to: to.clone(),
            message: Message::Release { subject: subject.clone(), token, successor: successor.cloned() },
        }));
    }
}

impl Held {
    fn is_usable(&self, clock: UnixTime, mono: Instant) -> bool {
        clock < self.tenure.until && mono < self.until_mono
    }
}
