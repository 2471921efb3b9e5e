//! Who should keep what of an object.
//!
//! [`Deal::new`] compares what is kept of an object with its [`PlacementPolicy`] and deals out the symbols that are
//! lacking: to nodes that may have them, that can be reached and have room, in an order that all nodes agree on. What
//! cannot be reached with the devices that there are is named, and nothing is dealt for it. Spec: docs/spec/storage.md.

mod deal;
mod device;
mod policy;
#[cfg(test)]
pub(super) mod tests;

pub use deal::{Deal, MAX_DEALT, Unmet};
pub use device::{AWAY_COUNTS, Device, DeviceClass, Devices, Domain, Presence, Supply};
pub use policy::{MAX_SELECTORS, MAX_TARGET_BPS, PlacementPolicy, PolicyError, Selector};

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::symbol::TransmissionInformation;
use fcp_proto_core::time::Instant;

use super::coverage::Share;
use crate::trust::lease::{Subject, ranking};

/// An object and all that placement knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The object.
    pub subject: &'a Subject,
    /// How it is cut.
    pub information: TransmissionInformation,
    /// How it is to be kept.
    pub policy: &'a PlacementPolicy,
    /// What nodes have of it.
    pub shares: &'a BTreeMap<NodeId, Share>,
    /// The devices.
    pub devices: &'a Devices,
    /// The time.
    pub now: Instant,
}

impl<'a> Kept<'a> {
    /// The shares that count towards the policy: those of devices that may have them and are not away for long.
    //= docs/spec/storage.md#devices
    pub fn counted(&self) -> impl Iterator<Item = (&'a NodeId, &'a Device, &'a Share)> + use<'a> {
        let Kept { subject, policy, shares, devices, now, .. } = *self;
        shares.iter().filter_map(move |(node, share)| {
            let device = devices.get(node)?;
            (device.counts(now) && policy.admits(&subject.zone, node, device))
                .then_some((node, device, share))
        })
    }

    /// The devices that may be given something now, in the order in which they are: preferred ones first, then by
    /// highest random weight.
    //= docs/spec/storage.md#choice
    pub fn candidates(&self) -> Vec<(&'a NodeId, &'a Device)> {
        let Kept { subject, policy, devices, .. } = *self;
        let eligible = devices
            .iter()
            .filter(|(node, device)| device.is_here() && policy.admits(&subject.zone, node, device));
        let ranked = ranking(subject, eligible.map(|(node, _)| node));
        let mut ranked: Vec<_> = ranked.into_iter().filter_map(|node| devices.get_key_value(node)).collect();
        // Stable: the order by weight stays within each half.
        ranked.sort_by_key(|(node, device)| !policy.prefers(node, device));
        ranked
    }
}
