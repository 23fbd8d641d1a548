//! The policy that decides when to save a checkpoint.

use serde::{Deserialize, Serialize};

use super::Best;

/// The policy of `keras.callbacks.ModelCheckpoint`: when a save is due, and the best value.
///
/// Invariant: a save is due at least `every` batches after the previous one, counted across epochs
/// and including batches that were skipped (several batches may pass between two calls).
///
/// ```
/// use fitwatch_core::policies::Checkpoint;
///
/// let mut checkpoint = Checkpoint::default();
/// let epochs = [0, 1, 0, 1]; // two epochs of two batches
/// let due = epochs.map(|batch| checkpoint.due(batch, 3));
/// assert_eq!(due, [false, false, true, false]);
/// assert!(checkpoint.best.offer(0.5) && !checkpoint.best.offer(0.6));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The best value and the rule for an improvement.
    pub best: Best,
    /// Batches since the last due save.
    pub batches_since: u64,
    /// The last batch of the current epoch that was seen.
    pub last_batch: Option<u64>,
}

impl Checkpoint {
    /// Whether a save is due after `batch` (counted from 0 in each epoch), if one is due every
    /// `every` batches. A batch number that does not grow begins a new epoch.
    pub fn due(&mut self, batch: u64, every: u64) -> bool {
        let passed = match self.last_batch {
            Some(last) if batch > last => batch - last,
            _ => batch.saturating_add(1),
        };
        self.batches_since = self.batches_since.saturating_add(passed);
        self.last_batch = Some(batch);
        let due = self.batches_since >= every;
        if due {
            self.batches_since = 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(every: u64, batches: &[u64]) -> Vec<bool> {
        let mut checkpoint = Checkpoint::default();
        batches
            .iter()
            .map(|&batch| checkpoint.due(batch, every))
            .collect()
    }

    #[test]
    fn counts_across_epochs() {
        assert_eq!(
            dues(3, &[0, 1, 0, 1, 0, 1]),
            [false, false, true, false, false, true]
        );
    }

    #[test]
    fn counts_batches_that_were_not_shown() {
        assert_eq!(
            dues(8, &[3, 7, 11, 3, 7]),
            [false, true, false, true, false]
        );
    }

    #[test]
    fn one_means_every_batch() {
        assert_eq!(dues(1, &[0, 1, 0]), [true, true, true]);
    }
}
