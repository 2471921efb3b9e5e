use std::path::Path;

use fcp_proto_core::error::Code;
use fcp_sdk::Blocking;
use fcp_sdk::testing::{Host, Invocation, Reply};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Sqlite;

struct Bench {
    directory: TempDir,
    host: Host,
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("notes.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, done INTEGER DEFAULT 0, data BLOB);
                 CREATE UNIQUE INDEX by_title ON notes (title);
                 CREATE TABLE tags (note INTEGER REFERENCES notes (id), tag TEXT);
                 CREATE VIEW open_notes AS SELECT * FROM notes WHERE done = 0;
                 INSERT INTO notes (title, data) VALUES ('milk', x'00ff'), ('bread', NULL);",
            )
            .unwrap();
        let host = start(&path);
        Self { directory, host }
    }

    fn query(&mut self, sql: &str, params: Value) -> Reply {
        self.host.invoke("sqlite.query", json!({ "sql": sql, "params": params }))
    }

    fn execute(&mut self, sql: &str) -> Reply {
        self.host.invoke("sqlite.execute", json!({ "sql": sql }))
    }

    fn count(&mut self) -> Value {
        self.query("SELECT count(*) FROM notes", json!([])).output()["rows"][0][0].take()
    }
}

fn start(path: &Path) -> Host {
    let mut host = Host::start::<Blocking<Sqlite>>(None).unwrap();
    initialize(&mut host, path).result();
    host
}

fn initialize(host: &mut Host, path: &Path) -> Reply {
    host.initialize(
        json!({ "connector": "sqlite", "zone": "z:work", "config": { "database": path.to_str() } }),
    )
}

#[test]
fn rows_come_with_their_types() {
    let mut bench = Bench::new();
    let output =
        bench.query("SELECT id, title, data, 1.5, NULL FROM notes WHERE id = ?1", json!([1])).output();
    assert_eq!(output["columns"], json!(["id", "title", "data", "1.5", "NULL"]));
    assert_eq!(output["rows"], json!([[1, "milk", { "base64": "AP8=" }, 1.5, null]]));
    assert_eq!(output["truncated"], false);
}

#[test]
fn writes_are_one_transaction_with_their_count() {
    let mut bench = Bench::new();
    let input = json!({
        "sql": "INSERT INTO notes (id, title, data) VALUES (?1, :title, :data) RETURNING id",
        "params": [7],
        "content": { "title": "x'); DROP TABLE notes; --", "data": { "base64": "AQ==" } },
    });
    let result = bench.host.invoke("sqlite.execute", input).result();
    assert_eq!(result["effect"], "made");
    assert_eq!(result["output"]["changes"], 1);
    assert_eq!(result["output"]["last_insert_rowid"], 7);
    assert_eq!(result["output"]["returned"]["rows"], json!([[7]]));
    assert_eq!(bench.count(), 3);
    let error = bench
        .execute("INSERT INTO notes (title) SELECT 'a' || id FROM notes UNION ALL SELECT 'milk'")
        .error();
    assert_eq!(
        (error["data"]["code"].clone(), error["data"]["effect"].clone()),
        (json!(Code::Conflict), json!("none"))
    );
    assert_eq!(bench.count(), 3);
}

#[test]
fn more_changes_than_wanted_are_rolled_back() {
    let mut bench = Bench::new();
    let input = json!({ "sql": "DELETE FROM notes", "max_changes": 1 });
    assert_eq!(bench.host.invoke("sqlite.execute", input).code(), Code::Conflict);
    assert_eq!(bench.count(), 2);
}

