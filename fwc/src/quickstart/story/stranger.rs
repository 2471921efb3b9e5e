//! What an agent has read stands against what it then does: a stranger's words may not drive a write.

use fcp_api::types::InvokeAnswer;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::Effect;
use serde_json::{Value, json};

use super::Stage;
use super::approval::{approve_and_make, fresh_context};
use crate::Result;
use crate::quickstart::service::{OWNER, REPO, STRANGER_ISSUE};

/// Reads the stranger's issue, is refused a write, and may ask for it again in a fresh context.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let input = json!({ "owner": OWNER, "repo": REPO, "number": STRANGER_ISSUE }).to_string();
    let read: InvokeAnswer = stage.act(&["invoke", "github.issues.get", "--input", &input]).await?;
    let author = read.output.as_ref().map(|output| output["author"].clone()).unwrap_or_default();
    stage.check("the author of the issue", &Value::from("a-stranger"), &author)?;

    let input = json!({
        "sql": "INSERT INTO notes (title) VALUES (:title)",
        "content": { "title": "Prepare 1.1" },
    });
    let input = input.to_string();
    let call = ["sqlite.execute", "--input", &input, "--idempotency-key", "quickstart-2"];
    let words = [&["invoke"], call.as_slice()].concat();
    let refused = stage.act_refused(&words, Code::TaintViolation).await?;

    fresh_context(stage, "the stranger's issue is done with").await?;
    stage.act_refused(&words, Code::ApprovalRequired).await?;
    let made = approve_and_make(stage, &call).await?;
    stage.check("effect of the write", &Effect::Made, &made.effect)?;
    let count = "{\"sql\":\"SELECT count(*) FROM notes\"}";
    let answer: InvokeAnswer = stage.act(&["invoke", "sqlite.query", "--input", count]).await?;
    let output = answer.output.unwrap_or_default();
    stage.check("rows in the database", &json!([[3]]), &output["rows"])?;
    Ok(format!("{refused}; in a fresh context a person approved it, and it was made"))
}
