//! What a client's message needs and that is executed before it: where it can, it goes ahead in a group of its own.
//!
//! PostgreSQL refuses a statement that must stand alone, such as `VACUUM`, behind what has been executed in the same group
//! of messages (since version 15), and a simple query does not end the transaction that such a group has begun (since 18).
//! So unless something of the client's stands before its message in the group, ours go ahead and end with a Sync of their
//! own, and the message waits for the answer. If one of ours fails, because the client has cancelled what it waits for or
//! because a table has gone, the error is the answer to the message, which is not sent.

use bytes::BytesMut;
use trunkline_wire::{SqlState, frontend};

use crate::{
    client::{ClientSession, Unnamed},
    expect::{Ours, Owed, Purpose},
    extended::parsed_under,
    hold::Why,
    outgoing::Outgoing,
    report::{error_code, write_error},
    server::{Intake, ServerSession, TxStatus},
    setting::Folds,
    statement::Statement,
};

/// The way of something of ours that is executed before the client's next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// It goes along with the client's messages, in their group or in their transaction.
    Along,
    /// It goes ahead.
    Ahead,
    /// What is under way decides it: the message waits.
    Undecided,
}

impl ClientSession {
    /// The way of what gives the server this statement, for a message of the client that uses it.
    pub(crate) fn course_of(&self, statement: &Statement, server: &mut ServerSession) -> Course {
        let parsed = (statement.settings(), statement.folds());
        if server.statements.touch(statement.id) || self.detour(parsed, server).is_none() {
            return Course::Along;
        }
        server.course()
    }

    /// The same of the unnamed statement; it is given if it goes ahead. Says whether the message waits.
    pub(crate) fn gives_unnamed_ahead(
        &self,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) -> bool {
        let Unnamed::Kept { key, settings, .. } = &self.unnamed else { return false };
        let parsed = (parsed_under(settings.as_deref()), Folds::Constants);
        if *key == server.unnamed || self.detour(parsed, server).is_none() {
            return false;
        }
        let course = server.course();
        if course == Course::Ahead {
            self.give_unnamed(server, out);
            server.end_ahead(out);
        }
        course != Course::Along
    }
}

impl ServerSession {
    /// The query of ours that it is at, before the client's statement.
    pub fn preparing(&self) -> Option<Purpose> {
        match self.owed.front() {
            Some(Owed::Ours(Ours::Query(purpose))) => Some(*purpose),
            _ => None,
        }
    }

    /// The error of the last query of ours, if it failed.
    pub fn error_of_ours(&self) -> Option<&[u8]> {
        self.ours_error.as_deref()
    }

    /// The setting that the server has refused to take over from the session, if the replay of settings has failed.
    pub fn refused_setting(&self) -> Option<&[u8]> {
        let (names, taken) = &self.replaying;
        names.get(*taken).map(AsRef::as_ref)
    }

    /// If the last query of ours failed because it was cancelled, tells the client so in answer to its statement.
    pub fn tell_cancel(&self, to_client: &mut BytesMut) -> bool {
        let cancelled = |error: &&[u8]| error_code(error) == Some(SqlState::QUERY_CANCELED);
        let error = self.error_of_ours().filter(cancelled);
        if let Some(error) = error {
            write_error(to_client, error);
        }
        error.is_some()
    }

    /// The way of what must go to the server now; the client's message is held if that is not decided.
    pub(crate) fn course(&mut self) -> Course {
        self.end_wait();
        if self.intake != Intake::Messages {
            return Course::Along;
        }
        if !self.owes_client_nothing() {
            self.hold(Why::Ahead);
            return Course::Undecided;
        }
        if self.status == TxStatus::Idle { Course::Ahead } else { Course::Along }
    }

    /// Whether what is sent now is skipped if something fails that is not answered yet: no Sync stands between.
    pub(crate) fn may_skip(&self) -> bool {
        self.owed.iter().fold(false, |may, owed| match owed {
            owed if owed.is_sync() => false,
            owed if owed.ends_ready() || owed.is_unanswered() => may,
            _ => true,
        })
    }

    /// The message is looked at again that has waited, if for answers before it: all have come, though no Sync may have been
    /// among what they answer.
    #[inline]
    pub(crate) fn end_wait(&mut self) {
        if self.is_held_for(Why::Ahead) && self.owed.is_empty() {
            self.release_hold();
        }
    }

    /// Whether something of the client's is not answered; its next message is held until it is.
    pub(crate) fn awaits_all(&mut self, out: &mut Outgoing<'_>) -> bool {
        self.end_wait();
        if self.owes_client_nothing() {
            return false;
        }
        if self.intake == Intake::Unsynced {
            frontend::flush(out.insert());
        }
        self.hold(Why::Ahead);
        true
    }

    /// Whether the client's message waits for what goes ahead of it, or for the listener.
    pub fn is_kept_waiting(&self) -> bool {
        self.is_held_for(Why::Ahead) || self.is_held_for(Why::Listener)
    }

    /// What goes ahead ends here; the client's message waits for the answer.
    pub(crate) fn end_ahead(&mut self, out: &mut Outgoing<'_>) {
        frontend::sync(out.insert());
        self.owed.push(Owed::Ours(Ours::SyncAhead));
        self.hold(Why::Ahead);
    }

    /// If what is void now has gone ahead of a message, that is answered by the error.
    pub(crate) fn refuse_behind_ahead(&mut self) {
        if matches!(self.owed.front(), Some(Owed::Ours(Ours::SyncAhead))) {
            self.intake = Intake::Refusing;
        }
    }

    /// Takes the message that was answered by the error of what went ahead of it. A query is over with that, and in its
    /// place the server is sent a Sync, whose answer ends it; behind any other message all is skipped up to a Sync.
    pub(crate) fn refuse(&mut self, tag: u8, out: &mut Outgoing<'_>) {
        if tag == frontend::tag::QUERY {
            frontend::sync(out.insert());
            self.sent_sync(out);
        } else {
            self.intake = Intake::Skipping;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::Reported;

    use super::*;
    use crate::effect::Effects;

    #[test]
    fn what_stands_behind_messages_without_a_sync_may_be_skipped() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        for (owed, may) in [
            (Owed::Query(Effects::None, 0), false),
            (Owed::Bind(None), true),
            (Owed::Query(Effects::None, 0), true),
            (Owed::Sync, false),
            (Owed::Function, false),
        ] {
            server.owed.push(owed);
            assert_eq!(server.may_skip(), may, "{:?}", server.owed);
        }
    }
}
