//! The table itself: one entry a route, in the order of the document.

use fcp_proto_core::object::{AuditEventKind as K, OperatorRight};

use super::{Access, Endpoint, Method, Route, Shape, Told};
use crate::limits::{MAX_REQUEST_BYTES, MAX_UPLOAD_BYTES};
use crate::types;
use crate::types::Nothing;

/// Declares endpoints and lists their routes.
macro_rules! endpoints {
    ($($name:ident $method:ident $path:literal $access:expr, $query:ty, $request:ty => $answer:ty, $max:expr, $told:expr, $about:literal;)+) => {
        $(
            #[doc = $about]
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Endpoint for $name {
                type Query = $query;
                type Request = $request;
                type Answer = $answer;
                const ROUTE: Route = Route {
                    name: stringify!($name),
                    about: $about,
                    method: Method::$method,
                    path: $path,
                    access: $access,
                    query: Shape::of::<$query>(),
                    request: Shape::of::<$request>(),
                    answer: Shape::of::<$answer>(),
                    max_request_bytes: $max,
                    told: $told,
                };
            }
        )+

        /// Every route.
        pub const ROUTES: &[Route] = &[$($name::ROUTE),+];

        /// How each route's body is read.
        #[cfg(test)]
        pub(super) const READERS: &[(&str, Reader)] = &[$((stringify!($name), super::tests::reads::<$request>)),+];
    };
}

/// Reads a body for its failure alone.
#[cfg(test)]
pub(super) type Reader = fn(&[u8]) -> Result<(), types::ErrorBody>;

/// The path of the OpenAPI document, which is served as it is: no route of the table, no `meta`.
pub const DOCUMENT_PATH: &str = "/v1/openapi.json";

const GRANT: Access = Access::OperatorWith(OperatorRight::Grant);
const INSTALL: Access = Access::OperatorWith(OperatorRight::Install);
const APPROVE: Access = Access::OperatorWith(OperatorRight::Approve);
const AUTH: Access = Access::OperatorWith(OperatorRight::Auth);
const REVOKE: Access = Access::OperatorWith(OperatorRight::Revoke);
const ZONES: Access = Access::OperatorWith(OperatorRight::Zones);
const USUAL: usize = MAX_REQUEST_BYTES;

const READS: Told = Told::Nothing;
const UNSTORED: Told = Told::Unstored;
const CHANGED: Told = told(&[K::AuthorityChanged]);
/// What the owner does by the phrase or the passphrase; what opens no key of the owner is told too.
const OWNER: Told = Told::both(&[K::AuthorityChanged], &[K::OperatorRefused]);
/// What a call that was admitted leaves.
const CALLED: &[K] = &[
    K::CallDispatched,
    K::SecretAccess,
    K::ElevationGranted,
    K::DeclassificationGranted,
    K::EgressDenied,
    K::CallEnded,
    K::CallUnknown,
    K::CallReplayed,
];
const CALL: Told = Told::both(CALLED, &[K::CallDenied, K::CallsRefused]);
/// The operator's word stands before the call.
const TEST: Told = Told::both(
    &[K::AuthorityChanged, K::CallDispatched, K::SecretAccess, K::EgressDenied, K::CallEnded, K::CallUnknown],
    &[K::CallDenied],
);

/// The same, and what its answer settles.
const PROBE: Told = Told::both(
    &[
        K::AuthorityChanged,
        K::CallDispatched,
        K::SecretAccess,
        K::EgressDenied,
        K::CallEnded,
        K::CallUnknown,
        K::CallSettled,
    ],
    &[K::CallDenied],
);

const fn told(kinds: &'static [K]) -> Told {
    Told::done(kinds)
}

