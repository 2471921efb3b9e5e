//! A call that an argument constraint refuses: the repository exists, and the grant names another.

use fcp_proto_core::error::Code;

use super::Stage;
use crate::Result;
use crate::quickstart::service::{OTHER_REPO, OWNER};

/// Asks for the repository that the agent may not see.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let (owner, repo) = (format!("owner={OWNER}"), format!("repo={OTHER_REPO}"));
    let words = ["invoke", "github.issues.list", "--set", &owner, "--set", &repo];
    let failure = stage.act_refused(&words, Code::ArgumentNotAllowed).await?;
    Ok(failure.to_string())
}
