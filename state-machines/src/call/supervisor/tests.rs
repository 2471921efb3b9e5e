//! The transition table, each duty of the supervisor, and random histories with their invariants.

extern crate std;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::time::UnixTime;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

const A: CallId = CallId::from_bytes([1; 16]);
const B: CallId = CallId::from_bytes([2; 16]);
const C: CallId = CallId::from_bytes([3; 16]);
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

fn entropy() -> Entropy {
    Entropy::from_seed(&Zeroizing::new([9; 32]))
}

/// A supervisor with its clock and everything it said.
struct Bench {
    machine: Supervisor,
    now: u64,
}

impl Bench {
    fn new(config: Config) -> Self {
        Self { machine: Supervisor::new(config, entropy()), now: SECOND }
    }

    fn clock(&self) -> Now {
        Now { mono: Instant::from_nanos(self.now), unix: UnixTime::from_secs(self.now / SECOND) }
    }

    fn put(&mut self, input: Input) -> Vec<Output> {
        let mut sink = Vec::new();
        self.machine.handle(input, self.clock(), &mut sink);
        sink
    }

    /// Goes to the next deadline, which must be `reason`, and does what is due.
    fn due(&mut self, reason: Reason) -> Vec<Output> {
        let (at, why) = self.machine.poll_timeout().expect("a deadline");
        assert_eq!(why, reason);
        assert!(at.as_nanos() > self.now, "a deadline without delay");
        self.now = at.as_nanos();
        let mut sink = Vec::new();
        self.machine.handle_timeout(self.clock(), &mut sink);
        sink
    }

    fn name(&self) -> StateName {
        self.machine.state().name()
    }

    fn process(&self) -> Process {
        self.machine.newest
    }

    fn spawned(mut self) -> Self {
        self.put(Input::Start);
        self
    }

    fn initializing(self) -> Self {
        let mut bench = self.spawned();
        let process = bench.process();
        bench.put(Input::Spawned { process });
        bench
    }

    fn ready(self) -> Self {
        let mut bench = self.initializing();
        let process = bench.process();
        bench.put(Input::Initialized { process });
        assert_eq!(bench.name(), StateName::Ready);
        bench
    }

    fn asked(self) -> Self {
        let mut bench = self.ready();
        bench.due(Reason::HealthDue);
        bench
    }

    fn degraded(self) -> Self {
        let mut bench = self.asked();
        let process = bench.process();
        bench.put(Input::Health { process, report: HealthReport::Failed });
        assert_eq!(bench.name(), StateName::Degraded);
        bench
    }

    /// Ready, with the call A in the process.
    fn busy(self) -> Self {
        let mut bench = self.ready();
        bench.put(Input::Demand { call: A });
        bench
    }

    fn finishing(self) -> Self {
        let mut bench = self.busy();
        bench.put(Input::Disable);
        bench
    }

    fn terminating(self) -> Self {
        let mut bench = self.ready();
        bench.put(Input::Disable);
        bench
    }

    fn killing(self) -> Self {
        let mut bench = self.busy();
        bench.put(Input::Revoke);
        bench
    }

    fn backing_off(self) -> Self {
        let mut bench = self.ready();
        let process = bench.process();
        bench.put(Input::Exited { process, status: ExitStatus::Signal(11) });
        assert_eq!(bench.name(), StateName::BackingOff);
        bench
    }

    fn crash_looped(self) -> Self {
        let mut bench = self.spawned();
        let process = bench.process();
        bench.put(Input::SpawnFailed { process, error: SpawnError::Sandbox });
        assert_eq!(bench.name(), StateName::CrashLooped);
        bench
    }

    fn disabled(mut self) -> Self {
        self.put(Input::Disable);
        assert_eq!(self.name(), StateName::Disabled);
        self
    }
}

fn bench() -> Bench {
    Bench::new(Config::default())
}

fn all_inputs(process: Process) -> Vec<Input> {
    let status = |code| Input::Exited { process, status: ExitStatus::Code(code) };
    let mut inputs = Vec::from([
        Input::Demand { call: C },
        Input::Start,
        Input::Spawned { process },
        Input::SpawnFailed { process, error: SpawnError::Resources },
        Input::SpawnFailed { process, error: SpawnError::Sandbox },
        Input::Initialized { process },
        Input::InitializeFailed { process },
        status(0),
        status(1),
        Input::Answered { call: A },
        Input::NotWritten { call: A },
        Input::TimedOut { call: A },
        Input::CancelRequested { call: A },
        Input::Disable,
        Input::Revoke,
        Input::Shutdown,
        Input::Enable,
        Input::Restore,
    ]);
    for report in [HealthReport::Ready, HealthReport::Degraded, HealthReport::Failed] {
        inputs.push(Input::Health { process, report });
    }
    inputs
}

