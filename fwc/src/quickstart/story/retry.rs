//! The same call with the same idempotency key: nothing is done again, and the same receipt answers.

use fcp_api::types::InvokeAnswer;

use super::Stage;
use crate::{Result, internal};

/// Makes the approved call again, without the approval, which is spent.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let (words, first) = stage.written.take().ok_or_else(|| internal("nothing was written"))?;
    let words: Vec<&str> = std::iter::once("invoke").chain(words.iter().map(String::as_str)).collect();
    let before = stage.calls_served()?;
    let again: InvokeAnswer = stage.act(&words).await?;
    stage.check("the receipt", &first.receipt_id, &again.receipt_id)?;
    stage.check("whether a stored receipt answered", &true, &again.replayed)?;
    stage.check("requests that reached the service", &before, &stage.calls_served()?)?;
    let opened = stage.service()?.issues_opened();
    stage.check("issues opened at the service", &1, &opened)?;
    Ok(format!("receipt {} again, still one issue", again.receipt_id))
}
