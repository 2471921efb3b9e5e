//! Bounds on all decodes together: how many, how much memory, how many duplicates, how long.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::{
    Authenticated, DecodeError, Decoder, EncodingSet, IdentifiedObject, Progress, Symbol,
    TransmissionInformation,
};
use crate::error::Code;
use crate::limits::{DECODE_SECS, MAX_DECODE_BYTES, MAX_DECODES, MAX_DUPLICATE_SYMBOLS};
use crate::object::ObjectIdKey;
use crate::time::Instant;

/// What decodes may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most decodes at once.
    pub decodes: usize,
    /// Most bytes held by all of them, and by the solver beside them.
    pub bytes: usize,
    /// Most duplicate symbols of one decode.
    pub duplicates: u32,
    /// Longest time of one decode.
    pub time: Duration,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            decodes: MAX_DECODES,
            bytes: MAX_DECODE_BYTES,
            duplicates: MAX_DUPLICATE_SYMBOLS,
            time: Duration::from_secs(DECODE_SECS),
        }
    }
}

/// The decodes under way, within their limits.
//= docs/spec/symbols.md#admission
#[derive(Debug)]
pub struct Decodes {
    limits: DecodeLimits,
    active: BTreeMap<EncodingSet, Active>,
}

#[derive(Debug)]
struct Active {
    decoder: Decoder,
    deadline: Instant,
    duplicates: u32,
}

/// Why a decode was not begun, a symbol not taken, or a decode ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdmissionError {
    /// As many decodes are under way as may be.
    TooManyDecodes,
    /// The decode and those under way may need more bytes than they may have.
    MemoryExceeded {
        /// The bytes it may need.
        needed: usize,
        /// The bytes that are left.
        free: usize,
    },
    /// The object is being decoded already, in the same way.
    AlreadyDecoding,
    /// The object is being decoded already, and cut otherwise.
    ConflictingTransmission,
    /// Nothing of this encoding is being decoded.
    NotDecoding,
    /// The symbol is there already, and more came twice than may.
    TooManyDuplicates,
    /// The decode took too long and is ended.
    TimedOut,
    /// Too few symbols, or other blocks wait to be solved; the decode goes on.
    Incomplete {
        /// How many more symbols are needed. If none are, more can be done at once.
        needed: u32,
    },
    /// What the decoder said.
    Decode(DecodeError),
}

impl Decodes {
    /// No decodes, within `limits`.
    pub const fn new(limits: DecodeLimits) -> Self {
        Self { limits, active: BTreeMap::new() }
    }

    /// Begins to decode an object.
    ///
    /// # Errors
    /// The limit that it would break, or that the object is being decoded already.
    pub fn begin(
        &mut self,
        set: EncodingSet,
        information: TransmissionInformation,
        now: Instant,
    ) -> Result<(), AdmissionError> {
        if let Some(active) = self.active.get(&set) {
            let same = active.decoder.information() == information;
            return Err(if same {
                AdmissionError::AlreadyDecoding
            } else {
                AdmissionError::ConflictingTransmission
            });
        }
        if self.active.len() >= self.limits.decodes {
            return Err(AdmissionError::TooManyDecodes);
        }
        let free = self.free(information);
        let decoder = Decoder::new(set.clone(), information, free).map_err(AdmissionError::from)?;
        let deadline = now.saturating_add(self.limits.time);
        self.active.insert(set, Active { decoder, deadline, duplicates: 0 });
        Ok(())
    }

