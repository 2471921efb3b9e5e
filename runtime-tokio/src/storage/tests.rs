//! The store against a disk that fails, tears, stops, fills up and forgets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::random::Entropy;
use fcp_state_machines::persist::{Batch, Class, Completion, Record, Refusal, Space};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::error::{DamageKind, Lost, StorageError};
use super::files::simulated::{Disk, Fault, FaultKind, Keep};
use super::journal::format::{HEADER_BYTES, frame_bytes};
use super::{IndexState, Options, Recover, Replayed, Storage};

fn options(disk: &Disk) -> Options {
    Options {
        segment_bytes: 2_000,
        reserve_bytes: 4_000,
        files: Arc::new(disk.clone()),
        ..Options::default()
    }
}

fn home() -> PathBuf {
    PathBuf::from("/home")
}

fn segment(number: u64) -> PathBuf {
    home().join(format!("journal/{number:06}.fcj"))
}

fn index_file() -> PathBuf {
    home().join("index/objects.redb")
}

/// A batch that tells which it is: two records whose bytes follow from `number`.
fn batch(number: u64) -> Batch {
    let record = |part: u8| {
        let mut id = [part; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let size = 20 + usize::try_from(number % 7).unwrap() * 40;
        Record {
            id: ObjectId::from_bytes(id),
            bytes: vec![u8::try_from(number % 100).unwrap() + 100 * (part - 1) + 1; size],
        }
    };
    Batch { class: Class::Normal, space: Space::default(), records: vec![record(1), record(2)] }
}

fn open(disk: &Disk) -> Result<(Storage, Vec<Replayed>), StorageError> {
    open_with(&options(disk))
}

fn open_with(options: &Options) -> Result<(Storage, Vec<Replayed>), StorageError> {
    let (storage, recovered) = Storage::open(&home(), options)?;
    let replayed = recovered.collect::<Result<Vec<_>, _>>()?;
    Ok((storage, replayed))
}

/// A closed store of `count` batches.
fn filled(count: u64) -> Disk {
    let disk = Disk::new();
    let (storage, _) = open(&disk).unwrap();
    for number in 0..count {
        assert_eq!(storage.append(batch(number)).wait(), Completion::Durable);
    }
    storage.close().unwrap();
    disk
}

fn entropy(seed: u64) -> Entropy {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Entropy::from_seed(&Zeroizing::new(bytes))
}

/// Appends, closes, opens and appends again; which batches were acknowledged, and whether a failure was followed by
/// a success without an opening between.
fn script(disk: &Disk) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for run in 0..2 {
        let Ok((storage, _)) = open(disk) else { break };
        let mut failed = false;
        for number in run * 100..run * 100 + 9 {
            match storage.append(batch(number)).wait() {
                Completion::Durable => {
                    assert!(!failed, "a sealed store accepted a batch");
                    acknowledged.push(number);
                }
                Completion::Failed => {
                    failed = true;
                    assert!(storage.stats().sealed);
                }
                Completion::Refused(why) => panic!("refused: {why:?}"),
            }
        }
        storage.close().unwrap();
    }
    acknowledged
}

/// After whatever happened: everything acknowledged is there, in order, whole; what else is there is whole; and the
/// store goes on.
fn check(disk: &Disk, acknowledged: &[u64], what: &str) {
    let (storage, replayed) = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut expected = acknowledged.iter().peekable();
    let mut last = None;
    for (position, Replayed { sequence, batch: found }) in replayed.iter().enumerate() {
        assert_eq!(*sequence, position as u64 + 1, "{what}");
        let number = u64::from_le_bytes(found.records[0].id.as_bytes()[..8].try_into().unwrap());
        assert_eq!(*found, batch(number), "{what}: half a batch is visible");
        assert!(last < Some(number), "{what}: a batch is out of order");
        last = Some(number);
        expected.next_if(|next| **next == number);
    }
    assert_eq!(expected.next(), None, "{what}: an acknowledged batch is lost");
    for number in acknowledged {
        for record in batch(*number).records {
            assert_eq!(storage.load(&record.id).unwrap(), Some(record), "{what}");
        }
    }
    assert_eq!(storage.append(batch(900)).wait(), Completion::Durable, "{what}");
    storage.close().unwrap();
}

