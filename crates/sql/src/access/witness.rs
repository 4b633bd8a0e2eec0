//! Whether the parser's tree explains what the tokens show.

use std::ops::Range;

use super::calls::Candidate;
use super::tokens::Tokens;
use super::tree::Tree;
use super::vocabulary::{Role, role};
use crate::lexer::Kind;

/// The candidates that are calls. None if the tree has a call that is no candidate, or a candidate is neither a call
/// nor anything else that a name before a parenthesis can be.
pub(crate) fn calls(
    tokens: &Tokens<'_>,
    candidates: Vec<Candidate>,
    tree: &Tree,
) -> Option<Vec<Candidate>> {
    let is_keyword = |at| role(tokens, at) == Role::Keyword;
    let is_known =
        |at: &usize| candidates.binary_search_by_key(at, |candidate| candidate.at).is_ok();
    if !tree.calls.iter().all(is_known) {
        return None;
    }
    let mut calls = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if candidate.is_syntax(tokens) {
            continue;
        }
        if tree.calls.binary_search(&candidate.at).is_ok() {
            calls.push(candidate);
        } else if !candidate.is_clause(tokens)
            && tree.ctes.binary_search(&candidate.at).is_err()
            && !candidate.is_named_here(tokens, is_keyword)
        {
            return None;
        }
    }
    Some(calls)
}

/// Nothing if a name stands behind `FROM` or `JOIN` that the tree does not know for a relation, a name of a `WITH` or
/// a call.
pub(crate) fn relations(
    tokens: &Tokens<'_>,
    range: Range<usize>,
    candidates: &[Candidate],
    tree: &Tree,
) -> Option<()> {
    // For each open parenthesis, whether it is that of a syntax in which `FROM` names no relation.
    let mut open = Vec::new();
    for at in range.clone() {
        match tokens.kind(at) {
            Some(Kind::Mark(b'(')) => open.push(is_syntax(tokens, at, candidates)),
            Some(Kind::Mark(b')')) => drop(open.pop()),
            Some(Kind::Word)
                if open.last() != Some(&true)
                    && begins_from(tokens, at, range.start)
                    && !is_known(tokens, at + 1, range.end, tree) =>
            {
                return None;
            }
            _ => {}
        }
    }
    Some(())
}

/// Whether a relation must follow this word: `FROM` or `JOIN`.
fn begins_from(tokens: &Tokens<'_>, at: usize, start: usize) -> bool {
    let label = at > start && (tokens.is_mark(at - 1, b'.') || tokens.is_word(at - 1, "as"));
    !label && (tokens.is_word(at, "join") || tokens.is_word(at, "from") && is_clause(tokens, at))
}

/// Whether what stands behind `FROM` is no name, or one that the tree knows.
fn is_known(tokens: &Tokens<'_>, mut first: usize, end: usize, tree: &Tree) -> bool {
    while tokens.is_any(first, &["lateral", "only"]) || tokens.is_mark(first, b'(') {
        first += 1;
    }
    if first >= end || !tokens.is_name(first) || begins_query(tokens, first) {
        return true;
    }
    let last = tokens.chain_end(first);
    tree.relations.binary_search(&(first, last)).is_ok()
        || tree.ctes.binary_search(&first).is_ok()
        || tree.calls.binary_search(&last).is_ok()
}

/// Whether this parenthesis is that of `EXTRACT`, `SUBSTRING`, `TRIM` or `OVERLAY` with words between the arguments.
fn is_syntax(tokens: &Tokens<'_>, open: usize, candidates: &[Candidate]) -> bool {
    let Some(name) = open.checked_sub(1) else { return false };
    let by = candidates.binary_search_by_key(&name, |candidate| candidate.at);
    by.ok().and_then(|by| candidates.get(by)).is_some_and(|candidate| {
        candidate.special && tokens.is_any(name, &["extract", "substring", "trim", "overlay"])
    })
}

/// Whether a `FROM` is not that of `IS DISTINCT FROM` or `ROWS FROM`.
fn is_clause(tokens: &Tokens<'_>, at: usize) -> bool {
    !at.checked_sub(1).is_some_and(|before| tokens.is_any(before, &["distinct", "rows"]))
}

/// Whether a query begins with this word, or the functions of `ROWS FROM`.
fn begins_query(tokens: &Tokens<'_>, at: usize) -> bool {
    tokens.kind(at) == Some(Kind::Word)
        && (tokens.is_any(at, &["select", "values", "with", "table"])
            || tokens.is_word(at, "rows") && tokens.is_word(at + 1, "from"))
}
