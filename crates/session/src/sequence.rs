//! What `currval` and `lastval` know on a server that others have used.
//!
//! A session that reads them is pinned from then on, and nobody else calls `nextval` on its server. What others have left
//! there before is discarded first: at the beginning of each lease, once a client of the pool has read them; and at the
//! latest before they are read. In that last case the client's own values of this transaction are gone as well, and
//! PostgreSQL says that there are none: an error, once in the life of a pool, but never another session's value.

use bytes::BytesMut;

use crate::{
    ahead::Course,
    client::{ClientSession, Surroundings},
    effect::Effects,
    environment::run_between,
    expect::Purpose,
    outgoing::Outgoing,
    server::{Intake, ServerSession, TxStatus},
};

/// The statement, and the tag of its completion.
pub(crate) const DISCARD: &[u8] = b"DISCARD SEQUENCES";

/// Whose values the sequences of a server's session have.
#[derive(Debug, Default)]
pub(crate) struct SequenceState {
    /// The client that had the last lease; 0 for none.
    user: u64,
    /// Another one before it may have called `nextval`.
    foreign: bool,
}

impl SequenceState {
    /// The sequences are discarded, whoever has used them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn begin(&mut self, client: u64) {
        if self.user != client {
            self.foreign |= self.user != 0;
            self.user = client;
        }
    }

    /// What others have left is discarded.
    pub(crate) fn discarded(&mut self) {
        self.foreign = false;
    }
}

impl ClientSession {
    /// A lease begins.
    #[inline]
    pub(crate) fn begin_sequences(
        &mut self,
        server: &mut ServerSession,
        to_server: &mut BytesMut,
        around: &mut impl Surroundings,
    ) {
        if self.number == 0 {
            self.number = around.unnamed_key();
        }
        server.sequences.begin(self.number);
        if server.sequences.foreign && self.scope.reads_sequences() {
            server.ask(Purpose::Sequences, DISCARD, to_server);
        }
    }

    /// Before a simple query. Says whether it must wait.
    pub(crate) fn before_query(
        &self,
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) -> bool {
        if !effects.reads_sequences() {
            return false;
        }
        self.scope.note_sequence_read();
        if !server.sequences.foreign {
            return false;
        }
        match server.intake {
            Intake::Messages => discards_ahead(server, out),
            Intake::Unsynced => {
                // If something before it fails, it is skipped with the query.
                run_between(DISCARD, server, out);
                false
            }
            Intake::Refusing | Intake::Skipping | Intake::CopyData => false,
        }
    }

    /// Before a message that binds a statement, which is executed later.
    pub(crate) fn before_bind(
        &self,
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        if effects.is_none() {
            return;
        }
        let reads = if effects.names_statements() {
            self.with_meanings(effects.clone()).reads_sequences()
        } else {
            effects.reads_sequences()
        };
        if !reads {
            return;
        }
        self.scope.note_sequence_read();
        if server.sequences.foreign {
            run_between(DISCARD, server, out);
        }
    }
}

/// What others have left goes ahead of the query, unless that is refused anyway. Says whether the query must wait.
fn discards_ahead(server: &mut ServerSession, out: &mut Outgoing<'_>) -> bool {
    if server.course() == Course::Undecided {
        return true;
    }
    if server.status == TxStatus::Failed {
        return false;
    }
    // In a transaction too: a query that is skipped would have to be answered otherwise.
    run_between(DISCARD, server, out);
    server.end_ahead(out);
    true
}
