//! Estimates the time of batches from occasional readings of the clock.

/// The target interval between two readings of the clock, in seconds.
const TARGET: f64 = 0.01;

/// The maximum number of batches between two readings of the clock.
const LONGEST: u32 = 64;

/// Estimates the time of every batch, and reads the clock only once in many batches.
///
/// Between two readings the time is estimated from the duration of earlier batches. If batches are
/// slow the clock is read at each of them, so the estimate is never far off: after a stall it lags
/// for at most 64 batches, and it never runs backwards between two readings.
///
/// ```
/// use fitwatch_core::timing::Pacer;
///
/// let mut pacer = Pacer::default();
/// let readings = (0..1000).filter(|&batch| pacer.tick(|| f64::from(batch) * 1e-4).read);
/// assert!(readings.count() < 50);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pacer {
    /// The last reading of the clock; `None` before the first one and after a pause.
    read_at: Option<f64>,
    /// Batches since the last reading.
    passed: u32,
    /// Batches from one reading to the next.
    period: u32,
    /// The estimated duration of a batch, in seconds.
    step: f64,
}

/// The time at the end of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// The time in seconds; estimated unless the clock was read.
    pub now: f64,
    /// Whether the clock was read.
    pub read: bool,
}

impl Pacer {
    /// Counts one batch. Calls `clock` only if a reading is due.
    pub fn tick(&mut self, clock: impl FnOnce() -> f64) -> Tick {
        self.passed += 1;
        if let Some(read_at) = self.read_at
            && self.passed < self.period
        {
            let now = self.step.mul_add(f64::from(self.passed), read_at);
            return Tick { now, read: false };
        }
        let now = clock();
        if let Some(read_at) = self.read_at
            && now >= read_at
        // Skip the estimate if the clock was set back.
        {
            self.step = (now - read_at) / f64::from(self.passed);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturating cast
            let aim = (TARGET / self.step) as u32;
            // At most double the period, because a single fast batch may be an exception.
            self.period = aim.clamp(1, LONGEST.min(2 * self.period.max(1)));
        }
        self.read_at = Some(now);
        self.passed = 0;
        Tick { now, read: true }
    }

    /// Discards the last reading, because the time until the next batch belongs to no batch.
    pub fn pause(&mut self) {
        self.read_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `count` batches of `second` seconds. Returns the ticks with the true times.
    fn run(pacer: &mut Pacer, start: f64, second: f64, count: usize) -> Vec<(Tick, f64)> {
        let mut now = start;
        (0..count)
            .map(|_| {
                now += second;
                (pacer.tick(|| now), now)
            })
            .collect()
    }

    #[test]
    fn fast_batches_read_the_clock_once_in_sixty_four() {
        let ticks = run(&mut Pacer::default(), 0.0, 1e-5, 10_000);
        let read = ticks.iter().filter(|(tick, _)| tick.read).count();
        assert!((10_000 / 64..10_000 / 64 + 10).contains(&read), "{read}");
    }

    #[test]
    fn slow_batches_read_it_every_time() {
        let ticks = run(&mut Pacer::default(), 0.0, 0.5, 100);
        assert!(ticks.iter().all(|(tick, _)| tick.read));
    }

    #[test]
    fn the_estimate_is_close_and_never_runs_backwards_at_an_even_pace() {
        let ticks = run(&mut Pacer::default(), 1.7e9, 0.002, 5_000);
        assert!(
            ticks
                .iter()
                .all(|(tick, now)| (tick.now - now).abs() < 1e-3)
        );
        assert!(ticks.windows(2).all(|pair| pair[0].0.now <= pair[1].0.now));
    }

    #[test]
    fn after_a_stall_it_catches_up_within_one_period() {
        let mut pacer = Pacer::default();
        run(&mut pacer, 0.0, 1e-5, 1_000);
        let ticks = run(&mut pacer, 100.0, 1e-5, 65);
        assert!(ticks.iter().any(|(tick, _)| tick.now >= 100.0));
    }

    #[test]
    fn a_clock_that_was_set_back_is_survived() {
        let mut pacer = Pacer::default();
        run(&mut pacer, 1e6, 1e-5, 1_000);
        let ticks = run(&mut pacer, 0.0, 1e-5, 1_000);
        assert!(ticks[64..].iter().all(|(tick, _)| tick.now < 1.0));
    }

    #[test]
    fn a_pause_is_no_part_of_a_batch() {
        let mut pacer = Pacer::default();
        run(&mut pacer, 0.0, 0.1, 10);
        pacer.pause();
        let ticks = run(&mut pacer, 1e3, 0.1, 2);
        assert!(ticks.iter().all(|(tick, _)| tick.read));
        assert!((pacer.step - 0.1).abs() < 1e-9, "{}", pacer.step);
    }
}
