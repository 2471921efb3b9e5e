//! What other nodes have that this one lacks, and revocations that must be known at once.
//!
//! ```text
//!   own names ─► snapshot ─► summary ──────────────► view ─► exchange ─► names it lacks
//!                   ▲                                           │
//!                   └───── questions: cells, names, pages ◄─────┘
//!   revocation ─► notice ──► applied ─► witness
//! ```
//!
//! A driver says which peers there are sessions with ([`Gossip::up`], [`Gossip::down`]), brings what these sessions brought
//! ([`Gossip::message`]), asks for messages whenever a peer can take one ([`Gossip::next_message`]), does what
//! [`Gossip::next_event`] says, works on when it has time ([`Gossip::work`]), and comes back at [`Gossip::deadline`] and
//! whenever something was admitted ([`Gossip::tick`]).
//!
//! Every node reads for itself what it lacks, by cells of the other's sketch; nobody is believed, and nothing is sent but
//! names. Work is done in slices of [`FOLD`] names, so that no step takes longer because a set is large.
//! Spec: docs/spec/gossip.md.

mod exchange;
mod incoming;
mod messages;
mod outgoing;
mod peer;
mod revocations;
mod shelf;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;
mod zones;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use core::time::Duration;

use fcp_proto_core::ids::{Digest, NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::gossip::{
    Exchange as Address, GOSSIP_TTL_SECS, MAX_SKETCH_BYTES, ObjectNames, SymbolName, SymbolNames,
};
use fcp_proto_core::object::{GossipRequest, RevocationWitness};
use fcp_proto_core::sketch::CELL_BYTES;
use fcp_proto_core::time::Instant;

use super::Local;
use super::admission::Admission;
use exchange::{Exchange, Read};
use peer::Peer;
use revocations::Revocations;
pub use revocations::{NotPushed, Urgency, Witnessed};
use shelf::Shelf;
use view::{Outcome, View};
pub use zones::Zones;

/// Names that one step folds. Chosen: below a millisecond.
pub const FOLD: usize = 1_024;

/// The longest message that is read: a summary with full filters.
pub const MAX_MESSAGE_BYTES: usize = 320 * 1024;

/// Exchanges of a node at once. Chosen: each holds the keys of a whole set.
pub const MAX_EXCHANGES: usize = 4;

/// Summaries that are remembered: as many as the reference remembers peers.
pub const MAX_VIEWS: usize = 4_096;

/// Bytes of filters that are remembered. A summary above it is remembered without its filters, which are hints only.
pub const MAX_FILTER_BYTES: usize = 16 * 1024 * 1024;

/// Questions of this node to one peer about single names.
pub const MAX_ASKED: usize = 16;

/// Between two summaries of a zone to one peer, if something changed: the reference's cadence.
pub const CADENCE: Duration = Duration::from_millis(300);

/// And if nothing did.
pub const REFRESH: Duration = Duration::from_secs(60);

/// Pauses between two exchanges with one peer about one zone: the first, that of a peer with nothing new, the longest.
pub const FIRST_PAUSE: Duration = CADENCE;
/// See [`FIRST_PAUSE`].
pub const IDLE_PAUSE: Duration = Duration::from_secs(10);
/// See [`FIRST_PAUSE`].
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Cells in one message.
const MESSAGE_CELLS: usize = MAX_SKETCH_BYTES / CELL_BYTES;

/// What every step needs.
pub struct Context<'c, 'l> {
    /// What the node brings to every step of the wing.
    pub local: &'c mut Local<'l>,
    /// Its zones, and what it has admitted.
    pub zones: &'c dyn Zones,
    /// The budgets of all peers.
    pub admission: &'c mut Admission,
}

/// A rule that a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is no message.
    Malformed,
    /// It is longer than any message.
    Oversized,
    /// It is of a zone that one of the two is no member of.
    Outsider,
    /// It is not what the peer of the session signed, or for somebody else.
    NotItsOwn,
    /// It is too old, or from the future. Clocks may differ, so nobody is blamed for it.
    Stale,
    /// It answers what was not asked.
    Unasked,
    /// Cells contradict each other. By chance this happens with very large differences, seldom; another salt ends it.
    Contradiction,
    /// Cells go on although the sets cannot differ in so much.
    Endless,
    /// Keys of a sketch have no names, or names are none of them.
    Invented,
}

