//! The credential: it goes into the vault, and neither agent nor connector will ever hold it.

use fcp_api::routes::PutCredential;
use fcp_api::secret::Secret;
use fcp_api::types::{self, CredentialMaterial};
use fcp_proto_core::ids::{ConnectorId, ZoneId};

use super::Stage;
use super::stage::{CREDENTIAL, ZONE};
use crate::{Result, internal};

/// Stores it as `fwc auth set --stdin` does, from memory instead of standard input, and tries it.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let words =
        ["auth", "set", CREDENTIAL, "--connector", "github", "--slot", "token", "--zone", ZONE, "--stdin"];
    stage.show_command(&words)?;
    let token = stage.token.take().ok_or_else(|| internal("there is no token"))?;
    let invalid = |error: fcp_proto_core::ids::IdError| internal(&error.to_string());
    let request = types::PutCredential {
        connector: ConnectorId::new("github").map_err(invalid)?,
        slot: "token".into(),
        zone: ZoneId::new(ZONE).map_err(invalid)?,
        material: CredentialMaterial::Bearer { token: Secret::new(token.as_str()) },
    };
    let client = stage.owner.as_operator().await?;
    let stored = client.send::<PutCredential>(&[CREDENTIAL], &request).await?.body;
    stage.check("the hosts it may be sent to", &vec![stage.service()?.host()], &hosts(&stored.hosts))?;
    let tested: types::CredentialTest = stage.operate(&["auth", "test", CREDENTIAL]).await?;
    stage.check("whether the service takes it", &true, &tested.accepted)?;
    Ok(format!("`{CREDENTIAL}`, tried with `{}`; sent to {} only", tested.probe, stored.hosts.join(" ")))
}

/// The hosts without their ports.
fn hosts(shown: &[String]) -> Vec<String> {
    let host = |text: &String| text.split_once(':').map_or(text.as_str(), |(host, _)| host).to_owned();
    shown.iter().map(host).collect()
}
