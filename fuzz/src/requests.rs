//! What callers and connectors ask for: bodies of the daemon's HTTP interface, and URLs.

use fcp_api::body;
use fcp_api::routes::{self, Endpoint};
use fcp_state_machines::call::egress;

/// A body of an endpoint: what is read is written as a text that reads back.
fn endpoint<E: Endpoint>(input: &[u8]) {
    let max = E::ROUTE.max_request_bytes;
    if let Ok(request) = body::read_request::<E::Request>(input, max) {
        let written = body::write(&request).expect("what was read is writable");
        let again: E::Request = body::read(&written, usize::MAX).expect("what was written reads back");
        assert_eq!(body::write(&again).expect("writable"), written);
    }
}

macro_rules! endpoints {
    ($($name:ident)+) => {
        /// Every endpoint whose request has a body, by its name.
        const BODIES: &[(&str, fn(&[u8]))] = &[$((stringify!($name), endpoint::<routes::$name>)),+];
    };
}

endpoints! {
    BeginCeremony ConfirmCeremony UnlockOperator OpenSession MintTokens InstallConnector RemoveConnector
    EnableConnector DisableConnector PrepareCall InvokeOperation SimulateCall PreflightOperation SettleCall
    FileRequest PreviewGrant ApproveRequest DenyRequest FileGrantRequest ApproveGrantRequest DenyGrantRequest AddAgent
    AddGrant AddRole RemoveRole WithdrawRole AddOperator RestoreOwner RenewNode ReplaceNode Revoke OpenContext
    AddZone RekeyZone ChangePolicy PutCredential VerifyAudit InspectToken AddException
}

/// The bytes after the first are a body of the endpoint that the first one chooses.
pub(crate) fn request_body(input: &[u8]) {
    if let Some((choice, body)) = input.split_first() {
        BODIES[usize::from(*choice) % BODIES.len()].1(body);
    }
}

/// A URL that is taken has one canonical form. What follows a line feed is a location that its answer names.
pub(crate) fn egress_url(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let (url, location) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(target) = egress::Target::parse(url) else { return };
    assert_eq!(egress::Target::parse(&target.to_string()).as_ref(), Ok(&target));
    assert_eq!(target.check_host_header(target.origin.authority().as_bytes()), Ok(()));
    if let Ok(onward) = target.join(location) {
        assert_eq!(egress::Target::parse(&onward.to_string()).as_ref(), Ok(&onward));
    }
}

#[cfg(test)]
mod tests {
    use fcp_api::routes::{ROUTES, Shape};
    use fcp_api::types::Nothing;

    use super::BODIES;

    #[test]
    fn every_endpoint_with_a_body_is_read() {
        let nothing = (Shape::of::<Nothing>().name)();
        let expected: Vec<_> =
            ROUTES.iter().filter(|route| (route.request.name)() != nothing).map(|route| route.name).collect();
        let read: Vec<_> = BODIES.iter().map(|(name, _)| *name).collect();
        assert_eq!(read, expected);
    }
}