fn every_nth_step(on: &'static str) -> u64 {
    let mut steps = 0;
    for kind in [FaultKind::Fail, FaultKind::Tear, FaultKind::Stop] {
        for keep in 0..4 {
            for nth in 1.. {
                assert!(nth < 2_000, "the script does not end");
                let disk = Disk::new();
                disk.arm(Fault { nth, kind, on });
                let acknowledged = script(&disk);
                if !disk.fault_happened() {
                    break;
                }
                steps += 1;
                disk.crash(&mut match keep {
                    0 => Keep::Nothing,
                    1 => Keep::Everything,
                    seed => Keep::Some(Box::new(entropy(seed * 10_000 + nth))),
                });
                check(&disk, &acknowledged, &format!("{kind:?} at step {nth} on {on:?}, keep {keep}"));
            }
        }
    }
    steps
}

//= docs/spec/journal.md#files
//= docs/spec/journal.md#writing
#[test]
fn no_failing_step_of_the_journal_loses_or_halves_a_batch() {
    assert!(every_nth_step("/home/journal") > 300);
}

#[test]
fn no_failing_step_of_the_index_loses_or_halves_a_batch() {
    assert!(every_nth_step("/home/index") > 100);
}

#[test]
fn what_an_opening_shows_after_a_lost_flush_survives_the_next_crash() {
    let mut lost_flushes = 0;
    for nth in 1..30 {
        let disk = filled(3);
        let (storage, _) = open(&disk).unwrap();
        disk.arm(Fault { nth, kind: FaultKind::Tear, on: "/home/journal" });
        let completions: Vec<_> = (3..9).map(|number| storage.append(batch(number)).wait()).collect();
        drop(storage);
        if !disk.fault_happened() {
            break;
        }
        // The process starts again; the machine does not, so the system still shows what it will never write.
        let (storage, shown) = open(&disk).unwrap();
        drop(storage);
        let durable = completions.iter().filter(|completion| **completion == Completion::Durable).count();
        lost_flushes += usize::from(shown.len() > 3 + durable);
        disk.crash(&mut Keep::Nothing);
        assert_eq!(open(&disk).unwrap().1, shown, "step {nth}");
    }
    assert!(lost_flushes > 0, "no step was a flush whose bytes were shown");
}

#[test]
fn two_hundred_waiting_batches_share_a_flush() {
    let disk = Disk::new();
    let (storage, _) = open_with(&Options { segment_bytes: 1 << 20, ..options(&disk) }).unwrap();
    let before = disk.syncs("/journal/000001.fcj");
    let pause = disk.pause();
    let waiting: Vec<_> = (0..200).map(|number| storage.append(batch(number))).collect();
    drop(pause);
    for append in waiting {
        assert_eq!(append.wait(), Completion::Durable);
    }
    let flushes = disk.syncs("/journal/000001.fcj") - before;
    // The writer may have taken some before the pause; all the others wait together.
    assert!((1..=2).contains(&flushes), "{flushes} flushes for 200 batches");
    assert_eq!((storage.stats().batches, storage.stats().flushes), (200, flushes));
}

#[test]
fn an_append_can_be_awaited() {
    let (storage, _) = open(&Disk::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(storage.append(batch(1))), Completion::Durable);
}

#[test]
fn callers_on_many_threads_get_more_than_the_queue_holds_through() {
    let disk = Disk::new();
    let (storage, _) = open_with(&Options { queue_batches: 3, ..options(&disk) }).unwrap();
    let storage = &storage;
    std::thread::scope(|scope| {
        for caller in 0..4 {
            scope.spawn(move || {
                let waiting: Vec<_> = (0..50).map(|n| storage.append(batch(caller * 50 + n))).collect();
                assert!(waiting.into_iter().all(|append| append.wait() == Completion::Durable));
            });
        }
    });
    assert_eq!(storage.stats().last_sequence, 200);
}

