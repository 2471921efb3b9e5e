//! Files of a home that are damaged while no daemon runs: what cannot be trusted is named, what can be made again is made
//! again, and what is not concerned serves.

use std::fs;
use std::path::{Path, PathBuf};

use fcp_proto_core::error::Code;

use crate::accounts::{Caller, Told, account_for, ask, ask_of};
use crate::daemon::Daemon;
use crate::place::{LEDGER, Place};

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn journal(place: &Place) -> PathBuf {
    place.home.join("journal/000001.fcj")
}

/// Stops the daemon in order and waits until all is gone.
async fn stop(place: &mut Place) {
    let family = place.family().await;
    place.daemon.take().unwrap().stop();
    crate::processes::gone(&family).await;
}

//= docs/spec/journal.md#recovery
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_cut_journal_refuses_the_start_by_name_and_is_left_as_it_is() {
    let mut place = Place::new(None).await;
    let mut agent = place.session().await;
    let told = ask(&mut agent, "before").await;
    stop(&mut place).await;
    let whole = fs::read(journal(&place)).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (what, bytes) in [("flipped", flipped), ("cut", whole[..whole.len() / 2].to_vec())] {
        fs::write(journal(&place), &bytes).unwrap();
        let (status, log) = Daemon::spawn(&place.home).wait();
        assert!(!status.success(), "{what}");
        for named in ["FCP-8007", "000001.fcj", "at byte"] {
            assert!(log.contains(named), "{what}: {named} is not in {log}");
        }
        assert_eq!(fs::read(journal(&place)).unwrap(), bytes, "{what}: it was changed");
    }
    fs::write(journal(&place), whole).unwrap();
    place.restart().await;
    let mut agent = place.session().await;
    account_for(&mut place, &mut Caller::Bot(&mut agent), "before", told).await;
    place.verify_audit().await;
}

//= docs/spec/journal.md#index
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cut_or_lost_index_is_made_again() {
    let mut place = Place::new(None).await;
    let mut agent = place.session().await;
    let told = ask(&mut agent, "before").await;
    let index = place.home.join("index/objects.redb");
    let damages: [fn(&Path); 4] = [
        |path| fs::write(path, b"no index").unwrap(),
        |path| fs::File::options().write(true).open(path).unwrap().set_len(5_000).unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| flip(path, 8_192),
    ];
    for damage in damages {
        stop(&mut place).await;
        damage(&index);
        place.restart().await;
        let mut agent = place.session().await;
        account_for(&mut place, &mut Caller::Bot(&mut agent), "before", told).await;
        place.verify_audit().await;
    }
}

//= docs/spec/vault.md#file
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_credential_is_named_and_other_connectors_keep_their_service() {
    let mut place = Place::new(None).await;
    place.furnish_connector("second").await;
    stop(&mut place).await;
    let folder = place.home.join("vault/z_work").join(LEDGER);
    let sealed = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    flip(&sealed, fs::read(&sealed).unwrap().len() - 1);
    place.restart().await;
    let mut agent = place.session().await;
    let refused = ask(&mut agent, "damaged").await;
    assert_eq!(refused, Told::Refused(Code::VaultInvalid));
    assert_eq!(place.service.effects("damaged"), 0);
    let served = ask_of(&mut agent, "second", "sound").await;
    assert!(matches!(served, Told::Made { .. }), "{served:?}");
    place.put_credential(LEDGER, crate::service::SECRET).await.unwrap();
    let again = ask(&mut agent, "damaged").await;
    assert!(matches!(again, Told::Made { .. }), "it is replaced like any other: {again:?}");
    place.verify_audit().await;
}
