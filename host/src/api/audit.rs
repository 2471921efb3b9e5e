//! The audit chains: reading them, and proving that nothing in them was changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use fcp_api::hex::Hex;
use fcp_api::limits::{DEFAULT_PAGE, MAX_PAGE};
use fcp_api::routes::{GetAuditHead, ListAuditEvents, VerifyAudit};
use fcp_api::types::{
    AuditEventView, AuditEvents, AuditHeadView, AuditHeads, AuditProblem, AuditQuery, AuditReport, ErrorBody,
    SavedHead,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{AnyObject, ObjectIdKey, StoredObject};
use fcp_runtime_tokio::storage::Storage;
use fcp_state_machines::node::Node;
use fcp_state_machines::trust::audit::{Chains, Known, Place, Seal, Verifier};
use fcp_state_machines::trust::authority::Authority;
use fcp_state_machines::trust::revocation::Revocations;
use tokio::sync::MutexGuard;
use zeroize::Zeroizing;

use super::access::Caller;
use super::ceremony::blocking;
use super::mount::{Ask, Serve};
use super::watch::{until, wait};
use crate::daemon::{App, EventEntry, HeadEntry, owner_zone};

/// An event, read.
///
/// # Errors
/// [`Code::StoreCorrupt`] if it cannot be read back.
pub(super) async fn event(app: &App, id: ObjectId) -> Result<AuditEventView, ErrorBody> {
    let AnyObject::AuditEvent(object) = app.load(id).await? else {
        return Err(ErrorBody::new(Code::StoreCorrupt).because(format!("{id} is no event")));
    };
    let event = object.body;
    Ok(AuditEventView {
        event_id: id,
        seq: event.seq,
        prev: event.prev,
        zone: object.header.zone_id,
        node: event.node_id,
        kind: event.kind,
        actor: event.actor,
        connector: event.connector,
        operation: event.operation,
        call_id: event.call_id,
        token_id: event.token_id,
        subject: event.subject,
        code: event.code,
        detail: event.detail,
        trace_id: event.trace.map(|trace| Hex(trace.trace_id).to_string()),
        at: event.occurred_at,
    })
}

/// What of a query the index can tell; the rest is read.
fn fits(entry: &EventEntry, wanted: &AuditQuery, own: Option<&str>) -> bool {
    wanted.kind.is_none_or(|it| entry.kind == it)
        && wanted.actor.as_ref().is_none_or(|it| entry.actor == *it)
        && wanted.call_id.is_none_or(|it| entry.call_id == Some(it))
        && own.is_none_or(|own| entry.actor == own)
}

/// The events to show, and where to go on.
type Picked = (Vec<ObjectId>, u64);

fn pick(app: &App, zone: &ZoneId, wanted: &AuditQuery, own: Option<&str>) -> Picked {
    let records = app.records();
    let Some(chain) = records.chains.get(zone) else { return (Vec::new(), wanted.from_seq.unwrap_or(0)) };
    let limit = usize::try_from(wanted.limit.unwrap_or(DEFAULT_PAGE)).unwrap_or(usize::MAX);
    if let Some(last) = wanted.last {
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        let newest = chain.newest(None).filter(|(_, entry)| fits(entry, wanted, own)).take(last);
        let mut ids: Vec<_> = newest.map(|(_, entry)| entry.id).collect();
        ids.reverse();
        return (ids, chain.next());
    }
    let mut ids = Vec::new();
    let mut next = chain.next();
    for (seq, entry) in chain.from(wanted.from_seq.unwrap_or(0)) {
        if ids.len() == limit {
            next = seq;
            break;
        }
        if fits(entry, wanted, own) {
            ids.push(entry.id);
        }
    }
    (ids, next)
}

impl Serve for ListAuditEvents {
    async fn serve(ask: Ask<Self>) -> Result<AuditEvents, ErrorBody> {
        let Ask { app, query, caller, .. } = ask;
        for (name, asked) in [("limit", query.limit), ("last", query.last)] {
            if asked.is_some_and(|it| it == 0 || it > MAX_PAGE) {
                return Err(ErrorBody::new(Code::OutOfRange).because(format!("`{name}` is 1 to {MAX_PAGE}")));
            }
        }
        let within = wait(query.wait_ms)?;
        let own_zone = match &caller {
            Caller::Agent(agent) => agent.zone.clone(),
            Caller::Operator(_) | Caller::Anyone => owner_zone(),
        };
        let zone = query.zone.clone().unwrap_or(own_zone);
        let own = caller.only().map(|own| own.as_str().to_owned());
        let look = || {
            let (ids, next) = pick(&app, &zone, &query, own.as_deref());
            Ok((!ids.is_empty()).then_some((ids, next)))
        };
        let found = until(&app, within, look).await?;
        let (ids, next_seq) = found.unwrap_or_else(|| pick(&app, &zone, &query, own.as_deref()));
        let mut events = Vec::with_capacity(ids.len());
        for id in ids {
            let event = event(&app, id).await?;
            let connector = query.connector.as_ref();
            if connector.is_none_or(|wanted| event.connector.as_ref() == Some(wanted)) {
                events.push(event);
            }
        }
        Ok(AuditEvents { events, next_seq })
    }
}

fn head_view(zone: &ZoneId, node: &NodeId, head: Option<&HeadEntry>) -> AuditHeadView {
    AuditHeadView {
        zone: zone.clone(),
        node: node.clone(),
        head_event: head.map(|head| head.event),
        events: head.map_or(0, |head| head.seq + 1),
        signed_by: head.map(|head| head.signer),
    }
}

fn heads(app: &App, node: &NodeId, zones: &[ZoneId]) -> Vec<AuditHeadView> {
    let records = app.records();
    zones.iter().map(|zone| head_view(zone, node, records.heads.get(zone))).collect()
}

/// The zones that are meant.
async fn zones(app: &App, wanted: Option<ZoneId>) -> Result<Vec<ZoneId>, ErrorBody> {
    let found = app.query(move |node, _| match wanted {
        None => Ok(node.authority().zones().map(|(zone, _)| zone.clone()).collect()),
        Some(zone) if node.authority().zone(&zone).is_some() => Ok(vec![zone]),
        Some(zone) => Err(ErrorBody::new(Code::ZoneUnknown).because(format!("there is no zone {zone}"))),
    });
    found.await?
}

impl Serve for GetAuditHead {
    async fn serve(ask: Ask<Self>) -> Result<AuditHeads, ErrorBody> {
        let node = ask.app.serving()?.node_id.clone();
        let zones = zones(&ask.app, ask.query.zone.clone()).await?;
        Ok(AuditHeads { chains: heads(&ask.app, &node, &zones) })
    }
}

/// What a verification needs of the node.
struct Expected {
    /// Those that serve or have served in each zone.
    keys: BTreeMap<ZoneId, Vec<ObjectIdKey>>,
    authority: Authority,
    revocations: Revocations,
    tips: Chains,
}

impl Expected {
    fn of(node: &Node) -> Self {
        let zones = node.authority().zones().map(|(zone, _)| zone.clone());
        let copy = |key: &ObjectIdKey| ObjectIdKey::from_bytes(Zeroizing::new(*key.expose()));
        let keys = zones
            .filter_map(|zone| {
                let keys = node.zone_keys(&zone)?.all().map(copy).collect();
                Some((zone, keys))
            })
            .collect();
        Self {
            keys,
            authority: node.authority().clone(),
            revocations: node.revocations().clone(),
            tips: node.chains().clone(),
        }
    }
}

/// Verifies every chain of a journal that nobody writes.
pub(crate) fn verify_chains(storage: &Storage, name: &NodeId, node: &Node) -> AuditReport {
    verify(storage, name.clone(), Known::new(), &Expected::of(node), None)
}

/// Reads the whole journal again and checks every link, every identity and every signed head. What the node knew to be
/// durable before it began must be there.
fn verify(
    storage: &Storage,
    node: NodeId,
    known: Known,
    expected: &Expected,
    only: Option<&ZoneId>,
) -> AuditReport {
    let known = known.into_iter().filter(|(zone, _)| only.is_none_or(|only| only == zone)).collect();
    let mut verifier = Verifier::new(node, known);
    let mut place = Place::new(&expected.authority, &expected.revocations);
    let mut problems = Vec::new();
    let broken = |problem: String| AuditProblem { zone: owner_zone(), seq: 0, problem };
    match storage.batches() {
        Err(error) => problems.push(broken(error.to_string())),
        Ok(batches) => {
            for batch in batches {
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(error) => {
                        problems.push(broken(error.to_string()));
                        break;
                    }
                };
                for record in &batch.batch.records {
                    if let Err(problem) =
                        check((&mut verifier, &mut place), record.id, &record.bytes, expected, only)
                    {
                        problems.push(broken(format!("the record {}: {problem}", record.id)));
                    }
                }
                place.batch_ends();
            }
        }
    }
    let report = verifier.finish();
    let first = report.first_bad.map(|bad| AuditProblem {
        zone: bad.zone,
        seq: bad.seq,
        problem: bad.fault.to_string(),
    });
    problems.extend(first);
    AuditReport {
        valid: problems.is_empty(),
        events: report.events,
        heads: report.heads,
        chains: Vec::new(),
        problems,
    }
}

