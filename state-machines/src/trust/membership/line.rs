//! The owner's keys, one after the other, and from when what they signed counts.

use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::object::{Header, Object, OwnerSuccession, Signed, SignedBody};
use fcp_proto_core::time::UnixTime;

use crate::trust::authority::Owner;

/// The most successions in the life of a home.
pub const MAX_SUCCESSIONS: usize = 32;

/// An owner's key, and where its authority begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// The key.
    pub key: VerifyingKey<role::Owner>,
    /// Its first epoch.
    pub epoch: u64,
    /// What was made before has no force, whoever signed it.
    pub since: UnixTime,
}

/// All keys that the owner had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    home_id: [u8; 32],
    successions: Vec<Object<Signed<OwnerSuccession>>>,
    reign: Reign,
}

/// Why successions are not those of this home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// There are too many.
    TooLong,
    /// They leave out or contradict one that is known.
    Contradiction,
    /// One is of another home, or was not signed by the key before it.
    NotTheOwners,
    /// One does not lie after the one before it.
    NotAfter,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the owner's key was replaced too often",
            Self::Contradiction => "another succession of the owner's key is known",
            Self::NotTheOwners => "the owner's key did not sign the succession",
            Self::NotAfter => "a succession does not follow the one before it",
        })
    }
}

impl core::error::Error for LineError {}

impl Line {
    /// The line that begins, and so far ends, with the root of the home.
    pub const fn new(root: &Owner) -> Self {
        let reign = Reign { key: root.public_key, epoch: 0, since: UnixTime::from_secs(0) };
        Self { home_id: root.home_id, successions: Vec::new(), reign }
    }

    /// The owner's key now.
    pub const fn reign(&self) -> &Reign {
        &self.reign
    }

    /// The successions, in order.
    pub fn successions(&self) -> &[Object<Signed<OwnerSuccession>>] {
        &self.successions
    }

    /// This line, going on as `successions` say, which begin with those that are known.
    ///
    /// # Errors
    /// The first rule that does not hold.
    //= docs/spec/membership.md#the-owners-line
    pub fn extended(&self, successions: &[Object<Signed<OwnerSuccession>>]) -> Result<Self, LineError> {
        if successions.len() > MAX_SUCCESSIONS {
            return Err(LineError::TooLong);
        }
        let Some(news) = successions.strip_prefix(self.successions.as_slice()) else {
            return Err(LineError::Contradiction);
        };
        let mut line = self.clone();
        news.iter().try_for_each(|succession| line.succeed(succession))?;
        Ok(line)
    }

    fn succeed(&mut self, succession: &Object<Signed<OwnerSuccession>>) -> Result<(), LineError> {
        let next = &succession.body.fields;
        if next.home_id != self.home_id || !self.signed(succession) {
            return Err(LineError::NotTheOwners);
        }
        if next.epoch <= self.reign.epoch {
            return Err(LineError::NotAfter);
        }
        let since = succession.header.created_at;
        self.reign = Reign { key: next.public_key, epoch: next.epoch, since };
        self.successions.push(succession.clone());
        Ok(())
    }

    /// Whether the owner's key of now signed `object`, after it began to count.
    //= docs/spec/membership.md#the-owners-line
    pub fn signed<T: SignedBody>(&self, object: &Object<Signed<T>>) -> bool {
        let key = &self.reign.key;
        let verifies =
            || object.signing_bytes().is_ok_and(|bytes| key.verify(&bytes, &object.body.signature).is_ok());
        self.counts(&object.header) && object.body.signer == key.key_id() && verifies()
    }

    /// Whether what is said under `header` is not of an owner before.
    pub fn counts(&self, header: &Header) -> bool {
        header.created_at >= self.reign.since
    }
}
