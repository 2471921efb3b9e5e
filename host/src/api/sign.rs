//! What an operator asks for becomes an object that the operator's open key signs, and the node takes or refuses it.

use fcp_api::types::ErrorBody;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::object::{AnyObject, Header, Object, Signed, SignedBody};
use fcp_proto_core::zone::{Label, default_level};
use fcp_state_machines::node::{Answer, Request};

use super::denial::failed;
use crate::daemon::{App, Unlocked};

/// Signs `fields` as an object of `zone` and hands it to the node.
///
/// # Errors
/// What the node refuses.
pub(super) async fn admit<T>(
    app: &App,
    operator: &Unlocked,
    zone: &ZoneId,
    fields: T,
) -> Result<ObjectId, ErrorBody>
where
    T: SignedBody,
    AnyObject: From<Object<Signed<T>>>,
{
    let level = default_level(zone);
    let label = Label { confidentiality: level, ..Label::trusted(level) };
    let header = Header::new(&T::SCHEMA, zone, app.now().unix, label, Some(operator.operator.clone()));
    let object = Object::sign(header, fields, &operator.key)
        .map_err(|error| ErrorBody::new(Code::InputTooLarge).because(error.to_string()))?;
    let request =
        Request::Admit { object: Box::new(object.into()), actor: operator.operator.as_str().to_owned() };
    match app.ask(request).await {
        Ok(Answer::Admitted(id)) => Ok(id),
        Ok(other) => Err(unexpected(&other)),
        Err(failure) => Err(failed(&failure)),
    }
}

/// The node answered another question than was asked, which is a defect.
pub(super) fn unexpected(answer: &Answer) -> ErrorBody {
    let name = match answer {
        Answer::Admitted(_) => "admitted",
        Answer::Session { .. } => "session",
        Answer::Tokens(_) => "tokens",
        Answer::Called(_) => "called",
        Answer::Replayed { .. } => "replayed",
        Answer::Simulated { .. } => "simulated",
        Answer::Filed(_) => "filed",
        Answer::Readable => "readable",
        Answer::Done => "done",
    };
    ErrorBody::new(Code::Internal).because(format!("the node answered `{name}`"))
}
