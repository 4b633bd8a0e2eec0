//! Frames: a tag byte, a 32-bit length that counts itself, a body.
//! (PostgreSQL documentation, "Message Flow" and "Message Formats".)
//!
//! Only what comes after the startup phase is framed so; for what comes before see [`crate::startup`].

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message type.
    pub tag: u8,
    /// What follows the length word.
    pub body: &'a [u8],
    /// The whole message as it is on the wire.
    pub bytes: &'a [u8],
}

impl<'a> Frame<'a> {
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
