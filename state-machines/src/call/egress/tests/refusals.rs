//! What refuses the asker, and what tells of a failure on the way.

use super::*;

//= docs/spec/egress.md#refusals
#[test]
fn a_failure_on_the_way_is_no_denial() {
    for failure in [
        Refusal::NoAddresses,
        Refusal::ResolveFailed,
        Refusal::ConnectFailed,
        Refusal::TlsFailed,
        Refusal::CallClosed,
        Refusal::Revoked,
        Refusal::DeadlinePassed,
        Refusal::RefreshFailed,
        Refusal::RefreshRefused,
        Refusal::ConnectTimeout,
        Refusal::TotalTimeout,
        Refusal::IdleTimeout,
        Refusal::UpstreamBroken,
        Refusal::Saturated,
    ] {
        assert!(!failure.is_denial(), "{failure}");
    }
    for denial in [
        Refusal::UserInfo,
        Refusal::HostNotDeclared,
        Refusal::AddressDenied(AddressClass::Loopback),
        Refusal::TooManyAddresses,
        Refusal::PinMismatch,
        Refusal::HandleInvalid,
        Refusal::SlotUnknown,
        Refusal::CredentialHostDenied,
        Refusal::ResponseTooLarge,
        Refusal::EncodedAnswer,
        Refusal::SecretInAnswer,
        Refusal::Redirect(Box::new(Refusal::NoAddresses)),
    ] {
        assert!(denial.is_denial(), "{denial}");
    }
}
