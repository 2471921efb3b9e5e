//! The ceremony's record: the one file whose write confirms a ceremony, and from which it goes on.

use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::cbor_map;
use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::encoding::cbor::{
    ByteString, CborError, FieldReader, FromCbor, MapBuilder, Value, decode, encode,
};
use fcp_proto_core::ids::{KeyId, NodeId, PrincipalId};
use fcp_proto_core::object::{AnyObject, StoredObject};

use super::{HomeFacts, ResumeError};

/// The version of the format.
const VERSION: u64 = 1;

/// The domain of the record's checksum.
const CHECKSUM_DOMAIN: &str = "FCP2-CEREMONY-RECORD-V1";

cbor_map! {
    /// A file of the key folder: a wrapped key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeyFile {
        /// Its name.
        pub name: String,
        /// Its contents.
        pub bytes: ByteString,
    }
}

/// What a confirmed ceremony made. All keys in it are wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeremonyRecord {
    /// This device.
    pub node: NodeId,
    /// The first operator.
    pub operator: PrincipalId,
    /// Random bytes that name the home.
    pub home_id: [u8; 32],
    /// The owner's key.
    pub owner_key: KeyId,
    /// The files of the key folder.
    pub keys: Vec<KeyFile>,
    /// The founding objects, the owner's root first.
    pub objects: Vec<AnyObject>,
}

cbor_map! {
    /// The record's content as stored.
    struct Content {
        pub node: NodeId,
        pub operator: PrincipalId,
        pub keys: Vec<KeyFile>,
        pub objects: Vec<ByteString>,
    }
}

impl CeremonyRecord {
    /// The bytes of the record whose objects are stored as `objects`.
    pub(super) fn encode(&self, objects: &[StoredObject]) -> Result<Vec<u8>, CborError> {
        let objects = objects.iter().map(|object| object.to_bytes().map(ByteString));
        let content = Content {
            node: self.node.clone(),
            operator: self.operator.clone(),
            keys: self.keys.clone(),
            objects: objects.collect::<Result<_, _>>()?,
        };
        let content = encode(&content)?;
        let mut map = MapBuilder::default();
        map.field("version", &VERSION);
        let checksum = checksum(&content);
        map.field("checksum", &checksum);
        map.item("content", Value::Bytes(content.into()));
        encode(&map.finish())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`ResumeError::TooNew`] before anything else of a newer format is judged; else what is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ResumeError> {
        let mut outer = FieldReader::new(decode(bytes).map_err(|error| ResumeError::Damaged(error.into()))?)?;
        let version: u64 = outer.field("version")?;
        if version > VERSION {
            return Err(ResumeError::TooNew(version));
        }
        let sum: [u8; 32] = outer.field("checksum")?;
        let ByteString(content) = outer.field("content")?;
        outer.finish()?;
        if version != VERSION || sum != checksum(&content) {
            return Err(ResumeError::Checksum);
        }
        let value = decode(&content).map_err(|error| ResumeError::Damaged(error.into()))?;
        Content::from_cbor(value)?.open()
    }

    /// Who and what the home is.
    pub fn facts(&self) -> HomeFacts {
        HomeFacts {
            home_id: self.home_id,
            node: self.node.clone(),
            operator: self.operator.clone(),
            owner_key: self.owner_key,
        }
    }
}

impl Content {
    //= docs/spec/ceremony.md#the-record
    fn open(self) -> Result<CeremonyRecord, ResumeError> {
        if !self.keys.iter().all(|file| is_key_file(&file.name)) {
            return Err(ResumeError::FileName);
        }
        let open = |bytes: &ByteString| AnyObject::open(&StoredObject::from_bytes(&bytes.0)?);
        let objects = self.objects.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let Some(AnyObject::OwnerRoot(root)) = objects.first() else { return Err(ResumeError::NoRoot) };
        let fields = &root.body.fields;
        let signed = root.signing_bytes().map_err(|error| ResumeError::Damaged(error.into()))?;
        fields.public_key.verify(&signed, &root.body.signature).map_err(|_| ResumeError::NoRoot)?;
        let (home_id, owner_key) = (fields.home_id, fields.public_key.key_id());
        Ok(CeremonyRecord {
            node: self.node,
            operator: self.operator,
            home_id,
            owner_key,
            keys: self.keys,
            objects,
        })
    }
}

/// Whether a name is that of a stored key, and stays in its folder.
fn is_key_file(name: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b':' | b'-');
    name.ends_with(".key") && !name.starts_with('.') && name.bytes().all(plain)
}

fn checksum(content: &[u8]) -> [u8; 32] {
    Hasher::new(CHECKSUM_DOMAIN).with(content).finish()
}
