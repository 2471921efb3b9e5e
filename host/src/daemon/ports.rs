//! Does what the node says: hands calls to the runner, keeps the indexes and the compiled schemas.

use std::sync::{Arc, Mutex, PoisonError};

use fcp_proto_core::ids::{CallId, ConnectorId, ObjectId};
use fcp_proto_core::object::{AnyObject, RevocationObject};
use fcp_runtime_tokio::drive::Ports;
use fcp_state_machines::node::{Dispatch, Node};
use fcp_state_machines::persist::Batch;

use super::manifests::Manifests;
use super::records::{Records, read_batch};
use super::runner::Runner;
use super::schemas::Schemas;

/// Does what the node says.
pub(super) struct HostPorts {
    pub(super) records: Arc<Mutex<Records>>,
    pub(super) schemas: Schemas,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) manifests: Manifests,
    /// Calls stopped since the last batch: those of the request that is being served.
    pub(super) stopped: u64,
}

impl Ports for HostPorts {
    type Note = Vec<(ObjectId, AnyObject)>;

    fn dispatch(&mut self, node: &Node, dispatch: Dispatch) {
        self.runner.dispatch(node, dispatch);
    }

    fn cancel(&mut self, call: CallId) {
        self.stopped += 1;
        self.runner.cancel(call);
    }

    fn revoked(&mut self, node: &Node, revocation: &RevocationObject) {
        let head_seq = node.revocations().head_seq();
        if self.stopped > 0 {
            let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            records.calls_ended.insert(head_seq.saturating_sub(1), self.stopped);
        }
        self.runner.revoked(node, revocation);
    }

    fn reconfigured(&mut self, node: &Node, connector: &ConnectorId) {
        self.schemas.refresh(node, connector);
        self.manifests.refresh(node, connector);
        self.runner.reconfigured(node, connector);
    }

    fn note(&mut self, batch: &Batch) -> Self::Note {
        self.stopped = 0;
        read_batch(batch)
    }

    fn durable(&mut self, note: Self::Note) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).absorb(&note);
    }
}
