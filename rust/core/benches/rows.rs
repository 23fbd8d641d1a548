//! What a row of a CSV file costs: `cargo bench --package fitwatch-core`.

#![allow(clippy::expect_used)] // a benchmark may panic

use std::hint::black_box;
use std::time::Instant;

use fitwatch_core::csv::{CsvFile, Field};

const ROWS: i64 = 200_000;
const ROUNDS: usize = 15;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    for metrics in [1_u32, 2, 10] {
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let path = folder.path().join("rows.csv");
                let mut file = CsvFile::create(&path, ',', 0.0).expect("a file");
                let names = ["epoch".to_owned(), "batch".to_owned()].into_iter();
                let names: Vec<_> = names
                    .chain((0..metrics).map(|m| format!("metric_{m}")))
                    .collect();
                file.add_columns(&names, 0.0).expect("a header");
                let started = Instant::now();
                for batch in 0..ROWS {
                    // As logs are: a float32, widened.
                    #[allow(clippy::cast_precision_loss)]
                    let value = f64::from((batch as f32).sqrt().sin());
                    let numbers = (0..metrics).map(|_| Field::Float(black_box(value)));
                    let row = [Field::Int(0), Field::Int(batch)]
                        .into_iter()
                        .chain(numbers);
                    file.add_row(row, 0.0).expect("a row");
                }
                file.flush(0.0).expect("written");
                #[allow(clippy::cast_precision_loss)]
                let nanoseconds = started.elapsed().as_nanos() as f64 / ROWS as f64;
                nanoseconds
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds[ROUNDS / 2];
        println!("a row of {metrics} metrics, written to the file: {median:.0} ns (median)");
    }
}
