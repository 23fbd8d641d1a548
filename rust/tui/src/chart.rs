//! One chart: title with the newest values, axes, bands and lines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::axis::{Axis, Tick};
use crate::braille::{Canvas, Depth};
use crate::number;
use crate::palette::{FOCUS, Palette};
use crate::plot::{Curve, Plot};
use fitwatch_core::runs::Column;

/// The width of the labels of the value axis, with the axis itself.
const GUTTER: u16 = 8;

/// How a chart is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub palette: Palette,
    pub log: bool,
    pub smooth: bool,
    pub focused: bool,
}

/// How many columns of dots a chart of this size has.
pub fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(GUTTER)) * 2
}

/// Draws the chart of a tag.
pub fn draw(area: Rect, buffer: &mut Buffer, plot: &Plot, look: Look) {
    if area.width <= GUTTER + 4 || area.height < 4 {
        return;
    }
    let (axis, note) = value_axis(&plot.curves, look.log);
    title(
        area,
        buffer,
        plot,
        look,
        if axis.is_some() { note } else { "" },
    );
    let inner = Rect {
        x: area.x + GUTTER,
        y: area.y + 1,
        width: area.width - GUTTER,
        height: area.height - 2,
    };
    let quiet = look.palette.quiet();
    let Some(axis) = axis else {
        let middle = inner.y + inner.height / 2;
        buffer.set_stringn(inner.x, middle, note, usize::from(inner.width), quiet);
        draw_odd(inner, buffer, plot, look);
        return;
    };
    let wanted = (usize::from(inner.height) * 2 / 3).clamp(2, 9);
    value_labels(inner, buffer, &axis.ticks(wanted), quiet);
    let steps = Axis::new(plot.from, plot.to);
    let wanted = usize::from(inner.width / 8).clamp(2, 12);
    step_labels(inner, buffer, &steps.ticks(wanted), quiet);
    draw_curves(inner, buffer, plot, axis, look);
    draw_odd(inner, buffer, plot, look);
}

/// The axis for everything that is drawn, and a note for the title. None if no value is finite.
fn value_axis(curves: &[Curve], log: bool) -> (Option<Axis>, &'static str) {
    let all = || curves.iter().flat_map(|curve| &curve.columns);
    let high = all()
        .map(|column| column.high)
        .fold(f64::NEG_INFINITY, f64::max);
    let low = all().map(|column| column.low).fold(f64::INFINITY, f64::min);
    if low > high {
        let has_points = all().next().is_some();
        let note = if has_points {
            "no finite value"
        } else {
            "no points here"
        };
        return (None, note);
    }
    let linear = Some(Axis::linear(low, high));
    if !log {
        return (linear, "");
    }
    let values = all().flat_map(|column| [column.low, column.mean, column.high]);
    let lowest = values
        .filter(|&value| value > 0.0)
        .fold(f64::INFINITY, f64::min);
    match Axis::log(lowest, high) {
        None => (linear, "linear: nothing above 0"),
        axis => (axis, ""),
    }
}

/// The tag at the left, the newest value of each run at the right, as far as they fit.
fn title(area: Rect, buffer: &mut Buffer, plot: &Plot, look: Look, note: &str) {
    let palette = look.palette;
    let style = if look.focused { FOCUS } else { Style::new() };
    let mark = if look.focused { "▸ " } else { "  " };
    let mut left = vec![
        Span::styled(mark, style),
        Span::styled(plot.tag.as_str(), style),
    ];
    if !note.is_empty() {
        left.push(Span::styled(format!("  {note}"), palette.quiet()));
    }
    let left = Line::from(left);
    let room = usize::from(area.width).saturating_sub(left.width() + 2);
    buffer.set_line(area.x, area.y, &left, area.width);

    let values = newest(plot, palette, room);
    #[allow(clippy::cast_possible_truncation)] // at most the width of the area
    let width = values.width() as u16;
    buffer.set_line(area.right() - width, area.y, &values, width);
}

/// The newest value of each run, with its name if all have room with their names. What has no room
/// is counted.
fn newest(plot: &Plot, palette: Palette, room: usize) -> Line<'static> {
    let text = |curve: &Curve, with_name| {
        let value = number::value(curve.newest);
        if with_name {
            format!("{} {value}", curve.name)
        } else {
            value
        }
    };
    let spans = |with_name| {
        plot.curves.iter().map(move |curve| {
            let is_odd = !curve.newest.is_finite();
            let style = if is_odd {
                palette.alarm()
            } else {
                palette.run(curve.run)
            };
            Span::styled(text(curve, with_name), style)
        })
    };
    let with_names: usize = spans(true).map(|span| span.width() + 2).sum();
    let mut line = Line::default();
    let mut used = 0;
    for (place, span) in spans(with_names <= room + 2).enumerate() {
        let rest = plot.curves.len() - place;
        let gap = if place == 0 { 0 } else { 2 };
        used += gap + span.width();
        if used + if rest > 1 { 6 } else { 0 } > room {
            if place > 0 {
                line.push_span(Span::styled(format!("  +{rest}"), palette.quiet()));
            }
            break;
        }
        line.push_span(Span::raw(" ".repeat(gap)));
        line.push_span(span);
    }
    line
}

