//! The FCP command line. All of it is in the library, so that commands can call one another.

use std::process::ExitCode;

fn main() -> ExitCode {
    fwc::main(std::env::args_os())
}
