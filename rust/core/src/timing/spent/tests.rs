//! Tests with simulated time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Activity, Spent};

const ACTIVITIES: [Activity; 6] = [
    Activity::Steps,
    Activity::DataWait,
    Activity::Validation,
    Activity::Saving,
    Activity::Callback(0),
    Activity::Callback(2),
];

/// An activity: its own milliseconds before and after those within it, and its own wait.
#[derive(Clone, Debug)]
struct Part {
    activity: usize,
    before: u64,
    within: Vec<Part>,
    after: u64,
    waited: u64,
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let numbers = (0..ACTIVITIES.len(), 0..50_u64, 0..50_u64, 0..=10_u64);
    let part = |within: Vec<Part>, numbers: (usize, u64, u64, u64)| {
        let (activity, before, after, tenths) = numbers;
        Part {
            activity,
            before,
            within,
            after,
            waited: (before + after) * tenths / 10,
        }
    };
    let leaf = numbers
        .clone()
        .prop_map(move |numbers| part(vec![], numbers));
    let part = leaf.prop_recursive(3, 24, 4, move |inner| {
        (proptest::collection::vec(inner, 0..4), numbers.clone())
            .prop_map(move |(within, numbers)| part(within, numbers))
    });
    proptest::collection::vec(part, 0..8)
}

/// Runs the activities; adds up what each should get. Returns the wait in total.
fn run(parts: &[Part], now: &mut Instant, spent: &mut Spent, expected: &mut [u64; 6]) -> u64 {
    let mut all = 0;
    for part in parts {
        let activity = ACTIVITIES[part.activity];
        let mark = spent.mark(*now);
        *now += ms(part.before);
        let within = run(&part.within, now, spent, expected);
        *now += ms(part.after);
        let awaited = usize::from(activity == Activity::Steps);
        let waited = (ACTIVITIES[awaited], ms(part.waited + within));
        spent.add(activity, mark, *now, Some(waited));
        expected[part.activity] += part.before + part.after - part.waited;
        expected[awaited] += part.waited;
        all += part.waited + within;
    }
    all
}

proptest! {
    #[test]
    fn every_moment_counts_once_for_the_innermost(parts in parts()) {
        let start = Instant::now();
        let (mut now, mut spent, mut expected) = (start, Spent::default(), [0; 6]);
        run(&parts, &mut now, &mut spent, &mut expected);
        for (activity, expected) in ACTIVITIES.into_iter().zip(expected) {
            prop_assert_eq!(spent.on(activity), ms(expected));
        }
        prop_assert_eq!(spent.counted(), now - start);
    }
}

#[test]
fn time_between_activities_is_the_rest() {
    let start = Instant::now();
    let mut spent = Spent::default();
    for second in 0..10 {
        let mark = spent.mark(start + ms(second * 1000));
        let ended = start + ms(second * 1000 + 400);
        spent.add(
            Activity::Steps,
            mark,
            ended,
            Some((Activity::DataWait, ms(100))),
        );
    }
    assert_eq!(spent.on(Activity::Steps), ms(3000));
    assert_eq!(spent.on(Activity::DataWait), ms(1000));
    assert_eq!(spent.counted(), ms(4000));
}

#[test]
fn an_activity_that_never_ends_leaves_its_time_to_those_around_it() {
    let start = Instant::now();
    let mut spent = Spent::default();
    let hook = spent.mark(start);
    let _failed = spent.mark(start + ms(10));
    spent.add(Activity::Callback(1), hook, start + ms(50), None);
    assert_eq!(spent.on(Activity::Callback(1)), ms(50));
}

#[test]
fn times_that_cannot_be_break_nothing() {
    let start = Instant::now();
    let mut spent = Spent::default();
    let mark = spent.mark(start + ms(10));
    spent.add(
        Activity::Saving,
        mark,
        start,
        Some((Activity::Steps, ms(5))),
    ); // ends before it begins
    spent.add(
        Activity::Validation,
        mark,
        start + ms(12),
        Some((Activity::Steps, ms(5))),
    ); // a longer wait than itself
    assert_eq!(spent.on(Activity::Steps), ms(2));
    assert_eq!(spent.counted(), ms(2));
}