/// What a driver must do, or the node should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer says that it has these, and they are not admitted here. It may lie.
    Learned {
        /// The zone.
        zone: ZoneId,
        /// Who says so.
        from: NodeId,
        /// The names.
        names: Vec<ObjectId>,
    },
    /// The answer to [`Gossip::ask`].
    Has {
        /// The zone.
        zone: ZoneId,
        /// Who says so.
        from: NodeId,
        /// Objects that it has.
        objects: Vec<ObjectId>,
        /// Symbols that it has.
        symbols: Vec<SymbolName>,
    },
    /// A revocation came, whose signature is to be checked now; then [`Gossip::applied`].
    Revocation {
        /// The zone.
        zone: ZoneId,
        /// Who passed it on.
        from: NodeId,
        /// The revocation as stored.
        revocation: Vec<u8>,
        /// How many links the sender's chain has with it.
        head_seq: u64,
    },
    /// What came of an emergency.
    Witnessed {
        /// The zone.
        zone: ZoneId,
        /// BLAKE3 of the revocation as stored.
        revocation: Digest,
        /// Whether enough keep to it.
        witnessed: Witnessed,
    },
    /// A peer broke a rule. Admission has counted it.
    Misbehaved {
        /// The peer.
        peer: NodeId,
        /// The rule.
        fault: Fault,
    },
}

/// Gossip of a node, in all of its zones and with all of its peers.
#[derive(Debug, Default)]
pub struct Gossip {
    shelves: BTreeMap<ZoneId, Shelf>,
    peers: BTreeMap<NodeId, Peer>,
    views: BTreeMap<(ZoneId, NodeId), View>,
    exchanges: Vec<Exchange>,
    /// With whom the last exchange began, so that the next is with another.
    last: Option<(ZoneId, NodeId)>,
    revocations: Revocations,
    events: VecDeque<Event>,
    /// Whose turn it is to work.
    turn: usize,
    ticked: Instant,
}

impl Gossip {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// There is a session with the peer.
    pub fn up(&mut self, peer: &NodeId, context: &Context<'_, '_>) {
        // A new session may be with a process that has forgotten everything.
        self.down(peer);
        self.peers.insert(peer.clone(), Peer::default());
        let is_member = |zone: &ZoneId| context.zones.is_member(zone, peer);
        self.revocations.up(peer, is_member, context.local.now.mono);
    }

    /// There is none any more: who is not there has nothing to give.
    pub fn down(&mut self, peer: &NodeId) {
        self.peers.remove(peer);
        self.revocations.down(peer);
        self.exchanges.retain(|exchange| exchange.peer != *peer);
        self.views.retain(|(_, of), _| of != peer);
    }

    /// What time brings, and what was admitted since.
    pub fn tick(&mut self, context: &mut Context<'_, '_>) {
        let now = context.local.now.mono;
        self.ticked = now;
        self.forget(context);
        for (zone, shelf) in &mut self.shelves {
            shelf.tick(zone, context);
        }
        while let Some(late) = self.exchanges.iter().position(|exchange| exchange.is_late(now)) {
            self.end(late, Outcome::Failed, context);
        }
        self.revocations.expire(now);
        while let Some((zone, revocation, witnessed)) = self.revocations.verdict(now) {
            self.events.push_back(Event::Witnessed { zone, revocation, witnessed });
        }
        while self.exchanges.len() < MAX_EXCHANGES && self.begin(context) {}
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        self.shelves.values().any(Shelf::has_work) || self.exchanges.iter().any(Exchange::has_work)
    }

    /// Works on one thing for a bounded time: zones and exchanges take turns.
    //= docs/spec/gossip.md#bounds
    pub fn work(&mut self, context: &mut Context<'_, '_>) {
        let zones: Vec<_> =
            self.shelves.iter().filter(|(_, shelf)| shelf.has_work()).map(|(zone, _)| zone.clone()).collect();
        let exchanges: Vec<_> =
            (0..self.exchanges.len()).filter(|place| self.exchanges[*place].has_work()).collect();
        let Some(place) = self.turn.checked_rem(zones.len() + exchanges.len()) else { return };
        self.turn = self.turn.wrapping_add(1);
        if let Some(zone) = zones.get(place) {
            if let Some(shelf) = self.shelves.get_mut(zone) {
                shelf.work(zone, context);
            }
        } else if let Some(place) = exchanges.get(place - zones.len()) {
            let read = self.exchanges[*place].work(context.zones);
            self.read(*place, read, context);
        }
    }

