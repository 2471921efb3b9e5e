//! The engine's process: protocol on standard input and output, egress on descriptor 3.

use std::process::ExitCode;

use fcp_connector_engine::Engine;

fn main() -> ExitCode {
    match fcp_sdk::run::<Engine>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fcp-connector-engine: {error}");
            ExitCode::FAILURE
        }
    }
}
