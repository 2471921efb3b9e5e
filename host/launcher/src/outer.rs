//! The process outside of the walls: order in, messages out, and the death of everything when the lifeline closes.

use crate::channel::{pair, receive_order, receive_packet, send_packet, tell};
use crate::descriptors::{Delivered, make_room};
use crate::elf::linkage;
use crate::failure::{At, Outcome};
use crate::groups::Groups;
use crate::inner::{self, Plan, Request};
use crate::privileges::is_privileged;
use crate::system;
use crate::walls::Walls;
use fcp_launcher::{Ending, Mechanism, Message, Property, Refusal, SandboxSpec, Step};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{SealFlags, fcntl_get_seals};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, pidfd_open, waitpid};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// Serves one order. The answer is the exit status of this process.
pub(crate) fn run(control: &OwnedFd) -> u8 {
    match serve(control) {
        Ok(ending) => {
            tell(control, &Message::Ended(ending));
            u8::try_from(ending.exit_status()).unwrap_or(u8::MAX)
        }
        Err(refusal) => {
            tell(control, &Message::Refused(refusal));
            REFUSED
        }
    }
}

fn serve(control: &OwnedFd) -> Outcome<Ending> {
    let (order, descriptors) = receive_order(control.as_fd())?;
    let mut descriptors = descriptors.into_iter();
    let code = File::from(descriptors.next().ok_or_else(|| Refusal::Malformed("it came without code".to_owned()))?);
    let spec = order.spec;
    if !make_room(spec.limits.descriptors) {
        let remedy = "raise the daemon's hard RLIMIT_NOFILE, or lower limits.descriptors".to_owned();
        return Err(Refusal::Unattainable(vec![(Property::DescriptorsBounded, remedy)]));
    }
    let linkage = linkage(&code)?;
    let mut walls = Walls::default();
    if has_seals(&code) {
        walls.raise(Mechanism::Seals);
    }
    walls.libraries = linkage.libraries.iter().chain(&linkage.loader).cloned().collect();
    let privileged = is_privileged();
    let (outer_uid, outer_gid) = outer_identity(&spec, privileged)?;
    walls.outer_uid = outer_uid;
    let groups = Groups::make(&spec);
    groups.in_force().iter().for_each(|mechanism| walls.raise(*mechanism));
    let delivered = Delivered { code: code.into(), streams: descriptors.collect() };
    let plan = Plan { spec, walls, delivered, loader: linkage.loader, privileged, outer_gid };
    supervise(control, plan, &groups)
}

/// Forks inner and stays with it to its end.
fn supervise(control: &OwnedFd, mut plan: Plan, groups: &Groups) -> Outcome<Ending> {
    let (link, far) = pair().at(Step::Synchronise)?;
    let identity = (plan.walls.outer_uid, plan.outer_gid);
    let Some(process) = fork_inner(&mut plan)? else {
        drop(link);
        inner::run(control, &far, plan);
    };
    // The streams and the code now belong to the sandbox alone.
    drop((far, plan));
    let supervised = Supervised { process, link, identity };
    let ending = supervised.watch(control, groups);
    if ending.is_err() {
        supervised.kill();
    }
    let status = waitpid(Some(process), WaitOptions::empty()).at(Step::Synchronise)?;
    // Without a word of inner, its own end is what is known.
    ending.map(|told| told.unwrap_or_else(|| status.map_or(Ending::LifelineClosed, |(_, status)| ending_of(status))))
}

/// Forks into as many namespaces as the machine permits.
fn fork_inner(plan: &mut Plan) -> Outcome<Option<Pid>> {
    let absent = |mechanism| plan.spec.without.contains(&mechanism);
    let mut wanted: Vec<(Mechanism, i32)> = NAMESPACES.iter().copied().filter(|(name, _)| !absent(*name)).collect();
    if plan.privileged {
        // The user namespace comes last, so that the mounts belong to the system's and nobody inside has power over them.
        wanted.retain(|(name, _)| *name != Mechanism::UserNamespace);
    } else if absent(Mechanism::UserNamespace) {
        wanted.clear();
    }
    let flags = wanted.iter().fold(0, |flags, (_, flag)| flags | flag);
    let before: Vec<Mechanism> = wanted.iter().map(|(name, _)| *name).collect();
    before.iter().for_each(|name| plan.walls.raise(*name));
    match system::fork(flags) {
        Ok(process) => Ok(process),
        Err(error) if flags != 0 && is_refusal(&error) => {
            plan.walls.lower_all(&before);
            system::fork(0).at(Step::Fork)
        }
        Err(error) => Err(error).at(Step::Fork),
    }
}

