//! Transactions that a client begins on a standby although they may write: as long as all in them is a read they stay there,
//! and what is more makes them go on on the primary, where they are begun once more. Nothing of them is lost with the
//! standby's, as nothing was done there but to read what had been committed.

use bytes::BytesMut;

use crate::{
    client::{ClientSession, PoolMode, Unnamed},
    expect::Purpose,
    group::Group,
    horizon::{BlockEnd, FRAMES_MAX, whole},
    pin::Pins,
    server::{Intake, ServerSession, TxStatus},
};

/// What becomes of a burst of a client whose transaction may cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// So many bytes go to the standby; what stands behind them waits for its answer, or for the rest of its group.
    There(usize),
    /// What comes next is more than a read: the transaction goes on on the primary.
    Across,
}

/// How a transaction is begun once more.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    /// The client's own words.
    pub begin: &'a [u8],
    /// It has read something before: what has to come first in a transaction is too late.
    pub has_read: bool,
    /// It has failed, as the client was told.
    pub has_failed: bool,
}

/// A statement that does nothing but read.
const READ: &[u8] = b"SELECT";

/// A statement that fails, and says in the log of the server why.
const FAIL: &[u8] = b"SELECT 'a statement of this transaction was refused before'::pg_catalog.int4";

impl ClientSession {
    /// Whether a transaction in which it has only read may go on on another server: it has nothing that only one has.
    pub fn may_cross(&self) -> bool {
        self.mode == PoolMode::Transaction
            && (self.pins.is_empty() || self.pins == Pins::UNREAD)
            && self.there.is_empty()
            && !matches!(self.unnamed, Unnamed::OnServer { .. })
            && !self.settings.is_unknown()
    }

    /// What becomes of a burst of a client that has a transaction open at a standby which may cross. `reads` says of a text
    /// whether it only reads. A message that is longer than `longest` is more than a read. `end` says what has gone there
    /// before, and then what has by now.
    pub fn onward(
        &self,
        server: &ServerSession,
        data: &[u8],
        longest: usize,
        end: &mut BlockEnd,
        mut reads: impl FnMut(&[u8]) -> bool,
    ) -> Onward {
        if *end == BlockEnd::Sent && !server.is_busy() {
            *end = BlockEnd::No;
        }
        if *end == BlockEnd::Sent {
            return Onward::There(0);
        }
        let whole_groups = *end == BlockEnd::No && server.intake == Intake::Messages;
        if server.status() != TxStatus::Open || !whole_groups {
            // All but its end is refused, wherever it is.
            return Onward::There(server.horizon_in_block(data, longest, end));
        }
        let (mut at, mut read, mut group) = (0_usize, 0_usize, Group::within());
        for _ in 0..FRAMES_MAX {
            let Some(frame) = whole(data, at) else {
                if is_on_its_way(data.get(at..).unwrap_or_default(), longest) {
                    return Onward::There(read);
                }
                break;
            };
            at = at.saturating_add(frame.bytes.len());
            if frame.tag == b'X' {
                return Onward::There(at);
            }
            if at.saturating_sub(read) > longest {
                break;
            }
            match self.judge(frame, &mut group, &mut reads) {
                Some(false) => {}
                Some(true) => {
                    read = at;
                    if std::mem::replace(&mut group, Group::within()).ended {
                        *end = BlockEnd::Sent;
                        return Onward::There(read);
                    }
                }
                None => break,
            }
        }
        if read > 0 || server.is_busy() { Onward::There(read) } else { Onward::Across }
    }

    /// Whether the group behind the one that begins a transaction, which ends at `at` of the burst, is all there and more
    /// than a read.
    pub(crate) fn goes_across_at_once(
        &self,
        data: &[u8],
        mut at: usize,
        reads: &mut impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let mut group = Group::within();
        for _ in 0..FRAMES_MAX {
            let Some(frame) = whole(data, at) else { return false };
            at = at.saturating_add(frame.bytes.len());
            match self.judge(frame, &mut group, reads) {
                Some(false) => {}
                Some(true) => return false,
                None => return true,
            }
        }
        true
    }

    /// Its transaction, in which it has only read, goes on on another server; this one has nothing under way for it, and is
    /// to be rolled back.
    pub fn leave_transaction(&mut self, server: &mut ServerSession) {
        self.portals.clear();
        self.forget_looks();
        self.settings.rollback();
        self.end_channels(false);
        self.errored = false;
        self.end_lease(server);
    }

    /// Begins on the server of a new lease the transaction that was open, and is open for the client still. Nothing of the
    /// client's may be sent before that has come to its end.
    pub fn begin_again(
        &mut self,
        server: &mut ServerSession,
        again: Again<'_>,
        to_server: &mut BytesMut,
    ) {
        server.ask(Purpose::Begin, again.begin, to_server);
        if again.has_read {
            server.ask(Purpose::Begin, READ, to_server);
        }
        if again.has_failed {
            server.ask(Purpose::Fail, FAIL, to_server);
            self.errored = true;
        }
    }
}

