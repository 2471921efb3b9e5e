//! Three reads that are allowed: of the SQLite file, of a file, and of the service through the egress process.

use fcp_api::types::InvokeAnswer;
use fcp_proto_core::object::Effect;
use serde_json::{Value, json};

use super::Stage;
use super::connectors::WELCOME;
use crate::Result;
use crate::quickstart::service::{OWNER, REPO};

/// Reads the table and the file, and lists the issues.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let sql = "{\"sql\":\"SELECT id, title FROM notes ORDER BY id\"}";
    let answer: InvokeAnswer = stage.act(&["invoke", "sqlite.query", "--input", sql]).await?;
    let output = answer.output.unwrap_or_default();
    stage.check("rows", &json!([[1, "Buy milk"], [2, "Call the bank"]]), &output["rows"])?;
    stage.check("effect of the query", &Effect::None, &answer.effect)?;

    let path = format!("path={}", stage.place.welcome().display());
    let answer: InvokeAnswer = stage.act(&["invoke", "filesystem.read", "--set", &path]).await?;
    let text = answer.output.unwrap_or_default()["text"].take();
    stage.check("the file", &json!(WELCOME), &text)?;

    let before = stage.calls_served()?;
    let owner = format!("owner={OWNER}");
    let repo = format!("repo={REPO}");
    let words = ["invoke", "github.issues.list", "--set", &owner, "--set", &repo];
    let answer: InvokeAnswer = stage.act(&words).await?;
    let output = answer.output.unwrap_or_default();
    let numbers: Vec<&Value> =
        output["issues"].as_array().into_iter().flatten().map(|it| &it["number"]).collect();
    stage.check("issues", &json!([2, 1]), &json!(numbers))?;
    stage.check("requests that reached the service", &(before + 1), &stage.calls_served()?)?;
    Ok("2 rows of the database, a file, 2 issues of the service".into())
}
