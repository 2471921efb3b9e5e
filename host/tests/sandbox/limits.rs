//! What a program may use is bounded.

use crate::world::{ACHIEVED, REFUSED, World, is_root, not_run, spec};
use fcp_host::sandbox::{CpuLimit, Ending, Mechanism, Profile, Property, Refusal, SandboxError, Standing};

/// The count the probe prints before it is refused.
fn count(output: &str) -> u32 {
    output
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .unwrap_or_else(|| panic!("no count in {output:?}"))
}

#[tokio::test]
async fn memory_is_bounded() {
    let world = World::new();
    let mut spec = spec(&["memory", "96"]);
    assert_eq!(world.run(&spec).await.ending, ACHIEVED, "the default leaves room for it");
    spec.limits.memory_mib = 64;
    let ran = world.run(&spec).await;
    assert_eq!(ran.ending, REFUSED, "{}", ran.output);
    assert!(count(&ran.output) < 64);
}

#[tokio::test]
async fn memory_is_bounded_by_a_control_group_or_not_at_all() {
    let world = World::new();
    let mut spec = spec(&["memory", "96"]);
    spec.limits.memory_mib = 64;
    spec.without.insert(Mechanism::RlimitAddressSpace);
    match world.try_run(&spec).await {
        Ok(ran) => assert_eq!(ran.ending, Ending::Signalled(9), "the group's limit kills: {}", ran.output),
        Err(SandboxError::Refused(Refusal::Unattainable(missing))) => {
            assert_eq!(missing[0].0, Property::MemoryBounded);
            if is_root() {
                not_run("this machine permits no memory control group");
            }
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn descriptors_are_bounded() {
    let world = World::new();
    let mut spec = spec(&["descriptors-many", "40"]);
    assert_eq!(world.run(&spec).await.ending, ACHIEVED, "the default leaves room for it");
    spec.limits.descriptors = 20;
    let ran = world.run(&spec).await;
    assert_eq!((ran.ending, count(&ran.output)), (REFUSED, 17), "20 less the three streams");
    spec.arguments = vec!["raise-limit".to_owned()];
    assert_eq!(world.run(&spec).await.ending, REFUSED);
}

#[tokio::test]
async fn file_size_is_bounded() {
    let world = World::new();
    let folder = world.folder("out");
    let file = folder.join("file");
    let mut spec = spec(&["file-size", file.to_str().unwrap(), "4"]);
    spec.writable.insert(folder);
    assert_eq!(world.run(&spec).await.ending, ACHIEVED, "the default leaves room for it");
    spec.limits.file_size_mib = 2;
    let ran = world.run(&spec).await;
    assert_eq!(ran.ending, Ending::Signalled(25), "SIGXFSZ; {}", ran.output);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 2 << 20);
}

#[tokio::test]
async fn threads_are_bounded() {
    let world = World::new();
    let mut spec = spec(&["threads-many", "30"]);
    spec.limits.processes = 32;
    let ran = world.run(&spec).await;
    assert_eq!(ran.ending, ACHIEVED, "there is room for it; {}", ran.output);
    spec.limits.processes = 8;
    let ran = world.run(&spec).await;
    assert_eq!((ran.ending, count(&ran.output)), (REFUSED, 7), "8 less the first");
}

#[tokio::test]
async fn processes_are_bounded_or_absent() {
    let world = World::new();
    let mut spec = spec(&["processes-many", "20"]);
    let ran = world.run(&spec).await;
    assert_eq!((ran.ending, count(&ran.output)), (REFUSED, 0), "the strict profile has none");
    spec.profile = Profile::Moderate;
    spec.limits.processes = 24;
    spec.limits.memory_mib = 1024;
    let ran = world.run(&spec).await;
    assert_eq!(ran.ending, ACHIEVED, "there is room for it; {}", ran.output);
    spec.limits.processes = 6;
    let ran = world.run(&spec).await;
    assert_eq!((ran.ending, count(&ran.output)), (REFUSED, 5), "6 less the first");
}

#[tokio::test]
async fn processor_time_is_bounded() {
    let world = World::new();
    let mut spec = spec(&["cpu", "3"]);
    spec.limits.cpu = CpuLimit { percent: None, seconds: Some(1) };
    let ran = world.run(&spec).await;
    assert!(matches!(ran.ending, Ending::Signalled(9 | 24)), "SIGKILL or SIGXCPU, not {:?}", ran.ending);
}

#[tokio::test]
async fn a_share_of_the_processor_needs_a_control_group() {
    let world = World::new();
    let mut spec = spec(&["exit", "0"]);
    spec.limits.cpu = CpuLimit { percent: Some(50), seconds: None };
    match world.try_run(&spec).await {
        Ok(ran) => {
            let standing = &ran.report.properties[&Property::CpuBounded];
            assert_eq!(*standing, Standing::Met([Mechanism::CgroupCpu].into()));
        }
        Err(SandboxError::Refused(Refusal::Unattainable(missing))) => {
            assert_eq!(missing[0].0, Property::CpuBounded);
            assert!(missing[0].1.contains("Delegate=yes"), "the remedy is named: {}", missing[0].1);
        }
        Err(other) => panic!("{other}"),
    }
}
