//! What stands where a file or folder of a home must be, and how what the home needs comes to stand there.

use std::fmt;
use std::path::{Path, PathBuf};

use fcp_api::shell::quoted;

use super::{CEREMONY_FILE, HOME_FILE};

/// What stands in the place of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// A link to a file.
    LinkToFile(PathBuf),
    /// A link to a folder.
    LinkToFolder(PathBuf),
    /// A link that leads to neither.
    LinkToNothing,
    /// Something else, such as a pipe, or a folder for a file.
    OtherKind,
}

impl Misplaced {
    /// What stands at `path`, which is not what must stand there; nothing if nothing does.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let about = path.symlink_metadata().ok()?;
        if !about.is_symlink() {
            return Some(Self::OtherKind);
        }
        let target = std::fs::canonicalize(path).ok();
        let found = target.map(|target| match target.metadata() {
            Ok(about) if about.is_file() => Self::LinkToFile(target),
            Ok(about) if about.is_dir() => Self::LinkToFolder(target),
            Ok(_) | Err(_) => Self::LinkToNothing,
        });
        Some(found.unwrap_or(Self::LinkToNothing))
    }

    /// What puts it right. What a link leads to may be all that the home has of it, so it is brought here and never away.
    //= docs/spec/home.md#the-home
    pub(super) fn remedy(&self, path: &Path) -> String {
        let place = shown(path);
        let restore = format!("restore {} from a backup", path.display());
        match self {
            Self::LinkToFile(target) => {
                let copy = format!("cp -p --remove-destination {} {place}", shown(target));
                format!("put the file itself in the place of the link: `{copy}`")
            }
            Self::LinkToFolder(target) => {
                let copy = format!("rm {place} && cp -aT {} {place}", shown(target));
                format!("put the folder itself in the place of the link: `{copy}`")
            }
            Self::LinkToNothing if is_needed(path) => {
                format!("bring back what the link leads to, as `readlink {place}` names it, or {restore}")
            }
            Self::OtherKind if is_needed(path) => {
                format!("look at it, then `mv {place} /tmp`, and {restore}")
            }
            Self::LinkToNothing | Self::OtherKind => format!("look at it, then `mv {place} /tmp`"),
        }
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkToFile(target) | Self::LinkToFolder(target) => {
                write!(f, "is a link to {}", target.display())
            }
            Self::LinkToNothing => f.write_str("is a link that leads to no file and no folder"),
            Self::OtherKind => f.write_str("is of another kind than it must be"),
        }
    }
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Folders whose content no start makes anew.
const NEEDED_FOLDERS: [&str; 5] = ["keys", "vault", "journal", "packages", "agents"];

/// Ends of the names of files that no start makes anew.
const NEEDED_ENDS: [&str; 4] = ["key", "secret", "fcj", "sealed"];

/// Whether a home lacks something without it, so that it is not enough to take away what stands in its place.
fn is_needed(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_package = path.parent().is_some_and(|folder| folder.ends_with("packages"));
    [HOME_FILE, CEREMONY_FILE].contains(&name)
        || NEEDED_FOLDERS.contains(&name)
        || path.extension().is_some_and(|end| NEEDED_ENDS.iter().any(|needed| end == *needed))
        || is_package
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;
    use crate::home::{HomeError, Kind, check_private};

    /// Does what the remedy of `path` says, as it is printed.
    fn follow(path: &Path) {
        let error = HomeError::io("open", path)(std::io::ErrorKind::InvalidInput.into());
        let remedy = error.remedy().unwrap();
        let command = remedy.split('`').nth(1).unwrap_or_else(|| panic!("{remedy}"));
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    }

    //= docs/spec/home.md#the-home
    #[test]
    fn what_a_link_leads_to_is_put_in_its_place_by_the_command_that_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (away, home) = (folder.path().join("it's away"), folder.path().join("home"));
        for name in ["journal/000001.fcj", "keys/node.secret", "home.toml", "lock"] {
            let (moved, place) = (away.join(name), home.join(name));
            for path in [&moved, &place] {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            std::fs::write(&moved, name).unwrap();
            std::fs::set_permissions(&moved, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            symlink(&moved, &place).unwrap();
            follow(&place);
            check_private(&place, Kind::File).unwrap();
            assert_eq!(std::fs::read_to_string(&place).unwrap(), name);
            assert!(moved.exists(), "a copy stays where it was");
        }
        std::fs::rename(home.join("keys"), away.join("kept")).unwrap();
        symlink(away.join("kept"), home.join("keys")).unwrap();
        follow(&home.join("keys"));
        assert_eq!(std::fs::read_to_string(home.join("keys/node.secret")).unwrap(), "keys/node.secret");
        assert!(!home.join("keys").is_symlink());
    }

    //= docs/spec/home.md#the-home
    #[test]
    fn what_the_home_cannot_open_without_is_never_only_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let told = |name: &str| {
            let path = folder.path().join(name);
            Misplaced::at(&path).unwrap().remedy(&path)
        };
        for name in
            ["home.toml", "ceremony.cbor", "keys", "vault.key", "node.secret", "000001.fcj", "a.sealed"]
        {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            assert!(told(name).contains("from a backup"), "{}", told(name));
            std::fs::remove_dir(folder.path().join(name)).unwrap();
            symlink(folder.path().join("nothing"), folder.path().join(name)).unwrap();
            assert!(told(name).contains("from a backup") && !told(name).contains("mv "), "{}", told(name));
        }
        for name in ["lock", "index", "config.toml", "run"] {
            symlink(folder.path().join("nothing"), folder.path().join(name)).unwrap();
            assert!(told(name).contains("`mv "), "{}", told(name));
        }
        assert_eq!(Misplaced::at(&folder.path().join("nothing")), None);
    }
}
