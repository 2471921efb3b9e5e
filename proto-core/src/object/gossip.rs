//! What devices tell each other about what they have: names of objects, never the objects.
//!
//! Messages have the form of objects (header, schema, signature) and are never stored: they live for five minutes.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use super::{Header, RevocationObject, Schema, Signed, SignedBody, StoredObject};
use crate::encoding::cbor::{Bounded, ByteString, FromCbor, ShapeError, ToCbor, Value};
use crate::ids::{Digest, NodeId, ObjectId};
use crate::sketch::{CELL_BYTES, ESTIMATOR_BYTES, Filter};
use crate::time::UnixTime;
use crate::{cbor_map, cbor_tagged};

/// How old a message may be, in seconds.
pub const GOSSIP_TTL_SECS: u64 = 300;
/// How far in the future a message's time may lie, for clocks that differ, in seconds.
pub const GOSSIP_SKEW_SECS: u64 = 30;
/// The most objects that the filter of one summary speaks of.
pub const MAX_SUMMARY_OBJECTS: u32 = 10_000;
/// The most symbols that the filter of one summary speaks of.
pub const MAX_SUMMARY_SYMBOLS: u32 = 100_000;
/// The most names in one list of a request or an answer.
pub const MAX_GOSSIP_NAMES: usize = 100;
/// The fewest cells of a sketch that is there at all.
pub const MIN_SKETCH_CELLS: usize = 64;
/// The most cells of one set that are asked for: a difference of more than 180,000 names is read as a list instead.
pub const MAX_CELLS: u32 = 262_144;
/// The longest run of cells in one message, in bytes.
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
        /// How many objects it has; digest, estimator and sketch speak of all of them.
        pub total: u64,
        /// The digest of the names of its objects.
        pub object_filter_digest: [u8; 32],
        /// A filter over some of these names; none says nothing.
        pub object_filter: Bounded<ByteString, MAX_OBJECT_FILTER_BYTES>,
        /// The digest of the names of its symbols.
        pub symbol_filter_digest: [u8; 32],
        /// A filter over some of these names; none says nothing.
        pub symbol_filter: Bounded<ByteString, MAX_SYMBOL_FILTER_BYTES>,
        /// How many objects the filter speaks of.
        pub object_count: u32,
        /// How many symbols the filter speaks of.
        pub symbol_count: u32,
        /// What filters, estimator and sketch are salted with.
        pub salt: [u8; 32],
        /// The estimator of the names of its objects.
        pub estimator: Box<[u8; ESTIMATOR_BYTES]>,
        /// The first cells of the names of its objects.
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
        let filters = [&self.object_filter.get().0, &self.symbol_filter.get().0];
        if filters.iter().any(|bytes| !bytes.is_empty() && Filter::from_bytes(bytes).is_err()) {
            return Err(ShapeError::Invalid("a filter is as long as its header says"));
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

/// Keys of a sketch, eight bytes each, one after the other.
pub type KeyBytes = Bounded<ByteString, { 8 * MAX_GOSSIP_NAMES }>;

/// Cells of a sketch, one after the other.
pub type CellBytes = Bounded<ByteString, MAX_SKETCH_BYTES>;

cbor_tagged! {
    /// What one node asks of another, to find what it has not.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Question {
        /// The next cells of the sketch of a summary.
        Cells = "cells" {
            /// The summary's salt.
            salt: [u8; 32],
            /// How many the asker has.
            after: u32,
            /// How many more it asks for.
            count: u32,
        },
        /// The names of keys.
        Names = "names" {
            /// The summary's salt.
            salt: [u8; 32],
            /// The keys.
            keys: KeyBytes,
        },
        /// The names, in their order.
        Page = "page" {
            /// Only names above this one, for the next page.
            after: Option<ObjectId>,
        },
    }
}

cbor_tagged! {
    /// What is answered.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Finding {
        /// Cells; several messages answer one question.
        Cells = "cells" {
            /// How many come before them.
            after: u32,
            /// The cells.
            cells: CellBytes,
        },
        /// The names of the keys.
        Names = "names" {
            /// All of them.
            names: ObjectNames,
        },
        /// A page of names.
        Page = "page" {
            /// The lowest above what was asked.
            names: ObjectNames,
            /// Whether there are more above them.
            more: bool,
        },
        /// The sketch of this salt is not kept any more; a newer summary has another.
        Gone = "gone" {},
        /// Not now.
        Busy = "busy" {
            /// When it is worth another try.
            retry_after_ms: u64,
        },
    }
}

