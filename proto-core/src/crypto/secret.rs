//! Secret bytes: wiped when dropped, compared in constant time, never printed, never cloned.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash;
use super::role::SymmetricRole;
use crate::ids::KeyId;
use crate::random::Entropy;

/// A symmetric key of 256 bits whose type says what it is for.
pub struct SymmetricKey<R: SymmetricRole> {
    bytes: Zeroizing<[u8; 32]>,
    role: PhantomData<R>,
}

impl<R: SymmetricRole> SymmetricKey<R> {
    /// A fresh key.
    pub fn generate(entropy: &mut Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self::from_bytes(bytes)
    }

    /// The key made of `bytes`.
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { bytes, role: PhantomData }
    }

    /// The key's bytes, for a primitive or a wrapping.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The key's public name, from which it cannot be found.
    pub fn key_id(&self) -> KeyId {
        hash::secret_key_id(&self.bytes)
    }
}

impl<R: SymmetricRole> PartialEq for SymmetricKey<R> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&*other.bytes).into()
    }
}

impl<R: SymmetricRole> Eq for SymmetricKey<R> {}

impl<R: SymmetricRole> fmt::Debug for SymmetricKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SymmetricKey<{}>({})", R::ROLE, self.key_id())
    }
}

/// Secret bytes of any length: a passphrase, a credential.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes `bytes` over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for SecretBytes {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}
