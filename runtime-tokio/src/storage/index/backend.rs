//! The index's file, reached through the same seam as the journal's.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use crate::storage::files::StoredFile;

/// A stored file as redb wants it.
#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<dyn StoredFile>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(data, offset)
    }
}
