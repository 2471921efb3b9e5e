//! The file that `fwc up` gives the daemon for its log: bounded, and opened anew where it was moved away.
//! Source: docs/spec/home.md#the-daemons-log.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fcp_host::home;
use rustix::fs::{OFlags, fstat};
use rustix::stdio::{dup2_stderr, dup2_stdout};

/// Standard error, which is bounded if it is the file of the home.
#[derive(Clone)]
pub(crate) struct Output(Option<Arc<LogFile>>);

/// The file.
struct LogFile {
    path: PathBuf,
    bounds: Mutex<Bounds>,
}

/// How much is kept.
struct Bounds {
    /// How large a file may grow, in bytes.
    bytes: u64,
    /// How many earlier files stay.
    kept: u64,
    /// Whether it was said that no new file could be begun.
    told: bool,
}

impl Output {
    /// Standard error of a daemon whose home is at `home`.
    pub(crate) fn of(home: &Path) -> Self {
        let path = std::path::absolute(home).unwrap_or_else(|_| home.to_owned()).join("run/daemon.log");
        if !is_open_as(io::stderr(), &path) {
            return Self(None);
        }
        let log = home::Log::default();
        let bounds = Mutex::new(Bounds { bytes: log.file_mib << 20, kept: log.kept_files, told: false });
        Self(Some(Arc::new(LogFile { path, bounds })))
    }

    /// Takes what the settings say, and opens the file anew if it is not the one that its path names.
    pub(crate) fn take(&self, log: &home::Log) {
        let Some(file) = &self.0 else { return };
        let mut bounds = file.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        (bounds.bytes, bounds.kept) = (log.file_mib << 20, log.kept_files);
        if !is_open_as(io::stderr(), &file.path) {
            bounds.tell(file.reopen());
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &self.0 {
            file.make_room(bytes.len());
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl LogFile {
    /// Begins a new file if this much more would not fit. If it cannot, the old one goes on.
    //= docs/spec/home.md#the-daemons-log
    fn make_room(&self, coming: usize) {
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        // Measured each time, since other processes may write to the file.
        let Ok(about) = fstat(io::stderr()) else { return };
        let length = u64::try_from(about.st_size).unwrap_or(0);
        if length > 0 && length.saturating_add(coming as u64) > bounds.bytes {
            let begun = self.rotate(bounds.kept);
            bounds.tell(begun);
        }
    }

    /// Gives every kept file the next number, and begins a new one. Stopped anywhere, no kept line is lost, and whoever
    /// opens the file next makes it.
    fn rotate(&self, kept: u64) -> io::Result<()> {
        // A file that someone moved away is not ours to number.
        if is_open_as(io::stderr(), &self.path) {
            self.number(kept)?;
        }
        self.reopen()
    }

    /// Gives every kept file the next number. A number that a folder stands in the way of is left out.
    fn number(&self, kept: u64) -> io::Result<()> {
        let is_free = |number: &u64| !is_folder(&self.numbered(*number));
        let places: Vec<u64> = (1..).filter(is_free).take(usize::try_from(kept).unwrap_or(0)).collect();
        self.remove_from(places.last().copied().unwrap_or(1))?;
        for pair in places.windows(2).rev() {
            unless_missing(std::fs::rename(self.numbered(pair[0]), self.numbered(pair[1])))?;
        }
        match places.first() {
            None => std::fs::remove_file(&self.path),
            Some(first) => std::fs::rename(&self.path, self.numbered(*first)),
        }
    }

    /// Removes the earlier files that are too many once there is one more: those from a number on.
    fn remove_from(&self, first: u64) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("daemon.log."));
            let is_old =
                number.and_then(|number| number.parse::<u64>().ok()).is_some_and(|number| number >= first);
            let path = folder.join(&name);
            if is_old && !is_folder(&path) {
                unless_missing(std::fs::remove_file(path))?;
            }
        }
        Ok(())
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.path.with_file_name(format!("daemon.log.{number}"))
    }

    /// Opens the path, and puts the file in the place of standard error, and of standard output where both are one.
    fn reopen(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true).mode(0o600);
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = options.custom_flags(flags.bits().cast_signed()).open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let both = identity(io::stdout()).is_some_and(|own| Some(own) == identity(io::stderr()));
        dup2_stderr(&file)?;
        if both {
            dup2_stdout(&file)?;
        }
        Ok(())
    }
}

impl Bounds {
    /// Says once that no new file could be begun, until one could. It cannot be logged: this is the log.
    fn tell(&mut self, begun: io::Result<()>) {
        if let (Err(error), false) = (&begun, self.told) {
            let line = serde_json::json!({
                "level": "ERROR",
                "message": format!("no new file could be begun for the log: {error}"),
            });
            // Nobody is left to hear of it.
            writeln!(io::stderr(), "{line}").ok();
        }
        self.told = begun.is_err();
    }
}

/// Whether what is open is the very file that the path names, which a link does not.
fn is_open_as(open: impl AsFd, path: &Path) -> bool {
    let named = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file);
    named.is_some_and(|named| Some((named.dev(), named.ino())) == identity(open))
}

/// Whether a folder stands there. A link to one is no folder: it is moved and removed as a file is.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_dir())
}

fn identity(open: impl AsFd) -> Option<(u64, u64)> {
    fstat(open).ok().map(|about| (about.st_dev, about.st_ino))
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    //= docs/spec/home.md#the-daemons-log
    #[test]
    fn what_is_no_log_stands_in_the_way_of_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let bounds = Mutex::new(Bounds { bytes: 1, kept: 2, told: false });
        let log = LogFile { path: at("daemon.log"), bounds };
        fs::create_dir_all(at("daemon.log.2/mine")).unwrap();
        fs::create_dir(at("daemon.log.7")).unwrap();
        fs::create_dir(at("elsewhere")).unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at("daemon.log.1")).unwrap();
        for round in 0..4 {
            fs::write(at("daemon.log"), round.to_string()).unwrap();
            log.number(2).unwrap();
            assert!(!at("daemon.log").exists());
        }
        assert_eq!(fs::read_to_string(at("daemon.log.1")).unwrap(), "3");
        assert_eq!(fs::read_to_string(at("daemon.log.3")).unwrap(), "2", "two are kept, beside the folder");
        assert!(!at("daemon.log.4").exists());
        assert!(at("daemon.log.2/mine").is_dir() && at("daemon.log.7").is_dir(), "folders stay");
        assert!(at("elsewhere").is_dir(), "no link is followed");
        fs::write(at("daemon.log"), "last").unwrap();
        log.number(0).unwrap();
        assert!(!at("daemon.log").exists() && !at("daemon.log.1").exists() && !at("daemon.log.3").exists());
    }
}