/// The row of dots or cells at a position on an axis, from the top.
fn row(position: f64, rows: usize) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )] // a position is from 0 to 1
    let from_below = (position * (rows - 1) as f64).round() as usize;
    rows - 1 - from_below.min(rows - 1)
}

fn value_labels(inner: Rect, buffer: &mut Buffer, ticks: &[Tick], style: Style) {
    for y in inner.y..inner.y + inner.height {
        buffer.set_string(inner.x - 1, y, "│", style);
    }
    let rows = usize::from(inner.height) * 4;
    for (position, label) in ticks {
        #[allow(clippy::cast_possible_truncation)] // less than the height
        let y = inner.y + (row(*position, rows) / 4) as u16;
        let width = usize::from(GUTTER - 2);
        let text = format!("{label:>width$} ┤");
        buffer.set_stringn(inner.x - GUTTER, y, text, usize::from(GUTTER), style);
    }
}

fn step_labels(inner: Rect, buffer: &mut Buffer, ticks: &[Tick], style: Style) {
    let y = inner.y + inner.height;
    let mut free = inner.x.saturating_sub(GUTTER);
    for (position, label) in ticks {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let middle = inner.x + (position * f64::from(inner.width - 1)).round() as u16;
        #[allow(clippy::cast_possible_truncation)] // a label is short
        let width = label.chars().count() as u16;
        let end = inner.x + inner.width;
        let start = middle
            .saturating_sub(width / 2)
            .min(end.saturating_sub(width));
        if start >= free && width <= inner.width {
            buffer.set_string(start, y, label, style);
            free = start + width + 2;
        }
    }
}

/// All bands, then all lines over them.
fn draw_curves(inner: Rect, buffer: &mut Buffer, plot: &Plot, axis: Axis, look: Look) {
    let mut canvas = Canvas::new(inner.width, inner.height);
    let (width, height) = canvas.dots();
    let place = |x: f64| column_of(x, plot, width);
    let y = |value: f64| row(axis.position(value), height);
    for curve in &plot.curves {
        for column in curve
            .columns
            .iter()
            .filter(|column| column.high > column.low)
        {
            let rows = (y(column.high), y(column.low));
            canvas.column(Depth::Band, curve.run, place(column.x), rows);
        }
    }
    for curve in &plot.curves {
        let mut draw = |depth, value: fn(&Column) -> f64| {
            let points = curve
                .columns
                .iter()
                .filter(|column| value(column).is_finite());
            let mut points = points.map(|column| (place(column.x), y(value(column))));
            let Some(mut before) = points.next() else {
                return;
            };
            canvas.line(depth, curve.run, before, before);
            for point in points {
                canvas.line(depth, curve.run, before, point);
                before = point;
            }
        };
        if look.smooth {
            draw(Depth::Band, |column| column.mean);
            draw(Depth::Line, |column| column.smoothed);
        } else {
            draw(Depth::Line, |column| column.mean);
        }
    }
    canvas.draw(inner, buffer, |depth, run| match depth {
        Depth::Band => look.palette.band(run),
        Depth::Line => look.palette.run(run),
    });
    for curve in &plot.curves {
        // A single dot is easily overlooked.
        if let [column] = &curve.columns[..]
            && column.mean.is_finite()
            && column.low >= column.high
        {
            #[allow(clippy::cast_possible_truncation)] // within the area
            let at = (
                inner.x + (place(column.x) / 2) as u16,
                inner.y + (y(column.mean) / 4) as u16,
            );
            buffer.set_string(at.0, at.1, "•", look.palette.run(curve.run));
        }
    }
}

/// Marks columns that have values that are not finite: NaN and -inf below, +inf above.
fn draw_odd(inner: Rect, buffer: &mut Buffer, plot: &Plot, look: Look) {
    let bottom = inner.y + inner.height - 1;
    let marks = [(4, "↓", bottom), (2, "↑", inner.y), (1, "×", bottom)];
    for column in plot.curves.iter().flat_map(|curve| &curve.columns) {
        for (_, symbol, y) in marks.iter().filter(|(bit, ..)| column.odd & bit != 0) {
            let dots = usize::from(inner.width) * 2;
            #[allow(clippy::cast_possible_truncation)] // within the area
            let x = inner.x + (column_of(column.x, plot, dots) / 2) as u16;
            buffer.set_string(x, *y, symbol, look.palette.alarm());
        }
    }
}

fn column_of(x: f64, plot: &Plot, columns: usize) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )] // saturates at both ends
    let column = ((x - plot.from) / (plot.to - plot.from) * columns as f64) as usize;
    column.min(columns.saturating_sub(1))
}

#[cfg(test)]
mod tests;
