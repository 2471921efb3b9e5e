//! The command line as data: every command parses, is documented, shows examples that parse, and ends with its code.

use std::collections::BTreeSet;
use std::ffi::OsString;

use fcp_proto_core::error::{Code, ExitCode};
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::zone::Idempotency;

use crate::cli::{self, Stop};
use crate::commands::Command;
use crate::commands::approvals::Request;
use crate::commands::call::{Invoke, Simulate};
use crate::output::Format;

const ID: &str = "abababababababababababababababababababababababababababababababab";

/// At least one good line for every command.
const LINES: &[&str] = &[
    "up",
    "up --first-operator me --node laptop --phrase-file p --wait 1m",
    "down --wait 5s",
    "quickstart --keep",
    "status",
    "doctor --offline",
    "list --zone z:work",
    "show github",
    "ops github",
    "schema github.issues.create",
    "schema github issues.create",
    "search two words",
    "invoke github.issues.create --input {} --idempotency-key k --zone z:work --keep --deadline-ms 5 --approval ID",
    "invoke a.b --account me --set x=1 --set-text y=2 --set-handle z=ID",
    "invoke a.b --set x=1 --token t.token --key mail.key",
    "simulate a.b --stdin",
    "preflight a.b --zone z:work",
    "cancel 0123456789abcdef0123456789abcdef",
    "request a.b --file f --note n",
    "request a.b --grant 1h --also a.c --allow x:y --credential me --max-calls 3 --note n",
    "settle ID --happened --note n",
    "settle ID --did-not --note n",
    "settle ID --probe",
    "approvals list --by bob --status pending --limit 3 --after x",
    "approvals show ID",
    "approvals approve ID --yes --kind elevation --for 5m --grant 8h --allow * --max-calls 3",
    "approvals approve ID --only a.b --for 5m",
    "approvals deny ID --note n",
    "history --unknown",
    "approvals watch --count 1",
    "history --by mail --connector c --operation c.x --zone z:work --outcome unknown --code FCP-3101",
    "receipts list --by mail",
    "receipts show ID",
    "result ID",
    "audit verify --zone z:work",
    "audit head",
    "audit tail --follow --kind capability.denied --lines 5",
    "explain anything",
    "agent add mail --zone z:work --role r",
    "agent list",
    "agent show mail",
    "agent run mail --for 1h -- sh -c true --json",
    "role add r --description d",
    "role list",
    "role show r",
    "role give r mail",
    "role take r mail --reason x",
    "role remove r --reason x",
    "node renew --for 90d --owner-passphrase-file f",
    "node replace --phrase-file w",
    "zones rekey z:work --phrase-file w",
    "operator list",
    "operator show alice",
    "operator add alice --replace --phrase-file w",
    "operator add bob --right approve --right grant --for 90d --stdin",
    "operator add bob --all-rights",
    "owner restore --phrase-file w",
    "grant add mail a.b a.c --zone z:work --for 8h --allow * --credential me --argument {}",
    "grant add --role r a.b --zone z:work --for 8h --deny x:y",
    "grant list --to mail --live",
    "grant show ID",
    "revoke Capability ID --reason r",
    "revocations --limit 1",
    "token mint a.b a.c --to f",
    "token inspect --file f",
    "auth set me --connector c --slot s --zone z:work --kind bearer --stdin",
    "auth list",
    "auth test me",
    "auth remove me",
    "zones list",
    "zones show z:work",
    "zones add z:project:apollo --integrity 60 --confidentiality 60 --description d --connector c --max-tier risky",
    "zones policy z:work --no-connector --no-deny --max-risk low --approval-from safe --max-capability 15m --max-grant 30d --budget day=requests:5/1d",
    "zones policy z:work --no-budget",
    "context new mail",
    "context show",
    "exception list",
    "exception egress c --to-host h --network 127.0.0.1/32 --port 1 --reason r --for 1h --ca-file f",
    "exception sandbox c p --reason r",
    "exception remove ID",
    "install c.fcp --zone z:work --zone z:private --dev --enable --config {}",
    "uninstall c --reason r",
    "enable c",
    "disable c",
    "package build d --out o --code c --platform p",
    "package sign p --key k",
    "package inspect p",
    "package test folder --code program",
    "package verify p --trust k --threshold 2",
    "package keygen k",
    "new weather --api-host api.weather.example --folder f",
    "convert json toon",
    "completions bash",
];

fn parse(line: &str) -> Result<cli::Cli, Stop> {
    let words = line.split(' ').map(|word| OsString::from(if word == "ID" { ID } else { word }));
    cli::parse(std::iter::once(OsString::from("fwc")).chain(words))
}

