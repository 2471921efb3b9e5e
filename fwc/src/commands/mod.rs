//! The commands, one file a group: each is arguments, what the daemon is asked, and the answer.

pub(crate) mod agent;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod connector;
pub(crate) mod context;
pub(crate) mod convert;
pub(crate) mod daemon;
pub(crate) mod discover;
pub(crate) mod doctor;
pub(crate) mod exception;
pub(crate) mod grant;
pub(crate) mod history;
pub(crate) mod node;
pub(crate) mod operator;
pub(crate) mod package;
pub(crate) mod role;
pub(crate) mod scaffold;
pub(crate) mod search;
pub(crate) mod settle;
pub(crate) mod token;
pub(crate) mod up;
mod wishes;
pub(crate) mod zones;

use clap::Subcommand;

use crate::Result;
use crate::context::Context;
use crate::render::Outcome;
use crate::speaker::Speaker;

/// Every command.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Starts the daemon, and makes the home's owner if it has none
    Up(up::Up),
    /// Stops the daemon
    Down(daemon::Down),
    /// Shows the whole of it in a new home: real calls, approvals, refusals, a revocation
    Quickstart(crate::quickstart::Quickstart),
    /// Shows how the daemon is, and what the owner should know
    Status(daemon::Status),
    /// Looks for what is wrong, with or without a daemon
    Doctor(doctor::Doctor),
    /// Lists the connectors
    List(discover::List),
    /// Shows a connector in full
    Show(discover::Show),
    /// Lists the operations of a connector
    Ops(discover::Ops),
    /// Shows an operation with its schemas
    Schema(discover::Schema),
    /// Finds connectors and operations by words
    Search(search::Search),
    /// Makes a call
    Invoke(call::Invoke),
    /// Shows what the gate would say to a call, spending nothing
    Simulate(call::Simulate),
    /// Shows whether an operation could be called at all
    Preflight(call::Preflight),
    /// Cancels a call
    Cancel(call::Cancel),
    /// Asks a person to approve a call, or for a grant
    Request(approvals::Request),
    /// Requests that wait for a person, and what to decide
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc approvals list --status pending\n  fwc approvals approve ID --for 30m"
    )]
    Approvals(approvals::Approvals),
    /// Lists calls, newest first
    History(history::History),
    /// Says what a call of unknown outcome turned out to have done
    Settle(settle::Settle),
    /// Signed records of decisions and of calls' ends
    #[command(subcommand, after_help = "Examples:\n  fwc receipts list --by mail\n  fwc receipts show ID")]
    Receipts(history::Receipts),
    /// Reads a kept result, which then joins the reader's context
    Result(history::ReadResult),
    /// The audit chain
    #[command(subcommand, after_help = "Examples:\n  fwc audit verify\n  fwc audit tail --follow")]
    Audit(audit::Audit),
    /// Says why something is as it is, and what would permit it
    Explain(audit::Explain),
    /// Agents and their keys
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc agent add mail --zone z:work\n  fwc agent run mail -- my-agent --task inbox"
    )]
    Agent(agent::AgentCommand),
    /// Grants that agents share
    #[command(subcommand, after_help = "Examples:\n  fwc role add reviewers\n  fwc role give reviewers mail")]
    Role(role::Role),
    /// Who approves, grants, installs and revokes
    #[command(subcommand, after_help = "Examples:\n  fwc operator list\n  fwc operator add alice --replace")]
    Operator(operator::Operator),
    /// The owner's own key
    #[command(subcommand, after_help = "Examples:\n  fwc owner restore")]
    Owner(operator::Owner),
    /// The owner's word for this device
    #[command(subcommand, after_help = "Examples:\n  fwc node renew --for 90d")]
    Node(node::Node),
    /// What agents may call
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc grant add mail github.issues.list --zone z:work --for 30d --allow 'github:repo/me/**' --credential me\n  fwc grant list --to mail --live"
    )]
    Grant(grant::Grant),
    /// Revokes a token, grant, key, node, zone key or connector
    Revoke(grant::Revoke),
    /// Lists what was revoked
    Revocations(grant::Revocations),
    /// Capability tokens
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc --agent mail token mint github.issues.list --to tokens"
    )]
    Token(token::Token),
    /// Credentials of outside services
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc auth set me --connector github --slot token --zone z:work --kind bearer --stdin < token\n  fwc auth list"
    )]
    Auth(auth::Auth),
    /// Zones and what may happen in them
    #[command(subcommand, after_help = "Examples:\n  fwc zones list\n  fwc zones show z:work")]
    Zones(zones::Zones),
    /// What agents have read
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc --agent mail context show\n  fwc context new mail --reason 'a task of its own'"
    )]
    Context(context::ContextCommand),
    /// Walls that the owner lowers, each on record
    #[command(subcommand, after_help = "Examples:\n  fwc exception list\n  fwc exception remove ID")]
    Exception(exception::Exception),
    /// Installs a connector
    Install(connector::Install),
    /// Removes a connector; its receipts and audit remain
    Uninstall(connector::Uninstall),
    /// Lets calls reach a connector
    Enable(connector::Enable),
    /// Refuses calls to a connector and ends those open
    Disable(connector::Disable),
    /// Builds, signs and looks into connector packages
    #[command(
        subcommand,
        after_help = "Examples:\n  fwc package keygen publisher.key\n  fwc package build my-connector --out my-connector.fcp"
    )]
    Package(package::Package),
    /// Begins a new declarative connector
    New(scaffold::New),
    /// Converts data between formats, from standard input to standard output
    Convert(convert::Convert),
    /// Writes a completion script for a shell
    Completions(scaffold::Completions),
}

