//! What is said to peers, and what their words mean.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{
    DecodeStatus, MissingHint, Object, Signed, SymbolAck, SymbolAckReason, SymbolMessage, SymbolOffer,
    SymbolRefusal, SymbolRefusalReason, SymbolRequest, TranscriptSigned,
};
use fcp_proto_core::symbol::{EncodingSet, PayloadId, TransmissionInformation};

use super::fetch::Say;
use super::serve::Answer;
use super::{Context, Delivery, Event, messages};

impl Delivery {
    pub(super) fn request(
        &mut self,
        peer: &NodeId,
        request: &Object<TranscriptSigned<SymbolRequest>>,
        context: &mut Context<'_, '_>,
    ) -> Answer {
        let answer = self.provider.request(peer, request, &mut self.admission, context);
        let fields = &request.body.fields;
        let set = EncodingSet {
            object_id: fields.object_id,
            zone_id: fields.zone_id.clone(),
            zone_key_id: fields.zone_key_id,
        };
        match &answer {
            Answer::Quiet | Answer::Misbehaved => (),
            Answer::Offer(information) => self.say_offer(&set, fields.epoch_id, *information, peer, context),
            Answer::Refuse(reason, retry) => {
                let refusal = SymbolRefusal {
                    object_id: fields.object_id,
                    zone_key_id: fields.zone_key_id,
                    epoch_id: fields.epoch_id,
                    reason: *reason,
                    // Up, so that whoever comes back then is not too early.
                    retry_after_ms: retry
                        .map(|retry| u64::try_from(retry.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)),
                };
                let now = context.local.now.unix;
                if let Some(refusal) = messages::signed(refusal, &set.zone_id, context.local.key, now) {
                    self.send(peer, &SymbolMessage::Refusal(refusal), context);
                }
            }
        }
        answer
    }

    pub(super) fn say_offer(
        &mut self,
        set: &EncodingSet,
        epoch_id: u64,
        information: TransmissionInformation,
        peer: &NodeId,
        context: &mut Context<'_, '_>,
    ) {
        let (object_id, zone_key_id) = (set.object_id, set.zone_key_id);
        let offer = SymbolOffer { object_id, zone_key_id, epoch_id, information };
        let now = context.local.now.unix;
        if let Some(offer) = messages::signed(offer, &set.zone_id, context.local.key, now) {
            self.send(peer, &SymbolMessage::Offer(offer), context);
        }
    }

    //= docs/spec/delivery.md#offers
    pub(super) fn offered(
        &mut self,
        peer: &NodeId,
        offer: &Object<Signed<SymbolOffer>>,
        context: &mut Context<'_, '_>,
    ) -> Answer {
        let key = context.local.peers.key(peer);
        if !key.is_some_and(|key| messages::is_signed(offer, &key)) {
            return Answer::Misbehaved;
        }
        let fields = &offer.body.fields;
        let set = EncodingSet {
            object_id: fields.object_id,
            zone_id: offer.header.zone_id.clone(),
            zone_key_id: fields.zone_key_id,
        };
        if !context.holdings.is_member(&set.zone_id, peer) {
            return Answer::Misbehaved;
        }
        let now = context.local.now.mono;
        if let Some(fetch) = self.fetches.get_mut(&set) {
            fetch.add(peer, self.up.contains(peer), now);
            fetch.offered(peer, fields.information, now);
        } else if context.holdings.holding(&set).is_none() {
            let (epoch_id, bytes) = (fields.epoch_id, fields.information.transfer_length());
            self.events.push_back(Event::Offered { set, epoch_id, from: peer.clone(), bytes });
        }
        Answer::Quiet
    }

