//! Which key must stand under which object.

use fcp_proto_core::object::{
    ApprovalRequest, ApprovalToken, AuditHead, ConnectorInstall, ConnectorState, CredentialRecord,
    CredentialTest, DecisionReceipt, Enrolment, Grant, GrantDenial, GrantRequest, Membership,
    NodeAttestation, OperationIntent, OperationReceipt, OperatorDelegation, OperatorRight, OutcomeProbe,
    OwnerException, OwnerRoot, RevocationEvent, RevocationHead, RevocationObject, Role, RoleAssignment,
    RoleWithdrawal, Settlement, SignedBody, ZoneDefinition, ZonePolicy,
};

/// Whose key must stand under an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// The owner's.
    Owner,
    /// The owner's, or that of an operator with this right.
    Operator(OperatorRight),
    /// A node's.
    Node,
    /// The owner's, that of an operator with the right to revoke, or a node's.
    Revoke,
}

/// A signed type whose signer's duty is known.
pub trait Signatory: SignedBody {
    /// Whose key must stand under it.
    const DUTY: Duty;

    /// Whose key must stand under this one.
    fn duty(&self) -> Duty {
        Self::DUTY
    }
}

/// One row a type.
macro_rules! duties {
    ($($type:ty => $duty:expr;)+) => { $(impl Signatory for $type { const DUTY: Duty = $duty; })+ };
}

//= docs/spec/authority.md#who-signs-what
duties! {
    OwnerRoot => Duty::Owner;
    OperatorDelegation => Duty::Owner;
    NodeAttestation => Duty::Owner;
    Membership => Duty::Owner;
    ZonePolicy => Duty::Operator(OperatorRight::Zones);
    Role => Duty::Operator(OperatorRight::Grant);
    RoleAssignment => Duty::Operator(OperatorRight::Grant);
    RoleWithdrawal => Duty::Operator(OperatorRight::Grant);
    Enrolment => Duty::Operator(OperatorRight::Grant);
    Grant => Duty::Operator(OperatorRight::Grant);
    GrantDenial => Duty::Operator(OperatorRight::Grant);
    ApprovalToken => Duty::Operator(OperatorRight::Approve);
    ConnectorInstall => Duty::Operator(OperatorRight::Install);
    ConnectorState => Duty::Operator(OperatorRight::Install);
    OwnerException => Duty::Operator(OperatorRight::Install);
    CredentialRecord => Duty::Operator(OperatorRight::Auth);
    CredentialTest => Duty::Operator(OperatorRight::Auth);
    OutcomeProbe => Duty::Operator(OperatorRight::Approve);
    RevocationObject => Duty::Revoke;
    RevocationEvent => Duty::Node;
    RevocationHead => Duty::Node;
    ApprovalRequest => Duty::Node;
    GrantRequest => Duty::Node;
    OperationIntent => Duty::Node;
    OperationReceipt => Duty::Node;
    DecisionReceipt => Duty::Node;
    Settlement => Duty::Node;
    AuditHead => Duty::Node;
}

/// Operators define zones; another key of one is the owner's to give.
//= docs/spec/authority.md#another-key-of-a-zone
impl Signatory for ZoneDefinition {
    const DUTY: Duty = Duty::Operator(OperatorRight::Zones);

    fn duty(&self) -> Duty {
        if self.key.is_some() { Duty::Owner } else { Self::DUTY }
    }
}
