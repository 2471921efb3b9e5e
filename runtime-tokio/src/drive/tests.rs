//! The task and its handle, with a node that has no owner yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, NodeId, OperationId, ZoneId};
use fcp_proto_core::object::{AuditEventKind, ObjectIdKey, RevocationObject};
use fcp_state_machines::node::{
    Answer, CallLimits, Dispatch, Node, NodeConfig, NodeKeys, Request, SchemaCheck,
};
use fcp_state_machines::persist::Batch;
use fcp_state_machines::trust::audit::Entry;

use super::{Handle, Parts, Ports, Stopped, entropy, outcomes, start};
use crate::storage::{Options, Storage};

/// Counts records when they are durable.
struct Counting(tokio::sync::watch::Sender<usize>);

impl Ports for Counting {
    type Note = usize;

    fn dispatch(&mut self, _node: &Node, _dispatch: Dispatch) {}

    fn cancel(&mut self, _call: CallId) {}

    fn revoked(&mut self, _node: &Node, _revocation: &RevocationObject) {}

    fn reconfigured(&mut self, _node: &Node, _connector: &ConnectorId) {}

    fn note(&mut self, batch: &Batch) -> usize {
        batch.records.len()
    }

    fn durable(&mut self, note: usize) {
        self.0.send_modify(|count| *count += note);
    }
}

/// Lets everything pass; nothing here has an input.
struct Anything;

impl SchemaCheck for Anything {
    fn check(&self, _: &ConnectorId, _: &OperationId, _: &Json) -> Result<(), String> {
        Ok(())
    }
}

fn zone() -> ZoneId {
    ZoneId::new("z:owner").unwrap()
}

fn driven(home: &std::path::Path) -> (Handle, Arc<Storage>, tokio::sync::watch::Receiver<usize>) {
    let mut entropy = entropy::fresh().unwrap();
    let keys = NodeKeys {
        signing: SigningKey::generate(&mut entropy),
        issuance: SigningKey::generate(&mut entropy),
        zones: BTreeMap::from([(zone(), ObjectIdKey::generate(&mut entropy).into())]),
    };
    let node_id = NodeId::new("node").unwrap();
    let limits = CallLimits { calls: 8, call_secs: 60 };
    let node =
        Node::new(NodeConfig { node_id, keys, session_secs: 60, limits, clock_confirmed: false, entropy });
    let storage = Arc::new(Storage::open(home, &Options::default()).unwrap().0);
    let (count, counted) = tokio::sync::watch::channel(0);
    let parts = Parts {
        node,
        storage: Arc::clone(&storage),
        ports: Counting(count),
        schema: Box::new(Anything),
        outcomes: outcomes().1,
    };
    (start(parts), storage, counted)
}

fn told(detail: &str) -> Request {
    let entry = Entry::new(AuditEventKind::OperatorUnlocked, "alice").saying(detail);
    Request::Record { zone: zone(), entry: Box::new(entry) }
}

#[tokio::test]
async fn an_answer_comes_after_its_records_are_durable() {
    let home = tempfile::tempdir().unwrap();
    let (handle, storage, counted) = driven(home.path());
    let before = storage.stats().batches;
    assert_eq!(handle.request(told("once")).await, Ok(Answer::Done));
    assert!(storage.stats().batches > before);
    assert_eq!(*counted.borrow(), 2, "an event and its chain's head");
    let seq = handle.query(|node, _| node.chains().tip(&zone()).map(|tip| tip.seq)).await;
    assert_eq!(seq, Ok(Some(0)));
}

#[tokio::test]
async fn what_comes_together_is_answered_to_each() {
    let home = tempfile::tempdir().unwrap();
    let (handle, _storage, counted) = driven(home.path());
    let asked: Vec<_> = (0..100)
        .map(|n| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.request(told(&n.to_string())).await })
        })
        .collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), Ok(Answer::Done));
    }
    assert!(*counted.borrow() >= 101, "a hundred events and at least one head");
}

#[tokio::test]
async fn nothing_is_taken_after_the_stop() {
    let home = tempfile::tempdir().unwrap();
    let (handle, _storage, _counted) = driven(home.path());
    handle.stop(Duration::ZERO, None).await;
    assert_eq!(handle.request(told("late")).await.map_err(|failure| failure.code), Err(Code::Draining));
    assert_eq!(handle.query(|_, _| ()).await, Err(Stopped));
}

#[tokio::test]
async fn a_closed_store_seals_the_node() {
    let home = tempfile::tempdir().unwrap();
    let (handle, storage, _counted) = driven(home.path());
    storage.close().unwrap();
    for _ in 0..2 {
        let refused = handle.request(told("lost")).await.map_err(|failure| failure.code);
        assert_eq!(refused, Err(Code::StoreFailed));
    }
    assert_eq!(handle.query(|node, _| node.has_failed()).await, Ok(true));
}
