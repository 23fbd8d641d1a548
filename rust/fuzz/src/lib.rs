//! What must hold for any bytes at all: run by libFuzzer (`make fuzz`), and by `rust/core/tests/fuzz.rs`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use fitwatch_core::Error;
use fitwatch_core::files::csv::{CsvFile, Field};
use fitwatch_core::files::event_file::Relay;
use fitwatch_core::policies::{
    Checkpoint, EarlyStopping, Moment, Plateau, Spikes, Value, state::from_bytes, state::to_bytes,
};
use fitwatch_core::runs::{Axis, Options, Runs, Scalars, Window};

/// A file that is appended to: it is refused and left alone, or what is added comes back. The first
/// byte selects the separator, the second one how many rows are kept.
///
/// # Panics
/// When that does not hold.
pub fn csv_append(data: &[u8]) {
    let [separator, keep, content @ ..] = data else {
        return;
    };
    let separator = [',', ';', '\t', '.', '·'][usize::from(*separator) % 5];
    let keep = (*keep < 128).then_some(u64::from(*keep));
    let (_folder, path) = file(content);
    let open = |keep| CsvFile::append(&path, separator, "epoch", keep, 0.0);
    let Ok((mut file, _)) = open(keep) else {
        assert_eq!(fs::read(&path).unwrap(), content);
        return;
    };
    let kept = fs::read(&path).unwrap();
    assert!(content.starts_with(kept.strip_suffix(b"\n").unwrap_or(&kept)));
    assert!(keep.is_none_or(|keep| file.rows() <= keep));
    if file.columns().is_empty() {
        file.add_columns(&["epoch".to_owned()], 0.0).unwrap();
    }
    let row = |file: &mut CsvFile, number| {
        let fields = vec![Field::Int(number); file.columns().len()];
        file.add_row(fields, 0.0).unwrap();
        file.flush(0.0).unwrap();
    };
    row(&mut file, 1);
    let late = "late\"".repeat(file.columns().len());
    file.add_columns(&[late], 0.0).unwrap();
    row(&mut file, 2);
    let (again, repair) = open(None).unwrap();
    assert_eq!(repair, None);
    assert_eq!(again.rows(), file.rows());
    assert_eq!(again.columns(), file.columns());
}

