//! The last process: puts up the walls that bind one process, reports, and becomes the program.

use crate::channel::{send_packet, tell};
use crate::failure::{At, Outcome};
use crate::inner::Plan;
use crate::walls::Walls;
use crate::{descriptors, files, limits, syscalls, system};
use fcp_launcher::{Mechanism, Message, SandboxSpec, Step};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// What is said on the link to inner. An execution closes it without a further word.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// The filter is being loaded; its listener, if there is a filter, comes along.
    Walled,
    /// The daemon was told why.
    NotExecuted,
}

/// Never returns.
pub(crate) fn run(control: &OwnedFd, link: &OwnedFd, plan: Plan) -> ! {
    let Plan { spec, mut walls, delivered, loader, .. } = plan;
    let placed = match descriptors::place(delivered, control, link, spec.limits.descriptors) {
        Ok(placed) => placed,
        Err(refusal) => {
            tell(control, &Message::Refused(refusal));
            std::process::exit(1)
        }
    };
    walls.raise(Mechanism::DescriptorsClosed);
    let Err(refusal) = become_program(&spec, walls, loader.as_deref(), &placed);
    tell(&placed.control, &Message::Refused(refusal));
    if let Err(error) = send_packet(placed.link.as_fd(), &Fate::NotExecuted) {
        eprintln!("fcp-launcher: inner cannot be told: {error}");
    }
    std::process::exit(1)
}

fn become_program(
    spec: &SandboxSpec,
    mut walls: Walls,
    loader: Option<&std::path::Path>,
    placed: &descriptors::Placed,
) -> Outcome<std::convert::Infallible> {
    let strings = |text: &[String]| text.iter().map(|one| CString::new(one.as_str())).collect::<Result<Vec<_>, _>>();
    let variables: Vec<String> = spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let arguments: Vec<String> = [&spec.name].into_iter().chain(&spec.arguments).cloned().collect();
    let arguments = strings(&arguments).map_err(io::Error::other).at(Step::Execute)?;
    let environment = strings(&variables).map_err(io::Error::other).at(Step::Execute)?;
    walls.raise(Mechanism::EnvironmentReplaced);
    rustix::process::setsid().at(Step::LeaveSession)?;
    walls.raise(Mechanism::OwnSession);
    system::restore_sigpipe().at(Step::LeaveSession)?;
    files::restrict(spec, &mut walls, loader)?;
    if !spec.without.contains(&Mechanism::NoExecutableGain) && system::forbid_executable_gain().is_ok() {
        walls.raise(Mechanism::NoExecutableGain);
    }
    limits::set(spec, &mut walls)?;
    filter(spec, &mut walls, placed)?;
    tell(&placed.control, &Message::Report(walls.judge(spec)?));
    Err(system::execute(placed.code, &arguments, &environment)).at(Step::Execute)
}

/// Loads both filters of system calls; the listener goes to inner.
fn filter(spec: &SandboxSpec, walls: &mut Walls, placed: &descriptors::Placed) -> Outcome<()> {
    let wanted = !spec.without.contains(&Mechanism::SyscallFilter) && walls.stands(Mechanism::NoNewPrivs);
    if !wanted {
        // Inner waits for a packet that may carry a listener.
        return send_packet(placed.link.as_fd(), &Fate::Walled).at(Step::FilterSyscalls);
    }
    let list: BpfProgram = syscalls::permitted(spec.profile, placed.code).map_err(io::Error::other).at(Step::FilterSyscalls)?;
    let listener = system::load_filter_with_listener(&mut syscalls::single_execution()).at(Step::FilterSyscalls)?;
    send_descriptor(&placed.link, &listener).at(Step::FilterSyscalls)?;
    drop(listener);
    walls.raise(Mechanism::SingleExecution);
    seccompiler::apply_filter(&list).map_err(io::Error::other).at(Step::FilterSyscalls)?;
    verify_filter().at_subject(Step::FilterSyscalls, "verification")?;
    walls.raise(Mechanism::SyscallFilter);
    Ok(())
}

/// A filter that does not refuse a socket is no filter.
fn verify_filter() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};
    match socket(AddressFamily::UNIX, SocketType::STREAM, None) {
        Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
    }
}

fn send_descriptor(link: &OwnedFd, descriptor: &OwnedFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let passed = [descriptor.as_fd()];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&passed)) {
        return Err(io::Error::from(io::ErrorKind::OutOfMemory));
    }
    let packet = serde_json::to_vec(&Fate::Walled)?;
    sendmsg(link, &[IoSlice::new(&packet)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
