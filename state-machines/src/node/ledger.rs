//! What becomes durable, in which order, and what waits for it.
//!
//! Work arrives as [`Unit`]s: objects, audit entries, and the outputs that must not be seen before they are durable. One
//! batch is in flight at a time; whatever arrives meanwhile is merged into the next, which is group commit. Places in the
//! chains are given out when a batch is sealed, so that a batch which the disk refuses leaves no gap.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::CborError;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{AuditEvent, AuditHead, Body, Header, Object, SignedBody, StoredObject};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, default_level};

use super::NodeKeys;
use crate::persist::{Batch, BatchToken, Class, Record, Space};
use crate::trust::audit::{Chains, Entry};

/// What one event makes durable, and what follows.
#[derive(Debug)]
pub(super) struct Unit<Then> {
    class: Class,
    space: Space,
    records: Vec<Record>,
    entries: Vec<(ZoneId, Entry)>,
    then: Vec<Then>,
    /// What is stored in its place if the disk refuses it.
    instead: Option<Box<Self>>,
}

impl<Then> Unit<Then> {
    pub(super) fn new(class: Class) -> Self {
        Self {
            class,
            space: Space::default(),
            records: Vec::new(),
            entries: Vec::new(),
            then: Vec::new(),
            instead: None,
        }
    }

    /// Sets aside the space in which a later unit is sure to fit.
    pub(super) fn claiming(mut self, bytes: u64) -> Self {
        self.space.claims = bytes;
        self
    }

    /// Uses and gives back what an earlier unit has claimed.
    pub(super) fn releasing(mut self, bytes: u64) -> Self {
        self.space.releases = bytes;
        self
    }

    /// Has `other` stored in place of this unit if the disk refuses it.
    pub(super) fn or_else(mut self, other: Self) -> Self {
        self.instead = Some(Box::new(other));
        self
    }

    /// How many bytes the objects have that were added.
    pub(super) fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.bytes.len() as u64).sum()
    }

    /// Adds an object and gives its identity.
    pub(super) fn store<T: Body>(
        &mut self,
        object: &Object<T>,
        keys: &NodeKeys,
    ) -> Result<ObjectId, Unstorable> {
        let record = record(object, keys)?;
        let id = record.id;
        self.records.push(record);
        Ok(id)
    }

    /// Adds an object unless it is longer than `most` bytes, and gives its identity if it is not.
    pub(super) fn store_within<T: Body>(
        &mut self,
        object: &Object<T>,
        keys: &NodeKeys,
        most: usize,
    ) -> Result<Option<ObjectId>, Unstorable> {
        let record = record(object, keys)?;
        let id = (record.bytes.len() <= most).then_some(record.id);
        self.records.extend(id.map(|_| record));
        Ok(id)
    }

    /// Adds an object that is encoded already.
    pub(super) fn store_encoded(
        &mut self,
        stored: &StoredObject,
        keys: &NodeKeys,
    ) -> Result<ObjectId, Unstorable> {
        let record = record_of(stored, keys)?;
        let id = record.id;
        self.records.push(record);
        Ok(id)
    }

    /// Adds an event of the chain of `zone`.
    pub(super) fn audit(&mut self, zone: &ZoneId, entry: Entry) {
        self.entries.push((zone.clone(), entry));
    }

    /// About how many bytes it takes in a batch.
    fn size(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len()).sum::<usize>() + self.entries.len() * EVENT_BYTES
    }

    /// Adds what follows once all is durable.
    pub(super) fn then(&mut self, then: Then) {
        self.then.push(then);
    }
}

/// Why an object cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstorable {
    /// This node has no key for the zone.
    NoZoneKey,
    /// It has no canonical encoding within the limits.
    Encoding(CborError),
}

impl From<CborError> for Unstorable {
    fn from(error: CborError) -> Self {
        Self::Encoding(error)
    }
}

/// What is left of a unit while its batch is on its way.
#[derive(Debug)]
struct Flying<Then> {
    then: Vec<Then>,
    instead: Option<Box<Unit<Then>>>,
}

