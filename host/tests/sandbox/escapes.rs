//! System calls and sockets: every attempt is refused inside, and where it does no harm the same attempt is shown to
//! succeed outside.

use crate::world::{ACHIEVED, REFUSED, World, is_root, run_outside, spec};
use fcp_host::sandbox::{Ending, Profile};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// When the attempt succeeds outside.
#[derive(Clone, Copy)]
enum Outside {
    /// For everybody.
    Succeeds,
    /// For root.
    SucceedsForRoot,
    /// It cannot be tried, or not on every machine.
    NotTried,
}
use Outside::{NotTried, Succeeds, SucceedsForRoot};

/// SIGSYS, by which a call of another architecture ends a program.
const BAD_CALL: Ending = Ending::Signalled(31);

async fn hold(attempts: &[(&[&str], Outside, Ending)]) {
    let world = World::new();
    let mut holes = Vec::new();
    for (arguments, outside, expected) in attempts {
        for profile in [Profile::Strict, Profile::Moderate] {
            let mut spec = spec(arguments);
            spec.profile = profile;
            let ran = world.run(&spec).await;
            if ran.ending != *expected {
                holes.push(format!("inside, {profile:?}: {arguments:?} {:?} {}", ran.ending, ran.output));
            }
        }
        let tried = match outside {
            Succeeds => true,
            SucceedsForRoot => is_root(),
            NotTried => false,
        };
        if tried {
            let (status, output) = run_outside(arguments);
            if status.map(Ending::Exited) != Some(ACHIEVED) {
                holes.push(format!("outside, where it must succeed: {arguments:?} {status:?} {output}"));
            }
        }
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

#[tokio::test]
async fn no_socket_reaches_anything() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let name = format!("fcp-sandbox-{}", std::process::id());
    let _named = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    hold(&[
        (&["tcp", &address], Succeeds, REFUSED),
        (&["tcp-listen"], Succeeds, REFUSED),
        (&["udp"], Succeeds, REFUSED),
        (&["raw"], SucceedsForRoot, REFUSED),
        (&["packet"], NotTried, REFUSED),
        (&["netlink"], Succeeds, REFUSED),
        (&["vsock"], NotTried, REFUSED),
        (&["alg"], NotTried, REFUSED),
        (&["unix-abstract", &name], Succeeds, REFUSED),
        (&["unix-datagram-pair"], Succeeds, REFUSED),
        (&["bind-egress"], Succeeds, REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn no_other_process_is_seen_or_touched() {
    let own = std::process::id().to_string();
    hold(&[
        (&["signal", &own], Succeeds, REFUSED),
        (&["signal-first"], NotTried, REFUSED),
        (&["ptrace"], Succeeds, REFUSED),
        (&["process-vm"], Succeeds, REFUSED),
        (&["pidfd"], Succeeds, REFUSED),
        (&["pidfd-getfd"], Succeeds, REFUSED),
        (&["read", "/proc/1/environ"], NotTried, REFUSED),
        (&["read", "/proc/self/status"], Succeeds, REFUSED),
        (&["read", &format!("/proc/{own}/status")], Succeeds, REFUSED),
        (&["session"], Succeeds, REFUSED),
        (&["shared-memory"], Succeeds, REFUSED),
        (&["message-queue"], NotTried, REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn no_namespace_mount_or_root_is_changed() {
    hold(&[
        (&["mount"], Succeeds, REFUSED),
        (&["umount"], Succeeds, REFUSED),
        (&["fsopen"], SucceedsForRoot, REFUSED),
        (&["open-tree"], SucceedsForRoot, REFUSED),
        (&["move-mount"], SucceedsForRoot, REFUSED),
        (&["chroot"], Succeeds, REFUSED),
        (&["pivot-root"], SucceedsForRoot, REFUSED),
        (&["unshare"], Succeeds, REFUSED),
        (&["clone-namespace"], Succeeds, REFUSED),
        (&["clone3"], Succeeds, REFUSED),
        (&["setns"], Succeeds, REFUSED),
        (&["open-by-handle"], SucceedsForRoot, REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn no_dangerous_part_of_the_kernel_is_reached() {
    hold(&[
        (&["io-uring"], NotTried, REFUSED),
        (&["userfaultfd"], Succeeds, REFUSED),
        (&["bpf"], SucceedsForRoot, REFUSED),
        (&["perf"], Succeeds, REFUSED),
        (&["keyctl"], Succeeds, REFUSED),
        (&["add-key"], Succeeds, REFUSED),
        (&["seccomp"], Succeeds, REFUSED),
        (&["inotify"], Succeeds, REFUSED),
        (&["personality"], Succeeds, REFUSED),
        (&["x32"], NotTried, REFUSED),
        (&["terminal-input"], Succeeds, REFUSED),
        (&["terminal-control"], Succeeds, REFUSED),
    ])
    .await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_call_of_another_architecture_ends_the_program() {
    hold(&[(&["int80"], NotTried, BAD_CALL)]).await;
}

#[tokio::test]
async fn no_second_program_is_executed() {
    let world = World::new();
    let ran = world.run(&spec(&["exit", "0"])).await;
    let loader = ran.report.libraries.iter().find(|path| path.to_string_lossy().contains("/ld-"));
    let loader = loader.expect("the probe is linked to a loader").to_str().unwrap().to_owned();
    let number = spec(&[]).limits.descriptors.to_string();
    hold(&[
        (&["execute", "/bin/true"], NotTried, REFUSED),
        (&["execute", &loader], NotTried, REFUSED),
        (&["execute-code-number", &number, &loader], NotTried, REFUSED),
        (&["execute-code-number", &number, ""], NotTried, REFUSED),
        (&["descriptor-number", &number], Succeeds, REFUSED),
        (&["memfd"], Succeeds, REFUSED),
        (&["executable-memory"], Succeeds, REFUSED),
    ])
    .await;
    let (status, _) = run_outside(&["execute", "/bin/true"]);
    assert_eq!(status, Some(0), "outside the probe becomes the other program");
    let (status, _) = run_outside(&["execute-code-number", "-100", "/bin/true"]);
    assert_eq!(status, Some(0), "outside the probe becomes the other program");
}
