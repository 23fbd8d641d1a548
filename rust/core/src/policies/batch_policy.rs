//! Policies that judge batches.

use super::{Decision, Moment, Value};

/// A policy that judges the values of batches.
pub trait BatchPolicy {
    /// Takes the values of a batch, in the order of the policy's metrics.
    fn take(&mut self, at: Moment, values: &[Option<Value>]) -> Decision;
}