/// A batch that the disk has not answered for.
#[derive(Debug)]
struct Flight<Then> {
    token: BatchToken,
    units: Vec<Flying<Then>>,
    /// The chains without it, should it be refused.
    chains_before: Chains,
}

/// What waits, what is in flight, and the ends of the chains.
#[derive(Debug)]
pub(super) struct Ledger<Then> {
    chains: Chains,
    waiting: Vec<Unit<Then>>,
    in_flight: Option<Flight<Then>>,
    next_token: u64,
}

impl<Then> Ledger<Then> {
    pub(super) fn new(node_id: NodeId) -> Self {
        Self { chains: Chains::new(node_id), waiting: Vec::new(), in_flight: None, next_token: 0 }
    }

    pub(super) fn chains(&self) -> &Chains {
        &self.chains
    }

    pub(super) fn chains_mut(&mut self) -> &mut Chains {
        &mut self.chains
    }

    pub(super) fn push(&mut self, unit: Unit<Then>) {
        self.waiting.push(unit);
    }

    /// Whether everything that was pushed is durable.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_none()
    }

    /// The next batch, if none is in flight and something waits. Units of one class travel together; a reserved one goes
    /// first, because it must not share the fate of one that a full disk refuses.
    ///
    /// # Errors
    /// What waited for units that have no stored form; nothing of them was said.
    //= docs/spec/audit.md#heads
    pub(super) fn seal(
        &mut self,
        keys: &NodeKeys,
        now: UnixTime,
    ) -> Result<Option<(BatchToken, Batch)>, Vec<Then>> {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return Ok(None);
        }
        let reserved = self.waiting.iter().any(|unit| unit.class == Class::Reserved);
        let class = if reserved { Class::Reserved } else { Class::Normal };
        let chains_before = self.chains.clone();
        let mut units = self.take(class);
        let space = units.iter().fold(Space::default(), |sum, unit| Space {
            claims: sum.claims.saturating_add(unit.space.claims),
            releases: sum.releases.saturating_add(unit.space.releases),
        });
        let flying: Vec<_> = units
            .iter_mut()
            .map(|unit| Flying { then: mem::take(&mut unit.then), instead: unit.instead.take() })
            .collect();
        let Ok(records) = self.merge(units, keys, now) else {
            self.chains = chains_before;
            return Err(flying.into_iter().flat_map(|unit| unit.then).collect());
        };
        let token = BatchToken(self.next_token);
        self.next_token += 1;
        self.in_flight = Some(Flight { token, units: flying, chains_before });
        Ok(Some((token, Batch { class, space, records })))
    }

    /// The first waiting units of `class`, as many as one batch may hold, and at least one. None overtakes another of its
    /// class.
    fn take(&mut self, class: Class) -> Vec<Unit<Then>> {
        let (mut taken, mut left, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        for unit in mem::take(&mut self.waiting) {
            if unit.class != class {
                left.push(unit);
                continue;
            }
            bytes = bytes.saturating_add(unit.size());
            if taken.is_empty() || bytes <= MAX_BATCH_BYTES {
                taken.push(unit);
            } else {
                left.push(unit);
            }
        }
        self.waiting = left;
        taken
    }

    //= docs/spec/audit.md#heads
    fn merge(
        &mut self,
        units: Vec<Unit<Then>>,
        keys: &NodeKeys,
        now: UnixTime,
    ) -> Result<Vec<Record>, Unstorable> {
        let mut records = Vec::new();
        let mut touched = BTreeSet::new();
        for unit in units {
            records.extend(unit.records);
            for (zone, entry) in unit.entries {
                records.push(self.link(&zone, entry, keys, now)?);
                touched.insert(zone);
            }
        }
        for zone in &touched {
            if let Some(head) = self.chains.head(zone) {
                let header = own_header::<AuditHead>(zone, now);
                records.push(record(&Object::sign(header, head, &keys.signing)?, keys)?);
            }
        }
        Ok(records)
    }

    fn link(
        &mut self,
        zone: &ZoneId,
        entry: Entry,
        keys: &NodeKeys,
        now: UnixTime,
    ) -> Result<Record, Unstorable> {
        let body = self.chains.event(zone, entry, now);
        let seq = body.seq;
        let header = Header::new(&<AuditEvent as Body>::SCHEMA, zone, now, own_label(zone), None);
        let record = record(&Object { header: header.with_refs(body.prev), body }, keys)?;
        self.chains.advance(zone, record.id, seq);
        Ok(record)
    }

    /// What waited for the batch `token`, now that it is durable; nothing if it is not the one in flight.
    pub(super) fn complete(&mut self, token: BatchToken) -> Vec<Then> {
        let units = self.land(token).map(|flight| flight.units).unwrap_or_default();
        units.into_iter().flat_map(|unit| unit.then).collect()
    }

    /// Takes out the waiting units of which `gone` says that they must not be stored any more; what waited for them.
    pub(super) fn withdraw(&mut self, gone: impl Fn(&Then) -> bool) -> Vec<Then> {
        let (out, left) =
            mem::take(&mut self.waiting).into_iter().partition(|unit| unit.then.iter().any(&gone));
        self.waiting = left;
        let out: Vec<Unit<Then>> = out;
        out.into_iter().flat_map(|unit| unit.then).collect()
    }

    /// Everything that still waits, for a node that takes no more.
    pub(super) fn drain(&mut self) -> Vec<Then> {
        mem::take(&mut self.waiting).into_iter().flat_map(|unit| unit.then).collect()
    }

    /// What waited for the batch `token` and will not be, now that nothing of it is stored; the chains are as if it had
    /// never been. Units that have another form wait again in that form, before all others.
    //= docs/spec/calls.md#the-room-for-a-receipt
    pub(super) fn refuse(&mut self, token: BatchToken) -> Vec<Then> {
        let Some(flight) = self.land(token) else { return Vec::new() };
        self.chains = flight.chains_before;
        let (mut again, mut gone) = (Vec::new(), Vec::new());
        for Flying { then, instead } in flight.units {
            match instead {
                Some(other) => again.push(*other),
                None => gone.extend(then),
            }
        }
        again.append(&mut self.waiting);
        self.waiting = again;
        gone
    }

    fn land(&mut self, token: BatchToken) -> Option<Flight<Then>> {
        self.in_flight.take_if(|flight| flight.token == token)
    }
}

