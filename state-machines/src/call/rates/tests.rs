//! Each algorithm at its boundaries and against a naive model; several limits at once; refunds, settling, replay.

extern crate std;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::encoding::cbor::{FromCbor, Value, decode, encode};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::time::{Instant, Now, UnixTime};
use proptest::prelude::*;

use super::window::Window;
use super::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000;

fn at(nanos: u64) -> Now {
    Now { mono: Instant::from_nanos(nanos), unix: UnixTime::from_secs(START + nanos / SECOND) }
}

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

fn id(name: &str) -> LimitId {
    LimitId::Pool { connector: ConnectorId::new("github").unwrap(), pool: pool(name) }
}

fn limit(name: &str, algorithm: Algorithm) -> Limit {
    Limit {
        id: id(name),
        unit: Unit::Requests,
        scope: Scope::Global,
        enforcement: Enforcement::Hard,
        algorithm,
    }
}

const fn token_bucket(capacity: u64, refill: u64, every: u64) -> Algorithm {
    Algorithm::TokenBucket { capacity, refill, every: Duration::from_nanos(every) }
}

const fn sliding(limit: u64, window: u64) -> Algorithm {
    Algorithm::SlidingWindow { limit, window: Duration::from_nanos(window) }
}

const fn leaky(capacity: u64, leak: u64, every: u64) -> Algorithm {
    Algorithm::LeakyBucket { capacity, leak, every: Duration::from_nanos(every) }
}

fn rates(limits: impl IntoIterator<Item = Limit>) -> Rates {
    let mut rates = Rates::new();
    for limit in limits {
        rates.set_limit(limit, at(0)).unwrap();
    }
    rates
}

fn demand(name: &str, amount: u64) -> Demand {
    Demand { limit: id(name), holder: Holder::Global, unit: Unit::Requests, amount }
}

fn take(rates: &mut Rates, demands: Vec<Demand>, now: u64) -> Result<Reservation, Box<Exceeded>> {
    let fits = rates.check(demands, at(now))?;
    rates.reserve(fits, at(now))
}

fn wait(rates: &mut Rates, amount: u64, now: u64) -> Option<u64> {
    let exceeded = take(rates, vec![demand("api", amount)], now).unwrap_err();
    exceeded.retry_after().map(|wait| u64::try_from(wait.as_nanos()).unwrap())
}

fn passes(rates: &mut Rates, amount: u64, now: u64) -> bool {
    take(rates, vec![demand("api", amount)], now).is_ok()
}

fn used(rates: &Rates, now: u64) -> u64 {
    rates.usage(&id("api"), &Holder::Global, at(now)).unwrap().0
}

//= docs/spec/rates.md#buckets
#[test]
fn a_token_bucket_refills_in_whole_steps_and_keeps_its_phase() {
    let mut rates = rates([limit("api", token_bucket(5, 2, 10))]);
    assert!(passes(&mut rates, 5, 3));
    assert_eq!(wait(&mut rates, 1, 3), Some(10));
    assert_eq!(wait(&mut rates, 1, 12), Some(1));
    assert!(passes(&mut rates, 1, 13));
    assert!(passes(&mut rates, 1, 14));
    assert_eq!(wait(&mut rates, 3, 14), Some(19), "two steps, counted from the first draw at 3");
    assert!(passes(&mut rates, 3, 33));
    assert_eq!(wait(&mut rates, 6, 33), None, "more than a full bucket");
}

#[test]
fn a_full_token_bucket_begins_a_new_phase_with_the_next_draw() {
    let mut rates = rates([limit("api", token_bucket(2, 2, 10))]);
    assert!(passes(&mut rates, 2, 0));
    assert!(passes(&mut rates, 2, 19), "refilled at 10");
    assert_eq!(wait(&mut rates, 1, 20), Some(9), "the grid of the first draw would refill at 20");
}

//= docs/spec/rates.md#buckets
#[test]
fn a_leaky_bucket_leaks_one_unit_at_a_time() {
    let mut rates = rates([limit("api", leaky(3, 3, 10))]);
    assert!(passes(&mut rates, 3, 0));
    assert_eq!(wait(&mut rates, 1, 0), Some(4), "a third of 10, rounded up");
    assert!(passes(&mut rates, 1, 4));
    assert_eq!(wait(&mut rates, 1, 6), Some(1), "two thirds of 10, rounded up: no drift");
    assert!(passes(&mut rates, 1, 7));
    assert!(passes(&mut rates, 1, 10));
    assert_eq!(used(&rates, 10), 3);
}

