//! Statements that SQL prepares become statements like those of the protocol.
//!
//! The text of a `PREPARE` goes to the server as it is, so that what it answers is the server's own; and the statement
//! lives there under the client's own name, which keeps the server, until the transaction is over. Then the server is
//! asked for the types of its parameters and told to close it, behind the answer to the client. From then on it is a
//! text, its types and the settings it was prepared under, as what comes in a Parse message. PostgreSQL does not tell
//! the two kinds apart either, but in `pg_prepared_statements`.
//!
//! What cannot be adopted stays on the server: a statement for which there is no room, one whose text was too long to be
//! kept, and one that the server cannot describe, because its table went with the transaction for instance.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_sql::{Effect, Scan};
use trunkline_wire::frontend;

use crate::{
    change::Change,
    client::{ClientSession, Surroundings},
    effect::Effects,
    expect::{Ours, Owed},
    from_server::settle,
    name,
    pin::PinReason,
    room::StatementRoom,
    server::{Intake, ServerSession, TxStatus},
    setting::{Folds, SettingSet},
    statement::Statement,
};

/// A description of more parameters is not held until it is whole ([`crate::may_stream`]): four bytes for each.
const PARAMETERS_MAX: usize = 2000;

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
    parameters: usize,
}

/// What is to be done when the transaction is over.
#[derive(Debug)]
pub(crate) struct Made {
    room: Arc<StatementRoom>,
    /// What SQL has prepared and is not adopted yet.
    children: Vec<Child>,
}

/// Something on the server under the client's own name.
#[derive(Debug)]
struct Child {
    name: Box<[u8]>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// To be adopted, with the settings it was prepared under; which are not known to be all if it is not shared.
    New { making: Arc<Making>, settings: Arc<SettingSet>, shared: bool },
    /// Perhaps what was lent for a text that may have prepared another: to be closed.
    Lent,
    /// It stays there; executing it leaves this behind.
    Stays(Effects),
}

/// What the server is asked for.
#[derive(Debug)]
pub(crate) struct Takeover {
    name: Box<[u8]>,
    /// The statement, whose types are not known yet.
    draft: Arc<Statement>,
    /// They have been told.
    types: Option<Box<[u8]>>,
}

