//! Signals: SIGTERM and SIGINT stop the daemon in order, SIGHUP reads the settings again.

use std::sync::{Arc, PoisonError};

use fcp_api::types::{Warning, WarningKind};
use fcp_proto_core::object::AuditEventKind;
use fcp_state_machines::node::{Failure, Request};
use fcp_state_machines::trust::audit::Entry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::SetLog;
use super::app::{App, owner_zone};
use super::error::StartError;
use crate::home::{Applies, Change, HomeError, Misplaced};

/// Listens to signals until the daemon ends.
///
/// # Errors
/// What the system answers.
pub(super) fn watch(app: &Arc<App>, set_log: SetLog) -> Result<JoinHandle<()>, StartError> {
    let listen = |kind| signal(kind).map_err(|error| StartError::Listen { at: "signals".into(), error });
    let signals =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    Ok(tokio::spawn(run(Arc::clone(app), signals, set_log)))
}

async fn run(app: Arc<App>, signals: (Signal, Signal, Signal), set_log: SetLog) {
    let (mut terminate, mut interrupt, mut hangup) = signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&app, &set_log).await,
        }
    }
    tracing::info!("asked to stop by a signal");
    app.draining.send_replace(true);
    // Whoever asks a second time does not want to wait for calls; what is durable is durable.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!("asked to stop a second time; open calls are left without an outcome");
    std::process::exit(1);
}

/// Takes new settings; those in force stay when the new ones are wrong.
async fn reload(app: &App, set_log: &SetLog) {
    let new = match app.home.config() {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(%error, code = %error.code(), "the settings are wrong; those in force stay");
            note(app, Some(refused(&error)));
            // What writes the log looks for its file again in any case.
            set_log(&app.config());
            return;
        }
    };
    let changes = app.config().changes(&new);
    if let Err(failure) = tell(app, &changes).await {
        tracing::error!(code = %failure.code, failure.message, "the settings in force stay: the audit could not be told");
        let why = format!("the audit could not be told of them: {}", failure.code);
        note(app, Some(not_taken(why, failure.code.next_step())));
        // What writes the log looks for its file again in any case.
        set_log(&app.config());
        return;
    }
    for change in changes {
        let applies = match change.applies {
            Applies::Now => "now",
            Applies::AtRestart => "at the next start",
        };
        tracing::info!(setting = change.field, from = change.from, to = change.to, applies, "settings");
    }
    set_log(&new);
    if let Some(serving) = app.serving.get()
        && serving.node.set_limits(new.limits.of_calls()).await.is_err()
    {
        tracing::warn!("the node has stopped and takes no new limits");
    }
    note(app, None);
    *app.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    tracing::info!("the settings were read again");
}

/// Tells the owner's chain which settings are about to change. Before there is an owner nobody can be told.
//= docs/spec/audit.md#what-is-told
async fn tell(app: &App, changes: &[Change]) -> Result<(), Failure> {
    let Some(serving) = app.serving.get().filter(|_| !changes.is_empty()) else { return Ok(()) };
    let fields: Vec<_> = changes.iter().map(|change| change.field).collect();
    let entry = Entry::new(AuditEventKind::SettingsChanged, serving.node_id.as_str());
    let entry = Box::new(entry.saying(fields.join(" ")));
    app.ask(Request::Record { zone: owner_zone(), entry }).await.map(|_| ())
}

/// Notes whether the settings that were read last are in force, for whoever asks how the daemon is.
//= docs/spec/home.md#configtoml
fn note(app: &App, refused: Option<Warning>) {
    *app.refused_settings.lock().unwrap_or_else(PoisonError::into_inner) = refused;
}

/// What is to be told of settings that cannot be read. Not every fault is one of a line.
fn refused(error: &HomeError) -> Warning {
    let first = if let HomeError::WrongKind { path, found: Misplaced::LinkToNothing | Misplaced::OtherKind } =
        error
    {
        format!("put a file with the mode 0600 in the place of {}", path.display())
    } else {
        error.remedy().unwrap_or_else(|| error.code().next_step().into())
    };
    not_taken(error.to_string(), &first)
}

fn not_taken(why: String, first: &str) -> Warning {
    Warning {
        kind: WarningKind::Settings,
        message: format!("{why}; the settings read before are in force still"),
        remedy: Some(format!("{first}; then send the daemon SIGHUP")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::home::{CONFIG_FILE, Home};

    //= docs/spec/home.md#configtoml
    #[test]
    fn settings_that_cannot_be_read_are_told_with_what_puts_them_right() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("home")).unwrap();
        let file = home.path().join(CONFIG_FILE);
        let remedy = || refused(&home.config().unwrap_err()).remedy.unwrap();
        fs::write(&file, "version = 1\nspeed = 9\n").unwrap();
        assert!(remedy().contains("correct the line"), "{}", remedy());
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(remedy().contains(&format!("`chmod 600 {}`", file.display())), "{}", remedy());
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(remedy().starts_with("put a file") && !remedy().contains("line"), "{}", remedy());
    }
}
