//! How an object is to be kept.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::ids::{CapabilityId, NodeId, ZoneId};

use super::device::{Device, DeviceClass};
use crate::sync::coverage::FULL_BPS;

/// The highest coverage that may be asked for, in basis points.
pub const MAX_TARGET_BPS: u32 = 100_000;

/// The most selectors of a policy.
pub const MAX_SELECTORS: usize = 64;

/// How an object is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementPolicy {
    /// The fewest nodes that keep something of it.
    pub min_nodes: u8,
    /// The fewest places, or classes of devices, that keep something of it.
    pub min_domains: u8,
    /// The largest part of its distinct symbols that one node alone may have, in basis points.
    pub max_node_fraction_bps: u16,
    /// Distinct symbols for each source symbol, in basis points.
    pub target_coverage_bps: u32,
    /// Who is taken first. It relaxes nothing.
    pub preferred: Vec<Selector>,
    /// Who is not taken.
    pub excluded: Vec<Selector>,
}

/// Chosen: any one of three nodes may be lost, and any one place of two.
//= docs/spec/storage.md#policies
impl Default for PlacementPolicy {
    fn default() -> Self {
        Self {
            min_nodes: 3,
            min_domains: 2,
            max_node_fraction_bps: 5_000,
            target_coverage_bps: 15_000,
            preferred: Vec::new(),
            excluded: Vec::new(),
        }
    }
}

/// Some devices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// Those with a tag.
    Tag(String),
    /// Those of a class.
    Class(DeviceClass),
    /// One.
    Node(NodeId),
    /// Those that store symbols of a zone.
    Zone(ZoneId),
    /// Those that can do something.
    HasCapability(CapabilityId),
}

/// Why a policy is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// It asks for no node or no domain.
    NoNodes,
    /// It asks for more domains than nodes.
    MoreDomainsThanNodes,
    /// A part of nothing, or of more than all.
    Fraction,
    /// Less than the object, or more than [`MAX_TARGET_BPS`].
    Target,
    /// More selectors than [`MAX_SELECTORS`].
    TooManySelectors,
}

impl PlacementPolicy {
    /// Whether it can be kept by some devices.
    ///
    /// # Errors
    /// The first rule that it breaks.
    //= docs/spec/storage.md#policies
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.min_nodes == 0 || self.min_domains == 0 {
            return Err(PolicyError::NoNodes);
        }
        if self.min_domains > self.min_nodes {
            return Err(PolicyError::MoreDomainsThanNodes);
        }
        if self.max_node_fraction_bps == 0 || u32::from(self.max_node_fraction_bps) > FULL_BPS {
            return Err(PolicyError::Fraction);
        }
        if !(FULL_BPS..=MAX_TARGET_BPS).contains(&self.target_coverage_bps) {
            return Err(PolicyError::Target);
        }
        if self.preferred.len() + self.excluded.len() > MAX_SELECTORS {
            return Err(PolicyError::TooManySelectors);
        }
        Ok(())
    }

    /// Whether a device may be given something of an object of `zone`.
    //= docs/spec/storage.md#eligibility
    pub fn admits(&self, zone: &ZoneId, node: &NodeId, device: &Device) -> bool {
        device.stores.contains(zone) && !self.excluded.iter().any(|it| it.selects(node, device))
    }

    /// Whether a device is taken before others.
    pub fn prefers(&self, node: &NodeId, device: &Device) -> bool {
        self.preferred.iter().any(|it| it.selects(node, device))
    }

    /// The fewest nodes by which the symbols can be spread as the policy wants.
    pub(super) fn width(&self) -> usize {
        let by_fraction = FULL_BPS.div_ceil(u32::from(self.max_node_fraction_bps).max(1));
        usize::from(self.min_nodes.max(self.min_domains)).max(by_fraction as usize)
    }
}

impl Selector {
    fn selects(&self, node: &NodeId, device: &Device) -> bool {
        match self {
            Self::Tag(tag) => device.tags.contains(tag),
            Self::Class(class) => device.class == *class,
            Self::Node(name) => node == name,
            Self::Zone(zone) => device.stores.contains(zone),
            Self::HasCapability(capability) => device.capabilities.contains(capability),
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNodes => "a placement policy asks for at least one node and one domain",
            Self::MoreDomainsThanNodes => "a placement policy asks for more domains than nodes",
            Self::Fraction => "a node's fraction is from 1 to 10,000 basis points",
            Self::Target => "a target of coverage is from 10,000 to 100,000 basis points",
            Self::TooManySelectors => "a placement policy has too many selectors",
        })
    }
}

impl core::error::Error for PolicyError {}
