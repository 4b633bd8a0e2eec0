//! What can be said in a conversation, and how it stands on the wire (PostgreSQL manual, 55.7).
//!
//! ```text
//! Query "text"                     Parse "name" "text" [int4, 25]
//! Bind "portal" "statement" ["5", null] params [0, 1] results [1]
//! Describe S "name"                Close P "name"
//! Execute "portal" 10              Sync   Flush   Terminate
//! CopyData "line\n"                CopyDone   CopyFail "reason"
//! FunctionCall 1397 ["-5"] params [0] result 0
//! Password "secret"                Startup 3.0 user="x" database="y"
//! SSLRequest   GSSENCRequest       CancelRequest 1 2
//! Message "Q" "select 1" 00        any tag, the right length, and these bytes
//! Raw 51 00 00 00 04               bytes as they are: hex pairs, texts, `int16 5`, `int32 5`
//! ```
//!
//! Nothing is checked: wrong messages can be said too.

use anyhow::{Context, Result, bail};
use bytes::{BufMut, BytesMut};

use super::words::{Item, Words};
use crate::peer::say::{GSS_CODE, SSL_CODE};

/// Types by name, for the types of parameters (`pg_type.dat`).
const TYPES: [(&str, u32); 16] = [
    ("bool", 16),
    ("bytea", 17),
    ("int8", 20),
    ("int2", 21),
    ("int4", 23),
    ("text", 25),
    ("oid", 26),
    ("json", 114),
    ("float4", 700),
    ("float8", 701),
    ("unknown", 705),
    ("varchar", 1043),
    ("date", 1082),
    ("timestamptz", 1184),
    ("interval", 1186),
    ("numeric", 1700),
];

/// Reads messages that are separated by `/` and appends them as they stand on the wire.
pub(super) fn put_all(words: &mut Words, out: &mut BytesMut) -> Result<()> {
    loop {
        let kind = words.name()?;
        put(&kind, words, out).with_context(|| format!("in {kind}"))?;
        if words.is_empty() {
            return Ok(());
        }
        words.mark('/')?;
    }
}

fn put(kind: &str, words: &mut Words, out: &mut BytesMut) -> Result<()> {
    let mut body = BytesMut::new();
    let tag = match kind {
        "Query" => with_text(b'Q', words, &mut body)?,
        "CopyFail" => with_text(b'f', words, &mut body)?,
        "Password" => with_text(b'p', words, &mut body)?,
        "CopyData" => {
            body.put_slice(&words.text()?);
            b'd'
        }
        "CopyDone" => b'c',
        "Sync" => b'S',
        "Flush" => b'H',
        "Terminate" => b'X',
        "Parse" => parse(words, &mut body)?,
        "Bind" => bind(words, &mut body)?,
        "Describe" => about(b'D', words, &mut body)?,
        "Close" => about(b'C', words, &mut body)?,
        "Execute" => {
            put_text(&mut body, &words.text()?);
            body.put_i32(words.optional_number().unwrap_or(0));
            b'E'
        }
        "FunctionCall" => function_call(words, &mut body)?,
        "Message" => {
            let tag = words.text()?;
            put_pieces(words, &mut body)?;
            *tag.first().context("a tag is missing")?
        }
        "Raw" => return put_pieces(words, out),
        _ => return put_untagged(kind, words, out),
    };
    out.put_u8(tag);
    put_length_and(&body, out)
}

/// The messages of the start, which have no tag.
fn put_untagged(kind: &str, words: &mut Words, out: &mut BytesMut) -> Result<()> {
    let mut body = BytesMut::new();
    match kind {
        "SSLRequest" => body.put_u32(SSL_CODE),
        "GSSENCRequest" => body.put_u32(GSS_CODE),
        "CancelRequest" => {
            body.put_u32(crate::peer::say::CANCEL_CODE);
            body.put_u32(words.number()?);
            body.put_u32(words.number()?);
        }
        "Startup" => {
            body.put_u32(version(&words.name()?)?);
            for (name, value) in parameters(words)? {
                put_text(&mut body, name.as_bytes());
                put_text(&mut body, value.as_bytes());
            }
            body.put_u8(0);
        }
        _ => bail!("there is no such message"),
    }
    put_length_and(&body, out)
}

/// A version as `3.2`.
pub(super) fn version(text: &str) -> Result<u32> {
    let (major, minor) = text.split_once('.').context("a version is written 3.2")?;
    Ok((u32::from(major.parse::<u16>()?) << 16) | u32::from(minor.parse::<u16>()?))
}

/// `name="value"` as often as it comes.
pub(super) fn parameters(words: &mut Words) -> Result<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    while let Some(name) = words.optional_name() {
        words.mark('=')?;
        parameters.push((name, words.string()?));
    }
    Ok(parameters)
}

