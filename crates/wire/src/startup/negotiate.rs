//! Which protocol version a session gets, as PostgreSQL 18 decides it
//! (`ProcessStartupPacket` in `src/backend/tcop/backend_startup.c`).

use bytes::BytesMut;

use super::ProtocolVersion;
use crate::backend::negotiate_protocol_version;
use crate::sqlstate::SqlState;

/// A major version that is not spoken. The text is PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unsupported frontend protocol {0}: server supports 3.0 to 3.2")]
pub struct UnsupportedProtocol(pub ProtocolVersion);

impl UnsupportedProtocol {
    /// The SQLSTATE PostgreSQL reports the fault with.
    pub const fn sqlstate(self) -> SqlState {
        SqlState::FEATURE_NOT_SUPPORTED
    }
}

/// The `NegotiateProtocolVersion` a client must be sent, before authentication begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation<I> {
    /// The newest version the session can have.
    pub newest: ProtocolVersion,
    /// Names of the protocol options that are not known here, in the order sent.
    pub unknown_options: I,
}

impl<'a, I: Iterator<Item = &'a [u8]> + Clone> Negotiation<I> {
    /// Appends the message.
    pub fn write(&self, out: &mut BytesMut) {
        negotiate_protocol_version(out, self.newest, self.unknown_options.clone());
    }
}

/// Answers a client that asks for `version` and names protocol options of which `unknown_options` are not
/// known here: the version of the session, and the message to send when that is not all it asked for.
///
/// A version below or at the newest is taken as asked, 3.1 too, although nobody gives it out: it then is
/// 3.0 in all but name. A minor version above the newest, such as the 3.9999 that clients send to find
/// servers that cannot negotiate, becomes the newest.
///
/// # Errors
/// When the major version is not 3.
pub fn negotiate<'a, I>(
    version: ProtocolVersion,
    unknown_options: I,
) -> Result<(ProtocolVersion, Option<Negotiation<I>>), UnsupportedProtocol>
where
    I: Iterator<Item = &'a [u8]> + Clone,
{
    if version.major != ProtocolVersion::LATEST.major {
        return Err(UnsupportedProtocol(version));
    }
    let accepted = version.min(ProtocolVersion::LATEST);
    let asked_too_much = accepted != version || unknown_options.clone().next().is_some();
    let negotiation = asked_too_much.then_some(Negotiation { newest: accepted, unknown_options });
    Ok((accepted, negotiation))
}