/// Checks one record: that its name is its content's, and what a chain demands of it.
fn check(
    (verifier, place): (&mut Verifier, &mut Place<'_>),
    id: ObjectId,
    bytes: &[u8],
    expected: &Expected,
    only: Option<&ZoneId>,
) -> Result<(), String> {
    let stored = StoredObject::from_bytes(bytes).map_err(|error| error.to_string())?;
    let zone = stored.header.zone_id.clone();
    // Whoever looks at one chain needs the revocations all the same.
    let skipped = only.is_some_and(|only| *only != zone);
    if skipped && zone != owner_zone() {
        return Ok(());
    }
    let keys = expected.keys.get(&zone).ok_or_else(|| format!("there is no key for {zone}"))?;
    let authentic = keys.iter().any(|key| stored.id(key).is_ok_and(|computed| computed == id));
    let object = AnyObject::open(&stored).map_err(|error| error.to_string())?;
    #[allow(clippy::wildcard_enum_match_arm, reason = "every other object is checked by its identity alone")]
    match &object {
        AnyObject::Revocation(it) if authentic => place.revocation(id, &it.body.fields),
        _ if skipped => {}
        AnyObject::AuditEvent(event) => {
            place.passes(event.header.created_at);
            verifier.event(&zone, id, &event.body, authentic);
        }
        AnyObject::AuditHead(head) => {
            let seal = if authentic { place.seal(head) } else { Seal::Unsigned };
            verifier.head(&zone, &head.body.fields, head.body.signer, seal);
        }
        _ if !authentic => return Err("its name is not that of its content".into()),
        _ => {}
    }
    Ok(())
}

/// What a saved head says that a chain of this node must hold.
//= docs/spec/audit.md#saved-heads
fn known_by(head: SavedHead) -> Result<(ZoneId, (u64, ObjectId)), ErrorBody> {
    let seq = head
        .events
        .checked_sub(1)
        .ok_or_else(|| ErrorBody::new(Code::OutOfRange).because("a saved head has at least one event"))?;
    Ok((head.zone, (seq, head.head_event)))
}

/// A saved head that no chain of this node can hold.
fn foreign_head(head: SavedHead) -> AuditProblem {
    let problem = format!("the saved head is another node's: {}", head.node);
    AuditProblem { zone: head.zone, seq: head.events.saturating_sub(1), problem }
}

/// The turn to verify: it reads the whole journal, so one does at a time. An operator waits for it; an agent is told to
/// come again.
//= docs/spec/audit.md#verification
async fn turn<'a>(app: &'a App, caller: &Caller) -> Result<MutexGuard<'a, ()>, ErrorBody> {
    match caller {
        Caller::Operator(_) => Ok(app.verifying.lock().await),
        Caller::Agent(_) | Caller::Anyone => app.verifying.try_lock().map_err(|_| {
            ErrorBody::new(Code::Exhausted).because("the chains are being verified for somebody else")
        }),
    }
}

