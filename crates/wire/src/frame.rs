//! Frames: a tag byte, a 32-bit length that counts itself, a body.
//! (PostgreSQL documentation, "Message Flow" and "Message Formats".)
//!
//! Only what comes after the startup phase is framed so; for what comes before see [`crate::startup`].

use crate::quiet::quiet_debug;
use crate::sqlstate::SqlState;

/// Bytes before the body of a frame: the tag and the length word.
pub const HEADER: usize = 5;

/// Largest length word accepted, in bytes. PostgreSQL cannot hold more than `MaxAllocSize` (1 GiB - 1) in
/// one piece (`src/include/utils/memutils.h`), so neither side ever means more.
pub const MAX_FRAME: usize = 0x3fff_ffff;

/// Smallest length word possible: it counts itself.
const MIN_DECLARED: u32 = 4;

/// What the first five bytes of a message say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub tag: u8,
    /// Bytes of the whole message on the wire, tag and length word included; at least [`HEADER`], at most
    /// [`MAX_FRAME`] + 1.
    pub len: usize,
}

impl Header {
    /// Bytes of the body.
    #[inline]
    pub const fn body_len(&self) -> usize {
        self.len.saturating_sub(HEADER)
    }
}

/// A length word no PostgreSQL would send or take. The connection cannot go on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid message length")]
pub struct FrameError {
    /// The message type the length stood after.
    pub tag: u8,
    /// The length word as it was sent.
    pub declared: u32,
}

impl FrameError {
    /// The SQLSTATE PostgreSQL reports the fault with.
    pub const fn sqlstate(self) -> SqlState {
        SqlState::PROTOCOL_VIOLATION
    }
}

/// Reads the header at the start of `buf`. `None` when fewer than [`HEADER`] bytes are there.
///
/// # Errors
/// When the length word is below 4 or above [`MAX_FRAME`].
#[inline]
pub fn peek(buf: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(&[tag, a, b, c, d]) = buf.first_chunk::<HEADER>() else { return Ok(None) };
    let declared = u32::from_be_bytes([a, b, c, d]);
    match usize::try_from(declared) {
        Ok(len) if declared >= MIN_DECLARED && len <= MAX_FRAME => {
            Ok(Some(Header { tag, len: len + 1 }))
        }
        _ => Err(FrameError { tag, declared }),
    }
}

/// One whole message, lying in the read buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message type.
    pub tag: u8,
    /// What follows the length word.
    pub body: &'a [u8],
    /// The whole message as it is on the wire.
    pub bytes: &'a [u8],
}

quiet_debug!(Frame, frame, tag = char::from(frame.tag), len = frame.bytes.len());

impl<'a> Frame<'a> {
    /// Its header.
    #[inline]
    pub const fn header(&self) -> Header {
        Header { tag: self.tag, len: self.bytes.len() }
    }

    /// The message at the start of `buf`, or `None` while it is not whole.
    ///
    /// # Errors
    /// As [`peek`].
    #[inline]
    pub fn first(buf: &'a [u8]) -> Result<Option<Self>, FrameError> {
        let Some(header) = peek(buf)? else { return Ok(None) };
        let Some(bytes) = buf.get(..header.len) else { return Ok(None) };
        let Some(body) = bytes.get(HEADER..) else { return Ok(None) };
        Ok(Some(Self { tag: header.tag, body, bytes }))
    }
}

/// The whole frames at the start of a buffer, in order.
///
/// Ends before the first incomplete frame; [`Frames::rest`] is then what has to wait for more bytes. After
/// an error it yields nothing more.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    buf: &'a [u8],
    /// `0 <= consumed <= buf.len()`
    consumed: usize,
    failed: bool,
}

impl<'a> Frames<'a> {
    /// Starts at the beginning of `buf`.
    #[inline]
    pub const fn new(buf: &'a [u8]) -> Self {
        Self { buf, consumed: 0, failed: false }
    }

    /// Bytes of the frames yielded so far.
    #[inline]
    pub const fn consumed(&self) -> usize {
        self.consumed
    }

    /// What lies behind the frames yielded so far.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.buf.get(self.consumed..).unwrap_or_default()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match Frame::first(self.rest()) {
            Ok(Some(frame)) => {
                self.consumed += frame.bytes.len();
                Some(Ok(frame))
            }
            Ok(None) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::every_split;

    fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &len.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_header_needs_five_bytes_and_counts_its_tag() {
        let bytes = framed(b'Q', b"select 1\0");
        for cut in 0..HEADER {
            assert_eq!(peek(&bytes[..cut]), Ok(None));
        }
        let header = peek(&bytes[..HEADER]).unwrap().unwrap();
        assert_eq!(header, Header { tag: b'Q', len: bytes.len() });
        assert_eq!(header.body_len(), 9);
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_as_soon_as_they_are_there() {
        for declared in [0_u32, 1, 3, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let bytes = [&b"Q"[..], &declared.to_be_bytes()].concat();
            let error = FrameError { tag: b'Q', declared };
            assert_eq!(peek(&bytes), Err(error), "{declared}");
            assert_eq!(error.to_string(), "invalid message length");
        }
        for declared in [4_u32, 0x3fff_ffff] {
            let bytes = [&b"Q"[..], &declared.to_be_bytes()].concat();
            let len = usize::try_from(declared).unwrap() + 1;
            assert_eq!(peek(&bytes), Ok(Some(Header { tag: b'Q', len })));
        }
    }

    #[test]
    fn frames_come_out_the_same_wherever_the_stream_is_cut() {
        let stream =
            [framed(b'P', b"a\0b\0\0\0"), framed(b'S', b""), framed(b'Q', b"x\0")].concat();
        let expected =
            [(b'P', b"a\0b\0\0\0".to_vec()), (b'S', Vec::new()), (b'Q', b"x\0".to_vec())];
        every_split(&stream, |frames| assert_eq!(frames, expected));
    }

    #[test]
    fn an_incomplete_frame_stays_in_the_rest() {
        let whole = framed(b'S', b"");
        let stream = [whole.clone(), framed(b'Q', b"x\0")].concat();
        let mut frames = Frames::new(&stream[..stream.len() - 1]);
        let first = frames.next().unwrap().unwrap();
        assert_eq!((first.tag, first.body, first.bytes), (b'S', &b""[..], &whole[..]));
        assert!(frames.next().is_none());
        assert_eq!(frames.consumed(), whole.len());
        assert_eq!(frames.rest(), &stream[whole.len()..stream.len() - 1]);
    }

    #[test]
    fn after_a_broken_length_nothing_more_comes() {
        let stream = [framed(b'S', b""), vec![b'Q', 0, 0, 0, 0], framed(b'S', b"")].concat();
        let mut frames = Frames::new(&stream);
        assert!(frames.next().unwrap().is_ok());
        assert_eq!(frames.next(), Some(Err(FrameError { tag: b'Q', declared: 0 })));
        assert_eq!(frames.next(), None);
        assert_eq!(frames.consumed(), 5);
    }
}
