//! Messages in words, both ways.

use bytes::BytesMut;
use trunkline_session::RESERVED_PREFIX;
use trunkline_wire::{
    SqlState,
    backend::{self, Column, Fields, Report, Severity},
    frontend,
};

use crate::shared::{Message, messages, written};

/// The words of a line: separated by blanks, quoted where they have some.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a closing quote"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(padded(word));
        rest = tail.trim_start();
    }
    words
}

/// `{n}` stands for so many dashes.
fn padded(text: &str) -> String {
    let Some((head, (count, tail))) =
        text.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?)))
    else {
        return text.to_owned();
    };
    let count = count.parse().expect("a number of dashes");
    format!("{head}{}{tail}", "-".repeat(count))
}

fn shortened(text: &str) -> String {
    let run = text.find("----").map(|start| {
        let len = text[start..].find(|c| c != '-').unwrap_or(text.len() - start);
        (start, len)
    });
    match run {
        Some((start, len)) => format!("{}{{{len}}}{}", &text[..start], &text[start + len..]),
        None => text.to_owned(),
    }
}

/// A name as it is on the wire: `-` is the empty one, `@7` one of ours.
fn name(word: &str) -> Vec<u8> {
    match word.strip_prefix('@') {
        Some(number) => [RESERVED_PREFIX, number.as_bytes()].concat(),
        None if word == "-" => Vec::new(),
        None => word.as_bytes().to_vec(),
    }
}

fn name_word(name: &[u8]) -> String {
    match name.strip_prefix(RESERVED_PREFIX) {
        Some(number) => format!("@{}", lossy(number)),
        None if name.is_empty() => "-".to_owned(),
        None => lossy(name),
    }
}

/// The messages of a client's line, separated by `|`.
pub(crate) fn client_messages(line: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for message in line.split(" | ") {
        let words = words(message);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        all.extend(written(|out| client_message(&words, out)));
    }
    all
}

fn client_message(words: &[&str], out: &mut BytesMut) {
    match *words {
        ["Query", text] => frontend::query(out, text.as_bytes()),
        ["Parse", statement, text] => {
            frontend::parse(out, &name(statement), text.as_bytes(), b"\0\0");
        }
        ["Parse", statement, text, "int"] => {
            frontend::parse(out, &name(statement), text.as_bytes(), b"\0\x01\0\0\0\x17");
        }
        ["Bind", portal, statement] => {
            frontend::bind(out, &name(portal), &name(statement), &[0; 6]);
        }
        ["Bind", portal, statement, value] => {
            let len = u32::try_from(value.len()).expect("a short value");
            let rest = [&[0, 0, 0, 1][..], &len.to_be_bytes(), value.as_bytes(), &[0, 0]].concat();
            frontend::bind(out, &name(portal), &name(statement), &rest);
        }
        ["Describe", kind, of] => frontend::describe(out, kind.as_bytes()[0], &name(of)),
        ["Close", kind, of] => frontend::close(out, kind.as_bytes()[0], &name(of)),
        ["Execute", portal] => frontend::execute(out, &name(portal), 0),
        ["Execute", portal, rows] => {
            frontend::execute(out, &name(portal), rows.parse().expect("a number of rows"));
        }
        ["Sync"] => frontend::sync(out),
        ["Flush"] => frontend::flush(out),
        ["Terminate"] => frontend::terminate(out),
        ["CopyData", data] => frontend::copy_data(out, data.as_bytes()),
        ["CopyDone"] => frontend::copy_done(out),
        ["CopyFail", why] => frontend::copy_fail(out, why.as_bytes()),
        ["Function"] => frontend::function_call(out, 1598, &[0; 6]),
        // A tag without sense, or a body that is cut.
        ["Raw", tag, body] => {
            let len = u32::try_from(body.len() + 4).expect("a short body");
            out.extend_from_slice(&[tag.as_bytes()[0]]);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(body.as_bytes());
        }
        _ => panic!("no message of a client: {words:?}"),
    }
}

