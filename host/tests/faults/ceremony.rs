//! The ceremony of a new home, with a journal that fails at each of its steps.

use fcp_api::routes::{ConfirmCeremony, GetCeremony};
use fcp_api::types::{self, CeremonyPhase, Nothing};

use crate::daemon::{Daemon, PASSPHRASE, begin, ceremony, folder, unlock, words};
use crate::place::{arm, called_off, faulty_programs};

/// Far more steps than a ceremony has.
const MOST_STEPS: u32 = 40;

//= docs/spec/ceremony.md#phases
#[tokio::test(flavor = "multi_thread")]
async fn a_ceremony_that_the_disk_interrupts_is_held_again_or_leads_to_its_owner() {
    for step in 1..MOST_STEPS {
        for fault in ["kill-after", "fail"] {
            if !interrupted(step, fault).await {
                assert!(step > 2, "a ceremony is written and flushed");
                return;
            }
        }
    }
    panic!("the ceremony has no end");
}

/// Holds a ceremony with a fault at a step; whether it came.
async fn interrupted(step: u32, fault: &str) -> bool {
    let (folder, home) = folder();
    let program = faulty_programs(folder.path()).join("fcp-host");
    let daemon = Daemon::start_program(&program, &home).await;
    let mut client = daemon.client();
    let begun = begin(&mut client).await.unwrap();
    arm(&home, fault, step);
    let confirm = types::ConfirmCeremony { ceremony_id: begun.ceremony_id, words: words(&begun) };
    let told = client.send::<ConfirmCeremony>(&[], &confirm).await;
    let fired = called_off(&home);
    daemon.kill();
    let daemon = Daemon::start_program(&program, &home).await;
    let mut client = daemon.client();
    let phase = client.get::<GetCeremony>(&[], &Nothing {}).await.unwrap().body.phase;
    let name = format!("{step} {fault}: {told:?}, then {phase:?}");
    if let Ok(done) = &told {
        let status = client.get::<fcp_api::routes::GetStatus>(&[], &Nothing {}).await.unwrap().body;
        assert_eq!(status.authority.map(|it| it.owner_key), Some(done.body.owner_key), "{name}");
    }
    if phase != CeremonyPhase::Done {
        ceremony(&mut client).await;
    }
    unlock(&mut client, PASSPHRASE).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    fired
}
