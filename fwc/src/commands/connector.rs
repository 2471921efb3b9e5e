//! `install`, `uninstall`, `enable`, `disable`: connectors of this home.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use fcp_api::client::Target;
use fcp_api::routes::{DisableConnector, EnableConnector, InstallConnector, RemoveConnector};
use fcp_api::shell::quoted;
use fcp_api::types::{self, PackageSource, SetState};
use fcp_proto_core::encoding::json;
use fcp_proto_core::ids::{ConnectorId, ZoneId};
use fcp_proto_core::limits::MAX_INPUT_BYTES;
use fcp_proto_core::manifest::package;
use serde_json::Value;

use super::package::{read_package, untrusted};
use crate::context::Context;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, development, file_failure, internal, private_file, usage};

/// Installs a connector.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc install github.fcp --zone z:work\n  fwc install ./mine.fcp --dev\n  \
    fwc install sqlite.fcp --zone z:work --config '{\"database\":\"/home/me/notes.db\"}'"
)]
pub(crate) struct Install {
    /// The package
    pub(crate) package: PathBuf,
    /// A zone to bind it to, and to no others; without it those that it has, or the manifest's home zone
    #[arg(long)]
    pub(crate) zone: Vec<ZoneId>,
    /// Its whole configuration as JSON; without it the one that it has
    #[arg(long, value_name = "JSON", conflicts_with = "config_file")]
    pub(crate) config: Option<String>,
    /// A file that holds its configuration as JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) config_file: Option<PathBuf>,
    /// Signs it with the home's development key, which `fwc package keygen --dev` makes; shown in `fwc status`
    #[arg(long)]
    pub(crate) dev: bool,
    /// Lets calls reach it if it was disabled; it stays disabled otherwise
    #[arg(long)]
    pub(crate) enable: bool,
}

/// Removes a connector.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc uninstall github --reason 'not used'")]
pub(crate) struct Uninstall {
    /// The connector
    pub(crate) connector: ConnectorId,
    /// For the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Enables a connector.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc enable github")]
pub(crate) struct Enable {
    /// The connector
    pub(crate) connector: ConnectorId,
    /// For the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Disables a connector.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc disable github --reason 'odd traffic'")]
pub(crate) struct Disable {
    /// The connector
    pub(crate) connector: ConnectorId,
    /// For the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// `fwc install`: looks at the package here, and has the daemon refuse any other.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn install(args: Install, context: &mut Context) -> Result<Outcome> {
    let (bytes, mut package) = read_package(&args.package)?;
    let zones = (!args.zone.is_empty()).then(|| args.zone.clone());
    if args.dev {
        development::check_unchanged(&context.home, &package)
            .map_err(|error| untrusted(&args.package, &error))?;
    }
    let signed = args.dev && development::sign(&context.home, &mut package)?;
    let bytes =
        if signed { package.to_bytes().map_err(|error| internal(&error.to_string()))? } else { bytes };
    // It goes with this function, whatever becomes of the request.
    let copy = signed.then(|| Copy::make(context, &bytes)).transpose()?;
    let file = copy.as_ref().map_or(&args.package, |copy| &copy.0);
    let source = match context.client()?.target() {
        Target::Unix(_) => PackageSource::Path { path: absolute(file)? },
        Target::Tcp { .. } => PackageSource::Upload { bytes: BASE64_STANDARD.encode(&bytes) },
    };
    let request = types::Install {
        package: source,
        package_digest: package::digest(&bytes),
        zones,
        config: config(&args)?,
        dev: args.dev,
    };
    let client = context.as_operator().await?;
    let sent = client.send::<InstallConnector>(&[], &request).await;
    let mut reply = sent.map_err(|failure| with_package(failure, &args))?;
    let kept = kept(&reply.body);
    let summary = &mut reply.body.connector.connector;
    let id = summary.id.clone();
    if args.enable && !summary.enabled {
        let reason = Some("installed with --enable".to_owned());
        client.send::<EnableConnector>(&[id.as_str()], &SetState { reason }).await?;
        summary.enabled = true;
    }
    let disabled = !summary.enabled;
    let answer = kept.into_iter().fold(Answer::of(reply)?, Answer::note);
    Ok(if disabled {
        answer.note("it was disabled before and still is").next(format!("fwc enable {id}")).into()
    } else {
        answer.into()
    })
}

/// What an installation took over from the one before.
fn kept(installed: &types::Installed) -> Option<&'static str> {
    match (installed.zones_kept, installed.config_kept) {
        (true, true) => Some("it keeps its zones and its configuration: --zone and --config give others"),
        (true, false) => Some("it keeps its zones: --zone gives others"),
        (false, true) => Some("it keeps its configuration: --config gives another"),
        (false, false) => None,
    }
}

/// The failure with this package, its zones and the trust in it in the command that leads on.
fn with_package(failure: Failure, args: &Install) -> Failure {
    let mut package = quoted(&args.package.display().to_string());
    package.extend(args.zone.iter().map(|zone| format!(" --zone {zone}")));
    if args.dev {
        package.push_str(" --dev");
    }
    let next = failure.next.replace("fwc install PACKAGE", &format!("fwc install {package}"));
    failure.next(next)
}

/// `fwc uninstall`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn uninstall(args: Uninstall, context: &mut Context) -> Result<Outcome> {
    let (path, request) = ([args.connector.as_str()], SetState { reason: args.reason });
    Ok(Answer::of(context.as_operator().await?.send::<RemoveConnector>(&path, &request).await?)?.into())
}

/// `fwc enable`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn enable(args: Enable, context: &mut Context) -> Result<Outcome> {
    let (path, request) = ([args.connector.as_str()], SetState { reason: args.reason });
    Ok(Answer::of(context.as_operator().await?.send::<EnableConnector>(&path, &request).await?)?.into())
}

/// `fwc disable`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn disable(args: Disable, context: &mut Context) -> Result<Outcome> {
    let (path, request) = ([args.connector.as_str()], SetState { reason: args.reason });
    Ok(Answer::of(context.as_operator().await?.send::<DisableConnector>(&path, &request).await?)?.into())
}

/// A signed copy of a package, for the daemon alone to read; removed when it is dropped.
struct Copy(PathBuf);

impl Copy {
    fn make(context: &Context, bytes: &[u8]) -> Result<Self> {
        let path = context.home.run().join(format!("signed-{}.fcp", std::process::id()));
        // What a killed process of this number left is nobody's any more; if it stays, the next line says so.
        std::fs::remove_file(&path).ok();
        private_file::create(&path, bytes)?;
        Ok(Self(path))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be removed is in a folder of the daemon's, and holds nothing that the package does not.
        std::fs::remove_file(&self.0).ok();
    }
}

fn config(args: &Install) -> Result<Value> {
    let bytes = match (&args.config, &args.config_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => crate::read_file(path, MAX_INPUT_BYTES)?,
        (None, None) => return Ok(Value::Null),
    };
    let config = json::parse(&bytes, MAX_INPUT_BYTES);
    config
        .map(Value::from)
        .map_err(|error| Failure::new(error.code()).because(format!("the configuration: {error}")))
}

fn absolute(path: &Path) -> Result<String> {
    let full = std::fs::canonicalize(path).map_err(|error| file_failure("find", path, &error))?;
    let text = full.into_os_string().into_string();
    text.map_err(|_| usage(format!("{} is not a UTF-8 path", path.display())))
}
