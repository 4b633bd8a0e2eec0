//! Runs of frames of a server that go to its client as they are: rows, and replies to what leaves nothing behind. Most
//! frames are in such runs, and are judged here by tag, length and the kind of what is owed alone.

use trunkline_wire::frame::peek;

use crate::{
    client::ClientSession,
    from_server::settle,
    outgoing::Outgoing,
    queue::Kind,
    server::{ServerSession, UNNAMED_UNKNOWN},
};

/// Tags from `@` to DEL, one bit each.
#[derive(Debug, Clone, Copy)]
struct Tags(u64);

impl Tags {
    const fn of(tags: &[u8]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < tags.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "below its length; evaluated by the compiler"
            )]
            {
                bits |= 1 << (tags[at] & 63);
            }
            at += 1;
        }
        Self(bits)
    }

    #[inline]
    const fn has(self, tag: u8) -> bool {
        tag & 0xc0 == 0x40 && self.0 >> (tag & 63) & 1 == 1
    }
}

/// Rows, COPY data and notices are part of an answer and never end it.
const ROWS: Tags = Tags::of(b"DdN");

/// Of the answer to a simple query only `ReadyForQuery`, errors, parameters and the beginning of a COPY FROM STDIN
/// matter.
const PLAIN_QUERY: Tags = Tags::of(b"TDCINHdcn");

/// What completes a Describe.
const DESCRIBED: Tags = Tags::of(b"Tn");

/// What completes an Execute.
const EXECUTED: Tags = Tags::of(b"CIs");

/// Nothing does.
const NOTHING: Tags = Tags::of(b"");

impl ClientSession {
    /// Lets whole frames at the start of `data`, which begins `at` this place of the burst, go to the client; as if
    /// each had been given to [`ClientSession::on_server`]. Says how many bytes they are; the next frame is another
    /// one, not whole, or broken.
    #[inline]
    pub fn pass_run(
        server: &mut ServerSession,
        data: &[u8],
        at: usize,
        out: &mut Outgoing<'_>,
    ) -> usize {
        let run = server.take_run(data);
        if run > 0 {
            out.forward(at..at.saturating_add(run));
            settle(server);
        }
        run
    }
}

impl ServerSession {
    fn take_run(&mut self, data: &[u8]) -> usize {
        if self.copying {
            return 0;
        }
        let (mut rest, mut answered, mut remembered) = (data, 0_usize, 0_usize);
        let kinds = self.owed.kinds();
        while let Some(kind) = kinds.get(answered).copied() {
            if kind == Kind::Query {
                rest = behind(PLAIN_QUERY, rest);
                break;
            }
            let Some((completion, ends)) = self.ending(kind) else { break };
            if completion != 0
                && let [tag, 0, 0, 0, 4, after @ ..] = rest
                && *tag == completion
            {
                rest = after;
            } else {
                let (at_end, next) = behind_rows(rest);
                rest = at_end;
                let Some((tag, after)) = next else { break };
                if !ends.has(tag) && tag != completion {
                    break;
                }
                rest = after;
            }
            answered = answered.wrapping_add(1);
            remembered = remembered.wrapping_add(usize::from(kind == Kind::BindOurs));
        }
        if answered > 0 {
            self.owed.forget(answered, remembered);
        }
        data.len().wrapping_sub(rest.len())
    }

    /// What completes an entry of this kind: a message without a body, with this tag (0 for none), or one of these.
    /// Nothing if each of its replies must be looked at.
    #[inline]
    fn ending(&self, kind: Kind) -> Option<(u8, Tags)> {
        Some(match kind {
            Kind::Heavy | Kind::HeavyUnanswered | Kind::CopyEnd => return None,
            Kind::Query | Kind::Function | Kind::Sync | Kind::Refusal => (0, NOTHING),
            Kind::ParseUnnamed if self.unnamed == UNNAMED_UNKNOWN => (0, NOTHING),
            Kind::ParseUnnamed | Kind::ParseOther => (b'1', NOTHING),
            Kind::Bind | Kind::BindOurs => (b'2', NOTHING),
            Kind::DescribeStatement | Kind::DescribePortal => (0, DESCRIBED),
            Kind::Execute => (0, EXECUTED),
            Kind::Close | Kind::CloseUnnamed => (b'3', NOTHING),
        })
    }
}

/// What follows the whole frames with these tags at the start of `data`.
#[inline]
fn behind(tags: Tags, data: &[u8]) -> &[u8] {
    let mut rest = data;
    while let Ok(Some(header)) = peek(rest)
        && tags.has(header.tag)
        && let Some((_, behind)) = rest.split_at_checked(header.len)
    {
        rest = behind;
    }
    rest
}

