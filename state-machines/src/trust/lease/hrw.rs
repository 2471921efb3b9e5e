//! Highest random weight: which member coordinates a subject, and who is next if that one is silent.

use alloc::vec::Vec;
use core::cmp::Reverse;

use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::ids::NodeId;

use super::Subject;

/// The members in the order in which they are to coordinate `subject`: the same everywhere, whatever the order of
/// `members`.
//= docs/spec/leases.md#coordinator
pub fn ranking<'a>(subject: &Subject, members: impl IntoIterator<Item = &'a NodeId>) -> Vec<&'a NodeId> {
    let mut ranked: Vec<&NodeId> = members.into_iter().collect();
    ranked.sort_by_cached_key(|node| (Reverse(weight(subject, node)), (*node).clone()));
    ranked.dedup();
    ranked
}

fn weight(subject: &Subject, node: &NodeId) -> u64 {
    let hash = Hasher::new("FCP2-HRW-V1")
        .with_framed(subject.zone.as_str().as_bytes())
        .with_framed(subject.object.as_bytes())
        .with_framed(node.as_str().as_bytes())
        .finish();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(first)
}
