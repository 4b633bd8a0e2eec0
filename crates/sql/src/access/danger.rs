//! Words that make a query more than a query, wherever they stand in it.

use std::ops::Range;

use super::class::Class;
use super::tokens::Tokens;
use crate::lexer::Kind;

/// What the words of a query make of it, if they make it anything but a read: rather too often than too seldom.
pub(crate) fn danger(tokens: &Tokens<'_>, query: Range<usize>) -> Option<Class> {
    let mut depth = 0_usize;
    let (mut into, mut cte, mut main, mut lock) = (false, false, false, false);
    for at in query.clone() {
        match tokens.kind(at) {
            Some(Kind::Mark(b'(')) => depth += 1,
            Some(Kind::Mark(b')')) => depth = depth.saturating_sub(1),
            Some(Kind::Word) => match tokens.bytes(at).len() {
                3 => lock |= locks(tokens, at),
                4 => into |= selects_into(tokens, at),
                5 | 6 if changes(tokens, at, query.start) => {
                    cte |= depth > 0;
                    main |= depth == 0;
                }
                _ => {}
            },
            _ => {}
        }
    }
    match (into, cte, main, lock) {
        (true, ..) => Some(Class::SelectInto),
        (_, _, true, _) => Some(Class::Write),
        (_, true, ..) => Some(Class::WritingCte),
        (_, _, _, true) => Some(Class::RowLock),
        _ => None,
    }
}

/// Whether the word is a name, as a dot or an `AS` before it says.
fn is_label(tokens: &Tokens<'_>, at: usize) -> bool {
    at.checked_sub(1)
        .is_some_and(|before| tokens.is_mark(before, b'.') || tokens.is_word(before, "as"))
}

/// `FOR {UPDATE | NO KEY UPDATE | SHARE | KEY SHARE}`.
fn locks(tokens: &Tokens<'_>, at: usize) -> bool {
    if !tokens.is_word(at, "for") || is_label(tokens, at) {
        return false;
    }
    let second =
        |words: &[&str]| words.iter().zip(at + 1..).all(|(word, at)| tokens.is_word(at, word));
    second(&["update"]) || second(&["share"]) || second(&["no", "key"]) || second(&["key", "share"])
}

/// `INTO`, which is a reserved word, unless it is that of `INSERT` or `MERGE`.
fn selects_into(tokens: &Tokens<'_>, at: usize) -> bool {
    let target =
        at.checked_sub(1).is_some_and(|before| tokens.is_any(before, &["insert", "merge"]));
    tokens.is_word(at, "into") && !is_label(tokens, at) && !target
}

/// The beginning of a statement that changes data. These words are not reserved: a column may have such a name.
fn changes(tokens: &Tokens<'_>, at: usize, start: usize) -> bool {
    if is_label(tokens, at) {
        return false;
    }
    if tokens.is_any(at, &["insert", "merge"]) {
        return tokens.is_word(at + 1, "into");
    }
    let begins = at == start
        || tokens.is_mark(at - 1, b'(')
        || tokens.is_mark(at - 1, b')')
        // Behind `SEARCH … SET name` and `CYCLE … USING name`.
        || at >= 2 && tokens.is_any(at - 2, &["set", "using"]);
    begins
        && (tokens.is_word(at, "delete") && tokens.is_word(at + 1, "from")
            || tokens.is_word(at, "update") && tokens.is_name(at + 1))
}
