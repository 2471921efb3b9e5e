//! The symbols that a fetch has, sealed as they came and apart by sender, and the decode of those that can be believed.
//!
//! A tag says that a holder of the zone's key made a symbol, not that the symbol is true; only the identity of what is
//! rebuilt says that. So if a decode gives another object, somebody lied, and the symbols of some senders are left out
//! until the rest gives the right one: all of them are kept and put together in turn, or, without room for that, others
//! are left out each time.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::frame::header::Header;
use fcp_proto_core::frame::symbols::{Opener, Sender};
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::limits::MAX_SURPLUS_SYMBOLS;
use fcp_proto_core::symbol::{
    AdmissionError, Authenticated, Decodes, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, Symbol,
    TransmissionInformation,
};

use super::{Context, MAX_SOURCES};

/// What is kept of a symbol besides its bytes: its record, its frame's header, and where it stands.
const OVERHEAD: usize = 256;

/// A set of senders, one bit each by their order in [`Received::shares`].
type Senders = u8;

/// The symbols of one encoding, cut in one way.
#[derive(Debug)]
pub(super) struct Received {
    information: TransmissionInformation,
    shares: Vec<Share>,
    belief: Belief,
    /// Senders whose symbols do not give the object together, so that one of them lied.
    wrong: BTreeSet<Senders>,
    /// How many symbols these senders need for another attempt.
    again_at: BTreeMap<Senders, u32>,
}

/// Whose symbols count, and how.
#[derive(Debug, PartialEq, Eq)]
enum Belief {
    /// Everybody's, together.
    All,
    /// Somebody lied: each sender's count alone, and those of some senders together are right.
    Apart,
    /// Somebody lied, and there is no room for more than one set: everybody's but these senders', together.
    Without(Senders),
}

#[derive(Debug)]
struct Share {
    from: NodeId,
    frames: Vec<Vec<u8>>,
    symbols: BTreeSet<PayloadId>,
    lied: bool,
}

/// What came of an attempt to decode.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The object, and who sent symbols of another.
    Object(Box<IdentifiedObject>, Vec<NodeId>),
    /// More symbols are needed.
    More,
    /// Somebody among these lied; alone, it is proven.
    Wrong(Vec<NodeId>),
    /// There is no room, or no key, now.
    NotNow,
}

impl Received {
    pub(super) fn new(information: TransmissionInformation) -> Self {
        Self {
            information,
            shares: Vec::new(),
            belief: Belief::All,
            wrong: BTreeSet::new(),
            again_at: BTreeMap::new(),
        }
    }

    pub(super) const fn information(&self) -> TransmissionInformation {
        self.information
    }

    /// Most bytes that the symbols of one sender may take.
    //= docs/spec/delivery.md#bounds
    pub(super) const fn share_bytes(information: TransmissionInformation) -> usize {
        let surplus = information.source_blocks() as usize * MAX_SURPLUS_SYMBOLS as usize;
        (information.source_symbols() as usize + surplus) * (information.symbol_size() + OVERHEAD)
    }

    /// How many senders' symbols there may be beside each other.
    pub(super) fn shares(&self) -> usize {
        if self.is_apart() { self.shares.iter().filter(|share| !share.lied).count().max(1) } else { 1 }
    }

    /// Bytes of frames.
    pub(super) fn held(&self) -> usize {
        self.shares.iter().flat_map(|share| &share.frames).map(Vec::len).sum()
    }

    /// Distinct symbols.
    pub(super) fn count(&self) -> u32 {
        count(&self.union(self.all()))
    }

    /// Whether each sender's symbols count alone.
    pub(super) fn is_apart(&self) -> bool {
        self.belief == Belief::Apart
    }

    /// Whether what comes now comes once. Where senders are left out, what they sent is asked for again in their turn.
    pub(super) const fn is_worth_storing(&self) -> bool {
        !matches!(self.belief, Belief::Without(_))
    }

    /// Whether the symbols of `from` count now.
    pub(super) fn believes(&self, from: &NodeId) -> bool {
        let out = self.left_out();
        !self
            .shares
            .iter()
            .enumerate()
            .any(|(at, share)| share.from == *from && (share.lied || out >> at & 1 == 1))
    }

