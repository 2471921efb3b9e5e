//! What every command works with: the home, the connection to the daemon, and who speaks on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fcp_api::client::{Client, DEFAULT_TIMEOUT, Target};
use fcp_api::routes::{Endpoint, IssueChallenge, LockOperator, OpenSession, UnlockOperator};
use fcp_api::types::{
    ChallengeIssued, KeyProof, KeySourceRequest, Nothing, OpenSession as OpenSessionRequest, Reply,
    SessionOpened, UnlockOperator as UnlockRequest,
};
use fcp_proto_core::crypto::proof::SessionProof;
use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;

use crate::cli::Global;
use crate::home::Home;
use crate::listener::{Listener, PROBE};
use crate::output::progress::Steps;
use crate::remedy::WAIT;
use crate::render::Renderer;
use crate::session_file::{self, SessionFile};
use crate::{Failure, Result, internal, key_file, passphrase, usage};

/// How to say who speaks, where nobody does and an agent may too.
const SPEAK: &str = "run it inside `fwc agent run NAME -- COMMAND`, or add --agent NAME, or --passphrase-file FILE as an operator";

/// How an operator speaks, where nobody does.
const SPEAK_AS_OPERATOR: &str = "this is an operator's to do: run it on a terminal, or add --passphrase-file FILE; `fwc operator list` shows the operators";

/// What an agent may do instead of what is an operator's to do.
const ASK_A_PERSON: &str = "this is an operator's to do, and an agent speaks here: `fwc request --help` shows what an agent may ask a person for";

/// So long nothing is said of waiting. Chosen: answers, and stops without open calls, take less.
pub(crate) const BRIEF: Duration = Duration::from_millis(700);

/// The home, the daemon, and who speaks.
pub(crate) struct Context {
    /// The home.
    pub(crate) home: Home,
    /// What shows answers.
    pub(crate) renderer: Renderer,
    global: Global,
    session: Option<SessionFile>,
    client: Client,
}

impl Context {
    /// The context of one command line. Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the home, the session file or the address.
    pub(crate) fn new(global: &Global, renderer: Renderer) -> Result<Self> {
        let home = Home::new(global.home.as_deref())?;
        let session = match std::env::var_os(session_file::VARIABLE) {
            Some(path) if !path.is_empty() => Some(SessionFile::load(&PathBuf::from(path))?),
            Some(_) | None => None,
        };
        let target = match (&global.host, &session) {
            (Some(address), _) => tcp_target(*address, global)?,
            (None, Some(session)) if global.home.is_none() => Target::Unix(session.socket.clone()),
            (None, _) => Target::Unix(home.socket()),
        };
        Ok(Self { home, renderer, global: global.clone(), session, client: Client::new(target) })
    }

    /// A context that nothing in the environment says who speaks in.
    pub(crate) fn apart(home: Home, global: &Global, renderer: Renderer) -> Self {
        let client = Client::new(Target::Unix(home.socket()));
        Self { home, renderer, global: global.clone(), session: None, client }
    }

    /// The global options.
    pub(crate) const fn global(&self) -> &Global {
        &self.global
    }

    /// Refuses what is the owner's alone in an agent's session, as far as the environment tells of one, and for whoever
    /// speaks for an agent.
    ///
    /// # Errors
    /// [`Code::NotPermitted`] with `what` an agent does not do.
    pub(crate) fn refuse_agents(&self, what: &str) -> Result<()> {
        if self.session.is_none() && self.global.agent.is_none() && !session_file::is_handed_down() {
            return Ok(());
        }
        Err(Failure::new(Code::NotPermitted)
            .because(format!("an agent's session runs here, and an agent does not {what}"))
            .next("do it outside of `fwc agent run`, and without --agent"))
    }

    /// Whether the daemon must not be asked.
    pub(crate) const fn is_offline(&self) -> bool {
        self.global.offline
    }

    /// The client, whoever speaks.
    ///
    /// # Errors
    /// [`Code::UsageError`] with `--offline`.
    pub(crate) fn client(&mut self) -> Result<&mut Client> {
        if self.global.offline {
            return Err(usage("--offline was given, and only the daemon can answer this")
                .next("leave out --offline; `fwc list`, `show`, `ops`, `schema` and `search` work without the daemon"));
        }
        Ok(&mut self.client)
    }

