//! The loop of the live view.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{Event, KeyEventKind};

use crate::app::App;
use crate::header::Status;
use crate::keys::{Action, action};
use crate::once::{now, palette};
use crate::source::Source;
use crate::terminal::{Signal, Terminal};
use crate::{Error, Options, Outcome, screen};

/// The least time between two frames with new data.
const FRAME: Duration = Duration::from_millis(500);

/// How often the times in the header are brought up to date when nothing is new.
const CLOCK: Duration = Duration::from_secs(5);

/// Bytes in a second that new data may take, on a slow line.
const BYTES_PER_SECOND: f64 = 4096.0;

/// How soon a signal is noticed.
const TICK: Duration = Duration::from_millis(100);

/// How long a warning stays.
const NOTE: Duration = Duration::from_secs(8);

/// Shows the runs until the user quits, and restores the terminal.
///
/// # Errors
/// When there is no such path, the output is not a terminal, or files cannot be read.
pub fn watch(options: &Options) -> Result<Outcome, Error> {
    let mut app = App::new(options.tags.as_deref(), options.log)?;
    let mut source = Source::open(&options.path)?;
    let mut terminal = Terminal::enter()?;
    let palette = palette(options);
    let mut status = Status {
        folder: options.path.display().to_string(),
        ..Status::default()
    };
    let mut note_until = None;
    let (mut draw_now, mut is_stale) = (true, false);
    let mut next_frame = Instant::now();
    let mut next_clock = next_frame;
    loop {
        let start = Instant::now();
        is_stale |= source.poll(start)?;
        if let Some(warning) = source.take_warning() {
            status.note = Some(warning);
            note_until = Some(start + NOTE);
            is_stale = true;
        } else if note_until.is_none_or(|until| until < start) {
            let note = source.waits_for();
            is_stale |= note != status.note;
            status.note = note;
        }
        if draw_now || is_stale && start >= next_frame || start >= next_clock {
            if let Some(runs) = source.runs() {
                app.sync(runs);
            }
            status.rate = source.rate();
            status.now = now();
            let bytes = terminal.draw(|frame| {
                let area = frame.area();
                screen::draw(
                    area,
                    frame.buffer_mut(),
                    &app,
                    source.runs(),
                    &status,
                    palette,
                );
            })?;
            #[allow(clippy::cast_precision_loss)] // a few thousand
            let rest = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
            next_frame = Instant::now() + FRAME.max(rest);
            next_clock = next_frame + CLOCK;
            (draw_now, is_stale) = (false, false);
        }
        match terminal.signal() {
            Some(Signal::Interrupt) => return Ok(Outcome::Interrupted),
            Some(Signal::Terminate) => return Ok(Outcome::Terminated),
            None => {}
        }
        let mut timeout = TICK;
        while let Some(event) = terminal.event(timeout)? {
            timeout = Duration::ZERO;
            draw_now = true;
            let Event::Key(key) = event else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match action(key, &app.mode) {
                Some(Action::Quit) => return Ok(Outcome::Quit),
                Some(Action::Interrupt) => return Ok(Outcome::Interrupted),
                Some(Action::Suspend) => terminal.suspend(),
                Some(Action::Redraw) => terminal.clear()?,
                Some(action) => {
                    if let Some(runs) = source.runs() {
                        app.apply(action, runs);
                    }
                }
                None => {}
            }
        }
    }
}
