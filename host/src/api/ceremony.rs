//! The ceremony, driven by requests on the unix socket.

use std::sync::Arc;

use fcp_api::hex::Hex;
use fcp_api::routes::{BeginCeremony, ConfirmCeremony, GetCeremony};
use fcp_api::secret::Secret;
use fcp_api::types::{
    CeremonyBegun, CeremonyDone, CeremonyPhase, CeremonyView, ErrorBody, KeySourceRequest, Source,
};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::source::Argon2Cost;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::NodeId;
use fcp_runtime_tokio::drive::entropy;
use fcp_state_machines::trust::ceremony::{Begin, HomeFacts, WordProof};

use super::mount::{Ask, Serve};
use crate::ceremony::{self, CeremonyFailure};
use crate::daemon::{App, Founding, Underway};
use crate::keys::node_secret;

impl Serve for GetCeremony {
    const SOURCE: Source = Source::NodeLocal;

    async fn serve(ask: Ask<Self>) -> Result<CeremonyView, ErrorBody> {
        view(&ask.app).await
    }
}

/// How far the ceremony of this home is.
///
/// # Errors
/// What is wrong with the home.
pub(super) async fn view(app: &App) -> Result<CeremonyView, ErrorBody> {
    if app.serving.get().is_some() {
        let facts =
            app.home.facts().map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
        return Ok(CeremonyView { phase: CeremonyPhase::Done, done: facts.map(|facts| done(app, &facts)) });
    }
    // One that is being completed holds the lock.
    let phase = match app.ceremony.try_lock() {
        Err(_) => CeremonyPhase::Completing,
        Ok(underway) if underway.is_some() => CeremonyPhase::Begun,
        Ok(_) => CeremonyPhase::None,
    };
    Ok(CeremonyView { phase, done: None })
}

fn done(_app: &App, facts: &HomeFacts) -> CeremonyDone {
    let zones = fcp_proto_core::zone::WELL_KNOWN;
    let zones = zones.into_iter().filter_map(|(name, _)| name.parse().ok()).collect();
    CeremonyDone {
        owner_key: facts.owner_key,
        operator: facts.operator.clone(),
        node: facts.node.clone(),
        zones,
    }
}

impl Serve for BeginCeremony {
    const SOURCE: Source = Source::NodeLocal;

    async fn serve(ask: Ask<Self>) -> Result<CeremonyBegun, ErrorBody> {
        on_the_socket(&ask)?;
        let Ask { app, body, now, .. } = ask;
        let node = match body.node {
            Some(node) => node,
            None => host_name()?,
        };
        let KeySourceRequest::Passphrase { passphrase } = body.key_source;
        let mut underway = app.ceremony.lock().await;
        let (home, credentials) = (app.home.clone(), app.credentials.clone());
        let owner = match app.serving.get() {
            Some(_) => return Err(ErrorBody::new(Code::CeremonyDone)),
            None => None,
        };
        let operator = body.operator;
        let begun = blocking(move || {
            let mut entropy = entropy::fresh().map_err(|error| defect(&error))?;
            let node_secret = node_secret(credentials.as_deref())
                .map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
            let begin = Begin {
                passphrase: SecretBytes::from(passphrase.expose().to_owned()),
                cost: Argon2Cost::RECOMMENDED,
                operator,
                node,
                node_secret,
            };
            let id = entropy.bytes::<16>();
            let begun = ceremony::begin(&home, owner, begin, now.unix, &mut entropy).map_err(failure)?;
            Ok((id, begun))
        });
        let (id, begun) = begun.await?;
        *underway = Some(Underway { id, ceremony: begun.ceremony });
        Ok(CeremonyBegun {
            ceremony_id: Hex(id),
            phrase: Secret::new(begun.phrase.words().as_str()),
            confirm_words: begun.asked.to_vec(),
            expires_at: begun.expires_at,
        })
    }
}

impl Serve for ConfirmCeremony {
    async fn serve(ask: Ask<Self>) -> Result<CeremonyDone, ErrorBody> {
        on_the_socket(&ask)?;
        let Ask { app, body, now, .. } = ask;
        let mut guard = app.ceremony.lock().await;
        if app.serving.get().is_some() {
            return Err(ErrorBody::new(Code::CeremonyDone));
        }
        let stale = || {
            let why = "no ceremony of that name waits to be confirmed";
            ErrorBody::new(Code::ChallengeInvalid).because(why).next("begin the ceremony again")
        };
        let mut underway =
            guard.take().filter(|underway| underway.id == body.ceremony_id.0).ok_or_else(stale)?;
        let inner = Arc::clone(&app);
        let (underway, confirmed) = blocking(move || {
            let words: Vec<_> = body
                .words
                .iter()
                .map(|proof| WordProof { place: proof.place, word: proof.word.expose() })
                .collect();
            let mut founding = Founding::new(&inner);
            let confirmed =
                ceremony::confirm(&inner.home, &mut underway.ceremony, &words, now.unix, &mut founding);
            Ok((underway, confirmed))
        })
        .await?;
        match confirmed {
            Ok(facts) => Ok(done(&app, &facts)),
            Err(error) => {
                // A wrong word may be tried again, as often as the ceremony itself permits.
                if matches!(error, CeremonyFailure::Answer(_)) {
                    *guard = Some(underway);
                }
                Err(failure(error))
            }
        }
    }
}

/// The phrase travels over no network, not even over loopback.
pub(super) fn on_the_socket<E: fcp_api::routes::Endpoint>(ask: &Ask<E>) -> Result<(), ErrorBody> {
    match ask.peer.uid {
        Some(_) => Ok(()),
        None => {
            let why = "the ceremony is held, and the phrase is taken, on the unix socket only";
            Err(ErrorBody::new(Code::NotPermitted).because(why))
        }
    }
}

fn failure(error: CeremonyFailure) -> ErrorBody {
    ErrorBody::new(error.code()).because(error.to_string())
}

/// The device's own name, made an identifier.
fn host_name() -> Result<NodeId, ErrorBody> {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().to_lowercase();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    let name: String = name.trim_matches('-').chars().take(64).collect();
    NodeId::new(format!("node-{name}"))
        .or_else(|_| NodeId::new("node-1"))
        .map_err(|error| ErrorBody::new(Code::InvalidName).because(error.to_string()))
}

/// Runs what takes a processor for long away from the tasks that answer.
///
/// # Errors
/// What `work` refuses; [`Code::Internal`] if it met a defect.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ErrorBody> + Send + 'static,
) -> Result<T, ErrorBody> {
    tokio::task::spawn_blocking(work).await.map_err(|error| defect(&error))?
}

pub(super) fn defect(error: &dyn std::error::Error) -> ErrorBody {
    ErrorBody::new(Code::Internal).because(error.to_string())
}