//= docs/spec/journal.md#frame
#[test]
fn a_torn_last_frame_is_cut_wherever_it_ends() {
    let disk = filled(3);
    // The index knows the last frame was durable; a crash before it was told is what is meant here.
    disk.take(&index_file());
    let whole = disk.bytes(&segment(1));
    let start = whole.len() - usize::try_from(frame_bytes(&batch(2).records)).unwrap();
    for length in start..whole.len() {
        for tail in [&whole[..length], &[&whole[..length], &[0; 300][..]].concat()] {
            disk.put(&segment(1), tail);
            let (storage, recovered) = Storage::open(&home(), &options(&disk)).unwrap();
            let torn = recovered.torn.clone();
            assert_eq!(torn.map_or(start as u64, |torn| torn.offset), start as u64);
            assert_eq!(recovered.count(), 2, "cut at {length}");
            drop(storage);
            assert_eq!(disk.bytes(&segment(1)).len(), start);
            disk.take(&index_file());
        }
    }
}

#[test]
fn every_flipped_byte_of_what_was_durable_is_named_and_nothing_is_changed() {
    let disk = filled(12);
    assert!(disk.names().contains(&segment(3)), "the sample has several segments");
    for number in 1..=3 {
        let whole = disk.bytes(&segment(number));
        for position in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x10;
            disk.put(&segment(number), &bytes);
            let error = open(&disk).unwrap_err();
            assert_eq!(error.code(), Code::StoreCorrupt, "byte {position}: {error}");
            if let StorageError::Corrupt(damages) = &error {
                assert_eq!(damages[0].file, format!("{number:06}.fcj"), "byte {position}: {error}");
                assert!(damages[0].offset <= position as u64);
            }
            assert_eq!(disk.bytes(&segment(number)), bytes, "an opening that refuses must not write");
        }
        disk.put(&segment(number), &whole);
    }
    assert_eq!(open(&disk).unwrap().1.len(), 12);
}

/// A journal may be read again while the store is open; every byte of it counts then as well, those of the headers too.
#[test]
fn every_flipped_byte_is_named_when_an_open_journal_is_read_again() {
    let disk = filled(12);
    let (storage, _) = open(&disk).unwrap();
    for number in 1..=3 {
        let whole = disk.bytes(&segment(number));
        for position in (0..whole.len()).step_by(5) {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x10;
            disk.put(&segment(number), &bytes);
            let read: Result<Vec<_>, _> = storage.batches().unwrap().collect();
            assert!(read.is_err(), "byte {position} of segment {number}");
        }
        disk.put(&segment(number), &whole);
    }
    assert_eq!(storage.batches().unwrap().count(), 12);
}

#[test]
fn without_an_index_a_later_frame_still_proves_damage() {
    let disk = filled(3);
    disk.take(&index_file());
    let mut bytes = disk.bytes(&segment(1));
    bytes[usize::try_from(HEADER_BYTES).unwrap() + 70] ^= 1;
    disk.put(&segment(1), &bytes);
    let Err(StorageError::Corrupt(damages)) = open(&disk) else { panic!("taken for a torn tail") };
    assert_eq!(damages[0].lost, Some(Lost { first: 1, last: 1 }));
}

