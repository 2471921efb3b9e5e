//! The development key of a home: it signs what its author tries out, and is trusted for nothing else.
//! Source: docs/spec/package.md#development.

use std::path::Path;

use fcp_proto_core::crypto::role::Publisher;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::crypto::source::KeySource;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::package::{Package, UntrustedPackage};
use serde_json::{Value, json};

use crate::home::Home;
use crate::{Failure, Result, internal, key_file, private_file};

/// The key's file in the home.
const FILE: &str = "development.key";

/// Makes the home's development key if it has none, and enrols it as a development publisher. What a crash left half
/// done is completed by doing it again.
///
/// # Errors
/// There is no such home, or a file of it cannot be read or written.
pub(crate) fn enrol(home: &Home) -> Result<Value> {
    if !home.path().is_dir() {
        return Err(home.absent().next("`fwc up` makes it"));
    }
    let path = home.path().join(FILE);
    let key = match load(home)? {
        Some(key) => key,
        None => {
            let key = key_file::generate::<Publisher>()?;
            key_file::store(&path, &key)?;
            key
        }
    };
    let public = key.verifying_key().to_string();
    let publishers = home.publishers();
    list(&publishers, &public)?;
    let source = KeySource::File { name: FILE.into() };
    Ok(json!({
        "key_file": path.display().to_string(),
        "key_source": source.kind(),
        "caveat": source.caveat(),
        "public_key": public,
        "key_id": key.key_id().to_string(),
        "development_publisher_in": publishers.display().to_string(),
    }))
}

/// Signs the package with the home's development key, unless it is so already; whether it had to.
///
/// # Errors
/// There is no key, and nobody else signed the package either.
pub(crate) fn sign(home: &Home, package: &mut Package) -> Result<bool> {
    let signatures = &package.head().signatures;
    let Some(key) = load(home)? else {
        // Whether another signature will do is the daemon's to say.
        return if signatures.is_empty() { Err(no_key(home)) } else { Ok(false) };
    };
    if signatures.iter().any(|signature| signature.kid == key.key_id()) {
        return Ok(false);
    }
    package.sign(&key).map_err(|error| internal(&format!("the package cannot be signed: {error}")))?;
    Ok(true)
}

/// Refuses a package that one of the home's publishers signed and that was changed since: another signature does not mend
/// that. What cannot be read is left to the daemon's judgement.
///
/// # Errors
/// [`UntrustedPackage::BadSignature`].
pub(crate) fn check_unchanged(home: &Home, package: &Package) -> core::result::Result<(), UntrustedPackage> {
    let listed = read(&home.publishers()).unwrap_or_default();
    let key = |line: &str| {
        let entry = line.split('#').next().unwrap_or_default().trim();
        entry.strip_prefix("dev ").unwrap_or(entry).trim().parse().ok()
    };
    let keys: Vec<VerifyingKey<Publisher>> = listed.lines().filter_map(key).collect();
    match package.clone().verify_development(&keys) {
        Err(error @ UntrustedPackage::BadSignature(_)) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn load(home: &Home) -> Result<Option<SigningKey<Publisher>>> {
    match key_file::load(&home.path().join(FILE)) {
        Ok(key) => Ok(Some(key)),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn no_key(home: &Home) -> Failure {
    Failure::new(Code::PackageUntrusted)
        .because(format!("nobody signed the package, and {} has no development key", home.path().display()))
        .next("`fwc package keygen --dev` makes one and enrols it in this home; then install again")
}

/// The list's text. What is no file is not waited for.
fn read(publishers: &Path) -> Result<String> {
    let invalid =
        |why: &str| Failure::new(Code::ConfigInvalid).because(format!("{} is {why}", publishers.display()));
    if publishers.metadata().is_ok_and(|about| !about.is_file()) {
        return Err(invalid("no file"));
    }
    let bytes = crate::read_file(publishers, MAX_PUBLISHERS)?;
    String::from_utf8(bytes).map_err(|_| invalid("not text"))
}

/// Largest list of publishers, in bytes. Chosen as the daemon's.
const MAX_PUBLISHERS: usize = 1024 * 1024;

/// Adds the line of a development publisher, if the file has none of this key. The file is replaced whole.
fn list(publishers: &Path, key: &str) -> Result<()> {
    let mut text = match read(publishers) {
        Ok(text) => text,
        Err(failure) if failure.code == Code::NotFound => String::new(),
        Err(failure) => return Err(failure),
    };
    let entry = format!("dev {key}");
    if text.lines().any(|line| line.split('#').next().unwrap_or_default().trim() == entry) {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{entry} # the home's own, for `fwc install --dev`\n"));
    private_file::replace(publishers, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(Some(folder.path())).unwrap();
        (folder, home)
    }

    fn package() -> Package {
        Package::build(
            include_bytes!("../../sdk/examples/greeter.toml"),
            b"",
            Some(("any", b"code".to_vec())),
        )
        .unwrap()
    }

    //= docs/spec/package.md#development
    #[test]
    fn a_key_is_made_and_enrolled_once_and_signs() {
        let (_folder, home) = home();
        std::fs::write(home.publishers(), "# nobody yet").unwrap();
        assert_eq!(sign(&home, &mut package()).unwrap_err().code, Code::PackageUntrusted);
        let made = enrol(&home).unwrap();
        assert_eq!(made["key_source"], "file");
        let listed = std::fs::read_to_string(home.publishers()).unwrap();
        assert!(listed.starts_with("# nobody yet\ndev "), "{listed}");
        assert_eq!(enrol(&home).unwrap(), made, "the key stays");
        assert_eq!(std::fs::read_to_string(home.publishers()).unwrap(), listed, "and its line");

        let mut package = package();
        assert!(sign(&home, &mut package).unwrap());
        assert!(!sign(&home, &mut package).unwrap(), "once is enough");
        let key = made["public_key"].as_str().unwrap().parse().unwrap();
        assert!(package.verify_development(&[key]).is_ok());
    }

    #[test]
    fn a_key_that_others_may_read_signs_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, home) = home();
        enrol(&home).unwrap();
        let key = home.path().join(FILE);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(sign(&home, &mut package()).unwrap_err().code, Code::FileForbidden);
    }
}
