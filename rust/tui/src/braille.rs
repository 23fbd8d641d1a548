//! A canvas of braille characters: two by four dots in each cell of the terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Dots in one layer, with the run that was drawn last in each cell.
struct Layer {
    dots: Vec<u8>,
    runs: Vec<usize>,
}

/// Bands below, lines above. A cell has one colour, so a cell with a line shows no band.
pub struct Canvas {
    width: usize,
    height: usize,
    bands: Layer,
    lines: Layer,
}

/// Which of the two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Band,
    Line,
}

impl Canvas {
    /// A canvas of this many cells.
    pub fn new(width: u16, height: u16) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        let layer = || Layer {
            dots: vec![0; width * height],
            runs: vec![0; width * height],
        };
        Self {
            width,
            height,
            bands: layer(),
            lines: layer(),
        }
    }

    /// The number of dots in a row and in a column.
    pub fn dots(&self) -> (usize, usize) {
        (self.width * 2, self.height * 4)
    }

    /// Sets a dot; (0, 0) is at the top left. Dots outside are left out.
    pub fn dot(&mut self, depth: Depth, run: usize, x: usize, y: usize) {
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        if x >= self.width * 2 || y >= self.height * 4 {
            return;
        }
        let cell = y / 4 * self.width + x / 2;
        let layer = match depth {
            Depth::Band => &mut self.bands,
            Depth::Line => &mut self.lines,
        };
        layer.dots[cell] |= BITS[x % 2][y % 4];
        layer.runs[cell] = run;
    }

    /// Sets all dots of a column between two rows, both included.
    pub fn column(&mut self, depth: Depth, run: usize, x: usize, rows: (usize, usize)) {
        for y in rows.0.min(rows.1)..=rows.0.max(rows.1) {
            self.dot(depth, run, x, y);
        }
    }

    /// Draws a line from one dot to another at its right. Each column has the dots that connect it
    /// with its neighbours.
    pub fn line(&mut self, depth: Depth, run: usize, from: (usize, usize), to: (usize, usize)) {
        let steps = to.0.saturating_sub(from.0);
        let mut before = from.1;
        for step in 0..=steps {
            let y = between(from.1, to.1, step, steps);
            self.column(depth, run, from.0 + step, (toward(y, before), y));
            before = y;
        }
    }

    /// Writes the cells that have dots.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, style: impl Fn(Depth, usize) -> Style) {
        for row in 0..area.height {
            for column in 0..area.width {
                let cell = usize::from(row) * self.width + usize::from(column);
                let (depth, layer) = match self.lines.dots.get(cell) {
                    Some(0) => (Depth::Band, &self.bands),
                    Some(_) => (Depth::Line, &self.lines),
                    None => continue,
                };
                let dots = layer.dots[cell];
                let place = (area.x + column, area.y + row);
                if let (1.., Some(target)) = (dots, buffer.cell_mut(place)) {
                    let symbol = char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ');
                    target
                        .set_char(symbol)
                        .set_style(style(depth, layer.runs[cell]));
                }
            }
        }
    }
}

/// The row after `step` of `steps` columns.
fn between(from: usize, to: usize, step: usize, steps: usize) -> usize {
    if steps == 0 {
        return to;
    }
    let part = to.abs_diff(from) * step * 2 / steps;
    let part = part.div_ceil(2);
    if to > from { from + part } else { from - part }
}

/// The row next to `y` on the side of `other`, or `y` itself.
fn toward(y: usize, other: usize) -> usize {
    match other.cmp(&y) {
        std::cmp::Ordering::Less => other + 1,
        std::cmp::Ordering::Equal => y,
        std::cmp::Ordering::Greater => other - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::text;

    fn drawn(canvas: &Canvas) -> String {
        let area = Rect::new(0, 0, 4, 2);
        let mut buffer = Buffer::empty(area);
        canvas.draw(area, &mut buffer, |_, _| Style::new());
        text(&buffer)
    }

    #[test]
    fn a_rising_line_is_connected() {
        let mut canvas = Canvas::new(4, 2);
        canvas.line(Depth::Line, 0, (0, 7), (7, 0));
        assert_eq!(drawn(&canvas), "  ⡠⠊\n⡠⠊\n");
    }

    #[test]
    fn a_steep_line_has_no_gap() {
        let mut canvas = Canvas::new(4, 2);
        canvas.line(Depth::Line, 0, (1, 7), (2, 0));
        assert_eq!(drawn(&canvas), " ⡇\n⢀⠇\n");
    }

    #[test]
    fn lines_hide_bands_in_their_cells() {
        let mut canvas = Canvas::new(4, 2);
        for x in 0..8 {
            canvas.column(Depth::Band, 1, x, (0, 7));
        }
        canvas.line(Depth::Line, 0, (0, 1), (7, 1));
        assert_eq!(drawn(&canvas), "⠒⠒⠒⠒\n⣿⣿⣿⣿\n");
    }

    #[test]
    fn dots_outside_are_left_out() {
        let mut canvas = Canvas::new(1, 1);
        canvas.dot(Depth::Line, 0, 2, 0);
        canvas.dot(Depth::Line, 0, 0, 4);
        assert!(canvas.lines.dots.iter().all(|&dots| dots == 0));
    }
}
