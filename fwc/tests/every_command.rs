//! Every command once against a real daemon: it answers, its answer has its form, and what it says to type next exists.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod programs;
mod real;

use std::collections::BTreeSet;

use real::Home;
use serde_json::{Value, json};

/// Commands with a test of their own: they make a home for themselves or are another command's whole life.
const ELSEWHERE: [&str; 1] = ["quickstart"];

/// The commands of the reviewed tree, by their words.
fn all_commands() -> BTreeSet<String> {
    let tree = include_str!("../src/help_tree.txt");
    let (mut path, mut commands): (Vec<&str>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    for line in tree.lines().skip(1) {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let name = line.trim_start().split(':').next().unwrap();
        if !line.trim_start().starts_with(['-', '<', '[']) {
            path.truncate(depth - 1);
            // A group is no command: what stands below it is.
            commands.remove(&path.join(" "));
            path.push(name);
            commands.insert(path.join(" "));
        }
    }
    commands
}

#[test]
fn every_command_does_its_work_with_a_real_daemon() {
    let mut home = Home::new();
    begin(&mut home);
    if !connect(&mut home) {
        return;
    }
    let grant = admit(&mut home);
    let receipt = call(&mut home);
    ask(&mut home);
    outside_a_session(&mut home);
    look_back(&mut home, &receipt);
    beforehand(&mut home);
    withdraw(&mut home, &grant);
    apart_from_the_daemon(&mut home);
    end(&mut home);
    let missing: Vec<_> = all_commands()
        .into_iter()
        .filter(|name| !home.exercised.contains(name.as_str()) && !ELSEWHERE.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "no real daemon has seen {missing:?}");
}

fn begin(home: &mut Home) {
    let phrase = home.beside("phrase");
    let made = home.ok("up", &["--node", "laptop", "--phrase-file", &phrase]);
    assert_eq!(made["health"]["status"], "ready", "{made:#}");
    assert_eq!(std::fs::read_to_string(&phrase).unwrap().split_whitespace().count(), 24);
    let again = home.ok("up", &[]);
    assert_eq!(again["already_running"], true);
    let other = home.beside("another-phrase");
    let (_, told) = home.run("up", &["--phrase-file", &other]);
    assert!(told["notes"][0].as_str().is_some_and(|note| note.contains("--phrase-file")), "{told:#}");
    assert!(!std::path::Path::new(&other).exists(), "the phrase was shown once");
    assert_eq!(home.ok("status", &[])["health"]["status"], "ready");
    home.ok("zones list", &[]);
    assert_eq!(home.ok("zones show", &["z:work"])["zone"], "z:work");
    let levels = ["z:project:apollo", "--integrity", "60", "--confidentiality", "60"];
    assert_eq!(home.ok("zones add", &levels)["policy_version"], 1);
    let policy = ["z:project:apollo", "--connector", "sqlite", "--max-tier", "risky"];
    assert_eq!(home.ok("zones policy", &policy)["policy_version"], 2);
    let owner = home.passphrase().to_owned();
    people(home);
    home.ok("node renew", &["--for", "8761h", "--owner-passphrase-file", &owner]);
}

/// Operators, and what the owner's words do.
//= docs/spec/ceremony.md#operators
fn people(home: &mut Home) {
    let words = home.beside("phrase");
    let listed = home.ok("operator list", &[]);
    let name = listed["keys"][0]["operator"].as_str().unwrap().to_owned();
    let taken = home.refused("operator add", &[&name, "--phrase-file", &words]);
    assert!(taken.1["error"]["next"].to_string().contains("--replace"), "{:#}", taken.1);
    let none = home.refused("operator add", &["bob", "--phrase-file", &words]);
    assert_eq!(none.1["error"]["name"], "input_invalid");
    let wrong = home.private("wrong", "abandon ability");
    let wrong = home.refused("operator add", &["bob", "--phrase-file", &wrong]);
    assert_eq!(wrong.1["error"]["name"], "phrase_invalid");
    let last = home.refused("revoke", &["IssuerKey", &name, "--reason", "a test"]);
    assert_eq!(last.1["error"]["name"], "confirmation_needed", "{:#}", last.1);
    home.ok("revoke", &["IssuerKey", &name, "--reason", "a test", "--yes"]);
    assert_eq!(home.ok("status", &[])["health"]["status"], "degraded");
    assert_ne!(home.run("doctor", &[]).0, 0);
    let added = home.ok("operator add", &[&name, "--phrase-file", &words]);
    let shown = home.ok("operator show", &[&name]);
    assert_eq!(shown["keys"][0]["key_id"], added["key_id"]);
    assert_eq!(shown["keys"][1]["standing"], "revoked");
    home.ok("owner restore", &["--phrase-file", &words]);
    let node = home.ok("status", &[])["authority"]["node"].as_str().unwrap().to_owned();
    home.ok("revoke", &["NodeAttestation", &node, "--reason", "a test", "--yes"]);
    let owner = home.passphrase().to_owned();
    let renewed = home.refused("node renew", &["--owner-passphrase-file", &owner]);
    assert_eq!(renewed.1["error"]["name"], "node_revoked");
    home.ok("node replace", &["--phrase-file", &words]);
    let whole = home.refused("zones rekey", &["z:work", "--phrase-file", &words]);
    assert_eq!(whole.1["error"]["name"], "conflict");
    let unsure = home.refused("revoke", &["ZoneKey", "z:work", "--reason", "a test"]);
    assert!(unsure.1["error"]["why"].to_string().contains("fwc zones rekey z:work"), "{:#}", unsure.1);
    home.ok("revoke", &["ZoneKey", "z:work", "--reason", "a test", "--yes"]);
    assert_eq!(home.ok("zones show", &["z:work"])["key_revoked"], true);
    assert_eq!(home.ok("zones rekey", &["z:work", "--phrase-file", &words])["key_generation"], 1);
    assert_eq!(home.ok("zones show", &["z:work"])["key_revoked"], false);
    assert_eq!(home.ok("status", &[])["health"]["status"], "ready");
    assert_eq!(home.ok("audit verify", &[])["valid"], true);
}

/// Builds, signs and installs SQLite on a database of our own; `false` if this machine cannot build a sandbox.
fn connect(home: &mut Home) -> bool {
    let key = home.beside("publisher.key");
    let made = home.ok("package keygen", &[&key]);
    let package = home.beside("sqlite.fcp");
    let code = home.program("fcp-connector-sqlite");
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let folder = home.connector("sqlite");
    home.ok("package build", &[&folder, "--out", &package, "--code", &code, "--platform", &platform]);
    let trusted = made["public_key"].as_str().unwrap();
    let unsigned = home.refused("package verify", &[&package, "--trust", trusted]);
    assert_eq!(unsigned.1["error"]["name"], "package_untrusted");
    if !develop(home, &package) {
        return false;
    }
    home.ok("package sign", &[&package, "--key", &key]);
    home.ok("package verify", &[&package, "--trust", trusted]);
    assert_eq!(home.ok("package inspect", &[&package])["signatures_unverified"].as_array().unwrap().len(), 1);
    std::fs::write(home.path().join("publishers.txt"), format!("{trusted}\n")).unwrap();
    let config = json!({ "database": home.database() }).to_string();
    let installed = home.run("install", &[&package, "--zone", "z:work", "--config", &config]);
    if real::cannot_run(&installed) {
        return false;
    }
    assert_eq!(installed.0, 0, "{:#}", installed.1);
    home.exercised.insert("install".into());

    assert_eq!(home.ok("list", &[])["connectors"][0]["id"], "sqlite");
    assert_eq!(home.ok("show", &["sqlite"])["connector"]["id"], "sqlite");
    assert!(home.ok("ops", &["sqlite"])["operations"].as_array().unwrap().len() >= 3);
    assert_eq!(home.ok("schema", &["sqlite.query"])["operation"]["id"], "sqlite.query");
    let found = home.ok("search", &["inserts"]);
    assert_eq!(found["connectors"][0]["id"], "sqlite");
    assert!(
        found["operations"].as_array().unwrap().iter().any(|it| it["id"] == "sqlite.execute"),
        "{found:#}"
    );
    let looked = home.ok("doctor", &[]);
    assert_eq!(looked["problems"], 0);
    assert!(looked["warnings"].as_u64().unwrap() > 0, "a key in a plain file is warned of: {looked:#}");
    assert_eq!(home.refused("show", &["nothing"]).1["error"]["name"], "connector_unknown");
    true
}

/// Installs the unsigned package in development; `false` if this machine cannot build a sandbox.
//= docs/spec/package.md#development
fn develop(home: &mut Home, package: &str) -> bool {
    let config = json!({ "database": home.database() }).to_string();
    let words = [package, "--dev", "--zone", "z:work", "--config", &config];
    let refused = home.refused("install", &words).1;
    assert_eq!(refused["error"]["name"], "package_untrusted");
    assert!(
        refused["error"]["next"][0].as_str().unwrap().contains("fwc package keygen --dev"),
        "{refused:#}"
    );
    let made = home.ok("package keygen", &["--dev"]);
    assert_eq!(made["key_source"], "file");
    let installed = home.run("install", &words);
    if real::cannot_run(&installed) {
        return false;
    }
    let shown = &installed.1["data"]["connector"];
    assert_eq!((&shown["connector"]["dev"], &shown["publishers"][0]), (&true.into(), &made["key_id"]));
    assert_eq!(
        std::fs::read_dir(home.path().join("run"))
            .unwrap()
            .filter(|it| {
                it.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "fcp")
            })
            .count(),
        0,
        "the signed copy does not stay"
    );
    let looked = home.ok("doctor", &[]);
    let named =
        |it: &&Value| it["check"] == "dev_connector" && it["detail"].as_str().unwrap().contains("sqlite");
    assert_eq!(looked["checks"].as_array().unwrap().iter().filter(named).count(), 1, "{looked:#}");
    assert_eq!(home.ok("list", &[])["connectors"][0]["dev"], true);
    true
}

