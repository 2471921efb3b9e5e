//! What a beginning makes and keeps in memory until the phrase is confirmed.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::role::{Issuance, Node, Operator, Vault, Wrapping};
use fcp_proto_core::crypto::secret::{SecretBytes, SymmetricKey};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::crypto::source::{Argon2Cost, KeySource};
use fcp_proto_core::crypto::wrap::{WrappableKey, WrappedKey};
use fcp_proto_core::encoding::cbor::{ByteString, encode};
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::ObjectIdKey;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Level, WELL_KNOWN};
use zeroize::Zeroizing;

use super::files::{
    ENCRYPTION_KEY, ISSUANCE_KEY, OWNER_KEY, SIGNING_KEY, VAULT_KEY, operator_key_file, wrap_for_file,
    zone_key_file,
};
use super::founding::Founding;
use super::record::{CeremonyRecord, KeyFile};
use super::{
    ASKED_WORDS, AnswerError, Begin, BeginError, CONFIRM_WITHIN_SECS, HomeFacts, MAX_WRONG_ANSWERS,
    NodeSecret, Output, Phase, Steps, WordProof,
};

/// What a beginning made.
pub(super) struct Draft {
    pub(super) record: CeremonyRecord,
    pub(super) asked: [u8; ASKED_WORDS],
    pub(super) expires_at: UnixTime,
    bytes: Vec<u8>,
    words: Zeroizing<String>,
    wrong: u32,
    new_secret: Option<(String, SymmetricKey<Wrapping>)>,
}

impl Draft {
    /// Makes all keys and signs all objects; the secrets are wrapped and forgotten.
    pub(super) fn make(
        begin: Begin,
        phrase: &RecoveryPhrase,
        now: UnixTime,
        entropy: &mut Entropy,
    ) -> Result<Self, BeginError> {
        let owner = phrase.owner_key();
        let operator = SigningKey::<Operator>::generate(entropy);
        let mut keys = Files::new(begin.node_secret, entropy);
        keys.add_with_passphrase(OWNER_KEY, &owner, &begin.passphrase, begin.cost, entropy)?;
        let operator_file = operator_key_file(&begin.operator);
        keys.add_with_passphrase(&operator_file, &operator, &begin.passphrase, begin.cost, entropy)?;
        let signing = keys.add::<SigningKey<Node>>(SIGNING_KEY, SigningKey::generate(entropy), entropy)?;
        let issuance =
            keys.add::<SigningKey<Issuance>>(ISSUANCE_KEY, SigningKey::generate(entropy), entropy)?;
        let encryption = keys.add(ENCRYPTION_KEY, EncryptionKey::generate(entropy), entropy)?;
        keys.add::<SymmetricKey<Vault>>(VAULT_KEY, SymmetricKey::generate(entropy), entropy)?;
        let zones = keys.add_zones(entropy)?;
        let home_id = entropy.bytes();
        let objects = Founding {
            owner: &owner,
            home_id,
            operator: (&begin.operator, operator.verifying_key()),
            node: &begin.node,
            signing: signing.verifying_key(),
            issuance: issuance.verifying_key(),
            encryption: encryption.public_key(),
            nonce: entropy.bytes(),
            zones: &zones,
            now,
        }
        .sign()?;
        let record = CeremonyRecord {
            node: begin.node,
            operator: begin.operator,
            home_id,
            owner_key: owner.key_id(),
            keys: keys.files,
            objects: objects.typed,
        };
        Ok(Self {
            bytes: record.encode(&objects.stored)?,
            record,
            asked: super::places(entropy),
            expires_at: now.saturating_add(CONFIRM_WITHIN_SECS),
            words: phrase.words(),
            wrong: 0,
            new_secret: keys.made.map(|name| (name, keys.secret)),
        })
    }

    /// Whether the words are those asked for.
    pub(super) fn check(&mut self, words: &[WordProof<'_>], now: UnixTime) -> Result<(), AnswerError> {
        if now >= self.expires_at {
            return Err(AnswerError::Expired);
        }
        let mut places: Vec<u8> = words.iter().map(|proof| proof.place).collect();
        places.sort_unstable();
        if places != self.asked {
            return Err(AnswerError::NotAsked);
        }
        let right = |proof: &&WordProof<'_>| {
            let shown = self.words.split(' ').nth(usize::from(proof.place) - 1);
            shown.is_some_and(|shown| proof.word.trim().eq_ignore_ascii_case(shown))
        };
        let Some(wrong) = words.iter().find(|proof| !right(proof)) else { return Ok(()) };
        self.wrong += 1;
        match MAX_WRONG_ANSWERS.saturating_sub(self.wrong) {
            0 => Err(AnswerError::Void),
            left => Err(AnswerError::WrongWord { place: wrong.place, left }),
        }
    }

    /// The steps of a confirmed draft: the node's secret, the record, and what follows from it.
    pub(super) fn into_steps(self, facts: &HomeFacts) -> Steps {
        let mut steps = Steps::of(self.record, facts, false);
        steps.waiting.push_front((Output::StoreRecord { bytes: self.bytes }, Phase::Confirmed));
        if let Some((name, secret)) = self.new_secret {
            let bytes = Zeroizing::new(secret.expose().to_vec());
            steps.waiting.push_front((Output::StoreKey { name, bytes }, Phase::PhraseShown));
        }
        steps
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft(asks {:?})", self.asked)
    }
}

/// The key files under the node's secret.
struct Files {
    files: Vec<KeyFile>,
    secret: SymmetricKey<Wrapping>,
    source: KeySource,
    /// The file in which the secret is to be stored, if it is new.
    made: Option<String>,
}

impl Files {
    fn new(node_secret: NodeSecret, entropy: &mut Entropy) -> Self {
        let (secret, source, made) = match node_secret {
            NodeSecret::File { name } => {
                (SymmetricKey::generate(entropy), KeySource::File { name: name.clone() }, Some(name))
            }
            NodeSecret::Existing { source, key } => (key, source, None),
        };
        Self { files: Vec::new(), secret, source, made }
    }

    fn add<K: WrappableKey>(&mut self, name: &str, key: K, entropy: &mut Entropy) -> Result<K, BeginError> {
        let bytes = wrap_for_file(&key, name, &self.secret, self.source.clone(), entropy)?;
        self.push(name, bytes);
        Ok(key)
    }

    fn add_with_passphrase<K: WrappableKey>(
        &mut self,
        name: &str,
        key: &K,
        passphrase: &SecretBytes,
        cost: Argon2Cost,
        entropy: &mut Entropy,
    ) -> Result<(), BeginError> {
        let wrapped = WrappedKey::with_passphrase(key, passphrase, cost, entropy)?;
        self.push(name, encode(&wrapped)?);
        Ok(())
    }

    fn add_zones(&mut self, entropy: &mut Entropy) -> Result<Vec<(ZoneId, Level, ObjectIdKey)>, BeginError> {
        let mut zones = Vec::new();
        for (name, level) in WELL_KNOWN {
            let Ok(zone) = ZoneId::new(name) else { continue };
            let key = self.add(&zone_key_file(&zone), ObjectIdKey::generate(entropy), entropy)?;
            zones.push((zone, level, key));
        }
        Ok(zones)
    }

    fn push(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push(KeyFile { name: name.to_owned(), bytes: ByteString(bytes) });
    }
}
