use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::keys::Action;
use crate::testing::{read, text, write};

/// Two runs, with three tags.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let falling: Vec<f32> = (0..400_u16)
        .map(|step| 1.0 / (1.0 + f32::from(step) / 40.0))
        .collect();
    let rising: Vec<f32> = falling.iter().map(|value| 1.0 - value).collect();
    write(folder.path(), "train", "epoch_loss", &falling);
    write(folder.path(), "train", "epoch_accuracy", &rising);
    write(folder.path(), "train", "epoch_learning_rate", &[0.1; 400]);
    write(folder.path(), "validation", "epoch_loss", &rising);
    folder
}

/// The frame after actions.
fn frame(folder: &Path, size: (u16, u16), actions: &[Action]) -> String {
    let runs = read(folder);
    let mut app = App::new(None, false).unwrap();
    app.sync(&runs);
    for action in actions {
        app.apply(*action, &runs);
    }
    let status = Status {
        folder: "logs".to_owned(),
        ..Status::default()
    };
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let drawn = terminal.draw(|frame| {
        draw(
            frame.area(),
            frame.buffer_mut(),
            &app,
            Some(&runs),
            &status,
            Palette::MONO,
        );
    });
    text(drawn.unwrap().buffer)
}

#[test]
fn a_small_screen_has_one_chart() {
    let folder = folder();
    let expected = " logs               2 runs · 1,600 points
 ━ train   ━ validation
▸ epoch_loss              0.09112  0.9089
   1.0 ┤⢄                     ⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡠
       │⠘⡄      ⢀⣀⡠⠤⠤⠒⠒⠒⠊⠉⠉⠉⠉⠉⠁
       │ ⠑⡄ ⢀⠤⠒⠉⠁
   0.5 ┤  ⢈⠶⡁
       │ ⡠⠃ ⠈⠒⠤⣀⡀
       │⢠⠃      ⠈⠉⠑⠒⠒⠤⠤⠤⢄⣀⣀⣀⣀⣀⡀
     0 ┤⠊                     ⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠑
        0              200            400
 ? help   q quit   ↑↓ chart    1/3 charts
";
    assert_eq!(frame(folder.path(), (42, 12), &[]), expected);
}

#[test]
fn a_larger_screen_has_all_charts_and_a_list_beside_them() {
    let folder = folder();
    let titles = |size, actions: &[Action]| -> Vec<String> {
        let frame = frame(folder.path(), size, actions);
        let names = frame
            .split_whitespace()
            .filter(|word| word.starts_with("epoch_"));
        names.map(str::to_owned).collect()
    };
    let all = ["epoch_loss", "epoch_accuracy", "epoch_learning_rate"];
    assert_eq!(titles((80, 24), &[]), all);
    assert_eq!(titles((36, 30), &[]), all);
    // In the list and in titles.
    assert_eq!(titles((160, 24), &[Action::ListTags]).len(), 6);
    assert_eq!(titles((80, 24), &[Action::Alone]), all[..1]);
    assert_eq!(titles((80, 24), &[Action::Down, Action::Alone]), all[1..2]);
}

#[test]
fn a_list_lies_over_the_charts_of_a_small_screen() {
    let folder = folder();
    let frame = frame(folder.path(), (42, 12), &[Action::ListRuns, Action::Toggle]);
    let expected = " logs               2 runs · 1,600 points
 ━ validation
╭ runs: space on/off, a all ──╮ion 0.9089
│   train                     │⠤⠤⠤⠤⠤⠤⠒⠒⠒⠒
│ ━ validation                │
╰─────────────────────────────╯
";
    assert!(frame.starts_with(expected), "{frame}");
}

#[test]
fn a_chart_alone_has_a_table_of_exact_values() {
    let folder = folder();
    let frame = frame(folder.path(), (100, 24), &[Action::Alone]);
    let table: Vec<&str> = frame.lines().skip(20).collect();
    let expected = [
        "  run                                 points     newest  lowest                highest",
        "  train                                  400    0.09112  0.09112 at 399        1.000 at 0",
        "  validation                             400     0.9089  0.000 at 0            0.9089 at 399",
    ];
    assert_eq!(table[..3], expected);
}

#[test]
fn the_last_line_has_the_filter() {
    let folder = folder();
    let typed = [Action::EditFilter, Action::Type('z')];
    let none = frame(folder.path(), (60, 12), &typed);
    assert!(
        none.contains("no tag matches z") && none.contains(" /z   0 tags"),
        "{none}"
    );
    let typed = [Action::EditFilter, Action::Type('s'), Action::Accept];
    let some = frame(folder.path(), (60, 12), &typed);
    assert!(some.contains("\n /s   ? help"), "{some}");
}

#[test]
fn without_runs_there_is_a_note() {
    let area = Rect::new(0, 0, 40, 5);
    let mut buffer = Buffer::empty(area);
    let status = Status {
        folder: "logs".to_owned(),
        note: Some("waiting for event files ...".to_owned()),
        ..Status::default()
    };
    let app = App::new(None, false).unwrap();
    draw(area, &mut buffer, &app, None, &status, Palette::MONO);
    let expected =
        " logs                 0 runs · 0 points\n\n      waiting for event files ...\n\n\n";
    assert_eq!(text(&buffer), expected);
}

#[test]
fn every_size_can_be_drawn() {
    let folder = folder();
    for mode in [
        Action::Reset,
        Action::Alone,
        Action::ListTags,
        Action::Help,
        Action::EditFilter,
    ] {
        for size in [
            (1, 1),
            (5, 2),
            (13, 5),
            (20, 6),
            (40, 12),
            (41, 50),
            (300, 4),
            (300, 100),
        ] {
            let frame = frame(folder.path(), size, &[mode]);
            assert_eq!(frame.lines().count(), usize::from(size.1));
        }
    }
}
