//! What an operator asks for becomes an object that the operator's open key signs, and the node takes or refuses it.

use std::time::Duration;

use fcp_api::types::ErrorBody;
use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::role::SigningRole;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::CborError;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{AnyObject, Header, Object, Signed, SignedBody};
use fcp_proto_core::time::UnixTime;
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
    let object = signed(app, operator, zone, fields).await?;
    admit_object(app, operator.operator.as_str(), object.into()).await
}

/// An object of `zone` that the operator signs.
///
/// # Errors
/// [`Code::InputTooLarge`] if it has no encoding within the limits.
pub(super) async fn signed<T: SignedBody>(
    app: &App,
    operator: &Unlocked,
    zone: &ZoneId,
    fields: T,
) -> Result<Object<Signed<T>>, ErrorBody> {
    sign_with(app, &operator.key, Some(&operator.operator), zone, fields).await
}

/// An object of `zone`, signed with `key`; in the next second if an equal one was signed in this.
///
/// # Errors
/// [`Code::InputTooLarge`] if it has no encoding within the limits.
//= docs/spec/authority.md#taking-objects
pub(super) async fn sign_with<T: SignedBody, R: SigningRole>(
    app: &App,
    key: &SigningKey<R>,
    name: Option<&PrincipalId>,
    zone: &ZoneId,
    mut fields: T,
) -> Result<Object<Signed<T>>, ErrorBody> {
    let level = default_level(zone);
    let label = Label { confidentiality: level, ..Label::trusted(level) };
    let too_large = |error: CborError| ErrorBody::new(Code::InputTooLarge).because(error.to_string());
    loop {
        let now = app.now().unix;
        let header = Header::new(&T::SCHEMA, zone, now, label.clone(), name.cloned());
        let object = Object::sign(header, fields, key).map_err(too_large)?;
        if app.acts.is_first(hash::digest(&object.signing_bytes().map_err(too_large)?), now) {
            return Ok(object);
        }
        fields = object.body.fields;
        tokio::time::sleep(NEXT_LOOK).await;
    }
}

/// Waits until the second `at` is over.
pub(super) async fn later_than(app: &App, at: UnixTime) {
    while app.now().unix <= at {
        tokio::time::sleep(NEXT_LOOK).await;
    }
}

/// How long to wait before it is looked whether the second is over. Chosen: a person does not notice it.
const NEXT_LOOK: Duration = Duration::from_millis(20);

/// Hands an object to the node.
///
/// # Errors
/// What the node refuses.
pub(super) async fn admit_object(app: &App, actor: &str, object: AnyObject) -> Result<ObjectId, ErrorBody> {
    match app.ask(Request::Admit { object: Box::new(object), actor: actor.to_owned() }).await {
        Ok(Answer::Admitted(id)) => Ok(id),
        Ok(other) => Err(unexpected(&other)),
        Err(failure) => Err(failed(&failure)),
    }
}

/// Hands several objects to the node, which takes all or none.
///
/// # Errors
/// What the node refuses.
pub(super) async fn admit_together(
    app: &App,
    actor: &str,
    objects: Vec<AnyObject>,
) -> Result<Vec<ObjectId>, ErrorBody> {
    let actor = actor.to_owned();
    match app.ask(Request::AdmitTogether { objects, actor }).await {
        Ok(Answer::AdmittedTogether(ids)) => Ok(ids),
        Ok(other) => Err(unexpected(&other)),
        Err(failure) => Err(failed(&failure)),
    }
}

/// The node answered another question than was asked, which is a defect.
pub(super) fn unexpected(answer: &Answer) -> ErrorBody {
    let name = match answer {
        Answer::Admitted(_) => "admitted",
        Answer::AdmittedTogether(_) => "admitted together",
        Answer::Session { .. } => "session",
        Answer::Tokens(_) => "tokens",
        Answer::Called(_) => "called",
        Answer::Probed { .. } => "probed",
        Answer::Replayed { .. } => "replayed",
        Answer::Simulated { .. } => "simulated",
        Answer::Filed(_) => "filed",
        Answer::Readable => "readable",
        Answer::Done => "done",
    };
    ErrorBody::new(Code::Internal).because(format!("the node answered `{name}`"))
}
