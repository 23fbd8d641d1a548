//! Threads take turns to drain a queue.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

use pyo3::prelude::*;

/// A number of this thread that no other one that is alive has; never 0.
pub fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| ptr::from_ref(here).addr())
}

/// Which thread drains, if one does, and a way to wait for it.
#[derive(Default)]
pub struct Turn {
    /// 0 where no thread drains. It changes only while the interpreter's lock is held, and so does
    /// the number of threads that wait.
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
        // To notify is a system call, too much for every batch.
        if self.waiting.load(Relaxed) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.ended.notify_all();
        }
    }

    /// Whether this thread drains already: an action runs hooks of the same list.
    pub fn is_mine(&self) -> bool {
        self.thread.load(Relaxed) == this_thread()
    }

    pub fn is_anothers(&self) -> bool {
        !matches!(self.thread.load(Relaxed), 0) && !self.is_mine()
    }

    /// Waits while another thread drains, without the interpreter's lock, which that one needs.
    pub fn wait(&self, py: Python<'_>) {
        self.waiting.fetch_add(1, Relaxed);
        // With the lock back in its hands, it may find that the next one has begun.
        while self.is_anothers() {
            py.detach(|| {
                let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.ended.wait_while(guard, |()| self.is_anothers()));
            });
        }
        self.waiting.fetch_sub(1, Relaxed);
    }
}
