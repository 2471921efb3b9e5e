//! Who asks: nobody in particular, an agent by its session, an operator by its open key.

use std::sync::Arc;

use fcp_api::headers::{AUTHORIZATION, SESSION};
use fcp_api::hex::Hex;
use fcp_api::routes::Access;
use fcp_api::types::{self, ErrorBody};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::proof::ChannelBinding;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, ZoneId};
use fcp_proto_core::object::OperatorRight;
use fcp_proto_core::time::Now;
use fcp_proto_core::token::Token;
use fcp_state_machines::node::{self, CalledBy, HeldToken, HolderProof, SessionId};
use http::HeaderMap;

use super::connection::Peer;
use super::denial::Asked;
use crate::daemon::{App, Unlocked};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// Nobody in particular.
    Anyone,
    /// An agent, by its session.
    Agent(Agent),
    /// An operator, by its open key.
    Operator(Arc<Unlocked>),
}

/// An agent with an open session.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) session: SessionId,
    pub(super) principal: PrincipalId,
    pub(super) zone: ZoneId,
}

impl Caller {
    /// Identifies the caller as far as the route demands.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] or [`Code::NotPermitted`].
    //= docs/spec/api.md#who-may-call
    pub(super) async fn identify(
        app: &App,
        peer: &Peer,
        headers: &HeaderMap,
        access: Access,
        now: Now,
    ) -> Result<Self, ErrorBody> {
        match access {
            Access::Public => Ok(Self::Anyone),
            Access::Session => Self::agent(app, peer, headers, now).await,
            Access::Holder if headers.contains_key(SESSION) => Self::agent(app, peer, headers, now).await,
            // Whom the body's proof is of, the route finds out.
            Access::Holder => Ok(Self::Anyone),
            Access::Caller if headers.contains_key(AUTHORIZATION) => {
                Self::operator(app, peer, headers, None, now)
            }
            Access::Caller => Self::agent(app, peer, headers, now).await,
            Access::Operator => Self::operator(app, peer, headers, None, now),
            Access::OperatorWith(right) => Self::operator(app, peer, headers, Some(right), now),
        }
    }

    async fn agent(app: &App, peer: &Peer, headers: &HeaderMap, now: Now) -> Result<Self, ErrorBody> {
        app.serving()?;
        let session = headers.get(SESSION).and_then(|value| value.to_str().ok());
        let session: Option<Hex<32>> = session.and_then(|text| text.parse().ok());
        let session = session.ok_or_else(|| {
            unauthenticated("this needs an agent's session")
                .next("open one with `fwc agent run NAME -- COMMAND`")
        })?;
        let session = SessionId::from_bytes(session.0);
        let entry = app.sessions().get(&public_name(&session)).cloned();
        let entry = entry.filter(|entry| now.unix < entry.expires_at);
        let entry = entry.ok_or_else(|| unauthenticated("there is no such session, or it has ended"))?;
        let binding = app.binding(peer.uid);
        let found = app
            .query(move |node, now| {
                let open = node.sessions().get(session, &binding, now.unix);
                let open = open.map(|session| (session.principal.clone(), session.zone.clone()));
                open.ok_or_else(|| node.principal_revoked(&entry.principal, now.unix))
            })
            .await?;
        let (principal, zone) = found.map_err(|revoked| match revoked {
            Some(told) => unauthenticated(&format!("{told}, which ended its sessions"))
                .next(Code::IssuerKeyRevoked.next_step()),
            None => unauthenticated("there is no such session on this connection"),
        })?;
        Ok(Self::Agent(Agent { session, principal, zone }))
    }

    fn operator(
        app: &App,
        peer: &Peer,
        headers: &HeaderMap,
        right: Option<OperatorRight>,
        now: Now,
    ) -> Result<Self, ErrorBody> {
        app.serving()?;
        let operator = operator(app, peer, headers, now).ok_or_else(|| {
            unauthenticated("this needs an operator's key, open on this connection")
                .next("open it with the passphrase: POST /v1/operator/unlock")
        })?;
        match right {
            Some(right) if !operator.rights.contains(&right) => {
                let why = format!("{} does not have the right `{}`", operator.operator, right.as_str());
                Err(ErrorBody::new(Code::NotPermitted).because(why))
            }
            Some(_) | None => Ok(Self::Operator(operator)),
        }
    }

    /// The operator.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for anyone else, which the route's access excludes.
    pub(super) fn as_operator(&self) -> Result<&Arc<Unlocked>, ErrorBody> {
        match self {
            Self::Operator(operator) => Ok(operator),
            Self::Anyone | Self::Agent(_) => Err(unauthenticated("this needs an operator")),
        }
    }

    /// The agent.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for anyone else, which the route's access excludes.
    pub(super) fn as_agent(&self) -> Result<&Agent, ErrorBody> {
        match self {
            Self::Agent(agent) => Ok(agent),
            Self::Anyone | Self::Operator(_) => Err(unauthenticated("this needs an agent's session")),
        }
    }

    /// Whose things the caller sees: an agent only its own, an operator all.
    pub(super) fn only(&self) -> Option<&PrincipalId> {
        match self {
            Self::Agent(agent) => Some(&agent.principal),
            Self::Anyone | Self::Operator(_) => None,
        }
    }

