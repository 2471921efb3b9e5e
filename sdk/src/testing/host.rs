//! The host's end of the connector protocol, for tests.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use fcp_proto_core::error::Code;
use serde_json::{Value, json};

use crate::{Connector, Egress, Error, ServeError, serve};

/// After this long without a line, a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connector under test.
pub struct Host {
    writer: Option<Box<dyn Write + Send>>,
    lines: mpsc::Receiver<io::Result<String>>,
    replies: BTreeMap<u64, Reply>,
    progress: Vec<Value>,
    next_id: u64,
    process: Process,
}

/// The writing half of a socket whose reading half lives elsewhere.
struct ClosesOnDrop(UnixStream);

impl Write for ClosesOnDrop {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for ClosesOnDrop {
    fn drop(&mut self) {
        // It fails only if the other side is gone, and then there is nothing left to close.
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

/// What runs the connector.
enum Process {
    Thread(Option<JoinHandle<Result<(), ServeError>>>),
    Child(Child),
}

/// What `initialize` answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Started {
    /// The connector's id.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// Its interface hash.
    pub interface_hash: String,
}

/// A call to make.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The operation.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// Its time, in milliseconds.
    pub deadline_ms: u64,
    /// Its handle for egress.
    pub egress_handle: String,
}

impl Invocation {
    /// A call of `operation` with `input`, half a minute of time and a handle.
    pub fn new(operation: &str, input: Value) -> Self {
        Self {
            operation: operation.to_owned(),
            input,
            idempotency_key: None,
            deadline_ms: 30_000,
            egress_handle: "5a".repeat(32),
        }
    }
}

/// The answer to a request: a result, or an error object.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply(pub Result<Value, Value>);

impl Reply {
    /// The result.
    ///
    /// # Panics
    /// If it is an error.
    pub fn result(self) -> Value {
        self.0.unwrap_or_else(|error| panic!("the connector answered {error}"))
    }

    /// The output of an `invoke`.
    ///
    /// # Panics
    /// If it is an error.
    pub fn output(self) -> Value {
        self.result()["output"].take()
    }

    /// The error object.
    ///
    /// # Panics
    /// If it is a result.
    pub fn error(self) -> Value {
        match self.0 {
            Ok(result) => panic!("the connector answered {result}"),
            Err(error) => error,
        }
    }

    /// The registered code of the error.
    ///
    /// # Panics
    /// If it is a result, or an error without a code.
    pub fn code(self) -> Code {
        let error = self.error();
        let code = error["data"]["code"].as_str().and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("the connector answered {error} without a code"))
    }
}