/// Names as the table shows them: without field names and repeated bytes.
fn short(value: &impl core::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let text =
        text.replace(&format!("{A:?}"), "A").replace(&format!("{C:?}"), "C").replace("Process(1)", "#1");
    ["process: ", "call: ", "end: ", "from: ", "to: ", "why: ", "status: ", "report: ", "error: "]
        .iter()
        .fold(text, |text, field| text.replace(field, ""))
}

//= docs/spec/supervisor.md#states
#[test]
fn transition_table() {
    type Start = fn(Bench) -> Bench;
    let starts: [(&str, Start); 14] = [
        ("stopped", |bench| bench),
        ("starting, spawning", Bench::spawned),
        ("starting, initializing", Bench::initializing),
        ("ready, idle", Bench::ready),
        ("ready, call A", Bench::busy),
        ("degraded", Bench::degraded),
        ("ready, health asked", Bench::asked),
        ("degraded, health asked", |bench| {
            let mut bench = bench.degraded();
            bench.due(Reason::HealthDue);
            bench
        }),
        ("draining, finishing A", Bench::finishing),
        ("draining, terminating", Bench::terminating),
        ("draining, killing", Bench::killing),
        ("backing off", Bench::backing_off),
        ("crash looped", Bench::crash_looped),
        ("disabled", Bench::disabled),
    ];
    let mut table = String::new();
    for (name, start) in starts {
        table += &format!("{name}\n");
        let process = start(bench()).process();
        let mut silent = Vec::new();
        for input in all_inputs(process) {
            let mut bench = start(bench());
            let before = *bench.machine.state();
            let outputs = bench.put(input);
            if outputs.is_empty() && before == *bench.machine.state() {
                silent.push(short(&input));
            } else {
                let outputs: Vec<_> = outputs.iter().map(short).collect();
                table += &format!("  {} → {}: {}\n", short(&input), bench.name(), outputs.join(", "));
            }
        }
        let mut bench = start(self::bench());
        if let Some((_, reason)) = bench.machine.poll_timeout() {
            let outputs: Vec<_> = bench.due(reason).iter().map(short).collect();
            table += &format!("  after {} → {}: {}\n", short(&reason), bench.name(), outputs.join(", "));
        }
        table += &format!("  no effect: {}\n\n", silent.join(", "));
    }
    insta::assert_snapshot!(table);
}

fn ended(outputs: &[Output]) -> Vec<(CallId, CallEnd)> {
    outputs
        .iter()
        .filter_map(
            |output| if let Output::CallEnded { call, end } = output { Some((*call, *end)) } else { None },
        )
        .collect()
}

//= docs/spec/supervisor.md#cancel
#[test]
fn a_cancel_reaches_the_connector_and_escalates_to_the_kill() {
    let mut bench = bench().busy();
    let process = bench.process();
    let start = bench.now;
    assert_eq!(bench.put(Input::CancelRequested { call: A }), [Output::SendCancel { process, call: A }]);
    assert!(bench.put(Input::CancelRequested { call: A }).is_empty(), "said once");
    bench.put(Input::Demand { call: B });

    let outputs = bench.due(Reason::Cancel(A));
    assert_eq!(bench.now - start, SECOND);
    assert_eq!(ended(&outputs), [(A, CallEnd::OutcomeUnknown(Cause::Cancelled))]);
    assert_eq!(outputs.last(), Some(&Output::Terminate { process }));

    let outputs = bench.due(Reason::Kill);
    assert_eq!(bench.now - start, SECOND + 500 * MS);
    assert_eq!(outputs[0], Output::Kill { process });
    assert_eq!(ended(&outputs), [(B, CallEnd::OutcomeUnknown(Cause::ProcessEnded))]);

    let outputs = bench.due(Reason::Kill);
    assert_eq!(outputs, [Output::KillUnanswered { process }, Output::Kill { process }]);
    bench.put(Input::Exited { process, status: ExitStatus::Signal(9) });
    assert_eq!(bench.name(), StateName::Stopped, "a caller's cancel is no failure of the connector");
}

