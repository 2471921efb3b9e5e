//! What a node asks of one peer about one zone, until it has read what they differ in.
//!
//! ```text
//!  Folding ─► Reading ─► Naming ─► over
//!     └───────────┴────► Listing ─► over
//! ```

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::gossip::{Exchange as Address, Finding, MAX_CELLS, MAX_GOSSIP_NAMES, Question};
use fcp_proto_core::object::{ReconcileAnswer, ReconcileRequest};
use fcp_proto_core::sketch::{Decoder, Encoder, Estimator, ItemKey, Salt};
use fcp_proto_core::time::Instant;

use super::snapshot::cells_of;
use super::view::{Heard, Outcome};
use super::{Context, FOLD, Fault, Zones};

/// Questions about names that are open at once.
const OPEN_QUESTIONS: usize = 16;

/// How often a question is said.
const TRIES: u32 = 3;

/// How long an answer may take, at first.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// How long an exchange may take.
const LONGEST: Duration = Duration::from_secs(120);

/// Pages of a list in one exchange; then it is the turn of others.
const MAX_PAGES: u32 = 100;

/// From this difference on names are listed, since their cells would be too many.
const MAX_SKETCHED: u64 = 150_000;

/// Cells of an honest sketch that are not decoded by then, beyond twice the names of both sets: there are none.
const SLACK: u64 = 256;

/// An exchange under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) zone: ZoneId,
    pub(super) peer: NodeId,
    /// The version of the own set when it began.
    version: u64,
    heard: Heard,
    here: u64,
    state: State,
    open: BTreeMap<[u8; 16], Open>,
    until: Instant,
    new: bool,
}

#[derive(Debug)]
enum State {
    /// The own names are folded under the peer's salt.
    Folding { after: Option<ObjectId>, estimator: Box<Estimator>, encoder: Encoder },
    /// Cells are read; `wanted` of them are made of the own set, and `coming` wait to be taken.
    Reading { decoder: Decoder, coming: Vec<u8>, wanted: usize, flights: u32 },
    /// Names are asked for.
    Naming { keys: Vec<ItemKey> },
    /// All names of the peer are read.
    Listing { after: Option<ObjectId>, pages: u32, more: bool },
}

#[derive(Debug)]
struct Open {
    question: Question,
    said: u32,
    due: Instant,
}

/// What came of an answer.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Names that the peer has.
    pub(super) names: Vec<ObjectId>,
    /// A rule that it broke.
    pub(super) fault: Option<Fault>,
    /// The exchange is over.
    pub(super) over: Option<Outcome>,
}

impl Read {
    fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), over: Some(Outcome::Failed), ..Self::default() }
    }

    fn over(outcome: Outcome) -> Self {
        Self { over: Some(outcome), ..Self::default() }
    }
}

impl Exchange {
    pub(super) fn new(
        (zone, peer): (ZoneId, NodeId),
        heard: Heard,
        listed: Option<ObjectId>,
        context: &Context<'_, '_>,
    ) -> Self {
        let state = match listed {
            Some(after) => State::Listing { after: Some(after), pages: 0, more: true },
            None => State::Folding { after: None, estimator: Box::default(), encoder: Encoder::default() },
        };
        let version = context.zones.version(&zone);
        let until = context.local.now.mono.saturating_add(LONGEST);
        Self { zone, peer, version, heard, here: 0, state, open: BTreeMap::new(), until, new: false }
    }

    /// What it compared, once it is over.
    pub(super) fn compared(&self) -> (u64, Salt) {
        (self.version, self.heard.salt)
    }

    /// Where the list goes on, if it does.
    pub(super) fn listed(&self) -> Option<ObjectId> {
        match &self.state {
            State::Listing { after, more: true, .. } => *after,
            State::Listing { .. } | State::Folding { .. } | State::Reading { .. } | State::Naming { .. } => {
                None
            }
        }
    }

    /// Whether it can go on without an answer.
    pub(super) fn has_work(&self) -> bool {
        match &self.state {
            State::Folding { .. } => true,
            State::Reading { coming, .. } => !coming.is_empty(),
            State::Naming { .. } | State::Listing { .. } => false,
        }
    }

