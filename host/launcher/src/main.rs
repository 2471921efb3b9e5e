//! `fcp-launcher`: builds a connector's sandbox and stays its first process.
//!
//! Three processes, each a fork of the one before:
//! - **outer** stands outside of all walls: reads the order, makes control groups, maps the user, watches the lifeline
//!   (the socket to the daemon), kills and cleans up;
//! - **inner** is process 1 of the sandbox: builds the private root, gives up every privilege, reaps, and reports how
//!   the program ended;
//! - **program** puts up the walls that bind one process (Landlock, limits, the filter of system calls), reports how
//!   every property stands, and becomes the connector.
//!
//! No process has a second thread, so a fork copies all there is, and the parent-death signal (which follows the
//! *thread* that forked) is sound between outer and inner. Between the daemon and outer it would not be: there only the
//! lifeline counts. Source: docs/spec/sandbox.md.

mod channel;
mod descriptors;
mod elf;
mod failure;
mod files;
mod groups;
mod inner;
mod limits;
mod outer;
mod privileges;
mod program;
mod root;
mod syscalls;
mod system;
mod walls;

use std::process::ExitCode;

fn main() -> ExitCode {
    match channel::adopt_standard_input() {
        Ok(control) => ExitCode::from(outer::run(&control)),
        Err(error) => {
            eprintln!("fcp-launcher is started by the daemon, with a socket as its standard input: {error}");
            ExitCode::from(2)
        }
    }
}
