//! `up`: starts the daemon, makes the home's owner if it has none, and waits until it is healthy.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Args;
use fcp_api::routes::{BeginCeremony, ConfirmCeremony, GetHealth};
use fcp_api::secret::Secret;
use fcp_api::shell::quoted;
use fcp_api::types::{
    self, CeremonyBegun, CeremonyDone, Health, HealthStatus, KeySourceRequest, Source, WordProof,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, PrincipalId};
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::context::Context;
use crate::home::Home;
use crate::lifetime::Lifetime;
use crate::listener::Listener;
use crate::output::progress::Steps;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, file_failure, internal, passphrase, private_file, usage};

/// How long to wait for a healthy daemon when the caller does not say. Chosen: many times a start on a slow disk.
const UP_WAIT: Duration = Duration::from_secs(30);

/// How often the daemon is asked whether it is healthy.
const UP_STEP: Duration = Duration::from_millis(40);

/// How often a person may mistype a word of the phrase.
const WORD_TRIES: usize = 3;

/// How much of the daemon's output is shown if it does not start.
const SHOWN_OUTPUT: usize = 2_000;

/// What stands in the daemon's output before that of each start.
const STARTED: &str = r#"{"level":"INFO","message":"the daemon is started"}"#;

/// Starts the daemon.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc up\n  fwc up --home /tmp/try --passphrase-file pass --phrase-file phrase   # without a terminal"
)]
pub(crate) struct Up {
    /// In a new home: the first operator's name
    #[arg(long, default_value = "owner", value_name = "NAME")]
    pub(crate) first_operator: PrincipalId,
    /// In a new home: this device's name; the daemon chooses one otherwise
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<NodeId>,
    /// In a new home: writes the owner's phrase to this new file instead of showing it; keep it away from this machine
    #[arg(long, value_name = "PATH")]
    pub(crate) phrase_file: Option<PathBuf>,
    /// How long to wait until the daemon is healthy
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Lifetime>,
}

/// `fwc up`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(args: Up, context: &mut Context) -> Result<Outcome> {
    let for_an_owner = args.phrase_file.is_some() || args.node.is_some();
    let steps = Steps::detect();
    let step = steps.begin("daemon");
    let (mut daemon, mut health) = match reach(&args, context).await {
        Ok(reached) => reached,
        Err(failure) => {
            step.fail(failure.code.name());
            return Err(failure);
        }
    };
    step.done(&format!("process {}", health.pid));
    let mut made = None;
    if health.status == HealthStatus::CeremonyRequired {
        let done = ceremony(&args, context).await?;
        steps.begin("owner").done(&format!("key {}", done.owner_key));
        made = Some(done);
        health = wait_until_healthy(context, daemon.as_mut(), args.wait()).await?;
    }
    let ignored = for_an_owner && made.is_none();
    let body = json!({
        "home": context.home.path().display().to_string(),
        "socket": context.home.socket().display().to_string(),
        "already_running": daemon.is_none(),
        "health": health,
        "ceremony": made,
    });
    let answer = Answer::local(&body, Source::NodeLocal)?;
    Ok(if ignored { answer.note(NOT_FOLLOWED) } else { answer }.into())
}

impl Up {
    fn wait(&self) -> Duration {
        self.wait.map_or(UP_WAIT, |wait| Duration::from_secs(wait.as_secs()))
    }
}

/// The daemon that runs, or one that is started for it, once it has left its start behind it.
///
/// # Errors
/// What stands in the way of one, above all something else that listens in its place.
async fn reach(args: &Up, context: &mut Context) -> Result<(Option<Child>, Health)> {
    let mut child = match context.probe::<GetHealth>().await {
        Ok(_) => None,
        Err(failure) if failure.code == Code::DaemonUnreachable => match context.listener().await {
            Listener::Nobody => {
                if !context.home.has_owner() {
                    can_make_an_owner(args, context)?;
                }
                Some(start(&context.home, Lasts::UntilAsked)?)
            }
            Listener::Daemon => None,
            stranger @ Listener::Stranger { .. } => return Err(stranger.explain(failure, &context.home)),
        },
        Err(failure) => return Err(failure),
    };
    let health = wait_until_healthy(context, child.as_mut(), args.wait()).await?;
    Ok((child, health))
}

/// What is said of options that a home with an owner has no use for.
const NOT_FOLLOWED: &str =
    "the home has an owner already: --node and --phrase-file changed and wrote nothing";