#[test]
fn reading_can_do_nothing_but_read() {
    let mut bench = Bench::new();
    for sql in [
        "INSERT INTO notes (title) VALUES ('x')",
        "UPDATE notes SET done = 1",
        "DELETE FROM notes",
        "WITH x AS (SELECT 1) DELETE FROM notes",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "DROP TABLE notes",
        "ATTACH '/etc/passwd' AS x",
        "ATTACH ':memory:' AS x",
        "DETACH main",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version",
        "PRAGMA query_only = 0",
        "SELECT * FROM pragma_user_version",
        "SELECT load_extension('x.so')",
        "SELECT LOAD_EXTENSION('x.so')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT fts3_tokenizer('simple')",
        "VACUUM",
        "VACUUM INTO '/tmp/fcp-sqlite-copy.db'",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "REINDEX",
        "ANALYZE",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE notes",
        "CREATE VIRTUAL TABLE x USING fts5(a)",
        "",
        "-- nothing",
        "SELEC 1",
        "SELECT nope FROM notes",
        "SELECT ?1",
        "EXPLAIN DELETE FROM notes",
    ] {
        let code = bench.query(sql, json!([])).code();
        assert_eq!(code, Code::InputInvalid, "{sql}");
    }
    assert_eq!(bench.count(), 2);
    let left: Vec<_> =
        std::fs::read_dir(bench.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.db"]);
}

#[test]
fn writing_can_change_rows_and_nothing_else() {
    let mut bench = Bench::new();
    for sql in [
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM notes; END",
        "ALTER TABLE notes RENAME TO x",
        "DROP TABLE notes",
        "DELETE FROM sqlite_schema",
        "UPDATE sqlite_schema SET sql = 'x'",
        "INSERT INTO SQLITE_SCHEMA (name) VALUES ('x')",
        "ATTACH '/tmp/x.db' AS x",
        "PRAGMA writable_schema = 1",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "INSERT INTO notes (title) VALUES ('a'); COMMIT",
        "INSERT INTO notes (title) VALUES (load_extension('x'))",
        "VACUUM",
        "SELECT 1",
    ] {
        let error = bench.execute(sql).error();
        assert_eq!(error["data"]["code"], json!(Code::InputInvalid), "{sql}");
        assert_eq!(error["data"]["effect"], "none", "{sql}");
    }
    assert_eq!(bench.count(), 2);
}

#[test]
fn every_placeholder_gets_a_value_and_every_value_a_placeholder() {
    let mut bench = Bench::new();
    for (sql, params) in [
        ("SELECT ?1, ?2", json!([1])),
        ("SELECT ?1", json!([1, 2])),
        ("SELECT :name", json!([1])),
        ("SELECT ?1", json!([[1]])),
        ("SELECT ?1", json!([{ "base64": "*" }])),
        ("SELECT ?1", json!([{ "x": 1 }])),
        ("SELECT ?1", json!([18_446_744_073_709_551_615_u64])),
    ] {
        assert_eq!(bench.query(sql, params.clone()).code(), Code::InputInvalid, "{sql} {params}");
    }
    assert_eq!(bench.query("SELECT ?, ?", json!([1, "a"])).output()["rows"], json!([[1, "a"]]));
}

#[test]
fn answers_are_bounded_in_rows_and_bytes() {
    let mut bench = Bench::new();
    let numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT i FROM n";
    let output = bench.query(numbers, json!([])).output();
    assert_eq!(output["rows"].as_array().map(Vec::len), Some(200));
    assert_eq!(output["truncated"], true);
    let wide = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) \
                SELECT hex(zeroblob(500000)) FROM n";
    let output = bench.query(wide, json!([])).output();
    assert!(output["rows"].as_array().unwrap().len() <= 4);
    assert_eq!(output["truncated"], true);
    assert_eq!(bench.query("SELECT zeroblob(1000000000)", json!([])).code(), Code::InputInvalid);
}

const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

#[test]
fn a_statement_without_end_stops_with_its_time_or_its_cancellation() {
    let mut bench = Bench::new();
    let mut invocation = Invocation::new("sqlite.query", json!({ "sql": FOREVER }));
    invocation.deadline_ms = 100;
    let id = bench.host.start_invoke(&invocation);
    assert_eq!(bench.host.wait(id).code(), Code::ConnectorTimeout);
    invocation.deadline_ms = 30_000;
    let id = bench.host.start_invoke(&invocation);
    bench.query("SELECT 1", json!([])).output();
    bench.host.cancel(id);
    assert_eq!(bench.host.wait(id).code(), Code::Cancelled);
}

#[test]
fn tables_and_schema_describe_the_database() {
    let mut bench = Bench::new();
    let tables = bench.host.invoke("sqlite.tables", json!({})).output();
    let names: Vec<_> =
        tables["tables"].as_array().unwrap().iter().map(|table| table["name"].clone()).collect();
    assert_eq!(names, ["notes", "open_notes", "tags"]);
    let notes = bench.host.invoke("sqlite.schema", json!({ "table": "notes" })).output();
    assert_eq!(notes["columns"][0]["primary_key"], true);
    assert_eq!(notes["columns"][1]["not_null"], true);
    assert_eq!(notes["indexes"][0], json!({ "name": "by_title", "unique": true }));
    let tags = bench.host.invoke("sqlite.schema", json!({ "table": "tags" })).output();
    assert_eq!(tags["foreign_keys"][0], json!({ "column": "note", "table": "notes", "references": "id" }));
    assert_eq!(bench.host.invoke("sqlite.schema", json!({ "table": "x'; --" })).code(), Code::NotFound);
}

#[test]
fn only_the_approved_file_is_opened() {
    let bench = Bench::new();
    let real = bench.directory.path().join("notes.db");
    let link = bench.directory.path().join("link.db");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    for (path, expected) in [
        (link, Code::ConnectorUnavailable),
        (bench.directory.path().join("absent.db"), Code::ConnectorUnavailable),
        (bench.directory.path().to_path_buf(), Code::ConnectorFailed),
    ] {
        let mut host = start(&path);
        let code = host.invoke("sqlite.tables", json!({})).code();
        assert_eq!(code, expected, "{}", path.display());
        assert_eq!(host.request("health", json!({})).result()["status"], "error");
    }
    let mut host = Host::start::<Blocking<Sqlite>>(None).unwrap();
    for path in ["notes.db", "file:/tmp/x?mode=rwc", "/tmp/../x.db"] {
        assert_eq!(initialize(&mut host, Path::new(path)).code(), Code::ConfigInvalid, "{path}");
    }
}

#[test]
fn a_trigger_of_the_schema_cannot_reach_further_than_the_statement() {
    let mut bench = Bench::new();
    let owner = Connection::open(bench.directory.path().join("notes.db")).unwrap();
    owner
        .execute_batch("CREATE TRIGGER t AFTER UPDATE ON notes BEGIN SELECT load_extension('x'); END;")
        .unwrap();
    assert_eq!(bench.execute("UPDATE notes SET done = 1").code(), Code::InputInvalid);
}
