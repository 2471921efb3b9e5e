use alloc::format;
use alloc::string::{String, ToString};

use serde_json::json;

use super::{
    Cases, ConfigError, HostRule, Manifest, Method, PathPattern, Problem, Restart, Role, Template, Trust,
};
use crate::ids::ZoneId;
use crate::zone::Level;

/// A small declarative connector that uses every table.
pub(super) const SAMPLE: &str = r#"
[manifest]
format = "fcp-connector-manifest"
schema_version = "3.0"

[connector]
id = "notes"
name = "Notes"
version = "1.2.3"
description = "Notes kept by a service."
archetypes = ["knowledge"]
runtime = "declarative"

[zones]
home = "z:work"
allowed = ["z:work", "z:project:*"]

[config.base_url]
type = "url"
description = "Where the service answers."
default = "https://api.notes.example"

[auth.token]
kind = "bearer"
description = "A personal access token."
hosts = ["{config.base_url}"]

[http]
base_url = "{config.base_url}"
headers = { accept = "application/json" }

[network]
hosts = ["{config.base_url}"]

[operations."notes.note.get"]
description = "Reads a note."
capability = "notes.read"
risk = "low"
safety = "safe"
idempotency = "none"
approval = "none"
resources = ["notes:book/{book}/note/{note}"]
auth = "token"
rate_pools = ["api"]

[operations."notes.note.get".input]
roles = { hint = "content" }
[operations."notes.note.get".input.schema]
type = "object"
additionalProperties = false
required = ["book", "note"]
properties = { book = { type = "string" }, note = { type = "integer" }, hint = { type = "string" } }

[operations."notes.note.get".output]
trust = "untrusted"
confidentiality = "zone"
taints = ["USER_GENERATED"]
schema = { type = "object" }

[operations."notes.note.get".http]
method = "GET"
path = "/books/{book}/notes/{note}.json"
query = { hint = "{hint}" }

[operations."notes.note.get".hints]
when_to_use = "When you know the note."

[[rate_limits.pools]]
id = "api"
requests = 60
window_ms = 60000

[sandbox]
profile = "strict"
memory_mb = 64
cpu_percent = 50
wall_clock_ms = 30000
"#;

fn sample() -> Manifest {
    Manifest::parse(SAMPLE.as_bytes()).unwrap()
}

fn refused(from: &str, to: &str) -> super::ManifestError {
    assert!(SAMPLE.contains(from), "the sample lacks {from:?}");
    Manifest::parse(SAMPLE.replacen(from, to, 1).as_bytes()).unwrap_err()
}

fn line_of(text: &str) -> usize {
    SAMPLE.lines().position(|line| line.starts_with(text)).unwrap() + 1
}

#[test]
fn a_manifest_reads_with_defaults_and_inheritance() {
    let manifest = sample();
    let operation = manifest.operation(&"notes.note.get".parse().unwrap()).unwrap();
    let network = operation.network.as_ref().unwrap();
    assert_eq!(network.methods, [Method::Get]);
    assert_eq!(network.hosts, [HostRule::Config("base_url".into())]);
    assert!(network.paths[0].matches("/books/b/notes/7.json"));
    assert!(!network.paths[0].matches("/books/b/c/notes/7.json"));
    assert_eq!((operation.timeout_ms, network.ports.as_slice()), (30_000, &[443][..]));
    assert_eq!((operation.input.role("hint"), operation.input.role("book")), (Role::Content, Role::Control));
    assert!(manifest.zones.allows(&ZoneId::new("z:project:apollo").unwrap()));
    assert!(!manifest.zones.allows(&ZoneId::new("z:owner").unwrap()));
}

