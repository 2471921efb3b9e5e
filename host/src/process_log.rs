//! What a process of ours writes to its error output, as lines of our own log: bounded in length and number, printable, and
//! without what could be an egress handle.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Duration, Instant};

/// Has each line logged until the end, with the number of those that were dropped before it.
pub(crate) async fn capture(mut errors: impl AsyncRead + Unpin, log: impl Fn(&str, u64)) {
    let mut budget = Budget::new(Instant::now());
    let mut line = Vec::new();
    let mut buffer = vec![0; BUFFER];
    // An error output that cannot be read is at its end.
    while let Ok(length @ 1..) = errors.read(&mut buffer).await {
        for byte in &buffer[..length] {
            if *byte != b'\n' {
                // What a line has too much is read and dropped.
                if line.len() < MAX_LINE {
                    line.push(*byte);
                }
                continue;
            }
            if budget.admits(Instant::now()) {
                log(&printable(&line), budget.take_dropped());
            }
            line.clear();
        }
    }
    if !line.is_empty() || budget.dropped > 0 {
        log(&printable(&line), budget.take_dropped());
    }
}

/// The text without control characters; a run of 64 or more hexadecimal digits may be a handle and is left out.
pub(crate) fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        shown.push_str(if digits.len() < HANDLE_DIGITS { &digits } else { "[redacted]" });
        digits.clear();
        shown.push(if c.is_control() { ' ' } else { c });
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Lines in the present window.
struct Budget {
    since: Instant,
    lines: u32,
    dropped: u64,
}

impl Budget {
    const fn new(now: Instant) -> Self {
        Self { since: now, lines: 0, dropped: 0 }
    }

    fn admits(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        self.lines = self.lines.saturating_add(1);
        let admitted = self.lines <= LINES_A_WINDOW;
        self.dropped += u64::from(!admitted);
        admitted
    }

    fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// Chosen: one read of a pipe.
const BUFFER: usize = 4 * 1024;

/// Longest line that is logged, in bytes. Chosen: a stack frame with its path.
const MAX_LINE: usize = 1024;

/// Lines in a window. Chosen: what a person can read; a broken process must not fill the disk.
const LINES_A_WINDOW: u32 = 50;

/// Chosen: with the number, at most 300 lines a minute.
const WINDOW: Duration = Duration::from_secs(10);

/// A handle's digits.
const HANDLE_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_and_control_characters_do_not_show() {
        let handle = "0a".repeat(32);
        assert_eq!(printable(format!("got {handle}!").as_bytes()), "got [redacted]!");
        assert_eq!(printable(format!("x{handle}{handle}").as_bytes()), "x[redacted]");
        assert_eq!(printable(b"dead\x1b[31m beef\xff"), "dead [31m beef\u{fffd}");
    }

    #[tokio::test]
    async fn each_line_is_logged_to_the_end() {
        let said = std::cell::RefCell::new(Vec::new());
        capture(&b"one\ntwo\x1b\nthree"[..], |line, dropped| {
            said.borrow_mut().push((line.to_owned(), dropped))
        })
        .await;
        assert_eq!(said.into_inner(), ["one", "two", "three"].map(|line| (line.to_owned(), 0)));
    }

    #[tokio::test]
    async fn only_so_many_lines_a_window() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let admitted = (0..100).filter(|_| budget.admits(start)).count();
        assert_eq!(admitted, 50);
        assert!(budget.admits(start + WINDOW));
        assert_eq!(budget.take_dropped(), 50);
    }
}
