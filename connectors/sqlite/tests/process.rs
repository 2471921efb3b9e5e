//! The real connector as a process.

use fcp_sdk::testing::Host;
use serde_json::json;

#[test]
fn a_process_reads_and_writes_its_database() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("notes.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (title TEXT)").unwrap();
    let mut host = Host::spawn(env!("CARGO_BIN_EXE_fcp-connector-sqlite"), None).unwrap();
    host.initialize(
        json!({ "connector": "sqlite", "zone": "z:work", "config": { "database": path.to_str() } }),
    )
    .result();
    let write = json!({ "sql": "INSERT INTO notes VALUES (:t)", "content": { "t": "milk" } });
    assert_eq!(host.invoke("sqlite.execute", write).output()["changes"], 1);
    let read = host.invoke("sqlite.query", json!({ "sql": "SELECT title FROM notes" })).output();
    assert_eq!(read["rows"], json!([["milk"]]));
    assert_eq!(host.request("health", json!({})).result()["status"], "ready");
    assert_eq!(host.request("shutdown", json!({})).result(), json!({}));
    assert!(host.finish());
}
