//! One run: what its files contain.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::content::{Content, HParam, Text};
use super::scalars::Scalars;
use super::source::Source;

/// One run.
#[derive(Debug, Default)]
pub struct Run {
    /// In the order in which they are read.
    pub(super) sources: BTreeMap<PathBuf, Source>,
    scalars: BTreeMap<String, Scalars>,
    texts: BTreeMap<String, Vec<Text>>,
    hparams: BTreeMap<String, HParam>,
    version: u64,
}

impl Run {
    /// The scalars by tag.
    #[must_use]
    pub fn scalars(&self) -> &BTreeMap<String, Scalars> {
        &self.scalars
    }

    /// The texts by tag, ascending by step.
    #[must_use]
    pub fn texts(&self) -> &BTreeMap<String, Vec<Text>> {
        &self.texts
    }

    /// The hyperparameters by name.
    #[must_use]
    pub fn hparams(&self) -> &BTreeMap<String, HParam> {
        &self.hparams
    }

    /// A number that grows with every refresh that changes the run.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Adds what was read from one of its files. Returns whether there was anything.
    pub(super) fn add(&mut self, content: Content, version: u64, keep: bool) -> bool {
        let Content {
            scalars,
            texts,
            hparams,
            warnings: _,
        } = content;
        if scalars.is_empty() && texts.is_empty() && hparams.is_empty() {
            return false;
        }
        for (tag, points) in scalars {
            self.scalars.entry(tag).or_default().append(points);
        }
        for (tag, text) in texts {
            let earlier = self.texts.entry(tag).or_default();
            if !keep {
                let kept = earlier.partition_point(|earlier| earlier.step < text.step);
                earlier.truncate(kept);
            }
            earlier.push(text);
        }
        self.hparams.extend(hparams);
        self.version = version;
        true
    }

    /// Forgets everything that was read.
    pub(super) fn clear(&mut self, version: u64) {
        self.scalars.clear();
        self.texts.clear();
        self.hparams.clear();
        self.version = version;
    }
}
