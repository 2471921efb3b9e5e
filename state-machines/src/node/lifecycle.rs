//! A node begins, goes on in time, and stops.

use alloc::boxed::Box;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, ZoneId};
use fcp_proto_core::object::{AnyObject, AuditEventKind};
use fcp_proto_core::time::Now;

use super::calls::unstorable;
use super::ledger::{Unit, Unstorable};
use super::{Answer, ClockState, Failure, Node, Request, RequestId, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;

impl Node {
    /// Begins to serve: tells the chain.
    pub fn start(&mut self, now: Now) {
        let now = self.advance(now);
        self.draw_replayed(0, now);
        let mut unit = Unit::new(Class::Reserved);
        unit.audit(&owner_zone(), Entry::new(AuditEventKind::NodeStarted, self.node_id.as_str()));
        self.commit(unit);
        let left = self.of_other_keys();
        if !left.is_empty() {
            self.commit(self.vouch(left, self.node_id.as_str()));
        }
        self.seal(now);
    }

    /// Stops in order: tells the chain, and who asked for it, if that was not the system; the request is answered when
    /// all is durable.
    //= docs/spec/audit.md#events
    pub fn stop(&mut self, request: RequestId, by: Option<&PrincipalId>, now: Now) {
        let now = self.advance(now);
        self.tell_refusals();
        let mut unit = Unit::new(Class::Reserved);
        let actor = by.map_or(self.node_id.as_str(), PrincipalId::as_str);
        unit.audit(&owner_zone(), Entry::new(AuditEventKind::NodeStopped, actor));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        self.seal(now);
    }

    /// What must be done now and then: forget what has ended, and tell the chain of counted refusals.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.advance(now);
        self.sessions.retain(now.unix, |_| false);
        self.keys_used.expire(now);
        self.rates.sweep(now);
        self.approvals.expire(now.unix);
        self.grant_requests.expire(now.unix);
        self.forget_ended_grants(now.unix);
        self.taken.retain(|_, until| now.unix <= *until);
        self.tell_refusals();
        self.seal(now);
    }

    /// Whether the time permits to decide over a request: by a clock that nobody believes, only what ends or takes away
    /// goes on.
    //= docs/spec/calls.md#time
    pub(super) fn clock_trusted(&self, request: &Request) -> Result<(), Failure> {
        let ClockState::Suspect { wall, used } = self.clock.state() else { return Ok(()) };
        let decides = match request {
            Request::Admit { object, .. } => !matches!(**object, AnyObject::Revocation(_)),
            Request::AdmitTogether { .. }
            | Request::OpenSession(_)
            | Request::MintTokens { .. }
            | Request::Invoke(_)
            | Request::Simulate(_)
            | Request::FileApproval { .. }
            | Request::FileGrantRequest(_)
            | Request::TestCredential { .. }
            | Request::ProbeOutcome { .. }
            | Request::OpenContext { .. } => true,
            // It is stored already, and gives nothing by itself.
            Request::ReplaceKeys { .. }
            | Request::HoldZoneKey { .. }
            | Request::CloseSession(_)
            | Request::Cancel { .. }
            | Request::ReadKept { .. }
            | Request::Settle { .. }
            | Request::Record { .. } => false,
        };
        if !decides {
            return Ok(());
        }
        let rule = alloc::format!("the clock says {wall}, and it was {used} when it was last believed");
        Err(Failure::new(Code::ClockSuspect, rule))
    }

    pub(super) fn record(&mut self, id: RequestId, zone: &ZoneId, entry: Entry) -> Result<(), Failure> {
        if !self.keys.zones.contains_key(zone) {
            return Err(unstorable(Unstorable::NoZoneKey));
        }
        let mut unit = Unit::new(Class::Normal);
        unit.audit(zone, entry);
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        Ok(())
    }
}

/// The zone whose chain tells of the node itself.
pub(super) fn owner_zone() -> ZoneId {
    ZoneId::new("z:owner").unwrap_or_else(|_| unreachable!("a well-known zone is well-formed"))
}
