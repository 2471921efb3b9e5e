//! What the node tells a transfer of its zones, and of what it has.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::frame::symbols::ZoneKeyRef;
use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::limits::DEFAULT_SYMBOL_BYTES;
use fcp_proto_core::object::ObjectIdKey;
use fcp_proto_core::symbol::{EncodingSet, IdentifiedObject, PayloadId, TransmissionInformation};

/// The zones of a node, and the objects that it may give away. What is in quarantine is not among them.
pub trait Holdings {
    /// Whether `node` may have objects of the zone.
    fn is_member(&self, zone: &ZoneId, node: &NodeId) -> bool;

    /// A key of a zone, if it may be used now.
    fn zone_key(&self, zone: &ZoneId, id: &KeyId) -> Option<ZoneKeyRef<'_>>;

    /// The key under which objects of a zone have their identity.
    fn identity_key(&self, zone: &ZoneId) -> Option<&ObjectIdKey>;

    /// What there is of an object.
    fn holding(&self, set: &EncodingSet) -> Option<Holding<'_>>;
}

/// What a node has of an object.
#[derive(Clone, Copy, Debug)]
pub enum Holding<'a> {
    /// All of it, and so every symbol.
    Whole(&'a IdentifiedObject),
    /// Some symbols.
    Part(&'a Part),
}

/// Some symbols of an object, kept for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How the object is cut.
    pub information: TransmissionInformation,
    /// The symbols.
    pub symbols: BTreeMap<PayloadId, Vec<u8>>,
}

impl Holding<'_> {
    /// How the object is cut. Whoever has all of it cuts it like everybody else who does, so that their symbols mix.
    //= docs/spec/delivery.md#offers
    pub fn information(&self) -> Option<TransmissionInformation> {
        match self {
            Self::Whole(object) => {
                TransmissionInformation::new(object.bytes().len() as u64, DEFAULT_SYMBOL_BYTES).ok()
            }
            Self::Part(part) => Some(part.information),
        }
    }

    pub(super) fn has(&self, information: TransmissionInformation, id: PayloadId) -> bool {
        match self {
            Self::Whole(_) => information.block(id.block()).is_some(),
            Self::Part(part) => part.symbols.contains_key(&id),
        }
    }

    /// The symbols behind `last`, and then again from the first, each once. Of an object that is all there, those are the
    /// source symbols, which cost least.
    pub(super) fn after(
        &self,
        information: TransmissionInformation,
        last: Option<PayloadId>,
    ) -> Box<dyn Iterator<Item = PayloadId> + '_> {
        match self {
            Self::Whole(_) => {
                let all = move || {
                    information.blocks().flat_map(|block| {
                        let esis = 0..u32::from(block.source_symbols);
                        esis.filter_map(move |esi| PayloadId::new(block.number, esi).ok())
                    })
                };
                Box::new(
                    all().filter(move |id| Some(*id) > last).chain(all().filter(move |id| Some(*id) <= last)),
                )
            }
            Self::Part(part) => {
                let all = || part.symbols.keys().copied();
                Box::new(
                    all().filter(move |id| Some(*id) > last).chain(all().filter(move |id| Some(*id) <= last)),
                )
            }
        }
    }
}
