//! What this node sends to those who ask: bounded, in turns, and only while they want it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::frame::datagram::PREFIX_BYTES;
use fcp_proto_core::frame::flags::Flags;
use fcp_proto_core::frame::header::{HEADER_BYTES, RECORD_OVERHEAD};
use fcp_proto_core::frame::symbols::{About, Sealer};
use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::object::{
    DecodeStatus, MissingHint, Object, SymbolAck, SymbolMessageError, SymbolRefusalReason, SymbolRequest,
    TranscriptSigned,
};
use fcp_proto_core::symbol::{Encoder, EncodingSet, PayloadId, Plans, TransmissionInformation};
use fcp_proto_core::time::Instant;

use super::{Context, Holding, MAX_UNHINTED, Part};
use crate::link::admission::{Admission, Cost, Ticket};

/// Transfers to one peer that are remembered.
const MAX_TRANSFERS: usize = 64;

/// How long an answer may take before it is given up.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a transfer is remembered without a word: that of the reference.
const IDLE: Duration = Duration::from_secs(3_600);

/// Sealers that are kept; a new one has an instance of its own, so that none may be dropped in error.
const MAX_SEALERS: usize = 64;

/// What answers a request, besides symbols.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Symbols follow, or nothing does.
    Quiet,
    /// The object is there, cut like this.
    Offer(TransmissionInformation),
    /// No symbols follow.
    Refuse(SymbolRefusalReason, Option<Duration>),
    /// The request is not as it must be, and the peer is charged.
    Misbehaved,
}

/// Everybody who is sent something.
#[derive(Debug, Default)]
pub(super) struct Provider {
    peers: BTreeMap<NodeId, Served>,
    sealers: BTreeMap<(ZoneId, KeyId), Sealer>,
    plans: Plans,
}

#[derive(Debug, Default)]
struct Served {
    transfers: BTreeMap<EncodingSet, Transfer>,
    /// Transfers with something to send, the next one first.
    turns: VecDeque<EncodingSet>,
}

#[derive(Debug)]
struct Transfer {
    epoch_id: u64,
    queue: VecDeque<PayloadId>,
    /// The last symbol that was sent without being named.
    filled: Option<PayloadId>,
    /// The latest number of a status or acknowledgement.
    nonce: Option<u64>,
    touched: Instant,
    ticket: Option<Ticket>,
    symbol_size: usize,
}

impl Provider {
    /// Takes a request. Cheap bounds come first, then whether the peer may know of the zone, and only then whether the
    /// object is there.
    //= docs/spec/delivery.md#answering
    pub(super) fn request(
        &mut self,
        peer: &NodeId,
        object: &Object<TranscriptSigned<SymbolRequest>>,
        admission: &mut Admission,
        context: &Context<'_, '_>,
    ) -> Answer {
        let key = context.local.peers.key(peer);
        let allowance = match object.admit(key.as_ref()) {
            Ok(allowance) => allowance.symbols(),
            Err(SymbolMessageError::TooManySymbols { .. } | SymbolMessageError::AboveHardCap) => {
                return Answer::Refuse(SymbolRefusalReason::TooMany, None);
            }
            Err(
                SymbolMessageError::WrongZone
                | SymbolMessageError::HintAboveRequest
                | SymbolMessageError::HintWhenComplete
                | SymbolMessageError::SignatureInvalid,
            ) => return Answer::Misbehaved,
        };
        let request = &object.body.fields;
        let set = EncodingSet {
            object_id: request.object_id,
            zone_id: request.zone_id.clone(),
            zone_key_id: request.zone_key_id,
        };
        if !context.holdings.is_member(&set.zone_id, peer) {
            return Answer::Refuse(SymbolRefusalReason::NotHere, None);
        }
        if allowance > MAX_UNHINTED && request.missing_hint.is_none() {
            return Answer::Refuse(SymbolRefusalReason::NeedNotShown, None);
        }
        let key_is_here = context.holdings.zone_key(&set.zone_id, &set.zone_key_id).is_some();
        let Some(holding) = context.holdings.holding(&set).filter(|_| key_is_here) else {
            return Answer::Refuse(SymbolRefusalReason::NotHere, None);
        };
        let Some(information) = holding.information() else {
            return Answer::Refuse(SymbolRefusalReason::NotHere, None);
        };
        if allowance == 0 {
            return Answer::Offer(information);
        }
        let transfer = self.transfer(peer, &set, request.epoch_id, information, admission, context);
        let mut queue = named(&holding, information, request.missing_hint.as_ref());
        fill(&mut queue, &holding, information, allowance as usize, &mut transfer.filled);
        self.enqueue(peer, set, queue, admission, context.local.now.mono)
    }