    pub(super) fn lied(&self, from: &NodeId) -> bool {
        self.shares.iter().any(|share| share.from == *from && share.lied)
    }

    /// Keeps a sealed frame with these symbols, if all of them are new and there is room.
    //= docs/spec/delivery.md#what-counts
    pub(super) fn keep(&mut self, from: &NodeId, frame: Vec<u8>, symbols: &BTreeSet<PayloadId>) -> bool {
        if !self.believes(from) || symbols.is_empty() {
            return false;
        }
        let seen = self.seen(from);
        let room = |id: &PayloadId| {
            let beside = seen.iter().chain(symbols).filter(|it| it.block() == id.block()).count();
            let most = self.information.block(id.block()).map(|block| u32::from(block.source_symbols));
            most.is_some_and(|most| beside as u32 <= most + MAX_SURPLUS_SYMBOLS)
        };
        if !symbols.is_disjoint(&seen) || !symbols.iter().all(room) {
            return false;
        }
        let Some(share) = self.share(from) else { return false };
        share.frames.push(frame);
        share.symbols.extend(symbols);
        true
    }

    /// How many more symbols of `from` are wanted, and which source symbols would do.
    pub(super) fn missing(&self, from: &NodeId) -> (u32, Vec<PayloadId>) {
        let seen = self.seen(from);
        let needed: u32 = self
            .information
            .blocks()
            .map(|block| {
                let have = seen.iter().filter(|id| id.block() == block.number).count() as u32;
                u32::from(block.source_symbols).saturating_sub(have)
            })
            .sum();
        let sources = self.information.blocks().flat_map(|block| {
            (0..u32::from(block.source_symbols)).filter_map(move |esi| PayloadId::new(block.number, esi).ok())
        });
        // As many as are needed were not enough if there is still something to ask for.
        (needed.max(1), sources.filter(|id| !seen.contains(id)).collect())
    }

    /// There is no room for more than one set: other senders than before are left out, what they sent is dropped, and the
    /// symbols of the rest count together.
    //= docs/spec/delivery.md#who-lied
    pub(super) fn leave_out(&mut self) {
        let (next, first) = (self.next_left_out(), self.ways_to_leave_out().first().copied());
        let out = next.or(first).unwrap_or(0);
        // What stood apart may be more than one set.
        let dropped = if self.is_apart() { Senders::MAX } else { out };
        self.belief = Belief::Without(out);
        self.again_at.clear();
        for (at, share) in self.shares.iter_mut().enumerate() {
            if dropped >> at & 1 == 1 {
                share.drop_symbols();
            }
        }
    }

    /// Whether senders are left out, and others have not had that turn.
    pub(super) fn has_others_to_leave_out(&self) -> bool {
        !self.is_worth_storing() && self.next_left_out().is_some()
    }

    /// Who is left out after those who are.
    fn next_left_out(&self) -> Option<Senders> {
        let Belief::Without(out) = self.belief else { return None };
        self.ways_to_leave_out().into_iter().find(|other| few_first(*other) > few_first(out))
    }

    /// All senders that can be left out together so that the rest can be right, the fewest first.
    fn ways_to_leave_out(&self) -> Vec<Senders> {
        let all = self.all();
        let mut ways: Vec<_> =
            (0..all).filter(|out| out & !all == 0 && !self.contains_wrong(all & !out)).collect();
        ways.sort_by_key(|out| few_first(*out));
        ways
    }

    const fn left_out(&self) -> Senders {
        match self.belief {
            Belief::All | Belief::Apart => 0,
            Belief::Without(out) => out,
        }
    }

    /// The senders with whose symbols an attempt is worth it, the most of them first.
    fn candidate(&self) -> Option<Senders> {
        let all = self.all() & !self.left_out();
        let mut candidates: Vec<_> = (1..=all).filter(|set| set & !all == 0).collect();
        if !self.is_apart() {
            candidates.retain(|set| *set == all);
        }
        candidates.sort_by_key(|set| (core::cmp::Reverse(set.count_ones()), *set));
        candidates.into_iter().find(|set| self.is_worth_it(*set))
    }

