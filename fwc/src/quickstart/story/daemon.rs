//! The daemon starts in the new home.

use std::time::Duration;

use fcp_api::types::HealthStatus;

use super::Stage;
use crate::commands::up::{self, Lasts};
use crate::quickstart::place::random_text;
use crate::quickstart::stop::Daemon;
use crate::{Result, private_file};

/// How long its start may take. Chosen: many times what it takes on a slow disk.
const WAIT: Duration = Duration::from_secs(20);

/// Writes the passphrase that the operator's key will be kept with, and starts the daemon.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let passphrase = random_text::<16>()?;
    private_file::create(&stage.place.passphrase(), passphrase.as_bytes())?;
    let path = stage.place.passphrase().display().to_string();
    stage.show_command(&["up", "--passphrase-file", &path])?;
    stage.daemon = Some(Daemon::new(up::start(stage.place.home(), Lasts::WithUs)?));
    let health =
        up::wait_until_healthy(&mut stage.owner, stage.daemon.as_mut().map(Daemon::child), WAIT).await?;
    stage.check("the daemon's health", &HealthStatus::CeremonyRequired, &health.status)?;
    Ok(format!("process {}, home {}", health.pid, stage.place.home().path().display()))
}
