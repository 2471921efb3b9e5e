//! `home.toml`: the format of the home and whose it is.

use std::path::Path;

use fcp_proto_core::encoding::named;
use fcp_proto_core::ids::{KeyId, NodeId, PrincipalId};
use fcp_state_machines::trust::ceremony::HomeFacts;
use serde::Deserialize;

use super::HomeError;

/// The version of a home's format.
const VERSION: u64 = 1;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HomeFile {
    version: u64,
    home_id: String,
    node: NodeId,
    operator: PrincipalId,
    owner_key: KeyId,
}

/// The version alone, which every later format keeps.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// The text of the file.
pub(super) fn render(facts: &HomeFacts) -> String {
    let hex = fcp_proto_core::ids::Digest::from_bytes(facts.home_id);
    format!(
        "# Written once, by the ceremony. Do not change it.\n\
         version = {VERSION}\nhome_id = \"{hex}\"\nnode = \"{}\"\noperator = \"{}\"\nowner_key = \"{}\"\n",
        facts.node, facts.operator, facts.owner_key
    )
}

/// Reads the text.
//= docs/spec/home.md#hometoml
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<HomeFacts, HomeError> {
    let damaged = |reason: String| HomeError::Damaged { file: path.to_owned(), reason };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("not UTF-8".into()))?;
    let reason = |error: toml::de::Error| damaged(error.message().into());
    let Versioned { version } = read(text).map_err(reason)?;
    if version > VERSION {
        return Err(HomeError::TooNew { file: path.to_owned(), version });
    }
    let file: HomeFile = read(text).map_err(reason)?;
    if file.version != VERSION {
        return Err(damaged(format!("there is no format version {}", file.version)));
    }
    let home_id = unhex(&file.home_id).ok_or_else(|| damaged("`home_id` is 64 hexadecimal digits".into()))?;
    Ok(HomeFacts { home_id, node: file.node, operator: file.operator, owner_key: file.owner_key })
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, toml::de::Error> {
    toml::Deserializer::parse(text).and_then(named::read)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    // A digest is spelled the same way.
    text.parse::<fcp_proto_core::ids::Digest>().ok().map(|digest| *digest.as_bytes())
}
