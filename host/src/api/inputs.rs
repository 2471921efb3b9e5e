//! From a call as it is asked for to a call as the node decides over it: kept results are put into the input.

use std::collections::BTreeMap;

use fcp_api::types::{CallOptions, CallRequest, ErrorBody, HandleInput};
use fcp_proto_core::encoding::json::{Json, Object, Pointer};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::limits::MAX_INPUT_BYTES;
use fcp_proto_core::object::{AnyObject, KeptResult, TraceContext};
use fcp_state_machines::node::{self, Handle};

use super::access::{Agent, Calling, absent};
use crate::daemon::App;

/// Most kept results in one input. Chosen.
const MAX_HANDLES: usize = 64;

/// The call as the node decides over it.
///
/// # Errors
/// What of it cannot be read or found.
pub(super) async fn call(
    app: &App,
    calling: &Calling,
    asked: CallRequest,
    options: CallOptions,
    trace: Option<TraceContext>,
) -> Result<node::CallRequest, ErrorBody> {
    //= docs/spec/api.md#calls
    if options.deadline_ms == Some(0) {
        return Err(ErrorBody::new(Code::OutOfRange).because("a deadline is at least 1 ms"));
    }
    let inexact = |error: fcp_proto_core::encoding::json::InexactNumber| {
        ErrorBody::new(Code::InexactNumber).because(error.to_string())
    };
    let input = Json::try_from(asked.input).map_err(inexact)?;
    let (input, handles) = match calling.session() {
        Some((agent, _)) => fill(app, agent, input, asked.handles).await?,
        None if asked.handles.is_empty() => (input, Vec::new()),
        // The digest that its holder must sign would tell of what it has not proved that it may see.
        None => {
            return Err(ErrorBody::new(Code::InputInvalid)
                .because("kept results fill an input within a session only")
                .next("make the call in a session: `fwc agent run NAME -- COMMAND`"));
        }
    };
    Ok(node::CallRequest {
        by: calling.by(),
        zone: asked.zone,
        connector: asked.connector,
        operation: asked.operation,
        input: Ok(input),
        handles,
        credential: asked.credential,
        idempotency_key: asked.idempotency_key,
        approvals: options.approval_ids.into_iter().collect(),
        deadline_ms: options.deadline_ms,
        keep: options.keep_result,
        trace,
    })
}

/// Puts kept results into the input. The caller never sees them, and the node judges each by its own label.
async fn fill(
    app: &App,
    agent: &Agent,
    mut input: Json,
    wanted: BTreeMap<String, HandleInput>,
) -> Result<(Json, Vec<Handle>), ErrorBody> {
    if wanted.len() > MAX_HANDLES {
        return Err(ErrorBody::new(Code::InputTooLarge).because(format!("at most {MAX_HANDLES} handles fit")));
    }
    let mut handles = Vec::new();
    let mut total = 0_usize;
    for (at, wanted) in wanted {
        let place = pointer(&at)?;
        let (value, handle) = kept(app, agent, &wanted, place.clone()).await?;
        total = total.saturating_add(value.to_string().len());
        if total > MAX_INPUT_BYTES {
            return Err(
                ErrorBody::new(Code::InputTooLarge).because("the kept results exceed an input's size")
            );
        }
        input = put(input, place.steps(), value).ok_or_else(|| {
            ErrorBody::new(Code::InputInvalid)
                .because(format!("the input has no place {at:?} for a kept result"))
        })?;
        handles.push(handle);
    }
    Ok((input, handles))
}

fn pointer(text: &str) -> Result<Pointer, ErrorBody> {
    Pointer::new(text)
        .map_err(|error| ErrorBody::new(Code::InputInvalid).because(format!("{text:?}: {error}")))
}

