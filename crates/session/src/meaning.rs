//! Whether what a server tells of a setting is what a client has written: `8MB` is told as `8192`, `'a' , "b"` as `a, b`,
//! `TRUE` as `on`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use trunkline_sql::Value;

use crate::adopt::is_same;

/// At most so many settings, and different values of them, are remembered with what servers make of them.
const MEANINGS_MAX: usize = 4096;

type Bytes = Box<[u8]>;

/// What servers have made of what clients have written. What they tell of a thing first they tell for ever.
#[derive(Debug, Default)]
pub(crate) struct Meanings(Mutex<Learnt>);

#[derive(Debug, Default)]
struct Learnt {
    /// By setting: how many bytes, or microseconds, the unit is in which it is told.
    units: BTreeMap<Bytes, u64>,
    /// What could not be told from its text, as a time zone's name in another case.
    others: BTreeMap<(Bytes, Bytes), Bytes>,
}

/// The units in which a server tells of memory and time, in bytes and microseconds: bytes, kB, blocks, MB, segments of the
/// log; ms, s, min (`guc.c`, `memory_unit_conversion_table`, `time_unit_conversion_table`).
const TOLD: [u64; 8] = [1, 1 << 10, 8 << 10, 1 << 20, 16 << 20, 1_000, 1_000_000, 60_000_000];

/// The units that may be written.
const WRITTEN: [(&str, u64); 10] = [
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("tb", 1 << 40),
    ("us", 1),
    ("ms", 1_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl Meanings {
    /// Whether a server may tell this of a setting with this value.
    pub(crate) fn agree(&self, name: &[u8], known: &Value, told: &[u8]) -> bool {
        if is_same(known, told) {
            return true;
        }
        let (known, told) = (words(known.as_bytes()), words(told));
        if known == told {
            return true;
        }
        let mut learnt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(known), Some(told)) = (switch(&known), switch(&told)) {
            return known == told;
        }
        if let Ok(number) = told.parse::<u64>() {
            return measure(&known).is_some_and(|known| learnt.measures(name, known, number));
        }
        learnt.means(name, &known, &told)
    }
}

impl Learnt {
    /// Whether so many bytes or microseconds are told as this number.
    fn measures(&mut self, name: &[u8], known: u64, told: u64) -> bool {
        let unit = known.checked_div(told).filter(|unit| unit.checked_mul(told) == Some(known));
        let Some(unit) = unit.filter(|unit| TOLD.contains(unit)) else { return false };
        let room = self.units.len() < MEANINGS_MAX;
        let before = self.units.get(name).copied();
        if before.is_none() && room {
            self.units.insert(name.into(), unit);
        }
        before.is_none_or(|before| before == unit)
    }

    fn means(&mut self, name: &[u8], known: &str, told: &str) -> bool {
        let key = (Bytes::from(name), Bytes::from(known.as_bytes()));
        if self.others.len() >= MEANINGS_MAX && !self.others.contains_key(&key) {
            return true;
        }
        **self.others.entry(key).or_insert_with(|| told.as_bytes().into()) == *told.as_bytes()
    }
}

/// A value without its quotes, spaces and capitals.
fn words(value: &[u8]) -> String {
    let kept = value.iter().filter(|byte| !matches!(byte, b'\'' | b'"' | b' '));
    String::from_utf8_lossy(&kept.map(u8::to_ascii_lowercase).collect::<Vec<_>>()).into_owned()
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "on" | "true" | "t" | "yes" | "y" | "1" => Some(true),
        "off" | "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A number with a unit, in bytes or microseconds.
fn measure(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let unit = WRITTEN.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_was_written() {
        let meanings = Meanings::default();
        let agree = |name: &str, known: &str, told: &str| {
            let known = Value::Written(known.as_bytes().into());
            meanings.agree(name.as_bytes(), &known, told.as_bytes())
        };
        for (name, known, told, same) in [
            ("work_mem", "'1230kB'", "4096", false),
            ("work_mem", "'1230kB'", "1230", true),
            ("work_mem", "'8MB'", "8192", true),
            ("work_mem", "'8MB'", "8", false),
            ("statement_timeout", "'5s'", "5000", true),
            ("statement_timeout", "'1min'", "60000", true),
            ("statement_timeout", "7", "7", true),
            ("statement_timeout", "7", "8", false),
            ("jit", "TRUE", "on", true),
            ("jit", "off", "on", false),
            ("search_path", "'a' , \"b\"", "a, b", true),
            ("timezone", "'europe/berlin'", "Europe/Berlin", true),
            ("intervalstyle", "'x'", "y", true),
            ("intervalstyle", "'x'", "z", false),
        ] {
            assert_eq!(agree(name, known, told), same, "{name} {known} {told}");
        }
    }
}
