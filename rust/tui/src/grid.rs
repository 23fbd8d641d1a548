//! Where the charts stand.

use ratatui::layout::Rect;

/// The least size of a chart in a grid.
pub const LEAST: (u16, u16) = (36, 8);

/// Charts of the same size, in rows.
#[derive(Debug, PartialEq)]
pub struct Grid {
    columns: u16,
    rows: u16,
}

impl Grid {
    /// As many charts as have room; if all have, in the shape in which they are widest.
    pub fn new(area: Rect, charts: usize) -> Self {
        let charts = u16::try_from(charts).unwrap_or(u16::MAX);
        let most = (
            (area.width / LEAST.0).max(1),
            (area.height / LEAST.1).max(1),
        );
        let all = (1..=most.0.min(charts)).map(|columns| (columns, charts.div_ceil(columns)));
        // Twice as wide as high is about five cells to one.
        let shape = |&(columns, rows): &(u16, u16)| {
            let width = f64::from(area.width) / f64::from(columns);
            let height = f64::from(area.height) / f64::from(rows);
            (width / height / 4.5).ln().abs() + 0.2 * f64::from(columns * rows - charts)
        };
        let fitting = all.filter(|&(_, rows)| rows <= most.1);
        let (columns, rows) = fitting
            .min_by(|a, b| shape(a).total_cmp(&shape(b)))
            .unwrap_or(most);
        Self { columns, rows }
    }

    pub fn places(&self) -> usize {
        usize::from(self.columns) * usize::from(self.rows)
    }

    /// The chart at the top left, with whole rows and the chart in focus in view.
    pub fn first(&self, focused: usize, charts: usize) -> usize {
        let columns = usize::from(self.columns);
        let (row, rows) = (focused / columns, usize::from(self.rows));
        let last = charts.div_ceil(columns).saturating_sub(rows);
        (row.saturating_sub(rows / 2).min(last)) * columns
    }

    /// The area of a place, with a margin.
    pub fn cell(&self, area: Rect, place: usize) -> Rect {
        #[allow(clippy::cast_possible_truncation)] // within the screen
        let place = place as u16;
        let (column, row) = (place % self.columns, place / self.columns);
        let share = |all: u16, parts: u16, part: u16| {
            u16::try_from(u32::from(all) * u32::from(part) / u32::from(parts)).unwrap_or(all)
        };
        let (left, right) = (
            share(area.width, self.columns, column),
            share(area.width, self.columns, column + 1),
        );
        let (top, bottom) = (
            share(area.height, self.rows, row),
            share(area.height, self.rows, row + 1),
        );
        Rect::new(area.x + left, area.y + top, right - left - 1, bottom - top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_fit_the_screen() {
        let grid = |width, height, charts| {
            let grid = Grid::new(Rect::new(0, 0, width, height), charts);
            (grid.columns, grid.rows)
        };
        assert_eq!(grid(40, 10, 9), (1, 1));
        assert_eq!(grid(80, 22, 4), (2, 2));
        assert_eq!(grid(300, 98, 1), (1, 1));
        assert_eq!(grid(300, 98, 4), (2, 2));
        assert_eq!(grid(300, 98, 500), (8, 12));
        let grid = Grid {
            columns: 2,
            rows: 3,
        };
        let firsts: Vec<usize> = (0..9).map(|focused| grid.first(focused, 9)).collect();
        assert_eq!(firsts, [0, 0, 0, 0, 2, 2, 4, 4, 4]);
    }
}
