//! Secrets from a person: typed on the terminal without echo, or from a file or standard input; never an argument.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use fcp_api::secret::Secret;
use fcp_proto_core::error::Code;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{Failure, Result, private_file};

/// Largest secret, in bytes. Chosen: a private key in PEM fits.
const MAX_BYTES: u64 = 16 * 1024;

/// Reads the secret in a file that only its owner may read; one line end at its end does not count.
///
/// # Errors
/// What makes the file unfit.
pub(crate) fn from_file(path: &Path) -> Result<Secret> {
    whole(&private_file::read(path)?)
}

/// Reads the secret from standard input to its end; one line end at its end does not count.
///
/// # Errors
/// [`Code::UsageError`] on a terminal, where it would be echoed.
pub(crate) fn from_stdin() -> Result<Secret> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(crate::usage("--stdin needs a pipe: on a terminal the secret would be shown"));
    }
    let mut text = Zeroizing::new(String::new());
    let read = stdin.lock().take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Code::MalformedInput).because(format!("standard input: {error}")))?;
    whole(&text)
}

/// Asks on the terminal, without echo.
///
/// # Errors
/// [`Code::Unauthenticated`] if there is no terminal, with `instead` as the way out.
pub(crate) fn ask(question: &str, instead: &str) -> Result<Secret> {
    let terminal = open_terminal(instead)?;
    let silent = Silence::begin(&terminal)?;
    let answer = prompt(&terminal, question);
    drop(silent);
    tell(&terminal, "\n")?;
    whole(&answer?)
}

/// Asks on the terminal, with echo.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_openly(question: &str, instead: &str) -> Result<Secret> {
    let terminal = open_terminal(instead)?;
    whole(&prompt(&terminal, question)?)
}

/// Shows a text on the terminal, whatever standard output is.
///
/// # Errors
/// As [`ask`].
pub(crate) fn show(text: &str, instead: &str) -> Result<()> {
    tell(&open_terminal(instead)?, text)
}

/// Whether there is a terminal to ask on.
pub(crate) fn has_terminal() -> bool {
    open_terminal("").is_ok()
}

fn open_terminal(instead: &str) -> Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| {
        let failure = Failure::new(Code::Unauthenticated);
        let mut failure =
            failure.because("there is no terminal to ask on, and no file was named").next(instead);
        failure.message = "A person is needed here, and nobody can be asked.".into();
        failure
    })
}

fn tell(terminal: &File, text: &str) -> Result<()> {
    let mut terminal = terminal;
    terminal.write_all(text.as_bytes()).map_err(|error| lost(&error))
}

fn prompt(terminal: &File, question: &str) -> Result<Zeroizing<String>> {
    tell(terminal, question)?;
    let mut line = Zeroizing::new(String::new());
    let read =
        BufReader::new(terminal.take(MAX_BYTES + 1)).read_line(&mut line).map_err(|error| lost(&error))?;
    if read == 0 {
        Err(Failure::new(Code::Unauthenticated).because("the terminal was closed"))
    } else {
        Ok(line)
    }
}

fn lost(error: &std::io::Error) -> Failure {
    Failure::new(Code::Unauthenticated).because(format!("the terminal is lost: {error}"))
}

fn whole(text: &str) -> Result<Secret> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::new(Code::InputInvalid)
            .because("the secret is empty")
            .next("type it or pipe it in again; nothing was done"));
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(Failure::new(Code::InputTooLarge).because("the secret is too long"));
    }
    Ok(Secret::new(text))
}

/// Switches echo off, and on again when dropped.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn begin(terminal: &'a File) -> Result<Self> {
        let failed = |error: rustix::io::Errno| lost(&error.into());
        let before = tcgetattr(terminal).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent).map_err(failed)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // Fails only if the terminal is gone, and with it its echo.
        let _gone = tcsetattr(self.terminal, OptionalActions::Now, &self.before).err();
    }
}
