//! What is said next to a peer: decided when it can take it.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::frame::content::Lane;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::gossip::{
    Exchange as Address, Finding, MAX_GOSSIP_NAMES, ObjectNames, Question, SymbolNames,
};
use fcp_proto_core::object::{GossipAnswer, GossipRequest, ReconcileAnswer, ReconcileRequest};
use fcp_proto_core::sketch::{CELL_BYTES, ItemKey};

use super::messages::write;
use super::peer::{Peer, Waiting};
use super::{Context, Gossip};
use crate::link::admission::Cost;

/// What an answer takes besides what it carries: header, exchange and signature.
const OVERHEAD: u64 = 600;

impl Gossip {
    /// The next message for the peer, and its lane. If it is lost, it is said again in time.
    ///
    /// What is urgent comes first; answers, questions and summaries take turns.
    //= docs/spec/gossip.md#turns
    pub fn next_message(&mut self, peer: &NodeId, context: &mut Context<'_, '_>) -> Option<(Lane, Vec<u8>)> {
        if !self.peers.contains_key(peer) || context.local.peers.key(peer).is_none() {
            return None;
        }
        if let Some(message) = self.urgent(peer, context) {
            return Some((Lane::Urgent, message));
        }
        let turn = self.peers.get(peer).map_or(0, |peer| peer.turn);
        let said = (turn..turn + 4).find_map(|turn| {
            let message = match turn % 4 {
                0 => self.answer_next(peer, context),
                1 => self.question(peer, context),
                2 => self.summary(peer, context),
                _ => self.request(peer, context),
            };
            message.map(|message| ((turn + 1) % 4, message))
        });
        let (next, message) = said?;
        self.peers.get_mut(peer)?.turn = next;
        Some((Lane::Sync, message))
    }

    fn urgent(&mut self, peer: &NodeId, context: &Context<'_, '_>) -> Option<Vec<u8>> {
        let (me, now) = (context.local.me, context.local.now.mono);
        while self.revocations.has_message(peer, now) {
            let (zone, message) = match self.revocations.next_notice(me, peer, now) {
                Some((zone, notice)) => (zone.clone(), write(notice, &zone, context.local)),
                None => {
                    let (zone, witness) = self.revocations.next_witness(peer)?;
                    (zone.clone(), write(witness, &zone, context.local))
                }
            };
            // Membership may have ended meanwhile.
            if is_shared(&zone, peer, context) {
                return message;
            }
        }
        None
    }

    /// Answers a question of the peer. What can be answered now goes before cells that are still made.
    fn answer_next(&mut self, name: &NodeId, context: &mut Context<'_, '_>) -> Option<Vec<u8>> {
        let shelves = &mut self.shelves;
        let ready = |waiting: &Waiting| match waiting {
            Waiting::Have(..) => true,
            Waiting::Reconcile(zone, request, sent) => match &request.question {
                Question::Cells { salt, after, count } => {
                    let snapshot = shelves.get_mut(zone).and_then(|shelf| shelf.by_salt(salt));
                    let (from, to) = (after + sent, after + count);
                    snapshot.is_none_or(|it| it.cells(from as usize, to as usize).is_some())
                }
                Question::Names { .. } | Question::Page { .. } => true,
            },
        };
        match self.peers.get_mut(name)?.take(ready)? {
            Waiting::Have(zone, request) => {
                is_shared(&zone, name, context).then(|| have(&zone, &request, name, context)).flatten()
            }
            Waiting::Reconcile(zone, request, sent) => {
                if !is_shared(&zone, name, context) {
                    return None;
                }
                let finding = self.finding(name, &zone, &request, sent, context)?;
                if let Finding::Cells { after, cells } = &finding {
                    self.go_on(
                        name,
                        &zone,
                        request.clone(),
                        after + (cells.get().0.len() / CELL_BYTES) as u32,
                    );
                }
                let exchange = back(&request.exchange, name, context);
                write(ReconcileAnswer { exchange, finding }, &zone, context.local)
            }
        }
    }

    /// A question for cells goes on until all of them are sent.
    fn go_on(&mut self, name: &NodeId, zone: &ZoneId, request: ReconcileRequest, until: u32) {
        let Question::Cells { after, count, .. } = &request.question else { return };
        let sent = until.saturating_sub(*after);
        if sent < *count
            && let Some(peer) = self.peers.get_mut(name)
        {
            peer.put_back(Waiting::Reconcile(zone.clone(), request, sent));
        }
    }

