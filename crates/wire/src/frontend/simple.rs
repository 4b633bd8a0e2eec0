//! Statements in one message, and what goes with COPY.

use crate::quiet::quiet_debug;
use crate::read::{Malformed, Reader};

/// Statements to parse and run at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The statements.
    pub text: &'a [u8],
}

quiet_debug!(Query, query, len = query.text.len());

impl<'a> Query<'a> {
    /// Reads the body.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let text = reader.cstr()?;
        reader.end()?;
        Ok(Self { text })
    }
}

/// The client cannot go on with the data of a COPY.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CopyFail<'a> {
    /// Why, in its words.
    pub message: &'a [u8],
}

quiet_debug!(CopyFail, fail, len = fail.message.len());

impl<'a> CopyFail<'a> {
    /// Reads the body.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let message = reader.cstr()?;
        reader.end()?;
        Ok(Self { message })
    }
}

/// The legacy call of a function by object id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function's object id.
    pub function: u32,
    /// Argument formats, arguments and result format as they are on the wire.
    pub rest: &'a [u8],
}

quiet_debug!(FunctionCall, call, function = call.function);

impl<'a> FunctionCall<'a> {
    /// Reads the body, and checks that its inner lengths add up.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let function = reader.u32()?;
        let rest = reader.rest();
        let formats = usize::from(reader.u16()?);
        reader.take(formats * 2)?;
        for _ in 0..reader.u16()? {
            reader.value()?;
        }
        reader.u16()?;
        reader.end()?;
        Ok(Self { function, rest })
    }
}
