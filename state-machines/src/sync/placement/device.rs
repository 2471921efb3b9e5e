//! What placement knows of a device.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::time::Duration;

use fcp_proto_core::ids::{CapabilityId, NodeId, ZoneId};
use fcp_proto_core::time::Instant;

/// How long a device that is away still counts for what it keeps. Chosen: a laptop that sleeps over a long weekend makes
/// nobody copy what it has.
pub const AWAY_COUNTS: Duration = Duration::from_secs(4 * 24 * 3_600);

/// The devices of a mesh by their names.
pub type Devices = BTreeMap<NodeId, Device>;

/// A device, as its enrolment and its own word describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it is.
    pub class: DeviceClass,
    /// Where it stands, if that is known.
    pub location: Option<String>,
    /// The tags of its attestation.
    pub tags: BTreeSet<String>,
    /// What it can do.
    pub capabilities: BTreeSet<CapabilityId>,
    /// The zones whose symbols it stores, by its enrolment; empty means none.
    pub stores: BTreeSet<ZoneId>,
    /// Bytes that it has room for.
    pub free_bytes: u64,
    /// Whether it can be reached.
    pub presence: Presence,
    /// What it may spend.
    pub supply: Supply,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceClass {
    /// A desktop computer.
    Desktop,
    /// A laptop.
    Laptop,
    /// A phone.
    Phone,
    /// A tablet.
    Tablet,
    /// A server.
    Server,
    /// Driven by a browser.
    BrowserControlled,
}

/// Whether a device can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It can.
    Here,
    /// Not since then.
    Away {
        /// When it was reached last.
        since: Instant,
    },
}

/// What a device may spend on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Supply {
    /// It runs on mains and no link is metered.
    Ample,
    /// It runs on its battery, saves power, or pays for its link.
    Scarce,
}

/// What fails together: devices of one place, or, where that is not known, of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain<'a> {
    /// A place.
    Location(&'a str),
    /// A class.
    Class(DeviceClass),
}

impl Device {
    /// What it fails together with.
    //= docs/spec/storage.md#devices
    pub fn domain(&self) -> Domain<'_> {
        self.location.as_deref().map_or(Domain::Class(self.class), Domain::Location)
    }

    /// Whether it can be reached.
    pub fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    /// Whether what it keeps counts.
    //= docs/spec/storage.md#devices
    pub fn counts(&self, now: Instant) -> bool {
        match self.presence {
            Presence::Here => true,
            Presence::Away { since } => now.saturating_since(since) < AWAY_COUNTS,
        }
    }
}
