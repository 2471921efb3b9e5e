//! The folder that the quickstart works in, and where things lie in it.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use zeroize::Zeroizing;

use crate::home::{Home, MAX_SOCKET_PATH};
use crate::{Failure, Result, file_failure, internal, private_file, resource};

/// How the folder came to be chosen, which decides whether it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The caller named it or wants it kept.
    Kept,
    /// It is temporary: it stays only if something failed.
    Temporary,
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Place {
    home: Home,
    choice: Choice,
}

impl Place {
    /// Makes the folder, for the owner alone, and the folders of the demonstration in it.
    ///
    /// # Errors
    /// [`Code::Conflict`] if the named folder has something in it; [`Code::FileForbidden`] if it is not its owner's alone;
    /// [`Code::OutOfRange`] if no socket fits below it. Then nothing was made or changed.
    pub(super) fn make(given: Option<&Path>, keep: bool) -> Result<Self> {
        let path = match given {
            Some(path) => {
                claim(path)?;
                path.to_owned()
            }
            None => make_temporary()?,
        };
        // Connectors open files only on paths without symbolic links.
        let path = std::fs::canonicalize(&path).map_err(|error| file_failure("find", &path, &error))?;
        let choice = if keep || given.is_some() { Choice::Kept } else { Choice::Temporary };
        let place = Self { home: Home::new(Some(&path))?, choice };
        for folder in [place.data(), place.database_folder(), place.files(), place.packages()] {
            private_file::create_folder(&folder)?;
        }
        Ok(place)
    }

    /// The FCP home.
    pub(super) const fn home(&self) -> &Home {
        &self.home
    }

    /// What belongs to the demonstration and not to FCP.
    pub(super) fn demo(&self) -> PathBuf {
        self.home.path().join("quickstart")
    }

    /// What connectors are given; in it a folder for each that needs one.
    fn data(&self) -> PathBuf {
        self.demo().join("data")
    }

    /// The folder of the database, and of nothing else: the connector may write in it.
    fn database_folder(&self) -> PathBuf {
        self.data().join("database")
    }

    /// The database.
    pub(super) fn database(&self) -> PathBuf {
        self.database_folder().join("notes.db")
    }

    /// The folder of files that may be read.
    pub(super) fn files(&self) -> PathBuf {
        self.data().join("files")
    }

    /// A file in it.
    pub(super) fn welcome(&self) -> PathBuf {
        self.files().join("welcome.md")
    }

    /// The connectors' sources and packages.
    pub(super) fn packages(&self) -> PathBuf {
        self.demo().join("packages")
    }

    /// The operator's passphrase.
    pub(super) fn passphrase(&self) -> PathBuf {
        self.demo().join("passphrase")
    }

    /// The publisher's key.
    pub(super) fn publisher_key(&self) -> PathBuf {
        self.demo().join("publisher.key")
    }

    /// The certificate authority of the service.
    pub(super) fn authority(&self) -> PathBuf {
        self.demo().join("service-ca.pem")
    }

    /// Removes the folder if nobody needs it: it was temporary, and nothing failed or the caller broke off. Says
    /// whether it stays.
    ///
    /// # Errors
    /// What cannot be removed.
    pub(super) fn finish(&self, failed: Option<Code>) -> Result<bool> {
        match (self.choice, failed) {
            (Choice::Kept, _) => Ok(true),
            (Choice::Temporary, Some(code)) if code != Code::Cancelled => Ok(true),
            (Choice::Temporary, _) => {
                let path = self.home.path();
                std::fs::remove_dir_all(path).map_err(|error| file_failure("remove", path, &error))?;
                Ok(false)
            }
        }
    }
}

/// `bytes` random bytes of the operating system, in hexadecimal.
///
/// # Errors
/// [`Code::Internal`] if the system yields none.
pub(super) fn random_text<const N: usize>() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()) {
        Ok(filled) if filled == N => {}
        Ok(_) | Err(_) => return Err(internal("the operating system yields no entropy")),
    }
    let mut text = Zeroizing::new(String::with_capacity(2 * N));
    for byte in bytes.iter() {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or_default());
        }
    }
    Ok(text)
}

