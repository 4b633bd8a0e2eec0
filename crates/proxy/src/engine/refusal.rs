//! Errors that a standby tells because it is one, where the primary would carry out the statement.
//!
//! Messages may be in any language; the place in PostgreSQL's source that an error comes from is never translated.

use trunkline_wire::{SqlState, backend::Fields};

/// Why a standby does not carry out a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is more than a read, and will be on every standby.
    Write,
    /// It has not replayed what the statement names, had to cancel it for what it has to replay, or ends; or it is the
    /// session's matter and not the statement's, or not known whose it is.
    Passing,
}

/// The files of PostgreSQL that refuse, with 55000, what only a primary does.
const OF_A_PRIMARY: [&[u8]; 5] =
    [b"lock.c", b"xlogfuncs.c", b"slotfuncs.c", b"brin.c", b"ginfast.c"];

/// The function of PostgreSQL that refuses, with 0A000, to read an unlogged table, as only a primary does. Others tell that
/// something is not supported at all.
const UNLOGGED: (&[u8], &[u8]) = (b"plancat.c", b"get_relation_info");

/// That which refuses to be serializable. Sessions at another level may send the same text.
const SERIALIZABLE: (&[u8], &[u8]) = (b"predicate.c", b"GetSerializableTransactionSnapshot");

/// The files of PostgreSQL in which it is an internal error (XX000) to write on a standby.
const UNWRITABLE: [&[u8]; 3] = [b"varsup.c", b"multixact.c", b"xlog.c"];

/// Errors that pass: of what is not there yet, of a conflict with what is replayed, of the end of the server.
const PASSING: [SqlState; 10] = [
    SqlState::SERIALIZATION_FAILURE,
    SqlState::DEADLOCK_DETECTED,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::UNDEFINED_COLUMN,
    SqlState::UNDEFINED_SCHEMA,
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::DATABASE_DROPPED,
];

/// What the body of an error shows; none if the primary would tell it as well.
#[cold]
pub(super) fn refusal(error: &[u8]) -> Option<Refusal> {
    let fields = Fields::parse(error).ok()?;
    let code = fields.code()?;
    let file = fields.field(b'F').unwrap_or_default();
    let routine = fields.field(b'R').unwrap_or_default();
    match code {
        SqlState::READ_ONLY_SQL_TRANSACTION => Some(Refusal::Write),
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE if OF_A_PRIMARY.contains(&file) => {
            Some(Refusal::Write)
        }
        // A materialized view that has not been filled, for instance.
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => Some(Refusal::Passing),
        SqlState::FEATURE_NOT_SUPPORTED => match (file, routine) {
            UNLOGGED => Some(Refusal::Write),
            SERIALIZABLE => Some(Refusal::Passing),
            _ => None,
        },
        SqlState::INTERNAL_ERROR if UNWRITABLE.contains(&file) => Some(Refusal::Write),
        code => PASSING.contains(&code).then_some(Refusal::Passing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with this code, from this place.
    fn error(code: &str, file: &str, routine: &str) -> Vec<u8> {
        format!("SERROR\0VERROR\0C{code}\0Mnein\0F{file}\0L1\0R{routine}\0\0").into_bytes()
    }

    #[test]
    fn what_only_a_primary_does_is_remembered_and_what_passes_is_not() {
        for (code, file, routine, expected) in [
            ("25006", "utility.c", "PreventCommandIfReadOnly", Some(Refusal::Write)),
            ("25006", "utility.c", "PreventCommandDuringRecovery", Some(Refusal::Write)),
            ("55000", "xlogfuncs.c", "pg_switch_wal", Some(Refusal::Write)),
            ("55000", "lock.c", "LockAcquireExtended", Some(Refusal::Write)),
            ("55000", "execUtils.c", "ExecOpenScanRelation", Some(Refusal::Passing)),
            ("0A000", "plancat.c", "get_relation_info", Some(Refusal::Write)),
            ("0A000", "predicate.c", "GetSerializableTransactionSnapshot", Some(Refusal::Passing)),
            ("XX000", "varsup.c", "GetNewTransactionId", Some(Refusal::Write)),
            // Conflicts with what is replayed, and the end of the server.
            ("40001", "postgres.c", "ProcessInterrupts", Some(Refusal::Passing)),
            ("40P01", "standby.c", "SendRecoveryConflictWithBufferPin", Some(Refusal::Passing)),
            ("57P04", "postgres.c", "ProcessInterrupts", Some(Refusal::Passing)),
            ("57P01", "postgres.c", "ProcessInterrupts", Some(Refusal::Passing)),
            ("42P01", "parse_relation.c", "parserOpenTable", Some(Refusal::Passing)),
            ("42703", "parse_relation.c", "errorMissingColumn", Some(Refusal::Passing)),
            ("42883", "parse_func.c", "ParseFuncOrColumn", Some(Refusal::Passing)),
            ("3F000", "namespace.c", "LookupExplicitNamespace", Some(Refusal::Passing)),
            // The client's own.
            ("0A000", "parse_agg.c", "transformAggregateCall", None),
            ("0A000", "plancache.c", "RevalidateCachedQuery", None),
            ("0A000", "plancat.c", "other", None),
            ("0A000", "", "", None),
            ("XX000", "elog.c", "other", None),
            ("22012", "int.c", "int4div", None),
            ("57014", "postgres.c", "ProcessInterrupts", None),
        ] {
            assert_eq!(refusal(&error(code, file, routine)), expected, "{code} {file} {routine}");
        }
        assert_eq!(refusal(b"C25006"), None, "it is no error");
    }
}
