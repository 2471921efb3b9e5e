//! The owner ceremony: once in the life of a home it makes the owner, the first operator, this node and the zones.
//!
//! ```text
//!  begin            confirm          record durable         all keys durable       founded           record removed
//! ──────► PhraseShown ──────► (stores) ──────────► Confirmed ──────────► KeysStored ──────► Founded ──────────► Done
//!            │ wrong words, time over                    ▲
//!            ▼                                           │ resume: the same record, so the same keys and objects
//!         nothing is in force                        restart
//! ```
//!
//! Everything is made at the beginning and kept in memory. One file, the *record*, holds all of it: the wrapped keys and
//! the signed objects. Its one atomic write is what a confirmation means; before it there is no owner, and after it every
//! restart reaches the same home. The phrase is given out once, by [`Ceremony::begin`], and is stored nowhere.
//!
//! Drive it so: after [`handle_answer`](Ceremony::handle_answer) or [`resume`](Ceremony::resume), take each
//! [`poll_output`](Ceremony::poll_output), do it durably, and say [`handle_completed`](Ceremony::handle_completed). When
//! something fails, drop the machine and resume from the disk.
//!
//! //= docs/spec/ceremony.md

mod draft;
mod error;
pub mod files;
mod founding;
mod record;
#[cfg(test)]
mod tests;

pub use error::{AnswerError, BeginError, ResumeError};
pub use founding::default_policy;
pub use record::{CeremonyRecord, KeyFile};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::phrase::{RecoveryPhrase, WORDS};
use fcp_proto_core::crypto::role::{Owner, Wrapping};
use fcp_proto_core::crypto::secret::{SecretBytes, SymmetricKey};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::crypto::source::{Argon2Cost, KeySource};
use fcp_proto_core::ids::{KeyId, NodeId, PrincipalId};
use fcp_proto_core::object::AnyObject;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

/// How many words of the phrase a confirmation repeats.
pub const ASKED_WORDS: usize = 3;

/// How many wrong answers end a ceremony. Chosen: room for slips, none for guessing.
pub const MAX_WRONG_ANSWERS: u32 = 5;

/// How long a phrase may wait to be confirmed, in seconds. Chosen: time to write 24 words down and check them.
pub const CONFIRM_WITHIN_SECS: u64 = 3_600;

/// Least length of the passphrase, in bytes. Source: NIST SP 800-63B §3.1.1.2.
pub const MIN_PASSPHRASE_BYTES: usize = 8;

/// What the driver found before a ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Whether there is a ceremony record.
    pub record: bool,
    /// Whether any stored key is there.
    pub keys: bool,
    /// Whether the home says that it is made.
    pub home: bool,
    /// The owner that the node's store knows.
    pub owner: Option<KeyId>,
}

/// Where the key that wraps the node's keys is kept.
#[derive(Debug)]
pub enum NodeSecret {
    /// In a file of the key folder, which the ceremony makes.
    File {
        /// The file's name.
        name: String,
    },
    /// Elsewhere, and it exists already.
    Existing {
        /// Where.
        source: KeySource,
        /// The key.
        key: SymmetricKey<Wrapping>,
    },
}

/// What the owner says at the beginning.
#[derive(Debug)]
pub struct Begin {
    /// Wraps the owner's and the operator's key.
    pub passphrase: SecretBytes,
    /// The cost of stretching it.
    pub cost: Argon2Cost,
    /// The first operator's name.
    pub operator: PrincipalId,
    /// This device's name.
    pub node: NodeId,
    /// Where the key that wraps the node's keys is kept.
    pub node_secret: NodeSecret,
}

/// How far a ceremony is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The phrase was shown and waits to be confirmed, or its confirmation is not durable yet; nothing is in force.
    PhraseShown,
    /// It was confirmed, durably: from now on a restart resumes.
    Confirmed,
    /// Every key has its file.
    KeysStored,
    /// The node has taken the founding objects.
    Founded,
    /// The home is made.
    Done,
}

