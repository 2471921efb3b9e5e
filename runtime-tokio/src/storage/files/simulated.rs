//! A disk in memory for tests: it knows what is durable, fails or tears the n-th step, and forgets at a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use fcp_proto_core::random::Entropy;

use super::{Files, Held, Lock, StoredFile};

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The step does nothing and reports an error.
    Fail,
    /// A write writes half; a flush loses what it should have made durable, for ever. Both report an error.
    Tear,
    /// The machine stops: this step and every later one fail.
    Stop,
}

/// A step that goes wrong: the `nth` (from 1) on a path that contains `on`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) nth: u64,
    pub(crate) kind: FaultKind,
    pub(crate) on: &'static str,
}

/// What a crash leaves of the writes that were not flushed.
#[derive(Debug)]
pub(crate) enum Keep {
    Nothing,
    Everything,
    /// Any sectors of them, and the first few renames.
    Some(Box<Entropy>),
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<u64, Node>,
    names: BTreeMap<PathBuf, u64>,
    /// Names after each change that is not durable yet; the first is what is durable.
    history: Vec<BTreeMap<PathBuf, u64>>,
    directories: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    fault: Option<Fault>,
    seen: u64,
    stopped: bool,
    syncs: BTreeMap<PathBuf, u64>,
    /// Bytes that may be allocated in all, if bounded.
    capacity: Option<u64>,
    /// Whether space can be set aside.
    allocates: bool,
}

#[derive(Debug, Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    unflushed: Vec<Change>,
    allocated: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug)]
struct OpenFile {
    disk: Disk,
    path: PathBuf,
    node: u64,
}

#[derive(Debug)]
struct HeldLock(Disk, PathBuf);

impl Held for HeldLock {}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

impl Disk {
    pub(crate) fn new() -> Self {
        let state = State { allocates: true, history: vec![BTreeMap::new()], ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The next fault.
    pub(crate) fn arm(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = Some(fault);
        state.seen = 0;
    }

    /// Whether the fault has happened.
    pub(crate) fn fault_happened(&self) -> bool {
        self.state().fault.is_none()
    }

    /// Every use of the disk waits until this is dropped.
    pub(crate) fn pause(&self) -> impl Drop {
        self.state()
    }

    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    pub(crate) fn set_allocates(&self, allocates: bool) {
        self.state().allocates = allocates;
    }

    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// How often the files whose path contains `part` were flushed.
    pub(crate) fn syncs(&self, part: &str) -> u64 {
        let state = self.state();
        state.syncs.iter().filter(|(path, _)| path.to_string_lossy().contains(part)).map(|(_, n)| n).sum()
    }

    /// The machine stops and starts again: what was not flushed is as `keep` says, and nothing goes wrong any more.
    pub(crate) fn crash(&self, keep: &mut Keep) {
        let mut state = self.state();
        state.names = match keep {
            Keep::Nothing => state.history[0].clone(),
            Keep::Everything => state.names.clone(),
            Keep::Some(entropy) => {
                let count = state.history.len() as u64;
                state.history[usize::try_from(entropy.below(count)).unwrap()].clone()
            }
        };
        state.history = vec![state.names.clone()];
        for node in state.nodes.values_mut() {
            node.crash(keep);
        }
        state.locks.clear();
        state.fault = None;
        state.stopped = false;
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.nodes[&state.names[path]].current.clone()
    }

    /// Replaces a file, durably, behind the back of whoever uses it.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let node = state.nodes.len() as u64;
        let bytes = bytes.to_vec();
        state.nodes.insert(node, Node { durable: bytes.clone(), current: bytes, ..Node::default() });
        state.names.insert(path.to_owned(), node);
        state.history = vec![state.names.clone()];
    }

    /// Removes a file, durably, behind the back of whoever uses it.
    pub(crate) fn take(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path).unwrap();
        state.history = vec![state.names.clone()];
    }

    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Runs `step` unless it is the one that goes wrong; then `torn` runs if it is to be torn.
    fn step<T>(
        &self,
        path: &Path,
        step: impl FnOnce(&mut State) -> Result<T>,
        torn: impl FnOnce(&mut State),
    ) -> Result<T> {
        let mut state = self.state();
        if state.stopped {
            return Err(Error::other("stopped"));
        }
        if let Some(fault) = state.fault
            && path.to_string_lossy().contains(fault.on)
        {
            state.seen += 1;
            if state.seen == fault.nth {
                state.fault = None;
                match fault.kind {
                    FaultKind::Fail => {}
                    FaultKind::Tear => torn(&mut state),
                    FaultKind::Stop => state.stopped = true,
                }
                return Err(Error::other("injected"));
            }
        }
        step(&mut state)
    }

    fn rename_step(&self, path: &Path, change: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        self.step(
            path,
            |state| {
                change(state)?;
                let names = state.names.clone();
                state.history.push(names);
                Ok(())
            },
            |_| {},
        )
    }

    fn file(&self, path: &Path, node: u64) -> Arc<dyn StoredFile> {
        Arc::new(OpenFile { disk: self.clone(), path: path.to_owned(), node })
    }
}

impl State {
    /// Bytes that linked files occupy.
    fn used(&self) -> u64 {
        let linked: BTreeSet<_> = self.names.values().collect();
        let occupied = |node: &Node| node.allocated.max(node.current.len() as u64);
        self.nodes.iter().filter(|(id, _)| linked.contains(id)).map(|(_, node)| occupied(node)).sum()
    }

