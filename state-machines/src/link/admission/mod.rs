//! What one peer, and all of them together, may cost this node.
//!
//! * [`bucket`]: so much a minute;
//! * [`amplification`]: how much goes to a node that has not proved itself;
//! * [`quarantine`]: objects that nothing refers to yet, in fair shares.
//!
//! [`Admission`] holds all budgets of a node. Whoever is refused is told a time, and whoever comes back after exactly
//! that time is admitted, unless others took what there was. Spec: docs/spec/admission.md.

pub mod amplification;
pub mod bucket;
pub mod quarantine;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::Instant;

use amplification::Amplification;
use bucket::{Bucket, Wait};

/// What may pass, or be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes in any minute.
    pub bytes: u64,
    /// Symbols in any minute.
    pub symbols: u64,
    /// Milliseconds in any minute that decodes took which came to nothing.
    pub decode_millis: u64,
    /// Requests under way.
    pub requests: usize,
}

/// The bounds of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For each peer.
    pub peer: Allowance,
    /// For all together.
    pub node: Allowance,
    /// What a peer may get wrong in any minute: symbols, signatures, messages.
    pub failures: u64,
    /// Bytes that transfers under way may hold.
    pub memory: usize,
    /// Peers that are remembered.
    pub peers: usize,
}

/// The reference's default for each peer; its permissive set, for all.
//= docs/spec/admission.md#bounds
impl Default for Limits {
    fn default() -> Self {
        Self {
            peer: Allowance { bytes: 64 * 1024 * 1024, symbols: 200_000, decode_millis: 5_000, requests: 32 },
            node: Allowance {
                bytes: 512 * 1024 * 1024,
                symbols: 1_000_000,
                decode_millis: 60_000,
                requests: 128,
            },
            failures: 100,
            memory: 64 * 1024 * 1024,
            peers: 4_096,
        }
    }
}

/// What something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes.
    pub bytes: u64,
    /// Symbols.
    pub symbols: u64,
}

/// Which bound would be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The peer got too much wrong.
    Failures,
    /// Bytes a minute.
    Bytes,
    /// Symbols a minute.
    Symbols,
    /// Time of decodes that came to nothing.
    DecodeTime,
    /// Requests under way.
    Requests,
    /// Bytes held.
    Memory,
    /// Peers remembered.
    Peers,
}

/// Something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Because of this.
    pub bound: Bound,
    /// When it is worth another try; `None` if it never is.
    pub retry_after: Option<Duration>,
}

/// A request under way; whoever holds one gives it back by [`Admission::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// All budgets of a node.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    node: Rates,
    peers: BTreeMap<NodeId, Peer>,
    tickets: BTreeMap<Ticket, Held>,
    next: u64,
    memory: usize,
}

#[derive(Debug)]
struct Rates {
    came: Flow,
    goes: Flow,
    decode: Bucket,
}

/// What passes one way. If both ways had one budget, to ask again would cost what was waited for.
#[derive(Debug)]
struct Flow {
    bytes: Bucket,
    symbols: Bucket,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// From the peer.
    Came,
    /// To the peer.
    Goes,
}

#[derive(Debug)]
struct Peer {
    rates: Rates,
    failures: Bucket,
    amplification: Amplification,
    requests: usize,
}

#[derive(Debug)]
struct Held {
    peer: NodeId,
    until: Instant,
}

impl Admission {
    /// Nobody has cost anything yet.
    pub fn new(limits: Limits, now: Instant) -> Self {
        let node = Rates::new(&limits.node, now);
        Self { limits, node, peers: BTreeMap::new(), tickets: BTreeMap::new(), next: 0, memory: 0 }
    }

    /// Whether the peer is heard at all.
    ///
    /// # Errors
    /// [`Bound::Failures`] or [`Bound::DecodeTime`]: it got too much wrong.
    //= docs/spec/admission.md#failures
    pub fn hears(&self, peer: &NodeId, now: Instant) -> Result<(), Refused> {
        let Some(peer) = self.peers.get(peer) else { return Ok(()) };
        check(&peer.failures, 1, Bound::Failures, now)?;
        check(&peer.rates.decode, 1, Bound::DecodeTime, now)
    }

