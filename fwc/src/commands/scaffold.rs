//! `new`, `completions`: what begins a connector, and what helps a shell.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;
use fcp_api::types::Source;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ConnectorId;
use serde_json::json;

use crate::render::{Answer, Outcome};
use crate::{Failure, Result, cli, file_failure};

/// The manifest of a new connector, with `@ID@` for its id and `@HOST@` for its host.
const MANIFEST: &str = include_str!("scaffold/manifest.toml");

/// The cases of a new connector.
const CASES: &str = include_str!("scaffold/cases.toml");

/// Begins a connector.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc new weather --api-host api.weather.example\n  \
    fwc package test weather && fwc package build weather --out weather.fcp && fwc package keygen --dev && fwc install weather.fcp --dev")]
pub(crate) struct New {
    /// The connector's id, which is the folder's name too
    pub(crate) connector: ConnectorId,
    /// The host of the service
    #[arg(long = "api-host", default_value = "api.example.com", value_name = "HOST")]
    pub(crate) api_host: String,
    /// Where to make the folder
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// Writes a completion script.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc completions bash > ~/.local/share/bash-completion/completions/fwc\n  fwc completions zsh > ~/.zfunc/_fwc"
)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// `fwc new`.
///
/// # Errors
/// [`Code::InvalidName`] for an id that cannot begin an operation; [`Code::Conflict`] if the folder exists.
pub(crate) fn new(args: New) -> Result<Outcome> {
    let id = args.connector.as_str();
    let manifest = MANIFEST.replace("@ID@", id).replace("@HOST@", &args.api_host);
    let cases = CASES.replace("@ID@", id).replace("@HOST@", &args.api_host);
    fcp_proto_core::manifest::package::Package::build(manifest.as_bytes(), cases.as_bytes(), None).map_err(
        |error| {
            Failure::new(Code::InvalidName)
                .because(format!("no connector can be made of these names: {error}"))
                .next("choose an id of letters, digits and `_`, and a host name such as api.example.com")
        },
    )?;
    let folder = args.folder.join(id);
    std::fs::create_dir(&folder).map_err(|error| file_failure("make the folder", &folder, &error))?;
    let files = [write(&folder, "manifest.toml", &manifest)?, write(&folder, "cases.toml", &cases)?];
    let shown = folder.display();
    let body = json!({
        "connector": id,
        "files": files,
        "next": format!("edit them, then `fwc package test {shown}` and `fwc package build {shown} --out {id}.fcp`"),
    });
    Ok(Answer::local(&body, Source::Offline)?.into())
}

/// `fwc completions`.
///
/// # Errors
/// None in practice: the script is text.
pub(crate) fn completions(args: Completions) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "fwc", &mut script);
    let script = String::from_utf8(script).map_err(|error| crate::internal(&error.to_string()))?;
    Ok(Outcome::Text(script))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path = folder.join(name);
    let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| file_failure("write", &path, &error))?;
    Ok(path.display().to_string())
}
