//! The task that owns the node.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, PrincipalId};
use fcp_state_machines::node::{
    Answer, Canceller, Failure, Node, Outcome, Output, Request, RequestId, SchemaCheck,
};
use fcp_state_machines::persist::{BatchToken, Completion};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::handle::{Input, OutcomeQueue, Reply};
use super::{MAX_BATCHES, Parts, Ports, TICK, clock};
use crate::storage::{Append, Storage};

/// A batch under way.
struct Pending<N> {
    token: BatchToken,
    append: Append,
    note: N,
}

/// Who asked for the stop, and waits for it.
pub(super) struct Asked {
    /// The operator who did; the system otherwise.
    pub(super) by: Option<PrincipalId>,
    pub(super) done: oneshot::Sender<()>,
}

/// How far the stop is.
enum Stop {
    /// Nobody asked for it.
    No,
    /// Open calls may still end by themselves.
    Grace { until: Instant, asked: Asked },
    /// Open calls were told to stop.
    Cancelling { until: Instant, asked: Asked },
    /// The chain is being ended.
    Ending { request: RequestId, done: oneshot::Sender<()> },
    /// It is over.
    Over,
}

/// The task that owns the node.
pub(super) struct Task<P: Ports> {
    node: Node,
    storage: Arc<Storage>,
    ports: P,
    schema: Box<dyn SchemaCheck + Send>,
    inbox: mpsc::Receiver<Input>,
    outcomes: OutcomeQueue,
    pending: VecDeque<Pending<P::Note>>,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    next_request: u64,
    stop: Stop,
}

/// What woke the task.
enum Woken {
    Completed(Completion),
    Outcome(CallId, Outcome),
    Input(Option<Input>),
    Tick,
}

impl<P: Ports> Task<P> {
    pub(super) fn new(parts: Parts<P>, inbox: mpsc::Receiver<Input>) -> Self {
        Self {
            node: parts.node,
            storage: parts.storage,
            ports: parts.ports,
            schema: parts.schema,
            inbox,
            outcomes: parts.outcomes,
            pending: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_request: 0,
            stop: Stop::No,
        }
    }

    /// Runs until the node has stopped or nobody can speak with it any more.
    pub(super) async fn run(mut self) {
        if self.node.authority().owner().is_some() {
            self.node.start(clock::now());
            self.drain();
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !matches!(self.stop, Stop::Over) {
            let woken = self.wait(&mut ticks).await;
            self.take(woken);
            self.drain();
            self.go_on_stopping();
        }
        self.inbox.close();
        for (_, reply) in std::mem::take(&mut self.waiting) {
            drop(reply.send(Err(draining())));
        }
    }

    async fn wait(&mut self, ticks: &mut tokio::time::Interval) -> Woken {
        let takes_more = self.pending.len() < MAX_BATCHES;
        let front = self.pending.front_mut().map(|pending| &mut pending.append);
        tokio::select! {
            biased;
            completion = completed(front) => Woken::Completed(completion),
            Some((call, outcome)) = self.outcomes.0.recv() => Woken::Outcome(call, outcome),
            input = self.inbox.recv(), if takes_more => Woken::Input(input),
            _ = ticks.tick() => Woken::Tick,
        }
    }

    fn take(&mut self, woken: Woken) {
        let now = clock::now();
        match woken {
            Woken::Completed(completion) => {
                let Some(done) = self.pending.pop_front() else { return };
                if completion == Completion::Durable {
                    self.ports.durable(done.note);
                }
                self.node.handle_completion(done.token, completion, now);
            }
            Woken::Outcome(call, outcome) => self.node.handle_outcome(call, outcome, now),
            Woken::Input(Some(input)) => self.take_input(input),
            // Nobody is left who could ask for a stop, so this is one.
            Woken::Input(None) => {
                self.begin_stop(Duration::ZERO, Asked { by: None, done: oneshot::channel().0 })
            }
            Woken::Tick => {
                if !self.node.has_failed() {
                    self.node.handle_timeout(now);
                }
            }
        }
    }

    fn take_input(&mut self, input: Input) {
        let now = clock::now();
        match input {
            Input::Query(query) => query(&self.node, now),
            Input::Limits(limits) => self.node.set_limits(limits),
            Input::Stop(grace, asked) => self.begin_stop(grace, asked),
            Input::Request(_, reply) | Input::Found(_, reply) if !matches!(self.stop, Stop::No) => {
                drop(reply.send(Err(draining())));
            }
            Input::Request(request, reply) => {
                let id = self.expect(Some(reply));
                self.node.handle_request(id, *request, now, &*self.schema);
            }
            Input::Found(objects, reply) => {
                let id = self.expect(Some(reply));
                if let Err(failure) = self.node.found(id, objects, now) {
                    self.answer(id, Err(failure));
                }
            }
        }
    }

    fn expect(&mut self, reply: Option<oneshot::Sender<Reply>>) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        if let Some(reply) = reply {
            self.waiting.insert(id, reply);
        }
        id
    }

