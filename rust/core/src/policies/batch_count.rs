//! Counts batches across epochs.

/// The number of trained batches, across epochs, by the numbers that they have in their epochs.
///
/// Invariant: `before + inside` never decreases while training goes on.
///
/// ```
/// use fitwatch_core::policies::BatchCount;
///
/// let mut count = BatchCount::default();
/// count.begin_epoch(Some(10), 0);
/// let passed = [3, 7, 11].map(|last| { // calls of four batches; the last one has two
///     count.end(last);
///     count.passed(5)
/// });
/// assert_eq!((passed, count.seen()), ([false, true, true], 10));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCount {
    /// Batches of earlier epochs.
    pub before: u64,
    /// Batches of this epoch.
    pub inside: u64,
    /// How many of all batches the last call has trained.
    pub last: u64,
    /// Batches in an epoch, if known: the last call of an epoch may train fewer than others.
    pub length: Option<u64>,
}

impl BatchCount {
    /// All batches so far.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.before.saturating_add(self.inside)
    }

    /// Begins an epoch, of which `trained` batches are already counted.
    pub fn begin_epoch(&mut self, length: Option<u64>, trained: u64) {
        let seen = self.seen();
        *self = Self {
            before: seen.saturating_sub(trained),
            inside: trained.min(seen),
            last: 0,
            length,
        };
    }

    /// Counts the batches of a call, the last of which has this number, from 0 in its epoch. A
    /// number that does not grow begins a new epoch.
    pub fn end(&mut self, batch: u64) {
        let batches = batch.saturating_add(1).min(self.length.unwrap_or(u64::MAX));
        if batches <= self.inside {
            self.before = self.seen();
            self.inside = 0;
        }
        self.last = batches - self.inside;
        self.inside = batches;
    }

    /// Whether the last call has reached a multiple of `every` batches.
    #[must_use]
    pub fn passed(&self, every: u64) -> bool {
        let (every, seen) = (every.max(1), self.seen());
        seen / every > seen.saturating_sub(self.last) / every
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_resumed_epoch_goes_on() {
        let mut count = BatchCount {
            before: 7,
            ..BatchCount::default()
        };
        count.begin_epoch(Some(5), 2);
        assert_eq!((count.before, count.inside), (5, 2));
        count.end(2);
        assert_eq!((count.seen(), count.last), (8, 1));
    }

    #[test]
    fn a_number_that_does_not_grow_begins_an_epoch() {
        let mut count = BatchCount::default();
        for batch in [0, 1, 0, 1, 0] {
            count.end(batch);
        }
        assert_eq!(count.seen(), 5);
    }

    proptest! {
        #[test]
        fn each_multiple_is_passed_once(
            length in 1_u64..50, at_a_time in 1_u64..9, every in 1_u64..70, epochs in 1_u64..6,
        ) {
            let mut count = BatchCount::default();
            let mut passed = 0;
            for _ in 0..epochs {
                count.begin_epoch(Some(length), 0);
                for call in 1..=length.div_ceil(at_a_time) {
                    count.end(call * at_a_time - 1);
                    passed += u64::from(count.passed(every));
                }
            }
            prop_assert_eq!(count.seen(), epochs * length);
            if every >= at_a_time {
                prop_assert_eq!(passed, epochs * length / every);
            }
        }
    }
}
