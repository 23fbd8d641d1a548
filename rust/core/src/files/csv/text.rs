//! The text of one record: fields and separators.

use std::fmt::Write;

use crate::python_text;

/// The end of a record.
pub const END: &str = "\r\n";

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// Text, quoted if necessary.
    Text(&'a str),
    /// A float, in the format of Python's `repr`.
    Float(f64),
    /// An integer.
    Int(i64),
    /// A missing value.
    Missing,
}

/// The text for a missing value.
pub const MISSING: &str = "NA";

/// Appends a record with its line end, in Python's `excel` dialect with another separator.
pub fn push_record<'a>(
    text: &mut String,
    separator: char,
    fields: impl IntoIterator<Item = Field<'a>>,
) {
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            text.push(separator);
        }
        let start = text.len();
        match field {
            Field::Text(field) => text.push_str(field),
            Field::Float(number) => python_text::push_repr(text, number),
            Field::Int(number) => {
                let _ = write!(text, "{number}"); // writing to a String cannot fail
            }
            Field::Missing => text.push_str(MISSING),
        }
        if matches!(field, Field::Text(_)) || is_in_numbers(separator) {
            quote_from(text, separator, start);
        }
    }
    text.push_str(END);
}

/// Whether the text of a number may contain this character.
fn is_in_numbers(separator: char) -> bool {
    separator.is_ascii_alphanumeric() || matches!(separator, '.' | '-' | '+')
}

/// Quotes the text from `start` on, if it would not parse as one field otherwise.
fn quote_from(text: &mut String, separator: char, start: usize) {
    let special = |c: char| c == separator || matches!(c, '"' | '\r' | '\n');
    if text[start..].contains(special) {
        let quoted = text[start..].replace('"', "\"\"");
        text.truncate(start);
        text.push('"');
        text.push_str(&quoted);
        text.push('"');
    }
}

/// Splits a record, without its line end, into fields.
pub fn split(record: &str, separator: char) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = record.chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        let at_start = fields.last().is_none_or(String::is_empty);
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut fields, '"');
            }
            '"' if quoted || at_start => quoted = !quoted,
            _ if c == separator && !quoted => fields.push(String::new()),
            _ => push(&mut fields, c),
        }
    }
    fields
}

fn push(fields: &mut [String], c: char) {
    if let Some(last) = fields.last_mut() {
        last.push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(separator: char, fields: &[Field<'_>]) -> String {
        let mut text = String::new();
        push_record(&mut text, separator, fields.iter().copied());
        text
    }

    #[test]
    fn fields_of_all_kinds() {
        let fields = [
            Field::Int(3),
            Field::Float(0.5),
            Field::Text("a"),
            Field::Missing,
        ];
        assert_eq!(record(',', &fields), "3,0.5,a,NA\r\n");
        assert_eq!(record('\t', &fields), "3\t0.5\ta\tNA\r\n");
        assert_eq!(record('.', &fields), "3.\"0.5\".a.NA\r\n");
    }

    #[test]
    fn quotes_where_they_are_needed() {
        for (field, expected) in [
            ("a,b", "\"a,b\"\r\n"),
            ("a;b", "a;b\r\n"),
            ("say \"a\"", "\"say \"\"a\"\"\"\r\n"),
            ("a\nb", "\"a\nb\"\r\n"),
            ("a\rb", "\"a\rb\"\r\n"),
            (" a ", " a \r\n"),
            ("", "\r\n"),
        ] {
            assert_eq!(record(',', &[Field::Text(field)]), expected);
        }
    }

    proptest! {
        #[test]
        fn fields_come_back_unchanged(
            fields in prop::collection::vec("[a,;\"\r\n é\u{1f600}]{0,6}|\\PC{0,6}", 1..5),
            separator in prop::sample::select(vec![',', ';', '\t', '·']),
        ) {
            let texts: Vec<_> = fields.iter().map(|field| Field::Text(field)).collect();
            let text = record(separator, &texts);
            let body = text.strip_suffix(END).expect("an end");
            prop_assert_eq!(split(body, separator), fields);
        }
    }
}