/// A name that is to be closed, and what has it if that is to be adopted.
pub(crate) type Question = (Box<[u8]>, Option<Arc<Statement>>);

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
            if self.made.is_none() {
                let room = around.with_store(|store| store.shared_room());
                self.made = Some(Box::new(Made { room, children: Vec::new() }));
            }
            // It was lent to be given up: what is closed behind the next Sync would be the new one.
            let lent = server.decoys.iter().position(|lent| *lent == making.name);
            if let Some(place) = lent.filter(|_| !self.names.contains(&making.name)) {
                server.decoys.remove(place);
                self.expect_left(&making.name);
            }
        }
    }

    /// What was lent to a text under this name may be left behind, or what the text prepares instead.
    pub(crate) fn expect_left(&mut self, name: &[u8]) {
        self.put_child(name, What::Lent);
        self.pins.add(PinReason::SqlPrepare);
    }

    /// Whether there may be something of that kind.
    pub(crate) fn has_left(&self) -> bool {
        let mut children = self.made.iter().flat_map(|made| &made.children);
        children.any(|child| matches!(child.what, What::Lent))
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
        let settings = Arc::clone(self.settings.seen());
        let (making, shared) = (Arc::clone(making), !self.settings.is_unknown());
        self.put_child(&making.name.clone(), What::New { making, settings, shared });
    }

    /// The server still has what it was to close under this name.
    pub(crate) fn stays_there(&mut self, name: Box<[u8]>) {
        let mut children = self.made.iter().flat_map(|made| &made.children);
        let made = children.any(|child| child.name == name);
        self.pins.add(if made { PinReason::SqlPrepare } else { PinReason::TooManyStatements });
        self.there.insert(name);
    }

    /// The server has nothing under this name any more. Says whether it had.
    pub(crate) fn forget_made(&mut self, name: &[u8]) -> bool {
        let Some(made) = &mut self.made else { return false };
        let before = made.children.len();
        made.children.retain(|child| *child.name != *name);
        made.children.len() < before
    }

    /// The server has nothing of the kind any more.
    pub(crate) fn forget_all_made(&mut self) {
        // What the same text prepares behind that is to come yet.
        if let Some(made) = &mut self.made {
            made.children.clear();
        }
    }

    fn put_child(&mut self, name: &[u8], what: What) {
        self.forget_made(name);
        if let Some(made) = &mut self.made {
            made.children.push(Child { name: name.into(), what });
        }
    }

    /// What executing the statement leaves behind that lives on the server under this name, as far as is known.
    pub(crate) fn effects_there(&self, name: &[u8]) -> Effects {
        let name = name::of_protocol(name);
        let child = self.made.iter().flat_map(|made| &made.children);
        match child.filter(|child| *child.name == *name).map(|child| &child.what).next() {
            Some(What::New { making, .. }) => making.effects.clone(),
            Some(What::Stays(effects)) => effects.clone(),
            Some(What::Lent) | None => Effects::None,
        }
    }

    /// If the server is between transactions, what it has of this client's is to be adopted; what was lent is closed in any
    /// case. Says whether it must be put the question.
    #[cold]
    pub(crate) fn begin_takeover(&mut self, server: &mut ServerSession) -> bool {
        self.count_catalog_change(server);
        if !server.owed.is_empty() {
            return false;
        }
        let Some(mut made) = self.made.take() else { return false };
        for child in std::mem::take(&mut made.children) {
            let Child { name, what } = child;
            match what {
                What::Lent => server.takeover.push((name, None)),
                _ if !self.there.contains(&name) => {}
                What::New { .. } if server.status != TxStatus::Idle => {
                    made.children.push(Child { name, what });
                }
                What::Stays(_) => made.children.push(Child { name, what }),
                What::New { making, settings, shared } => {
                    let so_far = so_far(&server.takeover);
                    let room = &made.room;
                    if let Some(draft) = self.draft(&making, &settings, shared, room, so_far) {
                        server.takeover.push((name, Some(draft)));
                    } else {
                        let what = What::Stays(making.effects.clone());
                        made.children.push(Child { name, what });
                    }
                }
            }
        }
        let asks = !server.takeover.is_empty();
        if asks || !made.children.is_empty() {
            self.made = Some(made);
        }
        asks
    }

    /// The statement whose types are not known yet; none if it cannot be adopted.
    fn draft(
        &mut self,
        making: &Making,
        settings: &SettingSet,
        shared: bool,
        room: &Arc<StatementRoom>,
        (count, bytes): (usize, usize),
    ) -> Option<Arc<Statement>> {
        if making.parameters > PARAMETERS_MAX {
            return None;
        }
        let environment = self.environment(settings, Folds::of(&making.text));
        let parts = (making.text.as_ref(), b"\0\0".as_slice(), environment.as_ref());
        let draft = Statement::draft(parts, making.effects.clone(), shared, room);
        let fits = self.has_room_for(count, bytes.saturating_add(making.text.len()))
            && draft.place().fits(self.names.step_for(&making.name));
        if !fits {
            self.pins.add(PinReason::TooManyStatements);
        }
        fits.then_some(draft)
    }

    /// The server has described the statement that it is asked for.
    pub(crate) fn take_over(&mut self, server: &mut ServerSession) {
        if let Some(Owed::Ours(Ours::TakeOver(takeover))) = server.owed.pop() {
            let Takeover { name, draft, types } = *takeover;
            self.there.remove(&name);
            self.names.insert(name, draft.described(types.as_deref().unwrap_or(b"\0\0")));
            self.unpin_from_there();
        }
        settle(server);
    }

    /// The server has not described it: it stays there.
    pub(crate) fn leave_there(&mut self, takeover: &Takeover) {
        self.put_child(&takeover.name, What::Stays(takeover.draft.effects.clone()));
    }

    /// The server has not closed it, which it is to do at the next opportunity.
    pub(crate) fn leave_open(&mut self, name: &[u8]) {
        if !self.there.contains(name) {
            self.expect_left(name);
        }
    }
}

/// How many statements are to be adopted, and what they weigh.
fn so_far(takeover: &[Question]) -> (usize, usize) {
    let drafts = takeover.iter().filter_map(|(_, draft)| draft.as_ref());
    drafts.fold((0, 0), |(count, bytes): (usize, usize), draft| {
        (count.saturating_add(1), bytes.saturating_add(draft.weight()))
    })
}

impl ServerSession {
    /// Asks for what is to be adopted. The client must be between two messages.
    pub(crate) fn put_takeover(&mut self, out: &mut BytesMut) {
        if self.takeover.is_empty() || !self.owed.is_empty() || self.intake != Intake::Messages {
            return;
        }
        for (name, draft) in std::mem::take(&mut self.takeover) {
            self.begin_naming(&name);
            if let Some(draft) = draft {
                frontend::describe(out, frontend::STATEMENT, &name);
                let takeover = Takeover { name: name.clone(), draft, types: None };
                self.owed.push(Owed::Ours(Ours::TakeOver(Box::new(takeover))));
            }
            frontend::close(out, frontend::STATEMENT, &name);
            self.owed.push(Owed::Ours(Ours::CloseTaken(name)));
        }
        frontend::sync(out);
        self.owed.push(Owed::Ours(Ours::Sync));
        self.naming.sync();
    }
}

impl Takeover {
    /// The body of the description of its parameters, which is of the form of the types in a Parse message.
    pub(crate) fn note_types(&mut self, body: &[u8]) {
        self.types = Some(body.into());
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
