//! The commands by which an operator installs a connector again from the package that is kept.

use std::path::Path;

use fcp_proto_core::manifest::{ConfigType, Manifest};
use fcp_proto_core::object::ConnectorInstall;
use serde_json::{Map, Value, json};

/// Installs exactly what is installed, with the engine that is there now: the package is kept, and its publishers are
/// trusted still or it is refused.
pub(crate) fn accept_engine(packages: &Path, install: &ConnectorInstall) -> String {
    let config = (install.config != "{}").then(|| single_quoted(&install.config));
    command(packages, install, config.as_deref())
}

/// Installs what is installed with another configuration, and says which fields that has; none if it has none.
pub(crate) fn reconfigure(
    packages: &Path,
    install: &ConnectorInstall,
    manifest: &Manifest,
) -> Option<String> {
    let fields = fields(manifest)?;
    let command = command(packages, install, Some("JSON"));
    Some(format!("`{command}` gives it another configuration, with {fields}"))
}

/// The fields of a connector's configuration, in words; none if it has none.
pub(crate) fn fields(manifest: &Manifest) -> Option<String> {
    let each = manifest.config.iter().map(|(name, field)| {
        let must = if field.default.is_none() { ", required" } else { "" };
        format!("{name} ({}{must})", field.kind)
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// A configuration with what a connector requires of it; whoever copies it puts the values in.
pub(crate) fn example(manifest: &Manifest) -> Value {
    let required = manifest.config.iter().filter(|(_, field)| field.default.is_none());
    required.map(|(name, field)| (name.clone(), sample(field.kind))).collect::<Map<_, _>>().into()
}

fn sample(kind: ConfigType) -> Value {
    match kind {
        ConfigType::Text => json!("TEXT"),
        ConfigType::Url => json!("https://HOST"),
        ConfigType::Path => json!("/PATH"),
        ConfigType::PathList => json!(["/PATH"]),
        ConfigType::TextList => json!(["TEXT"]),
        ConfigType::Integer => json!(1),
        ConfigType::Boolean => json!(true),
    }
}

fn command(packages: &Path, install: &ConnectorInstall, config: Option<&str>) -> String {
    let package = packages.join(install.package_digest.to_string()).display().to_string();
    let mut command = format!("fwc install {}", single_quoted(&package));
    for zone in &install.zones {
        command.push_str(&format!(" --zone {zone}"));
    }
    if let Some(config) = config {
        command.push_str(&format!(" --config {config}"));
    }
    if install.dev {
        command.push_str(" --dev");
    }
    command
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
