//! Statements that SQL prepares become statements like those of the protocol.
//!
//! The text of a `PREPARE` goes to the server as it is, so that what it answers is the server's own; and the statement
//! lives there under the client's own name, which keeps the server, until the transaction is over. Then the server is
//! asked for the types of its parameters and told to close it ([`crate::takeover`]). From then on it is a text, its types and the settings it was prepared under, as what comes in a Parse message. PostgreSQL does not tell
//! the two kinds apart either, but in `pg_prepared_statements`.
//!
//! What cannot be adopted stays on the server: a statement for which there is no room, if only while the transaction is
//! open; one whose text was too long to be kept; one that has too many parameters; and one that the server cannot describe,
//! because its table went with the transaction for instance. If the server was only not given the time for that, it is asked
//! again behind the next transaction.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_sql::{Effect, Scan};

use crate::{
    change::Change,
    client::{ClientSession, Surroundings},
    effect::Effects,
    name,
    pin::PinReason,
    room::StatementRoom,
    server::ServerSession,
    setting::SettingSet,
    statement::Statement,
};

/// What a `PREPARE` makes if it succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Making {
    /// Its name, as PostgreSQL compares it.
    pub name: Box<[u8]>,
    /// The statement; empty if the text that holds it was not kept.
    pub text: Box<[u8]>,
    /// What executing it leaves behind.
    pub effects: Effects,
    /// It has no more parameters than this.
    pub(crate) parameters: usize,
}

/// What SQL has prepared, and what is to be done with it when the transaction is over.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) room: Arc<StatementRoom>,
    /// What is on the server under the client's own name, and is to be adopted.
    pub(crate) new: BTreeMap<Box<[u8]>, New>,
    /// The bytes of those texts.
    bytes: usize,
    /// What stays there; and what executing it leaves behind.
    stays: BTreeMap<Box<[u8]>, Effects>,
    /// Names under which there is perhaps what was lent for a text that may have prepared another: to be closed.
    pub(crate) left: Vec<Box<[u8]>>,
    /// A transaction has ended since something could not be adopted: it is tried once more.
    pub(crate) tries_again: bool,
}

/// Something that is to be adopted.
#[derive(Debug)]
pub(crate) enum New {
    /// With the settings it was prepared under; which are not known to be all if it is not shared.
    Made { making: Arc<Making>, settings: Arc<SettingSet>, shared: bool },
    /// The server was asked for its types, which has come to nothing.
    Asked(Arc<Statement>),
}

impl Effects {
    /// Whether SQL prepares a statement.
    pub(crate) fn prepares(&self) -> bool {
        match self {
            Self::None | Self::Transaction(_) => false,
            Self::Many(changes) => {
                changes.iter().any(|(_, change)| matches!(change, Change::Prepare(_)))
            }
        }
    }
}

impl Making {
    /// That of this name, whose text is not known.
    pub(crate) fn named(name: &[u8]) -> Arc<Self> {
        Arc::new(Self { name: name.into(), ..Self::default() })
    }
}

impl ClientSession {
    /// These effects with the statements that the text of the scan prepares.
    pub(crate) fn with_bodies(
        &self,
        effects: Effects,
        scan: &Scan,
        text: &[u8],
        server: &ServerSession,
    ) -> Effects {
        let Effects::Many(changes) = &effects else { return effects };
        if !effects.prepares() {
            return effects;
        }
        let mut found = scan.effects().iter().filter_map(|found| match &found.effect {
            Effect::Prepare(prepare) => Some(prepare),
            _ => None,
        });
        let filled = changes.iter().map(|(place, change)| {
            let Change::Prepare(making) = change else { return (*place, change.clone()) };
            let body = found.next().and_then(|prepare| {
                let body = text.get(prepare.body_at.start..prepare.body_at.end)?;
                let types = prepare.types_at.and_then(|at| text.get(at.start..at.end));
                Some((body, types.unwrap_or_default()))
            });
            let Some((body, types)) = body else { return (*place, change.clone()) };
            let parts = |text: &[u8], mark: u8| text.split(|byte| *byte == mark).count();
            let making = Making {
                name: making.name.clone(),
                text: body.into(),
                effects: self.effects_of_body(body, server),
                parameters: parts(types, b',').saturating_add(parts(body, b'$')),
            };
            (*place, Change::Prepare(Arc::new(making)))
        });
        Effects::Many(filled.collect())
    }

