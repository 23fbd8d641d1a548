//! Where the time of a training goes.

use std::time::{Duration, Instant};

/// What a training spends time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The train function, and waiting for its values.
    Steps,
    /// Waiting for the data of a batch.
    DataWait,
    /// A validation.
    Validation,
    /// Writing checkpoints.
    Saving,
    /// A hook of the callback with this index.
    Callback(usize),
}

/// The beginning of an activity: pass it to [`Spent::add`] when the activity ends.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Mark {
    began: Instant,
    /// What was counted before.
    counted: Duration,
    /// The waits that were counted before.
    waited: Duration,
}

/// Sums the time of each activity.
///
/// Activities may lie within each other, as a validation within a hook of a callback: every moment
/// counts once, for the innermost. So the sum never exceeds the time that has passed, and what is
/// missing was spent on the rest. An activity that an exception ends is not counted.
///
/// It reads no clock: the times of hooks are those that [`SlowHooks`](super::SlowHooks) judges.
///
/// ```
/// use std::time::{Duration, Instant};
/// use fitwatch_core::timing::{Activity, Spent};
///
/// let start = Instant::now();
/// let at = |seconds| start + Duration::from_secs(seconds);
/// let mut spent = Spent::default();
/// let hook = spent.mark(at(10));
/// let saving = spent.mark(at(12));
/// spent.add(Activity::Saving, saving, at(15), None);
/// let waited = (Activity::Steps, Duration::from_secs(1)); // for a value of the train step
/// spent.add(Activity::Callback(3), hook, at(20), Some(waited));
/// let seconds = |activity| spent.on(activity).as_secs();
/// assert_eq!(seconds(Activity::Saving), 3);
/// assert_eq!(seconds(Activity::Callback(3)), 6); // of 10
/// assert_eq!(seconds(Activity::Steps), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Spent {
    steps: Duration,
    data_wait: Duration,
    validation: Duration,
    saving: Duration,
    callbacks: Vec<Duration>,
    /// The sum of all of these.
    counted: Duration,
    /// How much of it was waiting.
    waited: Duration,
}

impl Spent {
    /// An activity begins.
    pub fn mark(&self, began: Instant) -> Mark {
        Mark {
            began,
            counted: self.counted,
            waited: self.waited,
        }
    }

    /// An activity has ended. `waited` says what it waited for, and how long, activities within it
    /// included: a step waits for data, and a hook for the steps whose values it reads.
    pub fn add(
        &mut self,
        activity: Activity,
        mark: Mark,
        ended: Instant,
        waited: Option<(Activity, Duration)>,
    ) {
        let took = ended.saturating_duration_since(mark.began);
        let mut own = took.saturating_sub(self.counted.saturating_sub(mark.counted));
        self.counted += own;
        if let Some((awaited, waited)) = waited {
            let within = self.waited.saturating_sub(mark.waited);
            let waited = waited.saturating_sub(within).min(own);
            own -= waited;
            self.waited += waited;
            *self.total(awaited) += waited;
        }
        *self.total(activity) += own;
    }

    /// The time that was spent on an activity.
    #[must_use]
    pub fn on(&self, activity: Activity) -> Duration {
        match activity {
            Activity::Steps => self.steps,
            Activity::DataWait => self.data_wait,
            Activity::Validation => self.validation,
            Activity::Saving => self.saving,
            Activity::Callback(index) => self.callbacks.get(index).copied().unwrap_or_default(),
        }
    }

    /// The time of all activities together.
    #[must_use]
    pub fn counted(&self) -> Duration {
        self.counted
    }

    fn total(&mut self, activity: Activity) -> &mut Duration {
        match activity {
            Activity::Steps => &mut self.steps,
            Activity::DataWait => &mut self.data_wait,
            Activity::Validation => &mut self.validation,
            Activity::Saving => &mut self.saving,
            Activity::Callback(index) => {
                if self.callbacks.len() <= index {
                    self.callbacks.resize(index + 1, Duration::ZERO);
                }
                &mut self.callbacks[index]
            }
        }
    }
}

#[cfg(test)]
mod tests;
