//! The home's files as files: whose they are, who else may open them, and who uses them now.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use fcp_api::examination::{Finding, Look, REMEDY_OF_COPY};
use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::{MAX_MANIFEST_BYTES, Manifest};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::Examination;
use crate::home::{
    CEREMONY_FILE, CONFIG_FILE, Cramped, FOLDERS, HOME_FILE, HomeError, Kind, LOCK_FILE, Room, check_private,
};

/// Most files that are looked at. Chosen: many times those of a large home.
const MOST_FILES: usize = 100_000;

/// Folders whose files are judged by where they are: agents keep what they like in theirs.
const NOT_ENTERED: [&str; 3] = ["agents", "run", "logs"];

/// What must be files.
const FILES: [&str; 4] = [CONFIG_FILE, HOME_FILE, CEREMONY_FILE, LOCK_FILE];

/// Files that others may read: they list public keys.
const READABLE: [&str; 1] = ["publishers.txt"];

impl Examination {
    /// Whether there is a folder to look into.
    pub(super) fn is_a_folder(&mut self) -> bool {
        let error = match self.path.symlink_metadata() {
            Ok(about) if about.is_dir() => return true,
            Ok(_) => HomeError::no_folder(&self.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HomeError::Missing(self.path.clone()),
            Err(error) => HomeError::io("examine", &self.path)(error),
        };
        self.wrong("home", &error);
        false
    }

    /// Looks at the copies of installed connectors' manifests, for whoever asks while no daemon runs.
    pub(super) fn manifests(&mut self) {
        // No folder has no copies; one that cannot be read was named before.
        let entries = std::fs::read_dir(self.path.join("connectors")).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
            if let Err(error) = check_manifest(&path) {
                let detail = format!("a manifest cannot be read: {error}");
                let look = Look::new("connectors", Finding::Warning, detail).at(path.display());
                let look = look.why("`--offline` answers without this connector");
                self.add(Look { code: Some(Code::ManifestInvalid), ..look }.remedy(REMEDY_OF_COPY));
            }
        }
    }

    /// Looks at every file's owner and mode, at the lock and at the socket; whether a daemon uses the home.
    pub(super) fn layout(&mut self) -> bool {
        let before = self.looks.len();
        let home = self.path.clone();
        if let Err(error) = check_private(&home, Kind::Folder) {
            self.wrong("home", &error);
        }
        let mut left = MOST_FILES;
        self.modes_in(&home, &mut left);
        if left == 0 {
            self.add(Look::new(
                "layout",
                Finding::Unknown,
                format!("only {MOST_FILES} files were looked at"),
            ));
        }
        if self.looks.len() == before {
            self.ok("home", format!("{}: its files are its owner's alone", home.display()));
        }
        self.room();
        let running = self.lock();
        self.socket(running);
        running
    }

    /// Whether anything can be written.
    fn room(&mut self) {
        let home = self.path.clone();
        let room = match Room::of(&home) {
            Ok(room) => room,
            Err(error) => return self.wrong("room", &HomeError::io("examine", &home)(error)),
        };
        match (room.cramped(&home), room) {
            (Some(Cramped { code, detail, why, remedy }), _) => {
                let look = Look::problem("room", code, detail).at(home.display());
                self.add(look.why(why).remedy(remedy));
            }
            (None, Room::Enough(left)) => {
                self.ok("room", format!("{} MiB are left on its file system", left >> 20))
            }
            (None, Room::ReadOnly | Room::TooLittle(_)) => {}
        }
    }