/// An agent and its grant; returns the grant.
fn admit(home: &mut Home) -> String {
    home.ok("agent add", &["mail", "--zone", "z:work"]);
    assert_eq!(home.ok("agent list", &[])["agents"][0]["name"], "mail");
    assert_eq!(home.ok("agent show", &["mail"])["zone"], "z:work");
    let allow = format!("sqlite:database{}", home.database());
    let bounds = ["--zone", "z:work", "--for", "1h", "--allow", &allow];
    let made = home.ok("grant add", &[&["mail", "sqlite.query", "sqlite.execute"][..], &bounds].concat());
    assert_eq!(home.ok("grant list", &["--to", "mail"])["grants"].as_array().unwrap().len(), 1);
    let id = made["grant_id"].as_str().unwrap();
    assert_eq!(home.ok("grant show", &[id])["grant_id"], id);
    share(home);
    made["grant_id"].as_str().unwrap().to_owned()
}

/// A role, from its beginning to its end.
fn share(home: &mut Home) {
    home.ok("role add", &["readers", "--description", "reads notes"]);
    home.ok("role give", &["readers", "mail"]);
    assert_eq!(home.ok("role list", &[])["roles"][0]["members"], json!(["mail"]));
    let shown = home.ok("role show", &["readers"]);
    assert_eq!((&shown["members"], &shown["description"]), (&json!(["mail"]), &json!("reads notes")));
    home.laid_out("", "role show", &["readers"]);
    assert_eq!(home.refused("role show", &["writers"]).1["error"]["name"], "not_found");
    home.ok("role take", &["readers", "mail", "--reason", "a test"]);
    home.ok("role remove", &["readers", "--reason", "a test"]);
}