impl Host {
    /// Starts a connector on a thread; `egress` is its end of a [`Double`](super::Double)'s socket.
    ///
    /// # Errors
    /// No sockets or threads.
    pub fn start<C: Connector>(egress: Option<UnixStream>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let thread = std::thread::Builder::new().name("connector".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let ended = runtime.block_on(serve_over::<C>(theirs, egress));
            runtime.shutdown_timeout(Duration::from_secs(1));
            ended
        })?;
        let (reader, writer) = (ours.try_clone()?, ClosesOnDrop(ours));
        Self::over(reader, writer, Process::Thread(Some(thread)))
    }

    /// Starts a real connector as a child process, its standard input and output being pipes.
    ///
    /// With `egress`, that socket is the child's descriptor 3; a shell puts it there.
    ///
    /// # Errors
    /// The program does not start.
    pub fn spawn(program: &str, egress: Option<UnixStream>) -> io::Result<Self> {
        let mut command = match egress {
            None => Command::new(program),
            Some(socket) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", "exec \"$0\" 3<&2 2>/dev/null", program]);
                shell.stderr(Stdio::from(std::os::fd::OwnedFd::from(socket)));
                shell
            }
        };
        let mut child = command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let missing = || io::Error::other("the child has no pipes");
        let reader = child.stdout.take().ok_or_else(missing)?;
        let writer = child.stdin.take().ok_or_else(missing)?;
        Self::over(reader, writer, Process::Child(child))
    }

    fn over(
        reader: impl io::Read + Send + 'static,
        writer: impl Write + Send + 'static,
        process: Process,
    ) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel();
        std::thread::Builder::new().name("host reader".into()).spawn(move || {
            for line in BufReader::new(reader).lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        })?;
        let writer: Box<dyn Write + Send> = Box::new(writer);
        Ok(Self {
            writer: Some(writer),
            lines,
            replies: BTreeMap::new(),
            progress: Vec::new(),
            next_id: 1,
            process,
        })
    }

    /// Initializes the connector.
    ///
    /// # Panics
    /// If the connector dies or breaks the protocol.
    pub fn initialize(&mut self, params: Value) -> Reply {
        let mut message = json!({ "protocol": "fcp-stdio/1" });
        if let (Value::Object(message), Value::Object(params)) = (&mut message, params) {
            message.extend(params);
        }
        self.request("initialize", message)
    }

    /// Makes a call and waits for its answer.
    ///
    /// # Panics
    /// If the connector dies or breaks the protocol.
    pub fn invoke(&mut self, operation: &str, input: Value) -> Reply {
        let id = self.start_invoke(&Invocation::new(operation, input));
        self.wait(id)
    }

    /// Makes a call without waiting; returns the request's id, which is also the call's.
    ///
    /// # Panics
    /// If the connector is gone.
    pub fn start_invoke(&mut self, invocation: &Invocation) -> u64 {
        let mut params = json!({
            "call_id": call_id(self.next_id),
            "operation": invocation.operation,
            "input": invocation.input,
            "egress_handle": invocation.egress_handle,
            "deadline_ms": invocation.deadline_ms,
            "trace": { "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
        });
        if let Some(key) = &invocation.idempotency_key {
            params["idempotency_key"] = json!(key);
        }
        self.post("invoke", params)
    }

    /// Cancels the call whose request has `id`.
    ///
    /// # Panics
    /// If the connector is gone.
    pub fn cancel(&mut self, id: u64) {
        self.send(
            &json!({ "jsonrpc": "2.0", "method": "cancel", "params": { "call_id": call_id(id) } })
                .to_string(),
        );
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Panics
    /// If the connector dies or breaks the protocol.
    pub fn request(&mut self, method: &str, params: Value) -> Reply {
        let id = self.post(method, params);
        self.wait(id)
    }

    /// Sends a line as it is.
    ///
    /// # Panics
    /// If the connector is gone.
    pub fn send(&mut self, line: &str) {
        let writer = self.writer.as_mut().expect("the input was closed");
        writer
            .write_all(line.as_bytes())
            .and_then(|()| writer.write_all(b"\n"))
            .expect("the connector reads");
        writer.flush().expect("the connector reads");
    }

    /// The next message of any kind.
    ///
    /// # Panics
    /// If there is none within a minute, or it is no JSON.
    pub fn receive(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("the connector answers").expect("the pipe works");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// Waits for the answer to the request `id`; progress is kept for [`Host::progress`].
    ///
    /// # Panics
    /// If the connector dies or breaks the protocol.
    pub fn wait(&mut self, id: u64) -> Reply {
        loop {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            self.take_one();
        }
    }

    /// Waits for a progress notification.
    ///
    /// # Panics
    /// If the connector dies or breaks the protocol.
    pub fn wait_for_progress(&mut self) -> Value {
        while self.progress.is_empty() {
            self.take_one();
        }
        self.progress.remove(0)
    }

    /// The parameters of the progress notifications so far.
    pub fn progress(&self) -> &[Value] {
        &self.progress
    }

    /// Closes the connector's input and waits for its end; says whether it ended well.
    pub fn finish(mut self) -> bool {
        self.writer = None;
        match &mut self.process {
            Process::Child(child) => child.wait().is_ok_and(|status| status.success()),
            Process::Thread(thread) => {
                thread.take().is_some_and(|thread| matches!(thread.join(), Ok(Ok(()))))
            }
        }
    }

    fn take_one(&mut self) {
        let message = self.receive();
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        if message["method"] == "progress" {
            self.progress.push(message["params"].clone());
            return;
        }
        let id = message["id"].as_u64().unwrap_or_else(|| panic!("an answer to nothing: {message}"));
        let reply = match (message.get("result"), message.get("error")) {
            (Some(result), None) => Ok(result.clone()),
            (None, Some(error)) => Err(error.clone()),
            (Some(_), Some(_)) | (None, None) => panic!("neither result nor error: {message}"),
        };
        self.replies.insert(id, Reply(reply));
    }

    fn post(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.writer = None;
        if let Process::Child(child) = &mut self.process {
            // A child that ended already cannot be killed, which is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn serve_over<C: Connector>(socket: UnixStream, egress: Option<UnixStream>) -> Result<(), ServeError> {
    socket.set_nonblocking(true)?;
    let (input, output) = tokio::net::UnixStream::from_std(socket)?.into_split();
    serve::<C, _, _, _>(input, output, || async {
        let broken = |error: io::Error| Error::new(Code::EgressUnavailable, error.to_string());
        let egress = egress.ok_or_else(|| Error::new(Code::EgressUnavailable, "the test gave no egress"))?;
        egress.set_nonblocking(true).map_err(broken)?;
        Egress::over(tokio::net::UnixStream::from_std(egress).map_err(broken)?).await
    })
    .await
}

fn call_id(number: u64) -> String {
    format!("{number:032x}")
}
