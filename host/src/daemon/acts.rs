//! What was signed in this second: the name of an object follows from its content, and its time has whole seconds, so two
//! equal acts of one second would be one and the same object.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use fcp_proto_core::ids::Digest;
use fcp_proto_core::time::UnixTime;

/// The acts of the second that was looked at last.
#[derive(Default)]
pub struct Acts(Mutex<(UnixTime, BTreeSet<Digest>)>);

impl Acts {
    /// Whether nothing equal was made in this second; it is made now if so.
    pub fn is_first(&self, act: Digest, now: UnixTime) -> bool {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if acts.0 != now {
            *acts = (now, BTreeSet::new());
        }
        acts.1.insert(act)
    }
}

#[cfg(test)]
mod tests {
    use super::{Acts, Digest, UnixTime};

    #[test]
    fn an_act_is_made_once_in_a_second_and_again_in_another() {
        let acts = Acts::default();
        let [one, other] = [1, 2].map(|byte| Digest::from_bytes([byte; 32]));
        let at = UnixTime::from_secs;
        assert!(acts.is_first(one, at(7)) && acts.is_first(other, at(7)));
        assert!(!acts.is_first(one, at(7)));
        assert!(acts.is_first(one, at(8)) && !acts.is_first(one, at(8)));
    }
}
