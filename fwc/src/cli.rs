//! The command line: global options, the commands, and what becomes of a line that cannot be understood.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;

use crate::commands::Command;
use crate::commands::agent::AgentCommand;
use crate::output::Format;
use crate::remedy::Known;
use crate::render::{Outcome, Renderer, Stream};
use crate::speaker::Speaker;
use crate::{Failure, usage};

/// The variable that names the file of the operator's passphrase.
pub(crate) const PASSPHRASE_VARIABLE: &str = "FCP_PASSPHRASE_FILE";

/// Reads one of `all` by its name, so that a wrong one is answered with those there are.
pub(crate) fn one_of<T>(all: &[T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err: std::error::Error + Send + Sync> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|it| name(*it))).try_map(|text| text.parse())
}

/// Lets AI agents use outside services without trusting the agent, the connector or the network
#[derive(Parser, Clone, Debug)]
#[command(name = "fwc", version, arg_required_else_help = true, subcommand_required = true)]
#[command(
    after_help = "Examples:\n  fwc up\n  fwc list\n  fwc agent run mail -- fwc invoke github.issues.list --set owner=me --set repo=site\n\n\
    Exit codes: 0 done, 1 defect, 2 usage, 3 no such command, 4 ambiguous, 5 invalid input, 6 denied,\n\
    7 service or connector failed, 8 daemon unreachable, 9 approval required, 10 outcome unknown"
)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The command's name, as typed: `agent list`.
    #[arg(skip)]
    pub(crate) name: String,
    /// What it names.
    #[arg(skip)]
    pub(crate) known: Known,
}

impl Cli {
    /// What shows this command's answer.
    pub(crate) fn renderer(&self) -> Renderer {
        let is_document = matches!(
            self.command,
            Command::Convert(_) | Command::Completions(_) | Command::Agent(AgentCommand::Run(_))
        );
        let stream = if is_document { Stream::Document } else { Stream::Answer };
        Renderer::new(&self.global, &self.name, stream).knowing(self.known.clone())
    }
}

/// What holds for every command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The FCP home; ~/.fcp when neither this nor FCP_HOME is given
    #[arg(long, global = true, env = "FCP_HOME", hide_env_values = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Shows answers and failures as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How to show them; a table on a terminal and TOON elsewhere when absent
    #[arg(long, global = true)]
    pub(crate) format: Option<Format>,
    /// Reads installed manifests instead of asking the daemon, and says so
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Speaks as this agent, whose key lies in the home, for this command
    #[arg(long = "agent", id = "global_agent", global = true, value_name = "NAME")]
    pub(crate) agent: Option<PrincipalId>,
    /// Speaks as this operator; needed only where there are several
    #[arg(long = "operator", id = "global_operator", global = true, value_name = "NAME")]
    pub(crate) operator: Option<PrincipalId>,
    /// A file that holds the operator's passphrase; asked for on the terminal otherwise
    #[arg(long, global = true, env = PASSPHRASE_VARIABLE, hide_env_values = true, value_name = "PATH")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A daemon on TCP of this machine instead of the home's socket
    #[arg(long, global = true, value_name = "ADDRESS:PORT", requires = "admission_file", value_parser = loopback)]
    pub(crate) host: Option<SocketAddr>,
    /// A file that holds the token with which a daemon on TCP admits callers
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) admission_file: Option<PathBuf>,
}

/// Reads an address of this machine's own: the admission token and what follows it are sent unencrypted. No name is looked
/// up, so that nobody who answers for names decides where the token goes.
//= docs/spec/api.md#transport
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    };
    address.filter(|address| address.ip().is_loopback()).ok_or_else(|| {
        "it is no loopback address with a port, such as 127.0.0.1:7000, [::1]:7000 or localhost:7000, and a daemon \
         listens on no other"
            .to_owned()
    })
}

/// Why a command line is not run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or the version was asked for.
    Shown(clap::Error),
    /// It cannot be understood; to be told in this format, if its words name one.
    Refused(Failure, Option<Format>),
}

impl Stop {
    /// Shows it, and returns its exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (format, outcome) = match self {
            Self::Shown(help) => (None, Ok(Outcome::Text(help.to_string()))),
            Self::Refused(failure, format) => (format, Err(failure)),
        };
        let global = Global { format, ..Global::default() };
        // Where nobody names a format, words are the one form that every reader of a misspelt line can use.
        let stream = if format.is_some() { Stream::Answer } else { Stream::Document };
        Renderer::new(&global, "", stream).finish(outcome)
    }
}

/// Reads a command line.
///
/// # Errors
/// Help that was asked for, or what is wrong with the line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Stop> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let format = format_in(&arguments);
    let parsed = command().try_get_matches_from(&arguments).and_then(|matches| {
        let (name, known) = (name_of(&matches), Known::of(&matches));
        Ok((Cli { name, known, ..Cli::from_arg_matches(&matches)? }, matches))
    });
    if let Ok((cli, matches)) = &parsed
        && let Some(failure) = idle_speaker(cli, matches)
    {
        return Err(Stop::Refused(failure, format));
    }
    parsed.map(|(cli, _)| cli).map_err(|error| {
        // The usage line names what was given; what the environment gave was not typed.
        let mut typed = command().mut_args(|argument| argument.env(None));
        let error = typed.try_get_matches_from_mut(&arguments).err().unwrap_or(error);
        stop(error, &named_by(&typed, &arguments), format)
    })
}

