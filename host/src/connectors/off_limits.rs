//! What no connector may be given: the home, and what else the daemon's own safety rests on.
//! Source: docs/spec/connectors.md#walls.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::home::Home;

/// Places that no configuration hands to a connector.
#[derive(Clone, Debug)]
pub struct OffLimits {
    /// Whoever reads these is the node, its owner or an agent.
    secret: Vec<PathBuf>,
    /// Whoever writes these is the daemon at its next start.
    programs: PathBuf,
    /// The one folder of the home that is a connector's.
    data: PathBuf,
}

/// Why a path is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    path: PathBuf,
    why: String,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be granted: {}", self.path.display(), self.why)
    }
}

impl OffLimits {
    /// The home, and the programs that its daemon runs.
    pub fn new(home: &Home, programs: PathBuf) -> Self {
        let folders = home.folders().into_iter();
        let secret = std::iter::once(home.path().to_owned()).chain(folders).collect();
        Self { secret, programs, data: home.connector_data() }
    }

    /// With another place that is neither read nor written.
    #[must_use]
    pub fn and(mut self, places: impl IntoIterator<Item = PathBuf>) -> Self {
        self.secret.extend(places);
        self
    }

    /// Whether a path may be granted, to be written or only to be read.
    ///
    /// # Errors
    /// What it would open; a path that cannot be followed is not granted either.
    //= docs/spec/connectors.md#walls
    pub(super) fn check(&self, path: &Path, writable: bool) -> Result<(), Forbidden> {
        let forbidden = |why: String| Forbidden { path: path.to_owned(), why };
        let unclear = |error: io::Error| forbidden(format!("where it leads cannot be told: {error}"));
        let wanted = Place::find(path).map_err(unclear)?;
        let data = Place::find(&self.data).map_err(unclear)?;
        for (index, secret) in self.secret.iter().enumerate() {
            let place = Place::find(secret).map_err(unclear)?;
            // The first is the home, in which the data lie; where they really lie counts, not how they are spelled.
            let exempt =
                index == 0 && data.path.starts_with(&place.path) && wanted.path.starts_with(&data.path);
            if wanted.overlaps(&place) && !exempt {
                return Err(forbidden(format!("it would open {}, which is FCP's own", secret.display())));
            }
        }
        if writable && wanted.overlaps(&Place::find(&self.programs).map_err(unclear)?) {
            let programs = self.programs.display();
            return Err(forbidden(format!("FCP's programs are in {programs}, and it would be writable")));
        }
        Ok(())
    }
}

/// Where a path really leads, as far as it exists.
struct Place {
    /// Without links.
    path: PathBuf,
    /// What tells it and each folder above it from others, however they were mounted or spelled.
    identities: Vec<(u64, u64)>,
    /// Its own identity, if it exists.
    own: Option<(u64, u64)>,
}

impl Place {
    fn find(path: &Path) -> io::Result<Self> {
        let mut missing = Vec::new();
        let mut there = path;
        let real = loop {
            match there.canonicalize() {
                Ok(real) => break real,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            missing.push(name);
            there = parent;
        };
        let identity = |path: &Path| path.metadata().map(|about| (about.dev(), about.ino()));
        let identities = real.ancestors().map(identity).collect::<io::Result<Vec<_>>>()?;
        let own = identities.first().copied().filter(|_| missing.is_empty());
        let path = missing.into_iter().rev().fold(real, |path, name| path.join(name));
        Ok(Self { path, identities, own })
    }

    /// Whether one is the other or lies in it.
    fn overlaps(&self, other: &Self) -> bool {
        self.path.starts_with(&other.path)
            || other.path.starts_with(&self.path)
            || other.own.is_some_and(|own| self.identities.contains(&own))
            || self.own.is_some_and(|own| other.identities.contains(&own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A home, programs, and a folder for everything.
    fn world() -> (tempfile::TempDir, Home, OffLimits) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("up/home")).unwrap();
        let programs = folder.path().join("programs");
        fs::create_dir_all(&programs).unwrap();
        fs::create_dir_all(home.connector_data()).unwrap();
        fs::create_dir_all(folder.path().join("notes")).unwrap();
        let off_limits = OffLimits::new(&home, programs);
        (folder, home, off_limits)
    }

    //= docs/spec/connectors.md#walls
    #[test]
    fn nothing_that_is_holds_or_lies_in_the_home_is_granted() {
        let (folder, home, off_limits) = world();
        let in_folder = |name: &str| folder.path().join(name);
        symlink(in_folder("up"), in_folder("linked")).unwrap();
        symlink(home.keys(), in_folder("notes/keys")).unwrap();
        symlink(in_folder("gone"), in_folder("notes/dangling")).unwrap();
        for path in [
            home.path().to_owned(),
            in_folder("up"),
            folder.path().to_owned(),
            "/".into(),
            home.keys(),
            home.keys().join("node.secret"),
            home.path().join("config.toml"),
            home.path().join("publishers.txt"),
            home.path().join("not-there-yet"),
            home.path().join("quickstart"),
            home.path().join("quickstart/data/../../keys"),
            in_folder("linked"),
            in_folder("linked/home/agents"),
            in_folder("notes/keys"),
        ] {
            for writable in [false, true] {
                let refused = off_limits.check(&path, writable).map_err(|refused| refused.to_string());
                assert!(refused.is_err_and(|why| why.contains("FCP's own")), "{}", path.display());
            }
        }
        for path in [
            in_folder("notes"),
            in_folder("notes/none"),
            in_folder("up/home-of-another"),
            home.connector_data(),
        ] {
            assert_eq!(off_limits.check(&path, true), Ok(()), "{}", path.display());
        }
    }

    #[test]
    fn the_folder_for_data_is_where_it_says_and_no_link_to_the_keys() {
        let (_folder, home, off_limits) = world();
        let data = home.connector_data();
        fs::remove_dir(&data).unwrap();
        symlink(home.keys(), &data).unwrap();
        assert!(off_limits.check(&data, false).is_err());
    }

    #[test]
    fn programs_may_be_read_and_not_written_and_further_secrets_neither() {
        let (folder, _, off_limits) = world();
        let programs = folder.path().join("programs");
        assert_eq!(off_limits.check(&programs, false), Ok(()));
        assert!(off_limits.check(&programs, true).is_err());
        assert!(off_limits.check(&programs.join("below"), true).is_err());
        let token = folder.path().join("notes/token");
        let off_limits = off_limits.and([token.clone()]);
        assert!(off_limits.check(&folder.path().join("notes"), false).is_err(), "the token lies in it");
        assert!(off_limits.check(&token, false).is_err());
    }

    #[test]
    fn what_was_mounted_elsewhere_is_known_by_what_it_is() {
        let (folder, home, _) = world();
        let place = |path: &Path| Place::find(path).unwrap();
        let keys = place(&home.keys());
        let mut mounted = place(&folder.path().join("notes"));
        assert!(!mounted.overlaps(&keys));
        // As a bind mount of the keys would look.
        mounted.own = keys.own;
        mounted.identities.insert(0, keys.own.unwrap());
        assert!(mounted.overlaps(&keys) && keys.overlaps(&mounted));
    }

    #[test]
    fn a_path_that_cannot_be_followed_is_not_granted() {
        let (folder, _, off_limits) = world();
        let name = folder.path().join("notes/loop");
        symlink(&name, &name).unwrap();
        let refused = off_limits.check(&name, false).unwrap_err().to_string();
        assert!(refused.contains("cannot be told"), "{refused}");
    }
}
