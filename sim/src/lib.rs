//! A world in which time, networks, clocks and nodes are values: one seed is one history, byte for byte.
//!
//! * [`schedule`]: what goes wrong, and when, drawn from a seed;
//! * [`gossip`]: worlds of their own, in which nodes find out what others have;
//! * [`network`]: carriers between nodes, which are slow, break, and are kept apart;
//! * [`node`]: a node of the mesh with its clock, its links and something to say;
//! * [`objects`]: what is fetched, and what must hold of it;
//! * [`oracle`]: what must hold after every step, in a world that knows everything;
//! * [`shelf`]: what a node keeps;
//! * `transfers`: how objects go from node to node;
//! * [`world`]: the order of events;
//! * [`shrink`]: the fewest faults that still break it.
#![forbid(unsafe_code)]

pub mod gossip;
pub mod network;
pub mod node;
pub mod objects;
pub mod oracle;
pub mod schedule;
pub mod shelf;
pub mod shrink;
pub mod trace;
mod transfers;
pub mod world;

use std::time::Duration;

use fcp_proto_core::random::Entropy;
use zeroize::Zeroizing;

/// Entropy that a number stands for.
pub fn entropy(seed: u64, what: u8) -> Entropy {
    let mut bytes = [what; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Entropy::from_seed(&Zeroizing::new(bytes))
}

/// A time between two bounds.
pub fn between(entropy: &mut Entropy, least: Duration, most: Duration) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
    least + Duration::from_nanos(entropy.below(span.max(1)))
}
