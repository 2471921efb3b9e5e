//! The secrets that a node needs to serve; everything else is offline.

use alloc::collections::BTreeMap;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::ObjectIdKey;

/// The secrets that a node needs to serve.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs what the node asserts.
    pub signing: SigningKey<role::Node>,
    /// Signs the tokens it mints.
    pub issuance: SigningKey<role::Issuance>,
    /// Names the objects of each zone.
    pub zones: BTreeMap<ZoneId, ObjectIdKey>,
}
