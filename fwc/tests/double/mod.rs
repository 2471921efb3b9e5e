//! A double of the daemon on a unix socket, and a way to run `fwc` against it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and path, such as `GET /v1/health`.
    pub line: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

/// What the double does with a request: a status and a body, or nothing but closing the connection.
pub type Answer = Option<(u16, Value)>;

/// A home with a double behind its socket.
pub struct Home {
    folder: tempfile::TempDir,
    /// Every request so far.
    pub requests: Arc<Mutex<Vec<Request>>>,
}

impl Home {
    /// A home that nobody serves.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(folder.path().join("home")).unwrap();
        Self { folder, requests: Arc::default() }
    }

    /// A home whose daemon answers as `answer` says.
    pub fn served(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let home = Self::new();
        serve(&home.path().join("run"), home.requests.clone(), Arc::new(answer));
        home
    }

    /// The home's folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A place outside the home.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner may read.
    pub fn private(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.beside(name);
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    }

    /// `fwc` in this home, without a terminal.
    pub fn fwc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(env!("CARGO_BIN_EXE_fwc")).args(arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("FCP_HOME", self.path()).stdin(Stdio::null());
        command
    }

    /// Runs `fwc` with `--json`.
    pub fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.fwc(&[&["--json"], arguments].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text:?} {:?}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code().unwrap(), value)
    }

    /// The requests whose line begins so.
    pub fn seen(&self, line: &str) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .filter(|request| request.line.starts_with(line))
            .cloned()
            .collect()
    }
}

/// Runs a command to its end with `input` on standard input.
pub fn run_with(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// An answer with `meta`.
pub fn ok(mut body: Value) -> Answer {
    body["meta"] = json!({"source": "host", "at": 1});
    Some((200, body))
}

/// A failure.
pub fn refuse(status: u16, code: &str) -> Answer {
    Some((
        status,
        json!({"code": code, "name": "n", "message": "No.", "why": "because", "retryable": false, "next": "ask"}),
    ))
}

/// Serves `run/fcp.sock` for the rest of the process.
pub fn serve(
    run: &Path,
    seen: Arc<Mutex<Vec<Request>>>,
    answer: Arc<dyn Fn(&Request) -> Answer + Send + Sync>,
) {
    std::fs::DirBuilder::new().mode(0o700).create(run).unwrap();
    // As a daemon does from its start to its end.
    let lock = std::fs::File::create(run.with_file_name("lock")).unwrap();
    lock.lock().unwrap();
    let listener = UnixListener::bind(run.join("fcp.sock")).unwrap();
    std::thread::spawn(move || {
        let _held = lock;
        for stream in listener.incoming().flatten() {
            let (seen, answer) = (seen.clone(), answer.clone());
            std::thread::spawn(move || serve_connection(&stream, &seen, answer.as_ref()));
        }
    });
}

fn serve_connection(stream: &UnixStream, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        seen.lock().unwrap().push(request.clone());
        let Some((status, body)) = answer(&request) else { return };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut writer = stream;
        // The client may have gone: then there is nobody to answer.
        if writer.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(0, |length: &String| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Request { line, headers, body })
}
