//! The example `foreign_loop` does what it says, and the same each time.

#[path = "../examples/foreign_loop.rs"]
mod foreign_loop;

#[test]
fn an_object_crosses_a_lossy_link_in_a_foreign_loop() {
    let outcome = foreign_loop::desk().expect("a transfer");
    assert!(outcome.whole);
    assert!(outcome.sent > 20, "symbols were lost: {outcome:?}");
    assert_eq!(outcome.expired, 1, "the decode for which nothing came ended with its time");
    assert_eq!(foreign_loop::desk(), Some(outcome), "the clock and the entropy are all that it depends on");
}
