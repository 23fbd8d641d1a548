//! The names in a batch's logs, and their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Names in the order in which Keras passes them to callbacks.
#[derive(Debug)]
pub struct Schema {
    /// Unique, unlike the address, which may be reused.
    pub id: u64,
    pub names: Vec<Py<PyAny>>,
    /// The names as Rust strings, for lookups; `None` for a name that is not a string.
    texts: Vec<Option<String>>,
}

impl Schema {
    pub fn new(names: Vec<Bound<'_, PyAny>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            texts: names.iter().map(|name| name.extract().ok()).collect(),
            names: names.into_iter().map(Bound::unbind).collect(),
        })
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.texts.iter().map(Option::as_deref)
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.texts().position(|text| text == Some(name))
    }

    /// Whether these are the names of `dict`, in the same order.
    pub fn is_of(&self, dict: &Bound<'_, PyDict>) -> bool {
        same_names(&self.names, dict)
    }
}

/// The name of a metric, with its position in the schema that was searched last.
#[derive(Debug)]
pub struct Column {
    pub name: String,
    found: Option<(u64, Option<usize>)>,
}

impl Column {
    pub fn new(name: String) -> Self {
        Self { name, found: None }
    }

    pub fn position(&mut self, schema: &Schema) -> Option<usize> {
        match self.found {
            Some((id, position)) if id == schema.id => position,
            _ => {
                let position = schema.position(&self.name);
                self.found = Some((schema.id, position));
                position
            }
        }
    }
}

/// The permutation from the order of a loop's logs to Keras's order, which is sorted by name.
///
/// The names of a training run are the same for every batch, so they are sorted once.
#[derive(Debug)]
pub struct Order {
    /// The names in the loop's order.
    source: Vec<Py<PyAny>>,
    /// The position of each name in `schema`.
    places: Vec<usize>,
    pub schema: Arc<Schema>,
}

impl Order {
    pub fn new(logs: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = logs.py();
        let source: Vec<_> = logs.keys().iter().collect();
        let sorted = PyList::new(py, &source)?;
        sorted.sort()?;
        let mut places = Vec::with_capacity(source.len());
        for name in &source {
            places.push(sorted.index(name)?);
        }
        Ok(Self {
            source: source.into_iter().map(Bound::unbind).collect(),
            places,
            schema: Schema::new(sorted.iter().collect()),
        })
    }

    /// Puts the values of `logs` into `values`, in the order of the schema. Returns `false` if the
    /// names differ or a value is itself a dict.
    pub fn apply<'py>(
        &self,
        logs: &Bound<'py, PyDict>,
        values: &mut Vec<Bound<'py, PyAny>>,
    ) -> bool {
        if !same_names(&self.source, logs) {
            return false;
        }
        let none = logs.py().None().into_bound(logs.py());
        values.resize(self.source.len(), none);
        for ((_, value), &place) in logs.iter().zip(&self.places) {
            if value.is_instance_of::<PyDict>() {
                values.clear();
                return false;
            }
            values[place] = value;
        }
        true
    }
}

fn same_names(names: &[Py<PyAny>], dict: &Bound<'_, PyDict>) -> bool {
    names.len() == dict.len()
        && dict.iter().zip(names).all(|((name, _), known)| {
            known.is(&name) || known.bind(dict.py()).eq(name).unwrap_or(false)
        })
}
