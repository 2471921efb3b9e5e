//! The commands as a person and an agent run them, against a double of the daemon.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the double is a module of this test")]

mod double;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use double::{Answer, Home, Request, ok, refuse, run_with};
use fcp_proto_core::crypto::proof::{CallProof, EnrolmentProof, SessionProof};
use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::crypto::sign::{Signature, VerifyingKey};
use fcp_proto_core::ids::TokenId;
use fcp_proto_core::object::CallDigestInput;
use serde_json::{Value, json};

const BEARER: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
const SESSION: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const ID: &str = "abababababababababababababababababababababababababababababababab";
const PASSPHRASE: &str = "correct horse battery";

/// What every daemon does for those who prove a key.
fn usual(request: &Request) -> Option<Answer> {
    let digits = |pair: &str, count: usize| pair.repeat(count);
    Some(match request.line.as_str() {
        "POST /v1/challenges" => ok(json!({
            "node": "n1", "challenge": digits("c1", 32), "channel_binding": digits("b1", 32), "expires_at": 9,
        })),
        "POST /v1/operator/unlock" if request.body["key_source"]["passphrase"] == PASSPHRASE => ok(json!({
            "bearer": BEARER, "operator": "owner", "rights": ["approve", "grant"], "expires_at": 9,
        })),
        "POST /v1/operator/unlock" => refuse(401, "FCP-2011"),
        "POST /v1/operator/lock" => ok(json!({})),
        "POST /v1/sessions" => ok(json!({
            "session_id": digits("1d", 16), "session": SESSION, "agent": "mail", "zone": "z:work",
            "expires_at": 9,
        })),
        line if line.starts_with("DELETE /v1/sessions/") => ok(json!({})),
        _ => return None,
    })
}

fn agent_view() -> Value {
    json!({
        "name": "mail", "zone": "z:work", "key_id": "00".repeat(8), "key_source": "file", "enrolment_id": ID,
        "enrolled_at": 1, "revoked": false, "roles": [], "live_grants": 0, "open_sessions": 0,
    })
}

fn invoke_answer() -> Value {
    json!({
        "call_id": "ca".repeat(16), "receipt_id": ID, "decision_id": ID, "output": {"n": 1},
        "label": {"integrity": 20, "confidentiality": 60, "taints": []}, "effect": "none",
        "usage": {"requests": 1, "bytes_sent": 0, "bytes_received": 2, "duration_ms": 3}, "replayed": false,
    })
}