/// The daemon's program: beside this one, else on the search path.
///
/// # Errors
/// [`Code::NotFound`] if it is nowhere.
pub(crate) fn find_host() -> Result<PathBuf> {
    find_program("fcp-host")
}

/// A program of ours: beside this one, else on the search path.
///
/// # Errors
/// [`Code::NotFound`] if it is nowhere.
pub(crate) fn find_program(name: &str) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    let on_path = std::env::var_os("PATH");
    let on_path = on_path.iter().flat_map(std::env::split_paths).map(|folder| folder.join(name));
    beside.into_iter().chain(on_path).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(Code::NotFound)
            .because(format!("the program `{name}` is neither beside `fwc` nor on the PATH"))
            .next("install it beside `fwc`")
    })
}

/// How long a daemon that is started lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Until somebody stops it.
    UntilAsked,
    /// At most until this process ends, however it ends: the daemon then reads the end of a pipe that only we hold.
    WithUs,
}

/// Starts the daemon in a process group of its own, so that a terminal's interrupt does not reach it.
///
/// # Errors
/// What cannot be found, made or run.
pub(crate) fn start(home: &Home, lasts: Lasts) -> Result<Child> {
    let program = find_host()?;
    make(&program, home)?;
    let log = home.daemon_output();
    let failed = |error: std::io::Error| file_failure("write", &log, &error);
    let mut output = open_log(&log)?;
    output.write_all(format!("{STARTED}\n").as_bytes()).map_err(failed)?;
    let errors = output.try_clone().map_err(failed)?;
    let mut command = Command::new(&program);
    command.arg("daemon").arg("--home").arg(home.path());
    match lasts {
        Lasts::UntilAsked => command.stdin(Stdio::null()),
        Lasts::WithUs => command.arg("--until-stdin-ends").stdin(Stdio::piped()),
    };
    command
        .env_remove("FCP_PASSPHRASE_FILE")
        .env_remove(crate::session_file::VARIABLE)
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|error| file_failure("run", &program, &error))
}

/// Opens the daemon's log behind what is there: another start may have a daemon that writes to it.
//= docs/spec/home.md#the-daemons-log
fn open_log(log: &Path) -> Result<File> {
    let failed = |error: std::io::Error| file_failure("write", log, &error);
    // Neither what a link names nor a pipe, whose other end would be waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened =
        OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(log).map_err(
            |error| {
                let in_the_way = log.symlink_metadata().is_ok_and(|about| !about.is_file());
                if in_the_way { no_file(log) } else { failed(error) }
            },
        )?;
    if opened.metadata().map_err(failed)?.is_file() { Ok(opened) } else { Err(no_file(log)) }
}

fn no_file(path: &Path) -> Failure {
    let place = path.display();
    Failure::new(Code::StoreCorrupt)
        .because(format!("{place} is a link or of another kind"))
        .next(format!("look at it, then `mv {} /tmp`", quoted(&path.to_string_lossy())))
}

/// Has the daemon's program make the home, or say why the folder is none. Nothing of ours is put into it before.
//= docs/spec/home.md#the-home
fn make(program: &Path, home: &Home) -> Result<()> {
    let made = Command::new(program).arg("make").arg("--home").arg(home.path()).stdin(Stdio::null()).output();
    let made = made.map_err(|error| file_failure("run", program, &error))?;
    if made.status.success() {
        return Ok(());
    }
    let status = made.status;
    Err(last_words(&made.stderr).unwrap_or_else(|| {
        Failure::new(Code::Internal)
            .because(format!("the home was not made ({status}), and nothing says why"))
    }))
}

/// Asks until the daemon has left its start behind it.
///
/// # Errors
/// Why it does not: it ended, or the time is over.
pub(crate) async fn wait_until_healthy(
    context: &mut Context,
    child: Option<&mut Child>,
    wait: Duration,
) -> Result<Health> {
    let mut child = child;
    let end = Instant::now() + wait;
    let mut last = Failure::new(Code::DaemonUnreachable);
    while Instant::now() < end {
        match context.probe::<GetHealth>().await {
            Ok(reply) => match reply.body.status {
                HealthStatus::Starting => {
                    last = Failure::new(Code::DaemonUnreachable).because("it is still starting")
                }
                HealthStatus::CeremonyRequired
                | HealthStatus::Ready
                | HealthStatus::Degraded
                | HealthStatus::Sealed
                | HealthStatus::Draining => return Ok(reply.body),
            },
            Err(failure) if failure.code == Code::DaemonUnreachable => last = failure,
            Err(failure) => return Err(failure),
        }
        if let Some(child) = child.as_deref_mut() {
            let ended =
                child.try_wait().map_err(|error| internal(&format!("the daemon is lost: {error}")))?;
            if let Some(status) = ended {
                return Err(not_started(&context.home.daemon_output(), &status.to_string()));
            }
        }
        tokio::time::sleep(UP_STEP).await;
    }
    let log = context.home.daemon_output();
    Err(last.next(format!("read {}; `fwc doctor` looks for what is wrong", log.display())))
}