//= docs/spec/rates.md#sliding-window
#[test]
fn a_sliding_window_frees_a_unit_exactly_one_window_after_it_was_used() {
    let mut rates = rates([limit("api", sliding(2, 100))]);
    assert!(passes(&mut rates, 1, 0));
    assert!(passes(&mut rates, 1, 60));
    assert_eq!(wait(&mut rates, 1, 99), Some(1));
    assert!(passes(&mut rates, 1, 100));
    assert_eq!(wait(&mut rates, 2, 101), Some(99));
    assert_eq!(wait(&mut rates, 3, 101), None);
}

#[test]
fn a_large_window_is_late_by_less_than_one_cell_and_its_log_stays_small() {
    let window = 1_024_000;
    let mut rates = rates([limit("api", sliding(1_000_000, window))]);
    for step in 0..3 * window / 100 {
        assert!(passes(&mut rates, 1, step * 100));
    }
    let Meter::Window(log) = &rates.meters.values().next().unwrap().meter else { panic!("no window") };
    assert!(log.entries() <= 1_026, "{}", log.entries());
    let rest = 1_000_000 - used(&rates, 3 * window);
    assert!(passes(&mut rates, rest, 3 * window));
    let wait = wait(&mut rates, 1_000_000, 3 * window).unwrap();
    assert!((window..window + 1_000).contains(&wait), "{wait}");
}

//= docs/spec/rates.md#decision-and-reservation
#[test]
fn several_limits_are_drawn_together_or_not_at_all() {
    let mut rates = rates([limit("api", token_bucket(10, 1, 10)), limit("search", sliding(1, 500))]);
    assert!(take(&mut rates, vec![demand("api", 4), demand("search", 1)], 0).is_ok());
    let refused = take(&mut rates, vec![demand("api", 4), demand("search", 1)], 1).unwrap_err();
    assert_eq!(
        (refused.limit.clone(), refused.retry_after()),
        (id("search"), Some(Duration::from_nanos(499)))
    );
    assert_eq!(refused.code(), Code::RateLimited);
    assert_eq!(used(&rates, 1), 4, "the refused call drew nothing");
    let worst = take(&mut rates, vec![demand("api", 11), demand("search", 1)], 1).unwrap_err();
    assert_eq!(worst.why, Why::NeverFits, "what waiting cannot help comes before what it can");
}

//= docs/spec/rates.md#decision-and-reservation
#[test]
fn two_demands_on_one_meter_add_up() {
    let mut rates = rates([limit("api", token_bucket(3, 1, 10))]);
    assert!(take(&mut rates, vec![demand("api", 2), demand("api", 2)], 0).is_err());
    assert!(take(&mut rates, vec![demand("api", 2), demand("api", 1)], 0).is_ok());
}

//= docs/spec/rates.md#decision-and-reservation
#[test]
fn a_proof_that_has_gone_stale_reserves_nothing() {
    let mut rates = rates([limit("api", token_bucket(1, 1, 10))]);
    let first = rates.check(vec![demand("api", 1)], at(0)).unwrap();
    let second = rates.check(vec![demand("api", 1)], at(0)).unwrap();
    assert!(rates.reserve(first, at(0)).is_ok());
    assert!(rates.reserve(second, at(0)).is_err());
    assert_eq!(used(&rates, 0), 1);
}

#[test]
fn an_undeclared_limit_admits_nothing() {
    let rates = Rates::new();
    let refused = rates.check(vec![demand("api", 1)], at(0)).unwrap_err();
    assert_eq!((refused.why, refused.code()), (Why::Undefined, Code::RateLimited));
}

#[test]
fn a_demand_of_nothing_counts_as_one() {
    let mut rates = rates([limit("api", token_bucket(1, 1, 10))]);
    assert!(passes(&mut rates, 0, 0));
    assert!(!passes(&mut rates, 0, 0));
}

#[test]
fn soft_and_advisory_limits_report_and_let_pass() {
    for enforcement in [Enforcement::Soft, Enforcement::Advisory] {
        let mut rates = rates([Limit { enforcement, ..limit("api", sliding(1, 100)) }]);
        assert!(take(&mut rates, vec![demand("api", 1)], 0).unwrap().over().is_empty());
        let second = take(&mut rates, vec![demand("api", 1)], 0).unwrap();
        assert_eq!(second.over()[0].enforcement, enforcement);
        assert!(second.over()[0].retry_after().is_some());
        assert_eq!(used(&rates, 0), 2);
    }
}