/// A home whose daemon enrols agents, opens sessions and answers calls as `call` says; agent `mail` has a key.
fn home_with_agent(call: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Home {
    let home = Home::served(move |request| {
        usual(request).unwrap_or_else(|| match request.line.as_str() {
            "POST /v1/agents" => ok(agent_view()),
            _ => call(request),
        })
    });
    let pass = home.private("pass", &format!("{PASSPHRASE}\n"));
    let (code, _) =
        home.json(&["agent", "add", "mail", "--zone", "z:work", "--passphrase-file", pass.to_str().unwrap()]);
    assert_eq!(code, 0);
    home
}

fn key_of(home: &Home) -> VerifyingKey<Agent> {
    home.seen("POST /v1/agents")[0].body["public_key"].as_str().unwrap().parse().unwrap()
}

fn signature(request: &Request) -> Signature {
    serde_json::from_value(request.body["proof"]["signature"].clone()).unwrap()
}

#[test]
fn whoever_adds_an_agent_where_no_call_is_made_is_told() {
    let home = Home::served(|request| {
        usual(request).unwrap_or_else(|| match request.line.as_str() {
            "POST /v1/agents" => {
                let mut view = agent_view();
                view["zone_key_revoked"] = true.into();
                ok(view)
            }
            _ => None,
        })
    });
    let pass = home.private("pass", &format!("{PASSPHRASE}\n"));
    let line = ["agent", "add", "mail", "--zone", "z:work", "--passphrase-file", pass.to_str().unwrap()];
    let (_, answer) = home.json(&line);
    assert!(answer["notes"].to_string().contains("the key of z:work is revoked"), "{answer:#}");
    assert_eq!(answer["next"][0], "fwc zones rekey z:work");
}

#[test]
fn an_agents_key_is_made_here_and_only_its_public_half_leaves() {
    let home = home_with_agent(|_| None);
    let request = &home.seen("POST /v1/agents")[0];
    assert_eq!(request.headers["authorization"], format!("Bearer {BEARER}"));
    let statement = EnrolmentProof {
        principal_id: "mail".parse().unwrap(),
        zone_id: "z:work".parse().unwrap(),
        node_id: "n1".parse().unwrap(),
        challenge: [0xc1; 32],
    };
    assert_eq!(statement.verify(&key_of(&home), &signature(request)), Ok(()));
    let path = home.path().join("agents/mail.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let secret = text.lines().nth(1).unwrap();
    assert_eq!(secret.len(), 64);
    assert!(home.requests.lock().unwrap().iter().all(|request| !request.body.to_string().contains(secret)));
    assert_eq!(home.seen("POST /v1/operator/lock").len(), 1, "the operator's key is closed again");
}

#[test]
fn an_agent_that_is_refused_leaves_no_key() {
    let home = Home::served(|request| usual(request).unwrap_or_else(|| refuse(403, "FCP-2009")));
    let pass = home.private("pass", PASSPHRASE);
    let line = ["agent", "add", "mail", "--zone", "z:work", "--passphrase-file", pass.to_str().unwrap()];
    let (code, answer) = home.json(&line);
    assert_eq!((code, &answer["error"]["code"]), (6, &json!("FCP-2009")));
    assert!(!home.path().join("agents/mail.key").exists());
}

#[test]
fn a_call_goes_out_in_a_session_proved_on_this_connection() {
    let home = home_with_agent(|_| ok(invoke_answer()));
    let (code, answer) =
        home.json(&["--agent", "mail", "invoke", "a.b", "--set", "n=1", "--account", "me", "--keep"]);
    assert_eq!((code, &answer["source"], &answer["command"]), (0, &json!("host"), &json!("invoke")));
    assert_eq!(answer["data"]["output"], json!({"n": 1}));
    let statement = SessionProof {
        principal_id: "mail".parse().unwrap(),
        node_id: "n1".parse().unwrap(),
        channel_binding: [0xb1; 32],
        challenge: [0xc1; 32],
    };
    assert_eq!(statement.verify(&key_of(&home), &signature(&home.seen("POST /v1/sessions")[0])), Ok(()));
    let call = &home.seen("POST /v1/invoke")[0];
    assert_eq!(call.headers["x-fcp-session"], SESSION);
    assert_eq!(call.body["call"]["input"], json!({"n": 1}));
    assert_eq!(call.body["call"]["credential"], "me");
    assert_eq!(call.body["options"], json!({"keep_result": true}));
}

/// The daemon's part of a call without a session: what is to be signed, and the call's answer.
fn outside(request: &Request) -> Answer {
    match request.line.as_str() {
        "POST /v1/prepare" => {
            let covered = covered(&request.body["call"]["input"].to_string());
            ok(json!({
                "call_digest": covered.digest().unwrap(), "token_id": "05".repeat(16), "node": "n1",
                "zone": "z:work", "agent": "mail", "resources": ["a:b"], "credentials": ["main"],
                "challenge": "c1".repeat(32), "expires_at": 9,
            }))
        }
        _ => ok(invoke_answer()),
    }
}

fn covered(input: &str) -> CallDigestInput {
    CallDigestInput {
        format: 1,
        zone: "z:work".parse().unwrap(),
        principal: "mail".parse().unwrap(),
        connector: "a".parse().unwrap(),
        operation: "a.b".parse().unwrap(),
        input: input.into(),
        resources: ["a:b".into()].into(),
        credentials: ["main".parse().unwrap()].into(),
        idempotency_key: None,
    }
}

#[test]
fn a_token_from_a_file_calls_without_a_session() {
    let home = home_with_agent(outside);
    let token = home.private("t.token", "dG9rZW4=\n");
    let line = ["invoke", "a.b", "--set", "n=1", "--token", token.to_str().unwrap()];
    let (code, answer) = home.json(&line);
    assert_eq!((code, &answer["data"]["output"]), (0, &json!({"n": 1})));
    let call = &home.seen("POST /v1/invoke")[0];
    assert!(!call.headers.contains_key("x-fcp-session") && home.seen("POST /v1/sessions").is_empty());
    let proof = &call.body["holder_proof"];
    assert_eq!(
        (&proof["token"], &proof["proof"]["challenge"]),
        (&json!("dG9rZW4="), &json!("c1".repeat(32)))
    );
    let statement = CallProof {
        call_digest: covered("{\"n\":1}").digest().unwrap(),
        token_id: TokenId::from_bytes([5; 16]),
        node_id: "n1".parse().unwrap(),
        audience: "z:work".parse().unwrap(),
        challenge: [0xc1; 32],
    };
    let signature: Signature = serde_json::from_value(proof["proof"]["signature"].clone()).unwrap();
    assert_eq!(statement.verify(&key_of(&home), &signature), Ok(()));

    let no_key = home.beside("no.key");
    let (code, _) = home.json(&[&line[..], &["--key", no_key.to_str().unwrap()]].concat());
    assert_ne!(code, 0, "another key was named");
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o640)).unwrap();
    let (code, answer) = home.json(&line);
    assert_eq!((code, &answer["error"]["code"]), (6, &json!("FCP-8016")), "others may read the token");
    assert_eq!(home.seen("POST /v1/invoke").len(), 1);
}

