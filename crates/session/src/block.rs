//! Transactions that a client begins, as far as they may be begun on a standby.

use trunkline_sql::{Effect, Isolation, Modes, Parameter};

use crate::client::{ClientSession, PoolMode};

/// A longer text that begins a transaction is not kept to begin it once more.
const BEGIN_MAX: usize = 256;

/// The setting that tells at which level transactions are that do not say it.
const DEFAULT_ISOLATION: &[u8] = b"default_transaction_isolation";

/// Settings by which a transaction may ask for what no standby grants.
const OF_THE_TRANSACTION: [&[u8]; 2] = [b"transaction_read_only", b"transaction_isolation"];

/// Which transactions may be begun on a standby.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    /// Those that only read by their own words, all of which belongs there.
    #[default]
    ReadOnly,
    /// Also those that may write, which go on on the primary as soon as they do.
    Any,
}

/// A transaction that is begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Block<'a> {
    /// What begins it.
    pub begin: &'a [u8],
    /// It only reads by its own words.
    pub reads_only: bool,
    /// Whether each of its statements sees what has been committed before it; none if neither it nor its session has said
    /// at which level it is.
    pub sees_commits: Option<bool>,
    /// Something is read in the same group of messages.
    pub has_read: bool,
    /// Something may be left of that which only one server has.
    pub leaves: bool,
}

impl Block<'_> {
    /// Whether it may be begun once more by its own words.
    pub fn is_short(&self) -> bool {
        self.begin.len() <= BEGIN_MAX
    }
}

impl ClientSession {
    /// The transaction that a text begins, if that is all it does, and it may be begun on a standby.
    pub(crate) fn begins_block<'a>(&self, text: &'a [u8], begin: Begin) -> Option<Block<'a>> {
        let modes = self.only_effect(text, |effect| match effect {
            Effect::Begin(modes) => Some(*modes),
            _ => None,
        })?;
        let Modes { isolation, read_only, .. } = modes;
        let sees_commits = match isolation {
            Some(level) => {
                Some(matches!(level, Isolation::ReadCommitted | Isolation::ReadUncommitted))
            }
            None => self.own_default().map(|level| is_read_committed(level.as_bytes())),
        };
        let block = Block { begin: text, sees_commits, ..Block::default() };
        if read_only == Some(true) {
            let level = isolation != Some(Isolation::Serializable)
                && (isolation.is_some() || !self.is_serializable(false));
            return level.then_some(Block { reads_only: true, ..block });
        }
        // In recovery a transaction cannot be told that it may write.
        let may = begin == Begin::Any
            && read_only.is_none()
            && self.mode() == PoolMode::Transaction
            && block.is_short();
        (may && sees_commits != Some(false)).then_some(block)
    }

    /// Whether a text wants of the transaction that is open what no standby grants, though it only reads by its own words:
    /// that it may write, or that it is serializable.
    pub fn wants_primary(&self, text: &[u8]) -> bool {
        let scan = trunkline_sql::scan(text, self.rules());
        scan.effects().iter().any(|one| match &one.effect {
            Effect::SetTransaction(modes) => {
                modes.read_only == Some(false) || modes.isolation == Some(Isolation::Serializable)
            }
            Effect::Set { parameter: Parameter::Ordinary(name), .. }
            | Effect::SetComputed { parameter: Some(Parameter::Ordinary(name)), .. }
            | Effect::Reset { parameter: Parameter::Ordinary(name), .. } => {
                OF_THE_TRANSACTION.contains(&name.as_bytes())
            }
            _ => false,
        })
    }

    /// Whether a text does nothing but end the transaction that is open.
    pub(crate) fn ends_block(&self, text: &[u8]) -> bool {
        let end = self.only_effect(text, |effect| {
            let ends = matches!(
                effect,
                Effect::Commit { chain: false } | Effect::Rollback { chain: false }
            );
            ends.then_some(())
        });
        end.is_some()
    }

    /// What is found in the effect of a text that is one statement with one effect.
    fn only_effect<T>(&self, text: &[u8], find: impl FnOnce(&Effect) -> Option<T>) -> Option<T> {
        let scan = trunkline_sql::scan(text, self.rules());
        match scan.effects() {
            [one] if scan.statements() == 1 => find(&one.effect),
            _ => None,
        }
    }

    /// At which level transactions are that do not say it, if the session has.
    fn own_default(&self) -> Option<&trunkline_sql::Value> {
        self.settings.current().get_unreported(DEFAULT_ISOLATION)
    }

    /// Whether transactions are serializable unless they say otherwise, as far as this session has said; `by_default` if it
    /// has not said anything.
    pub fn is_serializable(&self, by_default: bool) -> bool {
        let level = self.own_default();
        level.map_or(by_default, |level| is_serializable(level.as_bytes()))
    }
}

/// Whether in transactions of the level that this value means each statement sees what has been committed before it.
pub fn is_read_committed(value: &[u8]) -> bool {
    let value = unquoted(value);
    value.eq_ignore_ascii_case(b"read committed") || value.eq_ignore_ascii_case(b"read uncommitted")
}

