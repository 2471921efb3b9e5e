//! The index's table on disk, in redb.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fcp_proto_core::ids::ObjectId;
use redb::{Builder, Database, ReadableDatabase, TableDefinition, TableError};

use super::backend::Backend;
use super::{Location, Mark};
use crate::storage::error::{Step, StorageError};
use crate::storage::files::Files;
use crate::storage::journal::format::{HomeId, Place};

/// The open table.
pub(crate) struct Table(Database);

/// Which journal, in which state, the table was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foundation {
    /// The journal.
    pub(crate) home: HomeId,
    /// The sum of its segments' revisions: a repair moves frames and changes it.
    pub(crate) revisions: u64,
    /// How far the table reaches.
    pub(crate) mark: Mark,
}

impl Foundation {
    /// Whether a table with the foundation `old` needs only what came after it.
    pub(crate) fn continues(&self, old: &Self) -> bool {
        self.home == old.home && self.revisions == old.revisions && old.mark.sequence <= self.mark.sequence
    }

    fn encode(&self) -> [u8; FOUNDATION_BYTES] {
        let mut bytes = [0; FOUNDATION_BYTES];
        bytes[..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.home.0);
        for (position, number) in
            [self.revisions, self.mark.sequence, self.mark.segment, self.mark.offset].into_iter().enumerate()
        {
            bytes[40 + position * 8..48 + position * 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |from: usize| {
            bytes.get(from..from + 8).and_then(|field| field.try_into().ok()).map(u64::from_le_bytes)
        };
        if bytes.len() != FOUNDATION_BYTES || number(0)? != VERSION {
            return None;
        }
        let home = HomeId(bytes.get(8..40)?.try_into().ok()?);
        let mark = Mark { sequence: number(48)?, segment: number(56)?, offset: number(64)? };
        Some(Self { home, revisions: number(40)?, mark })
    }
}

impl Table {
    /// Opens the table at `path` or makes an empty one; every page is checked.
    ///
    /// redb panics on some damage it does not expect. The index can always be rebuilt, so that is an error here.
    pub(crate) fn open(files: &dyn Files, path: &Path) -> Result<Self, StorageError> {
        let file = match files.open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => files.create(path),
            outcome => outcome,
        }
        .map_err(StorageError::io(Step::Open, path))?;
        guarded(|| {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
            Ok(Self(builder.create_with_backend(Backend(file))?))
        })
    }

    /// What the table was made from; `None` if it does not say.
    pub(crate) fn foundation(&self) -> Result<Option<Foundation>, StorageError> {
        guarded(|| {
            let table = match self.0.begin_read()?.open_table(FOUNDATION) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let row = table.get(())?;
            Ok(row.and_then(|row| Foundation::decode(row.value())))
        })
    }

    /// Where `id` stands.
    pub(crate) fn find(&self, id: &ObjectId) -> Result<Option<Location>, StorageError> {
        guarded(|| {
            let table = match self.0.begin_read()?.open_table(OBJECTS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let row = table.get(id.as_bytes())?;
            Ok(row.map(|row| {
                let (segment, entry, body) = row.value();
                Location { segment, place: Place { id: *id, entry, body } }
            }))
        })
    }

    /// Adds `locations` and says what the table now stands for, durably, in one transaction.
    pub(crate) fn write(
        &self,
        locations: impl Iterator<Item = Location>,
        foundation: &Foundation,
    ) -> Result<(), StorageError> {
        guarded(|| {
            let transaction = self.0.begin_write()?;
            {
                let mut objects = transaction.open_table(OBJECTS)?;
                for Location { segment, place } in locations {
                    objects.insert(place.id.as_bytes(), (segment, place.entry, place.body))?;
                }
                transaction.open_table(FOUNDATION)?.insert((), foundation.encode().as_slice())?;
            }
            transaction.commit()?;
            Ok(())
        })
    }
}

/// Runs `work` on the table; its errors, and its panics on damage, become one error of the index.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StorageError> {
    let damaged = |kind| StorageError::Io { step: Step::Index, path: "index".into(), kind };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(redb::Error::Io(error))) => Err(damaged(error.kind())),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the index answered with an error");
            Err(damaged(std::io::ErrorKind::InvalidData))
        }
        Err(_) => Err(damaged(std::io::ErrorKind::InvalidData)),
    }
}

/// Object id to segment, place of the table entry, place of the body.
const OBJECTS: TableDefinition<'static, &[u8; 32], (u64, u64, u64)> = TableDefinition::new("objects");

/// One row: what the table was made from.
const FOUNDATION: TableDefinition<'static, (), &[u8]> = TableDefinition::new("foundation");

/// The version of the table's format.
const VERSION: u64 = 1;

const FOUNDATION_BYTES: usize = 72;

/// Memory for pages. Chosen: the hot part of a few million entries.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
