//! Answers and failures as they reach a terminal or a pipe.

use fcp_proto_core::error::{Code, ExitCode};
use serde::Serialize;

use super::console::Surface;
use super::render::{self, Rendered};
use super::text::{is_hidden, reveal, truncate, width, wrap};
use super::value::Value;
use super::{Answer, Column, Failure, Format, TableSpec, TruthSource, json, toon};

const PIPE: Surface = Surface { stdout_terminal: false, stderr_terminal: false, width: None, color: true };
const TERMINAL: Surface =
    Surface { stdout_terminal: true, stderr_terminal: true, width: Some(60), color: false };

const ALL: [Format; 7] =
    [Format::Json, Format::Jsonl, Format::Csv, Format::Tsv, Format::Markdown, Format::Table, Format::Toon];

/// Strings with which a service could take over a terminal or deceive its reader.
const HOSTILE: [&str; 12] = [
    "\u{1b}[2J\u{1b}[31mowned",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;http://evil\u{1b}\\click\u{1b}]8;;\u{1b}\\",
    "\u{9b}31mC1",
    "a\rb",
    "line\nsource: mesh",
    "user\u{202e}gnp.exe",
    "\u{2066}isolate\u{2069}",
    "zero\u{200b}width\u{feff}",
    "tag\u{e0041}\u{e0042}",
    "\u{fe0f}\u{fe01}selectors",
    "back\u{8}space\u{7f}",
];

fn data(text: &str) -> Value {
    json::read(text.as_bytes(), 1 << 20).unwrap()
}

fn answer(text: &str) -> Answer {
    Answer::new("list", TruthSource::Host, data(text))
}

fn shown(answer: &Answer, format: Format, surface: &Surface) -> Rendered {
    render::answer(answer, format, surface)
}

fn hostile_answer(as_key: bool) -> Answer {
    let rows = HOSTILE.iter().map(|text| match as_key {
        true => super::value::Object::default().with(text, 1u64).into(),
        false => {
            super::value::Object::default().with("name", *text).with("tags", vec![Value::from(*text)]).into()
        }
    });
    let rows = Value::Array(rows.collect());
    let mut answer =
        Answer::new("list", TruthSource::Host, super::value::Object::default().with("rows", rows));
    answer.table = Some(TableSpec::rows("rows", &[]));
    answer.notes = HOSTILE.map(str::to_owned).to_vec();
    answer.next = HOSTILE.map(str::to_owned).to_vec();
    answer
}

//= docs/spec/output.md#text-from-services
#[test]
fn nothing_hidden_reaches_a_terminal_in_any_format() {
    for as_key in [false, true] {
        let rows = hostile_answer(as_key);
        let mut detail = rows.clone();
        detail.table = None;
        for answer in [rows, detail] {
            for format in ALL {
                let Rendered { stdout, stderr } = shown(&answer, format, &TERMINAL);
                // Line ends and the tabs between cells are ours.
                let own = if format == Format::Tsv { &['\n', '\t'][..] } else { &['\n'] };
                let text = (stdout + &stderr).replace("\r\n", "\n");
                let hidden = text.chars().find(|c| is_hidden(*c) && !own.contains(c));
                assert_eq!(hidden, None, "{format:?}");
            }
        }
    }
}

#[test]
fn no_service_text_begins_a_line_of_its_own() {
    let answer = hostile_answer(false);
    for format in ALL {
        let Rendered { stdout, stderr } = shown(&answer, format, &TERMINAL);
        assert!(
            !stdout.lines().chain(stderr.lines()).any(|line| line.starts_with("source: mesh")),
            "{format:?}"
        );
    }
}

#[test]
fn a_failure_shows_nothing_hidden() {
    for text in HOSTILE {
        let failure = Failure::new(Code::UpstreamFailed, text, text).next(text);
        for format in ALL {
            let Rendered { stdout, stderr } = render::failure(&failure, format, &TERMINAL);
            assert!(!(stdout + &stderr).chars().any(|c| c != '\n' && is_hidden(c)), "{format:?}");
        }
    }
}

