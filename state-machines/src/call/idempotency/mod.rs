//! The index of idempotency keys: one effect for one key, and an honest answer to whoever asks again.
//!
//! Spec: docs/spec/idempotency.md. A key lives within (zone, principal, connector, operation) and is bound to the
//! digest of one call.
//!
//! ```text
//!              begin                     complete
//!   (fresh) ─────────► in progress ──────────────────► completed ──► expires
//!      ▲                │       │ mark_unknown             ▲
//!      │ release        │       ▼                          │ settle: made
//!      └────────────────┘    unknown ──────────────────────┘
//!      ▲                        │ settle: not made
//!      └────────────────────────┘
//! ```
//!
//! Only what is completed expires: a call whose outcome is unknown stays so until it is settled.

mod states;
#[cfg(test)]
mod tests;

pub use states::{Completed, Entry, InProgress, Unknown};

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, Digest, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::limits::MAX_IDEMPOTENCY_KEY_BYTES;
use fcp_proto_core::time::{Now, UnixTime};

/// The caller's text: 1 to 255 printable ASCII characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

/// Why a text is no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No character at all.
    Empty,
    /// More than [`MAX_IDEMPOTENCY_KEY_BYTES`].
    TooLong,
    /// A character other than printable ASCII, or a space.
    InvalidChar,
}

impl IdempotencyKey {
    /// The key spelled `text`.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        if text.is_empty() {
            Err(KeyError::Empty)
        } else if text.len() > MAX_IDEMPOTENCY_KEY_BYTES {
            Err(KeyError::TooLong)
        } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(KeyError::InvalidChar)
        }
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an idempotency key is empty",
            Self::TooLong => "an idempotency key is longer than 255 bytes",
            Self::InvalidChar => {
                "an idempotency key holds something other than printable ASCII without spaces"
            }
        })
    }
}

impl core::error::Error for KeyError {}

/// A key and the place it lives in. Equal keys of two callers, operations or zones are different keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Who calls.
    pub principal: PrincipalId,
    /// The zone of the call.
    pub zone: ZoneId,
    /// The connector.
    pub connector: ConnectorId,
    /// The operation.
    pub operation: OperationId,
    /// The caller's key.
    pub key: IdempotencyKey,
}

/// Bounds of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Seconds that a completed entry is kept.
    pub keep_secs: u64,
    /// Entries in all.
    pub max_entries: usize,
    /// Entries of one principal, so that none can fill the index for the others.
    pub max_of_principal: usize,
}

impl Default for Config {
    /// A day; 100,000 entries, 10,000 of one principal. Chosen: under 64 MiB with the longest names in common use.
    fn default() -> Self {
        Self { keep_secs: 86_400, max_entries: 100_000, max_of_principal: 10_000 }
    }
}

/// Why a call does not go on: what stands under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The same call has completed: its receipt is the answer, and nothing is spent.
    Replay {
        /// The stored receipt.
        receipt: ObjectId,
    },
    /// Another call bears this key.
    Conflict,
    /// The same call is under way.
    InProgress {
        /// Its intent.
        intent: ObjectId,
    },
    /// The same call was sent and its outcome is not known.
    Unknown {
        /// Its intent.
        intent: ObjectId,
    },
    /// No room for another key of this principal, or of anybody.
    Full {
        /// Seconds until enough completed keys have expired, if that alone makes room.
        retry_after_secs: Option<u64>,
    },
}

impl Standing {
    /// The registry's code of the refusal; none if the stored receipt is the answer.
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Replay { .. } => None,
            Self::Conflict => Some(Code::IdempotencyConflict),
            Self::InProgress { .. } => Some(Code::CallInProgress),
            Self::Unknown { .. } => Some(Code::OutcomeUnknown),
            Self::Full { .. } => Some(Code::Exhausted),
        }
    }
}

/// Proof that a key was free for a call at one moment; only [`Index::check`] makes it.
#[must_use = "a free key is taken by `begin`"]
#[derive(Debug, PartialEq, Eq)]
pub struct Fresh {
    scope: Scope,
    call_digest: Digest,
}

impl Fresh {
    /// The key and the place it lives in.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// How an unknown outcome was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The effect was made; this receipt says so.
    Made {
        /// The receipt that settles the call.
        receipt: ObjectId,
    },
    /// The effect was provably not made: the key is free again.
    NotMade,
}

/// A defect of the caller of this machine: the event does not fit the entry's state. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// No entry stands under this key.
    NoEntry,
    /// The entry belongs to another intent.
    OtherIntent,
    /// The entry is in a state that this event does not leave.
    WrongState,
}

/// All idempotency keys of a node.
#[derive(Clone, Debug)]
pub struct Index {
    config: Config,
    entries: BTreeMap<Scope, Entry>,
    of_principal: BTreeMap<PrincipalId, usize>,
    seen: UnixTime,
}

impl Index {
    /// An index without keys.
    pub const fn new(config: Config) -> Self {
        Self { config, entries: BTreeMap::new(), of_principal: BTreeMap::new(), seen: UnixTime::from_secs(0) }
    }

