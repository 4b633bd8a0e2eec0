//! Statements that begin and end transactions and savepoints.

use crate::atoms::pack;
use crate::cursor::Cursor;
use crate::effect::{Effect, Isolation, Modes};
use crate::keyword::Keyword;
use crate::name::Name;
use crate::statement::Sink;

/// Reads such a statement; nothing if it is not one that PostgreSQL knows.
pub(crate) fn read(cursor: &mut Cursor<'_>, keyword: Keyword, out: &mut Sink<'_>) -> Option<()> {
    cursor.take();
    let effect = match keyword {
        Keyword::Begin => {
            skip_noise(cursor);
            Effect::Begin(read_modes(cursor))
        }
        Keyword::Start => {
            if !cursor.eat_word(b"transaction") {
                return None;
            }
            Effect::Begin(read_modes(cursor))
        }
        Keyword::Commit if cursor.eat_word(b"prepared") => Effect::CommitPrepared,
        Keyword::Commit | Keyword::End => Effect::Commit { chain: read_chain(cursor) },
        Keyword::Rollback if cursor.eat_word(b"prepared") => Effect::RollbackPrepared,
        Keyword::Abort => Effect::Rollback { chain: read_chain(cursor) },
        Keyword::Rollback => {
            let chain = read_chain(cursor);
            if cursor.eat_word(b"to") {
                Effect::RollbackTo(read_savepoint(cursor)?)
            } else {
                Effect::Rollback { chain }
            }
        }
        Keyword::Savepoint => Effect::Savepoint(cursor.name()?.0),
        Keyword::Release => Effect::Release(read_savepoint(cursor)?),
        _ => return None,
    };
    out(effect);
    Some(())
}

fn skip_noise(cursor: &mut Cursor<'_>) {
    cursor.eat_any(&[b"work", b"transaction"]);
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`.
fn read_chain(cursor: &mut Cursor<'_>) -> bool {
    skip_noise(cursor);
    cursor.eat_words(&[b"and", b"chain"])
}

/// `[SAVEPOINT] name`, where the name may be "savepoint" itself.
fn read_savepoint(cursor: &mut Cursor<'_>) -> Option<Name> {
    let (name, _) = cursor.name()?;
    if name == *"savepoint" && cursor.peek().is_some() {
        Some(cursor.name()?.0)
    } else {
        Some(name)
    }
}

/// A list of transaction modes, with or without commas. Ends before the first word that is none.
pub(crate) fn read_modes(cursor: &mut Cursor<'_>) -> Modes {
    let mut modes = Modes::default();
    loop {
        cursor.eat_mark(b',');
        if cursor.eat_words(&[b"isolation", b"level"]) {
            modes.isolation = read_isolation(cursor);
        } else if cursor.eat_words(&[b"read", b"only"]) {
            modes.read_only = Some(true);
        } else if cursor.eat_words(&[b"read", b"write"]) {
            modes.read_only = Some(false);
        } else if cursor.eat_word(b"deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.eat_words(&[b"not", b"deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return modes;
        }
    }
}

fn read_isolation(cursor: &mut Cursor<'_>) -> Option<Isolation> {
    const READ: u64 = pack(b"read");
    let level = match cursor.word() {
        READ if cursor.eat_words(&[b"read", b"committed"]) => Isolation::ReadCommitted,
        READ if cursor.eat_words(&[b"read", b"uncommitted"]) => Isolation::ReadUncommitted,
        _ if cursor.eat_words(&[b"repeatable", b"read"]) => Isolation::RepeatableRead,
        _ if cursor.eat_word(b"serializable") => Isolation::Serializable,
        _ => return None,
    };
    Some(level)
}