#[test]
fn scopes_and_budgets_pick_their_holders() {
    let (connector, zone) = (ConnectorId::new("github").unwrap(), ZoneId::new("z:work").unwrap());
    let principal = PrincipalId::new("ada").unwrap();
    let credentials = [CredentialId::new("bot").unwrap(), CredentialId::new("me").unwrap()];
    let grants = [ObjectId::from_bytes([7; 32])];
    let caller = Caller {
        connector: &connector,
        zone: &zone,
        principal: &principal,
        credentials: &credentials,
        grants: &grants,
    };
    let scoped = |name, scope| Limit { scope, ..limit(name, sliding(9, 100)) };
    let rates = rates([
        scoped("a", Scope::Global),
        scoped("b", Scope::Instance),
        scoped("c", Scope::Principal),
        scoped("d", Scope::Credential),
        Limit::budget(Holder::Zone(zone.clone()), Unit::Bytes, 100, 60),
        Limit::budget(Holder::Grant(grants[0]), Unit::Requests, 5, 60),
        Limit::budget(Holder::Principal(PrincipalId::new("eve").unwrap()), Unit::Requests, 5, 60),
    ]);
    let usage = Usage { bytes: 42, ..Usage::CALL };
    let names = [pool("a"), pool("b"), pool("c"), pool("d"), pool("a")];
    let demands = rates.demands(&names, &caller, usage);
    let holders: Vec<_> = demands.iter().map(|demand| (demand.holder.clone(), demand.amount)).collect();
    assert_eq!(
        holders,
        [
            (Holder::Global, 1),
            (Holder::Instance(zone.clone()), 1),
            (Holder::Principal(principal.clone()), 1),
            (Holder::Credential(zone.clone(), credentials[0].clone()), 1),
            (Holder::Credential(zone.clone(), credentials[1].clone()), 1),
            (Holder::Zone(zone.clone()), 42),
            (Holder::Grant(grants[0]), 1),
        ]
    );
    let without = Caller { credentials: &[], ..caller };
    assert_eq!(rates.demands(&[pool("d")], &without, usage)[0].holder, Holder::Instance(zone));
    for demand in demands {
        let bytes = encode(&demand).unwrap();
        assert_eq!(Demand::from_cbor(decode(&bytes).unwrap()), Ok(demand));
    }
    assert!(Demand::from_cbor(Value::Null).is_err());
}

#[test]
fn an_exhausted_budget_says_so() {
    let holder = Holder::Grant(ObjectId::from_bytes([1; 32]));
    let budget = Limit::budget(holder.clone(), Unit::Requests, 1, 60);
    let mut rates = rates([budget.clone()]);
    let demand = Demand { limit: budget.id, holder, unit: Unit::Requests, amount: 1 };
    assert!(take(&mut rates, vec![demand.clone()], 0).is_ok());
    let refused = take(&mut rates, vec![demand.clone()], 59 * SECOND).unwrap_err();
    assert_eq!((refused.code(), refused.retry_after()), (Code::BudgetExceeded, Some(Duration::from_secs(1))));
    assert!(take(&mut rates, vec![demand], 60 * SECOND).is_ok());
}

#[test]
fn meaningless_limits_are_refused() {
    let mut rates = Rates::new();
    for (algorithm, error) in [
        (token_bucket(0, 1, 1), LimitError::ZeroAmount),
        (token_bucket(1, 0, 1), LimitError::ZeroAmount),
        (leaky(1, 1, 0), LimitError::ZeroTime),
        (sliding(0, 1), LimitError::ZeroAmount),
        (
            Algorithm::SlidingWindow { limit: 1, window: MAX_TIME + Duration::from_secs(1) },
            LimitError::TimeTooLong,
        ),
    ] {
        assert_eq!(rates.set_limit(limit("api", algorithm), at(0)), Err(error));
    }
    let other = Limit { unit: Unit::Cost, ..Limit::budget(Holder::Global, Unit::Bytes, 1, 60) };
    assert_eq!(rates.set_limit(other, at(0)), Err(LimitError::NotABudgetHolder));
    let zone = Holder::Zone(ZoneId::new("z:work").unwrap());
    let other = Limit { unit: Unit::Cost, ..Limit::budget(zone, Unit::Bytes, 1, 60) };
    assert_eq!(rates.set_limit(other, at(0)), Err(LimitError::IdDiffers));
    assert_eq!(rates.limits().count(), 0);
}

