//! What devices tell each other about what they have: names of objects, never the objects.
//!
//! Messages have the form of objects (header, schema, signature) and are never stored: they live for five minutes.

use alloc::collections::BTreeSet;

use super::{Header, RevocationObject, Schema, Signed, SignedBody, StoredObject};
use crate::cbor_map;
use crate::encoding::cbor::{Bounded, ByteString, FromCbor, ShapeError, ToCbor, Value};
use crate::ids::{NodeId, ObjectId};
use crate::sketch::CELL_BYTES;
use crate::time::UnixTime;

/// How old a message may be, in seconds.
pub const GOSSIP_TTL_SECS: u64 = 300;
/// How far in the future a message's time may lie, for clocks that differ, in seconds.
pub const GOSSIP_SKEW_SECS: u64 = 30;
/// The most objects that one summary speaks of.
pub const MAX_SUMMARY_OBJECTS: u32 = 10_000;
/// The most symbols that one summary speaks of.
pub const MAX_SUMMARY_SYMBOLS: u32 = 100_000;
/// The most names in one list of a request or an answer.
pub const MAX_GOSSIP_NAMES: usize = 100;
/// The fewest cells of a sketch that is there at all.
pub const MIN_SKETCH_CELLS: usize = 64;
/// The longest sketch, in bytes.
pub const MAX_SKETCH_BYTES: usize = 128_000;
/// The longest filter over objects, in bytes: 10 bits each, and room for its seed.
pub const MAX_OBJECT_FILTER_BYTES: usize = 16 * 1024;
/// The longest filter over symbols, in bytes.
pub const MAX_SYMBOL_FILTER_BYTES: usize = 160 * 1024;
/// The longest object that a revocation notice carries, in bytes.
pub const MAX_NOTICE_BYTES: usize = 64 * 1024;

/// Whether a message whose header is `header` is neither too old nor from the future at `now`.
//= docs/spec/objects.md#gossip
pub fn is_fresh(header: &Header, now: UnixTime) -> bool {
    header.created_at <= now.saturating_add(GOSSIP_SKEW_SECS)
        && now.saturating_since(header.created_at) <= GOSSIP_TTL_SECS
}

/// The first cells of a set of names ([`sketch`](crate::sketch)), from which a small difference between two sets can be
/// read. Empty means: no sketch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch(ByteString);

impl Sketch {
    /// The sketch made of `cells`, one after the other.
    ///
    /// # Errors
    /// [`ShapeError::WrongLength`] for half a cell or too few cells, [`ShapeError::OutOfRange`] for too many.
    //= docs/spec/objects.md#gossip
    pub fn new(cells: ByteString) -> Result<Self, ShapeError> {
        let length = cells.0.len();
        if length > MAX_SKETCH_BYTES {
            Err(ShapeError::OutOfRange)
        } else if length != 0
            && (!length.is_multiple_of(CELL_BYTES) || length / CELL_BYTES < MIN_SKETCH_CELLS)
        {
            Err(ShapeError::WrongLength)
        } else {
            Ok(Self(cells))
        }
    }

    /// The cells, one after the other.
    pub fn cells(&self) -> &[u8] {
        &self.0.0
    }
}

impl ToCbor for Sketch {
    fn to_cbor(&self) -> Value<'_> {
        self.0.to_cbor()
    }
}

impl FromCbor for Sketch {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        ByteString::from_cbor(value).and_then(Self::new)
    }
}

cbor_map! {
    /// What a node has of the header's zone; signed by it, and sent at the header's time.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GossipSummary {
        /// The node.
        pub from: NodeId,
        /// The epoch of the membership it believes in.
        pub epoch: u64,
        /// Rises with every change of what it has.
        pub state_version: u64,
        /// The digest of the names of its objects.
        pub object_filter_digest: [u8; 32],
        /// A filter over these names.
        pub object_filter: Bounded<ByteString, MAX_OBJECT_FILTER_BYTES>,
        /// The digest of the names of its symbols.
        pub symbol_filter_digest: [u8; 32],
        /// A filter over these names.
        pub symbol_filter: Bounded<ByteString, MAX_SYMBOL_FILTER_BYTES>,
        /// How many objects the summary speaks of.
        pub object_count: u32,
        /// How many symbols the summary speaks of.
        pub symbol_count: u32,
        /// What the sketch is salted with.
        pub salt: [u8; 32],
        /// A sketch of the names of its objects.
        pub sketch: Sketch,
    }
    => GossipSummary::check
}

impl GossipSummary {
    //= docs/spec/objects.md#gossip
    fn check(&self) -> Result<(), ShapeError> {
        if self.object_count > MAX_SUMMARY_OBJECTS || self.symbol_count > MAX_SUMMARY_SYMBOLS {
            return Err(ShapeError::OutOfRange);
        }
        Ok(())
    }
}

cbor_map! {
    /// A symbol of an object.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct SymbolName {
        /// The object.
        pub object_id: ObjectId,
        /// The symbol's number (ESI).
        pub esi: u32,
    }
}

/// Names of objects in a message.
pub type ObjectNames = Bounded<BTreeSet<ObjectId>, MAX_GOSSIP_NAMES>;

/// Names of symbols in a message.
pub type SymbolNames = Bounded<BTreeSet<SymbolName>, MAX_GOSSIP_NAMES>;

