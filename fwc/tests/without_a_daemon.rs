//! What works without a daemon: scaffolding, packages, manifests that lie in the home, conversion.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, dead_code, reason = "the double is a module of several tests")]

mod double;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use double::{Home, run_with};
use serde_json::json;

/// A home in which `weather` was scaffolded beside, and its manifest lies as after an installation.
fn scaffolded() -> Home {
    let home = Home::new();
    let folder = home.beside("work");
    std::fs::create_dir(&folder).unwrap();
    let line = ["new", "weather", "--api-host", "api.weather.example", "--folder", folder.to_str().unwrap()];
    assert_eq!(home.json(&line).0, 0);
    assert_eq!(home.json(&line).0, 5, "nothing is overwritten");
    let manifests = home.path().join("connectors");
    std::fs::create_dir(&manifests).unwrap();
    std::fs::copy(folder.join("weather/manifest.toml"), manifests.join("weather.toml")).unwrap();
    home
}

#[test]
fn a_scaffold_is_built_signed_and_verified_and_tampering_shows() {
    let home = scaffolded();
    let path = |name: &str| home.beside(name).to_str().unwrap().to_owned();
    let (folder, out, key) = (path("work/weather"), path("weather.fcp"), path("key"));
    let (code, built) = home.json(&["package", "build", &folder, "--out", &out]);
    assert_eq!((code, &built["source"], &built["data"]["cases"]), (0, &json!("offline"), &json!(1)));
    assert_eq!(home.json(&["package", "build", &folder, "--out", &out]).0, 5, "nothing is overwritten");
    let (_, made) = home.json(&["package", "keygen", &key]);
    let public = made["data"]["public_key"].as_str().unwrap();
    assert_eq!(home.json(&["package", "verify", &out, "--trust", public]).0, 6, "it is not signed yet");
    assert_eq!(home.json(&["package", "sign", &out, "--key", &key]).0, 0);
    let (code, verified) = home.json(&["package", "verify", &out, "--trust", public]);
    assert_eq!((code, &verified["data"]["verified_signers"]), (0, &json!([made["data"]["key_id"]])));
    assert_eq!(home.json(&["package", "verify", &out, "--trust", public, "--threshold", "2"]).0, 6);
    assert_eq!(home.json(&["package", "inspect", &out]).1["data"]["connector"], "weather");
    let mut bytes = std::fs::read(&out).unwrap();
    let at = bytes.windows(7).position(|window| window == b"Reads a").unwrap();
    bytes[at] = b'r';
    std::fs::write(&out, &bytes).unwrap();
    let trusted = format!("{public}\n");
    std::fs::write(home.path().join("publishers.txt"), trusted).unwrap();
    let development = &["install", &out, "--zone", "z:work", "--dev"][..];
    for line in [&["package", "verify", &out, "--trust", public][..], development] {
        let (code, changed) = home.json(line);
        assert_eq!((code, &changed["error"]["code"]), (6, &json!("FCP-5012")), "{changed:#}");
        let next = changed["error"]["next"][0].as_str().unwrap();
        assert!(next.contains("get the package again"), "another signature does not mend it: {next}");
    }
    std::fs::write(&out, &bytes[..40]).unwrap();
    assert_eq!(home.json(&["package", "inspect", &out]).1["error"]["code"], "FCP-5011");
}

/// Whose packages a home takes is no agent's to say.
//= docs/spec/package.md#development
#[test]
fn a_development_key_is_refused_in_an_agents_session() {
    let home = Home::new();
    let mut in_session = home.fwc(&["package", "keygen", "--dev", "--json"]);
    in_session.env("FCP_SESSION", home.beside("session.json"));
    let mut as_agent = home.fwc(&["--agent", "demo", "package", "keygen", "--dev", "--json"]);
    for command in [&mut in_session, &mut as_agent] {
        let output = command.output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["error"]["code"], "FCP-2009", "{answer:#}");
    }
    for file in ["development.key", "publishers.txt"] {
        assert!(!home.path().join(file).exists(), "{file}");
    }
    assert_eq!(home.json(&["package", "keygen", "--dev"]).0, 0, "its owner may");
}

