//! The owner's recovery phrase: 24 words (BIP39, English) that stand for 256 bits.

use alloc::string::String;
use core::fmt;

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use super::derive;
use super::role::Owner;
use super::sign::SigningKey;
use crate::random::Entropy;

/// How many words a phrase has.
pub const WORDS: usize = 24;

/// The secret behind the 24 words; whoever has it is the owner.
pub struct RecoveryPhrase(Zeroizing<[u8; 32]>);

/// Why a text is no recovery phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhraseError {
    /// It has this many words instead of 24.
    WordCount(usize),
    /// The word at this place, counted from 1, is not in the list. The word itself is not repeated here.
    UnknownWord(usize),
    /// All words are known, but one of them is wrong or two are exchanged.
    Checksum,
}

impl fmt::Display for PhraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WordCount(count) => write!(f, "the phrase has {count} words instead of {WORDS}"),
            Self::UnknownWord(place) => write!(f, "word {place} is not in the list of words"),
            Self::Checksum => f.write_str("one of the words is wrong, or two are exchanged"),
        }
    }
}

impl core::error::Error for PhraseError {}

impl RecoveryPhrase {
    /// A fresh phrase.
    pub fn generate(entropy: &mut Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self(bytes)
    }

    /// The phrase that stands for `bytes`.
    pub fn from_entropy(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Reads the words, in any case and with any white space between them.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    //= docs/spec/keys.md#the-recovery-phrase
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let count = text.split_whitespace().count();
        if count != WORDS {
            return Err(PhraseError::WordCount(count));
        }
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|error| match error {
                bip39::Error::BadWordCount(count) => PhraseError::WordCount(count),
                bip39::Error::UnknownWord(index) => PhraseError::UnknownWord(index + 1),
                bip39::Error::InvalidChecksum
                | bip39::Error::BadEntropyBitCount(_)
                | bip39::Error::AmbiguousLanguages(_) => PhraseError::Checksum,
            })?;
        let (entropy, _) = mnemonic.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&entropy[..32]);
        Ok(Self(bytes))
    }

    /// The 24 words, separated by spaces.
    pub fn words(&self) -> Zeroizing<String> {
        // Longer than 24 of the longest words (eight letters) with their spaces, so that the text never moves.
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        match Mnemonic::from_entropy_in(Language::English, &*self.0) {
            Ok(mnemonic) => {
                for (at, word) in mnemonic.words().enumerate() {
                    text.push_str(if at == 0 { "" } else { " " });
                    text.push_str(word);
                }
            }
            Err(_) => unreachable!("256 bits are 24 words"),
        }
        text
    }

    /// The owner's signing key: HKDF-SHA256 of the phrase's 256 bits with the info `FCP2-OWNER-V1`.
    pub fn owner_key(&self) -> SigningKey<Owner> {
        SigningKey::from_seed(&derive::subkey(&self.0, b"FCP2-OWNER-V1"))
    }
}

impl fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPhrase(..)")
    }
}