    /// Before something is sent that may prepare a statement by SQL, or change the catalog.
    pub(crate) fn expect_made(
        &mut self,
        effects: &Effects,
        server: &mut ServerSession,
        around: &mut impl Surroundings,
    ) {
        let Effects::Many(changes) = effects else { return };
        for (_, change) in changes.iter() {
            self.note_catalog_change(change);
            let Change::Prepare(making) = change else { continue };
            self.made_with(around);
            // It was lent to be given up: what is closed behind the next Sync would be the new one.
            let lent = server.decoys.iter().position(|lent| *lent == making.name);
            if let Some(place) = lent.filter(|_| !self.names.contains(&making.name)) {
                server.decoys.remove(place);
                self.expect_left(&making.name);
            }
        }
    }

    fn made_with(&mut self, around: &mut impl Surroundings) -> &mut Made {
        self.made.get_or_insert_with(|| {
            Box::new(Made::new(around.with_store(|store| store.shared_room())))
        })
    }

    /// A statement that is sent to live on the server under this name leaves this behind when it is executed.
    pub(crate) fn keep_there(
        &mut self,
        name: &[u8],
        effects: Effects,
        around: &mut impl Surroundings,
    ) {
        self.made_with(around).keep(name.into(), effects);
    }

    /// What was lent to a text under this name may be left behind, or what the text prepares instead.
    pub(crate) fn expect_left(&mut self, name: &[u8]) {
        self.forget_made(name);
        if let Some(made) = &mut self.made {
            made.left.push(name.into());
        }
        self.pins.add(PinReason::SqlPrepare);
    }

    /// Whether there may be something of that kind.
    pub(crate) fn has_left(&self) -> bool {
        self.made.as_ref().is_some_and(|made| !made.left.is_empty())
    }

    /// SQL has prepared this.
    pub(crate) fn note_made(&mut self, making: &Arc<Making>) {
        self.pins.add(PinReason::SqlPrepare);
        self.there.insert(making.name.clone());
        if making.text.is_empty() {
            // Its executions are not followed.
            self.pins.add(PinReason::HiddenState);
            return;
        }
        self.forget_made(&making.name);
        if !self.has_room_for_made(making) {
            self.pins.add(PinReason::TooManyStatements);
            if !making.effects.leaves_nothing() {
                self.pins.add(PinReason::HiddenState);
            }
            return;
        }
        let settings = Arc::clone(self.settings.seen());
        let (making, shared) = (Arc::clone(making), !self.settings.is_unknown());
        if let Some(made) = &mut self.made {
            made.add(making.name.clone(), New::Made { making, settings, shared });
        }
    }

    /// Whether one more may be kept until it is adopted: what a transaction prepares is limited as well.
    fn has_room_for_made(&self, making: &Making) -> bool {
        self.made.as_ref().is_some_and(|made| {
            let bytes = made.bytes.saturating_add(making.text.len());
            self.has_room_for(made.new.len(), bytes) && made.room.has(bytes)
        })
    }

    /// The server still has what it was to close under this name.
    pub(crate) fn stays_there(&mut self, name: Box<[u8]>) {
        let made = self.made.as_ref().is_some_and(|made| made.has(&name));
        self.pins.add(if made { PinReason::SqlPrepare } else { PinReason::TooManyStatements });
        self.there.insert(name);
    }

    /// The server has nothing under this name any more. Says whether it had.
    pub(crate) fn forget_made(&mut self, name: &[u8]) -> bool {
        self.made.as_mut().is_some_and(|made| made.forget(name))
    }

