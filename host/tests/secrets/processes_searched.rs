//! All that can be seen of a process from outside, searched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::canary::Search;

/// What of a process holds a secret, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Find {
    place: String,
    form: String,
}

fn of(id: u32, file: &str) -> PathBuf {
    format!("/proc/{id}/{file}").into()
}

/// The first place of a process's memory that holds one, and how much was read.
pub fn memory(search: &Search, id: u32) -> (Option<Find>, u64) {
    let (mut looked, Ok(memory)) = (0, fs::File::open(of(id, "mem"))) else { return (None, 0) };
    let maps = fs::read_to_string(of(id, "maps")).unwrap_or_default();
    for line in maps.lines().filter(|line| may_hold(line)) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let (form, read) = search.stream(|at, buffer| {
            let length = buffer.len().min(usize::try_from(to - from - at).unwrap());
            // What was unmapped meanwhile is not there.
            memory.read_at(&mut buffer[..length], from + at).unwrap_or_default()
        });
        looked += read;
        if let Some(form) = form {
            return (Some(Find { place: format!("memory at {line}"), form }), looked);
        }
    }
    (None, looked)
}

/// Whether something can have been written there: not in the code of a program, as it lies on the disk.
fn may_hold(line: &str) -> bool {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (rights, inode) = (fields[1], fields[4]);
    rights.starts_with('r') && (rights.contains('w') || inode == "0") && !line.ends_with("[vsyscall]")
}

/// The first place beside the memory that holds one: words, environment, open files and their names.
fn surroundings(search: &Search, id: u32) -> Option<Find> {
    let found = |place: String, bytes: &[u8]| search.found(bytes).map(|form| Find { place, form });
    for file in ["cmdline", "environ", "comm", "status", "maps"] {
        let find = found(file.to_owned(), &fs::read(of(id, file)).unwrap_or_default());
        if find.is_some() {
            return find;
        }
    }
    for open in fs::read_dir(of(id, "fd")).into_iter().flatten().flatten() {
        let path = open.path();
        let name = fs::read_link(&path).unwrap_or_default();
        let find = found(format!("the name of {}", path.display()), name.as_os_str().as_encoded_bytes());
        if find.is_some() {
            return find;
        }
        // A pipe, a socket or a terminal has no content that could be read twice.
        if fs::metadata(&path).is_ok_and(|about| about.is_file()) {
            search.assert_not_in_file(&path);
        }
    }
    None
}

/// The process holds none, once what it is in the middle of is done.
pub async fn assert_clean(search: &Search, who: &str, id: u32) {
    let mut find = None;
    for _ in 0..20 {
        let (in_memory, looked) = memory(search, id);
        if !readable(looked, who) {
            return;
        }
        find = in_memory.or_else(|| surroundings(search, id));
        if find.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{who}: {find:?}");
}

/// The process holds one now: the search finds what is there.
pub fn assert_found(search: &Search, who: &str, id: u32) {
    let (find, looked) = memory(search, id);
    if readable(looked, who) {
        assert!(find.is_some(), "{who} holds none, or the search does not find it");
        assert_eq!(surroundings(search, id), None, "{who}");
    }
}

/// Whether memory can be read at all; where it cannot, the test says so.
fn readable(looked: u64, who: &str) -> bool {
    if looked == 0 {
        println!("NOT RUN: the memory of {who} cannot be read");
        assert_ne!(std::env::var("FCP_TEST_REQUIRE").as_deref(), Ok("all"), "NOT RUN: {who}");
    }
    looked > 0
}

/// The kernel writes no core file of the process, whatever becomes of it.
pub fn assert_leaves_no_core(who: &str, id: u32) {
    let limits = fs::read_to_string(of(id, "limits")).unwrap();
    let limits: BTreeMap<_, _> = limits.lines().map(|line| line.split_at(25)).collect();
    let core: Vec<_> = limits["Max core file size       "].split_whitespace().collect();
    assert_eq!(core[..2], ["0", "0"], "{who} may leave a core file");
}