impl Command {
    /// Whether it neither asks a daemon nor speaks for anybody here, so that a session handed down is none of its business.
    pub(crate) const fn asks_nobody(&self) -> bool {
        matches!(
            self,
            Self::Quickstart(_) | Self::Package(_) | Self::New(_) | Self::Convert(_) | Self::Completions(_)
        )
    }
}

impl Command {
    /// Who speaks in it, so that naming who speaks makes a difference; `name` is the command's.
    //= docs/spec/output.md#who-speaks
    pub(crate) fn speaker(&self, name: &str) -> Speaker {
        // Each of these refuses an agent in words of its own, and more besides.
        let by_itself = matches!(self, Self::Down(_) | Self::Quickstart(_))
            || matches!(self, Self::Package(command) if command.is_for_the_owner());
        if by_itself { Speaker::Operator } else { Speaker::of(name) }
    }

    /// Whether it takes a passphrase although nobody speaks: the one that a key gets.
    pub(crate) fn takes_passphrase(&self, name: &str) -> bool {
        self.speaker(name) != Speaker::Nobody
            || matches!(self, Self::Up(_) | Self::Operator(operator::Operator::Add(_)) | Self::Owner(_))
    }
}

/// Runs a command.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Command, context: &mut Context) -> Result<Outcome> {
    match command {
        Command::Up(args) => up::run(args, context).await,
        Command::Down(args) => daemon::down(args, context).await,
        Command::Quickstart(args) => crate::quickstart::run(args, context).await,
        Command::Status(args) => daemon::status(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::List(args) => discover::list(args, context).await,
        Command::Show(args) => discover::show(args, context).await,
        Command::Ops(args) => discover::ops(args, context).await,
        Command::Schema(args) => discover::schema(args, context).await,
        Command::Search(args) => search::run(args, context).await,
        Command::Invoke(args) => call::invoke(args, context).await,
        Command::Simulate(args) => call::simulate(args, context).await,
        Command::Preflight(args) => call::preflight(args, context).await,
        Command::Cancel(args) => call::cancel(args, context).await,
        Command::Request(args) => approvals::request(args, context).await,
        Command::Approvals(command) => approvals::run(command, context).await,
        Command::History(args) => history::history(args, context).await,
        Command::Settle(args) => settle::run(args, context).await,
        Command::Receipts(command) => history::receipts(command, context).await,
        Command::Result(args) => history::result(args, context).await,
        Command::Audit(command) => audit::run(command, context).await,
        Command::Explain(args) => audit::explain(args, context).await,
        Command::Agent(command) => agent::run(command, context).await,
        Command::Role(command) => role::run(command, context).await,
        Command::Operator(command) => operator::run(command, context).await,
        Command::Owner(command) => operator::owner(command, context).await,
        Command::Node(command) => node::run(command, context).await,
        Command::Grant(command) => grant::run(command, context).await,
        Command::Revoke(args) => grant::revoke(args, context).await,
        Command::Revocations(args) => grant::revocations(args, context).await,
        Command::Token(command) => token::run(command, context).await,
        Command::Auth(command) => auth::run(command, context).await,
        Command::Zones(command) => zones::run(command, context).await,
        Command::Context(command) => self::context::run(command, context).await,
        Command::Exception(command) => exception::run(command, context).await,
        Command::Install(args) => connector::install(args, context).await,
        Command::Uninstall(args) => connector::uninstall(args, context).await,
        Command::Enable(args) => connector::enable(args, context).await,
        Command::Disable(args) => connector::disable(args, context).await,
        Command::Package(command) => package::run(command, context),
        Command::New(args) => scaffold::new(args),
        Command::Convert(args) => self::convert::run(args),
        Command::Completions(args) => scaffold::completions(args),
    }
}