/// What a server was told, in words.
pub(crate) fn told_server(bytes: &[u8]) -> String {
    messages(bytes).iter().map(told_message).collect::<Vec<_>>().join(" | ")
}

fn told_message((tag, body): &Message) -> String {
    let strings: Vec<_> = body.split(|byte| *byte == 0).collect();
    let string = |place: usize| strings.get(place).copied().unwrap_or_default();
    let text = |place: usize| format!("\"{}\"", shortened(&lossy(string(place))));
    match tag {
        b'Q' => format!("Query {}", text(0)),
        b'P' if string(0) == LOOK => "Parse our question".to_owned(),
        b'B' if string(1) == LOOK => format!("Bind our question {}", parameters(body)),
        b'P' => {
            let int = if body.ends_with(b"\0\x01\0\0\0\x17") { " int" } else { "" };
            format!("Parse {} {}{int}", name_word(string(0)), text(1))
        }
        b'B' => {
            let rest = &body[string(0).len() + string(1).len() + 2..];
            let value = rest.get(8..rest.len().saturating_sub(2)).unwrap_or_default();
            let value = if value.is_empty() {
                String::new()
            } else {
                format!(" {}", shortened(&lossy(value)))
            };
            format!("Bind {} {}{value}", name_word(string(0)), name_word(string(1)))
        }
        b'D' | b'C' => {
            let word = if *tag == b'D' { "Describe" } else { "Close" };
            let (kind, of) = string(0).split_first().expect("a kind");
            format!("{word} {} {}", char::from(*kind), name_word(of))
        }
        b'E' => match body[string(0).len() + 1..] {
            [0, 0, 0, 0] => format!("Execute {}", name_word(string(0))),
            [.., rows] => format!("Execute {} {rows}", name_word(string(0))),
            [] => "Execute, cut".to_owned(),
        },
        b'S' => "Sync".to_owned(),
        b'H' => "Flush".to_owned(),
        b'd' => format!("CopyData \"{}\"", shortened(&lossy(body))),
        b'c' => "CopyDone".to_owned(),
        b'f' => format!("CopyFail {}", text(0)),
        b'F' => "Function".to_owned(),
        _ => format!("Raw {} \"{}\"", char::from(*tag), lossy(body)),
    }
}

/// The statement by which a server is asked what its client has there.
const LOOK: &[u8] = b"__trunkline_look";

/// The parameters of that, in words.
fn parameters(body: &[u8]) -> String {
    let mut rest = &body[LOOK.len() + 2 + 4..];
    let mut words = Vec::new();
    while rest.len() > 4 {
        let (length, behind) = rest.split_first_chunk().expect("a length");
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("a short value");
        words.push(format!("'{}'", lossy(&behind[..length])));
        rest = &behind[length..];
    }
    words.join(" ")
}

/// The answer to it: rows of words, with `|` between them; `-` is NULL.
pub(crate) fn told_rows(line: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    backend::parse_complete(&mut out);
    backend::bind_complete(&mut out);
    for row in line.split('|').map(str::trim).filter(|row| !row.is_empty()) {
        let words: Vec<_> = row.splitn(3, ' ').collect();
        let value = |place: usize| {
            words.get(place).filter(|word| **word != "-").map(|word| word.as_bytes())
        };
        backend::data_row(&mut out, [value(0), value(1), value(2)]);
    }
    backend::command_complete(&mut out, b"SELECT");
    backend::ready_for_query(&mut out, b'I');
    out.to_vec()
}

/// The messages of a server's line.
pub(crate) fn server_messages(line: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let tag = rest.as_bytes()[0];
        rest = &rest[1..];
        let (argument, tail) = match rest.strip_prefix('(') {
            Some(inside) => inside.split_once(')').expect("a closing parenthesis"),
            None => ("", rest),
        };
        server_message(tag, argument, &mut out);
        rest = tail.trim_start();
    }
    out.to_vec()
}

