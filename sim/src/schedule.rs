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
    /// A disk is lost with all objects on it, and its process dies.
    Lose(usize),
}

/// How a node that is not honest behaves. Its links are sound; what goes over them is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// It keeps symbols of something else under the names of objects, cut as they are, and seals them well.
    Liar,
    /// It says that objects are longer than they are.
    Boaster,
    /// Bits of its frames are turned.
    Forger,
    /// It sends every frame many times, and once more much later.
    Replayer,
    /// It asks everybody for everything, all the time.
    Greedy,
    /// It says what is no message, and sends what is no frame.
    Babbler,
    /// It says that it has what it is asked for, and sends nothing.
    Idler,
}

impl Character {
    /// Every character.
    pub const ALL: [Self; 7] =
        [Self::Liar, Self::Boaster, Self::Forger, Self::Replayer, Self::Greedy, Self::Babbler, Self::Idler];
}

/// A guard that is left out, to see that its loss is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// What was fetched is changed before it is kept.
    ChangesObjects,
    /// A process that starts does not remember what it wanted.
    ForgetsWants,
    /// Nothing is asked for.
    NeverAsks,
    /// Strangers count as known.
    KnowsStrangers,
    /// Transfers may hold any amount of memory.
    NoMemoryBound,
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
    /// Who is not honest, and how.
    pub hostile: Option<(usize, Character)>,
    /// What is left out.
    pub flaw: Option<Flaw>,
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
                match random.below(13) {
                    0..4 => Fault::Cut(one, other),
                    4..6 => Fault::Partition(one, other, long),
                    6 => Fault::OneWay(one, other, long),
                    7..9 => Fault::Sleep(one, long * 20),
                    9..11 => Fault::Crash(one),
                    11 => Fault::Lose(one),
                    _ => Fault::Clock(one, random.below(160) as i64 - 80),
                },
            ));
        }
        // Enough others must be honest for anything to be had.
        let hostile = (nodes > 2 && random.below(3) > 0).then(|| {
            let character = Character::ALL[random.below(7) as usize];
            (random.below(nodes as u64) as usize, character)
        });
        Self { seed, nodes, span, faults, hostile, flaw: None }
    }
}
