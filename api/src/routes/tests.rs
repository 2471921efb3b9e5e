//! The table is complete and consistent, and the document says everything the table does.

use std::collections::BTreeSet;

use super::table::READERS;
use super::*;
use crate::openapi;
use fcp_proto_core::error::Code;

/// Reads a body as a `T`, for its failure alone.
pub(super) fn reads<T: DeserializeOwned>(body: &[u8]) -> Result<(), crate::types::ErrorBody> {
    crate::body::read_request::<T>(body, 4096).map(drop)
}

#[test]
//= docs/spec/encoding.md#strict-json
fn no_route_takes_an_array_for_its_body() {
    for (name, reads) in READERS {
        for length in 0..12 {
            let body = serde_json::Value::Array(vec![serde_json::json!("x"); length]).to_string();
            let refused = reads(body.as_bytes()).expect_err(name);
            assert_eq!(refused.code, Code::InputInvalid, "{name} {body}");
            let why = refused.why.expect("a reason");
            assert!(why.starts_with("invalid type: sequence, expected "), "{name} {body}: {why}");
        }
    }
    assert_eq!(READERS.len(), ROUTES.len());
}

#[test]
fn no_two_routes_share_a_name_or_a_method_and_path() {
    let names: BTreeSet<_> = ROUTES.iter().map(|route| route.name).collect();
    let places: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
    assert_eq!((names.len(), places.len()), (ROUTES.len(), ROUTES.len()));
}

#[test]
fn every_path_is_under_v1_and_its_parameters_have_a_schema() {
    for route in ROUTES {
        assert!(route.path.starts_with("/v1/"), "{}", route.name);
        for name in route.parameters() {
            assert!(name == "id" || openapi::path_schema(name).is_some(), "{} {name}", route.name);
        }
    }
}

#[test]
fn reading_routes_take_no_body_and_changing_routes_take_no_query() {
    let nothing = (Shape::of::<crate::types::Nothing>().name)();
    for route in ROUTES {
        match route.method {
            Method::Get => assert_eq!((route.request.name)(), nothing, "{}", route.name),
            Method::Post | Method::Put | Method::Delete => {
                assert_eq!((route.query.name)(), nothing, "{}", route.name);
            }
        }
    }
}

#[test]
fn whatever_lowers_a_wall_or_gives_a_right_needs_an_operator_with_that_right() {
    let access = |name: &str| ROUTES.iter().find(|route| route.name == name).map(|route| route.access);
    for (name, right) in [
        ("AddException", OperatorRight::Install),
        ("InstallConnector", OperatorRight::Install),
        ("RemoveConnector", OperatorRight::Install),
        ("EnableConnector", OperatorRight::Install),
        ("DisableConnector", OperatorRight::Install),
        ("AddAgent", OperatorRight::Grant),
        ("AddGrant", OperatorRight::Grant),
        ("OpenContext", OperatorRight::Grant),
        ("PreviewGrant", OperatorRight::Approve),
        ("ApproveRequest", OperatorRight::Approve),
        ("DenyRequest", OperatorRight::Approve),
        ("PutCredential", OperatorRight::Auth),
        ("RemoveCredential", OperatorRight::Auth),
        ("TestCredential", OperatorRight::Auth),
        ("Revoke", OperatorRight::Revoke),
        ("ApproveGrantRequest", OperatorRight::Grant),
        ("DenyGrantRequest", OperatorRight::Grant),
        ("AddRole", OperatorRight::Grant),
        ("RemoveRole", OperatorRight::Grant),
        ("AssignRole", OperatorRight::Grant),
        ("WithdrawRole", OperatorRight::Grant),
        ("SettleCall", OperatorRight::Approve),
        ("ProbeCall", OperatorRight::Approve),
        ("AddZone", OperatorRight::Zones),
        ("ChangePolicy", OperatorRight::Zones),
        ("RemoveException", OperatorRight::Install),
    ] {
        assert_eq!(access(name), Some(Access::OperatorWith(right)), "{name}");
    }
}

/// Changing routes that prove nothing before: the ceremony, what opens a key or bears the owner's phrase, and those that
/// only look.
#[test]
fn nothing_else_that_changes_something_is_public() {
    let public: Vec<_> = ROUTES
        .iter()
        .filter(|route| route.access == Access::Public && route.method != Method::Get)
        .map(|route| route.name)
        .collect();
    let expected = [
        "BeginCeremony",
        "ConfirmCeremony",
        "IssueChallenge",
        "UnlockOperator",
        "OpenSession",
        "PrepareCall",
        "AddOperator",
        "RestoreOwner",
        "ReplaceNode",
        "RekeyZone",
        "InspectToken",
    ];
    assert_eq!(public, expected);
}

#[test]
fn paths_are_filled_and_escaped() {
    let route = GetOperation::ROUTE;
    assert_eq!(route.fill(&["a", "b/c?"]).as_deref(), Some("/v1/connectors/a/operations/b%2Fc%3F"));
    assert_eq!(route.fill(&["a"]), None);
    assert_eq!(route.fill(&["a", "b", "c"]), None);
    assert_eq!(GetHealth::ROUTE.fill(&[]).as_deref(), Some("/v1/health"));
}

/// Who writes the events of a kind.
#[derive(Debug, PartialEq, Eq)]
enum Writer {
    /// Routes, as the table says.
    Routes,
    /// The daemon, without being asked: docs/spec/audit.md#connectors, its start, SIGHUP.
    Daemon,
    /// Nobody yet: the word is kept for what a mesh will tell.
    Nobody,
}

//= docs/spec/audit.md#routes
#[test]
fn every_kind_of_event_has_its_writer() {
    use fcp_proto_core::object::AuditEventKind as Kind;
    for kind in Kind::ALL.iter().copied() {
        let writer = match kind {
            Kind::NodeStarted | Kind::SettingsChanged | Kind::ConnectorStopped | Kind::SecurityViolation => {
                Writer::Daemon
            }
            Kind::SessionRefused | Kind::ZoneTransition | Kind::ForkDetected => Writer::Nobody,
            Kind::CeremonyCompleted
            | Kind::NodeStopped
            | Kind::OperatorUnlocked
            | Kind::OperatorRefused
            | Kind::SessionOpened
            | Kind::SessionClosed
            | Kind::AuthorityChanged
            | Kind::TokensMinted
            | Kind::CallDenied
            | Kind::CallsRefused
            | Kind::CallDispatched
            | Kind::CallEnded
            | Kind::CallUnknown
            | Kind::CallSettled
            | Kind::CallCancelled
            | Kind::CallReplayed
            | Kind::ApprovalRequested
            | Kind::ApprovalDecided
            | Kind::ElevationGranted
            | Kind::DeclassificationGranted
            | Kind::SecretAccess
            | Kind::EgressDenied
            | Kind::SecretStored
            | Kind::SecretRemoved
            | Kind::RevocationIssued
            | Kind::ConnectorInstalled
            | Kind::ConnectorChanged
            | Kind::ExceptionRecorded
            | Kind::ContextOpened
            | Kind::ResultRead => Writer::Routes,
        };
        let routed = ROUTES.iter().any(|route| route.told.kinds().any(|told| told == kind));
        assert_eq!(routed, writer == Writer::Routes, "{kind:?}");
    }
}