#[test]
fn an_answer_to_a_cancel_ends_the_call_and_spares_the_process() {
    let mut bench = bench().busy();
    bench.put(Input::TimedOut { call: A });
    assert_eq!(ended(&bench.put(Input::Answered { call: A })), [(A, CallEnd::Answered)]);
    assert_eq!(bench.put(Input::Answered { call: A }), [Output::LateAnswer { call: A }]);
    bench.due(Reason::HealthDue);
    assert_eq!(bench.name(), StateName::Ready);
}

#[test]
fn calls_of_a_dying_process_are_unknown_if_sent_and_wait_if_not() {
    let mut bench = Bench::new(Config { max_sent: 1, ..Config::default() }).busy();
    let process = bench.process();
    bench.put(Input::Demand { call: B });
    bench.put(Input::Demand { call: C });
    let outputs = bench.put(Input::Exited { process, status: ExitStatus::Code(0) });
    assert_eq!(ended(&outputs), [(A, CallEnd::OutcomeUnknown(Cause::ProcessEnded))]);
    assert_eq!(bench.name(), StateName::BackingOff, "an end with a call is a failure, whatever the code");
    assert_eq!(
        ended(&bench.put(Input::CancelRequested { call: C })),
        [(C, CallEnd::NotDelivered(Cause::Cancelled))]
    );
    bench.due(Reason::Backoff);
    let process = bench.process();
    bench.put(Input::Spawned { process });
    let outputs = bench.put(Input::Initialized { process });
    assert_eq!(outputs.last(), Some(&Output::Deliver { process, call: B }));
    assert_eq!(
        ended(&bench.put(Input::NotWritten { call: B })),
        [(B, CallEnd::NotDelivered(Cause::WriteFailed))]
    );
}

//= docs/spec/supervisor.md#failures
#[test]
fn failures_back_off_with_jitter_and_five_stop_the_restarts() {
    let mut bench = bench();
    bench.put(Input::Demand { call: A });
    for failure in 0..4 {
        let process = bench.process();
        bench.put(Input::SpawnFailed { process, error: SpawnError::Resources });
        let before = bench.now;
        bench.due(Reason::Backoff);
        let (delay, nominal) = (bench.now - before, (500 << failure) * MS);
        assert!((nominal / 2..=nominal * 3 / 2).contains(&delay), "{delay} after failure {failure}");
        assert_eq!(bench.name(), StateName::Starting);
    }
    let process = bench.process();
    let outputs = bench.put(Input::SpawnFailed { process, error: SpawnError::Resources });
    assert_eq!(ended(&outputs), [(A, CallEnd::NotDelivered(Cause::CrashLooped))]);
    assert_eq!((bench.name(), bench.machine.poll_timeout()), (StateName::CrashLooped, None));
    assert_eq!(
        ended(&bench.put(Input::Demand { call: B })),
        [(B, CallEnd::NotDelivered(Cause::CrashLooped))]
    );
    bench.put(Input::Enable);
    bench.put(Input::Demand { call: C });
    assert_eq!(bench.name(), StateName::Starting, "the owner's enable begins anew");
}

#[test]
fn the_delay_grows_to_its_maximum_and_a_long_run_forgets() {
    let mut bench = bench().ready();
    let delay = |bench: &mut Bench| {
        let process = bench.process();
        bench.put(Input::Exited { process, status: ExitStatus::Code(1) });
        let before = bench.now;
        bench.due(Reason::Backoff);
        let process = bench.process();
        bench.put(Input::Spawned { process });
        bench.put(Input::Initialized { process });
        bench.now - before
    };
    // Four in a window of five minutes are no crash loop.
    for _ in 0..12 {
        bench.now += 90 * SECOND;
        delay(&mut bench);
    }
    let longest = delay(&mut bench);
    assert!((30 * SECOND..=90 * SECOND).contains(&longest), "{longest}");
    bench.now += 300 * SECOND;
    let first = delay(&mut bench);
    assert!((250 * MS..=750 * MS).contains(&first), "{first}");
}

