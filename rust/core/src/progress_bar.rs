//! The text of a progress bar.

use std::fmt::Write;

use crate::python_text::{push_fixed, push_scientific};

/// The minimum interval between two redraws of a live bar, as in Keras, in seconds.
const LIVE_INTERVAL: f64 = 0.05;

/// The minimum interval between two plain lines, in seconds.
const PLAIN_INTERVAL: f64 = 10.0;

/// The width of the bar, in characters.
const WIDTH: usize = 20;

/// The maximum width of a bar whose count has passed its target. Keras has no limit: a far too
/// large batch number exhausts the memory.
const WIDEST: usize = 1000;

/// The style of a progress bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Nothing is shown.
    #[default]
    Silent,
    /// A bar that is redrawn in place, for terminals and notebooks.
    Live,
    /// A line at intervals, without control characters, for pipes and files.
    Plain,
    /// One line at the end.
    Summary,
}

/// A progress bar: when a redraw is due, and the text to print for it.
///
/// The texts of [`Style::Live`] and [`Style::Summary`] equal those of `keras.utils.Progbar` byte
/// for byte, as Keras's callback uses it: 20 characters wide, with values shown unchanged.
///
/// Time is an argument of every method that needs it, in seconds.
///
/// ```
/// use fitwatch_core::progress_bar::{ProgressBar, Style};
///
/// let mut bar = ProgressBar::new(Style::Summary, 0.0);
/// bar.set("loss", 0.25);
/// let text = bar.draw(100, Some(100), 20.0, true);
/// assert_eq!(text, "100/100 - 20s - 200ms/step - loss: 0.2500\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProgressBar {
    style: Style,
    /// A label before the count.
    label: String,
    started_at: f64,
    drawn_at: Option<f64>,
    first_step_at: Option<f64>,
    /// The width of the last redraw on the screen, in characters.
    width: usize,
    /// Names and values, in the order of the names' first appearance.
    values: Vec<(String, f64)>,
}

impl ProgressBar {
    /// A bar that starts now.
    #[must_use]
    pub fn new(style: Style, now: f64) -> Self {
        Self {
            style,
            started_at: now,
            // The first plain line waits for the interval; a live bar is drawn at once.
            drawn_at: (style == Style::Plain).then_some(now),
            ..Self::default()
        }
    }

    /// A bar that is drawn over this one's line, with a label before its count.
    #[must_use]
    pub fn over(&self, label: &str, now: f64) -> Self {
        Self {
            label: label.to_owned(),
            width: self.width,
            ..Self::new(self.style, now)
        }
    }

    /// Takes over the line from a bar that was drawn over this one.
    pub fn take_back(&mut self, over: &Self) {
        self.width = over.width;
    }

    /// Records the end of a step. Returns whether a redraw is due, at most once per interval.
    pub fn step(&mut self, current: i64, now: f64) -> bool {
        let interval = match self.style {
            Style::Live => LIVE_INTERVAL,
            Style::Plain => PLAIN_INTERVAL,
            Style::Silent | Style::Summary => return false,
        };
        // As in Keras, except for a summary: the time per step excludes the first step, which may
        // have compiled the model.
        if current == 1 {
            self.first_step_at = Some(now);
        }
        // The bar must not stop if the clock was set back.
        let waited = self.drawn_at.map(|drawn_at| now - drawn_at);
        let due = waited.is_none_or(|waited| !(0.0..interval).contains(&waited));
        if due {
            self.drawn_at = Some(now);
        }
        due
    }

    /// Sets the value to show for a name.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// The text to print after `current` of `target` steps; empty if nothing is to be printed.
    ///
    /// `last` marks the final redraw.
    pub fn draw(&mut self, current: i64, target: Option<i64>, now: f64, last: bool) -> String {
        let target = target.filter(|&target| target > 0);
        match self.style {
            Style::Live => self.live(current, target, now, last),
            Style::Plain => self.line(current, target, now),
            Style::Summary if last && target.is_some() => self.line(current, target, now),
            Style::Silent | Style::Summary => String::new(),
        }
    }

