//! The one place that reads clocks.

use fcp_proto_core::time::{Instant, Now, UnixTime};
use rustix::time::{ClockId, clock_gettime};

/// Both clocks now: `CLOCK_BOOTTIME`, which counts suspend, and the wall clock.
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let wall = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(boot.tv_nsec).unwrap_or(0);
    Now {
        mono: Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)),
        unix: UnixTime::from_secs(u64::try_from(wall.tv_sec).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::now;

    #[test]
    fn the_clocks_run_and_do_not_go_back() {
        let (first, second) = (now(), now());
        assert!(first.mono <= second.mono);
        assert!(first.unix.as_secs() > 1_700_000_000, "{}", first.unix);
    }
}
