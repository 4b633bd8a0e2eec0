//! What `currval` and `lastval` know on a server that others have used.
//!
//! A session that reads them is pinned from then on, and nobody else calls `nextval` on its server. What others have left
//! there before is discarded first, if nothing that may have called `nextval` for this client has run in this lease.

use trunkline_wire::frontend;

use crate::{
    client::{ClientSession, Surroundings},
    effect::Effects,
    environment::run_between,
    expect::{Ours, Owed, Purpose},
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
    /// Something of the client's has run in this lease that may have called it.
    used: bool,
}

impl SequenceState {
    /// The sequences are discarded, whoever has used them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Something is sent that may call `nextval`.
    #[inline]
    pub(crate) fn use_them(&mut self) {
        self.used = true;
    }

    fn begin(&mut self, client: u64) {
        if self.user != client {
            self.foreign |= self.user != 0;
            self.user = client;
        }
        self.used = false;
    }

    /// What others have left is discarded.
    pub(crate) fn discarded(&mut self) {
        self.foreign = false;
    }

    fn must_go(&self) -> bool {
        self.foreign && !self.used
    }
}

impl ClientSession {
    /// A lease begins.
    #[inline]
    pub(crate) fn begin_sequences(
        &mut self,
        server: &mut ServerSession,
        around: &mut impl Surroundings,
    ) {
        if self.number == 0 {
            self.number = around.unnamed_key();
        }
        server.sequences.begin(self.number);
    }

    /// Before a simple query.
    pub(crate) fn before_query(
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        if effects.reads_sequences()
            && server.sequences.must_go()
            && server.intake == Intake::Messages
            && server.status != TxStatus::Failed
        {
            frontend::query(out.insert(), DISCARD);
            server.owed.push(Owed::Ours(Ours::Query(Purpose::Sequences)));
        }
        if !effects.leaves_sequences() {
            server.sequences.use_them();
        }
    }

    /// Before a message that binds a statement, which is executed later.
    pub(crate) fn before_bind(
        effects: &Effects,
        server: &mut ServerSession,
        out: &mut Outgoing<'_>,
    ) {
        if !effects.is_none() && effects.reads_sequences() && server.sequences.must_go() {
            run_between(DISCARD, server, out);
        }
    }
}
