//! What a policy wants done.

/// What a policy decided after it saw a value. The policy keeps the numbers, the caller acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The value does not count yet (a warm-up).
    Ignore,
    /// The value is the new best.
    Improved,
    /// No improvement, and nothing to do about it.
    Wait,
    /// End the training.
    Stop,
    /// End the training, though the value is the new best: of several metrics another one ends it.
    StopOnBest,
    /// Patience is exhausted: reduce the learning rate.
    ReduceRate,
}