    /// The client, speaking as an agent.
    ///
    /// # Errors
    /// [`Code::UsageError`] with `--operator`; [`Code::Unauthenticated`] if nothing says which.
    //= docs/spec/output.md#who-speaks
    pub(crate) async fn as_agent(&mut self) -> Result<&mut Client> {
        self.client()?;
        if let Some(operator) = &self.global.operator {
            return Err(usage(format!("an agent speaks here, and --operator {operator} was given"))
                .next("leave out --operator; or leave out --agent, outside of `fwc agent run`"));
        }
        if let Some(name) = self.global.agent.clone() {
            self.open_session(&name, None).await?;
        } else if let Some(session) = &self.session {
            self.client.set_session(Some(session.session.clone()));
        } else {
            let failure = Failure::new(Code::Unauthenticated);
            return Err(failure
                .because("no agent speaks here")
                .next("run it inside `fwc agent run NAME -- COMMAND`, or add --agent NAME"));
        }
        Ok(&mut self.client)
    }

    /// The client, speaking as an agent where one is named, else as an operator.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] if neither is possible.
    pub(crate) async fn as_caller(&mut self) -> Result<&mut Client> {
        if self.global.agent.is_some() || self.session.is_some() {
            self.as_agent().await
        } else {
            self.unlock(SPEAK).await
        }
    }

    /// The client, speaking as an operator whose key is opened for this command, or was for one before it.
    ///
    /// # Errors
    /// [`Code::UsageError`] with `--agent`; [`Code::UnlockFailed`] if the passphrase is wrong; [`Code::Unauthenticated`] if
    /// there is none to be had.
    //= docs/spec/output.md#who-speaks
    pub(crate) async fn as_operator(&mut self) -> Result<&mut Client> {
        if let Some(agent) = &self.global.agent {
            return Err(usage(format!("this is an operator's to do, and --agent {agent} was given"))
                .next("leave out --agent; what agents may ask a person for: `fwc request --help`"));
        }
        let instead = if self.session.is_some() { ASK_A_PERSON } else { SPEAK_AS_OPERATOR };
        self.unlock(instead).await
    }

    /// Has the operator's key opened, if it is not; `instead` is what to do where nobody can be asked for its passphrase.
    async fn unlock(&mut self, instead: &str) -> Result<&mut Client> {
        if self.client()?.is_operator() {
            return Ok(&mut self.client);
        }
        if matches!(self.client.target(), Target::Unix(_)) {
            // Ask for a passphrase only where a daemon can use it.
            self.client.daemon_pid().await?;
        }
        let passphrase = self.passphrase_or(instead)?;
        let operator = self.global.operator.clone();
        let request = UnlockRequest { operator, key_source: KeySourceRequest::Passphrase { passphrase } };
        let unlocked = self.client.send::<UnlockOperator>(&[], &request).await.map_err(|failure| {
            // What is used up are the tries at a passphrase, and no pool of what the command line names.
            if failure.code == Code::RateLimited { failure.next(WAIT) } else { failure }
        })?;
        self.client.set_operator(Some(unlocked.body.bearer));
        Ok(&mut self.client)
    }

    /// The operator's passphrase, from its file or the terminal.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] if there is neither.
    pub(crate) fn passphrase(&self) -> Result<fcp_api::secret::Secret> {
        self.passphrase_or(SPEAK_AS_OPERATOR)
    }

    fn passphrase_or(&self, instead: &str) -> Result<fcp_api::secret::Secret> {
        match &self.global.passphrase_file {
            Some(path) => passphrase::from_file(path),
            None => passphrase::ask("Operator passphrase: ", instead),
        }
    }

    /// A passphrase for a key that is about to be made, from the file or twice from the terminal.
    ///
    /// # Errors
    /// [`Code::InputInvalid`] if the two differ; [`Code::Unauthenticated`] if there is neither.
    pub(crate) fn new_passphrase(&self, question: &str) -> Result<fcp_api::secret::Secret> {
        if self.has_passphrase_file() {
            return self.passphrase();
        }
        let instead = "give it in a file with --passphrase-file";
        let first = passphrase::ask(question, instead)?;
        let second = passphrase::ask("The same again: ", instead)?;
        if first == second {
            return Ok(first);
        }
        let differ = Failure::new(Code::InputInvalid).because("the two passphrases differ");
        Err(differ.next("run the command again; nothing was done"))
    }

    /// Whether the passphrase comes from a file.
    pub(crate) const fn has_passphrase_file(&self) -> bool {
        self.global.passphrase_file.is_some()
    }

    /// Closes the operator's key, if this command opened it. It closes with the connection in any case.
    pub(crate) async fn lock_operator(&mut self) {
        if self.client.is_operator() {
            let locked = self.client.send::<LockOperator>(&[], &Nothing {}).await;
            self.client.set_operator(None);
            drop(locked);
        }
    }

    /// Bytes to sign on this connection.
    ///
    /// # Errors
    /// What the daemon refuses.
    pub(crate) async fn challenge(&mut self) -> Result<ChallengeIssued> {
        Ok(self.client()?.send::<IssueChallenge>(&[], &Nothing {}).await?.body)
    }

