//! What agents have read.

use fcp_api::routes::{GetContext, OpenContext};
use fcp_api::types::{ContextView, ErrorBody};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;
use fcp_state_machines::node::Request;

use super::access::Caller;
use super::denial::failed;
use super::mount::{Ask, Serve};
use crate::daemon::App;

async fn view(app: &App, agent: PrincipalId) -> Result<ContextView, ErrorBody> {
    let (known, enrolled) = {
        let records = app.records();
        (records.contexts.get(&agent).cloned().unwrap_or_default(), records.enrolments.get(&agent).copied())
    };
    let name = agent.clone();
    let context = app.query(move |node, _| node.context(&name)).await?;
    let context = context.ok_or_else(|| super::agents::none(&agent))?;
    // The first context opens with the enrolment.
    let opened_at =
        if known.number == 0 { enrolled.map_or(known.opened_at, |made| made.at) } else { known.opened_at };
    Ok(ContextView {
        agent,
        context: context.number,
        label: context.label,
        opened_at,
        entries: known.entries,
        causes: known.causes.into_iter().collect(),
    })
}

impl Serve for GetContext {
    async fn serve(ask: Ask<Self>) -> Result<ContextView, ErrorBody> {
        let agent = match (&ask.caller, ask.query.agent.clone()) {
            (Caller::Agent(own), None) => own.principal.clone(),
            (Caller::Agent(own), Some(named)) if own.principal == named => named,
            (Caller::Operator(_), Some(named)) => named,
            (Caller::Operator(_), None) => {
                return Err(ErrorBody::new(Code::MissingField).because("an operator names the `agent`"));
            }
            (Caller::Agent(_) | Caller::Anyone, _) => {
                return Err(ErrorBody::new(Code::NotPermitted).because("an agent sees its own context only"));
            }
        };
        view(&ask.app, agent).await
    }
}

impl Serve for OpenContext {
    async fn serve(ask: Ask<Self>) -> Result<ContextView, ErrorBody> {
        let operator = ask.caller.as_operator()?;
        let principal = ask.body.agent.clone();
        let request = Request::OpenContext { principal, actor: operator.operator.as_str().to_owned() };
        ask.app.ask(request).await.map_err(|failure| failed(&failure))?;
        view(&ask.app, ask.body.agent).await
    }
}
