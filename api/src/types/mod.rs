//! What goes in and out, one file an area.
//!
//! Requests refuse unknown fields; answers may gain some. Every answer travels as a [`Reply`]: its own fields, and
//! `meta` that says where it comes from.

mod access;
mod approval;
mod audit;
mod authority;
mod call;
mod ceremony;
mod connector;
mod context;
mod credential;
mod error;
mod exception;
mod explain;
mod grant_request;
mod meta;
mod operator;
mod page;
mod record;
mod renewal;
mod role;
mod settle;
mod status;
mod token;
mod zone;

pub use access::{
    ChallengeIssued, KeyProof, KeySourceRequest, OpenSession, OperatorUnlocked, SessionOpened, UnlockOperator,
};
pub use approval::{
    ApprovalList, ApprovalQuery, ApprovalStatus, ApprovalView, ApprovalWatch, ApprovalWatchQuery, Approve,
    Approved, Denied, Deny, FileRequest, GrantPreview, StandingGrant,
};
pub use audit::{
    AuditEventView, AuditEvents, AuditHeadQuery, AuditHeadView, AuditHeads, AuditProblem, AuditQuery,
    AuditReport, SavedHead, VerifyAudit,
};
pub use authority::{
    AddAgent, AddGrant, AgentList, AgentView, GrantList, GrantQuery, GrantView, Obstacle, RevocationView,
    Revocations, Revoke, Revoked, StandingApprovalView, StandingScope,
};
pub use call::{
    CallOptions, CallPrepared, CallRequest, CallView, CancelAnswer, CheckResult, CheckStatus, HandleInput,
    History, HistoryQuery, HolderProof, Invoke, InvokeAnswer, Preflight, PrepareCall, Reached,
    SimulateAnswer, TokenText, UsageView,
};
pub use ceremony::{
    BeginCeremony, CeremonyBegun, CeremonyDone, CeremonyPhase, CeremonyView, ConfirmCeremony, WordProof,
};
pub use connector::{
    CheckFinding, ConnectorDetail, ConnectorHealth, ConnectorList, ConnectorQuery, ConnectorStateView,
    ConnectorSummary, CredentialSlot, HealthCheckView, Install, Installed, OperationDetail, OperationList,
    OperationSummary, PackageSource, RunStatus, SetState, StateChanged,
};
pub use context::{ContextQuery, ContextView, OpenContext};
pub use credential::{
    CredentialList, CredentialMaterial, CredentialRemoved, CredentialTest, CredentialView, PutCredential,
};
pub use error::{Denial, ErrorBody, Need};
pub use exception::{AddException, ExceptionList, ExceptionRule, ExceptionView};
pub use explain::{ExplainedKind, Explanation};
pub use grant_request::{ApproveGrant, FileGrantRequest, GrantRequestView, WishedOperation};
pub use meta::{Meta, MetaStatus, Reply, Source};
pub use operator::{
    AddOperator, KeyStanding, OperatorAdded, OperatorKeyView, OperatorList, OwnerRestored, RestoreOwner,
};
pub use page::{Nothing, Page};
pub use record::{ReceiptList, ReceiptQuery, ReceiptView, ResultView};
pub use renewal::{NodeRenewed, NodeReplaced, RenewNode, ReplaceNode};
pub use role::{AddRole, RoleChanged, RoleList, RoleView};
pub use settle::{Settle, Settled};
pub use status::{AuthorityView, Health, HealthStatus, Status, Stopping, Warning, WarningKind};
pub use token::{InspectToken, MintTokens, MintedToken, TokenReport, TokenVerdict, TokensMinted};
pub use zone::{
    AddZone, BudgetSetting, BudgetView, PolicyChange, RekeyZone, ZoneList, ZoneRekeyed, ZoneView,
};
