//! How others speak with the task that owns the node.

use std::fmt;
use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, PrincipalId};
use fcp_proto_core::object::AnyObject;
use fcp_proto_core::time::Now;
use fcp_state_machines::node::{Answer, CallLimits, Failure, Node, Outcome, Request};
use tokio::sync::{mpsc, oneshot};

use super::MAX_WAITING;
use super::task::Asked;

/// The answer to a request.
pub type Reply = Result<Answer, Failure>;

/// The node no longer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node has stopped")
    }
}

impl std::error::Error for Stopped {}

/// A read of the node's state.
pub(super) type Query = Box<dyn FnOnce(&Node, Now) + Send>;

/// What reaches the task.
pub(super) enum Input {
    /// A request.
    Request(Box<Request>, oneshot::Sender<Reply>),
    /// The objects of a ceremony.
    Found(Vec<AnyObject>, oneshot::Sender<Reply>),
    /// A read.
    Query(Query),
    /// What bounds calls from now on.
    Limits(CallLimits),
    /// The end: open calls may take that long.
    Stop(Duration, Asked),
}

/// Speaks with a driven node.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Input>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Asks the node, and waits until the answer is durable where it must be.
    ///
    /// # Errors
    /// What the node refuses; [`Code::Draining`] once it stops.
    pub async fn request(&self, request: Request) -> Reply {
        self.ask(|reply| Input::Request(Box::new(request), reply)).await
    }

    /// Hands over what a ceremony made.
    ///
    /// # Errors
    /// As [`Node::found`]; [`Code::Draining`] once it stops.
    pub async fn found(&self, objects: Vec<AnyObject>) -> Reply {
        self.ask(|reply| Input::Found(objects, reply)).await
    }

    /// Reads the node's state, between two inputs.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Node, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let query: Query = Box::new(move |node, now| {
            // Whoever asked may have gone meanwhile.
            drop(reply.send(read(node, now)));
        });
        self.inbox.send(Input::Query(query)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Bounds calls from now on.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn set_limits(&self, limits: CallLimits) -> Result<(), Stopped> {
        self.inbox.send(Input::Limits(limits)).await.map_err(|_| Stopped)
    }

    /// Takes no more requests, lets open calls end for `grace`, stops those left, and ends the chain. Returns once all is
    /// durable or it is known that it will not be. `by` is the operator who asked; the system did if absent.
    pub async fn stop(&self, grace: Duration, by: Option<PrincipalId>) {
        let (reply, done) = oneshot::channel();
        if self.inbox.send(Input::Stop(grace, Asked { by, done: reply })).await.is_ok() {
            // The task drops the sender when it ends another way: then it has ended.
            drop(done.await);
        }
    }

    async fn ask(&self, input: impl FnOnce(oneshot::Sender<Reply>) -> Input) -> Reply {
        let draining = || Failure::new(Code::Draining, Code::Draining.meaning());
        let (reply, answer) = oneshot::channel();
        self.inbox.send(input(reply)).await.map_err(|_| draining())?;
        answer.await.unwrap_or_else(|_| Err(draining()))
    }
}

/// Where the ports say what became of calls.
#[derive(Clone, Debug)]
pub struct Outcomes(mpsc::UnboundedSender<(CallId, Outcome)>);

impl Outcomes {
    /// Says what became of a call. Only the first outcome of a call counts.
    pub fn report(&self, call: CallId, outcome: Outcome) {
        // A node that has stopped finds the call's intent without a receipt at its next start, and calls it unknown.
        drop(self.0.send((call, outcome)));
    }
}

/// Where the driver hears of it; at most one outcome waits for each open call.
#[derive(Debug)]
pub struct OutcomeQueue(pub(super) mpsc::UnboundedReceiver<(CallId, Outcome)>);

pub(super) fn outcome_queue() -> (Outcomes, OutcomeQueue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Outcomes(sender), OutcomeQueue(receiver))
}

pub(super) fn new() -> (Handle, mpsc::Receiver<Input>) {
    let (inbox, receiver) = mpsc::channel(MAX_WAITING);
    (Handle { inbox }, receiver)
}