#[test]
fn minted_tokens_go_into_files_and_on_no_stream() {
    let home = home_with_agent(|_| {
        ok(json!({"tokens": [{
            "token_id": "05".repeat(16), "connector": "a", "operations": ["a.b"], "grant": ID, "expires_at": 9,
            "issuer_key": "00".repeat(8), "token": "dG9rZW4=",
        }]}))
    });
    let folder = home.beside("tokens");
    let line = ["--agent", "mail", "--json", "token", "mint", "a.b", "--to", folder.to_str().unwrap()];
    let output = home.fwc(&line).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = &home.seen("POST /v1/tokens")[0];
    assert_eq!(
        (&asked.headers["x-fcp-session"], &asked.body),
        (&SESSION.to_owned(), &json!({"operations": ["a.b"]}))
    );
    let file = folder.join(format!("{}.token", "05".repeat(16)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "dG9rZW4=\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(shown.contains(file.to_str().unwrap()) && !shown.contains("dG9rZW4"), "{shown}");
}

#[test]
fn failures_end_with_their_codes_and_say_what_why_and_next() {
    for (answer, code) in [
        (refuse(403, "FCP-3101"), 9),
        (refuse(403, "FCP-4001"), 6),
        (refuse(422, "FCP-1003"), 5),
        (refuse(429, "FCP-3002"), 7),
        (refuse(409, "FCP-6012"), 10),
        (refuse(500, "FCP-9001"), 1),
        (None, 10),
    ] {
        let home = home_with_agent(move |_| answer.clone());
        let output = home.fwc(&["--agent", "mail", "invoke", "a.b", "--format", "table"]).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("error FCP-") && text.contains("why:") && text.contains("next:"), "{text}");
    }
}

#[test]
fn a_denial_shows_its_check_rule_and_the_command_that_asks() {
    let home = home_with_agent(|_| {
        let (status, mut body) = refuse(403, "FCP-3005")?;
        body["detail"] = json!({
            "check": "constraints", "rule": "/state is not open", "decision_id": ID, "needs": [],
            "command": "fwc request a.b",
        });
        Some((status, body))
    });
    let output = home.fwc(&["--agent", "mail", "invoke", "a.b", "--format", "table"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let explain = format!("fwc --agent mail explain {ID}");
    for part in ["constraints", "/state is not open", "fwc --agent mail request a.b", &explain] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn without_a_daemon_a_home_or_a_speaker_each_says_so() {
    let home = Home::new();
    let (code, answer) = home.json(&["list"]);
    assert_eq!((code, &answer["error"]["code"]), (8, &json!("FCP-8001")));
    let (code, answer) = home.json(&["--home", "/nonexistent/home", "status"]);
    assert_eq!((code, &answer["error"]["code"]), (5, &json!("FCP-8002")));
    let (code, answer) = home.json(&["invoke", "a.b"]);
    assert_eq!((code, &answer["error"]["code"]), (6, &json!("FCP-2008")));
    assert!(answer["error"]["next"][0].as_str().unwrap().contains("fwc agent run"));
}

#[test]
fn agent_run_hands_down_a_file_and_nothing_that_opens_more() {
    let home = home_with_agent(|_| ok(invoke_answer()));
    let script = format!(
        "set -e; stat -c %a \"$FCP_SESSION\"; env | grep -c {SESSION} || true; env | grep PASSPHRASE || true; \
         {} invoke a.b --json; echo \"$FCP_SESSION\"; exit 42",
        env!("CARGO_BIN_EXE_fwc")
    );
    let pass = home.beside("pass");
    let mut command = home.fwc(&["agent", "run", "mail", "--", "sh", "-c", &script]);
    let output = command.env("FCP_PASSPHRASE_FILE", pass).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(42), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..2], ["600", "0"], "{text}");
    assert!(!text.contains("PASSPHRASE"), "{text}");
    assert_eq!(home.seen("POST /v1/invoke")[0].headers["x-fcp-session"], SESSION);
    assert!(!std::path::Path::new(lines[lines.len() - 1]).exists(), "the session file is gone");
    assert_eq!(home.seen(&format!("DELETE /v1/sessions/{}", "1d".repeat(16))).len(), 1);
}

#[test]
fn a_command_that_does_not_exist_leaves_no_session() {
    let home = home_with_agent(|_| None);
    let output =
        home.fwc(&["--json", "agent", "run", "mail", "--", "/nonexistent/program"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(5), 0), "standard output is the command's");
    assert!(String::from_utf8(output.stderr).unwrap().contains("FCP-6001"));
    assert_eq!(home.seen("DELETE /v1/sessions/").len(), 1);
    assert_eq!(std::fs::read_dir(home.path().join("run/sessions")).unwrap().count(), 0);
}

#[test]
fn the_commands_end_counts_whatever_becomes_of_the_session() {
    let home = Home::served(|request| match request.line.as_str() {
        line if line.starts_with("DELETE /v1/sessions/") => refuse(401, "FCP-2008"),
        _ => usual(request).unwrap_or_else(|| ok(agent_view())),
    });
    let pass = home.private("pass", PASSPHRASE);
    let add = ["agent", "add", "mail", "--zone", "z:work", "--passphrase-file", pass.to_str().unwrap()];
    assert_eq!(home.json(&add).0, 0);
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("rm \"$FCP_SESSION\"", 0)] {
        let line = ["agent", "run", "mail", "--for", "1m", "--", "sh", "-c", script];
        assert_eq!(home.fwc(&line).output().unwrap().status.code(), Some(code), "{script}");
    }
    assert_eq!(home.seen("DELETE /v1/sessions/").len(), 4);
}

#[test]
//= docs/spec/output.md#fwc-agent-run
fn what_a_killed_run_left_is_of_no_use_and_goes_with_the_next() {
    let home = home_with_agent(|_| ok(invoke_answer()));
    let keep = home.beside("kept");
    let script = format!("cp -p \"$FCP_SESSION\" {}", keep.display());
    let kept = ["agent", "run", "mail", "--", "sh", "-c", script.as_str()];
    assert_eq!(home.fwc(&kept).output().unwrap().status.code(), Some(0));
    let left = home.path().join("run/sessions/left.json");
    std::fs::rename(&keep, &left).unwrap();

    let output = home.fwc(&["--json", "invoke", "a.b"]).env("FCP_SESSION", &left).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &answer["error"]["code"]), (Some(6), &json!("FCP-2008")), "{answer}");
    assert!(answer["error"]["why"].as_str().unwrap().contains("has ended"), "{answer}");
    assert!(home.seen("POST /v1/invoke").is_empty());

    // Another run under way keeps its file.
    let inner = format!("{} agent run mail -- true; test -e \"$FCP_SESSION\"", env!("CARGO_BIN_EXE_fwc"));
    let outer = ["agent", "run", "mail", "--", "sh", "-c", inner.as_str()];
    assert_eq!(home.fwc(&outer).output().unwrap().status.code(), Some(0));
    assert!(!left.exists(), "what nobody holds is removed");
}