/// What was typed to say who speaks, for a command to which that makes no difference. What the environment says is said to
/// whatever command there is.
//= docs/spec/output.md#who-speaks
fn idle_speaker(cli: &Cli, matches: &ArgMatches) -> Option<Failure> {
    let speaker = cli.command.speaker(&cli.name) == Speaker::Nobody;
    let passphrase = !cli.command.takes_passphrase(&cli.name);
    // Whoever may send the daemon's process a signal is asked for no name; an agent is refused in words of its own.
    let by_signal = matches!(cli.command, Command::Down(_)) && cli.global.host.is_none();
    let options = [
        ("global_agent", "--agent", speaker),
        ("global_operator", "--operator", speaker || by_signal),
        ("passphrase_file", "--passphrase-file", passphrase || by_signal),
    ];
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let (_, option, _) = options.into_iter().find(|(id, _, is_idle)| *is_idle && typed(id))?;
    let why = format!("{option} was given, and `fwc {}` does not depend on who speaks", cli.name);
    Some(usage(why).next(format!("leave out {option}")))
}

/// The format that the words of a line ask for, understood or not.
//= docs/spec/output.md#envelope
fn format_in(words: &[OsString]) -> Option<Format> {
    // Before `--`, so that a command run by `agent run` does not decide how we fail.
    let words: Vec<&str> =
        words.iter().take_while(|word| *word != "--").map(|word| word.to_str().unwrap_or_default()).collect();
    if words.contains(&"--json") {
        return Some(Format::Json);
    }
    let behind = words.windows(2).filter(|pair| pair[0] == "--format").map(|pair| pair[1]);
    let within = words.iter().filter_map(|word| word.strip_prefix("--format="));
    within.chain(behind).find_map(|name| <Format as ValueEnum>::from_str(name, false).ok())
}

/// What the words name of the commands, as far as they name one.
struct Named {
    /// Its words.
    path: String,
    /// Its usage.
    usage: String,
    /// The arguments that it cannot do without.
    required: Vec<String>,
}

/// What the words name.
fn named_by(command: &clap::Command, words: &[OsString]) -> Named {
    let (mut named, mut path) = (command, "fwc".to_owned());
    let mut words =
        words.iter().skip(1).take_while(|word| *word != "--").map(|word| word.to_str().unwrap_or_default());
    while let Some(word) = words.next() {
        if takes_value(command, word) {
            words.next();
        } else if let Some(found) = named.find_subcommand(word) {
            path.push_str(&format!(" {}", found.get_name()));
            named = found;
        }
    }
    let usage = named.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let required = named.get_arguments().filter(|argument| argument.is_required_set());
    Named { path, usage, required: required.map(ToString::to_string).collect() }
}

/// Whether a word is an option for every command whose value is the next word, whatever that is the name of.
pub(crate) fn takes_value(command: &clap::Command, word: &str) -> bool {
    let option = word.strip_prefix("--");
    let mut arguments =
        command.get_arguments().filter(|it| it.get_long().is_some() && it.get_long() == option);
    arguments.any(|it| it.get_action().takes_values())
}

/// The commands as data, for completions and the test of the help.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

fn name_of(matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    let mut inner = matches;
    while let Some((word, next)) = inner.subcommand() {
        words.push(word);
        inner = next;
    }
    words.join(" ")
}

fn stop(error: clap::Error, named: &Named, format: Option<Format>) -> Stop {
    let kind = error.kind();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        Stop::Shown(error)
    } else if kind == ErrorKind::InvalidSubcommand {
        Stop::Refused(unknown_command(&error), format)
    } else {
        Stop::Refused(wrong_usage(&error, named), format)
    }
}

fn unknown_command(error: &clap::Error) -> Failure {
    let name = text_of(error, ContextKind::InvalidSubcommand).join(" ");
    let failure = Failure::new(Code::CommandUnknown).because(format!("there is no command {name:?}"));
    match text_of(error, ContextKind::SuggestedSubcommand).as_slice() {
        [] => failure,
        near => failure.next(format!("did you mean `{}`? `fwc --help` lists all", near.join("` or `"))),
    }
}

fn wrong_usage(error: &clap::Error, named: &Named) -> Failure {
    let near =
        [ContextKind::SuggestedArg, ContextKind::SuggestedValue].map(|kind| text_of(error, kind)).concat();
    let failure = usage(what_is_wrong(error, named));
    let help = format!("`{} --help` shows examples; usage: {}", named.path, named.usage);
    match near.as_slice() {
        [] => failure.next(help),
        near => failure.next(format!("did you mean `{}`? {help}", near.join("` or `"))),
    }
}

/// What is wrong, with the arguments that it is about.
fn what_is_wrong(error: &clap::Error, named: &Named) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let why = first.strip_prefix("error: ").unwrap_or(first);
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let missing = text_of(error, ContextKind::InvalidArg);
        // The parser names nothing where one of a group was given and something else is missing.
        let missing = if missing.is_empty() { &named.required } else { &missing };
        format!("missing: {}", missing.join(", "))
    } else if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".to_owned()
    } else if why.ends_with(':') {
        let listed = text.lines().skip(1).take_while(|line| !line.is_empty()).map(str::trim);
        format!("{why} {}", listed.collect::<Vec<_>>().join(", "))
    } else {
        match text_of(error, ContextKind::ValidValue).as_slice() {
            [] => why.to_owned(),
            valid => format!("{why}; there are {}", valid.join(", ")),
        }
    }
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(_) | None => Vec::new(),
    }
}
