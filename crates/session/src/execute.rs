//! `EXECUTE` of SQL: what it does is what the statement does that it names; and a server knows that by a name of ours.
//!
//! A text that names one statement, and nothing that could come between, is written with our name in place of the
//! client's, so that the statement stays prepared on the server. All others are lent the names ([`crate::lend`]).

use std::sync::Arc;

use trunkline_sql::{Span, Value};

use crate::{
    change::{Change, Hidden, Look},
    client::{ClientSession, Surroundings},
    effect::{Effects, Transaction},
    environment::Meaning,
    name,
    outgoing::Outgoing,
    report::is_stale,
    restore::characters,
    server::{Intake, ServerSession, TxStatus},
    statement::Statement,
};

/// An `EXECUTE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The name of the statement, as PostgreSQL compares it.
    pub name: Box<[u8]>,
    /// Where that is written.
    pub at: Span,
    /// It is only planned: `EXPLAIN` without `ANALYZE`.
    pub planned_only: bool,
    /// What it is given, as far as that is known.
    pub arguments: Box<[Option<Value>]>,
}

/// A name in a text that was sent as one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// So many characters stand before it.
    pub at: usize,
    /// So many it has in the client's own text, quotes included.
    pub length: usize,
    /// The client's name for the statement.
    pub name: Box<[u8]>,
    /// Ours.
    pub ours: Box<[u8]>,
}

/// How a text that names statements goes to the server.
#[derive(Debug)]
pub(crate) enum Renaming {
    /// With a name of ours in it, and this is what it leaves behind.
    Done(Vec<u8>, Effects),
    /// As it is.
    No,
    /// It must wait.
    Wait,
}

impl Renamed {
    /// Whether a place in the text that was sent, counted from 1, is behind the name.
    pub(crate) fn stands_before(&self, place: usize) -> bool {
        place > self.at.saturating_add(self.ours.len())
    }
}

impl Mention {
    /// Whether PostgreSQL cuts the name, of which it tells.
    fn is_cut(&self) -> bool {
        let written = self.at.end.saturating_sub(self.at.start);
        // What is longer for its quotes counts as cut: such a name is lent.
        written > name::NAME_MAX && written != self.name.len()
    }

    /// What it gives as the parameter of this number, from 1, as far as that is known.
    fn argument(&self, number: u16) -> Option<Value> {
        self.arguments.get(usize::from(number).wrapping_sub(1)).cloned().flatten()
    }
}

impl ClientSession {
    /// These effects, with those of the statements that are executed.
    pub(crate) fn with_meanings(&self, effects: Effects) -> Effects {
        let Effects::Many(changes) = &effects else { return effects };
        let runs =
            |change: &Change| matches!(change, Change::Mention(mention) if !mention.planned_only);
        if !changes.iter().any(|(_, change)| runs(change)) {
            return effects;
        }
        let mut all: Vec<(usize, Change)> = Vec::with_capacity(changes.len());
        for (place, change) in changes.iter() {
            all.push((*place, change.clone()));
            let Change::Mention(mention) = change else { continue };
            if mention.planned_only {
                continue;
            }
            match self.effects_of_mentioned(&mention.name, &all) {
                Effects::None => {}
                Effects::Transaction(transaction) => all.push((*place, of(transaction))),
                // What it names in turn is not looked for.
                effects if effects.names_statements() => {
                    all.push((*place, Change::Look(Look::Hidden(Hidden::Other))));
                }
                Effects::Many(its) => {
                    let given = its.iter().map(|(_, change)| {
                        (*place, change.with_value(|number| mention.argument(number)))
                    });
                    all.extend(given);
                }
            }
        }
        Effects::Many(all.into())
    }

    /// What the statement of this name leaves behind, for an `EXECUTE` behind these changes of the same text.
    fn effects_of_mentioned(&self, name: &[u8], before: &[(usize, Change)]) -> Effects {
        let known = self.names.get(name).map(|statement| statement.effects.clone());
        let mut meant =
            known.or_else(|| self.there.contains(name).then(|| self.effects_there(name)));
        for (_, change) in before {
            match change {
                Change::Prepare(making) if *making.name == *name => {
                    meant.get_or_insert_with(|| making.effects.clone());
                }
                Change::Deallocate(gone) if **gone == *name => meant = None,
                Change::DeallocateAll => meant = None,
                _ => {}
            }
        }
        meant.unwrap_or_default()
    }

