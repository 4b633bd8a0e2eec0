//! Adopting what SQL has prepared ([`crate::made`]): the server is asked for the types of its parameters and told to close
//! it, behind the answer that ends the transaction.
//!
//! Each name has a Sync of its own, so that one that cannot be described keeps no other back. One whose table has gone stays
//! on the server; one that was only not described in time is asked for again behind the next transaction.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_wire::{SqlState, frontend};

use crate::{
    client::ClientSession,
    expect::{Ours, Owed},
    from_server::{Reply, desync, settle},
    made::{Made, New},
    names::taken_by,
    pin::PinReason,
    report::error_code,
    room::StatementRoom,
    server::{Intake, ServerSession, TxStatus},
    setting::Folds,
    statement::Statement,
};

/// A description of more parameters is not held until it is whole ([`crate::may_stream`]): four bytes for each.
const PARAMETERS_MAX: usize = 2000;

/// So many statements are asked for at once, with three replies each; the rest when those have come. It keeps what is owed
/// within [`crate::OWED_MAX`].
const TAKEOVER_MAX: usize = 500;

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

/// What is to be adopted at once, and what that takes.
#[derive(Debug, Default)]
struct Batch {
    count: usize,
    /// Of what the client may have.
    weight: usize,
    /// Of the memory for all statements.
    room: usize,
    /// What the names take.
    names: usize,
}

impl ClientSession {
    /// The server has answered the client: the same as [`Self::begin_takeover`], and what could not be adopted behind the
    /// last transaction is tried once more.
    #[cold]
    pub(crate) fn begin_takeover_behind(&mut self, server: &mut ServerSession) -> bool {
        if server.status == TxStatus::Idle
            && let Some(made) = &mut self.made
        {
            made.tries_again = true;
        }
        self.begin_takeover(server)
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
        // What it could not be asked yet, for a long message of the client's: that may have begun a transaction.
        for (name, draft) in std::mem::take(&mut server.takeover) {
            match draft {
                Some(draft) => made.add(name, New::Asked(draft)),
                None => made.left.push(name),
            }
        }
        server.takeover.extend(std::mem::take(&mut made.left).into_iter().map(|name| (name, None)));
        if server.status == TxStatus::Idle {
            self.draft_new(&mut made, server);
        }
        let asks = !server.takeover.is_empty();
        if asks || !made.is_empty() {
            self.made = Some(made);
        }
        asks
    }

    fn draft_new(&mut self, made: &mut Made, server: &mut ServerSession) {
        let tries_again = std::mem::take(&mut made.tries_again);
        let due = made.new.iter().filter(|(_, new)| tries_again || matches!(new, New::Made { .. }));
        let due: Vec<_> = due.map(|(name, _)| name.clone()).take(TAKEOVER_MAX).collect();
        let mut batch = Batch::default();
        for name in due {
            let Some(new) = made.take_new(&name).filter(|_| self.there.contains(&name)) else {
                continue;
            };
            let draft = self.draft(&new, &made.room);
            if draft.as_ref().is_some_and(|draft| self.fits(&name, draft, &mut batch)) {
                server.takeover.push((name, draft));
            } else {
                made.keep(name, new.effects());
            }
        }
    }

    /// The statement whose types are not known yet; none if it cannot be adopted.
    fn draft(&self, new: &New, room: &Arc<StatementRoom>) -> Option<Arc<Statement>> {
        match new {
            New::Made { making, .. } if making.parameters > PARAMETERS_MAX => None,
            New::Made { making, settings, shared } => {
                let environment = self.environment(settings, Folds::of(&making.text));
                let parts = (making.text.as_ref(), b"\0\0".as_slice(), environment.as_ref());
                Some(Statement::draft(parts, making.effects.clone(), *shared, room))
            }
            New::Asked(draft) => Some(Arc::clone(draft)),
        }
    }

    /// Whether there is room for one more of a batch, to which it is added then.
    fn fits(&mut self, name: &[u8], draft: &Statement, batch: &mut Batch) -> bool {
        let weight = batch.weight.saturating_add(draft.weight());
        let names = batch.names.saturating_add(taken_by(name));
        let taken = batch.room.saturating_add(self.names.steps_for(names));
        let fits = self.has_room_for(batch.count, weight) && draft.place().fits(taken);
        if fits {
            let room = batch.room.saturating_add(draft.place().weight());
            *batch = Batch { count: batch.count.saturating_add(1), weight, room, names };
        } else {
            self.pins.add(PinReason::TooManyStatements);
        }
        fits
    }

    /// The server has described the statement that it is asked for.
    pub(crate) fn take_over(&mut self, server: &mut ServerSession) -> Reply {
        if let Some(Owed::Ours(Ours::TakeOver(takeover))) = server.owed.pop() {
            let Takeover { name, draft, types } = *takeover;
            let Some(types) = types else {
                return desync(server, "a statement was described without its parameters");
            };
            self.there.remove(&name);
            self.names.insert(name, draft.described(&types));
            self.unpin_from_there();
        }
        settle(server);
        Reply::Next
    }

