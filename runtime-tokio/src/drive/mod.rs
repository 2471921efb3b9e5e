//! Drives a node: one task owns it, feeds it, and does what it says, in order.
//!
//! ```text
//! Handle ──requests, queries──► task ──Persist──► storage ──completion──┐
//!        ◄──────answers────────  │ ▲                                    │
//!                                │ └──────outcomes── ports ◄─Dispatch───┤
//!                                └──────────────────────────────────────┘
//! ```
//!
//! Nothing blocks the task but an append to a full queue, which it avoids by taking no requests while many batches wait.
//! The driving contract is that of `fcp_state_machines::node`.

pub mod clock;
pub mod entropy;
mod handle;
mod task;
#[cfg(test)]
mod tests;

pub use handle::{Handle, OutcomeQueue, Outcomes, Reply, Stopped};

use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::ids::{CallId, ConnectorId};
use fcp_proto_core::object::RevocationObject;
use fcp_state_machines::node::{Dispatch, Node, SchemaCheck};
use fcp_state_machines::persist::Batch;

use crate::storage::Storage;

/// What a node asks of its surroundings. No method may block: whatever takes time runs in tasks of its own.
pub trait Ports: Send + 'static {
    /// What is remembered of a batch until it is durable.
    type Note: Send;

    /// Hands a call to its connector; what became of it goes to the [`Outcomes`] that the driver was started with.
    fn dispatch(&mut self, node: &Node, dispatch: Dispatch);

    /// Stops a call.
    fn cancel(&mut self, call: CallId);

    /// Closes what rests on something revoked.
    fn revoked(&mut self, node: &Node, revocation: &RevocationObject);

    /// A connector's installation changed; `node` says how.
    fn reconfigured(&mut self, node: &Node, connector: &ConnectorId);

    /// Reads what will have to be known of a batch once it is durable.
    fn note(&mut self, batch: &Batch) -> Self::Note;

    /// The batch is durable; what depends on it has not been seen by anyone yet.
    fn durable(&mut self, note: Self::Note);
}

/// What a driver needs.
pub struct Parts<P> {
    /// The node, replayed.
    pub node: Node,
    /// Where its batches go.
    pub storage: Arc<Storage>,
    /// What does what it says.
    pub ports: P,
    /// Checks inputs against schemas.
    pub schema: Box<dyn SchemaCheck + Send>,
    /// Where the ports' outcomes arrive.
    pub outcomes: OutcomeQueue,
}

/// A queue of outcomes: the end for the ports, and the end for the driver.
pub fn outcomes() -> (Outcomes, OutcomeQueue) {
    handle::outcome_queue()
}

/// Starts to drive. The node must have been replayed; if it has an owner, its chain is told that it began to serve.
pub fn start<P: Ports>(parts: Parts<P>) -> Handle {
    let (handle, inbox) = handle::new();
    tokio::spawn(task::Task::new(parts, inbox).run());
    handle
}

/// Most requests that wait for the task. Chosen: some milliseconds of decisions.
const MAX_WAITING: usize = 1024;

/// Most batches under way before no more requests are taken; far below the queue of [`crate::storage::Options`].
const MAX_BATCHES: usize = 1024;

/// How often the node is told that time passed. Chosen: fine enough for what is told by the second.
const TICK: Duration = Duration::from_secs(1);
