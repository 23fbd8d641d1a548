//! Tests with simulated time.

use std::time::{Duration, Instant};

use super::SlowHooks;

const TRAIN: usize = 0;
const TEST: usize = 1;

/// The index of the tested callback.
const CALLBACK: usize = 2;

fn ms(milliseconds: f64) -> Duration {
    Duration::from_secs_f64(milliseconds / 1e3)
}

/// A deterministic random number generator (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A training run whose only Python hook is called at the end of batches.
struct Training {
    now: Instant,
    hooks: SlowHooks,
    /// The untrimmed share at the first report in which the callback was slow.
    warned: Option<f64>,
}

impl Training {
    fn new() -> Self {
        let now = Instant::now();
        let mut hooks = SlowHooks::default();
        hooks.resume(now);
        Self {
            now,
            hooks,
            warned: None,
        }
    }

    /// Runs a batch with the given durations of its step, its hook, and the hook's waiting.
    fn batch(&mut self, kind: usize, step: Duration, took: Duration, waited: Duration) -> bool {
        let began = self.now + step;
        self.now = began + took;
        self.hooks.batch(kind, true);
        let call = (began, self.now);
        let due = self.hooks.called(kind, CALLBACK, call, waited);
        if due {
            self.look();
        }
        due
    }

    /// Passes time between two batches.
    fn pause(&mut self, pause: Duration) {
        self.now += pause;
        self.hooks.resume(self.now);
    }

    fn look(&mut self) {
        let slow = self.hooks.shares().find(|share| share.slow);
        self.warned = self.warned.or(slow.map(|slow| slow.share));
    }

    fn share(&self) -> f64 {
        self.hooks.shares().next().unwrap().share
    }
}

/// The behaviour of the hook.
#[derive(Clone, Copy)]
enum Hook {
    /// Waits this many milliseconds for the device.
    Reads(f64),
    /// Works this many milliseconds, in one of this many batches.
    Works(f64, u64),
    /// Works this many milliseconds, once in the training.
    Once(f64),
}

/// Trains epochs with about 0.55 ms per batch, and 200 ms between epochs.
fn train(hook: Hook, batches: u64, seed: u64) -> Training {
    let mut random = Random(seed);
    let mut training = Training::new();
    let every = match hook {
        Hook::Works(_, every) => every,
        Hook::Once(_) => batches,
        Hook::Reads(_) => 1,
    };
    let mut at = 0;
    for batch in 0..batches {
        if batch % every == 0 {
            at = batch + random.below(every);
        }
        let step = if batch == 0 {
            ms(3000.0)
        } else {
            ms(0.3 + 0.005 * f64::from(u32::try_from(random.below(100)).unwrap()))
        };
        let little = ms(0.005);
        let (took, waited) = match hook {
            Hook::Reads(time) => (little + ms(time), ms(time)),
            Hook::Works(time, _) | Hook::Once(time) if batch == at => {
                (little + ms(time), Duration::ZERO)
            }
            _ => (little, Duration::ZERO),
        };
        training.batch(TRAIN, step, took, waited);
        if batch % 1000 == 999 {
            training.look();
            training.pause(ms(200.0));
        }
    }
    training.look();
    training
}

#[test]
fn what_is_slow_and_what_is_not() {
    let table = [
        ("reads only", Hook::Reads(30.0), 5000, None),
        ("30 ms once in 1,000", Hook::Works(30.0, 1000), 20_000, None),
        ("5 ms in every 100th", Hook::Works(5.0, 100), 20_000, None),
        ("5 ms in 36", Hook::Works(5.0, 1), 36, None),
        ("an import of 2 s", Hook::Once(2000.0), 2000, None),
        ("400 ms in 8", Hook::Works(400.0, 100), 800, None),
        ("400 ms in 12", Hook::Works(400.0, 100), 1200, Some(0.87)),
        (
            "50 ms in 1 of 100",
            Hook::Works(50.0, 100),
            5000,
            Some(0.48),
        ),
        ("5 ms in every one", Hook::Works(5.0, 1), 5000, Some(0.9)),
        ("20 ms in 36", Hook::Works(20.0, 1), 36, Some(0.97)),
    ];
    for (name, hook, batches, expected) in table {
        for seed in 0..20 {
            let warned = train(hook, batches, seed).warned;
            match (warned, expected) {
                (None, None) => {}
                (Some(share), Some(expected)) => {
                    assert!(f64::abs(share - expected) < 0.04, "{name}: {share}");
                }
                _ => panic!("{name}, seed {seed}: {warned:?}"),
            }
        }
    }
}