    /// Takes what a receiver says of its decode. What it names is sent again, whether or not it was sent before.
    //= docs/spec/delivery.md#feedback
    pub(super) fn status(
        &mut self,
        peer: &NodeId,
        object: &Object<TranscriptSigned<DecodeStatus>>,
        admission: &mut Admission,
        context: &Context<'_, '_>,
    ) -> Answer {
        let said = &object.body.fields;
        let Some(key) = recipient(peer, &said.recipient_node_id, context) else { return Answer::Misbehaved };
        if object.verify(&key).is_err() {
            return Answer::Misbehaved;
        }
        let set = set_of(&said.object_id, &said.zone_id, &said.zone_key_id);
        if !self.is_latest(peer, &set, said.request_nonce, context.local.now.mono) {
            return Answer::Quiet;
        }
        if said.complete {
            self.stop(peer, &set, admission, context.local.now.mono);
            return Answer::Quiet;
        }
        let holding =
            context.holdings.holding(&set).filter(|_| context.holdings.is_member(&set.zone_id, peer));
        let Some(holding) = holding else { return Answer::Refuse(SymbolRefusalReason::NotHere, None) };
        let (Some(information), Some(hint)) = (holding.information(), said.missing_hint.as_ref()) else {
            return Answer::Quiet;
        };
        let queue = named(&holding, information, Some(hint));
        self.enqueue(peer, set, queue, admission, context.local.now.mono)
    }

    /// The receiver wants no more. It may ask anew at any time.
    //= docs/spec/delivery.md#feedback
    pub(super) fn ack(
        &mut self,
        peer: &NodeId,
        object: &Object<TranscriptSigned<SymbolAck>>,
        admission: &mut Admission,
        context: &Context<'_, '_>,
    ) -> Answer {
        let said = &object.body.fields;
        let Some(key) = recipient(peer, &said.recipient_node_id, context) else { return Answer::Misbehaved };
        if object.verify(&key).is_err() {
            return Answer::Misbehaved;
        }
        let set = set_of(&said.object_id, &said.zone_id, &said.zone_key_id);
        if self.is_latest(peer, &set, said.request_nonce, context.local.now.mono) {
            self.stop(peer, &set, admission, context.local.now.mono);
        }
        Answer::Quiet
    }

    /// The session with the peer is over, and with it all that was under way.
    pub(super) fn down(&mut self, peer: &NodeId, admission: &mut Admission, now: Instant) {
        for transfer in self.peers.remove(peer).into_iter().flat_map(|served| served.transfers.into_values())
        {
            transfer.end(admission, now);
        }
    }

    /// Gives up answers that took too long, and forgets transfers that nobody speaks of.
    pub(super) fn tick(&mut self, admission: &mut Admission, now: Instant) {
        let overdue: BTreeSet<_> = admission.overdue(now).collect();
        for served in self.peers.values_mut() {
            for transfer in served.transfers.values_mut() {
                if transfer.ticket.is_some_and(|ticket| overdue.contains(&ticket)) {
                    transfer.clear(admission, now);
                }
            }
            let idle = |transfer: &Transfer| now.saturating_since(transfer.touched) >= IDLE;
            for (_, transfer) in served.transfers.extract_if(.., |_, transfer| idle(transfer)) {
                transfer.end(admission, now);
            }
            let Served { transfers, turns } = served;
            turns.retain(|set| transfers.get(set).is_some_and(|transfer| !transfer.queue.is_empty()));
        }
    }

