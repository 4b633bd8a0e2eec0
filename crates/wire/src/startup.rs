//! What a client sends before its first framed message: a length word, a code, and no tag.
//! (PostgreSQL documentation, "Message Flow: Start-up"; `src/backend/tcop/backend_startup.c`.)

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::read::Reader;
use crate::sqlstate::SqlState;
use crate::write::{counted, put_cstr};

mod negotiate;

pub use negotiate::{Negotiation, UnsupportedProtocol, negotiate};

#[cfg(test)]
mod tests;

/// Most bytes accepted behind the length word of a startup packet, as PostgreSQL's
/// `MAX_STARTUP_PACKET_LENGTH`: whoever sends it is not yet known, so it may not cost much memory.
pub const MAX_STARTUP: usize = 10_000;

/// Shortest cancel key. Protocol 3.0 has exactly this length.
pub const MIN_CANCEL_KEY: usize = 4;

/// Longest cancel key, from protocol 3.2 on.
pub const MAX_CANCEL_KEY: usize = 256;

/// Bytes a user or database name is cut to: `NAMEDATALEN` - 1 of a standard PostgreSQL build.
pub const MAX_NAME: usize = 63;

/// Bytes of a packet that is only a length word and a request code.
const REQUEST_LEN: usize = 8;

/// First byte of a TLS record that holds a `ClientHello`. As the first byte of a startup packet it would
/// mean a length far above [`MAX_STARTUP`], so the two cannot be mistaken for each other.
const TLS_HANDSHAKE: u8 = 0x16;

const CANCEL_CODE: u32 = 0x04d2_162e;
const SSL_CODE: u32 = 0x04d2_162f;
const GSSENC_CODE: u32 = 0x04d2_1630;

/// Protocol options begin with this; every other parameter is a setting, or names user or database.
const PROTOCOL_OPTION_PREFIX: &[u8] = b"_pq_.";

/// A protocol version as a startup packet names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    /// 3 for every PostgreSQL since 7.4.
    pub major: u16,
    /// 0 or 2 in use; 3.1 was never given out.
    pub minor: u16,
}

impl ProtocolVersion {
    /// Every server and client since PostgreSQL 7.4.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// PostgreSQL 18: cancel keys may be longer than four bytes.
    pub const V3_2: Self = Self { major: 3, minor: 2 };
    /// The newest version spoken here.
    pub const LATEST: Self = Self::V3_2;

    /// The version from its code on the wire.
    #[inline]
    pub const fn from_code(code: u32) -> Self {
        let [a, b, c, d] = code.to_be_bytes();
        Self { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) }
    }

    /// The version as a code on the wire.
    #[inline]
    pub const fn code(self) -> u32 {
        let [a, b] = self.major.to_be_bytes();
        let [c, d] = self.minor.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// Longest cancel key a peer that speaks this version can take, in bytes.
    pub fn max_cancel_key(self) -> usize {
        if self >= Self::V3_2 { MAX_CANCEL_KEY } else { MIN_CANCEL_KEY }
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The first thing a client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening<'a> {
    /// It wants a session.
    Startup(Startup<'a>),
    /// It asks whether TLS is spoken; the answer is one byte, `S` or `N`.
    SslRequest,
    /// It asks whether GSSAPI encryption is spoken; the answer is one byte, `G` or `N`.
    GssEncRequest,
    /// It wants a statement of another connection cancelled; there is no answer.
    Cancel(CancelRequest<'a>),
    /// A TLS `ClientHello` without asking first (`sslnegotiation=direct`, PostgreSQL 17). Nothing of it has
    /// been consumed.
    DirectTls,
}

/// A packet that cannot be an opening. The connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The length word is out of bounds, or not the one its request has.
    #[error("invalid length of startup packet")]
    Length(u32),
    /// A cancel key is shorter than [`MIN_CANCEL_KEY`] or longer than [`MAX_CANCEL_KEY`].
    #[error("invalid length of cancel key in cancel request packet")]
    CancelKey(usize),
    /// The parameters do not end exactly where the packet does.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
}

impl StartupError {
    /// The SQLSTATE PostgreSQL reports the fault with.
    pub const fn sqlstate(self) -> SqlState {
        SqlState::PROTOCOL_VIOLATION
    }

    /// Whether PostgreSQL tells the client before it closes the connection. It stays silent where the
    /// bytes need not be the protocol at all.
    pub const fn is_told(self) -> bool {
        matches!(self, Self::Layout)
    }
}

/// Reads the opening at the start of `buf`, and how many bytes it took. `None` while it is not whole.
///
/// # Errors
/// When the length is out of bounds (known from the first four bytes on) or the packet is malformed.
pub fn parse(buf: &[u8]) -> Result<Option<(Opening<'_>, usize)>, StartupError> {
    if buf.first() == Some(&TLS_HANDSHAKE) {
        return Ok(Some((Opening::DirectTls, 0)));
    }
    let Some(word) = buf.first_chunk::<4>() else { return Ok(None) };
    let declared = u32::from_be_bytes(*word);
    let len = usize::try_from(declared).map_err(|_| StartupError::Length(declared))?;
    if !(REQUEST_LEN..=MAX_STARTUP + 4).contains(&len) {
        return Err(StartupError::Length(declared));
    }
    let Some((code, body)) = buf.get(4..len).and_then(<[u8]>::split_first_chunk::<4>) else {
        return Ok(None);
    };
    let only =
        |opening| if body.is_empty() { Ok(opening) } else { Err(StartupError::Length(declared)) };
    let opening = match u32::from_be_bytes(*code) {
        SSL_CODE => only(Opening::SslRequest)?,
        GSSENC_CODE => only(Opening::GssEncRequest)?,
        CANCEL_CODE => {
            Opening::Cancel(CancelRequest::parse(body).ok_or(StartupError::Length(declared))??)
        }
        version => Opening::Startup(Startup::parse(ProtocolVersion::from_code(version), body)?),
    };
    Ok(Some((opening, len)))
}

/// The request for a session: the version and the parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Startup<'a> {
    /// What the client would like to speak; see [`negotiate()`].
    pub version: ProtocolVersion,
    /// Name and value strings, each with its NUL; the terminator is not part of it.
    pairs: &'a [u8],
}

impl<'a> Startup<'a> {
    fn parse(version: ProtocolVersion, body: &'a [u8]) -> Result<Self, StartupError> {
        if version.major != ProtocolVersion::LATEST.major {
            // Another layout altogether; the version alone will be refused.
            return Ok(Self { version, pairs: &[] });
        }
        let mut reader = Reader::new(body);
        loop {
            let before = reader.rest();
            let name = reader.cstr().map_err(|_| StartupError::Layout)?;
            if name.is_empty() {
                reader.end().map_err(|_| StartupError::Layout)?;
                let pairs = body.get(..body.len() - before.len()).unwrap_or_default();
                return Ok(Self { version, pairs });
            }
            reader.cstr().map_err(|_| StartupError::Layout)?;
        }
    }

    /// Parameters in the order sent, without protocol options. Where a name occurs twice the later value
    /// is the one that counts.
    pub fn params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        Pairs(Reader::new(self.pairs)).filter(|(name, _)| !name.starts_with(PROTOCOL_OPTION_PREFIX))
    }

    /// Protocol options: the parameters whose name begins with `_pq_.`, in the order sent.
    pub fn protocol_options(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        Pairs(Reader::new(self.pairs)).filter(|(name, _)| name.starts_with(PROTOCOL_OPTION_PREFIX))
    }

    /// The value of the parameter `name`; the last one when it occurs twice.
    pub fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.params().filter(|(found, _)| *found == name).last().map(|(_, value)| value)
    }

    /// The user name, cut to [`MAX_NAME`] bytes as PostgreSQL does. `None` when missing or empty, which
    /// PostgreSQL refuses.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.param(b"user").filter(|user| !user.is_empty()).map(cut_name)
    }

    /// The database name, cut to [`MAX_NAME`] bytes; the user's name when missing or empty.
    pub fn database(&self) -> Option<&'a [u8]> {
        self.param(b"database")
            .filter(|name| !name.is_empty())
            .map(cut_name)
            .or_else(|| self.user())
    }
}

