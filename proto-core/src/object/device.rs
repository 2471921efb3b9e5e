//! The owner's devices in the mesh: which zones one may hold, and what it keeps for the others.

use alloc::collections::BTreeSet;

use super::{Schema, SignedBody};
use crate::cbor_map;
use crate::crypto::role;
use crate::crypto::sign::VerifyingKey;
use crate::encoding::cbor::ShapeError;
use crate::ids::{NodeId, ZoneId};
use crate::time::UnixTime;

cbor_map! {
    /// A device let into the mesh; signed by the owner. Its keys are vouched for by its attestation.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DeviceEnrolment {
        /// The device.
        pub node_id: NodeId,
        /// The signing key by which it is known.
        pub signing_key: VerifyingKey<role::Node>,
        /// The zones whose objects it may hold; empty means none.
        pub allowed_zones: BTreeSet<ZoneId>,
        /// The zones whose symbols it stores for the others; each is one of the allowed.
        pub stores_symbols: BTreeSet<ZoneId>,
        /// Whether it stores shares of secrets.
        pub stores_secret_shares: bool,
        /// Whether it stores audit events of others.
        pub stores_audit_events: bool,
        /// From when.
        pub issued_at: UnixTime,
        /// Until when, exclusive; absent means until revoked.
        pub expires_at: Option<UnixTime>,
    }
    => DeviceEnrolment::check
}

impl DeviceEnrolment {
    //= docs/spec/objects.md#devices
    fn check(&self) -> Result<(), ShapeError> {
        if !self.stores_symbols.is_subset(&self.allowed_zones) {
            return Err(ShapeError::Invalid("a device stores symbols of zones that it may hold"));
        }
        if self.expires_at.is_some_and(|end| end <= self.issued_at) {
            return Err(ShapeError::Invalid("an enrolment ends after it begins"));
        }
        Ok(())
    }

    /// Whether the device may hold objects of `zone` at `now`.
    //= docs/spec/objects.md#devices
    pub fn permits(&self, zone: &ZoneId, now: UnixTime) -> bool {
        self.issued_at <= now
            && self.expires_at.is_none_or(|end| now < end)
            && self.allowed_zones.contains(zone)
    }
}

impl SignedBody for DeviceEnrolment {
    const SCHEMA: Schema = Schema { namespace: "fcp.membership", name: "DeviceEnrolment", version: "1.0.0" };
}