/// Makes the named folder, or takes it if it is there, empty, and its owner's alone, as a home must be: looked at before
/// anything is made or changed.
//= docs/spec/home.md#the-home
fn claim(path: &Path) -> Result<()> {
    path.to_str().ok_or_else(|| resource::not_text(path))?;
    check_length(path)?;
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return private_file::create_folder(path);
        }
        Err(error) => return Err(file_failure("use", path, &error)),
    };
    if metadata.is_symlink() {
        return Err(unfit(path, "is a link", ELSEWHERE.to_owned()));
    }
    let mut entries = std::fs::read_dir(path).map_err(|error| file_failure("use", path, &error))?;
    if entries.next().is_some() {
        return Err(Failure::new(Code::Conflict)
            .because(format!("{} is not empty, and quickstart makes a new home", path.display()))
            .next(ELSEWHERE));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(unfit(path, "belongs to another user", ELSEWHERE.to_owned()));
    }
    if metadata.mode() & 0o077 != 0 {
        let folder = quoted(&path.to_string_lossy());
        let next = format!("`chmod 700 {folder}`, then `fwc quickstart --home {folder}`; or {ELSEWHERE}");
        return Err(unfit(path, "is open to other users", next));
    }
    Ok(())
}

/// What always helps.
const ELSEWHERE: &str = "name a folder that does not exist yet: `fwc quickstart --home DIR`";

fn unfit(path: &Path, why: &str, next: String) -> Failure {
    let why = format!("{} {why}, and a home is a folder of its owner's alone", path.display());
    Failure::new(Code::FileForbidden).because(why).next(next)
}

/// Whether the daemon's socket fits into what the system has room for, links of the folders above followed.
fn check_length(path: &Path) -> Result<()> {
    let path = std::path::absolute(path).map_err(|error| file_failure("find", path, &error))?;
    let above = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let real = above.map_or_else(
        || path.clone(),
        |(above, real)| path.strip_prefix(above).map_or(real.clone(), |rest| real.join(rest)),
    );
    let socket = Home::new(Some(&real))?.socket();
    if socket.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(());
    }
    let why = format!("{} is longer than the {MAX_SOCKET_PATH} bytes of a socket's path", socket.display());
    Err(Failure::new(Code::OutOfRange)
        .because(why)
        .next("name a folder with a shorter path: `fwc quickstart --home DIR`"))
}

fn make_temporary() -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("fcp-quickstart-{}", *random_text::<6>()?));
    check_length(&path)?;
    // Not recursive, so that a folder that someone else put there is refused.
    let made = DirBuilder::new().mode(0o700).create(&path);
    made.map_err(|error| file_failure("make the folder", &path, &error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_must_be_absent_or_empty_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("new");
        let place = Place::make(Some(&absent), false).unwrap();
        assert!(place.data().is_dir());
        assert!(place.finish(None).unwrap());
        assert!(absent.is_dir());
        let refused = Place::make(Some(&absent), false).unwrap_err();
        assert_eq!(refused.code, Code::Conflict);
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(Place::make(Some(&file), false).unwrap_err().code, Code::InputInvalid);
    }

    /// Whoever is refused has the folder as it was, and is told what works.
    //= docs/spec/home.md#the-home
    #[test]
    fn a_folder_that_is_no_home_is_left_as_it_is() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("an open one");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("an open one", &link).unwrap();
        let long = folder.path().join("a".repeat(100)).join("b");
        for (path, code) in
            [(&open, Code::FileForbidden), (&link, Code::FileForbidden), (&long, Code::OutOfRange)]
        {
            let refused = Place::make(Some(path), false).unwrap_err();
            assert_eq!(refused.code, code, "{}", path.display());
            assert!(refused.next.contains("fwc quickstart --home "), "{}", refused.next);
        }
        assert!(!long.parent().unwrap().exists(), "nothing is made");
        assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
        assert_eq!(std::fs::metadata(&open).unwrap().mode() & 0o777, 0o755);
        std::fs::set_permissions(&open, Permissions::from_mode(0o700)).unwrap();
        assert!(Place::make(Some(&open), false).is_ok(), "as the next step says");
    }

    #[test]
    fn a_temporary_folder_goes_unless_something_failed() {
        for (keep, failed, stays) in [
            (false, None, false),
            (false, Some(Code::Cancelled), false),
            (false, Some(Code::Internal), true),
            (true, None, true),
        ] {
            let place = Place::make(None, keep).unwrap();
            let path = place.home().path().to_owned();
            assert_eq!(
                std::fs::metadata(&path).map(|it| std::os::unix::fs::MetadataExt::mode(&it) & 0o777).unwrap(),
                0o700
            );
            assert_eq!(place.finish(failed).unwrap(), stays);
            assert_eq!(path.exists(), stays, "{keep} {failed:?}");
            if stays {
                std::fs::remove_dir_all(&path).unwrap();
            }
        }
    }

    #[test]
    fn random_texts_differ() {
        let texts = [random_text::<16>().unwrap(), random_text::<16>().unwrap()];
        assert_eq!(texts[0].len(), 32);
        assert_ne!(texts[0], texts[1]);
    }
}
