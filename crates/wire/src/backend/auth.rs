//! Requests for authentication.

use std::fmt;

use crate::read::{Malformed, Reader};

/// What a server wants to be shown, or that it is content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Authentication is over; the client is in.
    Ok,
    /// Kerberos 5; no server since 9.3 sends it.
    KerberosV5,
    /// The password as it is.
    CleartextPassword,
    /// The password hashed with this salt.
    Md5Password {
        /// Drawn anew for each attempt.
        salt: [u8; 4],
    },
    /// GSSAPI.
    Gss,
    /// More GSSAPI or SSPI data.
    GssContinue {
        /// The mechanism's token.
        data: &'a [u8],
    },
    /// SSPI.
    Sspi,
    /// SASL: the client chooses one of these.
    Sasl {
        /// Mechanism names, the server's favourite first.
        mechanisms: Strings<'a>,
    },
    /// A further message of the SASL mechanism.
    SaslContinue {
        /// The mechanism's message.
        data: &'a [u8],
    },
    /// The last message of the SASL mechanism; [`Authentication::Ok`] follows.
    SaslFinal {
        /// The mechanism's message.
        data: &'a [u8],
    },
    /// A request this version of the protocol does not have.
    Other {
        /// Its number.
        code: u32,
        /// What follows the number.
        data: &'a [u8],
    },
}

impl<'a> Authentication<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let code = reader.u32()?;
        let data = reader.rest();
        let bare = |request| reader.end().map(|()| request);
        match code {
            0 => bare(Self::Ok),
            2 => bare(Self::KerberosV5),
            3 => bare(Self::CleartextPassword),
            5 => {
                let salt = reader.salt()?;
                reader.end()?;
                Ok(Self::Md5Password { salt })
            }
            7 => bare(Self::Gss),
            8 => Ok(Self::GssContinue { data }),
            9 => bare(Self::Sspi),
            10 => Ok(Self::Sasl { mechanisms: Strings::terminated(reader)? }),
            11 => Ok(Self::SaslContinue { data }),
            12 => Ok(Self::SaslFinal { data }),
            _ => Ok(Self::Other { code, data }),
        }
    }

    /// The number of the request on the wire.
    pub const fn code(&self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::KerberosV5 => 2,
            Self::CleartextPassword => 3,
            Self::Md5Password { .. } => 5,
            Self::Gss => 7,
            Self::GssContinue { .. } => 8,
            Self::Sspi => 9,
            Self::Sasl { .. } => 10,
            Self::SaslContinue { .. } => 11,
            Self::SaslFinal { .. } => 12,
            Self::Other { code, .. } => *code,
        }
    }
}

impl fmt::Debug for Authentication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Salts and mechanism data are parts of a secret exchange.
        match self {
            Self::Sasl { mechanisms } => f.debug_tuple("Sasl").field(mechanisms).finish(),
            _ => {
                f.debug_struct("Authentication").field("code", &self.code()).finish_non_exhaustive()
            }
        }
    }
}

/// Strings one after the other, each with its NUL on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Strings<'a> {
    /// The strings, each with its NUL.
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    /// Takes strings up to the empty one, which must be the end of the message.
    fn terminated(mut reader: Reader<'a>) -> Result<Self, Malformed> {
        let bytes = reader.rest();
        loop {
            let before = reader.rest().len();
            if reader.cstr()?.is_empty() {
                reader.end()?;
                return Ok(Self { bytes: bytes.get(..bytes.len() - before).unwrap_or_default() });
            }
        }
    }

    /// Takes `count` strings, which must be the end of the message.
    pub(super) fn counted(mut reader: Reader<'a>, count: u32) -> Result<Self, Malformed> {
        let bytes = reader.rest();
        for _ in 0..count {
            reader.cstr()?;
        }
        reader.end()?;
        Ok(Self { bytes })
    }

    /// The strings, without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || reader.cstr().ok())
    }

    /// Whether `name` is among them.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.iter().any(|found| found == name)
    }

    pub(super) const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for Strings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}
