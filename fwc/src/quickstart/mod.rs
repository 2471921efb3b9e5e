//! `quickstart`: the whole of FCP in a new home, in one run that a person can follow and a script can check.
//!
//! ```text
//! place (the folder) ─► story (one file a step) ─► stop (whatever was started) ─► report (text or JSON)
//!                          │ runs the very commands it shows, in this process
//!                          └ service: a GitHub of our own on loopback, which counts what reaches it
//! ```
//!
//! Nothing is simulated: the daemon, the sandboxed connectors, the egress process, TLS, the SQLite file and the HTTPS
//! service are real, and each step is checked by what came out, at the daemon and at the service.

mod place;
mod report;
mod service;
mod stop;
mod story;

use std::path::Path;

use clap::Args;
use fcp_proto_core::error::Code;

use crate::cli::{Global, PASSPHRASE_VARIABLE};
use crate::context::Context;
use crate::output::progress::Steps;
use crate::render::Outcome;
use crate::{Result, internal, usage};

use self::place::Place;
use self::report::Report;
use self::story::Stage;

/// Runs the demonstration.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc quickstart\n  fwc quickstart --keep\n  fwc quickstart --home /tmp/try-fcp --json"
)]
pub(crate) struct Quickstart {
    /// Keeps the new home to look around in; one named with --home, which must be absent or empty, stays in any case
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `fwc quickstart`.
///
/// # Errors
/// What kept it from beginning. What fails later is told in its report.
pub(crate) async fn run(args: Quickstart, context: &mut Context) -> Result<Outcome> {
    let global = context.global().clone();
    if global.offline || global.host.is_some() || global.agent.is_some() || types_passphrase_file(&global) {
        return Err(usage("quickstart makes its own daemon, agent and passphrase")
            .next("leave out --offline, --host, --agent and --passphrase-file"));
    }
    let place = Place::make(global.home.as_deref(), args.keep)?;
    let mut stage = Stage::new(&place, &context.renderer)?;
    let steps = Steps::detect();
    let ended = tokio::select! {
        told = story::run(&mut stage, &steps) => told,
        interrupted = interrupted() => Err(interrupted),
    };
    let step = steps.begin("stop everything that was started");
    let (stage, stopped) = stop::everything(stage).await;
    match &stopped {
        Ok(detail) => step.done(detail),
        Err(failure) => step.fail(&failure.to_string()),
    }
    let ended = ended.and_then(|()| stopped.map(drop));
    let kept = place.finish(ended.as_ref().err().map(|failure| failure.code))?;
    Report::new(&place, kept, stage, ended).outcome(&context.renderer)
}

/// Whether a file of a passphrase was typed. One that the environment names is another home's, and left alone.
fn types_passphrase_file(global: &Global) -> bool {
    global.passphrase_file.is_some()
        && global.passphrase_file.as_deref().map(Path::as_os_str)
            != std::env::var_os(PASSPHRASE_VARIABLE).as_deref()
}

/// Waits for the signal that ends this: an interrupt from the terminal, its end, or a request to end.
async fn interrupted() -> crate::Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        return internal("signals cannot be listened to");
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    crate::Failure::new(Code::Cancelled)
        .because("it was interrupted")
        .next("nothing of it runs any more; run `fwc quickstart` again")
}
