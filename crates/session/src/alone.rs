//! What is answered to a client that holds no server.

use std::sync::Arc;

use bytes::BytesMut;
use trunkline_wire::{
    Frame, Header, backend,
    frontend::{self, Close, Parse},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings},
    name,
    server::TxStatus,
    setting::Folds,
    statement::Statement,
};

/// A frame of a client that holds no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unleased {
    /// A server is needed.
    NeedsServer,
    /// It was answered, or needs no answer.
    Done,
    /// The client says goodbye.
    Terminate,
    /// No client sends messages with this tag.
    UnknownTag,
}

/// Judges a frame of a client that holds no server: by its header alone, so that an incomplete frame may be judged.
/// `status` is that of its transaction, as it was told.
pub fn unleased(header: Header, status: TxStatus, reply: &mut BytesMut) -> Unleased {
    match header.tag {
        // They have no body; the server says what is wrong with one that has.
        b'S' | b'H' if header.body_len() > 0 => Unleased::NeedsServer,
        b'Q' | b'P' | b'B' | b'E' | b'D' | b'C' | b'F' => Unleased::NeedsServer,
        b'S' => {
            backend::ready_for_query(reply, status.as_byte());
            Unleased::Done
        }
        // PostgreSQL ignores COPY messages outside of COPY (manual, protocol flow, COPY operations).
        b'H' | b'd' | b'c' | b'f' => Unleased::Done,
        b'X' => Unleased::Terminate,
        _ => Unleased::UnknownTag,
    }
}

impl ClientSession {
    /// Answers a message of a client that holds no server, if none is needed for it: a Parse of a statement that a
    /// server of this pool has accepted before, and a Close of a statement. The server is given the statement when it
    /// is used. Without this, clients that prepare at their start would queue for servers behind clients that hold
    /// theirs in transactions.
    pub fn answer_alone(
        &mut self,
        frame: Frame<'_>,
        reply: &mut BytesMut,
        around: &mut impl Surroundings,
    ) -> bool {
        if self.mode == PoolMode::Session {
            return false;
        }
        match frame.tag {
            b'P' => self.parse_alone(frame, reply, around),
            b'C' => match Close::parse(frame.body) {
                Ok(Close { kind: frontend::STATEMENT, name })
                    if self.names.remove(name::of_protocol(name)).is_some() =>
                {
                    backend::close_complete(reply);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn parse_alone(
        &mut self,
        frame: Frame<'_>,
        reply: &mut BytesMut,
        around: &mut impl Surroundings,
    ) -> bool {
        let Ok(parse) = Parse::parse(frame.body) else { return false };
        let name = name::of_protocol(parse.name);
        if name.is_empty()
            || self.names.contains(name)
            || self.there.contains(name)
            || !self.has_room(&parse)
            || !name::is_text(parse.name, &self.seen)
        {
            return false;
        }
        let environment = self.environment(self.settings.seen(), Folds::of(parse.text));
        let parts = (parse.text, parse.types, environment.as_ref());
        let hash = around.hash(parse.text, parse.types, &environment);
        let known = around.with_store(|store| store.find(hash, parts));
        let step = self.names.step_for(name);
        let fits = |known: &Arc<Statement>| known.is_accepted() && known.place().fits(step);
        let Some(statement) = known.filter(fits) else { return false };
        self.names.insert(name.into(), statement);
        backend::parse_complete(reply);
        true
    }
}
