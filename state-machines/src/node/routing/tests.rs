use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;

use fcp_proto_core::object::CrdtType;
use fcp_proto_core::time::{Instant, UnixTime};
use proptest::prelude::*;

use super::*;
use crate::persist::{BatchToken, Completion, Refusal};

fn name(number: usize) -> NodeId {
    NodeId::new(format!("n{number}")).unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn route(
    arrival: Arrival,
    state: &StateModel,
    holder: Option<usize>,
    runs_here: bool,
    others: &[usize],
) -> Route {
    let holder = holder.map(name);
    let others: Vec<_> = others.iter().map(|number| name(*number)).collect();
    let (me, holder, others) = (&name(0), holder.as_ref(), &others[..]);
    Route::new(&Question { me, arrival, state, holder, runs_here, others })
}

/// The single writer's calls go to the holder alone, and nowhere if nobody knows who that is.
//= docs/spec/planner.md#routes
#[test]
fn a_single_writers_calls_go_to_the_holder_alone() {
    let singleton = |holder, runs_here| {
        route(Arrival::FromCaller, &StateModel::SingletonWriter {}, holder, runs_here, &[1, 2])
    };
    assert_eq!(singleton(Some(0), true), Route::Here);
    assert_eq!(singleton(Some(2), true), Route::Only(name(2)));
    assert_eq!(singleton(Some(2), false), Route::Only(name(2)));
    assert_eq!(singleton(None, true), Route::Nowhere(NoRoute::NoHolder));
    assert_eq!(singleton(Some(0), false), Route::Nowhere(NoRoute::NobodyRunsIt));
}

//= docs/spec/planner.md#routes
#[test]
fn other_calls_are_run_here_or_by_the_first_of_others() {
    for state in [&StateModel::Stateless {}, &StateModel::Crdt { crdt_type: CrdtType::LwwMap }] {
        let route = |runs_here, others: &[usize]| route(Arrival::FromCaller, state, None, runs_here, others);
        assert_eq!(route(true, &[1]), Route::Here);
        assert_eq!(route(false, &[2, 0, 1]), Route::FirstOf(vec![name(2), name(1)]));
        assert_eq!(route(false, &[0]), Route::Nowhere(NoRoute::NobodyRunsIt));
    }
}

/// What came from another node is never sent on.
//= docs/spec/planner.md#routes
#[test]
fn there_is_no_second_hop() {
    let forwarded =
        |state: &StateModel, holder, runs_here| route(Arrival::Forwarded, state, holder, runs_here, &[1, 2]);
    assert_eq!(forwarded(&StateModel::Stateless {}, None, true), Route::Here);
    assert_eq!(forwarded(&StateModel::Stateless {}, None, false), Route::Nowhere(NoRoute::NotHere));
    assert_eq!(forwarded(&StateModel::SingletonWriter {}, Some(0), true), Route::Here);
    assert_eq!(forwarded(&StateModel::SingletonWriter {}, Some(1), true), Route::Nowhere(NoRoute::NotHere));
    assert_eq!(forwarded(&StateModel::SingletonWriter {}, None, true), Route::Nowhere(NoRoute::NotHere));
}

/// A call on its way, with what came out of it.
struct Way {
    forward: Forward,
    out: Vec<Output>,
}

impl Way {
    fn new(targets: &[usize]) -> Self {
        let mut out = Vec::new();
        let forward = Forward::new(targets.iter().map(|number| name(*number)), at(0), &mut out);
        Self { forward, out }
    }

    /// Up to the moment at which the call has left for the node.
    fn sent(mut self, to: usize) -> Self {
        self.forward.connected(&name(to), &mut self.out);
        let Some(Output::Persist { batch, record }) = self.out.last().cloned() else {
            panic!("{:?}", self.out)
        };
        assert_eq!(record.to, name(to));
        self.forward.handle_stored(batch, Completion::Durable, at(0), &mut self.out);
        assert_eq!(self.out.last(), Some(&Output::Send(name(to))));
        self
    }

    fn ending(&self) -> Option<&Ending> {
        if let Some(Output::Over(ending)) = self.out.last() { Some(ending) } else { None }
    }
}

/// The first cannot be reached, the second refuses, the third answers.
//= docs/spec/planner.md#outcomes
#[test]
fn what_was_provably_not_run_goes_to_the_next() {
    let mut way = Way::new(&[1, 2, 3]);
    way.forward.lost(&name(1), at(1), &mut way.out);
    let mut way = way.sent(2);
    way.forward.refused(&name(2), at(2), &mut way.out);
    let mut way = way.sent(3);
    way.forward.answered(&name(3), &mut way.out);
    assert_eq!(way.ending(), Some(&Ending::Answered { by: name(3) }));
    assert_eq!(way.forward.deadline(), None);
}

/// After the call has left, a session that ends or an answer that does not come says nothing about what happened.
//= docs/spec/planner.md#outcomes
#[test]
fn after_it_has_left_nobody_else_is_asked() {
    let unknown = Some(&Ending::OutcomeUnknown { by: name(1) });
    let mut way = Way::new(&[1, 2]).sent(1);
    way.forward.lost(&name(1), at(1), &mut way.out);
    assert_eq!(way.ending(), unknown);
    let mut way = Way::new(&[1, 2]).sent(1);
    way.forward.tick(at(59), &mut way.out);
    assert_eq!(way.ending(), None);
    assert_eq!(way.forward.deadline(), Some(at(60)));
    way.forward.tick(at(60), &mut way.out);
    assert_eq!(way.ending(), unknown);
    // Too late.
    let outputs = way.out.len();
    way.forward.answered(&name(1), &mut way.out);
    way.forward.refused(&name(1), at(61), &mut way.out);
    assert_eq!(way.out.len(), outputs);
}

#[test]
fn all_that_was_tried_is_named() {
    let mut way = Way::new(&[1, 2]);
    way.forward.tick(at(5), &mut way.out);
    let mut way = way.sent(2);
    way.forward.refused(&name(2), at(6), &mut way.out);
    let attempts = vec![(name(1), Failure::Unreachable), (name(2), Failure::Refused)];
    assert_eq!(way.ending(), Some(&Ending::NotDelivered { attempts }));
}

/// Without a durable record it does not leave, neither for this node nor for another.
//= docs/spec/planner.md#forwarding
#[test]
fn nothing_leaves_before_its_record_is_durable() {
    for completion in [Completion::Refused(Refusal::Full), Completion::Failed] {
        let mut way = Way::new(&[1, 2]);
        way.forward.connected(&name(1), &mut way.out);
        way.forward.handle_stored(BatchToken(7), Completion::Durable, at(0), &mut way.out);
        way.forward.handle_stored(BatchToken(0), completion, at(0), &mut way.out);
        let attempts = vec![(name(1), Failure::NotRecorded)];
        assert_eq!(way.ending(), Some(&Ending::NotDelivered { attempts }));
        assert!(!way.out.iter().any(|it| matches!(it, Output::Send(_))));
    }
}

fn persisted(output: &Output) -> Option<(BatchToken, NodeId)> {
    if let Output::Persist { batch, record } = output { Some((*batch, record.to.clone())) } else { None }
}

proptest! {
    /// Whatever happens in whatever order: at most one node may have run it that did not say otherwise, nothing is sent
    /// without a durable record, and it ends once.
    //= docs/spec/planner.md#outcomes
    #[test]
    fn a_call_is_run_by_one_node_at_most(steps in prop::collection::vec((0_u8..7, 0_usize..4, any::<bool>()), 0..40)) {
        let mut way = Way::new(&[1, 2, 3]);
        let (mut seconds, mut refused, mut durable) = (0, BTreeSet::new(), BTreeSet::new());
        for (what, node, good) in steps {
            let (forward, out) = (&mut way.forward, &mut way.out);
            match what {
                0 => forward.connected(&name(node), out),
                1 => forward.lost(&name(node), at(seconds), out),
                2 => {
                    // Only who was sent it can refuse it.
                    if out.contains(&Output::Send(name(node))) {
                        refused.insert(name(node));
                    }
                    forward.refused(&name(node), at(seconds), out);
                }
                3 => forward.answered(&name(node), out),
                4 => {
                    seconds += 3;
                    forward.tick(at(seconds), out);
                }
                _ => {
                    let last = out.iter().rev().find_map(persisted);
                    if let Some((batch, to)) = last {
                        let completion = if good { Completion::Durable } else { Completion::Failed };
                        if good {
                            durable.insert(to);
                        }
                        forward.handle_stored(batch, completion, at(seconds), out);
                    }
                }
            }
        }
        let sent: Vec<_> = way.out.iter().filter_map(|it| if let Output::Send(to) = it { Some(to) } else { None }).collect();
        prop_assert!(sent.iter().all(|to| durable.contains(*to)));
        prop_assert!(sent.iter().filter(|to| !refused.contains(**to)).count() <= 1);
        prop_assert!(way.out.iter().filter(|it| matches!(it, Output::Over(_))).count() <= 1);
    }
}

fn envelope(nonce: u8, made_at: u64) -> Envelope {
    Envelope { target: name(0), origin: name(1), nonce: [nonce; 16], made_at: UnixTime::from_secs(made_at) }
}

/// Every refusal, at the edges of its window.
//= docs/spec/planner.md#arrivals
#[test]
fn what_arrives_is_for_this_node_from_its_peer_now_and_once() {
    let unix = UnixTime::from_secs;
    let mut arrivals = Arrivals::new(name(0), unix(900));
    let mut admit = |envelope: &Envelope, now| arrivals.admit(envelope, &name(1), unix(now));
    assert_eq!(admit(&envelope(1, 1_000), 1_030), Ok(()));
    assert_eq!(admit(&envelope(1, 1_000), 1_030), Err(NotAdmitted::Replayed));
    assert_eq!(admit(&envelope(2, 1_060), 1_030), Ok(()));
    assert_eq!(admit(&envelope(3, 1_061), 1_030), Err(NotAdmitted::Stale));
    assert_eq!(admit(&envelope(3, 999), 1_030), Err(NotAdmitted::Stale));
    assert_eq!(admit(&envelope(3, 999), 1_000), Err(NotAdmitted::Stale), "the clock does not go back");
    assert_eq!(
        admit(&Envelope { origin: name(2), ..envelope(3, 1_030) }, 1_030),
        Err(NotAdmitted::WrongOrigin)
    );
    assert_eq!(
        admit(&Envelope { target: name(2), ..envelope(3, 1_030) }, 1_030),
        Err(NotAdmitted::WrongTarget)
    );
    assert_eq!(admit(&envelope(3, 1_030), 1_030), Ok(()));
}

/// What an earlier run admitted is not admitted again by one that remembers nothing.
//= docs/spec/planner.md#arrivals
#[test]
fn a_restart_lets_nothing_in_twice() {
    let unix = UnixTime::from_secs;
    let mut before = Arrivals::new(name(0), unix(900));
    assert_eq!(before.admit(&envelope(1, 1_030), &name(1), unix(1_000)), Ok(()));
    let mut after = Arrivals::new(name(0), unix(1_000));
    assert_eq!(after.admit(&envelope(1, 1_030), &name(1), unix(1_000)), Err(NotAdmitted::Stale));
    assert_eq!(after.admit(&envelope(2, 1_031), &name(1), unix(1_001)), Ok(()));
}

/// Too many to tell is no reason to take one; when the first are over there is room again.
//= docs/spec/planner.md#arrivals
#[test]
fn a_full_table_takes_nothing() {
    let unix = UnixTime::from_secs;
    let mut arrivals = Arrivals::new(name(0), unix(900));
    for number in 0..MAX_ARRIVALS {
        let mut envelope = envelope(0, 1_000);
        envelope.nonce[..8].copy_from_slice(&number.to_le_bytes());
        assert_eq!(arrivals.admit(&envelope, &name(1), unix(1_000)), Ok(()));
    }
    assert_eq!(arrivals.admit(&envelope(9, 1_031), &name(1), unix(1_030)), Err(NotAdmitted::Full));
    assert_eq!(arrivals.admit(&envelope(9, 1_031), &name(1), unix(1_031)), Ok(()));
}
