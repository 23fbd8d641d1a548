//! Finds callbacks whose hooks slow training down.

use std::time::{Duration, Instant};

/// A callback is slow if its hooks take more than this share of the time, ...
const SHARE: f64 = 0.2;

/// ... and more than this in total.
const SECONDS: Duration = Duration::from_millis(500);

/// How many of a callback's longest calls are ignored: they may import a module or open a file.
const LONGEST: usize = 8;

/// A report is due after this many calls of a callback, and whenever their number has doubled.
const FIRST_LOOK: u64 = 32;

/// The number of kinds of batches: training, evaluation, prediction, and the old hook names.
const KINDS: usize = 4;

/// Measures which share of the time of batches the hooks of each callback take.
///
/// The time that a hook waits for values is not its own, because the device takes it. The first
/// batch of each kind, in which the model is compiled, and pauses between batches do not count. A
/// single long call is not evidence, so the longest ones are ignored when a callback is judged.
///
/// ```
/// use std::time::{Duration, Instant};
/// use fitwatch_core::timing::SlowHooks;
///
/// let mut hooks = SlowHooks::default();
/// let mut now = Instant::now();
/// for _ in 0..100 {
///     hooks.batch(0, true);
///     let ended = now + Duration::from_millis(50); // of 100 for each batch
///     hooks.called(0, 0, (now, ended), Duration::ZERO);
///     now += Duration::from_millis(100);
/// }
/// let share = hooks.shares().next().expect("a callback");
/// assert!(share.slow && (share.share - 0.5).abs() < 0.01);
/// ```
#[derive(Debug, Default)]
pub struct SlowHooks {
    callbacks: Vec<Calls>,
    /// The total time of batches.
    passed: Duration,
    /// The end of the time counted in `passed`; `None` to restart at the next call of a hook.
    reached: Option<Instant>,
    first: [FirstBatch; KINDS],
}

/// The progress of the first batch of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum FirstBatch {
    #[default]
    Unseen,
    /// A hook at the beginning of the batch was called.
    Begun,
    /// A hook at the end of the batch was called.
    Ended,
    /// The first batch is over.
    Over,
}

/// The durations of the calls of one callback.
#[derive(Clone, Debug, Default)]
struct Calls {
    /// The number of calls, including those in first batches.
    count: u64,
    own: Duration,
    /// The longest calls, in ascending order.
    longest: [Duration; LONGEST],
}

/// The share of the time that a callback's hooks take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The callback's index in the list.
    pub callback: usize,
    /// The share of the time of batches (0 to 1), including the longest calls.
    pub share: f64,
    /// Whether the callback is slow enough for a warning.
    pub slow: bool,
}

impl SlowHooks {
    /// Ends a pause: the time since the last call does not count.
    pub fn resume(&mut self, now: Instant) {
        self.reached = Some(now);
    }

    /// Must be called before the hooks at the beginning or the end (`ends`) of a batch.
    ///
    /// # Panics
    ///
    /// If `kind` is 4 or more.
    pub fn batch(&mut self, kind: usize, ends: bool) {
        let first = &mut self.first[kind];
        *first = match (*first, ends) {
            (FirstBatch::Unseen, false) => FirstBatch::Begun,
            (FirstBatch::Unseen | FirstBatch::Begun, true) => FirstBatch::Ended,
            (FirstBatch::Begun, false) => {
                // No hook is called at the end of batches, so the first batch has ended.
                self.reached = None;
                FirstBatch::Over
            }
            (FirstBatch::Ended | FirstBatch::Over, _) => FirstBatch::Over,
        };
    }

    /// Records the call of a hook. Returns whether a report is due.
    ///
    /// # Panics
    ///
    /// If `kind` is 4 or more.
    pub fn called(
        &mut self,
        kind: usize,
        callback: usize,
        (began, ended): (Instant, Instant),
        waited: Duration,
    ) -> bool {
        if self.callbacks.len() <= callback {
            self.callbacks.resize_with(callback + 1, Calls::default);
        }
        let calls = &mut self.callbacks[callback];
        calls.count += 1;
        let from = self.reached.replace(ended).unwrap_or(began);
        if self.first[kind] == FirstBatch::Over {
            self.passed += ended.saturating_duration_since(from);
            let took = ended.saturating_duration_since(began);
            calls.add(took.saturating_sub(waited));
        }
        calls.count >= FIRST_LOOK && calls.count.is_power_of_two()
    }

    /// The shares of all callbacks whose hooks were called, in the order of the list.
    pub fn shares(&self) -> impl Iterator<Item = Share> {
        let calls = self.callbacks.iter().enumerate();
        calls
            .filter(|(_, calls)| calls.count > 0)
            .map(|(callback, calls)| Share {
                callback,
                share: part(calls.own, self.passed).min(1.0),
                slow: calls.are_slow(self.passed),
            })
    }

    /// Discards the measurements, because the list of callbacks has changed.
    pub fn forget_callbacks(&mut self) {
        self.callbacks.clear();
        self.passed = Duration::ZERO;
    }
}

impl Calls {
    fn add(&mut self, own: Duration) {
        self.own += own;
        if own > self.longest[0] {
            self.longest[0] = own;
            self.longest.sort_unstable();
        }
    }

    fn are_slow(&self, passed: Duration) -> bool {
        let longest = self.longest.iter().sum();
        let own = self.own.saturating_sub(longest);
        own > SECONDS && part(own, passed.saturating_sub(longest)) > SHARE
    }
}

/// The quotient of two durations, where 0 / 0 is 0.
fn part(own: Duration, all: Duration) -> f64 {
    if own.is_zero() {
        0.0
    } else {
        own.as_secs_f64() / all.as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