cbor_map! {
    /// Which exchange a message belongs to.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Exchange {
        /// Chosen at random by the one who asks.
        pub request_id: [u8; 16],
        /// Who sends this message.
        pub from: NodeId,
        /// Who is to read it.
        pub to: NodeId,
    }
}

impl Exchange {
    /// Whether this message answers `asked`: the same exchange, the other way.
    //= docs/spec/objects.md#gossip
    pub fn answers(&self, asked: &Self) -> bool {
        self.request_id == asked.request_id && self.from == asked.to && self.to == asked.from
    }
}

cbor_map! {
    /// Asks which of these a node has; signed by the asker.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GossipRequest {
        /// The exchange.
        pub exchange: Exchange,
        /// Objects asked for.
        pub objects: ObjectNames,
        /// Symbols asked for.
        pub symbols: SymbolNames,
    }
    => GossipRequest::check
}

impl GossipRequest {
    fn check(&self) -> Result<(), ShapeError> {
        if self.objects.get().is_empty() && self.symbols.get().is_empty() {
            return Err(ShapeError::Invalid("a request asks for something"));
        }
        Ok(())
    }
}

cbor_map! {
    /// Says which of the asked a node has; signed by it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GossipAnswer {
        /// The exchange.
        pub exchange: Exchange,
        /// Objects that are there.
        pub objects: ObjectNames,
        /// Symbols that are there.
        pub symbols: SymbolNames,
    }
}

impl GossipAnswer {
    /// Whether this answers `request` and speaks of nothing that was not asked for.
    //= docs/spec/objects.md#gossip
    pub fn answers(&self, request: &GossipRequest) -> bool {
        self.exchange.answers(&request.exchange)
            && self.objects.get().is_subset(request.objects.get())
            && self.symbols.get().is_subset(request.symbols.get())
    }
}

cbor_map! {
    /// Asks what one has and the other has not; signed by the asker.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReconcileRequest {
        /// The exchange.
        pub exchange: Exchange,
        /// The digest of the names of the asker's objects.
        pub object_filter_digest: [u8; 32],
        /// The digest of the names of the asker's symbols.
        pub symbol_filter_digest: [u8; 32],
        /// What the sketch is salted with: another salt for another try.
        pub salt: [u8; 32],
        /// A sketch of the names of the asker's objects.
        pub sketch: Sketch,
        /// Only names above this one, for the next page.
        pub after: Option<ObjectId>,
    }
}

cbor_map! {
    /// The difference, page by page and in the order of names; signed by the node that was asked.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReconcileAnswer {
        /// The exchange.
        pub exchange: Exchange,
        /// What the asker has and this node has not.
        pub wanted: ObjectNames,
        /// What this node has and the asker has not.
        pub offered: ObjectNames,
        /// The last name of this page; absent on the last page.
        pub next: Option<ObjectId>,
    }
    => ReconcileAnswer::check
}

impl ReconcileAnswer {
    //= docs/spec/objects.md#gossip
    fn check(&self) -> Result<(), ShapeError> {
        let (wanted, offered) = (self.wanted.get(), self.offered.get());
        if !wanted.is_disjoint(offered) {
            return Err(ShapeError::Invalid("what is wanted is not offered"));
        }
        if self.next.is_some_and(|next| wanted.last().max(offered.last()) > Some(&next)) {
            return Err(ShapeError::Invalid("a page ends with its last name"));
        }
        Ok(())
    }

    /// Whether this answers `request`, on the page that was asked for.
    //= docs/spec/objects.md#gossip
    pub fn answers(&self, request: &ReconcileRequest) -> bool {
        let above = |name: &ObjectId| request.after.is_none_or(|after| *name > after);
        self.exchange.answers(&request.exchange)
            && self.wanted.get().iter().chain(self.offered.get()).all(above)
            && self.next.is_none_or(|next| above(&next))
    }
}

cbor_map! {
    /// An urgent revocation, as the object that it is; signed by the node that passes it on.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RevocationNotice {
        /// Who passes it on.
        pub from: NodeId,
        /// How many links the sender's revocation chain has with it.
        pub head_seq: u64,
        /// The revocation as stored, with its own signature.
        pub revocation: Bounded<ByteString, MAX_NOTICE_BYTES>,
    }
    => RevocationNotice::check
}

impl RevocationNotice {
    //= docs/spec/objects.md#gossip
    fn check(&self) -> Result<(), ShapeError> {
        let stored = StoredObject::from_bytes(&self.revocation.get().0)?;
        stored.open::<Signed<RevocationObject>>().map(drop)
    }
}

macro_rules! messages {
    ($($type:ty = $name:literal),+ $(,)?) => {$(
        impl SignedBody for $type {
            const SCHEMA: Schema = Schema { namespace: "fcp.gossip", name: $name, version: "1.0.0" };
        }
    )+};
}

messages! {
    GossipSummary = "Summary",
    GossipRequest = "Request",
    GossipAnswer = "Answer",
    ReconcileRequest = "ReconcileRequest",
    ReconcileAnswer = "ReconcileAnswer",
}

impl SignedBody for RevocationNotice {
    const SCHEMA: Schema = Schema { namespace: "fcp.gossip", name: "RevocationNotice", version: "1.0.0" };

    //= docs/spec/objects.md#gossip
    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if StoredObject::from_bytes(&self.revocation.get().0)?.header.zone_id == header.zone_id {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a notice is for the zone of its revocation"))
        }
    }
}
