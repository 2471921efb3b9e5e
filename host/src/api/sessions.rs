//! Challenges, operators' keys, agents' sessions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fcp_api::hex::Hex;
use fcp_api::routes::{CloseSession, IssueChallenge, LockOperator, OpenSession, UnlockOperator};
use fcp_api::secret::Secret;
use fcp_api::types::{
    ChallengeIssued, ErrorBody, KeySourceRequest, Nothing, OperatorUnlocked, SessionOpened, Source,
};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, PrincipalId};
use fcp_proto_core::object::{AuditEventKind, OperatorRight};
use fcp_state_machines::node::{Answer, Node, Request, SessionRequest};
use fcp_state_machines::trust::audit::Entry;

use super::access::{Caller, public_name};
use super::denial::failed;
use super::mount::{Ask, Serve};
use super::places::Standing;
use super::sign::unexpected;
use crate::daemon::{App, SessionEntry, owner_zone};
use crate::keys::KeyStoreError;

impl Serve for IssueChallenge {
    const SOURCE: Source = Source::NodeLocal;

    async fn serve(ask: Ask<Self>) -> Result<ChallengeIssued, ErrorBody> {
        let node = ask.app.serving()?.node_id.clone();
        let (challenge, expires_at) = ask.app.challenges.issue(ask.peer.origin, ask.now);
        let channel_binding = Hex(ask.app.binding(ask.peer.uid));
        Ok(ChallengeIssued { node, channel_binding, challenge: Hex(challenge), expires_at })
    }
}

/// An operator as the journal knows it.
struct Known {
    name: PrincipalId,
    key: KeyId,
    rights: Vec<OperatorRight>,
}

