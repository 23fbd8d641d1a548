//! Measures how long a hook waits for values, which does not count as the hook's own time.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// How long the hook that runs on this thread has waited. `None` outside of hooks, and while
    /// a hook waits, so that nested waits are not counted twice.
    static WAITED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Calls `read` and adds its duration to the waiting time of the running hook.
pub fn timed_wait<T>(read: impl FnOnce() -> T) -> T {
    let Some(waited) = WAITED.take() else {
        return read();
    };
    let began = Instant::now();
    let result = read();
    WAITED.set(Some(waited + began.elapsed()));
    result
}

/// Calls a hook. Returns its result and how long it waited for values.
pub fn timed_call<T>(hook: impl FnOnce() -> T) -> (T, Duration) {
    let around = WAITED.replace(Some(Duration::ZERO));
    let result = hook();
    let waited = WAITED.get().unwrap_or_default();
    // The wait of a nested hook also counts for the outer one.
    WAITED.set(around.map(|around| around + waited));
    (result, waited)
}
