//! The daemon's processes: who they are, who is struck, and that none is left.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A process that is not mistaken for a later one of the same number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub id: u32,
    started: String,
}

/// Who is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Daemon,
    Egress,
    Connector,
    CommandLine,
}

/// State and start of a process, as the kernel tells them behind the name; nothing if it is not there.
fn stat(id: u32) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(((*fields.first()?).to_owned(), (*fields.get(19)?).to_owned()))
}

/// The children of all threads of a process.
fn children(id: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let listed = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    listed
        .flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Everything below a process.
pub fn descendants(id: u32) -> BTreeSet<Process> {
    let mut found = BTreeSet::new();
    for child in children(id) {
        found.extend(stat(child).map(|(_, started)| Process { id: child, started }));
        found.extend(descendants(child));
    }
    found
}

fn is_egress(id: u32) -> bool {
    fs::read(format!("/proc/{id}/cmdline"))
        .is_ok_and(|line| line.windows(8).any(|part| part == b"\0egress\0"))
}

/// The process to strike below the daemon `id`, once there is one.
pub async fn find(id: u32, victim: Victim) -> u32 {
    for _ in 0..2_000 {
        let found = match victim {
            Victim::Daemon | Victim::CommandLine => Some(id),
            Victim::Egress => children(id).into_iter().find(|child| is_egress(*child)),
            // The program is the last of the launcher's line.
            Victim::Connector => {
                let launcher = children(id).into_iter().find(|child| !is_egress(*child));
                launcher.and_then(|launcher| descendants(launcher).into_iter().map(|it| it.id).max())
            }
        };
        if let Some(found) = found {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("there is no {victim:?}");
}

/// Ends a process without warning.
pub fn kill(id: u32) {
    signal(id, Signal::KILL);
}

/// Lets a process do nothing more, so that it can be looked at.
pub fn freeze(id: u32) {
    signal(id, Signal::STOP);
}

fn signal(id: u32, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    // One that has ended meanwhile is as good as struck.
    let _gone = kill_process(id, signal);
}

/// Waits until none of them is left. One that has ended and that nobody has waited for is gone too.
pub async fn gone(processes: &BTreeSet<Process>) {
    let lives = |process: &&Process| {
        stat(process.id).is_some_and(|(state, started)| started == process.started && state != "Z")
    };
    for _ in 0..2_000 {
        if !processes.iter().any(|process| lives(&process)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left: Vec<_> = processes.iter().filter(lives).collect();
    panic!("orphans: {left:?}");
}