//= docs/spec/journal.md#quarantine
#[test]
fn a_repair_keeps_the_rest_and_remembers_the_loss() {
    let disk = filled(12);
    let mut bytes = disk.bytes(&segment(2));
    bytes[usize::try_from(HEADER_BYTES).unwrap() + 70] ^= 1;
    disk.put(&segment(2), &bytes);
    let Err(StorageError::Corrupt(damages)) = open(&disk) else { panic!("damage was not seen") };
    let lost = damages[0].lost.unwrap();
    assert_eq!((damages.len(), damages[0].kind, lost.first), (1, DamageKind::Frame, lost.last));

    let repairing = Options { recover: Recover::Quarantine, ..options(&disk) };
    let (storage, recovered) = Storage::open(&home(), &repairing).unwrap();
    assert_eq!(recovered.repaired, damages);
    assert_eq!(recovered.lost, [lost]);
    assert_eq!(disk.bytes(&home().join("quarantine/000002.fcj.1")), bytes);
    assert_eq!(storage.append(batch(12)).wait(), Completion::Durable);
    storage.close().unwrap();
    drop((storage, recovered));

    let (storage, recovered) = Storage::open(&home(), &options(&disk)).unwrap();
    assert_eq!((recovered.lost.as_slice(), recovered.repaired.len()), ([lost].as_slice(), 0));
    let sequences: Vec<_> = recovered.map(|replayed| replayed.unwrap().sequence).collect();
    assert_eq!(sequences, (1..=13).filter(|n| *n != lost.first).collect::<Vec<_>>());
    for number in (0..13).filter(|n| n + 1 != lost.first) {
        for record in batch(number).records {
            assert_eq!(storage.load(&record.id).unwrap(), Some(record));
        }
    }
    assert_eq!(storage.load(&batch(lost.first - 1).records[0].id).unwrap(), None);
}

//= docs/spec/journal.md#frame
//= docs/spec/journal.md#quarantine
#[test]
fn a_missing_segment_and_a_missing_tail_are_named_and_repaired() {
    for number in 1..=3 {
        let disk = filled(12);
        disk.take(&segment(number));
        let Err(StorageError::Corrupt(damages)) = open(&disk) else { panic!("loss was not seen") };
        assert!(damages.iter().any(|damage| damage.lost.is_some()), "{damages:?}");
        let (storage, recovered) =
            Storage::open(&home(), &Options { recover: Recover::Quarantine, ..options(&disk) }).unwrap();
        let lost: u64 = recovered.lost.iter().map(|Lost { first, last }| last + 1 - first).sum();
        assert_eq!(lost + recovered.count() as u64, 12);
        drop(storage);
        open(&disk).unwrap();
    }
    // All segments gone: only the index remembers.
    let disk = filled(12);
    for path in disk.names().into_iter().filter(|path| path.starts_with(home().join("journal"))) {
        disk.take(&path);
    }
    let Err(StorageError::Corrupt(damages)) = open(&disk) else { panic!("loss was not seen") };
    assert_eq!(damages[0].lost, Some(Lost { first: 1, last: 12 }));
}

//= docs/spec/journal.md#segment-header
#[test]
fn a_repeated_or_foreign_segment_is_refused() {
    let disk = filled(12);
    let copy = disk.bytes(&segment(2));
    disk.put(&segment(5), &copy);
    assert_eq!(open(&disk).unwrap_err().code(), Code::StoreCorrupt);

    let disk = filled(12);
    disk.put(&segment(2), &filled(12).bytes(&segment(2)));
    assert_eq!(open(&disk).unwrap_err(), StorageError::ForeignHome { file: "000002.fcj".into() });
}

#[test]
fn bytes_that_look_like_a_frame_inside_an_object_are_not_one() {
    // A frame of this very journal, stored inside an object and left alone when the frame around it is torn.
    let disk = filled(2);
    let journal = disk.bytes(&segment(1));
    let (storage, _) = open(&disk).unwrap();
    let inner = Record { id: ObjectId::from_bytes([9; 32]), bytes: journal };
    let outer = Batch { class: Class::Normal, space: Space::default(), records: vec![inner] };
    assert_eq!(storage.append(outer).wait(), Completion::Durable);
    storage.close().unwrap();
    drop(storage);
    disk.take(&index_file());
    let mut bytes = disk.bytes(&segment(1));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    disk.put(&segment(1), &bytes);
    assert_eq!(open(&disk).unwrap().1.len(), 2);
}

