//! Many connections of others, slow and silent ones: an operator gets through.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fcp_api::routes::{GetHealth, ListApprovals, Revoke};
use fcp_api::types::{self, Nothing};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::RevocationScope;

use crate::world::{PASSPHRASE, World, unlock};

/// How many connections a flood holds open at once: well above the places that there are.
const HELD: usize = 400;

/// Opens connection after connection and sends a part of a request on each, until it is dropped.
struct Flood {
    over: Arc<AtomicBool>,
    flooding: Option<JoinHandle<()>>,
}

impl Flood {
    /// Begins, and returns when it holds as many connections as it will.
    fn begin(socket: PathBuf, part: &'static [u8]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (full, is_full) = std::sync::mpsc::channel();
        let stop = Arc::clone(&over);
        let flooding = std::thread::spawn(move || {
            let mut held = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(mut stream) = UnixStream::connect(&socket) {
                    // The daemon may have ended it already.
                    let _sent = stream.write_all(part);
                    held.push_back(stream);
                }
                if held.len() > HELD {
                    held.pop_front();
                    let _heard = full.send(());
                }
            }
        });
        is_full.recv().unwrap();
        Self { over, flooding: Some(flooding) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.flooding.take().unwrap().join().unwrap();
    }
}

//= docs/spec/api.md#room
#[tokio::test(flavor = "multi_thread")]
async fn half_open_requests_do_not_keep_an_operator_from_revoking() {
    let mut world = World::new().await;
    for part in [
        &b""[..],
        b"GET /v1/health HTTP/1.1\r\nhost: fcp\r\n",
        b"POST /v1/operator/unlock HTTP/1.1\r\nhost: fcp\r\ncontent-length: 100\r\n\r\n{",
        b"POST /v1/operator/unlock HTTP/1.1\r\nhost: fcp\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n{",
    ] {
        let _flood = Flood::begin(world.daemon.socket(), part);
        let mut other = world.daemon.client();
        unlock(&mut other, PASSPHRASE).await.unwrap();
        other.get::<GetHealth>(&[], &Nothing {}).await.unwrap();
    }
    let _flood = Flood::begin(world.daemon.socket(), b"GET /v1/health HTTP/1.1\r\n");
    let revoke = types::Revoke {
        scope: RevocationScope::Capability,
        target: world.grant.grant_id.to_string(),
        reason: "it floods".into(),
        unknown: false,
        confirmed: false,
    };
    let mut other = world.daemon.client();
    unlock(&mut other, PASSPHRASE).await.unwrap();
    other.send::<Revoke>(&[], &revoke).await.unwrap();
    // The operator that was there before, and the agent in its session, were not ended.
    world.operator.get::<GetHealth>(&[], &Nothing {}).await.unwrap();
    world.agent.get::<ListApprovals>(&[], &types::ApprovalQuery::default()).await.unwrap();
}

//= docs/spec/api.md#room
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_not_waited_for_and_pipelining_is_answered_in_order() {
    let world = World::new().await;
    let mut stream = UnixStream::connect(world.daemon.socket()).unwrap();
    let one = "GET /v1/health HTTP/1.1\r\nhost: fcp\r\n\r\n";
    let last = "GET /v1/nothing HTTP/1.1\r\nhost: fcp\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{}{last}", one.repeat(50)).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 50);
    assert!(answers.contains("HTTP/1.1 404 Not Found") && answers.trim_end().ends_with('}'));
}

//= docs/spec/sessions.md#operators-keys
#[tokio::test(flavor = "multi_thread")]
async fn wrong_passphrases_of_another_process_do_not_lock_the_owner_out() {
    let mut world = World::new().await;
    // Over a process of its own: whoever guesses is known by its number.
    let guess = |socket: PathBuf| {
        let body = r#"{"key_source":{"kind":"passphrase","passphrase":"wrong"}}"#;
        let script = format!(
            "import socket\nfor _ in range(9):\n s=socket.socket(socket.AF_UNIX)\n s.connect({:?})\n \
             s.sendall(b'POST /v1/operator/unlock HTTP/1.1\\r\\nhost: fcp\\r\\nconnection: close\\r\\ncontent-length: {}\\r\\n\\r\\n{body}')\n \
             print(s.recv(65536).split(b' ')[1].decode())",
            socket.display(),
            body.len(),
        );
        let output = std::process::Command::new("python3").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let answers = guess(world.daemon.socket());
    assert!(answers.starts_with("401") && answers.trim_end().ends_with("429"), "{answers}");
    let mut owner = world.daemon.client();
    unlock(&mut owner, PASSPHRASE).await.unwrap();
    let wrong = unlock(&mut world.operator, "wrong").await.unwrap_err();
    assert_eq!(wrong.code, Code::UnlockFailed);
}