fn server_message(tag: u8, argument: &str, out: &mut BytesMut) {
    match tag {
        b'1' => backend::parse_complete(out),
        b'2' => backend::bind_complete(out),
        b'3' => backend::close_complete(out),
        b'n' => backend::no_data(out),
        b's' => backend::portal_suspended(out),
        b'I' => backend::empty_query_response(out),
        b't' => {
            let types = argument.split_whitespace().map(|oid| oid.parse().expect("a type"));
            backend::parameter_description(out, types);
        }
        b'T' => {
            let names = argument.split_whitespace().map(str::as_bytes);
            backend::row_description(out, &names.map(Column::text).collect::<Vec<_>>());
        }
        b'D' => backend::data_row(out, [Some(padded(argument).as_bytes())]),
        b'C' => backend::command_complete(out, argument.as_bytes()),
        b'Z' => backend::ready_for_query(out, argument.as_bytes()[0]),
        b'G' => backend::copy_in_response(out, 0, [0]),
        b'H' => backend::copy_out_response(out, 0, [0]),
        b'd' => backend::copy_data(out, argument.as_bytes()),
        b'c' => backend::copy_done(out),
        b'V' => backend::function_call_response(out, Some(argument.as_bytes())),
        b'A' => backend::notification_response(out, 7, argument.as_bytes(), b""),
        b'S' => {
            let (name, value) = argument.split_once('=').expect("name=value");
            backend::parameter_status(out, name.as_bytes(), value.as_bytes());
        }
        b'E' | b'N' => {
            let (code, message) = argument.split_once(' ').unwrap_or((argument, "m"));
            let fatal = message.starts_with("FATAL");
            let state = SqlState::from_bytes(code.as_bytes()).expect("an SQLSTATE");
            let severity = if fatal { Severity::Fatal } else { Severity::Error };
            // Where PostgreSQL has found it.
            let routine = message.strip_prefix("in ");
            let report =
                Report::new(severity, state, if routine.is_some() { "m" } else { message });
            if let Some(routine) = routine {
                let mut body = BytesMut::new();
                backend::error_response(&mut body, &report);
                let fields = &body[5..body.len() - 1];
                let fields = [fields, b"R", routine.as_bytes(), b"\0\0"].concat();
                let len = u32::try_from(fields.len() + 4).expect("a short report");
                out.extend_from_slice(&[tag]);
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(&fields);
            } else if tag == b'E' {
                backend::error_response(out, &report);
            } else {
                backend::notice_response(out, &report);
            }
        }
        _ => {
            out.extend_from_slice(&[tag, 0, 0, 0, 4]);
        }
    }
}

/// What a client got, in words.
pub(crate) fn told_client(bytes: &[u8]) -> String {
    messages(bytes).iter().map(got_message).collect::<Vec<_>>().join(" ")
}

fn got_message((tag, body): &Message) -> String {
    let shown = char::from(*tag);
    let text = body.strip_suffix(b"\0").unwrap_or(body);
    match tag {
        b'C' | b'Z' | b'd' => format!("{shown}({})", lossy(text)),
        b'D' | b'V' => format!("{shown}({})", shortened(&lossy(body.get(6..).unwrap_or_default())))
            .replace("()", ""),
        b'S' => format!("{shown}({})", lossy(text).replacen('\0', "=", 1)),
        b'A' => format!("{shown}({})", lossy(&text[4..]).replace('\0', "")),
        b'E' | b'N' => {
            let fields = Fields::parse(body).expect("fields of a report");
            let (code, message) =
                (fields.code().expect("an SQLSTATE"), fields.message().unwrap_or_default());
            let message =
                if message == b"m" { String::new() } else { format!(" {}", lossy(message)) };
            format!("{shown}({}{message})", code.as_str())
        }
        _ => shown.to_string(),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