    /// Whether these senders' symbols suffice, and did not prove wrong. More symbols of somebody who lied make nothing
    /// right, and neither do those of others.
    fn is_worth_it(&self, set: Senders) -> bool {
        if self.contains_wrong(set) {
            return false;
        }
        let symbols = self.union(set);
        let enough = self.information.blocks().all(|block| {
            let have = symbols.iter().filter(|id| id.block() == block.number).count();
            have >= usize::from(block.source_symbols)
        });
        enough && self.again_at.get(&set).is_none_or(|at| count(&symbols) >= *at)
    }

    fn contains_wrong(&self, set: Senders) -> bool {
        self.wrong.iter().any(|wrong| wrong & !set == 0)
    }

    /// Whether an attempt is worth it.
    pub(super) fn is_ready(&self) -> bool {
        self.candidate().is_some()
    }

    /// Tries to decode once.
    //= docs/spec/delivery.md#who-lied
    pub(super) fn attempt(
        &mut self,
        set: &EncodingSet,
        decodes: &mut Decodes,
        context: &Context<'_, '_>,
    ) -> Attempt {
        let Some(senders) = self.candidate() else { return Attempt::More };
        let now = context.local.now.mono;
        let Some(key) = context.holdings.identity_key(&set.zone_id) else { return Attempt::NotNow };
        if decodes.begin(set.clone(), self.information, now).is_err() {
            return Attempt::NotNow;
        }
        self.fill(set, senders, decodes, context);
        match decodes.finish(set, key, now) {
            Ok(object) => {
                let liars =
                    if self.belief != Belief::All { self.liars(set, &object, context) } else { Vec::new() };
                Attempt::Object(Box::new(object), liars)
            }
            Err(AdmissionError::Incomplete { needed }) => {
                decodes.cancel(set);
                let at = count(&self.union(senders)).saturating_add(needed.max(1));
                self.again_at.insert(senders, at);
                Attempt::More
            }
            Err(AdmissionError::Decode(_)) => Attempt::Wrong(self.is_wrong(senders)),
            Err(_) => Attempt::NotNow,
        }
    }

    /// These senders' symbols give another object, or none.
    fn is_wrong(&mut self, senders: Senders) -> Vec<NodeId> {
        if self.belief == Belief::All {
            self.belief = Belief::Apart;
        }
        self.wrong.insert(senders);
        let among = |at: usize| senders >> at & 1 == 1;
        let alone = senders.count_ones() == 1;
        let mut names = Vec::new();
        for (_, share) in self.shares.iter_mut().enumerate().filter(|(at, _)| among(*at)) {
            names.push(share.from.clone());
            if alone {
                share.lied = true;
                share.drop_symbols();
            }
        }
        names
    }

    /// Gives the decoder the symbols of these senders, opened again.
    fn fill(&self, set: &EncodingSet, senders: Senders, decodes: &mut Decodes, context: &Context<'_, '_>) {
        let chosen = self.shares.iter().enumerate().filter(|(at, _)| senders >> at & 1 == 1);
        for (_, share) in chosen {
            for frame in &share.frames {
                let mut frame = frame.clone();
                open(&share.from, &mut frame, set, context, |symbol| {
                    // One that two senders sent counts once, and one that is not needed not at all.
                    _ = decodes.add(symbol, context.local.now.mono);
                });
            }
        }
    }

    /// Who sent symbols that are not those of the object.
    fn liars(&self, set: &EncodingSet, object: &IdentifiedObject, context: &Context<'_, '_>) -> Vec<NodeId> {
        let mut plans = Plans::default();
        // The bytes were those of the object, so it is as long as was said.
        let Ok(mut encoder) = Encoder::new(set, self.information, object) else { return Vec::new() };
        let mut truth = vec![0; self.information.symbol_size()];
        let mut liars = Vec::new();
        for share in &self.shares {
            let mut lied = share.lied;
            for frame in &share.frames {
                let mut frame = frame.clone();
                open(&share.from, &mut frame, set, context, |symbol| {
                    let said = symbol.get();
                    let true_one = encoder.symbol(said.id, &mut plans, &mut truth);
                    lied |= true_one.is_ok_and(|symbol| symbol.get().bytes != said.bytes);
                });
            }
            if lied {
                liars.push(share.from.clone());
            }
        }
        liars
    }