#[test]
fn the_restart_policy_decides_without_a_demand() {
    let clean = ExitStatus::Code(0);
    let (error, signal) = (ExitStatus::Code(1), ExitStatus::Signal(6));
    for (restart, expected) in [
        (Restart::Always, [StateName::Starting; 3]),
        (Restart::OnFailure, [StateName::Stopped, StateName::Starting, StateName::Starting]),
        (Restart::OnCrash, [StateName::Stopped, StateName::Stopped, StateName::Starting]),
        (Restart::Never, [StateName::Stopped; 3]),
    ] {
        for (status, expected) in [clean, error, signal].into_iter().zip(expected) {
            let mut bench = Bench::new(Config { restart, ..Config::default() }).ready();
            let process = bench.process();
            bench.put(Input::Exited { process, status });
            if bench.name() == StateName::BackingOff {
                bench.due(Reason::Backoff);
            }
            assert_eq!(bench.name(), expected, "{restart:?} {status:?}");
        }
    }
}

//= docs/spec/supervisor.md#health
#[test]
fn health_is_asked_by_the_declared_operation_and_three_failures_end_the_process() {
    let probe = HealthProbe::Operation(OperationId::new("github.user.get").unwrap());
    let mut bench = Bench::new(Config { health_probe: probe.clone(), ..Config::default() }).ready();
    let (process, start) = (bench.process(), bench.now);
    assert_eq!(bench.due(Reason::HealthDue), [Output::SendHealth { process, probe }]);
    assert_eq!(bench.now - start, 30 * SECOND);
    bench.due(Reason::HealthTimeout);
    assert_eq!((bench.now - start, bench.name()), (40 * SECOND, StateName::Degraded));
    assert!(
        bench.put(Input::Health { process, report: HealthReport::Ready }).is_empty(),
        "nothing was asked"
    );
    bench.due(Reason::HealthDue);
    bench.put(Input::Health { process, report: HealthReport::Failed });
    bench.due(Reason::HealthDue);
    let outputs = bench.put(Input::Health { process, report: HealthReport::Failed });
    assert_eq!(outputs.last(), Some(&Output::Terminate { process }));
    bench.put(Input::Exited { process, status: ExitStatus::Code(0) });
    assert_eq!(bench.name(), StateName::BackingOff);
}

#[test]
fn a_good_health_check_forgets_the_failed_ones() {
    let mut bench = bench().degraded();
    let process = bench.process();
    for report in [HealthReport::Failed, HealthReport::Ready, HealthReport::Failed, HealthReport::Failed] {
        bench.due(Reason::HealthDue);
        bench.put(Input::Health { process, report });
    }
    assert_eq!(bench.name(), StateName::Degraded, "two in a row");
    bench.due(Reason::HealthDue);
    bench.put(Input::Health { process, report: HealthReport::Degraded });
    bench.due(Reason::HealthDue);
    bench.put(Input::Health { process, report: HealthReport::Failed });
    assert_eq!(bench.name(), StateName::Degraded, "working in part is an answer");
}

//= docs/spec/supervisor.md#stop
#[test]
fn a_graceful_stop_lets_calls_finish_and_kills_after_thirty_seconds() {
    let mut bench = bench().finishing();
    let (process, start) = (bench.process(), bench.now);
    assert_eq!(ended(&bench.put(Input::Demand { call: B })), [(B, CallEnd::NotDelivered(Cause::Disabled))]);
    bench.now += SECOND;
    let outputs = bench.put(Input::Answered { call: A });
    assert_eq!(outputs.last(), Some(&Output::Terminate { process }));
    bench.due(Reason::Kill);
    assert_eq!(bench.now - start, 30 * SECOND);
    bench.put(Input::Exited { process, status: ExitStatus::Signal(9) });
    assert_eq!(bench.name(), StateName::Disabled);

    let mut bench = self::bench().finishing();
    assert_eq!(bench.due(Reason::Drain), [Output::Terminate { process }]);
    let outputs = bench.due(Reason::Kill);
    assert_eq!(ended(&outputs), [(A, CallEnd::OutcomeUnknown(Cause::ProcessEnded))]);
}