fn refusal(line: &str) -> crate::Failure {
    match parse(line) {
        Err(Stop::Refused(failure, _)) => failure,
        Err(Stop::Shown(_)) => panic!("{line:?} shows help"),
        Ok(_) => panic!("{line:?} is understood"),
    }
}

/// Every command that does something, by its words.
fn leaves() -> Vec<(String, clap::Command)> {
    fn walk(prefix: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        for sub in command.get_subcommands() {
            let name = format!("{prefix}{}", sub.get_name());
            if sub.has_subcommands() {
                walk(&format!("{name} "), sub, found);
            } else {
                found.push((name, sub.clone()));
            }
        }
    }
    let mut found = Vec::new();
    walk("", &cli::command(), &mut found);
    found
}

#[test]
fn every_command_has_a_line_that_parses() {
    let mut seen = BTreeSet::new();
    for line in LINES {
        match parse(line) {
            Ok(cli) => seen.insert(cli.name),
            Err(Stop::Refused(failure, _)) => panic!("{line}: {failure}"),
            Err(Stop::Shown(help)) => panic!("{line}: {help}"),
        };
    }
    let all: BTreeSet<String> = leaves().into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen, all);
}

#[test]
fn the_command_tree_is_consistent() {
    cli::command().debug_assert();
}

#[test]
fn every_command_and_argument_is_documented() {
    fn check(name: &str, command: &clap::Command) {
        assert!(command.get_about().is_some(), "`{name}` has no description");
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            assert!(argument.get_help().is_some(), "`{name}` does not describe {}", argument.get_id());
        }
        for sub in command.get_subcommands() {
            check(&format!("{name} {}", sub.get_name()), sub);
        }
    }
    check("fwc", &cli::command());
}

/// Words of a shell line: quotes hold words together, a comment, pipe or redirection ends it.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quote = !quote,
            '#' | '|' | '<' | '>' | '&' if !quote => break,
            ' ' if !quote => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            other => word.push(other),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// What the call of a bundled connector's operation that a line makes, itself or by a shell or an agent that it starts, lacks.
