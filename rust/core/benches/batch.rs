//! What a batch costs in each part of the core: `cargo bench --package fitwatch-core`.

#![allow(missing_docs, clippy::expect_used)] // made by a macro; a benchmark may panic

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fitwatch_core::files::csv::{CsvFile, Field};
use fitwatch_core::files::event_file::{EventFile, Template};
use fitwatch_core::policies::{EarlyStopping, Metric, Moment, Patience, Plateau, Smoothing, Value};
use fitwatch_core::series::Series;
use tempfile::TempDir;

const BATCHES: i64 = 100_000;
const NEVER: Patience = Patience {
    limit: i64::MAX,
    waited: 0,
};

/// Losses as they are: float32 values, widened.
#[allow(clippy::cast_precision_loss)]
fn losses() -> Vec<f32> {
    (0..BATCHES).map(|i| (i as f32).sqrt().sin()).collect()
}

fn policies(criterion: &mut Criterion) {
    let losses = losses();
    let mut group = criterion.benchmark_group("a decision");
    group.throughput(Throughput::Elements(losses.len() as u64));
    let smoothing = Some(Smoothing::new(100.0));
    group.bench_function("EarlyStopping, smoothed", |bencher| {
        let mut policy = EarlyStopping {
            first: Metric {
                patience: NEVER,
                smoothing,
                ..Metric::default()
            },
            ..EarlyStopping::default()
        };
        bencher.iter(|| {
            for (batch, &loss) in (0..).zip(&losses) {
                let value = Some(Value {
                    value: f64::from(loss),
                    units: 1,
                });
                let at = Moment {
                    epoch: 0,
                    batch: Some(batch),
                };
                black_box(policy.update(at, &[value]));
            }
        });
    });
    group.bench_function("ReduceLROnPlateau, smoothed", |bencher| {
        let mut policy = Plateau {
            patience: NEVER,
            smoothing,
            ..Plateau::default()
        };
        bencher.iter(|| {
            for &loss in &losses {
                black_box(policy.update(f64::from(loss), 1));
            }
        });
    });
    group.finish();
}

fn series(criterion: &mut Criterion) {
    let losses = losses();
    let mut group = criterion.benchmark_group("a loss is kept");
    group.throughput(Throughput::Elements(losses.len() as u64));
    let kinds: [(_, fn() -> Series); 2] = [
        ("all", Series::new),
        ("the last 1,000", || Series::ring(1000)),
    ];
    for (name, make) in kinds {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut series = make();
                for &loss in &losses {
                    series.push(loss);
                }
                series
            });
        });
    }
    group.finish();
}

fn event_files(criterion: &mut Criterion) {
    let losses = losses();
    let template = Template::new("batch_loss");
    let mut group = criterion.benchmark_group("a scalar in an event file");
    group.throughput(Throughput::Elements(losses.len() as u64));
    group.bench_function("one by one", |bencher| {
        let make = || {
            let folder = tempfile::tempdir().expect("a folder");
            let file = EventFile::create(folder.path(), "host", None, 0.0).expect("a file");
            (file, folder)
        };
        let write = |(file, _): &mut (EventFile, TempDir)| {
            for (step, &loss) in (0..).zip(&losses) {
                file.add(&template, loss, step, 0.0);
            }
            file.close();
        };
        bencher.iter_batched_ref(make, write, BatchSize::PerIteration);
    });
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    let losses = losses();
    let mut group = criterion.benchmark_group("a row of a CSV file");
    group.throughput(Throughput::Elements(losses.len() as u64));
    for metrics in [1, 2, 10] {
        let make = || {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("rows.csv");
            let mut file = CsvFile::create(&path, ',', 0.0).expect("a file");
            let names: Vec<_> = ["epoch".to_owned(), "batch".to_owned()]
                .into_iter()
                .chain((0..metrics).map(|number| format!("metric_{number}")))
                .collect();
            file.add_columns(&names, 0.0).expect("a header");
            (file, folder)
        };
        let write = |(file, _): &mut (CsvFile, TempDir)| {
            for (batch, &loss) in (0..).zip(&losses) {
                let numbers = (0..metrics).map(|_| Field::Float(f64::from(loss)));
                let row = [Field::Int(0), Field::Int(batch)].into_iter();
                file.add_row(row.chain(numbers), 0.0).expect("a row");
            }
            file.flush(0.0).expect("written");
        };
        let id = BenchmarkId::from_parameter(format!("{metrics} metrics"));
        group.bench_function(id, |bencher| {
            bencher.iter_batched_ref(make, write, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group! {
    name = batch;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    targets = policies, series, event_files, rows
}
criterion_main!(batch);
