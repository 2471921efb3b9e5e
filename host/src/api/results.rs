//! Kept results: reading one joins the reader's context first.

use fcp_api::routes::GetResult;
use fcp_api::types::{ErrorBody, ResultView};
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::object::{KeptResult, Object};
use fcp_proto_core::zone::Label;
use fcp_state_machines::node::Request;
use serde_json::Value;

use super::access::{Agent, Caller};
use super::denial::failed;
use super::inputs;
use super::mount::{Ask, Serve};
use crate::daemon::App;

/// Reads a kept result for an agent.
///
/// # Errors
/// As for one that is not there, if it is another's.
pub(super) async fn read(
    app: &App,
    agent: &Agent,
    binding: [u8; 32],
    id: ObjectId,
) -> Result<(Object<KeptResult>, Value), ErrorBody> {
    let result = inputs::result(app, id).await?;
    if result.body.principal != agent.principal {
        return Err(inputs::none(id));
    }
    let (zone, label) = (result.header.zone_id.clone(), result.header.provenance.label());
    join(app, agent, binding, id, zone, label).await?;
    let output = Value::from(inputs::output(&result.body)?);
    Ok((result, output))
}

/// Has what the agent is about to see of the stored object `id` join its context.
///
/// # Errors
/// What the node refuses; nothing may be shown then.
pub(super) async fn join(
    app: &App,
    agent: &Agent,
    binding: [u8; 32],
    id: ObjectId,
    zone: ZoneId,
    label: Label,
) -> Result<(), ErrorBody> {
    let (session, principal) = (agent.session, agent.principal.clone());
    let request = Request::ReadKept { session, binding, result: id, zone, principal, label };
    app.ask(request).await.map(|_| ()).map_err(|failure| failed(&failure))
}

impl Serve for GetResult {
    async fn serve(ask: Ask<Self>) -> Result<ResultView, ErrorBody> {
        let handle: ObjectId = ask.path(0)?;
        let (result, output) = match &ask.caller {
            Caller::Agent(agent) => read(&ask.app, agent, ask.app.binding(ask.peer.uid), handle).await?,
            Caller::Operator(_) | Caller::Anyone => {
                let result = inputs::result(&ask.app, handle).await?;
                let output = Value::from(inputs::output(&result.body)?);
                (result, output)
            }
        };
        let label = result.header.provenance.label();
        Ok(ResultView { handle, call_id: result.body.call_id, output, label })
    }
}
