//! One object being fetched: from whom, what each was asked for, and when to ask again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::symbol::{PayloadId, TransmissionInformation};
use fcp_proto_core::time::Instant;

use super::received::Received;
use super::{FIRST_WAIT, LONGEST_WAIT, MAX_ASKED, MAX_SOURCES};
use crate::link::admission::Admission;

/// How long nobody who is believed brings anything before others are believed instead.
const STALLED: Duration = Duration::from_secs(120);

/// An object that is wanted.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) epoch_id: u64,
    pub(super) sources: BTreeMap<NodeId, Source>,
    pub(super) received: Option<Received>,
    /// Bytes reserved for what is received.
    pub(super) reserved: usize,
    /// When something was received last, or the present way of cutting was chosen.
    pub(super) progress: Instant,
    /// Whether what this node keeps of it is among what is received.
    pub(super) took_own: bool,
}

/// Somebody who may have it.
#[derive(Debug)]
pub(super) struct Source {
    /// Whether there is a session.
    pub(super) up: bool,
    /// How it says that the object is cut; `None` while it has said nothing.
    pub(super) information: Option<TransmissionInformation>,
    /// What it was asked for and has not sent.
    pub(super) asked: BTreeSet<PayloadId>,
    /// When to ask it, or to give up what it was asked for.
    pub(super) due: Instant,
    /// How long it gets to answer.
    pub(super) wait: Duration,
    /// Whether it sent anything since it was asked.
    pub(super) brought: bool,
    /// How often it was asked in a row without a word.
    pub(super) silent: u32,
    /// Most symbols to ask it for at once.
    pub(super) most: usize,
}

/// What to say to a source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// Do you have it?
    Inquire,
    /// Send these, or as many others.
    Request(Vec<PayloadId>),
    /// These did not come.
    Status(Vec<PayloadId>),
}

impl Fetch {
    pub(super) fn new(epoch_id: u64, now: Instant) -> Self {
        Self {
            epoch_id,
            sources: BTreeMap::new(),
            received: None,
            reserved: 0,
            progress: now,
            took_own: false,
        }
    }

    /// Adds somebody who may have it; when there are enough, one who is silent makes room.
    pub(super) fn add(&mut self, name: &NodeId, up: bool, now: Instant) {
        if let Some(source) = self.sources.get_mut(name) {
            source.up = up;
            return;
        }
        if self.sources.len() >= MAX_SOURCES {
            let silent = self.sources.iter().filter(|(_, source)| source.information.is_none());
            let Some(silent) = silent.max_by_key(|(_, source)| source.silent).map(|(name, _)| name.clone())
            else {
                return;
            };
            self.sources.remove(&silent);
        }
        self.sources.insert(name.clone(), Source::new(up, now));
    }

    /// There is a session with the source again, or none any more.
    pub(super) fn session(&mut self, name: &NodeId, up: bool, now: Instant) {
        if let Some(source) = self.sources.get_mut(name) {
            *source = Source { information: source.information, ..Source::new(up, now) };
        }
    }

    /// The source says that it has the object, cut like this. A source that says otherwise than before is believed anew.
    pub(super) fn offered(&mut self, name: &NodeId, information: TransmissionInformation, now: Instant) {
        if let Some(source) = self.sources.get_mut(name) {
            source.information = Some(information);
            source.heard(now);
            source.due = now;
        }
    }

    /// The source does not send now.
    pub(super) fn refused(&mut self, name: &NodeId, retry: Option<Duration>, gone: bool, now: Instant) {
        let Some(source) = self.sources.get_mut(name) else { return };
        source.asked.clear();
        if gone {
            source.information = None;
        } else if retry.is_none() {
            // No time would help; less at once may.
            source.most = (source.most / 2).max(1);
        }
        source.wait = (source.wait * 2).min(LONGEST_WAIT);
        source.due = now.saturating_add(retry.unwrap_or(source.wait).min(LONGEST_WAIT));
    }

    /// Symbols came from the source; `new` says whether there was any use in them. Nobody is asked at once for more who
    /// sends what is there already: two nodes would do nothing else.
    //= docs/spec/delivery.md#asking
    pub(super) fn brought(&mut self, name: &NodeId, symbols: &BTreeSet<PayloadId>, new: bool, now: Instant) {
        let Some(source) = self.sources.get_mut(name) else { return };
        for symbol in symbols {
            // A source that has other symbols than those asked for sends as many of them.
            if !source.asked.remove(symbol) && new {
                source.asked.pop_last();
            }
        }
        if new {
            source.brought = true;
            source.heard(now);
            if source.asked.is_empty() {
                source.due = now;
            }
        }
    }

    /// How to cut it, by what most of those say who have not lied; `None` while nobody says anything. Those who say
    /// otherwise get their turn when those who were believed bring nothing. Nobody is believed who cuts it into several
    /// blocks: each would have to be solved in every attempt.
    //= docs/spec/delivery.md#offers
    pub(super) fn choose(&self, now: Instant) -> Option<TransmissionInformation> {
        let current = self.received.as_ref().map(Received::information);
        let mut says: BTreeMap<TransmissionInformation, usize> = BTreeMap::new();
        for (name, source) in &self.sources {
            let lied = self.received.as_ref().is_some_and(|received| received.lied(name));
            if let Some(information) = source.information.filter(|it| !lied && it.source_blocks() == 1) {
                *says.entry(information).or_default() += 1;
            }
        }
        // All who can be left out have their turn first.
        let turns = self.received.as_ref().is_some_and(Received::has_others_to_leave_out);
        let stalled = self.is_stalled(now) && !turns;
        if let Some(current) = current.filter(|current| !stalled && says.contains_key(current)) {
            return Some(current);
        }
        let others = says.iter().filter(|(information, _)| Some(**information) != current);
        let most = others.max_by_key(|(_, count)| **count).map(|(information, _)| *information);
        most.or(current.filter(|current| says.contains_key(current)))
    }