impl Serve for VerifyAudit {
    async fn serve(ask: Ask<Self>) -> Result<AuditReport, ErrorBody> {
        let Ask { app, body, caller, .. } = ask;
        let _one_at_a_time = turn(&app, &caller).await?;
        let node = app.serving()?.node_id.clone();
        let zones = zones(&app, body.zone.clone()).await?;
        // What is known durable is read before the journal's end is: later events are beyond both.
        let own = app.records().heads.clone().into_iter().map(|(zone, head)| (zone, (head.seq, head.event)));
        let (saved, foreign): (Vec<_>, Vec<_>) = body.heads.into_iter().partition(|head| head.node == node);
        let saved = saved.into_iter().map(known_by).collect::<Result<Vec<_>, _>>()?;
        let mut known = Known::new();
        for (zone, head) in own.chain(saved) {
            known.entry(zone).or_default().insert(head);
        }
        let expected = app.query(|node, _| Expected::of(node)).await?;
        tracing::debug!(tips = expected.tips.tips().count(), "the chains are verified");
        let (storage, only, name) = (Arc::clone(&app.storage), body.zone, node.clone());
        let mut report =
            blocking(move || Ok(verify(&storage, name, known, &expected, only.as_ref()))).await?;
        report.problems.extend(foreign.into_iter().map(foreign_head));
        report.valid = report.problems.is_empty();
        report.chains = heads(&app, &node, &zones);
        Ok(report)
    }
}
