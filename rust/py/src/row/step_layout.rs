//! The names and kinds of step columns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bit of a column's kind that says that a negative value stands for no value.
const SKIPS: u8 = 0x80;

/// The names and kinds of step columns.
#[derive(Debug)]
pub struct StepLayout {
    /// Unique, unlike the address, which may be reused; 0 for no columns.
    pub id: u64,
    pub names: Vec<String>,
    /// What a column is about, as bits; a sink takes the columns whose bits are in its mask.
    pub kinds: Vec<u8>,
    /// How many of the columns are measured by the program, once in a call; they come last.
    pub measured: usize,
}

impl StepLayout {
    pub fn empty() -> Arc<Self> {
        Arc::new(Self {
            id: 0,
            names: Vec::new(),
            kinds: Vec::new(),
            measured: 0,
        })
    }

    pub fn new(names: Vec<String>, kinds: Vec<u8>, measured: usize) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            names,
            kinds,
            measured,
        })
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The columns that a mask selects: their indices and names.
    pub fn taken(&self, mask: u8) -> impl Iterator<Item = (usize, &str)> {
        let all = self.names.iter().zip(&self.kinds).enumerate();
        all.filter(move |(_, (_, kind))| *kind & mask != 0)
            .map(|(at, (name, _))| (at, name.as_str()))
    }

    pub fn position(&self, name: &str, mask: u8) -> Option<usize> {
        self.taken(mask)
            .find(|(_, taken)| *taken == name)
            .map(|(at, _)| at)
    }

    /// Whether a negative value of the column stands for no value.
    pub fn skips(&self, column: usize) -> bool {
        self.kinds.get(column).is_some_and(|kind| kind & SKIPS != 0)
    }
}