//= docs/spec/manifest.md#format
#[test]
fn unknown_and_missing_fields_name_their_line() {
    let error = refused("risk = \"low\"", "risc = \"low\"");
    assert_eq!(error.line, line_of("risk"));
    assert_eq!(error.path, "operations.\"notes.note.get\".risc");
    assert!(error.to_string().contains("risc"), "{error}");
    let error = refused("memory_mb = 64\n", "");
    assert!(error.to_string().contains("memory_mb"), "{error}");
    assert!(matches!(error.problem, Problem::Syntax(_)));
    let error = refused("risk = \"low\"", "risk = \"tiny\"");
    assert_eq!(error.line, line_of("risk"));
    let error = refused("[sandbox]", "[extra]\na = 1\n[sandbox]");
    assert_eq!((error.line, error.path.as_str()), (line_of("[sandbox]"), "extra"));
    assert!(matches!(error.problem, Problem::Syntax(_)));
    let error = refused("memory_mb = 64", "memory_mb = \"64\"");
    assert_eq!((error.line, error.path.as_str()), (line_of("memory_mb"), "sandbox.memory_mb"));
    assert!(matches!(error.problem, Problem::Syntax(_)));
}

/// JSON has no date-times, and a schema and a body are JSON.
//= docs/spec/manifest.md#format
#[test]
fn a_date_time_is_refused_in_schemas_and_bodies() {
    for (from, to) in [
        ("note = { type = \"integer\" }", "note = { type = \"integer\", default = 1979-05-27 }"),
        ("note = { type = \"integer\" }", "note = { type = \"integer\", enum = [07:32:00] }"),
        ("schema = { type = \"object\" }", "schema = { type = \"object\", const = 1979-05-27T07:32:00Z }"),
        ("method = \"GET\"", "method = \"POST\"\nbody = { a = 1979-05-27 }"),
        ("method = \"GET\"", "method = \"POST\"\nbody = { a = [{ b = 07:32:00 }] }"),
    ] {
        let error = refused(from, to);
        assert!(error.to_string().contains("date"), "{from} → {to}: {error}");
        assert!(error.line > 0 && !error.path.is_empty(), "{from} → {to}: {error}");
    }
}

//= docs/spec/manifest.md#format
//= docs/spec/manifest.md#templates
#[test]
fn every_rule_is_enforced_with_its_place() {
    for (from, to, path) in [
        ("fcp-connector-manifest", "other", "manifest.format"),
        ("\"3.0\"", "\"2.0\"", "manifest.schema_version"),
        ("\"1.2.3\"", "\"1.2\"", "connector.version"),
        ("[\"knowledge\"]", "[]", "connector.archetypes"),
        ("runtime = \"declarative\"", "runtime = \"native\"", "http"),
        ("home = \"z:work\"", "home = \"z:owner\"", "zones.home"),
        ("\"z:project:*\"]", "\"z:*\"]", "zones.allowed"),
        ("https://api.notes", "http://api.notes", "config.base_url.default"),
        ("https://api.notes", "https://me@api.notes", "config.base_url.default"),
        ("kind = \"bearer\"", "kind = \"header\"", "auth.token.header"),
        ("kind = \"bearer\"", "kind = \"oauth2\"", "auth.token.token_url"),
        ("hosts = [\"{config.base_url}\"]", "hosts = []", "auth.token.hosts"),
        ("hosts = [\"{config.base_url}\"]", "hosts = [\"{config.nope}\"]", "auth.token.hosts"),
        ("base_url = \"{config.base_url}\"", "base_url = \"{config.base_url}/v1\"", "http.base_url"),
        ("accept = ", "authorization = ", "http.headers"),
        ("accept = ", "x-fcp-egress-handle = ", "http.headers"),
        ("id = \"notes\"", "id = \"other\"", "operations.\"notes.note.get\""),
        ("notes:book/{book}", "other:book/{book}", "operations.\"notes.note.get\".resources"),
        ("notes:book/{book}", "notes:book/{hint}", "operations.\"notes.note.get\".resources"),
        ("auth = \"token\"", "auth = \"nope\"", "operations.\"notes.note.get\".auth"),
        ("[\"api\"]", "[\"nope\"]", "operations.\"notes.note.get\".rate_pools"),
        ("risk = \"low\"", "risk = \"high\"", "operations.\"notes.note.get\".risk"),
        ("safety = \"safe\"", "safety = \"dangerous\"", "operations.\"notes.note.get\".idempotency"),
        ("{ hint = \"content\" }", "{ nope = \"content\" }", "operations.\"notes.note.get\".input.roles"),
        (
            "additionalProperties = false",
            "additionalProperties = true",
            "operations.\"notes.note.get\".input.schema",
        ),
        ("[\"book\", \"note\"]", "[\"book\", \"nope\"]", "operations.\"notes.note.get\".input.schema"),
        ("book = { type", "book = { \"$ref\"", "operations.\"notes.note.get\".input.schema"),
        ("path = \"/books", "path = \"books", "operations.\"notes.note.get\".http.path"),
        ("path = \"/books", "path = \"/../books", "operations.\"notes.note.get\".http.path"),
        ("path = \"/books", "path = \"/b?x=1", "operations.\"notes.note.get\".http.path"),
        ("\"{hint}\" }", "\"{nope}\" }", "operations.\"notes.note.get\".http.query"),
        ("method = \"GET\"", "method = \"GET\"\nbody = { a = 1 }", "operations.\"notes.note.get\".http.body"),
        ("requests = 60", "requests = 0", "rate_limits.pools"),
        ("memory_mb = 64", "memory_mb = 1", "sandbox.memory_mb"),
        ("memory_mb = 64", "memory_mb = 64\nread_only = [\"/etc\"]", "sandbox"),
        ("profile = \"strict\"", "profile = \"permissive\"", "sandbox.profile"),
    ] {
        let error = refused(from, to);
        assert!(error.path.starts_with(path), "{from} → {to}: {error}");
        assert!(matches!(error.problem, Problem::Rule(_)), "{from} → {to}: {error}");
        assert!(error.line > 0, "{from} → {to}: {error}");
    }
}