/// What follows the whole rows at the start of `data`; and if a whole frame of another kind does, its tag and what
/// follows it.
#[inline]
fn behind_rows(data: &[u8]) -> (&[u8], Option<(u8, &[u8])>) {
    let mut rest = data;
    while let Ok(Some(header)) = peek(rest)
        && let Some((_, behind)) = rest.split_at_checked(header.len)
    {
        if !ROWS.has(header.tag) {
            return (rest, Some((header.tag, behind)));
        }
        rest = behind;
    }
    (rest, None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::Reported;

    use super::*;
    use crate::{
        effect::{Effects, Transaction},
        expect::{Ours, Owed, Purpose},
    };

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag][..], &length, body].concat()
    }

    fn owing(owed: impl IntoIterator<Item = Owed>) -> ServerSession {
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        owed.into_iter().for_each(|owed| server.owed.push(owed));
        server
    }

    #[test]
    fn the_answer_to_a_plain_query_is_a_run_up_to_ready() {
        let rows = [frame(b'T', b"cols"), frame(b'D', b"1"), frame(b'C', b"SELECT 1\0")].concat();
        for other in [b'Z', b'E', b'S', b'A', b'G', b'W', b'1', b'\0', 0xc4] {
            let mut server = owing([Owed::Query(Effects::None, 0)]);
            let data = [rows.as_slice(), &frame(other, b"I")].concat();
            assert_eq!(server.take_run(&data), rows.len(), "before {other}");
            assert_eq!(server.owed.len(), 1);
        }
    }

    #[test]
    fn plain_replies_of_the_extended_protocol_are_one_run() {
        let mut server = owing([
            Owed::ParseUnnamed,
            Owed::Bind(None),
            Owed::DescribePortal,
            Owed::Execute(Effects::None),
            Owed::Close,
            Owed::Sync,
        ]);
        let frames: Vec<_> = b"12TDNDC3".iter().flat_map(|tag| frame(*tag, b"whatever")).collect();
        let data = [frames.as_slice(), &frame(b'Z', b"I")].concat();
        assert_eq!(server.take_run(&data), frames.len());
        assert_eq!(server.owed.front_kind(), Some(Kind::Sync));
    }

    #[test]
    fn a_reply_in_the_wrong_place_is_looked_at() {
        for (owed, wrong) in [
            (Owed::ParseUnnamed, b"23TnCIsZ".as_slice()),
            (Owed::Bind(None), b"13TnCIsZ"),
            (Owed::DescribePortal, b"123CIsZ"),
            (Owed::Execute(Effects::None), b"123TnZ"),
            (Owed::Close, b"12TnCIsZ"),
            (Owed::Sync, b"123TnCIsZ"),
            (Owed::CopyEnd, b"123TnCIsZDN"),
        ] {
            let words = format!("{owed:?}");
            let mut server = owing([owed]);
            for tag in wrong.iter().chain(b"ESAGW") {
                assert_eq!(server.take_run(&frame(*tag, b"x")), 0, "{words}, {tag}");
            }
            assert_eq!(server.owed.len(), 1);
        }
    }

    #[test]
    fn a_run_ends_where_something_unanswered_follows() {
        let mut server = owing([Owed::Execute(Effects::None), Owed::CopyEnd, Owed::Sync]);
        let data = [frame(b'C', b"COPY 1\0"), frame(b'N', b"x")].concat();
        assert_eq!(server.take_run(&data), 5 + 7);
        assert_eq!(server.owed.front_kind(), Some(Kind::CopyEnd));
    }

    #[test]
    fn what_leaves_something_behind_or_is_ours_is_looked_at() {
        let effects = Effects::Transaction(Transaction::Commit);
        let data = frame(b'C', b"COMMIT\0");
        for owed in [
            Owed::Query(effects.clone(), 0),
            Owed::Execute(effects),
            Owed::Ours(Ours::Query(Purpose::Replay)),
        ] {
            let words = format!("{owed:?}");
            assert_eq!(owing([owed]).take_run(&data), 0, "{words}");
        }
        let mut unknown = owing([Owed::ParseUnnamed]);
        unknown.unnamed = UNNAMED_UNKNOWN;
        assert_eq!(unknown.take_run(&frame(b'1', b"")), 0);
        for owed in [Owed::Query(Effects::None, 0), Owed::Execute(Effects::None)] {
            let mut copying = owing([owed]);
            copying.copying = true;
            assert_eq!(copying.take_run(&data), 0);
        }
        assert_eq!(owing([]).take_run(&frame(b'N', b"x")), 0);
    }

    #[test]
    fn a_frame_that_is_not_whole_or_broken_ends_the_run() {
        let whole = frame(b'D', b"row");
        let data = [whole.as_slice(), &whole].concat();
        let mut server = owing([Owed::Query(Effects::None, 0)]);
        for cut in 0..data.len() {
            let expected = if cut < whole.len() { 0 } else { whole.len() };
            assert_eq!(server.take_run(&data[..cut]), expected, "cut at {cut}");
        }
        let broken = [whole.as_slice(), b"D\0\0\0\x03"].concat();
        assert_eq!(server.take_run(&broken), whole.len());
        assert_eq!(server.take_run(b"D\xff\xff\xff\xff"), 0);
    }
}
