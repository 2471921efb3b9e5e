//! What happened, as one hash and the last lines.

use std::collections::VecDeque;
use std::fmt;

use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::time::Instant;

/// Lines that are kept for whoever looks for a fault.
const KEPT: usize = 60;

/// A history: every event goes into the hash.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: [u8; 32],
    lines: VecDeque<String>,
    events: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: Hasher::new("FCP-SIM-TRACE-V1").finish(), lines: VecDeque::new(), events: 0 }
    }
}

impl Trace {
    /// Notes an event.
    pub fn note(&mut self, at: Instant, event: fmt::Arguments<'_>) {
        let line = format!("{:>14.6} {event}", at.as_nanos() as f64 / 1e9);
        self.hash = Hasher::new("FCP-SIM-TRACE-V1").with(&self.hash).with(line.as_bytes()).finish();
        self.events += 1;
        self.lines.push_back(line);
        if self.lines.len() > KEPT {
            self.lines.pop_front();
        }
    }

    /// Sixteen hexadecimal digits that stand for the whole history.
    pub fn digest(&self) -> String {
        self.hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The last events.
    pub fn tail(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