#[test]
fn a_revocation_kills_at_once_and_only_a_restoration_lifts_it() {
    let mut bench = bench().busy();
    let process = bench.process();
    let outputs = bench.put(Input::Revoke);
    assert!(outputs.contains(&Output::Kill { process }));
    let end = CallEnd::OutcomeUnknown(Cause::Revoked);
    assert_eq!(ended(&outputs), [(A, end)]);
    assert_eq!(end.code(), Some(Code::OutcomeUnknown));
    bench.put(Input::Exited { process, status: ExitStatus::Signal(9) });
    bench.put(Input::Enable);
    let refused = ended(&bench.put(Input::Demand { call: B }));
    assert_eq!(refused, [(B, CallEnd::NotDelivered(Cause::Revoked))]);
    assert_eq!(refused[0].1.code(), Some(Code::ConnectorRevoked));
    bench.put(Input::Restore);
    assert_eq!(bench.name(), StateName::Stopped);
}

#[test]
fn nothing_starts_after_a_shutdown() {
    let mut bench = bench().spawned();
    let process = bench.process();
    assert!(bench.put(Input::Shutdown).contains(&Output::Kill { process }));
    assert_eq!(
        bench.put(Input::Spawned { process }),
        [Output::Kill { process }],
        "made after it was given up"
    );
    bench.put(Input::Exited { process, status: ExitStatus::Signal(9) });
    for input in [Input::Enable, Input::Restore, Input::Start, Input::Demand { call: A }] {
        bench.put(input);
        assert_eq!(bench.name(), StateName::Disabled);
    }
}

#[test]
fn a_start_that_takes_too_long_is_ended_and_counts_as_failed() {
    let mut bench = bench().initializing();
    let process = bench.process();
    let outputs = bench.due(Reason::Startup);
    assert_eq!(outputs.last(), Some(&Output::Terminate { process }));
    bench.due(Reason::Kill);
    bench.put(Input::Exited { process, status: ExitStatus::Signal(9) });
    let State::BackingOff(BackingOff { failure, .. }) = bench.machine.state() else { panic!("no back-off") };
    assert_eq!(*failure, Some(Failure::StartupTimeout));
}

#[test]
fn an_idle_process_is_stopped_and_a_call_resets_the_wait() {
    let idle = Duration::from_secs(20);
    let mut bench = Bench::new(Config { idle_stop: Some(idle), ..Config::default() }).ready();
    bench.now += 19 * SECOND;
    bench.put(Input::Demand { call: A });
    assert_eq!(bench.machine.poll_timeout().map(|(_, reason)| reason), Some(Reason::HealthDue));
    bench.put(Input::Answered { call: A });
    let process = bench.process();
    bench.due(Reason::HealthDue);
    bench.put(Input::Health { process, report: HealthReport::Degraded });
    let before = bench.now;
    assert_eq!(bench.due(Reason::Idle).last(), Some(&Output::Terminate { process }));
    assert_eq!(bench.now - before, 9 * SECOND, "health checks are no calls");
    bench.put(Input::Exited { process, status: ExitStatus::Code(0) });
    assert_eq!(bench.name(), StateName::Stopped);
}

#[test]
fn more_calls_than_may_wait_are_turned_away() {
    let mut bench = Bench::new(Config { max_waiting: 1, ..Config::default() });
    bench.put(Input::Demand { call: A });
    bench.put(Input::Demand { call: A });
    assert_eq!(bench.machine.open_calls(), (1, 0), "a call is taken once");
    assert_eq!(ended(&bench.put(Input::Demand { call: B })), [(B, CallEnd::NotDelivered(Cause::Busy))]);
}

#[test]
fn reports_about_an_earlier_process_change_nothing() {
    let mut bench = bench().backing_off();
    bench.due(Reason::Backoff);
    let (old, new) = (Process(1), bench.process());
    assert_eq!(new, Process(2));
    for input in all_inputs(old) {
        match input {
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Initialized { .. }
            | Input::InitializeFailed { .. }
            | Input::Exited { .. }
            | Input::Health { .. } => assert!(bench.put(input).is_empty(), "{input:?}"),
            Input::Demand { .. }
            | Input::Start
            | Input::Answered { .. }
            | Input::NotWritten { .. }
            | Input::TimedOut { .. }
            | Input::CancelRequested { .. }
            | Input::Enable
            | Input::Disable
            | Input::Revoke
            | Input::Restore
            | Input::Shutdown => {}
        }
    }
    bench.put(Input::Spawned { process: new });
    assert!(bench.put(Input::Initialized { process: old }).is_empty());
    assert_eq!(bench.name(), StateName::Starting);
    bench.put(Input::Initialized { process: new });
    assert_eq!(bench.name(), StateName::Ready);
    bench.put(Input::Exited { process: old, status: ExitStatus::Signal(9) });
    assert_eq!(bench.name(), StateName::Ready);
}

