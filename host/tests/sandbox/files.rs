//! Files: what is granted works, and nothing else exists.

use crate::world::{ACHIEVED, REFUSED, World, run_outside, spec};
use fcp_host::sandbox::{Device, SandboxError, SandboxSpec};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A world with a secret beside a writable and a read-only folder.
struct Ground {
    world: World,
    secret: String,
    writable: String,
    read_only: String,
}

impl Ground {
    fn new() -> Self {
        let world = World::new();
        let (writable, read_only) = (world.folder("writable"), world.folder("read-only"));
        std::fs::write(world.path("secret"), "secret").unwrap();
        std::fs::write(read_only.join("file"), "given").unwrap();
        let secret = text(&world.path("secret")).to_owned();
        Self { world, secret, writable: text(&writable).to_owned(), read_only: text(&read_only).to_owned() }
    }

    fn spec(&self, arguments: &[&str]) -> SandboxSpec {
        let mut spec = spec(arguments);
        spec.writable.insert(self.writable.clone().into());
        spec.read_only.insert(self.read_only.clone().into());
        spec
    }

    async fn refuses(&self, arguments: &[&str]) {
        let ran = self.world.run(&self.spec(arguments)).await;
        assert_eq!(ran.ending, REFUSED, "inside: {arguments:?} {}", ran.output);
    }

    /// Refused inside, and shown to work outside.
    async fn contains(&self, arguments: &[&str]) {
        self.refuses(arguments).await;
        let (status, output) = run_outside(arguments);
        assert_eq!(status, Some(10), "outside: {arguments:?} {output}");
    }
}

#[tokio::test]
async fn only_grants_and_libraries_exist() {
    let ground = Ground::new();
    let listing = |place: &'static str| ground.spec(&["list", place]);
    let root = ground.world.run(&listing("/")).await;
    // Without the right to list the root, not even the names of the grants' parents are told.
    assert_ne!(root.ending, fcp_host::sandbox::Ending::Exited(0), "{}", root.output);
    for path in [
        "/etc/passwd",
        "/etc",
        "/proc",
        "/sys",
        "/dev",
        "/dev/null",
        "/root",
        "/home",
        "/usr/bin",
        "/bin/sh",
        "/tmp/x",
    ] {
        ground.refuses(&["stat", path]).await;
    }
    ground.contains(&["stat", &ground.secret]).await;
    let given = ground.world.run(&ground.spec(&["list", &ground.read_only])).await;
    assert_eq!(given.output, "file\n");
}

#[tokio::test]
async fn what_is_granted_works() {
    let ground = Ground::new();
    let file = format!("{}/new", ground.writable);
    let kept = ground.world.run(&ground.spec(&["keep", &file])).await;
    assert_eq!(kept.output, "kept\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept", "it is the same file outside");
    let read = ground.world.run(&ground.spec(&["read", &format!("{}/file", ground.read_only)])).await;
    assert_eq!(read.ending, ACHIEVED);
    let moved = ground.world.run(&ground.spec(&["rename", &file, &format!("{file}2")])).await;
    assert_eq!(moved.ending, ACHIEVED, "{}", moved.output);
}

#[tokio::test]
async fn a_single_file_can_be_granted() {
    let ground = Ground::new();
    let mut one = spec(&["read", &ground.secret]);
    one.read_only.insert(ground.secret.clone().into());
    assert_eq!(ground.world.run(&one).await.ending, ACHIEVED);
    one.arguments = vec!["write".to_owned(), ground.secret.clone()];
    assert_eq!(ground.world.run(&one).await.ending, REFUSED);
    one.read_only.clear();
    one.writable.insert(ground.secret.clone().into());
    assert_eq!(ground.world.run(&one).await.ending, ACHIEVED);
}

#[tokio::test]
async fn a_read_only_grant_inside_a_writable_one_stays_read_only() {
    let ground = Ground::new();
    let inner = format!("{}/inner", ground.writable);
    std::fs::create_dir(&inner).unwrap();
    let file = format!("{inner}/file");
    let mut nested = ground.spec(&["write", &file]);
    nested.read_only.insert(inner.into());
    assert_eq!(ground.world.run(&nested).await.ending, REFUSED);
    assert_eq!(ground.world.run(&ground.spec(&["write", &file])).await.ending, ACHIEVED);
}

#[tokio::test]
async fn a_read_only_grant_is_not_changed() {
    let ground = Ground::new();
    ground.contains(&["append", &format!("{}/file", ground.read_only)]).await;
    ground.contains(&["write", &format!("{}/new", ground.read_only)]).await;
    ground
        .contains(&["rename", &format!("{}/file", ground.read_only), &format!("{}/file", ground.writable)])
        .await;
}

#[tokio::test]
async fn no_link_or_traversal_leads_out() {
    let ground = Ground::new();
    std::os::unix::fs::symlink(&ground.secret, format!("{}/planted", ground.writable)).unwrap();
    ground.contains(&["read", &format!("{}/planted", ground.writable)]).await;
    ground.contains(&["write", &format!("{}/planted", ground.writable)]).await;
    ground.contains(&["read", &format!("{}/../secret", ground.writable)]).await;
    ground.contains(&["symlink", &ground.secret, &format!("{}/symlink", ground.writable)]).await;
    ground.contains(&["hardlink", &ground.secret, &format!("{}/hardlink", ground.writable)]).await;
    ground
        .contains(&["hardlink", &format!("{}/file", ground.read_only), &format!("{}/hard2", ground.writable)])
        .await;
    ground.contains(&["rename", &ground.secret, &format!("{}/moved", ground.writable)]).await;
}

#[tokio::test]
async fn nothing_but_plain_files_is_made() {
    let ground = Ground::new();
    let _listener = UnixListener::bind(format!("{}/socket", ground.writable)).unwrap();
    ground.contains(&["unix-path", &format!("{}/socket", ground.writable)]).await;
    ground.contains(&["mkfifo", &format!("{}/fifo", ground.writable)]).await;
    std::fs::write(format!("{}/program", ground.writable), "x").unwrap();
    ground.contains(&["set-user-id", &format!("{}/program", ground.writable)]).await;
}

#[tokio::test]
async fn a_program_in_a_writable_folder_is_not_executed() {
    let ground = Ground::new();
    let copy = format!("{}/true", ground.writable);
    crate::copy::copy("/bin/true", &copy);
    ground.refuses(&["execute", &copy]).await;
    assert_eq!(run_outside(&["execute", &copy]).0, Some(0));
}

#[tokio::test]
async fn devices_exist_only_if_granted() {
    let world = World::new();
    let mut with = spec(&["append", "/dev/null"]);
    with.devices = [Device::Null].into();
    assert_eq!(world.run(&with).await.ending, ACHIEVED);
    with.arguments = vec!["stat".to_owned(), "/dev/urandom".to_owned()];
    assert_eq!(world.run(&with).await.ending, REFUSED);
}

#[tokio::test]
async fn a_grant_through_a_symbolic_link_is_refused_before_the_start() {
    let ground = Ground::new();
    let link = format!("{}-link", ground.writable);
    std::os::unix::fs::symlink(&ground.writable, &link).unwrap();
    for path in [link, ground.world.path("absent").to_str().unwrap().to_owned()] {
        let mut spec = spec(&["exit", "0"]);
        spec.writable.insert(path.into());
        let refused = ground.world.try_run(&spec).await;
        assert!(
            matches!(refused, Err(SandboxError::Refused(_)) | Err(SandboxError::System(..))),
            "{refused:?}"
        );
    }
}
