//! Does what the node says: hands calls to the runner, keeps the indexes and the compiled schemas.

use std::sync::{Arc, Mutex, PoisonError};

use fcp_proto_core::ids::{CallId, ConnectorId, ObjectId};
use fcp_proto_core::object::{AnyObject, RevocationObject};
use fcp_runtime_tokio::drive::Ports;
use fcp_state_machines::node::{Dispatch, Node};
use fcp_state_machines::persist::Batch;

use super::records::{Records, read_batch};
use super::runner::Runner;
use super::schemas::Schemas;

/// Does what the node says.
pub(super) struct HostPorts {
    pub(super) records: Arc<Mutex<Records>>,
    pub(super) schemas: Schemas,
    pub(super) runner: Arc<dyn Runner>,
}

impl Ports for HostPorts {
    type Note = Vec<(ObjectId, AnyObject)>;

    fn dispatch(&mut self, node: &Node, dispatch: Dispatch) {
        let installed = node.catalog().get(dispatch.authorized.connector()).cloned();
        self.runner.dispatch(dispatch, installed);
    }

    fn cancel(&mut self, call: CallId) {
        self.runner.cancel(call);
    }

    fn revoked(&mut self, node: &Node, revocation: &RevocationObject) {
        self.runner.revoked(revocation, node.revocations().head_seq());
    }

    fn reconfigured(&mut self, node: &Node, connector: &ConnectorId) {
        self.schemas.refresh(node, connector);
        self.runner.reconfigured(connector, node.catalog().get(connector).cloned());
    }

    fn note(&mut self, batch: &Batch) -> Self::Note {
        read_batch(batch)
    }

    fn durable(&mut self, note: Self::Note) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).absorb(&note);
    }
}
