//! Symbols of an FCPS frame: sealed into the caller's buffer, opened where they lie.
//!
//! A node that sends has a [`Sealer`] for each zone key; it has a random instance and gives each of its frames a number
//! of its own, so no nonce comes twice. A node that receives has an [`Opener`] for each sender. Neither can do the other's work.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::datagram::PREFIX_BYTES;
use super::error::FrameError;
use super::flags::Flags;
use super::header::{HEADER_BYTES, Header, RECORD_OVERHEAD, SYMBOL_AT};
use super::layout::{put, u16_at, u32_at};
use crate::crypto::derive::{TooMuchOutput, hkdf_sha256};
use crate::crypto::hash;
use crate::crypto::provider::{Aead, AeadError, Provider};
use crate::error::Code;
use crate::ids::{Digest, KeyId, NodeId, ObjectId};
use crate::object::ZoneKeyAlgorithm;
use crate::random::Entropy;
use crate::symbol::{self, Authenticated, EncodingSet, PayloadId};

/// A zone's key, as far as symbols are concerned.
#[derive(Clone, Copy)]
pub struct ZoneKeyRef<'a> {
    /// The key.
    pub secret: &'a [u8; 32],
    /// The key's name.
    pub id: KeyId,
    /// The hash of the zone's name.
    pub zone_id_hash: Digest,
    /// How the zone's symbols are sealed.
    pub algorithm: ZoneKeyAlgorithm,
}

/// One start of one node, whose symbols are sealed under a key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The node.
    pub node: &'a NodeId,
    /// Drawn at random at each start of the node.
    pub instance: u64,
}

/// What a frame to be sealed says of itself, besides what its sealer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// What the frame says of itself; [`Flags::ENCRYPTED`] is set in any case.
    pub flags: Flags,
    /// The object that the symbols are of.
    pub object_id: ObjectId,
    /// The size of each symbol, in bytes.
    pub symbol_size: u16,
    /// The epoch of the membership that the sender goes by.
    pub epoch_id: u64,
}

/// Why a symbol is not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolError {
    /// The frame is not one, or there is no room for it.
    Frame(FrameError),
    /// The frame is sealed under another zone's key, or was sent by another start of the node.
    OtherKey,
    /// The frame's symbols are of another encoding than the one asked for.
    OtherEncoding,
    /// The frame says that its symbols are not sealed.
    NotSealed,
    /// The symbol is not what the sender sealed in this place.
    DecryptFailed,
    /// The cipher refuses to seal.
    EncryptFailed,
    /// The symbol to seal has another size than the frame's.
    SymbolSize,
    /// The symbols to seal are not in ascending order of their numbers, so a nonce could come twice.
    SymbolOrder,
    /// This start of the node has numbered as many frames as it can.
    SequenceExhausted,
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frame(error) => return error.fmt(f),
            Self::OtherKey => "the frame belongs to another zone key or sender",
            Self::OtherEncoding => "the frame's symbols are of another object, zone or zone key",
            Self::NotSealed => "the frame's symbols are not sealed",
            Self::DecryptFailed => "the symbol is not authentic",
            Self::EncryptFailed => "the symbol cannot be sealed",
            Self::SymbolSize => "the symbol has another size than its frame's",
            Self::SymbolOrder => "the symbols are not in ascending order",
            Self::SequenceExhausted => "no frame number is left",
        })
    }
}

impl core::error::Error for SymbolError {}

impl SymbolError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Frame(error) => error.code(),
            Self::OtherKey | Self::OtherEncoding => Code::SymbolInvalid,
            Self::NotSealed | Self::DecryptFailed => Code::PeerNotAuthentic,
            Self::SequenceExhausted => Code::Exhausted,
            Self::EncryptFailed | Self::SymbolSize | Self::SymbolOrder => Code::Internal,
        }
    }
}

impl From<FrameError> for SymbolError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Seals symbols of this start of this node.
pub struct Sealer {
    key: SenderKey,
    frame_seq: u64,
}

