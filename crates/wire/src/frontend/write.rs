//! Writers: what a client says, appended to a buffer.
//!
//! Names and texts come without their NUL. One that contains a NUL ends there. A message longer than
//! [`MAX_FRAME`](crate::frame::MAX_FRAME) gets a length word that every receiver refuses.

use bytes::{BufMut, BytesMut};

use super::tag;
use crate::write::{counted, framed, length_word, put_cstr, put_value};

/// Appends a Query.
#[inline]
pub fn query(out: &mut BytesMut, text: &[u8]) {
    framed(out, tag::QUERY, |out| put_cstr(out, text));
}

/// Appends a Parse. `types` is the count and object ids as in [`super::Parse::types`].
#[inline]
pub fn parse(out: &mut BytesMut, name: &[u8], text: &[u8], types: &[u8]) {
    framed(out, tag::PARSE, |out| {
        put_cstr(out, name);
        put_cstr(out, text);
        out.put_slice(types);
    });
}

/// Appends the start of a Parse of which `rest_len` more bytes (text and types) are sent behind it.
pub fn parse_head(out: &mut BytesMut, name: &[u8], rest_len: usize) {
    head(out, tag::PARSE, rest_len, |out| put_cstr(out, name));
}

/// Appends a Bind. `rest` is everything behind the names, as in [`super::Bind::rest`]. The names hold no NUL, as none
/// that was read from a message does; one that did would be refused by the server as a broken message.
///
/// In transaction pooling each use of a named statement is rewritten, so this is written in one go.
#[inline]
pub fn bind(out: &mut BytesMut, portal: &[u8], statement: &[u8], rest: &[u8]) {
    let names = portal.len().saturating_add(statement.len()).saturating_add(2);
    let declared = names.saturating_add(rest.len()).saturating_add(4);
    out.reserve(declared.saturating_add(1));
    let [a, b, c, d] = length_word(declared).to_be_bytes();
    out.extend_from_slice(&[tag::BIND, a, b, c, d]);
    for name in [portal, statement] {
        out.extend_from_slice(name);
        out.extend_from_slice(b"\0");
    }
    out.extend_from_slice(rest);
}

/// Appends a Bind whose names are written already, portal and statement, each with its NUL.
#[inline]
pub fn bind_named(out: &mut BytesMut, names: &[u8], rest: &[u8]) {
    let declared = names.len().saturating_add(rest.len()).saturating_add(4);
    out.reserve(declared.saturating_add(1));
    let [a, b, c, d] = length_word(declared).to_be_bytes();
    out.extend_from_slice(&[tag::BIND, a, b, c, d]);
    out.extend_from_slice(names);
    out.extend_from_slice(rest);
}

/// Appends the start of a Bind of which `rest_len` more bytes (formats and values) are sent behind it.
#[inline]
pub fn bind_head(out: &mut BytesMut, portal: &[u8], statement: &[u8], rest_len: usize) {
    head(out, tag::BIND, rest_len, |out| {
        put_cstr(out, portal);
        put_cstr(out, statement);
    });
}

/// Appends a frame whose length word counts `rest_len` bytes more than `fill` writes.
#[inline]
fn head(out: &mut BytesMut, tag: u8, rest_len: usize, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let start = out.len();
    counted(out, fill);
    let declared = length_word((out.len() - start).saturating_add(rest_len));
    if let Some(word) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *word = declared.to_be_bytes();
    }
}

/// Appends a Describe. `kind` is [`super::STATEMENT`] or [`super::PORTAL`].
#[inline]
pub fn describe(out: &mut BytesMut, kind: u8, name: &[u8]) {
    target(out, tag::DESCRIBE, kind, name);
}

/// Appends a Close. `kind` is [`super::STATEMENT`] or [`super::PORTAL`].
#[inline]
pub fn close(out: &mut BytesMut, kind: u8, name: &[u8]) {
    target(out, tag::CLOSE, kind, name);
}

#[inline]
fn target(out: &mut BytesMut, tag: u8, kind: u8, name: &[u8]) {
    framed(out, tag, |out| {
        out.put_u8(kind);
        put_cstr(out, name);
    });
}

/// Appends an Execute. `max_rows` of 0 means all.
#[inline]
pub fn execute(out: &mut BytesMut, portal: &[u8], max_rows: i32) {
    framed(out, tag::EXECUTE, |out| {
        put_cstr(out, portal);
        out.put_i32(max_rows);
    });
}

/// Appends a Sync.
#[inline]
pub fn sync(out: &mut BytesMut) {
    framed(out, tag::SYNC, |_| ());
}

/// Appends a Flush.
#[inline]
pub fn flush(out: &mut BytesMut) {
    framed(out, tag::FLUSH, |_| ());
}

/// Appends a Terminate.
#[inline]
pub fn terminate(out: &mut BytesMut) {
    framed(out, tag::TERMINATE, |_| ());
}

/// Appends a `CopyData`.
pub fn copy_data(out: &mut BytesMut, data: &[u8]) {
    framed(out, tag::COPY_DATA, |out| out.put_slice(data));
}

/// Appends a `CopyDone`.
pub fn copy_done(out: &mut BytesMut) {
    framed(out, tag::COPY_DONE, |_| ());
}

/// Appends a `CopyFail`.
pub fn copy_fail(out: &mut BytesMut, message: &[u8]) {
    framed(out, tag::COPY_FAIL, |out| put_cstr(out, message));
}

/// Appends a password, plain or hashed as the server asked for.
pub fn password(out: &mut BytesMut, password: &[u8]) {
    framed(out, tag::PASSWORD, |out| put_cstr(out, password));
}

/// Appends the first message of a SASL exchange.
pub fn sasl_initial(out: &mut BytesMut, mechanism: &[u8], data: Option<&[u8]>) {
    framed(out, tag::PASSWORD, |out| {
        put_cstr(out, mechanism);
        put_value(out, data);
    });
}

/// Appends a further message of a SASL exchange.
pub fn sasl_response(out: &mut BytesMut, data: &[u8]) {
    framed(out, tag::PASSWORD, |out| out.put_slice(data));
}

/// Appends a `FunctionCall`. `rest` is everything behind the function's object id.
pub fn function_call(out: &mut BytesMut, function: u32, rest: &[u8]) {
    framed(out, tag::FUNCTION_CALL, |out| {
        out.put_u32(function);
        out.put_slice(rest);
    });
}
