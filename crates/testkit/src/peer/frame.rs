//! A message as the wire has it: one tag byte, a length, a body (PostgreSQL manual, 55.7).

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of tag and length.
pub(super) const HEADER_BYTES: usize = 5;

/// The largest body that a test may be sent; more is taken for a broken length.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How much of a body a failed assertion shows, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// A message with a tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What kind of message it is.
    pub tag: u8,
    /// All that follows the length.
    pub body: Bytes,
}

impl Frame {
    /// The message as it stands on the wire.
    pub fn encode(&self) -> Bytes {
        tagged(self.tag, |body| body.put_slice(&self.body))
    }

    /// Whether a server may send it at any time: `NoticeResponse`, `NotificationResponse` or
    /// `ParameterStatus` (55.2.7).
    pub fn is_asynchronous(&self) -> bool {
        matches!(self.tag, b'N' | b'A' | b'S')
    }

    /// The fields of an `ErrorResponse` or `NoticeResponse` by their code (55.8); empty for other
    /// messages.
    pub fn fields(&self) -> BTreeMap<char, String> {
        if !matches!(self.tag, b'E' | b'N') {
            return BTreeMap::new();
        }
        let fields = self.body.split(|&byte| byte == 0).filter_map(|field| {
            let (&code, value) = field.split_first()?;
            Some((char::from(code), String::from_utf8_lossy(value).into_owned()))
        });
        fields.collect()
    }

    /// The SQLSTATE of an `ErrorResponse` or `NoticeResponse`; empty for other messages.
    pub fn sqlstate(&self) -> String {
        self.fields().remove(&'C').unwrap_or_default()
    }

    /// The columns of a `DataRow` as text, `None` for NULL.
    pub fn row(&self) -> Result<Vec<Option<String>>> {
        ensure!(self.tag == b'D', "{self:?} is no DataRow");
        let mut body = self.body.clone();
        let columns = body.try_get_i16()?;
        let mut row = Vec::new();
        for _ in 0..columns {
            row.push(match usize::try_from(body.try_get_i32()?) {
                Err(_) => None,
                Ok(length) => {
                    ensure!(body.len() >= length, "{self:?} is cut short");
                    Some(String::from_utf8_lossy(&body.split_to(length)).into_owned())
                }
            });
        }
        Ok(row)
    }

    /// The transaction status of a `ReadyForQuery`: `I`, `T` or `E`.
    pub fn status(&self) -> Option<char> {
        (self.tag == b'Z').then(|| self.body.first().copied().map(char::from)).flatten()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.body.get(..SHOWN_BYTES_MAX.min(self.body.len())).unwrap_or_default();
        write!(f, "{:?} \"{}\"", char::from(self.tag), shown.escape_ascii())?;
        if shown.len() < self.body.len() {
            write!(f, "… ({} bytes)", self.body.len())?;
        }
        Ok(())
    }
}

/// The tags of these messages as a word: `CZ`, `12TDCZ`. What arrived, at a glance.
pub fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}

/// One line per message, without what differs between two runs of the same conversation (process
/// numbers, keys, source lines of errors). Asynchronous messages are left out: the moment of their
/// arrival is not promised.
pub fn transcript(frames: &[Frame]) -> String {
    let mut text = String::new();
    for frame in frames.iter().filter(|frame| !frame.is_asynchronous()) {
        let line = match frame.tag {
            b'K' => "'K'".to_owned(),
            b'E' => {
                let mut fields = frame.fields();
                fields.retain(|code, _| !matches!(code, 'F' | 'L' | 'R'));
                format!("'E' {fields:?}")
            }
            _ => format!("{frame:?}"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Takes one message from the front of `buffer`, if a whole one is there.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>> {
    let Some((&tag, mut rest)) = buffer.split_first() else { return Ok(None) };
    let Ok(length) = rest.try_get_i32() else { return Ok(None) };
    let length = body_length(length)?;
    if rest.len() < length {
        return Ok(None);
    }
    buffer.advance(HEADER_BYTES);
    Ok(Some(Frame { tag, body: buffer.split_to(length).freeze() }))
}

/// The length of the body, for the length field counts itself.
pub(super) fn body_length(length: i32) -> Result<usize> {
    let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let body = body.filter(|&body| body <= BODY_BYTES_MAX);
    body.ok_or_else(|| anyhow::anyhow!("a length of {length} is not one of a message"))
}

/// A message with tag, length and the body that `fill` writes.
pub(super) fn tagged(tag: u8, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(tag);
    message.unsplit(untagged(fill));
    message.freeze()
}

/// Length and body of a message that has no tag.
pub(super) fn untagged(fill: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut body = BytesMut::new();
    fill(&mut body);
    let mut message = BytesMut::new();
    message.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
    message.unsplit(body);
    message
}

/// A string and the zero byte behind it.
pub(super) fn put_text(body: &mut BytesMut, text: &str) {
    body.put_slice(text.as_bytes());
    body.put_u8(0);
}

/// Takes a string and the zero byte behind it from the front.
pub(super) fn take_text(body: &mut Bytes) -> Result<String> {
    let end = body.iter().position(|&byte| byte == 0);
    let Some(end) = end else { anyhow::bail!("a string without end: {body:?}") };
    let text = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    body.advance(1);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_only_when_it_is_whole() {
        let whole = tagged(b'Q', |body| put_text(body, "SELECT 1"));
        for cut in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..cut]);
            assert_eq!(take(&mut part).unwrap(), None);
            assert_eq!(part.len(), cut, "nothing is consumed");
        }
        let mut buffer = BytesMut::from(&whole[..]);
        buffer.put_u8(b'S');
        let frame = take(&mut buffer).unwrap().unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'Q', &b"SELECT 1\0"[..]));
        assert_eq!(&buffer[..], b"S");
        assert_eq!(frame.encode(), whole);
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        for length in [[0, 0, 0, 3], [0xff; 4], [0x7f, 0xff, 0xff, 0xff]] {
            let mut buffer = BytesMut::from(&b"Q"[..]);
            buffer.put_slice(&length);
            assert!(take(&mut buffer).is_err(), "{length:?}");
        }
    }

    #[test]
    fn a_transcript_leaves_out_what_differs_between_runs() {
        let frames = [
            Frame { tag: b'N', body: Bytes::from_static(b"SNOTICE\0\0") },
            Frame { tag: b'E', body: Bytes::from_static(b"C42P01\0Fparse_relation.c\0L1392\0\0") },
            Frame { tag: b'Z', body: Bytes::from_static(b"I") },
        ];
        assert_eq!(transcript(&frames), "'E' {'C': \"42P01\"}\n'Z' \"I\"\n");
        assert_eq!(tags(&frames), "NEZ");
        assert_eq!(frames[1].sqlstate(), "42P01");
        assert_eq!(frames[2].status(), Some('I'));
    }
}