impl Sealer {
    /// The sealer of `node` under `zone_key`, with an instance of its own: no two number frames under one key.
    //= docs/spec/fcps.md#sealing
    pub fn new(
        zone_key: ZoneKeyRef<'_>,
        node: &NodeId,
        provider: &dyn Provider,
        entropy: &mut Entropy,
    ) -> Self {
        let instance = u64::from_le_bytes(entropy.bytes());
        Self::with_instance(zone_key, Sender { node, instance }, provider)
    }

    /// The sealer with a given instance, to be held to the bytes of another implementation. For traffic it is unsafe: a
    /// second sealer with the same instance would use the nonces of the first again.
    pub fn with_instance(zone_key: ZoneKeyRef<'_>, sender: Sender<'_>, provider: &dyn Provider) -> Self {
        Self { key: SenderKey::derive(zone_key, sender, provider), frame_seq: 0 }
    }

    /// Begins the next frame in `buffer`, which must outlast it.
    ///
    /// # Errors
    /// [`SymbolError::Frame`] if there is no room for the header or a rule of frames is broken,
    /// [`SymbolError::SequenceExhausted`].
    pub fn frame<'a>(
        &'a mut self,
        about: &About,
        buffer: &'a mut [u8],
    ) -> Result<FrameWriter<'a>, SymbolError> {
        let flags = about.flags | Flags::ENCRYPTED;
        flags.check().map_err(|reason| FrameError::InvalidFlags { reason })?;
        if about.symbol_size == 0 {
            return Err(FrameError::InvalidSymbolSize.into());
        }
        if buffer.len() < HEADER_BYTES {
            return Err(FrameError::BufferTooSmall { len: buffer.len(), needed: HEADER_BYTES }.into());
        }
        self.frame_seq = self.frame_seq.checked_add(1).ok_or(SymbolError::SequenceExhausted)?;
        let header = Header {
            flags,
            symbol_count: 0,
            object_id: about.object_id,
            symbol_size: about.symbol_size,
            zone_key_id: self.key.zone_key_id,
            zone_id_hash: self.key.zone_id_hash,
            epoch_id: about.epoch_id,
            sender_instance_id: self.key.instance,
            frame_seq: self.frame_seq,
        };
        let place = Place::of(&header);
        Ok(FrameWriter { key: &self.key, header, place, last_esi: None, buffer, at: HEADER_BYTES })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.debug("Sealer", f)
    }
}

/// A frame that is being written.
#[must_use = "a frame is complete when it is finished"]
pub struct FrameWriter<'a> {
    key: &'a SenderKey,
    header: Header,
    place: Place,
    last_esi: Option<u32>,
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> FrameWriter<'a> {
    /// Seals the symbol numbered `esi`, of an object with `k` source symbols, behind those before it.
    ///
    /// # Errors
    /// Why it is not sealed; the frame then is as it was.
    //= docs/spec/fcps.md#sealing
    pub fn push(&mut self, esi: u32, k: u16, symbol: &[u8]) -> Result<(), SymbolError> {
        if symbol.len() != usize::from(self.header.symbol_size) {
            return Err(SymbolError::SymbolSize);
        }
        if self.last_esi.is_some_and(|last| esi <= last) {
            return Err(SymbolError::SymbolOrder);
        }
        let header = Header { symbol_count: self.header.symbol_count.saturating_add(1), ..self.header };
        header.payload_bytes()?;
        let (len, needed) = (self.buffer.len(), self.at.saturating_add(header.record_bytes()));
        let record =
            self.buffer.get_mut(self.at..needed).ok_or(FrameError::BufferTooSmall { len, needed })?;
        put(record, 0, &esi.to_le_bytes());
        put(record, 4, &k.to_le_bytes());
        put(record, SYMBOL_AT, symbol);
        self.place.set(esi, k);
        self.key.seal(&self.place, esi, &mut record[SYMBOL_AT..]).map_err(|_| SymbolError::EncryptFailed)?;
        (self.header, self.last_esi, self.at) = (header, Some(esi), needed);
        Ok(())
    }

    /// Completes the frame, and gives its bytes.
    ///
    /// # Errors
    /// None in practice: the length was checked with each symbol.
    pub fn finish(self) -> Result<&'a mut [u8], SymbolError> {
        self.header.emit(self.header.payload_bytes()?, self.buffer);
        Ok(&mut self.buffer[..self.at])
    }
}