//= docs/spec/rates.md#declared-pools
#[test]
fn a_declared_pool_keeps_its_rate_whatever_its_burst() {
    use fcp_proto_core::manifest::{RateAlgorithm, RatePool, RateScope};

    let connector = ConnectorId::new("github").unwrap();
    let of = |requests, algorithm, burst| {
        let scope = RateScope::Principal;
        let pool = RatePool { id: "api".into(), requests, window_ms: 60_000, burst, algorithm, scope };
        Limit::declared(&connector, &pool).unwrap()
    };
    let declared = |algorithm, burst| of(60, algorithm, burst);
    let every = Duration::from_secs(2);
    let expected = Algorithm::TokenBucket { capacity: 90, refill: 3, every };
    assert_eq!(of(90, RateAlgorithm::TokenBucket, None).algorithm, expected, "in the smallest steps");
    let minute = Duration::from_secs(60);
    let second = Duration::from_secs(1);
    for (algorithm, burst, expected) in [
        (RateAlgorithm::TokenBucket, None, Algorithm::TokenBucket { capacity: 60, refill: 1, every: second }),
        (
            RateAlgorithm::TokenBucket,
            Some(5),
            Algorithm::TokenBucket { capacity: 5, refill: 1, every: second },
        ),
        (
            RateAlgorithm::LeakyBucket,
            Some(5),
            Algorithm::LeakyBucket { capacity: 5, leak: 60, every: minute },
        ),
        (RateAlgorithm::SlidingWindow, None, Algorithm::SlidingWindow { limit: 60, window: minute }),
    ] {
        let limit = declared(algorithm, burst);
        assert_eq!((limit.id.clone(), limit.scope, limit.algorithm), (id("api"), Scope::Principal, expected));
        assert_eq!(Rates::new().set_limit(limit, at(0)), Ok(()));
    }
}

//= docs/spec/rates.md#refund
#[test]
fn a_refund_gives_back_only_what_time_has_not() {
    let mut rates = rates([limit("api", token_bucket(10, 5, 10))]);
    let early = take(&mut rates, vec![demand("api", 5)], 0).unwrap();
    assert!(passes(&mut rates, 5, 0));
    rates.refund(early, at(10));
    assert_eq!(used(&rates, 10), 5, "the first five were repaid by the step at 10");

    let mut rates = self::rates([limit("api", sliding(10, 100))]);
    let early = take(&mut rates, vec![demand("api", 5)], 0).unwrap();
    let late = take(&mut rates, vec![demand("api", 5)], 50).unwrap();
    rates.refund(early, at(120));
    assert_eq!(used(&rates, 120), 5);
    rates.refund(late, at(120));
    assert_eq!(used(&rates, 120), 0);
}

#[test]
fn a_refund_after_the_meter_was_forgotten_or_redefined_gives_nothing() {
    for algorithm in [token_bucket(4, 4, 10), leaky(4, 4, 10), sliding(4, 10)] {
        let mut rates = rates([limit("api", algorithm)]);
        let first = take(&mut rates, vec![demand("api", 4)], 0).unwrap();
        rates.sweep(at(10));
        assert_eq!(rates.meters(), 0);
        assert!(passes(&mut rates, 4, 10));
        rates.refund(first, at(10));
        assert_eq!(used(&rates, 10), 4);

        let second = take(&mut rates, vec![demand("api", 3)], 30).unwrap();
        rates.set_limit(limit("api", token_bucket(9, 1, 10)), at(30)).unwrap();
        rates.refund(second, at(30));
        assert_eq!(used(&rates, 30), 3, "what was used stays used under the new rule");
    }
}

//= docs/spec/rates.md#limits
#[test]
fn a_limit_that_is_defined_anew_keeps_what_is_used_and_touches_no_other() {
    let other = limit("other", token_bucket(5, 5, 100));
    let mut rates = rates([limit("api", sliding(9, 100)), other.clone()]);
    let held = take(&mut rates, vec![demand("other", 4)], 0).unwrap();
    assert!(passes(&mut rates, 2, 0));
    rates.set_limit(limit("api", sliding(8, 100)), at(0)).unwrap();
    rates.set_limit(other, at(0)).unwrap();
    assert_eq!(used(&rates, 0), 2);
    rates.refund(held, at(0));
    assert_eq!(rates.usage(&id("other"), &Holder::Global, at(0)), Some((0, 5)), "its meter still stands");
}

#[test]
fn no_two_meters_of_a_limit_are_taken_for_one() {
    let mut rates = rates([limit("api", token_bucket(4, 4, 10))]);
    let first = take(&mut rates, vec![demand("api", 4)], 0).unwrap();
    rates.sweep(at(10));
    assert!(passes(&mut rates, 4, 10));
    rates.set_limit(limit("api", token_bucket(9, 1, 10)), at(10)).unwrap();
    rates.refund(first, at(10));
    assert_eq!(used(&rates, 10), 4, "it was drawn from a meter that is gone");
}

