//! Rows of batches that wait to be delivered together.

/// A block of rows, as columns of equal length. NaN stands for no value.
///
/// Memory is kept for the next block: once the first one was full, rows allocate nothing.
///
/// ```
/// use fitwatch_core::block::Block;
///
/// let mut block = Block::new(2, 10.0);
/// let loss = block.column("loss");
/// block.add_row(0, 0, 5.0);
/// block.set(loss, 0.5);
/// assert!(!block.is_due(6.0));
/// block.add_row(1, 0, 6.0);
/// assert!(block.is_due(6.0)); // two rows
/// assert_eq!(block.values(loss)[0], 0.5);
/// assert!(block.values(loss)[1].is_nan());
/// ```
#[derive(Clone, Debug)]
pub struct Block {
    every: usize,
    seconds: f64,
    steps: Vec<i64>,
    epochs: Vec<i64>,
    wall_times: Vec<f64>,
    columns: Vec<(String, Vec<f64>)>,
}

impl Block {
    /// An empty block, which is due with `every` rows or when its first row is `seconds` old.
    #[must_use]
    pub fn new(every: usize, seconds: f64) -> Self {
        Self {
            every: every.max(1),
            seconds,
            steps: Vec::new(),
            epochs: Vec::new(),
            wall_times: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// The index of a column, which is added if there is none of this name.
    pub fn column(&mut self, name: &str) -> usize {
        if let Some(known) = self.columns.iter().position(|(of, _)| of == name) {
            return known;
        }
        let missing = vec![f64::NAN; self.rows()];
        self.columns.push((name.to_owned(), missing));
        self.columns.len() - 1
    }

    /// Adds a row without values.
    pub fn add_row(&mut self, step: i64, epoch: i64, wall_time: f64) {
        self.steps.push(step);
        self.epochs.push(epoch);
        self.wall_times.push(wall_time);
        for (_, values) in &mut self.columns {
            values.push(f64::NAN);
        }
    }

    /// Sets a value of the last row.
    pub fn set(&mut self, column: usize, value: f64) {
        let last = self.columns.get_mut(column).and_then(|of| of.1.last_mut());
        if let Some(last) = last {
            *last = value;
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.steps.len()
    }

    /// Whether the block is full, or old enough at a time in seconds.
    #[must_use]
    pub fn is_due(&self, now: f64) -> bool {
        let first = self.wall_times.first();
        self.rows() >= self.every || first.is_some_and(|first| now - first >= self.seconds)
    }

    /// The step of each row.
    #[must_use]
    pub fn steps(&self) -> &[i64] {
        &self.steps
    }

    /// The epoch of each row.
    #[must_use]
    pub fn epochs(&self) -> &[i64] {
        &self.epochs
    }

    /// The time of each row.
    #[must_use]
    pub fn wall_times(&self) -> &[f64] {
        &self.wall_times
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The values of a column; empty if there is no such column.
    #[must_use]
    pub fn values(&self, column: usize) -> &[f64] {
        self.columns.get(column).map_or(&[], |(_, values)| values)
    }

    /// Removes all rows. The columns stay.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.epochs.clear();
        self.wall_times.clear();
        for (_, values) in &mut self.columns {
            values.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_is_due_when_its_first_row_is_old() {
        let mut block = Block::new(1000, 10.0);
        assert!(!block.is_due(1e9));
        block.add_row(0, 0, 5.0);
        assert!(!block.is_due(14.9));
        assert!(block.is_due(15.0));
        block.clear();
        assert!(!block.is_due(1e9));
    }

    #[test]
    fn a_column_that_comes_late_has_no_values_before() {
        let mut block = Block::new(10, 10.0);
        block.add_row(0, 0, 0.0);
        let late = block.column("late");
        block.add_row(1, 0, 0.0);
        block.set(late, 2.0);
        assert!(block.values(late)[0].is_nan());
        assert_eq!(block.values(late)[1..], [2.0]);
        assert_eq!(block.names().collect::<Vec<_>>(), ["late"]);
    }

    #[test]
    fn what_is_not_there_is_not_set() {
        let mut block = Block::new(10, 10.0);
        block.set(0, 1.0);
        let column = block.column("loss");
        block.set(column, 1.0); // there is no row
        assert_eq!(block.values(column), []);
        assert_eq!(block.values(7), []);
    }

    #[test]
    fn a_cleared_block_keeps_its_memory() {
        let mut block = Block::new(100, 10.0);
        let loss = block.column("loss");
        let fill = |block: &mut Block| {
            for step in 0..100 {
                block.add_row(step, 0, 0.0);
                block.set(loss, 1.0);
            }
            block.values(loss).as_ptr()
        };
        let before = fill(&mut block);
        block.clear();
        assert_eq!(fill(&mut block), before);
    }

    proptest! {
        #[test]
        fn columns_are_equally_long(actions in proptest::collection::vec(0_u8..5, 0..200)) {
            let mut block = Block::new(7, 10.0);
            for (time, action) in (0_u32..).zip(actions) {
                match action {
                    0 => block.clear(),
                    1 => { block.column(&format!("{}", time % 4)); }
                    2 => block.set(0, 1.0),
                    _ => block.add_row(i64::from(time), 0, f64::from(time)),
                }
                let rows = block.rows();
                prop_assert_eq!(block.epochs().len(), rows);
                prop_assert_eq!(block.wall_times().len(), rows);
                let lengths = (0..block.names().count()).map(|at| block.values(at).len());
                prop_assert!(lengths.into_iter().all(|length| length == rows));
            }
        }
    }
}
