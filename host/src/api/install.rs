//! Installs a connector: its package is checked, kept under its digest, and bound to zones by an operator's signature.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fcp_api::routes::InstallConnector;
use fcp_api::shell::quoted;
use fcp_api::types::{ErrorBody, Installed, PackageSource};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::encoding::json::{self, Json};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, KeyId, ZoneId};
use fcp_proto_core::limits::MAX_INPUT_BYTES;
use fcp_proto_core::manifest::package::{Package, UntrustedPackage};
use fcp_proto_core::manifest::{Manifest, Runtime};
use fcp_proto_core::object::ConnectorInstall;
use fcp_state_machines::node::Node;

use serde_json::Value;

use super::ceremony::blocking;
use super::mount::{Ask, Serve};
use super::sign::admit;
use crate::connectors;
use crate::daemon::{App, check_manifest, example, fields, owner_zone, packages};
use crate::home::HomeError;

/// Largest package file: the largest code and its head.
const MAX_PACKAGE_BYTES: u64 = 80 * 1024 * 1024;

/// A package that may be installed.
struct Checked {
    bytes: Vec<u8>,
    digest: Digest,
    package: Package,
    publishers: Vec<KeyId>,
    dev: bool,
    code_digest: Digest,
}

impl Serve for InstallConnector {
    async fn serve(ask: Ask<Self>) -> Result<Installed, ErrorBody> {
        let Ask { app, body, caller, .. } = ask;
        let operator = caller.as_operator()?;
        let config = given(body.config)?;
        let (inner, source, wanted, dev) = (Arc::clone(&app), body.package, body.package_digest, body.dev);
        let checked = blocking(move || check(&inner, &source, wanted, dev)).await?;
        // What is kept is that of one installation, so none comes between.
        let installing = app.installing.lock().await;
        let settled = settle(&app, checked.package.manifest(), body.zones, config).await?;
        let manifest = checked.package.manifest();
        let fields = ConnectorInstall {
            connector: manifest.connector.id.clone(),
            version: manifest.connector.version.clone(),
            manifest: ByteString(manifest.source().to_vec()),
            package_digest: checked.digest,
            code_digest: checked.code_digest,
            interface_hash: manifest.interface_hash(),
            zones: settled.zones,
            config: settled.config.to_string(),
            publishers: checked.publishers.iter().copied().collect(),
            dev: checked.dev,
        };
        refuse_revoked(&app, &fields).await?;
        check_config(&app, manifest, &Value::from(settled.config.clone()))?;
        let connector = fields.connector.clone();
        // The package is on the disk before anything says that it is installed.
        let (inner, bytes, digest) = (Arc::clone(&app), checked.bytes, checked.digest);
        blocking(move || packages::keep(&inner.home, &bytes, digest).map_err(not_stored)).await?;
        let admitted = admit(&app, operator, &owner_zone(), fields).await;
        if admitted.as_ref().is_err_and(is_refusal) {
            discard(&app).await;
        }
        drop(installing);
        let (zones_kept, config_kept) = (settled.zones_kept, settled.config_kept);
        let connector = super::connectors::detail_of(&app, connector).await;
        Ok(Installed { install_id: admitted?, connector: connector?, zones_kept, config_kept })
    }
}

/// A configuration as it was sent; none if none was.
fn given(config: Value) -> Result<Option<Json>, ErrorBody> {
    if config.is_null() {
        return Ok(None);
    }
    let config = Json::try_from(config);
    config.map(Some).map_err(|error| ErrorBody::new(Code::InexactNumber).because(error.to_string()))
}

/// Where a connector is to run and how it is configured.
struct Settled {
    zones: BTreeSet<ZoneId>,
    zones_kept: bool,
    config: Json,
    config_kept: bool,
}

/// What was not said is as it was before, or as the manifest has it if the connector is new.
//= docs/spec/package.md#installing-again
async fn settle(
    app: &App,
    manifest: &Manifest,
    zones: Option<Vec<ZoneId>>,
    config: Option<Json>,
) -> Result<Settled, ErrorBody> {
    if zones.as_ref().is_some_and(Vec::is_empty) {
        return Err(ErrorBody::new(Code::MissingField).because("`zones` is empty, and empty means none"));
    }
    let connector = manifest.connector.id.clone();
    let before = app.query(move |node, _| node.catalog().get(&connector).map(|it| it.install.clone()));
    let before = before.await?;
    let (zones_kept, config_kept) =
        (zones.is_none() && before.is_some(), config.is_none() && before.is_some());
    let home = || [manifest.zones.home.clone()].into();
    let had = before.as_ref().map(|before| before.zones.clone());
    let zones = zones.map(|zones| zones.into_iter().collect()).or(had).unwrap_or_else(home);
    let stored = before.map_or_else(|| "{}".into(), |before| before.config);
    let config = match config {
        Some(config) => config,
        None => json::parse(stored.as_bytes(), MAX_INPUT_BYTES).map_err(|error| {
            ErrorBody::new(Code::StoreCorrupt).because(format!("the stored configuration: {error}"))
        })?,
    };
    Ok(Settled { zones, zones_kept, config, config_kept })
}

/// Nobody is asked for the configuration of what cannot be installed with any.
//= docs/spec/authority.md#taking-objects
async fn refuse_revoked(app: &App, install: &ConnectorInstall) -> Result<(), ErrorBody> {
    let install = install.clone();
    let revoked = app.query(move |node, now| node.binary_revoked(&install, now.unix)).await?;
    revoked.map_or(Ok(()), |why| Err(ErrorBody::new(Code::ConnectorRevoked).because(why)))
}