//= docs/spec/journal.md#segment-header
#[test]
fn a_newer_version_is_refused_by_name() {
    let disk = filled(1);
    let mut bytes = disk.bytes(&segment(1));
    bytes[8] = 2;
    bytes[80] ^= 0xff;
    disk.put(&segment(1), &bytes);
    let error = open(&disk).unwrap_err();
    assert_eq!(error, StorageError::TooNew { file: "000001.fcj".into(), version: 2 });
    assert_eq!(error.code(), Code::HomeTooNew);
}

//= docs/spec/journal.md#files
#[test]
fn a_second_opening_is_refused_and_a_third_after_the_close_is_not() {
    let disk = Disk::new();
    let (storage, _) = open(&disk).unwrap();
    let error = open(&disk).unwrap_err();
    assert_eq!(error, StorageError::Locked { pid: Some(std::process::id()) });
    assert_eq!(error.code(), Code::HomeLocked);
    storage.close().unwrap();
    open(&disk).unwrap();
}

#[test]
fn after_the_close_appends_fail() {
    let (storage, _) = open(&Disk::new()).unwrap();
    storage.close().unwrap();
    assert_eq!(storage.append(batch(0)).wait(), Completion::Failed);
}

#[test]
fn a_lost_damaged_or_foreign_index_is_rebuilt() {
    let disk = filled(12);
    let whole = disk.bytes(&index_file());
    let find_all = |disk: &Disk, what: &str| {
        let (storage, _) = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        for record in (0..12).flat_map(|number| batch(number).records) {
            assert_eq!(storage.load(&record.id).unwrap(), Some(record), "{what}");
        }
        assert_eq!(storage.load(&ObjectId::from_bytes([77; 32])).unwrap(), None);
        assert_eq!(storage.stats().index, IndexState::Ready, "{what}");
    };
    disk.take(&index_file());
    find_all(&disk, "no index");
    for length in [0, 1, 100, whole.len() / 2] {
        disk.put(&index_file(), &whole[..length]);
        find_all(&disk, &format!("index cut to {length}"));
    }
    let mut entropy = entropy(5);
    for round in 0..40 {
        let mut bytes = whole.clone();
        for _ in 0..=round {
            let position = usize::try_from(entropy.below(bytes.len() as u64)).unwrap();
            bytes[position] ^= 0x41;
        }
        disk.put(&index_file(), &bytes);
        find_all(&disk, &format!("index damaged in round {round}"));
    }
    disk.put(&index_file(), &filled(20).bytes(&index_file()));
    find_all(&disk, "another home's index");
}

fn reserved(number: u64) -> Batch {
    Batch { class: Class::Reserved, ..batch(number) }
}

//= docs/spec/journal.md#writing
#[test]
fn a_full_disk_refuses_normal_batches_admits_reserved_ones_and_recovers() {
    for allocates in [true, false] {
        let disk = Disk::new();
        disk.set_allocates(allocates);
        let (storage, _) = open(&disk).unwrap();
        assert_eq!(storage.append(batch(0)).wait(), Completion::Durable);
        assert_eq!(storage.stats().reserved_bytes > 0, allocates);
        disk.set_capacity(Some(disk.used() + 700));
        let mut durable = vec![0];
        let mut refused = 0;
        for number in 1..3_000 {
            match storage.append(batch(number)).wait() {
                Completion::Durable => durable.push(number),
                Completion::Refused(Refusal::Full) => refused += 1,
                other @ (Completion::Refused(Refusal::TooLarge) | Completion::Failed) => panic!("{other:?}"),
            }
        }
        assert!(refused > 0);
        if allocates {
            for number in 3_000..3_005 {
                let stats = storage.stats();
                assert_eq!(
                    storage.append(reserved(number)).wait(),
                    Completion::Durable,
                    "{number} {stats:?}"
                );
                durable.push(number);
                assert!(matches!(storage.append(batch(1)).wait(), Completion::Refused(Refusal::Full)));
            }
            // The reserve is finite, and says so.
            let endless = (0..100).map(|_| storage.append(reserved(1)).wait());
            assert!(endless.into_iter().any(|completion| completion == Completion::Refused(Refusal::Full)));
        }
        assert!(!storage.stats().sealed);
        disk.set_capacity(None);
        assert_eq!(storage.append(batch(4_000)).wait(), Completion::Durable);
        drop(storage);
        disk.crash(&mut Keep::Nothing);
        let (_storage, replayed) = open(&disk).unwrap();
        let numbers: Vec<_> = replayed
            .iter()
            .map(|r| u64::from_le_bytes(r.batch.records[0].id.as_bytes()[..8].try_into().unwrap()))
            .filter(|number| *number != 1 || durable.contains(&1))
            .collect();
        assert!(numbers.starts_with(&durable), "{numbers:?}");
        assert_eq!(numbers.last(), Some(&4_000));
    }
}

