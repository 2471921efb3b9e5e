//! Answers that come bit by bit: every piece is handed on as progress and kept for the output.

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::ResponseFormat;
use fcp_sdk::{Error, Response};
use serde_json::Value;

use crate::{Task, shape};

/// Reads the whole stream.
pub(crate) async fn collect(task: Task<'_>, mut response: Response) -> Result<Value, Error> {
    let max = task.max_response_bytes();
    let (mut pieces, mut total) = (Pieces::new(task.request.response), 0_usize);
    let mut items = Vec::new();
    loop {
        let chunk = task.call.within(response.chunk()).await.map_err(Error::with_unknown_effect)??;
        let Some(chunk) = chunk else { break };
        total = total.saturating_add(chunk.len());
        if total > max {
            let message = format!("the answer is larger than {max} bytes");
            return Err(Error::new(Code::EgressTooLarge, message).with_unknown_effect());
        }
        for item in pieces.push(&chunk) {
            task.call.progress.chunk(item.clone()).await;
            items.push(item);
        }
    }
    for item in pieces.finish() {
        task.call.progress.chunk(item.clone()).await;
        items.push(item);
    }
    Ok(shape::output(&task.request.output, Value::Array(items)))
}

/// Cuts a stream into its pieces.
struct Pieces {
    format: ResponseFormat,
    line: Vec<u8>,
    data: String,
}

impl Pieces {
    const fn new(format: ResponseFormat) -> Self {
        Self { format, line: Vec::new(), data: String::new() }
    }

    fn push(&mut self, chunk: &[u8]) -> Vec<Value> {
        let mut items = Vec::new();
        for byte in chunk {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                items.extend(self.line(&line));
            } else {
                self.line.push(*byte);
            }
        }
        items
    }

    fn finish(&mut self) -> Vec<Value> {
        let line = std::mem::take(&mut self.line);
        let last = self.line(&line);
        // An event without its blank line is incomplete and dropped (HTML, server-sent events).
        last.into_iter().collect()
    }

    fn line(&mut self, line: &[u8]) -> Option<Value> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if self.format != ResponseFormat::Events {
            return (!line.trim().is_empty()).then(|| piece(line));
        }
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty() && data != "[DONE]").then(|| piece(&data));
        }
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        None
    }
}

/// JSON as its value, anything else as text.
fn piece(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
