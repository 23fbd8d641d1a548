//! What each key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the keys act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The charts.
    Charts,
    /// The list of tags, at one of its lines.
    Tags(usize),
    /// The list of runs, at one of its lines.
    Runs(usize),
    /// The line in which a filter is typed.
    Filter(String),
    /// The help.
    Help,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L: draw everything again.
    Redraw,
    Up,
    Down,
    Left,
    Right,
    First,
    Last,
    Closer,
    Wider,
    Reset,
    Log,
    Smooth,
    /// One chart on the whole screen, or all.
    Alone,
    ListTags,
    ListRuns,
    EditFilter,
    Help,
    /// The line of the list on or off.
    Toggle,
    /// All lines of the list.
    All,
    Type(char),
    Erase,
    EraseAll,
    Accept,
    /// Back to the charts.
    Close,
}

/// The lines of the help: keys, and what they do.
pub const HELP: [(&str, &str); 13] = [
    ("↑ ↓  k j", "previous, next chart"),
    ("← →  h l", "earlier, later steps"),
    ("+ −", "zoom in, out"),
    ("0", "all steps again"),
    ("enter", "one chart alone, or all"),
    ("L", "logarithmic scale on, off"),
    ("s", "smoothing on, off"),
    ("space", "choose tags"),
    ("r", "runs on, off"),
    ("/", "filter tags by a regular expression"),
    ("g G", "first, last chart"),
    ("?", "this help"),
    ("q", "quit"),
];

/// The action of a key.
pub fn action(key: KeyEvent, mode: &Mode) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Interrupt),
            KeyCode::Char('z') => Some(Action::Suspend),
            KeyCode::Char('l') => Some(Action::Redraw),
            KeyCode::Char('u') => Some(Action::EraseAll),
            _ => None,
        };
    }
    match mode {
        Mode::Filter(_) => match key.code {
            KeyCode::Char(letter) => Some(Action::Type(letter)),
            KeyCode::Backspace => Some(Action::Erase),
            KeyCode::Enter => Some(Action::Accept),
            KeyCode::Esc => Some(Action::Close),
            _ => None,
        },
        Mode::Charts => chart_action(key.code),
        Mode::Tags(_) | Mode::Runs(_) | Mode::Help => list_action(key.code),
    }
}

fn chart_action(key: KeyCode) -> Option<Action> {
    Some(match key {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => Action::Down,
        KeyCode::Left | KeyCode::Char('h') => Action::Left,
        KeyCode::Right | KeyCode::Char('l') => Action::Right,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Char('+' | '=') => Action::Closer,
        KeyCode::Char('-' | '_') => Action::Wider,
        KeyCode::Char('0') => Action::Reset,
        KeyCode::Char('L') => Action::Log,
        KeyCode::Char('s') => Action::Smooth,
        KeyCode::Enter => Action::Alone,
        KeyCode::Char(' ') => Action::ListTags,
        KeyCode::Char('r') => Action::ListRuns,
        KeyCode::Char('/') => Action::EditFilter,
        KeyCode::Char('?') => Action::Help,
        KeyCode::Esc => Action::Close,
        _ => return None,
    })
}

fn list_action(key: KeyCode) -> Option<Action> {
    Some(match key {
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Char(' ') => Action::Toggle,
        KeyCode::Char('a') => Action::All,
        KeyCode::Char('/') => Action::EditFilter,
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | 'r' | '?') => Action::Close,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, mode: &Mode) -> Option<Action> {
        action(KeyEvent::new(code, KeyModifiers::NONE), mode)
    }

    #[test]
    fn letters_are_text_while_a_filter_is_typed() {
        let typing = Mode::Filter(String::new());
        assert_eq!(press(KeyCode::Char('q'), &Mode::Charts), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('q'), &typing), Some(Action::Type('q')));
        assert_eq!(press(KeyCode::Char(' '), &typing), Some(Action::Type(' ')));
    }

    #[test]
    fn the_keys_of_lists() {
        for mode in [Mode::Tags(0), Mode::Runs(0), Mode::Help] {
            assert_eq!(press(KeyCode::Char('q'), &mode), Some(Action::Close));
            assert_eq!(press(KeyCode::Char('j'), &mode), Some(Action::Down));
        }
    }

    #[test]
    fn ctrl_c_works_everywhere() {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for mode in [Mode::Charts, Mode::Filter(String::new()), Mode::Help] {
            assert_eq!(action(key, &mode), Some(Action::Interrupt));
        }
    }

    #[test]
    fn the_help_names_only_keys_that_do_something() {
        for (keys, _) in HELP {
            for key in keys.split_whitespace() {
                let code = match key {
                    "↑" => KeyCode::Up,
                    "↓" => KeyCode::Down,
                    "←" => KeyCode::Left,
                    "→" => KeyCode::Right,
                    "enter" => KeyCode::Enter,
                    "space" => KeyCode::Char(' '),
                    "−" => KeyCode::Char('-'),
                    letter => KeyCode::Char(letter.chars().next().unwrap()),
                };
                assert!(press(code, &Mode::Charts).is_some(), "{key}");
            }
        }
    }
}
