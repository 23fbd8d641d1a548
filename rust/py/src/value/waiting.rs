//! The time for which a hook waits for values, which is not counted as the hook's own.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// How long the hook that runs on this thread has waited; `None` outside of hooks, and while
    /// one waits: what it waits for may in its turn wait.
    static WAITED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Reads values, which may wait for the device.
pub fn waiting<T>(read: impl FnOnce() -> T) -> T {
    let Some(waited) = WAITED.take() else {
        return read();
    };
    let began = Instant::now();
    let result = read();
    WAITED.set(Some(waited + began.elapsed()));
    result
}

/// Calls a hook: its result, and how long it has waited for values.
pub fn called<T>(hook: impl FnOnce() -> T) -> (T, Duration) {
    let around = WAITED.replace(Some(Duration::ZERO));
    let result = hook();
    let waited = WAITED.get().unwrap_or_default();
    // A hook that runs within another one waits for both.
    WAITED.set(around.map(|around| around + waited));
    (result, waited)
}