async fn kept(
    app: &App,
    agent: &Agent,
    wanted: &HandleInput,
    at: Pointer,
) -> Result<(Json, Handle), ErrorBody> {
    let result = result(app, wanted.handle).await?;
    if result.body.principal != agent.principal {
        return Err(none(wanted.handle));
    }
    let output = output(&result.body)?;
    let value = match &wanted.pointer {
        None => output,
        Some(part) => output.pointer(&pointer(part)?).cloned().ok_or_else(|| {
            ErrorBody::new(Code::NotFound)
                .because(format!("the result {} has nothing at {part:?}", wanted.handle))
        })?,
    };
    let handle = Handle {
        at,
        result: wanted.handle,
        zone: result.header.zone_id.clone(),
        principal: result.body.principal.clone(),
        label: result.header.provenance.label(),
    };
    Ok((value, handle))
}

/// A kept result.
///
/// # Errors
/// [`Code::NotFound`], also for an object that is something else.
pub(super) async fn result(
    app: &App,
    id: ObjectId,
) -> Result<fcp_proto_core::object::Object<KeptResult>, ErrorBody> {
    let loaded = app.load(id).await.map_err(|error| absent(error, none(id)))?;
    let AnyObject::KeptResult(result) = loaded else { return Err(none(id)) };
    Ok(result)
}

/// The output of a kept result.
///
/// # Errors
/// [`Code::StoreCorrupt`] if it is no longer the canonical JSON that was stored.
pub(super) fn output(result: &KeptResult) -> Result<Json, ErrorBody> {
    let most = fcp_proto_core::limits::MAX_LINE_BYTES;
    fcp_proto_core::encoding::json::parse(&result.output.0, most)
        .map_err(|error| ErrorBody::new(Code::StoreCorrupt).because(error.to_string()))
}

/// There is no such result, for this caller.
pub(super) fn none(id: ObjectId) -> ErrorBody {
    ErrorBody::new(Code::NotFound)
        .because(format!("there is no result {id}"))
        .next("a handle stands in the answer of the call that kept it: `fwc invoke OPERATION --keep`")
}

/// Puts `value` at a place of `input`; a field may be new, everything before it must be there.
fn put(input: Json, steps: &[String], value: Json) -> Option<Json> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match input {
        Json::Object(object) => {
            let mut entries: Vec<(String, Json)> = Vec::with_capacity(object.len() + 1);
            let (mut value, mut placed) = (Some(value), false);
            for (key, field) in object.into_entries() {
                if key == *step {
                    let filled = put(field, rest, value.take()?)?;
                    entries.push((key, filled));
                    placed = true;
                } else {
                    entries.push((key, field));
                }
            }
            if !placed {
                let [] = rest else { return None };
                entries.push((step.clone(), value.take()?));
            }
            Object::new(entries).ok().map(Json::Object)
        }
        Json::Array(mut items) => {
            let index = step.parse::<usize>().ok().filter(|index| index.to_string() == *step)?;
            let item = std::mem::replace(items.get_mut(index)?, Json::Null);
            *items.get_mut(index)? = put(item, rest, value)?;
            Some(Json::Array(items))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        fcp_proto_core::encoding::json::parse(text.as_bytes(), 1024).unwrap()
    }

    fn filled(input: &str, at: &str) -> Option<String> {
        let at = Pointer::new(at).unwrap();
        put(json(input), at.steps(), json("[7]")).map(|json| json.to_string())
    }

    #[test]
    fn a_kept_result_is_put_exactly_where_it_is_wanted() {
        assert_eq!(filled("{\"a\":1}", "/b").as_deref(), Some("{\"a\":1,\"b\":[7]}"));
        assert_eq!(filled("{\"a\":1}", "/a").as_deref(), Some("{\"a\":[7]}"));
        assert_eq!(
            filled("{\"a\":[1,{\"b\":2}]}", "/a/1/c").as_deref(),
            Some("{\"a\":[1,{\"b\":2,\"c\":[7]}]}")
        );
        assert_eq!(filled("{}", "").as_deref(), Some("[7]"));
    }

    #[test]
    fn there_is_no_place_where_the_input_has_none() {
        for (input, at) in [("{}", "/a/b"), ("{\"a\":1}", "/a/b"), ("[1]", "/1"), ("[1]", "/01"), ("3", "/a")]
        {
            assert_eq!(filled(input, at), None, "{input} {at}");
        }
    }
}
