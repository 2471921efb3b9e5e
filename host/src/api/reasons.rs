//! The reason for a refusal whose code is all that was told: what that code means for this very call.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, ZoneId};

use super::denial::Asked;

/// Why the call was refused, in words that are not the code's own.
//= docs/spec/api.md#calls
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "every other code comes with a reason, or says whose call it was"
)]
pub(super) fn of(code: Code, asked: &Asked) -> String {
    let Asked { connector, operation, .. } = asked;
    let zone = asked.zone.as_ref().map_or("its zone", ZoneId::as_str);
    let agent = asked.agent.as_ref().map_or("its caller", PrincipalId::as_str);
    match code {
        Code::TokenRevoked => format!("a revocation names the token of the call of {operation}"),
        Code::IssuerKeyRevoked => {
            format!("a revocation names the key of {agent}, or one that vouched for it")
        }
        Code::NodeRevoked => "a revocation names this device, so nothing that it decides counts".into(),
        Code::ConnectorRevoked => {
            format!("a revocation names the code, the package or the interface of {connector}")
        }
        Code::ZoneKeyRevoked => format!("a revocation names the key of {zone}"),
        Code::HolderProofMissing => {
            format!("the token for {operation} came without a proof of its holder's key")
        }
        Code::HolderProofInvalid => {
            format!(
                "the signature is not by the key of the holder of the token, or not of this call of {operation}"
            )
        }
        Code::HolderMismatch => format!("the token is not of {agent}, who proved a key"),
        Code::OperationForbidden => format!("the manifest of {connector} gives {operation} this tier"),
        Code::ConnectorUnknown => format!("{connector} is not installed"),
        Code::ConnectorDisabled => format!("an operator disabled {connector}"),
        Code::ConnectorNotInZone => format!("{connector} is bound to other zones than {zone}"),
        Code::OperationUnknown => format!("{connector} has no operation {operation}"),
        Code::IdempotencyKeyRequired => format!("{operation} is strict, and the call came without a key"),
        Code::IdempotencyConflict => {
            format!("{agent} used the key for other arguments of {operation} or another call")
        }
        Code::CallInProgress => format!("a call of {operation} under this key has not ended"),
        Code::ApprovalRequired => {
            format!(
                "nobody has approved this call of {operation} in {zone}, and each of its calls needs that"
            )
        }
        Code::ApprovalInvalid => {
            format!("the approval of this call of {operation} was revoked, or the key that signed it was")
        }
        Code::ApprovalExpired => format!("this call of {operation} was approved, for a time that is over"),
        Code::ApprovalUsed => format!("this call of {operation} was approved once, and was made then"),
        Code::ApprovalMismatch => {
            format!("what was approved of {operation} had other arguments, or {connector} has changed since")
        }
        Code::ApprovalDenied => {
            format!("asked whether {agent} may make this call of {operation}, a person said no")
        }
        Code::LeaseRequired | Code::LeaseExpired | Code::LeaseSuperseded => {
            format!("{operation} may be called by one device at a time, and this one is not it now")
        }
        Code::ResourceNotAllowed => format!("the call of {operation} touches what its token does not name"),
        Code::CredentialNotAllowed => {
            format!("the call of {operation} needs a credential that its token does not name")
        }
        Code::Unauthenticated => format!("the call of {operation} came without a session or a token"),
        Code::Draining => "a stop was asked for, and calls that have not begun are not made".into(),
        Code::StoreFailed => "what must be durable before the call could not be written".into(),
        _ => format!("it was the call of {operation} by {agent} in {zone}"),
    }
}
