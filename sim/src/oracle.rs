//! What must hold, seen by somebody who knows everything.

use std::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::frame::content::Lane;

/// A message from one node to another.
pub type Pair = (usize, usize);

/// What was said and heard.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Numbers that were said and not heard yet.
    waiting: BTreeMap<Pair, BTreeSet<u64>>,
    /// Numbers that were heard.
    heard: BTreeMap<Pair, BTreeSet<u64>>,
    /// Numbers that a session ended with unacknowledged: they may be heard twice.
    doubtful: BTreeMap<Pair, BTreeSet<u64>>,
    /// The last number of each lane in the session that stands.
    last: BTreeMap<(Pair, Lane), u64>,
    next: u64,
}

/// What was broken.
pub type Violation = String;

impl Oracle {
    /// A new message's number.
    pub fn say(&mut self, pair: Pair) -> u64 {
        self.next += 1;
        self.waiting.entry(pair).or_default().insert(self.next);
        self.next
    }

    /// A message was heard.
    pub fn hear(&mut self, pair: Pair, lane: Lane, number: u64) -> Result<(), Violation> {
        if self.last.insert((pair, lane), number).is_some_and(|last| last >= number) {
            return Err(format!("{pair:?} {lane:?}: {number} came after a later one"));
        }
        let known = self.waiting.entry(pair).or_default().remove(&number);
        let again = !self.heard.entry(pair).or_default().insert(number);
        let doubtful = self.doubtful.get(&pair).is_some_and(|numbers| numbers.contains(&number));
        match (known, again) {
            (true, false) => Ok(()),
            (_, true) if doubtful => Ok(()),
            (_, true) => Err(format!("{pair:?}: {number} was heard twice")),
            (false, false) => Err(format!("{pair:?}: {number} was never said")),
        }
    }

    /// A session ended, and its sender does not know whether this was heard.
    pub fn doubt(&mut self, pair: Pair, number: u64) {
        self.doubtful.entry(pair).or_default().insert(number);
    }

    /// A new session of a listener with a speaker: its lanes begin anew.
    pub fn begin(&mut self, pair: Pair) {
        self.last.retain(|(of, _), _| *of != pair);
    }

    /// A speaker's process died: what it had not got rid of is forgotten.
    pub fn forget(&mut self, speaker: usize) {
        self.waiting.retain(|(from, _), _| *from != speaker);
        for (pair, heard) in &self.heard {
            if pair.0 == speaker {
                self.doubtful.entry(*pair).or_default().extend(heard);
            }
        }
    }

    /// What was said and never heard, at the end of a peaceful time.
    pub fn missing(&self) -> Vec<(Pair, u64)> {
        let all =
            self.waiting.iter().flat_map(|(pair, numbers)| numbers.iter().map(|number| (*pair, *number)));
        all.collect()
    }

    /// How many messages were heard.
    pub fn count(&self) -> usize {
        self.heard.values().map(BTreeSet::len).sum()
    }
}
