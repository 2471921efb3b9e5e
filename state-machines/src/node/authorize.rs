//! Whether the key under an object gives it force.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::KeyId;
use fcp_proto_core::object::{AnyObject, Object, Signed};
use fcp_proto_core::time::UnixTime;

use super::Failure;
use crate::trust::authority::{Authority, Signatory, Unauthorized};
use crate::trust::revocation::Revocations;

/// Whether the signature on any signed object gives it force, by the key that is given back. What comes from outside says
/// itself when it was made, so its signer must have the right `now` as well.
pub(super) fn authorize(
    object: &AnyObject,
    authority: &Authority,
    revoked: &Revocations,
    now: Option<UnixTime>,
) -> Result<Option<KeyId>, Failure> {
    let by = Judge { authority, revoked, now };
    match object {
        AnyObject::OwnerRoot(it) => {
            authority.check_root(it).map(|()| Some(it.body.signer)).map_err(unauthorized)
        }
        AnyObject::OperatorDelegation(it) => by.check(it),
        AnyObject::NodeAttestation(it) => by.check(it),
        AnyObject::Membership(it) => by.check(it),
        AnyObject::ZoneDefinition(it) => by.check(it),
        AnyObject::ZonePolicy(it) => by.check(it),
        AnyObject::Role(it) => by.check(it),
        AnyObject::RoleAssignment(it) => by.check(it),
        AnyObject::RoleWithdrawal(it) => by.check(it),
        AnyObject::Enrolment(it) => by.check(it),
        AnyObject::Grant(it) => by.check(it),
        AnyObject::GrantRequest(it) => by.check(it),
        AnyObject::GrantDenial(it) => by.check(it),
        AnyObject::Revocation(it) => by.check(it),
        AnyObject::RevocationEvent(it) => by.check(it),
        AnyObject::RevocationHead(it) => by.check(it),
        AnyObject::ApprovalRequest(it) => by.check(it),
        AnyObject::ApprovalToken(it) => by.check(it),
        AnyObject::OperationIntent(it) => by.check(it),
        AnyObject::OperationReceipt(it) => by.check(it),
        AnyObject::DecisionReceipt(it) => by.check(it),
        AnyObject::Settlement(it) => by.check(it),
        AnyObject::AuditHead(it) => by.check(it),
        AnyObject::ConnectorInstall(it) => by.check(it),
        AnyObject::ConnectorState(it) => by.check(it),
        AnyObject::OwnerException(it) => by.check(it),
        AnyObject::CredentialRecord(it) => by.check(it),
        AnyObject::CredentialTest(it) => by.check(it),
        AnyObject::OutcomeProbe(it) => by.check(it),
        AnyObject::CallRecord(_)
        | AnyObject::AuditEvent(_)
        | AnyObject::ContextOpened(_)
        | AnyObject::ContextEntry(_)
        | AnyObject::KeptResult(_) => Ok(None),
    }
}

/// Judges one object after another.
struct Judge<'a> {
    authority: &'a Authority,
    revoked: &'a Revocations,
    now: Option<UnixTime>,
}

impl Judge<'_> {
    fn check<T: Signatory>(&self, object: &Object<Signed<T>>) -> Result<Option<KeyId>, Failure> {
        self.authority.check(object, self.revoked).map_err(unauthorized)?;
        let signer = object.body.signer;
        if let Some(now) = self.now {
            self.authority
                .key_for(signer, object.body.fields.duty(), now, self.revoked)
                .map_err(unauthorized)?;
        }
        Ok(Some(signer))
    }
}

fn unauthorized(error: Unauthorized) -> Failure {
    let (code, message) = match error {
        Unauthorized::UnknownSigner => (Code::NotPermitted, "no key of this home signed it"),
        Unauthorized::NoRight => (Code::NotPermitted, "the key that signed it does not have the right"),
        Unauthorized::Revoked => (Code::IssuerKeyRevoked, "the key that signed it is revoked"),
        Unauthorized::Signature => (Code::NotPermitted, "its signature does not verify"),
        Unauthorized::OwnerExists => (Code::CeremonyDone, "this home has an owner already"),
    };
    Failure::new(code, message)
}
