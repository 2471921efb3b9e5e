//! What peers say, and what it means.

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::gossip::Question;
use fcp_proto_core::object::{
    GossipAnswer, GossipMessage, GossipSummary, ReconcileAnswer, ReconcileRequest, RevocationNotice,
    RevocationWitness,
};
use fcp_proto_core::time::UnixTime;

use super::messages::{self, judge};
use super::peer::Waiting;
use super::view::{Heard, View};
use super::{Context, Event, Fault, Gossip, MAX_FILTER_BYTES, MAX_MESSAGE_BYTES, MAX_VIEWS};
use crate::link::admission::Cost;

impl Gossip {
    /// A lane of the session with the peer brought a message.
    //= docs/spec/gossip.md#messages
    pub fn message(&mut self, peer: &NodeId, bytes: &[u8], context: &mut Context<'_, '_>) {
        let now = context.local.now.mono;
        let cost = Cost { bytes: bytes.len() as u64, symbols: 0 };
        if !self.peers.contains_key(peer) || context.admission.received(peer, cost, now).is_err() {
            return;
        }
        if let Err(fault) = self.take(peer, bytes, context) {
            self.blame(peer, fault, context);
        }
    }

    fn take(&mut self, peer: &NodeId, bytes: &[u8], context: &mut Context<'_, '_>) -> Result<(), Fault> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(Fault::Oversized);
        }
        match messages::read(bytes).map_err(|_| Fault::Malformed)? {
            GossipMessage::Summary(object) => {
                let sent_at = object.header.created_at;
                let (zone, summary) = judge(peer, object, context)?;
                self.on_summary(peer, zone, &summary, sent_at, context);
            }
            GossipMessage::Request(object) => {
                let (zone, request) = judge(peer, object, context)?;
                self.wait(peer, Waiting::Have(zone, request));
            }
            GossipMessage::Answer(object) => {
                let (zone, answer) = judge(peer, object, context)?;
                self.on_answer(peer, zone, answer)?;
            }
            GossipMessage::ReconcileRequest(object) => {
                let (zone, request) = judge(peer, object, context)?;
                self.on_question(peer, zone, request, context);
            }
            GossipMessage::ReconcileAnswer(object) => {
                let (zone, answer) = judge(peer, object, context)?;
                self.on_finding(peer, &zone, answer, context);
            }
            GossipMessage::RevocationNotice(object) => {
                let (zone, notice) = judge(peer, object, context)?;
                self.on_notice(peer, zone, notice, context);
            }
            GossipMessage::RevocationWitness(object) => {
                let (zone, witness) = judge(peer, object, context)?;
                self.revocations.witness(peer, &zone, &witness);
            }
        }
        Ok(())
    }

    //= docs/spec/gossip.md#summaries
    fn on_summary(
        &mut self,
        peer: &NodeId,
        zone: ZoneId,
        summary: &GossipSummary,
        sent_at: UnixTime,
        context: &Context<'_, '_>,
    ) {
        let now = context.local.now.mono;
        let mut heard = Heard::new(summary, sent_at, now);
        if heard.filters() > MAX_FILTER_BYTES.saturating_sub(self.filters()) {
            heard.forget_filters();
        }
        let (full, pair) = (self.views.len() >= MAX_VIEWS, (zone, peer.clone()));
        match self.views.get_mut(&pair) {
            Some(view) => view.hear(heard),
            None if full => (),
            None => _ = self.views.insert(pair, View::new(heard, now)),
        }
    }

    fn wait(&mut self, peer: &NodeId, waiting: Waiting) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.ask(waiting);
        }
    }

    fn on_question(
        &mut self,
        peer: &NodeId,
        zone: ZoneId,
        request: ReconcileRequest,
        context: &Context<'_, '_>,
    ) {
        let cells = match &request.question {
            Question::Cells { salt, after, count } => Some((salt, after.saturating_add(*count))),
            Question::Names { salt, .. } => Some((salt, 0)),
            Question::Page { .. } => None,
        };
        if let Some((salt, cells)) = cells
            && let Some(snapshot) = self.shelves.get_mut(&zone).and_then(|shelf| shelf.by_salt(salt))
        {
            snapshot.want(cells as usize, context.local.now.mono);
        }
        self.wait(peer, Waiting::Reconcile(zone, request, 0));
    }

    fn on_finding(
        &mut self,
        peer: &NodeId,
        zone: &ZoneId,
        answer: ReconcileAnswer,
        context: &mut Context<'_, '_>,
    ) {
        let place = self.exchanges.iter().position(|it| it.peer == *peer && it.zone == *zone);
        if let Some(place) = place {
            let read = self.exchanges[place].answer(answer, context);
            self.read(place, read, context);
        }
    }

    //= docs/spec/gossip.md#sources
    fn on_answer(&mut self, peer: &NodeId, zone: ZoneId, answer: GossipAnswer) -> Result<(), Fault> {
        let Some(state) = self.peers.get_mut(peer) else { return Ok(()) };
        let id = answer.exchange.request_id;
        let asked = state.asked.iter().position(|(of, it)| *of == zone && it.exchange.request_id == id);
        let Some((_, request)) = asked.and_then(|place| state.asked.remove(place)) else { return Ok(()) };
        state.sent = state.sent.saturating_sub(1);
        if !answer.answers(&request) {
            return Err(Fault::Unasked);
        }
        self.events.push_back(Event::Has {
            zone,
            from: peer.clone(),
            objects: answer.objects.get().iter().copied().collect(),
            symbols: answer.symbols.get().iter().cloned().collect(),
        });
        Ok(())
    }

    /// What this node keeps to already is witnessed again, since the first witness may be lost.
    fn on_notice(
        &mut self,
        peer: &NodeId,
        zone: ZoneId,
        notice: RevocationNotice,
        context: &Context<'_, '_>,
    ) {
        let revocation = &notice.revocation.get().0;
        let digest = hash::digest(revocation);
        self.revocations.knows(peer, &digest);
        match self.revocations.applied(&digest) {
            Some(head_seq) => {
                let witness =
                    RevocationWitness { from: context.local.me.clone(), revocation: digest, head_seq };
                self.revocations.owe(peer, &zone, witness);
            }
            None => self.events.push_back(Event::Revocation {
                zone,
                from: peer.clone(),
                revocation: revocation.clone(),
                head_seq: notice.head_seq,
            }),
        }
    }
}