    /// Whether something is to be sent to the peer.
    pub(super) fn has_frame(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|served| !served.turns.is_empty())
    }

    /// The peers to which something is to be sent.
    pub(super) fn busy(&self) -> impl Iterator<Item = &NodeId> {
        self.peers.iter().filter(|(_, served)| !served.turns.is_empty()).map(|(peer, _)| peer)
    }

    /// Writes the next frame to the peer behind room for a datagram's prefix.
    pub(super) fn next_frame(
        &mut self,
        peer: &NodeId,
        max: usize,
        admission: &mut Admission,
        context: &mut Context<'_, '_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let now = context.local.now.mono;
        while let Some(set) = self.peers.get_mut(peer).and_then(|served| served.turns.pop_front()) {
            let Some(transfer) = self.peers.get_mut(peer).and_then(|served| served.transfers.get_mut(&set))
            else {
                continue;
            };
            let (taken, epoch_id) = (transfer.take(max), transfer.epoch_id);
            let more = !transfer.queue.is_empty();
            if !more && let Some(ticket) = transfer.ticket.take() {
                admission.end(ticket, Cost::default(), now);
            }
            if more && let Some(served) = self.peers.get_mut(peer) {
                served.turns.push_back(set.clone());
            }
            if self.write(&set, epoch_id, &taken, max, context, out) {
                return true;
            }
            // It is not there any more, or its key is not: nothing of it is sent.
            self.stop(peer, &set, admission, now);
        }
        false
    }

    /// What this node keeps for others, sealed as it would be for them.
    //= docs/spec/delivery.md#what-counts
    pub(super) fn own(
        &mut self,
        set: &EncodingSet,
        epoch_id: u64,
        part: &Part,
        context: &mut Context<'_, '_>,
    ) -> Vec<Vec<u8>> {
        let max = PREFIX_BYTES + HEADER_BYTES + RECORD_OVERHEAD + part.information.symbol_size();
        let (mut frames, mut out) = (Vec::new(), Vec::new());
        for id in part.symbols.keys() {
            if self.write(set, epoch_id, &[*id], max, context, &mut out) {
                frames.push(out.split_off(PREFIX_BYTES));
            }
        }
        frames
    }

    fn write(
        &mut self,
        set: &EncodingSet,
        epoch_id: u64,
        ids: &[PayloadId],
        max: usize,
        context: &mut Context<'_, '_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let holdings = context.holdings;
        let Some(holding) = holdings.holding(set) else { return false };
        let (Some(information), Some(zone_key)) =
            (holding.information(), holdings.zone_key(&set.zone_id, &set.zone_key_id))
        else {
            return false;
        };
        let Ok(symbol_size) = u16::try_from(information.symbol_size()) else { return false };
        let name = (set.zone_id.clone(), set.zone_key_id);
        if !self.sealers.contains_key(&name) && self.sealers.len() >= MAX_SEALERS {
            self.sealers.pop_first();
        }
        let local = &mut *context.local;
        let sealer = self
            .sealers
            .entry(name)
            .or_insert_with(|| Sealer::new(zone_key, local.me, local.provider, local.entropy));
        let flags = Flags::ENCRYPTED | Flags::RAPTORQ;
        let about = About { flags, object_id: set.object_id, symbol_size, epoch_id };
        out.clear();
        out.resize(max, 0);
        let length = out.get_mut(PREFIX_BYTES..).and_then(|room| {
            let mut frame = sealer.frame(&about, room).ok()?;
            let symbols = encoded(&holding, set, information, ids, &mut self.plans);
            for (id, source_symbols, bytes) in symbols {
                frame.push(id.as_u32(), source_symbols, &bytes).ok()?;
            }
            frame.finish().ok().map(|frame| frame.len())
        });
        out.truncate(length.map_or(0, |length| PREFIX_BYTES + length));
        length.is_some()
    }

    fn transfer(
        &mut self,
        peer: &NodeId,
        set: &EncodingSet,
        epoch_id: u64,
        information: TransmissionInformation,
        admission: &mut Admission,
        context: &Context<'_, '_>,
    ) -> &mut Transfer {
        let now = context.local.now.mono;
        let served = self.peers.entry(peer.clone()).or_default();
        if !served.transfers.contains_key(set) && served.transfers.len() >= MAX_TRANSFERS {
            let oldest = served.transfers.iter().min_by_key(|(_, transfer)| transfer.touched);
            if let Some(oldest) = oldest.map(|(set, _)| set.clone())
                && let Some(transfer) = served.transfers.remove(&oldest)
            {
                transfer.end(admission, now);
                served.turns.retain(|set| *set != oldest);
            }
        }
        let symbol_size = information.symbol_size();
        let transfer = served.transfers.entry(set.clone()).or_insert_with(|| Transfer {
            epoch_id,
            queue: VecDeque::new(),
            filled: None,
            nonce: None,
            touched: now,
            ticket: None,
            symbol_size,
        });
        (transfer.touched, transfer.symbol_size) = (now, symbol_size);
        transfer
    }

    /// Queues symbols instead of those that the peer asked for last.
    fn enqueue(
        &mut self,
        peer: &NodeId,
        set: EncodingSet,
        queue: VecDeque<PayloadId>,
        admission: &mut Admission,
        now: Instant,
    ) -> Answer {
        let Some(served) = self.peers.get_mut(peer) else { return Answer::Quiet };
        let Some(transfer) = served.transfers.get_mut(&set) else { return Answer::Quiet };
        transfer.clear(admission, now);
        served.turns.retain(|other| *other != set);
        if queue.is_empty() {
            return Answer::Refuse(SymbolRefusalReason::NotHere, None);
        }
        match admission.request(peer, transfer.cost(queue.len()), ANSWER, now) {
            Ok(ticket) => {
                (transfer.queue, transfer.ticket) = (queue, Some(ticket));
                served.turns.push_back(set);
                Answer::Quiet
            }
            Err(refused) => Answer::Refuse(SymbolRefusalReason::Busy, refused.retry_after),
        }
    }

    /// Whether the number is later than all before; statuses of unknown transfers fill no table.
    fn is_latest(&mut self, peer: &NodeId, set: &EncodingSet, nonce: u64, now: Instant) -> bool {
        let served = self.peers.get_mut(peer);
        let Some(transfer) = served.and_then(|served| served.transfers.get_mut(set)) else { return false };
        let latest = transfer.nonce.is_none_or(|last| nonce > last);
        if latest {
            (transfer.nonce, transfer.touched) = (Some(nonce), now);
        }
        latest
    }

    fn stop(&mut self, peer: &NodeId, set: &EncodingSet, admission: &mut Admission, now: Instant) {
        let Some(served) = self.peers.get_mut(peer) else { return };
        served.turns.retain(|other| other != set);
        if let Some(transfer) = served.transfers.remove(set) {
            transfer.end(admission, now);
        }
        if served.transfers.is_empty() {
            self.peers.remove(peer);
        }
    }
}