/// A signal needs no key, so the command itself looks at who speaks.
//= docs/spec/api.md#stopping
#[test]
fn an_agents_session_stops_no_daemon() {
    let home = home_with_agent(|_| None);
    let down = format!("{} --json down", env!("CARGO_BIN_EXE_fwc"));
    for line in [
        &["agent", "run", "mail", "--", "sh", "-c", down.as_str()][..],
        &["--agent", "mail", "--json", "down"],
    ] {
        let output = home.fwc(line).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["error"]["code"], "FCP-2009", "{answer:#}");
    }
}

#[test]
fn a_watch_ends_when_nobody_reads_any_more() {
    let home =
        home_with_agent(|_| ok(json!({ "approvals": [approval()], "grant_requests": [], "cursor": "1" })));
    let mut watch = home.fwc(&["--agent", "mail", "approvals", "watch"]);
    let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut lines = std::io::BufReader::new(watch.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut first).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["request_id"], ID);
    drop(lines);
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

fn approval() -> Value {
    json!({
        "request_id": ID, "status": "pending", "agent": "mail", "zone": "z:work", "connector": "a",
        "operation": "a.b", "description": "Does.", "risk": "high", "tier": "dangerous",
        "input": {"to": "x"}, "resources": [], "credentials": [], "call_digest": "d1".repeat(32),
        "interface_hash": ID, "code_digest": ID, "label_digest": ID,
        "input_label": {"integrity": 60, "confidentiality": 0, "taints": []}, "kinds": ["execution"],
        "missing": "FCP-3101", "requested_at": 1, "expires_at": 9,
    })
}

