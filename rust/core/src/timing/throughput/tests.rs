//! Tests with simulated time, and against a recomputation from all calls.

use proptest::prelude::*;

use super::{Speed, Throughput, count};

/// One call of the train function.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// The time between the previous call and this one.
    idle: f64,
    took: f64,
    waited: Option<f64>,
    batches: u32,
    samples: Option<u64>,
    /// Whether training pauses before this call.
    paused: bool,
}

/// A call without a wait, of one batch of 10 samples.
const PLAIN: Call = Call {
    idle: 0.0,
    took: 0.1,
    waited: Some(0.0),
    batches: 1,
    samples: Some(10),
    paused: false,
};

fn slow(took: f64) -> Call {
    Call { took, ..PLAIN }
}

fn run(window: u64, calls: impl IntoIterator<Item = Call>) -> Throughput {
    let mut throughput = Throughput::new(window);
    let mut now = 1e3;
    for call in calls {
        if call.paused {
            throughput.pause();
        }
        now += call.idle;
        throughput.begin(|| now);
        now += call.took;
        throughput.end(now, call.waited, call.batches, call.samples);
    }
    throughput
}

fn speed(window: u64, calls: impl IntoIterator<Item = Call>) -> Speed {
    run(window, calls).speed(Some(1000), 0)
}

fn assert_close(value: Option<f64>, expected: Option<f64>) {
    match (value, expected) {
        (Some(value), Some(expected)) => {
            let error = (value - expected).abs();
            assert!(error <= 1e-6 * expected.abs(), "{value}, not {expected}");
        }
        _ => assert_eq!(value, expected),
    }
}

#[test]
fn before_the_first_call_nothing_is_known() {
    assert_eq!(Throughput::new(10).speed(Some(5), 0), Speed::default());
}

#[test]
fn a_steady_pace() {
    let steady = speed(100, vec![PLAIN; 300]);
    assert_close(steady.batches_per_second, Some(10.0));
    assert_close(steady.samples_per_second, Some(100.0));
    assert_close(steady.data_wait, Some(0.0));
    assert_close(steady.eta_seconds, Some(100.0));
    for quantile in [
        steady.step_time_p50,
        steady.step_time_p90,
        steady.step_time_p99,
    ] {
        assert!((quantile.unwrap() / 0.1 - 1.0).abs() < 0.02);
    }
}

#[test]
fn rates_are_those_of_the_window_and_quantiles_those_of_all_batches() {
    let calls = [[slow(1.0); 50], [PLAIN; 50]].concat();
    let last = speed(20, calls);
    assert_close(last.batches_per_second, Some(10.0));
    assert!((last.step_time_p90.unwrap() - 1.0).abs() < 0.02);
}

#[test]
fn the_time_between_calls_counts_but_a_pause_does_not() {
    let idle = Call { idle: 0.3, ..PLAIN };
    let between = speed(100, [PLAIN, idle, idle]);
    assert_close(between.batches_per_second, Some(3.0 / 0.9));
    let paused = Call {
        idle: 1e6,
        paused: true,
        ..PLAIN
    };
    let after = speed(100, [PLAIN, paused, paused]);
    assert_close(after.batches_per_second, Some(10.0));
}

#[test]
fn a_call_of_several_batches_is_split_evenly() {
    let several = Call {
        batches: 8,
        samples: Some(80),
        took: 0.8,
        ..PLAIN
    };
    let throughput = run(20, [several; 10]);
    // Three calls, the fewest that make at least 20 batches, and the totals before them.
    assert_eq!(throughput.totals.len(), 4);
    let speed = throughput.speed(Some(10), 0);
    assert_close(speed.batches_per_second, Some(10.0));
    assert_close(speed.eta_seconds, Some(1.0));
    assert!((speed.step_time_p50.unwrap() / 0.1 - 1.0).abs() < 0.02);
}

#[test]
fn what_a_call_of_the_window_does_not_tell_is_not_known() {
    let silent = Call {
        waited: None,
        samples: None,
        ..PLAIN
    };
    let one = speed(10, [silent, PLAIN, PLAIN]);
    assert_eq!((one.samples_per_second, one.data_wait), (None, None));
    assert_close(one.batches_per_second, Some(10.0));
    let later = speed(2, [silent, PLAIN, PLAIN]);
    assert_close(later.samples_per_second, Some(100.0));
    assert_close(later.data_wait, Some(0.0));
    assert_eq!(run(10, [PLAIN; 5]).speed(None, 0).eta_seconds, None);
}

