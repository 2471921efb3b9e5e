//! The audit chain over everything that happened.

use fcp_api::types::AuditReport;

use super::Stage;
use crate::Result;

/// Verifies every link, identifier and signed head.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let report: AuditReport = stage.operate(&["audit", "verify"]).await?;
    let problems: Vec<&str> = report.problems.iter().map(|problem| problem.problem.as_str()).collect();
    stage.check("what does not hold", &Vec::new(), &problems)?;
    stage.check("whether everything holds", &true, &report.valid)?;
    stage.check(
        "whether there are events and signed heads",
        &(true, true),
        &(report.events > 0, report.heads > 0),
    )?;
    Ok(format!("{} events, {} signed heads, all hold", report.events, report.heads))
}
