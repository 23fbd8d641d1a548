//! Formats numbers as Python does.

use std::fmt::Write;

/// `repr(value)`: the shortest text that parses to the same float.
pub fn push_repr(text: &mut String, value: f64) {
    if push_special(text, value) {
        return;
    }
    // In this range neither Python nor ryu, which is faster, uses an exponent.
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        text.push_str(ryu::Buffer::new().format_finite(value));
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    text.push_str(mantissa);
    push_exponent(text, exponent);
}

/// `f"{value:.{places}f}"`
pub fn push_fixed(text: &mut String, value: f64, places: usize) {
    if !push_special(text, value) {
        let _ = write!(text, "{value:.places$}"); // writing to a String cannot fail
    }
}

/// `f"{value:.{places}e}"`
pub fn push_scientific(text: &mut String, value: f64, places: usize) {
    if push_special(text, value) {
        return;
    }
    let scientific = format!("{value:.places$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    text.push_str(mantissa);
    push_exponent(text, exponent);
}

fn push_special(text: &mut String, value: f64) -> bool {
    if value.is_finite() {
        return false;
    }
    text.push_str(if value.is_nan() {
        "nan"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    });
    true
}

/// Appends an exponent with its sign and at least two digits.
fn push_exponent(text: &mut String, exponent: &str) {
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let _ = write!(text, "e{sign}{digits:0>2}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repr(value: f64) -> String {
        let mut text = String::new();
        push_repr(&mut text, value);
        text
    }

    #[test]
    fn floats_are_written_as_python_does() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e15, "1000000000000000.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.234e22, "1.234e+22"),
            (1e-4, "0.0001"),
            (0.000_123_4, "0.0001234"),
            (0.000_099_999, "9.9999e-05"),
            (1e-5, "1e-05"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::from(0.3_f32), "0.30000001192092896"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(repr(value), expected);
        }
    }

    #[test]
    fn fixed_and_scientific() {
        let mut text = String::new();
        push_fixed(&mut text, 0.123_45, 4);
        text.push(' ');
        push_fixed(&mut text, 2.5, 0);
        text.push(' ');
        push_scientific(&mut text, 0.000_123_456, 4);
        text.push(' ');
        push_scientific(&mut text, -1e100, 4);
        text.push(' ');
        push_scientific(&mut text, f64::NAN, 4);
        assert_eq!(text, "0.1235 2 1.2346e-04 -1.0000e+100 nan");
    }

    proptest::proptest! {
        #[test]
        fn reads_back_as_the_same_float(value: f64) {
            let back: f64 = repr(value).parse().expect("a float");
            assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()));
        }
    }
}
