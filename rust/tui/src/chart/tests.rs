use super::*;
use crate::palette::Depth as Colours;
use crate::testing::text;

/// A column of one point.
fn point(x: f64, value: f64) -> Column {
    let odd = u8::from(value.is_nan()) | (u8::from(value.is_infinite()) << 1);
    let value = if odd == 0 { value } else { f64::NAN };
    Column {
        x,
        low: value,
        mean: value,
        high: value,
        smoothed: value / 2.0,
        points: 1,
        odd,
    }
}

fn plot(columns: Vec<Column>, to: f64) -> Plot {
    let newest = columns.last().map_or(0.0, |column| column.mean);
    let curve = Curve {
        run: 0,
        name: "train".to_owned(),
        columns,
        newest,
    };
    Plot {
        tag: "loss".to_owned(),
        curves: vec![curve],
        from: 0.0,
        to,
    }
}

const PLAIN: Look = Look {
    palette: Palette::MONO,
    log: false,
    smooth: false,
    focused: false,
};

fn drawn(plot: &Plot, look: Look) -> Buffer {
    let area = Rect::new(0, 0, 40, 9);
    let mut buffer = Buffer::empty(area);
    draw(area, &mut buffer, plot, look);
    buffer
}

#[test]
fn a_spike_of_one_point_in_many_is_a_column() {
    let noisy = |x: u32| {
        let x = f64::from(x) + 0.5;
        let high = if (40.0..41.0).contains(&x) { 50.0 } else { 2.0 };
        Column {
            low: 0.0,
            mean: 1.0,
            high,
            points: 80_000,
            ..point(x, 0.0)
        }
    };
    let plot = plot((0..64).map(noisy).collect(), 64.0);
    let expected = "  loss                       train 1.000
       │                    ⡇
    40 ┤                    ⡇
       │                    ⡇
       │                    ⡇
    20 ┤                    ⡇
       │                    ⡇
     0 ┤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤
        0        20       40        60
";
    assert_eq!(text(&drawn(&plot, PLAIN)), expected);
}

#[test]
fn few_points_are_connected_by_lines() {
    let points = [(0.0, 3.0), (10.0, 1.0), (30.0, 0.0)];
    let plot = plot(points.map(|(x, y)| point(x, y)).to_vec(), 30.0);
    let look = Look {
        focused: true,
        ..PLAIN
    };
    let expected = "▸ loss                       train 0.000
     3 ┤⠑⢄⡀
       │  ⠈⠢⡀
     2 ┤    ⠈⠒⢄
       │       ⠑⢄⡀
     1 ┤         ⠈⠢⠤⣀⣀
       │              ⠉⠉⠑⠒⠒⠤⠤⣀⣀⡀
     0 ┤                       ⠈⠉⠉⠒⠒⠤⠤⢄⣀
        0        10         20        30
";
    assert_eq!(text(&drawn(&plot, look)), expected);
}

#[test]
fn values_that_are_not_finite_are_marked_and_leave_the_scale_alone() {
    let values = [1.0, f64::NAN, 2.0, f64::INFINITY, 1.0];
    let columns = (0..5)
        .zip(values)
        .map(|(x, value)| point(f64::from(x), value));
    let plot = plot(columns.collect(), 4.0);
    let lines = text(&drawn(&plot, PLAIN));
    let lines: Vec<&str> = lines.lines().collect();
    assert!(
        lines[1].starts_with("   2.0 ┤") && lines[1].contains('↑'),
        "{lines:?}"
    );
    assert!(
        lines[7].starts_with("   1.0 ┤") && lines[7].contains('×'),
        "{lines:?}"
    );
}

#[test]
fn a_chart_without_finite_values_says_so() {
    let plot = plot(vec![point(0.0, f64::NAN), point(1.0, f64::NAN)], 1.0);
    let lines = text(&drawn(&plot, PLAIN));
    assert!(
        lines.contains("no finite value") && lines.contains("train NaN"),
        "{lines}"
    );
}

#[test]
fn a_single_point_is_a_dot() {
    let lines = text(&drawn(&plot(vec![point(0.0, 1.0)], 0.5), PLAIN));
    assert!(lines.contains("┤•"), "{lines}");
}

#[test]
fn logarithmic_axes_need_something_above_zero() {
    let look = Look { log: true, ..PLAIN };
    let falling = (0..4).map(|x| point(f64::from(x), 10_f64.powi(-x)));
    let lines = text(&drawn(&plot(falling.collect(), 3.0), look));
    assert!(lines.contains(" 0.01 ┤"), "{lines}");
    let negative = (0..4).map(|x| point(f64::from(x), f64::from(-x)));
    let lines = text(&drawn(&plot(negative.collect(), 3.0), look));
    assert!(lines.contains("loss  linear: nothing above 0"), "{lines}");
}

#[test]
fn smoothing_draws_the_values_as_a_band() {
    let palette = Palette::new(Colours::True, false);
    let columns = (0..4).map(|x| point(f64::from(x), 2.0));
    let plot = plot(columns.collect(), 3.0);
    let colours = |smooth| {
        let buffer = drawn(
            &plot,
            Look {
                palette,
                smooth,
                ..PLAIN
            },
        );
        let inside = |cell: &&ratatui::buffer::Cell| {
            ('⠁'..='⣿').contains(&cell.symbol().chars().next().unwrap())
        };
        let mut colours: Vec<_> = buffer
            .content
            .iter()
            .filter(inside)
            .map(|cell| cell.fg)
            .collect();
        colours.dedup();
        colours
    };
    let (line, band) = (palette.run(0).fg.unwrap(), palette.band(0).fg.unwrap());
    assert_eq!(colours(false), [line]);
    assert_eq!(colours(true), [band, line]);
}

#[test]
fn nothing_is_drawn_outside_and_nothing_panics_on_any_size() {
    let plot = plot(
        (0..9).map(|x| point(f64::from(x), f64::from(x))).collect(),
        8.0,
    );
    let whole = Rect::new(0, 0, 60, 30);
    for (width, height) in (0..50).flat_map(|width| (0..25).map(move |height| (width, height))) {
        let mut buffer = Buffer::empty(whole);
        draw(Rect::new(5, 3, width, height), &mut buffer, &plot, PLAIN);
        for (index, cell) in buffer.content.iter().enumerate() {
            let (x, y) = (index % 60, index / 60);
            let inside = (5..5 + usize::from(width)).contains(&x)
                && (3..3 + usize::from(height)).contains(&y);
            assert!(inside || cell.symbol() == " ", "{width}x{height}: {x},{y}");
        }
    }
}
