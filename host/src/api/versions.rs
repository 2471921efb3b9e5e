//! Since when an answer is as it is: for `Last-Modified`, which the state behind an answer does not tell.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fcp_proto_core::ids::Digest;
use fcp_proto_core::time::UnixTime;

/// Most answers that are remembered; the one that changed first is forgotten first. Chosen: far above the connectors and
/// zones of a home.
const MOST: usize = 4096;

/// The last version of each answer, and since when it is known.
#[derive(Debug, Default)]
pub struct Versions(Mutex<BTreeMap<String, (Digest, UnixTime)>>);

impl Versions {
    /// Since when the answer at `place` is known to have this digest: since it was given first, or first again after it was
    /// forgotten. What it was before that, nobody knows. Absent within that second, which may see another change.
    //= docs/spec/api.md#bodies
    pub(super) fn since(&self, place: &str, digest: Digest, now: UnixTime) -> Option<UnixTime> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match known.get(place) {
            Some((last, since)) if *last == digest => *since,
            Some(_) | None => now,
        };
        if known.len() >= MOST && !known.contains_key(place) {
            let first = known.iter().min_by_key(|(_, (_, since))| *since).map(|(place, _)| place.clone());
            first.and_then(|place| known.remove(&place));
        }
        known.insert(place.to_owned(), (digest, since));
        (since < now).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use fcp_proto_core::crypto::hash::digest;

    use super::*;

    //= docs/spec/api.md#bodies
    #[test]
    fn an_answer_is_as_old_as_its_last_change() {
        let versions = Versions::default();
        let at = UnixTime::from_secs;
        let since = |text: &str, now| versions.since("/v1/zones", digest(text.as_bytes()), at(now));
        assert_eq!(since("a", 10), None, "nobody knows what it was before");
        assert_eq!(since("a", 20), Some(at(10)));
        assert_eq!(since("b", 21), None, "it may change again within the second");
        assert_eq!(since("c", 21), None);
        assert_eq!(since("c", 22), Some(at(21)));
        assert_eq!(since("a", 30), None);
        assert_eq!(since("a", 40), Some(at(30)));
    }

    //= docs/spec/api.md#bodies
    #[test]
    fn an_answer_that_was_forgotten_is_not_taken_for_an_old_one() {
        let versions = Versions::default();
        let at = UnixTime::from_secs;
        let since = |place: &str, text: &[u8], now| versions.since(place, digest(text), at(now));
        since("/v1/zones", b"before", 1);
        let known = since("/v1/zones", b"before", 2);
        assert_eq!(known, Some(at(1)));
        for place in 0..2 * MOST {
            since(&place.to_string(), b"", 3);
        }
        assert_eq!(versions.0.lock().unwrap().len(), MOST, "there is room for no more");
        since("/v1/zones", b"after", 4);
        assert!(
            since("/v1/zones", b"after", 5) > known,
            "a date from before the change holds for it no more"
        );
    }
}