    /// Something came from the peer, and is paid for if it is heard.
    ///
    /// # Errors
    /// The bound that it would break; nothing was taken.
    //= docs/spec/admission.md#budgets
    pub fn received(&mut self, peer: &NodeId, cost: Cost, now: Instant) -> Result<(), Refused> {
        self.hears(peer, now)?;
        self.remember(peer, now)?;
        self.afford(peer, Way::Came, cost, now)?;
        self.pay(peer, Way::Came, cost, now);
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.amplification.received(cost.bytes);
        }
        Ok(())
    }

    /// A request of the peer, whose answer may cost this much and takes no longer than `hold`.
    ///
    /// # Errors
    /// The bound that it would break; nothing was taken.
    //= docs/spec/admission.md#requests
    pub fn request(
        &mut self,
        peer: &NodeId,
        answer: Cost,
        hold: Duration,
        now: Instant,
    ) -> Result<Ticket, Refused> {
        self.hears(peer, now)?;
        self.remember(peer, now)?;
        self.place(peer, now)?;
        self.afford(peer, Way::Goes, answer, now)?;
        self.pay(peer, Way::Goes, answer, now);
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.requests = entry.requests.saturating_add(1);
        }
        let ticket = Ticket(self.next);
        self.next = self.next.saturating_add(1);
        self.tickets.insert(ticket, Held { peer: peer.clone(), until: now.saturating_add(hold) });
        Ok(ticket)
    }

    /// A request is over; what of its answer was not sent is given back.
    //= docs/spec/admission.md#requests
    pub fn end(&mut self, ticket: Ticket, unused: Cost, now: Instant) {
        let Some(held) = self.tickets.remove(&ticket) else { return };
        self.node.goes.give_back(unused, now);
        if let Some(peer) = self.peers.get_mut(&held.peer) {
            peer.rates.goes.give_back(unused, now);
            peer.requests = peer.requests.saturating_sub(1);
        }
    }

    /// The requests whose time is over; their holders are to end them.
    pub fn overdue(&self, now: Instant) -> impl Iterator<Item = Ticket> + '_ {
        self.tickets.iter().filter(move |(_, held)| held.until <= now).map(|(ticket, _)| *ticket)
    }

    /// When the next request's time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.tickets.values().map(|held| held.until).min()
    }

    /// The peer sent something that is not as it must be.
    pub fn failed(&mut self, peer: &NodeId, now: Instant) {
        if self.remember(peer, now).is_ok()
            && let Some(peer) = self.peers.get_mut(peer)
        {
            peer.failures.take(1, now);
        }
    }

    /// A decode came to nothing, after this time, and the peer's symbols were among its own.
    pub fn wasted(&mut self, peer: &NodeId, took: Duration, now: Instant) {
        let millis = u64::try_from(took.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        self.node.decode.take(millis, now);
        if self.remember(peer, now).is_ok()
            && let Some(peer) = self.peers.get_mut(peer)
        {
            peer.rates.decode.take(millis, now);
        }
    }

    /// Whether there is time for a decode.
    ///
    /// # Errors
    /// [`Bound::DecodeTime`].
    pub fn decode(&self, now: Instant) -> Result<(), Refused> {
        check(&self.node.decode, 1, Bound::DecodeTime, now)
    }

    /// Counts bytes to a peer that nobody has authenticated, if they may be sent.
    #[must_use]
    pub fn amplifies(&mut self, peer: &NodeId, bytes: u64) -> bool {
        self.peers.get_mut(peer).is_some_and(|peer| peer.amplification.send(bytes))
    }

    /// Bytes that a peer that nobody has authenticated may still be sent.
    pub fn unproven(&self, peer: &NodeId) -> u64 {
        self.peers.get(peer).map_or(0, |peer| peer.amplification.left())
    }

    /// Reserves memory for a transfer.
    ///
    /// # Errors
    /// [`Bound::Memory`]; nothing was reserved.
    //= docs/spec/admission.md#memory
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refused> {
        let refused = |retry_after| Refused { bound: Bound::Memory, retry_after };
        if bytes > self.limits.memory {
            return Err(refused(None));
        }
        let used = self.memory.checked_add(bytes).filter(|used| *used <= self.limits.memory);
        self.memory = used.ok_or(refused(Some(Duration::from_secs(1))))?;
        Ok(())
    }

    /// Gives memory back.
    pub fn release(&mut self, bytes: usize) {
        self.memory = self.memory.saturating_sub(bytes);
    }

    /// Bytes that transfers have reserved.
    pub const fn reserved(&self) -> usize {
        self.memory
    }

    /// Peers that are remembered, and requests under way.
    pub fn size(&self) -> (usize, usize) {
        (self.peers.len(), self.tickets.len())
    }

    /// There is an entry for the peer. One that owes nothing says the same as none, and makes room.
    //= docs/spec/admission.md#bounds
    fn remember(&mut self, peer: &NodeId, now: Instant) -> Result<(), Refused> {
        if self.peers.contains_key(peer) {
            return Ok(());
        }
        if self.peers.len() >= self.limits.peers {
            self.peers.retain(|_, peer| !peer.is_idle(now));
        }
        if self.peers.len() >= self.limits.peers {
            let free = self.peers.values().filter(|peer| peer.requests == 0).map(Peer::idle_at).min();
            let wait = free.map_or(Duration::from_secs(60), |free| free.saturating_since(now));
            return Err(Refused { bound: Bound::Peers, retry_after: Some(wait) });
        }
        self.peers.insert(peer.clone(), Peer::new(&self.limits, now));
        Ok(())
    }

    /// There is a place for another request, or will be when the first of those that stand in its way is over.
    fn place(&self, peer: &NodeId, now: Instant) -> Result<(), Refused> {
        let mine = self.peers.get(peer).map_or(0, |peer| peer.requests);
        let of_peer = mine >= self.limits.peer.requests;
        if !of_peer && self.tickets.len() < self.limits.node.requests {
            return Ok(());
        }
        let in_the_way = self.tickets.values().filter(|held| !of_peer || held.peer == *peer);
        let first = in_the_way.map(|held| held.until.saturating_since(now)).min();
        Err(Refused { bound: Bound::Requests, retry_after: Some(first.unwrap_or_default()) })
    }

    /// The longest of all waits, so that none is left when it is over.
    fn afford(&self, peer: &NodeId, way: Way, cost: Cost, now: Instant) -> Result<(), Refused> {
        let of_peer = self.peers.get(peer).map(|peer| peer.rates.flow(way).afford(cost, now));
        let waits = [of_peer.unwrap_or(Ok(())), self.node.flow(way).afford(cost, now)];
        waits.into_iter().filter_map(Result::err).reduce(longer).map_or(Ok(()), Err)
    }

    fn pay(&mut self, peer: &NodeId, way: Way, cost: Cost, now: Instant) {
        self.node.flow_mut(way).pay(cost, now);
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.rates.flow_mut(way).pay(cost, now);
        }
    }
}

