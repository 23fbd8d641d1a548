use super::*;

#[test]
fn a_live_bar_is_drawn_over_the_last_one() {
    let mut bar = ProgressBar::new(Style::Live, 100.0);
    assert!(bar.step(1, 100.5));
    bar.set("loss", 0.25);
    let first = bar.draw(1, Some(4), 100.5, false);
    let done = "\x1b[32m━━━━━\x1b[0m\x1b[37m━━━━━━━━━━━━━━━\x1b[0m";
    let metrics = "\x1b[1m1s\x1b[0m 500ms/step - loss: 0.2500";
    assert_eq!(first, format!("\r\x1b[1m1/4\x1b[0m {done} {metrics}"));
    assert!(!bar.step(2, 100.54));
    assert!(bar.step(3, 100.6));
    let second = bar.draw(3, Some(4), 100.6, false);
    let visible = "1/4 ━━━━━━━━━━━━━━━━━━━━ 1s 500ms/step - loss: 0.2500";
    let back = "\u{8}".repeat(visible.chars().count());
    assert!(second.starts_with(&format!("{back}\r\x1b[1m3/4")));
    assert!(second.ends_with("50ms/step - loss: 0.2500 "), "{second:?}");
    let last = bar.draw(4, Some(4), 200.0, true);
    assert!(last.ends_with('\n') && last.contains("\x1b[1m100s\x1b[0m 33s/step"));
}

#[test]
fn a_bar_over_another_leaves_nothing_of_its_line_and_gives_it_back() {
    let mut bar = ProgressBar::new(Style::Live, 0.0);
    bar.set("loss", 0.25);
    let training = bar.draw(4, Some(4), 1.0, false);
    let visible = |text: &str| {
        let mut inside = false;
        let shown = text.split('\r').next_back().unwrap_or_default().chars();
        shown
            .filter(|&letter| {
                let escape = inside || letter == '\x1b';
                inside = escape && letter != 'm';
                !escape
            })
            .count()
    };
    let mut over = bar.over("validation ", 1.0);
    assert!(over.step(1, 1.1));
    let first = over.draw(1, Some(9), 1.1, false);
    assert!(
        first.contains("\rvalidation \x1b[1m1/9\x1b[0m "),
        "{first:?}"
    );
    assert_eq!(visible(&first), visible(&training)); // padded with spaces
    bar.take_back(&over);
    let last = bar.draw(4, Some(4), 2.0, true);
    assert!(last.starts_with('\u{8}') && last.contains("\r\x1b[1m4/4"));
    assert!(!last.contains("validation"));
    let plain = ProgressBar::new(Style::Plain, 0.0).over("validation ", 0.0);
    assert!(!plain.clone().step(1, 9.0) && plain.clone().step(1, 10.0));
    assert_eq!(
        plain.line(2, Some(4), 10.0),
        "validation 2/4 - 10s - 5s/step\n"
    );
}

#[test]
fn plain_lines_come_every_ten_seconds_and_at_the_end() {
    let mut bar = ProgressBar::new(Style::Plain, 0.0);
    bar.set("loss", -0.5);
    assert!(!bar.step(1, 9.9));
    assert!(bar.step(2, 10.0));
    let line = bar.draw(2, None, 10.0, false);
    assert_eq!(
        line,
        "      2/Unknown - 10s - 100ms/step - loss: -5.0000e-01\n"
    );
    assert!(!bar.step(3, 19.9));
    let last = bar.draw(3, Some(3), 20.0, true);
    assert_eq!(last, "3/3 - 20s - 5s/step - loss: -5.0000e-01\n");
}

#[test]
fn a_summary_and_silence() {
    let mut bar = ProgressBar::new(Style::Summary, 0.0);
    assert!(!bar.step(1, 99.0));
    assert_eq!(bar.draw(1, Some(2), 99.0, false), "");
    assert_eq!(bar.draw(2, Some(2), 99.4, true), "2/2 - 99s - 50s/step\n");
    let mut silent = ProgressBar::new(Style::Silent, 0.0);
    assert!(!silent.step(1, 99.0));
    assert_eq!(silent.draw(2, Some(2), 99.0, true), "");
}

#[test]
fn no_count_makes_a_text_without_bound() {
    for current in [i64::MIN, -1, 0, 1, 2, i64::MAX] {
        for target in [None, Some(i64::MIN), Some(1), Some(i64::MAX)] {
            for style in [Style::Live, Style::Plain, Style::Summary] {
                let mut bar = ProgressBar::new(style, 0.0);
                for now in [1e-300, f64::MAX, f64::NAN] {
                    bar.step(current, now);
                    let text = bar.draw(current, target, now, true);
                    assert!(text.chars().count() < 4 * WIDEST);
                }
            }
        }
    }
    // Beyond its target, up to the limit, the bar is as long as in Keras.
    assert_eq!((filled(36, 1), filled(51, 1)), (720, WIDEST));
}

#[test]
fn the_remaining_time() {
    let text = |seconds| {
        let mut text = String::new();
        push_remaining(&mut text, seconds);
        text
    };
    assert_eq!(text(59.9), "59s");
    assert_eq!(text(60.0), "60s");
    assert_eq!(text(61.5), "1:01");
    assert_eq!(text(3600.0), "60:00");
    assert_eq!(text(3661.0), "1:01:01");
    assert_eq!(text(-3.5), "-3s");
}
