//! The beginnings of messages too long to hold: their names are read, and rewritten, before the rest has
//! come in. The rest is then streamed behind what [`super::bind_head`] or [`super::parse_head`] wrote.

use crate::read::Reader;

/// The names at the start of a Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindHead<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Bytes of the body the names took, their NULs included.
    pub len: usize,
}

impl<'a> BindHead<'a> {
    /// Reads the names from the first bytes of a body. `None` when more bytes are needed; when the whole
    /// body is there and this is still `None`, the message is malformed.
    #[inline]
    pub fn parse(prefix: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(prefix);
        let portal = reader.cstr().ok()?;
        let statement = reader.cstr().ok()?;
        Some(Self { portal, statement, len: prefix.len() - reader.rest().len() })
    }
}

/// The name at the start of a Parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseHead<'a> {
    /// The statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// Bytes of the body the name took, its NUL included.
    pub len: usize,
}

impl<'a> ParseHead<'a> {
    /// Reads the name from the first bytes of a body. `None` when more bytes are needed.
    #[inline]
    pub fn parse(prefix: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(prefix);
        let name = reader.cstr().ok()?;
        Some(Self { name, len: prefix.len() - reader.rest().len() })
    }
}
