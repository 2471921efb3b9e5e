//! The calls of one connector: those that wait and those that are with the process.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use fcp_proto_core::ids::CallId;

use super::messages::Cause;

/// What is known of a call that is with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It runs.
    Running,
    /// The connector was told to cancel it, for this cause.
    Cancelling(Cause),
}

/// All open calls, each in one place only.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: VecDeque<CallId>,
    sent: BTreeMap<CallId, Sent>,
}

impl Calls {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn sent(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    pub(super) fn knows(&self, call: CallId) -> bool {
        self.sent.contains_key(&call) || self.waiting.contains(&call)
    }

    pub(super) fn wait(&mut self, call: CallId) {
        self.waiting.push_back(call);
    }

    /// Moves the call that has waited longest to those that are with the process.
    pub(super) fn send_next(&mut self) -> Option<CallId> {
        let call = self.waiting.pop_front()?;
        self.sent.insert(call, Sent::Running);
        Some(call)
    }

    /// Forgets a call that waits. False if it does not.
    pub(super) fn give_up(&mut self, call: CallId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != call);
        self.waiting.len() != before
    }

    pub(super) fn sent_mut(&mut self, call: CallId) -> Option<&mut Sent> {
        self.sent.get_mut(&call)
    }

    /// Forgets a call that is with the process.
    pub(super) fn end(&mut self, call: CallId) -> Option<Sent> {
        self.sent.remove(&call)
    }

    pub(super) fn end_waiting(&mut self) -> Vec<CallId> {
        self.waiting.drain(..).collect()
    }

    pub(super) fn end_sent(&mut self) -> BTreeMap<CallId, Sent> {
        core::mem::take(&mut self.sent)
    }
}
