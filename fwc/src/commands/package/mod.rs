//! `package`: connector packages, built, tried, signed and looked into on this machine alone.

mod cases;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fcp_api::shell::quoted;
use fcp_api::types::Source;
use fcp_proto_core::crypto::role::Publisher;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::package::{
    MAX_CODE_BYTES, MAX_HEAD_BYTES, Package as Parsed, PackageError, UntrustedPackage, digest,
};
use serde_json::{Value, json};

use crate::context::Context;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, development, file_failure, key_file, usage};

/// Packages.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Package {
    /// Builds a package from a folder with manifest.toml and cases.toml
    Build(Build),
    /// Runs the cases of a folder against a double of the service, without network
    Test(Test),
    /// Adds a publisher's signature to a package
    Sign(Sign),
    /// Shows what a package holds
    Inspect(Inspect),
    /// Checks that trusted publishers signed a package
    Verify(Verify),
    /// Makes a publisher's key
    Keygen(Keygen),
}

/// Builds a package.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc package build my-connector --out my-connector.fcp\n  \
    fwc package build sqlite --code target/release/fcp-connector-sqlite --platform x86_64-linux --out sqlite.fcp")]
pub(crate) struct Build {
    /// The folder
    pub(crate) folder: PathBuf,
    /// The package to write; an existing one is not overwritten
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// Replaces the package if there is one
    #[arg(long)]
    pub(crate) force: bool,
    /// The executable of a native connector
    #[arg(long, value_name = "PATH", requires = "platform")]
    pub(crate) code: Option<PathBuf>,
    /// What the executable runs on, such as x86_64-linux
    #[arg(long, requires = "code")]
    pub(crate) platform: Option<String>,
}

/// Runs cases.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc package test my-connector\n  \
    fwc package test my-native --code target/release/my-native")]
pub(crate) struct Test {
    /// The folder with manifest.toml and cases.toml
    pub(crate) folder: PathBuf,
    /// The executable of a native connector; it runs without its sandbox
    #[arg(long, value_name = "PATH")]
    pub(crate) code: Option<PathBuf>,
}

/// Signs a package.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc package sign my-connector.fcp --key publisher.key")]
pub(crate) struct Sign {
    /// The package, which is replaced by the signed one
    pub(crate) package: PathBuf,
    /// The publisher's key file
    #[arg(long, value_name = "PATH")]
    pub(crate) key: PathBuf,
}

/// Looks into a package.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc package inspect my-connector.fcp")]
pub(crate) struct Inspect {
    /// The package
    pub(crate) package: PathBuf,
}

/// Verifies a package.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc package verify my-connector.fcp --trust PUBLICKEY\n  \
    fwc package verify my-connector.fcp --trust KEY1 --trust KEY2 --threshold 2")]
pub(crate) struct Verify {
    /// The package
    pub(crate) package: PathBuf,
    /// A trusted publisher's public key, 64 hexadecimal digits
    #[arg(long, value_name = "KEY", required = true)]
    pub(crate) trust: Vec<String>,
    /// How many of them must have signed
    #[arg(long, default_value_t = 1)]
    pub(crate) threshold: usize,
}

/// Makes a key.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc package keygen publisher.key\n  fwc package keygen --dev")]
pub(crate) struct Keygen {
    /// The key file to write; an existing one is not overwritten
    #[arg(required_unless_present = "dev", conflicts_with = "dev")]
    pub(crate) out: Option<PathBuf>,
    /// Makes the home's development key instead, if it has none, and enrols it for `fwc install --dev`
    #[arg(long)]
    pub(crate) dev: bool,
}

impl Package {
    /// Whether it changes whose packages the home takes.
    pub(crate) const fn is_for_the_owner(&self) -> bool {
        matches!(self, Self::Keygen(Keygen { dev: true, .. }))
    }
}

/// `fwc package`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) fn run(command: Package, context: &Context) -> Result<Outcome> {
    match command {
        Package::Build(args) => build(&args),
        Package::Test(args) => cases::test(&args),
        Package::Sign(args) => sign(&args),
        Package::Inspect(args) => {
            let (bytes, package) = read_package(&args.package)?;
            Ok(Answer::local(&describe(&package, &bytes)?, Source::Offline)?.into())
        }
        Package::Verify(args) => verify(&args),
        Package::Keygen(Keygen { out: Some(out), .. }) => keygen(&out),
        Package::Keygen(Keygen { out: None, .. }) => {
            //= docs/spec/package.md#development
            context.refuse_agents("say whose packages a home takes")?;
            Ok(Answer::local(&development::enrol(&context.home)?, Source::Offline)?.into())
        }
    }
}

/// Reads a package file and checks all but its signatures.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_package(path: &Path) -> Result<(Vec<u8>, Parsed)> {
    let bytes = crate::read_file(path, MAX_HEAD_BYTES + MAX_CODE_BYTES + 64)?;
    let package = Parsed::inspect(&bytes).map_err(|error| invalid(path, &error))?;
    Ok((bytes, package))
}

fn keygen(out: &Path) -> Result<Outcome> {
    let key = key_file::generate::<Publisher>()?;
    key_file::store(out, &key)?;
    let body = json!({
        "key_file": out.display().to_string(),
        "public_key": key.verifying_key().to_string(),
        "key_id": key.key_id().to_string(),
    });
    Ok(Answer::local(&body, Source::Offline)?.into())
}

