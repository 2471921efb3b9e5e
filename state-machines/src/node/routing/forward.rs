//! The way of one call to another node.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::Instant;

use crate::persist::{BatchToken, Completion};

/// Nodes that one call is offered to.
pub const MAX_TARGETS: usize = 16;

/// How long a node may take to be reached. Chosen: the reference's time for a discovery.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take: the reference's time.
pub const ANSWER_TIME: Duration = Duration::from_secs(60);

/// What a driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// See to it that there is a session with the node.
    Connect(NodeId),
    /// Make the record durable.
    Persist {
        /// Its name.
        batch: BatchToken,
        /// What.
        record: Record,
    },
    /// Send the call to the node.
    Send(NodeId),
    /// It is over.
    Over(Ending),
}

/// What is durable before a call leaves. One that is found at a start, without an end, is an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// To whom the call goes.
    pub to: NodeId,
}

/// How a forwarded call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node answered: the answer is its own.
    Answered {
        /// Who.
        by: NodeId,
    },
    /// It provably reached nobody who ran it: it may be tried again.
    NotDelivered {
        /// What was tried.
        attempts: Vec<(NodeId, Failure)>,
    },
    /// It may have been run by this node: nobody else is asked, and nothing is repeated blindly.
    OutcomeUnknown {
        /// By whom.
        by: NodeId,
    },
}

/// Why one node did not run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no session with it.
    Unreachable,
    /// It says that it did not run it, and will not.
    Refused,
    /// That the call goes there could not be made durable.
    NotRecorded,
}

/// The way of one call.
#[derive(Debug)]
pub struct Forward {
    targets: VecDeque<NodeId>,
    attempts: Vec<(NodeId, Failure)>,
    state: State,
    next_batch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Connecting { to: NodeId, until: Instant },
    Recording { to: NodeId, batch: BatchToken },
    Sent { to: NodeId, until: Instant },
    Over,
}

impl Forward {
    /// Begins to offer a call to `targets`, in this order: one alone, or several of which any may run it.
    //= docs/spec/planner.md#forwarding
    pub fn new(targets: impl IntoIterator<Item = NodeId>, now: Instant, out: &mut Vec<Output>) -> Self {
        let targets = targets.into_iter().take(MAX_TARGETS).collect();
        let mut forward = Self { targets, attempts: Vec::new(), state: State::Over, next_batch: 0 };
        forward.transition_to_next(now, out);
        forward
    }

    /// There is a session with a node.
    pub fn connected(&mut self, node: &NodeId, out: &mut Vec<Output>) {
        if let State::Connecting { to, .. } = &self.state
            && to == node
        {
            let (batch, to) = (BatchToken(self.next_batch), to.clone());
            self.next_batch = self.next_batch.saturating_add(1);
            out.push(Output::Persist { batch, record: Record { to: to.clone() } });
            self.state = State::Recording { to, batch };
        }
    }

    /// What became of the record. The call leaves only when it is durable.
    //= docs/spec/planner.md#forwarding
    pub fn handle_stored(
        &mut self,
        stored: BatchToken,
        completion: Completion,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let State::Recording { to, batch } = &self.state else { return };
        if *batch != stored {
            return;
        }
        let to = to.clone();
        match completion {
            Completion::Durable => {
                out.push(Output::Send(to.clone()));
                self.state = State::Sent { to, until: now.saturating_add(ANSWER_TIME) };
            }
            // What cannot be recorded for one node cannot be for another.
            Completion::Refused(_) | Completion::Failed => {
                self.attempts.push((to, Failure::NotRecorded));
                self.targets.clear();
                self.transition_to_next(now, out);
            }
        }
    }

    /// There is no session with a node, or none any more.
    //= docs/spec/planner.md#outcomes
    pub fn lost(&mut self, node: &NodeId, now: Instant, out: &mut Vec<Output>) {
        match &self.state {
            State::Connecting { to, .. } | State::Recording { to, .. } if to == node => {
                self.attempts.push((to.clone(), Failure::Unreachable));
                self.transition_to_next(now, out);
            }
            State::Sent { to, .. } if to == node => self.transition_to_unknown(out),
            State::Connecting { .. } | State::Recording { .. } | State::Sent { .. } | State::Over => (),
        }
    }

    /// A node says, over its session, that it did not run the call and will not.
    //= docs/spec/planner.md#outcomes
    pub fn refused(&mut self, node: &NodeId, now: Instant, out: &mut Vec<Output>) {
        if let State::Sent { to, .. } = &self.state
            && to == node
        {
            self.attempts.push((to.clone(), Failure::Refused));
            self.transition_to_next(now, out);
        }
    }

    /// A node answered the call, over its session.
    pub fn answered(&mut self, node: &NodeId, out: &mut Vec<Output>) {
        if let State::Sent { to, .. } = &self.state
            && to == node
        {
            let by = to.clone();
            self.transition_to_over(Ending::Answered { by }, out);
        }
    }

    /// Time passes.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        match &self.state {
            State::Connecting { to, until } if *until <= now => {
                let to = to.clone();
                self.lost(&to, now, out);
            }
            State::Sent { until, .. } if *until <= now => self.transition_to_unknown(out),
            State::Connecting { .. } | State::Recording { .. } | State::Sent { .. } | State::Over => (),
        }
    }

    /// When to come back for that.
    pub const fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting { until, .. } | State::Sent { until, .. } => Some(*until),
            State::Recording { .. } | State::Over => None,
        }
    }

    fn transition_to_next(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.targets.pop_front() {
            Some(to) => {
                out.push(Output::Connect(to.clone()));
                self.state = State::Connecting { to, until: now.saturating_add(CONNECT_TIME) };
            }
            None => {
                let attempts = core::mem::take(&mut self.attempts);
                self.transition_to_over(Ending::NotDelivered { attempts }, out);
            }
        }
    }

    fn transition_to_unknown(&mut self, out: &mut Vec<Output>) {
        if let State::Sent { to, .. } = &self.state {
            let by = to.clone();
            self.transition_to_over(Ending::OutcomeUnknown { by }, out);
        }
    }

    fn transition_to_over(&mut self, ending: Ending, out: &mut Vec<Output>) {
        self.state = State::Over;
        out.push(Output::Over(ending));
    }
}
