//! What a failure says besides its code, and what a command says while one waits for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, dead_code, reason = "the double is a module of several tests")]

mod double;
mod programs;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use double::{Answer, Home, Request, ok, serve};
use fcp_proto_core::error::Code;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const AGENT: [&str; 2] = ["--agent", "mail"];
const CALL: &str = "cacacacacacacacacacacacacacacaca";

/// A home whose daemon opens sessions and answers the rest as `answer` says; agent `mail` has a key.
fn home(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Home {
    let home = Home::served(move |request| match request.line.as_str() {
        "POST /v1/challenges" => ok(json!({
            "node": "n1", "challenge": "c1".repeat(32), "channel_binding": "b1".repeat(32), "expires_at": 9,
        })),
        "POST /v1/sessions" => ok(json!({
            "session_id": "1d".repeat(16), "session": "s".repeat(43), "agent": "mail", "zone": "z:work",
            "expires_at": 9,
        })),
        _ => answer(request),
    });
    let agents = home.path().join("agents");
    std::fs::create_dir_all(&agents).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let mut key = options.write(true).create_new(true).mode(0o600).open(agents.join("mail.key")).unwrap();
    let text = format!("fcp-key 1 ed25519 agent\n{}\n", "7a".repeat(32));
    std::io::Write::write_all(&mut key, text.as_bytes()).unwrap();
    home
}

/// The daemon's failure with everything that the registry says, and no reason.
fn bare(code: Code, retryable: bool) -> Answer {
    let body = json!({
        "code": code.to_string(), "name": code.name(), "message": code.meaning(), "retryable": retryable,
        "next": code.next_step(),
    });
    Some((code.http_status(), body))
}

//= docs/spec/output.md#envelope
#[test]
fn no_step_leaves_open_what_the_command_line_names_and_no_reason_is_the_message_again() {
    let code = Arc::new(Mutex::new(Code::Internal));
    let said = code.clone();
    let home = home(move |_| bare(*said.lock().unwrap(), false));
    let line = ["invoke", "a.b", "--zone", "z:work", "--account", "me", "--set", "n=1"];
    for now in Code::ALL {
        *code.lock().unwrap() = *now;
        let error = home.json(&[&AGENT[..], &line[..]].concat()).1["error"].clone();
        assert_eq!(error["code"], now.to_string(), "{error}");
        assert_ne!(error["why"], error["message"], "{now}");
        assert_eq!(error["retryable"], false, "{now}: what the daemon says, and not what the code says");
        let next = error["next"].to_string();
        for open in ["OPERATION", "CONNECTOR", "ZONE", "AGENT", "run NAME", "auth set NAME", "auth test NAME"]
        {
            assert!(!next.contains(open), "{now} leaves {open} open: {next}");
        }
    }
}

//= docs/spec/output.md#envelope
#[test]
fn a_step_after_a_refused_token_names_the_operation_that_was_refused() {
    let home = home(|_| {
        bare(Code::OperationNotGranted, false).map(|(status, mut body)| {
            body["why"] = json!("no grant in force gives mail the operation a.c");
            (status, body)
        })
    });
    let mint = |operations: &[&str]| {
        let line = [&AGENT[..], &["token", "mint", "--to", "f"], operations].concat();
        home.json(&line).1["error"]["next"].to_string()
    };
    assert!(mint(&["a.c"]).contains("request a.c --grant"), "{}", mint(&["a.c"]));
    assert!(mint(&["a.b", "a.c"]).contains("request a.c --grant"), "of several, the one of the reason");
}

/// What the daemon does for an operator with any passphrase.
fn unlocked() -> Answer {
    ok(json!({ "bearer": "0b".repeat(32), "operator": "owner", "rights": ["auth"], "expires_at": 9 }))
}

//= docs/spec/output.md#envelope
#[test]
fn a_credential_that_cannot_be_tried_leads_to_the_operation_that_was_called() {
    let receipt = "ab".repeat(32);
    let why =
        format!("the credential could not be tried: no answer; the receipt {receipt} tells of the call");
    let home = home(move |request| match request.line.as_str() {
        "POST /v1/operator/unlock" => unlocked(),
        "POST /v1/credentials/me/test" => bare(Code::EgressResolveFailed, true).map(|(status, mut body)| {
            body["why"] = json!(why);
            (status, body)
        }),
        line if line == format!("GET /v1/receipts/{receipt}") => ok(json!({
            "kind": "decision", "receipt_id": receipt, "call_id": CALL, "agent": "owner", "zone": "z:work",
            "connector": "a", "operation": "a.user", "verdict": "allow", "evidence": [], "decided_at": 1,
            "node": "n1", "signed_by": "00".repeat(8),
        })),
        _ => ok(json!({})),
    });
    let pass = home.private("pass", "a passphrase");
    let line = ["--passphrase-file", pass.to_str().unwrap(), "auth", "test", "me"];
    let next = home.json(&line).1["error"]["next"].to_string();
    assert!(next.contains("`fwc schema a.user`"), "{next}");
}

//= docs/spec/output.md#envelope
#[test]
fn tries_at_a_passphrase_that_are_used_up_are_no_rate_pool() {
    let home = home(|_| bare(Code::RateLimited, true));
    let pass = home.private("pass", "a passphrase");
    let bounds = ["--zone", "z:work", "--for", "1h", "--allow", "*"];
    let line = ["--passphrase-file", pass.to_str().unwrap(), "grant", "add", "mail", "a.b"];
    let next = home.json(&[&line[..], &bounds].concat()).1["error"]["next"].to_string();
    assert!(!next.contains("rate pools") && next.contains("wait for the time named"), "{next}");
    let called = home.json(&["--agent", "mail", "invoke", "a.b"]).1["error"]["next"].to_string();
    assert!(called.contains("`fwc schema a.b` names its rate pools"), "{called}");
}

//= docs/spec/output.md#envelope
#[test]
fn an_agent_is_not_told_to_become_the_one_that_it_cannot_make() {
    let home = home(|_| None);
    let add = ["agent", "add", "evil", "--zone", "z:owner", "--json"];
    let inside = [&["agent", "run", "mail", "--", env!("CARGO_BIN_EXE_fwc")][..], &add].concat();
    let (_, refused) = home.json(&inside);
    let next = refused["error"]["next"].to_string();
    assert!(!next.contains("agent run") && next.contains("`fwc request --help`"), "{refused:#}");
    let (_, outside) = home.json(&add);
    let next = outside["error"]["next"].to_string();
    assert!(!next.contains("agent run") && next.contains("--passphrase-file"), "{outside:#}");
}

//= docs/spec/output.md#envelope
#[test]
fn what_helps_with_a_wrong_input_is_about_the_command_that_got_it() {
    let home = home(|_| bare(Code::InputInvalid, false));
    let shows = |line: &[&str]| home.json(line).1["error"]["next"].to_string();
    let call = shows(&["--agent", "mail", "invoke", "a.b"]);
    assert!(call.contains("`fwc schema a.b` shows what it takes"), "{call}");
    let context = shows(&["--agent", "mail", "context", "show"]);
    assert!(context.contains("`fwc context show --help`"), "{context}");
    let token = shows(&["list"]);
    assert!(token.contains("`fwc list --help`") && !token.contains("OPERATION"), "{token}");
    let convert = home.fwc(&["convert", "csv", "json"]).output().unwrap();
    assert!(convert.status.success(), "nothing is an empty table");
    let broken = double::run_with(&mut home.fwc(&["convert", "csv", "json"]), "a\n\"");
    let told = String::from_utf8(broken.stderr).unwrap();
    assert!(told.contains("fwc convert --help") && !told.contains("json json"), "{told}");
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

/// The program itself, so that a signal is its own.
fn program(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
    command.args(arguments).env_clear().env("FCP_HOME", home.path()).stdin(Stdio::null());
    command
}

fn open_call(id: &str, receipt: Option<&str>) -> Value {
    let mut view = json!({
        "call_id": id, "agent": "mail", "zone": "z:work", "connector": "a", "operation": "a.b", "started_at": 1,
        "steps": [],
    });
    if let Some(receipt) = receipt {
        view["receipt_id"] = json!(receipt);
        view["outcome"] = json!("succeeded");
    }
    view
}

//= docs/spec/output.md#an-interrupted-call
#[test]
fn an_interrupt_names_the_call_that_goes_on_and_what_stops_it() {
    let (seen, taken) = mpsc::channel();
    let (seen, ended) = (Mutex::new(seen), open_call(&"0e".repeat(16), Some(&"0f".repeat(32))));
    let home = home(move |request| match request.line.as_str() {
        "POST /v1/invoke" => {
            seen.lock().unwrap().send(()).unwrap();
            // For as long as somebody waits for it.
            std::thread::park();
            None
        }
        line if line.starts_with("GET /v1/calls?") => {
            assert!(line.contains("operation=a.b"), "{line}");
            ok(json!({ "calls": [open_call(CALL, None), ended] }))
        }
        _ => None,
    });
    let mut command = program(&home, &["--json", "--agent", "mail", "invoke", "a.b"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    taken.recv().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    let error = serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"].clone();
    assert_eq!(error["code"], "FCP-6012");
    assert!(error["why"].as_str().unwrap().contains(CALL), "{error}");
    let next = error["next"].to_string();
    for part in [&format!("fwc --agent mail cancel {CALL}"), "fwc --agent mail history", "receipts list"] {
        assert!(next.contains(part), "{part}: {next}");
    }
    assert_eq!(error["detail"]["calls"], json!([CALL]));
}

/// Serves a home as a process of its own, where the variable names one.
#[test]
fn serves_where_it_is_asked_to() {
    let Some(home) = std::env::var_os("FCP_TEST_SERVES") else { return };
    let status = |_: &Request| {
        ok(json!({
            "health": { "status": "ready", "version": "1", "api": ["v1"], "pid": 1, "problems": [] },
            "home": "/h", "started_at": 1, "ceremony": "done", "connectors": [], "pending_approvals": 0,
            "running_calls": 2, "unknown_outcomes": 0, "revocations": 0, "warnings": [],
        }))
    };
    serve(&std::path::Path::new(&home).join("run"), Arc::default(), Arc::new(status));
    // Until whoever asked ends it.
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing).unwrap();
}

//= docs/spec/output.md#progress
#[test]
fn down_says_what_it_waits_for_and_nothing_to_a_program() {
    for (options, told) in [(&[][..], true), (&["--json"][..], false)] {
        let home = Home::new();
        // Whoever serves does not end at the signal that asks for it.
        let mut daemon = Command::new("sh");
        daemon.args(["-c", "trap '' TERM; exec \"$0\" --exact serves_where_it_is_asked_to"]);
        daemon.arg(std::env::current_exe().unwrap()).env("FCP_TEST_SERVES", home.path());
        let mut daemon = daemon.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        while !home.path().join("run/fcp.sock").exists() {
            std::thread::yield_now();
        }
        let mut down = program(&home, &[options, &["down", "--wait", "2s"][..]].concat());
        let mut down = down.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(down.stderr.take().unwrap());
        let mut first = String::new();
        if told {
            errors.read_line(&mut first).unwrap();
            assert!(first.contains("2 calls were open"), "{first}");
            drop(daemon.stdin.take());
            assert!(down.wait().unwrap().success());
        } else {
            // Its time ends, and it has said nothing of waiting.
            assert!(!down.wait().unwrap().success());
            errors.read_to_string(&mut first).unwrap();
            assert_eq!(first, "");
            drop(daemon.stdin.take());
        }
        daemon.wait().unwrap();
    }
}

//= docs/spec/output.md#envelope
#[test]
fn the_next_command_is_of_the_home_and_the_speaker_that_were_typed() {
    let home = home(|_| bare(Code::ApprovalRequired, false));
    let path = home.path().to_str().unwrap().to_owned();
    let next = |line: &[&str]| home.json(line).1["error"]["next"].to_string();
    let typed = next(&["--home", &path, "--agent", "mail", "invoke", "a.b"]);
    assert!(typed.contains(&format!("`fwc --home {path} --agent mail request a.b")), "{typed}");
    assert!(typed.contains(&format!("`fwc --home {path} approvals approve ID`")), "not an agent's: {typed}");
    let of_environment = next(&["--agent", "mail", "invoke", "a.b"]);
    assert!(of_environment.contains("`fwc --agent mail request a.b"), "{of_environment}");
}

//= docs/spec/output.md#envelope
#[test]
fn remedies_in_tables_and_a_denials_command_are_of_the_same_home() {
    let home = home(|request| match request.line.as_str() {
        "GET /v1/status" => status(true),
        _ => bare(Code::GrantMissing, false).map(|(status, mut body)| {
            body["detail"] = json!({ "check": "grants", "needs": [], "command": "fwc request a.b" });
            (status, body)
        }),
    });
    let path = home.path().to_str().unwrap().to_owned();
    let remedy = format!("`fwc --home {path} node replace` attests");
    let warnings = home.json(&["--home", &path, "status"]).1["data"]["warnings"].clone();
    assert_eq!(warnings[0]["remedy"], remedy);
    let examined = home.json(&["--home", &path, "doctor"]).1["data"]["checks"].clone();
    let examined =
        examined.as_array().unwrap().iter().find(|look| look["check"] == "revoked").unwrap().clone();
    assert_eq!(examined["remedy"], remedy);
    let of_environment = home.json(&["status"]).1["data"]["warnings"].clone();
    assert_eq!(of_environment[0]["remedy"], "`fwc node replace` attests");
    let refused = home.json(&["--home", &path, "--agent", "mail", "invoke", "a.b"]).1["error"].clone();
    assert_eq!(refused["detail"]["command"], format!("fwc --home {path} --agent mail request a.b"));
}

/// What the daemon says of itself, whose node is revoked or is not.
fn status(revoked: bool) -> Answer {
    let warning = json!({ "kind": "revoked", "message": "m", "remedy": "`fwc node replace` attests" });
    let warnings = if revoked { vec![warning] } else { Vec::new() };
    ok(json!({
        "health": { "status": "ready", "version": "1", "api": ["v1"], "pid": 1, "problems": [] },
        "home": "/h", "started_at": 1, "ceremony": "done", "connectors": [], "pending_approvals": 0,
        "running_calls": 0, "unknown_outcomes": 0, "revocations": 0, "warnings": warnings,
    }))
}

//= docs/spec/output.md#envelope
#[test]
fn a_record_that_does_not_hold_leads_on_from_the_command_that_found_it() {
    let revoked = Arc::new(Mutex::new(false));
    let is_revoked = revoked.clone();
    let home = home(move |request| match request.line.as_str() {
        "POST /v1/audit/verify" => ok(json!({
            "valid": false, "events": 1, "heads": 1, "chains": [],
            "problems": [{ "zone": "z:owner", "seq": 1, "problem": "its head is nobody's" }],
        })),
        _ => status(*is_revoked.lock().unwrap()),
    });
    let saved = home.private("heads.json", &heads(json!([head("z:owner")])));
    let verify = |more: &[&str]| {
        let (_, answer) = home.json(&[&["--agent", "mail", "audit", "verify"], more].concat());
        answer["error"]["next"].to_string()
    };
    let alone = verify(&[]);
    assert!(!alone.contains("audit verify`") && alone.contains("from a backup"), "the same again: {alone}");
    let with_head = verify(&["--head", saved.to_str().unwrap()]);
    assert!(with_head.contains("heads.json") && with_head.contains("by themselves"), "{with_head}");
    *revoked.lock().unwrap() = true;
    assert!(verify(&[]).contains("`fwc node replace`"));
}

/// What `audit head` says of a chain with three events.
fn head(zone: &str) -> Value {
    json!({ "zone": zone, "node": "n1", "head_event": "ab".repeat(32), "events": 3 })
}

fn heads(chains: Value) -> String {
    json!({ "chains": chains }).to_string()
}

//= docs/spec/audit.md#saved-heads
#[test]
fn saved_heads_prove_of_a_chain_what_they_hold_of_it_and_the_answer_says_of_which() {
    let home = home(|_| {
        let chains =
            json!([head("z:owner"), head("z:work"), { "zone": "z:public", "node": "n1", "events": 0 }]);
        ok(json!({ "valid": true, "events": 6, "heads": 2, "chains": chains, "problems": [] }))
    });
    let verify = |file: &str, chains: Value| {
        let saved = home.private(file, &heads(chains));
        home.json(&["--agent", "mail", "audit", "verify", "--head", saved.to_str().unwrap()])
    };
    let (code, answer) =
        verify("one.json", json!([head("z:work"), { "zone": "z:public", "node": "n1", "events": 0 }]));
    let notes = answer["notes"].clone();
    assert_eq!((code, &notes[0]), (0, &json!("held against the saved heads: z:work")), "{answer:#}");
    assert!(notes[1].as_str().unwrap().ends_with(": z:owner"), "{notes}");
    assert_eq!(
        verify("both.json", json!([head("z:work"), head("z:owner")])).1["notes"].as_array().unwrap().len(),
        1
    );
    let mut torn = head("z:work");
    torn["head_event"].take();
    let mut empty = head("z:work");
    empty["events"] = 0.into();
    for (file, chains) in
        [("none", json!([])), ("torn", json!([head("z:owner"), torn])), ("empty", json!([empty]))]
    {
        let (code, answer) = verify(file, chains);
        assert_eq!(answer["error"]["code"], "FCP-1003", "{file} {code}: {answer:#}");
    }
    let asked = home.seen("POST /v1/audit/verify").len();
    assert_eq!(asked, 2, "the chains are not verified against such a file");
}

/// Copies the bundled declarative connector's folder.
fn bundled(home: &Home) -> String {
    let folder = home.beside("notion");
    std::fs::create_dir(&folder).unwrap();
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../connectors/notion");
    for name in ["manifest.toml", "cases.toml"] {
        std::fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

//= docs/spec/package.md#cases
#[test]
fn the_cases_of_a_folder_are_run_and_the_one_that_does_not_hold_is_named() {
    programs::programs();
    let home = Home::new();
    let folder = bundled(&home);
    let (code, answer) = home.json(&["package", "test", &folder]);
    assert_eq!((code, &answer["data"]["failed"]), (0, &json!(0)), "{answer:#}");
    let all = answer["data"]["cases"].as_array().unwrap().len();
    assert!(all >= 8 && answer["data"]["held"] == all && answer["data"]["untested"] == json!([]));

    let cases = std::path::Path::new(&folder).join("cases.toml");
    let text = std::fs::read_to_string(&cases).unwrap();
    std::fs::write(&cases, text.replacen("method = \"POST\"", "method = \"PATCH\"", 1)).unwrap();
    let (code, answer) = home.json(&["package", "test", &folder]);
    assert_eq!((code, &answer["data"]["failed"]), (7, &json!(1)), "{answer:#}");
    let differs = answer["data"]["cases"].as_array().unwrap().iter().find(|it| it["result"] == "differs");
    assert!(differs.unwrap()["differences"].to_string().contains("PATCH"), "{answer:#}");
    assert!(answer["error"]["message"].as_str().unwrap().starts_with("1 of "), "{answer:#}");
    assert!(answer["error"]["next"].to_string().contains(&format!("fwc package test {folder}")));

    std::fs::write(&cases, "cases = 7").unwrap();
    let (code, answer) = home.json(&["package", "test", &folder]);
    assert_eq!((code, &answer["error"]["code"]), (5, &json!("FCP-5010")), "{answer:#}");
}

//= docs/spec/package.md#cases
#[test]
fn a_native_connectors_cases_are_run_with_its_program() {
    let programs = programs::programs();
    let home = Home::new();
    let folder = home.beside("sqlite");
    std::fs::create_dir(&folder).unwrap();
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../connectors/sqlite/manifest.toml");
    std::fs::copy(from, folder.join("manifest.toml")).unwrap();
    let database = home.beside("notes.db");
    let case = format!(
        "[[cases]]\nname = \"adds\"\noperation = \"sqlite.query\"\ninput = {{ sql = \"select 1 as n\" }}\n\
         config = {{ database = \"{}\", read_only = false }}\nexpect = {{ error = \"FCP-1006\" }}\n",
        database.display()
    );
    std::fs::write(folder.join("cases.toml"), case).unwrap();
    let folder = folder.to_str().unwrap();
    assert_eq!(home.json(&["package", "test", folder]).0, 2, "it does not say which program");
    let code = programs.join("fcp-connector-sqlite");
    let (exit, answer) = home.json(&["package", "test", folder, "--code", code.to_str().unwrap()]);
    assert_eq!((exit, &answer["data"]["failed"]), (7, &json!(1)), "{answer:#}");
    assert!(answer["error"]["why"].as_str().unwrap().starts_with("adds: "), "{answer:#}");
}

//= docs/spec/package.md#cases
#[test]
fn a_package_that_is_there_is_overwritten_only_on_purpose() {
    let home = Home::new();
    let folder = bundled(&home);
    let out = home.beside("w.fcp").to_str().unwrap().to_owned();
    let build = |more: &[&str]| home.json(&[&["package", "build", &folder, "--out", &out], more].concat());
    let (code, built) = build(&[]);
    assert_eq!((code, &built["next"]), (0, &json!([format!("fwc package test {folder}")])));
    std::fs::write(&out, "another's").unwrap();
    let (code, refused) = build(&[]);
    assert_eq!((code, &refused["error"]["code"]), (5, &json!("FCP-6005")));
    assert!(refused["error"]["why"].as_str().unwrap().contains("is there already"), "{refused:#}");
    assert!(refused["error"]["next"].to_string().contains("--force"), "{refused:#}");
    assert_eq!(std::fs::read(&out).unwrap(), b"another's");
    assert_eq!(build(&["--force"]).0, 0);
    assert_ne!(std::fs::read(&out).unwrap(), b"another's");
}
