//! Symbols, and the proof that one is what it says.

use crate::ids::{KeyId, ObjectId, ZoneId};

/// What the symbols of one encoding have in common; symbols of two encodings are never mixed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncodingSet {
    /// The object that they rebuild.
    pub object_id: ObjectId,
    /// The object's zone.
    pub zone_id: ZoneId,
    /// The zone key under which they travel.
    pub zone_key_id: KeyId,
}

/// One symbol, in its sender's or receiver's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The encoding it belongs to.
    pub set: &'a EncodingSet,
    /// Which symbol it is.
    pub id: super::PayloadId,
    /// The source symbols of its block (K), which travel with each symbol.
    pub source_symbols: u16,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Something that came from a holder of the zone's key, whole and unchanged.
///
/// There are two ways to one: the tag of a frame verified over it, or an encoder made it of the object itself. Nothing
/// outside this crate can claim either, so a decoder cannot be given what nobody checked:
///
/// ```compile_fail,E0624
/// # use fcp_proto_core::symbol::{Authenticated, Symbol};
/// fn skip_the_check(symbol: Symbol<'_>) -> Authenticated<Symbol<'_>> {
///     Authenticated::vouch(symbol)
/// }
/// ```
//= docs/spec/symbols.md#authentication
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated<T>(T);

impl<T> Authenticated<T> {
    /// Called where a tag was verified over all of `inner`, or where `inner` was made, and nowhere else.
    pub(crate) const fn vouch(inner: T) -> Self {
        Self(inner)
    }

    /// What is proven.
    pub const fn get(&self) -> &T {
        &self.0
    }
}
