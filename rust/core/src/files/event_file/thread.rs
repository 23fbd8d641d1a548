//! The thread that writes an event file, and what it shares with those who add events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::relay::Relay;
use super::scalar::Template;
use crate::error::Error;
use crate::files::AppendFile;

/// How long an event waits for others, to be written with them. With what a write takes, and a
/// thread that is not woken at once, it is in the file within a tenth of a second.
const GATHER: Duration = Duration::from_millis(50);

/// Bytes that are written without waiting for more.
pub const PLENTY: usize = 1 << 18;

#[derive(Debug, Default)]
pub struct Shared {
    pub state: Mutex<State>,
    /// Another file whose events are to be written too.
    pub relay: Mutex<Option<Relay>>,
    /// Tells the thread that there is something to do.
    pub work: Condvar,
    /// Tells the others that the thread has done something.
    pub done: Condvar,
    /// Whether too much waits for the disk, or something has gone wrong.
    pub needs_care: AtomicBool,
}

#[derive(Debug, Default)]
pub struct State {
    /// Records for the thread.
    pub pending: Vec<u8>,
    pub templates: HashMap<String, Template>,
    /// Whether there is another file, to be looked at now and then.
    pub follows: bool,
    /// How often a flush was asked for, and how many of these are done.
    pub asked: u64,
    pub flushed: u64,
    pub closed: bool,
    /// What has gone wrong and was not told yet.
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

/// What the thread does.
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
            shared.needs_care.store(true, Relaxed);
        }
        drop(state);
        shared.done.notify_all();
        if closed {
            return;
        }
    }
}