fn lacks(line: &[String]) -> Option<String> {
    let within = |word: &String| if word.contains("fwc ") { shell_words(word) } else { vec![word.clone()] };
    let words: Vec<String> = line.iter().flat_map(within).collect();
    let own = words.get(words.iter().rposition(|word| word == "fwc")?..)?;
    let command = cli::parse(own.iter().map(OsString::from)).ok()?.command;
    let call = if let Command::Invoke(Invoke { attempt }) | Command::Simulate(Simulate { attempt }) = &command
    {
        &attempt.call
    } else if let Command::Request(Request { call, grant: None, .. }) = &command {
        call
    } else {
        return None;
    };
    let (connector, operation) = call.operation.resolve().ok()?;
    let folder = root().join("connectors").join(connector.as_str());
    let manifest = Manifest::parse(&std::fs::read(folder.join("manifest.toml")).ok()?).unwrap();
    let operation = manifest.operation(&operation).unwrap();
    if operation.idempotency == Idempotency::Strict && call.idempotency_key.is_none() {
        return Some(format!("{words:?} lacks an idempotency key"));
    }
    if call.input.file.is_some() || call.input.stdin {
        return None;
    }
    let (call, schema) = (call.read().ok()?, &operation.input.schema);
    let needed = schema["required"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
    let given = |name: &str| call.input.get(name).is_some() || call.handles.contains_key(&format!("/{name}"));
    let missing: Vec<&str> = needed.filter(|name| !given(name)).collect();
    (!missing.is_empty()).then(|| format!("{words:?} lacks {missing:?}"))
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The pages of the guide, and the first one of all.
fn pages() -> Vec<(std::path::PathBuf, String)> {
    let guide = std::fs::read_dir(root().join("docs/guide")).unwrap().map(|page| page.unwrap().path());
    let all = guide.chain([root().join("README.md")]);
    all.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// Every command that holds others, by its words.
fn groups() -> Vec<(String, clap::Command)> {
    let all = cli::command();
    let groups = all.get_subcommands().filter(|command| command.has_subcommands());
    groups.map(|command| (command.get_name().to_owned(), command.clone())).collect()
}

#[test]
fn every_command_shows_examples_that_parse() {
    assert!(groups().iter().all(|(_, group)| !group.get_subcommands().any(|it| it.has_subcommands())));
    for (name, command) in leaves().into_iter().chain(groups()) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let (title, examples) = help.split_once('\n').unwrap_or_default();
        assert_eq!(title, "Examples:", "`{name}`");
        let mut own = 0;
        for example in examples.replace("\\\n", " ").lines() {
            let line = &example[example.find("fwc ").unwrap_or_else(|| panic!("`{name}`: {example}"))..];
            let words = shell_words(line).into_iter().map(|word| {
                word.replace("GRANT", ID).replace("DIGEST", ID).replace("HANDLE", ID).replace("ID", ID)
            });
            let words: Vec<String> = words.collect();
            assert_eq!(lacks(&words), None, "`{name}`: {example}");
            match cli::parse(words.into_iter().map(OsString::from)) {
                Ok(cli) => own += usize::from(cli.name == name || cli.name.starts_with(&format!("{name} "))),
                Err(Stop::Refused(failure, _)) => panic!("`{name}`: {example}: {failure}"),
                Err(Stop::Shown(_)) => panic!("`{name}`: {example} shows help"),
            }
        }
        assert!(
            own > 0 || name == "auth test" || name == "auth remove",
            "`{name}` shows no example of itself"
        );
    }
}

/// The lines of a page's fenced blocks; what ends with a backslash goes on in the next.
fn typed_lines(page: &str) -> Vec<String> {
    let blocks = page.split("```").skip(1).step_by(2).map(|block| block.replace("\\\n", " "));
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn what_the_guide_says_to_type_is_understood() {
    let (mut read, mut wrong) = (0, Vec::new());
    for (page, text) in pages() {
        for line in typed_lines(&text) {
            let piped = line.split(" | ").filter(|part| part.starts_with("fwc "));
            for part in piped.filter(|part| !part.contains("fwc COMMAND") && !part.contains('…')) {
                let words = shell_words(part).into_iter().map(|word| match word.as_str() {
                    "GRANT" | "DIGEST" | "HANDLE" | "ID" => ID.into(),
                    "OPERATION" => "github.issues.list".into(),
                    _ => OsString::from(word),
                });
                read += 1;
                wrong.extend(lacks(&shell_words(part)));
                if let Err(Stop::Refused(failure, _)) = cli::parse(words) {
                    wrong.push(format!("{}: {part}: {failure} {:?}", page.display(), failure.why));
                }
            }
        }
    }
    assert!(read > 60 && wrong.is_empty(), "{read} lines; not understood: {wrong:#?}");
}

/// What the guide says to put into `config.toml` can be put there: it holds the same line already, behind a mark, and a second
/// one of it or of its table would be refused.
#[test]
fn settings_that_the_guide_shows_stand_in_the_file_behind_a_mark() {
    let file = std::fs::read_to_string(root().join("host/src/home/config.default.toml")).unwrap();
    let mut shown = 0;
    for (page, text) in pages() {
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            for line in block.lines() {
                shown += 1;
                let marked = format!("# {} =", line.split(" =").next().unwrap());
                assert!(file.lines().any(|it| it.starts_with(&marked)), "{}: {line:?}", page.display());
            }
        }
    }
    assert!(shown > 1);
}

/// The first words of a line that name a command, or what in it names none.
fn command_of(line: &str, or_group: bool) -> Result<(), String> {
    let (mut command, mut seen) = (cli::command(), String::new());
    for word in line.split([' ', '`', '"', '\n']) {
        let is_name = !word.starts_with('-') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if word.is_empty() || !is_name || !command.has_subcommands() {
            break;
        }
        let next = command.find_subcommand(word).cloned();
        command = next.ok_or_else(|| format!("`fwc{seen} {word}`"))?;
        seen.push_str(&format!(" {word}"));
    }
    // A group alone does nothing.
    let is_group = command.has_subcommands() && !seen.is_empty();
    if is_group && !or_group { Err(format!("`fwc{seen}`")) } else { Ok(()) }
}

/// What a failure, a warning or an answer tells to do next can be done: every command that code names exists.
#[test]
fn every_command_that_is_named_exists() {
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Vec::new();
    for folder in ["fwc/src", "host/src", "proto-core/src/error"] {
        files(&root.join(folder), &mut sources);
    }
    let (mut named, mut wrong) = (0, Vec::new());
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        for opening in ["`fwc ", "\"fwc "] {
            for (at, _) in text.match_indices(opening) {
                named += 1;
                // Comments name groups too; who reads what is printed types it.
                let comment = text[..at].lines().last().unwrap_or_default().trim_start().starts_with("//");
                let found = command_of(&text[at + opening.len()..], comment);
                wrong.extend(found.err().map(|what| format!("{}: {what}", path.display())));
            }
        }
    }
    assert!(named > 50 && wrong.is_empty(), "{named} commands are named; these do not exist: {wrong:#?}");
}

/// The whole tree as text: a change of any command, argument or description must be seen in a review.
#[test]
fn the_help_tree_is_as_reviewed() {
    fn draw(depth: usize, command: &clap::Command, text: &mut String) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let indent = "  ".repeat(depth);
        text.push_str(&format!("{indent}{}: {about}\n", command.get_name()));
        for argument in command.get_arguments().filter(|argument| !argument.is_global_set() || depth == 0) {
            if matches!(argument.get_id().as_str(), "help" | "version") {
                continue;
            }
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("{indent}    {argument}  {help}\n"));
        }
        command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .for_each(|sub| draw(depth + 1, sub, text));
    }
    let (mut text, mut command) = (String::new(), cli::command());
    command.build();
    draw(0, &command, &mut text);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/help_tree.txt");
    if std::env::var_os("FCP_ACCEPT_HELP").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, reviewed, "review the difference, then accept it with FCP_ACCEPT_HELP=1");
}

