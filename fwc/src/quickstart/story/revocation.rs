//! A revocation: the call that went a moment ago is refused, in the same session.

use fcp_api::types::{InvokeAnswer, Revoked};
use fcp_proto_core::error::Code;

use super::Stage;
use crate::{Result, internal};

/// Reads, has the grant revoked, and is refused the same read.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let grant = stage.query_grant.ok_or_else(|| internal("there is no grant to revoke"))?.to_string();
    let words = ["invoke", "sqlite.query", "--input", "{\"sql\":\"SELECT count(*) FROM notes\"}"];
    let before: InvokeAnswer = stage.act(&words).await?;
    stage.check("whether a stored receipt answered", &false, &before.replayed)?;
    let revoked: Revoked =
        stage.operate(&["revoke", "Capability", &grant, "--reason", "the quickstart shows it"]).await?;
    let failure = stage.act_refused(&words, Code::GrantRevoked).await?;
    let failure = failure.code;
    Ok(format!("read, revoked by {}, then refused: {failure} {}", revoked.revocation_id, failure.meaning()))
}
