//! How much of what a client has sent may go to a standby.
//!
//! Where a group of messages goes is decided when all of it is there: a simple query, or the messages of the extended
//! protocol up to a Sync. It may go to a standby if everything in it is known to only read. A transaction that is read-only
//! by its own words goes there as a whole. What stands behind that is decided anew when the server has been given back.

use trunkline_sql::{Keyword, Rules};
use trunkline_wire::{
    Frame,
    frame::{HEADER, peek},
    frontend::{Bind, Parse, Query},
};

use crate::{
    block::{Begin, Block},
    client::{ClientSession, PoolMode, Unnamed},
    group::Group,
    server::{ServerSession, TxStatus, rules_of},
};

/// So many messages of a burst are looked at: what comes behind waits for the answer to these.
pub(crate) const FRAMES_MAX: usize = 256;

/// What may go to a standby of a burst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Horizon<'a> {
    /// So many bytes of it; 0 if all of it belongs on the primary.
    pub bytes: usize,
    /// They begin a transaction.
    pub block: Option<Block<'a>>,
}

/// Whether something was sent that may end a transaction at a standby.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BlockEnd {
    /// Nothing.
    #[default]
    No,
    /// It was, and its group has not come to its end.
    Begun,
    /// All of its group was. What stands behind that waits for the answer.
    Sent,
}

impl ClientSession {
    /// Whether what this client sends may go to a standby at all now: it has no server, and nothing that only one server
    /// has.
    pub fn may_read_elsewhere(&self) -> bool {
        self.mode != PoolMode::Session
            && self.pins.is_empty()
            && !matches!(self.unnamed, Unnamed::OnServer { .. })
            && !self.settings.is_unknown()
    }

    /// How its texts are read now.
    pub fn rules(&self) -> Rules {
        rules_of(&self.seen)
    }

    /// How much at the beginning of a burst may go to a standby, of a client that has no server. `begin` tells which
    /// transactions may begin there. `reads` says of a text whether it only reads, and may do so on a standby.
    pub fn horizon<'a>(
        &'a self,
        data: &'a [u8],
        begin: Begin,
        mut reads: impl FnMut(&[u8]) -> bool,
    ) -> Horizon<'a> {
        let mut horizon = Horizon::default();
        let (mut at, mut group) = (0_usize, Group::before(begin));
        for _ in 0..FRAMES_MAX {
            let Some(frame) = whole(data, at) else { break };
            let end = at.saturating_add(frame.bytes.len());
            match self.judge(frame, &mut group, &mut reads) {
                Some(false) => {}
                Some(true) => match group.begun() {
                    // It is decided on its own.
                    Some(_) if horizon.bytes > 0 => break,
                    Some(block) => {
                        let may_cross = !block.reads_only && !group.ended;
                        if may_cross && self.goes_across_at_once(data, end, &mut reads) {
                            break;
                        }
                        return Horizon { bytes: end, block: Some(block) };
                    }
                    None => {
                        horizon.bytes = end;
                        group = Group::before(begin);
                    }
                },
                None => break,
            }
            at = end;
        }
        horizon
    }
}

impl ServerSession {
    /// How much of a burst may go to this server of a standby, whose client has a transaction open there: up to what may end
    /// it. What has not come to its end is waited for, unless it is longer than `longest`. `end` says what has gone there
    /// before, and then what has by now.
    pub fn horizon_in_block(&self, data: &[u8], longest: usize, end: &mut BlockEnd) -> usize {
        if *end == BlockEnd::Sent && !self.is_busy() {
            *end = BlockEnd::No;
        }
        if *end == BlockEnd::Sent || self.status() == TxStatus::Idle {
            return 0;
        }
        let mut at = 0_usize;
        for _ in 0..FRAMES_MAX {
            let Some(frame) = whole(data, at) else {
                let long = data.get(at..).and_then(|rest| peek(rest).ok().flatten());
                let streams = long.is_some_and(|header| header.len > longest);
                return if streams { data.len() } else { at };
            };
            at = at.saturating_add(frame.bytes.len());
            let ends = match frame.tag {
                b'Q' => Query::parse(frame.body).is_ok_and(|query| may_end(query.text, self.rules)),
                b'P' => Parse::parse(frame.body).is_ok_and(|parse| may_end(parse.text, self.rules)),
                // What it was bound to is not looked for: a name may mean a COMMIT.
                b'B' => Bind::parse(frame.body).is_ok_and(|bind| !bind.statement.is_empty()),
                _ => false,
            };
            if ends {
                *end = BlockEnd::Begun;
            }
            if *end == BlockEnd::Begun && matches!(frame.tag, b'Q' | b'S') {
                *end = BlockEnd::Sent;
                break;
            }
        }
        at
    }
}

