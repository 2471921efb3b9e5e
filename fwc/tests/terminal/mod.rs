//! A pseudo-terminal with `fwc` on it, made by `script` of util-linux.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::programs::programs;

/// More is not printed by any command that is tested here.
const MOST: usize = 1 << 20;

/// A command on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    output: ChildStdout,
    seen: Vec<u8>,
    /// What was looked at already.
    read: usize,
}

impl Terminal {
    /// Starts `fwc` in `home`; `None` if this machine has no `script`.
    pub(crate) fn start(home: &Path, words: &[&str]) -> Option<Self> {
        let fwc = programs().join("fwc");
        let line = [&[fwc.to_str().unwrap()], words].concat().join(" ");
        // A prompt that never comes must not hold the tests for ever.
        let mut command = Command::new("timeout");
        command.args([
            "--foreground",
            "300",
            "script",
            "--quiet",
            "--return",
            "--echo",
            "always",
            "--command",
            &line,
            "/dev/null",
        ]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("FCP_HOME", home).env("TERM", "dumb").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                assert_ne!(
                    std::env::var("FCP_TEST_REQUIRE").as_deref(),
                    Ok("all"),
                    "NOT RUN: script: {error}"
                );
                println!("NOT RUN: `script` cannot be run: {error}");
                return None;
            }
        };
        let (keyboard, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, keyboard, output, seen: Vec::new(), read: 0 })
    }

    /// Waits until one of the texts stands in what is new on the screen, and returns what is new.
    pub(crate) fn wait_for(&mut self, texts: &[&str]) -> String {
        loop {
            let new = String::from_utf8_lossy(&self.seen[self.read..]).into_owned();
            if texts.iter().any(|text| new.contains(text)) {
                self.read = self.seen.len();
                return new;
            }
            assert!(self.more(), "the command ended before {texts:?}: {}", self.screen());
        }
    }

    /// Everything on the screen so far.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, text: &str) {
        self.keyboard.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// Waits for the end: the exit code, and everything that was on the screen.
    pub(crate) fn end(mut self) -> (i32, String) {
        while self.more() {}
        let code = self.child.wait().unwrap().code().unwrap();
        (code, self.screen())
    }

    /// Reads what comes next; `false` at the end.
    fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let read = self.output.read(&mut part).unwrap();
        self.seen.extend_from_slice(&part[..read]);
        assert!(self.seen.len() < MOST, "the command prints without end");
        read > 0
    }
}
