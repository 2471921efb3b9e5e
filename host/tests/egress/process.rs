//! The egress process of these tests: started as the daemon starts it, in an environment where a test answers for names.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use fcp_host::egress::{Environment, Resolver, Resolving};
use fcp_proto_core::time::UnixTime;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::NOW;

/// Where the process asks for names; set only for the process itself.
const NAMES: &str = "FCP_EGRESS_TEST_NAMES";

/// What the test says instead of addresses, to have the resolver block a thread for ever.
pub(crate) const BLOCK: &str = "block";

/// An egress process, ended with the value.
pub(crate) struct Process(Child);

impl Process {
    /// The program that is shipped, and the daemon's end of its control socket.
    pub(crate) fn shipped() -> (Self, OwnedFd) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_fcp-host"));
        program.arg("egress").env_clear();
        Self::start(program)
    }

    /// The same process, but that the names are asked for at a socket.
    pub(crate) fn asking(names: &Path) -> (Self, OwnedFd) {
        let mut program = Command::new(std::env::current_exe().expect("path"));
        program.args(["--exact", "process::entry", "--nocapture"]).env_clear().env(NAMES, names);
        Self::start(program)
    }

    fn start(mut program: Command) -> (Self, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        program.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        (Self(program.spawn().expect("started")), ours.into())
    }

    /// A file of the process below `/proc`.
    pub(crate) fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).expect("a file of /proc")
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().strip_suffix(" kB").expect("a unit").parse::<u64>().expect("a number") * 1024
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("an id");
        kill_process(id, signal).expect("signalled");
    }

    /// Lets it do nothing more until [`Signal::CONT`]; it has stopped when this returns.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        while !self.proc("stat").rsplit(") ").next().expect("a state").starts_with('T') {
            std::thread::yield_now();
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.0.try_wait().expect("waited") {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Not a test by itself: the process of the others, which start this binary with the variable set.
#[test]
fn entry() {
    let Some(names) = std::env::var_os(NAMES) else { return };
    let control = io::stdin().as_fd().try_clone_to_owned().expect("descriptor");
    let resolver = Box::new(AskingTheTest(names.into()));
    let environment = Environment { resolver, unix_time: || UnixTime::from_secs(NOW) };
    fcp_host::egress::run_in(control, environment).expect("egress ran");
}

/// Asks the test at a socket: the name, then an address a line.
struct AskingTheTest(PathBuf);

impl Resolver for AskingTheTest {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let mut test = tokio::net::UnixStream::connect(&self.0).await?;
            test.write_all(host.as_bytes()).await?;
            test.shutdown().await?;
            let mut answer = String::new();
            test.read_to_string(&mut answer).await?;
            if answer == BLOCK {
                tokio::task::spawn_blocking(|| {
                    loop {
                        std::thread::park();
                    }
                })
                .await?
            }
            let addresses = answer.lines().map(|line| line.parse().map_err(io::Error::other));
            let addresses: Vec<_> = addresses.collect::<Result<_, _>>()?;
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
        })
    }
}
