//! The exact values below a chart that is alone.

use fitwatch_core::runs::Runs;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::App;
use crate::number;
use crate::palette::Palette;
use crate::plot::series;

/// Leaves lines below the chart for a table with a line a run.
pub fn split(area: Rect, runs: usize) -> (Rect, Rect) {
    let wanted = u16::try_from(runs + 1).unwrap_or(u16::MAX);
    let rows = wanted.min(area.height.saturating_sub(12) / 2);
    let rows = if rows < 2 { 0 } else { rows };
    let chart = Rect {
        height: area.height - rows,
        ..area
    };
    (
        chart,
        Rect {
            y: chart.bottom(),
            height: rows,
            ..area
        },
    )
}

/// The newest, the lowest and the highest value of each run, with their steps.
pub fn draw(area: Rect, buffer: &mut Buffer, app: &App, runs: &Runs, tag: &str, palette: Palette) {
    if area.height == 0 {
        return;
    }
    let width = usize::from(area.width);
    // What the numbers leave for the name.
    let room = width.saturating_sub(70).clamp(8, 40);
    let text = |cells: [String; 5]| {
        let [name, points, newest, low, high] = cells;
        format!("  {name:<room$.room$} {points:>11} {newest:>10}  {low:<21} {high:<21}")
    };
    let head = ["run", "points", "newest", "lowest", "highest"].map(str::to_owned);
    buffer.set_stringn(area.x, area.y, text(head), width, palette.quiet());
    let lines = (area.y + 1..area.bottom()).zip(series(app, runs, tag));
    for (y, (run, name, scalars)) in lines {
        let at = |index: usize| {
            let step = scalars.steps().get(index).copied().unwrap_or_default();
            format!(
                "{} at {}",
                number::value(scalars.value(index)),
                number::step(step)
            )
        };
        let (low, high) = scalars
            .extremes()
            .map_or_else(Default::default, |(low, high)| (at(low), at(high)));
        let newest = number::value(scalars.value(scalars.len() - 1));
        let cells = [
            name.to_owned(),
            number::count(scalars.len() as u64),
            newest,
            low,
            high,
        ];
        buffer.set_stringn(area.x, y, text(cells), width, palette.run(run));
    }
}
