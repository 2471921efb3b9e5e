//! Counts the instructions of one piece of work: a child runs it between two signals to itself, and is stepped through.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::personality::{self, Persona};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::work::{Side, Work};

/// Names, to the child, the work it is to do.
pub(crate) const ASKED: &str = "FCP_COUNT";

/// The child's answer where it may not be traced.
const NOT_PERMITTED: i32 = 77;

/// Calls before the one that is counted: what happens once in a process has happened, and the allocator is at rest.
const WARM_UP: usize = 4;

/// The C library would choose among ways to copy bytes by what the processor can do.
const PLAIN_COPIES: &str = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX2_Usable,-AVX512F,-AVX512VL,-ERMS,-FSRM,-Fast_Unaligned_Copy,-EVEX";

/// Why there is no count.
#[derive(Debug)]
pub(crate) enum CountError {
    /// A process may not trace its child here.
    NotPermitted,
    /// Something that ought to work did not.
    Failed(String),
}

impl From<Errno> for CountError {
    fn from(error: Errno) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for CountError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The child's part: nothing, then ours, then the bare primitive, each between two stops.
pub(crate) fn be_counted(mut work: Work) -> Result<(), Errno> {
    if ptrace::traceme().is_err() {
        std::process::exit(NOT_PERMITTED);
    }
    between_stops(&mut || ())?;
    between_stops(&mut *work.ours)?;
    match &mut work.bare {
        Some(bare) => between_stops(&mut **bare),
        None => Ok(()),
    }
}

fn between_stops(side: &mut dyn Side) -> Result<(), Errno> {
    for _ in 0..WARM_UP {
        side.prepare(1);
        side.call();
    }
    side.prepare(1);
    raise(Signal::SIGSTOP)?;
    side.call();
    raise(Signal::SIGSTOP)
}

/// What the work named `name` takes, and what its bare primitive does.
pub(crate) fn count(name: &str) -> Result<(i64, Option<i64>), CountError> {
    // Where things lie in memory decides how many steps a copy takes.
    personality::set(personality::get()? | Persona::ADDR_NO_RANDOMIZE)?;
    let mut child = Command::new(env::current_exe()?);
    child.arg0("instructions").env_clear().env(ASKED, name).env("GLIBC_TUNABLES", PLAIN_COPIES);
    let child = child.spawn()?;
    let pid =
        Pid::from_raw(i32::try_from(child.id()).map_err(|error| CountError::Failed(error.to_string()))?);
    let counts = stretches(pid)?;
    match counts.as_slice() {
        [] => Err(CountError::NotPermitted),
        [nothing, ours] => Ok((ours - nothing, None)),
        [nothing, ours, bare] => Ok((ours - nothing, Some(bare - nothing))),
        other => Err(CountError::Failed(format!("{} stretches were counted", other.len()))),
    }
}

/// The steps between each two stops of the child, until it ends.
fn stretches(pid: Pid) -> Result<Vec<i64>, CountError> {
    let mut counts = Vec::new();
    loop {
        let status = waitpid(pid, Some(WaitPidFlag::__WALL))?;
        if status == WaitStatus::Exited(pid, 0) {
            return Ok(counts);
        } else if status == WaitStatus::Exited(pid, NOT_PERMITTED) {
            return Ok(Vec::new());
        } else if status != WaitStatus::Stopped(pid, Signal::SIGSTOP) {
            return Err(CountError::Failed(format!("the child: {status:?}")));
        }
        counts.push(steps(pid)?);
        ptrace::cont(pid, None)?;
    }
}

/// The steps until the next stop.
fn steps(pid: Pid) -> Result<i64, CountError> {
    for steps in 0.. {
        ptrace::step(pid, None)?;
        let status = waitpid(pid, Some(WaitPidFlag::__WALL))?;
        if status == WaitStatus::Stopped(pid, Signal::SIGSTOP) {
            return Ok(steps);
        } else if status != WaitStatus::Stopped(pid, Signal::SIGTRAP) {
            return Err(CountError::Failed(format!("the child: {status:?}")));
        }
    }
    Err(CountError::Failed(String::from("the child does not stop")))
}
