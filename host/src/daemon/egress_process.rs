//! The egress process: started by the daemon, and started again when it dies.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::egress::{EgressClient, Refreshed};
use crate::process_log;

/// An egress process and the way to it.
pub(super) struct Egress {
    child: Child,
    pub(super) client: EgressClient,
    pub(super) refreshed: Refreshed,
}

/// Starts an egress process: this program again, with the control socket as its standard input and nothing else.
///
/// # Errors
/// What the system answers.
pub(super) fn start() -> io::Result<Egress> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("egress").env_clear().stdin(Stdio::from(theirs)).stdout(Stdio::null());
    let child = spawn(command)?;
    let ours: OwnedFd = ours;
    let (client, refreshed) = EgressClient::connect(ours)?;
    Ok(Egress { child, client, refreshed })
}

/// Starts the process, with its standard error through our log: a file that it held itself would be the old one once the
/// log begins a new one.
//= docs/spec/home.md#the-daemons-log
fn spawn(mut command: Command) -> io::Result<Child> {
    let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    if let Some(errors) = child.stderr.take() {
        tokio::spawn(process_log::capture(errors, |line, dropped| {
            tracing::error!(dropped, line, "egress log");
        }));
    }
    Ok(child)
}

/// What follows the life of egress processes.
pub(super) trait Follower: Send + Sync + 'static {
    /// There is a new process.
    fn replaced(&self, client: EgressClient);

    /// Takes what the process refreshes, on a task that ends once the process has and all of it is stored.
    fn refreshing(&self, client: EgressClient, refreshed: Refreshed) -> JoinHandle<()>;
}

/// Whether an egress process runs now.
#[derive(Debug, Default)]
pub(super) struct Alive(AtomicBool);

impl Alive {
    /// One that runs.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    /// Whether it runs.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Waits for the process to end and starts another, later each time, until `stop`. Then it is asked to end.
pub(super) async fn keep(
    mut egress: Egress,
    alive: Arc<Alive>,
    follower: Arc<dyn Follower>,
    mut stop: watch::Receiver<bool>,
) {
    let mut failures = 0_u32;
    loop {
        let refreshing = follower.refreshing(egress.client.clone(), egress.refreshed);
        let started = tokio::time::Instant::now();
        tokio::select! {
            ended = egress.child.wait() => tracing::error!(?ended, "the egress process ended"),
            // It may hold open connections and secrets of calls that nobody can close: it goes, and they with it.
            //= docs/spec/egress.md#control
            () = egress.client.silent() => kill(&mut egress.child).await,
            () = stopped(&mut stop) => {
                end(&mut egress.child, &egress.client).await;
                match tokio::time::timeout(STORE_TIME, refreshing).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "what was refreshed last may not be stored"),
                    Err(_) => tracing::error!(
                        "the disk took no refreshed token to the end: sign in again where calls say so"
                    ),
                }
                return;
            }
        }
        alive.0.store(false, Ordering::Release);
        failures = if started.elapsed() > STEADY { 0 } else { failures.saturating_add(1) };
        egress = loop {
            tokio::select! {
                () = tokio::time::sleep(pause(failures)) => {}
                () = stopped(&mut stop) => return,
            }
            match start() {
                Ok(egress) => break egress,
                Err(error) => tracing::error!(%error, "the egress process does not start"),
            }
            failures = failures.saturating_add(1);
        };
        alive.0.store(true, Ordering::Release);
        follower.replaced(egress.client.clone());
        tracing::info!("there is a new egress process");
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without a sender there is no daemon any more.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn end(child: &mut Child, client: &EgressClient) {
    let asked = async {
        if let Err(error) = client.shutdown().await {
            tracing::debug!(%error, "the egress process was gone");
        }
        child.wait().await
    };
    if tokio::time::timeout(END_WITHIN, asked).await.is_err() {
        kill(child).await;
    }
}

async fn kill(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::error!(%error, "the egress process does not end");
    }
}

/// How long to wait before the n-th start in a row. Chosen: at once the first time, then up to half a minute.
fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(250).saturating_mul(1 << more.min(7)).min(Duration::from_secs(30)),
    }
}

/// A process that lived so long did not fail at its start. Chosen.
const STEADY: Duration = Duration::from_secs(60);

/// How long the disk may take with what was refreshed last. Chosen: with the time below, within what a service manager waits.
const STORE_TIME: Duration = Duration::from_secs(5);

/// How long the process may take to end. Chosen.
const END_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    //= docs/spec/home.md#the-daemons-log
    #[tokio::test]
    async fn what_the_process_says_is_a_line_of_our_log() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let _guard = tracing::subscriber::set_default(log);
        let mut command = Command::new("sh");
        command.args(["-c", "echo it is so >&2"]);
        spawn(command).unwrap().wait().await.unwrap();
        for _ in 0..400 {
            if String::from_utf8_lossy(&written.0.lock().unwrap()).contains("it is so") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it is not in the log");
    }
}
