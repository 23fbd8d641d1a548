//! The fuzz targets without libFuzzer, on any Rust: the corpus, and for a few seconds what chance
//! makes of it.

#![allow(clippy::unwrap_used)] // it is a test, and so are the targets

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, mem};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// How long each target is run.
const TIME: Duration = Duration::from_secs(2);

/// Bytes of an input, at most.
const LONGEST: usize = 4096;

#[test]
fn csv_append() {
    run("csv_append", targets::csv_append);
}

#[test]
fn event_relay() {
    run("event_relay", targets::event_relay);
}

#[test]
fn policy_state() {
    run("policy_state", targets::policy_state);
}

#[test]
fn run_reader() {
    run("run_reader", targets::run_reader);
}

fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = fs::read_dir(folder.join(name)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty());
    let check = |input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::write(&path, input).unwrap();
            panic!("it fails with {}", path.display());
        }
    };
    for input in &corpus {
        check(input);
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let began = Instant::now();
    while began.elapsed() < TIME {
        let mut input = chance.one_of(&corpus).clone();
        for _ in 0..=chance.below(4) {
            let other = chance.one_of(&corpus);
            chance.change(&mut input, other);
        }
        input.truncate(LONGEST);
        check(&input);
    }
}

/// The same numbers in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Changes an input: a bit, a byte, a piece taken out, doubled, or taken from another input.
    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() + 1 - at);
        match self.below(5) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => input.insert(at, *self.one_of(b"\",;\r\n\t\0\xff")),
            2 => drop(input.drain(at..end)),
            3 => input.splice(at..at, input[at..end].to_vec()).for_each(drop),
            _ => {
                let from = self.below(other.len() + 1);
                let tail = mem::take(input);
                input.extend_from_slice(&tail[..at]);
                input.extend_from_slice(&other[from..]);
                input.extend_from_slice(&tail[end..]);
            }
        }
    }
}
