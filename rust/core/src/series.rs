//! The values of a metric, one per batch.

use std::collections::VecDeque;

/// The number of values in a chunk: 256 KiB, the most memory that a series wastes.
const CHUNK: usize = 1 << 16;

/// An append-only float32 buffer, or a ring that keeps only the last values.
///
/// Values are numbered from 0 in the order of arrival; a ring drops old values but does not
/// renumber the others.
///
/// Invariants:
/// - an append-only series never copies a value that is already stored (a ring does, while it
///   fills);
/// - memory is 4 bytes per value plus at most one chunk, or 4 bytes times the capacity;
/// - `first() + kept() == len()`.
///
/// ```
/// use fitwatch_core::series::Series;
///
/// let mut last = Series::ring(2);
/// for value in [0.5, 0.25, 0.125] {
///     last.push(value);
/// }
/// assert_eq!((last.len(), last.first()), (3, 1));
/// let kept: Vec<f32> = last.pieces(0, 3).flatten().copied().collect();
/// assert_eq!(kept, [0.25, 0.125]);
/// ```
#[derive(Clone, Debug)]
pub struct Series {
    store: Store,
    len: usize,
}

#[derive(Clone, Debug)]
enum Store {
    /// Every chunk but the last is full.
    Chunks(Vec<Vec<f32>>),
    /// `capacity` is a separate field because a `VecDeque` may allocate more than requested.
    Ring {
        values: VecDeque<f32>,
        capacity: usize,
    },
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

impl Series {
    /// A series that keeps all values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            store: Store::Chunks(Vec::new()),
            len: 0,
        }
    }

    /// A series that keeps the last `capacity` values. A capacity of 0 keeps none.
    #[must_use]
    pub fn ring(capacity: usize) -> Self {
        Self {
            store: Store::Ring {
                values: VecDeque::new(),
                capacity,
            },
            len: 0,
        }
    }

    /// Restores a series from its kept values, of which the oldest has the number `first`.
    #[must_use]
    pub fn restored(
        capacity: Option<usize>,
        first: usize,
        values: impl IntoIterator<Item = f32>,
    ) -> Self {
        let mut series = capacity.map_or_else(Self::new, Self::ring);
        for value in values {
            series.push(value);
        }
        if capacity.is_some() {
            series.len = series.len.saturating_add(first);
        }
        series
    }

    /// How many values were appended, kept or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no value was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of the oldest value that is kept.
    #[must_use]
    pub fn first(&self) -> usize {
        self.len - self.kept()
    }

    /// How many values are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        match &self.store {
            Store::Chunks(_) => self.len,
            Store::Ring { values, .. } => values.len(),
        }
    }

    /// The maximum number of values kept; `None` means all.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.store {
            Store::Chunks(_) => None,
            Store::Ring { capacity, .. } => Some(*capacity),
        }
    }

    /// Appends a value.
    pub fn push(&mut self, value: f32) {
        match &mut self.store {
            Store::Chunks(chunks) => match chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => chunk.push(value),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    chunk.push(value);
                    chunks.push(chunk);
                }
            },
            Store::Ring { values, capacity } => {
                if values.len() == *capacity {
                    values.pop_front();
                }
                if *capacity > 0 {
                    if values.len() == values.capacity() {
                        // Double the allocation as `VecDeque` does, but not beyond the capacity.
                        let room = *capacity - values.len();
                        values.reserve_exact(room.min(values.len().max(1024)));
                    }
                    values.push_back(value);
                }
            }
        }
        self.len += 1;
    }

    /// The kept values numbered `start` to `stop` (exclusive), in order, as contiguous slices.
    pub fn pieces(&self, start: usize, stop: usize) -> impl Iterator<Item = &[f32]> {
        let first = self.first();
        let stop = stop.clamp(first, self.len) - first;
        let start = (start.max(first) - first).min(stop);
        let mut offset = 0;
        self.stored().filter_map(move |piece| {
            let begin = start.saturating_sub(offset).min(piece.len());
            let end = stop.saturating_sub(offset).min(piece.len());
            offset += piece.len();
            (begin < end).then(|| &piece[begin..end])
        })
    }

    fn stored(&self) -> impl Iterator<Item = &[f32]> {
        let (chunks, ring) = match &self.store {
            Store::Chunks(chunks) => (chunks.as_slice(), [&[][..], &[][..]]),
            Store::Ring { values, .. } => {
                let (front, back) = values.as_slices();
                (&[][..], [front, back])
            }
        };
        chunks.iter().map(Vec::as_slice).chain(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[allow(clippy::cast_precision_loss)]
    fn filled(mut series: Series, n: usize) -> Series {
        for i in 0..n {
            series.push(i as f32);
        }
        series
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn numbers(series: &Series, start: usize, stop: usize) -> Vec<usize> {
        let pieces: Vec<&[f32]> = series.pieces(start, stop).collect();
        pieces.concat().iter().map(|&x| x as usize).collect()
    }

    #[test]
    fn growing_never_moves_a_stored_value() {
        let mut series = filled(Series::new(), 1);
        let Store::Chunks(chunks) = &series.store else {
            unreachable!()
        };
        let address = chunks[0].as_ptr();
        series = filled(series, 3 * CHUNK);
        let Store::Chunks(chunks) = &series.store else {
            unreachable!()
        };
        assert_eq!(chunks[0].as_ptr(), address);
        assert_eq!(chunks.len(), 4);
    }

    #[test]
    fn memory_is_four_bytes_a_value_and_one_chunk_over() {
        let series = filled(Series::new(), 10 * CHUNK + 1);
        let Store::Chunks(chunks) = &series.store else {
            unreachable!()
        };
        let allocated: usize = chunks.iter().map(Vec::capacity).sum();
        assert!(allocated <= series.len() + CHUNK);
        assert!(size_of::<f32>() * CHUNK <= 1 << 20);
    }

    #[test]
    fn a_ring_takes_no_more_than_its_capacity() {
        for capacity in [1, 1000, 5000] {
            let series = filled(Series::ring(capacity), 3 * capacity);
            let Store::Ring { values, .. } = &series.store else {
                unreachable!()
            };
            assert_eq!(values.capacity(), capacity);
        }
    }

    #[test]
    fn a_range_may_span_chunks() {
        let series = filled(Series::new(), 2 * CHUNK + 10);
        let all: Vec<usize> = (CHUNK - 2..2 * CHUNK + 3).collect();
        assert_eq!(numbers(&series, CHUNK - 2, 2 * CHUNK + 3), all);
        assert_eq!(series.pieces(CHUNK - 2, 2 * CHUNK + 3).count(), 3);
    }

    #[test]
    fn a_ring_keeps_the_last_values_under_their_numbers() {
        let series = filled(Series::ring(4), 10);
        assert_eq!((series.len(), series.first(), series.kept()), (10, 6, 4));
        assert_eq!(numbers(&series, 0, usize::MAX), [6, 7, 8, 9]);
        assert_eq!(numbers(&series, 5, 8), [6, 7]);
        assert_eq!(numbers(&series, 0, 6), Vec::<usize>::new());
    }

    #[test]
    fn a_ring_of_nothing_still_counts() {
        let series = filled(Series::ring(0), 3);
        assert_eq!((series.len(), series.kept()), (3, 0));
    }

    proptest! {
        #[test]
        fn any_range_reads_what_was_pushed(
            n in 0_usize..300, capacity in proptest::option::of(0_usize..100),
            start in 0_usize..400, stop in 0_usize..400,
        ) {
            let empty = capacity.map_or_else(Series::new, Series::ring);
            let series = filled(empty, n);
            let first = n - n.min(capacity.unwrap_or(n));
            prop_assert_eq!(series.first(), first);
            let expected: Vec<usize> = (start.max(first)..stop.min(n)).collect();
            prop_assert_eq!(numbers(&series, start, stop), expected);

            let kept: Vec<f32> = series.pieces(0, n).collect::<Vec<_>>().concat();
            let restored = Series::restored(capacity, first, kept);
            prop_assert_eq!((restored.len(), restored.first()), (n, first));
            prop_assert_eq!(numbers(&restored, start, stop), numbers(&series, start, stop));
        }
    }
}
