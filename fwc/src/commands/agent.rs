//! `agent`: agents, their keys, and running a command as one.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use clap::{Args, Subcommand};
use fcp_api::client::Target;
use fcp_api::routes::{AddAgent, CloseSession, GetAgent, ListAgents};
use fcp_api::types::{AddAgent as AddAgentRequest, KeyProof, Nothing};
use fcp_proto_core::crypto::proof::EnrolmentProof;
use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, RoleId, ZoneId};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::PASSPHRASE_VARIABLE;
use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::render::{Answer, Outcome};
use crate::session_file::{self, SessionFile};
use crate::{Result, file_failure, internal, key_file, private_file, usage};

/// Agents.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum AgentCommand {
    /// Makes an agent and its key; only the public key leaves this place
    Add(Add),
    /// Lists the agents
    List(List),
    /// Shows an agent
    Show(Show),
    /// Runs a command in a session of the agent
    Run(Run),
}

/// Makes an agent.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc agent add mail --zone z:work\n  fwc agent add review --zone z:project:apollo --role reviewers"
)]
pub(crate) struct Add {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: PrincipalId,
    /// Its zone
    #[arg(long)]
    pub(crate) zone: ZoneId,
    /// A role it gets
    #[arg(long)]
    pub(crate) role: Vec<RoleId>,
}

/// Lists agents.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc agent list")]
pub(crate) struct List {}

/// Shows an agent.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc agent show mail")]
pub(crate) struct Show {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: PrincipalId,
}

/// Runs a command.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc agent run mail -- my-agent --task inbox\n  fwc agent run mail --for 1h -- sh -c 'fwc invoke github.issues.list --set owner=me --set repo=site'"
)]
pub(crate) struct Run {
    /// The agent
    #[arg(value_name = "NAME")]
    pub(crate) name: PrincipalId,
    /// How long the session lasts at most; the command may go on, as nobody. It ends with the command in any case
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// `fwc agent`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: AgentCommand, context: &mut Context) -> Result<Outcome> {
    match command {
        AgentCommand::Add(args) => add(args, context).await,
        AgentCommand::List(List {}) => {
            Ok(Answer::of(context.as_caller().await?.get::<ListAgents>(&[], &Nothing {}).await?)?
                .table(
                    "agents",
                    &[
                        ("name", "AGENT"),
                        ("zone", "ZONE"),
                        ("live_grants", "LIVE GRANTS"),
                        ("open_sessions", "SESSIONS"),
                        ("revoked", "REVOKED"),
                        ("key_id", "KEY"),
                    ],
                )
                .into())
        }
        AgentCommand::Show(args) => {
            let path = [args.name.as_str()];
            Ok(Answer::of(context.as_caller().await?.get::<GetAgent>(&path, &Nothing {}).await?)?.into())
        }
        AgentCommand::Run(args) => run_as(args, context).await,
    }
}

/// Makes the key, stores it, then enrols it: a key that is refused is removed again, one whose fate is not known stays.
async fn add(args: Add, context: &mut Context) -> Result<Outcome> {
    context.as_operator().await?;
    let challenge = context.challenge().await?;
    let key = key_file::generate::<Agent>()?;
    let statement = EnrolmentProof {
        principal_id: args.name.clone(),
        zone_id: args.zone.clone(),
        node_id: challenge.node,
        challenge: challenge.challenge.0,
    };
    let signature = statement.sign(&key).map_err(|error| internal(&format!("the proof: {error:?}")))?;
    let (path, name) = (context.home.agent_key(&args.name), args.name);
    private_file::create_folder(&context.home.agents())?;
    key_file::store(&path, &key).map_err(|failure| {
        let next = format!(
            "if `fwc agent list` has {name}, take another name; if not, remove {} and try again",
            path.display()
        );
        if failure.code == Code::Conflict { failure.next(next) } else { failure }
    })?;
    let request = AddAgentRequest {
        name,
        zone: args.zone,
        public_key: key.verifying_key(),
        key_source: "file".into(),
        proof: KeyProof { challenge: challenge.challenge, signature },
        roles: args.role,
    };
    match context.client()?.send::<AddAgent>(&[], &request).await {
        Ok(reply) => {
            let (name, zone) = (&reply.body.name, reply.body.zone.clone());
            let grant = format!("fwc grant add {name} OPERATION --zone {zone} --for 30d --allow PATTERN");
            let silenced = reply.body.zone_key_revoked;
            let answer = Answer::of(reply)?.note(format!("its key lies in {}", path.display()));
            let answer = match silenced {
                true => answer
                    .note(format!("it can make no call yet: the key of {zone} is revoked"))
                    .next(format!("fwc zones rekey {zone}")),
                false => answer,
            };
            Ok(answer.next(grant).into())
        }
        Err(failure) if failure.code == Code::DaemonUnreachable && !failure.retryable => Err(failure),
        Err(failure) => {
            std::fs::remove_file(&path).map_err(|error| file_failure("remove", &path, &error))?;
            let next =
                "take another name: one that `fwc agent list` has stays taken, also when its key is revoked";
            Err(if failure.code == Code::Conflict { failure.next(next) } else { failure })
        }
    }
}

async fn run_as(args: Run, context: &mut Context) -> Result<Outcome> {
    let Target::Unix(socket) = context.client()?.target().clone() else {
        return Err(usage("sessions are handed down over the unix socket only").next("leave out --host"));
    };
    let (program, arguments) =
        args.command.split_first().ok_or_else(|| usage("there is no command after `--`"))?;
    // The daemon ends the session when this connection closes, so it stays open while the command runs.
    let opened = context.open_session(&args.name, args.lifetime.map(Lifetime::as_secs)).await?;
    let file = SessionFile::new(&opened, socket).store(&context.home.sessions());
    let ended = match &file {
        Ok(file) => run_child(program, arguments, file.path(), context).await,
        Err(failure) => Err(failure.clone()),
    };
    drop(file);
    let id = opened.session_id.to_string();
    // The command's end is what counts. A session that cannot be closed is over already, or ends with this connection.
    drop(context.client()?.send::<CloseSession>(&[&id], &Nothing {}).await);
    ended.map(Outcome::Exit)
}

async fn run_child(
    program: &std::ffi::OsString,
    arguments: &[std::ffi::OsString],
    session: &Path,
    context: &Context,
) -> Result<u8> {
    let mut command = Command::new(program);
    command.args(arguments).env(session_file::VARIABLE, session).env("FCP_HOME", context.home.path());
    // What opens the operator's key is not the agent's to know.
    command.env_remove(PASSPHRASE_VARIABLE).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| {
        file_failure("run", Path::new(program), &error).next("check the command after `--`")
    })?;
    let status =
        wait(&mut child).await.map_err(|error| internal(&format!("the command is lost: {error}")))?;
    Ok(exit_code(status))
}

/// Waits for the child; a terminal's interrupt reaches it by itself, a request to end is passed on.
async fn wait(child: &mut Child) -> std::io::Result<ExitStatus> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
                if let Some(pid) = pid {
                    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
                }
            }
        }
    }
}

/// The child's exit code, or 128 and the signal that ended it, as shells have it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