    //= docs/spec/gossip.md#answers
    fn finding(
        &mut self,
        name: &NodeId,
        zone: &ZoneId,
        request: &ReconcileRequest,
        sent: u32,
        context: &mut Context<'_, '_>,
    ) -> Option<Finding> {
        let shelf = self.shelves.get_mut(zone)?;
        let finding = match &request.question {
            Question::Cells { salt, after, count } => match shelf.by_salt(salt) {
                None => Finding::Gone {},
                Some(snapshot) => {
                    let (from, to) = (after + sent, after + count);
                    let cells = snapshot.cells(from as usize, to as usize)?;
                    Finding::Cells { after: from, cells: Bounded::new(ByteString(cells)).ok()? }
                }
            },
            Question::Names { salt, keys } => match shelf.by_salt(salt) {
                None => Finding::Gone {},
                Some(snapshot) => {
                    let keys = keys.get().0.as_chunks().0.iter().map(|key| ItemKey(u64::from_le_bytes(*key)));
                    let names = keys.filter_map(|key| snapshot.name(key)).collect();
                    Finding::Names { names: ObjectNames::new(names).ok()? }
                }
            },
            Question::Page { after } => {
                let mut names = context.zones.objects(zone, after.as_ref(), MAX_GOSSIP_NAMES + 1);
                let more = names.len() > MAX_GOSSIP_NAMES;
                names.truncate(MAX_GOSSIP_NAMES);
                Finding::Page { names: ObjectNames::new(names.into_iter().collect()).ok()?, more }
            }
        };
        Some(match pay(name, size(&finding), context) {
            Ok(()) => finding,
            Err(wait) => Finding::Busy {
                retry_after_ms: u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX),
            },
        })
    }

    fn question(&mut self, peer: &NodeId, context: &mut Context<'_, '_>) -> Option<Vec<u8>> {
        let now = context.local.now.mono;
        let exchange = self.exchanges.iter_mut().find(|it| it.peer == *peer && it.has_question(now))?;
        let request = exchange.question(context)?;
        write(request, &exchange.zone, context.local)
    }

    /// The summary that waited longest of those that are due.
    fn summary(&mut self, name: &NodeId, context: &Context<'_, '_>) -> Option<Vec<u8>> {
        let now = context.local.now.mono;
        let peer = self.peers.get_mut(name)?;
        let due = self.shelves.iter().filter_map(|(zone, shelf)| Some((zone, shelf.current()?))).filter(
            |(zone, current)| is_shared(zone, name, context) && peer.summary_due(zone, &current.salt) <= now,
        );
        let waited = |peer: &Peer, zone: &ZoneId| peer.told_at(zone).unwrap_or_default();
        let (zone, current) = due.min_by_key(|(zone, _)| waited(peer, zone))?;
        peer.tell(zone, current.salt, now);
        write(current.summary(zone, context)?, zone, context.local)
    }

    fn request(&mut self, name: &NodeId, context: &Context<'_, '_>) -> Option<Vec<u8>> {
        let peer = self.peers.get_mut(name)?;
        let (zone, request) = peer.asked.get(peer.sent)?;
        peer.sent += 1;
        is_shared(zone, name, context).then(|| write(request.clone(), zone, context.local)).flatten()
    }
}

/// Both are members of the zone: nobody else is told anything of it.
//= docs/spec/gossip.md#messages
fn is_shared(zone: &ZoneId, peer: &NodeId, context: &Context<'_, '_>) -> bool {
    context.zones.is_member(zone, context.local.me) && context.zones.is_member(zone, peer)
}

fn have(
    zone: &ZoneId,
    request: &GossipRequest,
    name: &NodeId,
    context: &mut Context<'_, '_>,
) -> Option<Vec<u8>> {
    pay(name, 0, context).ok()?;
    let objects = request.objects.get().iter().filter(|it| context.zones.has(zone, it));
    let symbols = request.symbols.get().iter().filter(|it| context.zones.has_symbol(zone, it));
    let answer = GossipAnswer {
        exchange: back(&request.exchange, name, context),
        objects: ObjectNames::new(objects.copied().collect()).ok()?,
        symbols: SymbolNames::new(symbols.cloned().collect()).ok()?,
    };
    write(answer, zone, context.local)
}

/// The exchange, the other way.
fn back(exchange: &Address, to: &NodeId, context: &Context<'_, '_>) -> Address {
    Address { request_id: exchange.request_id, from: context.local.me.clone(), to: to.clone() }
}

/// An answer of so many bytes is paid for; how long to wait otherwise.
fn pay(peer: &NodeId, bytes: u64, context: &mut Context<'_, '_>) -> Result<(), Duration> {
    let now = context.local.now.mono;
    let cost = Cost { bytes: bytes.saturating_add(OVERHEAD), symbols: 0 };
    match context.admission.request(peer, cost, Duration::ZERO, now) {
        Ok(ticket) => {
            context.admission.end(ticket, Cost::default(), now);
            Ok(())
        }
        Err(refused) => Err(refused.retry_after.unwrap_or(super::LONGEST_PAUSE)),
    }
}

fn size(finding: &Finding) -> u64 {
    match finding {
        Finding::Cells { cells, .. } => cells.get().0.len() as u64,
        Finding::Names { names } | Finding::Page { names, .. } => 34 * names.get().len() as u64,
        Finding::Gone {} | Finding::Busy { .. } => 0,
    }
}