//= docs/spec/rates.md#limits
#[test]
fn what_is_removed_takes_its_meters_along_and_no_others() {
    let mail = ConnectorId::new("mail").unwrap();
    let of_mail = LimitId::Pool { connector: mail, pool: pool("api") };
    let holder = Holder::Zone(ZoneId::new("z:work").unwrap());
    let budget = Limit::budget(holder.clone(), Unit::Requests, 9, 60);
    let limits = [
        limit("api", sliding(9, 100)),
        limit("other", sliding(9, 100)),
        Limit { id: of_mail.clone(), ..limit("api", sliding(9, 100)) },
        budget.clone(),
    ];
    let mut rates = rates(limits.clone());
    let of = |it: &Limit| Demand { limit: it.id.clone(), ..demand("api", 2) };
    let mut demands: Vec<_> = limits.iter().map(of).collect();
    demands[3].holder = holder.clone();
    let _kept = take(&mut rates, demands, 0).unwrap();
    let left = |rates: &Rates| (rates.limits().count(), rates.meters());
    let spent = |rates: &Rates, limit: &LimitId| rates.usage(limit, &Holder::Global, at(0));

    rates.remove_limit(&id("api"));
    assert_eq!((left(&rates), spent(&rates, &id("other"))), ((3, 3), Some((2, 9))));
    assert!(!passes(&mut rates, 1, 0), "it is not defined any more");
    rates.set_limit(limit("api", sliding(9, 100)), at(0)).unwrap();
    assert_eq!(used(&rates, 0), 0, "defined again, it begins anew");

    rates.remove_connector(&ConnectorId::new("github").unwrap());
    assert_eq!(left(&rates), (2, 2));
    assert_eq!(spent(&rates, &of_mail), Some((2, 9)));
    assert_eq!(rates.usage(&budget.id, &holder, at(0)), Some((2, 9)));
}

#[test]
fn a_holder_that_is_named_twice_is_drawn_from_once() {
    let (connector, zone) = (ConnectorId::new("github").unwrap(), ZoneId::new("z:work").unwrap());
    let principal = PrincipalId::new("ada").unwrap();
    let [bot, me] = ["bot", "me"].map(|name| CredentialId::new(name).unwrap());
    let caller = Caller {
        connector: &connector,
        zone: &zone,
        principal: &principal,
        credentials: &[me.clone(), bot.clone(), me.clone()],
        grants: &[],
    };
    let rates = rates([Limit { scope: Scope::Credential, ..limit("api", sliding(9, 100)) }]);
    let demands = rates.demands(&[pool("api")], &caller, Usage::CALL);
    let holders: Vec<_> = demands.into_iter().map(|demand| demand.holder).collect();
    assert_eq!(holders, [bot, me].map(|name| Holder::Credential(zone.clone(), name)));
}

//= docs/spec/rates.md#refund
#[test]
fn a_refund_is_not_lessened_by_refunds_before_the_draw() {
    for algorithm in [token_bucket(10, 5, 100), leaky(10, 5, 100), sliding(10, 100)] {
        let mut rates = rates([limit("api", algorithm)]);
        for _ in 0..2 {
            let drawn = take(&mut rates, vec![demand("api", 5)], 0).unwrap();
            assert_eq!(used(&rates, 0), 5);
            rates.refund(drawn, at(0));
            assert_eq!(used(&rates, 0), 0);
        }
    }
}

#[test]
fn settling_replaces_the_expected_by_the_measured_usage() {
    for algorithm in [token_bucket(100, 10, 10), leaky(100, 10, 10), sliding(100, 100)] {
        let bytes = Limit { unit: Unit::Bytes, ..limit("api", algorithm) };
        let mut rates = rates([bytes]);
        let less = take(&mut rates, vec![demand("api", 60)], 0).unwrap();
        rates.settle(less, Usage { bytes: 20, ..Usage::CALL }, at(0));
        assert_eq!(used(&rates, 0), 20);
        let more = take(&mut rates, vec![demand("api", 10)], 0).unwrap();
        rates.settle(more, Usage { bytes: 150, ..Usage::CALL }, at(0));
        assert_eq!(used(&rates, 0), 170, "past the limit: later calls wait for it");
        assert!(!passes(&mut rates, 1, 1));
        let none = take(&mut rates, vec![demand("api", 0)], 10_000).unwrap();
        rates.settle(none, Usage::default(), at(10_000));
        assert_eq!(used(&rates, 10_000), 1, "a call keeps one unit");
    }
}

