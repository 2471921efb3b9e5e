//! The table itself: one entry a route, in the order of the document.

use fcp_proto_core::object::OperatorRight;

use super::{Access, Endpoint, Method, Route, Shape};
use crate::limits::{MAX_REQUEST_BYTES, MAX_UPLOAD_BYTES};
use crate::types;
use crate::types::Nothing;

/// Declares endpoints and lists their routes.
macro_rules! endpoints {
    ($($name:ident $method:ident $path:literal $access:expr, $query:ty, $request:ty => $answer:ty, $max:expr, $about:literal;)+) => {
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

endpoints! {
    GetHealth Get "/v1/health" Access::Public, Nothing, Nothing => types::Health, USUAL,
        "Whether the daemon does its work.";
    GetStatus Get "/v1/status" Access::Public, Nothing, Nothing => types::Status, USUAL,
        "How the daemon and everything behind it is, and what the owner should know.";
    Shutdown Post "/v1/shutdown" Access::Operator, Nothing, Nothing => types::Stopping, USUAL,
        "Stops the daemon after its open calls.";

    GetCeremony Get "/v1/ceremony" Access::Public, Nothing, Nothing => types::CeremonyView, USUAL,
        "How far the ceremony is.";
    BeginCeremony Post "/v1/ceremony/begin" Access::Public, Nothing, types::BeginCeremony => types::CeremonyBegun, USUAL,
        "Begins the ceremony of a home without an owner and shows the phrase, once; on the unix socket only.";
    ConfirmCeremony Post "/v1/ceremony/confirm" Access::Public, Nothing, types::ConfirmCeremony => types::CeremonyDone, USUAL,
        "Confirms the phrase and completes the ceremony; on the unix socket only.";

    IssueChallenge Post "/v1/challenges" Access::Public, Nothing, Nothing => types::ChallengeIssued, USUAL,
        "Issues bytes to sign.";
    UnlockOperator Post "/v1/operator/unlock" Access::Public, Nothing, types::UnlockOperator => types::OperatorUnlocked, USUAL,
        "Opens an operator's key for minutes, on this connection.";
    LockOperator Post "/v1/operator/lock" Access::Operator, Nothing, Nothing => Nothing, USUAL,
        "Closes the operator's key.";
    OpenSession Post "/v1/sessions" Access::Public, Nothing, types::OpenSession => types::SessionOpened, USUAL,
        "Opens an agent's session for whoever proves the agent's key.";
    CloseSession Delete "/v1/sessions/{session_id}" Access::Caller, Nothing, Nothing => Nothing, USUAL,
        "Ends an agent's session.";
    MintTokens Post "/v1/tokens" Access::Session, Nothing, types::MintTokens => types::TokensMinted, USUAL,
        "Mints short tokens for calls outside the session.";

    ListConnectors Get "/v1/connectors" Access::Public, types::ConnectorQuery, Nothing => types::ConnectorList, USUAL,
        "The connectors.";
    InstallConnector Post "/v1/connectors" INSTALL, Nothing, types::Install => types::Installed, MAX_UPLOAD_BYTES,
        "Installs a connector.";
    GetConnector Get "/v1/connectors/{connector}" Access::Public, Nothing, Nothing => types::ConnectorDetail, USUAL,
        "A connector in full.";
    RemoveConnector Delete "/v1/connectors/{connector}" INSTALL, Nothing, types::SetState => types::StateChanged, USUAL,
        "Removes a connector; its receipts and audit remain.";
    EnableConnector Post "/v1/connectors/{connector}/enable" INSTALL, Nothing, types::SetState => types::StateChanged, USUAL,
        "Lets calls reach a connector.";
    DisableConnector Post "/v1/connectors/{connector}/disable" INSTALL, Nothing, types::SetState => types::StateChanged, USUAL,
        "Refuses calls to a connector and ends those open.";
    ListOperations Get "/v1/connectors/{connector}/operations" Access::Public, Nothing, Nothing => types::OperationList, USUAL,
        "The operations of a connector.";
    GetOperation Get "/v1/connectors/{connector}/operations/{operation}" Access::Public, Nothing, Nothing => types::OperationDetail, USUAL,
        "An operation in full, with its schemas.";

    PrepareCall Post "/v1/prepare" Access::Public, Nothing, types::PrepareCall => types::CallPrepared, USUAL,
        "What the holder of a token signs to make a call outside a session.";
    InvokeOperation Post "/v1/invoke" Access::Holder, Nothing, types::Invoke => types::InvokeAnswer, USUAL,
        "Makes a call.";
    SimulateCall Post "/v1/simulate" Access::Holder, Nothing, types::Invoke => types::SimulateAnswer, USUAL,
        "What the gate would say to a call, spending nothing.";
    PreflightOperation Post "/v1/preflight" Access::Holder, Nothing, types::Preflight => types::SimulateAnswer, USUAL,
        "Whether the caller could call an operation at all, whatever the input.";
    ListCalls Get "/v1/calls" Access::Caller, types::HistoryQuery, Nothing => types::History, USUAL,
        "Calls, newest first.";
    GetCall Get "/v1/calls/{call_id}" Access::Caller, Nothing, Nothing => types::CallView, USUAL,
        "A call.";
    CancelCall Post "/v1/calls/{call_id}/cancel" Access::Caller, Nothing, Nothing => types::CancelAnswer, USUAL,
        "Cancels a call.";
    SettleCall Post "/v1/calls/{id}/settle" APPROVE, Nothing, types::Settle => types::Settled, USUAL,
        "Says what a call of unknown outcome did; `id` is that of the call, its intent or its receipt.";
    ProbeCall Post "/v1/calls/{id}/probe" APPROVE, Nothing, Nothing => types::Settled, USUAL,
        "Makes the read that the operation declares and settles the call by its answer; `id` as above.";
    ListReceipts Get "/v1/receipts" Access::Caller, types::ReceiptQuery, Nothing => types::ReceiptList, USUAL,
        "Receipts, newest first.";
    GetReceipt Get "/v1/receipts/{receipt_id}" Access::Caller, Nothing, Nothing => types::ReceiptView, USUAL,
        "A signed record of a decision or of a call's end.";
    GetResult Get "/v1/results/{handle}" Access::Caller, Nothing, Nothing => types::ResultView, USUAL,
        "A kept result; it joins the context of the agent that reads it.";

    FileRequest Post "/v1/requests" Access::Holder, Nothing, types::FileRequest => types::ApprovalView, USUAL,
        "Files a request for a person to decide.";
    ListApprovals Get "/v1/approvals" Access::Caller, types::ApprovalQuery, Nothing => types::ApprovalList, USUAL,
        "Requests, newest first.";
    WatchApprovals Get "/v1/approvals/watch" Access::Caller, types::ApprovalWatchQuery, Nothing => types::ApprovalWatch, USUAL,
        "Waits for requests that changed.";
    GetApproval Get "/v1/approvals/{request_id}" Access::Caller, Nothing, Nothing => types::ApprovalView, USUAL,
        "A request with all its arguments in full.";
    ApproveRequest Post "/v1/approvals/{request_id}/approve" APPROVE, Nothing, types::Approve => types::Approved, USUAL,
        "Approves a request, for one call.";
    DenyRequest Post "/v1/approvals/{request_id}/deny" APPROVE, Nothing, types::Deny => types::Denied, USUAL,
        "Denies a request.";

    FileGrantRequest Post "/v1/grant-requests" Access::Session, Nothing, types::FileGrantRequest => types::GrantRequestView, USUAL,
        "Asks for a grant.";
    GetGrantRequest Get "/v1/grant-requests/{request_id}" Access::Caller, Nothing, Nothing => types::GrantRequestView, USUAL,
        "A request for a grant, in full.";
    ApproveGrantRequest Post "/v1/grant-requests/{request_id}/approve" GRANT, Nothing, types::ApproveGrant => types::GrantView, USUAL,
        "Grants what a request asks for, or less.";
    DenyGrantRequest Post "/v1/grant-requests/{request_id}/deny" GRANT, Nothing, types::Deny => types::Denied, USUAL,
        "Denies a request for a grant.";

    ListAgents Get "/v1/agents" Access::Caller, Nothing, Nothing => types::AgentList, USUAL,
        "The agents.";
    AddAgent Post "/v1/agents" GRANT, Nothing, types::AddAgent => types::AgentView, USUAL,
        "Enrols an agent.";
    GetAgent Get "/v1/agents/{agent}" Access::Caller, Nothing, Nothing => types::AgentView, USUAL,
        "An agent.";
    ListGrants Get "/v1/grants" Access::Caller, types::GrantQuery, Nothing => types::GrantList, USUAL,
        "Grants, newest first.";
    AddGrant Post "/v1/grants" GRANT, Nothing, types::AddGrant => types::GrantView, USUAL,
        "Gives an agent or role leave to call operations.";
    ListRoles Get "/v1/roles" Access::Operator, Nothing, Nothing => types::RoleList, USUAL,
        "The roles, and who has them.";
    AddRole Post "/v1/roles" GRANT, Nothing, types::AddRole => types::RoleView, USUAL,
        "Makes a role, or describes one anew.";
    RemoveRole Delete "/v1/roles/{role}" GRANT, Nothing, types::Deny => types::RoleChanged, USUAL,
        "Ends a role, and every grant to it.";
    AssignRole Put "/v1/roles/{role}/members/{agent}" GRANT, Nothing, Nothing => types::RoleChanged, USUAL,
        "Gives an agent a role.";
    WithdrawRole Delete "/v1/roles/{role}/members/{agent}" GRANT, Nothing, types::Deny => types::RoleChanged, USUAL,
        "Takes a role from an agent.";
    RenewNode Post "/v1/node/renew" Access::Operator, Nothing, types::RenewNode => types::NodeRenewed, USUAL,
        "Has the owner attest this node longer.";
    ListRevocations Get "/v1/revocations" Access::Public, types::Page, Nothing => types::Revocations, USUAL,
        "Revocations, newest first.";
    Revoke Post "/v1/revocations" REVOKE, Nothing, types::Revoke => types::Revoked, USUAL,
        "Revokes; the very next call sees it.";
    OpenContext Post "/v1/contexts" GRANT, Nothing, types::OpenContext => types::ContextView, USUAL,
        "Opens a fresh context for an agent.";
    GetContext Get "/v1/contexts/current" Access::Caller, types::ContextQuery, Nothing => types::ContextView, USUAL,
        "What an agent has read.";
    ListZones Get "/v1/zones" Access::Public, Nothing, Nothing => types::ZoneList, USUAL,
        "The zones.";
    GetZone Get "/v1/zones/{zone}" Access::Public, Nothing, Nothing => types::ZoneView, USUAL,
        "A zone, its policy, and what is bound to it.";
    AddZone Post "/v1/zones" ZONES, Nothing, types::AddZone => types::ZoneView, USUAL,
        "Defines a zone.";
    ChangePolicy Put "/v1/zones/{zone}/policy" ZONES, Nothing, types::PolicyChange => types::ZoneView, USUAL,
        "Changes a zone's policy.";

    ListCredentials Get "/v1/credentials" Access::Operator, Nothing, Nothing => types::CredentialList, USUAL,
        "What may be known of the credentials.";
    PutCredential Put "/v1/credentials/{credential}" AUTH, Nothing, types::PutCredential => types::CredentialView, USUAL,
        "Stores or replaces a credential.";
    RemoveCredential Delete "/v1/credentials/{credential}" AUTH, Nothing, Nothing => types::CredentialRemoved, USUAL,
        "Removes a credential.";
    TestCredential Post "/v1/credentials/{credential}/test" AUTH, Nothing, Nothing => types::CredentialTest, USUAL,
        "Makes a harmless call with a credential.";

    ListAuditEvents Get "/v1/audit/events" Access::Caller, types::AuditQuery, Nothing => types::AuditEvents, USUAL,
        "What happened, in the order of the chain.";
    GetAuditHead Get "/v1/audit/head" Access::Public, types::VerifyAudit, Nothing => types::AuditHeads, USUAL,
        "The signed ends of the audit chains.";
    VerifyAudit Post "/v1/audit/verify" Access::Caller, Nothing, types::VerifyAudit => types::AuditReport, USUAL,
        "Verifies every link, identifier and signed head.";
    Explain Get "/v1/explain/{id}" Access::Caller, Nothing, Nothing => types::Explanation, USUAL,
        "Why something is as it is, and what would permit it.";
    InspectToken Post "/v1/tokens/inspect" Access::Public, Nothing, types::InspectToken => types::TokenReport, USUAL,
        "What a capability token says and whether it holds.";
    ListExceptions Get "/v1/exceptions" Access::Public, Nothing, Nothing => types::ExceptionList, USUAL,
        "The walls that the owner lowered.";
    AddException Post "/v1/exceptions" INSTALL, Nothing, types::AddException => types::ExceptionView, USUAL,
        "Lowers a wall for one connector.";
    RemoveException Delete "/v1/exceptions/{id}" INSTALL, Nothing, Nothing => types::ExceptionView, USUAL,
        "Raises a lowered wall again.";
}
