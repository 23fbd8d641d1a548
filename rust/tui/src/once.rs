//! One frame as text.

use std::fmt::Write as _;
use std::time::SystemTime;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::app::App;
use crate::header::Status;
use crate::palette::Palette;
use crate::{Error, Options, screen};
use fitwatch_core::runs::{self, Runs};

/// Reads the runs and draws them into a text of `size` (columns, lines), with colours if the
/// options ask for them. The text has no other control characters.
///
/// # Errors
/// When there is nothing to read, or the filter of tags is not a regular expression.
pub fn once(options: &Options, size: (u16, u16)) -> Result<String, Error> {
    let mut app = App::new(options.tags.as_deref(), options.log)?;
    let mut runs = Runs::read(&options.path, runs::Options::default())?;
    app.sync(&runs);
    let status = Status {
        folder: options.path.display().to_string(),
        rate: None,
        now: now(),
        note: runs.take_warnings().pop(),
    };
    let palette = palette(options);
    let area = Rect::new(0, 0, size.0.max(1), size.1.max(1));
    let mut buffer = Buffer::empty(area);
    screen::draw(area, &mut buffer, &app, Some(&runs), &status, palette);
    Ok(text(&buffer))
}

/// The colours that the options and the environment allow.
pub fn palette(options: &Options) -> Palette {
    if options.colour {
        Palette::of_terminal(|name| std::env::var(name).ok())
    } else {
        Palette::MONO
    }
}

/// Seconds since the epoch.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |duration| duration.as_secs_f64())
}

/// Lines without spaces at their ends. Without colours there are no escape sequences at all.
fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let coloured = buffer.content.iter().any(|cell| cell.fg != Color::Reset);
    let style_of = |cell: &Cell| Style::new().fg(cell.fg).add_modifier(cell.modifier);
    let plain = style_of(&Cell::EMPTY);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let used = row
            .iter()
            .rposition(|cell| cell.symbol() != " ")
            .map_or(0, |last| last + 1);
        let mut before = plain;
        let mut covered = 0;
        for cell in &row[..used] {
            // A wide character covers the cell after it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = Span::raw(cell.symbol()).width().saturating_sub(1);
            let style = style_of(cell);
            if coloured && style != before {
                escape(&mut text, style);
                before = style;
            }
            text.push_str(cell.symbol());
        }
        if before != plain {
            text.push_str("\x1b[0m");
        }
        text.push('\n');
    }
    text
}

/// The escape sequence that sets a style.
fn escape(text: &mut String, style: Style) {
    text.push_str("\x1b[0");
    let modifiers = [
        (Modifier::BOLD, ";1"),
        (Modifier::DIM, ";2"),
        (Modifier::REVERSED, ";7"),
    ];
    for (_, code) in modifiers
        .iter()
        .filter(|(modifier, _)| style.add_modifier.contains(*modifier))
    {
        text.push_str(code);
    }
    // Writing to a string does not fail.
    _ = match style.fg {
        Some(Color::Indexed(index)) => write!(text, ";38;5;{index}"),
        Some(Color::Rgb(red, green, blue)) => write!(text, ";38;2;{red};{green};{blue}"),
        Some(basic) => write!(text, "{}", basic_code(basic)),
        None => Ok(()),
    };
    text.push('m');
}

/// The code of one of the colours that every terminal has.
fn basic_code(colour: Color) -> &'static str {
    match colour {
        Color::Red => ";31",
        Color::Green => ";32",
        Color::Yellow => ";33",
        Color::Blue => ";34",
        Color::Magenta => ";35",
        Color::Cyan => ";36",
        Color::Gray => ";37",
        Color::DarkGray => ";90",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write;

    #[test]
    fn without_colours_there_are_no_escape_sequences() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".", "loss", &[2.0, 1.0]);
        let mut options = Options {
            path: folder.path().to_owned(),
            tags: None,
            log: false,
            colour: false,
        };
        let frame = once(&options, (60, 12)).unwrap();
        assert_eq!(frame.lines().count(), 12);
        assert!(frame.ends_with('\n') && !frame.contains('\x1b'));
        options.tags = Some("(".to_owned());
        assert!(matches!(once(&options, (60, 12)), Err(Error::Filter(_))));
        options.path.push("missing");
        options.tags = None;
        assert!(matches!(once(&options, (60, 12)), Err(Error::Read(_))));
    }

    #[test]
    fn styles_are_set_where_they_change() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 2));
        buffer.set_string(0, 0, "ab", Style::new().fg(Color::Rgb(1, 2, 3)));
        buffer.set_string(2, 0, "c", Style::new().fg(Color::Indexed(9)));
        buffer.set_string(
            3,
            0,
            "d",
            Style::new().fg(Color::Red).add_modifier(Modifier::DIM),
        );
        buffer.set_string(0, 1, "日x", Style::new());
        let expected = "\x1b[0;38;2;1;2;3mab\x1b[0;38;5;9mc\x1b[0;2;31md\x1b[0m\n日x\n";
        assert_eq!(text(&buffer), expected);
    }
}