//= docs/spec/manifest.md#format
#[test]
fn values_that_cannot_be_are_refused_while_reading() {
    for (from, to) in [
        ("hosts = [\"{config.base_url}\"]", "hosts = [\"10.0.0.1\"]"),
        ("hosts = [\"{config.base_url}\"]", "hosts = [\"localhost\"]"),
        ("hosts = [\"{config.base_url}\"]", "hosts = [\"*\"]"),
        ("hosts = [\"{config.base_url}\"]", "hosts = [\"Example.com\"]"),
        ("id = \"notes\"", "id = \"Notes\""),
        ("\"{hint}\" }", "\"{hint\" }"),
        ("home = \"z:work\"", "home = 1979-05-27"),
        ("[zones]", "[zones]\n[zones]"),
    ] {
        let error = refused(from, to);
        assert!(matches!(error.problem, Problem::Syntax(_)), "{from} → {to}: {error}");
        assert!(error.line > 0, "{from} → {to}: {error}");
    }
    assert_eq!(Manifest::parse(&[0xff]).unwrap_err().problem, Problem::NotUtf8);
    let large = format!("#{}", "x".repeat(super::MAX_MANIFEST_BYTES));
    assert_eq!(Manifest::parse(large.as_bytes()).unwrap_err().problem, Problem::TooLarge);
}

#[test]
fn the_interface_hash_sees_security_and_nothing_else() {
    let base = sample().interface_hash();
    let changed = |from: &str, to: &str| {
        assert!(SAMPLE.contains(from), "the sample lacks {from:?}");
        Manifest::parse(SAMPLE.replacen(from, to, 1).as_bytes()).unwrap().interface_hash() != base
    };
    for (from, to) in [
        ("\"1.2.3\"", "\"1.2.4\""),
        ("When you know", "If you know"),
        ("requests = 60", "requests = 61"),
        ("name = \"Notes\"", "name = \"Notebook\""),
        ("query = {", "query  =  {"),
        ("auth = \"token\"", "auth = \"token\"\ntimeout_ms = 30000"),
    ] {
        assert!(!changed(from, to), "{from} → {to}");
    }
    for (from, to) in [
        ("Reads a note.", "Reads and forgets a note."),
        ("notes.read", "notes.write"),
        ("approval = \"none\"", "approval = \"interactive\""),
        ("book = { type = \"string\" }", "book = { type = \"string\", maxLength = 3 }"),
        ("\"untrusted\"", "\"owner\""),
        ("/notes/{note}.json", "/note/{note}.json"),
        ("{ hint = \"content\" }", "{ }"),
        ("default = \"https://api.notes", "default = \"https://api2.notes"),
        ("memory_mb = 64", "memory_mb = 65"),
    ] {
        assert!(changed(from, to), "{from} → {to}");
    }
}

