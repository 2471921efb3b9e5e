//! Writes to a process, and knows which calls cannot have reached it.

use fcp_proto_core::ids::CallId;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

/// A line to write.
#[derive(Debug)]
pub(crate) struct Line {
    /// The call that it hands over, if it does.
    pub(crate) call: Option<CallId>,
    /// With its end.
    pub(crate) bytes: Vec<u8>,
}

/// Writes lines until there will be no more or the process is gone. Returns the calls of which no byte was written.
pub(super) async fn write(
    mut input: pipe::Sender,
    mut queue: mpsc::UnboundedReceiver<Line>,
    mut ended: watch::Receiver<bool>,
) -> Vec<CallId> {
    let mut unwritten = Vec::new();
    let mut broken = false;
    loop {
        let line = tokio::select! {
            biased;
            () = ended_now(&mut ended), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            line = queue.recv() => line,
        };
        let Some(line) = line else { return unwritten };
        if !broken {
            broken = write_line(&mut input, &line, &mut unwritten).await.is_err();
        } else if let Some(call) = line.call {
            unwritten.push(call);
        }
    }
}

/// Returns when the process is gone.
async fn ended_now(ended: &mut watch::Receiver<bool>) {
    // An error is the end of the process's task, and so of the process.
    ended.wait_for(|ended| *ended).await.ok();
}

/// The process reads no more.
struct Broken;

async fn write_line(
    input: &mut pipe::Sender,
    line: &Line,
    unwritten: &mut Vec<CallId>,
) -> Result<(), Broken> {
    let mut rest = line.bytes.as_slice();
    while !rest.is_empty() {
        match input.write(rest).await {
            Ok(written) if written > 0 => rest = &rest[written..],
            Ok(_) | Err(_) => {
                if rest.len() == line.bytes.len() {
                    unwritten.extend(line.call);
                }
                return Err(Broken);
            }
        }
    }
    Ok(())
}
