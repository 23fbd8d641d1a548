//! What several unit tests use.

use std::path::Path;

use fitwatch_core::files::event_file::{EventFile, Template};
use fitwatch_core::runs::{self, Runs};
use ratatui::buffer::{Buffer, Cell};

/// When all values of the tests are written.
pub const WRITTEN: f64 = 1_700_000_000.0;

/// The characters of a buffer, without styles and without spaces at the ends of lines.
pub fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let line: String = row.iter().map(Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes values of a tag at the steps 0, 1, 2, ... into a new file of a run.
pub fn write(folder: &Path, run: &str, tag: &str, values: &[f32]) {
    let file = EventFile::create(&folder.join(run), "host", None, WRITTEN).unwrap();
    let template = Template::new(tag);
    for (step, value) in (0_i64..).zip(values) {
        file.add(&template, *value, step, WRITTEN);
    }
    file.close();
}

/// The runs of a folder.
pub fn read(folder: &Path) -> Runs {
    Runs::read(folder, runs::Options::default()).unwrap()
}