#[test]
fn resources_cannot_be_spelled_from_within_a_field() {
    let manifest = sample();
    let operation = manifest.operation(&"notes.note.get".parse().unwrap()).unwrap();
    let of = |input| operation.resources(&input, &json!({}));
    assert_eq!(of(json!({"book": "a/b", "note": 7})).unwrap(), ["notes:book/a%2Fb/note/7"]);
    assert!(of(json!({"note": 7})).unwrap_err().to_string().contains("book"));
    assert!(of(json!({"book": ["a"], "note": 7})).is_err());
}

#[test]
fn resources_of_paths_keep_slashes_and_refuse_second_names() {
    let template: Template = "files:{path|segments}".parse().unwrap();
    let of = |path: &str| template.render_resource(&json!({ "path": path }), &json!({}));
    assert_eq!(of("/a b/c").unwrap(), "files:/a%20b/c");
    for bad in ["/a/../b", "/a//b", "/a/", "/./a", ".."] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

//= docs/spec/manifest.md#configuration
#[test]
fn configuration_is_complete_typed_and_closed() {
    let manifest = sample();
    let resolved = manifest.resolve_config(&json!({})).unwrap();
    assert_eq!(resolved, json!({"base_url": "https://api.notes.example"}));
    let owner = json!({"base_url": "https://127.0.0.1:8443/v3"});
    assert_eq!(manifest.resolve_config(&owner).unwrap(), owner);
    for (given, error) in [
        (json!({"nope": 1}), ConfigError::Unknown("nope".into())),
        (
            json!({"base_url": "ftp://x.example"}),
            ConfigError::WrongType("base_url".into(), super::ConfigType::Url),
        ),
        (json!([]), ConfigError::NotAnObject),
    ] {
        assert_eq!(manifest.resolve_config(&given), Err(error));
    }
    let mut fields = manifest.config.clone();
    fields.get_mut("base_url").unwrap().default = None;
    let missing = Err(ConfigError::Missing("base_url".into()));
    assert_eq!(super::resolve_config(&fields, &json!({})), missing, "nobody but the owner says it");
}

#[test]
fn templates_round_trip_and_refuse_what_they_do_not_know() {
    for text in ["/a/{b}/c", "{a.b|csv}", "{config.base_url}", "{{x}}", "{path|segments}", ""] {
        let template: Template = text.parse().unwrap();
        assert_eq!(template.to_string(), text);
    }
    for bad in ["{", "}", "{}", "{a", "{a{b}}", "{a..b}", "{a b}", "{a|upper}", "a}b"] {
        assert!(bad.parse::<Template>().is_err(), "{bad}");
    }
    assert!("{a}".repeat(100).parse::<Template>().is_err());
}

#[test]
fn path_patterns_refuse_dot_segments_in_every_spelling() {
    let pattern: PathPattern = "/repos/{owner}/{path*}".parse().unwrap();
    for good in ["/repos/a/b", "/repos/a/b/c.txt", "/repos/..a/b"] {
        assert!(pattern.matches(good), "{good}");
    }
    for bad in
        ["/repos/a", "/repos/../b", "/repos/a/%2e%2E/c", "/repos/a/.%2e", "/repos//b", "repos/a/b", "/x/a/b"]
    {
        assert!(!pattern.matches(bad), "{bad}");
    }
    for bad in ["", "repos", "/{a*}/x", "/a/../b", "/a?b", "/{}", "/{**}", "/a{x}"] {
        assert!(bad.parse::<PathPattern>().is_err(), "{bad}");
    }
}

#[test]
fn a_destination_follows_the_configured_url() {
    let manifest = sample();
    let operation = manifest.operation(&"notes.note.get".parse().unwrap()).unwrap();
    for (url, host, port, path) in [
        ("https://api.notes.example", "api.notes.example", 443, "/books/{segment}/notes/{segment}"),
        ("https://127.0.0.1:8443/v3/", "127.0.0.1", 8443, "/v3/books/{segment}/notes/{segment}"),
        ("https://[::1]:8443", "[::1]", 8443, "/books/{segment}/notes/{segment}"),
        ("https://[::1]", "[::1]", 443, "/books/{segment}/notes/{segment}"),
    ] {
        let config = json!({ "base_url": url });
        let destination = manifest.destination(operation, &config).unwrap();
        assert_eq!(
            (destination.hosts.as_slice(), destination.ports.as_slice()),
            (&[host.to_string()][..], &[port][..])
        );
        assert_eq!(destination.paths, [path]);
        assert_eq!(manifest.credential_hosts("token", &config), [host]);
    }
    let broken = manifest.destination(operation, &json!({ "base_url": "https://x:port" })).unwrap();
    assert!(broken.hosts.is_empty() && broken.ports.is_empty());
}

#[test]
fn host_rules_match_whole_labels() {
    let below: HostRule = "*.example.com".parse().unwrap();
    assert!(below.matches("a.example.com") && below.matches("a.b.example.com"));
    assert!(!below.matches("example.com") && !below.matches("badexample.com"));
    for bad in [
        "127.0.0.1",
        "0x7f.1",
        "example",
        "example.com.",
        "*.com.",
        "-a.example.com",
        "a_b.example.com",
        "[::1]",
    ] {
        assert!(bad.parse::<HostRule>().is_err(), "{bad}");
    }
}

#[test]
fn levels_follow_the_zone_only_where_they_say_so() {
    assert_eq!(Trust::Zone.level(Level::WORK), Level::WORK);
    assert_eq!(Trust::Untrusted.level(Level::OWNER), Level::NONE);
    assert_eq!(super::Reach::Zone.level(Level::PRIVATE), Level::PRIVATE);
}

#[test]
//= docs/spec/encoding.md#strict-json
fn no_array_stands_for_a_table() {
    let text = "cases = [[\"notes.get\"]]\n";
    let refused = Cases::parse(text.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("invalid type: sequence"), "{refused}");
    let text = "manifest = [\"fcp-connector-manifest\", \"3.0\"]\n";
    let refused = Manifest::parse(text.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("invalid type: sequence"), "{refused}");
}

#[test]
fn cases_say_what_they_expect() {
    let case = |expect: &str| {
        let text: String =
            format!("[[cases]]\nname = \"a\"\noperation = \"notes.note.get\"\n[cases.expect]\n{expect}\n");
        Cases::parse(text.as_bytes())
    };
    assert!(case("error = \"FCP-7005\"\neffect = \"none\"").is_ok());
    for bad in [
        "",
        "output = {}\nerror = \"FCP-7005\"",
        "error = \"FCP-0000\"",
        "output = {}\neffect = \"maybe\"",
        "x = 1",
    ] {
        let error = case(bad).unwrap_err();
        assert!(error.line > 0, "{bad}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", at in 0usize..2000, cut in 0usize..2000) {
        let _ = Manifest::parse(text.as_bytes());
        let mutated: String = SAMPLE.chars().take(at).chain(text.chars()).chain(SAMPLE.chars().skip(cut)).collect();
        let _ = Manifest::parse(mutated.as_bytes());
    }
}

/// A write whose probe settles it; each of [`SAMPLE`]'s rules holds beside it.
const SETTLED: &str = r#"
[operations."notes.note.put"]
description = "Writes a note."
capability = "notes.write"
risk = "medium"
safety = "risky"
idempotency = "strict"
approval = "none"
resources = ["notes:book/{book}/note/{note}"]
auth = "token"
probe = "notes.note.get"

[operations."notes.note.put".settling]
input = { book = "{book}", note = "{note}" }
made = [{ at = "/text", has = "{text}" }]
none = [{ at = "/text", lacks = "{text}" }, { at = "/cut", has = false }]
none_after_ms = 60000

[operations."notes.note.put".input.schema]
type = "object"
additionalProperties = false
required = ["book", "note", "text"]
properties = { book = { type = "string" }, note = { type = "integer" }, text = { type = "string" } }

[operations."notes.note.put".output]
trust = "untrusted"
confidentiality = "zone"
schema = { type = "object" }

[operations."notes.note.put".http]
method = "PUT"
path = "/books/{book}/notes/{note}.json"
body = { text = "{text}" }
"#;

//= docs/spec/manifest.md#settling
//= docs/spec/manifest.md#operations
#[test]
fn every_rule_of_a_probe_that_settles_is_enforced() {
    let whole = [SAMPLE, SETTLED].concat();
    let settled = Manifest::parse(whole.as_bytes()).unwrap();
    let changed = whole.replace("none_after_ms = 60000", "none_after_ms = 60001");
    let changed = Manifest::parse(changed.as_bytes()).unwrap();
    assert_ne!(settled.interface_hash(), changed.interface_hash(), "it is part of what is trusted");
    for (from, to, field) in [
        ("probe = \"notes.note.get\"\n", "", ""),
        ("probe = \"notes.note.get\"", "probe = \"notes.note.put\"", ".probe"),
        ("auth = \"token\"\nprobe", "probe", ""),
        ("input = { book = \"{book}\", note = \"{note}\" }", "input = \"{book}\"", ".input"),
        ("note = \"{note}\" }", "pen = \"{note}\" }", ".input"),
        (", note = \"{note}\" }", " }", ".input"),
        ("note = \"{note}\" }", "note = \"{pen}\" }", ".input"),
        ("at = \"/cut\"", "at = \"cut\"", ".none"),
        ("has = false", "has = false, lacks = true", ".none"),
        (", has = false", "", ".none"),
        ("has = \"{text}\"", "has = \"{pen}\"", ".made"),
        ("none_after_ms = 60000\n", "", ".none_after_ms"),
        ("none_after_ms = 60000", "none_after_ms = 0", ".none_after_ms"),
        ("none_after_ms = 60000", "none_after_ms = 3600001", ".none_after_ms"),
        ("none_after_ms = 60000", "wait = 60000", ".wait"),
        ("at = \"/text\", has", "at = \"/text\", is", ""),
    ] {
        assert!(SETTLED.contains(from), "the sample lacks {from:?}");
        let broken = [SAMPLE, &SETTLED.replacen(from, to, 1)].concat();
        let error = Manifest::parse(broken.as_bytes()).expect_err(to);
        assert!(error.path.contains("notes.note.put") && error.path.contains(field), "{to}: {error}");
    }
    let none = "none = [{ at = \"/text\", lacks = \"{text}\" }, { at = \"/cut\", has = false }]\nnone_after_ms = 60000\n";
    let silent =
        whole.replacen("made = [{ at = \"/text\", has = \"{text}\" }]\n", "", 1).replacen(none, "", 1);
    let error = Manifest::parse(silent.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("must say"), "{error}");
    let only_made = whole.replacen(none, "", 1);
    assert!(Manifest::parse(only_made.as_bytes()).is_ok());
}

//= docs/spec/manifest.md#lifecycle
#[test]
fn an_author_names_a_policy_of_restarts_and_no_other_word() {
    let with = |line: &str| Manifest::parse(format!("{SAMPLE}\n[lifecycle]\n{line}\n").as_bytes());
    let silent = with("").unwrap();
    assert_eq!(silent.lifecycle.restart, None);
    for (word, policy) in [
        ("always", Restart::Always),
        ("on_failure", Restart::OnFailure),
        ("on_crash", Restart::OnCrash),
        ("never", Restart::Never),
    ] {
        let named = with(&format!("restart = \"{word}\"")).unwrap();
        assert_eq!(named.lifecycle.restart, Some(policy));
        assert_eq!(named.interface_hash(), silent.interface_hash(), "approvals do not rest on it");
    }
    for wrong in ["restart = \"sometimes\"", "restart = \"Always\"", "restart = true", "restarts = \"never\""]
    {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}