#[test]
fn hidden_text_stays_the_same_data_in_json_and_toon() {
    let answer = hostile_answer(false);
    let line = shown(&answer, Format::Json, &PIPE).stdout;
    assert_eq!(data(&line), answer.envelope());
    assert!(!line.trim_end().chars().any(is_hidden));
    let document = shown(&answer, Format::Toon, &PIPE).stdout;
    let back = toon::decode(document.trim_end_matches('\n'), 2, toon::Mode::Strict, 1 << 20);
    assert_eq!(back, Ok(answer.envelope()));
}

#[test]
fn the_json_envelope_is_stable() {
    let answer = answer(r#"[{"b":1,"a":2}]"#).note("n").next("fwc ops b");
    assert_eq!(
        shown(&answer, Format::Json, &PIPE),
        Rendered {
            stdout: concat!(
                r#"{"status":"ok","command":"list","source":"host","data":[{"b":1,"a":2}],"#,
                r#""notes":["n"],"next":["fwc ops b"]}"#,
                "\n"
            )
            .to_owned(),
            stderr: String::new(),
        }
    );
    let failure = Failure::new(Code::DaemonUnreachable, "cannot list", "no socket");
    assert_eq!(
        render::failure(&failure, Format::Json, &PIPE).stdout,
        concat!(
            r#"{"status":"error","error":{"code":"FCP-8001","name":"daemon_unreachable","message":"cannot list","#,
            r#""why":"no socket","retryable":true,"next":["start it with `fwc up`"],"detail":null}}"#,
            "\n"
        )
    );
    assert_eq!(failure.exit_code(), ExitCode::Transport);
}

#[test]
fn every_format_carries_the_source() {
    let answer = Answer::new("list", TruthSource::NodeLocal, data(r#"[{"a":1}]"#));
    for format in ALL {
        let Rendered { stdout, stderr } = shown(&answer, format, &PIPE);
        let holder = if format.shows_source() { &stdout } else { &stderr };
        assert!(holder.contains("node-local"), "{format:?}");
        assert_eq!(stderr.is_empty(), format.shows_source(), "{format:?}: {stderr}");
    }
}

#[test]
fn record_formats_give_data_alone() {
    let answer = answer(r#"[{"a":1,"b":"x"},{"a":2,"c":[1]}]"#).note("two of them");
    let of = |format| shown(&answer, format, &PIPE).stdout;
    assert_eq!(of(Format::Jsonl), "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"c\":[1]}\n");
    assert_eq!(of(Format::Csv), "a,b,c\r\n1,x,\r\n2,,\"[1]\"\r\n");
    assert_eq!(of(Format::Tsv), "a\tb\tc\n1\tx\t\n2\t\t[1]\n");
    assert_eq!(shown(&answer, Format::Csv, &PIPE).stderr, "note: two of them\nsource: host\n");
}

#[test]
fn a_cell_that_looks_like_a_formula_is_kept_and_pointed_out() {
    let Rendered { stdout, stderr } = shown(&answer(r#"[{"a":"=1+1"}]"#), Format::Csv, &PIPE);
    assert_eq!(stdout, "a\r\n=1+1\r\n");
    assert!(stderr.contains("1 cells begin like a formula"));
}

#[test]
fn a_table_aligns_numbers_and_summarises() {
    let answer = answer(
        r#"{"total":2,"items":[{"id":"a","n":5,"t":["x","y"],"o":{"p":1}},{"id":"名前","n":10,"t":null,"o":[{}]}]}"#,
    )
    .table(TableSpec::rows(
        "items",
        &[Column::new("id", "ID"), Column::new("n", "N"), Column::new("t", "TAGS"), Column::new("o", "MORE")],
    ));
    assert_eq!(
        shown(&answer, Format::Table, &TERMINAL).stdout,
        "ID     N  TAGS  MORE\n─────────────────────────\na      5  x, y  {1 members}\n名前  10  -     [1 items]\n\
         \ntotal  2\n\nsource: host\n"
            .replace("─────────────────────────", &"─".repeat(27))
    );
}

#[test]
fn a_table_fits_its_terminal() {
    let long = "word ".repeat(30);
    let rows = format!(r#"[{{"id":"short","cut":"{long}","full":"{long}"}}]"#);
    let columns = [Column::new("id", "ID"), Column::new("cut", "CUT"), Column::new("full", "FULL").whole()];
    let text = shown(&answer(&rows).table(TableSpec::root(&columns)), Format::Table, &TERMINAL).stdout;
    assert!(text.lines().all(|line| width(line) <= 60), "{text}");
    assert!(text.contains('…'));
    assert_eq!(text.matches("word").count() - text.lines().nth(2).unwrap().matches("word").count() / 2, 30);
}

#[test]
fn details_show_every_value_whole() {
    let body = "x".repeat(200);
    let text = format!(r#"{{"input":{{"title":"t","a.b":1,"list":[{{"k":[{{}}]}}]}},"body":"{body}"}}"#);
    let shown = shown(&answer(&text), Format::Table, &TERMINAL).stdout;
    for part in ["\ninput\n", "\ntitle ", "\n\"a.b\" ", "\nlist[0].k[0] "] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(shown.matches('x').count(), 200, "{shown}");
    assert!(shown.lines().all(|line| width(line) <= 60), "{shown}");
}

#[test]
fn markdown_lets_no_service_add_a_cell_or_a_link() {
    let shown = shown(&answer(r#"[{"a":"x|y [l](http://e) <b>"}]"#), Format::Markdown, &PIPE).stdout;
    assert_eq!(shown, "| a |\n| --- |\n| x\\|y \\[l\\](http://e) &lt;b&gt; |\n\nsource: host\n");
}

#[test]
fn colour_is_only_for_terminals() {
    let colored = Surface { color: true, ..TERMINAL };
    assert!(shown(&answer("[1]"), Format::Table, &colored).stdout.contains("\u{1b}["));
    for surface in [PIPE, TERMINAL] {
        assert!(!shown(&answer("[1]"), Format::Table, &surface).stdout.contains('\u{1b}'));
    }
}

#[test]
fn a_failure_in_words_names_code_reason_and_next_step() {
    let failure = Failure::new(Code::InputTooLarge, "cannot read it", "over 8 MiB").next("fwc schema x");
    let Rendered { stdout, stderr } = render::failure(&failure, Format::Table, &TERMINAL);
    assert_eq!(stdout, "");
    assert_eq!(
        stderr,
        "error FCP-1004 input_too_large: cannot read it\n  why:  over 8 MiB\n  next: fwc schema x\n"
    );
}

#[test]
fn a_person_sees_the_failure_when_the_data_goes_elsewhere() {
    let surface = Surface { stderr_terminal: true, ..PIPE };
    let failure = Failure::new(Code::DaemonUnreachable, "cannot list", "no socket");
    let Rendered { stdout, stderr } = render::failure(&failure, Format::Toon, &surface);
    assert!(stdout.starts_with("status: error\nerror:\n  code: FCP-8001\n"), "{stdout}");
    assert!(stderr.contains("error FCP-8001"));
}

#[test]
fn fields_of_a_type_keep_their_order() {
    #[derive(Serialize)]
    struct Row {
        zone: &'static str,
        agent: u8,
    }
    let answer = Answer::of("x", TruthSource::Mesh, &Row { zone: "z:work", agent: 1 }).unwrap();
    assert_eq!(json::to_line(&answer.data), r#"{"zone":"z:work","agent":1}"#);
}

#[test]
fn reveal_leaves_ordinary_text_alone() {
    for text in ["plain", "名前 é ❤\u{fe0f} 🚀", "a\\nb"] {
        assert_eq!(reveal(text), text);
    }
    assert_eq!(reveal("a\n\u{1b}\u{200d}"), "a\\n\\u{1b}\\u{200d}");
    assert_eq!(reveal("❤\u{fe0f}\u{fe0f}"), "❤\u{fe0f}\\u{fe0f}");
}

#[test]
fn text_is_cut_and_wrapped_by_cells() {
    assert_eq!(truncate("名前名前", 5), "名前…");
    assert_eq!(truncate("abc", 3), "abc");
    assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(wrap("", 5), [""]);
}

#[test]
fn an_answer_that_tells_of_a_failure_says_so_in_every_format() {
    let failure =
        Failure::new(Code::AuditBroken, "The chain is broken.", "event 3 is changed").next("fwc audit tail");
    let answer = Answer { failed: Some(Box::new(failure)), ..answer(r#"{"valid": false}"#) };
    assert_eq!(answer.exit_code(), Code::AuditBroken.exit_code());
    for format in ALL {
        let rendered = shown(&answer, format, &PIPE);
        if format.has_envelope() {
            let envelope = answer.envelope();
            let envelope = envelope.as_object().unwrap();
            assert_eq!(envelope.get("status"), Some(&Value::from("failed")));
            let error = envelope.get("error").and_then(Value::as_object).unwrap();
            assert_eq!(error.get("code"), Some(&Value::from(Code::AuditBroken.to_string())));
            assert_eq!(error.get("why"), Some(&Value::from("event 3 is changed")));
            assert!(rendered.stdout.contains("failed"), "{format:?}: {}", rendered.stdout);
        } else {
            let lines = format!(
                "failed {} audit_broken: The chain is broken.\n  why:  event 3 is changed\n  next: fwc audit tail\n",
                Code::AuditBroken
            );
            assert!(rendered.stderr.starts_with(&lines), "{format:?}: {}", rendered.stderr);
        }
    }
    assert_eq!(Answer { failed: None, ..answer }.exit_code(), ExitCode::Ok);
}

#[test]
fn people_read_dates_and_programs_read_seconds() {
    let mut answer = answer(
        r#"{"calls": [{"started_at": 1795426200, "n": 1795426200, "input": {"at": 1795426200}}], "expires_at": 0,
            "until": null, "output": {"created_at": 1795426200}}"#,
    );
    answer.table = Some(TableSpec::rows("calls", &[]));
    for format in [Format::Table, Format::Markdown] {
        let text = shown(&answer, format, &PIPE).stdout;
        assert_eq!(text.matches("2026-11-23T09:30:00Z").count(), 1, "{text}");
        assert!(text.contains("1970-01-01T00:00:00Z"), "{text}");
        assert_eq!(text.matches("1795426200").count(), 2, "what is not the contract's stays: {text}");
    }
    for format in [Format::Json, Format::Jsonl, Format::Csv] {
        let text = shown(&answer, format, &PIPE).stdout;
        assert!(text.contains("1795426200") && !text.contains("2026-11-23"), "{format:?}: {text}");
    }
}

#[test]
fn sections_are_tables_of_their_own_and_the_rest_stays_whole() {
    let mut answer = answer(
        r#"{"connectors": [{"id": "a", "health": [{"status": "ready"}, {"status": "idle"}]}, {"id": "b"}],
            "warnings": [], "home": "/h"}"#,
    );
    let columns = [Column::new("id", "CONNECTOR"), Column::new("health.status", "HEALTH")];
    answer = answer.section(TableSpec::rows("connectors", &columns));
    answer = answer.section(TableSpec::rows("warnings", &[]));
    let text = shown(&answer, Format::Table, &PIPE).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "home  /h",
            "",
            "connectors",
            "CONNECTOR  HEALTH",
            "──────────────────────",
            "a          ready, idle",
            "b          -",
            "",
            "source: host"
        ]
    );
    let markdown = shown(&answer, Format::Markdown, &PIPE).stdout;
    assert!(markdown.contains("| a | ready, idle |"), "{markdown}");
    assert_eq!(shown(&answer, Format::Jsonl, &PIPE).stdout.lines().count(), 1, "they are no rows");
}

const CALL: &str = "0123456789abcdef0123456789abcdef";

fn calls(cells: usize) -> String {
    let rows = format!(
        r#"{{"calls": [{{"id": "{CALL}", "at": 0, "what": "github.issues.create", "why": "one two three four"}}],
            "next": null}}"#
    );
    let columns = [
        Column::new("id", "CALL"),
        Column::new("at", "AT"),
        Column::new("what", "OPERATION"),
        Column::new("why", "WHY").whole(),
    ];
    let answer = answer(&rows).table(TableSpec::rows("calls", &columns));
    shown(&answer, Format::Table, &Surface { width: Some(cells), ..TERMINAL }).stdout
}

//= docs/spec/output.md#formats
#[test]
fn identifiers_and_times_stay_whole_however_narrow_the_terminal_is() {
    for cells in [200, 80, 60, 40, 34] {
        let text = calls(cells);
        assert!(text.contains(CALL) && text.contains("1970-01-01T00:00:00Z"), "{cells}: {text}");
        assert!(!text.contains("next"), "a list that ends has no cursor: {text}");
        assert!(text.lines().all(|line| width(line) <= cells), "{cells}: {text}");
    }
    assert_eq!(calls(200).lines().count(), 5, "{}", calls(200));
    let below = calls(66);
    assert!(below.starts_with("AT    "), "{below}");
    assert_eq!(below.lines().nth(3), Some(format!("  CALL {CALL}").as_str()), "below its row: {below}");
    let record = format!("CALL\n  {CALL}\nAT ");
    assert!(calls(34).starts_with(&record), "a row stands as names and values: {}", calls(34));
}

//= docs/spec/output.md#formats
#[test]
fn each_member_is_shown_as_its_shape_asks() {
    let answer = answer(
        r#"{"allowed": false, "roles": [], "label": {"integrity": 60}, "needs": [{"need": "grant", "zone": "z:work"}],
            "story": ["It was asked.", "It was refused."], "words": ["a", "b"], "denial": {"check": "grants"},
            "output": {"total": 2, "issues": [{"n": 1, "title": "x y"}, {"n": 2, "title": "z"}]}}"#,
    );
    let answer = answer.hidden(&["denial"]);
    let text = shown(&answer, Format::Table, &TERMINAL).stdout;
    let expected = "allowed  no\nroles    -\nwords    a, b\n\nlabel\nintegrity  60\n\nneeds\nneed   zone\n─────────────\n\
         grant  z:work\n\nstory\n- It was asked.\n- It was refused.\n\noutput\ntotal  2\n\noutput.issues\n\
         n  title\n────────\n1  x y\n2  z\n\nsource: host\n";
    assert_eq!(text, expected);
    let markdown = shown(&answer, Format::Markdown, &PIPE).stdout;
    assert!(
        markdown.contains("**story**\n\n- It was asked.\n") && !markdown.contains("denial"),
        "{markdown}"
    );
    assert!(shown(&answer, Format::Json, &PIPE).stdout.contains("denial"), "programs get all of it");
}

#[test]
fn no_part_of_a_service_text_begins_a_line() {
    let text = "a text that is long enough to be wrapped somewhere source: mesh".repeat(3);
    let data = format!(
        r#"{{"story": ["{text}"], "rows": [{{"a": "{text}", "b": 1}}], "words": ["{text}", "x y"]}}"#
    );
    for cells in 20..70 {
        let shown = shown(&answer(&data), Format::Table, &Surface { width: Some(cells), ..TERMINAL }).stdout;
        let begins =
            shown.lines().filter(|line| line.starts_with("source:") || line.starts_with("mesh")).count();
        assert_eq!(begins, 1, "{cells}: {shown}");
    }
}

/// A text as long as an argument may well be.
const MEGABYTE: usize = 1 << 20;

/// Arguments that an agent may choose so that whoever looks at them waits, or has no memory left.
fn burdens() -> [(&'static str, String); 9] {
    let joined = |item: &dyn Fn(usize) -> String| (0..30_000).map(item).collect::<Vec<_>>().join(",");
    let long = "k".repeat(MEGABYTE / 2);
    let members = joined(&|n| format!("\"k{n}\":1"));
    let reversed = joined(&|n| format!("\"k{}\":1", 29_999 - n));
    [
        ("one word", format!("{:?}", "x".repeat(MEGABYTE))),
        ("many words", format!("{:?}", "ab ".repeat(MEGABYTE / 3))),
        ("marks that take no room", format!("\"e{}\"", "\u{301}".repeat(MEGABYTE / 2))),
        ("many members", format!("{{{members}}}")),
        ("wide records", format!("[{{{members}}},{{{reversed}}}]")),
        ("records without common members", format!("[{}]", joined(&|n| format!("{{\"k{n}\":1}}")))),
        ("much below a long name", format!("{{\"{long}\":[{}]}}", joined(&|_| "[1]".into()))),
        ("many names beside a long one", format!("{{\"{long}\":1,{members}}}")),
        (
            "a long cell above many",
            format!("[{{\"a\":\"{long}\",\"b\":1}},{}]", joined(&|_| "{\"a\":\"\",\"b\":1}".into())),
        ),
    ]
}

/// Where the work grows with the square of an argument, this takes minutes or gigabytes.
//= docs/spec/output.md#formats
#[test]
fn no_argument_decides_how_long_its_reader_waits() {
    for (name, burden) in burdens() {
        let whole = format!(r#"{{"operation":"a.b","input":{{"list":{burden}}},"output":{burden}}}"#);
        let answer = Answer::new(
            "approvals show",
            TruthSource::Host,
            json::read(whole.as_bytes(), whole.len()).unwrap(),
        );
        for (format, surface) in
            [(Format::Table, TERMINAL), (Format::Table, PIPE), (Format::Toon, PIPE), (Format::Csv, PIPE)]
        {
            let shown = shown(&answer, format, &surface).stdout;
            assert!(shown.len() > whole.len() / 4, "{name}: nothing is left out");
            assert!(shown.len() < 40 * whole.len(), "{name}: {} bytes of {}", shown.len(), whole.len());
            let wide = shown.lines().find(|line| surface.width.is_some_and(|cells| width(line) > cells));
            assert_eq!(wide, None, "{name}");
        }
    }
}

//= docs/spec/output.md#formats
#[test]
fn a_name_that_is_typed_is_never_cut() {
    let names = [
        "z:project:apollo",
        "z:project:apollinaris",
        "filesystem",
        "github.issues.comments",
        "mail-and-more",
    ];
    let rows = r#"[{"zone": "z:project:apollo", "tier": "dangerous", "operations": ["github.issues.comments", "a.b"],
            "connectors": ["github", "filesystem"], "why": "one two three four five", "agents": ["mail-and-more"]},
            {"zone": "z:project:apollinaris", "tier": "dangerous", "operations": ["a.b", "a.c", "a.d"],
            "connectors": [], "why": "one two three four five", "agents": ["mail", "more"]}]"#;
    let columns = [
        Column::new("zone", "ZONE"),
        Column::new("tier", "TIER"),
        Column::new("operations", "OPERATIONS"),
        Column::new("connectors", "CONNECTORS").whole(),
        Column::new("why", "WHY"),
        Column::new("agents", "AGENTS"),
    ];
    let answer = answer(rows).table(TableSpec::root(&columns));
    for cells in 20..200 {
        let text = shown(&answer, Format::Table, &Surface { width: Some(cells), ..TERMINAL }).stdout;
        assert!(text.lines().all(|line| width(line) <= cells), "{cells}: {text}");
        let squeezed: String = text.split_whitespace().collect();
        for name in names {
            assert!(
                text.contains(name) || (cells < 46 && squeezed.contains(name)),
                "{cells}: {name}: {text}"
            );
        }
    }
    let narrow = shown(&answer, Format::Table, &Surface { width: Some(100), ..TERMINAL }).stdout;
    assert!(narrow.starts_with("ZONE ") && narrow.contains('…'), "other columns give way: {narrow}");
}