/// Who and what the home is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeFacts {
    /// Random bytes that name the home.
    pub home_id: [u8; 32],
    /// This device.
    pub node: NodeId,
    /// The first operator.
    pub operator: PrincipalId,
    /// The owner's key.
    pub owner_key: KeyId,
}

/// What the driver is to do next, durably.
#[must_use = "the ceremony waits until this is done"]
pub enum Output {
    /// Write a file of the key folder, whole.
    StoreKey {
        /// Its name.
        name: String,
        /// Its contents.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// Write the ceremony's record, whole.
    StoreRecord {
        /// Its contents.
        bytes: Vec<u8>,
    },
    /// Give the objects to the node, all or none.
    Found {
        /// The objects, in the order in which they authorise each other.
        objects: Vec<AnyObject>,
    },
    /// Write down that the home is made.
    StoreHome(Box<HomeFacts>),
    /// Remove the ceremony's record.
    RemoveRecord,
}

/// Names the step, and nothing of its contents.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreKey { name, .. } => write!(f, "StoreKey({name})"),
            Self::StoreRecord { .. } => f.write_str("StoreRecord"),
            Self::Found { objects } => write!(f, "Found({} objects)", objects.len()),
            Self::StoreHome(_) => f.write_str("StoreHome"),
            Self::RemoveRecord => f.write_str("RemoveRecord"),
        }
    }
}

/// The answer to a beginning: the phrase, for the only time.
#[derive(Debug)]
pub struct Begun {
    /// The ceremony.
    pub ceremony: Ceremony,
    /// The phrase to show.
    pub phrase: RecoveryPhrase,
    /// The places, counted from 1, of the words that the confirmation must repeat.
    pub asked: [u8; ASKED_WORDS],
    /// Until when it can be confirmed, exclusive.
    pub expires_at: UnixTime,
}

/// One word of the phrase.
#[derive(Debug)]
pub struct WordProof<'a> {
    /// Its place, counted from 1.
    pub place: u8,
    /// The word, in any case.
    pub word: &'a str,
}

/// One ceremony.
#[derive(Debug)]
pub struct Ceremony {
    facts: HomeFacts,
    phase: Phase,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The phrase was shown.
    Shown(Box<draft::Draft>),
    /// These steps remain; the first is being done once it was given out.
    Working(Steps),
    /// Too many wrong answers, or the time is over.
    Void,
}

/// The steps that remain, each with the phase that is reached when it is done.
struct Steps {
    waiting: VecDeque<(Output, Phase)>,
    /// The phase that the step given out leads to.
    given: Option<Phase>,
}

impl Ceremony {
    /// Makes everything, and gives out the phrase. Nothing is in force until it is confirmed.
    ///
    /// # Errors
    /// Why there can be no ceremony here.
    pub fn begin(
        present: Present,
        begin: Begin,
        now: UnixTime,
        entropy: &mut Entropy,
    ) -> Result<Begun, BeginError> {
        check_free(present)?;
        if begin.passphrase.expose().len() < MIN_PASSPHRASE_BYTES {
            return Err(BeginError::PassphraseTooShort);
        }
        let phrase = RecoveryPhrase::generate(entropy);
        let draft = draft::Draft::make(begin, &phrase, now, entropy)?;
        let (asked, expires_at) = (draft.asked, draft.expires_at);
        let ceremony = Self {
            facts: draft.record.facts(),
            phase: Phase::PhraseShown,
            state: State::Shown(Box::new(draft)),
        };
        Ok(Begun { ceremony, phrase, asked, expires_at })
    }

