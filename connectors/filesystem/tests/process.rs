//! The real connector as a process.

use fcp_sdk::testing::Host;
use serde_json::json;

#[test]
fn a_process_writes_and_reads_below_its_root() {
    let directory = tempfile::TempDir::new().unwrap();
    let (root, file) = (directory.path().to_str(), directory.path().join("a.txt"));
    let mut host = Host::spawn(env!("CARGO_BIN_EXE_fcp-connector-filesystem"), None).unwrap();
    let config = json!({ "roots": [root] });
    host.initialize(json!({ "connector": "filesystem", "zone": "z:work", "config": config })).result();
    let write = json!({ "path": file.to_str(), "text": "hello" });
    assert_eq!(host.invoke("filesystem.write", write).output()["size"], 5);
    let read = host.invoke("filesystem.read", json!({ "path": file.to_str() })).output();
    assert_eq!(read["text"], "hello");
    assert_eq!(host.request("shutdown", json!({})).result(), json!({}));
    assert!(host.finish());
}