#[test]
fn an_approval_is_of_the_call_that_was_shown_and_needs_a_person_or_yes() {
    let home = Home::served(|request| {
        usual(request).unwrap_or_else(|| match request.line.as_str() {
            line if line.ends_with("/approve") => {
                ok(json!({"request_id": ID, "approval_id": ID, "grant_id": ID, "expires_at": 9}))
            }
            _ => ok(approval()),
        })
    });
    let pass = home.private("pass", PASSPHRASE);
    let pass = pass.to_str().unwrap();
    let (code, refused) = home.json(&["approvals", "approve", ID, "--passphrase-file", pass]);
    assert_eq!(code, 6, "there is no terminal to ask on");
    let error = &refused["error"];
    assert!(error["message"].as_str().unwrap().contains("a person's yes"), "{refused}");
    assert!(error["why"].as_str().unwrap().contains("--yes was not given"), "{refused}");
    assert!(home.seen("POST /v1/approvals").is_empty());
    let line = [
        "approvals",
        "approve",
        ID,
        "--yes",
        "--grant",
        "8h",
        "--allow",
        "a:x/**",
        "--passphrase-file",
        pass,
    ];
    assert_eq!(home.json(&line).0, 0);
    let sent = &home.seen("POST /v1/approvals")[0].body;
    assert_eq!(sent["call_digest"], json!("d1".repeat(32)));
    assert_eq!(
        sent["grant"],
        json!({"constraints": {"resource_allow": ["a:x/**"]}, "lifetime_secs": 28_800})
    );
}

#[test]
fn watching_shows_a_line_for_each_change() {
    let home = Home::served(|request| {
        usual(request).unwrap_or_else(|| ok(json!({"approvals": [approval(), approval()], "cursor": "c"})))
    });
    let pass = home.private("pass", PASSPHRASE);
    let mut command =
        home.fwc(&["approvals", "watch", "--count", "3", "--passphrase-file", pass.to_str().unwrap()]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["request_id"] == ID));
    assert!(home.seen("GET /v1/approvals/watch?cursor=c").len() == 1, "the cursor goes on");
}

