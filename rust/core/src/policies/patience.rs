//! The counters of policies: patience and cooldown, in units (epochs or batches).
//!
//! Counters are signed: users may assign a negative wait to grant a grace period.

use serde::{Deserialize, Serialize};

/// Counts units without improvement against a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// The limit of units without improvement. [`Patience::FOREVER`] is never reached.
    pub limit: i64,
    /// Units without improvement so far.
    pub waited: i64,
}

impl Patience {
    /// A limit that is never reached.
    pub const FOREVER: i64 = i64::MAX;

    /// Counts units without improvement, or units that are yet to be judged.
    pub fn wait(&mut self, units: i64) {
        self.waited = self.waited.saturating_add(units);
    }

    /// Restarts the count after an improvement.
    pub fn reset(&mut self) {
        self.waited = 0;
    }

    /// Whether the limit has been reached.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.limit != Self::FOREVER && self.waited >= self.limit
    }
}

/// Counts down the units in which a policy pauses after it has acted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// How many units the cooldown lasts.
    pub length: i64,
    /// How many units are left.
    pub remaining: i64,
}

impl Cooldown {
    /// Starts the cooldown.
    pub fn start(&mut self) {
        self.remaining = self.length;
    }

    /// Whether the cooldown is still running.
    #[must_use]
    pub fn active(&self) -> bool {
        self.remaining > 0
    }

    /// Counts units of the cooldown that have passed.
    pub fn tick(&mut self, units: i64) {
        self.remaining = self.remaining.saturating_sub(units).max(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_runs_out_at_its_limit() {
        let mut patience = Patience {
            limit: 2,
            waited: 0,
        };
        patience.wait(1);
        assert!(!patience.exhausted());
        patience.wait(1);
        assert!(patience.exhausted());
        patience.reset();
        assert!(!patience.exhausted());
    }

    #[test]
    fn no_patience_at_all_is_exhausted_at_once() {
        assert!(Patience::default().exhausted());
    }

    #[test]
    fn endless_patience_never_runs_out() {
        let mut patience = Patience {
            limit: Patience::FOREVER,
            waited: i64::MAX,
        };
        patience.wait(1);
        assert!(!patience.exhausted());
    }

    #[test]
    fn cooldown_counts_down_to_zero_and_stays() {
        let mut cooldown = Cooldown {
            length: 2,
            remaining: 0,
        };
        assert!(!cooldown.active());
        cooldown.start();
        cooldown.tick(1);
        assert!(cooldown.active());
        cooldown.tick(1);
        cooldown.tick(1);
        assert!(!cooldown.active());
    }
}
