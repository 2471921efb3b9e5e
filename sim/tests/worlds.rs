//! Random worlds: whatever breaks, nothing is lost, doubled or out of order, and in the end all is well.

use std::time::Duration;

use fcp_sim::schedule::Schedule;
use fcp_sim::world::World;

const SPAN: Duration = Duration::from_secs(900);

#[test]
fn whatever_breaks_all_comes_right() {
    let mut heard = 0;
    for seed in 0..8 {
        let nodes = 2 + (seed % 3) as usize;
        let schedule = Schedule::draw(seed, nodes, SPAN);
        let outcome = World::play(&schedule);
        if let Some(violation) = outcome.violation {
            outcome.trace.tail().for_each(|line| println!("{line}"));
            panic!(
                "{violation}\nreplay: cargo run --release -p fcp-sim -- soak --seeds {seed}..{seed} --nodes {nodes} --hours {}",
                SPAN.as_secs_f64() / 3_600.0
            );
        }
        heard += outcome.heard;
    }
    assert!(heard > 2_000, "only {heard} messages were heard");
}

#[test]
fn one_seed_is_one_history() {
    let schedule = Schedule::draw(7, 3, Duration::from_secs(300));
    let [one, other] = [World::play(&schedule), World::play(&schedule)];
    assert_eq!(one.trace.digest(), other.trace.digest());
    assert!(one.trace.events() > 100);
    let another = World::play(&Schedule::draw(8, 3, Duration::from_secs(300)));
    assert_ne!(one.trace.digest(), another.trace.digest());
}