fn known_operator(
    node: &Node,
    wanted: Option<&PrincipalId>,
    now: fcp_proto_core::time::Now,
) -> Result<Known, ErrorBody> {
    let live = node.authority().live_operators(wanted, node.revocations(), now.unix);
    let live: Vec<_> = live.collect();
    match live.as_slice() {
        [(key, operator)] => Ok(Known {
            name: operator.operator.clone(),
            key: *key,
            rights: operator.rights.iter().copied().collect(),
        }),
        [] => Err(ErrorBody::new(Code::UnlockFailed)
            .because("there is no such operator with a key that can act")
            .next("`fwc operator list` says how the keys stand; `fwc operator add NAME` makes another with the owner's 24 words")),
        [_, _, ..] => {
            // One that was named has several keys that can act; otherwise the names lead on.
            let names: BTreeSet<_> = live.iter().map(|(_, it)| it.operator.as_str()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join("|");
            Err(ErrorBody::new(Code::Ambiguous)
                .because("there are several operators; name one")
                .next(format!("say which one speaks, with `--operator {names}`; `fwc operator list` shows them")))
        }
    }
}

impl Serve for UnlockOperator {
    async fn serve(ask: Ask<Self>) -> Result<OperatorUnlocked, ErrorBody> {
        let Ask { app, body, peer, now, .. } = ask;
        let wanted = body.operator.clone();
        let known = app.query(move |node, now| known_operator(node, wanted.as_ref(), now)).await??;
        let attempt = app.tries.begin(&known.name, peer.origin, now).await.map_err(try_later)?;
        let KeySourceRequest::Passphrase { passphrase } = body.key_source;
        let (inner, name, wanted) = (Arc::clone(&app), known.name.clone(), known.key);
        let opened = tokio::task::spawn_blocking(move || {
            let passphrase = SecretBytes::from(passphrase.expose().to_owned());
            inner.serving.get().map(|serving| serving.keys.unlock_operator(&name, wanted, &passphrase))
        });
        let opened =
            opened.await.map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
        let key = match opened.ok_or_else(|| ErrorBody::new(Code::CeremonyRequired))? {
            Ok(key) if key.key_id() == known.key => key,
            Ok(_) => {
                tell(&app, AuditEventKind::OperatorRefused, &known.name).await?;
                return Err(
                    ErrorBody::new(Code::UnlockFailed).because("the stored key is not the operator's")
                );
            }
            Err(error) => {
                tell(&app, AuditEventKind::OperatorRefused, &known.name).await?;
                return Err(unlock_failed(&error, &format!("fwc operator add {} --replace", known.name)));
            }
        };
        attempt.succeeded();
        // Told before the key can be used: no record, no effect.
        tell(&app, AuditEventKind::OperatorUnlocked, &known.name).await?;
        let lifetime = app.config().sessions.unlock_secs;
        let (bearer, expires_at) = app.operators.open(
            known.name.clone(),
            key,
            known.rights.clone(),
            lifetime,
            peer.connection,
            app.now(),
        );
        peer.place.stands(Standing::Operator);
        Ok(OperatorUnlocked { bearer, operator: known.name, rights: known.rights, expires_at })
    }
}

/// Why a passphrase is not tried now.
pub(super) fn try_later(wait: Duration) -> ErrorBody {
    let why = "too many passphrases are tried, or too many wrong ones were";
    let mut error = ErrorBody::new(Code::RateLimited).because(why);
    error.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    error
}

/// Why a stored key did not open; `anew` is the command that makes another passphrase for what it opens.
pub(super) fn unlock_failed(error: &KeyStoreError, anew: &str) -> ErrorBody {
    let body = ErrorBody::new(error.code()).because(error.to_string());
    match error.remedy() {
        Some(remedy) => body.next(remedy),
        None if error.code() == Code::UnlockFailed => body.next(format!(
            "check the passphrase and try again; if it is lost, `{anew}` takes another, with the owner's 24 words"
        )),
        None => body,
    }
}

/// Tells the owner's chain what became of an operator's key.
pub(super) async fn tell(app: &App, kind: AuditEventKind, operator: &PrincipalId) -> Result<(), ErrorBody> {
    let entry = Box::new(Entry::new(kind, operator.as_str()));
    let told = app.ask(Request::Record { zone: owner_zone(), entry }).await;
    told.map(|_| ()).map_err(|failure| failed(&failure))
}

impl Serve for LockOperator {
    const SOURCE: Source = Source::NodeLocal;

    async fn serve(ask: Ask<Self>) -> Result<Nothing, ErrorBody> {
        ask.app.operators.close(ask.peer.connection);
        ask.peer.place.stands(Standing::Unknown);
        Ok(Nothing {})
    }
}

impl Serve for OpenSession {
    async fn serve(ask: Ask<Self>) -> Result<SessionOpened, ErrorBody> {
        let Ask { app, body, peer, now, .. } = ask;
        app.serving()?;
        if app.sessions().len() as u64 >= app.config().limits.sessions {
            app.sessions().retain(|_, entry| now.unix < entry.expires_at);
            if app.sessions().len() as u64 >= app.config().limits.sessions {
                return Err(
                    ErrorBody::new(Code::Exhausted).because("as many sessions are open as limits.sessions")
                );
            }
        }
        if !app.challenges.spend(&body.proof.challenge.0, now) {
            return Err(ErrorBody::new(Code::ChallengeInvalid));
        }
        let request = SessionRequest {
            principal: body.agent,
            challenge: body.proof.challenge.0,
            binding: app.binding(peer.uid),
            proof: body.proof.signature,
        };
        match app.ask(Request::OpenSession(request)).await {
            Ok(Answer::Session { id, principal, zone, expires_at }) => {
                let wished = body.lifetime_secs.map(|secs| now.unix.saturating_add(secs));
                let expires_at = wished.map_or(expires_at, |wished| wished.min(expires_at));
                let name = public_name(&id);
                peer.place.stands(Standing::Session);
                app.sessions().insert(
                    name,
                    SessionEntry {
                        id,
                        principal: principal.clone(),
                        expires_at,
                        connection: peer.connection,
                    },
                );
                Ok(SessionOpened {
                    session_id: Hex(name),
                    session: Secret::new(Hex(*id.expose()).to_string()),
                    agent: principal,
                    zone,
                    expires_at,
                })
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(failed(&failure)),
        }
    }
}

/// A connection ended, and with it the key and the sessions that were opened on it.
pub(super) async fn connection_ended(app: &App, connection: u64) {
    app.operators.close(connection);
    let mut ended = Vec::new();
    app.sessions().retain(|_, entry| {
        let stays = entry.connection != connection;
        if !stays {
            ended.push(entry.id);
        }
        stays
    });
    for session in ended {
        if let Err(failure) = app.ask(Request::CloseSession(session)).await {
            // It had ended in the node already, by its time or by a revocation.
            tracing::debug!(code = %failure.code, "a session had ended before its connection");
        }
    }
}

impl Serve for CloseSession {
    async fn serve(ask: Ask<Self>) -> Result<Nothing, ErrorBody> {
        let name: Hex<16> = ask.path(0)?;
        let none = || ErrorBody::new(Code::NotFound).because("there is no such session");
        let entry = ask.app.sessions().get(&name.0).cloned().ok_or_else(none)?;
        match &ask.caller {
            Caller::Agent(agent) if agent.principal != entry.principal => return Err(none()),
            Caller::Agent(_) | Caller::Operator(_) | Caller::Anyone => {}
        }
        let closed = ask.app.ask(Request::CloseSession(entry.id)).await;
        ask.app.sessions().remove(&name.0);
        closed.map(|_| Nothing {}).map_err(|failure| failed(&failure))
    }
}
