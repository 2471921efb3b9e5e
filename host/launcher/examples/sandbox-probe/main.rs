//! What the sandbox tests run inside the walls: one attempt to get out a run, by the name of its first argument.
//!
//! It ends with 10 if the attempt achieved what it must not, with 11 if it was refused (the reason is on standard
//! output), and with 12 if the probe itself is broken. Run outside of a sandbox it shows that it notices success.

#![allow(unsafe_code, reason = "escapes are made of raw system calls; this program is not shipped")]

mod exhaust;
mod reach;
mod serve;

use std::io;
use std::process::ExitCode;

/// What an attempt came to: what it achieved, or why not.
type Attempt = io::Result<String>;

/// An attempt, given its arguments.
type Run = fn(&[String]) -> Attempt;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else { return broken("no attempt was named") };
    if let Some(status) = serve::run(name, rest) {
        return ExitCode::from(status);
    }
    let table = reach::ATTEMPTS.iter().chain(exhaust::ATTEMPTS);
    let Some((_, run)) = table.into_iter().find(|(known, _)| known == name) else {
        return broken("no such attempt");
    };
    match run(rest) {
        Ok(what) => {
            println!("achieved {what}");
            ExitCode::from(10)
        }
        Err(error) => {
            println!("refused {error}");
            ExitCode::from(11)
        }
    }
}

fn broken(what: &str) -> ExitCode {
    println!("broken {what}");
    ExitCode::from(12)
}

/// The answer of a raw system call.
fn checked(answer: i64) -> Attempt {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer.to_string()) }
}

/// A raw system call whose failure for its arguments' sake still shows that the kernel looked at them.
fn reaches(answer: i64) -> Attempt {
    let result = checked(answer);
    match &result {
        Err(error) if ![libc::EPERM, libc::ENOSYS].contains(&error.raw_os_error().unwrap_or(0)) => {
            Ok(format!("a look at its arguments: {error}"))
        }
        Err(_) | Ok(_) => result,
    }
}

/// The n-th argument.
fn argument(arguments: &[String], index: usize) -> io::Result<&str> {
    arguments.get(index).map(String::as_str).ok_or_else(|| {
        println!("broken: an argument is missing");
        std::process::exit(12)
    })
}
