//! A zone whose key is revoked gets another, which the owner names.
//!
//! ```text
//! key stored ─► held, and names nothing ─► definition durable, under the key before ─► every new object under the new key
//! ```
//!
//! What is on its way to the disk meanwhile bears names of the key before, and what was stored keeps the name that it has.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, ZoneId};
use fcp_proto_core::object::ZoneDefinition;
use fcp_proto_core::time::UnixTime;

use super::replay::ReplayError;
use super::{Failure, Node};
use crate::trust::authority::Authority;

impl Node {
    /// A definition keeps the zone's key, or names the next one in the place of one that is revoked.
    //= docs/spec/authority.md#another-key-of-a-zone
    pub(super) fn check_zone_key(
        &self,
        zone: &ZoneId,
        definition: &ZoneDefinition,
        authority: &Authority,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let conflict = |rule: &str| Err(Failure::new(Code::Conflict, rule));
        let before = authority.definition(zone);
        if !definition.follows(before) {
            return conflict(
                "a zone begins with its first key, and each later one is of the next generation",
            );
        }
        let Some(key) = definition.another_key(before) else { return Ok(()) };
        if !self.is_zone_revoked(zone, now) {
            return conflict("the zone's key is not revoked");
        }
        if self.is_zone_key_revoked(key, now) {
            return Err(Failure::new(Code::ZoneKeyRevoked, "the key that it names is revoked"));
        }
        if !self.waits(zone, key) {
            return conflict("it names a key that was not stored for the zone, or that has served");
        }
        Ok(())
    }

    /// No stored definition leads back to an earlier key, and the key that it names is there.
    //= docs/spec/authority.md#another-key-of-a-zone
    pub(super) fn check_zone_key_replayed(
        &self,
        id: ObjectId,
        zone: &ZoneId,
        definition: &ZoneDefinition,
    ) -> Result<(), ReplayError> {
        let before = self.authority.definition(zone);
        if !definition.follows(before) {
            return Err(ReplayError::BrokenChain { id });
        }
        match definition.another_key(before) {
            Some(key) if !self.waits(zone, key) => {
                Err(ReplayError::NoKey { id, zone: zone.clone(), key: Some(key) })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn waits(&self, zone: &ZoneId, key: KeyId) -> bool {
        self.zone_keys(zone).is_some_and(|keys| keys.is_waiting(key))
    }

    /// The key that a definition names serves from now on.
    pub(super) fn serve_zone_key(&mut self, zone: &ZoneId, definition: &ZoneDefinition) {
        if let (Some(named), Some(keys)) = (definition.key, self.keys.zones.get_mut(zone)) {
            keys.serve(named.key_id);
        }
    }
}