impl fmt::Debug for FrameWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Opens symbols of one start of one node.
pub struct Opener(SenderKey);

impl Opener {
    /// The opener for what `sender` seals under `zone_key`.
    pub fn new(zone_key: ZoneKeyRef<'_>, sender: Sender<'_>, provider: &dyn Provider) -> Self {
        Self(SenderKey::derive(zone_key, sender, provider))
    }

    /// The symbols of a frame, to be opened one by one.
    ///
    /// # Errors
    /// [`SymbolError::Frame`], [`SymbolError::OtherKey`] or [`SymbolError::NotSealed`].
    //= docs/spec/fcps.md#opening
    pub fn symbols<'a>(&'a self, frame: &'a mut [u8], max: usize) -> Result<Symbols<'a>, SymbolError> {
        let header = Header::parse(frame, max)?;
        if !header.flags.contains(Flags::ENCRYPTED) {
            return Err(SymbolError::NotSealed);
        }
        let named = (header.zone_key_id, header.zone_id_hash, header.sender_instance_id);
        if named != (self.0.zone_key_id, self.0.zone_id_hash, self.0.instance) {
            return Err(SymbolError::OtherKey);
        }
        let records = frame[HEADER_BYTES..].chunks_exact_mut(header.record_bytes());
        Ok(Symbols { key: &self.0, header, place: Place::of(&header), records })
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("Opener", f)
    }
}

/// The symbols of one frame. Each that is not authentic is an error of its own; those after it are still given.
pub struct Symbols<'a> {
    key: &'a SenderKey,
    header: Header,
    place: Place,
    records: core::slice::ChunksExactMut<'a, u8>,
}

impl<'a> Symbols<'a> {
    /// The frame's header. What the symbols' tags do not cover (flags, count) is only as good as the session's MAC.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The symbols as those of the encoding `set`, for a decoder: each whose tag verifies is authenticated, because the tag
    /// is over the names of the set, the payload id, K and the bytes.
    ///
    /// # Errors
    /// [`SymbolError::OtherEncoding`] if the frame names another object, zone or zone key than the set.
    //= docs/spec/fcps.md#opening
    //= docs/spec/symbols.md#authentication
    pub fn of(
        self,
        set: &'a EncodingSet,
    ) -> Result<impl Iterator<Item = Result<Authenticated<symbol::Symbol<'a>>, SymbolError>>, SymbolError>
    {
        let Header { object_id, zone_id_hash, zone_key_id, .. } = self.header;
        let named = (set.object_id, hash::zone_id_hash(&set.zone_id), set.zone_key_id);
        if (object_id, zone_id_hash, zone_key_id) != named {
            return Err(SymbolError::OtherEncoding);
        }
        Ok(self.map(move |opened| {
            let Symbol { esi, k, bytes } = opened?;
            let id = PayloadId::from_u32(esi);
            Ok(Authenticated::vouch(symbol::Symbol { set, id, source_symbols: k, bytes }))
        }))
    }
}

impl<'a> Iterator for Symbols<'a> {
    type Item = Result<Symbol<'a>, SymbolError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        let (esi, k) = (u32_at(record, 0), u16_at(record, 4));
        self.place.set(esi, k);
        let sealed = &mut record[SYMBOL_AT..];
        Some(match self.key.open(&self.place, esi, sealed) {
            Ok(()) => Ok(Symbol { esi, k, bytes: &mut sealed[..usize::from(self.header.symbol_size)] }),
            Err(AeadError::Length | AeadError::NotAuthentic) => Err(SymbolError::DecryptFailed),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl fmt::Debug for Symbols<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").field("header", &self.header).finish_non_exhaustive()
    }
}

/// One symbol, opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The symbol's number: its payload id.
    pub esi: u32,
    /// How many source symbols its block has.
    pub k: u16,
    /// The symbol, in the caller's buffer.
    pub bytes: &'a mut [u8],
}

/// The largest symbol of which `count` fit into a datagram of `max_datagram` bytes.
pub fn largest_symbol(max_datagram: usize, count: usize) -> Option<u16> {
    let room = max_datagram.checked_sub(PREFIX_BYTES + HEADER_BYTES)?;
    let size = room.checked_div(count)?.checked_sub(RECORD_OVERHEAD)?;
    (size > 0).then(|| u16::try_from(size).unwrap_or(u16::MAX))
}