    fn share(&mut self, from: &NodeId) -> Option<&mut Share> {
        let at = self.shares.iter().position(|share| share.from == *from);
        if at.is_none() && self.shares.len() >= MAX_SOURCES {
            return None;
        }
        let at = at.unwrap_or_else(|| {
            let (frames, symbols) = (Vec::new(), BTreeSet::new());
            self.shares.push(Share { from: from.clone(), frames, symbols, lied: false });
            self.shares.len() - 1
        });
        self.shares.get_mut(at)
    }

    /// The symbols beside which one of `from` must be new.
    fn seen(&self, from: &NodeId) -> BTreeSet<PayloadId> {
        if self.is_apart() {
            let own = self.shares.iter().find(|share| share.from == *from);
            own.map(|share| share.symbols.clone()).unwrap_or_default()
        } else {
            self.union(self.all())
        }
    }

    /// All senders that did not lie.
    fn all(&self) -> Senders {
        let bits = self.shares.iter().enumerate().filter(|(_, share)| !share.lied).map(|(at, _)| 1 << at);
        bits.fold(0, |set, bit: Senders| set | bit)
    }

    fn union(&self, senders: Senders) -> BTreeSet<PayloadId> {
        let chosen = self.shares.iter().enumerate().filter(|(at, _)| senders >> at & 1 == 1);
        chosen.flat_map(|(_, share)| share.symbols.iter().copied()).collect()
    }
}

impl Share {
    fn drop_symbols(&mut self) {
        (self.frames, self.symbols) = (Vec::new(), BTreeSet::new());
    }
}

/// What a frame's symbols were, after it was opened.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Authentic ones.
    pub(super) symbols: BTreeSet<PayloadId>,
    /// How many were not, or are of another shape than was said.
    pub(super) bad: u32,
}

/// Opens a frame of `from` in place, and looks at the symbols that fit `information`.
//= docs/spec/delivery.md#what-counts
pub(super) fn symbols(
    from: &NodeId,
    frame: &mut [u8],
    set: &EncodingSet,
    information: TransmissionInformation,
    context: &Context<'_, '_>,
) -> Opened {
    let mut opened = Opened::default();
    let bad = open(from, frame, set, context, |symbol| {
        let symbol = symbol.get();
        let block = information.block(symbol.id.block());
        let fits = block.is_some_and(|block| block.source_symbols == symbol.source_symbols)
            && symbol.bytes.len() == information.symbol_size();
        if fits {
            opened.symbols.insert(symbol.id);
        } else {
            opened.bad = opened.bad.saturating_add(1);
        }
    });
    opened.bad = opened.bad.saturating_add(bad);
    opened
}

/// Opens a frame in place, and gives its authentic symbols; how many were not.
fn open(
    from: &NodeId,
    frame: &mut [u8],
    set: &EncodingSet,
    context: &Context<'_, '_>,
    mut each: impl FnMut(Authenticated<Symbol<'_>>),
) -> u32 {
    let length = frame.len();
    let Ok(header) = Header::parse(frame, length) else { return 1 };
    let Some(zone_key) = context.holdings.zone_key(&set.zone_id, &set.zone_key_id) else { return 0 };
    let sender = Sender { node: from, instance: header.sender_instance_id };
    let opener = Opener::new(zone_key, sender, context.local.provider);
    let opened = opener.symbols(frame, length).and_then(|symbols| symbols.of(set));
    let Ok(symbols) = opened else { return 1 };
    let mut bad = 0_u32;
    for symbol in symbols {
        match symbol {
            Ok(symbol) => each(symbol),
            Err(_) => bad = bad.saturating_add(1),
        }
    }
    bad
}

/// An order of sets of senders.
const fn few_first(set: Senders) -> (u32, Senders) {
    (set.count_ones(), set)
}

fn count(symbols: &BTreeSet<PayloadId>) -> u32 {
    u32::try_from(symbols.len()).unwrap_or(u32::MAX)
}
