//! Functions by name: which are clean, which leave something behind.
//!
//! A name is all that a text shows. A user's function of the same name as a clean built-in one, found through
//! `search_path` or a better match of arguments, is taken for the built-in one here.

mod table;

/// What a name before a parenthesis stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A keyword, not a call.
    Keyword,
    /// A built-in function that leaves nothing behind.
    Clean,
    SetConfig,
    AdvisoryLock,
    AdvisoryUnlock,
    Dblink,
    DblinkEnd,
    Origin,
    OriginEnd,
    Slot,
    SlotEnd,
    Backup,
    BackupEnd,
    SequenceRead,
    SequenceWrite,
    Notify,
}

/// Functions with an effect of their own. `dblink_*` are an extension's; the others are built in (`pg_start_backup` and
/// `pg_stop_backup` up to PostgreSQL 14).
static SPECIAL: [(&str, Call); 27] = [
    ("set_config", Call::SetConfig),
    ("pg_advisory_lock", Call::AdvisoryLock),
    ("pg_advisory_lock_shared", Call::AdvisoryLock),
    ("pg_try_advisory_lock", Call::AdvisoryLock),
    ("pg_try_advisory_lock_shared", Call::AdvisoryLock),
    ("pg_advisory_unlock", Call::AdvisoryUnlock),
    ("pg_advisory_unlock_shared", Call::AdvisoryUnlock),
    ("pg_advisory_unlock_all", Call::AdvisoryUnlock),
    ("dblink_connect", Call::Dblink),
    ("dblink_connect_u", Call::Dblink),
    ("dblink_disconnect", Call::DblinkEnd),
    ("pg_replication_origin_session_setup", Call::Origin),
    ("pg_replication_origin_session_reset", Call::OriginEnd),
    ("pg_create_physical_replication_slot", Call::Slot),
    ("pg_create_logical_replication_slot", Call::Slot),
    ("pg_copy_physical_replication_slot", Call::Slot),
    ("pg_copy_logical_replication_slot", Call::Slot),
    ("pg_drop_replication_slot", Call::SlotEnd),
    ("pg_backup_start", Call::Backup),
    ("pg_start_backup", Call::Backup),
    ("pg_backup_stop", Call::BackupEnd),
    ("pg_stop_backup", Call::BackupEnd),
    ("currval", Call::SequenceRead),
    ("lastval", Call::SequenceRead),
    ("nextval", Call::SequenceWrite),
    ("setval", Call::SequenceWrite),
    ("pg_notify", Call::Notify),
];

/// Number of places in [`INDEX`]: a power of two, at least twice the number of names, so that probes are short.
const PLACES: usize = 8192;

/// No name in this place.
const VACANT: u16 = u16::MAX;

/// A hash table over all names, built by the compiler: numbers of names, [`VACANT`] where there is none.
static INDEX: [u16; PLACES] = build_index();

/// What this name stands for; nothing if it is not known. Unquoted names come as they are written, quoted ones without
/// their quotes.
pub(crate) fn lookup(name: &[u8], folded: bool) -> Option<Call> {
    let mut place = hash(name) % PLACES;
    loop {
        let number = *INDEX.get(place)?;
        if number == VACANT {
            return None;
        }
        let (known, call) = entry(usize::from(number))?;
        if known.as_bytes() == name || !folded && known.as_bytes().eq_ignore_ascii_case(name) {
            return Some(call);
        }
        place = (place + 1) % PLACES;
    }
}

/// The name of this number, over all tables.
fn entry(number: usize) -> Option<(&'static str, Call)> {
    if let Some(name) = table::CLEAN.get(number) {
        return Some((name, Call::Clean));
    }
    let number = number - table::CLEAN.len();
    if let Some(name) = table::KEYWORDS.get(number) {
        return Some((name, Call::Keyword));
    }
    let number = number - table::KEYWORDS.len();
    SPECIAL.get(number).copied()
}

/// FNV-1a of the name in lower case, 32 bits. The names are ours, so no one can choose them to collide; probing for a name that is chosen to
/// collide is as long as the longest run of neighbours.
#[expect(
    clippy::as_conversions,
    reason = "const function; the conversions only widen on supported targets"
)]
const fn hash(name: &[u8]) -> usize {
    let mut state: u32 = 0x811c_9dc5;
    let mut rest = name;
    while let [byte, more @ ..] = rest {
        state = (state ^ byte.to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        rest = more;
    }
    (state ^ state >> 15) as usize
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn build_index() -> [u16; PLACES] {
    let total = table::CLEAN.len() + table::KEYWORDS.len() + SPECIAL.len();
    assert!(total * 2 <= PLACES && total < VACANT as usize);
    let mut index = [VACANT; PLACES];
    let mut number = 0;
    while number < total {
        let mut local = number;
        let name = if local < table::CLEAN.len() {
            table::CLEAN[local]
        } else {
            local -= table::CLEAN.len();
            if local < table::KEYWORDS.len() {
                table::KEYWORDS[local]
            } else {
                SPECIAL[local - table::KEYWORDS.len()].0
            }
        };
        let mut place = hash(name.as_bytes()) % PLACES;
        while index[place] != VACANT {
            place = (place + 1) % PLACES;
        }
        index[place] = number as u16;
        number += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_of_every_table_is_found_once() {
        let mut seen = BTreeSet::new();
        let total = table::CLEAN.len() + table::KEYWORDS.len() + SPECIAL.len();
        for number in 0..total {
            let (name, call) = entry(number).unwrap();
            assert!(seen.insert(name), "{name} is there twice");
            assert_eq!(lookup(name.as_bytes(), true), Some(call));
            assert_eq!(lookup(name.to_uppercase().as_bytes(), false), Some(call));
        }
        assert_eq!(entry(total), None);
    }

    #[test]
    fn the_long_tables_are_sorted() {
        assert!(table::CLEAN.is_sorted());
        assert!(table::KEYWORDS.is_sorted());
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["", "my_function", "countt", "query_to_xml", "setseed", "dblink"] {
            assert_eq!(lookup(name.as_bytes(), true), None);
        }
        assert_eq!(lookup(b"COUNT", true), None);
        assert_eq!(lookup(&[b'a'; 64], false), None);
    }

    #[test]
    fn probes_are_short() {
        let mut run = 0;
        let mut longest = 0;
        for number in INDEX {
            run = if number == VACANT { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        assert!(longest <= 24, "a run of {longest} names");
    }
}
