//! Whether a client asks for replication, and for which kind.

use trunkline_wire::SqlState;

use super::refusal::Refusal;

/// The name of the parameter.
pub(super) const REPLICATION: &[u8] = b"replication";

/// The value that asks for logical replication; PostgreSQL takes it in this spelling only.
const LOGICAL: &str = "database";

/// What a replication connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// The whole cluster: `pg_basebackup`, `pg_receivewal`, standbys.
    Physical,
    /// One database, in which statements can be given too: `pg_recvlogical`, subscriptions.
    Logical,
}

impl Replication {
    /// The value of the parameter that asks a server for it.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Physical => "true",
            Self::Logical => LOGICAL,
        }
    }

    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::Logical => "logical",
        }
    }
}

/// What the values of the parameter ask for together (`ProcessStartupPacket`): a boolean, of which the last one counts, or
/// `database`, of which each one does.
pub(super) fn asked_for<'a>(
    values: impl Iterator<Item = &'a str>,
) -> Result<Option<Replication>, Refusal> {
    let (mut sends, mut of_database) = (false, false);
    for value in values {
        if value == LOGICAL {
            (sends, of_database) = (true, true);
        } else {
            sends = boolean(value).ok_or_else(|| invalid(value))?;
        }
    }
    let kind = if of_database { Replication::Logical } else { Replication::Physical };
    Ok(sends.then_some(kind))
}

/// As PostgreSQL reads one (`parse_bool_with_len` in `src/backend/utils/adt/bool.c`): any beginning of a word will do that
/// is no other word's.
fn boolean(value: &str) -> Option<bool> {
    const WORDS: [(&str, usize, bool); 8] = [
        ("true", 1, true),
        ("false", 1, false),
        ("yes", 1, true),
        ("no", 1, false),
        ("on", 2, true),
        ("off", 2, false),
        ("1", 1, true),
        ("0", 1, false),
    ];
    let begins = |word: &str, least: usize| {
        let part = word.get(..value.len());
        value.len() >= least && part.is_some_and(|part| part.eq_ignore_ascii_case(value))
    };
    let found = WORDS.iter().find(|(word, least, _)| begins(word, *least));
    found.map(|(_, _, meaning)| *meaning)
}

fn invalid(value: &str) -> Refusal {
    let message = format!("invalid value for parameter \"replication\": \"{value}\"");
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .with_hint("Valid values are: \"false\", 0, \"true\", 1, \"database\".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Result<Option<Replication>, String> {
        asked_for(values.iter().copied()).map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_boolean_is_read_as_postgresql_reads_it() {
        for yes in ["true", "T", "tr", "yes", "Y", "on", "ON", "1"] {
            assert_eq!(kind(&[yes]), Ok(Some(Replication::Physical)), "{yes}");
        }
        for no in ["false", "f", "no", "n", "off", "of", "0"] {
            assert_eq!(kind(&[no]), Ok(None), "{no}");
        }
        for wrong in ["", "o", "2", "truely", "Database", "data", "10", "\u{e9}"] {
            let told = format!("invalid value for parameter \"replication\": \"{wrong}\"");
            assert_eq!(kind(&[wrong]), Err(told));
        }
    }

    #[test]
    fn several_values_mean_what_they_mean_to_postgresql() {
        assert_eq!(kind(&[]), Ok(None));
        assert_eq!(kind(&["true", "off"]), Ok(None));
        assert_eq!(kind(&["database", "on"]), Ok(Some(Replication::Logical)));
        assert_eq!(kind(&["database", "off"]), Ok(None));
        assert_eq!(kind(&["database"]), Ok(Some(Replication::Logical)));
    }
}
