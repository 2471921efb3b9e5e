//! The connectors: packaged, signed with a publisher's key made for this home, and installed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fcp_api::types::{ConnectorList, ExceptionView, Installed};
use serde_json::{Value, json};

use super::Stage;
use super::stage::ZONE;
use crate::commands::up;
use crate::{Result, file_failure, internal, private_file};

/// A connector that is bundled. What is data travels in this program.
struct Bundled {
    id: &'static str,
    sources: &'static [(&'static str, &'static str)],
    /// The program of one that is not data.
    program: Option<&'static str>,
}

/// A file of a bundled connector.
macro_rules! source {
    ($connector:literal, $file:literal) => {
        ($file, include_str!(concat!("../../../../connectors/", $connector, "/", $file)))
    };
}

/// All of them: the two that the story is about first, one of each kind.
const BUNDLED: [Bundled; 5] = [
    Bundled {
        id: GITHUB,
        sources: &[source!("github", "manifest.toml"), source!("github", "cases.toml")],
        program: None,
    },
    Bundled {
        id: "sqlite",
        sources: &[source!("sqlite", "manifest.toml")],
        program: Some("fcp-connector-sqlite"),
    },
    Bundled {
        id: "filesystem",
        sources: &[source!("filesystem", "manifest.toml")],
        program: Some("fcp-connector-filesystem"),
    },
    Bundled {
        id: "notion",
        sources: &[source!("notion", "manifest.toml"), source!("notion", "cases.toml")],
        program: None,
    },
    Bundled {
        id: "slack",
        sources: &[source!("slack", "manifest.toml"), source!("slack", "cases.toml")],
        program: None,
    },
];

/// The connector that talks to the service.
const GITHUB: &str = "github";

/// A table `notes` with two rows, made with SQLite 3.
const DATABASE: &[u8] = include_bytes!("../notes.db");

/// A file for the connector `filesystem`.
pub(super) const WELCOME: &str = "An agent reads this because the owner approved its folder.\n";

/// Builds, signs and installs all; lets `github` reach the service, which no connector may reach otherwise.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    private_file::create(&stage.place.database(), DATABASE)?;
    private_file::create(&stage.place.welcome(), WELCOME.as_bytes())?;
    let key = text(&stage.place.publisher_key());
    let made: Value = stage.operate(&["package", "keygen", &key]).await?;
    trust(stage, &made)?;
    for connector in &BUNDLED {
        let package = package(stage, connector).await?;
        let config = config(stage, connector.id)?;
        install(stage, connector.id, &package, &config).await?;
        if connector.id == GITHUB {
            open_the_wall(stage).await?;
        }
    }
    let listed: ConnectorList = stage.operate(&["list"]).await?;
    stage.check("connectors of the home", &BUNDLED.len(), &listed.connectors.len())?;
    let names = BUNDLED.map(|connector| connector.id).join(", ");
    Ok(format!("{names} in {ZONE}; only `{GITHUB}` may reach the service, by the owner's recorded exception"))
}

/// What the owner lets a connector have: one service, one database, one folder. The others have their vendors' services
/// and no credential.
fn config(stage: &Stage, connector: &str) -> Result<Value> {
    Ok(match connector {
        GITHUB => json!({ "base_url": stage.service()?.base_url() }),
        "sqlite" => json!({ "database": text(&stage.place.database()) }),
        "filesystem" => json!({ "read_only_roots": [text(&stage.place.files())] }),
        _ => json!({}),
    })
}

/// Trusts the publisher's key in this home.
fn trust(stage: &Stage, key: &Value) -> Result<()> {
    let key = key["public_key"].as_str().ok_or_else(|| internal("the key has no public part"))?;
    let line = format!("# the publisher of the quickstart\n{key}\n");
    private_file::create(&stage.place.home().publishers(), line.as_bytes())
}

/// Writes the sources out, builds the package and signs it.
async fn package(stage: &mut Stage, connector: &Bundled) -> Result<String> {
    let Bundled { id, sources, program } = connector;
    let folder = stage.place.packages().join(id);
    private_file::create_folder(&folder)?;
    for (name, content) in *sources {
        private_file::create(&folder.join(name), content.as_bytes())?;
    }
    let (folder, out) = (text(&folder), text(&stage.place.packages().join(format!("{id}.fcp"))));
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let code = program.map(up::find_program).transpose()?.map(|path| text(&path));
    let mut words = vec!["package", "build", &folder, "--out", &out];
    if let Some(code) = &code {
        words.extend(["--code", code, "--platform", &platform]);
    }
    stage.operate::<Value>(&words).await?;
    let key = text(&stage.place.publisher_key());
    let signed: Value = stage.operate(&["package", "sign", &out, "--key", &key]).await?;
    let signatures = signed["signatures_unverified"].as_array().map_or(0, Vec::len);
    stage.check(&format!("signatures on the package of `{id}`"), &1, &signatures)?;
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
        GITHUB,
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