/// The errors by which a kernel or its policy says that there are no namespaces for this process.
fn is_refusal(error: &io::Error) -> bool {
    let number = error.raw_os_error().unwrap_or(0);
    [libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOSPC, libc::EUSERS, libc::ENOSYS].contains(&number)
}

/// Inner, seen from outside.
struct Supervised {
    process: Pid,
    link: OwnedFd,
    identity: (u32, u32),
}

impl Supervised {
    /// Serves inner's requests until it says how the program ended, dies, or the lifeline closes.
    fn watch(&self, control: &OwnedFd, groups: &Groups) -> Outcome<Option<Ending>> {
        let alive = pidfd_open(self.process, PidfdFlags::empty()).at(Step::Synchronise)?;
        loop {
            let ready = |fd| PollFd::new(fd, PollFlags::IN);
            let mut watched = [ready(control), ready(&self.link), ready(&alive)];
            match poll(&mut watched, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).at(Step::Synchronise),
            }
            let [lifeline, link, death] = watched.map(|one| !one.revents().is_empty());
            if link {
                if let Some(request) = receive_packet::<Request>(self.link.as_fd()).at(Step::Synchronise)? {
                    match self.serve(request, groups)? {
                        Some(ending) => return Ok(Some(ending)),
                        None => continue,
                    }
                }
            }
            if lifeline {
                self.kill();
                return Ok(Some(Ending::LifelineClosed));
            }
            if death {
                return Ok(None);
            }
        }
    }

    fn serve(&self, request: Request, groups: &Groups) -> Outcome<Option<Ending>> {
        match request {
            Request::EnterGroups => {
                groups.enter(self.process.as_raw_nonzero().get()).at(Step::EnterControlGroup)?;
            }
            Request::MapUser => self.map_user().at(Step::MapUser)?,
            Request::Guarded => {}
            Request::Ended(ending) => return Ok(Some(ending)),
        }
        acknowledge(self.link.as_fd()).at(Step::Synchronise)?;
        Ok(None)
    }

    /// Gives the sandbox one user and one group. Without `setgroups`, so that no group can be dropped to gain access.
    fn map_user(&self) -> io::Result<()> {
        let folder = format!("/proc/{}", self.process.as_raw_nonzero());
        fs::write(format!("{folder}/setgroups"), "deny")?;
        fs::write(format!("{folder}/gid_map"), format!("{INNER_ID} {} 1", self.identity.1))?;
        fs::write(format!("{folder}/uid_map"), format!("{INNER_ID} {} 1", self.identity.0))
    }

    /// Kills process 1 of the sandbox, and by that all others.
    fn kill(&self) {
        if let Err(error) = kill_process(self.process, Signal::KILL) {
            eprintln!("fcp-launcher: inner cannot be killed: {error}");
        }
    }
}

fn acknowledge(link: BorrowedFd<'_>) -> io::Result<()> {
    send_packet(link, &())
}

/// As whom the program runs, seen from outside. A privileged launcher runs it as the owner of what was granted, so that
/// the grant works and nothing more, or as nobody.
fn outer_identity(spec: &SandboxSpec, privileged: bool) -> Outcome<(u32, u32)> {
    if !privileged {
        return Ok((rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
    }
    let Some(path) = spec.writable.iter().chain(&spec.read_only).next() else { return Ok((NOBODY, NOBODY)) };
    let status = fs::symlink_metadata(path).at_subject(Step::OpenGrant, path.display())?;
    Ok((status.uid(), status.gid()))
}

fn has_seals(code: &File) -> bool {
    let needed = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_get_seals(code).is_ok_and(|seals| seals.contains(needed))
}

/// How a process ended, from what its parent learns.
pub(crate) fn ending_of(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signalled(signal),
        (None, None) => Ending::LifelineClosed,
    }
}

/// The namespaces a sandbox has.
const NAMESPACES: [(Mechanism, i32); 6] = [
    (Mechanism::UserNamespace, libc::CLONE_NEWUSER),
    (Mechanism::NetworkNamespace, libc::CLONE_NEWNET),
    (Mechanism::PrivateRoot, libc::CLONE_NEWNS),
    (Mechanism::PidNamespace, libc::CLONE_NEWPID),
    (Mechanism::IpcNamespace, libc::CLONE_NEWIPC),
    (Mechanism::UtsNamespace, libc::CLONE_NEWUTS),
];

/// The user and the group the program sees itself as.
pub(crate) const INNER_ID: u32 = 1000;

/// The kernel's default overflow user, by custom `nobody`.
const NOBODY: u32 = 65534;

/// The exit status after a refusal; the message says which.
const REFUSED: u8 = 125;
