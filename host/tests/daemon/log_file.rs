//! The file that `fwc up` gives the daemon for its log: it is bounded, and opened anew.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Daemon, folder};

/// A daemon whose output is the home's file, ended with its test.
struct Logging(Child);

impl Logging {
    /// As `fwc up` starts it.
    fn start(home: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(home.join("run/daemon.log")).unwrap();
        let started = Command::new(env!("CARGO_BIN_EXE_fcp-host"))
            .args(["daemon", "--home"])
            .arg(home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(started.unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        // One that has ended cannot be ended again.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Waits until a file says it.
async fn says(path: &Path, text: &str) {
    for _ in 0..1_200 {
        if fs::read_to_string(path).is_ok_and(|log| log.contains(text)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{} does not say {text:?}", path.display());
}

//= docs/spec/home.md#the-daemons-log
#[tokio::test]
async fn it_is_bounded_opened_anew_at_a_hangup_and_survives_a_kill() {
    let (_guard, home) = folder();
    let run = |name: &str| home.join("run").join(name);
    let (log, read) = (run("daemon.log"), |name: &str| fs::read_to_string(run(name)).unwrap());
    assert!(Daemon::start(&home).await.stop().0.success());
    fs::write(home.join("config.toml"), "version = 1\n[log]\nfile_mib = 1\nkept_files = 2\n").unwrap();
    fs::set_permissions(home.join("config.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    let old = "an old line\n".repeat(1 << 17);
    fs::write(&log, &old).unwrap();
    assert!(Daemon::start(&home).await.stop().0.success());
    assert_eq!(read("daemon.log"), old, "the standard error of this one was elsewhere");
    for number in [1, 2, 3, 9] {
        fs::write(run(&format!("daemon.log.{number}")), format!("file {number}")).unwrap();
    }

    let daemon = Logging::start(&home);
    says(&log, "\"ready\"").await;
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(read("daemon.log").len() < 1 << 16 && read("daemon.log.1").starts_with(&old));
    assert_eq!(read("daemon.log.2"), "file 1");
    assert!(!run("daemon.log.3").exists() && !run("daemon.log.9").exists(), "two are kept");

    fs::rename(&log, run("moved")).unwrap();
    daemon.signal(Signal::HUP);
    says(&log, "the settings were read again").await;
    assert!(!read("moved").contains("the settings were read again"));
    fs::write(home.join("config.toml"), "version = 1\nwrong = 1\n").unwrap();
    fs::rename(&log, run("moved")).unwrap();
    daemon.signal(Signal::HUP);
    says(&run("moved"), "the settings are wrong").await;
    for _ in 0..1_200 {
        if log.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(log.exists(), "wrong settings do not keep it from the new file");

    // Killed when the file was given its number, and the new one was not begun.
    daemon.signal(Signal::KILL);
    drop(daemon);
    fs::rename(&log, run("daemon.log.1")).unwrap();
    fs::write(home.join("config.toml"), "version = 1\n").unwrap();
    let _daemon = Logging::start(&home);
    says(&log, "\"ready\"").await;
    assert_eq!(read("daemon.log.2"), "file 1");
}