endpoints! {
    GetHealth Get "/v1/health" Access::Public, Nothing, Nothing => types::Health, USUAL, READS,
        "Whether the daemon does its work.";
    GetStatus Get "/v1/status" Access::Public, Nothing, Nothing => types::Status, USUAL, READS,
        "How the daemon and everything behind it is, and what the owner should know.";
    Shutdown Post "/v1/shutdown" Access::Operator, Nothing, Nothing => types::Stopping, USUAL, told(&[K::NodeStopped]),
        "Stops the daemon after its open calls.";

    GetCeremony Get "/v1/ceremony" Access::Public, Nothing, Nothing => types::CeremonyView, USUAL, READS,
        "How far the ceremony is.";
    BeginCeremony Post "/v1/ceremony/begin" Access::Public, Nothing, types::BeginCeremony => types::CeremonyBegun, USUAL, UNSTORED,
        "Begins the ceremony of a home without an owner and shows the phrase, once; on the unix socket only.";
    ConfirmCeremony Post "/v1/ceremony/confirm" Access::Public, Nothing, types::ConfirmCeremony => types::CeremonyDone, USUAL, told(&[K::CeremonyCompleted, K::AuthorityChanged]),
        "Confirms the phrase and completes the ceremony; on the unix socket only.";

    IssueChallenge Post "/v1/challenges" Access::Public, Nothing, Nothing => types::ChallengeIssued, USUAL, UNSTORED,
        "Issues bytes to sign.";
    UnlockOperator Post "/v1/operator/unlock" Access::Public, Nothing, types::UnlockOperator => types::OperatorUnlocked, USUAL, Told::both(&[K::OperatorUnlocked], &[K::OperatorRefused]),
        "Opens an operator's key for minutes, on this connection.";
    LockOperator Post "/v1/operator/lock" Access::Operator, Nothing, Nothing => Nothing, USUAL, UNSTORED,
        "Closes the operator's key.";
    OpenSession Post "/v1/sessions" Access::Public, Nothing, types::OpenSession => types::SessionOpened, USUAL, Told::both(&[K::SessionOpened], &[K::CallsRefused]),
        "Opens an agent's session for whoever proves the agent's key.";
    CloseSession Delete "/v1/sessions/{session_id}" Access::Caller, Nothing, Nothing => Nothing, USUAL, told(&[K::SessionClosed]),
        "Ends an agent's session.";
    MintTokens Post "/v1/tokens" Access::Session, Nothing, types::MintTokens => types::TokensMinted, USUAL, told(&[K::TokensMinted]),
        "Mints short tokens for calls outside the session.";

    ListConnectors Get "/v1/connectors" Access::Public, types::ConnectorQuery, Nothing => types::ConnectorList, USUAL, READS,
        "The connectors.";
    InstallConnector Post "/v1/connectors" INSTALL, Nothing, types::Install => types::Installed, MAX_UPLOAD_BYTES, told(&[K::ConnectorInstalled]),
        "Installs a connector.";
    GetConnector Get "/v1/connectors/{connector}" Access::Public, Nothing, Nothing => types::ConnectorDetail, USUAL, READS,
        "A connector in full.";
    RemoveConnector Delete "/v1/connectors/{connector}" INSTALL, Nothing, types::SetState => types::StateChanged, USUAL, told(&[K::ConnectorChanged]),
        "Removes a connector; its receipts and audit remain.";
    EnableConnector Post "/v1/connectors/{connector}/enable" INSTALL, Nothing, types::SetState => types::StateChanged, USUAL, told(&[K::ConnectorChanged]),
        "Lets calls reach a connector.";
    DisableConnector Post "/v1/connectors/{connector}/disable" INSTALL, Nothing, types::SetState => types::StateChanged, USUAL, told(&[K::ConnectorChanged]),
        "Refuses calls to a connector and ends those open.";
    ListOperations Get "/v1/connectors/{connector}/operations" Access::Public, Nothing, Nothing => types::OperationList, USUAL, READS,
        "The operations of a connector.";
    GetOperation Get "/v1/connectors/{connector}/operations/{operation}" Access::Public, Nothing, Nothing => types::OperationDetail, USUAL, READS,
        "An operation in full, with its schemas.";

    PrepareCall Post "/v1/prepare" Access::Public, Nothing, types::PrepareCall => types::CallPrepared, USUAL, UNSTORED,
        "What the holder of a token signs to make a call outside a session.";
    InvokeOperation Post "/v1/invoke" Access::Holder, Nothing, types::Invoke => types::InvokeAnswer, USUAL, CALL,
        "Makes a call.";
    SimulateCall Post "/v1/simulate" Access::Holder, Nothing, types::Invoke => types::SimulateAnswer, USUAL, READS,
        "What the gate would say to a call, spending nothing.";
    PreflightOperation Post "/v1/preflight" Access::Holder, Nothing, types::Preflight => types::SimulateAnswer, USUAL, READS,
        "Whether the caller could call an operation at all, whatever the input.";
    ListCalls Get "/v1/calls" Access::Caller, types::HistoryQuery, Nothing => types::History, USUAL, READS,
        "Calls, newest first.";
    GetCall Get "/v1/calls/{call_id}" Access::Caller, Nothing, Nothing => types::CallView, USUAL, READS,
        "A call.";
    CancelCall Post "/v1/calls/{call_id}/cancel" Access::Caller, Nothing, Nothing => types::CancelAnswer, USUAL, told(&[K::CallCancelled, K::CallEnded, K::CallUnknown]),
        "Cancels a call.";
    SettleCall Post "/v1/calls/{id}/settle" APPROVE, Nothing, types::Settle => types::Settled, USUAL, told(&[K::CallSettled]),
        "Says what a call of unknown outcome did; `id` is that of the call, its intent or its receipt.";
    ProbeCall Post "/v1/calls/{id}/probe" APPROVE, Nothing, Nothing => types::Settled, USUAL, PROBE,
        "Makes the read that the operation declares and settles the call by its answer; `id` as above.";
    ListReceipts Get "/v1/receipts" Access::Caller, types::ReceiptQuery, Nothing => types::ReceiptList, USUAL, READS,
        "Receipts, newest first.";
    GetReceipt Get "/v1/receipts/{receipt_id}" Access::Caller, Nothing, Nothing => types::ReceiptView, USUAL, READS,
        "A signed record of a decision or of a call's end.";
    GetResult Get "/v1/results/{handle}" Access::Caller, Nothing, Nothing => types::ResultView, USUAL, told(&[K::ResultRead]),
        "A kept result; it joins the context of the agent that reads it.";

    FileRequest Post "/v1/requests" Access::Holder, Nothing, types::FileRequest => types::ApprovalView, USUAL, told(&[K::ApprovalRequested]),
        "Files a request for a person to decide.";
    ListApprovals Get "/v1/approvals" Access::Caller, types::ApprovalQuery, Nothing => types::ApprovalList, USUAL, READS,
        "Requests: what waits first, the agents by turn, then the rest, newest first.";
    WatchApprovals Get "/v1/approvals/watch" Access::Caller, types::ApprovalWatchQuery, Nothing => types::ApprovalWatch, USUAL, READS,
        "Waits for requests that changed.";
    GetApproval Get "/v1/approvals/{request_id}" Access::Caller, Nothing, Nothing => types::ApprovalView, USUAL, READS,
        "A request with all its arguments in full.";
    PreviewGrant Post "/v1/approvals/{request_id}/preview" APPROVE, Nothing, types::StandingGrant => types::GrantPreview, USUAL, READS,
        "What a standing grant over a request would be; nothing is made.";
    ApproveRequest Post "/v1/approvals/{request_id}/approve" APPROVE, Nothing, types::Approve => types::Approved, USUAL, told(&[K::ApprovalDecided, K::AuthorityChanged]),
        "Approves a request, for one call; with a standing grant, for calls like it as well.";
    DenyRequest Post "/v1/approvals/{request_id}/deny" APPROVE, Nothing, types::Deny => types::Denied, USUAL, told(&[K::ApprovalDecided]),
        "Denies a request.";

    FileGrantRequest Post "/v1/grant-requests" Access::Session, Nothing, types::FileGrantRequest => types::GrantRequestView, USUAL, told(&[K::ApprovalRequested]),
        "Asks for a grant.";
    GetGrantRequest Get "/v1/grant-requests/{request_id}" Access::Caller, Nothing, Nothing => types::GrantRequestView, USUAL, READS,
        "A request for a grant, in full.";
    ApproveGrantRequest Post "/v1/grant-requests/{request_id}/approve" GRANT, Nothing, types::ApproveGrant => types::GrantView, USUAL, told(&[K::AuthorityChanged]),
        "Grants what a request asks for, or less.";
    DenyGrantRequest Post "/v1/grant-requests/{request_id}/deny" GRANT, Nothing, types::Deny => types::Denied, USUAL, told(&[K::ApprovalDecided]),
        "Denies a request for a grant.";

    ListAgents Get "/v1/agents" Access::Caller, Nothing, Nothing => types::AgentList, USUAL, READS,
        "The agents.";
    AddAgent Post "/v1/agents" GRANT, Nothing, types::AddAgent => types::AgentView, USUAL, CHANGED,
        "Enrols an agent.";
    GetAgent Get "/v1/agents/{agent}" Access::Caller, Nothing, Nothing => types::AgentView, USUAL, READS,
        "An agent.";
    ListGrants Get "/v1/grants" Access::Caller, types::GrantQuery, Nothing => types::GrantList, USUAL, READS,
        "Grants, newest first.";
    GetGrant Get "/v1/grants/{id}" Access::Caller, Nothing, Nothing => types::GrantView, USUAL, READS,
        "A grant.";
    AddGrant Post "/v1/grants" GRANT, Nothing, types::AddGrant => types::GrantView, USUAL, CHANGED,
        "Gives an agent or role leave to call operations.";
    ListRoles Get "/v1/roles" Access::Operator, Nothing, Nothing => types::RoleList, USUAL, READS,
        "The roles, and who has them.";
    GetRole Get "/v1/roles/{role}" Access::Operator, Nothing, Nothing => types::RoleView, USUAL, READS,
        "A role, and who has it.";
    AddRole Post "/v1/roles" GRANT, Nothing, types::AddRole => types::RoleView, USUAL, CHANGED,
        "Makes a role, or describes one anew.";
    RemoveRole Delete "/v1/roles/{role}" GRANT, Nothing, types::Deny => types::RoleChanged, USUAL, CHANGED,
        "Ends a role, and every grant to it.";
    AssignRole Put "/v1/roles/{role}/members/{agent}" GRANT, Nothing, Nothing => types::RoleChanged, USUAL, CHANGED,
        "Gives an agent a role.";
    WithdrawRole Delete "/v1/roles/{role}/members/{agent}" GRANT, Nothing, types::Deny => types::RoleChanged, USUAL, CHANGED,
        "Takes a role from an agent.";
    ListOperators Get "/v1/operators" Access::Public, Nothing, Nothing => types::OperatorList, USUAL, READS,
        "The operators' keys, and which of them can act.";
    GetOperator Get "/v1/operators/{operator}" Access::Public, Nothing, Nothing => types::OperatorList, USUAL, READS,
        "The keys of an operator, newest first.";
    AddOperator Post "/v1/operators" Access::Public, Nothing, types::AddOperator => types::OperatorAdded, USUAL, OWNER,
        "Has the owner, by the phrase, enrol an operator's key or replace one; on the unix socket only.";
    RestoreOwner Post "/v1/owner/restore" Access::Public, Nothing, types::RestoreOwner => types::OwnerRestored, USUAL, OWNER,
        "Stores the owner's key, given by the phrase, under a new passphrase; on the unix socket only.";
    RenewNode Post "/v1/node/renew" Access::Operator, Nothing, types::RenewNode => types::NodeRenewed, USUAL, OWNER,
        "Has the owner attest this node longer.";
    ReplaceNode Post "/v1/node/replace" Access::Public, Nothing, types::ReplaceNode => types::NodeReplaced, USUAL, OWNER,
        "Has the owner, by the phrase, attest other keys of this node, which is revoked; on the unix socket only.";
    ListRevocations Get "/v1/revocations" Access::Public, types::Page, Nothing => types::Revocations, USUAL, READS,
        "Revocations, newest first.";
    Revoke Post "/v1/revocations" REVOKE, Nothing, types::Revoke => types::Revoked, USUAL, told(&[K::RevocationIssued]),
        "Revokes; the very next call sees it.";
    OpenContext Post "/v1/contexts" GRANT, Nothing, types::OpenContext => types::ContextView, USUAL, told(&[K::ContextOpened]),
        "Opens a fresh context for an agent.";
    GetContext Get "/v1/contexts/current" Access::Caller, types::ContextQuery, Nothing => types::ContextView, USUAL, READS,
        "What an agent has read.";
    ListZones Get "/v1/zones" Access::Public, Nothing, Nothing => types::ZoneList, USUAL, READS,
        "The zones.";
    GetZone Get "/v1/zones/{zone}" Access::Public, Nothing, Nothing => types::ZoneView, USUAL, READS,
        "A zone, its policy, and what is bound to it.";
    AddZone Post "/v1/zones" ZONES, Nothing, types::AddZone => types::ZoneView, USUAL, CHANGED,
        "Defines a zone.";
    RekeyZone Post "/v1/zones/{zone}/rekey" Access::Public, Nothing, types::RekeyZone => types::ZoneRekeyed, USUAL, OWNER,
        "Has the owner, by the phrase, give a zone whose key is revoked another; on the unix socket only.";
    ChangePolicy Put "/v1/zones/{zone}/policy" ZONES, Nothing, types::PolicyChange => types::ZoneView, USUAL, CHANGED,
        "Changes a zone's policy.";

    ListCredentials Get "/v1/credentials" Access::Operator, Nothing, Nothing => types::CredentialList, USUAL, READS,
        "What may be known of the credentials.";
    PutCredential Put "/v1/credentials/{credential}" AUTH, Nothing, types::PutCredential => types::CredentialView, USUAL, told(&[K::SecretStored]),
        "Stores or replaces a credential.";
    RemoveCredential Delete "/v1/credentials/{credential}" AUTH, Nothing, Nothing => types::CredentialRemoved, USUAL, told(&[K::SecretRemoved]),
        "Removes a credential.";
    TestCredential Post "/v1/credentials/{credential}/test" AUTH, Nothing, Nothing => types::CredentialTest, USUAL, TEST,
        "Makes a harmless call with a credential.";

    ListAuditEvents Get "/v1/audit/events" Access::Caller, types::AuditQuery, Nothing => types::AuditEvents, USUAL, READS,
        "What happened, in the order of the chain.";
    GetAuditHead Get "/v1/audit/head" Access::Public, types::AuditHeadQuery, Nothing => types::AuditHeads, USUAL, READS,
        "The signed ends of the audit chains.";
    VerifyAudit Post "/v1/audit/verify" Access::Caller, Nothing, types::VerifyAudit => types::AuditReport, USUAL, READS,
        "Verifies every link, identifier and signed head.";
    Explain Get "/v1/explain/{id}" Access::Caller, Nothing, Nothing => types::Explanation, USUAL, READS,
        "Why something is as it is, and what would permit it.";
    InspectToken Post "/v1/tokens/inspect" Access::Public, Nothing, types::InspectToken => types::TokenReport, USUAL, READS,
        "What a capability token says and whether it holds.";
    ListExceptions Get "/v1/exceptions" Access::Public, Nothing, Nothing => types::ExceptionList, USUAL, READS,
        "The walls that the owner lowered.";
    AddException Post "/v1/exceptions" INSTALL, Nothing, types::AddException => types::ExceptionView, USUAL, told(&[K::ExceptionRecorded]),
        "Lowers a wall for one connector.";
    RemoveException Delete "/v1/exceptions/{id}" INSTALL, Nothing, Nothing => types::ExceptionView, USUAL, told(&[K::ExceptionRecorded]),
        "Raises a lowered wall again.";
}
