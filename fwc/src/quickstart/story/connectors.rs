//! The connectors: packaged, signed with a publisher's key made for this home, and installed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fcp_api::types::{ExceptionView, Installed};
use serde_json::{Value, json};

use super::Stage;
use super::stage::ZONE;
use crate::commands::up;
use crate::{Result, file_failure, internal, private_file};

/// The connectors that are bundled: what is data travels in this program.
const GITHUB: [(&str, &str); 2] = [
    ("manifest.toml", include_str!("../../../../connectors/github/manifest.toml")),
    ("cases.toml", include_str!("../../../../connectors/github/cases.toml")),
];
const SQLITE: [(&str, &str); 1] =
    [("manifest.toml", include_str!("../../../../connectors/sqlite/manifest.toml"))];

/// A table `notes` with two rows, made with SQLite 3.
const DATABASE: &[u8] = include_bytes!("../notes.db");

/// Builds, signs and installs both; lets `github` reach the service, which no connector may reach otherwise.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    private_file::create(&stage.place.database(), DATABASE)?;
    let key = text(&stage.place.publisher_key());
    let made: Value = stage.operate(&["package", "keygen", &key]).await?;
    trust(stage, &made)?;

    let code = text(&up::find_program("fcp-connector-sqlite")?);
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let github = package(stage, "github", &GITHUB, &[]).await?;
    let sqlite = package(stage, "sqlite", &SQLITE, &["--code", &code, "--platform", &platform]).await?;

    let config = json!({ "base_url": stage.service()?.base_url() });
    install(stage, "github", &github, &config).await?;
    let config = json!({ "database": text(&stage.place.database()) });
    install(stage, "sqlite", &sqlite, &config).await?;
    open_the_wall(stage).await?;
    Ok(format!("both in {ZONE}; only `github` may reach the service, by the owner's recorded exception"))
}

/// Trusts the publisher's key in this home.
fn trust(stage: &Stage, key: &Value) -> Result<()> {
    let key = key["public_key"].as_str().ok_or_else(|| internal("the key has no public part"))?;
    let line = format!("# the publisher of the quickstart\n{key}\n");
    private_file::create(&stage.place.publishers(), line.as_bytes())
}

/// Writes the sources out, builds the package and signs it.
async fn package(
    stage: &mut Stage,
    connector: &str,
    sources: &[(&str, &str)],
    code: &[&str],
) -> Result<String> {
    let folder = stage.place.packages().join(connector);
    private_file::create_folder(&folder)?;
    for (name, content) in sources {
        private_file::create(&folder.join(name), content.as_bytes())?;
    }
    let (folder, out) = (text(&folder), text(&stage.place.packages().join(format!("{connector}.fcp"))));
    let words: Vec<&str> = ["package", "build", &folder, "--out", &out].iter().chain(code).copied().collect();
    stage.operate::<Value>(&words).await?;
    let key = text(&stage.place.publisher_key());
    let signed: Value = stage.operate(&["package", "sign", &out, "--key", &key]).await?;
    let signatures = signed["signatures_unverified"].as_array().map_or(0, Vec::len);
    stage.check(&format!("signatures on the package of `{connector}`"), &1, &signatures)?;
    // A package is for others; what lies in a home is for its owner alone.
    std::fs::set_permissions(&out, Permissions::from_mode(0o600))
        .map_err(|error| file_failure("protect", Path::new(&out), &error))?;
    Ok(out)
}

async fn install(stage: &mut Stage, connector: &str, package: &str, config: &Value) -> Result<()> {
    let config = config.to_string();
    let words = ["install", package, "--zone", ZONE, "--config", &config];
    let installed: Installed = stage.operate(&words).await?;
    let summary = &installed.connector.connector;
    stage.check("the installed connector", &connector, &summary.id.as_str())?;
    stage.check(
        "whether it can be called, and whether nobody trusted signed it",
        &(true, false),
        &(summary.enabled, summary.dev),
    )?;
    stage.check("trusted publishers that signed it", &1, &installed.connector.publishers.len())
}

async fn open_the_wall(stage: &mut Stage) -> Result<()> {
    let service = stage.service()?;
    let (host, port) = (service.host(), service.port().to_string());
    let network = format!("{host}/32");
    let authority = text(&stage.place.authority());
    let words = [
        "exception",
        "egress",
        "github",
        "--to-host",
        &host,
        "--network",
        &network,
        "--port",
        &port,
        "--ca-file",
        &authority,
        "--reason",
        "the service of the quickstart",
        "--for",
        "1h",
    ];
    let made: ExceptionView = stage.operate(&words).await?;
    stage.check("whether the exception was withdrawn", &false, &made.removed)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
