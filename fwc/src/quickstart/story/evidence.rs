//! What the service saw: the credential on every request, although no connector ever held it, and nothing internal.

use super::Stage;
use crate::Result;
use crate::quickstart::service::{Authorization, OTHER_REPO};

/// Looks through everything that reached the service.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let seen = stage.service()?.seen();
    let count =
        |test: &dyn Fn(&crate::quickstart::service::Seen) -> bool| seen.iter().filter(|it| test(it)).count();
    let without = count(&|it| it.authorization != Authorization::Right);
    let internal = count(&|it| !it.internal_headers.is_empty());
    let other = count(&|it| it.path.contains(OTHER_REPO));
    let posts = count(&|it| it.method != "GET");
    stage.check("requests without the right credential", &0, &without)?;
    stage.check("requests with headers of FCP's own", &0, &internal)?;
    stage.check("requests for the repository that was refused", &0, &other)?;
    stage.check("requests that write", &1, &posts)?;
    Ok(format!("{} requests, each with the credential, one of them a write", seen.len()))
}
