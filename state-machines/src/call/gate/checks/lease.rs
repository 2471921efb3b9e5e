//! Check 14: this node may do it, and for as long as it may take.

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Approved, Leased};
use crate::call::gate::{Denial, LeaseFacts};

//= docs/spec/gate.md#14-lease
pub(super) fn check(approved: Approved<'_>) -> Result<Leased<'_>, Denial> {
    let denied = |code: Code| Err(Denial::new(GateCheck::Lease, code, code.meaning()));
    match approved.facts.lease {
        LeaseFacts::NotNeeded => Ok(Leased { before: approved, lease_seq: None }),
        LeaseFacts::Held { seq, expires_at } => {
            if expires_at <= approved.now.saturating_add(approved.operation.timeout_secs) {
                return denied(Code::LeaseExpired);
            }
            Ok(Leased { before: approved, lease_seq: Some(seq) })
        }
        LeaseFacts::Missing => denied(Code::LeaseRequired),
        LeaseFacts::Superseded => denied(Code::LeaseSuperseded),
    }
}