/// The header of something the node itself says.
pub(super) fn own_header<T: SignedBody>(zone: &ZoneId, now: UnixTime) -> Header {
    Header::new(&T::SCHEMA, zone, now, own_label(zone), None)
}

/// Signs what the node itself says.
pub(super) fn sign<T: SignedBody>(
    header: Header,
    fields: T,
    key: &SigningKey<role::Node>,
) -> Result<Object<fcp_proto_core::object::Signed<T>>, Unstorable> {
    Ok(Object::sign(header, fields, key)?)
}

/// The label of what the node itself says: trusted as its zone, and to stay in it.
pub(super) fn own_label(zone: &ZoneId) -> Label {
    let level = default_level(zone);
    Label { confidentiality: level, ..Label::trusted(level) }
}

fn record<T: Body>(object: &Object<T>, keys: &NodeKeys) -> Result<Record, Unstorable> {
    record_of(&object.store()?, keys)
}

fn record_of(stored: &StoredObject, keys: &NodeKeys) -> Result<Record, Unstorable> {
    let key = keys.zones.get(&stored.header.zone_id).ok_or(Unstorable::NoZoneKey)?;
    Ok(Record { id: stored.id(key.serving())?, bytes: stored.to_bytes()? })
}

/// Units are merged up to this many bytes. Chosen: well under what a journal takes as one batch.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// About what one audit event takes.
const EVENT_BYTES: usize = 1024;
