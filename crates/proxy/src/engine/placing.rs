//! `SET trunkline.after_lsn`, from a client that holds no server: it is answered here, so that the session can read from any
//! standby that has replayed the place. A server of the primary would do as well, but whoever has been there must find all
//! that was there by then.
//!
//! Elsewhere, as in a transaction, what the client sends goes to its server ([`trunkline_session::asked`]).

use bytes::BytesMut;
use trunkline_session::{Asked, TxStatus, asked};
use trunkline_wire::{
    backend,
    frame::{HEADER, peek},
    frontend::{self, Bind, Describe, Execute, Parse, Query},
};

use super::worker::Worker;

/// What such a text begins with, in any case. One that begins otherwise goes to a server.
const WORDS: &[u8] = b"set ";

/// The values of a Bind without any: no formats, no values, any formats of results.
const NO_VALUES: &[u8] = b"\0\0\0\0";

/// The whole of what a client has sent up to a point where it waits for the answer.
struct Group<'a> {
    text: &'a [u8],
    /// So many bytes.
    len: usize,
    /// What it is told before the completion, if nothing is wrong.
    before: BytesMut,
}

impl Worker {
    /// If a burst begins with a text that names a place in the log, answers it; says how many bytes that was.
    #[inline]
    pub(super) fn take_place(&mut self, index: usize, data: &[u8]) -> Option<usize> {
        let at = match data.first() {
            Some(&frontend::tag::QUERY) => HEADER,
            // Of the unnamed statement.
            Some(&frontend::tag::PARSE) => HEADER.saturating_add(1),
            _ => return None,
        };
        let words = data.get(at..at.saturating_add(WORDS.len()))?;
        if words.eq_ignore_ascii_case(WORDS) { self.answer_place(index, data) } else { None }
    }

    #[cold]
    fn answer_place(&mut self, index: usize, data: &[u8]) -> Option<usize> {
        let group = Group::first_of(data)?;
        let asked = asked(group.text)?;
        if asked == Asked::Place {
            return None;
        }
        // While it is not known which cluster this is, a server of it answers.
        let system = self.shared.positions().latest()?.history.system;
        let client = self.clients.get_mut(index)?;
        client.session.forget_unnamed();
        self.reply.clear();
        match (asked.refusal(Some(system)), asked) {
            (Some(refusal), _) => {
                refusal.write(&mut self.reply);
                self.count_error(index);
            }
            (None, asked) => {
                if let Asked::After(Some(token)) = asked {
                    client.rare.routed().floor.raise_by(token);
                }
                self.reply.extend_from_slice(&group.before);
                backend::command_complete(&mut self.reply, b"SET");
            }
        }
        backend::ready_for_query(&mut self.reply, TxStatus::Idle.as_byte());
        self.send_reply(index);
        Some(group.len)
    }
}

impl<'a> Group<'a> {
    /// A simple query, or the messages that parse, bind and execute an unnamed statement without parameters.
    fn first_of(data: &'a [u8]) -> Option<Self> {
        let (tag, body, mut len) = frame(data, 0)?;
        let mut before = BytesMut::new();
        if tag == frontend::tag::QUERY {
            return Some(Self { text: Query::parse(body).ok()?.text, len, before });
        }
        let parse =
            Parse::parse(body).ok().filter(|it| it.name.is_empty() && it.types == b"\0\0")?;
        backend::parse_complete(&mut before);
        let (mut bound, mut executed) = (false, false);
        loop {
            let (tag, body, end) = frame(data, len)?;
            len = end;
            match tag {
                frontend::tag::DESCRIBE if !executed => {
                    let described = Describe::parse(body).ok().filter(|it| it.name.is_empty())?;
                    if described.kind == frontend::STATEMENT {
                        backend::parameter_description(&mut before, []);
                    } else if !bound {
                        return None;
                    }
                    backend::no_data(&mut before);
                }
                frontend::tag::BIND if !bound => {
                    let bind = Bind::parse(body).ok()?;
                    let plain = bind.portal.is_empty() && bind.statement.is_empty();
                    if !plain || !bind.rest.starts_with(NO_VALUES) {
                        return None;
                    }
                    backend::bind_complete(&mut before);
                    bound = true;
                }
                frontend::tag::EXECUTE if bound && !executed => {
                    let execute = Execute::parse(body).ok()?;
                    executed = execute.portal.is_empty();
                    if !executed {
                        return None;
                    }
                }
                frontend::tag::SYNC if executed => {
                    return Some(Self { text: parse.text, len, before });
                }
                _ => return None,
            }
        }
    }
}

