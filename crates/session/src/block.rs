//! Transactions that a client begins, as far as they may be begun on a standby.

use trunkline_sql::{Effect, Isolation, Modes};

use crate::client::{ClientSession, PoolMode};

/// A longer text that begins a transaction is not kept to begin it once more.
const BEGIN_MAX: usize = 256;

/// The setting that tells at which level transactions are that do not say it.
const DEFAULT_ISOLATION: &[u8] = b"default_transaction_isolation";

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
    /// Neither it nor its session has said at which level it is.
    pub by_default: bool,
    /// Something is read in the same group of messages.
    pub has_read: bool,
}

impl ClientSession {
    /// The transaction that a text begins, if that is all it does, and it may be begun on a standby.
    pub(crate) fn begins_block<'a>(&self, text: &'a [u8], begin: Begin) -> Option<Block<'a>> {
        let modes = self.only_effect(text, |effect| match effect {
            Effect::Begin(modes) => Some(*modes),
            _ => None,
        })?;
        let Modes { isolation, read_only, .. } = modes;
        let block = Block { begin: text, ..Block::default() };
        if read_only == Some(true) {
            let level = isolation != Some(Isolation::Serializable)
                && (isolation.is_some() || !self.is_serializable());
            let by_default = isolation.is_none() && self.own_default().is_none();
            return level.then_some(Block { reads_only: true, by_default, ..block });
        }
        // In recovery a transaction cannot be told that it may write.
        let may = begin == Begin::Any
            && read_only.is_none()
            && self.mode() == PoolMode::Transaction
            && text.len() <= BEGIN_MAX;
        let own = self.own_default();
        let by_default = isolation.is_none() && own.is_none();
        let sees_commits = match isolation {
            Some(level) => matches!(level, Isolation::ReadCommitted | Isolation::ReadUncommitted),
            None => own.is_none_or(|level| is_read_committed(level.as_bytes())),
        };
        (may && sees_commits).then_some(Block { by_default, ..block })
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
        self.settings.current().get(DEFAULT_ISOLATION)
    }

    /// Whether transactions are serializable unless they say otherwise, as far as this session has said.
    pub fn is_serializable(&self) -> bool {
        let level = self.own_default();
        level.is_some_and(|level| is_serializable(level.as_bytes()))
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
        for (begin, by_default) in [
            ("BEGIN", true),
            ("begin;", true),
            ("/* of a driver */ START TRANSACTION", true),
            ("BEGIN NOT DEFERRABLE", true),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", false),
            ("BEGIN ISOLATION LEVEL READ UNCOMMITTED, DEFERRABLE", false),
        ] {
            let block = session.begins_block(text(begin), Begin::Any);
            let expected = Block { begin: begin.as_bytes(), by_default, ..Block::default() };
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
            assert_eq!(block.map(|block| block.by_default), may.then_some(false), "{value:?}");
            let said = "BEGIN ISOLATION LEVEL READ COMMITTED";
            assert!(session.begins_block(text(said), Begin::Any).is_some(), "{value:?}");
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
