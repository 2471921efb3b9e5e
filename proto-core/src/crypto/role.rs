//! What a key is for, as a value to store and as a type to check.
//!
//! A key of one role is of another type than a key of any other, so none stands in for another by mistake. An operator is
//! not the owner:
//!
//! ```compile_fail,E0308
//! # use fcp_proto_core::{crypto::{agree::EncryptionKey, role::Operator, sign::VerifyingKey}, ids::NodeId};
//! # use fcp_proto_core::object::{Object, Signed, ZoneKeyManifest};
//! fn open(it: &Object<Signed<ZoneKeyManifest>>, by: &VerifyingKey<Operator>, node: &NodeId, key: &EncryptionKey) {
//!     let _ = it.open_keys(by, node, key);
//! }
//! ```
//!
//! An agent mints no tokens:
//!
//! ```compile_fail,E0308
//! # use fcp_proto_core::{crypto::{role::Agent, sign::SigningKey}, token::{Token, claims::Claims}};
//! fn mint(claims: Claims, key: &SigningKey<Agent>) {
//!     let _ = Token::mint(claims, key);
//! }
//! ```
//!
//! A device proves no holder of a token:
//!
//! ```compile_fail,E0277
//! # use fcp_proto_core::crypto::{proof::CallProof, role::Node, sign::SigningKey};
//! fn prove(call: &CallProof, key: &SigningKey<Node>) {
//!     let _ = call.sign(key);
//! }
//! ```
//!
//! What signs opens no box:
//!
//! ```compile_fail,E0277
//! # use fcp_proto_core::crypto::{hpke::{BoxContext, HpkeBox}, role::Node, sign::SigningKey};
//! fn open(it: &HpkeBox, key: &SigningKey<Node>, context: BoxContext<'_>) {
//!     let _ = it.open(key, context);
//! }
//! ```
//!
//! What encrypts a zone's content does not name its objects:
//!
//! ```compile_fail,E0308
//! # use fcp_proto_core::{object::ZoneKey, symbol::IdentifiedObject};
//! fn name(bytes: Vec<u8>, key: &ZoneKey) {
//!     let _ = IdentifiedObject::from_bytes(bytes, key);
//! }
//! ```
//!
//! And a token whose signature nobody checked claims nothing:
//!
//! ```compile_fail,E0599
//! # use fcp_proto_core::token::{Token, Unverified};
//! fn claims(token: &Token<Unverified>) {
//!     let _ = token.claims();
//! }
//! ```

use core::fmt::Debug;
use core::hash::Hash;

use crate::cbor_enum;

cbor_enum! {
    /// What a key is for.
    pub enum KeyRole {
        /// The root of all authority of one owner.
        Owner = "owner",
        /// Delegated by the owner to approve, grant, install and administer.
        Operator = "operator",
        /// A device's own signatures: receipts, audit heads, revocations.
        Node = "node",
        /// A device's capability tokens.
        Issuance = "issuance",
        /// What is sealed to a device (X25519).
        Encryption = "encryption",
        /// A principal that makes calls.
        Agent = "agent",
        /// Whoever signs connector packages.
        Publisher = "publisher",
        /// Seals stored credentials.
        Vault = "vault",
        /// Names the objects of a zone.
        ObjectId = "object_id",
        /// Wraps other keys.
        Wrapping = "wrapping",
        /// What is sealed to a device (X-Wing).
        HybridEncryption = "hybrid_encryption",
        /// Encrypts the content of a zone.
        Zone = "zone",
    }
}

/// A role as a type.
pub trait Role: private::Sealed + Copy + Debug + Ord + Hash + 'static {
    /// The same role as a value.
    const ROLE: KeyRole;
}

/// A role whose keys sign.
pub trait SigningRole: Role {}

/// A role whose keys are symmetric.
pub trait SymmetricRole: Role {}

/// A role whose keys may prove who makes a call or opens a session.
pub trait HolderRole: SigningRole {}

mod private {
    pub trait Sealed {}
}

macro_rules! roles {
    ($($kind:ident: $($name:ident),+;)+) => {$($(
        #[doc = concat!("The role [`KeyRole::", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name;

        impl private::Sealed for $name {}
        impl $kind for $name {}

        impl Role for $name {
            const ROLE: KeyRole = KeyRole::$name;
        }
    )+)+};
}

//= docs/spec/keys.md#roles
roles! {
    SigningRole: Owner, Operator, Node, Issuance, Agent, Publisher;
    SymmetricRole: Vault, ObjectId, Wrapping, Zone;
}

impl HolderRole for Owner {}
impl HolderRole for Operator {}
impl HolderRole for Agent {}
