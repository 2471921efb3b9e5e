//! What is asked on a terminal: secrets unseen, the owner's phrase shown once, an approval by its whole text.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(unreachable_pub, reason = "the double is a module of this test")]
#![allow(dead_code, reason = "the double and the real home serve other tests too")]

mod double;
mod programs;
mod real;
mod terminal;

use double::{Home, ok};
use serde_json::json;
use terminal::Terminal;

const PASSPHRASE: &str = "correct horse battery";
const SECRET: &str = "ghp_0123456789";
const ID: &str = "abababababababababababababababababababababababababababababababab";

fn unlocked() -> double::Answer {
    ok(
        json!({ "bearer": "0b".repeat(32), "operator": "owner", "rights": ["approve", "auth"], "expires_at": 9 }),
    )
}

#[test]
fn secrets_are_typed_unseen_and_reach_the_daemon_alone() {
    let home = Home::served(|request| match request.line.as_str() {
        "POST /v1/operator/unlock" => unlocked(),
        "POST /v1/operator/lock" => ok(json!({})),
        line if line.starts_with("PUT /v1/credentials/") => ok(json!({
            "id": "me", "connector": "github", "slot": "token", "zone": "z:work", "kind": "bearer", "stored_at": 1,
            "key_id": "00".repeat(8), "version": 1,
        })),
        _ => None,
    });
    let words = [
        "auth",
        "set",
        "me",
        "--connector",
        "github",
        "--slot",
        "token",
        "--zone",
        "z:work",
        "--kind",
        "bearer",
    ];
    let Some(mut terminal) = Terminal::start(&home.path(), &words) else { return };
    for _ in 0..2 {
        let asked = terminal.wait_for(&["Operator passphrase: ", "Token: "]);
        terminal.type_line(if asked.contains("passphrase") { PASSPHRASE } else { SECRET });
    }
    let (_, screen) = terminal.end();
    assert!(!screen.contains(PASSPHRASE) && !screen.contains(SECRET), "{screen}");
    let unlock = &home.seen("POST /v1/operator/unlock")[0].body;
    assert_eq!(unlock["key_source"]["passphrase"], PASSPHRASE);
    assert!(home.seen("PUT /v1/credentials/me")[0].body.to_string().contains(SECRET));
}

#[test]
fn an_approval_is_shown_whole_and_nothing_in_it_can_hide() {
    for (answer, code) in [("yes", 0), ("y", 1)] {
        let home = Home::served(|request| match request.line.as_str() {
            "POST /v1/operator/unlock" => unlocked(),
            "POST /v1/operator/lock" => ok(json!({})),
            line if line == format!("GET /v1/approvals/{ID}") => ok(pending()),
            line if line == format!("POST /v1/approvals/{ID}/preview") => ok(json!({
                "agent": "mail", "zone": "z:work", "operation": "a.b", "scope": "bounds", "unbound": ["/sql", "/limit"],
                "constraints": {"resource_allow": ["a:shown"]}, "config": {}, "config_digest": ID,
            })),
            line if line == format!("POST /v1/approvals/{ID}/approve") => ok(json!({
                "request_id": ID, "approval_id": ID, "expires_at": 9,
            })),
            _ => None,
        });
        let pass = home.private("pass", PASSPHRASE);
        let words =
            ["--passphrase-file", pass.to_str().unwrap(), "approvals", "approve", ID, "--grant", "8h"];
        let Some(mut terminal) = Terminal::start(&home.path(), &words) else { return };
        let screen = terminal.wait_for(&["Type yes: "]);
        assert!(!screen.contains('\u{202e}'), "text that turns around reached the terminal");
        assert!(screen.contains("\\u202e"), "{screen}");
        let beforehand =
            "for 8h: mail calls a.b with any input that fits the bounds below, and nobody is asked again";
        assert!(screen.contains(beforehand), "{screen}");
        assert!(screen.contains("may be anything: /sql, /limit") && screen.contains("a:shown"), "{screen}");
        terminal.type_line(answer);
        let (ended, screen) = terminal.end();
        assert_eq!(ended == 0, code == 0, "{screen}");
        let sent = home.seen(&format!("POST /v1/approvals/{ID}/approve"));
        assert_eq!(sent.len(), usize::from(code == 0));
        let configured = sent.iter().map(|it| it.body["grant"]["config_digest"].clone());
        assert!(configured.into_iter().all(|it| it == ID), "what is signed is what was shown");
        assert!(code == 0 || screen.contains(&format!("fwc approvals deny {ID}")), "{screen}");
    }
}

fn pending() -> serde_json::Value {
    json!({
        "request_id": ID, "status": "pending", "agent": "mail", "zone": "z:work", "connector": "a",
        "operation": "a.b", "description": "Does.", "risk": "high", "tier": "dangerous",
        "input": {"to": "x\u{202e}y"}, "resources": [], "credentials": [], "call_digest": ID,
        "interface_hash": ID, "code_digest": ID, "label_digest": ID,
        "input_label": {"integrity": 60, "confidentiality": 0, "taints": []}, "kinds": ["execution"],
        "missing": "FCP-3101", "requested_at": 1, "expires_at": 9,
    })
}

#[test]
fn the_phrase_is_shown_once_and_its_words_are_asked_for() {
    let home = real::Home::new();
    let Some(mut terminal) = Terminal::start(&home.path(), &["up"]) else { return };
    terminal.wait_for(&["key: "]);
    terminal.type_line(PASSPHRASE);
    terminal.wait_for(&["again: "]);
    terminal.type_line(PASSPHRASE);
    let screen = terminal.wait_for(&["Word "]);
    let phrase = phrase_in(&screen);
    assert_eq!(phrase.len(), 24, "{screen}");
    let mut wrong = true;
    loop {
        let screen = terminal.screen();
        let place: usize = screen.rsplit("Word ").next().unwrap().split(':').next().unwrap().parse().unwrap();
        terminal.type_line(if wrong { "zebra-not" } else { &phrase[place - 1] });
        wrong = false;
        if terminal.wait_for(&["Word ", "owner ok"]).contains("owner ok") {
            break;
        }
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(PASSPHRASE), "{screen}");
    let journal = std::fs::read_dir(home.path().join("journal")).unwrap();
    for entry in journal {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let words = phrase.join(" ");
        assert!(!bytes.windows(words.len()).any(|part| part == words.as_bytes()), "the phrase is stored");
    }
}

/// The numbered words of the phrase, in their order.
fn phrase_in(screen: &str) -> Vec<String> {
    let words: Vec<&str> = screen.split_whitespace().collect();
    let place = |text: &str| text.strip_suffix('.')?.parse::<usize>().ok();
    let numbered = words.windows(2).filter_map(|pair| Some((place(pair[0])?, pair[1].to_owned())));
    numbered.collect::<std::collections::BTreeMap<_, _>>().into_values().collect()
}
