//! `down`, `status`: the daemon.

use std::os::fd::OwnedFd;
use std::time::Duration;

use clap::Args;
use fcp_api::client::Target;
use fcp_api::routes::{GetStatus, Shutdown};
use fcp_api::types::{Nothing, Source};
use fcp_proto_core::error::Code;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use crate::context::{BRIEF, Context};
use crate::lifetime::Lifetime;
use crate::listener::Listener;
use crate::output::progress::Steps;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, internal};

/// How long `down` waits for open calls when the caller does not say. Chosen: the longest default timeout of an
/// operation, and room to write the receipts.
const DOWN_WAIT: Duration = Duration::from_secs(45);

/// Stops the daemon.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc down\n  fwc down --wait 2m")]
pub(crate) struct Down {
    /// How long to wait until it has ended
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Lifetime>,
}

/// Shows the daemon's status.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc status\n  fwc status --json")]
pub(crate) struct Status {}

/// `fwc status`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn status(_args: Status, context: &mut Context) -> Result<Outcome> {
    let reply = context.look::<GetStatus>().await?;
    let connectors = [
        ("id", "CONNECTOR"),
        ("version", "VERSION"),
        ("enabled", "ENABLED"),
        ("zones", "ZONES"),
        ("health.status", "HEALTH"),
        ("problem", "PROBLEM"),
        ("dev", "DEV"),
    ];
    let warnings = [("kind", "KIND"), ("message", "MESSAGE…"), ("remedy", "REMEDY↓")];
    Ok(Answer::of(reply)?.section("connectors", &connectors).section("warnings", &warnings).into())
}

/// `fwc down`: over the socket, a signal to the process that the kernel names. Whoever may send it needs no passphrase, as
/// the kernel asks for none; in an agent's session it is refused, as far as the environment tells of one.
//= docs/spec/api.md#stopping
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn down(args: Down, context: &mut Context) -> Result<Outcome> {
    if let Target::Tcp { .. } = context.client()?.target() {
        return Ok(Answer::of(context.as_operator().await?.send::<Shutdown>(&[], &Nothing {}).await?)?.into());
    }
    context.refuse_agents("stop the daemon")?;
    let pid = context.client()?.daemon_pid().await?;
    let waits_for = open_calls(context).await?;
    let refused = |error: rustix::io::Errno| {
        Failure::new(Code::NotPermitted)
            .because(format!("the daemon's process {pid} cannot be signalled: {error}"))
            .next("stop it as the user that started it")
    };
    let process =
        Pid::from_raw(pid).ok_or_else(|| internal("the kernel names no process behind the socket"))?;
    let process = pidfd_open(process, PidfdFlags::empty()).map_err(refused)?;
    pidfd_send_signal(&process, Signal::TERM).map_err(refused)?;
    let wait = args.wait.map_or(DOWN_WAIT, |wait| Duration::from_secs(wait.as_secs()));
    let ended = wait_for(&process, BRIEF.min(wait))? || {
        let label = format!("Waiting for the daemon, process {pid}: {waits_for}");
        let step = context.renderer.tells_progress().then(|| Steps::detect().begin(&label));
        let ended = wait_for(&process, wait.saturating_sub(BRIEF))?;
        match step {
            Some(step) if ended => step.done("it has ended"),
            Some(step) => step.fail("it still runs"),
            None => {}
        }
        ended
    };
    if !ended {
        return Err(Failure::new(Code::Draining)
            .because(format!(
                "the daemon (process {pid}) still runs after {} s: calls are open",
                wait.as_secs()
            ))
            .next("`fwc history` shows the open calls; `fwc down --wait 5m` waits longer"));
    }
    Ok(Answer::local(&json!({ "stopped": true, "pid": pid }), Source::NodeLocal)?.into())
}

/// What a daemon that is asked to stop waits for, in words.
///
/// # Errors
/// Something else listens in its place: that is not ours to stop.
async fn open_calls(context: &mut Context) -> Result<String> {
    // One that does not say how it is can be stopped all the same.
    let client = context.client()?;
    client.set_timeout(LOOK);
    let status = client.get::<GetStatus>(&[], &Nothing {}).await;
    client.hang_up();
    if let Err(failure) = &status
        && failure.code == Code::DaemonUnreachable
        && let stranger @ Listener::Stranger { .. } = context.listener().await
    {
        return Err(stranger.explain(failure.clone(), &context.home));
    }
    Ok(match status.map(|reply| reply.body.running_calls) {
        Ok(0) => "no call was open; its connectors end, and what it has is written".into(),
        Ok(1) => "1 call was open, and is given time to end".into(),
        Ok(calls) => format!("{calls} calls were open, and are given time to end"),
        Err(_) => "open calls are given time to end".into(),
    })
}

/// Waits at most so long until a process has ended. True if it has.
fn wait_for(process: &OwnedFd, time: Duration) -> Result<bool> {
    let tv_nsec = i64::from(time.subsec_nanos());
    let timeout = Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec };
    let mut descriptors = [PollFd::new(process, PollFlags::IN)];
    let ended = poll(&mut descriptors, Some(&timeout)).map_err(|error| internal(&error.to_string()))?;
    Ok(ended > 0)
}

/// For the look at a daemon before it is stopped. Chosen: one that hangs is stopped without it.
const LOOK: Duration = Duration::from_secs(2);
