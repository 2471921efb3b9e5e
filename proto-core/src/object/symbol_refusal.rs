//! A node says that it does not send the symbols that it was asked for, and when to ask again.

use super::{Schema, SignedBody};
use crate::ids::{KeyId, ObjectId};
use crate::{cbor_enum, cbor_map};

cbor_map! {
    /// A request is not served; signed by the node that was asked.
    //= docs/spec/symbols.md#messages
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SymbolRefusal {
        /// The object.
        pub object_id: ObjectId,
        /// The zone key under which symbols were wanted.
        pub zone_key_id: KeyId,
        /// The key's epoch.
        pub epoch_id: u64,
        /// Why.
        pub reason: SymbolRefusalReason,
        /// When it is worth another try, in milliseconds; absent where no time is known.
        pub retry_after_ms: Option<u64>,
    }
}

cbor_enum! {
    /// Why symbols are not sent.
    pub enum SymbolRefusalReason {
        /// They are not there, or not for whoever asked; which of the two is not said.
        NotHere = "not_here",
        /// More than whoever asked may have at once.
        TooMany = "too_many",
        /// So many that the request must say which are missing.
        NeedNotShown = "need_not_shown",
        /// A budget is used up.
        Busy = "busy",
    }
}

impl SignedBody for SymbolRefusal {
    const SCHEMA: Schema = Schema { namespace: "fcp.symbol", name: "Refusal", version: "1.0.0" };
}