/// A file of the system's is not closed to its readers because it was named in the place of a key.
#[test]
fn only_a_file_of_ones_own_is_to_be_closed_to_others() {
    let home = scaffolded();
    let path = |name: &str| home.beside(name).to_str().unwrap().to_owned();
    let (folder, out, own) = (path("work/weather"), path("weather.fcp"), path("own"));
    assert_eq!(home.json(&["package", "build", &folder, "--out", &out]).0, 0);
    std::fs::create_dir(&own).unwrap();
    let key = format!("{own}/key");
    assert_eq!(home.json(&["package", "keygen", &key]).0, 0);
    for (path, mode) in [(&own, 0o700), (&key, 0o644)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    }
    let next = |key: &str| {
        let (_, answer) = home.json(&["package", "sign", &out, "--key", key]);
        assert_eq!(answer["error"]["code"], "FCP-8016");
        answer["error"]["next"][0].as_str().unwrap().to_owned()
    };
    assert!(next(&key).contains("chmod 600"));
    let foreign = next("/etc/passwd");
    assert!(!foreign.contains("chmod") && foreign.contains("name the right file"), "{foreign}");
}

#[test]
fn an_agent_without_its_key_has_a_next_step_that_works() {
    let home = Home::new();
    let next = || {
        let (_, answer) = home.json(&["--agent", "mail", "invoke", "a.b"]);
        answer["error"]["next"][0].as_str().unwrap().to_owned()
    };
    let way_out = "`fwc revoke IssuerKey mail --reason 'key lost'`, and `fwc agent add OTHER --zone ZONE`";
    let absent = next();
    assert!(absent.contains(way_out) && absent.contains("`fwc agent list`"), "{absent}");
    let agents = home.path().join("agents");
    std::fs::create_dir(&agents).unwrap();
    for damaged in [&b"a key once"[..], &[0xff; 90]] {
        std::fs::write(agents.join("mail.key"), damaged).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(agents.join("mail.key"), mode).unwrap();
        let next = next();
        assert!(
            next.contains(way_out) && next.contains("backup") && !next.contains("agent add mail"),
            "{next}"
        );
    }
}

//= docs/spec/output.md#who-speaks
#[test]
fn an_operators_command_is_refused_with_an_agents_name() {
    let home = Home::new();
    let grant =
        ["--agent", "demo", "grant", "add", "demo", "a.b", "--zone", "z:work", "--for", "1h", "--allow", "*"];
    for line in [&["--agent", "demo", "enable", "mail"][..], &grant] {
        let (code, answer) = home.json(line);
        assert_eq!(code, 2, "{answer:#}");
        assert!(answer["error"]["why"].as_str().unwrap().contains("--agent demo was given"), "{answer:#}");
    }
}

