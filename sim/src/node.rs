//! A node of the world: its key, its clock, its links, and something to say.

use std::collections::BTreeMap;

use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::session::keys::KeyLimits;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_state_machines::link::admission::Limits;
use fcp_state_machines::link::delivery::{Context, Delivery};
use fcp_state_machines::link::links::Links;
use fcp_state_machines::link::{Local, Peers};
use zeroize::Zeroizing;

use crate::shelf::Shelf;

/// The wall clock of a node that is right, when the world begins.
const EPOCH: u64 = 1_800_000_000;

/// Whom every node knows.
#[derive(Clone, Debug, Default)]
pub struct Known(pub BTreeMap<NodeId, VerifyingKey<NodeRole>>);

impl Peers for Known {
    fn key(&self, node: &NodeId) -> Option<VerifyingKey<NodeRole>> {
        self.0.get(node).cloned()
    }
}

/// A node.
pub struct Node {
    /// Its name.
    pub name: NodeId,
    key: SigningKey<NodeRole>,
    policy: SessionPolicy,
    entropy: Entropy,
    /// Its links.
    pub links: Links,
    /// Its transfers.
    pub delivery: Delivery,
    /// What it keeps.
    pub shelf: Shelf,
    /// What its transfers may cost.
    pub limits: Limits,
    /// How far its wall clock is off, in seconds.
    pub clock: i64,
    /// Until when it sleeps.
    pub sleeps: Option<Instant>,
    /// When it is to be woken, if that is arranged.
    pub wakes: Option<Instant>,
    /// How often its process started.
    pub lives: u64,
}

impl Node {
    /// The node of this number, just started.
    pub fn new(number: usize, limits: Limits, mut entropy: Entropy, now: Instant) -> Self {
        // Few frames for each generation of keys, so that they turn over often.
        let key_limits = KeyLimits { frames: 600, ..KeyLimits::default() };
        Self {
            name: name(number),
            key: key(number),
            policy: SessionPolicy { key_limits, ..SessionPolicy::default() },
            links: Links::new(now, &mut entropy),
            delivery: Delivery::new(limits, now),
            shelf: Shelf::default(),
            limits,
            entropy,
            clock: 0,
            sleeps: None,
            wakes: None,
            lives: 1,
        }
    }

    /// The process dies and starts again: what it remembers is its key and its shelf.
    pub fn restart(&mut self, now: Instant) {
        self.links = Links::new(now, &mut self.entropy);
        self.delivery = Delivery::new(self.limits, now);
        self.wakes = None;
        self.lives += 1;
    }

    /// The links, and what a step of them needs.
    pub fn parts<'a>(&'a mut self, known: &'a Known, mono: Instant) -> (&'a mut Links, Local<'a>) {
        let now = self.now(mono);
        let local = Local {
            me: &self.name,
            key: &self.key,
            policy: &self.policy,
            provider: &Pure,
            peers: known,
            entropy: &mut self.entropy,
            now,
        };
        (&mut self.links, local)
    }

    /// Does something with the transfers.
    pub fn transfer<T>(
        &mut self,
        known: &Known,
        mono: Instant,
        act: impl FnOnce(&mut Delivery, &mut Context<'_, '_>) -> T,
    ) -> T {
        let now = self.now(mono);
        let mut local = Local {
            me: &self.name,
            key: &self.key,
            policy: &self.policy,
            provider: &Pure,
            peers: known,
            entropy: &mut self.entropy,
            now,
        };
        act(&mut self.delivery, &mut Context { local: &mut local, holdings: &self.shelf })
    }

    /// What its clocks say.
    fn now(&self, mono: Instant) -> Now {
        let seconds = EPOCH + mono.as_nanos() / 1_000_000_000;
        Now { mono, unix: UnixTime::from_secs(seconds.saturating_add_signed(self.clock)) }
    }
}

/// The name of a node.
pub fn name(number: usize) -> NodeId {
    NodeId::new(format!("node-{number}")).expect("a name")
}

/// Somebody whom nobody knows.
pub fn stranger() -> NodeId {
    NodeId::new("stranger").expect("a name")
}

/// Everybody's public keys.
pub fn known(nodes: usize) -> Known {
    Known((0..nodes).map(|number| (name(number), key(number).verifying_key())).collect())
}

/// The key of a node.
pub(crate) fn key(number: usize) -> SigningKey<NodeRole> {
    let mut seed = Zeroizing::new([0x6e; 32]);
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    SigningKey::from_seed(&seed)
}
