//! Numbers, steps and durations as short texts.

/// A value with four significant digits: `0.03124`, `12.35`, `1,235`, `1.235M`, `1.235e-6`.
pub fn value(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{number:.3e}");
    }
    if size >= 1e6 {
        let (unit, suffix) = unit_of(size);
        return value(number / unit) + suffix;
    }
    let digits = if size == 0.0 { 0.0 } else { size.log10() };
    let decimals = (3.0 - digits.floor()).clamp(0.0, 8.0);
    grouped(number, decimals)
}

/// A whole number with commas.
pub fn count(number: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // counts beyond 2^53 do not occur
    grouped(number as f64, 0.0)
}

/// A step, with commas.
#[allow(clippy::cast_precision_loss)] // steps beyond 2^53 do not occur
pub fn step(number: i64) -> String {
    grouped(number as f64, 0.0)
}

/// With a unit of thousands where that is shorter: `950`, `41.2k`, `5M`.
pub fn short(number: f64) -> String {
    let (unit, suffix) = unit_of(number.abs());
    let decimals = if unit > 1.0 && number.abs() / unit < 100.0 {
        1.0
    } else {
        0.0
    };
    let text = grouped(number / unit, decimals);
    let text = text.strip_suffix(".0").unwrap_or(&text);
    format!("{text}{suffix}")
}

/// The size of memory: `512 MB`, `3.4 GB`.
pub fn memory(bytes: f64) -> String {
    let (unit, suffix) = unit_of(bytes.abs());
    let suffix = if suffix == "k" { "K" } else { suffix };
    let decimals = if bytes.abs() / unit < 10.0 { 1.0 } else { 0.0 };
    format!("{} {suffix}B", grouped(bytes / unit, decimals))
}

/// Seconds as `950 µs`, `12.3 ms`, `1.2 s`.
pub fn seconds(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        size if size < 1e-3 => (number * 1e6, "µs"),
        size if size < 1.0 => (number * 1e3, "ms"),
        _ => (number, "s"),
    };
    let decimals = if scaled.abs() < 100.0 { 1.0 } else { 0.0 };
    format!("{} {unit}", grouped(scaled, decimals))
}

/// A time span as a clock shows it: `0:42`, `1:23:45`, `2 d 3 h`, `50 d`.
pub fn clock(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let total = seconds.max(0.0).round() as u64;
    let (days, hours) = (total / 86_400, total / 3600 % 24);
    let (minutes, rest) = (total / 60 % 60, total % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{rest:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{rest:02}"),
        (1..10, _) => format!("{days} d {hours} h"),
        _ => format!("{days} d"),
    }
}

/// The labels of evenly spaced ticks, all with the same unit and number of decimals.
pub fn labels(ticks: &[f64], step: f64) -> Vec<String> {
    let largest = ticks
        .iter()
        .fold(0.0_f64, |most, tick| most.max(tick.abs()));
    if largest != 0.0 && (largest < 1e-4 || step < 1e-6) {
        return ticks.iter().map(|&tick| scientific(tick)).collect();
    }
    // The largest unit in which the steps have at most two decimals.
    let (unit, suffix) = UNITS
        .into_iter()
        .find(|(unit, _)| largest >= *unit && decimals_of(step / unit) <= 2.0)
        .filter(|(unit, _)| largest >= 1e4 || *unit > 1e3)
        .unwrap_or((1.0, ""));
    let decimals = decimals_of(step / unit);
    let label = |&tick: &f64| {
        if tick == 0.0 {
            return "0".to_owned();
        }
        format!("{}{suffix}", grouped(tick / unit, decimals))
    };
    ticks.iter().map(label).collect()
}

/// A power of ten, or another tick of a logarithmic axis.
pub fn scientific(number: f64) -> String {
    let text = format!("{number:.6e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}e{exponent}")
}

const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];

fn unit_of(size: f64) -> (f64, &'static str) {
    UNITS
        .into_iter()
        .find(|(unit, _)| size >= *unit)
        .unwrap_or((1.0, ""))
}

/// How many decimals a multiple of `step` has.
fn decimals_of(step: f64) -> f64 {
    (0..=9)
        .map(f64::from)
        .find(|&decimals| {
            let scaled = step * 10_f64.powf(decimals);
            (scaled - scaled.round()).abs() < 1e-3 * scaled.abs().max(1e-9) && scaled >= 0.5
        })
        .unwrap_or(9.0)
}

/// With a fixed number of decimals, and commas between thousands.
fn grouped(number: f64, decimals: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 9
    let decimals = decimals as usize;
    let text = format!("{:.decimals$}", number.abs());
    let whole = text.split('.').next().map_or(0, str::len);
    let mut result = String::new();
    if number < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        result.push('-');
    }
    for (place, digit) in text.char_indices() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_four_digits() {
        let texts = [
            (0.0, "0.000"),
            (0.031_241, "0.03124"),
            (12.3456, "12.35"),
            (-1234.56, "-1,235"),
            (1_234_567.0, "1.235M"),
            (-3.3e9, "-3.300G"),
            (1.23456e-6, "1.235e-6"),
            (-0.0, "0.000"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (number, text) in texts {
            assert_eq!(value(number), text, "{number}");
        }
    }

    #[test]
    fn spans_and_sizes() {
        assert_eq!(clock(42.4), "0:42");
        assert_eq!(clock(5025.0), "1:23:45");
        assert_eq!(clock(2.0 * 86_400.0 + 3.0 * 3600.0), "2 d 3 h");
        assert_eq!(clock(50.0 * 86_400.0), "50 d");
        assert_eq!(seconds(0.000_12), "120 µs");
        assert_eq!(seconds(0.0123), "12.3 ms");
        assert_eq!(memory(3.44e9), "3.4 GB");
        assert_eq!(memory(51_200.0), "51 KB");
        assert_eq!(short(41_234.0), "41.2k");
        assert_eq!(short(5e6), "5M");
        assert_eq!(count(10_000_000), "10,000,000");
    }

    #[test]
    fn ticks_share_their_unit() {
        assert_eq!(labels(&[0.0, 0.5, 1.0], 0.5), ["0", "0.5", "1.0"]);
        assert_eq!(labels(&[0.0, 250e3, 1e6], 250e3), ["0", "0.25M", "1.00M"]);
        assert_eq!(labels(&[0.0, 2e6, 4e6], 2e6), ["0", "2M", "4M"]);
        assert_eq!(
            labels(&[3_333_330.0, 3_333_335.0], 5.0),
            ["3,333,330", "3,333,335"]
        );
        assert_eq!(labels(&[0.0, 2000.0], 2000.0), ["0", "2,000"]);
        assert_eq!(labels(&[1e-5, 2e-5], 1e-5), ["1e-5", "2e-5"]);
        assert_eq!(labels(&[-0.1, 0.0], 0.1), ["-0.1", "0"]);
    }
}
