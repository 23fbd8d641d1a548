//! How often to look at the clock.

/// Seconds between two looks at the clock, roughly.
const TARGET: f64 = 0.01;

/// Batches between two looks at the clock, at most.
const LONGEST: u32 = 64;

/// Tells the time of every batch with one look at the clock in many batches.
///
/// The time in between is estimated from the duration of the batches before. When batches are slow
/// the clock is read at each of them, so the estimate is never far off: after a stall it lags
/// behind for 64 batches at most, and it never runs backwards between two readings.
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
    /// What the clock said when it was last read; `None` before that.
    read_at: Option<f64>,
    /// Batches since then.
    passed: u32,
    /// Batches after which to read the clock again.
    period: u32,
    /// Seconds that a batch takes.
    step: f64,
}

/// The time of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// Seconds; estimated, unless the clock was read.
    pub now: f64,
    /// Whether the clock was read.
    pub read: bool,
}

impl Pacer {
    /// Passes one batch. `clock` is asked now and then only.
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
        // A clock that was set back tells nothing.
        {
            self.step = (now - read_at) / f64::from(self.passed);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it saturates
            let aim = (TARGET / self.step) as u32;
            // At most twice as long as before: one fast batch may be an exception.
            self.period = aim.clamp(1, LONGEST.min(2 * self.period.max(1)));
        }
        self.read_at = Some(now);
        self.passed = 0;
        Tick { now, read: true }
    }

    /// Forgets when the clock was last read: the time up to the next batch is not a batch's.
    pub fn pause(&mut self) {
        self.read_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `count` batches of `second` seconds; the ticks, and the true times.
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
