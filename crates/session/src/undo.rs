//! What an error of the server takes back.

use crate::{
    client::{ClientSession, Unnamed},
    expect::{Bound, Ours, Owed},
    hold::Forgetting,
    server::{Intake, ServerSession, UNNAMED_UNKNOWN},
    shape::AsTold,
};

impl ClientSession {
    /// After an error in the extended protocol: what was sent up to the next Sync is void.
    pub(crate) fn discard(&mut self, server: &mut ServerSession) {
        let mut owed = std::mem::take(&mut server.owed);
        // What was sent behind the Sync has changed the unnamed statement after all that is void.
        let later = (std::mem::take(&mut self.unnamed), server.unnamed);
        let superseded = owed.changes_unnamed_behind_sync();
        let (mut skipped_query, mut undone_unnamed) = (false, false);
        let mut lent = Vec::new();
        let synced = owed.discard_to_sync(|entry| {
            skipped_query |= matches!(entry, Owed::Query(..));
            undone_unnamed |= matches!(entry, Owed::ParseUnnamed | Owed::Before(_));
            match entry {
                Owed::Ours(Ours::Lent(name)) => lent.push(name),
                entry => self.undo(server, entry),
            }
        });
        if skipped_query && owed.give_sync_to_client() {
            // The server of the client's own would have dropped the unnamed statement for the query.
            (self.unnamed, server.unnamed) = (Unnamed::None, UNNAMED_UNKNOWN);
            undone_unnamed = true;
        }
        if superseded {
            if undone_unnamed && let Some(before) = owed.before_mut() {
                // If that is skipped as well, this is what it goes back to.
                *before = (std::mem::take(&mut self.unnamed), server.unnamed);
            }
            (self.unnamed, server.unnamed) = later;
        } else if !undone_unnamed {
            self.unnamed = later.0;
        }
        // What was to forget the statements may be among what is void.
        let forgets = owed.iter().any(|owed| match owed {
            Owed::Query(effects, _) | Owed::Execute(effects) => effects.unsettles(true),
            _ => false,
        });
        if !forgets && !self.settings.is_open() {
            server.settle_after_error();
        } else if !synced && server.forgetting == Forgetting::Asked {
            // What the failed transaction has set is taken back at its end, for which a Sync is needed.
            server.forgetting = Forgetting::Unsynced;
        }
        server.owed = owed;
        if !lent.is_empty() {
            server.forget_lent(&lent);
        }
        if !synced {
            server.intake = Intake::Skipping;
        } else if server.intake == Intake::CopyData {
            server.intake = Intake::Messages;
        }
        server.refuse_behind_ahead();
    }

    /// What was sent to a server is to be sent to another one, as if it had not been: nothing that this one says of it counts.
    /// There is no transaction of the client's open.
    pub fn take_back(&mut self, server: &mut ServerSession) {
        let mut owed = std::mem::take(&mut server.owed);
        while !owed.is_empty() {
            owed.discard_to_sync(|entry| self.undo(server, entry));
            drop(owed.pop());
        }
        self.portals.clear();
        self.end_lease(server);
    }

    fn undo(&mut self, server: &mut ServerSession, entry: Owed) {
        server.end_naming_of(&entry);
        match entry {
            Owed::Parse(named) => {
                named.statement.set_accepted(false);
                server.statements.remove(named.statement.id);
                self.names.remove(&named.name);
            }
            Owed::ParseAgain(named) => {
                self.names.remove(&named.name);
            }
            Owed::Closed(named) => self.names.insert(named.name, named.statement),
            // Behind a Sync it may have been given up since.
            Owed::Meant(named) | Owed::Bind(Some(Bound { meant: Some(named), .. }))
                if self.names.contains(&named.name) =>
            {
                self.names.insert(named.name, named.statement);
            }
            Owed::ParseThere(name) => {
                self.there.remove(&name);
                self.unpin_from_there();
            }
            Owed::ParseTaking(renamed) => self.taking.undo(*renamed),
            Owed::CloseThere(name) => self.stays_there(name),
            Owed::ParseUnnamed => {
                self.unnamed = Unnamed::None;
                // Whatever the server holds now is not known to be anybody's.
                server.unnamed = UNNAMED_UNKNOWN;
            }
            Owed::Ours(Ours::Parse(statement)) => {
                statement.set_accepted(false);
                server.statements.remove(statement.id);
            }
            Owed::Ours(Ours::Compare(compare)) => {
                server.statements.set_as_told(compare.statement.id, AsTold::Unknown);
            }
            Owed::Before(before) => (self.unnamed, server.unnamed) = *before,
            Owed::Ours(Ours::ParseUnnamed(_) | Ours::CloseUnnamed) => {
                server.unnamed = UNNAMED_UNKNOWN;
            }
            Owed::Ours(Ours::Close(statement)) => server.statements.add(&statement),
            Owed::Ours(Ours::TakeOver(takeover)) => self.leave_there(*takeover),
            Owed::Ours(Ours::CloseTaken(name)) => self.leave_open(&name),
            _ => {}
        }
    }
}
