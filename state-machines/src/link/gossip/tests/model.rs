//! Beside plain sets: whatever is lost, doubled and late, in the end everybody has the union.

use alloc::collections::BTreeSet;

use fcp_proto_core::ids::ObjectId;
use proptest::prelude::*;

use super::mesh::Mesh;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    //= docs/spec/gossip.md#reading
    #[test]
    fn in_the_end_everybody_has_the_union(
        starts in proptest::collection::vec((0_u64..400, 0_u64..400), 2..5),
        steps in proptest::collection::vec((any::<u8>(), any::<u16>()), 0..120),
    ) {
        let mut mesh = Mesh::new(starts.len(), 1);
        for (node, (from, count)) in starts.iter().enumerate() {
            mesh.make(node, 0, *from..from + count);
        }
        let mut next = 10_000;
        for (what, how) in steps {
            let node = usize::from(how) % starts.len();
            match what % 8 {
                0 => {
                    mesh.make(node, 0, next..next + 3);
                    next += 3;
                }
                1 => mesh.up(node),
                2 => _ = mesh.wire.pop_front(),
                3 => {
                    let again = mesh.wire.get(usize::from(how) % mesh.wire.len().max(1)).cloned();
                    mesh.wire.extend(again);
                }
                4 => mesh.wire.rotate_left(usize::from(how) % mesh.wire.len().max(1)),
                5 => mesh.millis += u64::from(how) % 3_000,
                6 => mesh.drive(node),
                _ => {
                    if let Some(packet) = mesh.wire.pop_front() {
                        mesh.deliver(&packet);
                    }
                }
            }
        }
        mesh.run(600_000);
        let union: BTreeSet<ObjectId> = mesh.fetchable.clone();
        for node in 0..starts.len() {
            prop_assert_eq!(mesh.objects(node, 0), &union, "node {}", node);
        }
        prop_assert_eq!(mesh.faults(), 0, "nobody lies, and nobody is blamed");
    }
}