//= docs/spec/output.md#who-speaks
#[test]
fn who_stops_the_daemon_is_said_over_tcp_alone() {
    for option in ["--operator alice", "--passphrase-file f"] {
        let refused = refusal(&format!("{option} down"));
        assert_eq!(refused.code, Code::UsageError, "a signal has no speaker");
        assert!(parse(&format!("{option} --host 127.0.0.1:1 --admission-file f down")).is_ok(), "{option}");
    }
}

#[test]
fn an_unknown_command_ends_with_3_and_a_suggestion() {
    for (line, near) in [("lst", "list"), ("agent ad", "add"), ("invok a.b", "invoke")] {
        let failure = refusal(line);
        assert_eq!(failure.code, Code::CommandUnknown, "{line}");
        assert_eq!(failure.code.exit_code(), ExitCode::UnknownCommand);
        assert!(failure.next.contains(&format!("`{near}`")), "{line}: {}", failure.next);
    }
    assert_eq!(refusal("qqqqqq").code, Code::CommandUnknown);
}

#[test]
fn a_wrong_line_ends_with_2_and_says_what_is_wrong() {
    for (line, why) in [
        ("show", "<CONNECTOR>"),
        ("show A", "upper-case"),
        ("show a b", "unexpected argument"),
        ("invoke a.b --inputt {}", "unexpected argument"),
        ("invoke a.b --input {} --stdin", "cannot be used with"),
        ("invoke a.b --approval 00", "hexadecimal"),
        ("list --zone work", "must begin with"),
        ("list --format yaml", "invalid value"),
        ("approvals list --limit 0", "is not in 1..=1000"),
        ("grant add mail a.b --zone z:work --for 3w", "length of time"),
        ("agent run mail", "<COMMAND>"),
        ("history --code FCP-0000", "not a known FCP error code"),
        ("package build d --out o --code c", "--platform"),
        ("list --host 127.0.0.1:1", "--admission-file"),
        ("revoke capability x --reason r", "capability"),
        ("settle --probe", "<RECEIPT|INTENT|CALL>"),
        ("settle --happened --note n", "<RECEIPT|INTENT|CALL>"),
        ("settle ID", "--happened"),
        ("settle ID --happened", "--note"),
        ("settle ID --probe --happened --note n", "--"),
        ("settle ID --happened --did-not --probe --note n", "--did-not, --probe"),
        ("package keygen k --dev", "--dev"),
    ] {
        let failure = refusal(line);
        assert_eq!(failure.code, Code::UsageError, "{line}");
        let text = failure.why.unwrap_or_default();
        assert!(text.contains(why), "{line}: {text}");
        assert!(!text.trim_end().ends_with(':'), "{line}: {text}");
        assert!(
            failure.next.contains("usage: fwc") || failure.next.contains("did you mean"),
            "{line}: {}",
            failure.next
        );
    }
    assert!(refusal("invoke a.b --inputt {}").next.contains("--input"));
    assert!(
        refusal("revoke Capability x").next.ends_with("--reason <REASON> [--unknown] [--yes]"),
        "every option of its own"
    );
    assert!(
        refusal("grant add").next.starts_with("`fwc grant add --help` shows examples"),
        "a command to type"
    );
    let failure = refusal("completions foo");
    assert!(failure.why.unwrap_or_default().contains("bash"), "the values that there are");
    assert!(failure.next.contains("usage: fwc completions"), "{}", failure.next);
}

