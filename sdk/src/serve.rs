//! The connector's loop: reads messages, runs calls side by side, writes answers. Spec: `docs/spec/stdio.md`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, OperationId};
use fcp_proto_core::limits::MAX_LINE_BYTES;
use fcp_proto_core::manifest::Manifest;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, timeout};

use crate::egress::Handle;
use crate::protocol::{self, Cancel, Id, Initialize, Invoke, Message};
use crate::{Call, CancelToken, Connector, Egress, Error, Outcome, Progress, Setup, descriptor};

/// Most calls at once. Chosen: as many as a host dispatches to one process.
const MAX_CALLS: usize = 64;

/// Messages waiting to be written; more make the writers wait.
const MAX_LINES: usize = 64;

/// How long running calls may go on after `shutdown`, and after their cancellation or deadline.
const GRACE: Duration = Duration::from_secs(2);

/// Why the loop ended other than by `shutdown` or the end of its input.
#[derive(Debug)]
pub enum ServeError {
    /// Reading or writing failed.
    Io(io::Error),
    /// A line longer than the protocol allows; what follows it cannot be trusted.
    LineTooLong,
    /// The egress socket is not there although `initialize` promised it.
    Egress(Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the host cannot be read or answered: {error}"),
            Self::LineTooLong => write!(f, "the host sent a line of more than {MAX_LINE_BYTES} bytes"),
            Self::Egress(error) => write!(f, "the egress socket does not work: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs a connector on standard input and output, with egress on descriptor 3, until the host ends it.
///
/// # Errors
/// As [`serve`].
pub fn run<C: Connector>() -> Result<(), ServeError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
    let result = runtime.block_on(async {
        let (input, output) = (descriptor::stdin()?, descriptor::stdout()?);
        serve::<C, _, _, _>(input, output, || async {
            let unusable = |error: io::Error| Error::new(Code::EgressUnavailable, error.to_string());
            Egress::over(descriptor::egress().map_err(unusable)?).await
        })
        .await
    });
    // A worker thread that ignores its cancellation must not keep the process.
    runtime.shutdown_timeout(GRACE);
    result
}

/// Runs a connector on any pair of streams; `egress` is asked once, if `initialize` promises one.
///
/// # Errors
/// What made the loop end too early.
pub async fn serve<C, F, I, O>(input: I, output: O, egress: impl FnOnce() -> F) -> Result<(), ServeError>
where
    C: Connector,
    F: Future<Output = Result<Egress, Error>>,
    I: AsyncRead + Unpin + 'static,
    O: AsyncWrite + Unpin + 'static,
{
    let local = LocalSet::new();
    local
        .run_until(async {
            let (lines, queue) = mpsc::channel(MAX_LINES);
            let writer = tokio::task::spawn_local(write_lines(queue, output));
            let mut server =
                Server::<C> { lines, running: None, calls: Rc::default(), tasks: JoinSet::new() };
            let ended = server.read_lines(BufReader::new(input), egress).await;
            server.drain().await;
            drop(server);
            match timeout(GRACE, writer).await {
                Ok(Ok(written)) => ended.and(written.map_err(ServeError::Io)),
                // The host does not read any more, or the writer's task is gone with the runtime.
                Ok(Err(_)) | Err(_) => ended,
            }
        })
        .await
}

async fn write_lines(
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    while let Some(line) = queue.recv().await {
        output.write_all(&line).await?;
        output.flush().await?;
    }
    Ok(())
}

type Calls = Rc<RefCell<BTreeMap<CallId, watch::Sender<bool>>>>;

struct Server<C> {
    lines: mpsc::Sender<Vec<u8>>,
    running: Option<Running<C>>,
    calls: Calls,
    tasks: JoinSet<()>,
}

struct Running<C> {
    connector: Rc<C>,
    manifest: Rc<Manifest>,
    egress: Option<Egress>,
}

/// Whether to go on reading.
enum Next {
    Read,
    Stop,
}

impl<C: Connector> Server<C> {
    async fn read_lines<F>(
        &mut self,
        mut input: impl AsyncBufRead + Unpin,
        egress: impl FnOnce() -> F,
    ) -> Result<(), ServeError>
    where
        F: Future<Output = Result<Egress, Error>>,
    {
        let mut egress = Some(egress);
        while let Some(line) = read_line(&mut input).await? {
            // Finished calls are forgotten here, so that the set does not grow with the life of the process.
            while self.tasks.try_join_next().is_some() {}
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let message = match protocol::parse(&line) {
                Ok(message) => message,
                Err((code, error)) => {
                    self.write(protocol::error(None, code, &error)).await;
                    continue;
                }
            };
            match message.id.clone() {
                None => self.notified(message),
                Some(id) if message.method == "initialize" => {
                    let answer = self.initialize(message.params, &mut egress).await?;
                    self.answer(&id, answer).await;
                }
                Some(id) => {
                    if let Next::Stop = self.requested(id, message).await {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn initialize<F>(
        &mut self,
        params: Option<Value>,
        egress: &mut Option<impl FnOnce() -> F>,
    ) -> Result<Result<Value, (i32, Error)>, ServeError>
    where
        F: Future<Output = Result<Egress, Error>>,
    {
        let (params, manifest, config) = match self.agree(params) {
            Ok(agreed) => agreed,
            Err(refused) => return Ok(Err(refused)),
        };
        let egress = match egress.take().filter(|_| params.egress) {
            Some(open) => Some(open().await.map_err(ServeError::Egress)?),
            None => None,
        };
        let manifest = Rc::new(manifest);
        let setup =
            Setup { manifest: Rc::clone(&manifest), zone: params.zone, config, egress: egress.clone() };
        Ok(match C::start(setup).await {
            Err(error) => Err((protocol::CALL_FAILED, error)),
            Ok(connector) => {
                let answer = json!({
                    "connector": manifest.connector.id,
                    "version": manifest.connector.version,
                    "interface_hash": manifest.interface_hash(),
                });
                self.running = Some(Running { connector: Rc::new(connector), manifest, egress });
                Ok(answer)
            }
        })
    }

    fn agree(&self, params: Option<Value>) -> Result<(Initialize, Manifest, Value), (i32, Error)> {
        let refuse = |code, message: &str| Err((protocol::INVALID_PARAMS, Error::new(code, message)));
        if self.running.is_some() {
            return refuse(Code::Conflict, "the connector is initialized already");
        }
        let params: Initialize = protocol::params(params)?;
        if params.protocol != protocol::PROTOCOL {
            return refuse(Code::InputInvalid, "this connector speaks fcp-stdio/1");
        }
        let manifest =
            C::manifest(params.manifest.as_deref()).map_err(|error| (protocol::CALL_FAILED, error))?;
        if params.connector != manifest.connector.id {
            return refuse(Code::ConnectorUnknown, "this is another connector");
        }
        if !manifest.zones.allows(&params.zone) {
            return refuse(Code::ConnectorNotInZone, "the manifest does not allow this zone");
        }
        let config =
            manifest.resolve_config(params.config.as_ref().unwrap_or(&json!({}))).map_err(|error| {
                (protocol::INVALID_PARAMS, Error::new(Code::ConfigInvalid, error.to_string()))
            })?;
        Ok((params, manifest, config))
    }

    async fn requested(&mut self, id: Id, message: Message) -> Next {
        let answer = match message.method.as_str() {
            "shutdown" => {
                self.drain().await;
                self.answer(&id, Ok(json!({}))).await;
                return Next::Stop;
            }
            "invoke" => match self.invoke(&id, message.params) {
                Ok(()) => return Next::Read,
                Err(refused) => Err(refused),
            },
            "health" => match self.health(id.clone()) {
                Ok(()) => return Next::Read,
                Err(refused) => Err(refused),
            },
            "introspect" => self.introspect(),
            _ => {
                Err((protocol::METHOD_NOT_FOUND, Error::new(Code::UnknownMethod, "there is no such method")))
            }
        };
        self.answer(&id, answer).await;
        Next::Read
    }

    fn running(&self) -> Result<&Running<C>, (i32, Error)> {
        let early =
            || (protocol::INVALID_REQUEST, Error::new(Code::MalformedInput, "`initialize` comes first"));
        self.running.as_ref().ok_or_else(early)
    }

    fn introspect(&self) -> Result<Value, (i32, Error)> {
        let operations = &self.running()?.manifest.operations;
        let described: Vec<Value> = operations
            .iter()
            .map(|(id, operation)| {
                let mut described = json!(operation);
                if let Value::Object(fields) = &mut described {
                    fields.insert("id".into(), json!(id));
                }
                described
            })
            .collect();
        Ok(json!({ "operations": described }))
    }

    fn health(&mut self, id: Id) -> Result<(), (i32, Error)> {
        let (connector, lines) = (Rc::clone(&self.running()?.connector), self.lines.clone());
        self.tasks.spawn_local(async move {
            let health = connector.health().await;
            // No receiver means that the connector ends.
            let _ = lines.send(protocol::result(&id, &json!(health))).await;
        });
        Ok(())
    }

    fn invoke(&mut self, id: &Id, params: Option<Value>) -> Result<(), (i32, Error)> {
        let params: Invoke = protocol::params(params)?;
        let running = self.running()?;
        let refuse = |code, message: &str| Err((protocol::CALL_FAILED, Error::new(code, message)));
        let Some(operation) = running.manifest.operation(&params.operation) else {
            return refuse(Code::OperationUnknown, "the connector has no such operation");
        };
        if !params.input.is_object() {
            return refuse(Code::InputInvalid, "the input must be an object");
        }
        if self.calls.borrow().contains_key(&params.call_id) {
            return refuse(Code::CallInProgress, "a call with this call_id is in progress");
        }
        if self.calls.borrow().len() >= MAX_CALLS {
            return refuse(Code::Exhausted, "too many calls are in progress");
        }
        let is_read = operation.is_read();
        let allowed = u64::from(operation.timeout_ms).min(params.deadline_ms);
        let egress = match (running.egress.clone(), params.egress_handle) {
            (Some(egress), Some(hex)) => {
                Some((egress, Handle::new(hex).map_err(|error| (protocol::INVALID_PARAMS, error))?))
            }
            (Some(_), None) | (None, _) => None,
        };
        let (canceller, cancel) = CancelToken::new();
        let call = Call {
            id: params.call_id,
            operation: params.operation,
            input: params.input,
            idempotency_key: params.idempotency_key,
            traceparent: params.trace.map(|trace| trace.traceparent),
            credentials: params.credentials,
            deadline: Instant::now() + Duration::from_millis(allowed),
            cancel,
            progress: Progress { call: params.call_id, lines: self.lines.clone() },
            egress,
            usage: Arc::default(),
        };
        let (connector, lines) = (Rc::clone(&running.connector), self.lines.clone());
        let (calls, id) = (Rc::clone(&self.calls), id.clone());
        calls.borrow_mut().insert(params.call_id, canceller);
        self.tasks.spawn_local(async move {
            let (call_id, usage) = (call.id, Arc::clone(&call.usage));
            let result = perform(connector.as_ref(), call, is_read).await;
            calls.borrow_mut().remove(&call_id);
            let line = match result {
                Ok(outcome) => protocol::outcome(&id, &outcome, usage.snapshot()),
                Err(error) => protocol::error(Some(&id), protocol::CALL_FAILED, &error),
            };
            // No receiver means that the connector ends.
            let _ = lines.send(line).await;
        });
        Ok(())
    }

    /// A notification has no answer, not even when it is wrong (JSON-RPC 2.0 §4.1).
    fn notified(&self, message: Message) {
        if message.method == "cancel"
            && let Ok(Cancel { call_id }) = protocol::params(message.params)
            && let Some(canceller) = self.calls.borrow().get(&call_id)
        {
            canceller.send_replace(true);
        }
    }

    /// Lets running calls end, cancels those that do not, and forgets those that do not even then.
    async fn drain(&mut self) {
        if timeout(GRACE, async { while self.tasks.join_next().await.is_some() {} }).await.is_ok() {
            return;
        }
        for canceller in self.calls.borrow().values() {
            canceller.send_replace(true);
        }
        if timeout(GRACE * 2, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            self.tasks.abort_all();
        }
    }

    async fn answer(&self, id: &Id, answer: Result<Value, (i32, Error)>) {
        let line = match answer {
            Ok(result) => protocol::result(id, &result),
            Err((code, error)) => protocol::error(Some(id), code, &error),
        };
        self.write(line).await;
    }

    async fn write(&self, line: Vec<u8>) {
        // No receiver means that the output is gone; the writer's result says so.
        let _ = self.lines.send(line).await;
    }
}

/// Runs one call, and gives up on it some time after its cancellation or deadline.
async fn perform<C: Connector>(connector: &C, call: Call, is_read: bool) -> Result<Outcome, Error> {
    let (cancel, deadline) = (call.cancel.clone(), call.deadline);
    let operation: OperationId = call.operation.clone();
    let overdue = async {
        let stopped = tokio::select! {
            biased;
            () = cancel.cancelled() => Error::new(Code::Cancelled, "the call was cancelled"),
            () = tokio::time::sleep_until(deadline) => {
                Error::new(Code::ConnectorTimeout, format!("{operation} took longer than its time"))
            }
        };
        tokio::time::sleep(GRACE).await;
        stopped
    };
    let result = tokio::select! {
        biased;
        result = connector.invoke(call) => result,
        stopped = overdue => Err(stopped.with_unknown_effect()),
    };
    result.map_err(|error| if is_read { error.of_a_read() } else { error })
}

/// The next line without its end; `None` at the end of the input.
async fn read_line(input: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, ServeError> {
    let mut line = Vec::new();
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            // An unfinished last line is no message: the host died while it wrote.
            return Ok(None);
        }
        let (taken, done) = match available.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (available.len(), false),
        };
        line.extend_from_slice(&available[..taken]);
        input.consume(taken);
        if line.len() > MAX_LINE_BYTES {
            return Err(ServeError::LineTooLong);
        }
        if done {
            line.pop();
            return Ok(Some(line));
        }
    }
}
