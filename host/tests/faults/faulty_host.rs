//! The daemon, with a disk under its journal that fails or kills it where a test says: `DIR.fault` beside the home holds
//! the fault and the number of the step; when it has come, `DIR.fired` is there.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use fcp_host::daemon::{self, Connecting, Runner};
use fcp_runtime_tokio::storage::Options;
use fcp_runtime_tokio::storage::files::{Files, Lock, OsFiles, StoredFile};
use rustix::process::{Signal, getpid, kill_process};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "daemon", "--home", home] => daemon(Path::new(home)),
        [_, "egress"] => egress(),
        _ => ExitCode::FAILURE,
    }
}

fn daemon(home: &Path) -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let make_runner: daemon::MakeRunner = Box::new(|app, vault, outcomes| {
        let connecting: Arc<dyn Runner> = Connecting::start(app, vault, outcomes)?;
        Ok(connecting)
    });
    let disk = Disk { order: home.with_extension("fault"), armed: Arc::default() };
    let options = Options { files: Arc::new(disk), ..Options::default() };
    let ended = runtime.block_on(daemon::run(home, &options, make_runner, Box::new(|_| ())));
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn egress() -> ExitCode {
    use std::os::fd::AsFd;
    let Ok(control) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    fcp_host::egress::run(control).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The process is killed, and the step not done.
    KillBefore,
    /// The process is killed when half of the step is done, if it has halves.
    KillAmid,
    /// The process is killed once the step is done.
    KillAfter,
    /// The step is not done, and the disk says so.
    Fail,
    /// As before, and the disk says that it is full.
    Full,
}

/// The real file system; steps of the journal's files are counted and one goes wrong.
#[derive(Clone, Debug)]
struct Disk {
    order: PathBuf,
    armed: Arc<Mutex<Option<(Fault, u32)>>>,
}

impl Disk {
    /// The fault of this step, if it is the one.
    fn due(&self) -> Option<Fault> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(order) = std::fs::read_to_string(&self.order) {
            std::fs::remove_file(&self.order).ok()?;
            *armed = read(&order);
        }
        let (fault, left) = armed.as_mut()?;
        let fault = *fault;
        *left = left.checked_sub(1)?;
        if *left > 0 {
            return None;
        }
        *armed = None;
        std::fs::write(self.order.with_extension("fired"), b"").ok()?;
        Some(fault)
    }

    fn step(
        &self,
        whole: impl FnOnce() -> io::Result<()>,
        half: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        match self.due() {
            None => return whole(),
            Some(Fault::Fail) => return Err(io::Error::other("the disk of the test fails")),
            Some(Fault::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::KillBefore) => {}
            Some(Fault::KillAmid) => half()?,
            Some(Fault::KillAfter) => whole()?,
        }
        kill_process(getpid(), Signal::KILL)?;
        loop {
            std::thread::park();
        }
    }

    fn wrap(&self, path: &Path, file: Arc<dyn StoredFile>) -> Arc<dyn StoredFile> {
        // The index follows behind in its own time, and can be rebuilt.
        let journal = path.parent().is_some_and(|folder| folder.ends_with("journal"));
        if journal { Arc::new(File { disk: self.clone(), file }) } else { file }
    }
}

fn read(order: &str) -> Option<(Fault, u32)> {
    let (fault, step) = order.split_once(' ')?;
    let fault = match fault {
        "kill-before" => Fault::KillBefore,
        "kill-amid" => Fault::KillAmid,
        "kill-after" => Fault::KillAfter,
        "fail" => Fault::Fail,
        "full" => Fault::Full,
        _ => return None,
    };
    Some((fault, step.parse().ok()?))
}

impl Files for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsFiles.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        OsFiles.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        Ok(self.wrap(path, OsFiles.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        Ok(self.wrap(path, OsFiles.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFiles.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsFiles.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        OsFiles.lock(path)
    }
}

#[derive(Debug)]
struct File {
    disk: Disk,
    file: Arc<dyn StoredFile>,
}

impl StoredFile for File {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let half = || self.file.write_at(&bytes[..bytes.len() / 2], offset);
        self.disk.step(|| self.file.write_at(bytes, offset), half)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.step(|| self.file.set_length(length), || Ok(()))
    }

    fn allocate(&self, through: u64) -> io::Result<()> {
        // How much is asked for at a time is no step of a change.
        self.file.allocate(through)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step(|| self.file.sync(), || Ok(()))
    }
}
