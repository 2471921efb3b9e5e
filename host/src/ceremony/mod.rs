//! The owner ceremony on a real home: the machine's steps, done durably.
//!
//! ```text
//! start ── Home::state ──► New ──────► begin ─► (phrase shown) ─► confirm ─► finish ─► Made
//!                     └──► HalfMade ─► resume ──────────────────────────────► finish ─► Made
//! ```
//!
//! //= docs/spec/ceremony.md

mod error;
#[cfg(test)]
pub(crate) mod tests;

pub use error::CeremonyFailure;

use fcp_proto_core::ids::KeyId;
use fcp_proto_core::object::AnyObject;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_runtime_tokio::storage::atomic_file;
use fcp_state_machines::trust::ceremony::{
    Begin, Begun, Ceremony, HomeFacts, Output, Phase, Present, WordProof,
};

use crate::home::{HOME_FILE, Home, HomeError, read_private};
use crate::keys::any_key;

/// Who takes the founding objects: the node, opened on the keys that the ceremony has just stored.
pub trait Founder {
    /// Takes all objects or none, durably. If the node has exactly this owner already, nothing is to be done: a crash
    /// may have come between this step and the next.
    ///
    /// # Errors
    /// Why the objects were not taken; another owner is [`Code::CeremonyDone`](fcp_proto_core::error::Code).
    fn found(&mut self, facts: &HomeFacts, objects: Vec<AnyObject>) -> Result<(), CeremonyFailure>;
}

/// Begins a ceremony in a home without an owner. `owner` is the one that the node's store knows, if any.
///
/// Takes as long as stretching two passphrases does. Nothing is written.
///
/// # Errors
/// Why there can be no ceremony here.
pub fn begin(
    home: &Home,
    owner: Option<KeyId>,
    begin: Begin,
    now: UnixTime,
    entropy: &mut Entropy,
) -> Result<Begun, CeremonyFailure> {
    Ok(Ceremony::begin(present(home, owner)?, begin, now, entropy)?)
}

/// Takes the owner's words and completes the ceremony.
///
/// # Errors
/// Why the words prove nothing, or the step that failed. After a failed step the machine is of no further use: the next
/// start finds out what became durable, and begins anew or resumes.
pub fn confirm(
    home: &Home,
    ceremony: &mut Ceremony,
    words: &[WordProof<'_>],
    now: UnixTime,
    founder: &mut dyn Founder,
) -> Result<HomeFacts, CeremonyFailure> {
    ceremony.handle_answer(words, now)?;
    finish(home, ceremony, founder)
}

/// Completes a ceremony that was confirmed and interrupted.
///
/// # Errors
/// What is wrong with its record, or the step that failed.
pub fn resume(
    home: &Home,
    owner: Option<KeyId>,
    founder: &mut dyn Founder,
) -> Result<HomeFacts, CeremonyFailure> {
    let record = read_private(&**home.files(), &home.ceremony_record())?;
    let mut ceremony = Ceremony::resume(present(home, owner)?, &record)?;
    if let Some(made) = home.facts()?
        && made != *ceremony.facts()
    {
        return Err(CeremonyFailure::OtherHome);
    }
    finish(home, &mut ceremony, founder)
}

/// Does every step that is left.
fn finish(
    home: &Home,
    ceremony: &mut Ceremony,
    founder: &mut dyn Founder,
) -> Result<HomeFacts, CeremonyFailure> {
    while let Some(output) = ceremony.poll_output() {
        let step = format!("{output:?}");
        perform(home, ceremony.facts(), output, founder)?;
        let phase = ceremony.handle_completed();
        tracing::info!(step, ?phase, "ceremony");
    }
    match ceremony.phase() {
        Phase::Done => Ok(ceremony.facts().clone()),
        phase @ (Phase::PhraseShown | Phase::Confirmed | Phase::KeysStored | Phase::Founded) => {
            Err(CeremonyFailure::Unfinished(phase))
        }
    }
}

fn perform(
    home: &Home,
    facts: &HomeFacts,
    output: Output,
    founder: &mut dyn Founder,
) -> Result<(), CeremonyFailure> {
    let files = &**home.files();
    let write = |path, bytes: &[u8]| atomic_file::write_in(files, path, bytes).map_err(HomeError::from);
    match output {
        Output::StoreKey { name, bytes } => {
            let path = home.keys().join(name);
            atomic_file::remove_leftovers(files, &path).map_err(HomeError::from)?;
            write(&path, &bytes)?;
        }
        Output::StoreRecord { bytes } => write(&home.ceremony_record(), &bytes)?,
        Output::Found { objects } => founder.found(facts, objects)?,
        Output::StoreHome(facts) => home.write_facts(&facts)?,
        Output::RemoveRecord => {
            let path = home.ceremony_record();
            files.remove(&path).map_err(HomeError::io("remove", &path))?;
            files.sync_dir(home.path()).map_err(HomeError::io("flush", home.path()))?;
        }
    }
    Ok(())
}

/// What the disk says before a ceremony.
fn present(home: &Home, owner: Option<KeyId>) -> Result<Present, HomeError> {
    Ok(Present {
        record: home.has(crate::home::CEREMONY_FILE)?,
        keys: any_key(home)?,
        home: home.has(HOME_FILE)?,
        owner,
    })
}
