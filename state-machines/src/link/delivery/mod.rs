//! Objects by their symbols, from whoever has some: request, bounded answer, status, acknowledgement.
//!
//! ```text
//!  want ─► inquire ─► offer ─► request ──► symbols ─► decode ─► the object, by its identity
//!             ▲          │        ▲           │          │
//!          refusal ◄─────┘        └─ status ◄─┘          └─► somebody lied: without whom is it right?
//! ```
//!
//! A driver brings what sessions brought ([`Delivery::message`], [`Delivery::frame`]), says which peers there are sessions
//! with ([`Delivery::up`], [`Delivery::down`]), does what [`Delivery::next_event`] says, asks for frames whenever a peer can
//! take one ([`Delivery::next_frame`]), decodes when it has time ([`Delivery::decode`]) and comes back at
//! [`Delivery::deadline`].
//!
//! The receiver decides what comes: it asks each source for symbols that it asked of no other, and asks again for what did
//! not come. Symbols are kept sealed, as they came; a driver that stores them ([`Event::Keep`]) goes on after a restart
//! where it was ([`Delivery::resume`]). Spec: docs/spec/delivery.md.

mod exchange;
mod fetch;
mod holdings;
pub(super) mod messages;
pub mod range;
mod received;
mod reception;
mod serve;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::frame::header::Header;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::limits::MAX_DECODE_BYTES;
use fcp_proto_core::object::{SymbolAckReason, SymbolMessage};
use fcp_proto_core::symbol::{DecodeLimits, Decodes, EncodingSet, IdentifiedObject, TransmissionInformation};
use fcp_proto_core::time::Instant;

use super::Local;
use super::admission::{Admission, Cost, Limits};
use fetch::Fetch;
pub use holdings::{Holding, Holdings, Part};
use received::{Attempt, Received};
use serve::{Answer, Provider};

/// Sources of one fetch that are known.
pub const MAX_SOURCES: usize = 6;

/// Objects that are wanted at once.
pub const MAX_WANTED: usize = 1_024;

/// Most symbols that a request without a hint may ask for: that of the reference.
pub const MAX_UNHINTED: u32 = 100;

/// Symbols that one request names. Chosen: they fit into one hint, and what is lost is asked for again soon.
pub const MAX_ASKED: usize = 64;

/// How long a source gets to answer at first. Chosen: above the slowest round trip of a satellite.
pub const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The longest time between two questions to a source.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What every step needs.
pub struct Context<'c, 'l> {
    /// What the node brings to every step of the wing.
    pub local: &'c mut Local<'l>,
    /// Its zones, and what it has.
    pub holdings: &'c dyn Holdings,
}

/// Symbols that came, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of what.
    pub set: EncodingSet,
    /// Who sent them.
    pub from: NodeId,
    /// How the object is cut, as that node says.
    pub information: TransmissionInformation,
    /// The frame, sealed.
    pub frame: Vec<u8>,
}

/// What a driver must do, or the node should know.
#[derive(Debug)]
pub enum Event {
    /// Say this to the peer, on the lane for what is neither urgent nor bulk. If it is lost, it is said again.
    Send {
        /// To whom.
        to: NodeId,
        /// The message.
        message: Vec<u8>,
    },
    /// A frame with symbols that were not there before; whoever stores it may give it back after a restart.
    Keep(Kept),
    /// A peer has an object that nobody here wants yet.
    Offered {
        /// What.
        set: EncodingSet,
        /// Its epoch.
        epoch_id: u64,
        /// Who.
        from: NodeId,
        /// How many bytes it has.
        bytes: usize,
    },
    /// The object is there, and it is the one that was wanted.
    Fetched {
        /// What was wanted.
        set: EncodingSet,
        /// The object.
        object: Box<IdentifiedObject>,
        /// Who sent symbols of something else.
        liars: Vec<NodeId>,
    },
}

/// Why something is not wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWanted {
    /// As much is wanted as may be.
    TooMany,
}

/// A decode came to nothing: whose symbols were in it. It is to be given to [`Delivery::wasted`].
#[must_use]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wasted(Vec<NodeId>);

/// All transfers of a node, both ways.
#[derive(Debug)]
pub struct Delivery {
    admission: Admission,
    provider: Provider,
    fetches: BTreeMap<EncodingSet, Fetch>,
    decodes: Decodes,
    up: BTreeSet<NodeId>,
    events: VecDeque<Event>,
    nonce: u64,
}

impl Delivery {
    /// Nothing is under way.
    pub fn new(limits: Limits, now: Instant) -> Self {
        // One decode runs at a time, and the memory of what it reads is reckoned by admission.
        let decodes = DecodeLimits { bytes: MAX_DECODE_BYTES, ..DecodeLimits::default() };
        Self {
            admission: Admission::new(limits, now),
            provider: Provider::default(),
            fetches: BTreeMap::new(),
            decodes: Decodes::new(decodes),
            up: BTreeSet::new(),
            events: VecDeque::new(),
            nonce: 0,
        }
    }

