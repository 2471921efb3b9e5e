//! The bounded queue before the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::journal::writer::Queued;

/// Batches that wait for the writer, in order.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

struct State {
    waiting: VecDeque<Queued>,
    closed: bool,
}

impl Queue {
    /// A queue of at most `capacity` batches.
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { waiting: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity: capacity.max(1) }
    }

    /// Adds a batch, waiting while the queue is full. A closed queue drops it, which its caller sees as a failure.
    pub(crate) fn push(&self, queued: Queued) {
        let mut state = self.state();
        while !state.closed && state.waiting.len() >= self.capacity {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.closed {
            state.waiting.push_back(queued);
            self.changed.notify_all();
        }
    }

    /// Everything that waits, up to the size of one group; `None` when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Queued>> {
        let mut state = self.state();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while bytes < GROUP_BYTES
            && let Some(queued) = state.waiting.pop_front()
        {
            bytes += queued.batch.records.iter().map(|record| record.bytes.len()).sum::<usize>();
            group.push(queued);
        }
        self.changed.notify_all();
        Some(group)
    }

    /// Accepts nothing more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Closes the queue, and gives up what waits, when the guard is dropped.
    pub(crate) fn close_on_drop(&self) -> CloseOnDrop<'_> {
        CloseOnDrop(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the guarded value is complete before the lock is given back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Queue::close_on_drop`].
pub(crate) struct CloseOnDrop<'a>(&'a Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.state().waiting.clear();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// A group ends after this many bytes of bodies. Chosen: bounds the memory of one write.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
