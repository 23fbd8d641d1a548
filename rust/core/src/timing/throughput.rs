//! How fast a model trains: batches and samples per second, step times, the wait for data.

use std::collections::VecDeque;
use std::ops::Sub;

use super::Histogram;

/// The number of parts of the window whose median predicts the pace.
const PARTS: usize = 5;

/// Measures the speed of training from the calls of the train function.
///
/// A call lasts from the end of the previous one to its own end, so that time between calls, such
/// as that of callbacks, counts. After a pause it lasts from its own beginning. Rates are those of
/// the window: the last calls that trained at least `window` batches together. Quantiles are those
/// of all batches. Pauses count only where the end of the training is estimated.
///
/// Memory does not depend on the number of batches; the time of a call is constant.
///
/// ```
/// use fitwatch_core::timing::Throughput;
///
/// let mut throughput = Throughput::new(100);
/// for call in 0..10 {
///     let began = f64::from(call) * 0.2;
///     throughput.begin(|| began);
///     throughput.end(began + 0.2, Some(0.05), 4, Some(4 * 32));
/// }
/// let speed = throughput.speed(Some(1000), 0);
/// let close = |value: Option<f64>, expected: f64| (value.unwrap() / expected - 1.0).abs() < 0.02;
/// assert!(close(speed.batches_per_second, 20.0) && close(speed.samples_per_second, 640.0));
/// assert!(close(speed.step_time_p99, 0.05) && close(speed.data_wait, 0.25));
/// assert!(close(speed.eta_seconds, 50.0));
/// ```
#[derive(Clone, Debug)]
pub struct Throughput {
    window: u64,
    /// When the next call begins to count: at the end of the previous one, or its own beginning.
    since: Option<f64>,
    /// The end of the last call.
    ended: Option<f64>,
    /// The number of pauses that are over, and how long they were together.
    pauses: u32,
    paused: f64,
    /// The totals before the first call of the window and after each of its calls.
    totals: VecDeque<Totals>,
    step_times: Histogram,
}

/// The speed of training. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Speed {
    /// Batches per second over the window.
    pub batches_per_second: Option<f64>,
    /// Samples per second over the window.
    pub samples_per_second: Option<f64>,
    /// The median of the seconds that a batch took, over all batches.
    pub step_time_p50: Option<f64>,
    /// The seconds that 90% of the batches did not exceed.
    pub step_time_p90: Option<f64>,
    /// The seconds that 99% of the batches did not exceed.
    pub step_time_p99: Option<f64>,
    /// The share of the time of the window (0 to 1) that was spent waiting for data.
    pub data_wait: Option<f64>,
    /// The seconds until the remaining batches are trained and the remaining pauses are over.
    pub eta_seconds: Option<f64>,
}

/// Totals since the first call.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    seconds: f64,
    batches: u64,
    samples: u64,
    waited: f64,
    /// Calls whose samples are not known.
    uncounted: u64,
    /// Calls whose wait for data is not known.
    untimed: u64,
}

impl Throughput {
    /// No calls yet. The window is at least one batch.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self {
            window: window.max(1),
            since: None,
            ended: None,
            pauses: 0,
            paused: 0.0,
            totals: VecDeque::from([Totals::default()]),
            step_times: Histogram::default(),
        }
    }

    /// A call of the train function begins. Reads the clock only after a pause.
    pub fn begin(&mut self, clock: impl FnOnce() -> f64) {
        if self.since.is_none() {
            let now = clock();
            self.since = Some(now);
            if let Some(ended) = self.ended {
                self.pauses += 1;
                self.paused += (now - ended).max(0.0);
            }
        }
    }

    /// A call of the train function has ended at `now`, after it waited `waited` seconds for data
    /// and trained `batches` batches with `samples` samples. `None`: not known.
    ///
    /// The first call after a pause is not counted if its beginning is not known. The time of a
    /// call that trains no batch is part of the next one.
    pub fn end(&mut self, now: f64, waited: Option<f64>, batches: u32, samples: Option<u64>) {
        if batches == 0 {
            return;
        }
        self.ended = Some(now);
        let Some(since) = self.since.replace(now) else {
            return;
        };
        let seconds = (now - since).max(0.0);
        let mut total = self.newest();
        total.seconds += seconds;
        total.batches += u64::from(batches);
        total.samples += samples.unwrap_or(0);
        total.waited += waited.unwrap_or(0.0).clamp(0.0, seconds);
        total.uncounted += u64::from(samples.is_none());
        total.untimed += u64::from(waited.is_none());
        self.totals.push_back(total);
        while self.totals.len() > 2 && total.batches - self.totals[1].batches >= self.window {
            self.totals.pop_front();
        }
        self.step_times
            .add(seconds / f64::from(batches), u64::from(batches));
    }

    /// The time until the next call begins belongs to no batch: an epoch ends, or a validation
    /// begins.
    pub fn pause(&mut self) {
        self.since = None;
    }

    /// The speed, and the time that `remaining` batches and `pauses` will take if the number of
    /// batches is known.
    #[must_use]
    pub fn speed(&self, remaining: Option<u64>, pauses: u32) -> Speed {
        let Some([p50, p90, p99]) = self.step_times.quantiles([0.5, 0.9, 0.99]) else {
            return Speed::default();
        };
        let window = self.newest() - self.totals[0];
        Speed {
            batches_per_second: ratio(count(window.batches), window.seconds),
            samples_per_second: ratio(count(window.samples), window.seconds)
                .filter(|_| window.uncounted == 0),
            step_time_p50: Some(p50),
            step_time_p90: Some(p90),
            step_time_p99: Some(p99),
            data_wait: ratio(window.waited, window.seconds).filter(|_| window.untimed == 0),
            eta_seconds: remaining.and_then(|batches| {
                let pause = ratio(self.paused, f64::from(self.pauses)).unwrap_or(0.0);
                Some(count(batches) * self.step_time()? + f64::from(pauses) * pause)
            }),
        }
    }

    /// The seconds that a batch takes: the median over parts of the window, so that neither the
    /// compilation of the model nor another stall matters. `None` before the second call.
    fn step_time(&self) -> Option<f64> {
        let calls = self.totals.len() - 1;
        let parts = calls.min(PARTS);
        let mut times = [f64::INFINITY; PARTS];
        for (part, time) in times[..parts].iter_mut().enumerate() {
            let [from, to] = [part, part + 1].map(|part| self.totals[calls * part / parts]);
            let total = to - from;
            *time = total.seconds / count(total.batches);
        }
        times.sort_unstable_by(f64::total_cmp);
        // The lower one of two medians: the first two calls may both be slow, but not both fast.
        let is_first = calls < 2 && self.totals[0].batches == 0;
        (!is_first).then(|| times[(parts - 1) / 2])
    }

    fn newest(&self) -> Totals {
        self.totals[self.totals.len() - 1]
    }
}

impl Sub for Totals {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            seconds: self.seconds - earlier.seconds,
            batches: self.batches - earlier.batches,
            samples: self.samples - earlier.samples,
            waited: self.waited - earlier.waited,
            uncounted: self.uncounted - earlier.uncounted,
            untimed: self.untimed - earlier.untimed,
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(count: u64) -> f64 {
    count as f64
}

/// A quotient; `None` unless the divisor is positive.
fn ratio(dividend: f64, divisor: f64) -> Option<f64> {
    (divisor > 0.0).then(|| dividend / divisor)
}

#[cfg(test)]
mod tests;
