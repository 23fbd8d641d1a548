//! Recorded runs, read from the files of many writers.
//!
//! [`Runs`] finds and reads event files (of TensorFlow 2, Keras, fitwatch, tensorboardX, torch and
//! others), CSV files of `CSVLogger` and `.npz` files of `LossHistory`, and follows them while they
//! grow. Each series is kept as columns, with summaries from which [`Scalars::envelope`] draws any
//! part of it in a time that does not depend on its length.

// Steps and counts become positions on an axis: exact up to 2**53.
#![allow(clippy::cast_precision_loss)]

mod content;
mod csv_file;
mod discover;
mod envelope;
mod event;
mod event_file;
mod hparams;
mod layout;
mod npz_file;
mod payloads;
mod points;
mod pyramid;
mod run;
mod scalars;
mod source;
mod tensor;
mod values;
mod wire;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use content::Content;
pub use content::{HParam, Text};
pub use envelope::{Axis, Column, Window};
pub use points::Points;
pub use run::Run;
pub use scalars::Scalars;
use source::{Change, Source};
pub use values::{Number, Values};

use crate::error::{At, Error};

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether points stay that a later one with the same or a smaller step supersedes.
    pub keep_superseded: bool,
    /// Whether links may lead out of the folder.
    pub links_outside: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_superseded: false,
            links_outside: true,
        }
    }
}

/// All runs under a path.
///
/// Invariants:
/// - a run is read in the byte order of its files' names, each file from where it was left;
/// - per tag, a point drops earlier ones whose step is not smaller (as in TensorBoard), unless
///   superseded points are kept.
#[derive(Debug)]
pub struct Runs {
    path: PathBuf,
    options: Options,
    by_name: BTreeMap<String, Run>,
    warnings: Vec<String>,
    version: u64,
}

/// A file to read.
struct Task<'a> {
    source: &'a mut Source,
    result: Option<Result<Content, Error>>,
}

impl Runs {
    /// Finds and reads all runs under a path: a file, or a folder with all folders in it.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such path, [`Error::NothingToRead`] if no file of a known kind
    /// is there, [`Error::NotAnEventFile`] or [`Error::NotARecord`] if the path is a file of another
    /// kind.
    pub fn read(path: &Path, options: Options) -> Result<Self, Error> {
        let mut runs = Self {
            path: path.to_owned(),
            options,
            by_name: BTreeMap::new(),
            warnings: Vec::new(),
            version: 0,
        };
        runs.refresh()?;
        if runs.by_name.is_empty() {
            return Err(Error::NothingToRead {
                path: path.to_owned(),
            });
        }
        Ok(runs)
    }

    /// Reads what was added since, and new files. Returns whether anything has changed.
    ///
    /// # Errors
    /// As [`Runs::read`], but a folder may be empty.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        let is_file = self.path.metadata().at(&self.path)?.is_file();
        self.version += 1;
        let mut changed = self.find();
        let results = read_all(
            self.by_name
                .values_mut()
                .flat_map(|run| run.sources.values_mut()),
        );
        let mut results = results.into_iter();
        for run in self.by_name.values_mut() {
            for result in results.by_ref().take(run.sources.len()) {
                let mut content = match result {
                    None => continue,
                    Some(Ok(content)) => content,
                    Some(Err(error)) if is_file => return Err(error),
                    Some(Err(error)) => {
                        self.warnings.push(error.to_string());
                        continue;
                    }
                };
                self.warnings.append(&mut content.warnings);
                changed |= run.add(content, self.version, self.options.keep_superseded);
            }
        }
        Ok(changed)
    }

    /// The runs, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Run)> {
        self.by_name.iter().map(|(name, run)| (name.as_str(), run))
    }

    /// A run by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Run> {
        self.by_name.get(name)
    }

    /// Warnings about damaged files that were not taken yet.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Brings the set of runs up to date. Returns whether it has changed.
    fn find(&mut self) -> bool {
        let known: HashSet<&Path> = self
            .by_name
            .values()
            .flat_map(|run| run.sources.keys().map(PathBuf::as_path))
            .collect();
        let found = discover::find(&self.path, self.options, &known);
        let before = self.by_name.len();
        self.by_name.retain(|name, _| found.contains_key(name));
        let mut changed = self.by_name.len() < before;
        for (name, files) in found {
            let run = self.by_name.entry(name).or_insert_with(|| {
                changed = true;
                Run::default()
            });
            let is_replaced = |(path, source): (&PathBuf, &mut Source)| {
                // A file that is there, but not found, now belongs to another run or to none.
                source.look() == Change::Replaced || !files.contains_key(path) && path.exists()
            };
            if run.sources.iter_mut().any(is_replaced) {
                run.clear(self.version);
                run.sources.clear();
                changed = true;
            }
            for (path, kind) in files {
                run.sources
                    .entry(path)
                    .or_insert_with_key(|path| kind.reader(path.clone(), self.options));
            }
        }
        changed
    }
}

/// Reads the files that have changed, one thread a file up to the number of processors.
fn read_all<'a>(
    sources: impl Iterator<Item = &'a mut Source>,
) -> Vec<Option<Result<Content, Error>>> {
    let mut tasks: Vec<_> = sources
        .map(|source| Task {
            source,
            result: None,
        })
        .collect();
    let due: Vec<_> = tasks
        .iter_mut()
        .filter(|task| task.source.is_due())
        .collect();
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(due.len());
    let queue = Mutex::new(due.into_iter());
    let work = || {
        let mut buffer = payloads::buffer();
        while let Some(task) = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.next()
        } {
            task.result = Some(task.source.read(&mut buffer));
        }
    };
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    tasks.into_iter().map(|task| task.result).collect()
}
