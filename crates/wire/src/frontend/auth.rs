//! Answers to authentication requests. All share one tag; which one is meant follows from the request.

use crate::quiet::{quiet_debug, text};
use crate::read::{Malformed, Reader};

/// A password, plain or hashed as the server asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password<'a> {
    /// The password; a secret.
    pub password: &'a [u8],
}

impl<'a> Password<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let password = reader.cstr()?;
        reader.end()?;
        Ok(Self { password })
    }
}

quiet_debug!(Password, _password);

/// The first message of a SASL exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    /// The mechanism the client chose.
    pub mechanism: &'a [u8],
    /// Its first message, when it sends one at once.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let mechanism = reader.cstr()?;
        let data = reader.value()?;
        reader.end()?;
        Ok(Self { mechanism, data })
    }
}

quiet_debug!(SaslInitial, initial, mechanism = text(initial.mechanism));

/// A further message of a SASL exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslResponse<'a> {
    /// The mechanism's message; it may hold a bearer token.
    pub data: &'a [u8],
}

impl<'a> SaslResponse<'a> {
    /// Takes the body, which is the message itself; it cannot fail but has the form of the others.
    pub const fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { data: body })
    }
}

quiet_debug!(SaslResponse, response, len = response.data.len());
