//! Manifests and packages of connectors.

use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::manifest::{Cases, Manifest};

/// A manifest is read or refused, and so is a file of cases.
pub(crate) fn manifest(input: &[u8]) {
    drop(Manifest::parse(input));
    drop(Cases::parse(input));
}

/// What is read as a package is written as the same bytes.
pub(crate) fn package(input: &[u8]) {
    if let Ok(package) = Package::inspect(input) {
        assert_eq!(package.to_bytes().as_deref(), Ok(input));
    }
}
