//! Durations, sizes and other values as text, both ways.

use std::fmt::Write;
use std::time::Duration;

use crate::value::{Kind, Value};

/// Units of time with their length in microseconds, longest first.
const TIMES: &[(&str, u64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
];

/// Units of size with their length in bytes, longest first.
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a time span: one or more whole numbers with a unit, as "250ms" or "1h30m"; "0" needs no unit.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, unit, tail) = split_unit(rest).ok_or_else(|| span_mistake(text))?;
        let unit = if unit == "min" { "m" } else { unit };
        let micros = unit_of(TIMES, unit)
            .ok_or_else(|| format!("`{unit}` is not a unit of time: use us, ms, s, m, h or d"))?;
        let part = number.checked_mul(micros).and_then(|part| total.checked_add(part));
        total = part.ok_or_else(|| format!("`{text}` is too long"))?;
        rest = tail;
    }
    if text.is_empty() { Err(span_mistake(text)) } else { Ok(Duration::from_micros(total)) }
}

/// What is wrong with a text that is no time span.
fn span_mistake(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!(
            "`{text}` has no unit: write \"{text}s\" for seconds or \"{text}ms\" for milliseconds"
        )
    } else {
        format!(
            "`{text}` is not a duration: write whole numbers with a unit, such as \"250ms\", \"5s\" or \"1h30m\""
        )
    }
}

/// Reads a size: a whole number of bytes, or with a binary unit.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let mistake = || {
        format!(
            "`{text}` is not a size: write a whole number with a unit, such as \"64KiB\" or \"4MiB\""
        )
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return text.parse().map_err(|_| format!("`{text}` is too large"));
    }
    let (number, unit, tail) = split_unit(text).ok_or_else(mistake)?;
    if !tail.is_empty() {
        return Err(mistake());
    }
    let bytes = unit_of(SIZES, unit).ok_or_else(|| {
        let binary = unit
            .chars()
            .next()
            .map(|letter| letter.to_ascii_uppercase())
            .filter(|letter| "KMG".contains(*letter));
        match binary {
            Some(letter) => {
                format!("`{unit}` is not a unit of size here: write \"{number}{letter}iB\"")
            }
            None => format!("`{unit}` is not a unit of size: use B, KiB, MiB or GiB"),
        }
    })?;
    number.checked_mul(bytes).ok_or_else(|| format!("`{text}` is too large"))
}

/// Splits "30m5s" into 30, "m" and "5s".
fn split_unit(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at_checked(digits)?;
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, tail) = rest.split_at_checked(letters)?;
    Some((number.parse().ok()?, unit, tail))
}

fn unit_of(units: &[(&str, u64)], name: &str) -> Option<u64> {
    units.iter().find(|(unit, _)| *unit == name).map(|(_, length)| *length)
}

/// A time span in the largest unit that divides it: "10m".
pub(crate) fn show_span(span: Duration) -> String {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    in_largest_unit(TIMES, micros, "0s")
}

/// A size in the largest unit that divides it: "64KiB"; a plain number if that is bytes.
fn show_size(bytes: u64) -> String {
    let units = SIZES.get(..SIZES.len() - 1).unwrap_or_default();
    in_largest_unit(units, bytes, "0")
}

fn in_largest_unit(units: &[(&str, u64)], number: u64, zero: &str) -> String {
    if number == 0 {
        return zero.to_owned();
    }
    let fit = units.iter().find(|(_, length)| number.is_multiple_of(*length));
    fit.map_or_else(|| number.to_string(), |(unit, length)| format!("{}{unit}", number / length))
}

/// A value as it would be written in TOML. Secrets show as `"***"`; what is unset as nothing.
pub(crate) fn to_toml(kind: &Kind, value: &Value) -> String {
    match value {
        Value::Unset => String::new(),
        Value::Switch(on) => on.to_string(),
        Value::Count(number) | Value::Size(number) => match kind {
            Kind::Size { .. } if !show_size(*number).bytes().all(|byte| byte.is_ascii_digit()) => {
                quote(&show_size(*number))
            }
            _ => number.to_string(),
        },
        Value::Ratio(number) => format!("{number:?}"),
        Value::Span(span) => quote(&show_span(*span)),
        Value::Off => quote("-1"),
        Value::Text(text) | Value::File(text, _) => quote(text),
        Value::Secret(_) => quote("***"),
        Value::List(texts) => {
            let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
            format!("[{}]", quoted.join(", "))
        }
    }
}

/// A TOML basic string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Writing to a String cannot fail.
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        let cases = [
            ("250ms", 250),
            ("5s", 5000),
            ("10m", 600_000),
            ("10min", 600_000),
            ("1h30m", 5_400_000),
            ("0", 0),
            ("0s", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "-1s", "5 parsecs", "99999999999999d", "5sx", "5s "] {
            assert!(parse_span(text).is_err(), "{text}");
        }
        assert!(parse_span("5").unwrap_err().contains("\"5s\""));
    }

    #[test]
    fn sizes_have_binary_units() {
        let cases =
            [("64KiB", 65_536), ("4MiB", 4 << 20), ("1GiB", 1 << 30), ("17", 17), ("17B", 17)];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5KiB", "64kB", "1TB", "99999999999GiB", "1KiB1B"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_size("64kB").unwrap_err().contains("\"64KiB\""));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(micros in 0..u64::MAX / 2, bytes in any::<u64>()) {
            let span = Duration::from_micros(micros);
            prop_assert_eq!(parse_span(&show_span(span)), Ok(span));
            prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_quoted_so_that_toml_reads_it_back(text in any::<String>()) {
            let line = format!("a = {}", quote(&text));
            let table = toml::de::DeTable::parse(&line).unwrap();
            prop_assert_eq!(table.get_ref().get("a").unwrap().get_ref().as_str(), Some(text.as_str()));
        }
    }
}