    //= docs/spec/delivery.md#refusals
    pub(super) fn refused(
        &mut self,
        peer: &NodeId,
        refusal: &Object<Signed<SymbolRefusal>>,
        context: &mut Context<'_, '_>,
    ) -> Answer {
        let key = context.local.peers.key(peer);
        if !key.is_some_and(|key| messages::is_signed(refusal, &key)) {
            return Answer::Misbehaved;
        }
        let fields = &refusal.body.fields;
        let set = EncodingSet {
            object_id: fields.object_id,
            zone_id: refusal.header.zone_id.clone(),
            zone_key_id: fields.zone_key_id,
        };
        let retry = fields.retry_after_ms.map(Duration::from_millis);
        if let Some(fetch) = self.fetches.get_mut(&set) {
            let gone = fields.reason == SymbolRefusalReason::NotHere;
            fetch.refused(peer, retry, gone, context.local.now.mono);
        }
        Answer::Quiet
    }

    pub(super) fn say(
        &mut self,
        peer: &NodeId,
        set: &EncodingSet,
        epoch_id: u64,
        say: Say,
        context: &mut Context<'_, '_>,
    ) {
        let received = self.received(set);
        let message = match say {
            Say::Inquire => self.ask_for(set, epoch_id, Vec::new(), context),
            Say::Request(symbols) => self.ask_for(set, epoch_id, symbols, context),
            Say::Status(symbols) => {
                self.nonce = self.nonce.saturating_add(1);
                let status = DecodeStatus {
                    object_id: set.object_id,
                    zone_id: set.zone_id.clone(),
                    zone_key_id: set.zone_key_id,
                    epoch_id,
                    recipient_node_id: context.local.me.clone(),
                    request_nonce: self.nonce,
                    received_unique: received,
                    needed: u32::try_from(symbols.len()).unwrap_or(u32::MAX),
                    complete: false,
                    missing_hint: MissingHint::new(symbols).ok(),
                };
                let now = context.local.now.unix;
                SymbolMessage::DecodeStatus(messages::transcribed(status, context.local.key, now))
            }
        };
        self.send(peer, &message, context);
    }

    fn ask_for(
        &self,
        set: &EncodingSet,
        epoch_id: u64,
        symbols: Vec<PayloadId>,
        context: &Context<'_, '_>,
    ) -> SymbolMessage {
        let request = SymbolRequest {
            object_id: set.object_id,
            zone_id: set.zone_id.clone(),
            zone_key_id: set.zone_key_id,
            epoch_id,
            max_symbols: u32::try_from(symbols.len()).unwrap_or(u32::MAX),
            missing_hint: MissingHint::new(symbols).ok(),
            current_symbols: self.received(set),
        };
        SymbolMessage::Request(messages::transcribed(request, context.local.key, context.local.now.unix))
    }

    /// The fetch is over; whoever sends for it is told.
    pub(super) fn end(&mut self, set: &EncodingSet, reason: SymbolAckReason, context: &mut Context<'_, '_>) {
        let final_symbol_count = self.received(set);
        let Some(fetch) = self.fetches.remove(set) else { return };
        self.admission.release(fetch.reserved);
        for peer in fetch.sources.iter().filter(|(_, source)| source.up).map(|(peer, _)| peer) {
            self.nonce = self.nonce.saturating_add(1);
            let ack = SymbolAck {
                object_id: set.object_id,
                zone_id: set.zone_id.clone(),
                zone_key_id: set.zone_key_id,
                epoch_id: fetch.epoch_id,
                recipient_node_id: context.local.me.clone(),
                request_nonce: self.nonce,
                reason,
                final_symbol_count,
            };
            let ack = messages::transcribed(ack, context.local.key, context.local.now.unix);
            self.send(peer, &SymbolMessage::Ack(ack), context);
        }
    }

    /// Says something, unless the peer has not proved itself and has not paid for it.
    fn send(&mut self, peer: &NodeId, message: &SymbolMessage, context: &Context<'_, '_>) {
        let Some(message) = messages::write(message) else { return };
        let proven = context.local.peers.key(peer).is_some();
        if proven || self.admission.amplifies(peer, message.len() as u64) {
            self.events.push_back(Event::Send { to: peer.clone(), message });
        }
    }
}