    /// Opens a session of the agent whose key lies in the home, and speaks in it from now on.
    ///
    /// # Errors
    /// [`Code::NotFound`] if the home has no key of the agent; what the daemon refuses.
    pub(crate) async fn open_session(
        &mut self,
        agent: &PrincipalId,
        lifetime_secs: Option<u64>,
    ) -> Result<SessionOpened> {
        let key = key_file::load::<Agent>(&self.home.agent_key(agent))
            .map_err(|failure| self.home.trouble().unwrap_or_else(|| without_key(agent, failure)))?;
        let challenge = self.challenge().await?;
        let statement = SessionProof {
            principal_id: agent.clone(),
            node_id: challenge.node,
            channel_binding: challenge.channel_binding.0,
            challenge: challenge.challenge.0,
        };
        let signature = statement.sign(&key).map_err(|error| internal(&format!("the proof: {error:?}")))?;
        let proof = KeyProof { challenge: challenge.challenge, signature };
        let request = OpenSessionRequest { agent: agent.clone(), proof, lifetime_secs };
        let opened = self.client.send::<OpenSession>(&[], &request).await?.body;
        self.client.set_session(Some(opened.session.clone()));
        Ok(opened)
    }

    /// `failure`, or what is amiss with the home, where that is why no daemon answers.
    pub(crate) async fn about_the_home(&mut self, failure: Failure) -> Failure {
        if failure.code != Code::DaemonUnreachable || !self.is_of_this_home() {
            return failure;
        }
        match self.home.trouble() {
            Some(trouble) => trouble,
            None => self.listener().await.explain(failure, &self.home),
        }
    }

    /// Who listens on the home's socket, after nobody answered there.
    pub(crate) async fn listener(&mut self) -> Listener {
        match self.is_of_this_home() {
            true => Listener::find(&mut self.client, &self.home).await,
            false => Listener::Nobody,
        }
    }

    fn is_of_this_home(&self) -> bool {
        matches!(self.client.target(), Target::Unix(path) if *path == self.home.socket())
    }

    /// Asks the daemon how it is, and waits no longer than that may take.
    ///
    /// # Errors
    /// What the daemon refuses, or why it cannot be asked.
    pub(crate) async fn probe<E>(&mut self) -> Result<Reply<E::Answer>>
    where
        E: Endpoint<Request = Nothing, Query = Nothing>,
    {
        let client = self.client()?;
        client.set_timeout(PROBE);
        let answer = client.get::<E>(&[], &Nothing {}).await;
        client.set_timeout(DEFAULT_TIMEOUT);
        answer
    }

    /// As [`Context::probe`], for a person who is told that one waits.
    ///
    /// # Errors
    /// As [`Context::probe`].
    //= docs/spec/output.md#progress
    pub(crate) async fn look<E>(&mut self) -> Result<Reply<E::Answer>>
    where
        E: Endpoint<Request = Nothing, Query = Nothing>,
    {
        let tells = self.renderer.tells_progress();
        let asked = self.probe::<E>();
        tokio::pin!(asked);
        if let Ok(answer) = tokio::time::timeout(BRIEF, &mut asked).await {
            return answer;
        }
        let step = tells.then(|| Steps::detect().begin("Waiting for the daemon to answer"));
        let answer = asked.await;
        match (step, &answer) {
            (Some(step), Ok(_)) => step.done(""),
            (Some(step), Err(failure)) => step.fail(failure.code.name()),
            (None, _) => {}
        }
        answer
    }

    /// Speaks in `opened` in every command from now on.
    pub(crate) fn stay_in(&mut self, opened: &SessionOpened) {
        self.session = Some(SessionFile::new(opened, self.home.socket()));
    }
}

/// What works for an agent whose key is not to be had: an enrolment stays, and so does its name.
fn without_key(agent: &PrincipalId, failure: Failure) -> Failure {
    let lost = format!(
        "put the file back from a backup; if it is lost, `fwc revoke IssuerKey {agent} --reason 'key lost'`, and \
         `fwc agent add OTHER --zone ZONE` for an agent of another name"
    );
    if failure.code == Code::NotFound {
        failure.next(format!(
            "if `fwc agent list` does not have it, `fwc agent add {agent} --zone ZONE` makes it; if it does, {lost}"
        ))
    } else if failure.code == Code::FileForbidden {
        // The file is there, and who it belongs to, or who may read it, is what is wrong.
        failure
    } else {
        failure.next(lost)
    }
}

fn tcp_target(address: SocketAddr, global: &Global) -> Result<Target> {
    let path = global.admission_file.as_ref().ok_or_else(|| {
        usage("--host needs --admission-file: over TCP the daemon admits only who has its token")
    })?;
    Ok(Target::Tcp { address, admission: passphrase::from_file(path)? })
}