    /// There is room for one set of symbols only, and somebody lied or those who are believed bring nothing: others are
    /// left out, and the rest are asked anew.
    pub(super) fn leave_out(&mut self, now: Instant) {
        if let Some(received) = &mut self.received {
            received.leave_out();
        }
        (self.progress, self.took_own) = (now, false);
        self.ask_all_anew(now);
    }

    /// Reserves room for the symbols of all senders beside each other, or leaves some of them out.
    //= docs/spec/delivery.md#bounds
    pub(super) fn make_room(&mut self, admission: &mut Admission, now: Instant) {
        let Some(received) = &self.received else { return };
        let share = Received::share_bytes(received.information());
        let more = received.shares().saturating_mul(share).saturating_sub(self.reserved);
        if admission.reserve(more).is_ok() {
            self.reserved = self.reserved.saturating_add(more);
        } else {
            self.leave_out(now);
            admission.release(self.reserved.saturating_sub(share));
            self.reserved = share;
        }
    }

    /// All may be asked for other symbols than before.
    pub(super) fn ask_all_anew(&mut self, now: Instant) {
        for source in self.sources.values_mut() {
            source.asked.clear();
            source.heard(now);
            source.due = now;
        }
    }

    /// Whether those who are left out have been for so long, to no avail, that it is the turn of others.
    pub(super) fn others_have_their_turn(&self, now: Instant) -> bool {
        let some_left_out = self.received.as_ref().is_some_and(|received| !received.is_worth_storing());
        some_left_out && self.is_stalled(now)
    }

    fn is_stalled(&self, now: Instant) -> bool {
        now.saturating_since(self.progress) > STALLED
    }

    /// What to say now, and to whom. A symbol that one source was asked for is not asked of another.
    //= docs/spec/delivery.md#asking
    pub(super) fn ask(&mut self, now: Instant) -> Vec<(NodeId, Say)> {
        let due = self.sources.iter().filter(|(_, source)| source.up && source.due <= now);
        let due: Vec<_> = due.map(|(name, _)| name.clone()).collect();
        due.into_iter().filter_map(|name| self.ask_one(&name, now).map(|say| (name, say))).collect()
    }

    fn ask_one(&mut self, name: &NodeId, now: Instant) -> Option<Say> {
        let believed = self.received.as_ref().is_none_or(|received| received.believes(name));
        let chosen = self.received.as_ref().map(Received::information);
        let source = self.sources.get_mut(name)?;
        let (lost, brought) = (core::mem::take(&mut source.asked), core::mem::take(&mut source.brought));
        source.give_up(brought || (lost.is_empty() && source.information.is_some()), now);
        if !believed {
            return None;
        }
        if source.information.is_none() {
            return Some(Say::Inquire);
        }
        if source.information != chosen {
            return None;
        }
        let symbols = self.symbols_for(name)?;
        let source = self.sources.get_mut(name)?;
        source.asked = symbols.iter().copied().collect();
        // It knows the transfer if it sent something of it; if it does not, it says nothing and is asked in full.
        Some(if brought && !lost.is_empty() { Say::Status(symbols) } else { Say::Request(symbols) })
    }

    /// The symbols to ask a source for: some that nobody else was asked for, so many that all sources share the work.
    fn symbols_for(&self, name: &NodeId) -> Option<Vec<PayloadId>> {
        let received = self.received.as_ref()?;
        let (needed, missing) = received.missing(name);
        // Who has been silent for long keeps nobody from asking others.
        let others = self.sources.iter().filter(|(other, source)| *other != name && source.silent <= 1);
        let asked: BTreeSet<_> = others.flat_map(|(_, source)| source.asked.iter().copied()).collect();
        // Who has not had time to answer yet may have it, too.
        let sharing = self
            .sources
            .values()
            .filter(|source| source.up && (source.information.is_some() || source.silent <= 1));
        let most = self.sources.get(name).map_or(1, |source| source.most);
        let share = (needed as usize).div_ceil(sharing.count().max(1)).clamp(1, most);
        let free = missing.into_iter().filter(|id| received.is_apart() || !asked.contains(id)).take(share);
        Some(free.collect()).filter(|free: &Vec<_>| !free.is_empty())
    }

    /// When to come back.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sources.values().filter(|source| source.up).map(|source| source.due).min()
    }
}

impl Source {
    fn new(up: bool, now: Instant) -> Self {
        Self {
            up,
            information: None,
            asked: BTreeSet::new(),
            due: now,
            wait: FIRST_WAIT,
            brought: false,
            silent: 0,
            most: MAX_ASKED,
        }
    }

    fn heard(&mut self, now: Instant) {
        self.wait = FIRST_WAIT;
        self.silent = 0;
        self.due = now.saturating_add(self.wait);
    }

    /// It had its time. Whoever is silent is asked less and less often.
    fn give_up(&mut self, answered: bool, now: Instant) {
        if !answered {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        self.silent = self.silent.saturating_add(1);
        self.due = now.saturating_add(self.wait);
    }
}