//= docs/spec/output.md#offline
#[test]
fn offline_reads_manifests_says_so_and_invents_nothing() {
    let home = scaffolded();
    let (code, list) = home.json(&["list", "--offline"]);
    assert_eq!((code, &list["source"]), (0, &json!("offline")));
    let connector = &list["data"]["connectors"][0];
    assert_eq!(connector["id"], "weather");
    assert!(connector.get("enabled").is_none() && connector.get("health").is_none());
    assert_eq!(
        home.json(&["show", "weather", "--offline"]).1["data"]["operations"][0]["id"],
        "weather.item.get"
    );
    assert_eq!(home.json(&["ops", "weather", "--offline"]).1["data"]["operations"][0]["tier"], "safe");
    let (_, schema) = home.json(&["schema", "weather", "item.get", "--offline"]);
    assert_eq!(schema["data"]["input_schema"]["required"], json!(["item"]));
    let found = |words: &[&str]| {
        let line: Vec<&str> = [&["search", "--offline"], words].concat();
        home.json(&line).1["data"]["connectors"].as_array().unwrap().len()
    };
    assert_eq!((found(&["READS", "item"]), found(&["reads", "mail"])), (1, 0));
    let (_, searched) = home.json(&["search", "--offline", "READS", "item"]);
    assert_eq!(searched["data"]["operations"][0]["id"], "weather.item.get");
    assert_eq!(searched["next"], json!(["fwc schema weather.item.get"]), "a name that is there");
    let (_, by_name) = home.json(&["search", "--offline", "weather"]);
    assert_eq!(by_name["data"]["operations"][0]["id"], "weather.item.get", "all that it does");
    let call = schema["next"][0].as_str().unwrap();
    assert!(call.starts_with("fwc invoke weather.item.get --"), "{call}");
    let shown = home.fwc(&["schema", "weather.item.get", "--offline", "--format", "table"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("\ninput\nFIELD") && !shown.contains("properties"), "{shown}");
    let keys = home.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    for zone in ["z_work", "z_public"] {
        std::fs::write(keys.join(format!("zone.{zone}.key")), "a key").unwrap();
    }
    let in_zone = |zone: &str| home.json(&["list", "--offline", "--zone", zone]);
    assert_eq!(in_zone("z:work").1["data"]["connectors"][0]["id"], "weather");
    assert_eq!(in_zone("z:public").1["data"]["connectors"], json!([]), "it may not be bound there");
    let (code, unknown) = in_zone("z:project:nope");
    assert_eq!((code, &unknown["error"]["code"]), (5, &json!("FCP-6001")), "as the daemon has it");
    assert!(unknown["error"]["next"][0].as_str().unwrap().contains("fwc zones list"), "{unknown:#}");
    assert_eq!(home.json(&["show", "mail", "--offline"]).1["error"]["code"], "FCP-5001");
    assert_eq!(home.json(&["schema", "weather.item.put", "--offline"]).1["error"]["code"], "FCP-5002");
    assert_eq!(home.json(&["invoke", "weather.item.get", "--agent", "a", "--offline"]).0, 2);
    std::fs::write(home.path().join("connectors/broken.toml"), "[manifest").unwrap();
    for line in [&["list", "--offline"][..], &["search", "--offline", "item"]] {
        let (code, list) = home.json(line);
        assert_eq!((code, &list["error"]["code"]), (5, &json!("FCP-5010")), "{list:#}");
        assert_eq!(list["data"]["connectors"][0]["id"], "weather", "the others are there: {list:#}");
        let damaged = &list["data"]["damaged"][0];
        assert!(damaged["file"].as_str().unwrap().ends_with("connectors/broken.toml"), "{list:#}");
        assert_eq!(damaged["code"], "FCP-5010");
        let next = list["error"]["next"][0].as_str().unwrap();
        assert!(next.contains("fwc up") && next.contains("writes the file again"), "{next}");
    }
    assert_eq!(home.json(&["show", "weather", "--offline"]).0, 0);
    let (_, shown) = home.json(&["show", "broken", "--offline"]);
    assert_eq!(shown["error"]["code"], "FCP-5010");
    assert!(shown["error"]["next"][0].as_str().unwrap().contains("fwc up"), "{shown:#}");
}

#[test]
fn the_doctor_names_what_is_wrong_and_its_remedy() {
    let home = Home::new();
    let (code, report) = home.json(&["doctor"]);
    let checks = report["data"]["checks"].as_array().unwrap();
    let daemon = checks.iter().find(|check| check["check"] == "daemon").unwrap();
    assert_eq!(
        (code, &daemon["finding"], &daemon["remedy"]),
        (8, &json!("problem"), &json!("start it with `fwc up`"))
    );
    let first = checks.iter().find(|check| check["finding"] == "problem").unwrap();
    assert!(
        report["error"]["why"].as_str().unwrap().ends_with(first["detail"].as_str().unwrap()),
        "{report:#}"
    );
    assert_eq!(report["error"]["next"][0], first["remedy"], "the first problem's");
    let (_, report) = home.json(&["doctor", "--offline"]);
    assert_eq!(report["data"]["unknown"], 1);
}

#[test]
fn data_is_converted_and_defects_are_told_in_words() {
    let home = Home::new();
    let output = run_with(&mut home.fwc(&["convert", "json", "jsonl"]), r#"[{"a":1},{"a":2}]"#);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"a\":1}\n{\"a\":2}\n");
    let output = run_with(&mut home.fwc(&["convert", "json", "toon"]), "{\"a\":1,\"a\":2}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(5), 0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("FCP-"));
}

//= docs/spec/output.md#who-speaks
#[test]
fn who_speaks_is_not_said_where_it_makes_no_difference() {
    let home = scaffolded();
    let commands = [
        "completions bash",
        "convert json csv",
        "token inspect --stdin",
        "package inspect x.fcp",
        "package keygen key",
        "new weather --api-host a.example",
        "list --offline",
        "status",
        "doctor",
        "zones list",
        "exception list",
        "audit head",
        "agent run mail -- true",
    ];
    for line in commands {
        for option in ["--agent", "--operator", "--passphrase-file"] {
            let words: Vec<&str> = [option, "x"].into_iter().chain(line.split(' ')).collect();
            let (code, refused) = home.json(&words);
            assert_eq!((code, &refused["error"]["code"]), (2, &json!("FCP-9002")), "{words:?}");
            let why = refused["error"]["why"].as_str().unwrap();
            assert!(why.contains(&format!("{option} was given")), "{why}");
            assert_eq!(refused["error"]["next"][0], format!("leave out {option}"));
        }
    }
    let (code, refused) = home.json(&["--agent", "x", "--operator", "y", "invoke", "a.b"]);
    assert_eq!((code, &refused["error"]["code"]), (2, &json!("FCP-9002")), "an agent's alone: {refused:#}");
    let (code, refused) = home.json(&["up", "--agent", "x"]);
    assert_eq!((code, &refused["error"]["code"]), (2, &json!("FCP-9002")));
    let mut named = home.fwc(&["completions", "bash"]);
    assert!(named.env("FCP_PASSPHRASE_FILE", "x").output().unwrap().status.success(), "not typed");
}

#[test]
fn a_file_that_never_ends_is_not_read_to_its_end() {
    let home = Home::new();
    for line in [&["package", "inspect", "/dev/zero"][..], &["token", "inspect", "--file", "/dev/zero"]] {
        let (code, answer) = home.json(line);
        assert_eq!(code, 5, "{line:?}: {answer}");
    }
}

#[test]
fn misspelt_lines_end_with_2_and_3() {
    let home = Home::new();
    assert_eq!(home.json(&["lst"]).0, 3);
    assert_eq!(home.json(&["list", "--zone", "work"]).0, 2);
    let (code, wrong) = home.json(&["revoke", "Token", "x", "--reason", "y"]);
    assert!(code == 2 && wrong["error"]["why"].as_str().unwrap().contains("IssuerKey, "), "{wrong}");
    let (_, answer) = home.json(&["show"]);
    let next = answer["error"]["next"][0].as_str().unwrap();
    assert!(!next.contains("home"), "what the environment gave was not typed: {next}");
    let output = home.fwc(&["lst"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("did you mean `list`"));
    assert_eq!(home.fwc(&["--help"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_misspelt_line_is_answered_in_the_format_that_it_names() {
    let home = Home::new();
    for line in [&["--format", "json", "list", "--bogus"][..], &["list", "--bogus", "--format=json"]] {
        let output = home.fwc(line).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &document["error"]["code"]), (Some(2), &json!("FCP-9002")));
    }
    let behind = home.fwc(&["agent", "rum", "mail", "--", "x", "--format", "json"]).output().unwrap();
    assert!(behind.stdout.is_empty(), "what another program is told is none of ours");
}

#[test]
fn a_session_that_has_ended_is_no_matter_to_what_asks_nobody() {
    let home = Home::new();
    let stale = home.beside("no-such-session.json");
    let mut convert = home.fwc(&["convert", "json", "jsonl"]);
    let output = run_with(convert.env("FCP_SESSION", &stale), "[1]");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"1\n"[..]));
    let mut list = home.fwc(&["list"]);
    assert_ne!(list.env("FCP_SESSION", &stale).output().unwrap().status.code(), Some(0));
}

#[test]
//= docs/spec/output.md#fwc-up
fn without_anyone_to_ask_up_makes_nothing() {
    let home = Home::new();
    let absent = home.beside("absent");
    let (code, document) = home.json(&["--home", absent.to_str().unwrap(), "up"]);
    assert_eq!(code, 2, "{document}");
    assert!(!absent.exists(), "nothing is made");
}

#[test]
fn an_output_that_is_full_is_told_with_a_code_and_a_next_step() {
    let home = Home::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = home.fwc(&["status", "--json"]).stdout(full).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("error FCP-") && told.contains("its answer cannot be written"), "{told}");
    assert!(told.contains("fwc history"), "{told}");
    assert_ne!(output.status.code(), Some(0));
}

#[test]
fn whatever_asks_a_daemon_says_that_there_is_no_home() {
    let home = Home::new();
    let absent = home.beside("absent");
    for line in
        [&["list"][..], &["status"], &["agent", "list"], &["history"], &["--agent", "mail", "invoke", "a.b"]]
    {
        let (code, document) = home.json(&[&["--home", absent.to_str().unwrap()], line].concat());
        assert_eq!((code, &document["error"]["code"]), (5, &json!("FCP-8002")), "{line:?}: {document}");
        let up = format!("`fwc --home {} up`", absent.display());
        assert!(document["error"]["next"].to_string().contains(&up), "{document}");
    }
}

//= docs/spec/output.md#streams
#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let home = scaffolded();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for format in ["json", "jsonl", "csv", "tsv", "markdown", "table", "toon"] {
        let mut command = home.fwc(&["list", "--offline", "--format", format]);
        let status = command.stdout(gone()).stderr(gone()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{format}");
    }
    let mut command = home.fwc(&["list", "--offline"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(
        command.stdout(full).output().unwrap().status.code(),
        Some(1),
        "what cannot be written is one"
    );
}

/// Who connects to it is let in by the kernel, and waits.
//= docs/spec/api.md#transport
#[test]
fn what_listens_in_the_daemons_place_is_named_and_neither_waited_for_for_long_nor_stopped() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("run")).unwrap();
    let socket = home.path().join("run/fcp.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let remedy = format!("`rm {}`; then `fwc up`", socket.display());
    let own = std::process::id().to_string();
    let told = |line: &[&str]| home.json(line).1["error"].clone();
    std::thread::scope(|scope| {
        let lines = [&["status"][..], &["up"], &["down"]];
        let runs = lines.map(|line| (line, scope.spawn(move || told(line))));
        for (line, run) in runs {
            let error = run.join().unwrap();
            assert_eq!(error["code"], "FCP-8006", "{line:?}: {error:#}");
            assert!(error["why"].as_str().unwrap().contains(&own), "{line:?}: {error:#}");
            assert!(error["next"].to_string().contains(&remedy), "{line:?}: {error:#}");
        }
    });
    assert!(!home.path().join("config.toml").exists(), "no daemon was started");
}

/// A person sees what is waited for; the double answers once somebody has been told.
//= docs/spec/output.md#progress
#[test]
fn a_status_that_takes_long_says_so() {
    let (told, answer) = std::sync::mpsc::channel::<()>();
    let answer = std::sync::Mutex::new(answer);
    let home = Home::served(move |_| {
        answer.lock().unwrap().recv().unwrap();
        double::refuse(503, "FCP-8013")
    });
    let mut status = home.fwc(&["status"]);
    let mut status = status.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(status.stderr.take().unwrap());
    let mut first = String::new();
    errors.read_line(&mut first).unwrap();
    assert!(first.contains("Waiting for the daemon to answer"), "{first}");
    told.send(()).unwrap();
    assert!(!status.wait().unwrap().success());
}

//= docs/spec/output.md#files
#[test]
fn a_file_of_the_users_is_told_as_a_file() {
    let home = scaffolded();
    let absent = home.beside("absent").to_str().unwrap().to_owned();
    for line in [
        &["package", "inspect", &absent][..],
        &["package", "test", &absent],
        &["audit", "verify", "--head", &absent],
    ] {
        let error = home.json(line).1["error"].clone();
        assert_eq!(error["code"], "FCP-6001", "{error:#}");
        let next = error["next"].to_string();
        assert!(next.contains("check the path") && !next.contains("fwc history"), "{error:#}");
    }
    let pipe = home.beside("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let pipe = pipe.to_str().unwrap();
    for line in [&["package", "inspect", pipe][..], &["audit", "verify", "--head", pipe]] {
        assert_eq!(home.json(line).1["error"]["code"], "FCP-1003", "it is not waited for");
    }
    let built = |folder: &std::path::Path| {
        let out = home.beside("without.fcp");
        let (folder, out) = (folder.to_str().unwrap(), out.to_str().unwrap());
        home.json(&["package", "build", folder, "--out", out]).1
    };
    let folder = home.beside("work/weather");
    std::fs::remove_file(folder.join("cases.toml")).unwrap();
    let built = built(&folder);
    assert!(built["notes"].to_string().contains("it has no cases"), "{built:#}");
}

/// Whoever was killed while it wrote stands in nobody's way.
#[test]
fn what_a_killed_build_or_signature_left_is_removed_by_the_next() {
    let home = scaffolded();
    let path = |name: &str| home.beside(name).to_str().unwrap().to_owned();
    let (folder, out, key, left) = (path("work/weather"), path("w.fcp"), path("key"), path("w.fcp.new"));
    assert_eq!(home.json(&["package", "keygen", &key]).0, 0);
    for line in [
        &["package", "build", &folder, "--out", &out, "--force"][..],
        &["package", "sign", &out, "--key", &key],
    ] {
        std::fs::write(&left, "half a pack").unwrap();
        let (code, answer) = home.json(line);
        assert_eq!(code, 0, "{answer:#}");
        assert!(!std::path::Path::new(&left).exists(), "{line:?}");
    }
    assert_eq!(home.json(&["package", "inspect", &out]).0, 0);
}