#[test]
fn durations_of_nothing_still_let_time_pass() {
    let config = Config { health_every: Duration::ZERO, health_timeout: Duration::ZERO, ..Config::default() };
    let mut bench = Bench::new(config).ready();
    let start = bench.now;
    bench.due(Reason::HealthDue);
    bench.due(Reason::HealthTimeout);
    assert_eq!(bench.now - start, 2 * MS);
}

/// A driver that keeps its contract, and what it has seen.
struct World {
    bench: Bench,
    /// Processes between `Spawn` and the report of their end; true once they run.
    live: BTreeMap<Process, bool>,
    delivered: BTreeSet<CallId>,
    demanded: BTreeSet<CallId>,
    ended: BTreeMap<CallId, CallEnd>,
}

/// What happens next to a random world.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Input(u8, u8),
    /// The driver reports what becomes of the live process.
    Process(u8),
    Wait(u64),
    Deadline,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            bench: Bench::new(config),
            live: BTreeMap::new(),
            delivered: BTreeSet::new(),
            demanded: BTreeSet::new(),
            ended: BTreeMap::new(),
        }
    }

    fn put(&mut self, input: Input) {
        if let Input::Spawned { process } = input {
            self.live.insert(process, true);
        } else if let Input::SpawnFailed { process, .. } | Input::Exited { process, .. } = input {
            self.live.remove(&process);
        } else if let Input::Demand { call } = input {
            self.demanded.insert(call);
        }
        let outputs = self.bench.put(input);
        self.observe(outputs);
    }

    fn deadline(&mut self) {
        let Some((at, _)) = self.bench.machine.poll_timeout() else { return };
        self.bench.now = self.bench.now.max(at.as_nanos());
        let outputs = {
            let mut sink = Vec::new();
            let now = self.bench.clock();
            self.bench.machine.handle_timeout(now, &mut sink);
            sink
        };
        self.observe(outputs);
        if let Some((at, reason)) = self.bench.machine.poll_timeout() {
            assert!(at.as_nanos() > self.bench.now, "{reason:?} without delay");
        }
    }

    fn observe(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Spawn { process } => {
                    assert!(self.live.is_empty(), "two live processes");
                    assert!(self.bench.machine.blocks().is_empty(), "a spawn while disabled");
                    assert_eq!(self.bench.name(), StateName::Starting);
                    self.live.insert(process, false);
                }
                Output::Deliver { process, call } => {
                    assert_eq!(self.live.get(&process), Some(&true), "a call to no process");
                    assert!(self.delivered.insert(call), "a call delivered twice");
                }
                Output::CallEnded { call, end } => {
                    assert!(self.demanded.contains(&call), "a call that nobody made");
                    assert_eq!(self.ended.insert(call, end), None, "a call ended twice");
                    let honest = match end {
                        CallEnd::Answered | CallEnd::OutcomeUnknown(_) => self.delivered.contains(&call),
                        CallEnd::NotDelivered(Cause::WriteFailed) => self.delivered.contains(&call),
                        CallEnd::NotDelivered(_) => !self.delivered.contains(&call),
                    };
                    assert!(honest, "{end:?}");
                }
                Output::SendInitialize { process }
                | Output::SendHealth { process, .. }
                | Output::SendCancel { process, .. }
                | Output::Terminate { process } => {
                    assert_eq!(self.live.get(&process), Some(&true), "a word to no process");
                }
                Output::Kill { process } => assert!(self.live.contains_key(&process), "a kill of no process"),
                Output::Changed { from, to, .. } => assert_ne!(from, to),
                Output::LateAnswer { .. } | Output::KillUnanswered { .. } => {}
            }
        }
    }

    fn step(&mut self, number: usize, happens: Happens) {
        let some_call = |which: u8| CallId::from_bytes([which % 8; 16]);
        match happens {
            Happens::Wait(nanos) => self.bench.now += nanos,
            Happens::Deadline => self.deadline(),
            Happens::Process(what) => {
                let Some((&process, &runs)) = self.live.iter().next() else { return };
                self.put(match what % 8 {
                    0..4 if !runs => Input::Spawned { process },
                    4 if !runs => Input::SpawnFailed { process, error: SpawnError::Resources },
                    5 if !runs => Input::SpawnFailed { process, error: SpawnError::Sandbox },
                    _ if !runs => Input::Start,
                    0..4 => Input::Initialized { process },
                    4 => Input::Exited { process, status: ExitStatus::Code(0) },
                    5 => Input::Exited { process, status: ExitStatus::Signal(11) },
                    6 => Input::InitializeFailed { process },
                    _ => Input::Health { process, report: HealthReport::Failed },
                });
            }
            Happens::Input(what, which) => {
                let call = some_call(which);
                self.put(match what % 16 {
                    // A call has one identity for its life; a demand comes once.
                    0..5 => {
                        Input::Demand { call: CallId::from_bytes([u8::try_from(number + 8).unwrap(); 16]) }
                    }
                    5..8 => Input::Answered { call: self.open(which).unwrap_or(call) },
                    8 => Input::NotWritten { call: self.open(which).unwrap_or(call) },
                    9 => Input::CancelRequested { call: self.open(which).unwrap_or(call) },
                    10 => Input::TimedOut { call: self.open(which).unwrap_or(call) },
                    11 => Input::Start,
                    12 => [Input::Disable, Input::Revoke, Input::Shutdown][usize::from(which % 8 / 3)],
                    13 => Input::Enable,
                    14 => Input::Restore,
                    _ => Input::Health { process: Process(u64::from(which)), report: HealthReport::Ready },
                });
            }
        }
    }

    /// One of the calls that have not ended, if there is one.
    fn open(&self, which: u8) -> Option<CallId> {
        let open: Vec<_> = self.demanded.iter().filter(|call| !self.ended.contains_key(call)).collect();
        open.get(usize::from(which) % open.len().max(1)).map(|call| **call)
    }

    /// Lets everything go well until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..2_000 {
            let sent: Vec<_> =
                self.delivered.iter().copied().filter(|call| !self.ended.contains_key(call)).collect();
            let live = self.live.iter().next().map(|(process, runs)| (*process, *runs));
            match (*self.bench.machine.state(), live) {
                (State::Starting(_), Some((process, false))) => self.put(Input::Spawned { process }),
                (State::Starting(_), Some((process, true))) => self.put(Input::Initialized { process }),
                (State::Draining(_), Some((process, _))) if sent.is_empty() => {
                    self.put(Input::Exited { process, status: ExitStatus::Code(0) });
                }
                _ if !sent.is_empty() => sent.into_iter().for_each(|call| self.put(Input::Answered { call })),
                (State::BackingOff(_), None) => self.deadline(),
                (state, live) => {
                    assert_eq!(state.process().is_some(), live.is_some(), "{state:?}");
                    assert_eq!(self.bench.machine.open_calls(), (0, 0), "idle but not done: {state:?}");
                    return;
                }
            }
        }
        panic!("never at rest: {:?}", self.bench.machine.state());
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (any::<u8>(), any::<u8>()).prop_map(|(what, which)| Happens::Input(what, which)),
        4 => any::<u8>().prop_map(Happens::Process),
        1 => (0..40 * SECOND).prop_map(Happens::Wait),
        2 => Just(Happens::Deadline),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let restart = prop_oneof![
        Just(Restart::Always),
        Just(Restart::OnFailure),
        Just(Restart::OnCrash),
        Just(Restart::Never)
    ];
    (restart, 0_usize..4, any::<bool>(), any::<bool>()).prop_map(|(restart, max_sent, idle, hasty)| {
        let wait = if hasty { Duration::ZERO } else { Duration::from_secs(1) };
        Config {
            restart,
            max_sent,
            max_waiting: 3,
            idle_stop: idle.then_some(wait),
            cancel_grace: wait,
            terminate_grace: wait,
            health_every: wait,
            health_timeout: wait,
            backoff_first: wait,
            ..Config::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Never two processes, never a spawn while blocked or crash-looped, each call ends once and honestly; and from
    /// wherever chance has led, when all goes well the machine comes to rest with nothing open.
    #[test]
    fn random_histories_keep_the_invariants(config in config(), history in prop::collection::vec(happens(), 1..120)) {
        let mut world = World::new(config);
        for (number, happens) in history.into_iter().enumerate() {
            world.step(number, happens);
        }
        world.settle();
        prop_assert_eq!(world.demanded.len(), world.ended.len());
    }
}