/// Why the daemon ended, as its last words say: what the registry has for their code, and what was found.
fn not_started(log: &Path, status: &str) -> Failure {
    let output = std::fs::read(log).unwrap_or_default();
    let mut failure = last_words(&output).unwrap_or_else(|| {
        Failure::new(Code::DaemonUnreachable)
            .because(format!("the daemon ended ({status}) and did not say why"))
            .next(format!("read {}; `fwc doctor` looks for what is wrong", log.display()))
    });
    failure.retryable = false;
    failure
}

/// Why the daemon's program ended, if the end of what it wrote says so.
fn last_words(output: &[u8]) -> Option<Failure> {
    let shown = String::from_utf8_lossy(&output[output.len().saturating_sub(SHOWN_OUTPUT)..]).into_owned();
    // What an earlier start wrote is none of this one's words.
    let lines = shown.lines().rev().take_while(|line| *line != STARTED);
    let LastWords { code, message, next } = lines.filter_map(LastWords::read).next()?;
    let failure = Failure::new(code).because(message);
    Some(match next.filter(|next| next != code.next_step()) {
        Some(next) => failure.next(next),
        // The daemon says more of its socket; all else that it listens on is what its settings name.
        None if code == Code::AddressInUse => failure.next(ANOTHER_PORT),
        None => failure,
    })
}

/// What helps where the address that the settings name is taken.
const ANOTHER_PORT: &str =
    "name another one in the home's config.toml, `[listen] tcp`, or stop what listens there; then `fwc up`";

/// What a daemon that does not start writes last.
#[derive(Deserialize)]
struct LastWords {
    code: Code,
    message: String,
    next: Option<String>,
}

impl LastWords {
    /// Reads a line of the log, if it says why the daemon does not start.
    fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// Runs the ceremony of a new home: the phrase goes to the terminal, or to a new file that is durable before the
/// ceremony is confirmed; nowhere else.
///
/// # Errors
/// What failed; the home then has no owner still, and the ceremony can begin afresh.
pub(crate) async fn ceremony(args: &Up, context: &mut Context) -> Result<CeremonyDone> {
    can_make_an_owner(args, context)?;
    let passphrase = context.new_passphrase("A new passphrase for the operator's key: ")?;
    let request = types::BeginCeremony {
        operator: args.first_operator.clone(),
        key_source: KeySourceRequest::Passphrase { passphrase },
        node: args.node.clone(),
    };
    let begun = context.client()?.send::<BeginCeremony>(&[], &request).await?.body;
    let words = match &args.phrase_file {
        Some(path) => {
            private_file::create(path, format!("{}\n", begun.phrase.expose()).as_bytes())?;
            words_of(&begun)?
        }
        None => show_and_confirm(&begun)?,
    };
    let request = types::ConfirmCeremony { ceremony_id: begun.ceremony_id, words };
    let confirmed = context.client()?.send::<ConfirmCeremony>(&[], &request).await;
    if let (Some(path), Err(failure)) = (&args.phrase_file, &confirmed)
        && failure.code != Code::DaemonUnreachable
    {
        // The phrase of a ceremony that was refused opens nothing; one whose fate is not known may.
        std::fs::remove_file(path).map_err(|error| file_failure("remove", path, &error))?;
    }
    Ok(confirmed?.body)
}

/// Whether everything that the ceremony asks a person for can be asked, or is in a file.
///
/// # Errors
/// [`Code::UsageError`] without a terminal and without both files.
//= docs/spec/output.md#fwc-up
fn can_make_an_owner(args: &Up, context: &Context) -> Result<()> {
    if (args.phrase_file.is_some() && context.has_passphrase_file()) || passphrase::has_terminal() {
        return Ok(());
    }
    Err(usage("this home needs an owner, and there is no terminal to show the phrase on")
        .next("run `fwc up` on a terminal, or with --passphrase-file PATH --phrase-file NEWPATH"))
}

/// The words of the phrase that the daemon asks for.
///
/// # Errors
/// [`Code::Internal`] if it asks for a word that there is not.
pub(crate) fn words_of(begun: &CeremonyBegun) -> Result<Vec<WordProof>> {
    let word = |&place: &u8| {
        let index = usize::from(place).checked_sub(1)?;
        let word = begun.phrase.expose().split(' ').nth(index)?;
        Some(WordProof { place, word: Secret::new(word) })
    };
    let words: Option<Vec<_>> = begun.confirm_words.iter().map(word).collect();
    words.ok_or_else(|| internal("the daemon asks for a word that its phrase does not have"))
}

fn show_and_confirm(begun: &CeremonyBegun) -> Result<Vec<WordProof>> {
    let instead = "use --phrase-file";
    let mut text = String::from(
        "\nThese 24 words are the only way to restore the owner's key. They are shown once.\n\
         Write them on paper, in order:\n\n",
    );
    for (index, word) in begun.phrase.expose().split(' ').enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "" };
        text.push_str(&format!("{:>4}. {word:<10}{end}", index + 1));
    }
    passphrase::show(&format!("{text}\n"), instead)?;
    let expected = words_of(begun)?;
    for proof in &expected {
        confirm_word(proof, instead)?;
    }
    Ok(expected)
}

