//! Installed connectors, lowered walls, and what is known of credentials.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Schema, SignedBody};
use crate::encoding::cbor::ByteString;
use crate::ids::{ConnectorId, CredentialId, Digest, KeyId, PrincipalId, ZoneId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

cbor_map! {
    /// A connector bound to zones; signed by an operator with `install`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ConnectorInstall {
        /// The connector.
        pub connector: ConnectorId,
        /// Its version.
        pub version: String,
        /// The manifest's bytes.
        pub manifest: ByteString,
        /// BLAKE3 of the package.
        pub package_digest: Digest,
        /// BLAKE3 of the code that runs: its own, or the engine's.
        pub code_digest: Digest,
        /// The interface that approvals bind.
        pub interface_hash: Digest,
        /// The zones it is bound to, one process each.
        pub zones: BTreeSet<ZoneId>,
        /// Its configuration as canonical JSON.
        pub config: String,
        /// The keys that signed the package.
        pub publishers: BTreeSet<KeyId>,
        /// Whether it was installed with a development key.
        pub dev: bool,
    }
}

cbor_map! {
    /// Whether a connector may run; signed by an operator with `install`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ConnectorState {
        /// The connector.
        pub connector: ConnectorId,
        /// Whether calls reach it.
        pub enabled: bool,
        /// Whether it is gone.
        pub removed: bool,
        /// Why.
        pub reason: Option<String>,
    }
}

cbor_enum! {
    /// Which wall is lowered.
    pub enum ExceptionKind {
        /// An address that is not global unicast may be reached.
        Egress = "egress",
        /// A property that this machine cannot provide is done without.
        Sandbox = "sandbox",
    }
}

cbor_map! {
    /// A wall lowered for one connector; signed by the owner or an operator with `install`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OwnerException {
        /// The wall.
        pub kind: ExceptionKind,
        /// For whom.
        pub connector: ConnectorId,
        /// What exactly, as canonical JSON.
        pub rule: String,
        /// Why.
        pub reason: String,
        /// Until when, exclusive; absent means until removed.
        pub expires_at: Option<UnixTime>,
        /// Whether it is withdrawn.
        pub removed: bool,
    }
}

cbor_map! {
    /// What may be known of a credential of the header's zone; the secret is in the vault. Signed by an operator with `auth`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CredentialRecord {
        /// The account's name.
        pub credential: CredentialId,
        /// The connector that may use it.
        pub connector: ConnectorId,
        /// The manifest's slot that it fills.
        pub slot: String,
        /// How it is injected: bearer, header, basic or oauth2.
        pub kind: String,
        /// The hosts it may be sent to.
        pub hosts: Vec<String>,
        /// Rises by one with every replacement.
        pub version: u64,
        /// Whether it is gone.
        pub removed: bool,
    }
}

cbor_map! {
    /// Leave for one call of a connector's health operation with a credential of the header's zone, by the operator who
    /// signs it. Signed by an operator with `auth`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CredentialTest {
        /// The operator, in whose name the call is made.
        pub operator: PrincipalId,
        /// The credential.
        pub credential: CredentialId,
    }
}

impl SignedBody for CredentialTest {
    const SCHEMA: Schema = Schema { namespace: "fcp.secret", name: "CredentialTest", version: "1.0.0" };
}

impl SignedBody for ConnectorInstall {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector", name: "Install", version: "1.0.0" };
}

impl SignedBody for ConnectorState {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector", name: "State", version: "1.0.0" };
}

impl SignedBody for OwnerException {
    const SCHEMA: Schema = Schema { namespace: "fcp.connector", name: "Exception", version: "1.0.0" };
}

impl SignedBody for CredentialRecord {
    const SCHEMA: Schema = Schema { namespace: "fcp.secret", name: "Credential", version: "1.0.0" };
}
