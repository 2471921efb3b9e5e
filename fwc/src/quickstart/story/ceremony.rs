//! The ceremony: the owner's key is made, and the first operator's, this node's, and the zones.

use fcp_api::routes::{BeginCeremony, ConfirmCeremony};
use fcp_api::types::{self, KeySourceRequest};
use fcp_proto_core::ids::{NodeId, PrincipalId};
use zeroize::Zeroizing;

use super::Stage;
use crate::commands::up;
use crate::quickstart::stop::Daemon;
use crate::{Result, internal};

/// How long the node may take to serve once its owner is made.
const WAIT: std::time::Duration = std::time::Duration::from_secs(20);

/// Begins, and confirms with the words that the daemon asks for.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let invalid = |error: fcp_proto_core::ids::IdError| internal(&error.to_string());
    let request = types::BeginCeremony {
        operator: PrincipalId::new("owner").map_err(invalid)?,
        key_source: KeySourceRequest::Passphrase { passphrase: stage.owner.passphrase()? },
        node: Some(NodeId::new("quickstart").map_err(invalid)?),
    };
    let begun = stage.owner.client()?.send::<BeginCeremony>(&[], &request).await?.body;
    let words = begun.phrase.expose().split(' ').count();
    stage.check("words of the owner's phrase", &24, &words)?;
    let request = types::ConfirmCeremony { ceremony_id: begun.ceremony_id, words: up::words_of(&begun)? };
    let done = stage.owner.client()?.send::<ConfirmCeremony>(&[], &request).await?.body;
    let health =
        up::wait_until_healthy(&mut stage.owner, stage.daemon.as_mut().map(Daemon::child), WAIT).await?;
    let problems: Vec<&str> = health.problems.iter().map(|problem| problem.message.as_str()).collect();
    let problems = problems.join("; ");
    stage.check("the daemon's problems", &"", &problems.as_str())?;
    let zones: Vec<&str> = done.zones.iter().map(|zone| zone.as_str()).collect();
    stage.check("zones", &5, &zones.len())?;
    stage.aside = Some(aside(begun.phrase.expose(), &stage.place.passphrase().display().to_string()));
    Ok(format!("owner key {}, zones {}", done.owner_key, zones.join(" ")))
}

/// The phrase for a person's eyes, once.
fn aside(phrase: &str, passphrase: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from(
        "      These 24 words restore the owner's key. They are shown once; for a home of your own, write them down:\n",
    ));
    for (index, word) in phrase.split(' ').enumerate() {
        let (start, end) =
            (if index % 6 == 0 { "      " } else { "" }, if index % 6 == 5 { "\n" } else { " " });
        text.push_str(start);
        text.push_str(word);
        text.push_str(end);
    }
    text.push_str(
        "      The operator's passphrase was made for this demonstration alone and lies in\n      ",
    );
    text.push_str(passphrase);
    text.push('\n');
    text
}
