//! Numbers of one series: float32, or float64 where the file has them.

/// A number of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A float32, or a number that it represents exactly.
    F32(f32),
    /// A float64, or a number that needs one.
    F64(f64),
}

/// The values of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// All values are float32.
    F32(Vec<f32>),
    /// At least one value was float64.
    F64(Vec<f64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::F32(Vec::new())
    }
}

impl Values {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A value.
    ///
    /// # Panics
    /// When `index` is not below `len()`.
    #[must_use]
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[index]),
            Self::F64(values) => values[index],
        }
    }

    /// Appends a value. The first float64 makes the series float64.
    #[inline]
    pub fn push(&mut self, number: Number) {
        match (&mut *self, number) {
            (Self::F32(values), Number::F32(value)) => values.push(value),
            (Self::F64(values), Number::F32(value)) => values.push(f64::from(value)),
            (Self::F64(values), Number::F64(value)) => values.push(value),
            (Self::F32(_), Number::F64(value)) => self.widened().push(value),
        }
    }

    /// Drops all values from `length` on.
    pub fn truncate(&mut self, length: usize) {
        match self {
            Self::F32(values) => values.truncate(length),
            Self::F64(values) => values.truncate(length),
        }
    }

    /// Appends the values of another series.
    pub fn append(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::F32(values), Self::F32(mut other)) => values.append(&mut other),
            (Self::F64(values), Self::F64(mut other)) => values.append(&mut other),
            (Self::F64(values), Self::F32(other)) => {
                values.extend(other.into_iter().map(f64::from));
            }
            (Self::F32(_), Self::F64(mut other)) => self.widened().append(&mut other),
        }
    }

    /// The values as float64, to which they are converted if necessary.
    fn widened(&mut self) -> &mut Vec<f64> {
        if let Self::F32(values) = self {
            *self = Self::F64(values.iter().copied().map(f64::from).collect());
        }
        match self {
            Self::F64(values) => values,
            Self::F32(_) => unreachable!("converted above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float64_widens_what_was_there() {
        let mut values = Values::default();
        values.push(Number::F32(0.5));
        assert_eq!(values, Values::F32(vec![0.5]));
        values.push(Number::F64(0.1));
        values.push(Number::F32(2.0));
        assert_eq!(values, Values::F64(vec![0.5, 0.1, 2.0]));
        values.truncate(1);
        assert_eq!((values.len(), values.get(0)), (1, 0.5));
    }

    #[test]
    fn series_of_both_kinds_are_joined() {
        let narrow = Values::F32(vec![0.5]);
        let wide = Values::F64(vec![0.1]);
        for (first, second, expected) in [
            (&narrow, &narrow, Values::F32(vec![0.5, 0.5])),
            (&narrow, &wide, Values::F64(vec![0.5, 0.1])),
            (&wide, &narrow, Values::F64(vec![0.1, 0.5])),
            (&wide, &wide, Values::F64(vec![0.1, 0.1])),
        ] {
            let mut joined = first.clone();
            joined.append(second.clone());
            assert_eq!(joined, expected);
        }
    }
}
