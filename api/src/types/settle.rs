//! How a call whose outcome is not known is settled.

use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::object::Effect;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// Says what a call turned out to have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// Whether it happened.
    pub happened: bool,
    /// How that is known.
    #[schema(max_length = 4096)]
    pub note: String,
}

/// The outcome is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    /// The call.
    #[schema(value_type = schema::CallId)]
    pub call_id: CallId,
    /// Its intent.
    #[schema(value_type = schema::ObjectId)]
    pub intent_id: ObjectId,
    /// The record of the settlement.
    #[schema(value_type = schema::ObjectId)]
    pub settlement_id: ObjectId,
    /// What it did outside.
    #[schema(value_type = schema::Effect)]
    pub effect: Effect,
    /// The receipt of the read whose answer says so, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub probe_receipt_id: Option<ObjectId>,
}