impl Rates {
    fn new(allowance: &Allowance, now: Instant) -> Self {
        Self {
            came: Flow::new(allowance, now),
            goes: Flow::new(allowance, now),
            decode: Bucket::new(allowance.decode_millis, now),
        }
    }

    fn flow(&self, way: Way) -> &Flow {
        match way {
            Way::Came => &self.came,
            Way::Goes => &self.goes,
        }
    }

    fn flow_mut(&mut self, way: Way) -> &mut Flow {
        match way {
            Way::Came => &mut self.came,
            Way::Goes => &mut self.goes,
        }
    }

    fn buckets(&self) -> [&Bucket; 5] {
        let Self { came, goes, decode } = self;
        [&came.bytes, &came.symbols, &goes.bytes, &goes.symbols, decode]
    }
}

impl Flow {
    fn new(allowance: &Allowance, now: Instant) -> Self {
        Self { bytes: Bucket::new(allowance.bytes, now), symbols: Bucket::new(allowance.symbols, now) }
    }

    fn afford(&self, cost: Cost, now: Instant) -> Result<(), Refused> {
        let bytes = check(&self.bytes, cost.bytes, Bound::Bytes, now);
        let symbols = check(&self.symbols, cost.symbols, Bound::Symbols, now);
        [bytes, symbols].into_iter().filter_map(Result::err).reduce(longer).map_or(Ok(()), Err)
    }

    fn pay(&mut self, cost: Cost, now: Instant) {
        self.bytes.take(cost.bytes, now);
        self.symbols.take(cost.symbols, now);
    }

    fn give_back(&mut self, cost: Cost, now: Instant) {
        self.bytes.give_back(cost.bytes, now);
        self.symbols.give_back(cost.symbols, now);
    }
}

impl Peer {
    fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            rates: Rates::new(&limits.peer, now),
            failures: Bucket::new(limits.failures, now),
            amplification: Amplification::default(),
            requests: 0,
        }
    }

    /// Nothing would change if it were forgotten. What a stranger has left to be sent would be lost, which is safe.
    fn is_idle(&self, now: Instant) -> bool {
        self.requests == 0
            && self.failures.is_paid(now)
            && self.rates.buckets().iter().all(|it| it.is_paid(now))
    }

    fn idle_at(&self) -> Instant {
        let rates = self.rates.buckets().map(Bucket::paid_at);
        rates.into_iter().fold(self.failures.paid_at(), Instant::max)
    }
}

fn check(bucket: &Bucket, amount: u64, bound: Bound, now: Instant) -> Result<(), Refused> {
    bucket.check(amount, now).map_err(|wait| match wait {
        Wait::For(time) => Refused { bound, retry_after: Some(time) },
        Wait::Never => Refused { bound, retry_after: None },
    })
}

/// What is never admitted outlasts all waits.
fn longer(one: Refused, other: Refused) -> Refused {
    let endless = |it: &Refused| it.retry_after.unwrap_or(Duration::MAX);
    if endless(&other) > endless(&one) { other } else { one }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.bound {
            Bound::Failures => "the peer got too much wrong",
            Bound::Bytes => "too many bytes in a minute",
            Bound::Symbols => "too many symbols in a minute",
            Bound::DecodeTime => "decodes that came to nothing took too long",
            Bound::Requests => "too many requests are under way",
            Bound::Memory => "transfers hold too much memory",
            Bound::Peers => "too many peers are known",
        })
    }
}

impl core::error::Error for Refused {}

impl Refused {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match (self.bound, self.retry_after) {
            (_, None) => Code::OutOfRange,
            (Bound::Failures | Bound::Bytes | Bound::Symbols | Bound::DecodeTime, Some(_)) => {
                Code::RateLimited
            }
            (Bound::Requests | Bound::Memory | Bound::Peers, Some(_)) => Code::Exhausted,
        }
    }
}
