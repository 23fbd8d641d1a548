//! The decision of a policy.

/// The decision of a policy about a value. The caller carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The value does not count, for instance during a warm-up.
    Ignore,
    /// The value is the new best.
    Improved,
    /// No improvement, and no action is needed yet.
    Wait,
    /// Stop training.
    Stop,
    /// Stop training because of another metric, although the value is the new best.
    StopOnBest,
    /// Patience is exhausted: reduce the learning rate.
    ReduceRate,
    /// The value is far worse than the recent ones.
    Spike,
}