/// Whether this value means transactions that a standby refuses.
pub fn is_serializable(value: &[u8]) -> bool {
    unquoted(value).eq_ignore_ascii_case(b"serializable")
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [quote @ (b'\'' | b'"'), inner @ .., last] if quote == last => inner,
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_sql::Value;

    use super::*;
    use crate::{client::SessionLimits, setting::SettingSet};

    fn session(mode: PoolMode) -> ClientSession {
        ClientSession::new(mode, SettingSet::empty(), Arc::default(), SessionLimits::default())
    }

    fn text(text: &str) -> &[u8] {
        text.as_bytes()
    }

    #[test]
    fn a_transaction_that_sees_commits_may_cross() {
        let session = session(PoolMode::Transaction);
        for (begin, sees_commits) in [
            ("BEGIN", None),
            ("begin;", None),
            ("/* of a driver */ START TRANSACTION", None),
            ("BEGIN NOT DEFERRABLE", None),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", Some(true)),
            ("BEGIN ISOLATION LEVEL READ UNCOMMITTED, DEFERRABLE", Some(true)),
        ] {
            let block = session.begins_block(text(begin), Begin::Any);
            let expected = Block { begin: begin.as_bytes(), sees_commits, ..Block::default() };
            assert_eq!(block, Some(expected), "{begin}");
            assert_eq!(session.begins_block(text(begin), Begin::ReadOnly), None, "{begin}");
        }
        for begin in [
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            "BEGIN READ WRITE",
            "BEGIN; SELECT 1",
            "COMMIT",
            "SELECT 1",
            "",
        ] {
            assert_eq!(session.begins_block(text(begin), Begin::Any), None, "{begin}");
        }
        let long = format!("BEGIN /* {} */", "x".repeat(BEGIN_MAX));
        assert_eq!(session.begins_block(text(&long), Begin::Any), None);
        let statement = self::session(PoolMode::Statement);
        assert_eq!(statement.begins_block(text("BEGIN"), Begin::Any), None);
    }

    #[test]
    fn what_the_session_has_said_of_the_level_counts() {
        for (value, may) in [
            ("'read committed'", true),
            ("'Read Uncommitted'", true),
            ("'repeatable read'", false),
            ("serializable", false),
            ("E'read committed'", false),
        ] {
            let mut session = session(PoolMode::Transaction);
            let value = Value::Written(value.as_bytes().into());
            assert!(session.settings.set(DEFAULT_ISOLATION, &value));
            let block = session.begins_block(text("BEGIN"), Begin::Any);
            assert_eq!(
                block.map(|block| block.sees_commits),
                may.then_some(Some(true)),
                "{value:?}"
            );
            let said = "BEGIN ISOLATION LEVEL READ COMMITTED";
            assert!(session.begins_block(text(said), Begin::Any).is_some(), "{value:?}");
        }
    }

    #[test]
    fn one_that_only_reads_may_see_one_state_only() {
        let session = session(PoolMode::Transaction);
        for (begin, sees_commits) in [
            ("BEGIN READ ONLY", None),
            ("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", Some(true)),
            ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", Some(false)),
        ] {
            let block = session.begins_block(text(begin), Begin::ReadOnly).expect("a block");
            assert_eq!((block.reads_only, block.sees_commits), (true, sees_commits), "{begin}");
        }
        assert!(
            session
                .begins_block(text("BEGIN READ ONLY, ISOLATION LEVEL SERIALIZABLE"), Begin::Any)
                .is_none()
        );
    }

    #[test]
    fn what_no_standby_grants_is_known_by_its_text() {
        let session = session(PoolMode::Transaction);
        for wants in [
            "SET TRANSACTION READ WRITE",
            "set transaction isolation level serializable, read only",
            "SET transaction_read_only = off",
            "SET LOCAL transaction_read_only TO off",
            "SELECT set_config('transaction_isolation', 'serializable', true)",
        ] {
            assert!(session.wants_primary(text(wants)), "{wants}");
        }
        for other in [
            "SET TRANSACTION READ ONLY",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET LOCAL work_mem = '8MB'",
            "SAVEPOINT s",
            "SELECT 1",
        ] {
            assert!(!session.wants_primary(text(other)), "{other}");
        }
    }

    #[test]
    fn an_end_is_the_whole_text_and_begins_nothing() {
        let session = session(PoolMode::Transaction);
        for end in ["COMMIT", "end;", "ROLLBACK", "abort work", "COMMIT AND NO CHAIN"] {
            assert!(session.ends_block(text(end)), "{end}");
        }
        for other in [
            "COMMIT AND CHAIN",
            "ROLLBACK AND CHAIN",
            "ROLLBACK TO s",
            "COMMIT; SELECT 1",
            "PREPARE TRANSACTION 'x'",
            "COMMIT PREPARED 'x'",
            "SELECT 1",
        ] {
            assert!(!session.ends_block(text(other)), "{other}");
        }
    }
}
