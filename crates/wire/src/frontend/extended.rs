//! The extended query protocol: statements and portals by name.

use crate::quiet::{quiet_debug, text};
use crate::read::{Malformed, Reader};

/// [`Describe::kind`] and [`Close::kind`] of a prepared statement.
pub const STATEMENT: u8 = b'S';

/// [`Describe::kind`] and [`Close::kind`] of a portal.
pub const PORTAL: u8 = b'P';

/// Prepares a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// Its text.
    pub text: &'a [u8],
    /// Parameter types as they are on the wire: a 16-bit count, then one object id each.
    pub types: &'a [u8],
}

quiet_debug!(Parse, parse, name = text(parse.name));

impl<'a> Parse<'a> {
    /// Reads the body.
    #[inline]
    #[expect(
        clippy::self_named_constructors,
        reason = "every view of a message is made by `parse`"
    )]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        let text = reader.cstr()?;
        let types = reader.rest();
        let count = usize::from(reader.u16()?);
        reader.take(count * 4)?;
        reader.end()?;
        Ok(Self { name, text, types })
    }

    /// The object ids of the parameter types that were given; 0 leaves one open.
    pub fn type_oids(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        let (oids, _) = self.types.get(2..).unwrap_or_default().as_chunks::<4>();
        oids.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// Makes a portal from a statement and parameter values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Formats and values as they are on the wire: everything behind the two names.
    pub rest: &'a [u8],
}

quiet_debug!(Bind, bind, portal = text(bind.portal), statement = text(bind.statement));

impl<'a> Bind<'a> {
    /// Reads the names. What follows them is not looked at.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let portal = reader.cstr()?;
        let statement = reader.name()?;
        Ok(Self { portal, statement, rest: reader.rest() })
    }
}

/// Asks what a statement or portal takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// [`STATEMENT`] or [`PORTAL`].
    pub kind: u8,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> Describe<'a> {
    /// Reads the body.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, name) = target(body, Malformed::DescribeKind)?;
        Ok(Self { kind, name })
    }
}

/// Gives up a statement or portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// [`STATEMENT`] or [`PORTAL`].
    pub kind: u8,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> Close<'a> {
    /// Reads the body.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, name) = target(body, Malformed::CloseKind)?;
        Ok(Self { kind, name })
    }
}

#[inline]
fn target(body: &[u8], unknown: fn(u8) -> Malformed) -> Result<(u8, &[u8]), Malformed> {
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let name = reader.cstr()?;
    reader.end()?;
    if matches!(kind, STATEMENT | PORTAL) { Ok((kind, name)) } else { Err(unknown(kind)) }
}

/// Runs a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Most rows to return; 0 or less means all.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let portal = reader.cstr()?;
        let max_rows = reader.i32()?;
        reader.end()?;
        Ok(Self { portal, max_rows })
    }
}