//= docs/spec/rates.md#time
#[test]
fn a_clock_that_steps_back_gives_nothing() {
    for algorithm in [token_bucket(2, 2, 100), leaky(2, 2, 100), sliding(2, 100)] {
        let mut rates = rates([limit("api", algorithm)]);
        assert!(passes(&mut rates, 2, 1_000));
        assert!(!passes(&mut rates, 1, 5));
        assert!(!passes(&mut rates, 1, 1_040));
        assert!(passes(&mut rates, 2, 1_100));
        assert!(!passes(&mut rates, 1, 1_000), "the later moment was seen already");
    }
}

#[test]
fn the_latest_moment_seen_outlives_the_meters() {
    for algorithm in [token_bucket(2, 2, 100), leaky(2, 2, 100), sliding(2, 100)] {
        let mut rates = rates([limit("api", algorithm)]);
        rates.sweep(at(1_100));
        assert!(passes(&mut rates, 2, 1_000));
        assert!(!passes(&mut rates, 2, 1_199), "drawn at 1,100, whatever the clock said");
        assert!(passes(&mut rates, 2, 1_200));
    }
}

#[test]
fn records_out_of_order_count_from_the_latest() {
    for algorithm in [token_bucket(2, 2, 60 * SECOND), leaky(2, 2, 60 * SECOND), sliding(2, 60 * SECOND)] {
        let mut rates = rates([limit("api", algorithm)]);
        for age in [90, 200] {
            // The first is over when the second, an older one, comes.
            rates.replay(&[demand("api", 1)], None, UnixTime::from_secs(START + 300 - age), at(300 * SECOND));
        }
        rates.replay(&[demand("api", 1)], None, UnixTime::from_secs(START + 290), at(300 * SECOND));
        rates.replay(&[demand("api", 1)], None, UnixTime::from_secs(START + 100), at(300 * SECOND));
        assert_eq!(used(&rates, 319 * SECOND), 2);
        assert!(!passes(&mut rates, 2, 319 * SECOND));
        assert!(passes(&mut rates, 2, 350 * SECOND));
    }
}

#[test]
fn the_end_of_the_clock_and_the_largest_amounts_do_not_overflow() {
    let most = MAX_TIME;
    for algorithm in [
        Algorithm::TokenBucket { capacity: u64::MAX, refill: u64::MAX, every: most },
        Algorithm::LeakyBucket { capacity: u64::MAX, leak: u64::MAX, every: most },
        Algorithm::SlidingWindow { limit: u64::MAX, window: most },
        Algorithm::LeakyBucket { capacity: u64::MAX, leak: 1, every: most },
    ] {
        let mut rates = rates([limit("api", algorithm)]);
        let first = take(&mut rates, vec![demand("api", u64::MAX)], 0).unwrap();
        rates.settle(first, Usage { requests: u64::MAX, ..Usage::CALL }, at(0));
        let _ = rates.check(vec![demand("api", u64::MAX)], at(u64::MAX));
        let _ = rates.replay(&[demand("api", u64::MAX)], None, UnixTime::from_secs(0), at(u64::MAX));
        let _ = rates.replay(&[demand("api", u64::MAX)], None, UnixTime::from_secs(u64::MAX), at(0));
        assert!(used(&rates, 0) > 0);
    }
}

//= docs/spec/rates.md#replay
#[test]
fn a_restart_rebuilds_what_the_intents_reserved() {
    for algorithm in [token_bucket(10, 10, 60 * SECOND), leaky(10, 10, 60 * SECOND), sliding(10, 60 * SECOND)]
    {
        let mut before = rates([limit("api", algorithm)]);
        for second in [0, 20, 40] {
            assert!(passes(&mut before, 3, second * SECOND));
        }
        // The machine boots anew: its clock begins at 5 s, sixty seconds after the first call.
        let now = Now { mono: Instant::from_nanos(5 * SECOND), unix: UnixTime::from_secs(START + 50) };
        let mut after = rates([limit("api", algorithm)]);
        for second in [0, 20, 40] {
            let replayed = after.replay(&[demand("api", 3)], None, UnixTime::from_secs(START + second), now);
            assert_eq!(replayed, Replayed { drawn: 1, undefined: 0 });
        }
        let usage = |rates: &Rates, now| rates.usage(&id("api"), &Holder::Global, now);
        assert_eq!(usage(&after, now), usage(&before, at(50 * SECOND)));
        let later = Now { mono: Instant::from_nanos(16 * SECOND), unix: UnixTime::from_secs(START + 61) };
        assert_eq!(usage(&after, later), usage(&before, at(61 * SECOND)));
        assert_eq!(
            after.replay(&[demand("gone", 1)], None, now.unix, now),
            Replayed { drawn: 0, undefined: 1 }
        );
    }
}