    /// The server has nothing of the kind any more.
    pub(crate) fn forget_all_made(&mut self) {
        // What the same text prepares behind that is to come yet.
        if let Some(made) = &mut self.made {
            **made = Made::new(Arc::clone(&made.room));
        }
    }

    /// What executing the statement leaves behind that lives on the server under this name, as far as is known.
    pub(crate) fn effects_there(&self, name: &[u8]) -> Effects {
        let name = name::of_protocol(name);
        let Some(made) = &self.made else { return Effects::None };
        let new = made.new.get(name).map(New::effects);
        new.or_else(|| made.stays.get(name).cloned()).unwrap_or_default()
    }
}

impl New {
    fn text(&self) -> &[u8] {
        match self {
            Self::Made { making, .. } => &making.text,
            Self::Asked(draft) => &draft.text,
        }
    }

    /// What executing it leaves behind.
    pub(crate) fn effects(&self) -> Effects {
        match self {
            Self::Made { making, .. } => making.effects.clone(),
            Self::Asked(draft) => draft.effects.clone(),
        }
    }
}

impl Made {
    pub(crate) fn new(room: Arc<StatementRoom>) -> Self {
        let (new, stays) = (BTreeMap::new(), BTreeMap::new());
        Self { room, new, bytes: 0, stays, left: Vec::new(), tries_again: false }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.new.contains_key(name)
            || self.stays.contains_key(name)
            || self.left.iter().any(|left| **left == *name)
    }

    /// This is to be adopted.
    pub(crate) fn add(&mut self, name: Box<[u8]>, new: New) {
        self.bytes = self.bytes.saturating_add(new.text().len());
        self.new.insert(name, new);
    }

    /// What is to be adopted under this name, which is taken out.
    pub(crate) fn take_new(&mut self, name: &[u8]) -> Option<New> {
        let new = self.new.remove(name)?;
        self.bytes = self.bytes.saturating_sub(new.text().len());
        Some(new)
    }

    /// It stays there, and executing it leaves this behind.
    pub(crate) fn keep(&mut self, name: Box<[u8]>, effects: Effects) {
        self.stays.insert(name, effects);
    }

    /// There is nothing under this name any more. Says whether there was.
    pub(crate) fn forget(&mut self, name: &[u8]) -> bool {
        let left = self.left.len();
        self.left.retain(|left| **left != *name);
        let stayed = self.stays.remove(name).is_some();
        self.take_new(name).is_some() || stayed || self.left.len() < left
    }

    /// Whether nothing is there any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.stays.is_empty() && self.left.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use trunkline_wire::Reported;

    use super::*;
    use crate::{
        client::{PoolMode, SessionLimits},
        setting::SettingSet,
    };

    fn client() -> ClientSession {
        let limits = SessionLimits::default();
        ClientSession::new(PoolMode::Transaction, SettingSet::empty(), Arc::default(), limits)
    }

    #[test]
    fn statements_that_prepare_each_other_are_read_once() {
        let (client, server) = (client(), ServerSession::new(Arc::new(Reported::new())));
        // As long a text as is read at all, and more than a stack has frames for.
        let text = [b"PREPARE a AS ".repeat(15_000), b"SELECT 1".to_vec()].concat();
        let (of_query, _) = client.effects_of_query(&text, &server);
        assert_eq!(of_query, client.effects_of(&text, &server));
        let Effects::Many(changes) = of_query else { panic!("it prepares something") };
        let [(0, Change::Prepare(outer))] = changes.as_ref() else { panic!("{}", changes.len()) };
        assert_eq!(outer.text.len(), text.len() - b"PREPARE a AS ".len());
        // The server refuses it; what is in it is known to be a PREPARE and no more.
        let Effects::Many(inner) = &outer.effects else { panic!("it would prepare something") };
        let [(0, Change::Prepare(inner))] = inner.as_ref() else { panic!("{}", inner.len()) };
        assert_eq!(**inner, Making { name: b"a".as_slice().into(), ..Making::default() });
    }
}