fn with_text(tag: u8, words: &mut Words, body: &mut BytesMut) -> Result<u8> {
    put_text(body, &words.text()?);
    Ok(tag)
}

fn about(tag: u8, words: &mut Words, body: &mut BytesMut) -> Result<u8> {
    body.put_slice(words.name()?.as_bytes());
    put_text(body, &words.text()?);
    Ok(tag)
}

fn parse(words: &mut Words, body: &mut BytesMut) -> Result<u8> {
    put_text(body, &words.text()?);
    put_text(body, &words.text()?);
    let types = words.list()?;
    put_count(types.len(), body)?;
    for item in types {
        let Item::Name(name) = item else { bail!("a type is a name or a number") };
        let named = TYPES.iter().find(|(known, _)| *known == name).map(|&(_, oid)| oid);
        let oid = named.or_else(|| name.parse().ok());
        body.put_u32(oid.with_context(|| format!("type {name} is not known"))?);
    }
    Ok(b'P')
}

fn bind(words: &mut Words, body: &mut BytesMut) -> Result<u8> {
    put_text(body, &words.text()?);
    put_text(body, &words.text()?);
    let values = words.list()?;
    let params = if words.take_name("params") { words.list()? } else { Vec::new() };
    let results = if words.take_name("results") { words.list()? } else { Vec::new() };
    put_numbers(&params, body)?;
    put_values(values, body)?;
    put_numbers(&results, body)?;
    Ok(b'B')
}

fn function_call(words: &mut Words, body: &mut BytesMut) -> Result<u8> {
    body.put_u32(words.number()?);
    let values = words.list()?;
    let params = if words.take_name("params") { words.list()? } else { Vec::new() };
    let result = if words.take_name("result") { words.number()? } else { 0 };
    put_numbers(&params, body)?;
    put_values(values, body)?;
    body.put_i16(result);
    Ok(b'F')
}

fn put_values(values: Vec<Item>, body: &mut BytesMut) -> Result<()> {
    put_count(values.len(), body)?;
    for value in values {
        match value {
            Item::Null => body.put_i32(-1),
            Item::Text(text) => {
                body.put_i32(i32::try_from(text.len())?);
                body.put_slice(&text);
            }
            Item::Name(name) => bail!("the value {name} needs quotes"),
        }
    }
    Ok(())
}

fn put_numbers(items: &[Item], body: &mut BytesMut) -> Result<()> {
    put_count(items.len(), body)?;
    for item in items {
        let Item::Name(number) = item else { bail!("a format is a number") };
        body.put_i16(number.parse()?);
    }
    Ok(())
}

/// A count as the protocol has it, of 16 bits. A larger one is written modulo 2^16, as a careless
/// client would.
fn put_count(count: usize, body: &mut BytesMut) -> Result<()> {
    body.put_u16(u16::try_from(count & 0xffff)?);
    Ok(())
}

fn put_pieces(words: &mut Words, body: &mut BytesMut) -> Result<()> {
    loop {
        if words.has_text() {
            body.put_slice(&words.text()?);
        } else if words.take_name("int16") {
            body.put_i16(words.number()?);
        } else if words.take_name("int32") {
            body.put_i32(words.number()?);
        } else if let Some(pair) = words.optional_name() {
            body.put_u8(u8::from_str_radix(&pair, 16).with_context(|| format!("byte {pair}"))?);
        } else {
            return Ok(());
        }
    }
}

fn put_text(body: &mut BytesMut, text: &[u8]) {
    body.put_slice(text);
    body.put_u8(0);
}

/// The length, which counts itself, and the body.
fn put_length_and(body: &[u8], out: &mut BytesMut) -> Result<()> {
    out.put_i32(i32::try_from(body.len() + 4)?);
    out.put_slice(body);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::say;

    fn said(line: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        put_all(&mut Words::of(line).unwrap(), &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn the_usual_messages_are_those_of_the_raw_client() {
        let line =
            r#"Parse "" "select $1" / Bind "" "" ["7", null] / Describe P "" / Execute "" / Sync"#;
        assert_eq!(said(line), say::extended("select $1", &[Some("7"), None]));
        assert_eq!(said(r#"Query "select 1""#), say::query("select 1"));
        assert_eq!(said(r#"Parse "s" "select $1" [int4]"#), say::parse("s", "select $1", &[23]));
        let startup = say::startup(say::PROTOCOL_3_2, &[("user", "x")]);
        assert_eq!(said(r#"Startup 3.2 user="x""#), startup);
    }

    #[test]
    fn bytes_go_out_as_they_are() {
        assert_eq!(said(r#"Raw 51 "ab" int16 -1 int32 7"#), b"Qab\xff\xff\0\0\0\x07");
        assert_eq!(said(r#"Message "Q" "ab" 00"#), say::query("ab"));
    }
}