    /// The next thing to do or to know.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Peers that may have an object, by what they say. Some of them have not.
    pub fn sources<'a>(&'a self, zone: &ZoneId, object: &ObjectId) -> impl Iterator<Item = &'a NodeId> {
        let (zone, object) = (zone.clone(), *object);
        let may_have =
            move |((of, _), view): &(&(ZoneId, NodeId), &View)| *of == zone && view.may_have(&object);
        self.views.iter().filter(may_have).map(|((_, peer), _)| peer)
    }

    /// Peers that may have a symbol, by what they say. Some of them have not.
    pub fn symbol_sources<'a>(
        &'a self,
        zone: &ZoneId,
        symbol: &SymbolName,
    ) -> impl Iterator<Item = &'a NodeId> {
        let (zone, symbol) = (zone.clone(), symbol.clone());
        let may_have =
            move |((of, _), view): &(&(ZoneId, NodeId), &View)| *of == zone && view.may_have_symbol(&symbol);
        self.views.iter().filter(may_have).map(|((_, peer), _)| peer)
    }

    /// Asks a peer which of these it has; it may not answer. Whether it will be asked.
    pub fn ask(
        &mut self,
        peer: &NodeId,
        zone: &ZoneId,
        (objects, symbols): (ObjectNames, SymbolNames),
        context: &mut Context<'_, '_>,
    ) -> bool {
        let request_id = context.local.entropy.bytes();
        let exchange = Address { request_id, from: context.local.me.clone(), to: peer.clone() };
        let nothing = objects.get().is_empty() && symbols.get().is_empty();
        let Some(peer) = self.peers.get_mut(peer).filter(|_| !nothing) else { return false };
        if peer.asked.len() >= MAX_ASKED {
            // The oldest was answered long ago, or never will be.
            peer.asked.pop_front();
            peer.sent = peer.sent.saturating_sub(1);
        }
        peer.asked.push_back((zone.clone(), GossipRequest { exchange, objects, symbols }));
        true
    }

    /// Tells all members of the zone of a revocation that this node keeps to, as an object as stored.
    ///
    /// # Errors
    /// [`NotPushed`]; it still comes to the others like any object.
    pub fn push(
        &mut self,
        zone: &ZoneId,
        revocation: (&[u8], u64),
        urgency: Urgency,
        context: &Context<'_, '_>,
    ) -> Result<Digest, NotPushed> {
        let members = self.peers.keys().filter(|peer| context.zones.is_member(zone, peer)).cloned().collect();
        self.revocations.push(zone, revocation, urgency, members, context.local.now.mono)
    }

    /// This node keeps to a revocation that came by [`Event::Revocation`] from `from`: a witness goes back to it, and the
    /// revocation on to all others.
    ///
    /// # Errors
    /// [`NotPushed`]; the witness goes back all the same.
    //= docs/spec/gossip.md#witnesses
    pub fn applied(
        &mut self,
        (zone, from): (&ZoneId, &NodeId),
        (revocation, head_seq): (&[u8], u64),
        context: &Context<'_, '_>,
    ) -> Result<(), NotPushed> {
        let digest = fcp_proto_core::crypto::hash::digest(revocation);
        let witness = RevocationWitness { from: context.local.me.clone(), revocation: digest, head_seq };
        self.revocations.owe(from, zone, witness);
        self.push(zone, (revocation, head_seq), Urgency::Priority, context)?;
        self.revocations.knows(from, &digest);
        Ok(())
    }

    /// When to come back for [`tick`](Self::tick) and for messages. What is due already waits for something else.
    pub fn deadline(&self) -> Option<Instant> {
        let begins = self.shelves.values().filter_map(|shelf| shelf.begins);
        let exchanges = self.exchanges.iter().map(Exchange::deadline);
        let views = self.views.iter().filter_map(|((zone, _), view)| {
            let current = self.shelves.get(zone)?.current()?;
            view.due(Some(&current.digest), current.version)
        });
        let summaries =
            self.shelves.iter().filter_map(|(zone, shelf)| Some((zone, shelf.current()?))).flat_map(
                |(zone, current)| self.peers.values().map(|peer| peer.summary_due(zone, &current.salt)),
            );
        let all = begins.chain(exchanges).chain(views).chain(summaries).chain(self.revocations.deadlines());
        all.filter(|at| *at > self.ticked).min()
    }

    /// Summaries that are remembered, exchanges under way, bytes of filters.
    pub fn size(&self) -> (usize, usize, usize) {
        (self.views.len(), self.exchanges.len(), self.filters())
    }

    fn filters(&self) -> usize {
        self.views.values().map(|view| view.heard.filters()).sum()
    }

    /// What is not a matter of this node any more, or was not heard of for too long.
    fn forget(&mut self, context: &Context<'_, '_>) {
        let (me, now) = (context.local.me, context.local.now.mono);
        let zones = context.zones.zones();
        let is_mine = |zone: &ZoneId| zones.contains(zone) && context.zones.is_member(zone, me);
        self.shelves.retain(|zone, _| is_mine(zone));
        for zone in zones.iter().filter(|zone| is_mine(zone)) {
            self.shelves.entry(zone.clone()).or_default();
        }
        let both = |zone: &ZoneId, peer: &NodeId| is_mine(zone) && context.zones.is_member(zone, peer);
        for (name, peer) in &mut self.peers {
            peer.retain(|zone| both(zone, name));
        }
        self.exchanges.retain(|it| both(&it.zone, &it.peer));
        let lifetime = Duration::from_secs(GOSSIP_TTL_SECS);
        self.views.retain(|(zone, peer), view| {
            both(zone, peer) && now.saturating_since(view.came_at()) <= lifetime
        });
    }

    /// Begins the next exchange, whose turn it is; whether there is one.
    //= docs/spec/gossip.md#turns
    fn begin(&mut self, context: &Context<'_, '_>) -> bool {
        let behind = self.last.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.views.range((behind, Bound::Unbounded));
        let mut turns = later.chain(&self.views);
        let Some((pair, view)) = turns.find(|(pair, view)| self.is_due(pair, view, context)) else {
            return false;
        };
        let pair = pair.clone();
        self.exchanges.push(Exchange::new(pair.clone(), view.heard.clone(), view.listed, context));
        self.last = Some(pair);
        true
    }

    fn is_due(&self, (zone, peer): &(ZoneId, NodeId), view: &View, context: &Context<'_, '_>) -> bool {
        let now = context.local.now.mono;
        let version = context.zones.version(zone);
        let current = self.shelves.get(zone).and_then(Shelf::current);
        let digest = current.filter(|current| current.version == version).map(|current| &current.digest);
        let due = view.due(digest, version).is_some_and(|due| due <= now);
        due && self.exchanges.iter().all(|it| it.peer != *peer) && context.admission.hears(peer, now).is_ok()
    }

    /// Does what an exchange read.
    fn read(&mut self, place: usize, read: Read, context: &mut Context<'_, '_>) {
        let Exchange { zone, peer, .. } = &self.exchanges[place];
        let (zone, peer) = (zone.clone(), peer.clone());
        let Read { names, fault, over } = read;
        if !names.is_empty() {
            if let Some(view) = self.views.get_mut(&(zone.clone(), peer.clone())) {
                view.teach(&names);
            }
            self.events.push_back(Event::Learned { zone, from: peer.clone(), names });
        }
        if let Some(fault) = fault {
            self.blame(&peer, fault, context);
        }
        if let Some(outcome) = over {
            self.end(place, outcome, context);
        }
    }

    fn end(&mut self, place: usize, outcome: Outcome, context: &Context<'_, '_>) {
        let exchange = self.exchanges.swap_remove(place);
        let (compared, listed) = (exchange.compared(), exchange.listed());
        let Exchange { zone, peer, .. } = exchange;
        let Some(view) = self.views.get_mut(&(zone.clone(), peer)) else { return };
        view.end(outcome, &zone, context.zones, context.local.now.mono);
        view.listed = listed;
        match outcome {
            Outcome::Taught | Outcome::NothingNew if listed.is_none() => view.compared = Some(compared),
            Outcome::Taught | Outcome::NothingNew | Outcome::Busy(_) | Outcome::Failed => (),
        }
    }

    /// A peer broke a rule: it is counted, and named.
    fn blame(&mut self, peer: &NodeId, fault: Fault, context: &mut Context<'_, '_>) {
        if fault != Fault::Stale {
            context.admission.failed(peer, context.local.now.mono);
        }
        self.events.push_back(Event::Misbehaved { peer: peer.clone(), fault });
    }
}

impl fmt::Debug for Context<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("me", self.local.me).finish_non_exhaustive()
    }
}
