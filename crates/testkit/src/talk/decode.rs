//! Messages of the server as a line of text, for people. Nothing is compared by it.

use bytes::{Buf, Bytes};

use crate::peer::Frame;

/// The most letters of a line; what is longer is cut, and its length told.
const SHOWN_MAX: usize = 400;

/// The most columns that are shown of a row.
const COLUMNS_MAX: usize = 40;

/// A message as one line.
pub fn text(frame: &Frame) -> String {
    let mut text = name(frame.tag).to_owned();
    let rest = match frame.tag {
        b'E' | b'N' => Some(report(&frame.body)),
        b'T' => row_description(frame.body.clone()),
        b'D' => data_row(frame.body.clone()),
        b'A' => notification(frame.body.clone()),
        b'K' => backend_key(frame.body.clone()),
        _ => None,
    };
    let rest = rest.unwrap_or_else(|| frame.body.escape_ascii().to_string());
    if !rest.is_empty() {
        text.push(' ');
        text.extend(rest.chars().take(SHOWN_MAX));
    }
    if rest.chars().nth(SHOWN_MAX).is_some() {
        let whole = frame.body.len();
        text = format!("{text}… ({whole} bytes)");
    }
    text
}

fn name(tag: u8) -> &'static str {
    match tag {
        b'1' => "ParseComplete",
        b'2' => "BindComplete",
        b'3' => "CloseComplete",
        b'A' => "NotificationResponse",
        b'C' => "CommandComplete",
        b'D' => "DataRow",
        b'E' => "ErrorResponse",
        b'G' => "CopyInResponse",
        b'H' => "CopyOutResponse",
        b'I' => "EmptyQueryResponse",
        b'K' => "BackendKeyData",
        b'N' => "NoticeResponse",
        b'R' => "Authentication",
        b'S' => "ParameterStatus",
        b'T' => "RowDescription",
        b'V' => "FunctionCallResponse",
        b'W' => "CopyBothResponse",
        b'Z' => "ReadyForQuery",
        b'c' => "CopyDone",
        b'd' => "CopyData",
        b'n' => "NoData",
        b's' => "PortalSuspended",
        b't' => "ParameterDescription",
        b'v' => "NegotiateProtocolVersion",
        _ => "unknown message",
    }
}

/// The fields of an error or notice in the order in which they came.
fn report(body: &Bytes) -> String {
    let fields = body.split(|&byte| byte == 0).filter_map(|field| {
        let (&code, value) = field.split_first()?;
        Some(format!("{}={}", char::from(code), value.escape_ascii()))
    });
    fields.collect::<Vec<_>>().join(" ")
}

fn row_description(mut body: Bytes) -> Option<String> {
    let count = body.try_get_u16().ok()?;
    let mut columns = Vec::new();
    for _ in 0..usize::from(count).min(COLUMNS_MAX) {
        let name = take_text(&mut body)?;
        let (table, attribute) = (body.try_get_u32().ok()?, body.try_get_i16().ok()?);
        let (kind, size) = (body.try_get_u32().ok()?, body.try_get_i16().ok()?);
        let (modifier, format) = (body.try_get_i32().ok()?, body.try_get_i16().ok()?);
        columns.push(format!(
            "{name}(table {table}.{attribute} type {kind} size {size} modifier {modifier} format {format})"
        ));
    }
    Some(format!("{count}: {}", columns.join(", ")))
}

fn data_row(mut body: Bytes) -> Option<String> {
    let count = body.try_get_u16().ok()?;
    let mut values = Vec::new();
    for _ in 0..usize::from(count).min(COLUMNS_MAX) {
        match usize::try_from(body.try_get_i32().ok()?) {
            Err(_) => values.push("null".to_owned()),
            Ok(length) if length <= body.len() => {
                values.push(format!("\"{}\"", body.split_to(length).escape_ascii()));
            }
            Ok(_) => return None,
        }
    }
    Some(values.join(" "))
}

fn notification(mut body: Bytes) -> Option<String> {
    let pid = body.try_get_u32().ok()?;
    let (channel, payload) = (take_text(&mut body)?, take_text(&mut body)?);
    Some(format!("from {pid} on {channel}: \"{payload}\""))
}

fn backend_key(mut body: Bytes) -> Option<String> {
    let pid = body.try_get_u32().ok()?;
    Some(format!("{pid} and a key of {} bytes", body.len()))
}

fn take_text(body: &mut Bytes) -> Option<String> {
    let end = body.iter().position(|&byte| byte == 0)?;
    let text = body.split_to(end).escape_ascii().to_string();
    body.advance(1);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::answer;

    #[test]
    fn a_row_shows_its_values() {
        let message = answer::data_row(&[Some("a\n"), None]);
        let frame = Frame { tag: b'D', body: message.slice(5..) };
        assert_eq!(text(&frame), r#"DataRow "a\n" null"#);
    }

    #[test]
    fn a_long_message_is_cut() {
        let frame = Frame { tag: b'd', body: Bytes::from(vec![b'x'; 5000]) };
        let text = text(&frame);
        assert!(text.len() < 500 && text.ends_with("… (5000 bytes)"), "{text}");
    }

    #[test]
    fn a_broken_message_is_shown_as_bytes() {
        let frame = Frame { tag: b'D', body: Bytes::from_static(b"\0\x01\0\0\0\x09abc") };
        assert_eq!(text(&frame), r"DataRow \x00\x01\x00\x00\x00\tabc");
    }
}