#[test]
fn passphrases_and_secrets_come_from_files_and_pipes_fit_for_them() {
    let home = Home::served(|request| {
        usual(request).unwrap_or_else(|| {
            ok(json!({
                "name": "me", "connector": "c", "slot": "s", "kind": "bearer", "zone": "z:work", "hosts": [],
                "version": 1, "stored_at": 1, "record_id": ID,
            }))
        })
    });
    let line = [
        "auth",
        "set",
        "me",
        "--connector",
        "c",
        "--slot",
        "s",
        "--zone",
        "z:work",
        "--kind",
        "bearer",
        "--stdin",
    ];
    let open = home.beside("open");
    std::fs::write(&open, PASSPHRASE).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let set = |pass: &std::path::Path| {
        run_with(home.fwc(&line).arg("--passphrase-file").arg(pass), "s3cret-value\n")
    };
    let output = set(&open);
    assert_eq!(output.status.code(), Some(6));
    assert!(home.seen("PUT ").is_empty() && home.seen("POST /v1/operator/unlock").is_empty());
    let wrong = home.private("wrong", "wrong");
    assert_eq!(set(&wrong).status.code(), Some(6));
    assert!(home.seen("PUT ").is_empty());
    let output = set(&home.private("pass", PASSPHRASE));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        home.seen("PUT /v1/credentials/me")[0].body["material"],
        json!({"kind": "bearer", "token": "s3cret-value"})
    );
    assert!(!String::from_utf8([output.stdout, output.stderr].concat()).unwrap().contains("s3cret"));
}

fn health(status: &str) -> Answer {
    ok(json!({"status": status, "version": "0", "api": ["v1"], "pid": 7, "problems": []}))
}

