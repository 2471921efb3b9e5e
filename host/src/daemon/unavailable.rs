//! A machine on which no connector can be run: every call is refused before it is delivered, and says so.

use std::future::Future;
use std::pin::Pin;

use fcp_api::types::{ConnectorHealth, Warning, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId};
use fcp_proto_core::object::RevocationObject;
use fcp_runtime_tokio::drive::Outcomes;
use fcp_state_machines::node::{Dispatch, Installed, Outcome};

use super::runner::Runner;

/// Refuses every call, with the reason.
pub struct Unavailable {
    /// Where refusals go.
    pub outcomes: Outcomes,
    /// Why no connector can be run.
    pub reason: String,
}

impl Runner for Unavailable {
    fn dispatch(&self, dispatch: Dispatch, _installed: Option<Installed>) {
        let message = self.reason.clone();
        let outcome = Outcome::NotDelivered { code: Code::ConnectorUnavailable, message };
        self.outcomes.report(dispatch.call_id, outcome);
    }

    fn cancel(&self, _call: CallId) {}

    fn revoked(&self, _revocation: &RevocationObject, _head_seq: u64) {}

    fn reconfigured(&self, _connector: &ConnectorId, _installed: Option<Installed>) {}

    fn health(&self, _connector: &ConnectorId) -> Vec<ConnectorHealth> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<Warning> {
        let message = format!("no connector can be run: {}", self.reason);
        vec![Warning { kind: WarningKind::Connector, message, remedy: None }]
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
