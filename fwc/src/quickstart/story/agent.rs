//! The agent: a key, a zone, four narrow grants, and a session.

use fcp_api::types::{AgentView, GrantView};
use fcp_proto_core::ids::PrincipalId;

use super::Stage;
use super::stage::{AGENT, CREDENTIAL, ZONE};
use crate::quickstart::service::{OWNER, REPO};
use crate::{Result, internal, resource};

/// Adds the agent, grants it little, and opens the session in which it speaks from now on.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let agent: AgentView = stage.operate(&["agent", "add", AGENT, "--zone", ZONE]).await?;
    stage.check("grants of a new agent", &0, &agent.live_grants)?;

    let everything = format!("github:repo/{OWNER}/**");
    let only = format!("{{\"pointer\":\"/repo\",\"one_of\":[\"{REPO}\"]}}");
    grant(
        stage,
        &["github.issues.list", "github.issues.get", "github.issues.create"],
        &["--allow", &everything, "--credential", CREDENTIAL, "--argument", &only],
    )
    .await?;
    let database = resource::of_path("sqlite:database", &stage.place.database())?;
    let reads = "{\"pointer\":\"/sql\",\"prefix\":\"SELECT \"}";
    let read = grant(stage, &["sqlite.query"], &["--allow", &database, "--argument", reads]).await?;
    stage.query_grant = Some(read.grant_id);
    let writes = "{\"pointer\":\"/sql\",\"prefix\":\"INSERT INTO notes \"}";
    grant(stage, &["sqlite.execute"], &["--allow", &database, "--argument", writes]).await?;

    let files = format!("{}/**", resource::of_path("filesystem:file", &stage.place.files())?);
    grant(stage, &["filesystem.read"], &["--allow", &files]).await?;

    let name = PrincipalId::new(AGENT).map_err(|error| internal(&error.to_string()))?;
    let opened = stage.agent.open_session(&name, None).await?;
    stage.agent.stay_in(&opened);
    stage.check("the zone of the session", &ZONE, &opened.zone.as_str())?;
    Ok(format!(
        "`{AGENT}` in {ZONE}: issues of {OWNER}/{REPO} alone, SELECT, INSERT INTO notes, and files of one folder, for an hour"
    ))
}

async fn grant(stage: &mut Stage, operations: &[&str], bounds: &[&str]) -> Result<GrantView> {
    let head = ["grant", "add", AGENT];
    let words: Vec<&str> = head
        .iter()
        .chain(operations)
        .chain(&["--zone", ZONE, "--for", "1h"])
        .chain(bounds)
        .copied()
        .collect();
    let made: GrantView = stage.operate(&words).await?;
    stage.check("whether the grant lives", &true, &made.live)?;
    Ok(made)
}