#[test]
fn a_record_from_the_future_counts_as_now() {
    let mut rates = rates([limit("api", sliding(2, 100 * SECOND))]);
    rates.replay(&[demand("api", 2)], None, UnixTime::from_secs(START + 9_999), at(SECOND));
    assert!(!passes(&mut rates, 1, 100 * SECOND));
    assert!(passes(&mut rates, 1, 101 * SECOND));
}

#[test]
fn the_table_of_meters_is_bounded_and_makes_room_from_idle_ones() {
    let mut rates = rates([limit("api", sliding(1, 100))]);
    let of = |n: usize| {
        let holder = Holder::Principal(PrincipalId::new(std::format!("p{n}")).unwrap());
        vec![Demand { holder, ..demand("api", 1) }]
    };
    for n in 0..MAX_METERS {
        assert!(take(&mut rates, of(n), u64::from(n > 0)).is_ok());
    }
    let refused = take(&mut rates, of(MAX_METERS), 99).unwrap_err();
    assert_eq!((refused.why, refused.code()), (Why::TooManyMeters, Code::Exhausted));
    assert!(take(&mut rates, of(MAX_METERS), 100).is_ok(), "the first is idle");
    assert_eq!(rates.meters(), MAX_METERS);
    assert_eq!(take(&mut rates, of(MAX_METERS + 1), 100).unwrap_err().why, Why::TooManyMeters);
    assert!(take(&mut rates, of(MAX_METERS + 1), 101).is_ok());
    assert_eq!(rates.meters(), 2);
}

//= docs/spec/rates.md#sliding-window
#[test]
fn a_small_window_is_exact_and_a_larger_one_late() {
    let window = 1_024_000;
    for (size, late) in [(1_024, 0), (1_025, 95)] {
        let mut rates = rates([limit("api", sliding(size, window))]);
        assert!(passes(&mut rates, size, 1));
        // The axis begins 2^62 ns before the clock does: 1 is 905 ns into a cell of 1,000 ns.
        assert_eq!(wait(&mut rates, 1, 1), Some(window + late), "{size}");
    }
}

//= docs/spec/rates.md#sliding-window
#[test]
fn the_log_of_a_window_has_a_bound_and_keeps_nothing_that_was_given_back() {
    let mut window = Window::new(1_024, SECOND, true);
    for moment in 0..3_000 {
        window.draw(1, Tick(moment));
    }
    assert_eq!((window.entries(), window.used(Tick(3_000))), (2_050, 3_000));
    let mut window = Window::new(1_024, SECOND, true);
    window.draw(3, Tick(5));
    for (back, left) in [(2, (1, 1)), (1, (0, 0)), (1, (0, 0))] {
        window.refund(back, Tick(5));
        assert_eq!((window.entries(), window.used(Tick(5))), left);
    }
}

/// The token bucket written out: one token at a time, one nanosecond at a time.
fn token_model(draws: &[(u64, u64)], capacity: u64, refill: u64, every: u64) -> Vec<bool> {
    let (mut tokens, mut since, mut clock) = (capacity, 0, 0);
    draws
        .iter()
        .map(|&(at, amount)| {
            while clock < at {
                clock += 1;
                if tokens < capacity && (clock - since) % every == 0 {
                    tokens = (tokens + refill).min(capacity);
                }
            }
            let fits = amount <= tokens;
            if fits {
                if tokens == capacity {
                    since = at;
                }
                tokens -= amount;
            }
            fits
        })
        .collect()
}

/// The sliding window written out: the sum over all draws younger than the window.
fn window_model(draws: &[(u64, u64)], limit: u64, window: u64) -> Vec<bool> {
    let mut log = Vec::<(u64, u64)>::new();
    draws
        .iter()
        .map(|&(at, amount)| {
            let inside: u64 = log.iter().filter(|(when, _)| at - when < window).map(|(_, units)| units).sum();
            let fits = inside + amount <= limit;
            if fits {
                log.push((at, amount));
            }
            fits
        })
        .collect()
}