#[test]
fn long_calls_do_not_hide_what_the_others_take() {
    let mut training = Training::new();
    for batch in 0..100 {
        let took = if batch % 20 == 10 { 20_000.0 } else { 10.0 };
        training.batch(TRAIN, ms(10.0), ms(took), Duration::ZERO);
    }
    training.look();
    assert!(training.warned.unwrap() > 0.98);
}

#[test]
fn a_callback_is_looked_at_whenever_its_calls_have_doubled() {
    let mut training = Training::new();
    let due: Vec<u32> = (1..=1000)
        .filter(|_| training.batch(TRAIN, ms(1.0), ms(1.0), Duration::ZERO))
        .collect();
    assert_eq!(due, [32, 64, 128, 256, 512]);
}

#[test]
fn neither_pauses_nor_the_first_batch_of_a_kind_count() {
    let mut training = Training::new();
    for epoch in 0..10 {
        for batch in 0..3 {
            let first = if epoch + batch == 0 { 5000.0 } else { 0.0 };
            training.batch(TRAIN, ms(3.0 + first), ms(1.0 + first), Duration::ZERO);
        }
        training.pause(ms(700.0));
        for batch in 0..3 {
            let first = if epoch + batch == 0 { 9000.0 } else { 0.0 };
            training.batch(TEST, ms(3.0 + first), ms(1.0 + first), Duration::ZERO);
        }
        training.pause(ms(700.0));
    }
    assert!((training.share() - 0.25).abs() < 1e-9);
    assert_eq!(training.hooks.passed, ms(58.0 * 4.0));
}

#[test]
fn a_first_batch_without_a_hook_at_its_end_does_not_count_either() {
    let start = Instant::now();
    let mut hooks = SlowHooks::default();
    // The second batch begins 10 s after the first, later ones 4 ms after the previous one.
    for (batch, began) in [0, 10_000, 10_004, 10_008].into_iter().enumerate() {
        let began = start + Duration::from_millis(began);
        hooks.batch(TRAIN, false);
        hooks.called(TRAIN, 0, (began, began + ms(1.0)), Duration::ZERO);
        assert_eq!(hooks.shares().next().unwrap().share == 0.0, batch == 0);
    }
    assert_eq!(hooks.passed, ms(1.0 + 4.0 + 4.0));
}

#[test]
fn both_hooks_of_a_batch_count_for_their_callbacks() {
    let mut now = Instant::now();
    let mut hooks = SlowHooks::default();
    for _ in 0..100 {
        for (ends, callbacks) in [(false, &[(0, 10.0)][..]), (true, &[(1, 20.0), (3, 0.0)])] {
            hooks.batch(TRAIN, ends);
            for &(callback, took) in callbacks {
                let began = now + ms(5.0);
                now = began + ms(took);
                hooks.called(TRAIN, callback, (began, now), Duration::ZERO);
            }
        }
    }
    let shares: Vec<_> = hooks
        .shares()
        .map(|one| (one.callback, (one.share * 45.0).round(), one.slow))
        .collect();
    assert_eq!(shares, [(0, 10.0, true), (1, 20.0, true), (3, 0.0, false)]);
}

#[test]
fn what_lies_within_another_call_breaks_nothing() {
    let mut training = Training::new();
    training.batch(TRAIN, ms(1.0), ms(1.0), Duration::ZERO);
    let began = training.now;
    for _ in 0..40 {
        training.batch(TRAIN, ms(1.0), ms(1.0), ms(5.0));
    }
    let ended = training.now + ms(20.0);
    training.hooks.batch(TRAIN, true);
    training
        .hooks
        .called(TRAIN, CALLBACK, (began, ended), ms(30.0));
    assert_eq!(training.hooks.passed, ms(100.0));
    assert!((training.share() - 0.7).abs() < 1e-9);
}

#[test]
fn another_list_of_callbacks_begins_anew_but_compiles_nothing() {
    let mut training = train(Hook::Works(5.0, 1), 500, 0);
    training.hooks.forget_callbacks();
    assert_eq!(training.hooks.shares().count(), 0);
    training.batch(TRAIN, ms(3.0), ms(1.0), Duration::ZERO);
    assert!((training.share() - 0.25).abs() < 1e-9);
}
