//! The service: real HTTPS on loopback, with a certificate authority made for this run.

use super::Stage;
use crate::quickstart::place::random_text;
use crate::quickstart::service::Service;
use crate::{Result, internal, private_file};

/// Makes a token that only the service and the vault will know, and starts the service.
pub(super) async fn run(stage: &mut Stage) -> Result<String> {
    let token = zeroize::Zeroizing::new(format!("ghp_{}", *random_text::<18>()?));
    let service = Service::start(&token).await;
    let service = service.map_err(|error| internal(&format!("the service does not start: {error}")))?;
    private_file::create(&stage.place.authority(), service.authority_pem().as_bytes())?;
    let summary = format!("{}, with a certificate authority of its own", service.base_url());
    (stage.token, stage.service) = (Some(token), Some(service));
    Ok(summary)
}
