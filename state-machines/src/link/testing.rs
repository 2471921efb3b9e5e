//! Two nodes that know each other, for tests of the wing.

use alloc::collections::BTreeMap;

use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::session::keys::KeyLimits;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use zeroize::Zeroizing;

use super::handshake::{Answer, Dial, Responder};
use super::session::Session;
use super::{Local, Peers};

/// Whom a node trusts now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trusted(pub(crate) BTreeMap<NodeId, VerifyingKey<NodeRole>>);

impl Peers for Trusted {
    fn key(&self, node: &NodeId) -> Option<VerifyingKey<NodeRole>> {
        self.0.get(node).cloned()
    }
}

/// What a node of a test is made of.
pub(crate) struct Node {
    pub(crate) me: NodeId,
    pub(crate) key: SigningKey<NodeRole>,
    pub(crate) policy: SessionPolicy,
    pub(crate) trusted: Trusted,
    pub(crate) entropy: Entropy,
}

impl Node {
    pub(crate) fn local(&mut self, now: Now) -> Local<'_> {
        Local {
            me: &self.me,
            key: &self.key,
            policy: &self.policy,
            provider: &Pure,
            peers: &self.trusted,
            entropy: &mut self.entropy,
            now,
        }
    }
}

/// `seconds` after both clocks began.
pub(crate) fn at(seconds: u64) -> Now {
    Now {
        mono: Instant::from_nanos(seconds * 1_000_000_000),
        unix: UnixTime::from_secs(1_800_000_000 + seconds),
    }
}

/// Alice and Bob, who know each other.
pub(crate) fn nodes(seed: u8, limits: KeyLimits) -> [Node; 2] {
    let key = |byte: u8| SigningKey::<NodeRole>::from_seed(&Zeroizing::new([byte; 32]));
    let name = |name: &str| NodeId::new(name).unwrap();
    let trusted = Trusted(BTreeMap::from([
        (name("alice"), key(0xa1).verifying_key()),
        (name("bob"), key(0xb0).verifying_key()),
    ]));
    [("alice", 0xa1), ("bob", 0xb0)].map(|(who, byte)| Node {
        me: name(who),
        key: key(byte),
        policy: SessionPolicy { key_limits: limits, ..SessionPolicy::default() },
        trusted: trusted.clone(),
        entropy: Entropy::from_seed(&Zeroizing::new([seed ^ byte; 32])),
    })
}

/// A session of the two, which Alice asked for.
pub(crate) fn session(nodes: &mut [Node; 2], now: Now) -> [Session; 2] {
    let [alice, bob] = nodes;
    let mut dial = Dial::new(bob.me.clone(), None, &mut alice.local(now)).unwrap();
    let mut responder = Responder::new(now.mono, &mut bob.entropy);
    let Ok(Opening::Hello(hello)) = Opening::decode(&dial.next_message().unwrap()) else {
        panic!("no hello")
    };
    let Ok(Answer::Session(answered, Opening::Ack(ack))) = responder.hello(hello, &mut bob.local(now)) else {
        panic!("no answer")
    };
    [dial.ack(&ack, &alice.local(now)).unwrap(), *answered]
}
