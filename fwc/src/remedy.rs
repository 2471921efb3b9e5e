//! What to do after a failure, in the words of the command line that failed: what it names stands in the step as it is
//! called, and a step about what a command takes is about this one.

use clap::ArgMatches;
use clap::parser::ValueSource;
use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;

use crate::Failure;
use crate::speaker::Typed;

/// What a command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    things: Vec<(&'static str, String)>,
    operations: Vec<String>,
    typed: Typed,
}

/// What steps call by words in capitals, and the arguments that say which it is; the first that was given counts.
const THINGS: [(&str, &[&str]); 8] = [
    ("CONNECTOR", &["connector"]),
    ("ZONE", &["zone"]),
    ("AGENT", &["agent", "global_agent"]),
    ("CREDENTIAL", &["credential", "account"]),
    ("PACKAGE", &["package"]),
    ("TOKEN", &["token_file"]),
    ("FOLDER", &["folder"]),
    ("SLOT", &["slot"]),
];

impl Known {
    /// What the innermost command was given.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let (group, mut innermost) = (matches.subcommand_name(), matches);
        while let Some((_, inner)) = innermost.subcommand() {
            innermost = inner;
        }
        let (agent, operations) = operations(group, innermost);
        let mut things = Vec::from_iter(agent.map(|agent| ("AGENT", agent)));
        // What `auth` and `agent` call a name is the thing itself; an agent that is only to be made does nothing yet.
        let named = match group {
            Some("auth") => Some("CREDENTIAL"),
            Some("agent") if matches.subcommand().and_then(|(_, it)| it.subcommand_name()) == Some("add") => {
                None
            }
            Some("agent" | "context") => Some("AGENT"),
            Some(_) | None => None,
        };
        things.extend(named.and_then(|thing| Some((thing, single(innermost, "name")?))));
        for (thing, arguments) in THINGS {
            let value = arguments.iter().find_map(|argument| single(innermost, argument));
            things.extend(value.map(|value| (thing, value)));
        }
        Self { things, operations, typed: Typed::of(matches) }
    }

    /// The next step of `failure` with what is known in the commands that it names.
    pub(crate) fn filled(&self, failure: &Failure) -> String {
        commands_in(&failure.next, |command| self.command(command, why(failure)))
    }

    /// `step`, whose commands are of the same home and speaker as this one.
    pub(crate) fn said_again(&self, step: &str) -> String {
        match step.starts_with("fwc ") && !step.contains('`') {
            true => self.typed.said_again(step),
            false => commands_in(step, |command| self.typed.said_again(command)),
        }
    }

    fn command(&self, command: &str, why: &str) -> String {
        let each = command.split(' ').map(|word| {
            let known = self.find(thing(word, command), why);
            known.map_or_else(|| word.to_owned(), quoted)
        });
        each.collect::<Vec<_>>().join(" ")
    }

    /// What `thing` stands for in a step after a failure for the reason `why`.
    fn find(&self, thing: &str, why: &str) -> Option<&str> {
        let named = self.things.iter().find(|(known, _)| *known == thing).map(|(_, value)| value.as_str());
        match thing {
            "OPERATION" => self.operation(why),
            "CONNECTOR" => named.or_else(|| Some(self.operation(why)?.split_once('.')?.0)),
            _ => named,
        }
    }

    /// The operation that was named; of several, the one that the reason is about.
    fn operation(&self, why: &str) -> Option<&str> {
        match self.operations.as_slice() {
            [one] => Some(one),
            several => several.iter().find(|it| why.split([' ', ',', ';', ':', '`']).any(|word| word == *it)),
        }
        .map(String::as_str)
    }

    /// What helps after `failure` of `command`, where the registry can only say it in general: of a wrong input, what this very
    /// command takes.
    //= docs/spec/output.md#envelope
    pub(crate) fn in_particular(&self, failure: &Failure, command: &str) -> Option<String> {
        if failure.next != failure.code.next_step() {
            return None;
        }
        let operation = self.operation(why(failure));
        if failure.code == Code::RateLimited && operation.is_none() {
            // Where no operation is called, what is used up is none of its pools.
            return Some(WAIT.to_owned());
        }
        if !failure.code.is_of_input() || command.is_empty() {
            return None;
        }
        let shows = match operation {
            Some(operation) => format!("`fwc schema {operation}` shows what it takes"),
            None => format!("`fwc {command} --help` shows what it takes"),
        };
        Some(format!("correct what the reason names; {shows}"))
    }
}

/// What helps where something other than a rate pool of an operation is used up, such as the tries at a passphrase.
pub(crate) const WAIT: &str = "wait for the time named, then try again; `fwc status` shows how the daemon is";

fn why(failure: &Failure) -> &str {
    failure.why.as_deref().unwrap_or_default()
}

