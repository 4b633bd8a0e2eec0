//! `EXPLAIN ROUTE statement`: where a statement goes, and why. No server knows it: it is answered here, as a simple query
//! and by messages of the extended protocol.
//!
//! A client that holds no server is answered before one is looked for, if anything may go to standbys. One that holds a
//! server is answered when nothing is owed to it; the session says when such a message comes. What is not answered here
//! then is the end of the group: the server says that it is ready, in the state that it is in.

use trunkline_session::{NotPrepared, TxStatus};
use trunkline_sql::{Rules, asked_route, highest_parameter};
use trunkline_wire::{
    Frame, SqlState,
    backend::{self, Column, Report, format},
    frame::{HEADER, peek},
    frontend::{Bind, Close, Describe, Execute, Parse, Query, STATEMENT},
};

use super::{
    slot::Client,
    to_server::HOLD_MAX,
    worker::{Again, Worker},
};

/// The type `text`.
const TEXT: u32 = 25;

/// A Sync, which a server answers by the state of its transaction.
const SYNC: &[u8] = b"S\0\0\0\x04";

/// What became of a burst that may begin with such a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It does not.
    No,
    /// So many bytes were answered.
    Answered(usize),
    /// The group of messages is not all there.
    Part,
}

/// A portal of a statement that is answered here. It lives as long as its group is answered.
struct Portal {
    name: Vec<u8>,
    text: Vec<u8>,
    /// The formats of its columns, as they were asked for.
    formats: [u16; 2],
}

