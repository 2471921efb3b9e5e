//! `fcp-host`: the daemon of a home, and the egress process that it starts.

mod log;
mod log_file;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use fcp_host::daemon::{self, Connecting, Runner, StartError};
use fcp_host::home::{Home, LogFormat};
use fcp_proto_core::error::Code;
use fcp_runtime_tokio::storage::Options;
use rustix::process::{Signal, getpid, kill_process};
use tracing_subscriber::util::SubscriberInitExt;

/// Buffers of HTTP, TLS and JSON hold secrets on their way, and their libraries free them as they are.
//= docs/spec/keys.md#memory
#[global_allocator]
static WIPED: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// The FCP daemon and its egress process.
#[derive(Debug, Parser)]
#[command(name = "fcp-host", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon of a home until it is asked to stop.
    Daemon {
        /// The home's folder; it is made if it is not there.
        #[arg(long, env = "FCP_HOME")]
        home: PathBuf,
        /// Stops once standard input ends, as a pipe does when whoever holds its other end has ended, however.
        #[arg(long)]
        until_stdin_ends: bool,
    },
    /// Makes a folder a home, or says why it is none; a folder that is refused stays as it is.
    Make {
        /// The home's folder.
        #[arg(long, env = "FCP_HOME")]
        home: PathBuf,
    },
    /// Looks at a home for what is wrong with it, changes nothing, and prints what it found as JSON.
    Examine {
        /// The home's folder.
        #[arg(long, env = "FCP_HOME")]
        home: PathBuf,
    },
    /// The egress process; started by the daemon, which passes the control socket as standard input.
    #[command(hide = true)]
    Egress,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Daemon { home, until_stdin_ends } => {
            if until_stdin_ends {
                stop_at_the_end_of_stdin();
            }
            daemon(&home)
        }
        Command::Make { home } => make(&home),
        Command::Examine { home } => examine(&home),
        Command::Egress => egress(),
    }
}

fn make(home: &std::path::Path) -> ExitCode {
    log::log(std::io::stderr).0.init();
    match Home::create(home) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(&StartError::Home(error)),
    }
}

fn daemon(home: &std::path::Path) -> ExitCode {
    // Owners' secrets pass through here on their way to the vault and to egress.
    let private = fcp_host::private_memory::make();
    let output = log_file::Output::of(home);
    let writer = output.clone();
    let (log, setting) = log::log(move || writer.clone());
    log.init();
    if let Err(error) = private {
        let message = format!("its memory cannot be kept from others: {error}");
        return failed(&StartError::Runner { code: Code::Internal, message });
    }
    let last_words = setting.clone();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&StartError::Listen { at: "the runtime".into(), error }),
    };
    let make_runner: daemon::MakeRunner = Box::new(|app, vault, outcomes| {
        let connecting: Arc<dyn Runner> = Connecting::start(app, vault, outcomes)?;
        Ok(connecting)
    });
    let ended = runtime.block_on(daemon::run(
        home,
        &Options::default(),
        make_runner,
        Box::new(move |config| {
            output.take(&config.log);
            setting.take(config);
        }),
    ));
    // What still blocks a thread is not waited for: everything durable is closed.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever started the daemon reads them.
            last_words.format(LogFormat::Json);
            failed(&error)
        }
    }
}

/// Asks this process to stop, as a signal from outside would, once standard input ends.
//= docs/spec/home.md#a-daemon-that-ends-with-its-starter
fn stop_at_the_end_of_stdin() {
    std::thread::spawn(|| {
        // What cannot be read any more has ended too.
        let _ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if kill_process(getpid(), Signal::TERM).is_err() {
            std::process::exit(1);
        }
    });
}

/// Says why the daemon does not run, and what to do next.
fn failed(error: &StartError) -> ExitCode {
    let code = error.code();
    let next = error.remedy().unwrap_or_else(|| code.next_step().into());
    tracing::error!(code = %code, name = code.name(), next, "{error}");
    ExitCode::from(code.exit_code() as u8)
}

fn examine(home: &std::path::Path) -> ExitCode {
    use std::io::Write;
    let programs = std::env::current_exe().ok().and_then(|own| own.parent().map(PathBuf::from));
    let looks = fcp_host::examination::examine(home, &programs.unwrap_or_default());
    let written = serde_json::to_string(&looks).map_err(std::io::Error::from);
    match written.and_then(|text| writeln!(std::io::stdout(), "{text}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn egress() -> ExitCode {
    use std::os::fd::AsFd;
    let control = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => control,
        Err(_) => return ExitCode::FAILURE,
    };
    match fcp_host::egress::run(control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
