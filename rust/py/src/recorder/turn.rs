//! Lets threads drain a queue in turn.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

use pyo3::prelude::*;

/// An identifier of this thread: unique among live threads, and never 0.
pub fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| ptr::from_ref(here).addr())
}

/// Tracks which thread drains, and lets other threads wait for it.
#[derive(Default)]
pub struct Turn {
    /// The thread that drains, or 0. Like `waiting`, it changes only while the interpreter's lock
    /// is held.
    thread: AtomicUsize,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    ended: Condvar,
}

impl Turn {
    pub fn begin(&self) {
        self.thread.store(this_thread(), Relaxed);
    }

    pub fn end(&self) {
        self.thread.store(0, Relaxed);
        // Notifying is a system call, too slow for every batch.
        if self.waiting.load(Relaxed) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.ended.notify_all();
        }
    }

    /// Whether this thread already drains, and runs an action that calls hooks of the same list.
    pub fn is_mine(&self) -> bool {
        self.thread.load(Relaxed) == this_thread()
    }

    pub fn is_anothers(&self) -> bool {
        !matches!(self.thread.load(Relaxed), 0) && !self.is_mine()
    }

    /// Waits while another thread drains. Releases the interpreter's lock, which that thread needs.
    pub fn wait(&self, py: Python<'_>) {
        self.waiting.fetch_add(1, Relaxed);
        // By the time the interpreter's lock is acquired again, a third thread may drain.
        while self.is_anothers() {
            py.detach(|| {
                let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.ended.wait_while(guard, |()| self.is_anothers()));
            });
        }
        self.waiting.fetch_sub(1, Relaxed);
    }
}
