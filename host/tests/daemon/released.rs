//! A home that an earlier build wrote opens in this one: `fixtures/home-1` is what `fwc quickstart --keep` left, without
//! what can be rebuilt (index, packages). A change that cannot read it is a change of the format.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fcp_api::routes::{ListAgents, ListGrants, ListReceipts, VerifyAudit};
use fcp_api::types::{GrantQuery, Nothing, ReceiptQuery, ReceiptView, VerifyAudit as VerifyRequest};

use crate::world::{Daemon, folder, unlock};

/// Copies a folder with the modes that a home has: the repository keeps none.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_home_of_the_first_format_opens() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/home-1");
    let (_guard, home) = folder();
    copy(&fixture.join("home"), &home);
    let passphrase = fs::read_to_string(fixture.join("passphrase")).unwrap();

    let daemon = Daemon::start_after_long(&home).await;
    let mut operator = daemon.client();
    unlock(&mut operator, passphrase.trim_end()).await.unwrap();
    let report = operator.send::<VerifyAudit>(&[], &VerifyRequest::default()).await.unwrap().body;
    assert!(report.valid && report.events >= 40, "{report:?}");
    let agents = operator.get::<ListAgents>(&[], &Nothing {}).await.unwrap().body.agents;
    assert_eq!(agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["demo"]);
    let grants = operator.get::<ListGrants>(&[], &GrantQuery::default()).await.unwrap().body.grants;
    assert_eq!(grants.len(), 3, "{grants:?}");
    let receipts = operator.get::<ListReceipts>(&[], &ReceiptQuery::default()).await.unwrap().body.receipts;
    assert!(receipts.iter().any(|receipt| matches!(receipt, ReceiptView::Operation { .. })), "{receipts:?}");
}