/// Whether a text may end a transaction: all but a plain query may.
fn may_end(text: &[u8], rules: Rules) -> bool {
    !matches!(trunkline_sql::ordinary(text, rules), Some(Keyword::Select | Keyword::With))
}

/// The message at this place, if it is whole.
pub(crate) fn whole(data: &[u8], at: usize) -> Option<Frame<'_>> {
    let rest = data.get(at..)?;
    let header = peek(rest).ok().flatten()?;
    let bytes = rest.get(..header.len)?;
    Some(Frame { tag: header.tag, body: bytes.get(HEADER..)?, bytes })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::BytesMut;
    use trunkline_wire::{
        Reported,
        frontend::{self, STATEMENT},
    };

    use super::*;
    use crate::{client::SessionLimits, queue::Kind, setting::SettingSet};

    fn client(mode: PoolMode) -> ClientSession {
        ClientSession::new(mode, SettingSet::empty(), Arc::default(), SessionLimits::default())
    }

    /// Messages in a few words: a text is a simple query, `P text` parses it, the rest are single letters.
    fn burst(words: &[&str]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for word in words {
            match *word {
                "B" => frontend::bind(&mut out, b"", b"", b"\0\0\0\0\0\0"),
                "B other" => frontend::bind(&mut out, b"", b"other", b"\0\0\0\0\0\0"),
                "D" => frontend::describe(&mut out, frontend::PORTAL, b""),
                "D statement" => frontend::describe(&mut out, STATEMENT, b""),
                "E" => frontend::execute(&mut out, b"", 0),
                "S" => frontend::sync(&mut out),
                "H" => frontend::flush(&mut out),
                text => match text.strip_prefix("P ") {
                    Some(text) => frontend::parse(&mut out, b"", text.as_bytes(), b"\0\0"),
                    None => frontend::query(&mut out, text.as_bytes()),
                },
            }
        }
        out.to_vec()
    }

    fn reads(text: &[u8]) -> bool {
        text.starts_with(b"select")
    }

    /// How many of these messages may go to a standby, and whether they begin a block.
    fn horizon(words: &[&str]) -> (usize, bool) {
        let (client, burst) = (client(PoolMode::Transaction), burst(words));
        let found = client.horizon(&burst, Begin::ReadOnly, reads);
        (count(words, found.bytes), found.block.is_some())
    }

    /// How many of these messages are so many bytes.
    fn count(words: &[&str], bytes: usize) -> usize {
        let count = (0..=words.len()).find(|count| burst(&words[..*count]).len() == bytes);
        count.expect("whole messages")
    }

    #[test]
    fn reads_go_up_to_the_first_group_that_is_more() {
        assert_eq!(horizon(&["select 1"]), (1, false));
        assert_eq!(horizon(&["select 1", "select 2", "insert", "select 3"]), (2, false));
        assert_eq!(horizon(&["insert", "select 3"]), (0, false));
        assert_eq!(horizon(&["P select 1", "B", "D", "E", "S"]), (5, false));
        assert_eq!(horizon(&["P select 1", "B", "E", "P insert", "B", "E", "S"]), (0, false));
        let pipeline = ["P select 1", "B", "E", "S", "P select 2", "B", "E", "S", "P insert", "S"];
        assert_eq!(horizon(&pipeline), (8, false));
        assert_eq!(horizon(&["P select 1", "B", "E", "H"]), (0, false), "it has no end");
        assert_eq!(horizon(&["P select 1", "B", "E"]), (0, false), "it is not all there");
        assert_eq!(horizon(&["P select 1", "B", "E", "select 1"]), (0, false));
        assert_eq!(horizon(&["B other", "E", "S"]), (0, false), "nobody knows it");
        assert_eq!(horizon(&["B", "E", "S"]), (0, false), "there is none");
        assert_eq!(horizon(&["S"]), (1, false));
        assert_eq!(horizon(&["P select 1", "D statement", "S"]), (3, false));
        assert_eq!(horizon(&["D statement", "S"]), (0, false), "there is none");
    }

    #[test]
    fn a_transaction_that_only_reads_by_its_own_words_is_a_block() {
        for begin in [
            "begin read only",
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY DEFERRABLE",
        ] {
            assert_eq!(horizon(&[begin, "select 1"]), (1, true), "{begin}");
        }
        assert_eq!(horizon(&["P begin read only", "B", "E", "S", "select 1"]), (4, true));
        assert_eq!(horizon(&["select 1", "begin read only"]), (1, false), "after what is before");
        for begin in [
            "begin",
            "begin read write",
            "begin isolation level serializable read only",
            "begin read only; select 1",
        ] {
            assert_eq!(horizon(&[begin]), (0, false), "{begin}");
        }
        let both = ["P begin read only", "B", "E", "P select 1", "B", "E", "S", "insert"];
        assert_eq!(horizon(&both), (7, true), "a driver may send it with what it is for");
        let other = ["P begin read only", "B", "E", "P insert", "B", "E", "S"];
        assert_eq!(horizon(&other), (0, false), "one group is one decision");
    }

    #[test]
    fn in_a_block_all_goes_up_to_what_may_end_it() {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        let mut end = BlockEnd::No;
        let commit = burst(&["select 1", "commit", "insert"]);
        assert_eq!(server.horizon_in_block(&commit, 1000, &mut end), 0, "none is open");
        server.status = TxStatus::Open;
        let length = burst(&["select 1", "commit"]).len();
        assert_eq!(server.horizon_in_block(&commit, 1000, &mut end), length);
        assert_eq!(end, BlockEnd::Sent);
        server.owed.push_light(Kind::Query);
        assert_eq!(server.horizon_in_block(&commit[length..], 1000, &mut end), 0, "it waits");
        server.owed.forget_front();
        // It was no end: a savepoint, or it has failed.
        let reads = burst(&["select 1", "P select 2", "B", "E", "S"]);
        assert_eq!(server.horizon_in_block(&reads, 1000, &mut end), reads.len());
        assert_eq!(end, BlockEnd::No);
        let part = &reads[..reads.len() - 1];
        assert_eq!(server.horizon_in_block(part, 1000, &mut end), reads.len() - 5, "a part waits");
        let long = &reads[..burst(&["select 1"]).len() + 9];
        let all = server.horizon_in_block(long, 9, &mut end);
        assert_eq!(all, long.len(), "unless it is too long for that");
        // In two parts.
        let begun = burst(&["P commit", "B", "E"]);
        assert_eq!(server.horizon_in_block(&begun, 1000, &mut end), begun.len());
        assert_eq!(end, BlockEnd::Begun);
        server.intake = crate::Intake::Unsynced;
        let rest = burst(&["S", "P insert", "B", "E", "S"]);
        assert_eq!(server.horizon_in_block(&rest, 1000, &mut end), burst(&["S"]).len());
        assert_eq!(end, BlockEnd::Sent);
    }

    #[test]
    fn who_keeps_a_server_reads_there() {
        assert!(client(PoolMode::Transaction).may_read_elsewhere());
        assert!(client(PoolMode::Statement).may_read_elsewhere());
        assert!(!client(PoolMode::Session).may_read_elsewhere());
        let mut pinned = client(PoolMode::Transaction);
        pinned.pin(crate::PinReason::Listen);
        assert!(!pinned.may_read_elsewhere());
    }
}
