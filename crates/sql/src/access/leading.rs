//! What the first words of a statement say it is.

use std::ops::Range;

use super::class::Class;
use super::tokens::Tokens;
use crate::keyword::Keyword;
use crate::lexer::Kind;

/// The words that a query begins with, parentheses left out.
pub(crate) const QUERY: [&str; 4] = ["select", "values", "table", "with"];

/// What a statement is by its first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leading {
    /// This, whatever else is in it.
    Class(Class),
    /// A query: these tokens.
    Query(Range<usize>),
    /// A whole table: the token its name begins with.
    Table(usize),
}

/// Reads the first words of the statement that these tokens are.
pub(crate) fn leading(tokens: &Tokens<'_>, statement: Range<usize>) -> Leading {
    let Range { start, end } = statement;
    let word = statement.clone().find(|at| !tokens.is_mark(*at, b'('));
    let keyword = word
        .filter(|at| tokens.kind(*at) == Some(Kind::Word))
        .map_or(Keyword::Other, |at| Keyword::from_word(tokens.bytes(at)));
    match keyword {
        Keyword::Select | Keyword::Values | Keyword::Table | Keyword::With => {
            Leading::Query(statement)
        }
        _ if word != Some(start) => Leading::Class(Class::NotUnderstood),
        Keyword::Explain => explained(tokens, start + 1, end),
        Keyword::Copy => copied(tokens, start + 1, end),
        _ => Leading::Class(class(keyword, tokens, start)),
    }
}

fn class(keyword: Keyword, tokens: &Tokens<'_>, start: usize) -> Class {
    let second = start + 1;
    match keyword {
        Keyword::Insert
        | Keyword::Update
        | Keyword::Delete
        | Keyword::Merge
        | Keyword::Truncate => Class::Write,
        Keyword::Create
        | Keyword::Alter
        | Keyword::Drop
        | Keyword::Comment
        | Keyword::Grant
        | Keyword::Revoke
        | Keyword::Security
        | Keyword::Refresh
        | Keyword::Import
        | Keyword::Reassign => Class::Ddl,
        Keyword::Vacuum
        | Keyword::Analyze
        | Keyword::Analyse
        | Keyword::Reindex
        | Keyword::Cluster
        | Keyword::Checkpoint => Class::Maintenance,
        Keyword::Call => Class::Call,
        Keyword::Do => Class::Do,
        Keyword::Lock => Class::Lock,
        Keyword::Declare | Keyword::Fetch | Keyword::Move | Keyword::Close => Class::Cursor,
        Keyword::Listen | Keyword::Unlisten | Keyword::Notify => Class::Notify,
        Keyword::Prepare if tokens.is_word(second, "transaction") => Class::TwoPhase,
        Keyword::Commit | Keyword::Rollback if tokens.is_word(second, "prepared") => {
            Class::TwoPhase
        }
        Keyword::Set => set(tokens, second),
        Keyword::Reset
        | Keyword::Discard
        | Keyword::Load
        | Keyword::Prepare
        | Keyword::Execute
        | Keyword::Deallocate => Class::Session,
        Keyword::Show => Class::Show,
        Keyword::Begin
        | Keyword::Start
        | Keyword::Commit
        | Keyword::End
        | Keyword::Rollback
        | Keyword::Abort
        | Keyword::Savepoint
        | Keyword::Release => Class::Transaction,
        _ => Class::NotUnderstood,
    }
}

/// `SET [SESSION | LOCAL] TRANSACTION …` and `SET CONSTRAINTS …` are of the transaction, all else of the session.
fn set(tokens: &Tokens<'_>, mut at: usize) -> Class {
    if tokens.is_any(at, &["session", "local"]) {
        at += 1;
    }
    let assigns = tokens.is_mark(at + 1, b'=') || tokens.is_any(at + 1, &["to", "from"]);
    if tokens.is_any(at, &["transaction", "constraints"]) && !assigns {
        Class::Transaction
    } else {
        Class::Session
    }
}

/// `EXPLAIN [ANALYZE] [VERBOSE] statement`, `EXPLAIN (option, …) statement`: as the statement.
fn explained(tokens: &Tokens<'_>, mut at: usize, end: usize) -> Leading {
    if tokens.is_any(at, &["analyze", "analyse"]) {
        at += 1;
    }
    if tokens.is_word(at, "verbose") {
        at += 1;
    }
    let is_query = tokens.is_mark(at + 1, b'(') || tokens.is_any(at + 1, &QUERY);
    if tokens.is_mark(at, b'(') && !is_query {
        let Some(close) = tokens.closing(at, end) else {
            return Leading::Class(Class::NotUnderstood);
        };
        at = close + 1;
    }
    let explainable = tokens.is_mark(at, b'(')
        || tokens.is_any(
            at,
            &[
                "select", "values", "table", "with", "insert", "update", "delete", "merge",
                "create", "refresh", "execute", "declare",
            ],
        );
    if explainable { leading(tokens, at..end) } else { Leading::Class(Class::NotUnderstood) }
}

/// `COPY {table [(columns)] | (query)} {FROM | TO} …`.
fn copied(tokens: &Tokens<'_>, mut at: usize, end: usize) -> Leading {
    let unknown = Leading::Class(Class::NotUnderstood);
    if tokens.is_word(at, "binary") && tokens.is_name(at + 1) {
        at += 1;
    }
    let source = if tokens.is_mark(at, b'(') {
        let Some(close) = tokens.closing(at, end) else { return unknown };
        let inside = at + 1..close;
        at = close + 1;
        let word = inside.clone().find(|at| !tokens.is_mark(*at, b'(')).unwrap_or(close);
        if tokens.is_any(word, &QUERY) {
            Leading::Query(inside)
        } else if tokens.is_any(inside.start, &["insert", "update", "delete", "merge"]) {
            return Leading::Class(Class::Write);
        } else {
            return unknown;
        }
    } else if tokens.is_name(at) {
        let name = at;
        at = tokens.chain_end(at) + 1;
        if tokens.is_mark(at, b'(') {
            let Some(close) = tokens.closing(at, end) else { return unknown };
            at = close + 1;
        }
        Leading::Table(name)
    } else {
        return unknown;
    };
    if tokens.is_word(at, "from") && matches!(source, Leading::Table(_)) {
        return Leading::Class(Class::CopyIn);
    }
    if !tokens.is_word(at, "to") {
        return unknown;
    }
    if tokens.is_any(at + 1, &["stdout", "stdin"]) {
        // The options behind it hold nothing that is run.
        return source;
    }
    let server = tokens.is_string(at + 1) || tokens.is_word(at + 1, "program");
    if server { Leading::Class(Class::CopyToServer) } else { unknown }
}