    /// Takes one symbol of a decode under way.
    ///
    /// # Errors
    /// Why it was not taken. [`AdmissionError::TimedOut`] ends the decode; all others leave it as it was.
    pub fn add(
        &mut self,
        symbol: Authenticated<Symbol<'_>>,
        now: Instant,
    ) -> Result<Progress, AdmissionError> {
        let limit = self.limits.duplicates;
        let active = self.running(symbol.get().set, now)?;
        match active.decoder.add(symbol) {
            Ok(progress) => Ok(progress),
            Err(DecodeError::Duplicate) => {
                active.duplicates = active.duplicates.saturating_add(1);
                Err(if active.duplicates > limit {
                    AdmissionError::TooManyDuplicates
                } else {
                    AdmissionError::Decode(DecodeError::Duplicate)
                })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Tries to solve one block of a decode. If that was the last one, ends the decode and gives the object.
    ///
    /// # Errors
    /// [`AdmissionError::Incomplete`] lets the decode go on; all others mean that there is none any more.
    pub fn finish(
        &mut self,
        set: &EncodingSet,
        key: &ObjectIdKey,
        now: Instant,
    ) -> Result<IdentifiedObject, AdmissionError> {
        let solved = self.running(set, now)?.decoder.solve();
        if let Ok(Progress { needed, complete: false, .. }) = solved {
            return Err(AdmissionError::Incomplete { needed });
        }
        let ended = self.active.remove(set).ok_or(AdmissionError::NotDecoding)?;
        solved?;
        Ok(ended.decoder.finish(key)?)
    }

    /// The decode of `set`, if it is under way.
    pub fn decoder(&self, set: &EncodingSet) -> Option<&Decoder> {
        self.active.get(set).map(|active| &active.decoder)
    }

    /// Ends a decode; says whether there was one.
    pub fn cancel(&mut self, set: &EncodingSet) -> bool {
        self.active.remove(set).is_some()
    }

    /// Ends the decodes whose time is over, and names them.
    pub fn expire(&mut self, now: Instant) -> Vec<EncodingSet> {
        let over = |active: &Active| now >= active.deadline;
        self.active.extract_if(.., |_, active| over(active)).map(|(set, _)| set).collect()
    }

    /// When the next decode's time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.active.values().map(|active| active.deadline).min()
    }

    /// The decode of `set`, unless its time is over, which ends it.
    fn running(&mut self, set: &EncodingSet, now: Instant) -> Result<&mut Active, AdmissionError> {
        let deadline = self.active.get(set).ok_or(AdmissionError::NotDecoding)?.deadline;
        if now >= deadline {
            self.active.remove(set);
            return Err(AdmissionError::TimedOut);
        }
        self.active.get_mut(set).ok_or(AdmissionError::NotDecoding)
    }

    /// The bytes that a decode of `information` may have.
    ///
    /// Blocks are solved one after the other, so that one solver's memory, the largest, stands for all.
    //= docs/spec/symbols.md#bounds
    fn free(&self, information: TransmissionInformation) -> usize {
        let running = || self.active.values().map(|active| active.decoder.information());
        let held: usize = running().map(TransmissionInformation::held_bytes).sum();
        let solver = running().map(TransmissionInformation::solve_bytes).max().unwrap_or(0);
        let more = solver.saturating_sub(information.solve_bytes());
        self.limits.bytes.saturating_sub(held).saturating_sub(more)
    }
}

/// The bound on memory is the same, whoever finds it broken.
impl From<DecodeError> for AdmissionError {
    fn from(error: DecodeError) -> Self {
        if let DecodeError::MemoryExceeded { needed, free } = error {
            Self::MemoryExceeded { needed, free }
        } else {
            Self::Decode(error)
        }
    }
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyDecodes => f.write_str("too many decodes are under way"),
            Self::MemoryExceeded { needed, free } => {
                write!(f, "the decode may need {needed} bytes and {free} are free")
            }
            Self::AlreadyDecoding => f.write_str("the object is being decoded already"),
            Self::ConflictingTransmission => f.write_str("the object is being decoded, cut otherwise"),
            Self::NotDecoding => f.write_str("nothing of this encoding is being decoded"),
            Self::TooManyDuplicates => f.write_str("too many symbols came twice"),
            Self::TimedOut => f.write_str("the decode took too long"),
            Self::Incomplete { needed: 0 } => f.write_str("other blocks wait to be solved"),
            Self::Incomplete { needed } => write!(f, "{needed} more symbols are needed"),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AdmissionError {}

impl AdmissionError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooManyDecodes | Self::MemoryExceeded { .. } => Code::Exhausted,
            Self::AlreadyDecoding | Self::NotDecoding => Code::Conflict,
            Self::ConflictingTransmission => Code::SymbolInvalid,
            Self::TooManyDuplicates => Code::PeerReplayed,
            Self::TimedOut | Self::Incomplete { .. } => Code::ObjectIncomplete,
            Self::Decode(error) => error.code(),
        }
    }
}
