//! Which calls a revocation speaks of, and when it is forgotten.

use super::*;

//= docs/spec/egress.md#seal
#[test]
fn a_revoked_credential_is_that_of_one_connector_in_one_zone() {
    let call = call();
    let scope = |connector: &str, zone: &str, credential: &str| Scope::Credential {
        connector: ConnectorId::new(connector).expect("id"),
        zone: ZoneId::new(zone).expect("id"),
        credential: CredentialId::new(credential).expect("id"),
    };
    assert!(scope("github", "z:work", "work").holds(&call));
    for other in [
        scope("slack", "z:work", "work"),
        scope("github", "z:private", "work"),
        scope("github", "z:work", "home"),
        scope("slack", "z:private", "work"),
    ] {
        assert!(!other.holds(&call), "{other:?}");
    }
}

//= docs/spec/egress.md#seal
#[test]
fn only_the_revocation_of_one_handle_is_forgotten() {
    let call = call();
    let mut seals = Seals::default();
    seals.revoke(Scope::Handle(call.handle), 9);
    seals.forget(&EgressHandle::from_bytes([8; 32]));
    assert!(!seals.stands(&call, 5), "another's");
    seals.forget(&call.handle);
    assert!(seals.stands(&call, 5));
    seals.revoke(Scope::Connector(call.connector.clone()), 9);
    seals.forget(&call.handle);
    assert!(!seals.stands(&call, 5));
}
