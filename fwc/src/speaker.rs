//! Who speaks in each command, and what of the line that failed the next commands need to be said again.

use clap::ArgMatches;
use clap::parser::ValueSource;
use fcp_api::shell::quoted;

/// Who speaks in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Nobody, or whom it says by itself.
    Nobody,
    /// An agent.
    Agent,
    /// An operator.
    Operator,
    /// An agent where one is named, else an operator.
    Either,
}

/// Commands that an agent gives.
const AGENTS: [&str; 5] = ["invoke", "preflight", "request", "simulate", "token mint"];

/// Commands that an agent or an operator gives.
const EITHERS: [&str; 15] = [
    "agent show",
    "approvals list",
    "approvals show",
    "approvals watch",
    "audit tail",
    "audit verify",
    "cancel",
    "context show",
    "explain",
    "grant list",
    "grant show",
    "history",
    "receipts list",
    "receipts show",
    "result",
];

/// Commands that an operator gives, or that lead on only where one does.
const OPERATORS: [&str; 28] = [
    "agent add",
    // An agent sees itself alone there, and one whose key is gone is told to look for itself.
    "agent list",
    "approvals approve",
    "approvals deny",
    "auth list",
    "auth remove",
    "auth set",
    "auth test",
    "context new",
    "disable",
    "enable",
    "exception egress",
    "exception remove",
    "exception sandbox",
    "grant add",
    "install",
    "node renew",
    "revoke",
    "role add",
    "role give",
    "role list",
    "role remove",
    "role show",
    "role take",
    "settle",
    "uninstall",
    "zones add",
    "zones policy",
];

/// All of them.
#[cfg(test)]
pub(crate) const ALL: [&[&str]; 3] = [&AGENTS, &EITHERS, &OPERATORS];

impl Speaker {
    /// Who speaks in the command of this name, such as `agent list`.
    //= docs/spec/output.md#who-speaks
    pub(crate) fn of(name: &str) -> Self {
        let lists =
            [(&AGENTS[..], Self::Agent), (&EITHERS[..], Self::Either), (&OPERATORS[..], Self::Operator)];
        let found = lists.into_iter().find(|(names, _)| names.contains(&name));
        found.map_or(Self::Nobody, |(_, speaker)| speaker)
    }
}

/// Options for every command that were typed; what the environment says is said to the next command too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    home: Option<String>,
    agent: Option<String>,
    operator: Option<String>,
}

impl Typed {
    /// What a line has of them.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let typed = |option: &str| {
            let is_typed = matches.value_source(option) == Some(ValueSource::CommandLine);
            let mut values = matches.get_raw(option).filter(|_| is_typed)?;
            Some(values.next()?.to_str()?.to_owned())
        };
        Self { home: typed("home"), agent: typed("global_agent"), operator: typed("global_operator") }
    }

    /// `command` in the same home, spoken by the same speaker where it is for one of that kind.
    //= docs/spec/output.md#envelope
    pub(crate) fn said_again(&self, command: &str) -> String {
        let Some(rest) = command.strip_prefix("fwc ") else { return command.to_owned() };
        let own = rest.split(" -- ").next().unwrap_or_default();
        let has = |option: &str| own.split(' ').any(|word| word == option);
        if has("--help") {
            return command.to_owned();
        }
        let speaker = Speaker::of(&name_of(rest));
        let by_agent = matches!(speaker, Speaker::Agent | Speaker::Either);
        let by_operator = match speaker {
            Speaker::Operator => true,
            Speaker::Either => self.agent.is_none(),
            Speaker::Agent | Speaker::Nobody => false,
        };
        let options = [
            ("--home", self.home.as_deref()),
            ("--agent", self.agent.as_deref().filter(|_| by_agent)),
            ("--operator", self.operator.as_deref().filter(|_| by_operator)),
        ];
        let missing = options.into_iter().filter(|(option, _)| !has(option));
        let said = missing.filter_map(|(option, value)| Some(format!("{option} {} ", quoted(value?))));
        format!("fwc {}{rest}", said.collect::<String>())
    }
}

/// The name of the command that the words behind `fwc` give; empty for a group or none.
fn name_of(rest: &str) -> String {
    let all = crate::cli::command();
    let (mut named, mut name) = (&all, Vec::new());
    let mut words = rest.split(' ').take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if crate::cli::takes_value(&all, word) {
            words.next();
        } else if let Some(found) = named.find_subcommand(word) {
            name.push(found.get_name());
            named = found;
        }
    }
    name.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_again(line: &str, command: &str) -> String {
        let words = ["fwc"].into_iter().chain(line.split(' '));
        Typed::of(&crate::cli::command().try_get_matches_from(words).unwrap()).said_again(command)
    }

    //= docs/spec/output.md#envelope
    #[test]
    fn the_next_command_is_of_the_same_home_and_the_same_speaker() {
        for (line, command, expected) in [
            (
                "--home /h --agent mail invoke a.b",
                "fwc request a.b --input {}",
                "fwc --home /h --agent mail request a.b --input {}",
            ),
            (
                "--home /h --agent mail invoke a.b",
                "fwc approvals approve ID",
                "fwc --home /h approvals approve ID",
            ),
            ("--home /h --agent mail invoke a.b", "fwc status", "fwc --home /h status"),
            ("--agent mail invoke a.b", "fwc --agent mail cancel ID", "fwc --agent mail cancel ID"),
            (
                "--agent mail invoke a.b",
                "fwc agent run mail -- fwc --home x list",
                "fwc agent run mail -- fwc --home x list",
            ),
            ("--operator bob grant list", "fwc explain ID", "fwc --operator bob explain ID"),
            ("--operator bob grant list", "fwc request a.b", "fwc request a.b"),
            ("--operator bob enable a", "fwc --home /x enable a", "fwc --operator bob --home /x enable a"),
            ("--home /it's status", "fwc up", "fwc --home '/it'\\''s' up"),
            ("status", "fwc doctor", "fwc doctor"),
            ("--home /h --agent mail invoke a.b", "fwc invoke --help", "fwc invoke --help"),
        ] {
            assert_eq!(said_again(line, command), expected, "{line}");
        }
    }
}
