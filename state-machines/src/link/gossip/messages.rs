//! The messages of gossip, as bytes of a lane.

use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::ShapeError;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::gossip::{Exchange, is_fresh};
use fcp_proto_core::object::{
    GossipAnswer, GossipMessage, GossipRequest, GossipSummary, Header, Object, ReconcileAnswer,
    ReconcileRequest, RevocationNotice, RevocationWitness, Signed, SignedBody, StoredObject,
};

use super::{Context, Fault};
use crate::link::Local;
use crate::link::delivery::messages::{is_signed, signed};

/// The message that the bytes are.
pub(super) fn read(bytes: &[u8]) -> Result<GossipMessage, ShapeError> {
    GossipMessage::open(&StoredObject::from_bytes(bytes)?)
}

/// What of a body says who sent it, and to whom.
pub(super) trait Addressed: SignedBody {
    /// Who says that it sent it.
    fn from(&self) -> &NodeId;
    /// Whom it is for, if it is for somebody.
    fn to(&self) -> Option<&NodeId>;
    /// The body as a message.
    fn message(object: Object<Signed<Self>>) -> GossipMessage
    where
        Self: Sized;
}

macro_rules! addressed {
    ($($type:ident = $variant:ident by $from:expr, $to:expr;)+) => {$(
        impl Addressed for $type {
            fn from(&self) -> &NodeId {
                let from: fn(&Self) -> &NodeId = $from;
                from(self)
            }

            fn to(&self) -> Option<&NodeId> {
                let exchange: fn(&Self) -> Option<&Exchange> = $to;
                exchange(self).map(|exchange| &exchange.to)
            }

            fn message(object: Object<Signed<Self>>) -> GossipMessage {
                GossipMessage::$variant(object)
            }
        }
    )+};
}

addressed! {
    GossipSummary = Summary by |it| &it.from, |_| None;
    GossipRequest = Request by |it| &it.exchange.from, |it| Some(&it.exchange);
    GossipAnswer = Answer by |it| &it.exchange.from, |it| Some(&it.exchange);
    ReconcileRequest = ReconcileRequest by |it| &it.exchange.from, |it| Some(&it.exchange);
    ReconcileAnswer = ReconcileAnswer by |it| &it.exchange.from, |it| Some(&it.exchange);
    RevocationNotice = RevocationNotice by |it| &it.from, |_| None;
    RevocationWitness = RevocationWitness by |it| &it.from, |_| None;
}

/// The bytes of a message; `None` is a message of ours that cannot be encoded, which none is.
pub(super) fn write<T: Addressed>(fields: T, zone: &ZoneId, local: &Local<'_>) -> Option<Vec<u8>> {
    let object = signed(fields, zone, local.key, local.now.unix)?;
    T::message(object).store().and_then(|stored| stored.to_bytes()).ok()
}

/// The zone and the fields of a message that the peer of the session made for this node, now. The signature comes last,
/// since it costs most.
//= docs/spec/gossip.md#messages
pub(super) fn judge<T: Addressed>(
    peer: &NodeId,
    object: Object<Signed<T>>,
    context: &Context<'_, '_>,
) -> Result<(ZoneId, T), Fault> {
    let Header { zone_id, .. } = &object.header;
    let fields = &object.body.fields;
    let (zones, me) = (context.zones, context.local.me);
    if !zones.is_member(zone_id, me) || !zones.is_member(zone_id, peer) {
        return Err(Fault::Outsider);
    }
    if fields.from() != peer || fields.to().is_some_and(|to| to != me) {
        return Err(Fault::NotItsOwn);
    }
    if !is_fresh(&object.header, context.local.now.unix) {
        return Err(Fault::Stale);
    }
    let key = context.local.peers.key(peer).ok_or(Fault::NotItsOwn)?;
    if !is_signed(&object, &key) {
        return Err(Fault::NotItsOwn);
    }
    Ok((object.header.zone_id.clone(), object.body.fields))
}
