//! How a server is brought back to rest whose client has gone amid something: a statement, COPY data, a pipeline.
//!
//! What the client has left under way, and what that leaves in the session, is not followed any more: its replies are for
//! nobody, and the session is put back to that of a new connection. What ends it is a number that nobody else can have asked
//! for, so that it does not matter how many replies come before.

use bytes::BytesMut;
use trunkline_wire::{backend::DataRow, frontend};

use crate::{
    expect::Purpose,
    server::{Alone, ServerSession, TxStatus},
    statement::RESERVED_PREFIX,
};

/// Ends the transaction that may be open.
const ROLLBACK: &[u8] = b"ROLLBACK";

/// Takes everything back that a session can have.
const DISCARD: &[u8] = b"DISCARD ALL";

/// How far a server has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Salvage {
    /// What the last of our statements gives.
    marker: u64,
    step: Step,
}

/// What the server has said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Something that may be the client's.
    Begun,
    /// That there is no transaction open.
    RolledBack,
    /// That there is nothing left of the session's, right behind that.
    Discarded,
    /// The marker, right behind that: this was ours.
    Marked,
}

impl ServerSession {
    /// Whether it may be brought back to rest although its client has gone: not if it has not heeded a cancel request.
    pub fn may_be_salvaged(&self) -> bool {
        !self.ending && !self.timed_out
    }

    /// Its client has gone: from now on what it says is for nobody, until [`salvage`](Self::salvage) has come to its end.
    /// `marker` must be a number that no client can guess.
    pub fn give_up_client(&mut self, marker: u64) {
        self.salvage = Some(Salvage { marker, step: Step::Begun });
    }

    /// Whether it has been given up by its client and not salvaged yet.
    pub fn is_adrift(&self) -> bool {
        self.salvage.is_some()
    }

    /// What brings it to rest, whatever it is at; nothing that is sent before may be cancelled any more.
    pub fn salvage(&self, out: &mut BytesMut) {
        let Some(salvage) = self.salvage else { return };
        // Ignored but amid COPY data, where a query would end the connection.
        frontend::copy_fail(out, b"the client has gone");
        // A Sync commits what a pipeline has done outside a transaction block, unless something has failed before it: a
        // portal that nobody has.
        let nowhere = [RESERVED_PREFIX, salvage.marker.to_string().as_bytes()].concat();
        frontend::execute(out, &nowhere, 0);
        frontend::sync(out);
        frontend::query(out, ROLLBACK);
        frontend::query(out, DISCARD);
        frontend::query(out, format!("SELECT {}", salvage.marker).as_bytes());
    }

    /// A frame of a server that is adrift.
    pub(crate) fn on_adrift(&mut self, tag: u8, body: &[u8]) -> Alone {
        let Some(Salvage { marker, step }) = self.salvage else { return Alone::Nothing };
        let next = match tag {
            b'S' => {
                self.on_parameter(body);
                step
            }
            b'C' => match body.strip_suffix(&[0]).unwrap_or(body) {
                ROLLBACK => Step::RolledBack,
                DISCARD if step == Step::RolledBack => Step::Discarded,
                _ if step == Step::Marked => Step::Marked,
                _ => Step::Begun,
            },
            b'D' if is_marker(body, marker) => {
                if step != Step::Discarded {
                    return self.lost();
                }
                Step::Marked
            }
            b'D' | b'E' => Step::Begun,
            b'Z' if step == Step::Marked => return self.salvaged(body),
            _ => step,
        };
        self.salvage = Some(Salvage { marker, step: next });
        Alone::Nothing
    }

    /// All is answered: it is as it was when it was opened.
    fn salvaged(&mut self, body: &[u8]) -> Alone {
        if body.first().copied().and_then(TxStatus::from_byte) != Some(TxStatus::Idle) {
            return self.lost();
        }
        let (reported, login) =
            (std::mem::take(&mut self.reported), std::mem::take(&mut self.login));
        *self = Self { login, ..Self::new(reported) };
        Alone::Answered(Purpose::Reset)
    }

    fn lost(&mut self) -> Alone {
        self.ending = true;
        Alone::Ended
    }
}

/// Whether this row is the marker and nothing else.
fn is_marker(body: &[u8], marker: u64) -> bool {
    let Ok(row) = DataRow::parse(body) else { return false };
    let mut values = row.iter();
    let first = values.next().flatten();
    first == Some(marker.to_string().as_bytes()) && values.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::{
        Reported, SqlState,
        backend::{self, Report},
        frame::Frame,
    };

    use super::*;

    const MARKER: u64 = 4_242_424_242;

    fn adrift() -> ServerSession {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        server.give_up_client(MARKER);
        server
    }

    /// What the server says to the messages, each answer with this status.
    fn answers(status: u8) -> BytesMut {
        let mut out = BytesMut::new();
        let report = Report::error(SqlState::INVALID_CURSOR_NAME, "no such portal");
        backend::error_response(&mut out, &report);
        backend::ready_for_query(&mut out, status);
        ready(&mut out, b"ROLLBACK", status);
        ready(&mut out, b"DISCARD ALL", status);
        row(&mut out, MARKER);
        ready(&mut out, b"SELECT 1", status);
        out
    }

    fn ready(out: &mut BytesMut, tag: &[u8], status: u8) {
        backend::command_complete(out, tag);
        backend::ready_for_query(out, status);
    }

    fn row(out: &mut BytesMut, number: u64) {
        backend::data_row(out, [Some(number.to_string().as_bytes())]);
    }

    /// Feeds it all; what came of it last, and how many bytes were left then.
    fn feed(server: &mut ServerSession, mut bytes: &[u8]) -> (Alone, usize) {
        while let Ok(Some(frame)) = Frame::first(bytes) {
            bytes = bytes.get(frame.bytes.len()..).unwrap_or_default();
            match server.on_alone(frame.tag, frame.body) {
                Alone::Nothing => {}
                end => return (end, bytes.len()),
            }
        }
        (Alone::Nothing, bytes.len())
    }

    #[test]
    fn it_is_at_rest_behind_the_marker_whatever_came_before() {
        let mut before = BytesMut::new();
        ready(&mut before, b"ROLLBACK", b'I');
        ready(&mut before, b"DISCARD ALL", b'I');
        row(&mut before, 7);
        ready(&mut before, b"SELECT 1", b'I');
        backend::copy_in_response(&mut before, 0, []);
        for left in [BytesMut::new(), before] {
            let mut server = adrift();
            let all = [&left[..], &answers(b'I')].concat();
            assert_eq!(feed(&mut server, &all), (Alone::Answered(Purpose::Reset), 0));
            assert!(server.at_rest() && !server.is_adrift());
        }
    }

    #[test]
    fn it_is_of_no_use_if_anything_of_ours_has_failed() {
        let mut server = adrift();
        assert_eq!(feed(&mut server, &answers(b'T')).0, Alone::Ended);
        assert!(server.is_ending());
        let mut out = BytesMut::new();
        ready(&mut out, b"ROLLBACK", b'I');
        row(&mut out, MARKER);
        assert_eq!(feed(&mut adrift(), &out), (Alone::Ended, 0));
    }
}
