//! Fuzz targets: each takes bytes that anybody may send and checks what must hold for all of them.
//!
//! A target panics when a property is broken and never otherwise. The committed corpora in `corpus/<target>/` are
//! replayed by `tests/replay.rs`; a fuzzer calls [`Target::run`].

mod checkpoints;
mod connectors;
mod delivery;
mod encoding;
mod frames;
mod gossip;
mod key_ring;
mod membership;
mod mesh;
mod migration;
mod objects;
mod replica;
mod requests;
mod sealing;
mod session;
mod storage;
mod symbols;
mod tokens;
mod zone_keys;

use fcp_proto_core::crypto::frost::GroupKey;
use fcp_proto_core::crypto::hpke::HpkeBox;
use fcp_proto_core::crypto::shamir::Dealing;
use fcp_proto_core::crypto::wrap::WrappedKey;
use fcp_proto_core::token::constraints::Constraints;

/// One kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    run: fn(&[u8]),
}

impl Target {
    /// Every target.
    pub const ALL: &'static [Self] = &[
        Self { name: "cbor", run: encoding::cbor },
        Self { name: "json", run: encoding::json },
        Self { name: "token", run: tokens::token },
        Self { name: "claims", run: tokens::claims },
        Self { name: "resource", run: tokens::resource },
        Self { name: "constraints", run: encoding::typed::<Constraints> },
        // A stored key is read, and nothing is stretched.
        Self { name: "wrapped_key", run: encoding::typed::<WrappedKey> },
        Self { name: "manifest", run: connectors::manifest },
        Self { name: "package", run: connectors::package },
        Self { name: "recovery_phrase", run: sealing::recovery_phrase },
        Self { name: "public_encryption_key", run: sealing::public_encryption_key },
        Self { name: "hpke_box", run: encoding::typed::<HpkeBox> },
        Self { name: "share", run: sealing::share },
        Self { name: "dealing", run: encoding::typed::<Dealing> },
        Self { name: "group_key", run: encoding::typed::<GroupKey> },
        Self { name: "key_share", run: sealing::key_share },
        Self { name: "signing_request", run: sealing::signing_request },
        Self { name: "frost_message", run: sealing::frost_message },
        Self { name: "key_manifest", run: sealing::key_manifest },
        Self { name: "key_ring", run: key_ring::schedule },
        Self { name: "symbol_message", run: symbols::message },
        Self { name: "symbols", run: symbols::transfer },
        Self { name: "object", run: objects::stored },
        Self { name: "object_edits", run: objects::edits },
        Self { name: "fcps", run: frames::fcps },
        Self { name: "datagram", run: frames::datagram },
        Self { name: "fcpc", run: frames::fcpc },
        Self { name: "signed_frame", run: frames::signed_frame },
        Self { name: "handshake", run: frames::handshake },
        Self { name: "content", run: frames::content },
        Self { name: "opening", run: frames::opening },
        Self { name: "sketch", run: frames::sketch },
        Self { name: "session", run: session::schedule },
        Self { name: "delivery", run: delivery::schedule },
        Self { name: "storage", run: storage::schedule },
        Self { name: "gossip", run: gossip::schedule },
        Self { name: "gossip_message", run: gossip::message },
        Self { name: "filter", run: frames::filter },
        Self { name: "checkpoints", run: checkpoints::schedule },
        Self { name: "replica", run: replica::schedule },
        Self { name: "membership", run: membership::schedule },
        Self { name: "migration", run: migration::schedule },
        Self { name: "zone_keys", run: zone_keys::schedule },
        Self { name: "merging", run: replica::merging },
        Self { name: "request_body", run: requests::request_body },
        Self { name: "egress_url", run: requests::egress_url },
    ];

    /// The target of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|target| target.name == name)
    }

    /// Runs the target on `input`.
    ///
    /// # Panics
    /// If a property of the target does not hold.
    pub fn run(self, input: &[u8]) {
        (self.run)(input);
    }
}