cbor_map! {
    /// Asks for what one has not; signed by the asker.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReconcileRequest {
        /// The exchange.
        pub exchange: Exchange,
        /// What is asked.
        pub question: Question,
    }
    => ReconcileRequest::check
}

impl ReconcileRequest {
    //= docs/spec/objects.md#gossip
    fn check(&self) -> Result<(), ShapeError> {
        match &self.question {
            Question::Cells { after, count, .. } => {
                let end = after.checked_add(*count).filter(|end| *count > 0 && *end <= MAX_CELLS);
                end.map(drop).ok_or(ShapeError::OutOfRange)
            }
            Question::Names { keys, .. } => whole(keys.get(), 8),
            Question::Page { .. } => Ok(()),
        }
    }
}

cbor_map! {
    /// Answers a question; signed by the node that was asked.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReconcileAnswer {
        /// The exchange.
        pub exchange: Exchange,
        /// What is answered.
        pub finding: Finding,
    }
    => ReconcileAnswer::check
}

impl ReconcileAnswer {
    //= docs/spec/objects.md#gossip
    fn check(&self) -> Result<(), ShapeError> {
        match &self.finding {
            Finding::Cells { cells, .. } => whole(cells.get(), CELL_BYTES),
            Finding::Page { names, more } if *more && names.get().is_empty() => {
                Err(ShapeError::Invalid("a page without names is the last one"))
            }
            Finding::Names { .. } | Finding::Page { .. } | Finding::Gone {} | Finding::Busy { .. } => Ok(()),
        }
    }

    /// Whether this answers `request`, and nothing that was not asked.
    //= docs/spec/objects.md#gossip
    pub fn answers(&self, request: &ReconcileRequest) -> bool {
        self.exchange.answers(&request.exchange) && self.finding.answers(&request.question)
    }
}

impl Finding {
    fn answers(&self, question: &Question) -> bool {
        match (self, question) {
            (Self::Cells { after, cells }, Question::Cells { after: from, count, .. }) => {
                let end = cells.get().0.len() / CELL_BYTES + *after as usize;
                after >= from && end <= *from as usize + *count as usize
            }
            (Self::Names { names }, Question::Names { keys, .. }) => {
                names.get().len() <= keys.get().0.len() / 8
            }
            (Self::Page { names, .. }, Question::Page { after }) => {
                names.get().first().is_none_or(|name| after.is_none_or(|after| *name > after))
            }
            (Self::Gone {} | Self::Busy { .. }, _) => true,
            (Self::Cells { .. } | Self::Names { .. } | Self::Page { .. }, _) => false,
        }
    }
}

/// Some items of `size` bytes, and no part of one.
fn whole(bytes: &ByteString, size: usize) -> Result<(), ShapeError> {
    if bytes.0.is_empty() || !bytes.0.len().is_multiple_of(size) {
        return Err(ShapeError::WrongLength);
    }
    Ok(())
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

cbor_map! {
    /// Says that a node keeps to a revocation; signed by it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RevocationWitness {
        /// The node.
        pub from: NodeId,
        /// BLAKE3 of the revocation as stored.
        pub revocation: Digest,
        /// How many links its revocation chain has with it.
        pub head_seq: u64,
    }
}

macro_rules! messages {
    ($($type:ty = $name:literal $version:literal),+ $(,)?) => {$(
        impl SignedBody for $type {
            const SCHEMA: Schema = Schema { namespace: "fcp.gossip", name: $name, version: $version };
        }
    )+};
}

// The first forms of the three that have a second were never sent.
messages! {
    GossipSummary = "Summary" "2.0.0",
    GossipRequest = "Request" "1.0.0",
    GossipAnswer = "Answer" "1.0.0",
    ReconcileRequest = "ReconcileRequest" "2.0.0",
    ReconcileAnswer = "ReconcileAnswer" "2.0.0",
    RevocationWitness = "RevocationWitness" "1.0.0",
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
