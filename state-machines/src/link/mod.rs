//! What two nodes have between them, without sockets.
//!
//! * [`admission`]: what one peer, and all of them, may cost;
//! * [`delivery`]: objects by their symbols;
//! * [`gossip`]: what other nodes have, and what must be known at once;
//! * [`handshake`]: how a session comes about, and what a responder spends on strangers;
//! * [`lanes`]: ordered streams of messages with room for both sides and an order of importance;
//! * [`links`]: all links of a node, over carriers that come and go;
//! * [`session`]: an established session: sealing, rekeys, carriers that come and go, the end.
//!
//! Spec: docs/spec/mesh-sessions.md, docs/spec/fcpc.md, docs/spec/delivery.md, docs/spec/gossip.md,
//! docs/spec/admission.md.

pub mod admission;
pub mod delivery;
pub mod gossip;
pub mod handshake;
pub mod lanes;
pub mod links;
pub mod session;
#[cfg(test)]
pub(crate) mod testing;

use fcp_proto_core::crypto::provider::Provider;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::{Context, SessionPolicy};
use fcp_proto_core::time::Now;

/// Which nodes have a live attestation that nobody revoked.
pub trait Peers {
    /// The key that the node's attestation names, if it is good now.
    fn key(&self, node: &NodeId) -> Option<VerifyingKey<Node>>;
}

/// What this node brings to every step.
pub struct Local<'a> {
    /// Its name.
    pub me: &'a NodeId,
    /// Its key.
    pub key: &'a SigningKey<Node>,
    /// How it takes part.
    pub policy: &'a SessionPolicy,
    /// The primitives of the keys.
    pub provider: &'a dyn Provider,
    /// Whom it knows.
    pub peers: &'a dyn Peers,
    /// Its entropy.
    pub entropy: &'a mut Entropy,
    /// The time.
    pub now: Now,
}

impl<'a> Local<'a> {
    /// What a step of a handshake or a rekey takes besides its messages.
    fn context(&self) -> Context<'a> {
        Context { policy: self.policy, provider: self.provider, now: self.now }
    }
}