    /// Goes on by some names.
    pub(super) fn work(&mut self, zones: &dyn Zones) -> Read {
        match &mut self.state {
            State::Folding { after, estimator, encoder } => {
                let names = zones.objects(&self.zone, after.as_ref(), FOLD);
                self.here += names.len() as u64;
                for name in &names {
                    let key = self.heard.salt.key(name);
                    estimator.add(key);
                    encoder.add(key);
                }
                *after = names.last().copied().or(*after);
                if names.len() < FOLD {
                    self.folded();
                }
                Read::default()
            }
            State::Reading { decoder, coming, wanted, .. } => {
                let cells = cells_of(coming);
                if cells.is_empty() || !decoder.prepare(cells.len(), FOLD) {
                    return Read::default();
                }
                coming.clear();
                if decoder.take(&cells).is_err() {
                    return Read::fault(Fault::Contradiction);
                }
                match decoder.differences() {
                    Some(differences) => {
                        let keys = differences.there.iter().copied().collect();
                        self.name(keys)
                    }
                    None if decoder.taken() >= *wanted => self.fly(),
                    None => Read::default(),
                }
            }
            State::Naming { .. } | State::Listing { .. } => Read::default(),
        }
    }

    /// All own names are folded: the cells of the summary come first.
    fn folded(&mut self) {
        let State::Folding { estimator, encoder, .. } = &mut self.state else { return };
        let difference = estimator.difference(&self.heard.estimator);
        if self.here == 0 || difference > MAX_SKETCHED || difference >= self.heard.total {
            self.list();
            return;
        }
        let decoder = Decoder::new(core::mem::take(encoder));
        let coming: Vec<_> = self.heard.cells.iter().flat_map(|cell| cell.to_bytes()).collect();
        let wanted = self.heard.cells.len();
        self.state = State::Reading { decoder, coming, wanted, flights: first_flight(difference) };
        if wanted == 0 {
            self.fly();
        }
    }

    fn list(&mut self) {
        self.open.clear();
        self.state = State::Listing { after: None, pages: 0, more: true };
    }

    /// More cells are needed: first as many as the estimate says, and then more and more.
    //= docs/spec/gossip.md#reading
    fn fly(&mut self) -> Read {
        let State::Reading { decoder, wanted, flights, .. } = &mut self.state else { return Read::default() };
        let taken = decoder.taken();
        let honest = 2 * self.here.saturating_add(self.heard.total).saturating_add(SLACK / 2);
        if taken as u64 >= honest {
            return Read::fault(Fault::Endless);
        }
        if taken >= MAX_CELLS as usize {
            self.list();
            return Read::default();
        }
        // `flights` is what the estimate asks for, until that was asked for.
        let estimated = *flights as usize;
        let more = if estimated > taken { estimated - taken } else { taken / 6 + 16 };
        *wanted = (taken + more).min(MAX_CELLS as usize);
        Read::default()
    }

    fn name(&mut self, keys: Vec<ItemKey>) -> Read {
        self.open.clear();
        let over = keys.is_empty().then_some(Outcome::NothingNew);
        self.state = State::Naming { keys };
        Read { over, ..Read::default() }
    }

    /// The next question to say, if there is one to say now.
    pub(super) fn question(&mut self, context: &mut Context<'_, '_>) -> Option<ReconcileRequest> {
        let now = context.local.now.mono;
        let waiting = self.open.iter_mut().find(|(_, open)| open.due <= now && open.said < TRIES);
        let (id, open) = match waiting {
            Some((id, open)) => (*id, open),
            None => {
                let question = self.next_question()?;
                let id = context.local.entropy.bytes();
                let open = Open { question, said: 0, due: now };
                (id, self.open.entry(id).or_insert(open))
            }
        };
        open.due = now.saturating_add(FIRST_WAIT * (1 << open.said.min(TRIES)));
        open.said += 1;
        let (from, to) = (context.local.me.clone(), self.peer.clone());
        let exchange = Address { request_id: id, from, to };
        Some(ReconcileRequest { exchange, question: open.question.clone() })
    }

    /// Whether there is a question to say.
    pub(super) fn has_question(&self, now: Instant) -> bool {
        let again = self.open.values().any(|open| open.due <= now && open.said < TRIES);
        again
            || match &self.state {
                State::Folding { .. } => false,
                State::Reading { decoder, coming, wanted, .. } => {
                    self.open.is_empty() && coming.is_empty() && decoder.taken() < *wanted
                }
                State::Naming { keys } => !keys.is_empty() && self.open.len() < OPEN_QUESTIONS,
                State::Listing { more, .. } => *more && self.open.is_empty(),
            }
    }

    fn next_question(&mut self) -> Option<Question> {
        if !self.has_question(Instant::default()) {
            return None;
        }
        let salt = *self.heard.salt.as_bytes();
        match &mut self.state {
            State::Folding { .. } => None,
            State::Reading { decoder, wanted, .. } => {
                let after = u32::try_from(decoder.taken()).ok()?;
                let count = u32::try_from(*wanted).ok()?.checked_sub(after)?;
                Some(Question::Cells { salt, after, count })
            }
            State::Naming { keys } => {
                let some = keys.split_off(keys.len().saturating_sub(MAX_GOSSIP_NAMES));
                let bytes = some.iter().flat_map(|key| key.0.to_le_bytes()).collect();
                Some(Question::Names { salt, keys: Bounded::new(ByteString(bytes)).ok()? })
            }
            State::Listing { after, .. } => Some(Question::Page { after: *after }),
        }
    }

