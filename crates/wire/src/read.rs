//! A cursor over one message body. Every error text is the one PostgreSQL itself gives
//! (`src/backend/libpq/pqformat.c`, `src/backend/tcop/postgres.c`).

use std::ffi::CStr;

use crate::sqlstate::SqlState;

/// Longer names are looked through in words.
const SHORT_NAME: usize = 24;

/// A message body that does not have the shape its tag promises.
///
/// The `Display` text is PostgreSQL's own for the same fault, so that a client sees what the server would
/// have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Bytes are left over after the last field.
    #[error("invalid message format")]
    TrailingBytes,
    /// A field needs more bytes than the message has.
    #[error("insufficient data left in message")]
    Short,
    /// A single byte was wanted where the message ends.
    #[error("no data left in message")]
    Empty,
    /// A string has no terminating NUL inside the message.
    #[error("invalid string in message")]
    Unterminated,
    /// Describe of something that is neither a statement nor a portal.
    #[error("invalid DESCRIBE message subtype {0}")]
    DescribeKind(u8),
    /// Close of something that is neither a statement nor a portal.
    #[error("invalid CLOSE message subtype {0}")]
    CloseKind(u8),
    /// A server names a transaction status that does not exist.
    #[error("invalid transaction status {0}")]
    TransactionStatus(u8),
    /// A server sends a cancel key shorter or longer than the protocol allows; the length in bytes.
    #[error("invalid cancel key length {0}")]
    CancelKey(usize),
}

impl Malformed {
    /// The SQLSTATE PostgreSQL reports the fault with.
    pub const fn sqlstate(self) -> SqlState {
        SqlState::PROTOCOL_VIOLATION
    }
}

/// Takes fields off the front of a message body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been taken yet.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Malformed::Short)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Short)?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, tail) = self.rest.split_first().ok_or(Malformed::Empty)?;
        self.rest = tail;
        Ok(first)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn salt(&mut self) -> Result<[u8; 4], Malformed> {
        self.array()
    }

    /// A NUL-terminated string, without its NUL.
    #[inline]
    pub(crate) fn cstr(&mut self) -> Result<&'a [u8], Malformed> {
        // Names are mostly empty: those of the unnamed statement and portal.
        if let Some((0, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(&[]);
        }
        // The standard library's search looks at a word at a time, which counts for long statements.
        let text =
            CStr::from_bytes_until_nul(self.rest).map_err(|_| Malformed::Unterminated)?.to_bytes();
        self.rest = self.rest.get(text.len() + 1..).ok_or(Malformed::Unterminated)?;
        Ok(text)
    }

    /// The same of a string that is a name: short ones are looked through byte by byte, which is less than to set out for
    /// a search of words.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<&'a [u8], Malformed> {
        let mut end = 0_usize;
        while end < SHORT_NAME {
            match self.rest.split_at_checked(end) {
                Some((name, [0, rest @ ..])) => {
                    self.rest = rest;
                    return Ok(name);
                }
                _ => end = end.wrapping_add(1),
            }
        }
        self.cstr()
    }

    /// A length-prefixed value; -1 is SQL NULL.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let len = self.i32()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| Malformed::Short)?;
        self.take(len).map(Some)
    }

    #[inline]
    pub(crate) const fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::TrailingBytes) }
    }
}