impl ServerSession {
    /// Whether what is answered next is a part of that.
    pub(crate) fn begins_again(&self) -> bool {
        matches!(self.preparing(), Some(Purpose::Begin | Purpose::Fail))
    }

    /// Whether it has come to where the client believes its transaction is, by what it was asked last for that.
    pub(crate) fn is_begun_again(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Fail => self.status == TxStatus::Failed,
            _ => !self.ours_failed && self.status == TxStatus::Open,
        }
    }
}

/// Whether the rest of a message that is not whole has to be waited for.
fn is_on_its_way(rest: &[u8], longest: usize) -> bool {
    match trunkline_wire::frame::peek(rest) {
        Ok(Some(header)) => header.len <= longest,
        Ok(None) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::{Reported, frontend};

    use super::*;
    use crate::{
        block::Begin, client::SessionLimits, pin::PinReason, queue::Kind, setting::SettingSet,
    };

    /// Longer messages are not held.
    const LONGEST: usize = 1000;

    fn client() -> ClientSession {
        let limits = SessionLimits::default();
        ClientSession::new(PoolMode::Transaction, SettingSet::empty(), Arc::default(), limits)
    }

    /// One with a transaction open.
    fn server() -> ServerSession {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        server.status = TxStatus::Open;
        server
    }

    /// Messages in a few words: a text is a simple query, `P text` parses it, the rest are a letter and a name.
    fn burst(words: &[&str]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for word in words {
            let (kind, rest) = word.split_once(' ').unwrap_or((word, ""));
            let rest = rest.as_bytes();
            match kind {
                "P" => frontend::parse(&mut out, b"", rest, b"\0\0"),
                "B" => frontend::bind(&mut out, rest, b"", b"\0\0\0\0\0\0"),
                "D" => frontend::describe(&mut out, frontend::PORTAL, rest),
                "E" => frontend::execute(&mut out, rest, 0),
                "E1" => frontend::execute(&mut out, rest, 1),
                "C" => frontend::close(&mut out, frontend::PORTAL, rest),
                "S" => frontend::sync(&mut out),
                "H" => frontend::flush(&mut out),
                "X" => frontend::terminate(&mut out),
                _ => frontend::query(&mut out, word.as_bytes()),
            }
        }
        out.to_vec()
    }

    fn reads(text: &[u8]) -> bool {
        text.starts_with(b"select")
    }

    /// How many of these messages go to the standby; none if the transaction crosses.
    fn onward(words: &[&str]) -> Option<usize> {
        let onward = client().onward(&server(), &burst(words), LONGEST, &mut BlockEnd::No, reads);
        count(words, onward)
    }

    fn count(words: &[&str], onward: Onward) -> Option<usize> {
        let Onward::There(bytes) = onward else { return None };
        (0..=words.len()).find(|count| burst(&words[..*count]).len() == bytes)
    }

    #[test]
    fn reads_go_to_the_standby_up_to_the_first_group_that_is_more() {
        assert_eq!(onward(&["select 1"]), Some(1));
        assert_eq!(onward(&["select 1", "insert", "select 2"]), Some(1));
        assert_eq!(onward(&["insert", "select 2"]), None);
        assert_eq!(onward(&["P select 1", "B", "D", "E", "S"]), Some(5));
        assert_eq!(onward(&["P select 1", "B", "E", "P insert", "B", "E", "S"]), None);
        assert_eq!(onward(&["savepoint s"]), None);
        assert_eq!(onward(&["begin"]), None, "the server warns of it");
        assert_eq!(onward(&["P select 1", "B", "D"]), Some(0), "it has no end yet");
        assert_eq!(onward(&["select 1", "X"]), Some(2));
        assert_eq!(onward(&[]), Some(0));
    }

    #[test]
    fn what_is_left_of_a_portal_is_not_left_on_a_standby() {
        for group in [
            &["P select 1", "B", "E1", "S"][..],
            &["P select 1", "B p", "E p", "S"],
            &["P select 1", "B", "S"],
            &["P select 1", "B", "D", "S"],
            &["E p", "S"],
            &["D p", "S"],
            &["E1", "S"],
            &["P select 1", "B", "E", "H"],
        ] {
            assert_eq!(onward(group), None, "{group:?}");
        }
        assert_eq!(onward(&["P select 1", "B", "E", "C", "S"]), Some(5));
        assert_eq!(onward(&["P select 1", "B", "E", "B", "E", "S"]), Some(6));
    }

    #[test]
    fn an_end_goes_to_the_standby_and_what_is_behind_it_waits() {
        for words in [
            &["select 1", "commit", "select 2"][..],
            &["P rollback", "B", "E", "S", "select 2"],
            &["P select 1", "B", "E", "P commit", "B", "E1", "S", "select 2"],
        ] {
            let (client, mut server, mut end) = (client(), server(), BlockEnd::No);
            let burst = burst(words);
            let onward = client.onward(&server, &burst, LONGEST, &mut end, reads);
            assert_eq!((count(words, onward), end), (Some(words.len() - 1), BlockEnd::Sent));
            server.owed.push_light(Kind::Query);
            let rest = client.onward(&server, b"Q", LONGEST, &mut end, reads);
            assert_eq!(rest, Onward::There(0));
        }
        for words in [
            &["commit and chain"][..],
            &["P commit", "B", "E", "P select 1", "B", "E", "S"],
            &["commit; select 1"],
        ] {
            assert_eq!(onward(words), None, "{words:?}");
        }
    }

    #[test]
    fn nothing_crosses_before_all_is_answered_nor_from_a_failed_transaction() {
        let (client, mut server, mut end) = (client(), server(), BlockEnd::No);
        server.owed.push_light(Kind::Query);
        let burst = burst(&["insert", "select 1"]);
        let onward = |server: &ServerSession, end: &mut BlockEnd| {
            client.onward(server, &burst, LONGEST, end, reads)
        };
        assert_eq!(onward(&server, &mut end), Onward::There(0));
        server.owed.forget_front();
        assert_eq!(onward(&server, &mut end), Onward::Across);
        server.status = TxStatus::Failed;
        let refused = self::burst(&["insert"]).len();
        assert_eq!(onward(&server, &mut end), Onward::There(refused), "it may be its end");
    }

    #[test]
    fn what_is_not_all_there_is_waited_for_unless_it_is_too_long() {
        let whole = burst(&["P select 1", "B", "E", "S"]);
        let onward = |data: &[u8], longest| {
            client().onward(&server(), data, longest, &mut BlockEnd::No, reads)
        };
        for cut in 0..whole.len() {
            assert_eq!(onward(&whole[..cut], LONGEST), Onward::There(0), "{cut}");
        }
        assert_eq!(onward(&whole[..10], 10), Onward::Across);
        assert_eq!(onward(&whole[..whole.len() - 5], 25), Onward::Across, "all of it is too long");
        assert_eq!(onward(b"Q\0\0\0\x01", LONGEST), Onward::Across, "no message has this length");
        let many = burst(&["B"; FRAMES_MAX + 1]);
        assert_eq!(onward(&many, many.len()), Onward::Across);
    }

    #[test]
    fn a_transaction_that_writes_at_once_is_begun_where_it_does() {
        let begun = |words: &[&str]| {
            let (client, burst) = (client(), burst(words));
            let horizon = client.horizon(&burst, Begin::Any, reads);
            let block = horizon.block.map(|block| (block.has_read, block.reads_only));
            (count(words, Onward::There(horizon.bytes)).expect("whole messages"), block)
        };
        assert_eq!(begun(&["begin"]), (1, Some((false, false))));
        assert_eq!(begun(&["begin", "select 1"]), (1, Some((false, false))));
        assert_eq!(begun(&["begin", "insert"]), (0, None));
        assert_eq!(begun(&["begin", "P select 1", "B", "E"]), (1, Some((false, false))));
        assert_eq!(begun(&["begin", "P insert"]), (0, None));
        let together = ["P begin", "B", "E1", "P select 1", "B", "D", "E", "S"];
        assert_eq!(begun(&together), (8, Some((true, false))));
        assert_eq!(begun(&["P begin", "B", "E", "P insert", "B", "E", "S"]), (0, None));
        assert_eq!(begun(&["P begin", "B", "E", "P select 1", "B", "E1", "S"]), (0, None));
        let all =
            ["P begin", "B", "E", "P select 1", "B", "E", "P commit", "B", "E", "S", "insert"];
        assert_eq!(begun(&all), (10, Some((true, false))));
        assert_eq!(begun(&["P select 1", "B", "E", "P begin", "B", "E", "S"]), (0, None));
        assert_eq!(begun(&["commit"]), (0, None));
        assert_eq!(begun(&["begin read only", "insert"]), (1, Some((false, true))));
    }

    #[test]
    fn who_has_what_only_one_server_has_does_not_cross() {
        assert!(client().may_cross());
        let mut session = client();
        session.pin(PinReason::Unread);
        assert!(session.may_cross(), "what a function may have left is rolled back");
        session.pin(PinReason::Listen);
        assert!(!session.may_cross());
        session = client();
        session.there.insert(b"s".as_slice().into());
        assert!(!session.may_cross());
        session = client();
        session.unnamed = Unnamed::OnServer { key: 7, effects: crate::effect::Effects::None };
        assert!(!session.may_cross());
        session = client();
        session.settings.set_unknown();
        assert!(!session.may_cross());
    }
}