/// The key of one start of one node under one zone key.
struct SenderKey {
    cipher: Cipher,
    zone_key_id: KeyId,
    zone_id_hash: Digest,
    instance: u64,
}

enum Cipher {
    Short(Box<dyn Aead<12>>),
    Extended(Box<dyn Aead<24>>),
}

impl SenderKey {
    //= docs/spec/fcps.md#sender-keys
    fn derive(zone_key: ZoneKeyRef<'_>, sender: Sender<'_>, provider: &dyn Provider) -> Self {
        let name = sender.node.as_str().as_bytes();
        // An identifier has at most 128 bytes, so its length always fits.
        let length = (name.len() as u32).to_le_bytes();
        let info: Vec<u8> =
            [b"FCP2-SENDER-KEY-V1", &length[..], name, &sender.instance.to_le_bytes()].concat();
        let mut key = Zeroizing::new([0; 32]);
        match hkdf_sha256(zone_key.id.as_bytes(), zone_key.secret, &info, &mut *key) {
            Ok(()) => (),
            Err(TooMuchOutput) => unreachable!("32 bytes are one block of HKDF"),
        }
        let cipher = match zone_key.algorithm {
            ZoneKeyAlgorithm::ChaCha20Poly1305 => Cipher::Short(provider.chacha20_poly1305(&key)),
            ZoneKeyAlgorithm::XChaCha20Poly1305 => Cipher::Extended(provider.xchacha20_poly1305(&key)),
        };
        Self {
            cipher,
            zone_key_id: zone_key.id,
            zone_id_hash: zone_key.zone_id_hash,
            instance: sender.instance,
        }
    }

    fn seal(&self, place: &Place, esi: u32, buffer: &mut [u8]) -> Result<(), AeadError> {
        match &self.cipher {
            Cipher::Short(cipher) => cipher.seal(&place.short_nonce(esi), &place.associated, buffer),
            Cipher::Extended(cipher) => cipher.seal(&place.extended_nonce(esi), &place.associated, buffer),
        }
    }

    fn open(&self, place: &Place, esi: u32, buffer: &mut [u8]) -> Result<(), AeadError> {
        match &self.cipher {
            Cipher::Short(cipher) => cipher.open(&place.short_nonce(esi), &place.associated, buffer),
            Cipher::Extended(cipher) => cipher.open(&place.extended_nonce(esi), &place.associated, buffer),
        }
    }

    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("zone_key_id", &self.zone_key_id)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// Where a symbol stands: what its nonce and its associated data say.
struct Place {
    instance: u64,
    frame_seq: u64,
    associated: [u8; 86],
}

impl Place {
    //= docs/spec/fcps.md#sealing
    fn of(header: &Header) -> Self {
        let mut associated = [0; 86];
        put(&mut associated, 0, header.object_id.as_bytes());
        put(&mut associated, 38, header.zone_id_hash.as_bytes());
        put(&mut associated, 70, header.zone_key_id.as_bytes());
        put(&mut associated, 78, &header.epoch_id.to_le_bytes());
        Self { instance: header.sender_instance_id, frame_seq: header.frame_seq, associated }
    }

    fn set(&mut self, esi: u32, k: u16) {
        put(&mut self.associated, 32, &esi.to_le_bytes());
        put(&mut self.associated, 36, &k.to_le_bytes());
    }

    fn short_nonce(&self, esi: u32) -> [u8; 12] {
        let mut nonce = [0; 12];
        put(&mut nonce, 0, &self.frame_seq.to_le_bytes());
        put(&mut nonce, 8, &esi.to_le_bytes());
        nonce
    }

    fn extended_nonce(&self, esi: u32) -> [u8; 24] {
        let mut nonce = [0; 24];
        put(&mut nonce, 0, &self.instance.to_le_bytes());
        put(&mut nonce, 8, &self.frame_seq.to_le_bytes());
        put(&mut nonce, 16, &esi.to_le_bytes());
        nonce
    }
}
