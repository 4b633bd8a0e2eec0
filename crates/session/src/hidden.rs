//! Statements that may do more than their text shows: what can be known of it all the same, by the names in the text and
//! by what the server has told of its functions.

use std::cell::LazyCell;

use trunkline_sql::placeholders;

use crate::{
    change::{Change, Hidden, Look},
    client::ClientSession,
    effect::Effects,
    look::HiddenState,
    pin::PinReason,
};

/// Functions whose work stays in the server.
const OBJECT_MAKERS: [&[u8]; 4] = [
    b"dblink_connect",
    b"pg_replication_origin_session_setup",
    b"pg_backup_start",
    b"pg_start_backup",
];

const LOAD: &[u8] = b"load";

/// Whether there is such a statement.
pub(crate) fn hides(changes: &[(usize, Change)]) -> bool {
    changes.iter().any(|(_, change)| {
        matches!(change, Change::Look(Look::Hidden(_)) | Change::Pin(PinReason::ComputedSetting))
    })
}

/// Whether it may set what has no name in the statement: `DO`, a text that could not be read, or `set_config` amid other
/// things.
fn is_nameless(change: &Change) -> bool {
    matches!(
        change,
        Change::Look(Look::Hidden(Hidden::Other)) | Change::Pin(PinReason::ComputedSetting)
    )
}

impl ClientSession {
    /// The changes, and what can be known beside them. Of a text that has gone by, or puts names together, what it sets cannot
    /// be asked for, and the client keeps its server.
    #[cold]
    pub(crate) fn uncovered(&self, changes: &[(usize, Change)], text: Option<&[u8]>) -> Effects {
        let facts = self.scope.facts().latest();
        let mut all = Vec::with_capacity(changes.len());
        let names = text.and_then(placeholders);
        let reads = text.is_none_or(mentions_sequences);
        let stays = LazyCell::new(|| text.and_then(staying));
        for (place, change) in changes {
            let mut add = |change: Change| all.push((*place, change));
            match change {
                Change::Look(Look::Hidden(_)) if self.limits.hidden_state == HiddenState::Trust => {
                }
                Change::Look(Look::Hidden(Hidden::Function(name)))
                    if facts.readers.contains(name) =>
                {
                    add(change.clone());
                    add(Change::Pin(PinReason::Sequence));
                }
                _ if !is_nameless(change) => add(change.clone()),
                _ => {
                    match &names {
                        Some(names) => names
                            .iter()
                            .cloned()
                            .map(Look::Computed)
                            .map(Change::Look)
                            .for_each(&mut add),
                        None => add(Change::Pin(PinReason::ComputedSetting)),
                    }
                    add(Change::Look(Look::Hidden(Hidden::Other)));
                    if reads {
                        add(Change::Pin(PinReason::Sequence));
                    }
                    if let Some(reason) = *stays {
                        add(Change::Pin(reason));
                    }
                }
            }
        }
        if all.is_empty() { Effects::None } else { Effects::Many(all.into()) }
    }
}

/// Whether `currval` or `lastval` is somewhere in it.
fn mentions_sequences(text: &[u8]) -> bool {
    mentions(text, b"currval") || mentions(text, b"lastval")
}

fn mentions(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// What is somewhere in it that stays in the server for good: a call that makes it, or a `LOAD` of a literal.
fn staying(text: &[u8]) -> Option<PinReason> {
    if OBJECT_MAKERS.into_iter().any(|name| mentions(text, name)) {
        return Some(PinReason::ServerObject);
    }
    let is_load = |(at, word): (usize, &[u8])| {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        let name = text.get(at.saturating_add(word.len())..).unwrap_or_default();
        word.eq_ignore_ascii_case(LOAD)
            && !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && matches!(name.trim_ascii_start(), [b'\'' | b'$', ..] | [b'e' | b'E', b'\'', ..])
    };
    text.windows(LOAD.len()).enumerate().any(is_load).then_some(PinReason::Load)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        client::{PoolMode, SessionLimits},
        facts::{Facts, SharedFacts},
        scope::Scope,
        setting::SettingSet,
    };

    fn changes(text: &str, facts: Facts) -> Vec<Change> {
        let shared = SharedFacts::default();
        shared.learn(facts);
        let scope = Arc::new(Scope::new(0, Arc::new(shared)));
        let limits = SessionLimits::default();
        let session = ClientSession::new(PoolMode::Transaction, SettingSet::empty(), scope, limits);
        let text = text.as_bytes();
        let effects = Effects::of(&trunkline_sql::scan(text, trunkline_sql::Rules::default()));
        let Effects::Many(changes) = effects else { return Vec::new() };
        assert!(hides(&changes));
        let Effects::Many(changes) = session.uncovered(&changes, Some(text)) else {
            return Vec::new();
        };
        changes.iter().map(|(_, change)| change.clone()).collect()
    }

    #[test]
    fn names_in_the_text_are_asked_for() {
        let named = Change::Look(Look::Computed(b"app.x".as_slice().into()));
        let hidden = Change::Look(Look::Hidden(Hidden::Other));
        for text in [
            "do $$ begin perform set_config('app.x', 'v', false); end $$",
            "select set_config('app.x', a, false) from t",
        ] {
            assert_eq!(changes(text, Facts::default()), [named.clone(), hidden.clone()], "{text}");
        }
        let pin = Change::Pin(PinReason::ComputedSetting);
        for text in [
            "select set_config(a, b, false)",
            "do $$ begin perform set_config(a, b, false); end $$",
        ] {
            assert_eq!(changes(text, Facts::default()), [pin.clone(), hidden.clone()], "{text}");
        }
    }

    #[test]
    fn what_stays_in_the_server_is_found_in_blocks() {
        for (body, stays) in [
            ("LOAD 'auto_explain'", Some(PinReason::Load)),
            ("execute 'load ''x'''", Some(PinReason::Load)),
            ("load\n e'x'", Some(PinReason::Load)),
            ("perform DBLINK_connect_u('c', 'host=x')", Some(PinReason::ServerObject)),
            ("upload 'x'; select load, 1 from t; perform load('x')", None),
        ] {
            let text = format!("do $a$ begin {body}; end $a$");
            let changes = changes(&text, Facts::default());
            let found = changes.iter().find_map(|change| match change {
                Change::Pin(reason) => Some(*reason),
                _ => None,
            });
            assert_eq!(found, stays, "{body}");
        }
    }

    #[test]
    fn reading_a_sequence_unseen_is_reading_a_sequence() {
        let reads = Change::Pin(PinReason::Sequence);
        let reader = || Facts { readers: [b"f".as_slice().into()].into(), ..Facts::default() };
        for (text, facts, does) in [
            ("select f(1)", Facts::default(), false),
            ("select f(1)", reader(), true),
            ("select g(1)", reader(), false),
            ("do $$ begin perform LASTVAL(); end $$", Facts::default(), true),
        ] {
            assert_eq!(changes(text, facts).contains(&reads), does, "{text}");
        }
    }
}
