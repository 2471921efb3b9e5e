//! A call in another zone than that of the agent's grant.

use fcp_proto_core::error::Code;

use super::Stage;
use crate::Result;

/// Asks in the zone above its own for what it may do in its own.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let sql = "{\"sql\":\"SELECT id, title FROM notes ORDER BY id\"}";
    let words = ["invoke", "sqlite.query", "--input", sql, "--zone", "z:private"];
    let failure = stage.act_refused(&words, Code::GrantZoneMismatch).await?;
    Ok(failure.to_string())
}
