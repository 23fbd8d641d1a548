//! The text of a progress bar.

use std::fmt::Write;

use crate::python_text::{push_fixed, push_scientific};

/// Seconds between two drawings of a live bar: what Keras's waits.
const LIVE_INTERVAL: f64 = 0.05;

/// Seconds between two plain lines.
const PLAIN_INTERVAL: f64 = 10.0;

/// Characters of the bar itself.
const WIDTH: usize = 20;

/// Characters of a bar whose count has passed its target, at most. Keras's has no limit, and takes
/// all memory after a batch number that is much too large.
const WIDEST: usize = 1000;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    #[default]
    Silent,
    /// A bar that is drawn over itself again and again, for terminals and notebooks.
    Live,
    /// A line now and then, without control characters, for pipes and files.
    Plain,
    /// One line at the end.
    Summary,
}

/// A progress bar: when it is to be drawn again, and what is to be printed for that.
///
/// The texts of [`Style::Live`] and [`Style::Summary`] are those of `keras.utils.Progbar`, to the
/// byte, in the form in which Keras's callback uses it: 20 characters wide, values shown as they
/// are.
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
    /// What stands before the count.
    label: String,
    started_at: f64,
    drawn_at: Option<f64>,
    first_step_at: Option<f64>,
    /// Characters that the last drawing took on the screen.
    width: usize,
    /// Names and values, in the order in which the names came up.
    values: Vec<(String, f64)>,
}

impl ProgressBar {
    /// A bar that starts now.
    #[must_use]
    pub fn new(style: Style, now: f64) -> Self {
        Self {
            style,
            started_at: now,
            // The first plain line has to wait, the first drawing of a live bar has not.
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

    /// Takes the line back from a bar that was drawn over this one.
    pub fn take_back(&mut self, over: &Self) {
        self.width = over.width;
    }

    /// Notes that a step has ended, and tells whether to draw after it: not again for a while, then.
    pub fn step(&mut self, current: i64, now: f64) -> bool {
        let interval = match self.style {
            Style::Live => LIVE_INTERVAL,
            Style::Plain => PLAIN_INTERVAL,
            Style::Silent | Style::Summary => return false,
        };
        // As Keras does, but for a summary: the first step, which may have compiled something, is
        // left out of the time per step.
        if current == 1 {
            self.first_step_at = Some(now);
        }
        // A clock that was set back must not stop the bar.
        let waited = self.drawn_at.map(|drawn_at| now - drawn_at);
        let due = waited.is_none_or(|waited| !(0.0..interval).contains(&waited));
        if due {
            self.drawn_at = Some(now);
        }
        due
    }

    /// Takes a value; it is shown until there is a newer one of that name.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// The text to print after `current` of `target` steps; nothing, if nothing is to be printed.
    ///
    /// `last`: nothing follows.
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
        // What takes no place on the screen.
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
        // Keras looks at the sign here, unlike in its bar.
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

#[allow(clippy::cast_precision_loss)] // steps, on a display
fn to_float(steps: i64) -> f64 {
    steps as f64
}

fn count(current: i64, target: i64) -> String {
    let digits = target.ilog10() as usize + 1;
    format!("{current:digits$}/{target}")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // cut off on purpose
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
