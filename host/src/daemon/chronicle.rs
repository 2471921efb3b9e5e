//! The way from what runs connectors to the audit chains of the node, which begins to serve later than they are made.

use std::sync::OnceLock;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::NodeId;
use fcp_runtime_tokio::drive::Handle;
use fcp_state_machines::node::Request;
use fcp_state_machines::trust::audit::Entry;

use crate::connectors::{self, Account, Telling};

/// The audit chains of the node, once it serves.
#[derive(Debug, Default)]
pub struct Chronicle(OnceLock<(NodeId, Handle)>);

impl Chronicle {
    /// From now on the node takes what is told. The first node is the only one.
    pub(super) fn begin(&self, node_id: NodeId, node: Handle) {
        self.0.get_or_init(|| (node_id, node));
    }
}

impl connectors::Chronicle for Chronicle {
    fn tell(&self, account: Account) -> Telling {
        let Some((node_id, node)) = self.0.get().cloned() else {
            return Box::pin(async { Err((Code::CeremonyRequired, "no node serves yet".to_owned())) });
        };
        let Account { zone, kind, connector, operation, call, code, detail } = account;
        let entry = Entry {
            connector: Some(connector),
            operation,
            call_id: call,
            code,
            ..Entry::new(kind, node_id.as_str()).saying(detail)
        };
        Box::pin(async move {
            let told = node.request(Request::Record { zone, entry: Box::new(entry) }).await;
            told.map(|_| ()).map_err(|failure| (failure.code, failure.message))
        })
    }
}