    /// There is a session with the peer.
    pub fn up(&mut self, peer: &NodeId, now: Instant) {
        // A new session may be with a process that has forgotten everything.
        self.provider.down(peer, &mut self.admission, now);
        self.up.insert(peer.clone());
        self.fetches.values_mut().for_each(|fetch| fetch.session(peer, true, now));
    }

    /// There is none any more.
    pub fn down(&mut self, peer: &NodeId, now: Instant) {
        self.provider.down(peer, &mut self.admission, now);
        self.up.remove(peer);
        self.fetches.values_mut().for_each(|fetch| fetch.session(peer, false, now));
    }

    /// The object is wanted, and these may have it; more may be named later.
    ///
    /// # Errors
    /// [`NotWanted`].
    pub fn want<'a>(
        &mut self,
        set: &EncodingSet,
        epoch_id: u64,
        sources: impl IntoIterator<Item = &'a NodeId>,
        now: Instant,
    ) -> Result<(), NotWanted> {
        if !self.fetches.contains_key(set) && self.fetches.len() >= MAX_WANTED {
            return Err(NotWanted::TooMany);
        }
        let fetch = self.fetches.entry(set.clone()).or_insert_with(|| Fetch::new(epoch_id, now));
        for source in sources {
            fetch.add(source, self.up.contains(source), now);
        }
        Ok(())
    }

    /// The object is not wanted any more.
    pub fn cancel(&mut self, set: &EncodingSet, context: &mut Context<'_, '_>) {
        self.end(set, SymbolAckReason::Cancelled, context);
    }

    /// Whether the object is wanted.
    pub fn wants(&self, set: &EncodingSet) -> bool {
        self.fetches.contains_key(set)
    }

    /// Distinct symbols that there are of an object that is wanted.
    pub fn received(&self, set: &EncodingSet) -> u32 {
        self.fetches.get(set).and_then(|fetch| fetch.received.as_ref()).map_or(0, Received::count)
    }

    /// Tells a peer that an object is to be had here.
    pub fn offer(&mut self, set: &EncodingSet, epoch_id: u64, peer: &NodeId, context: &mut Context<'_, '_>) {
        let information = context.holdings.holding(set).and_then(|holding| holding.information());
        if let Some(information) = information
            && context.holdings.is_member(&set.zone_id, peer)
        {
            self.say_offer(set, epoch_id, information, peer, context);
        }
    }

    /// A lane brought a message of the peer.
    //= docs/spec/delivery.md#messages
    pub fn message(&mut self, peer: &NodeId, bytes: &[u8], context: &mut Context<'_, '_>) {
        let now = context.local.now.mono;
        let cost = Cost { bytes: bytes.len() as u64, symbols: 0 };
        if self.admission.received(peer, cost, now).is_err() {
            return;
        }
        let answer = match messages::read(bytes) {
            Ok(SymbolMessage::Request(request)) => self.request(peer, &request, context),
            Ok(SymbolMessage::DecodeStatus(status)) => {
                self.provider.status(peer, &status, &mut self.admission, context)
            }
            Ok(SymbolMessage::Ack(ack)) => self.provider.ack(peer, &ack, &mut self.admission, context),
            Ok(SymbolMessage::Offer(offer)) => self.offered(peer, &offer, context),
            Ok(SymbolMessage::Refusal(refusal)) => self.refused(peer, &refusal, context),
            Err(_) => Answer::Misbehaved,
        };
        if answer == Answer::Misbehaved {
            self.admission.failed(peer, now);
        }
    }

    /// A datagram of the session with the peer brought a frame, which is opened in place.
    //= docs/spec/delivery.md#what-counts
    pub fn frame(&mut self, peer: &NodeId, frame: &mut [u8], context: &mut Context<'_, '_>) {
        let now = context.local.now.mono;
        let length = frame.len();
        let header = Header::parse(frame, length);
        let symbols = header.as_ref().map_or(1, |header| u64::from(header.symbol_count));
        let cost = Cost { bytes: length as u64, symbols };
        if self.admission.received(peer, cost, now).is_err() {
            return;
        }
        let Ok(header) = header else { return self.admission.failed(peer, now) };
        let Some(set) = self.set_of(&header) else { return };
        if let Some(kept) = self.take(peer, &set, frame, context) {
            self.events.push_back(Event::Keep(kept));
        }
    }

    /// A frame that was stored before a restart, as [`Event::Keep`] gave it. It is opened again: nothing is believed
    /// because it was stored.
    //= docs/spec/delivery.md#resuming
    pub fn resume(&mut self, stored: &mut Kept, context: &mut Context<'_, '_>) {
        let now = context.local.now.mono;
        let Kept { set, from, information, frame } = stored;
        let Some(fetch) = self.fetches.get_mut(set) else { return };
        fetch.add(from, self.up.contains(from), now);
        if let Some(source) = fetch.sources.get_mut(from) {
            source.information = source.information.or(Some(*information));
        }
        self.choose(set, now);
        self.take(from, set, frame, context);
    }

    /// What time brings.
    pub fn tick(&mut self, context: &mut Context<'_, '_>) {
        let now = context.local.now.mono;
        self.provider.tick(&mut self.admission, now);
        let sets: Vec<_> = self.fetches.keys().cloned().collect();
        for set in sets {
            self.choose(&set, now);
            self.take_turns(&set, now);
            self.take_own(&set, context);
            let Some(fetch) = self.fetches.get_mut(&set) else { continue };
            let epoch_id = fetch.epoch_id;
            for (peer, say) in fetch.ask(now) {
                self.say(&peer, &set, epoch_id, say, context);
            }
        }
    }

    /// Whether a decode is worth trying.
    pub fn can_decode(&self, now: Instant) -> bool {
        let ready = |fetch: &Fetch| fetch.received.as_ref().is_some_and(Received::is_ready);
        self.admission.decode(now).is_ok() && self.fetches.values().any(ready)
    }

    /// Tries one decode, which may take as long as a thousand symbols; whose symbols came to nothing.
    //= docs/spec/delivery.md#who-lied
    pub fn decode(&mut self, context: &mut Context<'_, '_>) -> Wasted {
        let now = context.local.now.mono;
        if self.admission.decode(now).is_err() {
            return Wasted::default();
        }
        let mut ready =
            self.fetches.iter_mut().filter_map(|(set, fetch)| Some((set, fetch.received.as_mut()?)));
        let Some((set, received)) = ready.find(|(_, received)| received.is_ready()) else {
            return Wasted::default();
        };
        let set = set.clone();
        match received.attempt(&set, &mut self.decodes, context) {
            Attempt::Object(object, liars) => {
                self.end(&set, SymbolAckReason::Complete, context);
                self.events.push_back(Event::Fetched { set, object, liars });
                Wasted::default()
            }
            Attempt::More | Attempt::NotNow => Wasted::default(),
            Attempt::Wrong(among) => {
                self.doubted(&set, now);
                Wasted(among)
            }
        }
    }

    /// How long it took to find out that symbols came to nothing.
    pub fn wasted(&mut self, wasted: &Wasted, took: Duration, now: Instant) {
        wasted.0.iter().for_each(|peer| self.admission.wasted(peer, took, now));
    }

    /// The next thing to do or to know.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether there is a frame for the peer.
    pub fn has_frame(&self, peer: &NodeId) -> bool {
        self.provider.has_frame(peer)
    }

    /// The peers for which there are frames.
    pub fn busy(&self) -> impl Iterator<Item = &NodeId> {
        self.provider.busy()
    }

    /// Writes the next frame for the peer behind room for the prefix of a datagram, which is of at most `max` bytes.
    //= docs/spec/delivery.md#answering
    pub fn next_frame(
        &mut self,
        peer: &NodeId,
        max: usize,
        context: &mut Context<'_, '_>,
        out: &mut Vec<u8>,
    ) -> bool {
        // A node that has not proved itself gets no more than it paid for, and the rest never.
        let proven = context.local.peers.key(peer).is_some();
        if !proven && self.admission.unproven(peer) < max as u64 {
            self.provider.down(peer, &mut self.admission, context.local.now.mono);
            return false;
        }
        let written = self.provider.next_frame(peer, max, &mut self.admission, context, out);
        written && (proven || self.admission.amplifies(peer, out.len() as u64))
    }

    /// When to come back for [`tick`](Self::tick).
    pub fn deadline(&self) -> Option<Instant> {
        let fetches = self.fetches.values().filter_map(Fetch::deadline);
        fetches.chain(self.admission.deadline()).min()
    }

    /// Bytes of symbols that are kept, which is never more than what is reserved.
    pub fn held(&self) -> usize {
        self.fetches.values().filter_map(|fetch| fetch.received.as_ref()).map(Received::held).sum()
    }

    /// The budgets.
    pub const fn admission(&self) -> &Admission {
        &self.admission
    }
}

impl fmt::Debug for Context<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("me", self.local.me).finish_non_exhaustive()
    }
}

impl fmt::Display for NotWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many objects are wanted"),
        }
    }
}

impl core::error::Error for NotWanted {}

impl NotWanted {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooMany => Code::Exhausted,
        }
    }
}
