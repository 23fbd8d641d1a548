//! The lines above the charts: the folder, the runs, how fast they are.

use ratatui::text::{Line, Span};

use crate::app::App;
use crate::number;
use crate::palette::{FOCUS, Palette};
use crate::tags;
use fitwatch_core::runs::{Run, Runs};

/// A run without a new value for so many seconds is quiet.
const QUIET: f64 = 60.0;

/// What is known beside the runs.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The folder, as the user has typed it.
    pub folder: String,
    /// Points that were added in a second, lately; None if that is not known.
    pub rate: Option<f64>,
    /// Seconds since the epoch.
    pub now: f64,
    /// A warning, or what is being waited for.
    pub note: Option<String>,
}

/// The first line: what is watched, how it is shown, and how much of it there is.
pub fn title(
    app: &App,
    runs: Option<&Runs>,
    status: &Status,
    palette: Palette,
    width: u16,
) -> Line<'static> {
    let all = || runs.iter().flat_map(|runs| runs.iter());
    let points: usize = all()
        .flat_map(|(_, run)| run.scalars().values())
        .map(fitwatch_core::runs::Scalars::len)
        .sum();
    let number = all().count();
    let mut facts = vec![
        format!(
            "{} run{}",
            number::count(number as u64),
            if number == 1 { "" } else { "s" }
        ),
        format!("{} points", number::count(points as u64)),
    ];
    if let Some(rate) = status.rate {
        facts.push(format!("{}/s", number::short(rate.round())));
    }
    let facts = facts.join(" · ");
    let modes = match (app.log, app.smooth) {
        (false, false) => "",
        (true, false) => "  log",
        (false, true) => "  smoothed",
        (true, true) => "  log  smoothed",
    };
    let width = usize::from(width).saturating_sub(modes.len());
    let room = width.saturating_sub(facts.chars().count() + 4);
    let folder = shortened(&status.folder, room);
    let gap = width.saturating_sub(folder.chars().count() + facts.chars().count() + 2);
    Line::from(vec![
        Span::styled(format!(" {folder}"), FOCUS),
        Span::raw(modes),
        Span::raw(" ".repeat(gap)),
        Span::styled(facts, palette.quiet()),
    ])
}

/// The runs in their colours. Those that tell how fast they are have a line each, as long as there
/// are lines; the others share one.
pub fn runs(
    app: &App,
    runs: &Runs,
    status: &Status,
    palette: Palette,
    size: (u16, usize),
) -> Vec<Line<'static>> {
    let (width, most) = size;
    if most == 0 {
        return Vec::new();
    }
    let shown = || runs.iter().filter(|(name, _)| app.shows_run(name));
    // One line is for those that have none of their own.
    let rows = if shown().count() == 1 { 1 } else { most - 1 };
    let (mut lines, mut others) = (Vec::new(), Vec::new());
    for (name, run) in shown() {
        let mut spans = vec![
            Span::styled(format!(" ━ {name}"), palette.run(app.number_of(name))),
            Span::raw("  "),
        ];
        let facts = speed(run, status.now);
        if facts.is_empty() || lines.len() == rows {
            others.push(spans);
        } else {
            let used = Line::from(spans.clone()).width();
            let room = usize::from(width).saturating_sub(used);
            spans.push(Span::styled(joined(&facts, room), palette.quiet()));
            lines.push(Line::from(spans));
        }
    }
    if !others.is_empty() {
        lines.insert(0, legend(others, palette, width));
    }
    lines
}