    /// Refuses a list of what belongs to an agent or a zone that nobody knows. An agent, which may not know who and what
    /// else there is, sees an empty list in any case.
    ///
    /// # Errors
    /// [`Code::NotFound`], with the command that lists what there is.
    //= docs/spec/api.md#lists
    pub(super) async fn names(
        &self,
        app: &App,
        agent: Option<&PrincipalId>,
        zone: Option<&ZoneId>,
    ) -> Result<(), ErrorBody> {
        if self.only().is_some() {
            return Ok(());
        }
        let (agent, zone) = (agent.cloned(), zone.cloned());
        let unknown = app.query(move |node, _| {
            let authority = node.authority();
            let agent = agent.filter(|it| authority.principal(it).is_none());
            let zone = zone.filter(|it| authority.zone(it).is_none());
            let agent = agent.map(|it| (format!("there is no agent {it}"), "`fwc agent list` lists them"));
            let zone = zone.map(|it| (format!("there is no zone {it}"), "`fwc zones list` lists them"));
            agent.or(zone)
        });
        unknown
            .await?
            .map_or(Ok(()), |(why, next)| Err(ErrorBody::new(Code::NotFound).because(why).next(next)))
    }

    /// Whether the caller may see what belongs to `owner`.
    pub(super) fn sees(&self, owner: &PrincipalId) -> bool {
        self.only().is_none_or(|own| own == owner)
    }
}

/// The operator whose key is open on the connection, and whose bearer the headers show.
pub(super) fn operator(app: &App, peer: &Peer, headers: &HeaderMap, now: Now) -> Option<Arc<Unlocked>> {
    let bearer = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    app.operators.find(bearer, peer.connection, now)
}

/// Whoever makes a call.
#[derive(Clone, Debug)]
pub(super) enum Calling {
    /// An agent, in its session.
    Session {
        /// The agent.
        agent: Agent,
        /// What binds the session to who connects.
        binding: ChannelBinding,
    },
    /// The holder of a token.
    Token {
        /// The token, and its holder's proof.
        held: HeldToken,
        /// Whose it is, and the zone that it is enrolled in; absent if nothing of the token can be believed.
        holder: Option<(PrincipalId, ZoneId)>,
    },
}

impl Calling {
    /// Who makes the call: the agent of the session, or the holder of the token in the body, whose challenge is used up
    /// here. Whether its proof is one, the gate says.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] without both, [`Code::InputInvalid`] with both, [`Code::ChallengeInvalid`].
    //= docs/spec/sessions.md#calls-outside-a-session
    pub(super) async fn identify(
        app: &App,
        caller: &Caller,
        peer: &Peer,
        proof: Option<types::HolderProof>,
        now: Now,
    ) -> Result<Self, ErrorBody> {
        match (caller, proof) {
            (Caller::Agent(agent), None) => {
                Ok(Self::Session { agent: agent.clone(), binding: app.binding(peer.uid) })
            }
            (Caller::Agent(_), Some(_)) => Err(ErrorBody::new(Code::InputInvalid)
                .because("`holder_proof` is not taken together with a session")
                .next("leave `holder_proof` out: the session proves the holder")),
            (Caller::Anyone | Caller::Operator(_), Some(given)) => {
                app.serving()?;
                if !app.challenges.spend(&given.proof.challenge.0, now) {
                    return Err(ErrorBody::new(Code::ChallengeInvalid));
                }
                let proof =
                    HolderProof { challenge: given.proof.challenge.0, signature: given.proof.signature };
                Self::with_token(app, given.token.expose(), Some(proof)).await
            }
            (Caller::Anyone | Caller::Operator(_), None) => {
                Err(unauthenticated("this needs an agent's session, or a token and its holder's proof"))
            }
        }
    }

    /// The holder of a token, with or without a proof.
    ///
    /// # Errors
    /// [`Code::TokenMalformed`] for a text that is none.
    pub(super) async fn with_token(
        app: &App,
        text: &str,
        proof: Option<HolderProof>,
    ) -> Result<Self, ErrorBody> {
        let token = Token::from_text(text)
            .map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?
            .as_bytes()
            .to_vec();
        let held = HeldToken { token: token.clone(), proof };
        let holder = app.query(move |node, _| node.token_holder(&token).ok()).await?;
        Ok(Self::Token { held, holder })
    }

    /// As the node takes it.
    pub(super) fn by(&self) -> CalledBy {
        match self {
            Self::Session { agent, binding } => CalledBy::Session { id: agent.session, binding: *binding },
            Self::Token { held, .. } => CalledBy::Token(held.clone()),
        }
    }

    /// The agent, if it calls in a session.
    pub(super) const fn session(&self) -> Option<(&Agent, &ChannelBinding)> {
        match self {
            Self::Session { agent, binding } => Some((agent, binding)),
            Self::Token { .. } => None,
        }
    }

    /// What a refusal of `call` is told about; `wanted` is the call as its caller wrote it.
    pub(super) fn asked(&self, call: &node::CallRequest, wanted: Option<types::CallRequest>) -> Asked {
        let (agent, own) = match self {
            Self::Session { agent, .. } => (Some(&agent.principal), Some(&agent.zone)),
            Self::Token { holder, .. } => holder.as_ref().map(|(agent, zone)| (agent, zone)).unzip(),
        };
        Asked {
            agent: agent.cloned(),
            zone: call.zone.as_ref().or(own).cloned(),
            connector: call.connector.clone(),
            operation: call.operation.clone(),
            call: wanted,
        }
    }
}

/// The name of a session that may be shown: it does not lead back to the secret one.
pub(super) fn public_name(session: &SessionId) -> [u8; 16] {
    let digest = hash::digest(session.expose());
    let mut name = [0; 16];
    name.copy_from_slice(&digest.as_bytes()[..16]);
    name
}

/// What is said of what is not there: the words, `none`, that are said of another's too. So nobody learns from an answer
/// which of both it is.
//= docs/spec/api.md#who-may-call
pub(super) fn absent(error: ErrorBody, none: ErrorBody) -> ErrorBody {
    if error.code == Code::NotFound { none } else { error }
}

fn unauthenticated(why: &str) -> ErrorBody {
    ErrorBody::new(Code::Unauthenticated).because(why)
}
