//! The order of tags, and those that tell how fast a training is.

use std::collections::BTreeSet;

use fitwatch_core::runs::{Run, Scalars};

/// What `ThroughputMonitor`, `MemoryMonitor` and `TensorBoard(write_steps_per_second=True)` record.
const SPEED: [&str; 12] = [
    "batches_per_second",
    "data_wait",
    "device_memory",
    "device_memory_peak",
    "eta_seconds",
    "memory_rss",
    "memory_rss_peak",
    "samples_per_second",
    "step_time_p50",
    "step_time_p90",
    "step_time_p99",
    "steps_per_second",
];

/// What `TensorBoard` puts before the name of a column.
const PREFIXES: [&str; 3] = ["batch_", "epoch_", ""];

/// Losses first, the speed of training last, else by name.
pub fn ordered<'a>(tags: impl Iterator<Item = &'a String>) -> Vec<String> {
    let rank = |tag: &str| {
        if PREFIXES
            .iter()
            .any(|prefix| tag.strip_prefix(prefix).is_some_and(is_speed))
        {
            return 2;
        }
        u8::from(!tag.contains("loss"))
    };
    let tags: BTreeSet<(u8, &String)> = tags.map(|tag| (rank(tag), tag)).collect();
    tags.into_iter().map(|(_, tag)| tag.clone()).collect()
}

fn is_speed(name: &str) -> bool {
    SPEED.contains(&name)
}

/// The newest value of a column of [`SPEED`], and when it was written (NaN: not known).
pub fn newest(run: &Run, name: &str) -> Option<(f64, f64)> {
    let last = |scalars: &Scalars| {
        let index = scalars.len().checked_sub(1)?;
        Some((scalars.value(index), *scalars.wall_times().get(index)?))
    };
    PREFIXES
        .iter()
        .find_map(|prefix| last(run.scalars().get(&format!("{prefix}{name}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_first_and_speed_last() {
        let tags = [
            "batch_accuracy",
            "epoch_loss",
            "batch_eta_seconds",
            "batch_loss",
            "eta",
        ];
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let expected = [
            "batch_loss",
            "epoch_loss",
            "batch_accuracy",
            "eta",
            "batch_eta_seconds",
        ];
        assert_eq!(ordered(tags.iter()), expected);
    }
}