    fn live(&mut self, current: i64, target: Option<i64>, now: f64, last: bool) -> String {
        let mut text = "\u{8}".repeat(self.width);
        text.push('\r');
        let start = text.len();
        text.push_str(&self.label);
        let per_step = self.seconds_per_step(current, now);
        // Characters of escape sequences, which have no width on the screen.
        let mut invisible = 0;
        if let Some(target) = target {
            let count = count(current, target);
            let _ = write!(text, "\x1b[1m{count}\x1b[0m ");
            let done = filled(current, target);
            if done > 0 {
                let _ = write!(text, "\x1b[32m{}\x1b[0m", "━".repeat(done));
                invisible += 9;
            }
            let left = "━".repeat(WIDTH.saturating_sub(done));
            let _ = write!(text, "\x1b[37m{left}\x1b[0m");
            invisible += 17;
        } else {
            let _ = write!(text, "{current:7}/Unknown");
        }
        text.push_str(" \x1b[1m");
        match target {
            Some(target) if !last => {
                push_remaining(
                    &mut text,
                    per_step * to_float(target.saturating_sub(current)),
                );
            }
            _ => push_seconds(&mut text, now - self.started_at),
        }
        text.push_str("\x1b[0m");
        invisible += 8;
        push_per_step(&mut text, per_step);
        self.push_values(&mut text, f64::abs);
        let width = text[start..].chars().count() - invisible;
        text.push_str(&" ".repeat(self.width.saturating_sub(width)));
        self.width = width;
        if last {
            text.push('\n');
        }
        text
    }

    fn line(&self, current: i64, target: Option<i64>, now: f64) -> String {
        let mut text = self.label.clone();
        match target {
            Some(target) => text.push_str(&count(current, target)),
            None => {
                let _ = write!(text, "{current:7}/Unknown");
            }
        }
        text.push_str(" - ");
        push_seconds(&mut text, now - self.started_at);
        text.push_str(" -");
        push_per_step(&mut text, self.seconds_per_step(current, now));
        // Keras compares the signed value here, but the absolute value in its bar.
        self.push_values(&mut text, |value| value);
        text.push('\n');
        text
    }

    fn seconds_per_step(&self, current: i64, now: f64) -> f64 {
        match self.first_step_at {
            _ if current == 0 => 0.0,
            Some(first) if current > 1 => (now - first) / to_float(current - 1),
            _ => (now - self.started_at) / to_float(current),
        }
    }

    fn push_values(&self, text: &mut String, size: impl Fn(f64) -> f64) {
        for (name, value) in &self.values {
            let _ = write!(text, " - {name}: ");
            if size(*value) > 1e-3 {
                push_fixed(text, *value, 4);
            } else {
                push_scientific(text, *value, 4);
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // for display only
fn to_float(steps: i64) -> f64 {
    steps as f64
}

fn count(current: i64, target: i64) -> String {
    let digits = target.ilog10() as usize + 1;
    format!("{current:digits$}/{target}")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // truncation is intended
fn filled(current: i64, target: i64) -> usize {
    let filled = 20.0 * (to_float(current) / to_float(target));
    (filled as usize).min(WIDEST)
}

fn push_seconds(text: &mut String, seconds: f64) {
    push_fixed(text, seconds, 0);
    text.push('s');
}

#[allow(clippy::cast_possible_truncation)] // whole seconds
fn push_remaining(text: &mut String, seconds: f64) {
    let whole = seconds as i64;
    let (hours, minutes, rest) = (whole / 3600, whole % 3600 / 60, whole % 60);
    let _ = if seconds > 3600.0 {
        write!(text, "{hours}:{minutes:02}:{rest:02}")
    } else if seconds > 60.0 {
        write!(text, "{}:{rest:02}", whole / 60)
    } else {
        write!(text, "{whole}s")
    };
}

fn push_per_step(text: &mut String, seconds: f64) {
    text.push(' ');
    let (value, unit) = if seconds >= 1.0 || seconds == 0.0 {
        (seconds, "s")
    } else if seconds >= 1e-3 {
        (seconds * 1e3, "ms")
    } else {
        (seconds * 1e6, "us")
    };
    push_fixed(text, value, 0);
    text.push_str(unit);
    text.push_str("/step");
}

#[cfg(test)]
mod tests;
