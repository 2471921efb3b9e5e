//! An agent that runs as another user of the machine, set up by the very lines of the guide.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "programs/copy.rs"]
mod copy;
mod programs;
#[allow(dead_code, reason = "this test needs a part of the home only")]
mod real;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use copy::copy;
use real::Home;
use serde_json::Value;

/// The agent's user.
const OTHER: u32 = 65_534;

/// The blocks of the guide's section, with what is true here in the place of what stands there.
fn blocks(home: &Path, agents: &Path, address: &str) -> [String; 3] {
    let page = include_str!("../../docs/guide/agents.md");
    let section = page.split("\n## ").find(|it| it.starts_with("As a user of its own\n")).unwrap();
    let here = |block: &str| {
        block
            .trim_start_matches("toml\n")
            .replace("/home/me/.fcp", home.to_str().unwrap())
            .replace("/home/mail/", &format!("{}/", agents.display()))
            .replace("127.0.0.1:7327", address)
            .replace("sudo install", "install")
            .replace("-o mail", &format!("-o {OTHER}"))
            .replace("github.issues.list --set owner=me --set repo=site", "--json nothing.at.all")
            .replace("agent show", "--json agent show")
    };
    let found: Vec<_> = section.split("```").skip(1).step_by(2).map(here).collect();
    found.try_into().unwrap()
}

/// The settings of a new home, with the lines of the guide in the place of those that begin with `#` and name the same.
fn without_the_hash(settings: &str, lines: &str) -> String {
    lines.lines().fold(settings.to_owned(), |settings, line| {
        let name = line.split(" = ").next().unwrap();
        let commented = settings.lines().find(|it| it.starts_with(&format!("# {name} = "))).unwrap();
        settings.replacen(commented, line, 1)
    })
}

/// Runs lines in a shell, as the owner or as the agent's user, who knows where `fwc` lies.
fn shell(lines: &str, folder: &Path, as_other: bool, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("setsid");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    command.args(["--wait", "sh", "-c", lines]).env_clear().env("PATH", path).current_dir("/");
    command.envs(environment.iter().copied());
    if as_other {
        command.uid(OTHER).gid(OTHER);
    }
    command.output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

//= docs/spec/api.md#transport
#[test]
fn an_agent_with_a_user_of_its_own_calls_over_tcp_and_sees_nothing_of_the_home() {
    if !rustix::process::geteuid().is_root() {
        assert_ne!(std::env::var("FCP_TEST_REQUIRE").as_deref(), Ok("all"), "NOT RUN: needs root");
        println!("NOT RUN: only root can run something as another user");
        return;
    }
    let mut home = Home::new();
    let agents = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let fwc = agents.path().join("fwc");
    copy(home.program("fwc"), &fwc);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let [config, owners, calls] = blocks(&home.path(), agents.path(), &address);

    home.ok("up", &["--phrase-file", &home.beside("phrase")]);
    home.ok("agent add", &["mail", "--zone", "z:work"]);
    let file = home.path().join("config.toml");
    let set = without_the_hash(&std::fs::read_to_string(&file).unwrap(), &config);
    std::fs::write(file, set).unwrap();
    let owner = [
        ("FCP_HOME", home.path().to_str().unwrap().to_owned()),
        ("FCP_PASSPHRASE_FILE", home.passphrase().to_owned()),
    ];
    let owner = owner.each_ref().map(|(name, value)| (*name, value.as_str()));
    let programs = Path::new(&home.program("fwc")).parent().unwrap().to_owned();
    let done = shell(&format!("set -e\n{owners}"), &programs, false, &owner);
    assert!(done.status.success(), "{done:?}");

    let (as_mail, called) = calls.trim().split_once('\n').unwrap();
    let shown = document(&shell(as_mail, agents.path(), true, &[]));
    assert_eq!((&shown["status"], &shown["data"]["name"]), (&"ok".into(), &"mail".into()), "{shown:#}");
    let called = document(&shell(called, agents.path(), true, &[]));
    assert_eq!(called["error"]["name"], "connector_unknown", "it is known who calls: {called:#}");

    let socket = home.path().join("run/fcp.sock");
    for seen in [home.path(), home.path().join("vault"), socket] {
        let seen = shell(&format!("ls {}", seen.display()), agents.path(), true, &[]);
        assert!(!seen.status.success() && seen.stdout.is_empty(), "{seen:?}");
    }
    let status = format!("fwc --home {} --json status", home.path().display());
    let refused = document(&shell(&status, agents.path(), true, &[]));
    assert_eq!(refused["error"]["name"], "file_forbidden", "the home is another's: {refused:#}");

    for (line, why) in [
        (as_mail.replace("--agent mail", ""), "the token alone is nobody"),
        (as_mail.replace("agent show mail", "agent run mail -- true"), "no session is handed down over TCP"),
    ] {
        let refused = shell(&line, agents.path(), true, &[]);
        assert!(!refused.status.success(), "{why}: {refused:?}");
    }
}