    /// The server refuses to describe a statement, or to close a name.
    #[cold]
    pub(crate) fn fail_takeover(&mut self, server: &mut ServerSession, body: &[u8]) {
        let asked = match server.owed.front() {
            Some(Owed::Ours(Ours::TakeOver(takeover))) if !passes(body) => {
                Some((takeover.name.clone(), takeover.draft.effects.clone()))
            }
            _ => None,
        };
        self.discard(server);
        if let (Some((name, effects)), Some(made)) = (asked, &mut self.made) {
            made.forget(&name);
            made.keep(name, effects);
        }
    }

    /// The server has not described it: it is asked again.
    pub(crate) fn leave_there(&mut self, takeover: Takeover) {
        if let Some(made) = &mut self.made {
            made.forget(&takeover.name);
            made.add(takeover.name, New::Asked(takeover.draft));
        }
    }

    /// The server has not closed it, which it is to do at the next opportunity.
    pub(crate) fn leave_open(&mut self, name: &[u8]) {
        if !self.there.contains(name) {
            self.expect_left(name);
        }
    }
}

/// Whether a server may describe a statement the next time that it has refused for this now.
fn passes(body: &[u8]) -> bool {
    let passing =
        [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE, SqlState::DEADLOCK_DETECTED];
    error_code(body).is_some_and(|code| passing.contains(&code))
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
            frontend::sync(out);
            self.owed.push(Owed::Ours(Ours::Sync));
        }
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
    use bytes::BytesMut;
    use trunkline_wire::Reported;

    use super::*;
    use crate::{
        change::Change,
        client::{PoolMode, SessionLimits},
        effect::Effects,
        expect::OWED_MAX,
        made::Making,
        outgoing::Outgoing,
        setting::SettingSet,
    };

    /// A client for which so many statements are prepared by SQL, on this server.
    fn client_with(count: usize, server: &mut ServerSession) -> ClientSession {
        let limits = SessionLimits::default();
        let mut client =
            ClientSession::new(PoolMode::Transaction, SettingSet::empty(), Arc::default(), limits);
        client.made = Some(Box::new(Made::new(Arc::default())));
        let changes = (0..count).map(|number| {
            let name = format!("p{number}").into_bytes().into();
            let making = Making { name, text: b"select 1".as_slice().into(), ..Making::default() };
            (0, Change::Prepare(Arc::new(making)))
        });
        client.apply(server, &Effects::Many(changes.collect()), 0, b"PREPARE");
        client
    }

    /// The server answers everything that it is asked.
    fn answer(
        client: &mut ClientSession,
        server: &mut ServerSession,
        all: &[(u8, &[u8])],
    ) -> Reply {
        let mut spliced = BytesMut::new();
        let mut out = Outgoing::new(b"", &mut spliced);
        let mut last = Reply::Next;
        for (tag, body) in all {
            last = client.on_server(server, *tag, body, 0..0, &mut out);
        }
        last
    }

    #[test]
    fn thousands_are_adopted_and_never_more_is_owed_than_may_be() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        let all = 2 * TAKEOVER_MAX + 1;
        let mut client = client_with(all, &mut server);
        let mut asks = client.begin_takeover_behind(&mut server);
        for left in [TAKEOVER_MAX + 1, 1, 0] {
            assert!(asks && !client.shares_servers());
            server.put_takeover(&mut BytesMut::new());
            assert!(server.owed_len() <= 3 * TAKEOVER_MAX && server.owed_len() < OWED_MAX);
            let of_one = [(b't', b"\0\0".as_slice()), (b'n', b""), (b'3', b""), (b'Z', b"I")];
            let mut last = Reply::Next;
            while server.owed_len() > 0 {
                last = answer(&mut client, &mut server, &of_one);
            }
            asks = last == Reply::ReadyToAsk;
            assert_eq!(client.name_count(), all - left);
        }
        assert!(!asks && client.shares_servers() && client.may_release(&server));
    }

    #[test]
    fn what_could_not_be_asked_yet_is_not_asked_in_a_transaction_nor_if_it_is_given_up() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        let mut client = client_with(2, &mut server);
        assert!(client.begin_takeover_behind(&mut server));
        // A long message has begun a transaction meanwhile.
        server.status = TxStatus::Open;
        assert!(!client.begin_takeover_behind(&mut server) && !server.has_question());
        server.status = TxStatus::Idle;
        assert!(client.begin_takeover_behind(&mut server) && server.takeover.len() == 2);
        // Another has prepared anew what is not asked for yet.
        let gone = Change::Deallocate(b"p1".as_slice().into());
        let again = Change::Prepare(Making::named(b"p1"));
        let changes = Effects::Many([(0, gone), (0, again)].into());
        client.apply(&mut server, &changes, 0, b"PREPARE");
        assert!(client.begin_takeover_behind(&mut server));
        assert_eq!(
            server.takeover.iter().map(|(name, _)| name.as_ref()).collect::<Vec<_>>(),
            [b"p0"]
        );
        client.apply(&mut server, &Effects::Many([(0, Change::DeallocateAll)].into()), 0, b"");
        assert!(!client.begin_takeover_behind(&mut server) && !server.has_question());
    }
}
