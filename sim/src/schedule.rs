//! What goes wrong, and when.

use std::time::Duration;

use fcp_proto_core::time::Instant;

use crate::{between, entropy};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every carrier between two nodes breaks.
    Cut(usize, usize),
    /// Nothing passes between two nodes for a while; carriers break when they find out.
    Partition(usize, usize, Duration),
    /// Nothing passes from the first to the second for a while.
    OneWay(usize, usize, Duration),
    /// A device sleeps: it does nothing, and its clocks go on.
    Sleep(usize, Duration),
    /// A process dies and starts again with nothing but its key.
    Crash(usize),
    /// A wall clock is set to be off by so many seconds.
    Clock(usize, i64),
}

/// A world's dimensions and its faults.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What it was drawn from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How long things go wrong; some minutes of peace follow.
    pub span: Duration,
    /// What goes wrong, in order of time.
    pub faults: Vec<(Instant, Fault)>,
}

impl Schedule {
    /// The schedule that `seed` stands for.
    pub fn draw(seed: u64, nodes: usize, span: Duration) -> Self {
        let mut random = entropy(seed, b'F');
        let mut faults = Vec::new();
        let mut at = Instant::default();
        loop {
            at = at.saturating_add(between(&mut random, Duration::from_secs(1), Duration::from_secs(90)));
            if at.saturating_since(Instant::default()) >= span || nodes < 2 {
                break;
            }
            let one = random.below(nodes as u64) as usize;
            let other = (one + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
            let long = between(&mut random, Duration::from_secs(2), Duration::from_secs(200));
            faults.push((
                at,
                match random.below(12) {
                    0..4 => Fault::Cut(one, other),
                    4..6 => Fault::Partition(one, other, long),
                    6 => Fault::OneWay(one, other, long),
                    7..9 => Fault::Sleep(one, long * 20),
                    9..11 => Fault::Crash(one),
                    _ => Fault::Clock(one, random.below(160) as i64 - 80),
                },
            ));
        }
        Self { seed, nodes, span, faults }
    }
}
