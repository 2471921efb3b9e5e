//! Start, streams, status and end; the report and what it refuses.

use crate::world::{World, is_root, spec};
use fcp_host::sandbox::{CodeImage, Ending, Mechanism, Profile, Property, Refusal, SandboxError, Standing};
use fcp_proto_core::error::Code;
use std::os::fd::OwnedFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn streams_pass_through() {
    let world = World::new();
    let mut child = world.sandbox.start(&spec(&["echo"]), &world.probe, None).await.unwrap();
    child.streams.stdin.write_all(b"hello").await.unwrap();
    drop(child.streams.stdin);
    let mut answer = String::new();
    child.streams.stdout.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "hello");
    assert_eq!(child.process.wait().await.unwrap(), Ending::Exited(0));
    assert_eq!(child.process.wait().await.unwrap(), Ending::Exited(0), "it may be asked again");
}

#[tokio::test]
async fn the_exit_status_is_told() {
    let world = World::new();
    for status in [0, 1, 7, 255] {
        let ran = world.run(&spec(&["exit", &status.to_string()])).await;
        assert_eq!(ran.ending, Ending::Exited(status));
    }
    assert_eq!(world.run(&spec(&["abort"])).await.ending, Ending::Signalled(6));
}

#[tokio::test]
async fn the_egress_socket_is_descriptor_three() {
    let world = World::new();
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child =
        world.sandbox.start(&spec(&["echo-egress"]), &world.probe, Some(OwnedFd::from(far))).await.unwrap();
    let echoed = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        near.write_all(b"hello").unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_eq!(echoed.await.unwrap(), "hello", "and it is closed when the program ends");
    assert_eq!(child.process.wait().await.unwrap(), Ending::Exited(0));
}

/// The walls leave room for what connectors are made of.
#[tokio::test]
async fn an_asynchronous_program_works_inside() {
    let world = World::new();
    let folder = world.folder("state");
    let (mut near, far) = tokio::net::UnixStream::pair().unwrap();
    let far = far.into_std().unwrap();
    let mut spec = spec(&["runtime", folder.join("file").to_str().unwrap()]);
    spec.writable.insert(folder);
    let mut child = world.sandbox.start(&spec, &world.probe, Some(far.into())).await.unwrap();
    child.streams.stdin.write_all(b"input").await.unwrap();
    let mut sent = [0; 5];
    near.read_exact(&mut sent).await.unwrap();
    near.write_all(b"reply").await.unwrap();
    let mut answer = String::new();
    child.streams.stdout.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&sent, answer.as_str()), (b"input", "inputreply"));
    assert_eq!(child.process.wait().await.unwrap(), Ending::Exited(0));
}

#[tokio::test]
async fn nothing_is_inherited() {
    let world = World::new();
    // An open file that every process started now inherits.
    let leak = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    assert_eq!(world.run(&spec(&["descriptors"])).await.output, "0\n1\n2\n");
    let (_near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child =
        world.sandbox.start(&spec(&["descriptors"]), &world.probe, Some(far.into())).await.unwrap();
    let mut answer = String::new();
    child.streams.stdout.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "0\n1\n2\n3\n");
    child.process.wait().await.unwrap();
    let (_, outside) = crate::world::run_outside(&["descriptors"]);
    assert!(outside.lines().count() > 3, "outside the probe sees the leak: {outside}");
}

#[tokio::test]
async fn the_environment_is_the_orders() {
    let world = World::new();
    assert!(std::env::vars().count() > 0, "there is something to leak");
    assert_eq!(world.run(&spec(&["environment"])).await.output, "");
    let mut one = spec(&["environment"]);
    one.environment.insert("TZ".to_owned(), "UTC".to_owned());
    assert_eq!(world.run(&one).await.output, "TZ=UTC\n");
    assert_eq!(world.run(&spec(&["arguments", "a", "b"])).await.output, "probe\narguments\na\nb\n");
}

#[tokio::test]
async fn it_is_an_ordinary_user_in_its_own_session_below_the_launcher() {
    let world = World::new();
    assert_eq!(world.run(&spec(&["identity"])).await.output, "2 1 1000 1000 2\n");
    assert_eq!(world.run(&spec(&["threads"])).await.output, "6\n");
    let outer = world.run(&spec(&["exit", "0"])).await.report.outer_uid;
    let expected = if is_root() { 65534 } else { rustix::process::geteuid().as_raw() };
    assert_eq!(outer, expected, "root's programs run as nobody");
}

