//! What the user has chosen: tags, runs, zoom, scale; and what each action changes.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use crate::error::Error;
use crate::keys::{Action, Mode};
use crate::plot::extent;
use crate::tags;
use crate::zoom::Zoom;
use fitwatch_core::runs::Runs;

/// How far the arrow keys move, as a part of the window.
const PAN: f64 = 0.25;

/// The state of the view.
#[derive(Debug)]
pub struct App {
    pub mode: Mode,
    pub log: bool,
    pub smooth: bool,
    /// Whether the chart in focus has the whole screen.
    pub alone: bool,
    pub zoom: Option<Zoom>,
    filter: Option<Regex>,
    /// All tags that runs have, in the order of the charts.
    tags: Vec<String>,
    /// The tags to show; all if there is none.
    chosen: BTreeSet<String>,
    /// The tag whose chart the keys act on. While it is not shown, they act on the first one.
    focus: String,
    /// All runs, in the order in which they appeared: it sets their colours, as in TensorBoard.
    runs: Vec<String>,
    numbers: BTreeMap<String, usize>,
    hidden: BTreeSet<String>,
}

impl App {
    /// `filter`: a regular expression that tags must contain.
    ///
    /// # Errors
    /// When that is not a regular expression.
    pub fn new(filter: Option<&str>, log: bool) -> Result<Self, Error> {
        Ok(Self {
            mode: Mode::Charts,
            log,
            smooth: false,
            alone: false,
            zoom: None,
            filter: filter.map(Regex::new).transpose()?,
            tags: Vec::new(),
            chosen: BTreeSet::new(),
            focus: String::new(),
            runs: Vec::new(),
            numbers: BTreeMap::new(),
            hidden: BTreeSet::new(),
        })
    }

    /// Takes over new runs and tags.
    pub fn sync(&mut self, runs: &Runs) {
        for (name, _) in runs.iter() {
            if !self.numbers.contains_key(name) {
                self.numbers.insert(name.to_owned(), self.runs.len());
                self.runs.push(name.to_owned());
            }
        }
        let shown = runs.iter().filter(|(name, _)| self.shows_run(name));
        self.tags = tags::ordered(shown.flat_map(|(_, run)| run.scalars().keys()));
    }

    /// The tags that have a chart.
    pub fn shown_tags(&self) -> Vec<&str> {
        let all = self.listed_tags();
        let is_chosen = |tag: &&str| self.chosen.contains(*tag);
        if all.iter().any(is_chosen) {
            return all.into_iter().filter(is_chosen).collect();
        }
        all
    }

    /// The tags that the filter lets through.
    pub fn listed_tags(&self) -> Vec<&str> {
        let passes = |tag: &&str| {
            self.filter
                .as_ref()
                .is_none_or(|filter| filter.is_match(tag))
        };
        self.tags
            .iter()
            .map(String::as_str)
            .filter(passes)
            .collect()
    }

    /// Whether a tag was chosen in the list of tags.
    pub fn is_chosen(&self, tag: &str) -> bool {
        self.chosen.contains(tag)
    }

