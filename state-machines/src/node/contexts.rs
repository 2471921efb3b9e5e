//! Contexts: fresh ones, and what joins them because it is read.

use alloc::boxed::Box;

use fcp_proto_core::crypto::proof::ChannelBinding;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{AuditEventKind, Body, ContextEntry, ContextOpened, Header, Object};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::zone::Label;

use super::calls::unstorable;
use super::ledger::{self, Unit, Unstorable};
use super::{Answer, Failure, Node, RequestId, SessionId, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;

/// A kept result that someone wants to read.
pub(super) struct KeptRead {
    pub result: ObjectId,
    pub zone: ZoneId,
    pub principal: PrincipalId,
    pub label: Label,
}

impl Node {
    pub(super) fn open_context(
        &mut self,
        id: RequestId,
        principal: &PrincipalId,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        let known = self.authority.principal(principal);
        let zone =
            known.ok_or_else(|| Failure::new(Code::NotFound, "there is no such principal"))?.zone.clone();
        let fresh = self.fresh_label(&zone);
        let body = self.contexts.begin(principal, &fresh);
        let body = body.ok_or_else(|| Failure::new(Code::Conflict, "a context is being opened already"))?;
        let header = Header::new(
            &<ContextOpened as Body>::SCHEMA,
            &zone,
            now.unix,
            ledger::own_label(&zone),
            Some(principal.clone()),
        );
        let object = Object { header, body };
        let mut unit = Unit::new(Class::Normal);
        let stored = unit.store(&object, &self.keys).map_err(unstorable)?;
        unit.audit(
            &zone,
            Entry::new(AuditEventKind::ContextOpened, actor).about(stored).saying(principal.as_str()),
        );
        unit.then(Then::Apply(stored, Box::new(object.into())));
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Admitted(stored)))));
        self.commit(unit);
        Ok(())
    }

    pub(super) fn read_kept(
        &mut self,
        id: RequestId,
        session: SessionId,
        binding: &ChannelBinding,
        read: &KeptRead,
        now: Now,
    ) -> Result<(), Failure> {
        let session = self.sessions.get(session, binding, now.unix);
        let session =
            session.ok_or_else(|| Failure::new(Code::Unauthenticated, Code::Unauthenticated.meaning()))?;
        let (principal, zone) = (session.principal.clone(), session.zone.clone());
        if principal != read.principal || zone != read.zone {
            return Err(Failure::new(Code::NotFound, "there is no such result"));
        }
        self.check_reader(&principal, &zone, now.unix)?;
        let mut unit = Unit::new(Class::Normal);
        let entry = self.join(&principal, &zone, &read.label, read.result);
        unit.then(Then::Seen(principal.clone()));
        if let Some(entry) = entry {
            self.store_entry(&mut unit, &zone, entry, now.unix).map_err(unstorable)?;
        }
        unit.audit(&zone, Entry::new(AuditEventKind::ResultRead, principal.as_str()).about(read.result));
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Readable))));
        self.commit(unit);
        Ok(())
    }

    /// Makes what is read part of the reader's context, in the same unit as its being shown; the entry that says so, if it
    /// changes anything.
    //= docs/spec/labels.md#contexts
    pub(super) fn join(
        &mut self,
        principal: &PrincipalId,
        zone: &ZoneId,
        label: &Label,
        cause: ObjectId,
    ) -> Option<ContextEntry> {
        let fresh = self.fresh_label(zone);
        self.contexts.show(principal, label);
        let entry = self.contexts.joining(principal, &fresh, label, cause)?;
        // From now on, not only once durable: a call decided meanwhile must already be judged by it.
        self.contexts.apply_entry(&entry);
        Some(entry)
    }

    pub(super) fn store_entry(
        &self,
        unit: &mut Unit<Then>,
        zone: &ZoneId,
        entry: ContextEntry,
        now: UnixTime,
    ) -> Result<(), Unstorable> {
        let (schema, label) = (&<ContextEntry as Body>::SCHEMA, ledger::own_label(zone));
        let header = Header::new(schema, zone, now, label, Some(entry.principal.clone()));
        let object = Object { header: header.with_refs([entry.cause]), body: entry };
        unit.store(&object, &self.keys).map(|_| ())
    }
}
