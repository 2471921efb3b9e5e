//! A home with a real daemon, and `fwc` in it.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::programs::programs;

/// What a command ended with: its exit code and its document.
pub(crate) type Ended = (i32, Value);

/// A home, its operator's passphrase, and the commands that were run in it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    passphrase: String,
    /// The commands that a daemon, or a file, has answered.
    pub(crate) exercised: BTreeSet<String>,
}

impl Home {
    /// A home that does not exist yet.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        DirBuilder::new().mode(0o700).create(folder.path().join("home")).unwrap();
        DirBuilder::new().mode(0o700).create(folder.path().join("data")).unwrap();
        let database = concat!(env!("CARGO_MANIFEST_DIR"), "/src/quickstart/notes.db");
        std::fs::copy(database, folder.path().join("data/notes.db")).unwrap();
        let mut home = Self { folder, passphrase: String::new(), exercised: BTreeSet::new() };
        home.passphrase = home.private("pass", "correct horse battery staple\n");
        home
    }

    /// The home's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The file with the owner's and the operator's passphrase.
    pub(crate) fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// A place outside the home.
    pub(crate) fn beside(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    /// The database of the connector, in a folder of its own.
    pub(crate) fn database(&self) -> String {
        text(&std::fs::canonicalize(self.folder.path().join("data/notes.db")).unwrap())
    }

    /// A built program.
    pub(crate) fn program(&self, name: &str) -> String {
        text(&programs().join(name))
    }

    /// The sources of a bundled connector.
    pub(crate) fn connector(&self, name: &str) -> String {
        text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../connectors").join(name))
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn private(&self, name: &str, content: &str) -> String {
        let path = self.beside(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        path
    }

    /// Runs a command as the operator.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Ended {
        self.document(&[], name, arguments)
    }

    /// The data of a command that must do its work.
    pub(crate) fn ok(&mut self, name: &str, arguments: &[&str]) -> Value {
        let ended = self.run(name, arguments);
        self.succeeded(name, ended)
    }

    /// As [`Home::ok`], as an agent.
    pub(crate) fn ok_as(&mut self, agent: &str, name: &str, arguments: &[&str]) -> Value {
        let ended = self.document(&["--agent", agent], name, arguments);
        self.succeeded(name, ended)
    }

    /// How a command ended that must not do its work; it says why and what to do.
    pub(crate) fn refused(&mut self, name: &str, arguments: &[&str]) -> Ended {
        let ended = self.run(name, arguments);
        self.failed(name, ended)
    }

    /// As [`Home::refused`], as an agent.
    pub(crate) fn refused_as(&mut self, agent: &str, name: &str, arguments: &[&str]) -> Ended {
        let ended = self.document(&["--agent", agent], name, arguments);
        self.failed(name, ended)
    }

    /// Shows a command's answer as a person sees it, and checks that it has its source and no path into the data.
    pub(crate) fn laid_out(&self, agent: &str, name: &str, arguments: &[&str]) {
        let who = if agent.is_empty() { Vec::new() } else { vec!["--agent", agent] };
        let output = self.output(&[&who[..], &["--format", "table"]].concat(), name, arguments, "");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.lines().last().is_some_and(|line| line.starts_with("source: ")), "{name}: {shown}");
        let path = |line: &&str| line.split(' ').next().is_some_and(|word| word.contains("[0]"));
        assert_eq!(shown.lines().find(path), None, "{name}: {shown}");
    }

    /// Runs a command that prints one JSON value a line, and checks that it does.
    pub(crate) fn ok_lines(&mut self, name: &str, arguments: &[&str]) {
        let output = self.output(&[], name, arguments, "");
        assert!(output.status.success(), "{name}: {output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        assert!(!lines.is_empty(), "{name} printed nothing");
        for line in lines.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
        }
        self.exercised.insert(name.into());
    }

    /// Runs a command that prints a text, from `input`, and checks that `expected` stands in it.
    pub(crate) fn text(&mut self, name: &str, arguments: &[&str], input: &str, expected: &str) {
        let output = self.output(&[], name, arguments, input);
        assert!(output.status.success(), "{name}: {output:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(expected), "{name}: {shown}");
        self.exercised.insert(name.into());
    }

    fn succeeded(&mut self, name: &str, (code, document): Ended) -> Value {
        assert_eq!((code, &document["status"]), (0, &"ok".into()), "{name}: {document:#}");
        assert_eq!(document["command"], name, "{document:#}");
        assert!(document["source"].is_string(), "{document:#}");
        self.check_next(&document["next"]);
        self.exercised.insert(name.into());
        document["data"].clone()
    }

    fn failed(&mut self, name: &str, (code, document): Ended) -> Ended {
        assert_ne!(code, 0, "{name}: {document:#}");
        let error = &document["error"];
        assert!(error["code"].as_str().unwrap().starts_with("FCP-"), "{name}: {document:#}");
        assert_ne!(error["name"], "internal", "{name}: {document:#}");
        assert!(!error["next"].as_array().unwrap().is_empty(), "{name}: {document:#}");
        self.check_next(&error["next"]);
        self.exercised.insert(name.into());
        (code, document)
    }

    /// Every command that is proposed exists and takes these arguments.
    fn check_next(&self, next: &Value) {
        for step in next.as_array().into_iter().flatten() {
            let step = step.as_str().unwrap();
            for command in commands_in(step) {
                let words = words(&command);
                // `--help` stops before anything is done, and behind arguments that are wrong comes too late.
                let output = self.output(&[], "", &[&words[1..], &["--help".to_owned()]].concat(), "");
                assert!(output.status.success(), "{step:?} proposes {command:?}: {output:?}");
            }
        }
    }

    fn document(&self, global: &[&str], name: &str, arguments: &[&str]) -> Ended {
        let output = self.output(&[global, &["--json"]].concat(), name, arguments, "");
        let shown = String::from_utf8(output.stdout).unwrap();
        let document = match shown.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{name}: {error}: {shown}")),
        };
        (output.status.code().unwrap(), document)
    }

    fn output<S: AsRef<str>>(&self, global: &[&str], name: &str, arguments: &[S], input: &str) -> Output {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(programs().join("fwc")).args(global).args(name.split_whitespace());
        command.args(arguments.iter().map(AsRef::as_ref));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("FCP_HOME", self.path()).env("FCP_PASSPHRASE_FILE", &self.passphrase);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended before this is written.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Ends the daemon also when an assertion failed; after `down` there is none.
        let _ended = self.output(&[], "down", &[] as &[&str], "");
    }
}