/// The leaky bucket written out: every nanosecond adds `leak` to a jug, and a full jug of `every` takes one unit.
fn leaky_model(draws: &[(u64, u64)], capacity: u64, leak: u64, every: u64) -> Vec<bool> {
    let (mut level, mut jug, mut clock) = (0, 0, 0);
    draws
        .iter()
        .map(|&(at, amount)| {
            while clock < at {
                clock += 1;
                jug += leak;
                while level > 0 && jug >= every {
                    jug -= every;
                    level -= 1;
                }
                if level == 0 {
                    jug = 0;
                }
            }
            let fits = level + amount <= capacity;
            if fits {
                level += amount;
            }
            fits
        })
        .collect()
}

fn draws() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0_u64..25, 1_u64..8), 1..60).prop_map(|steps| {
        steps
            .into_iter()
            .scan(0, |clock, (wait, amount)| {
                *clock += wait;
                Some((*clock, amount))
            })
            .collect()
    })
}

fn run(algorithm: Algorithm, draws: &[(u64, u64)]) -> Vec<bool> {
    let mut rates = rates([limit("api", algorithm)]);
    draws.iter().map(|&(now, amount)| passes(&mut rates, amount, now)).collect()
}

proptest! {
    #[test]
    fn the_token_bucket_agrees_with_its_model(draws in draws(), capacity in 1_u64..12, refill in 1_u64..6, every in 1_u64..30) {
        let model = token_model(&draws, capacity, refill, every);
        prop_assert_eq!(run(token_bucket(capacity, refill, every), &draws), model);
    }

    #[test]
    fn the_sliding_window_agrees_with_its_model(draws in draws(), limit in 1_u64..20, window in 1_u64..120) {
        prop_assert_eq!(run(sliding(limit, window), &draws), window_model(&draws, limit, window));
    }

    #[test]
    fn the_leaky_bucket_agrees_with_its_model(draws in draws(), capacity in 1_u64..12, leak in 1_u64..6, every in 1_u64..30) {
        prop_assert_eq!(run(leaky(capacity, leak, every), &draws), leaky_model(&draws, capacity, leak, every));
    }

    /// The wait that a refusal names is the shortest that helps.
    #[test]
    fn retry_after_is_exact(draws in draws(), kind in 0_usize..3, size in 1_u64..12, flow in 1_u64..6, time in 1_u64..30) {
        let algorithm = [token_bucket(size, flow, time), leaky(size, flow, time), sliding(size, time)][kind];
        let mut rates = rates([limit("api", algorithm)]);
        for &(now, amount) in &draws {
            let Err(exceeded) = rates.check(vec![demand("api", amount)], at(now)) else {
                prop_assert!(passes(&mut rates, amount, now));
                continue;
            };
            let Some(wait) = exceeded.retry_after() else { prop_assert!(amount > size); continue };
            let wait = u64::try_from(wait.as_nanos()).unwrap();
            prop_assert!(rates.check(vec![demand("api", amount)], at(now + wait - 1)).is_err());
            prop_assert!(rates.check(vec![demand("api", amount)], at(now + wait)).is_ok());
        }
    }

    /// Whatever is refunded and whenever: what was kept never exceeds what the rule lets through in any interval.
    #[test]
    fn refunds_never_mint(draws in draws(), refunds in prop::collection::vec((any::<bool>(), 0_usize..8), 60), kind in 0_usize..3, size in 1_u64..12, flow in 1_u64..6, time in 1_u64..30) {
        let algorithm = [token_bucket(size, flow, time), leaky(size, flow, time), sliding(size, time)][kind];
        let mut rates = rates([limit("api", algorithm)]);
        let (mut open, mut kept) = (Vec::new(), Vec::new());
        for (&(now, amount), &(back, which)) in draws.iter().zip(&refunds) {
            if let Ok(reservation) = take(&mut rates, vec![demand("api", amount)], now) {
                open.push((now, amount, reservation));
            }
            if back && which < open.len() {
                rates.refund(open.remove(which).2, at(now));
            }
        }
        kept.extend(open.iter().map(|(now, amount, _)| (*now, *amount)));
        for (first, &(from, _)) in kept.iter().enumerate() {
            let mut sum = 0;
            for &(to, amount) in &kept[first..] {
                sum += amount;
                let span = to - from;
                let allowed = match kind {
                    // One more step than fits the span: a refund leaves the phase of the steps as it was.
                    0 => size + flow * (span / time + 1),
                    1 => size + span * flow / time + 1,
                    _ if span < time => size,
                    _ => u64::MAX,
                };
                prop_assert!(sum <= allowed, "{sum} in {span}, {allowed} allowed: {kept:?}");
            }
        }
    }
}
