//! What calls and their callers ask for: handing over, ending, cancelling.

use alloc::vec::Vec;

use fcp_proto_core::ids::CallId;
use fcp_proto_core::time::Now;

use super::calls::Sent;
use super::messages::{CallEnd, Cause, Output, Why};
use super::states::{DrainPhase, Draining, State, Then};
use super::{Manner, Reason, Supervisor};

impl Supervisor {
    pub(super) fn on_demand(&mut self, call: CallId, now: Now, sink: &mut Vec<Output>) {
        if self.calls.knows(call) {
            return;
        }
        if let Some(cause) = self.refusal() {
            sink.push(Output::CallEnded { call, end: CallEnd::NotDelivered(cause) });
            return;
        }
        self.calls.wait(call);
        match self.state {
            State::Stopped => self.spawn(Why::Demand, now, sink),
            State::Ready(_) | State::Degraded(_) => self.deliver(now, sink),
            State::Starting(_)
            | State::Draining(_)
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => {}
        }
    }

    /// Why no call is taken now, if none is.
    fn refusal(&self) -> Option<Cause> {
        // The strongest block speaks: the last one in order.
        if let Some(block) = self.blocks.last() {
            return Some(block.cause());
        }
        if let State::CrashLooped(looped) = self.state {
            return Some(looped.cause);
        }
        (self.calls.waiting() >= self.config.max_waiting).then_some(Cause::Busy)
    }

    /// Hands waiting calls to a process that takes calls, and arms the idle stop if there are none.
    pub(super) fn deliver(&mut self, now: Now, sink: &mut Vec<Output>) {
        let Some((process, _)) = self.state.serving() else { return };
        while self.calls.sent() < self.config.max_sent.max(1) {
            let Some(call) = self.calls.send_next() else { break };
            sink.push(Output::Deliver { process, call });
        }
        match self.config.idle_stop {
            Some(idle) if self.calls.is_empty() => self.set(Reason::Idle, idle, now),
            Some(_) | None => self.timer.cancel(Reason::Idle),
        }
    }

    pub(super) fn on_answered(&mut self, call: CallId, now: Now, sink: &mut Vec<Output>) {
        if self.calls.end(call).is_none() {
            sink.push(Output::LateAnswer { call });
            return;
        }
        self.call_over(call, CallEnd::Answered, now, sink);
    }

    pub(super) fn on_not_written(&mut self, call: CallId, now: Now, sink: &mut Vec<Output>) {
        if self.calls.end(call).is_some() {
            self.call_over(call, CallEnd::NotDelivered(Cause::WriteFailed), now, sink);
        }
    }

    /// Reports the end of a call that was with the process, and goes on with what waited for it.
    fn call_over(&mut self, call: CallId, end: CallEnd, now: Now, sink: &mut Vec<Output>) {
        self.timer.cancel(Reason::Cancel(call));
        sink.push(Output::CallEnded { call, end });
        self.deliver(now, sink);
        if let State::Draining(Draining { phase: DrainPhase::Finishing { until }, .. }) = self.state
            && self.calls.sent() == 0
        {
            self.terminate(until.saturating_since(now.mono).max(self.config.terminate_grace), now, sink);
        }
    }

    /// A caller gives a call up, or its time is over: a waiting one ends, a sent one is cancelled in the connector.
    pub(super) fn on_cancel(&mut self, call: CallId, cause: Cause, now: Now, sink: &mut Vec<Output>) {
        if self.calls.give_up(call) {
            sink.push(Output::CallEnded { call, end: CallEnd::NotDelivered(cause) });
            self.deliver(now, sink);
            return;
        }
        let Some(process) = self.state.process().filter(|_| self.listens()) else { return };
        match self.calls.sent_mut(call) {
            Some(sent @ Sent::Running) => {
                *sent = Sent::Cancelling(cause);
                sink.push(Output::SendCancel { process, call });
                self.set(Reason::Cancel(call), self.config.cancel_grace, now);
            }
            Some(Sent::Cancelling(_)) | None => {}
        }
    }

    /// Whether the process still reads its input.
    const fn listens(&self) -> bool {
        match self.state {
            State::Ready(_) | State::Degraded(_) => true,
            State::Draining(Draining { phase, .. }) => matches!(phase, DrainPhase::Finishing { .. }),
            State::Stopped
            | State::Starting(_)
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => false,
        }
    }

    /// The connector went on with a cancelled call: the call ends here, the process is ended.
    pub(super) fn on_cancel_ignored(&mut self, call: CallId, now: Now, sink: &mut Vec<Output>) {
        let cause = match self.calls.end(call) {
            Some(Sent::Cancelling(cause)) => cause,
            Some(Sent::Running) | None => return,
        };
        sink.push(Output::CallEnded { call, end: CallEnd::OutcomeUnknown(cause) });
        self.end_process(Manner::Prompt, Then::Stop, Why::CancelIgnored(call), now, sink);
    }

    /// Ends the calls that wait.
    pub(super) fn turn_away(&mut self, cause: Cause, sink: &mut Vec<Output>) {
        for call in self.calls.end_waiting() {
            sink.push(Output::CallEnded { call, end: CallEnd::NotDelivered(cause) });
        }
    }

    /// Ends the calls that are with a process that ends.
    pub(super) fn lose_sent(&mut self, cause: Cause, sink: &mut Vec<Output>) {
        for (call, sent) in self.calls.end_sent() {
            self.timer.cancel(Reason::Cancel(call));
            let cause = match sent {
                Sent::Running => cause,
                Sent::Cancelling(cause) => cause,
            };
            sink.push(Output::CallEnded { call, end: CallEnd::OutcomeUnknown(cause) });
        }
    }
}
