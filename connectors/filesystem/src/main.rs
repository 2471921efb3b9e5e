//! The filesystem connector's process.

use std::process::ExitCode;

use fcp_connector_filesystem::Filesystem;
use fcp_sdk::Blocking;

fn main() -> ExitCode {
    match fcp_sdk::run::<Blocking<Filesystem>>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fcp-connector-filesystem: {error}");
            ExitCode::FAILURE
        }
    }
}
