//! Carriers between nodes: ordered, slow, bounded, and gone when they break.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::Instant;
use fcp_state_machines::link::links::CarrierId;

use crate::between;

/// Bytes that a carrier holds in one direction before it takes no more.
const CAPACITY: usize = 64 * 1024;

/// Bytes a second that a carrier moves.
const BANDWIDTH: u64 = 4 * 1024 * 1024;

/// After which a carrier without an answer is given up by whoever waits on it.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// All carriers, and which pairs are kept apart.
#[derive(Debug)]
pub struct Network {
    random: Entropy,
    carriers: BTreeMap<CarrierId, Carrier>,
    /// Until when nothing passes from the first to the second.
    blocked: BTreeMap<(usize, usize), Instant>,
    next: u64,
}

#[derive(Debug)]
struct Carrier {
    ends: [usize; 2],
    /// Bytes under way from each end.
    under_way: [usize; 2],
    /// When the last frame of each end arrives.
    last: [Instant; 2],
}

impl Network {
    /// A network without carriers.
    pub fn new(random: Entropy) -> Self {
        Self { random, carriers: BTreeMap::new(), blocked: BTreeMap::new(), next: 1 }
    }

    /// How long a frame takes, now.
    pub fn latency(&mut self) -> Duration {
        // Mostly near, sometimes far, seldom very far.
        let most = match self.random.below(10) {
            0..7 => 20,
            7..9 => 150,
            _ => 900,
        };
        between(&mut self.random, Duration::from_millis(1), Duration::from_millis(most))
    }

    /// Keeps what `from` sends away from `to`.
    pub fn block(&mut self, from: usize, to: usize, until: Instant) {
        let standing = self.blocked.entry((from, to)).or_default();
        *standing = until.max(*standing);
    }

    /// Whether something passes both ways.
    pub fn connects(&self, one: usize, other: usize, now: Instant) -> bool {
        self.passes(one, other, now) && self.passes(other, one, now)
    }

    /// Whether what `from` sends reaches `to`.
    pub fn passes(&self, from: usize, to: usize, now: Instant) -> bool {
        self.blocked.get(&(from, to)).is_none_or(|until| *until <= now)
    }

    /// A new carrier from `one` to `other`.
    pub fn open(&mut self, one: usize, other: usize, now: Instant) -> CarrierId {
        let id = CarrierId(self.next);
        self.next += 1;
        self.carriers.insert(id, Carrier { ends: [one, other], under_way: [0; 2], last: [now; 2] });
        id
    }

    /// The carrier is no more; whose it was.
    pub fn close(&mut self, id: CarrierId) -> Option<[usize; 2]> {
        self.carriers.remove(&id).map(|carrier| carrier.ends)
    }

    /// The carriers of a node.
    pub fn of(&self, node: usize) -> BTreeSet<CarrierId> {
        let of = |(id, carrier): (&CarrierId, &Carrier)| carrier.ends.contains(&node).then_some(*id);
        self.carriers.iter().filter_map(of).collect()
    }

    /// The carriers between two nodes.
    pub fn between(&self, one: usize, other: usize) -> BTreeSet<CarrierId> {
        self.of(one).intersection(&self.of(other)).copied().collect()
    }

    /// Who is at the other end.
    pub fn peer(&self, id: CarrierId, node: usize) -> Option<usize> {
        let carrier = self.carriers.get(&id)?;
        carrier.ends.into_iter().find(|end| *end != node)
    }

    /// Whether the carrier takes a frame of `node` now.
    pub fn takes(&self, id: CarrierId, node: usize) -> bool {
        let end = |carrier: &Carrier| carrier.ends.iter().position(|end| *end == node);
        let carrier = self.carriers.get(&id);
        carrier.is_some_and(|carrier| end(carrier).is_some_and(|end| carrier.under_way[end] < CAPACITY))
    }

    /// Takes a frame of `node`; when it arrives.
    pub fn send(&mut self, id: CarrierId, node: usize, bytes: usize, now: Instant) -> Option<Instant> {
        let latency = self.latency();
        let carrier = self.carriers.get_mut(&id)?;
        let end = carrier.ends.iter().position(|end| *end == node)?;
        let moving = Duration::from_nanos(bytes as u64 * 1_000_000_000 / BANDWIDTH);
        let arrives = carrier.last[end].max(now.saturating_add(latency)).saturating_add(moving);
        carrier.last[end] = arrives;
        carrier.under_way[end] += bytes;
        Some(arrives)
    }

    /// When a datagram arrives: not at all, once, or more than once, and perhaps behind later ones.
    pub fn datagram(&mut self, from: usize, to: usize, bytes: usize, now: Instant) -> Vec<Instant> {
        let times = match self.random.below(100) {
            _ if !self.passes(from, to, now) => 0,
            0..12 => 0,
            12..95 => 1,
            _ => 2,
        };
        let moving = Duration::from_nanos(bytes as u64 * 1_000_000_000 / BANDWIDTH);
        (0..times).map(|_| now.saturating_add(self.latency()).saturating_add(moving)).collect()
    }

    /// A frame of `node` left the carrier; whether the carrier still stands.
    pub fn arrived(&mut self, id: CarrierId, node: usize, bytes: usize) -> bool {
        let Some(carrier) = self.carriers.get_mut(&id) else { return false };
        if let Some(end) = carrier.ends.iter().position(|end| *end == node) {
            carrier.under_way[end] -= bytes;
        }
        true
    }
}
