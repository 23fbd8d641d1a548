//! The time of each batch, and what Python hooks take of it.

use fitwatch_core::Pacer;

use crate::clock::now;

/// Tells the time, and measures the Python hooks of the batches at which the clock is read anyway.
#[derive(Default)]
pub struct Pace {
    pacer: Pacer,
    /// The kind of hook that ticked last: a pause lies between training and evaluation.
    hook: usize,
    /// Whether the begin hook of the coming batch is measured too.
    measuring: bool,
    /// Seconds in Python hooks, by the callback's place in the list.
    spent: Vec<f64>,
    /// Batches whose hooks were measured.
    measured: u64,
    /// Seconds and batches that went by.
    seconds: f64,
    batches: f64,
}

impl Pace {
    /// A batch has ended: the time, and whether the clock was read for it.
    pub fn tick(&mut self, hook: usize) -> (f64, bool) {
        if hook != self.hook {
            self.pause();
            self.hook = hook;
        }
        let tick = self.pacer.tick(now);
        if let Some((seconds, batches)) = tick.elapsed {
            self.seconds += seconds.max(0.0);
            self.batches += f64::from(batches);
        }
        (tick.now, tick.read)
    }

    /// Whether the hooks of this batch are measured; asked once for each batch and hook.
    pub fn measures(&mut self, ends: bool, clock_read: bool) -> bool {
        if ends {
            self.measured += u64::from(clock_read);
            self.measuring = clock_read;
            clock_read
        } else {
            std::mem::take(&mut self.measuring)
        }
    }

    /// A Python hook has taken this long.
    pub fn spent(&mut self, callback: usize, seconds: f64) {
        if self.spent.len() <= callback {
            self.spent.resize(callback + 1, 0.0);
        }
        self.spent[callback] += seconds.max(0.0);
    }

    /// How many batches were measured.
    pub fn measured(&self) -> u64 {
        self.measured
    }

    /// What comes between is no batch.
    pub fn pause(&mut self) {
        self.pacer.pause();
    }

    /// Forgets what was measured.
    pub fn start_over(&mut self) {
        *self = Self::default();
    }

    /// What each callback took of the time of a batch, by its place in the list, and how many
    /// batches were measured.
    #[allow(clippy::cast_precision_loss)]
    pub fn shares(&self) -> (Vec<(usize, f64)>, u64) {
        let batch = self.seconds / self.batches;
        let measured = self.measured as f64;
        let share = |seconds: &f64| seconds / measured / batch;
        let shares = self.spent.iter().map(share).enumerate().collect();
        (shares, self.measured)
    }
}