const READ: [&str; 3] = ["sqlite.query", "--input", r#"{"sql":"SELECT count(*) FROM notes"}"#];
const WRITE: [&str; 5] = [
    "sqlite.execute",
    "--input",
    r#"{"sql":"INSERT INTO notes (title) VALUES ('x')"}"#,
    "--idempotency-key",
    "k1",
];

/// What the agent does by itself; returns the receipt of its read.
fn call(home: &mut Home) -> String {
    assert_eq!(home.ok_as("mail", "preflight", &["sqlite.query"])["allowed"], true);
    assert_eq!(home.ok_as("mail", "simulate", &READ)["allowed"], true);
    let refused = home.refused_as("mail", "simulate", &WRITE);
    assert_eq!((refused.0, &refused.1["status"]), (9, &json!("failed")), "{:#}", refused.1);
    assert_eq!(refused.1["error"]["name"], "approval_required");
    let next = refused.1["error"]["next"][0].as_str().unwrap();
    assert!(next.starts_with("fwc request sqlite.execute --input "), "what would permit it: {next}");
    let made = home.ok_as("mail", "invoke", &READ);
    assert_eq!(made["output"]["rows"], json!([[2]]));
    let kept = home.ok_as("mail", "invoke", &[&READ[..], &["--keep"]].concat());
    assert!(kept["output"].is_null());
    let handle = kept["handle"].as_str().unwrap();
    assert_eq!(home.ok_as("mail", "result", &[handle])["output"]["rows"], json!([[2]]));
    assert_eq!(home.ok_as("mail", "context show", &[])["agent"], "mail");
    let over = made["call_id"].as_str().unwrap();
    assert_eq!(home.ok("cancel", &[over])["reached"], "too_late");
    made["receipt_id"].as_str().unwrap().to_owned()
}

/// What a person decides.
fn ask(home: &mut Home) {
    let refused = home.refused_as("mail", "invoke", &WRITE);
    assert_eq!((refused.0, &refused.1["error"]["name"]), (9, &json!("approval_required")));
    let filed = home.ok_as("mail", "request", &WRITE);
    let id = filed["request_id"].as_str().unwrap();
    assert_eq!(home.ok("approvals list", &[])["approvals"][0]["request_id"], id);
    assert_eq!(home.ok("approvals show", &[id])["status"], "pending");
    home.ok_lines("approvals watch", &["--count", "1"]);
    let approved = home.ok("approvals approve", &[id, "--yes"]);
    let approval = approved["approval_id"].as_str().unwrap();
    let made = home.ok_as("mail", "invoke", &[&WRITE[..], &["--approval", approval]].concat());
    assert_eq!(made["effect"], "made");
    let told = home.ok("explain", &[id])["story"].to_string();
    assert!(told.contains(made["call_id"].as_str().unwrap()), "the call that used it is named: {told}");
    let other = [&WRITE[..4], &["k3"], &["--approval", approval]].concat();
    assert_eq!(home.refused_as("mail", "invoke", &other).1["error"]["name"], "approval_mismatch");
    let second = [&WRITE[..4], &["k2"]].concat();
    let filed = home.ok_as("mail", "request", &second);
    home.ok("approvals deny", &[filed["request_id"].as_str().unwrap(), "--note", "no"]);
    let run = home.run("agent run", &["mail", "--", "sh", "-c", "test -n \"$FCP_SESSION\""]);
    assert_eq!(run.0, 0, "{:#}", run.1);
    home.exercised.insert("agent run".into());
}

/// A person agrees to calls like one that waits, for a time; each that it spares an approval says so.
//= docs/spec/gate.md#standing-approvals
fn beforehand(home: &mut Home) {
    let same = |key: &'static str| [&WRITE[..4], &[key]].concat();
    let filed = home.ok_as("mail", "request", &same("k5"));
    let id = filed["request_id"].as_str().unwrap();
    let approved = home.ok("approvals approve", &[id, "--yes", "--grant", "8h"]);
    let grant = approved["grant_id"].as_str().unwrap();
    let own = home.ok_as("mail", "invoke", &same("k5"));
    let receipt = own["receipt_id"].as_str().unwrap().to_owned();
    assert!(home.ok("receipts show", &[&receipt])["standing_approval"].is_null(), "it had one of its own");
    assert_eq!(home.ok_as("mail", "simulate", &same("k6"))["standing_approval"], grant);
    let spared = home.ok_as("mail", "invoke", &same("k6"));
    assert_eq!(spared["effect"], "made", "nobody was asked again");
    let receipt = spared["receipt_id"].as_str().unwrap();
    assert_eq!(home.ok("receipts show", &[receipt])["standing_approval"], grant);
    let told = home.ok("explain", &[receipt]);
    assert!(
        told["story"].to_string().contains(grant) && told["evidence"].to_string().contains(grant),
        "{told:#}"
    );
    let other = ["sqlite.execute", "--input", r#"{"sql":"DELETE FROM notes"}"#, "--idempotency-key", "k7"];
    assert_eq!(home.refused_as("mail", "invoke", &other).1["error"]["name"], "approval_required");
    let listed = home.ok("grant show", &[grant]);
    assert_eq!((&listed["standing_approval"]["scope"], &listed["request_id"]), (&json!("input"), &json!(id)));
    home.laid_out("", "grant show", &[grant]);
    home.ok("revoke", &["Capability", grant, "--reason", "enough"]);
    assert_eq!(home.refused_as("mail", "invoke", &same("k8")).1["error"]["name"], "approval_required");
}

/// What a person sees of each answer is laid out: no paths into the data.
//= docs/spec/output.md#formats
fn shown_to_people(home: &Home, receipt: &str) {
    let asked = home.run("approvals list", &[]).1["data"]["approvals"][0]["request_id"].clone();
    let call = home.run("history", &[]).1["data"]["calls"][0]["call_id"].clone();
    let (asked, call) = (asked.as_str().unwrap(), call.as_str().unwrap());
    for of_nobody in [
        "status",
        "doctor",
        "list",
        "show sqlite",
        "ops sqlite",
        "schema sqlite.query",
        "search rows",
        "zones list",
        "operator list",
        "zones show z:work",
        "revocations",
        "exception list",
        "audit head",
    ] {
        home.laid_out("", of_nobody, &[]);
    }
    for line in [
        "agent list",
        "agent show mail",
        "grant list",
        "history",
        "receipts list",
        "approvals list",
        "audit verify",
        "audit tail",
    ] {
        home.laid_out("mail", line, &[]);
    }
    for of_operators in ["auth list", "role list"] {
        home.laid_out("", of_operators, &[]);
    }
    for (name, id) in [
        ("receipts show", receipt),
        ("explain", receipt),
        ("explain", asked),
        ("explain", call),
        ("approvals show", asked),
    ] {
        home.laid_out("mail", name, &[id]);
    }
    home.laid_out("mail", "preflight", &["sqlite.query"]);
    home.laid_out("mail", "simulate", &READ);
    home.laid_out("mail", "simulate", &WRITE);
    home.laid_out("mail", "context show", &[]);
}

fn look_back(home: &mut Home, receipt: &str) {
    shown_to_people(home, receipt);
    assert_eq!(home.ok("history", &["--by", "mail"])["calls"].as_array().unwrap().len(), 6);
    assert_eq!(home.ok("history", &["--unknown"])["calls"], json!([]));
    home.refused("settle", &[receipt, "--did-not", "--note", "the log shows none"]);
    home.ok("receipts list", &[]);
    assert_eq!(home.ok("receipts show", &[receipt])["receipt_id"], receipt);
    home.ok("explain", &[receipt]);
    assert_eq!(home.ok("audit verify", &[])["valid"], true);
    home.ok("audit head", &[]);
    assert_eq!(home.ok("audit tail", &["--lines", "3"])["events"].as_array().unwrap().len(), 3);
    let secret = home.private("secret", "ghp_x");
    let set = ["me", "--connector", "sqlite", "--slot", "none", "--zone", "z:work", "--secret-file", &secret];
    home.refused("auth set", &set);
    home.ok("auth list", &[]);
    home.refused("auth test", &["me"]);
    home.refused("auth remove", &["me"]);
}

/// A call with a token and a proof of its own.
fn outside_a_session(home: &mut Home) {
    let folder = home.beside("tokens");
    let minted = home.ok_as("mail", "token mint", &["sqlite.query", "--to", &folder]);
    let file = minted["tokens"][0]["file"].as_str().unwrap().to_owned();
    assert_eq!(home.ok("token inspect", &["--file", &file])["status"]["verdict"], "valid");
    let key = home.path().join("agents/mail.key");
    let outside = [&READ[..], &["--token", &file, "--key", key.to_str().unwrap()]].concat();
    assert_eq!(home.ok("invoke", &outside)["output"]["rows"], json!([[3]]));
    let garbage = home.private("garbage", "AAAA");
    assert_eq!(home.refused("token inspect", &["--file", &garbage]).1["error"]["name"], "token_malformed");
}

fn withdraw(home: &mut Home, grant: &str) {
    home.ok("context new", &["mail"]);
    home.ok("exception list", &[]);
    home.refused("exception sandbox", &["sqlite", "no-such-wall", "--reason", "r"]);
    let lowered = home.ok("exception sandbox", &["sqlite", "cpu_bounded", "--reason", "r"]);
    home.ok("exception remove", &[lowered["exception_id"].as_str().unwrap()]);
    let egress =
        ["sqlite", "--to-host", "a.example", "--network", "127.0.0.1/32", "--port", "1", "--reason", "r"];
    home.refused("exception egress", &egress);
    home.ok("disable", &["sqlite"]);
    assert_eq!(home.refused_as("mail", "invoke", &READ).1["error"]["name"], "connector_disabled");
    home.ok("enable", &["sqlite"]);
    let nobody = ["Capability", &"0".repeat(64), "--reason", "r"];
    assert_eq!(home.refused("revoke", &nobody).1["error"]["name"], "not_found");
    assert_eq!(home.ok("revoke", &[&nobody[..], &["--unknown"]].concat())["known"], false);
    assert_eq!(home.ok("revoke", &["Capability", grant, "--reason", "no longer needed"])["known"], true);
    assert_eq!(home.ok("revocations", &[])["revocations"].as_array().unwrap().len(), 5);
    assert!(home.ok("explain", &[grant])["story"].to_string().contains("no longer needed"));
    home.refused_as("mail", "invoke", &READ);
    let code = home.ok("show", &["sqlite"])["code_digest"].as_str().unwrap().to_owned();
    home.ok("revoke", &["ConnectorBinary", &code, "--reason", "a test"]);
    let shown = home.ok("show", &["sqlite"]);
    assert_eq!(shown["connector"]["health"][0]["status"], "revoked", "{shown:#}");
    home.ok("uninstall", &["sqlite"]);
}

fn apart_from_the_daemon(home: &mut Home) {
    let folder = home.beside("data");
    home.ok("new", &["weather", "--api-host", "api.weather.example", "--folder", &folder]);
    home.ok("package test", &[&format!("{folder}/weather")]);
    home.text("convert", &["json", "toon"], r#"{"a":1}"#, "a: 1");
    home.text("completions", &["bash"], "", "_fwc");
}

fn end(home: &mut Home) {
    home.ok("down", &[]);
    let refused = home.refused("status", &[]);
    assert_eq!(refused.1["error"]["name"], "daemon_unreachable", "{:#}", refused.1);
}

/// A folder is looked at before anything is made in it.
//= docs/spec/home.md#the-home
#[test]
fn a_folder_that_is_no_home_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let up = |home: &Home| {
        home.run("up", &["--passphrase-file", home.passphrase(), "--phrase-file", &home.beside("p")])
    };
    std::fs::write(home.path().join("letter"), "x").unwrap();
    for mode in [0o700, 0o755] {
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let (_, refused) = up(&home);
        assert_eq!(refused["error"]["code"], "FCP-6005", "{refused:#}");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "only the letter");
    }
    std::fs::remove_file(home.path().join("letter")).unwrap();
    assert_eq!(up(&home).1["error"]["code"], "FCP-8016");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn the_tree_of_commands_is_read_whole() {
    let all = all_commands();
    for name in ["up", "agent run", "package keygen", "completions"] {
        assert!(all.contains(name), "{name}");
    }
    assert!(!all.contains("agent"), "a group is no command");
    assert!(all.len() > 50, "{}", all.len());
    let value: Value = json!(all);
    assert!(value.is_array());
}