/// Waits for the end of a stream, which comes when nobody holds its other end; far longer than it ever takes.
async fn end_of(stream: &mut tokio::net::unix::pipe::Receiver) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
    ended.expect("something still holds the stream").unwrap();
}

/// Everything that runs inside holds standard output, so its end is the proof that all of it is gone.
#[tokio::test]
async fn the_end_of_the_lifeline_ends_everything() {
    let world = World::new();
    let mut family = spec(&["family"]);
    family.profile = Profile::Moderate;
    for by_drop in [false, true] {
        let mut child = world.sandbox.start(&family, &world.probe, None).await.unwrap();
        let mut first = [0; 6];
        child.streams.stdout.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"ready\n");
        if by_drop {
            drop(child.process);
        } else {
            assert_eq!(child.process.kill().await.unwrap(), Ending::LifelineClosed);
        }
        end_of(&mut child.streams.stdout).await;
    }
}

#[tokio::test]
async fn the_death_of_the_launcher_ends_everything() {
    let world = World::new();
    let mut child = world.sandbox.start(&spec(&["wait"]), &world.probe, None).await.unwrap();
    let launcher = i32::try_from(child.process.launcher_id().unwrap()).unwrap();
    let launcher = rustix::process::Pid::from_raw(launcher).unwrap();
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL).unwrap();
    end_of(&mut child.streams.stdout).await;
    assert!(matches!(child.process.wait().await, Err(SandboxError::LauncherFailed(_))));
}

//= docs/spec/sandbox.md#properties-not-mechanisms
#[tokio::test]
async fn every_property_is_reported_and_met() {
    let world = World::new();
    let report = world.run(&spec(&["exit", "0"])).await.report;
    assert_eq!(report.properties.len(), Property::ALL.len());
    for (property, standing) in &report.properties {
        assert!(matches!(standing, Standing::Met(by) if !by.is_empty()), "{property}: {standing:?}");
    }
    assert!(report.landlock_abi >= 4, "the machines of the tests have Landlock");
}

fn unattainable(refused: Result<crate::world::Ran, SandboxError>) -> Vec<Property> {
    match refused {
        Err(error) => {
            assert_eq!(error.code(), Code::SandboxUnattainable, "{error}");
            let SandboxError::Refused(Refusal::Unattainable(missing)) = error else { panic!("{error}") };
            assert!(missing.iter().all(|(_, remedy)| !remedy.is_empty()));
            missing.into_iter().map(|(property, _)| property).collect()
        }
        Ok(ran) => panic!("it must not start: {ran:?}"),
    }
}

//= docs/spec/sandbox.md#properties-not-mechanisms
#[tokio::test]
async fn a_missing_property_refuses_the_start_unless_the_owner_accepted_it() {
    let world = World::new();
    let mut spec = spec(&["exit", "0"]);
    spec.without.insert(Mechanism::PrivateRoot);
    let missing = unattainable(world.try_run(&spec).await);
    assert_eq!(missing, [Property::NoForeignFiles, Property::NoSightOfOthers]);
    spec.exceptions.insert(Property::NoForeignFiles);
    assert_eq!(unattainable(world.try_run(&spec).await), [Property::NoSightOfOthers]);
    spec.exceptions.insert(Property::NoSightOfOthers);
    let ran = world.run(&spec).await;
    assert_eq!(ran.ending, Ending::Exited(0));
    assert!(matches!(ran.report.properties[&Property::NoForeignFiles], Standing::Weakened(_)));
    assert!(matches!(ran.report.properties[&Property::NoNetwork], Standing::Met(_)));
}