    /// Whether the key is free for the call with this digest. Changes nothing.
    ///
    /// # Errors
    /// What stands under the key, the answer to the same call included.
    pub fn check(&self, scope: Scope, call_digest: Digest, now: Now) -> Result<Fresh, Standing> {
        let Some(entry) = self.entries.get(&scope).filter(|entry| !entry.has_expired(self.moment(now)))
        else {
            return if self.has_room(&scope, now) {
                Ok(Fresh { scope, call_digest })
            } else {
                Err(Standing::Full { retry_after_secs: self.room_after(&scope.principal, now) })
            };
        };
        if entry.call_digest() != call_digest {
            return Err(Standing::Conflict);
        }
        Err(match entry {
            Entry::InProgress(InProgress { intent, .. }) => Standing::InProgress { intent: *intent },
            Entry::Completed(Completed { receipt, .. }) => Standing::Replay { receipt: *receipt },
            Entry::Unknown(Unknown { intent, .. }) => Standing::Unknown { intent: *intent },
        })
    }

    /// Takes the key for `intent`, in the step that makes the intent durable.
    ///
    /// # Errors
    /// What stands by now, if the key was taken or the index filled since the check.
    pub fn begin(&mut self, fresh: Fresh, intent: ObjectId, now: Now) -> Result<(), Standing> {
        let now = self.advance(now);
        let Fresh { scope, call_digest } = self.check(fresh.scope, fresh.call_digest, now)?;
        self.make_room(&scope, now);
        self.insert(scope, Entry::InProgress(InProgress { intent, call_digest }));
        Ok(())
    }

    /// The call of `intent` ended with `receipt`.
    ///
    /// # Errors
    /// [`Misuse`] unless the call is in progress.
    pub fn complete(
        &mut self,
        scope: &Scope,
        intent: ObjectId,
        receipt: ObjectId,
        now: Now,
    ) -> Result<(), Misuse> {
        let now = self.advance(now);
        let call_digest = self.in_progress(scope, intent)?.call_digest;
        self.put_completed(scope, receipt, call_digest, now.unix);
        Ok(())
    }

    /// The call of `intent` was sent and got no answer.
    ///
    /// # Errors
    /// [`Misuse`] unless the call is in progress.
    pub fn mark_unknown(&mut self, scope: &Scope, intent: ObjectId) -> Result<(), Misuse> {
        let call_digest = self.in_progress(scope, intent)?.call_digest;
        self.insert(scope.clone(), Entry::Unknown(Unknown { intent, call_digest }));
        Ok(())
    }

    /// The call of `intent` provably never left: the key is free again.
    ///
    /// # Errors
    /// [`Misuse`] unless the call is in progress.
    //= docs/spec/idempotency.md#states
    pub fn release(&mut self, scope: &Scope, intent: ObjectId) -> Result<(), Misuse> {
        self.in_progress(scope, intent)?;
        self.remove(scope);
        Ok(())
    }

    /// A probe or the operator found out what became of the call of `intent`.
    ///
    /// # Errors
    /// [`Misuse`] unless the outcome is unknown.
    //= docs/spec/idempotency.md#states
    pub fn settle(
        &mut self,
        scope: &Scope,
        intent: ObjectId,
        how: Settlement,
        now: Now,
    ) -> Result<(), Misuse> {
        let now = self.advance(now);
        let call_digest = match self.entry_of(scope, intent)? {
            Entry::Unknown(unknown) => unknown.call_digest,
            Entry::InProgress(_) | Entry::Completed(_) => return Err(Misuse::WrongState),
        };
        match how {
            Settlement::Made { receipt } => self.put_completed(scope, receipt, call_digest, now.unix),
            Settlement::NotMade => self.remove(scope),
        }
        Ok(())
    }

    /// Forgets the completed entries whose time is over.
    //= docs/spec/idempotency.md#expiry
    pub fn expire(&mut self, now: Now) {
        let moment = self.advance(now).unix;
        let of_principal = &mut self.of_principal;
        self.entries.retain(|scope, entry| {
            let expired = entry.has_expired(moment);
            if expired {
                forget_one(of_principal, &scope.principal);
            }
            !expired
        });
    }

    /// A stored intent, at start. Without a later record of the same call its outcome is unknown.
    ///
    /// Records are replayed in the order of the journal, all before the first check.
    pub fn replay_intent(&mut self, scope: Scope, intent: ObjectId, call_digest: Digest) {
        self.insert(scope, Entry::Unknown(Unknown { intent, call_digest }));
    }

    /// A stored receipt, made at `at`, at start. Its intent need not be stored any more.
    pub fn replay_receipt(&mut self, scope: &Scope, receipt: ObjectId, call_digest: Digest, at: UnixTime) {
        self.put_completed(scope, receipt, call_digest, at);
    }