    /// Does what the node says, in its order.
    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Persist { token, batch } => {
                    let note = self.ports.note(&batch);
                    let append = self.storage.append(batch);
                    self.pending.push_back(Pending { token, append, note });
                }
                Output::Dispatch(dispatch) => self.ports.dispatch(&self.node, *dispatch),
                Output::Cancel(call) => self.ports.cancel(call),
                Output::Revoked(revocation) => self.ports.revoked(&self.node, &revocation),
                Output::Reconfigured(connector) => self.ports.reconfigured(&self.node, &connector),
                Output::Answer { request, answer } => {
                    self.answer(request, answer.map(|it| *it).map_err(|it| *it));
                }
            }
        }
    }

    fn answer(&mut self, id: RequestId, answer: Result<Answer, Failure>) {
        if let Stop::Ending { request, .. } = &self.stop
            && *request == id
            && let Stop::Ending { done, .. } = std::mem::replace(&mut self.stop, Stop::Over)
        {
            finish(done);
            return;
        }
        if let Some(reply) = self.waiting.remove(&id) {
            // Whoever asked may have gone; what was done stays done.
            drop(reply.send(answer));
        }
    }

    fn begin_stop(&mut self, grace: Duration, asked: Asked) {
        if matches!(self.stop, Stop::No) {
            self.stop = Stop::Grace { until: Instant::now() + grace, asked };
        }
    }

    fn go_on_stopping(&mut self) {
        let idle = self.node.calls_under_way().next().is_none();
        match std::mem::replace(&mut self.stop, Stop::No) {
            Stop::Grace { until, asked } if !idle && Instant::now() >= until && !self.node.has_failed() => {
                let by = asked.by.clone();
                self.stop = Stop::Cancelling { until: Instant::now() + CANCEL_WITHIN, asked };
                self.cancel_all(by);
            }
            Stop::Grace { until, asked } if !idle && !self.node.has_failed() => {
                self.stop = Stop::Grace { until, asked };
            }
            Stop::Cancelling { until, asked }
                if !idle && Instant::now() < until && !self.node.has_failed() =>
            {
                self.stop = Stop::Cancelling { until, asked };
            }
            Stop::Grace { asked, .. } | Stop::Cancelling { asked, .. } => self.end(asked),
            Stop::Ending { done, .. } if self.node.has_failed() && self.pending.is_empty() => {
                finish(done);
                self.stop = Stop::Over;
            }
            settled @ (Stop::No | Stop::Ending { .. } | Stop::Over) => self.stop = settled,
        }
    }

    fn cancel_all(&mut self, by: Option<PrincipalId>) {
        let by = by.map_or_else(|| self.node.node_id().to_string(), |by| by.to_string());
        let calls: Vec<CallId> = self.node.calls_under_way().map(|(call, _)| *call).collect();
        for call_id in calls {
            let id = self.expect(None);
            let by = Canceller::Operator(by.clone());
            self.node.handle_request(id, Request::Cancel { call_id, by }, clock::now(), &*self.schema);
        }
        self.drain();
    }

    /// Ends the chain, if there is one and it can still be written.
    fn end(&mut self, Asked { by, done }: Asked) {
        if self.node.has_failed() || self.node.authority().owner().is_none() {
            finish(done);
            self.stop = Stop::Over;
            return;
        }
        let request = self.expect(None);
        self.stop = Stop::Ending { request, done };
        self.node.stop(request, by.as_ref(), clock::now());
        self.drain();
    }
}

/// Whoever asked for the stop may have gone; it is over all the same.
fn finish(done: oneshot::Sender<()>) {
    done.send(()).unwrap_or_default();
}

async fn completed(append: Option<&mut Append>) -> Completion {
    match append {
        Some(append) => append.await,
        None => std::future::pending().await,
    }
}

fn draining() -> Failure {
    Failure::new(Code::Draining, Code::Draining.meaning())
}

/// How long cancelled calls may take to end. Chosen: a connector that listens needs milliseconds, one that does not is
/// ended by the runner.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);
