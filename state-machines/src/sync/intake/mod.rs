//! Which objects from others are kept at all: what was asked for, or what something that is kept refers to. The rest waits
//! in quarantine until something does, or until its time is over.
//!
//! Bodies are the driver's. It asks here before it keeps one, names what it admits, and drops what it is told to drop.
//! Nothing in quarantine is announced or given to anybody ([`Intake::is_quarantined`]). Spec: docs/spec/storage.md.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::symbol::IdentifiedObject;
use fcp_proto_core::time::Instant;

use crate::link::admission::quarantine::{Quarantine, QuarantineError, QuarantineLimits, Referenced};
use crate::trust::lease::Subject;

/// Objects that are expected. What is beyond that goes to quarantine when it comes, like anything else.
pub const MAX_EXPECTED: usize = 100_000;

/// What becomes of an object that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be kept; when it is, [`Intake::admitted`] is to be told.
    Admitted,
    /// It is to be kept apart.
    Quarantined,
    /// It is to be dropped.
    Refused(QuarantineError),
}

/// What a driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Keep what is in quarantine here; when it is kept, [`Intake::admitted`] is to be told.
    Admit(Subject),
    /// Drop what is in quarantine here.
    Drop(Subject),
}

/// What comes in.
#[derive(Debug)]
pub struct Intake {
    quarantine: Quarantine,
    expected: BTreeSet<Subject>,
}

impl Intake {
    /// Nothing came yet, and nothing is expected.
    pub const fn new(limits: QuarantineLimits) -> Self {
        Self { quarantine: Quarantine::new(limits), expected: BTreeSet::new() }
    }

    /// This node wants the object: it asked for it, or its owner pinned it. If it is in quarantine, it is let out.
    //= docs/spec/storage.md#intake
    pub fn want(&mut self, subject: Subject, out: &mut Vec<Output>) {
        if self.quarantine.withdraw(&subject.zone, &subject.object) {
            out.push(Output::Admit(subject));
        } else {
            self.expect(subject);
        }
    }

    /// It does not want it any more.
    pub fn unwant(&mut self, subject: &Subject) {
        self.expected.remove(subject);
    }

    /// An object came from a peer: its bytes have the identity that they are named by.
    //= docs/spec/storage.md#intake
    pub fn arrived(
        &mut self,
        object: &IdentifiedObject,
        from: &NodeId,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Verdict {
        let subject = subject_of(object);
        if self.expected.remove(&subject) {
            // It may have come before it was expected.
            self.quarantine.withdraw(&subject.zone, &subject.object);
            return Verdict::Admitted;
        }
        let bytes = object.bytes().len() as u64;
        match self.quarantine.take(&subject.zone, subject.object, from, bytes, now) {
            Ok(gone) => {
                out.extend(gone.into_iter().map(|object| dropped(&subject.zone, object)));
                Verdict::Quarantined
            }
            Err(error) => Verdict::Refused(error),
        }
    }

    /// An object is kept: what it refers to is let out of quarantine, or expected, unless it `is_here`.
    //= docs/spec/storage.md#intake
    pub fn admitted(
        &mut self,
        object: &IdentifiedObject,
        is_here: impl Fn(&ObjectId) -> bool,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let zone = &object.header().zone_id;
        for id in object.header().refs.iter().filter(|id| !is_here(id)) {
            let subject = Subject { zone: zone.clone(), object: *id };
            // An object does not vouch for itself.
            let Ok(proof) = Referenced::new(object, *id) else { continue };
            match self.quarantine.promote(&proof, now) {
                Ok(()) => out.push(Output::Admit(subject)),
                Err(_) => self.expect(subject),
            }
        }
    }

    /// Drops what was in quarantine long enough.
    pub fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        out.extend(self.quarantine.expire(now).into_iter().map(|(zone, object)| dropped(&zone, object)));
    }

    /// When to come back for that.
    pub fn deadline(&self) -> Option<Instant> {
        self.quarantine.deadline()
    }

    /// Whether the object is in quarantine: then it is announced and given to nobody.
    pub fn is_quarantined(&self, zone: &ZoneId, object: &ObjectId, now: Instant) -> bool {
        self.quarantine.holds(zone, object, now)
    }

    fn expect(&mut self, subject: Subject) {
        if self.expected.len() < MAX_EXPECTED {
            self.expected.insert(subject);
        }
    }
}

fn subject_of(object: &IdentifiedObject) -> Subject {
    Subject { zone: object.header().zone_id.clone(), object: object.id() }
}

fn dropped(zone: &ZoneId, object: ObjectId) -> Output {
    Output::Drop(Subject { zone: zone.clone(), object })
}
