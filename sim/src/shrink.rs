//! The fewest faults that still break a world.

use crate::schedule::Schedule;
use crate::world::World;

/// Leaves out faults as long as the world still breaks without them.
pub fn shrink(schedule: &Schedule) -> Schedule {
    let breaks = |schedule: &Schedule| World::play(schedule).violation.is_some();
    let mut least = schedule.clone();
    let mut step = least.faults.len().max(1);
    while step > 0 {
        let mut at = 0;
        while at < least.faults.len() {
            let mut fewer = least.clone();
            fewer.faults.drain(at..(at + step).min(least.faults.len()));
            if breaks(&fewer) {
                least = fewer;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    least
}