fn cut_name(name: &[u8]) -> &[u8] {
    name.get(..MAX_NAME).unwrap_or(name)
}

impl fmt::Debug for Startup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `options` may carry anything, so values other than the two names are not shown.
        f.debug_struct("Startup")
            .field("version", &self.version)
            .field("user", &self.user().map(String::from_utf8_lossy))
            .field("database", &self.database().map(String::from_utf8_lossy))
            .finish_non_exhaustive()
    }
}

/// Walks name and value strings.
#[derive(Debug, Clone)]
struct Pairs<'a>(Reader<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.cstr().ok()?, self.0.cstr().ok()?))
    }
}

/// The request to cancel what another connection is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelRequest<'a> {
    /// The process id that connection was told.
    pub pid: i32,
    /// The secret it was told; [`MIN_CANCEL_KEY`] to [`MAX_CANCEL_KEY`] bytes.
    pub key: &'a [u8],
}

impl<'a> CancelRequest<'a> {
    /// `None` when there is not even a process id.
    fn parse(body: &'a [u8]) -> Option<Result<Self, StartupError>> {
        let mut reader = Reader::new(body);
        let pid = reader.i32().ok()?;
        let key = reader.rest();
        if (MIN_CANCEL_KEY..=MAX_CANCEL_KEY).contains(&key.len()) {
            Some(Ok(Self { pid, key }))
        } else {
            Some(Err(StartupError::CancelKey(key.len())))
        }
    }
}

impl fmt::Debug for CancelRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        f.debug_struct("CancelRequest").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// Appends a startup packet. Parameters with an empty name would end the list and are left out.
pub fn startup_message<'p>(
    out: &mut BytesMut,
    version: ProtocolVersion,
    params: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
) {
    counted(out, |out| {
        out.put_u32(version.code());
        for (name, value) in params {
            if !matches!(name, [] | [0, ..]) {
                put_cstr(out, name);
                put_cstr(out, value);
            }
        }
        out.put_u8(0);
    });
}

/// Appends the question whether TLS is spoken.
pub fn ssl_request(out: &mut BytesMut) {
    counted(out, |out| out.put_u32(SSL_CODE));
}

/// Appends the question whether GSSAPI encryption is spoken.
pub fn gssenc_request(out: &mut BytesMut) {
    counted(out, |out| out.put_u32(GSSENC_CODE));
}

/// Appends a cancel request. `key` is the one from `BackendKeyData`, whole.
pub fn cancel_request(out: &mut BytesMut, pid: i32, key: &[u8]) {
    counted(out, |out| {
        out.put_u32(CANCEL_CODE);
        out.put_i32(pid);
        out.put_slice(key);
    });
}