fn build(args: &Build) -> Result<Outcome> {
    let read = |name: &str| crate::read_file(&args.folder.join(name), MAX_HEAD_BYTES);
    let manifest = read("manifest.toml")?;
    // A link that leads nowhere is not taken for a folder without cases.
    let has_cases = args.folder.join("cases.toml").symlink_metadata().is_ok();
    let cases = if has_cases { read("cases.toml")? } else { Vec::new() };
    let code = match (&args.platform, &args.code) {
        (Some(platform), Some(path)) => Some((platform.as_str(), crate::read_file(path, MAX_CODE_BYTES)?)),
        (None, _) | (_, None) => None,
    };
    let package = Parsed::build(&manifest, &cases, code).map_err(|error| invalid(&args.folder, &error))?;
    let bytes = package.to_bytes().map_err(|error| invalid(&args.folder, &error))?;
    write(&args.out, &bytes, args.force)?;
    let tested = format!("fwc package test {}", quoted(&args.folder.display().to_string()));
    let answer = Answer::local(&describe(&package, &bytes)?, Source::Offline)?;
    Ok(match package.cases() {
        Some(cases) if !cases.cases.is_empty() => answer.note("its cases were read and not run").next(tested),
        Some(_) | None => answer
            .note("it has no cases: nothing tries what it says of itself until its folder has a cases.toml"),
    }
    .into())
}

/// Writes a package: a new file, or in the place of the one that is there, in one step.
fn write(out: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let failed = |error: std::io::Error| {
        let failure = file_failure("write", out, &error);
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return failure;
        }
        failure
            .because(format!("{} is there already, and is not overwritten", out.display()))
            .next("name another file with `fwc package build FOLDER --out PATH`, or add --force")
    };
    if force {
        return replace(out, bytes).map_err(failed);
    }
    save(out, bytes).map_err(failed)
}

/// Writes a new file, durable when this returns.
fn save(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all())
}

/// Puts a file in the place of the one that is there, in one step. What one that was killed left beside it is removed: its
/// name is always the same.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    save(&beside, bytes).and_then(|()| std::fs::rename(&beside, path))
}

/// Replaces the package by the signed one in one step, so that a crash leaves one or the other.
fn sign(args: &Sign) -> Result<Outcome> {
    let (_, mut package) = read_package(&args.package)?;
    let key = key_file::load::<Publisher>(&args.key)?;
    package.sign(&key).map_err(|error| invalid(&args.package, &error))?;
    let bytes = package.to_bytes().map_err(|error| invalid(&args.package, &error))?;
    replace(&args.package, &bytes).map_err(|error| file_failure("write", &args.package, &error))?;
    Ok(Answer::local(&describe(&package, &bytes)?, Source::Offline)?.into())
}

fn verify(args: &Verify) -> Result<Outcome> {
    let (bytes, package) = read_package(&args.package)?;
    let trusted: Vec<VerifyingKey<Publisher>> =
        args.trust.iter().map(|text| public_key(text)).collect::<Result<_>>()?;
    let mut body = describe(&package, &bytes)?;
    let verified =
        package.verify(&trusted, args.threshold).map_err(|error| untrusted(&args.package, &error))?;
    let signers: Vec<_> = verified.signers().iter().map(ToString::to_string).collect();
    body["verified_signers"] = json!(signers);
    Ok(Answer::local(&body, Source::Offline)?.into())
}

fn public_key(text: &str) -> Result<VerifyingKey<Publisher>> {
    text.parse().map_err(|error| usage(format!("--trust {text}: {error}")))
}

fn describe(package: &Parsed, bytes: &[u8]) -> Result<Value> {
    let manifest = package.manifest();
    let signatures: Vec<_> = package.head().signatures.iter().map(|s| s.kid.to_string()).collect();
    let operations: Vec<_> = manifest.operations.keys().map(ToString::to_string).collect();
    Ok(json!({
        "connector": manifest.connector.id.to_string(),
        "name": manifest.connector.name,
        "version": manifest.connector.version,
        "description": manifest.connector.description,
        "runtime": manifest.connector.runtime.as_str(),
        "home_zone": manifest.zones.home.to_string(),
        "operations": operations,
        "cases": package.cases().map(|cases| cases.cases.len()),
        "package_digest": digest(bytes).to_string(),
        "package_bytes": bytes.len(),
        "interface_hash": manifest.interface_hash().to_string(),
        "code_digest": package.code_digest().map(|digest| digest.to_string()),
        "platform": package.head().unsigned.platform,
        "signatures_unverified": signatures,
    }))
}

fn invalid(path: &Path, error: &PackageError) -> Failure {
    let code = match error {
        PackageError::Manifest(_) | PackageError::Cases(_) => Code::ManifestInvalid,
        PackageError::HeadTooLarge | PackageError::CodeTooLarge => Code::InputTooLarge,
        PackageError::NotAPackage
        | PackageError::Truncated
        | PackageError::TrailingBytes
        | PackageError::Head(_)
        | PackageError::DigestMismatch
        | PackageError::RuntimeMismatch
        | PackageError::SignatureOrder => Code::PackageInvalid,
    };
    Failure::new(code).because(format!("{}: {error}", path.display()))
}

/// The failure of a package that nobody trusted signed as it is.
pub(crate) fn untrusted(path: &Path, error: &UntrustedPackage) -> Failure {
    let failure = Failure::new(Code::PackageUntrusted).because(format!("{}: {error}", path.display()));
    match error {
        UntrustedPackage::BadSignature(_) => {
            failure.next("it was changed after it was signed: get the package again, then `fwc install FILE`")
        }
        UntrustedPackage::NoThreshold
        | UntrustedPackage::PublisherDidNotSign(_)
        | UntrustedPackage::TooFew { .. } => failure,
    }
}