impl Transfer {
    /// What symbols cost on the wire.
    fn cost(&self, symbols: usize) -> Cost {
        let each = PREFIX_BYTES + HEADER_BYTES + RECORD_OVERHEAD + self.symbol_size;
        Cost { bytes: symbols as u64 * each as u64, symbols: symbols as u64 }
    }

    /// The next symbols of which a datagram of `max` bytes has room, in order of their numbers.
    fn take(&mut self, max: usize) -> Vec<PayloadId> {
        let room = max.saturating_sub(PREFIX_BYTES + HEADER_BYTES);
        let fit = (room / (RECORD_OVERHEAD + self.symbol_size)).max(1);
        let mut taken: Vec<_> = self.queue.drain(..fit.min(self.queue.len())).collect();
        taken.sort_unstable();
        taken.dedup();
        taken
    }

    fn clear(&mut self, admission: &mut Admission, now: Instant) {
        let unused = self.cost(self.queue.len());
        self.queue.clear();
        if let Some(ticket) = self.ticket.take() {
            admission.end(ticket, unused, now);
        }
    }

    fn end(mut self, admission: &mut Admission, now: Instant) {
        self.clear(admission, now);
    }
}

/// Those that the peer names and this node has, in its order.
fn named(
    holding: &Holding<'_>,
    information: TransmissionInformation,
    hint: Option<&MissingHint>,
) -> VecDeque<PayloadId> {
    let named = hint.map_or(&[][..], MissingHint::symbols).iter();
    named.filter(|id| holding.has(information, **id)).copied().collect()
}

/// Fills up to `most` with others, from where the last request ended, over and over: what was lost comes again.
fn fill(
    queue: &mut VecDeque<PayloadId>,
    holding: &Holding<'_>,
    information: TransmissionInformation,
    most: usize,
    filled: &mut Option<PayloadId>,
) {
    let named: BTreeSet<_> = queue.iter().copied().collect();
    let more = most.saturating_sub(queue.len());
    let others = holding.after(information, *filled).filter(|id| !named.contains(id)).take(more);
    let others: Vec<_> = others.collect();
    *filled = others.last().copied().or(*filled);
    queue.extend(others);
}

/// The symbols as bytes; those that are not there any more are left out.
fn encoded<'a>(
    holding: &'a Holding<'_>,
    set: &'a EncodingSet,
    information: TransmissionInformation,
    ids: &[PayloadId],
    plans: &mut Plans,
) -> Vec<(PayloadId, u16, Vec<u8>)> {
    let mut encoder = match holding {
        Holding::Whole(object) => Encoder::new(set, information, object).ok(),
        Holding::Part(_) => None,
    };
    let symbol = |id: &PayloadId| {
        let source_symbols = information.block(id.block())?.source_symbols;
        let bytes = match holding {
            Holding::Whole(_) => {
                let mut bytes = vec![0; information.symbol_size()];
                encoder.as_mut()?.symbol(*id, plans, &mut bytes).ok()?;
                bytes
            }
            Holding::Part(part) => part.symbols.get(id)?.clone(),
        };
        Some((*id, source_symbols, bytes))
    };
    ids.iter().filter_map(symbol).collect()
}

/// The key of the peer, if it speaks of itself.
fn recipient(peer: &NodeId, said: &NodeId, context: &Context<'_, '_>) -> Option<VerifyingKey<Node>> {
    if said == peer { context.local.peers.key(peer) } else { None }
}

fn set_of(object_id: &fcp_proto_core::ids::ObjectId, zone_id: &ZoneId, zone_key_id: &KeyId) -> EncodingSet {
    EncodingSet { object_id: *object_id, zone_id: zone_id.clone(), zone_key_id: *zone_key_id }
}