#[test]
fn a_batch_beyond_the_bounds_is_refused_and_the_store_goes_on() {
    let (storage, _) = open(&Disk::new()).unwrap();
    let record = Record { id: ObjectId::default(), bytes: Vec::new() };
    let many = Batch {
        class: Class::Normal,
        space: Space::default(),
        records: vec![record; super::MAX_BATCH_RECORDS + 1],
    };
    assert_eq!(storage.append(many).wait(), Completion::Refused(Refusal::TooLarge));
    assert_eq!(storage.append(batch(1)).wait(), Completion::Durable);
}

#[test]
fn a_replaced_file_is_old_or_new_at_every_failing_step() {
    let path = Path::new("/home/config");
    for kind in [FaultKind::Fail, FaultKind::Tear, FaultKind::Stop] {
        for keep in 0..3 {
            for nth in 1..10 {
                let disk = Disk::new();
                super::atomic_file::write_in(&disk, path, b"old contents").unwrap();
                disk.arm(Fault { nth, kind, on: "/home" });
                let outcome = super::atomic_file::write_in(&disk, path, b"new");
                disk.crash(&mut match keep {
                    0 => Keep::Nothing,
                    1 => Keep::Everything,
                    _ => Keep::Some(Box::new(entropy(nth))),
                });
                let found = disk.bytes(path);
                assert!(found == b"new" || (outcome.is_err() && found == b"old contents"), "{kind:?} {nth}");
                super::atomic_file::remove_leftovers(&disk, path).unwrap();
                assert_eq!(disk.names(), [path]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The journal is a list: what is appended comes back, in order, across openings, crashes and segments; a load
    /// gives the last record of its id.
    #[test]
    fn the_journal_behaves_like_a_list(
        runs in prop::collection::vec(
            prop::collection::vec(
                prop::collection::vec((0u8..20, prop::collection::vec(any::<u8>(), 0..400)), 0..4),
                0..8,
            ),
            1..5,
        ),
        crash in any::<bool>(),
    ) {
        let disk = Disk::new();
        let mut model: Vec<Batch> = Vec::new();
        for batches in runs {
            let (storage, replayed) = open(&disk).unwrap();
            prop_assert_eq!(&replayed.into_iter().map(|r| r.batch).collect::<Vec<_>>(), &model);
            let mut waiting = Vec::new();
            for records in batches {
                let records = records
                    .into_iter()
                    .map(|(id, bytes)| Record { id: ObjectId::from_bytes([id; 32]), bytes })
                    .collect();
                model.push(Batch { class: Class::Normal, space: Space::default(), records });
                waiting.push(storage.append(model.last().unwrap().clone()));
            }
            for append in waiting {
                prop_assert_eq!(append.wait(), Completion::Durable);
            }
            for id in (0..20).map(|id| ObjectId::from_bytes([id; 32])) {
                let last = model.iter().flat_map(|batch| &batch.records).rfind(|record| record.id == id);
                let found = storage.load(&id).unwrap();
                prop_assert_eq!(found.as_ref(), last);
            }
            drop(storage);
            if crash {
                disk.crash(&mut Keep::Nothing);
            }
        }
    }
}
