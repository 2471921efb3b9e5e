//! What a principal has read, and results it has not.

use super::{Body, Schema};
use crate::cbor_map;
use crate::encoding::cbor::ByteString;
use crate::ids::{CallId, ObjectId, PrincipalId};
use crate::zone::Label;

cbor_map! {
    /// A fresh context: what the principal read before no longer counts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ContextOpened {
        /// Whose.
        pub principal: PrincipalId,
        /// Its number, one more each.
        pub context: u64,
        /// The label it starts with.
        pub label: Label,
    }
}

cbor_map! {
    /// Something the principal read joined its context; durable before it sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ContextEntry {
        /// Whose.
        pub principal: PrincipalId,
        /// Which context.
        pub context: u64,
        /// The context's label from now on.
        pub label: Label,
        /// What it read: a receipt or a kept result.
        pub cause: ObjectId,
    }
}

cbor_map! {
    /// An output kept for a repeated call or behind a handle; its label is the header's provenance.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeptResult {
        /// The call that made it.
        pub call_id: CallId,
        /// Whose call it was.
        pub principal: PrincipalId,
        /// The call's intent.
        pub intent: ObjectId,
        /// The output as canonical JSON.
        pub output: ByteString,
    }
}

impl Body for ContextOpened {
    const SCHEMA: Schema = Schema { namespace: "fcp.context", name: "Opened", version: "1.0.0" };
}

impl Body for ContextEntry {
    const SCHEMA: Schema = Schema { namespace: "fcp.context", name: "Entry", version: "1.0.0" };
}

impl Body for KeptResult {
    const SCHEMA: Schema = Schema { namespace: "fcp.context", name: "KeptResult", version: "1.0.0" };
}
