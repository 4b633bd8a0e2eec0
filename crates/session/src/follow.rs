//! What a completed statement leaves behind in the session.

use std::sync::Arc;

use crate::{
    change::Change,
    client::{ClientSession, Unnamed},
    effect::{Effects, Transaction},
    expect::{Ours, Owed},
    pin::PinReason,
    planted::planted,
    server::ServerSession,
    statement::RESERVED_PREFIX,
};

impl ClientSession {
    /// Follows the statement at `place` of a text, which was answered with `tag`.
    pub(crate) fn apply(
        &mut self,
        server: &mut ServerSession,
        effects: &Effects,
        place: usize,
        tag: &[u8],
    ) {
        match effects {
            Effects::None => {}
            Effects::Transaction(transaction) => {
                if place == 0 {
                    server.begun |= *transaction == Transaction::Begin;
                    self.end_transaction(*transaction, tag);
                }
            }
            Effects::Many(changes) => {
                for (_, change) in changes.iter().filter(|(at, _)| *at == place) {
                    self.change(server, change, tag);
                }
            }
        }
    }

    fn end_transaction(&mut self, transaction: Transaction, tag: &[u8]) {
        match transaction {
            Transaction::Begin => {}
            // COMMIT of a failed transaction answers ROLLBACK.
            Transaction::Commit if tag != b"ROLLBACK" => {
                self.settings.commit();
                self.end_channels(true);
            }
            Transaction::Commit | Transaction::Rollback => {
                self.settings.rollback();
                self.end_channels(false);
                self.errored = false;
            }
        }
    }

    fn change(&mut self, server: &mut ServerSession, change: &Change, tag: &[u8]) {
        match change {
            // Of what it is looked for was noted when it was sent: it may leave something behind even if it fails.
            Change::Begin => server.begun = true,
            Change::Mention(_)
            | Change::Renamed(_)
            | Change::Restore { .. }
            | Change::Place(_)
            | Change::NoPlace(_)
            | Change::Look(_)
            | Change::ExplainRoute
            // It is refused.
            | Change::Unroutable(_)
            | Change::Notify => {}
            Change::Listen(_) | Change::Unlisten(_) | Change::UnlistenAll => {
                self.change_channels(server, change);
            }
            Change::Prepare(making) => self.note_made(making),
            Change::CatalogChange => self.note_catalog_change(change),
            Change::SetLocal(name, value) => self.settings.set_local(name, value.as_ref()),
            Change::Placeholder(name) => self.note_set(name, server),
            Change::Commit => self.end_transaction(Transaction::Commit, tag),
            Change::Rollback => self.end_transaction(Transaction::Rollback, tag),
            Change::Savepoint(name) => {
                self.settings.savepoint(name);
                self.change_channels(server, change);
            }
            Change::RollbackTo(name) => {
                self.settings.rollback_to(name);
                self.change_channels(server, change);
                self.errored = false;
            }
            Change::Release(name) => {
                self.settings.release(name);
                self.change_channels(server, change);
            }
            Change::Set(name, value) => {
                self.note_set(name, server);
                if !self.settings.set(name, value) {
                    self.pins.add(PinReason::TooManySettings);
                }
            }
            Change::Reset(name) => {
                planted!(self, WrongReset, return);
                server.base_lost |= self.settings.base().get(name).is_some();
                self.settings.reset(name);
            }
            Change::ResetAll => {
                server.base_lost |= !self.settings.base().is_empty();
                self.settings.reset_all();
            }
            Change::DiscardAll => {
                server.base_lost |= !self.settings.base().is_empty();
                self.settings.discard_all();
                self.discard_looks();
                self.change_channels(server, change);
                self.forget_statements(server);
            }
            Change::DeallocateAll => self.forget_statements(server),
            Change::Deallocate(name) => self.deallocate(server, name),
            // It was bound in a message too long to be read for its values.
            Change::SetLocalUnknown | Change::SetBound { local: true, .. } => {
                self.settings.set_unknown();
            }
            Change::SetBound { .. } => self.pins.add(PinReason::ComputedSetting),
            Change::Pin(reason) => self.pins.add(*reason),
            Change::Unpin(reason) => self.pins.remove(*reason),
        }
    }

    fn deallocate(&mut self, server: &mut ServerSession, name: &[u8]) {
        planted!(self, KeptName, return);
        self.names.remove(name);
        let left = self.forget_made(name);
        // What was lent to be given up is gone.
        server.decoys.retain(|lent| **lent != *name);
        server.takeover.retain(|(asked, _)| **asked != *name);
        if self.there.remove(name) || left {
            self.unpin_from_there();
        }
        if name.starts_with(RESERVED_PREFIX) {
            server.statements.remove_named(name);
        }
    }

    /// Statements that live on the server under the client's own names keep it there, as long as there is one.
    pub(crate) fn unpin_from_there(&mut self) {
        if self.there.is_empty() && !self.has_left() {
            self.pins.remove(PinReason::SqlPrepare);
            self.pins.remove(PinReason::TooManyStatements);
        }
    }

    fn forget_statements(&mut self, server: &mut ServerSession) {
        self.names.clear();
        self.there.clear();
        self.forget_all_made();
        server.decoys.clear();
        server.takeover.clear();
        self.unpin_from_there();
        server.statements.clear();
        let mut unnamed = false;
        // What was sent after it is prepared later.
        for owed in server.owed.iter() {
            match owed {
                Owed::Parse(named) => {
                    self.names.insert(named.name.clone(), Arc::clone(&named.statement));
                    server.statements.add(&named.statement);
                }
                Owed::ParseAgain(named) => {
                    self.names.insert(named.name.clone(), Arc::clone(&named.statement));
                }
                Owed::ParseThere(name) => {
                    self.there.insert(name.clone());
                    self.pins.add(PinReason::TooManyStatements);
                }
                Owed::Ours(Ours::Parse(statement)) => server.statements.add(statement),
                Owed::ParseUnnamed | Owed::Ours(Ours::ParseUnnamed(_)) => unnamed = true,
                _ => {}
            }
        }
        if !unnamed {
            self.unnamed = Unnamed::None;
            server.unnamed = 0;
        }
    }
}