    /// What the peer answered. An answer to nothing that is open is old, and says nothing.
    //= docs/spec/gossip.md#answers
    pub(super) fn answer(&mut self, answer: ReconcileAnswer, context: &Context<'_, '_>) -> Read {
        let id = answer.exchange.request_id;
        let Some(open) = self.open.get_mut(&id) else { return Read::default() };
        let exchange = Address { request_id: id, from: context.local.me.clone(), to: self.peer.clone() };
        let request = ReconcileRequest { exchange, question: open.question.clone() };
        if !answer.answers(&request) {
            return Read::fault(Fault::Unasked);
        }
        let now = context.local.now.mono;
        (open.said, open.due) = (1, now.saturating_add(FIRST_WAIT));
        match answer.finding {
            Finding::Cells { after, cells } => self.cells(id, after, &cells.get().0),
            Finding::Names { names } => {
                self.open.remove(&id);
                self.names(&request.question, names.get().iter().copied().collect(), context.zones)
            }
            Finding::Page { names, more } => {
                self.open.remove(&id);
                self.page(names.get().iter().copied().collect(), more, context.zones)
            }
            Finding::Gone {} => Read::over(Outcome::Failed),
            Finding::Busy { retry_after_ms } => {
                Read::over(Outcome::Busy(Duration::from_millis(retry_after_ms)))
            }
        }
    }

    /// Cells that follow those that are there; others come twice or too early.
    fn cells(&mut self, id: [u8; 16], after: u32, cells: &[u8]) -> Read {
        let State::Reading { decoder, coming, wanted, .. } = &mut self.state else { return Read::default() };
        let have = decoder.taken() + cells_of(coming).len();
        if after as usize == have {
            coming.extend_from_slice(cells);
            if have + cells_of(cells).len() >= *wanted {
                self.open.remove(&id);
            }
        }
        Read::default()
    }

    /// Every key of a sketch has a name, and every name its key.
    //= docs/spec/gossip.md#names
    fn names(&mut self, question: &Question, names: Vec<ObjectId>, zones: &dyn Zones) -> Read {
        let Question::Names { keys, .. } = question else { return Read::default() };
        let asked: Vec<_> = keys.get().0.as_chunks().0.iter().map(|key| u64::from_le_bytes(*key)).collect();
        let named: Vec<_> = names.iter().map(|name| self.heard.salt.key(name).0).collect();
        let all = asked.iter().all(|key| named.contains(key)) && named.iter().all(|key| asked.contains(key));
        if !all {
            return Read::fault(Fault::Invented);
        }
        let mut read = self.learn(names, zones);
        let last = matches!(&self.state, State::Naming { keys } if keys.is_empty()) && self.open.is_empty();
        read.over = last.then(|| self.ended());
        read
    }

    fn page(&mut self, names: Vec<ObjectId>, more: bool, zones: &dyn Zones) -> Read {
        let last = names.last().copied();
        let mut read = self.learn(names, zones);
        let ended = self.ended();
        if let State::Listing { after, pages, more: goes_on } = &mut self.state {
            *after = last.or(*after);
            *goes_on = more;
            *pages += 1;
            if !more || *pages >= MAX_PAGES {
                read.over = Some(ended);
            }
        }
        read
    }

    /// Names that are not admitted here.
    fn learn(&mut self, mut names: Vec<ObjectId>, zones: &dyn Zones) -> Read {
        names.retain(|name| !zones.has(&self.zone, name));
        self.new |= !names.is_empty();
        Read { names, ..Read::default() }
    }

    fn ended(&self) -> Outcome {
        if self.new { Outcome::Taught } else { Outcome::NothingNew }
    }

    /// Whether the peer took too long.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.until <= now || self.open.values().any(|open| open.said >= TRIES && open.due <= now)
    }

    /// When to come back.
    pub(super) fn deadline(&self) -> Instant {
        self.open.values().map(|open| open.due).fold(self.until, Instant::min)
    }
}

/// How many cells an estimate asks for: a little less than most differences need, since what is too much is lost.
fn first_flight(difference: u64) -> u32 {
    u32::try_from(difference.saturating_mul(13) / 10 + 16).unwrap_or(MAX_CELLS).min(MAX_CELLS)
}
