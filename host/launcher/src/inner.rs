//! Process 1 of the sandbox: builds the private root, gives up every privilege, lets the program execute once, reaps,
//! and tells outer how the program ended. When it ends, the kernel ends everything in its process namespace.

use crate::channel::{pair, receive_packet, receive_with_descriptors, send_packet, tell};
use crate::descriptors::Delivered;
use crate::failure::{At, Outcome};
use crate::outer::{INNER_ID, ending_of};
use crate::walls::Walls;
use crate::{privileges, program, root, system};
use fcp_launcher::{Ending, Mechanism, Message, Refusal, SandboxSpec, Step};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, set_parent_process_death_signal, wait};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Everything inner and the program need; outer prepared it.
pub(crate) struct Plan {
    /// The order.
    pub(crate) spec: SandboxSpec,
    /// What is in force already.
    pub(crate) walls: Walls,
    /// What came with the order.
    pub(crate) delivered: Delivered,
    /// The program's loader, if it has one.
    pub(crate) loader: Option<PathBuf>,
    /// Whether outer has the power of the system's administrator.
    pub(crate) privileged: bool,
    /// The group outside.
    pub(crate) outer_gid: u32,
}

/// What inner says to outer. Each but the last is answered by an empty packet.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Put me into the control groups.
    EnterGroups,
    /// I am in a user namespace that needs its map.
    MapUser,
    /// I have asked to die with you; are you still there?
    Guarded,
    /// The program ended like this.
    Ended(Ending),
}

/// Never returns.
pub(crate) fn run(control: &OwnedFd, link: &OwnedFd, plan: Plan) -> ! {
    let status = match live(control, link, plan) {
        Ok(status) => status,
        Err(refusal) => {
            tell(control, &Message::Refused(refusal));
            1
        }
    };
    std::process::exit(status)
}

fn live(control: &OwnedFd, link: &OwnedFd, mut plan: Plan) -> Outcome<i32> {
    ask(link, &Request::EnterGroups)?;
    wall_in(link, &mut plan)?;
    set_parent_process_death_signal(Some(Signal::KILL)).at(Step::Synchronise)?;
    ask(link, &Request::Guarded)?;
    plan.walls.raise(Mechanism::Lifeline);
    privileges::drop_all(&plan.spec, &mut plan.walls)?;
    let (near, far) = pair().at(Step::Synchronise)?;
    let in_namespace = plan.walls.stands(Mechanism::PidNamespace);
    let Some(process) = system::fork(0).at(Step::Fork)? else {
        drop(near);
        program::run(control, &far, plan);
    };
    drop((far, plan));
    if let_one_execution_through(&near, process)? {
        tell(control, &Message::Started);
    }
    let ending = reap(process).at(Step::Synchronise)?;
    if !in_namespace {
        end_group(process)?;
    }
    send_packet(link.as_fd(), &Request::Ended(ending)).at(Step::Synchronise)?;
    Ok(ending.exit_status())
}

/// The walls that need power: root, user namespace, identity.
fn wall_in(link: &OwnedFd, plan: &mut Plan) -> Outcome<()> {
    let user_namespace = !plan.spec.without.contains(&Mechanism::UserNamespace);
    if plan.walls.stands(Mechanism::UserNamespace) {
        ask(link, &Request::MapUser)?;
    }
    if plan.walls.stands(Mechanism::PrivateRoot) {
        root::enter(&plan.spec, &plan.walls)?;
    }
    if plan.privileged {
        privileges::leave_groups()?;
        if user_namespace && system::enter_new_user_namespace().is_ok() {
            ask(link, &Request::MapUser)?;
            plan.walls.raise(Mechanism::UserNamespace);
        }
    }
    if plan.walls.stands(Mechanism::UserNamespace) {
        privileges::become_user(INNER_ID, INNER_ID)
    } else {
        privileges::become_user(plan.walls.outer_uid, plan.outer_gid)
    }
}

/// Asks outer and waits for its answer; an outer that is gone is the end.
fn ask(link: &OwnedFd, request: &Request) -> Outcome<()> {
    send_packet(link.as_fd(), request).at(Step::Synchronise)?;
    match receive_packet::<()>(link.as_fd()).at(Step::Synchronise)? {
        Some(()) => Ok(()),
        None => Err(io::Error::from_raw_os_error(libc::EPIPE)).at(Step::Synchronise),
    }
}

/// Decides the program's executions: the first goes on, and by closing the listener every later one is refused by the
/// kernel. True if the program runs.
fn let_one_execution_through(link: &OwnedFd, process: Pid) -> Outcome<bool> {
    let first = receive_with_descriptors(link.as_fd()).at(Step::Synchronise)?;
    let Some((program::Fate::Walled, mut received)) = first else { return Ok(false) };
    // No listener: there is no filter, which the judgement has refused unless the owner accepted it.
    let Some(listener) = received.pop() else { return executed(link) };
    if !wait_for_call(listener.as_fd()).at(Step::Execute)? {
        return Ok(false);
    }
    let (id, number) = system::next_notification(listener.as_fd()).at(Step::Execute)?;
    if i64::from(number) != libc::SYS_execveat {
        rustix::process::kill_process(process, Signal::KILL).at(Step::Execute)?;
        return Err(Refusal::Failed { step: Step::Execute, subject: "another call".to_owned(), errno: libc::EPERM });
    }
    system::let_continue(listener.as_fd(), id).at(Step::Execute)?;
    // Held until the call is over; what comes after it is refused from the moment this is closed.
    let executed = executed(link);
    drop(listener);
    executed
}

/// Whether the program's end of the link was closed by an execution; a failure is announced on it.
fn executed(link: &OwnedFd) -> Outcome<bool> {
    Ok(receive_packet::<program::Fate>(link.as_fd()).at(Step::Synchronise)?.is_none())
}

/// Waits for a call to decide; false if there is no process left that could make one.
fn wait_for_call(listener: BorrowedFd<'_>) -> io::Result<bool> {
    loop {
        let mut watched = [PollFd::new(&listener, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) => return Ok(watched[0].revents().contains(PollFlags::IN)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reaps whatever ends in the sandbox until the program does.
fn reap(process: Pid) -> io::Result<Ending> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == process => return Ok(ending_of(status)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Without a process namespace, what the program started is in its group, which the filter lets nobody leave.
fn end_group(process: Pid) -> Outcome<()> {
    match kill_process_group(process, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).at(Step::Synchronise),
    }
}
