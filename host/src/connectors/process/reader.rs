//! Reads what a process says: bounded lines, each a message, until the first that breaks the protocol.

use fcp_proto_core::limits::MAX_LINE_BYTES;
use fcp_state_machines::call::supervisor::Process;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use super::{Event, Told};
use crate::connectors::protocol::{self, Violation};

/// Reads to the end, to the first violation, or until nobody listens; then drops `_reads`.
pub(super) async fn read(
    output: pipe::Receiver,
    process: Process,
    events: mpsc::Sender<Told>,
    _reads: watch::Sender<()>,
) {
    let mut output = BufReader::new(output);
    loop {
        let event = match read_line(&mut output).await {
            Ok(Some(line)) => match protocol::read(&line) {
                Ok(message) => Event::Said(message),
                Err(violation) => Event::Broke(violation),
            },
            // An unfinished last line is no message: the process died while it wrote.
            Ok(None) => return,
            Err(violation) => Event::Broke(violation),
        };
        let last = matches!(event, Event::Broke(_));
        if events.send((process, event)).await.is_err() || last {
            return;
        }
    }
}

/// The next line without its end; nothing at the end.
async fn read_line(output: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, Violation> {
    let mut line = Vec::new();
    loop {
        // A pipe that cannot be read is at its end.
        let Ok(available) = output.fill_buf().await else { return Ok(None) };
        if available.is_empty() {
            return Ok(None);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(available.len());
        if line.len() + taken > MAX_LINE_BYTES {
            return Err(Violation::LineTooLong);
        }
        line.extend_from_slice(&available[..taken]);
        output.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_and_bounded() {
        let mut text: &[u8] = b"one\n\ntwo\nhalf";
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut text).await.unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines, ["one", "", "two"]);
        let longest = [vec![b'x'; MAX_LINE_BYTES], b"\n".to_vec()].concat();
        assert_eq!(read_line(&mut longest.as_slice()).await.unwrap().unwrap().len(), MAX_LINE_BYTES);
        let longer = vec![b'x'; MAX_LINE_BYTES + 1];
        assert_eq!(read_line(&mut longer.as_slice()).await, Err(Violation::LineTooLong));
    }
}