/// Names of runs, as many as fit.
fn legend(names: Vec<Vec<Span<'static>>>, palette: Palette, width: u16) -> Line<'static> {
    let number = names.len();
    let mut line = Line::default();
    for (place, name) in names.into_iter().enumerate() {
        let is_last = place + 1 == number;
        let needed = Line::from(name.clone()).width() + if is_last { 0 } else { 6 };
        if line.width() + needed > usize::from(width) {
            let rest = format!(" +{} more", number - place);
            line.push_span(Span::styled(rest, palette.quiet()));
            break;
        }
        line.spans.extend(name);
    }
    line
}

/// How fast a run is, and when it ends: what monitors have recorded.
fn speed(run: &Run, now: f64) -> Vec<String> {
    let get = |name: &str| Some(tags::newest(run, name)?.0).filter(|value| value.is_finite());
    let mut facts = Vec::new();
    let mut push = |fact: Option<String>| facts.extend(fact);
    push(end(run, now));
    let batches = get("batches_per_second").or_else(|| get("steps_per_second"));
    push(batches.map(|rate| format!("{} batches/s", number::value(rate))));
    push(get("samples_per_second").map(|rate| format!("{} samples/s", number::short(rate))));
    push(get("data_wait").map(|part| format!("waits for data {:.0}%", part * 100.0)));
    push(get("step_time_p50").map(|time| format!("step p50 {}", number::seconds(time))));
    push(get("step_time_p99").map(|time| format!("p99 {}", number::seconds(time))));
    push(get("memory_rss").map(|size| format!("memory {}", number::memory(size))));
    push(get("device_memory").map(|size| format!("device {}", number::memory(size))));
    facts
}

/// The estimated end; the silence of a run that has stopped.
fn end(run: &Run, now: f64) -> Option<String> {
    let (seconds, written) = tags::newest(run, "eta_seconds")?;
    let silence = now - written;
    if silence > QUIET {
        return Some(format!("nothing new for {}", number::clock(silence)));
    }
    // Without a time of its own, the estimate stands as it was written.
    let left = seconds - silence.max(0.0);
    left.is_finite()
        .then(|| format!("ends in {}", number::clock(left)))
}

/// As many facts as fit.
fn joined(facts: &[String], room: usize) -> String {
    let mut text = String::new();
    for fact in facts {
        let separator = if text.is_empty() { "" } else { " · " };
        if text.chars().count() + separator.len() + fact.chars().count() > room {
            break;
        }
        text.push_str(separator);
        text.push_str(fact);
    }
    text
}

/// The end of a path that is too long.
fn shortened(path: &str, room: usize) -> String {
    let length = path.chars().count();
    if length <= room {
        return path.to_owned();
    }
    let rest: String = path.chars().skip(length + 1 - room.max(1)).collect();
    format!("…{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::Depth;
    use crate::testing::{WRITTEN, read, write};

    fn status(after: f64) -> Status {
        Status {
            folder: "logs/mnist".to_owned(),
            rate: Some(41_234.0),
            now: WRITTEN + after,
            note: None,
        }
    }

    fn rows(after: f64, width: u16, most: usize) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let train = [
            ("batch_batches_per_second", 812.0),
            ("batch_samples_per_second", 25_984.0),
            ("batch_data_wait", 0.03),
            ("batch_step_time_p50", 0.0012),
            ("batch_eta_seconds", 5025.0),
            ("batch_memory_rss", 3.4e9),
        ];
        for (tag, value) in train {
            write(folder.path(), "train", tag, &[0.0, value]);
        }
        write(folder.path(), "validation", "epoch_loss", &[0.0]);
        let all = read(folder.path());
        let mut app = App::new(None, false).unwrap();
        app.sync(&all);
        let palette = Palette::new(Depth::True, false);
        let lines = runs(&app, &all, &status(after), palette, (width, most));
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn runs_tell_how_fast_they_are() {
        let rows = rows(25.0, 120, 3);
        let speed = " ━ train  ends in 1:23:20 · 812.0 batches/s · 26k samples/s · waits for data 3% \
                     · step p50 1.2 ms · memory 3.4 GB";
        assert_eq!(rows, [" ━ validation  ", speed]);
    }

    #[test]
    fn a_run_without_new_values_has_no_estimated_end() {
        let rows = rows(300.0, 60, 3);
        assert_eq!(rows[1], " ━ train  nothing new for 5:00 · 812.0 batches/s");
    }

    #[test]
    fn on_a_low_screen_runs_share_a_line() {
        assert_eq!(rows(0.0, 60, 1), [" ━ train   ━ validation  "]);
        assert_eq!(rows(0.0, 20, 1), [" ━ train   +1 more"]);
        assert!(rows(0.0, 60, 0).is_empty());
    }

    #[test]
    fn a_long_path_loses_its_beginning() {
        let palette = Palette::MONO;
        let mut app = App::new(None, false).unwrap();
        let text = |app: &App, width| title(app, None, &status(0.0), palette, width).to_string();
        assert_eq!(text(&app, 42), " logs/mnist   0 runs · 0 points · 41.2k/s");
        assert_eq!(text(&app, 36), " …nist  0 runs · 0 points · 41.2k/s");
        (app.log, app.smooth) = (true, true);
        assert!(text(&app, 60).starts_with(" logs/mnist  log  smoothed   "));
    }
}