/// The whole message at this place: its tag, its body, and where it ends.
fn frame(data: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let rest = data.get(at..)?;
    let header = peek(rest).ok().flatten()?;
    let body = rest.get(HEADER..header.len)?;
    Some((header.tag, body, at.saturating_add(header.len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag][..], &len, body].concat()
    }

    fn group(parts: &[(u8, &[u8])]) -> Option<(Vec<u8>, usize, Vec<u8>)> {
        let data: Vec<u8> = parts.iter().flat_map(|(tag, body)| message(*tag, body)).collect();
        let group = Group::first_of(&data)?;
        let mut told = Vec::new();
        let mut at = 0;
        while let Some((tag, _, end)) = frame(&group.before, at) {
            told.push(tag);
            at = end;
        }
        Some((group.text.to_vec(), data.len() - group.len, told))
    }

    const PARSE: (u8, &[u8]) = (b'P', b"\0set x\0\0\0");
    const BIND: (u8, &[u8]) = (b'B', b"\0\0\0\0\0\0\0\0");
    const EXECUTE: (u8, &[u8]) = (b'E', b"\0\0\0\0\0");
    const SYNC: (u8, &[u8]) = (b'S', b"");

    #[test]
    fn a_group_is_what_is_answered_at_once() {
        let text = b"set x".to_vec();
        assert_eq!(group(&[(b'Q', b"set x\0"), SYNC]), Some((text.clone(), 5, Vec::new())));
        let plain = group(&[PARSE, BIND, EXECUTE, SYNC, PARSE]);
        assert_eq!(plain, Some((text.clone(), 14, b"12".to_vec())));
        let described = group(&[PARSE, (b'D', b"S\0"), BIND, (b'D', b"P\0"), EXECUTE, SYNC]);
        assert_eq!(described, Some((text, 0, b"1tn2n".to_vec())));
    }

    #[test]
    fn whatever_else_is_left_to_a_server() {
        for parts in [
            &[PARSE][..],
            &[PARSE, BIND, EXECUTE],
            &[PARSE, SYNC],
            &[PARSE, BIND, SYNC],
            &[PARSE, EXECUTE, SYNC],
            &[PARSE, BIND, EXECUTE, EXECUTE, SYNC],
            &[PARSE, BIND, BIND, EXECUTE, SYNC],
            &[PARSE, (b'D', b"P\0"), BIND, EXECUTE, SYNC],
            &[PARSE, (b'B', b"p\0\0\0\0\0\0\0\0"), EXECUTE, SYNC],
            &[PARSE, (b'B', b"\0\0\0\0\0\x01\0\0\0\x01a\0\0"), EXECUTE, SYNC],
            &[PARSE, BIND, (b'E', b"p\0\0\0\0\0"), SYNC],
            &[(b'P', b"s\0set x\0\0\0"), BIND, EXECUTE, SYNC],
            &[(b'P', b"\0set x\0\0\x01\0\0\0\x19"), BIND, EXECUTE, SYNC],
            &[(b'B', b"\0\0\0\0\0\0\0\0"), EXECUTE, SYNC],
        ] {
            assert_eq!(group(parts), None, "{parts:?}");
        }
    }
}
