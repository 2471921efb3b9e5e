//! Check 10: the input fits the operation's schema.

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Keyed, Shaped};
use crate::call::gate::Denial;

//= docs/spec/gate.md#10-schema
pub(super) fn check(keyed: Keyed<'_>) -> Result<Shaped<'_>, Denial> {
    match &keyed.facts.schema {
        Ok(()) => Ok(Shaped { before: keyed }),
        Err(place) => Err(Denial::new(GateCheck::Schema, Code::InputInvalid, place.clone())),
    }
}