    /// A stored record that the call of `intent` provably made no effect, at start.
    ///
    /// # Errors
    /// [`Misuse`] if the intent does not stand.
    pub fn replay_release(&mut self, scope: &Scope, intent: ObjectId) -> Result<(), Misuse> {
        match self.entry_of(scope, intent)? {
            Entry::Unknown(_) => self.remove(scope),
            Entry::InProgress(_) | Entry::Completed(_) => return Err(Misuse::WrongState),
        }
        Ok(())
    }

    /// The calls whose outcome is not known, with their intents.
    pub fn unknown(&self) -> impl Iterator<Item = (&Scope, ObjectId)> {
        self.entries.iter().filter_map(|(scope, entry)| match entry {
            Entry::Unknown(unknown) => Some((scope, unknown.intent)),
            Entry::InProgress(_) | Entry::Completed(_) => None,
        })
    }

    /// What stands under `scope`, expired or not.
    pub fn get(&self, scope: &Scope) -> Option<&Entry> {
        self.entries.get(scope)
    }

    /// The number of keys held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets what has expired, if the bounds are reached only because of it.
    fn make_room(&mut self, scope: &Scope, now: Now) {
        let count = self.of_principal.get(&scope.principal).copied().unwrap_or_default();
        if self.entries.len() >= self.config.max_entries || count >= self.config.max_of_principal {
            self.expire(now);
        }
    }

    /// Whether a new key of this principal fits, counting only what has not expired.
    fn has_room(&self, scope: &Scope, now: Now) -> bool {
        let count = self.of_principal.get(&scope.principal).copied().unwrap_or_default();
        if self.entries.len() < self.config.max_entries && count < self.config.max_of_principal {
            return true;
        }
        let moment = self.moment(now);
        let live = |(_, entry): &(&Scope, &Entry)| !entry.has_expired(moment);
        let all = self.entries.iter().filter(live).count();
        let own = self.entries.iter().filter(live).filter(|(at, _)| at.principal == scope.principal).count();
        all < self.config.max_entries && own < self.config.max_of_principal
    }

    /// Seconds after which a key of this principal fits, if nobody takes one meanwhile; none if only a settlement or the
    /// end of a call makes room.
    fn room_after(&self, principal: &PrincipalId, now: Now) -> Option<u64> {
        let moment = self.moment(now);
        let own = |at: &Scope| at.principal == *principal;
        let (all, mine) = (
            self.wait(moment, |_| true, self.config.max_entries),
            self.wait(moment, own, self.config.max_of_principal),
        );
        Some(all?.max(mine?))
    }

    /// Seconds until fewer than `bound` of the entries that `counts` names are left.
    fn wait(&self, moment: UnixTime, counts: impl Fn(&Scope) -> bool, bound: usize) -> Option<u64> {
        let live = self.entries.iter().filter(|(at, entry)| counts(at) && !entry.has_expired(moment));
        let ends: Vec<Option<UnixTime>> = live.map(|(_, entry)| entry.expires()).collect();
        let Some(surplus) = ends.len().checked_sub(bound) else { return Some(0) };
        let mut ends: Vec<UnixTime> = ends.into_iter().flatten().collect();
        ends.sort_unstable();
        ends.get(surplus).map(|end| end.saturating_since(moment))
    }

    fn entry_of(&self, scope: &Scope, intent: ObjectId) -> Result<&Entry, Misuse> {
        let entry = self.entries.get(scope).ok_or(Misuse::NoEntry)?;
        match entry.intent() {
            Some(of) if of != intent => Err(Misuse::OtherIntent),
            Some(_) | None => Ok(entry),
        }
    }

    fn in_progress(&self, scope: &Scope, intent: ObjectId) -> Result<InProgress, Misuse> {
        match self.entry_of(scope, intent)? {
            Entry::InProgress(entry) => Ok(*entry),
            Entry::Completed(_) | Entry::Unknown(_) => Err(Misuse::WrongState),
        }
    }

    fn put_completed(&mut self, scope: &Scope, receipt: ObjectId, call_digest: Digest, at: UnixTime) {
        let expires = at.saturating_add(self.config.keep_secs);
        self.insert(scope.clone(), Entry::Completed(Completed { receipt, call_digest, expires }));
    }

    fn insert(&mut self, scope: Scope, entry: Entry) {
        let principal = scope.principal.clone();
        if self.entries.insert(scope, entry).is_none() {
            *self.of_principal.entry(principal).or_default() += 1;
        }
    }

    fn remove(&mut self, scope: &Scope) {
        if self.entries.remove(scope).is_some() {
            forget_one(&mut self.of_principal, &scope.principal);
        }
    }

    /// The wall time that counts: a clock that steps back revives nothing.
    fn moment(&self, now: Now) -> UnixTime {
        now.unix.max(self.seen)
    }

    fn advance(&mut self, now: Now) -> Now {
        self.seen = self.moment(now);
        Now { unix: self.seen, ..now }
    }
}

fn forget_one(of_principal: &mut BTreeMap<PrincipalId, usize>, principal: &PrincipalId) {
    if let Some(count) = of_principal.get_mut(principal) {
        *count -= 1;
        if *count == 0 {
            of_principal.remove(principal);
        }
    }
}
