//! What was signed in this second: the name of an object follows from its content, and its time has whole seconds, so two
//! equal acts of one second would be one and the same object.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fcp_proto_core::ids::Digest;
use fcp_proto_core::time::UnixTime;

/// The acts of the second that was looked at last.
#[derive(Default)]
pub struct Acts(Mutex<Second>);

#[derive(Default)]
struct Second {
    at: UnixTime,
    made: BTreeSet<Digest>,
    /// Whether more was made in it than is known here.
    over: bool,
}

impl Acts {
    /// Whether nothing equal was made in this second; it is made now if so.
    pub fn is_first(&self, act: Digest, now: UnixTime) -> bool {
        let mut second = self.second();
        if second.at != now {
            *second = Second { at: now, ..Second::default() };
        }
        !second.over && second.made.insert(act)
    }

    /// An earlier run made acts in the second `at`: none is the first in it any more.
    pub fn are_over(&self, at: UnixTime) {
        *self.second() = Second { at, made: BTreeSet::new(), over: true };
    }

    fn second(&self) -> MutexGuard<'_, Second> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Acts, Digest, UnixTime};

    //= docs/spec/authority.md#taking-objects
    #[test]
    fn an_act_is_made_once_in_a_second_and_again_in_another() {
        let acts = Acts::default();
        let [one, other] = [1, 2].map(|byte| Digest::from_bytes([byte; 32]));
        let at = UnixTime::from_secs;
        assert!(acts.is_first(one, at(7)) && acts.is_first(other, at(7)));
        assert!(!acts.is_first(one, at(7)));
        assert!(acts.is_first(one, at(8)) && !acts.is_first(one, at(8)));
    }

    //= docs/spec/authority.md#taking-objects
    #[test]
    fn a_second_of_an_earlier_run_takes_no_act_more() {
        let acts = Acts::default();
        let (act, at) = (Digest::default(), UnixTime::from_secs);
        acts.are_over(at(7));
        assert!(!acts.is_first(act, at(7)), "it may have been made before the start");
        assert!(acts.is_first(act, at(8)));
        acts.are_over(at(9));
        assert!(acts.is_first(act, at(6)), "a clock that went back is not waited for");
    }
}
