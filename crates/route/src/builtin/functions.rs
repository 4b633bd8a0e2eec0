//! The table of functions: found by name and number of arguments, or by number.

mod a_to_h;
mod i_to_o;
mod p;
mod q_to_z;

use super::{Class, classes};

/// As many arguments as one likes.
const ANY: u8 = u8::MAX;

/// Name, the least and the most arguments of a call, and the numbers (OIDs) of the functions of which that is true. Those that
/// `initdb` gives a number of its own have none here. What differs between versions is united.
type Row = (&'static str, u8, u8, &'static [u16]);

const ROWS: usize = a_to_h::A_TO_H.len() + i_to_o::I_TO_O.len() + p::P.len() + q_to_z::Q_TO_Z.len();

/// All rows, sorted by name.
static FUNCTIONS: [Row; ROWS] = unite();

/// What the functions of each row do.
static CLASSES: [Class; ROWS] = classify();

/// Places of the hash table over names: a power of two, more than twice the number of names, so that probes are short.
const PLACES: usize = 8192;

/// No row in this place.
const VACANT: u16 = u16::MAX;

/// The first row of the name that belongs in this place; built by the compiler.
static BY_NAME: [u16; PLACES] = index_names();

/// PostgreSQL writes the numbers of its own functions down below this one (`FirstGenbkiObjectId`).
const NUMBERS: usize = 10_000;

/// The row of each number; built by the compiler.
static BY_NUMBER: [u16; NUMBERS] = index_numbers();

/// A function of `pg_catalog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub class: Class,
}

/// What a call of this name with so many arguments may do, which is the worst of what functions it may mean; nothing if there
/// is no such function.
#[inline]
pub fn call(name: &str, arguments: usize) -> Option<Builtin> {
    worst(name, |least, most| {
        arguments >= usize::from(least) && (most == ANY || arguments <= usize::from(most))
    })
}

/// The same, whatever the arguments.
#[inline]
pub fn named(name: &str) -> Option<Builtin> {
    worst(name, |_, _| true)
}

/// The function of this number. A few numbers have had two functions in different versions: then the worse.
pub fn by_oid(oid: u32) -> Option<Builtin> {
    let row = *BY_NUMBER.get(usize::try_from(oid).ok()?)?;
    builtin(usize::from(row))
}

#[inline]
fn worst(name: &str, fits: impl Fn(u8, u8) -> bool) -> Option<Builtin> {
    let mut found: Option<Builtin> = None;
    let first = first_row(name)?;
    for (row, (known, least, most, _)) in FUNCTIONS.iter().enumerate().skip(first) {
        if *known != name {
            break;
        }
        if fits(*least, *most) && found.is_none_or(|found| found.class == Class::Harmless) {
            found = builtin(row);
        }
    }
    found
}

fn builtin(row: usize) -> Option<Builtin> {
    let (name, ..) = FUNCTIONS.get(row)?;
    Some(Builtin { name, class: *CLASSES.get(row)? })
}

#[inline]
fn first_row(name: &str) -> Option<usize> {
    let mut place = hash(name.as_bytes()) % PLACES;
    loop {
        let row = *BY_NAME.get(place)?;
        let (known, ..) = FUNCTIONS.get(usize::from(row))?;
        if *known == name {
            return Some(usize::from(row));
        }
        place = (place + 1) % PLACES;
    }
}