    /// Goes on from the record that a confirmed ceremony left, in whatever step it was interrupted.
    ///
    /// # Errors
    /// Why the record is of no use; then nothing may be removed.
    pub fn resume(present: Present, record: &[u8]) -> Result<Self, ResumeError> {
        let record = CeremonyRecord::from_bytes(record)?;
        let facts = record.facts();
        if present.owner.is_some_and(|owner| owner != facts.owner_key) {
            return Err(ResumeError::OtherOwner);
        }
        let steps = Steps::of(record, &facts, present.owner.is_some());
        Ok(Self { facts, phase: Phase::Confirmed, state: State::Working(steps) })
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Who and what the home is, or will be.
    pub fn facts(&self) -> &HomeFacts {
        &self.facts
    }

    /// Takes the owner's proof that the phrase was written down.
    ///
    /// # Errors
    /// Why it proves nothing; the ceremony goes on only after a wrong word, and not for ever.
    //= docs/spec/ceremony.md#phases
    pub fn handle_answer(&mut self, words: &[WordProof<'_>], now: UnixTime) -> Result<(), AnswerError> {
        let State::Shown(draft) = &mut self.state else {
            return Err(match self.state {
                State::Void => AnswerError::Void,
                State::Shown(_) | State::Working(_) => AnswerError::AlreadyConfirmed,
            });
        };
        if let Err(error) = draft.check(words, now) {
            if matches!(error, AnswerError::Void | AnswerError::Expired) {
                self.state = State::Void;
            }
            return Err(error);
        }
        let State::Shown(draft) = core::mem::replace(&mut self.state, State::Void) else {
            return Err(AnswerError::Void);
        };
        self.state = State::Working(draft.into_steps(&self.facts));
        Ok(())
    }

    /// What is to be done next; nothing while a step is being done, or nothing is left.
    pub fn poll_output(&mut self) -> Option<Output> {
        let State::Working(steps) = &mut self.state else { return None };
        if steps.given.is_some() {
            return None;
        }
        let (output, reached) = steps.waiting.pop_front()?;
        steps.given = Some(reached);
        Some(output)
    }

    /// The step last given out is done, durably. Without such a step nothing changes.
    pub fn handle_completed(&mut self) -> Phase {
        if let State::Working(steps) = &mut self.state
            && let Some(reached) = steps.given.take()
        {
            self.phase = reached;
        }
        self.phase
    }
}

/// The owner's key of a phrase, when everything else is lost.
///
/// # Errors
/// What is wrong with the words.
pub fn recover(phrase: &str) -> Result<SigningKey<Owner>, fcp_proto_core::crypto::phrase::PhraseError> {
    RecoveryPhrase::parse(phrase).map(|phrase| phrase.owner_key())
}

impl Steps {
    /// The steps after a durable record.
    fn of(record: CeremonyRecord, facts: &HomeFacts, founded: bool) -> Self {
        let mut waiting = VecDeque::new();
        let last = record.keys.len().saturating_sub(1);
        for (at, file) in record.keys.into_iter().enumerate() {
            let reached = if at == last { Phase::KeysStored } else { Phase::Confirmed };
            waiting.push_back((
                Output::StoreKey { name: file.name, bytes: Zeroizing::new(file.bytes.0) },
                reached,
            ));
        }
        if !founded {
            waiting.push_back((Output::Found { objects: record.objects }, Phase::Founded));
        }
        waiting.push_back((Output::StoreHome(Box::new(facts.clone())), Phase::Founded));
        waiting.push_back((Output::RemoveRecord, Phase::Done));
        Self { waiting, given: None }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.waiting.iter().map(|(output, _)| output)).finish()
    }
}

/// A ceremony needs a home in which nothing says that there is an owner.
//= docs/spec/ceremony.md#phases
fn check_free(present: Present) -> Result<(), BeginError> {
    if present.owner.is_some() || present.home {
        Err(BeginError::OwnerExists)
    } else if present.record {
        Err(BeginError::MustResume)
    } else if present.keys {
        Err(BeginError::StrayKeys)
    } else {
        Ok(())
    }
}

/// Three different places, in ascending order.
fn places(entropy: &mut Entropy) -> [u8; ASKED_WORDS] {
    let mut free: Vec<u8> = (1..=WORDS as u8).collect();
    let mut places = [0; ASKED_WORDS];
    for place in &mut places {
        let at = usize::try_from(entropy.below(free.len() as u64)).unwrap_or(0);
        *place = free.swap_remove(at);
    }
    places.sort_unstable();
    places
}