/// A value may be the name of a command.
#[test]
fn what_a_line_lacks_is_said_of_its_own_command() {
    for (line, usage) in [
        ("--operator owner revoke IssuerKey --reason lost", "usage: fwc revoke "),
        ("--agent list invoke", "usage: fwc invoke "),
        ("--home agent --format json zones", "usage: fwc zones"),
        ("zones --home list add", "usage: fwc zones add "),
    ] {
        let next = refusal(line).next;
        assert!(next.contains(usage), "{line}: {next}");
    }
}

/// Who speaks is told by the names of commands, and each of those is one.
//= docs/spec/output.md#who-speaks
#[test]
fn every_command_with_a_speaker_exists() {
    let names: Vec<_> = leaves().into_iter().map(|(name, _)| name).collect();
    for name in crate::speaker::ALL.iter().flat_map(|names| names.iter()) {
        assert!(names.iter().any(|known| known == name), "there is no `{name}`");
    }
}

/// The admission token goes to this machine alone, whatever is typed.
//= docs/spec/api.md#transport
#[test]
fn a_daemon_is_asked_on_loopback_addresses_only() {
    let line = |host: &str| format!("--host {host} --admission-file /absent status");
    for (host, read) in [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("127.9.9.9:80", "127.9.9.9:80"),
        ("[::1]:80", "[::1]:80"),
        ("localhost:80", "127.0.0.1:80"),
    ] {
        let cli = parse(&line(host)).unwrap_or_else(|_| panic!("{host}"));
        assert_eq!(cli.global.host, Some(read.parse().unwrap()));
    }
    for host in [
        "10.1.2.3:80",
        "0.0.0.0:80",
        "[::]:80",
        "[::ffff:10.1.2.3]:80",
        "128.0.0.1:80",
        "fcp.example:80",
        "localhost.example:80",
        "localhost:",
        "127.0.0.1",
    ] {
        let failure = refusal(&line(host));
        assert_eq!(failure.code, Code::UsageError, "{host}");
        assert!(failure.why.unwrap_or_default().contains("loopback"), "{host}");
    }
}

#[test]
fn help_and_version_are_no_failure() {
    for line in ["--help", "--version", "agent --help", "help invoke"] {
        assert!(matches!(parse(line), Err(Stop::Shown(_))), "{line}");
    }
}

#[test]
fn the_format_after_the_command_of_agent_run_is_not_ours() {
    let format = |line: &str| match parse(line) {
        Err(Stop::Refused(_, format)) => format,
        other => panic!("{other:?}"),
    };
    assert_eq!(format("show --json"), Some(Format::Json));
    assert_eq!(format("show --format jsonl"), Some(Format::Jsonl));
    assert_eq!(format("--format=toon show"), Some(Format::Toon));
    assert_eq!(format("show"), None);
    assert_eq!(format("agent rum mail -- x --json"), None);
    assert_eq!(format("agent rum mail -- x --format json"), None);
}

#[test]
fn secrets_are_no_arguments() {
    for (name, command) in leaves() {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let secret =
                ["password", "passphrase", "secret", "token", "bearer"].iter().any(|word| id.contains(word));
            assert!(!secret || id.ends_with("_file"), "`{name}` takes {id} as an argument");
        }
    }
}

/// The words of a command that a step names, with something of their kind in place of those in capitals.
fn typed(command: &str) -> Vec<OsString> {
    let fill = |word: String| match word.as_str() {
        "ID" | "GRANT" => ID.to_owned(),
        "OPERATION" => "github.issues.list".to_owned(),
        "ZONE" => "z:work".to_owned(),
        "RISK" => "high".to_owned(),
        "JSON" => "{}".to_owned(),
        "PORT" => "443".to_owned(),
        "NAME" | "OTHER" | "AGENT" | "CONNECTOR" | "SLOT" => word.to_lowercase(),
        "RESOURCE" => "*".to_owned(),
        _ => word,
    };
    shell_words(command).into_iter().map(|word| OsString::from(fill(word))).collect()
}

/// Whoever meets a failure is told a command, and the command is one that is understood as it stands.
//= docs/spec/output.md#envelope
#[test]
fn every_failure_names_a_next_command_that_parses() {
    for code in Code::ALL {
        let step = code.next_step();
        let commands: Vec<&str> =
            step.split('`').skip(1).step_by(2).filter(|text| text.starts_with("fwc ")).collect();
        assert!(!commands.is_empty(), "{code} {}: {step}", code.name());
        for command in commands {
            if let Err(Stop::Refused(failure, _)) = cli::parse(typed(command)) {
                panic!("{code}: {command}: {failure} {:?}", failure.why);
            }
        }
    }
}