/// `step` with every command that it names, between backticks, written anew.
fn commands_in(step: &str, anew: impl Fn(&str) -> String) -> String {
    let parts = step.split('`').enumerate().map(|(at, part)| match at % 2 {
        1 if part.starts_with("fwc ") => anew(part),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// What `word` of `command` stands for, where that depends on the command.
fn thing<'a>(word: &'a str, command: &str) -> &'a str {
    match (word, command.split(' ').nth(1)) {
        ("NAME", _) if command.contains("--credential NAME") => "CREDENTIAL",
        ("NAME", Some("auth")) => "CREDENTIAL",
        ("NAME", Some("agent")) => "AGENT",
        ("FILE", Some("token")) => "TOKEN",
        ("FILE", Some("install" | "package")) => "PACKAGE",
        (word, _) => word,
    }
}

/// The agent and the operations that were named; an operation in one word or in two, and a grant's first word is the agent.
fn operations(group: Option<&str>, matches: &ArgMatches) -> (Option<String>, Vec<String>) {
    let all = |argument: &str| -> Vec<String> {
        let words = matches.try_get_raw(argument).ok().flatten();
        words.into_iter().flatten().filter_map(|word| word.to_str().map(str::to_owned)).collect()
    };
    let mut words = all("words");
    match (group, words.as_slice()) {
        (Some("grant"), [_, ..]) if all("role").is_empty() => {
            let agent = words.remove(0);
            (Some(agent), words)
        }
        (Some("grant"), _) => (None, words),
        (Some("search"), _) => (None, Vec::new()),
        (_, [connector, operation]) if !operation.starts_with(&format!("{connector}.")) => {
            (None, vec![format!("{connector}.{operation}")])
        }
        (_, [.., operation]) => (None, Vec::from_iter(operation.contains('.').then(|| operation.clone()))),
        (_, _) => (None, all("operations")),
    }
}

/// The value of an argument that was given once.
fn single(matches: &ArgMatches, argument: &str) -> Option<String> {
    let typed = matches.try_contains_id(argument).ok()?
        && matches.value_source(argument) != Some(ValueSource::DefaultValue);
    let mut values = matches.try_get_raw(argument).ok().flatten().filter(|_| typed)?;
    let value = values.next()?.to_str()?.to_owned();
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(line: &str) -> Known {
        let words = ["fwc"].into_iter().chain(line.split(' '));
        Known::of(&crate::cli::command().try_get_matches_from(words).unwrap())
    }

    fn filled(line: &str, step: &str) -> String {
        let failure = Failure::new(Code::OperationNotGranted).because("no grant gives mail a.c");
        known(line).filled(&failure.next(step))
    }

    //= docs/spec/output.md#envelope
    #[test]
    fn a_word_in_capitals_is_what_the_command_line_calls_it() {
        for (line, step, expected) in [
            (
                "--agent mail invoke a b.c",
                "ask: `fwc request OPERATION --grant 1h`",
                "ask: `fwc request a.b.c --grant 1h`",
            ),
            (
                "invoke a.b --zone z:work",
                "`fwc show CONNECTOR` in ZONE, `fwc zones show ZONE`",
                "`fwc show a` in ZONE, `fwc zones show z:work`",
            ),
            (
                "auth test me",
                "`fwc auth test NAME`, `fwc agent run NAME -- COMMAND`",
                "`fwc auth test me`, `fwc agent run NAME -- COMMAND`",
            ),
            (
                "agent show mail",
                "`fwc auth test NAME`, `fwc agent show NAME`",
                "`fwc auth test NAME`, `fwc agent show mail`",
            ),
            (
                "grant add mail a.b --zone z:work --for 1h",
                "`fwc grant add AGENT OPERATION --zone ZONE`",
                "`fwc grant add mail a.b --zone z:work`",
            ),
            (
                "install it's.fcp",
                "`fwc package inspect FILE`; `fwc token inspect --file FILE`",
                "`fwc package inspect 'it'\\''s.fcp'`; `fwc token inspect --file FILE`",
            ),
            ("list", "`fwc ops CONNECTOR`", "`fwc ops CONNECTOR`"),
            ("token mint a.b --to f", "`fwc request OPERATION`", "`fwc request a.b`"),
            (
                "token mint a.b a.c --to f",
                "`fwc request OPERATION`, `fwc show CONNECTOR`",
                "`fwc request a.c`, `fwc show a`",
            ),
            ("token mint a.b a.d --to f", "`fwc request OPERATION`", "`fwc request OPERATION`"),
            (
                "grant add m a.b a.c --zone z:work --for 1h",
                "`fwc schema OPERATION` AGENT",
                "`fwc schema a.c` AGENT",
            ),
            (
                "grant add --role r a.b --zone z:work --for 1h",
                "`fwc grant list --to AGENT`",
                "`fwc grant list --to AGENT`",
            ),
            (
                "agent add evil --zone z:work",
                "`fwc agent run NAME -- COMMAND`",
                "`fwc agent run NAME -- COMMAND`",
            ),
        ] {
            assert_eq!(filled(line, step), expected, "{line}");
        }
    }
    //= docs/spec/output.md#envelope
    #[test]
    fn what_is_used_up_where_no_operation_is_called_is_no_pool_of_one() {
        let failure = Failure::new(Code::RateLimited);
        assert_eq!(known("node renew").in_particular(&failure, "node renew").as_deref(), Some(WAIT));
        assert_eq!(known("invoke a.b").in_particular(&failure, "invoke"), None);
        assert!(known("invoke a.b").filled(&failure).contains("`fwc schema a.b` names its rate pools"));
    }
}
