//! Which callbacks slow a training down with their hooks.

use std::time::{Duration, Instant};

/// A callback is slow when its hooks take more of the time than this, ...
const SHARE: f64 = 0.2;

/// ... and longer than this in all.
const SECONDS: Duration = Duration::from_millis(500);

/// Calls of a callback that are left out, the longest ones: an import, a file that is opened.
const LONGEST: usize = 8;

/// A callback is looked at after so many calls, and whenever their number has doubled.
const FIRST_LOOK: u64 = 32;

/// The kinds of batches: of training, of an evaluation and so on.
const KINDS: usize = 4;

/// Adds up what the hooks of callbacks take of the time of batches.
///
/// The time for which a hook waits for values is not its own: the device takes it. The first batch
/// of each kind, in which the model is compiled, and pauses between batches do not count. One long
/// call tells nothing, so the longest ones are left out before a callback is called slow.
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
    /// The time of batches that went by.
    passed: Duration,
    /// Up to when `passed` counts; `None` if counting goes on with the next call.
    reached: Option<Instant>,
    first: [FirstBatch; KINDS],
}

/// How far the first batch of a kind is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum FirstBatch {
    #[default]
    Unseen,
    /// A hook at its begin has been called.
    Begun,
    /// A hook at its end has been called.
    Ended,
    /// This is the second batch, or a later one.
    Over,
}

/// What the calls of one callback took, by themselves.
#[derive(Clone, Debug, Default)]
struct Calls {
    /// All of them, those of first batches included.
    count: u64,
    own: Duration,
    /// The longest ones, the shortest of them first.
    longest: [Duration; LONGEST],
}

/// What a callback's hooks took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The callback's place in the list.
    pub callback: usize,
    /// The part of the time of batches (0 to 1), longest calls included.
    pub share: f64,
    /// Whether it is worth a warning.
    pub slow: bool,
}

impl SlowHooks {
    /// A pause is over: the time since the last call does not count.
    pub fn resume(&mut self, now: Instant) {
        self.reached = Some(now);
    }

    /// Hooks at the begin or the end of a batch are to be called now.
    ///
    /// # Panics
    ///
    /// When `kind` is not below 4.
    pub fn batch(&mut self, kind: usize, ends: bool) {
        let first = &mut self.first[kind];
        *first = match (*first, ends) {
            (FirstBatch::Unseen, false) => FirstBatch::Begun,
            (FirstBatch::Unseen | FirstBatch::Begun, true) => FirstBatch::Ended,
            (FirstBatch::Begun, false) => {
                // No hook is called at the end of a batch, so the first one has ended by now.
                self.reached = None;
                FirstBatch::Over
            }
            (FirstBatch::Ended | FirstBatch::Over, _) => FirstBatch::Over,
        };
    }

    /// A hook was called; whether it is time to look at what the callback took.
    ///
    /// # Panics
    ///
    /// When `kind` is not below 4.
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

    /// What the callbacks took whose hooks have been called at all, by their place in the list.
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

    /// The list has other callbacks now.
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

/// One duration by another; 0 by 0 is 0.
fn part(own: Duration, all: Duration) -> f64 {
    if own.is_zero() {
        0.0
    } else {
        own.as_secs_f64() / all.as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
