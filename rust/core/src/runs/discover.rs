//! Finding the files of runs.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Options;
use super::csv_file::CsvFile;
use super::event_file::{EventFile, is_named_like_one};
use super::npz_file::NpzFile;
use super::source::{Reader, Source};

/// The files of each run, by its name.
pub type Found = BTreeMap<String, BTreeMap<PathBuf, Kind>>;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// An event file: its name contains `tfevents`.
    Event,
    /// A CSV file of `CSVLogger`.
    Csv,
    /// A file of `LossHistory.save()`.
    Npz,
}

impl Kind {
    /// The kind of a file, by its name.
    fn by_name(path: &Path) -> Option<Self> {
        let suffix = path
            .extension()
            .map(|suffix| suffix.to_string_lossy().to_lowercase());
        match suffix.as_deref() {
            _ if is_named_like_one(path) => Some(Self::Event),
            Some("csv") => Some(Self::Csv),
            Some("npz") => Some(Self::Npz),
            _ => None,
        }
    }

    /// Whether other programs write files of such a name, so that the content has to tell.
    fn is_one(self, path: &Path) -> bool {
        match self {
            Self::Event => true,
            Self::Csv => CsvFile::is_one(path),
            Self::Npz => NpzFile::is_one(path),
        }
    }

    /// A reader of a file of this kind.
    pub fn reader(self, path: PathBuf, options: Options) -> Source {
        Source::new(
            path.clone(),
            match self {
                Self::Event => Reader::Event(EventFile::new(path, options.keep_superseded)),
                Self::Csv => Reader::Csv(CsvFile::new(path, options.keep_superseded)),
                Self::Npz => Reader::Npz(NpzFile::new(path)),
            },
        )
    }
}

/// Finds the runs under a path, as TensorBoard names them: a folder with event files is a run.
///
/// `known` are files whose content need not be looked at again.
pub fn find(root: &Path, options: Options, known: &HashSet<&Path>) -> Found {
    let mut found = Found::new();
    if root.is_file() {
        let (name, kind) = match Kind::by_name(root) {
            Some(kind @ (Kind::Csv | Kind::Npz)) => (stem(root), kind),
            _ => (".".to_owned(), Kind::Event),
        };
        found.insert(name, BTreeMap::from([(root.to_owned(), kind)]));
        return found;
    }
    let boundary = if options.links_outside {
        None
    } else {
        fs::canonicalize(root).ok()
    };
    let mut walk = Walk {
        boundary,
        visited: HashSet::new(),
        files: Vec::new(),
    };
    walk.folder(root);
    for path in &walk.files {
        if Kind::by_name(path) == Some(Kind::Event) {
            let run = run_name(root, path.parent().unwrap_or(root));
            found
                .entry(run)
                .or_default()
                .insert(path.clone(), Kind::Event);
        }
    }
    for path in walk.files {
        let Some(kind @ (Kind::Csv | Kind::Npz)) = Kind::by_name(&path) else {
            continue;
        };
        if known.contains(path.as_path()) || kind.is_one(&path) {
            let mut run = run_name(root, &path.with_extension(""));
            if found.contains_key(&run) {
                run = run_name(root, &path);
            }
            found.entry(run).or_default().insert(path, kind);
        }
    }
    found
}

/// A run's name: its path below the root.
fn run_name(root: &Path, path: &Path) -> String {
    let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
    if name.is_empty() {
        ".".to_owned()
    } else {
        name.into_owned()
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or(".".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

struct Walk {
    /// The folder that links must not lead out of.
    boundary: Option<PathBuf>,
    /// Folders that were visited, so that links in a circle end.
    visited: HashSet<PathBuf>,
    files: Vec<PathBuf>,
}

impl Walk {
    /// Collects the files under a folder. What cannot be read is left out, as in TensorBoard.
    fn folder(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_symlink() && !self.allows(&path) {
                continue;
            }
            if kind.is_file() || (kind.is_symlink() && path.is_file()) {
                self.files.push(path);
            } else if kind.is_dir() {
                self.folder(&path);
            } else if kind.is_symlink() && path.is_dir() {
                let Ok(target) = fs::canonicalize(&path) else {
                    continue;
                };
                // A link to a folder above leads back here.
                let above = fs::canonicalize(folder).is_ok_and(|here| here.starts_with(&target));
                if !above && self.visited.insert(target) {
                    self.folder(&path);
                }
            }
        }
    }

    fn allows(&self, link: &Path) -> bool {
        self.boundary.as_ref().is_none_or(|boundary| {
            fs::canonicalize(link).is_ok_and(|target| target.starts_with(boundary))
        })
    }
}
