//! Both sides of a comparison in turns, by the processor time of the thread: what others do on the machine counts less.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::work::{Side, Work};

/// A batch lasts about so long, so that reading the clock does not count.
const BATCH: Duration = Duration::from_micros(500);

/// What was measured, in nanoseconds a call.
pub(crate) struct Measured {
    /// The median of ours.
    pub(crate) ours: f64,
    /// The median of the bare primitive, and of the ratios of neighbouring batches.
    pub(crate) bare: Option<(f64, f64)>,
}

/// Runs `rounds` batches of each side in turns.
pub(crate) fn measure(work: &mut Work, rounds: usize) -> Measured {
    let own = calls(&mut *work.ours);
    let Some(bare) = &mut work.bare else {
        return Measured {
            ours: median((0..rounds).map(|_| batch(&mut *work.ours, own)).collect()),
            bare: None,
        };
    };
    let others = calls(&mut **bare);
    let pairs: Vec<_> =
        (0..rounds).map(|_| (batch(&mut *work.ours, own), batch(&mut **bare, others))).collect();
    let of = |each: fn(&(f64, f64)) -> f64| median(pairs.iter().map(each).collect());
    Measured { ours: of(|pair| pair.0), bare: Some((of(|pair| pair.1), of(|pair| pair.0 / pair.1))) }
}

/// How many calls make a batch; warms up as well.
fn calls(side: &mut dyn Side) -> usize {
    let mut calls = 1;
    while calls < side.most_calls() && batch(side, calls) * (calls as f64) < BATCH.as_nanos() as f64 {
        calls *= 2;
    }
    calls.min(side.most_calls())
}

fn batch(side: &mut dyn Side, calls: usize) -> f64 {
    side.prepare(calls);
    let began = thread_time();
    for _ in 0..calls {
        side.call();
    }
    (thread_time() - began).as_nanos() as f64 / calls as f64
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of every thread").into()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