#[test]
fn the_estimated_end_passes_over_a_compilation_and_a_stall() {
    let table = [
        ("one call", vec![slow(30.0)], None),
        ("compiled", vec![slow(30.0), PLAIN], Some(100.0)),
        (
            "compiled twice",
            vec![slow(30.0), PLAIN, PLAIN, slow(30.0), PLAIN],
            Some(100.0),
        ),
        (
            "a stall",
            [[PLAIN; 9].as_slice(), &[slow(600.0)]].concat(),
            Some(100.0),
        ),
        (
            "every fourth is slow",
            [PLAIN, PLAIN, PLAIN, slow(0.5)].repeat(20),
            Some(200.0),
        ),
    ];
    for (name, calls, expected) in table {
        let eta = speed(80, calls).eta_seconds;
        assert_close(eta, expected);
        assert_eq!(eta.is_some(), expected.is_some(), "{name}");
    }
}

#[test]
fn remaining_pauses_last_as_long_as_those_so_far() {
    let pause = |idle| Call {
        idle,
        paused: true,
        ..PLAIN
    };
    let throughput = run(
        10,
        [pause(5.0), PLAIN, pause(2.0), PLAIN, pause(4.0), PLAIN],
    );
    assert_close(throughput.speed(Some(10), 0).eta_seconds, Some(1.0));
    assert_close(throughput.speed(Some(10), 2).eta_seconds, Some(7.0)); // 3 s each
    assert_close(
        run(10, [PLAIN; 2]).speed(Some(10), 2).eta_seconds,
        Some(1.0),
    );
}

#[test]
fn a_window_of_one_call_has_an_estimate() {
    assert_eq!(speed(1, [PLAIN]).eta_seconds, None);
    assert_close(speed(1, [slow(9.0), PLAIN]).eta_seconds, Some(100.0));
}

#[test]
fn odd_calls_break_nothing() {
    let mut throughput = Throughput::new(0);
    throughput.end(1.0, None, 1, None); // without a beginning: not counted
    assert_eq!(throughput.speed(None, 0), Speed::default());
    throughput.end(2.0, Some(5.0), 1, Some(3)); // a longer wait than the call
    throughput.end(2.5, Some(0.0), 0, Some(0)); // no batch: its time is that of the next call
    assert_close(throughput.speed(None, 0).data_wait, Some(1.0));
    throughput.end(4.0, Some(f64::NAN), 1, Some(3));
    assert_close(throughput.speed(None, 0).batches_per_second, Some(0.5));
    throughput.end(3.0, Some(1.0), 1, Some(3)); // a clock that was set back
    assert_eq!(throughput.speed(Some(1), 0).batches_per_second, None);
}

/// Any calls, of which all tell their samples and waits, or none.
fn any_calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (
        0.0..0.5_f64,
        1e-5..2.0_f64,
        0.0..=1.0_f64,
        1_u32..6,
        proptest::bool::weighted(0.1),
    );
    let calls = proptest::collection::vec(call, 1..80);
    (calls, proptest::bool::ANY).prop_map(|(calls, told)| {
        let call = |(idle, took, share, batches, paused): (f64, f64, f64, u32, bool)| Call {
            idle,
            took,
            waited: told.then_some(share * took),
            batches,
            samples: told.then_some(u64::from(batches) * 32),
            paused,
        };
        calls.into_iter().map(call).collect()
    })
}

proptest! {
    #[test]
    fn equals_a_recomputation_from_all_calls(calls in any_calls(), window in 1_u64..60) {
        let speed = speed(window, calls.iter().copied());

        let mut last = Vec::new();
        let mut batches = 0;
        for (at, call) in calls.iter().enumerate().rev() {
            if batches < window {
                let idle = if call.paused || at == 0 { 0.0 } else { call.idle };
                last.push((call, idle + call.took));
                batches += u64::from(call.batches);
            }
        }
        let seconds: f64 = last.iter().map(|(_, seconds)| seconds).sum();
        let samples: Option<u64> = last.iter().map(|(call, _)| call.samples).sum();
        let waited: Option<f64> = last.iter().map(|(call, _)| call.waited).sum();
        assert_close(speed.batches_per_second, Some(count(batches) / seconds));
        assert_close(speed.samples_per_second, samples.map(|samples| count(samples) / seconds));
        assert_close(speed.data_wait, waited.map(|waited| waited / seconds));
    }

    #[test]
    fn the_estimate_lies_between_the_fastest_and_the_slowest(calls in any_calls()) {
        let eta = speed(50, calls.iter().copied()).eta_seconds;
        prop_assert_eq!(eta.is_some(), calls.len() > 1);
        let longest = calls.iter().map(|call| call.idle + call.took).fold(0.0, f64::max);
        prop_assert!(eta.is_none_or(|eta| eta > 0.0 && eta <= longest * 1000.0));
    }
}