/// An error that ends a group.
type Refused = (SqlState, &'static str);

impl Worker {
    /// If a burst of a client that holds no server begins with a question where a statement goes, answers it.
    #[inline]
    pub(super) fn explain_route(&mut self, index: usize, data: &[u8]) -> Asked {
        let asks = self.clients.get(index).is_some_and(|client| may_ask(client, data));
        if asks { self.explain_alone(index, data) } else { Asked::No }
    }

    #[cold]
    fn explain_alone(&mut self, index: usize, data: &[u8]) -> Asked {
        if data.first() != Some(&b'Q') {
            return self.answer_group(index, data, None);
        }
        self.reply.clear();
        let Some(used) = self.answer_query(index, data, None) else { return Asked::No };
        backend::ready_for_query(&mut self.reply, b'I');
        self.send_reply(index);
        Asked::Answered(used)
    }

    /// The session of a client that a server serves has seen such a question at the beginning of `data`. Says how many
    /// bytes were answered; none if more has to come first.
    #[cold]
    pub(super) fn explain_at_server(&mut self, index: usize, server: usize, data: &[u8]) -> usize {
        let status = self.servers.get(server).map(|server| server.session.status());
        let refused = (status == Some(TxStatus::Failed)).then_some((
            SqlState::IN_FAILED_SQL_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block",
        ));
        // What follows is looked at when this has been answered.
        self.again.push_back(Again::Client(index));
        if data.first() != Some(&b'Q') {
            return match self.answer_group(index, data, refused) {
                Asked::Answered(used) => used,
                Asked::Part | Asked::No => 0,
            };
        }
        self.reply.clear();
        let Some(used) = self.answer_query(index, data, refused) else { return 0 };
        self.send_reply(index);
        self.forward_burst(index, server, SYNC);
        used
    }

    /// Writes the answer to a simple query, but for its end; says how long the message is.
    fn answer_query(
        &mut self,
        index: usize,
        data: &[u8],
        refused: Option<Refused>,
    ) -> Option<usize> {
        let frame = whole(data)?;
        let rules = self.clients.get(index)?.session.rules();
        let asked = asked_route(Query::parse(frame.body).ok()?.text, rules)?;
        if let Some(refused) = refused.or_else(|| refused_text(asked, rules)) {
            self.write_error(refused);
        } else {
            write_columns(&mut self.reply, [format::TEXT; 2]);
            self.write_rows(index, asked);
        }
        Some(frame.bytes.len())
    }

    /// Answers messages of the extended protocol, up to the end of their group or to the first that is a server's.
    fn answer_group(&mut self, index: usize, data: &[u8], refused: Option<Refused>) -> Asked {
        let end = match group_end(data) {
            Some(end) => end,
            None if data.len() < HOLD_MAX => {
                return if self.is_ours(index, data) { Asked::Part } else { Asked::No };
            }
            None => data.len(),
        };
        self.reply.clear();
        let (mut used, mut portals) = (0_usize, Vec::new());
        while used < end {
            let Some(frame) = whole(data.get(used..).unwrap_or_default()) else { break };
            match self.answer_message(index, frame, &mut portals, refused) {
                Some(Ok(())) => used = used.saturating_add(frame.bytes.len()),
                Some(Err(refused)) => {
                    // What follows up to the Sync is skipped.
                    self.write_error(refused);
                    used = end;
                }
                None => break,
            }
        }
        if used == 0 {
            return Asked::No;
        }
        self.send_reply(index);
        Asked::Answered(used)
    }

    /// Whether the first message is answered here.
    fn is_ours(&self, index: usize, data: &[u8]) -> bool {
        let (Some(client), Some(frame)) = (self.clients.get(index), whole(data)) else {
            return false;
        };
        let session = &client.session;
        match frame.tag {
            b'P' => Parse::parse(frame.body)
                .is_ok_and(|it| asked_route(it.text, session.rules()).is_some()),
            b'B' => Bind::parse(frame.body).is_ok_and(|it| session.aside(it.statement).is_some()),
            b'D' => Describe::parse(frame.body)
                .is_ok_and(|it| it.kind == STATEMENT && session.aside(it.name).is_some()),
            b'C' => Close::parse(frame.body)
                .is_ok_and(|it| it.kind == STATEMENT && session.aside(it.name).is_some()),
            _ => false,
        }
    }

    /// Answers a message; none if it is a server's.
    fn answer_message(
        &mut self,
        index: usize,
        frame: Frame<'_>,
        portals: &mut Vec<Portal>,
        refused: Option<Refused>,
    ) -> Option<Result<(), Refused>> {
        let client = self.clients.get_mut(index)?;
        let portal = |name: &[u8]| portals.iter().find(|it| it.name == name);
        match frame.tag {
            b'P' => {
                let parse = Parse::parse(frame.body).ok()?;
                let answer = prepare(client, &parse, refused)?;
                if answer.is_ok() {
                    backend::parse_complete(&mut self.reply);
                }
                return Some(answer);
            }
            b'B' => {
                let bind = Bind::parse(frame.body).ok()?;
                let text = client.session.aside(bind.statement)?.text.to_vec();
                if let Some(refused) = refused {
                    return Some(Err(refused));
                }
                portals.retain(|it| it.name != bind.portal);
                let formats = result_formats(bind.rest);
                portals.push(Portal { name: bind.portal.to_vec(), text, formats });
                backend::bind_complete(&mut self.reply);
            }
            b'D' => {
                let describe = Describe::parse(frame.body).ok()?;
                let formats = if describe.kind == STATEMENT {
                    let aside = client.session.aside(describe.name)?;
                    let types = parameters(&aside.text, &aside.types, client.session.rules());
                    backend::parameter_description(&mut self.reply, types);
                    [format::TEXT; 2]
                } else {
                    portal(describe.name)?.formats
                };
                write_columns(&mut self.reply, formats);
            }
            b'E' => {
                let execute = Execute::parse(frame.body).ok()?;
                let text = portal(execute.portal)?.text.clone();
                let rules = client.session.rules();
                let asked = asked_route(&text, rules).unwrap_or_default();
                self.write_rows(index, asked);
            }
            b'C' => {
                let close = Close::parse(frame.body).ok()?;
                if close.kind == STATEMENT {
                    client.session.aside(close.name)?;
                    client.session.close_aside(close.name);
                } else {
                    portal(close.name)?;
                    portals.retain(|it| it.name != close.name);
                }
                backend::close_complete(&mut self.reply);
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn write_error(&mut self, (code, message): Refused) {
        backend::error_response(&mut self.reply, &Report::error(code, message));
    }

    /// Writes the rows of the answer, and that they are all.
    fn write_rows(&mut self, index: usize, asked: &[u8]) {
        for (what, value) in self.explanation(index, asked) {
            let row = [Some(what.as_bytes()), Some(value.as_bytes())];
            backend::data_row(&mut self.reply, row);
        }
        backend::command_complete(&mut self.reply, b"EXPLAIN");
    }
}

/// Whether a burst may begin with such a question, for the sake of all those that do not.
#[inline]
fn may_ask(client: &Client, data: &[u8]) -> bool {
    let Some((tag, Some(body))) = data.first().map(|tag| (*tag, data.get(HEADER..))) else {
        return false;
    };
    match tag {
        b'Q' => begins_so(body),
        b'P' if body.first() == Some(&0) => begins_so(body.get(1..).unwrap_or_default()),
        b'P' => {
            let name = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
            begins_so(body.get(name.saturating_add(1)..).unwrap_or_default())
        }
        b'B' | b'D' | b'C' => client.session.has_asides(),
        _ => false,
    }
}

/// Whether the first word of a text is the one.
#[inline]
fn begins_so(text: &[u8]) -> bool {
    const WORD: &[u8] = b"explain";
    let text = text.trim_ascii_start();
    matches!(text.first(), Some(b'e' | b'E'))
        && text.get(..WORD.len()).is_some_and(|word| word.eq_ignore_ascii_case(WORD))
}

/// Takes a Parse; none if it is a server's.
fn prepare(
    client: &mut Client,
    parse: &Parse<'_>,
    refused: Option<Refused>,
) -> Option<Result<(), Refused>> {
    let rules = client.session.rules();
    let asked = asked_route(parse.text, rules)?;
    if let Some(refused) = refused.or_else(|| refused_text(asked, rules)) {
        return Some(Err(refused));
    }
    let prepared = client.session.prepare_aside(parse.name, parse.text, parse.types);
    Some(prepared.map_err(|why| match why {
        NotPrepared::TooLong => {
            (SqlState::PROGRAM_LIMIT_EXCEEDED, "the statement is too long for EXPLAIN ROUTE")
        }
        NotPrepared::NameTaken => {
            (SqlState::DUPLICATE_PREPARED_STATEMENT, "the prepared statement already exists")
        }
    }))
}

/// Why a text is not explained: there is nothing in it.
fn refused_text(asked: &[u8], rules: Rules) -> Option<Refused> {
    let is_empty = trunkline_sql::scan(asked, rules).statements() == 0;
    is_empty.then_some((SqlState::SYNTAX_ERROR, "EXPLAIN ROUTE needs a statement behind it"))
}

/// Where the group of messages ends, before the message that ends it; none if that is not there yet.
fn group_end(data: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let rest = data.get(at..)?;
        if !matches!(rest.first()?, b'P' | b'B' | b'D' | b'E' | b'C') {
            return Some(at);
        }
        at = at.saturating_add(whole(rest)?.bytes.len());
    }
}

/// The message at the beginning, if it is whole.
fn whole(data: &[u8]) -> Option<Frame<'_>> {
    let header = peek(data).ok().flatten()?;
    let bytes = data.get(..header.len)?;
    Some(Frame { tag: header.tag, body: bytes.get(HEADER..)?, bytes })
}

fn write_columns(out: &mut bytes::BytesMut, formats: [u16; 2]) {
    let mut columns = [b"what".as_slice(), b"value"].map(|name| Column::typed(name, TEXT, -1));
    for (column, format) in columns.iter_mut().zip(formats) {
        column.format = format;
    }
    backend::row_description(out, &columns);
}

/// A number of 16 bits, and what follows it.
fn number(data: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = data.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

/// The formats that a Bind asks the columns in; they look the same in all.
fn result_formats(rest: &[u8]) -> [u16; 2] {
    formats_of(rest).unwrap_or([format::TEXT; 2])
}

fn formats_of(rest: &[u8]) -> Option<[u16; 2]> {
    let (count, mut rest) = number(rest)?;
    for _ in 0..count {
        rest = number(rest)?.1;
    }
    let (count, mut rest) = number(rest)?;
    for _ in 0..count {
        let (length, values) = rest.split_first_chunk::<4>()?;
        // NULL has the length -1.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        rest = values.get(length..)?;
    }
    let (count, rest) = number(rest)?;
    let first = number(rest);
    Some(match (count, first) {
        (1, Some((format, _))) => [format; 2],
        (2, Some((first, rest))) => [first, number(rest)?.0],
        _ => [format::TEXT; 2],
    })
}

/// The types of a statement's parameters: those that its Parse has told, and `text` for the others.
fn parameters(text: &[u8], types: &[u8], rules: Rules) -> Vec<u32> {
    let told = types.get(2..).unwrap_or_default().chunks_exact(4);
    let told = told.map(|oid| oid.try_into().map_or(0, u32::from_be_bytes));
    let mut types: Vec<u32> = told.map(|oid| if oid == 0 { TEXT } else { oid }).collect();
    let highest = highest_parameter(text, rules);
    while types.len() < usize::from(highest) {
        types.push(TEXT);
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_that_a_bind_asks_for() {
        let text = [format::TEXT; 2];
        assert_eq!(result_formats(b"\0\0\0\0\0\0"), text);
        assert_eq!(result_formats(b"\0\0\0\0\0\x01\0\x01"), [format::BINARY; 2]);
        assert_eq!(result_formats(b"\0\0\0\0\0\x02\0\x01\0\0"), [format::BINARY, format::TEXT]);
        // With values: one of two bytes, and a NULL.
        let bound = b"\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\x01";
        assert_eq!(result_formats(bound), [format::BINARY; 2]);
        assert_eq!(result_formats(b"\0\0\0\x01\0\0\0\x09a"), text, "it is cut");
    }

    #[test]
    fn parameters_have_the_types_that_were_told_or_are_text() {
        let rules = Rules::default();
        assert_eq!(
            parameters(b"explain route select $1, $3", b"\0\x01\0\0\0\x17", rules),
            [23, 25, 25]
        );
        assert_eq!(parameters(b"explain route select 1", b"\0\0", rules), [0_u32; 0]);
    }

    #[test]
    fn a_group_ends_before_its_sync() {
        let (parse, sync) = (b"P\0\0\0\x08\0\0\0\0".as_slice(), b"S\0\0\0\x04".as_slice());
        assert_eq!(group_end(&[parse, parse, sync].concat()), Some(2 * parse.len()));
        assert_eq!(group_end(&[parse, parse].concat()), None);
        assert_eq!(group_end(&parse[..7]), None);
        assert_eq!(group_end(sync), Some(0));
    }
}