fn confirm_word(proof: &WordProof, instead: &str) -> Result<()> {
    for _ in 0..WORD_TRIES {
        let answer = passphrase::ask_openly(&format!("Word {}: ", proof.place), instead)?;
        if answer.expose().trim() == proof.word.expose() {
            return Ok(());
        }
        passphrase::show("That is another word. Look again.\n", instead)?;
    }
    Err(Failure::new(Code::InputInvalid)
        .because("the words do not agree, so nothing was made")
        .next("run `fwc up` again: it shows a new phrase"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_daemon_does_not_start_is_said_in_words_and_not_as_a_line_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        let line = r#"{"level":"ERROR","message":"config.toml, line 2: unknown","code":"FCP-8005","name":"config_invalid","next":"correct it"}"#;
        std::fs::write(
            &log,
            format!("{{\"level\":\"INFO\",\"message\":\"the journal was read\"}}\n{line}\n"),
        )
        .unwrap();
        let failure = not_started(&log, "exit status: 5");
        assert_eq!((failure.code, failure.retryable), (Code::ConfigInvalid, false));
        assert_eq!(failure.message, Code::ConfigInvalid.meaning());
        assert_eq!(failure.why.as_deref(), Some("config.toml, line 2: unknown"));
        assert_eq!(failure.next, "correct it");
        let taken = |next: &str| {
            let line = serde_json::json!({"message": "taken", "code": "FCP-8006", "next": next});
            std::fs::write(&log, format!("{line}\n")).unwrap();
            not_started(&log, "exit status: 5").next
        };
        assert!(
            taken(Code::AddressInUse.next_step()).contains("config.toml, `[listen] tcp`"),
            "where it is chosen"
        );
        assert_eq!(taken("end what listens there"), "end what listens there", "the daemon knows more");
        std::fs::write(&log, format!("{line}\n{STARTED}\nKilled\n")).unwrap();
        let failure = not_started(&log, "signal: 9");
        assert_eq!(failure.code, Code::DaemonUnreachable);
        assert!(failure.why.unwrap().contains("signal: 9") && failure.next.contains("daemon.log"));
    }
    //= docs/spec/home.md#the-daemons-log
    #[test]
    fn a_log_is_a_file_and_what_stands_in_its_place_is_neither_followed_nor_waited_for() {
        use std::os::unix::fs::symlink;

        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("foreign"), "mine").unwrap();
        symlink(at("foreign"), at("link")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        for name in ["link", "dangling", "pipe", "folder"] {
            let failure = open_log(&at(name)).unwrap_err();
            assert_eq!(failure.code, Code::StoreCorrupt, "{name}");
            assert!(failure.next.contains("`mv "), "{}", failure.next);
        }
        assert_eq!(std::fs::read_to_string(at("foreign")).unwrap(), "mine");
        assert!(!at("nothing").exists());
        open_log(&at("daemon.log")).unwrap();
    }
}
