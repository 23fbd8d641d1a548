//! The whole screen: header, charts in a grid, a line of hints.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::chart::{self, Look};
use crate::grid::{Grid, LEAST};
use crate::header::{self, Status};
use crate::keys::Mode;
use crate::lists::Pane;
use crate::palette::{CURSOR, FOCUS, Palette};
use crate::plot::{Plot, series};
use crate::table;
use fitwatch_core::runs::Runs;

/// Keys that are worth a hint, by importance.
const HINTS: [(&str, &str); 10] = [
    ("?", "help"),
    ("q", "quit"),
    ("↑↓", "chart"),
    ("+−", "zoom"),
    ("←→", "move"),
    ("L", "log"),
    ("s", "smooth"),
    ("space", "tags"),
    ("r", "runs"),
    ("/", "filter"),
];

/// Draws everything; without runs, what is being waited for.
pub fn draw(
    area: Rect,
    buffer: &mut Buffer,
    app: &App,
    runs: Option<&Runs>,
    status: &Status,
    palette: Palette,
) {
    let top = header::title(app, runs, status, palette, area.width);
    buffer.set_line(area.x, area.y, &top, area.width);
    let Some(runs) = runs else {
        let line = Line::styled(status.note.clone().unwrap_or_default(), palette.quiet());
        draw_text(area, buffer, &line);
        return;
    };
    let most = match area.height {
        0..12 => 0,
        12..20 => 1,
        20..40 => 3,
        _ => 6,
    };
    let lines = header::runs(app, runs, status, palette, (area.width, most));
    let mut y = area.y + 1;
    for line in &lines {
        buffer.set_line(area.x, y, line, area.width);
        y += 1;
    }
    let bottom = area.bottom().saturating_sub(1).max(y);
    let charts = Rect {
        y,
        height: bottom - y,
        ..area
    };
    let drawn = if let Some(pane) = Pane::new(app, palette) {
        let frame = pane.frame(charts);
        let rest = Rect {
            x: frame.right(),
            width: charts.width - frame.width,
            ..charts
        };
        // Beside the list if there is room, else below it.
        let area = if rest.width < LEAST.0 { charts } else { rest };
        let drawn = draw_charts(area, buffer, app, runs, palette);
        pane.draw(frame, buffer);
        drawn
    } else {
        draw_charts(charts, buffer, app, runs, palette)
    };
    if bottom < area.bottom() {
        let all = app.shown_tags().len();
        let note = if drawn < all {
            format!("{drawn}/{all} charts ")
        } else {
            String::new()
        };
        let width = u16::try_from(note.len()).unwrap_or(0).min(area.width);
        let line = footer(app, status, palette, area.width - width);
        buffer.set_line(area.x, bottom, &line, area.width - width);
        buffer.set_string(area.right() - width, bottom, note, palette.quiet());
    }
}

/// Returns the number of charts that have room.
fn draw_charts(area: Rect, buffer: &mut Buffer, app: &App, runs: &Runs, palette: Palette) -> usize {
    let tags = app.shown_tags();
    if tags.is_empty() {
        let text = match app.filter() {
            Some(filter) => format!("no tag matches {filter}"),
            None => "no scalars in these runs".to_owned(),
        };
        draw_text(area, buffer, &Line::styled(text, palette.quiet()));
        return 0;
    }
    let focused = app.focused();
    let look = |focused| Look {
        palette,
        log: app.log,
        smooth: app.smooth,
        focused,
    };
    if app.alone {
        let (area, below) = table::split(area, series(app, runs, tags[focused]).count());
        let plot = Plot::new(app, runs, tags[focused], chart::columns(area));
        chart::draw(area, buffer, &plot, look(true));
        table::draw(below, buffer, app, runs, tags[focused], palette);
        return 1;
    }
    let grid = Grid::new(area, tags.len());
    let first = grid.first(focused, tags.len());
    for (place, (number, tag)) in tags
        .iter()
        .enumerate()
        .skip(first)
        .take(grid.places())
        .enumerate()
    {
        let cell = grid.cell(area, place);
        let plot = Plot::new(app, runs, tag, chart::columns(cell));
        chart::draw(cell, buffer, &plot, look(number == focused));
    }
    grid.places().min(tags.len() - first)
}

/// A line in the middle.
fn draw_text(area: Rect, buffer: &mut Buffer, line: &Line<'static>) {
    let y = area.y + area.height / 2;
    if y < area.bottom() {
        let margin = usize::from(area.width).saturating_sub(line.width()) / 2;
        let margin = u16::try_from(margin).unwrap_or(0);
        buffer.set_line(area.x + margin, y, line, area.width - margin);
    }
}

/// A filter that is typed, a warning, or hints.
fn footer(app: &App, status: &Status, palette: Palette, width: u16) -> Line<'static> {
    if let Mode::Filter(text) = &app.mode {
        let matches = format!("  {} tags", app.listed_tags().len());
        return Line::from(vec![
            Span::styled(format!(" /{text}"), FOCUS),
            Span::styled(" ", CURSOR),
            Span::styled(matches, palette.quiet()),
        ]);
    }
    if let Some(note) = &status.note {
        return Line::styled(format!(" {note}"), palette.alarm());
    }
    let mut line = Line::from(" ");
    if let Some(filter) = app.filter() {
        line.push_span(Span::styled(format!("/{filter}   "), FOCUS));
    }
    for (key, what) in HINTS {
        if line.width() + key.chars().count() + what.len() + 3 > usize::from(width) {
            break;
        }
        line.push_span(Span::styled(format!("{key} "), Style::new()));
        line.push_span(Span::styled(format!("{what}   "), palette.quiet()));
    }
    line
}

#[cfg(test)]
mod tests;