/// Nothing is installed that could not be started with the configuration and the paths it is given.
//= docs/spec/connectors.md#walls
fn check_config(app: &App, manifest: &Manifest, config: &Value) -> Result<(), ErrorBody> {
    let resolved = manifest.resolve_config(config).map_err(|why| unfit(manifest, why.to_string()))?;
    connectors::check_paths(manifest, &resolved, &app.off_limits()).map_err(|why| {
        let next = "name folders that hold the connector's data and nothing else: `fwc install PACKAGE --config JSON`";
        ErrorBody::new(Code::InputInvalid).because(format!("the configuration: {why}")).next(next)
    })
}

/// A configuration that does not fit the manifest: which fields there are, and how they are given.
//= docs/spec/package.md#installing-again
fn unfit(manifest: &Manifest, why: String) -> ErrorBody {
    let next = match fields(manifest) {
        Some(fields) => {
            let example = quoted(&example(manifest).to_string());
            format!(
                "give it with --config: `fwc install PACKAGE --config {example}`; its fields are {fields}"
            )
        }
        None => "it has no configuration: `fwc install PACKAGE --config '{}'`".into(),
    };
    ErrorBody::new(Code::InputInvalid).because(format!("the configuration: {why}")).next(next)
}

//= docs/spec/package.md#development
fn check(app: &App, source: &PackageSource, wanted: Digest, dev: bool) -> Result<Checked, ErrorBody> {
    let bytes = match source {
        PackageSource::Path { path } => read(Path::new(path))?,
        PackageSource::Upload { bytes } => STANDARD.decode(bytes).map_err(|error| {
            ErrorBody::new(Code::MalformedInput).because(format!("package.bytes: {error}"))
        })?,
    };
    let digest = hash::digest(&bytes);
    if digest != wanted {
        let why = format!("the package has the digest {digest}, not {wanted}");
        return Err(ErrorBody::new(Code::PackageInvalid).because(why));
    }
    let invalid = |why: String| ErrorBody::new(Code::PackageInvalid).because(why);
    let package = Package::inspect(&bytes).map_err(|error| invalid(error.to_string()))?;
    check_manifest(package.manifest()).map_err(|why| ErrorBody::new(Code::ManifestInvalid).because(why))?;
    let code_digest = code_digest(app, &package)?;
    let trusted = app.publishers()?;
    let untrusted =
        |error: UntrustedPackage| ErrorBody::new(Code::PackageUntrusted).because(error.to_string());
    let (verified, dev) = match package.clone().verify(&trusted.keys, trusted.threshold) {
        Ok(verified) => (verified, false),
        Err(error @ UntrustedPackage::BadSignature(_)) => return Err(untrusted(error)),
        Err(_) if dev => {
            let development = package.verify_development(&trusted.development);
            (development.map_err(|error| untrusted(error).next(ENROL))?, true)
        }
        Err(error) => return Err(untrusted(error)),
    };
    let publishers = verified.signers().to_vec();
    Ok(Checked { bytes, digest, package: verified.into_package(), publishers, dev, code_digest })
}

/// What leads to a package of a development publisher.
const ENROL: &str = "`fwc package keygen --dev` makes a development key and enrols it in this home; \
                     `fwc install FILE --dev` signs with it";

/// What runs: the package's own code, or the engine that is part of this release.
fn code_digest(app: &App, package: &Package) -> Result<Digest, ErrorBody> {
    match (package.manifest().connector.runtime, package.code_digest()) {
        (Runtime::Native, Some(digest)) => Ok(digest),
        (Runtime::Native, None) => Err(ErrorBody::new(Code::PackageInvalid).because("it has no code")),
        (Runtime::Declarative, _) => {
            let engine = app.programs().join("fcp-connector-engine");
            let code = std::fs::read(&engine).map_err(|error| {
                let why = format!("the engine of declarative connectors, {}: {error}", engine.display());
                ErrorBody::new(Code::ConnectorUnavailable).because(why)
            })?;
            Ok(hash::digest(&code))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ErrorBody> {
    let failed = |error: std::io::Error| {
        ErrorBody::new(Code::NotFound)
            .because(format!("{}: {error}", path.display()))
            .next("name the file of a package; `fwc package build FOLDER --out FILE` makes one")
    };
    if !path.is_absolute() {
        return Err(ErrorBody::new(Code::InputInvalid).because("package.path must be absolute"));
    }
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() || about.len() > MAX_PACKAGE_BYTES {
        let why = format!("{} is no file of at most {MAX_PACKAGE_BYTES} bytes", path.display());
        return Err(ErrorBody::new(Code::PackageInvalid).because(why));
    }
    std::fs::read(path).map_err(failed)
}

/// Whether there is certainly no record: one whose writing failed may be there at the next start.
fn is_refusal(error: &ErrorBody) -> bool {
    !matches!(
        error.code,
        Code::StoreFailed | Code::StoreFull | Code::StoreCorrupt | Code::Draining | Code::Internal
    )
}

/// Removes what a refused installation brought. What cannot be removed now, the next start removes.
//= docs/spec/package.md#kept-packages
async fn discard(app: &Arc<App>) {
    let recorded = |node: &Node, _| node.catalog().iter().map(|it| it.install.package_digest).collect();
    let Ok(recorded) = app.query(recorded).await else { return };
    let inner = Arc::clone(app);
    let removed = blocking(move || packages::remove_others(&inner.home, &recorded).map_err(not_stored)).await;
    if let Err(error) = removed {
        tracing::warn!(why = error.why, "the package of a refused installation stays until the next start");
    }
}

fn not_stored(error: HomeError) -> ErrorBody {
    ErrorBody::new(error.code()).because(error.to_string())
}