    fn check_room(&self, more: u64) -> Result<()> {
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => Err(ErrorKind::StorageFull.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Node {
    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Write(offset, data) => {
                let from = usize::try_from(*offset).unwrap();
                bytes.resize(bytes.len().max(from + data.len()), 0);
                bytes[from..from + data.len()].copy_from_slice(data);
            }
            Change::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        }
    }

    fn change(&mut self, change: Change) {
        Self::apply(&mut self.current, &change);
        self.unflushed.push(change);
    }

    fn crash(&mut self, keep: &mut Keep) {
        match keep {
            Keep::Nothing => {}
            Keep::Everything => {
                for change in &self.unflushed {
                    Self::apply(&mut self.durable, change);
                }
            }
            Keep::Some(entropy) => {
                for change in &self.unflushed {
                    match change {
                        Change::Length(_) if entropy.below(2) == 0 => Self::apply(&mut self.durable, change),
                        Change::Length(_) => {}
                        Change::Write(offset, data) => {
                            for (sector, part) in data.chunks(SECTOR).enumerate() {
                                if entropy.below(2) == 0 {
                                    let place = offset + (sector * SECTOR) as u64;
                                    Self::apply(&mut self.durable, &Change::Write(place, part.to_vec()));
                                }
                            }
                        }
                    }
                }
            }
        }
        self.current = self.durable.clone();
        self.unflushed.clear();
        self.allocated = self.allocated.max(self.current.len() as u64);
    }
}

impl Files for Disk {
    fn create_dir(&self, path: &Path) -> Result<()> {
        let add = |state: &mut State| {
            state.directories.insert(path.to_owned());
            Ok(())
        };
        self.step(path, add, |_| {})
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let state = self.state();
        let within = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(within.map(|name| name.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn StoredFile>> {
        let mut node = 0;
        self.rename_step(path, |state| {
            if state.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            node = state.nodes.len() as u64;
            state.nodes.insert(node, Node::default());
            state.names.insert(path.to_owned(), node);
            Ok(())
        })?;
        Ok(self.file(path, node))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn StoredFile>> {
        let node = self.state().names.get(path).copied().ok_or(ErrorKind::NotFound)?;
        Ok(self.file(path, node))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_step(to, |state| {
            let node = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), node);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.rename_step(path, |state| {
            state.names.remove(path).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let flush = |state: &mut State| {
            // As on a journaling file system, flushing one directory flushes all earlier renames.
            state.history = vec![state.names.clone()];
            *state.syncs.entry(path.to_owned()).or_default() += 1;
            Ok(())
        };
        self.step(path, flush, |_| {})
    }

    fn lock(&self, path: &Path) -> Result<Lock> {
        if self.state().locks.insert(path.to_owned()) {
            Ok(Lock::Held(Box::new(HeldLock(self.clone(), path.to_owned()))))
        } else {
            Ok(Lock::Busy { pid: Some(std::process::id()) })
        }
    }
}

impl OpenFile {
    fn change(&self, change: Change, torn: Option<Change>) -> Result<()> {
        let node = self.node;
        let apply = |state: &mut State| {
            let (end, frees) = match &change {
                Change::Write(offset, data) => (offset + data.len() as u64, false),
                Change::Length(length) => (*length, true),
            };
            let entry = &state.nodes[&node];
            let occupied = entry.allocated.max(entry.current.len() as u64);
            state.check_room(end.saturating_sub(occupied))?;
            if frees {
                state.nodes.get_mut(&node).unwrap().allocated = end;
            }
            state.nodes.get_mut(&node).unwrap().change(change);
            Ok(())
        };
        self.disk.step(&self.path, apply, |state| {
            if let Some(torn) = torn {
                state.nodes.get_mut(&node).unwrap().change(torn);
            }
        })
    }
}

impl StoredFile for OpenFile {
    fn length(&self) -> Result<u64> {
        Ok(self.disk.state().nodes[&self.node].current.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let state = self.disk.state();
        let from = usize::try_from(offset).unwrap();
        let bytes = state.nodes[&self.node].current.get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let half = Change::Write(offset, bytes[..bytes.len() / 2].to_vec());
        self.change(Change::Write(offset, bytes.to_vec()), Some(half))
    }

    fn set_length(&self, length: u64) -> Result<()> {
        self.change(Change::Length(length), None)
    }

    fn allocate(&self, through: u64) -> Result<()> {
        let node = self.node;
        let reserve = |state: &mut State| {
            if !state.allocates {
                return Err(ErrorKind::Unsupported.into());
            }
            let entry = &state.nodes[&node];
            state.check_room(through.saturating_sub(entry.allocated.max(entry.current.len() as u64)))?;
            let entry = state.nodes.get_mut(&node).unwrap();
            entry.allocated = entry.allocated.max(through);
            Ok(())
        };
        self.disk.step(&self.path, reserve, |_| {})
    }

    fn sync(&self) -> Result<()> {
        let node = self.node;
        let flush = |state: &mut State| {
            let entry = state.nodes.get_mut(&node).unwrap();
            for change in std::mem::take(&mut entry.unflushed) {
                Node::apply(&mut entry.durable, &change);
            }
            *state.syncs.entry(self.path.clone()).or_default() += 1;
            Ok(())
        };
        // After a failed flush the system shows the bytes and never writes them.
        self.disk.step(&self.path, flush, |state| state.nodes.get_mut(&node).unwrap().unflushed.clear())
    }
}

/// The unit in which a crash keeps or loses bytes.
const SECTOR: usize = 64;
