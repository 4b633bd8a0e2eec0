//! Names as PostgreSQL tells them apart: by their first bytes only.

use trunkline_wire::Reported;

/// `NAMEDATALEN` of PostgreSQL, less the terminating zero byte.
pub(crate) const NAME_MAX: usize = 63;

/// The part of a statement's or portal's name that counts: the tables of both compare no more (`prepare.c`,
/// `portalmem.c`). Messages show the whole name.
#[inline]
pub(crate) fn of_protocol(name: &[u8]) -> &[u8] {
    name.get(..NAME_MAX).unwrap_or(name)
}

/// A name of an SQL text, which is cut where a character begins (`scansup.c`, `truncate_identifier`). Other encodings
/// than UTF-8 are taken for it, which may cut some bytes early.
pub(crate) fn of_sql(name: &[u8]) -> &[u8] {
    if name.len() <= NAME_MAX {
        return name;
    }
    let begins = |at: usize| name.get(at).is_some_and(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let end = (0..=NAME_MAX).rev().find(|at| begins(*at)).unwrap_or(NAME_MAX);
    name.get(..end).unwrap_or(name)
}

/// Whether the name is text for a session that is told these parameters. PostgreSQL refuses one that is not. Whether a
/// name in an encoding other than UTF-8 can be converted, only PostgreSQL knows; such a name never reaches it.
#[inline]
pub(crate) fn is_text(name: &[u8], told: &Reported) -> bool {
    name.is_ascii()
        || told.get(b"client_encoding").is_some_and(|encoding| encoding != b"UTF8")
        || std::str::from_utf8(name).is_ok()
}

/// The last bytes of a name as a number, by which several names of one statement are told apart.
#[inline]
pub(crate) fn tail(name: &[u8]) -> u64 {
    name.last_chunk::<8>().map_or_else(
        || name.iter().fold(0, |tail, byte| tail << 8 | u64::from(*byte)),
        |last| u64::from_be_bytes(*last),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_as_postgresql_cuts_them() {
        let long = "a".repeat(62) + "äb";
        assert_eq!(of_protocol(long.as_bytes()).len(), 63);
        assert_eq!(of_sql(long.as_bytes()), "a".repeat(62).as_bytes());
        assert_eq!(of_sql("b".repeat(64).as_bytes()), "b".repeat(63).as_bytes());
        assert_eq!(of_sql(b"short"), b"short");
        assert_eq!(of_protocol(b"short"), b"short");
    }

    #[test]
    fn what_is_text_depends_on_the_encoding() {
        let mut told = Reported::new();
        told.set(b"client_encoding", b"UTF8").unwrap();
        assert!(is_text(b"plain", &told) && is_text("ä".as_bytes(), &told));
        assert!(!is_text(b"\xE4", &told) && !is_text(b"\xED\xA0\x80", &told));
        told.set(b"client_encoding", b"LATIN1").unwrap();
        assert!(is_text(b"\xE4", &told));
    }

    #[test]
    fn names_of_the_same_length_have_different_tails() {
        assert_ne!(tail(b"statement_1001"), tail(b"statement_1002"));
        assert_ne!(tail(b"s"), tail(b"t"));
        assert_eq!(tail(b""), 0);
    }
}