    /// The text of the filter.
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_ref().map(Regex::as_str)
    }

    /// The number of the chart that keys act on, among [`Self::shown_tags`].
    pub fn focused(&self) -> usize {
        let shown = self.shown_tags();
        shown.iter().position(|tag| *tag == self.focus).unwrap_or(0)
    }

    /// All runs; a run's place is its number.
    pub fn run_names(&self) -> &[String] {
        &self.runs
    }

    /// Whether a run is switched on.
    pub fn shows_run(&self, name: &str) -> bool {
        !self.hidden.contains(name)
    }

    /// The number of a run.
    pub fn number_of(&self, run: &str) -> usize {
        self.numbers.get(run).copied().unwrap_or(0)
    }

    /// Carries out an action; those of the terminal itself are not for here.
    pub fn apply(&mut self, action: Action, runs: &Runs) {
        match &self.mode {
            Mode::Charts => self.apply_to_charts(action, runs),
            Mode::Filter(text) => self.apply_to_filter(action, text.clone()),
            Mode::Tags(line) => self.apply_to_tags(action, *line),
            Mode::Runs(line) => self.apply_to_runs(action, *line),
            Mode::Help => self.mode = Mode::Charts,
        }
        self.sync(runs);
    }

    fn apply_to_charts(&mut self, action: Action, runs: &Runs) {
        match action {
            Action::Up | Action::Down | Action::First | Action::Last => {
                let shown = self.shown_tags();
                let line = moved(action, self.focused(), shown.len());
                self.focus = shown
                    .get(line)
                    .map_or_else(String::new, |tag| (*tag).to_owned());
            }
            Action::Left => self.pan(-PAN, runs),
            Action::Right => self.pan(PAN, runs),
            Action::Closer => {
                let zoom = self.zoom.clone().or_else(|| self.whole(runs));
                self.zoom = zoom.and_then(|zoom| zoom.closer()).or(self.zoom.take());
            }
            Action::Wider => {
                self.zoom = self.zoom.take().and_then(|zoom| {
                    let full = extent(self, runs, zoom.tag())?;
                    zoom.wider(full)
                });
            }
            Action::Reset => self.zoom = None,
            Action::Log => self.log = !self.log,
            Action::Smooth => self.smooth = !self.smooth,
            Action::Alone => self.alone = !self.alone,
            Action::Close => self.alone = false,
            Action::ListTags => {
                let line = self.listed_tags().iter().position(|tag| *tag == self.focus);
                self.mode = Mode::Tags(line.unwrap_or(0));
            }
            Action::ListRuns => self.mode = Mode::Runs(0),
            Action::EditFilter => self.edit_filter(),
            Action::Help => self.mode = Mode::Help,
            _ => {}
        }
    }

    /// Everything that the chart in focus has.
    fn whole(&self, runs: &Runs) -> Option<Zoom> {
        let tag = *self.shown_tags().get(self.focused())?;
        Some(Zoom::new(tag, extent(self, runs, tag)?))
    }

    fn edit_filter(&mut self) {
        self.mode = Mode::Filter(self.filter().unwrap_or_default().to_owned());
    }

    fn pan(&mut self, part: f64, runs: &Runs) {
        if let Some(zoom) = &self.zoom
            && let Some(full) = extent(self, runs, zoom.tag())
        {
            self.zoom = Some(zoom.moved(part, full));
        }
    }

    fn apply_to_filter(&mut self, action: Action, mut text: String) {
        match action {
            Action::Type(letter) => text.push(letter),
            Action::Erase => _ = text.pop(),
            Action::EraseAll => text.clear(),
            Action::Accept | Action::Close => {
                if action == Action::Close {
                    self.filter = None;
                }
                self.mode = Mode::Charts;
                return;
            }
            _ => return,
        }
        // Half a regular expression is often not one: the last that was stays.
        if text.is_empty() {
            self.filter = None;
        } else if let Ok(filter) = Regex::new(&text) {
            self.filter = Some(filter);
        }
        self.mode = Mode::Filter(text);
    }

    fn apply_to_tags(&mut self, action: Action, line: usize) {
        let listed: Vec<String> = self.listed_tags().into_iter().map(str::to_owned).collect();
        if let (Action::Toggle, Some(tag)) = (action, listed.get(line)) {
            if !self.chosen.remove(tag) {
                self.chosen.insert(tag.clone());
            }
            self.focus.clone_from(tag);
        }
        match action {
            Action::All => self.chosen.clear(),
            Action::Close => self.mode = Mode::Charts,
            Action::EditFilter => self.edit_filter(),
            _ => self.mode = Mode::Tags(moved(action, line, listed.len())),
        }
    }

    fn apply_to_runs(&mut self, action: Action, line: usize) {
        match (action, self.runs.get(line)) {
            (Action::Toggle, Some(name)) => {
                if !self.hidden.remove(name) {
                    self.hidden.insert(name.clone());
                }
            }
            (Action::All, _) => self.hidden.clear(),
            (Action::Close, _) => self.mode = Mode::Charts,
            _ => self.mode = Mode::Runs(moved(action, line, self.runs.len())),
        }
    }
}

/// The line of a list after a key.
fn moved(action: Action, line: usize, lines: usize) -> usize {
    let last = lines.saturating_sub(1);
    match action {
        Action::Up => line.saturating_sub(1),
        Action::Down => (line + 1).min(last),
        Action::First => 0,
        Action::Last => last,
        _ => line.min(last),
    }
}

#[cfg(test)]
mod tests;
