use super::*;
use crate::testing::{read, write};

/// The state after actions, with the tags a, b and loss in one run and loss in another.
fn after(actions: &[Action]) -> App {
    let folder = tempfile::tempdir().unwrap();
    for tag in ["b", "a", "loss"] {
        write(folder.path(), "one", tag, &[0.5; 100]);
    }
    write(folder.path(), "two", "loss", &[0.5; 100]);
    let runs = read(folder.path());
    let mut app = App::new(None, false).unwrap();
    app.sync(&runs);
    for action in actions {
        app.apply(*action, &runs);
    }
    app
}

#[test]
fn the_focus_stays_within_the_charts() {
    assert_eq!(after(&[]).shown_tags(), ["loss", "a", "b"]);
    assert_eq!(after(&[Action::Up]).focused(), 0);
    assert_eq!(after(&[Action::Down; 9]).focused(), 2);
    assert_eq!(after(&[Action::Last, Action::Up]).focused(), 1);
}

#[test]
fn chosen_tags_have_charts_and_others_have_none() {
    let choose = [Action::ListTags, Action::Down, Action::Toggle];
    let app = after(&choose);
    assert_eq!(app.shown_tags(), ["a"]);
    assert_eq!(app.mode, Mode::Tags(1));
    let again = [&choose[..], &[Action::Toggle]].concat();
    assert_eq!(after(&again).shown_tags().len(), 3);
    let all = [&choose[..], &[Action::Down, Action::Toggle, Action::All]].concat();
    assert_eq!(after(&all).shown_tags().len(), 3);
}

#[test]
fn tags_of_runs_that_are_off_have_no_charts() {
    let off = [Action::ListRuns, Action::Toggle];
    let app = after(&off);
    assert!(!app.shows_run("one") && app.shows_run("two"));
    assert_eq!(app.shown_tags(), ["loss"]);
    // Colours stay.
    assert_eq!(app.number_of("two"), 1);
    let on = [&off[..], &[Action::All]].concat();
    assert_eq!(after(&on).shown_tags().len(), 3);
}

#[test]
fn a_filter_works_while_it_is_typed() {
    let typed = [Action::EditFilter, Action::Type('a'), Action::Type('|')];
    let app = after(&[&typed[..], &[Action::Type('o')]].concat());
    assert_eq!(app.shown_tags(), ["loss", "a"]);
    // Half an expression changes nothing.
    let app = after(&[&typed[..1], &[Action::Type('a'), Action::Type('(')]].concat());
    assert_eq!(app.shown_tags(), ["a"]);
    assert_eq!(app.mode, Mode::Filter("a(".to_owned()));
    let app = after(&[&typed[..2], &[Action::Accept]].concat());
    assert_eq!((app.filter(), &app.mode), (Some("a"), &Mode::Charts));
    let app = after(&[&typed[..2], &[Action::Close]].concat());
    assert_eq!(app.filter(), None);
    assert!(App::new(Some("("), false).is_err());
}

#[test]
fn zooming_out_ends_where_it_began() {
    let app = after(&[Action::Closer, Action::Closer]);
    let full = (0.0, 99.0);
    assert_eq!(app.zoom.unwrap().window(full), (74.25, 99.0));
    assert_eq!(after(&[Action::Closer, Action::Wider]).zoom, None);
    assert_eq!(
        after(&[Action::Closer, Action::Left, Action::Reset]).zoom,
        None
    );
    let closest = after(&[Action::Closer; 50]).zoom.unwrap().window(full);
    assert!(closest.1 - closest.0 >= 2.0);
    assert_eq!(after(&[Action::Left]).zoom, None);
}