#[tokio::test]
async fn without_namespaces_only_an_exception_starts_it_and_landlock_still_holds() {
    let world = World::new();
    let mut spec = spec(&["read", "/etc/passwd"]);
    spec.without.extend([
        Mechanism::UserNamespace,
        Mechanism::NetworkNamespace,
        Mechanism::PrivateRoot,
        Mechanism::PidNamespace,
        Mechanism::IpcNamespace,
        Mechanism::UtsNamespace,
    ]);
    let missing = unattainable(world.try_run(&spec).await);
    assert!(
        missing.contains(&Property::NoForeignFiles) && missing.contains(&Property::NoSightOfOthers),
        "{missing:?}"
    );
    spec.exceptions.extend(missing);
    let ran = world.run(&spec).await;
    assert_eq!(ran.ending, crate::world::REFUSED, "{}", ran.output);
    spec.without.insert(Mechanism::LandlockFiles);
    assert_eq!(
        world.run(&spec).await.ending,
        crate::world::ACHIEVED,
        "without that wall too, nothing is left"
    );
}

#[tokio::test]
async fn every_wall_that_is_taken_away_is_missed() {
    let world = World::new();
    for (mechanism, property) in [
        (Mechanism::SyscallFilter, Property::NoExec),
        (Mechanism::NoNewPrivs, Property::NoNewPrivileges),
        (Mechanism::NoCapabilities, Property::NoNewPrivileges),
        (Mechanism::RlimitDescriptors, Property::DescriptorsBounded),
        (Mechanism::RlimitFileSize, Property::FileSizeBounded),
        (Mechanism::RlimitCore, Property::NoCoreDump),
        (Mechanism::PidNamespace, Property::NoSightOfOthers),
    ] {
        let mut spec = spec(&["exit", "0"]);
        spec.without.insert(mechanism);
        let missing = unattainable(world.try_run(&spec).await);
        assert!(missing.contains(&property), "{mechanism}: {missing:?}");
    }
}

#[tokio::test]
async fn more_descriptors_than_the_machine_has_are_refused() {
    let world = World::new();
    let mut spec = spec(&["exit", "0"]);
    spec.limits.descriptors = 1 << 19;
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let held = rustix::thread::capabilities(None).unwrap().effective;
    let may_raise = held.contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
    if !may_raise && hard.is_some_and(|hard| hard <= 1 << 19) {
        assert_eq!(unattainable(world.try_run(&spec).await), [Property::DescriptorsBounded]);
    } else {
        assert_eq!(world.run(&spec).await.ending, Ending::Exited(0));
    }
}

#[tokio::test]
async fn what_is_not_a_program_is_refused() {
    let world = World::new();
    for code in [&b"#!/bin/sh\nexit 0\n"[..], b"", b"\x7fELF\x02\x01", &[0; 4096]] {
        let image = CodeImage::seal(code, *blake3::hash(code).as_bytes()).unwrap();
        let refused = world.sandbox.start(&spec(&[]), &image, None).await;
        assert!(matches!(refused, Err(SandboxError::Refused(Refusal::Code(_)))), "{refused:?}");
    }
}

/// A static program of a dozen bytes: `exit_group(42)`.
#[cfg(target_arch = "x86_64")]
fn static_program() -> Vec<u8> {
    const CODE: [u8; 12] = [0xbf, 42, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
    const BASE: u64 = 0x40_0000;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    [2_u16, 62].iter().for_each(|half| put(&half.to_le_bytes()));
    put(&1_u32.to_le_bytes());
    [BASE + 120, 64, 0].iter().for_each(|word| put(&word.to_le_bytes()));
    put(&0_u32.to_le_bytes());
    [64_u16, 56, 1, 0, 0, 0].iter().for_each(|half| put(&half.to_le_bytes()));
    [1_u32, 5].iter().for_each(|word| put(&word.to_le_bytes()));
    [0, BASE, BASE, 132, 132, 4096].iter().for_each(|word: &u64| put(&word.to_le_bytes()));
    put(&CODE);
    file
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_static_program_sees_no_library() {
    let world = World::new();
    let code = static_program();
    let image = CodeImage::seal(&code, *blake3::hash(&code).as_bytes()).unwrap();
    let mut child = world.sandbox.start(&spec(&[]), &image, None).await.unwrap();
    assert_eq!(child.process.wait().await.unwrap(), Ending::Exited(42));
    assert!(child.report.libraries.is_empty());
}

#[tokio::test]
async fn an_invalid_order_is_refused() {
    let world = World::new();
    let mut spec = spec(&["exit", "0"]);
    spec.writable.insert("/proc".into());
    assert!(matches!(world.try_run(&spec).await, Err(SandboxError::Refused(Refusal::Spec(_)))));
}
