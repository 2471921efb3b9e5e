//! What to do after a failure, in the words of the command line that failed: what it names stands in the step as it is
//! called, and a step about what a command takes is about this one.

use clap::ArgMatches;
use clap::parser::ValueSource;
use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;

use crate::speaker::Typed;

/// What a command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    things: Vec<(&'static str, String)>,
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
        let mut known = operation(group, innermost);
        // What `auth` and `agent` call a name is the thing itself.
        let named = match group {
            Some("auth") => Some("CREDENTIAL"),
            Some("agent" | "context") => Some("AGENT"),
            Some(_) | None => None,
        };
        known.extend(named.and_then(|thing| Some((thing, single(innermost, "name")?))));
        for (thing, arguments) in THINGS {
            let value = arguments.iter().find_map(|argument| single(innermost, argument));
            known.extend(value.map(|value| (thing, value)));
        }
        Self { things: known, typed: Typed::of(matches) }
    }

    /// `step` with what is known in the commands that it names.
    pub(crate) fn filled(&self, step: &str) -> String {
        commands_in(step, |command| self.command(command))
    }

    /// `step`, whose commands are of the same home and speaker as this one.
    pub(crate) fn said_again(&self, step: &str) -> String {
        match step.starts_with("fwc ") && !step.contains('`') {
            true => self.typed.said_again(step),
            false => commands_in(step, |command| self.typed.said_again(command)),
        }
    }

    fn command(&self, command: &str) -> String {
        let each = command.split(' ').map(|word| {
            let known = self.find(thing(word, command));
            known.map_or_else(|| word.to_owned(), quoted)
        });
        each.collect::<Vec<_>>().join(" ")
    }

    fn find(&self, thing: &str) -> Option<&str> {
        self.things.iter().find(|(known, _)| *known == thing).map(|(_, value)| value.as_str())
    }

    /// What helps after `code`, where the registry can only say in general what is taken: what this very command takes.
    //= docs/spec/output.md#envelope
    pub(crate) fn about_input(&self, code: Code, next: &str, command: &str) -> Option<String> {
        if !code.is_of_input() || next != code.next_step() || command.is_empty() {
            return None;
        }
        let shows = match self.find("OPERATION") {
            Some(operation) => format!("`fwc schema {operation}` shows what it takes"),
            None => format!("`fwc {command} --help` shows what it takes"),
        };
        Some(format!("correct what the reason names; {shows}"))
    }
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

/// The operation that was named, in one word or in two, and its connector; a grant's first word is the agent.
fn operation(group: Option<&str>, matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let words = matches.try_get_many::<String>("words").ok().flatten();
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    let whole =
        |operation: &str| operation.split_once('.').map(|(id, _)| (id.to_owned(), operation.to_owned()));
    let (agent, named) = match (group, words.as_slice()) {
        (Some("grant"), [agent, operation]) => (Some((*agent).to_owned()), whole(operation)),
        (Some("grant"), _) => (None, None),
        (_, [operation]) => (None, whole(operation)),
        (_, [connector, operation]) if operation.starts_with(&format!("{connector}.")) => {
            (None, whole(operation))
        }
        (_, [connector, operation]) => {
            (None, Some(((*connector).to_owned(), format!("{connector}.{operation}"))))
        }
        (_, _) => (None, None),
    };
    let agent = agent.map(|agent| ("AGENT", agent));
    let (connector, operation) = named.unzip();
    let named = [("CONNECTOR", connector), ("OPERATION", operation)];
    let named = named.into_iter().filter_map(|(thing, value)| Some((thing, value?)));
    agent.into_iter().chain(named).collect()
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

    fn filled(line: &str, step: &str) -> String {
        let words = ["fwc"].into_iter().chain(line.split(' '));
        Known::of(&crate::cli::command().try_get_matches_from(words).unwrap()).filled(step)
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
        ] {
            assert_eq!(filled(line, step), expected, "{line}");
        }
    }
}