#[test]
fn up_makes_the_owner_and_keeps_the_phrase_off_every_stream() {
    let phrase: Vec<String> = (1..=24).map(|place| format!("word{place}")).collect();
    let (done, words) = (Arc::new(AtomicBool::new(false)), phrase.join(" "));
    let shown = words.clone();
    let home = Home::served(move |request| match request.line.as_str() {
        "GET /v1/health" if done.load(Ordering::SeqCst) => health("ready"),
        "GET /v1/health" => health("ceremony_required"),
        "POST /v1/ceremony/begin" => ok(json!({
            "ceremony_id": "ce".repeat(16), "phrase": words, "confirm_words": [3, 24], "expires_at": 9,
        })),
        "POST /v1/ceremony/confirm" => {
            done.store(true, Ordering::SeqCst);
            ok(json!({"owner_key": "00".repeat(8), "operator": "owner", "node": "n1", "zones": ["z:owner"]}))
        }
        _ => None,
    });
    assert_eq!(home.json(&["up"]).0, 2, "there is no terminal to show the phrase on");
    assert!(home.seen("POST ").is_empty());
    let (pass, file) = (home.private("pass", PASSPHRASE), home.beside("phrase"));
    let mut command = home.fwc(&[
        "up",
        "--passphrase-file",
        pass.to_str().unwrap(),
        "--phrase-file",
        file.to_str().unwrap(),
    ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{shown}\n"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!String::from_utf8([output.stdout, output.stderr].concat()).unwrap().contains("word7"));
    let confirmed = &home.seen("POST /v1/ceremony/confirm")[0].body["words"];
    assert_eq!(confirmed, &json!([{"place": 3, "word": "word3"}, {"place": 24, "word": "word24"}]));
}

#[test]
fn the_phrase_of_a_refused_ceremony_is_removed() {
    let home = Home::served(|request| match request.line.as_str() {
        "GET /v1/health" => health("ceremony_required"),
        "POST /v1/ceremony/begin" => ok(json!({
            "ceremony_id": "ce".repeat(16), "phrase": "one two", "confirm_words": [1], "expires_at": 9,
        })),
        _ => refuse(409, "FCP-6005"),
    });
    let (pass, file) = (home.private("pass", PASSPHRASE), home.beside("phrase"));
    let line = ["up", "--passphrase-file", pass.to_str().unwrap(), "--phrase-file", file.to_str().unwrap()];
    assert_eq!(home.json(&line).1["error"]["code"], "FCP-6005");
    assert!(!file.exists());
}

#[test]
fn a_daemon_that_does_not_start_is_quoted_with_its_code() {
    let home = Home::new();
    let folder = home.beside("bin");
    std::fs::create_dir(&folder).unwrap();
    let text = home.beside("text");
    // By a process of its own: a child of another test would keep what this one has open to write, and it could not be run.
    let copy = |from: &std::path::Path, name: &str| {
        assert!(
            std::process::Command::new("cp").arg(from).arg(folder.join(name)).status().unwrap().success()
        );
    };
    copy(env!("CARGO_BIN_EXE_fwc").as_ref(), "fwc");
    // A home without an owner is not begun where nobody can be asked.
    std::fs::write(home.path().join("home.toml"), "version = 1\n").unwrap();
    // It finds a home; then the last words of a daemon, and what it was started with.
    let script = r#"#!/bin/sh
[ "$1" = make ] && exec mkdir -p "$3/run"
printf '{"level":"ERROR","message":"%s","code":"FCP-8003","name":"home_locked"}\n' "$*" >&2; exit 5
"#;
    std::fs::write(&text, script).unwrap();
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
    copy(&text, "fcp-host");
    let mut command = std::process::Command::new(folder.join("fwc"));
    let output = command.arg("--home").arg(home.path()).args(["up", "--json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &answer["error"]["code"]), (Some(5), &json!("FCP-8003")));
    let why = answer["error"]["why"].as_str().unwrap();
    assert!(why.contains(&format!("daemon --home {}", home.path().display())), "{why}");
}

/// Serves a socket in a process of its own, so that it can be stopped; does nothing unless asked by the test below.
#[test]
#[ignore = "runs as the daemon of another test"]
fn daemon_in_a_process_of_its_own() {
    if let Some(run) = std::env::var_os("FWC_TEST_DOUBLE_RUN") {
        double::serve(std::path::Path::new(&run), Arc::default(), Arc::new(|_| health("ready")));
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn down_stops_the_process_behind_the_socket_and_waits_for_its_end() {
    use std::os::unix::process::ExitStatusExt;
    let home = Home::new();
    let mut daemon = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["daemon_in_a_process_of_its_own", "--exact", "--ignored"])
        .env("FWC_TEST_DOUBLE_RUN", home.path().join("run"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let running = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        home.path().join("run/fcp.sock").exists()
    });
    // Nobody's key is opened for a signal, so whose it would be is not asked; the daemon runs on.
    for option in ["--operator", "--passphrase-file"] {
        let (code, refused) = home.json(&[option, "x", "down"]);
        assert_eq!((code, &refused["error"]["code"]), (2, &json!("FCP-9002")), "{option}: {refused}");
    }
    let (code, answer) = if running { home.json(&["down", "--wait", "60s"]) } else { (-1, Value::Null) };
    let status = match daemon.try_wait().unwrap() {
        Some(status) => status,
        None => {
            daemon.kill().unwrap();
            daemon.wait().unwrap()
        }
    };
    assert_eq!((code, status.signal()), (0, Some(15)), "{answer}");
    assert_eq!(answer["data"]["pid"], json!(daemon.id()));
    assert_eq!(home.json(&["down"]).0, 8, "nobody is behind the socket any more");
}

fn wish() -> Value {
    json!({
        "request_id": ID, "status": "pending", "agent": "mail", "zone": "z:work", "connector": "a",
        "operations": [{"operation": "a.b", "description": "Reads.", "tier": "safe"}],
        "constraints": {"resource_allow": ["x:y"]}, "lifetime_secs": 3600, "requested_at": 1, "expires_at": 9,
    })
}

#[test]
fn a_grant_is_asked_for_with_its_bounds() {
    let home = home_with_agent(|_| ok(wish()));
    let line = ["--agent", "mail", "request", "a.b", "--grant", "1h", "--also", "a.c", "--allow", "x:y"];
    let (code, answer) = home.json(&line);
    assert_eq!((code, &answer["data"]["status"]), (0, &json!("pending")));
    let body = &home.seen("POST /v1/grant-requests")[0].body;
    assert_eq!((&body["connector"], &body["operations"]), (&json!("a"), &json!(["a.b", "a.c"])));
    assert_eq!(
        (&body["constraints"]["resource_allow"], &body["lifetime_secs"]),
        (&json!(["x:y"]), &json!(3600))
    );
    for bad in [
        &["--agent", "mail", "request", "a.b", "--grant", "1h"][..],
        &["--agent", "mail", "request", "a.b", "--allow", "x:y"],
        &["--agent", "mail", "request", "a.b", "--grant", "1h", "--allow", "x:y", "--input", "{}"],
    ] {
        assert_ne!(home.json(bad).0, 0, "{bad:?}");
    }
    assert_eq!(home.seen("POST /v1/grant-requests").len(), 1);
    assert!(home.seen("POST /v1/requests").is_empty());
}

#[test]
fn a_person_decides_both_kinds_of_requests_in_one_place() {
    let home = Home::served(|request| {
        let wishes = format!("/v1/grant-requests/{ID}");
        usual(request).unwrap_or_else(|| match request.line.as_str() {
            line if line.starts_with("GET /v1/approvals?") || line == "GET /v1/approvals" => {
                ok(json!({"approvals": [], "grant_requests": [wish()]}))
            }
            line if line.ends_with(&format!("/v1/approvals/{ID}")) => refuse(404, "FCP-6001"),
            line if line.ends_with(&format!("/v1/approvals/{ID}/deny")) => refuse(404, "FCP-6001"),
            line if line == format!("GET {wishes}") => ok(wish()),
            line if line == format!("POST {wishes}/deny") => ok(json!({"request_id": ID, "decision_id": ID})),
            line if line == format!("POST {wishes}/approve") => ok(json!({
                "grant_id": ID, "agent": "mail", "zone": "z:work", "connector": "a", "capabilities": ["a.read"],
                "operations": ["a.b"], "constraints": {}, "calls_used": 0, "not_before": 1, "expires_at": 9,
                "signed_by": "00".repeat(8), "live": true, "request_id": ID,
            })),
            _ => None,
        })
    });
    let pass = home.private("pass", PASSPHRASE);
    let pass = ["--passphrase-file", pass.to_str().unwrap()];
    let run = |line: &[&str]| home.json(&[&pass[..], line].concat());
    assert_eq!(run(&["approvals", "show", ID]).1["data"]["constraints"]["resource_allow"], json!(["x:y"]));
    let (code, answer) = run(&["approvals", "approve", ID, "--yes", "--only", "a.b", "--for", "30m"]);
    assert_eq!((code, &answer["data"]["live"]), (0, &json!(true)), "{answer}");
    let body = &home.seen(&format!("POST /v1/grant-requests/{ID}/approve"))[0].body;
    assert_eq!(body, &json!({"operations": ["a.b"], "lifetime_secs": 1800}));
    assert_eq!(run(&["approvals", "deny", ID]).0, 0);
    let table =
        home.fwc(&[&pass[..], &["approvals", "list", "--format", "table"]].concat()).output().unwrap();
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains("a grant") && text.contains("a.b") && text.contains("safe"), "{text}");
}

//= docs/spec/authority.md#asking-for-a-grant
#[test]
fn a_request_that_nobody_can_grant_any_more_is_shown_as_one() {
    let home = Home::served(|request| {
        usual(request).unwrap_or_else(|| match request.line.as_str() {
            line if line.starts_with("GET /v1/grant-requests/") => {
                let mut wish = wish();
                wish["obstacle"] = json!("FCP-3107");
                ok(wish)
            }
            _ => refuse(404, "FCP-6001"),
        })
    });
    let pass = home.private("pass", PASSPHRASE);
    let line = ["--passphrase-file", pass.to_str().unwrap(), "approvals", "show", ID];
    assert_eq!(home.json(&line).1["data"]["obstacle"], "FCP-3107");
    let shown = home.fwc(&[&line[..], &["--format", "table"]].concat()).output().unwrap();
    let text = String::from_utf8([shown.stdout, shown.stderr].concat()).unwrap();
    assert!(text.contains("nobody can grant it any more (FCP-3107"), "{text}");
    assert!(text.contains(&format!("fwc approvals deny {ID}")), "{text}");
}

#[test]
fn whoever_revokes_what_is_revoked_already_is_told() {
    let home = Home::served(|request| {
        usual(request).unwrap_or_else(|| {
            let mut revoked = json!({
                "revocation_id": ID, "seq": 3, "calls_ended": 0, "sessions_ended": 0, "known": true,
            });
            if request.body["target"] == "again" {
                revoked["revoked_since"] = 7.into();
            }
            ok(revoked)
        })
    });
    let pass = home.private("pass", PASSPHRASE);
    let notes = |target: &str| {
        let line =
            ["--passphrase-file", pass.to_str().unwrap(), "revoke", "IssuerKey", target, "--reason", "gone"];
        home.json(&line).1["notes"].to_string()
    };
    assert!(notes("again").contains("it was revoked already, since"));
    assert_eq!(notes("new"), "[]");
}