    /// The statement that a simple query was to execute under a name of ours, if the server refuses to run it any more.
    pub(crate) fn stale_executed(&self, effects: &Effects, body: &[u8]) -> Option<Arc<Statement>> {
        let Effects::Many(changes) = effects else { return None };
        if !is_stale(body) {
            return None;
        }
        let renamed = changes.iter().find_map(|(_, change)| match change {
            Change::Renamed(renamed) => Some(renamed),
            _ => None,
        })?;
        self.names.get(&renamed.name).filter(|known| known.name == renamed.ours).cloned()
    }

    /// Writes a simple query with our name for the statement that it executes, if it is of that kind. The server is
    /// given the statement ahead of it.
    pub(crate) fn rename(
        &mut self,
        text: &[u8],
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
        around: &mut impl Surroundings,
    ) -> Renaming {
        let Some((place, mention)) = effects.lone_mention() else { return Renaming::No };
        if !self.names.contains(&mention.name)
            || mention.is_cut()
            || effects.touches_environment()
            || server.intake > Intake::Unsynced
            || (server.status == TxStatus::Failed && server.owed.is_empty())
        {
            return Renaming::No;
        }
        // The answer to a simple query describes its rows.
        self.renew(&mention.name);
        let Meaning::Ours(statement) = self.meaning(&mention.name, server, around) else {
            return Renaming::No;
        };
        if server.awaits_name(&statement.name) {
            self.mean_as_before();
            return Renaming::Wait;
        }
        if !server.statements.touch(statement.id) {
            if server.intake != Intake::Messages {
                self.mean_as_before();
                return Renaming::No;
            }
            if server.awaits_all(out) {
                self.mean_as_before();
                return Renaming::Wait;
            }
            self.give(&statement, server, out);
            self.owe_meant(server);
            server.end_ahead(out);
            return Renaming::Wait;
        }
        self.owe_meant(server);
        let renamed = written(text, place, mention, &statement, effects, server);
        renamed.map_or(Renaming::No, |(text, effects)| Renaming::Done(text, effects))
    }
}

impl Effects {
    /// The only `EXECUTE`, if nothing else names statements or forgets them.
    fn lone_mention(&self) -> Option<(usize, &Mention)> {
        let Self::Many(changes) = self else { return None };
        let mut naming = changes.iter().filter(|(_, change)| {
            matches!(
                change,
                Change::Mention(_)
                    | Change::Prepare(_)
                    | Change::Deallocate(_)
                    | Change::DeallocateAll
                    | Change::DiscardAll
            )
        });
        match (naming.next(), naming.next()) {
            (Some((place, Change::Mention(mention))), None) => Some((*place, mention)),
            _ => None,
        }
    }
}

/// The text with our name, and what it leaves behind.
fn written(
    text: &[u8],
    place: usize,
    mention: &Mention,
    statement: &Statement,
    effects: &Effects,
    server: &ServerSession,
) -> Option<(Vec<u8>, Effects)> {
    let Effects::Many(changes) = effects else { return None };
    let (before, name, behind) = (
        text.get(..mention.at.start)?,
        text.get(mention.at.start..mention.at.end)?,
        text.get(mention.at.end..)?,
    );
    let utf8 = server.reported.get(b"client_encoding") == Some(b"UTF8");
    let renamed = Renamed {
        at: characters(before, utf8),
        length: characters(name, utf8),
        name: mention.name.clone(),
        ours: statement.name.clone(),
    };
    let marked = changes.iter().cloned().chain([(place, Change::Renamed(Box::new(renamed)))]);
    let text = [before, &statement.name, behind].concat();
    Some((text, Effects::Many(marked.collect())))
}

const fn of(transaction: Transaction) -> Change {
    match transaction {
        Transaction::Begin => Change::Begin,
        Transaction::Commit => Change::Commit,
        Transaction::Rollback => Change::Rollback,
    }
}
