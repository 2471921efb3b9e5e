//! What follows once a batch is durable, refused or lost.

use alloc::boxed::Box;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::time::Now;

use super::{Answer, Failure, Node, Output, Then};
use crate::persist::BatchToken;

impl Node {
    /// A unit is durable: what waited for it happens.
    //= docs/spec/audit.md#fail-closed
    pub(super) fn follow(&mut self, then: Then, now: Now) {
        match then {
            Then::Apply(id, object) => {
                self.landed(&object);
                self.apply(id, &object, now);
            }
            Then::Dispatch(call_id) if self.failed => {
                let failure = Failure::new(Code::StoreFailed, Code::StoreFailed.meaning());
                self.answer_call(call_id, Err(failure));
            }
            Then::Dispatch(call_id) => self.dispatch(call_id, now),
            Then::Ended(call_id, receipt) => self.end_call(call_id, receipt, now),
            Then::Settle(intent, settlement, effect) => {
                self.apply_settlement(intent, settlement, effect, now)
            }
            Then::Seen(principal) => self.contexts.seen(&principal),
            Then::Chain => {}
            Then::Rekeyed(rekeyed) => self.on_rekeyed(*rekeyed),
            Then::Answer(request, answer) => self.outputs.push_back(Output::Answer { request, answer }),
        }
    }

    /// A unit was refused because of `code`: nothing of it exists.
    //= docs/spec/calls.md#batches
    pub(super) fn abandon(&mut self, then: Then, code: Code, now: Now) {
        match then {
            Then::Answer(request, answer) => self.answer(request, Err(lost(&answer, code))),
            Then::Rekeyed(rekeyed) => self.answer(rekeyed.request, Err(Failure::new(code, code.meaning()))),
            Then::Dispatch(call_id) => self.abandon_call(call_id, code, now),
            Then::Ended(call_id, _) => {
                // The call happened and its receipt could not be stored: it must not look as if it had not.
                self.failed = true;
                self.calls.remove(&call_id);
            }
            Then::Settle(intent, ..) => self.settling_failed(&intent),
            Then::Seen(principal) => self.contexts.seen(&principal),
            // It bites here and would not after a restart; and what follows would name a link that does not exist.
            Then::Chain => self.failed = true,
            Then::Apply(id, object) => self.forgo(&id, &object),
        }
    }

    /// Nobody knows what is durable: everything that waits is answered with that, and the node takes no more.
    //= docs/spec/calls.md#batches
    pub(super) fn fail(&mut self, token: BatchToken) {
        self.failed = true;
        let waiting = self.ledger.complete(token).into_iter().chain(self.ledger.drain());
        let waiting: Vec<_> = waiting.collect();
        self.give_up(waiting);
    }

    /// Answers what waits for something that will not become durable.
    pub(super) fn give_up(&mut self, waiting: Vec<Then>) {
        for then in waiting {
            match then {
                Then::Answer(request, answer) => {
                    self.answer(request, Err(lost(&answer, Code::StoreFailed)));
                }
                Then::Dispatch(call_id) => {
                    self.answer_call(
                        call_id,
                        Err(Failure::new(Code::StoreFailed, Code::StoreFailed.meaning())),
                    );
                }
                Then::Ended(call_id, _) => {
                    self.calls.remove(&call_id);
                }
                Then::Rekeyed(rekeyed) => {
                    let failure = Failure::new(Code::StoreFailed, Code::StoreFailed.meaning());
                    self.answer(rekeyed.request, Err(failure));
                }
                Then::Apply(..) | Then::Settle(..) | Then::Seen(_) | Then::Chain => {}
            }
        }
    }
}

/// What is said in place of an answer that did not become durable. A call that was made does not look as if it had not
/// been: its intent has no receipt, so its outcome is unknown.
fn lost(answer: &Result<Box<Answer>, Box<Failure>>, code: Code) -> Failure {
    match answer.as_deref() {
        Ok(Answer::Called(call) | Answer::Probed { call, .. }) => Failure {
            call_id: Some(call.call_id),
            ..Failure::new(Code::OutcomeUnknown, "the call ended, and its receipt could not be stored")
        },
        Ok(_) | Err(_) => Failure::new(code, code.meaning()),
    }
}
