//! Operators whose keys are open: for minutes, on the connection that opened them.
//!
//! A key is decrypted by its passphrase, signs what its operator asks for, and is wiped when it is closed, when its time is
//! over or when its connection ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fcp_api::hex::Hex;
use fcp_api::secret::Secret;
use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{Digest, KeyId, PrincipalId};
use fcp_proto_core::object::OperatorRight;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use zeroize::Zeroizing;

/// An operator whose key is open.
pub struct Unlocked {
    /// Who.
    pub operator: PrincipalId,
    /// The key.
    pub key: SigningKey<role::Operator>,
    /// What it may do.
    pub rights: Vec<OperatorRight>,
    /// Until when.
    pub expires_at: UnixTime,
    ends: Instant,
    connection: u64,
}

impl fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlocked({})", self.operator)
    }
}

/// All open keys, by the digest of their bearer's text, so that looking one up tells nothing by its timing.
pub struct Operators {
    state: Mutex<State>,
}

struct State {
    entropy: Entropy,
    open: BTreeMap<Digest, Arc<Unlocked>>,
}

impl Operators {
    /// None is open.
    pub fn new(entropy: Entropy) -> Self {
        Self { state: Mutex::new(State { entropy, open: BTreeMap::new() }) }
    }

    /// Keeps a key that was opened; the bearer's text.
    pub fn open(
        &self,
        operator: PrincipalId,
        key: SigningKey<role::Operator>,
        rights: Vec<OperatorRight>,
        lifetime_secs: u64,
        connection: u64,
        now: Now,
    ) -> (Secret, UnixTime) {
        let mut state = self.lock();
        let bytes = Zeroizing::new(state.entropy.bytes::<32>());
        let expires_at = now.unix.saturating_add(lifetime_secs);
        let ends = now.mono.saturating_add(Duration::from_secs(lifetime_secs));
        let unlocked = Unlocked { operator, key, rights, expires_at, ends, connection };
        state.open.insert(hash::digest(&*bytes), Arc::new(unlocked));
        (Secret::new(Hex(*bytes).to_string()), expires_at)
    }

    /// The operator of a bearer's text on a connection.
    pub fn find(&self, bearer: &str, connection: u64, now: Now) -> Option<Arc<Unlocked>> {
        let bytes: Hex<32> = bearer.parse().ok()?;
        let state = self.lock();
        let found = state.open.get(&hash::digest(&bytes.0))?;
        (found.connection == connection && now.mono < found.ends).then(|| Arc::clone(found))
    }

    /// Closes all keys of a connection.
    pub fn close(&self, connection: u64) {
        self.lock().open.retain(|_, unlocked| unlocked.connection != connection);
    }

    /// Closes a key that may act no more, wherever it is open.
    pub fn close_key(&self, key: KeyId) {
        self.lock().open.retain(|_, unlocked| unlocked.key.key_id() != key);
    }

    /// Closes keys whose time is over.
    pub fn expire(&self, now: Now) {
        self.lock().open.retain(|_, unlocked| now.mono < unlocked.ends);
    }

    /// Closes all.
    pub fn close_all(&self) {
        self.lock().open.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operators({} open)", self.lock().open.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Now {
        Now { mono: Instant::from_nanos(secs * 1_000_000_000), unix: UnixTime::from_secs(secs) }
    }

    fn operators() -> (Operators, PrincipalId, SigningKey<role::Operator>) {
        let mut entropy = Entropy::from_seed(&Zeroizing::new([1; 32]));
        let key = SigningKey::generate(&mut entropy);
        (Operators::new(entropy), PrincipalId::new("alice").unwrap(), key)
    }

    #[test]
    fn a_key_is_open_for_its_time_on_its_connection() {
        let (operators, who, key) = operators();
        let (bearer, _) = operators.open(who.clone(), key, Vec::new(), 60, 1, at(100));
        assert_eq!(operators.find(bearer.expose(), 1, at(159)).map(|it| it.operator.clone()), Some(who));
        assert!(operators.find(bearer.expose(), 2, at(101)).is_none(), "another connection");
        assert!(operators.find(bearer.expose(), 1, at(160)).is_none(), "its time is over");
        assert!(operators.find(&"00".repeat(32), 1, at(101)).is_none(), "nobody's");
        operators.close(1);
        assert!(operators.find(bearer.expose(), 1, at(101)).is_none(), "its connection ended");
    }
}
