//! A map in which the last write of a key wins.

use alloc::collections::BTreeMap;
use alloc::string::String;

use fcp_proto_core::cbor_map;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::CrdtType;

use super::generation::Collect;
use super::{ChangeError, Merge, Stamp};

cbor_map! {
    /// The last write of a key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Written {
        /// When, and by whom.
        pub stamp: Stamp,
        /// The value; absent if the key was removed.
        pub value: Option<ByteString>,
    }
}

cbor_map! {
    /// A map in which the last write of a key wins.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct LwwMap {
        /// The last write of each key.
        pub written: BTreeMap<String, Written>,
    }
}

impl LwwMap {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.written.get(key)?.value.as_ref().map(|value| &*value.0)
    }

    /// The keys that have a value.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.written.iter().filter(|(_, written)| written.value.is_some()).map(|(key, _)| &**key)
    }

    /// Writes `value`, or removes `key` if there is none, at `stamp`.
    ///
    /// # Errors
    /// [`ChangeError::Full`] if there is no room for another key.
    pub fn write(&mut self, key: &str, value: Option<ByteString>, stamp: Stamp) -> Result<Self, ChangeError> {
        let change = Self { written: [(String::from(key), Written { stamp, value })].into() };
        super::apply(self, &change)?;
        Ok(change)
    }
}

impl Written {
    /// The order of writes. One writer writes one value at one stamp; should it lie, the same lie wins everywhere.
    fn order(&self) -> (&Stamp, Option<&[u8]>) {
        (&self.stamp, self.value.as_ref().map(|value| &*value.0))
    }
}

impl Merge for LwwMap {
    const TYPE: CrdtType = CrdtType::LwwMap;

    fn merge(&mut self, other: &Self) {
        for (key, written) in &other.written {
            let known = self.written.get(key);
            if known.is_none_or(|known| known.order() < written.order()) {
                self.written.insert(key.clone(), written.clone());
            }
        }
    }

    fn entries(&self) -> usize {
        self.written.len()
    }

    fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        self.written.values().map(|written| &written.stamp)
    }

    fn parts(&self) -> impl Iterator<Item = &NodeId> {
        self.stamps().map(|stamp| &stamp.writer)
    }
}

impl Collect for LwwMap {
    fn collect(&mut self) {
        self.written.retain(|_, written| written.value.is_some());
    }
}
