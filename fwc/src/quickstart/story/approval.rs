//! A write that waits for a person: refused, asked for, approved, made.

use fcp_api::types::{ApprovalStatus, ApprovalView, Approved, ContextView, InvokeAnswer};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::Effect;
use serde_json::{Value, json};

use super::Stage;
use super::stage::AGENT;
use crate::Result;
use crate::quickstart::service::{OWNER, REPO};

/// Opens an issue, in a context that has read nothing yet.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    fresh_context(stage, "the issue is a task of its own").await?;
    let input = json!({ "owner": OWNER, "repo": REPO, "title": "Prepare 1.1" }).to_string();
    let call = ["github.issues.create", "--input", &input, "--idempotency-key", "quickstart-1"];
    let words: Vec<String> = call.iter().map(|&word| word.to_owned()).collect();
    stage.act_refused(&[&["invoke"], call.as_slice()].concat(), Code::ApprovalRequired).await?;
    let made = approve_and_make(stage, &call).await?;
    stage.check("effect of the write", &Effect::Made, &made.effect)?;
    let opened = stage.service()?.issues_opened();
    stage.check("issues opened at the service", &1, &opened)?;
    let number = made.output.as_ref().map(|output| output["number"].clone()).unwrap_or_default();
    stage.check("the number of the issue", &Value::from(3), &number)?;
    let summary = format!("issue {number}, receipt {}", made.receipt_id);
    stage.written = Some((words, made));
    Ok(summary)
}

/// Files a request for `call`, has the operator look at it and approve it, and makes the call with the approval.
pub(super) async fn approve_and_make(stage: &mut Stage, call: &[&str]) -> Result<InvokeAnswer> {
    let request = [&["request"], call, &["--note", "part of the quickstart"]].concat();
    let filed: ApprovalView = stage.act(&request).await?;
    stage.check("where the request stands", &ApprovalStatus::Pending, &filed.status)?;
    let id = filed.request_id.to_string();
    let shown: ApprovalView = stage.operate(&["approvals", "show", &id]).await?;
    stage.check("the call that the person sees", &filed.call_digest, &shown.call_digest)?;
    let approved: Approved = stage.operate(&["approvals", "approve", &id, "--yes"]).await?;
    let approval = approved.approval_id.to_string();
    stage.act(&[&["invoke"], call, &["--approval", &approval]].concat()).await
}

/// Opens a fresh context for the agent: what it read before no longer counts.
pub(super) async fn fresh_context(stage: &mut Stage, reason: &str) -> Result<()> {
    let view: ContextView = stage.operate(&["context", "new", AGENT, "--reason", reason]).await?;
    stage.check("things read in the fresh context", &0, &view.entries)
}