/// FNV-1a, 32 bits. The names are ours, so no one can choose them to collide; probing for a name that is chosen to collide is
/// as long as the longest run of neighbours.
#[expect(clippy::as_conversions, reason = "const function; the conversions only widen")]
const fn hash(name: &[u8]) -> usize {
    let mut state: u32 = 0x811c_9dc5;
    let mut rest = name;
    while let [byte, more @ ..] = rest {
        state = (state ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = more;
    }
    (state ^ state >> 15) as usize
}

#[expect(
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn unite() -> [Row; ROWS] {
    let parts: [&[Row]; 4] = [&a_to_h::A_TO_H, &i_to_o::I_TO_O, &p::P, &q_to_z::Q_TO_Z];
    let mut all = [("", 0, 0, [].as_slice()); ROWS];
    let (mut part, mut row) = (0, 0);
    while part < parts.len() {
        let mut number = 0;
        while number < parts[part].len() {
            all[row] = parts[part][number];
            (number, row) = (number + 1, row + 1);
        }
        part += 1;
    }
    all
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn classify() -> [Class; ROWS] {
    let mut all = [Class::Harmless; ROWS];
    let mut list = 0;
    while list < classes::LISTS.len() {
        let (names, class) = classes::LISTS[list];
        let mut number = 0;
        while number < names.len() {
            let mut row = row_of(names[number]);
            while row < ROWS && same(FUNCTIONS[row].0, names[number]) {
                all[row] = class;
                row += 1;
            }
            number += 1;
        }
        list += 1;
    }
    let mut number = 0;
    while number < classes::EXCEPTIONS.len() {
        let (oid, class) = classes::EXCEPTIONS[number];
        all[row_of_number(oid)] = class;
        number += 1;
    }
    all
}

/// The first row of a name, which must be there.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn row_of(name: &str) -> usize {
    let mut place = hash(name.as_bytes()) % PLACES;
    while !same(FUNCTIONS[widen(BY_NAME[place])].0, name) {
        place = (place + 1) % PLACES;
    }
    widen(BY_NAME[place])
}

/// The row that has a number, which must be there.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn row_of_number(oid: u16) -> usize {
    let mut row = 0;
    loop {
        let numbers = FUNCTIONS[row].3;
        let mut number = 0;
        while number < numbers.len() {
            if numbers[number] == oid {
                return row;
            }
            number += 1;
        }
        row += 1;
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn index_names() -> [u16; PLACES] {
    assert!(ROWS * 2 <= PLACES && ROWS < VACANT as usize);
    let mut index = [VACANT; PLACES];
    let mut row = 0;
    while row < ROWS {
        let name = FUNCTIONS[row].0;
        if row == 0 || !same(FUNCTIONS[row - 1].0, name) {
            let mut place = hash(name.as_bytes()) % PLACES;
            while index[place] != VACANT {
                place = (place + 1) % PLACES;
            }
            index[place] = row as u16;
        }
        row += 1;
    }
    index
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn index_numbers() -> [u16; NUMBERS] {
    let mut index = [VACANT; NUMBERS];
    let mut row = 0;
    while row < ROWS {
        let numbers = FUNCTIONS[row].3;
        let mut number = 0;
        while number < numbers.len() {
            let place = widen(numbers[number]);
            if index[place] == VACANT || matches!(CLASSES[widen(index[place])], Class::Harmless) {
                index[place] = row as u16;
            }
            number += 1;
        }
        row += 1;
    }
    index
}

#[expect(clippy::as_conversions, reason = "const function; the conversion only widens")]
const fn widen(number: u16) -> usize {
    number as usize
}

/// Whether two names are the same, for the compiler.
const fn same(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        match (one, other) {
            ([], []) => return true,
            ([a, more @ ..], [b, rest @ ..]) if *a == *b => (one, other) = (more, rest),
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Reason;

    #[test]
    fn every_row_is_found_by_its_name_and_its_numbers() {
        assert!(FUNCTIONS.is_sorted_by_key(|(name, least, most, _)| (*name, *least, *most)));
        for (name, least, most, numbers) in FUNCTIONS {
            assert!(named(name).is_some_and(|found| found.name == name), "{name}");
            assert!(call(name, usize::from(least)).is_some(), "{name}");
            let beyond = if most == ANY { 500 } else { usize::from(most) };
            assert!(call(name, beyond).is_some(), "{name}");
            for number in numbers {
                assert!(by_oid(u32::from(*number)).is_some(), "{number}");
            }
        }
    }

    #[test]
    fn every_name_of_the_lists_is_there_once() {
        let mut seen = BTreeSet::new();
        for (names, class) in classes::LISTS {
            assert!(names.is_sorted(), "{class:?}");
            for name in names {
                assert!(seen.insert(*name), "{name} is there twice");
                assert_eq!(named(name).map(|found| found.class), Some(class), "{name}");
            }
        }
    }

    #[test]
    fn overloads_may_differ_by_their_number_of_arguments() {
        let running = Class::Primary(Reason::WritingFunction);
        assert_eq!(call("ts_rewrite", 2).map(|found| found.class), Some(running));
        assert_eq!(call("ts_rewrite", 3).map(|found| found.class), Some(Class::Harmless));
        assert_eq!(named("ts_rewrite").map(|found| found.class), Some(running));
        assert_eq!(by_oid(3684).map(|found| found.class), Some(Class::Harmless));
        assert_eq!(by_oid(3685).map(|found| found.class), Some(running));
        assert_eq!(call("nextval", 2), None);
    }

    #[test]
    fn of_two_functions_that_have_had_one_number_the_worse_counts() {
        // In PostgreSQL 14 pg_is_in_backup, from 17 on xmltext.
        let worse = Class::Primary(Reason::NodeLocalFunction);
        assert_eq!(by_oid(3813).map(|found| found.class), Some(worse));
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["", "my_function", "NEXTVAL", "coalesce", "nextva", "nextvall"] {
            assert_eq!(named(name), None, "{name}");
        }
        assert_eq!(
            (by_oid(0), by_oid(9_999), by_oid(16_384), by_oid(u32::MAX)),
            (None, None, None, None)
        );
    }

    #[test]
    fn probes_are_short() {
        let mut run = 0;
        let mut longest = 0;
        for row in BY_NAME {
            run = if row == VACANT { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        assert!(longest <= 24, "a run of {longest} names");
    }
}