/// Whether this machine has not what a sandbox must have; then the test says so, unless everything must run.
pub(crate) fn cannot_run(ended: &Ended) -> bool {
    let error = &ended.1["error"];
    let missing = error["name"] == "sandbox_unattainable";
    if missing {
        assert_ne!(std::env::var("FCP_TEST_REQUIRE").as_deref(), Ok("all"), "NOT RUN: {}", error["why"]);
        println!("NOT RUN: {}", error["why"]);
    }
    missing
}

/// The commands in a step: what stands between backticks, or the whole of it if it is a command.
fn commands_in(step: &str) -> Vec<String> {
    let quoted = step.split('`').skip(1).step_by(2).map(str::to_owned);
    let whole = (!step.contains('`')).then(|| step.to_owned());
    quoted.chain(whole).filter(|command| command.starts_with("fwc ")).collect()
}

/// The words of a shell line, placeholders filled with something of their kind.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    let filled = |word: String| match word.as_str() {
        "ID" | "GRANT" | "HANDLE" | "DIGEST" => "ab".repeat(32),
        "JSON" => "{}".to_owned(),
        "CONNECTOR" => "github".to_owned(),
        "AGENT" => "mail".to_owned(),
        "OPERATION" => "github.issues.list".to_owned(),
        "PATTERN" | "RESOURCE" => "*".to_owned(),
        _ => word,
    };
    words.into_iter().filter(|word| !word.is_empty()).map(filled).collect()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