/// An event file that is followed while it grows: its whole records are taken over, but for the
/// first, up to one that is damaged.
///
/// # Panics
/// When that does not hold.
pub fn event_relay(data: &[u8]) {
    let half = data.len() / 2;
    let (_folder, path) = file(&data[..half]);
    let mut relay = Relay::open(&path).unwrap();
    let mut taken = Vec::new();
    let mut damaged = 0;
    for content in [&data[..half], data, data] {
        fs::write(&path, content).unwrap();
        match relay.take(&mut taken) {
            Ok(more) => assert!(!more),
            Err(Error::DamagedRecord { .. }) => damaged += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(damaged <= 1);
    // The length that stands in front of a record, if it is there.
    let length = |at: usize| {
        let length = data[at..].first_chunk()?;
        usize::try_from(u64::from_le_bytes(*length)).ok()
    };
    let first = length(0).unwrap_or_default().saturating_add(16);
    let mut end = 0;
    while end < taken.len() {
        end += length(first + end).unwrap() + 16;
    }
    assert_eq!(end, taken.len());
    assert!(taken.is_empty() || data[first..].starts_with(&taken));
}

/// Files of recorded runs: each is refused, or read the same at once and while it grows. The first
/// byte selects the kind of the file; in the payloads of records, chance gets past the checksums.
///
/// # Panics
/// When that does not hold.
pub fn run_reader(data: &[u8]) {
    let [kind, content @ ..] = data else {
        return;
    };
    let (suffix, content) = match kind % 4 {
        0 => ("tfevents", content.to_vec()),
        1 => ("tfevents", records(content)),
        2 => ("csv", content.to_vec()),
        _ => ("npz", content.to_vec()),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("file.{suffix}"));
    for keep_superseded in [false, true] {
        let options = Options {
            keep_superseded,
            ..Options::default()
        };
        fs::write(&path, &content).unwrap();
        let Ok(whole) = Runs::read(&path, options) else {
            continue;
        };
        for (_, run) in whole.iter() {
            run.scalars()
                .values()
                .for_each(|series| is_sound(series, keep_superseded));
        }
        if suffix == "npz" {
            continue;
        }
        fs::write(&path, &content[..content.len() / 2]).unwrap();
        let Ok(mut growing) = Runs::read(&path, options) else {
            continue;
        };
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&content[content.len() / 2..]).unwrap();
        growing.refresh().unwrap();
        assert_eq!(shown(&growing), shown(&whole));
    }
}

fn is_sound(series: &Scalars, keep_superseded: bool) {
    assert_eq!(series.steps().len(), series.wall_times().len());
    assert_eq!(series.steps().len(), series.values().len());
    if keep_superseded {
        return;
    }
    assert!(series.steps().is_sorted_by(|one, next| one < next));
    for (axis, columns, halflife) in [(Axis::Step, 3, None), (Axis::Wall, 1000, Some(2.0))] {
        let envelope = series.envelope(&Window {
            axis,
            from: f64::NEG_INFINITY,
            to: f64::INFINITY,
            columns,
            halflife,
        });
        let points: u64 = envelope.iter().map(|column| column.points).sum();
        assert!(points <= series.len() as u64 && envelope.len() <= columns);
        assert!(axis == Axis::Wall || points == series.len() as u64);
    }
    if let Some((low, high)) = series.extremes() {
        assert!(series.value(low) <= series.value(high));
    }
}

fn shown(runs: &Runs) -> String {
    let runs = runs.iter().map(|(name, run)| {
        let series = run.scalars().iter().map(|(tag, series)| {
            format!(
                "{tag:?}: {:?} {:?} {:?}",
                series.steps(),
                series.wall_times(),
                series.values()
            )
        });
        let series: Vec<_> = series.collect();
        format!("{name:?}: {series:?} {:?} {:?}", run.texts(), run.hparams())
    });
    runs.collect()
}

/// Records with these payloads, each of which begins with its length.
fn records(mut payloads: &[u8]) -> Vec<u8> {
    let masked = |bytes: &[u8]| {
        let crc = crc32c::crc32c(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let mut file = Vec::new();
    while let [length, rest @ ..] = payloads {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let length = (payload.len() as u64).to_le_bytes();
        file.extend_from_slice(&length);
        file.extend_from_slice(&masked(&length));
        file.extend_from_slice(payload);
        file.extend_from_slice(&masked(payload));
        payloads = rest;
    }
    file
}

/// A pickled state of a policy: it is refused, or it is a policy that works.
///
/// # Panics
/// When that does not hold.
pub fn policy_state(data: &[u8]) {
    const VALUES: [f64; 5] = [0.5, f64::NAN, -1e300, f64::INFINITY, 0.0];
    if let Ok(mut policy) = from_bytes::<EarlyStopping>(data) {
        comes_back(&policy);
        for (epoch, value) in (0..).zip(VALUES) {
            let values = vec![Some(Value { value, units: 1 }); policy.metrics().count()];
            let batch = (epoch > 2).then_some(i64::MAX);
            policy.update(Moment { epoch, batch }, &values);
        }
        let _ = policy.still_stops();
        assert!(policy.stalled().count() <= policy.metrics().count());
        assert!(policy.reached().count() <= policy.metrics().count());
    }
    if let Ok(mut policy) = from_bytes::<Plateau>(data) {
        comes_back(&policy);
        for value in VALUES {
            policy.update(value, i64::MAX);
            let _ = policy.reduced(value);
            policy.acted();
        }
    }
    if let Ok(mut policy) = from_bytes::<Spikes>(data) {
        comes_back(&policy);
        for value in VALUES {
            policy.update(value, i64::MAX);
        }
        policy.reset();
    }
    if let Ok(mut policy) = from_bytes::<Checkpoint>(data) {
        comes_back(&policy);
        for batch in [0, u64::MAX, 1] {
            policy.due(batch, 3);
        }
    }
}

/// By its bytes: a NaN is not equal to itself.
fn comes_back<P: serde::Serialize + serde::de::DeserializeOwned>(policy: &P) {
    let bytes = to_bytes(policy).unwrap();
    assert_eq!(to_bytes(&from_bytes::<P>(&bytes).unwrap()).unwrap(), bytes);
}

fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, content).unwrap();
    (folder, path)
}
