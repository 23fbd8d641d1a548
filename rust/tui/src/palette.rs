//! Colours: TensorBoard's default palette, as far as the terminal has colours.

use ratatui::style::{Color, Modifier, Style};

/// What colours a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Depth {
    /// None: light and dark only.
    Mono,
    /// The eight or sixteen that every terminal has.
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// All.
    True,
}

/// The chart that the keys act on, the folder.
pub const FOCUS: Style = Style::new().add_modifier(Modifier::BOLD);

/// The line of a list that the keys act on.
pub const CURSOR: Style = Style::new().add_modifier(Modifier::REVERSED);

/// TensorBoard's default palette of runs, on a dark background, with the nearest basic colour.
const RUNS: [(u32, Color); 7] = [
    (0x8e_98a3, Color::Gray),
    (0x12_b5cb, Color::Cyan),
    (0xe5_2592, Color::Magenta),
    (0xf9_ab00, Color::Yellow),
    (0x93_34e6, Color::Blue),
    (0x7c_b342, Color::Green),
    (0xe8_710a, Color::Red),
];

/// TensorBoard's first colour on a light background, where it differs.
const SLATE_ON_LIGHT: u32 = 0x42_5066;

/// The styles of everything on the screen.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    depth: Depth,
    light: bool,
}

impl Palette {
    /// No colours.
    pub const MONO: Self = Self {
        depth: Depth::Mono,
        light: false,
    };

    /// `light`: whether the background is light.
    pub fn new(depth: Depth, light: bool) -> Self {
        Self { depth, light }
    }

    /// The palette of this terminal, by the environment; with `NO_COLOR` no colours.
    pub fn of_terminal(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).unwrap_or_default();
        let (term, many) = (get("TERM"), get("COLORTERM"));
        let depth = if !get("NO_COLOR").is_empty() || term == "dumb" {
            Depth::Mono
        } else if many == "truecolor" || many == "24bit" || term.ends_with("-direct") {
            Depth::True
        } else if term.contains("256color") {
            Depth::Indexed
        } else {
            Depth::Sixteen
        };
        // Some terminals tell their colours as "foreground;background".
        let background = get("COLORFGBG");
        let light = matches!(background.rsplit(';').next(), Some("7" | "15"));
        Self::new(depth, light)
    }

    /// The line and the name of a run.
    pub fn run(self, index: usize) -> Style {
        let (mut rgb, basic) = RUNS[index % RUNS.len()];
        if self.light && index.is_multiple_of(RUNS.len()) {
            rgb = SLATE_ON_LIGHT;
        }
        self.style(rgb, basic)
    }

    /// The band of a run, from its minimum to its maximum: its colour, nearer to the background.
    pub fn band(self, index: usize) -> Style {
        let (rgb, basic) = RUNS[index % RUNS.len()];
        let background = if self.light { 0xff } else { 0 };
        let towards = |shift: u32| {
            let part = rgb >> shift & 0xff;
            ((part * 11 + background * 9) / 20) << shift
        };
        let style = self.style(towards(16) | towards(8) | towards(0), basic);
        if self.depth <= Depth::Sixteen {
            return style.add_modifier(Modifier::DIM);
        }
        style
    }

    /// Axes, units, hints.
    pub fn quiet(self) -> Style {
        if self.depth == Depth::Mono {
            return Style::new().add_modifier(Modifier::DIM);
        }
        self.style(0x80_8080, Color::DarkGray)
    }

    /// Values that are not finite, and warnings.
    pub fn alarm(self) -> Style {
        self.style(0xf2_5c54, Color::Red)
            .add_modifier(Modifier::BOLD)
    }

    fn style(self, rgb: u32, basic: Color) -> Style {
        match self.depth {
            Depth::Mono => Style::new(),
            Depth::Sixteen => Style::new().fg(basic),
            Depth::Indexed => Style::new().fg(Color::Indexed(indexed(rgb))),
            Depth::True => Style::new().fg(Color::from_u32(rgb)),
        }
    }
}

/// The nearest of xterm's 6x6x6 colours and 24 greys.
fn indexed(rgb: u32) -> u8 {
    let level = |index: u32| if index == 0 { 0 } else { 55 + 40 * index };
    let cube = (0..216_u32).map(|index| {
        let colour = level(index / 36) << 16 | level(index / 6 % 6) << 8 | level(index % 6);
        (16 + index, colour)
    });
    let greys = (0..24_u32).map(|index| (232 + index, (8 + 10 * index) * 0x01_0101));
    let distance = |other: u32| {
        let part = |shift: u32| (rgb >> shift & 0xff).abs_diff(other >> shift & 0xff).pow(2);
        part(16) + part(8) + part(0)
    };
    let nearest = cube
        .chain(greys)
        .min_by_key(|&(_, colour)| distance(colour));
    nearest
        .and_then(|(index, _)| u8::try_from(index).ok())
        .unwrap_or(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(variables: &[(&str, &str)]) -> Depth {
        let get = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Palette::of_terminal(get).depth
    }

    #[test]
    fn the_environment_says_what_the_terminal_shows() {
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Sixteen);
        assert_eq!(depth(&[("TERM", "tmux-256color")]), Depth::Indexed);
        let many = ("COLORTERM", "truecolor");
        assert_eq!(depth(&[("TERM", "xterm-256color"), many]), Depth::True);
        assert_eq!(depth(&[("NO_COLOR", "1"), many]), Depth::Mono);
        assert_eq!(depth(&[("NO_COLOR", ""), many]), Depth::True);
        assert_eq!(depth(&[("TERM", "dumb")]), Depth::Mono);
    }

    #[test]
    fn colours_of_runs_differ_from_each_other_and_from_their_bands() {
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
            for light in [false, true] {
                let palette = Palette::new(depth, light);
                let styles: Vec<Style> = (0..RUNS.len()).map(|run| palette.run(run)).collect();
                for (run, style) in styles.iter().enumerate() {
                    assert!(!styles[..run].contains(style), "{depth:?} {run}");
                    assert_ne!(palette.band(run), *style, "{depth:?} {run}");
                }
                assert_eq!(palette.run(0), palette.run(RUNS.len()));
            }
        }
    }

    #[test]
    fn the_nearest_of_256_colours() {
        assert_eq!(indexed(0x00_0000), 16);
        assert_eq!(indexed(0xff_0000), 196);
        assert_eq!(indexed(0x80_8080), 244);
    }
}
