//! The thread that writes an event file, and the state that it shares with other threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::relay::Relay;
use super::scalar::Template;
use crate::error::Error;
use crate::files::AppendFile;

/// How long the thread gathers events before it writes them together. Including the wake-up and the
/// write, an event is in the file within a tenth of a second.
const GATHER: Duration = Duration::from_millis(50);

/// The number of pending bytes that are written at once, without gathering more.
pub const PLENTY: usize = 1 << 18;

#[derive(Debug, Default)]
pub struct Shared {
    pub state: Mutex<State>,
    /// The other file whose events are copied, if any.
    pub relay: Mutex<Option<Relay>>,
    /// Wakes the thread when there is work.
    pub work: Condvar,
    /// Wakes waiting threads after each write.
    pub done: Condvar,
    /// Whether too much data is pending, or a write has failed.
    pub needs_attention: AtomicBool,
}

#[derive(Debug, Default)]
pub struct State {
    /// Encoded records for the thread.
    pub pending: Vec<u8>,
    pub templates: HashMap<String, Template>,
    /// Whether another file is followed, which the thread must poll.
    pub follows: bool,
    /// The number of flushes requested, and how many of these are done.
    pub asked: u64,
    pub flushed: u64,
    pub closed: bool,
    /// The last error that was not reported yet.
    pub error: Option<Error>,
}

impl State {
    fn is_urgent(&self) -> bool {
        self.closed || self.asked != self.flushed || self.pending.len() >= PLENTY
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.is_urgent()
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn relay(&self) -> MutexGuard<'_, Option<Relay>> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The main loop of the thread.
pub fn write(shared: &Shared, mut file: AppendFile) {
    loop {
        let state = shared.lock();
        let state = shared
            .work
            .wait_while(state, |state| state.is_idle() && !state.follows)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = shared
            .work
            .wait_timeout_while(state, GATHER, |state| !state.is_urgent())
            .unwrap_or_else(PoisonError::into_inner);
        let (asked, closed) = (state.asked, state.closed);
        let buffer = file.buffer();
        if buffer.is_empty() {
            std::mem::swap(buffer, &mut state.pending);
        } else {
            buffer.append(&mut state.pending);
        }
        drop(state);
        let written = loop {
            let relayed = match shared.relay().as_mut() {
                Some(relay) => relay.take(file.buffer()),
                None => Ok(false),
            };
            match file.flush(0.0).and(relayed) {
                Ok(true) => {}
                written => break written,
            }
        };

        let mut state = shared.lock();
        state.flushed = asked;
        if let Err(error) = written {
            state.error = Some(error);
            shared.needs_attention.store(true, Relaxed);
        }
        drop(state);
        shared.done.notify_all();
        if closed {
            return;
        }
    }
}
