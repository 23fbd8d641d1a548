//! What lies over the charts: the lists of tags and runs, and the help.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::App;
use crate::keys::{HELP, Mode};
use crate::palette::{CURSOR, Palette};

/// A list in a frame.
pub struct Pane {
    title: &'static str,
    lines: Vec<(String, Style)>,
    /// The line that the keys act on.
    cursor: Option<usize>,
    palette: Palette,
}

impl Pane {
    /// What the mode asks for.
    pub fn new(app: &App, palette: Palette) -> Option<Self> {
        let (title, lines, cursor) = match app.mode {
            Mode::Charts | Mode::Filter(_) => return None,
            Mode::Tags(line) => (" tags: space chooses, a all ", tag_lines(app), Some(line)),
            Mode::Runs(line) => (
                " runs: space on/off, a all ",
                run_lines(app, palette),
                Some(line),
            ),
            Mode::Help => (" keys ", help_lines(), None),
        };
        Some(Self {
            title,
            lines,
            cursor,
            palette,
        })
    }

    /// Its place, at the top left of an area.
    pub fn frame(&self, area: Rect) -> Rect {
        let widths = self.lines.iter().map(|(text, _)| text.chars().count());
        let widest = widths.max().unwrap_or(0).max(self.title.chars().count());
        let fit = |wanted: usize, most: u16| u16::try_from(wanted).map_or(most, |it| it.min(most));
        Rect {
            width: fit(widest + 4, area.width),
            height: fit(self.lines.len() + 2, area.height),
            ..area
        }
    }

    /// Draws the lines around the cursor.
    pub fn draw(self, frame: Rect, buffer: &mut Buffer) {
        if frame.width < 3 || frame.height < 3 {
            return;
        }
        let width = usize::from(frame.width - 2);
        let rows = usize::from(frame.height - 2);
        let quiet = self.palette.quiet();
        buffer.set_string(
            frame.x,
            frame.y,
            format!("╭{:─<width$.width$}╮", self.title),
            quiet,
        );
        let first = self.cursor.unwrap_or(0).saturating_sub(rows / 2);
        let first = first.min(self.lines.len().saturating_sub(rows));
        let in_view = self.lines.into_iter().enumerate().skip(first).take(rows);
        let mut y = frame.y + 1;
        for (line, (text, style)) in in_view {
            let style = if self.cursor == Some(line) {
                style.patch(CURSOR)
            } else {
                style
            };
            buffer.set_string(frame.x, y, format!("│{:width$}│", ""), quiet);
            let text = format!(" {text:<width$}");
            buffer.set_stringn(frame.x + 1, y, text, width, style);
            y += 1;
        }
        buffer.set_string(frame.x, y, format!("╰{:─<width$}╯", ""), quiet);
    }
}

fn tag_lines(app: &App) -> Vec<(String, Style)> {
    let line = |tag: &str| {
        let mark = if app.is_chosen(tag) { "●" } else { "○" };
        (format!("{mark} {tag}"), Style::new())
    };
    app.listed_tags().into_iter().map(line).collect()
}

fn run_lines(app: &App, palette: Palette) -> Vec<(String, Style)> {
    let line = |(number, name): (usize, &String)| {
        if app.shows_run(name) {
            (format!("━ {name}"), palette.run(number))
        } else {
            (format!("  {name}"), palette.quiet())
        }
    };
    app.run_names().iter().enumerate().map(line).collect()
}

fn help_lines() -> Vec<(String, Style)> {
    let line = |(keys, what): &(&str, &str)| (format!("{keys:<9} {what}"), Style::new());
    HELP.iter().map(line).collect()
}