    fn modes_in(&mut self, folder: &Path, left: &mut usize) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.wrong("layout", &HomeError::io("list", folder)(error)),
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            if *left == 0 {
                return;
            }
            *left -= 1;
            let top = folder == self.path;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let is_folder = path.symlink_metadata().is_ok_and(|about| about.is_dir());
            let kind = match name.as_str() {
                name if top && FOLDERS.contains(&name) => Kind::Folder,
                name if top && FILES.contains(&name) => Kind::File,
                _ if is_folder => Kind::Folder,
                _ => Kind::File,
            };
            if top && READABLE.contains(&name.as_str()) && !is_folder {
                self.readable(&path);
            } else if let Err(error) = check_private(&path, kind) {
                self.wrong("layout", &error);
            } else if is_folder && !(top && NOT_ENTERED.contains(&name.as_str())) {
                self.modes_in(&path, left);
            }
        }
    }

    /// A file that is no secret, and that only the owner may change.
    fn readable(&mut self, path: &Path) {
        let ours = |uid| uid == rustix::process::geteuid().as_raw();
        let changed_by_others =
            path.metadata().is_ok_and(|about| about.mode() & 0o022 != 0 || !ours(about.uid()));
        if changed_by_others {
            let look = Look::problem("layout", Code::FileForbidden, "other users may change it");
            let look = look.at(path.display()).why("whoever changes it decides whose packages are trusted");
            self.add(look.remedy(format!("`chmod 600 {}`", path.display())));
        }
    }

    /// Who holds the lock, asked without taking it for longer than the question.
    fn lock(&mut self) -> bool {
        let path = self.path.join(LOCK_FILE);
        // What is no file was named with the modes, and a pipe must not be waited for.
        let is_file = path.symlink_metadata().is_ok_and(|about| about.is_file());
        let Some(file) = is_file.then(|| File::open(&path).ok()).flatten() else {
            self.ok("lock", "no daemon has used this home");
            return false;
        };
        let named = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                self.ok("lock", format!("no daemon runs; the last one was process {named}"));
                false
            }
            Err(Errno::WOULDBLOCK) => {
                self.ok("lock", format!("a daemon runs, process {named}"));
                true
            }
            Err(error) => {
                self.wrong("lock", &HomeError::io("lock", &path)(error.into()));
                false
            }
        }
    }

    /// What listens in the daemon's place: nothing of the socket's mode matters then.
    //= docs/spec/api.md#transport
    fn stranger(&mut self, socket: &Path, stranger: &str) {
        let detail = format!("no daemon of this home runs, and {stranger} listens on it");
        let look = Look::problem("socket", Code::AddressInUse, detail).at(socket.display());
        let look = look.why("no daemon starts, and what is sent to the home goes to that process");
        let socket = quoted(&socket.to_string_lossy());
        self.add(look.remedy(format!("end that process, or `rm {socket}`; then `fwc up`")));
    }

    fn is_in_use(&self) -> bool {
        let path = self.path.join(LOCK_FILE);
        // A pipe in its place must not be waited for.
        let is_file = path.symlink_metadata().is_ok_and(|about| about.is_file());
        let lock = is_file.then(|| File::open(&path).ok()).flatten();
        let asked = lock.map(|lock| flock(&lock, FlockOperation::NonBlockingLockShared));
        asked == Some(Err(Errno::WOULDBLOCK))
    }

    fn socket(&mut self, running: bool) {
        let path = self.path.join("run").join("fcp.sock");
        let Ok(about) = path.symlink_metadata() else { return };
        if !about.file_type().is_socket() {
            return self.wrong("socket", &HomeError::wrong_kind(&path));
        }
        let listens = listener(&path);
        // A daemon may have begun since the lock was looked at.
        if let Some(stranger) = listens.as_ref().filter(|_| !running && !self.is_in_use()) {
            return self.stranger(&path, stranger);
        }
        if about.mode() & 0o077 != 0 {
            let look = Look::problem("socket", Code::FileForbidden, "other users may connect to it");
            self.add(look.at(path.display()).remedy(format!("`chmod 600 {}`", path.display())));
        } else if listens.is_some() {
            self.ok("socket", "the daemon listens on it");
        } else if running {
            let look = Look::problem("socket", Code::DaemonUnreachable, "a daemon runs and nothing listens");
            self.add(look.at(path.display()).remedy("`fwc doctor` again in a moment: it may be starting"));
        } else {
            self.ok("socket", "nobody listens on it; the next start replaces it");
        }
    }

    /// Whether the folder has anything of a home that was made.
    pub(super) fn was_made(&self) -> bool {
        let holds = |folder: &str, end: &str| {
            let entries = std::fs::read_dir(self.path.join(folder));
            entries.is_ok_and(|entries| {
                entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(end))
            })
        };
        self.has(HOME_FILE) || holds("keys", ".key")
    }

    /// Whether the folder is a home at all.
    pub(super) fn is_a_home(&self) -> bool {
        FOLDERS.iter().chain(&[CONFIG_FILE, HOME_FILE]).any(|name| self.has(name))
    }
}

/// Who listens on a socket, in words. What lets nobody in is not waited for.
fn listener(path: &Path) -> Option<String> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).ok()?;
    match connect(&socket, &SocketAddrUnix::new(path).ok()?) {
        Ok(()) => {}
        Err(Errno::AGAIN) => return Some("something".to_owned()),
        Err(_) => return None,
    }
    let pid = socket_peercred(&socket).map(|peer| peer.pid.as_raw_nonzero());
    let named = pid.ok().and_then(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(format!("the process {pid} ({})", name.trim_end()))
    });
    Some(named.unwrap_or_else(|| "something".to_owned()))
}

/// Whether a file is a manifest; what is no file, or longer than any, is not read.
fn check_manifest(path: &Path) -> Result<(), String> {
    let about = path.symlink_metadata().map_err(|error| error.to_string())?;
    if !about.is_file() || about.len() > MAX_MANIFEST_BYTES as u64 {
        return Err(format!("it is no file of at most {MAX_MANIFEST_BYTES} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Manifest::parse(&bytes).map(drop).map_err(|error| error.to_string())
}
