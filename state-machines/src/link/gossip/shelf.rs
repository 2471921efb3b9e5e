//! The snapshots of one zone: the newest, which is advertised, and the one before, while somebody reads it.

use core::time::Duration;

use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::time::Instant;

use super::snapshot::{Building, Cursors, Snapshot};
use super::{CADENCE, Context};

/// How long a salt is used, so that nobody finds names whose keys collide.
const SALT_LIFETIME: Duration = Duration::from_secs(300);

/// How long the snapshot before the newest is kept for somebody who reads it, after the last question and in all.
const READ_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_READ: Duration = Duration::from_secs(120);

/// What is advertised of a zone.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    building: Option<Building>,
    current: Option<Snapshot>,
    held: Option<Snapshot>,
    cursors: Cursors,
    /// When the next one is begun, if that is known.
    pub(super) begins: Option<Instant>,
}

impl Shelf {
    /// The newest snapshot.
    pub(super) fn current(&self) -> Option<&Snapshot> {
        self.current.as_ref()
    }

    /// The snapshot of a salt, if it is kept.
    pub(super) fn by_salt(&mut self, salt: &[u8; 32]) -> Option<&mut Snapshot> {
        [&mut self.current, &mut self.held].into_iter().flatten().find(|it| it.salt.as_bytes() == salt)
    }

    /// Begins another snapshot when there is something new to say and the last one is not too young, or it is too old.
    //= docs/spec/gossip.md#summaries
    pub(super) fn tick(&mut self, zone: &ZoneId, context: &mut Context<'_, '_>) {
        let (version, now) = (context.zones.version(zone), context.local.now.mono);
        self.held.take_if(|held| !is_read(held, now));
        if self.building.is_some() {
            return;
        }
        let begins = self.current.as_ref().map_or(now, |current| {
            let pause = if current.version == version { SALT_LIFETIME } else { CADENCE };
            current.made_at.saturating_add(pause)
        });
        if begins <= now {
            self.building = Some(Building::new(version, self.cursors, context.local.entropy));
        }
        self.begins = (begins > now).then_some(begins);
    }

    /// Whether there is something to fold.
    pub(super) fn has_work(&self) -> bool {
        self.building.is_some() || self.snapshots().any(Snapshot::has_work)
    }

    /// Goes on by some names: first with what somebody waits for.
    pub(super) fn work(&mut self, zone: &ZoneId, context: &mut Context<'_, '_>) {
        let mut wanted = [&mut self.current, &mut self.held].into_iter().flatten().filter(|it| it.has_work());
        if let Some(snapshot) = wanted.next() {
            return snapshot.step();
        }
        drop(wanted);
        let Some(cells) = self.building.as_mut().and_then(|building| building.step(zone, context)) else {
            return;
        };
        let now = context.local.now.mono;
        if let Some(building) = self.building.take() {
            let (snapshot, cursors) = building.finish(cells, context.local.entropy, now);
            let before = self.current.replace(snapshot);
            if !self.held.as_ref().is_some_and(|held| is_read(held, now)) {
                self.held = before;
            }
            self.cursors = cursors;
        }
    }

    fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        [&self.current, &self.held].into_iter().flatten()
    }
}

/// Whether somebody reads it still. A summary that is under way may be read soon, so it counts as a question.
fn is_read(snapshot: &Snapshot, now: Instant) -> bool {
    let last = snapshot.read_at.unwrap_or(snapshot.made_at);
    now.saturating_since(last) < READ_PAUSE && now.saturating_since(snapshot.made_at) < LONGEST_READ
}
