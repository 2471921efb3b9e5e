//! From a shared secret to the keys of one generation. Handshake and rekey call this; it is open so that another
//! implementation can be held to the same bytes.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::suite::Suite;
use crate::crypto::derive::{TooMuchOutput, hkdf_sha256};
use crate::crypto::hash::Hasher;
use crate::ids::{MeshSessionId, NodeId, SessionNonce};

/// A secret of 256 bits.
pub type Secret = Zeroizing<[u8; 32]>;

/// The secrets of one generation. They are wiped when dropped, and have no `Debug`.
pub struct Secrets {
    /// Authenticates datagrams of the initiator.
    pub initiator_mac: Secret,
    /// Authenticates datagrams of the responder.
    pub responder_mac: Secret,
    /// Seals control frames of both; the direction is in the nonce.
    pub context: Secret,
    /// Goes into the next generation and into nothing else.
    pub chain: Secret,
}

/// The two ends of a session, in the parts they had in its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The node that said hello.
    pub initiator: NodeId,
    /// The node that answered.
    pub responder: NodeId,
}

impl Parties {
    fn append(&self, info: &mut Vec<u8>) {
        for id in [&self.initiator, &self.responder] {
            // An identifier has at most 128 bytes, so its length always fits.
            info.extend((id.as_str().len() as u32).to_le_bytes());
            info.extend(id.as_str().as_bytes());
        }
    }
}

/// The secrets of a handshake; `nonces` are that of the hello, then that of the ack.
//= docs/spec/mesh-sessions.md#key-schedule
pub fn first(
    suite: Suite,
    parties: &Parties,
    session_id: &MeshSessionId,
    nonces: [&SessionNonce; 2],
    shared: &Secret,
) -> Secrets {
    let info = |domain: &str| {
        let mut info = domain.as_bytes().to_vec();
        info.push(suite.id().get());
        parties.append(&mut info);
        info.extend(nonces[0].as_bytes());
        info.extend(nonces[1].as_bytes());
        info
    };
    let keys = expand::<96>(session_id.as_bytes(), shared, &info("FCP2-SESSION-V1"));
    let chain = expand::<32>(session_id.as_bytes(), shared, &info("FCP2-SESSION-CHAIN-V1"));
    split(&*keys, chain)
}

/// The secrets of a rekey, in which the chain of the generation before stands for all that led to it; `transcript` is what the
/// answer signs.
//= docs/spec/mesh-sessions.md#rekey
pub fn next(
    suite: Suite,
    parties: &Parties,
    generation: u32,
    transcript: &[u8],
    chain: &Secret,
    shared: &Secret,
) -> Secrets {
    let mut info = b"FCP2-REKEY-V1".to_vec();
    info.push(suite.id().get());
    info.extend(generation.to_le_bytes());
    parties.append(&mut info);
    info.extend(Hasher::new("FCP2-REKEY-TRANSCRIPT-V1").with_framed(transcript).finish());
    let okm = expand::<128>(&**chain, shared, &info);
    let mut next = Secret::default();
    next.copy_from_slice(&okm[96..]);
    split(&okm[..96], next)
}

fn split(keys: &[u8], chain: Secret) -> Secrets {
    let part = |at: usize| {
        let mut key = Secret::default();
        key.copy_from_slice(&keys[at..at + 32]);
        key
    };
    Secrets { initiator_mac: part(0), responder_mac: part(32), context: part(64), chain }
}

fn expand<const N: usize>(salt: &[u8], secret: &[u8; 32], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF gives 255 blocks") };
    let mut output = Zeroizing::new([0; N]);
    match hkdf_sha256(salt, secret, info, &mut *output) {
        Ok(()) => output,
        Err(TooMuchOutput) => unreachable!("checked above, when compiled"),
    }
}
