//! One TLS connection as a value: bytes in, bytes out, no socket and no buffer of its own.
//!
//! The same value serves the handshake on the login runtime and the records on a worker loop. It stands on
//! rustls' unbuffered connections: ciphertext is handed in where it was read, and only what cannot be
//! finished yet (an incomplete record, or a handshake message spread over several) is kept here.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName};

use self::side::{Outgoing, Side, WriteFault};

mod side;

/// Bytes before the payload of a record: type, version, length (RFC 8446, 5.1).
const RECORD_HEADER: usize = 5;

/// The most ciphertext kept between two calls. rustls refuses records above 18 KiB and handshake messages
/// above 64 KiB, so more than both together means that something is wrong.
const MAX_HELD: usize = 128 * 1024;

/// Why a TLS connection cannot go on. What the peer has to be told lies in [`TlsCodec::take_owed`].
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The peer broke the protocol, or its certificate or ours was refused.
    #[error("{0}")]
    Protocol(#[from] rustls::Error),
    /// More ciphertext than two records and a handshake message is waiting to be complete.
    #[error("a TLS message is longer than allowed")]
    TooLong,
    /// The keys have been used as often as is safe and cannot be renewed (TLS 1.2).
    #[error("the TLS keys are exhausted")]
    Exhausted,
    /// Data was to be sent before the handshake, or after the connection was closed.
    #[error("the TLS connection is not open")]
    NotOpen,
}

/// What [`TlsCodec::decrypt`] found out besides the plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The handshake needs more bytes from the peer.
    Handshaking,
    /// Data may go in both directions.
    Open,
    /// The peer has closed its direction in order (`close_notify`): nothing more will come.
    PeerClosed,
}

/// The state of one TLS connection, either side.
pub struct TlsCodec {
    side: Side,
    /// Ciphertext that cannot be used yet. Empty, and without memory, while the connection is idle.
    held: BytesMut,
    /// Records that the peer is owed and that no write has taken along yet (alerts, answers to key updates).
    owed: BytesMut,
    peer_closed: bool,
    /// Set by the first error; nothing is read or written after it.
    failed: bool,
}

impl TlsCodec {
    /// The side that was connected to.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        Ok(Self::new(Side::Server(UnbufferedServerConnection::new(config)?)))
    }

    /// The side that connects; `name` goes into SNI and is what the certificate is checked for.
    ///
    /// The first flight is ready at once: call [`decrypt`](Self::decrypt) with nothing and send
    /// [`take_owed`](Self::take_owed).
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, TlsError> {
        Ok(Self::new(Side::Client(UnbufferedClientConnection::new(config, name)?)))
    }

    fn new(side: Side) -> Self {
        Self {
            side,
            held: BytesMut::new(),
            owed: BytesMut::new(),
            peer_closed: false,
            failed: false,
        }
    }

    /// Takes all of `incoming` (as read from the socket, overwritten on the way), appends what it says to
    /// `plain`, and keeps what is incomplete.
    ///
    /// Afterwards [`take_owed`](Self::take_owed) may have something for the peer: the next flight of the
    /// handshake, or an alert when this returned an error.
    pub fn decrypt(
        &mut self,
        incoming: &mut [u8],
        plain: &mut BytesMut,
    ) -> Result<Progress, TlsError> {
        if self.failed {
            return Err(TlsError::NotOpen);
        }
        let taken = self.take_in(incoming, plain);
        if self.held.is_empty() || self.peer_closed || taken.is_err() {
            // Gives the memory back: an idle connection holds none.
            self.held = BytesMut::new();
        }
        self.failed = taken.is_err();
        taken.map(|()| self.progress())
    }

    fn take_in(&mut self, incoming: &mut [u8], plain: &mut BytesMut) -> Result<(), TlsError> {
        let mut incoming = incoming;
        if !self.held.is_empty() {
            incoming = self.complete_held(incoming, plain)?;
        }
        if self.held.is_empty() {
            let used = self.side.drive(incoming, plain, &mut self.owed, &mut self.peer_closed)?;
            self.held.extend_from_slice(incoming.get(used..).unwrap_or_default());
        }
        if self.held.len() > MAX_HELD { Err(TlsError::TooLong) } else { Ok(()) }
    }

    /// Lets the record in `held` be completed from `incoming`; answers what of `incoming` is left.
    ///
    /// Only as much as the record lacks is copied, so that a large read does not become a large copy.
    fn complete_held<'a>(
        &mut self,
        incoming: &'a mut [u8],
        plain: &mut BytesMut,
    ) -> Result<&'a mut [u8], TlsError> {
        let mut incoming = incoming;
        loop {
            let lacking = self.lacking().min(incoming.len());
            if lacking == 0 {
                break;
            }
            let (head, tail) = incoming.split_at_mut(lacking);
            self.held.extend_from_slice(head);
            incoming = tail;
        }
        let used = self.drive_held(plain)?;
        if used > 0 && self.held.is_empty() || incoming.is_empty() {
            return Ok(incoming);
        }
        // The record was whole but its handshake message is not: rustls wants the earlier bytes to stay in
        // front of the later ones.
        self.held.extend_from_slice(incoming);
        self.drive_held(plain)?;
        Ok(&mut [])
    }

    /// How many bytes the first record in `held` still needs (its header first).
    fn lacking(&self) -> usize {
        let whole = match self.held.get(3..RECORD_HEADER) {
            Some(&[high, low]) => RECORD_HEADER + usize::from(u16::from_be_bytes([high, low])),
            _ => RECORD_HEADER,
        };
        whole.saturating_sub(self.held.len())
    }

    fn drive_held(&mut self, plain: &mut BytesMut) -> Result<usize, TlsError> {
        let used = self.side.drive(&mut self.held, plain, &mut self.owed, &mut self.peer_closed)?;
        self.held.advance(used.min(self.held.len()));
        Ok(used)
    }

    fn progress(&self) -> Progress {
        if self.peer_closed {
            Progress::PeerClosed
        } else if self.side.common().is_handshaking() {
            Progress::Handshaking
        } else {
            Progress::Open
        }
    }

    /// Appends `plain` as records to `out`, after everything that is owed.
    pub fn encrypt(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<(), TlsError> {
        self.write(Outgoing::Data(plain), out)
    }

    /// Appends the alert that says we send nothing more. Without it the peer cannot tell an orderly end from
    /// a cut connection.
    pub fn close_notify(&mut self, out: &mut BytesMut) -> Result<(), TlsError> {
        self.write(Outgoing::Close, out)
    }

    fn write(&mut self, what: Outgoing<'_>, out: &mut BytesMut) -> Result<(), TlsError> {
        // Enough for an alert, an answer to a key update, one wrong estimate and the write itself.
        const TURNS: usize = 8;
        if self.failed {
            return Err(TlsError::NotOpen);
        }
        let mut room = what.room();
        for _ in 0..TURNS {
            self.take_owed(out);
            let start = out.len();
            out.resize(start + room, 0);
            let free = out.get_mut(start..).unwrap_or_default();
            let written = self.side.write(&mut self.held, &mut self.owed, what, free);
            out.truncate(start + *written.as_ref().ok().and_then(Option::as_ref).unwrap_or(&0));
            match written {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(WriteFault::Room(needed)) => room = needed,
                Err(WriteFault::Tls(error)) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        Err(TlsError::NotOpen)
    }

    /// Moves records that the peer is owed to `out`; answers whether there were any.
    pub fn take_owed(&mut self, out: &mut BytesMut) -> bool {
        if self.owed.is_empty() {
            return false;
        }
        out.extend_from_slice(&self.owed);
        self.owed = BytesMut::new();
        true
    }

    /// Whether [`take_owed`](Self::take_owed) has something to send.
    pub fn has_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// How much ciphertext is kept until more of it comes.
    pub fn held_len(&self) -> usize {
        self.held.len()
    }

    /// The protocol version agreed on, once it is.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.side.common().protocol_version()
    }

    /// The cipher suite agreed on, by the name in the standard (`TLS13_AES_256_GCM_SHA384`).
    pub fn cipher(&self) -> Option<String> {
        let suite = self.side.common().negotiated_cipher_suite()?;
        Some(suite.suite().as_str().unwrap_or("unknown").to_owned())
    }

    /// The application protocol agreed on by ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.side.common().alpn_protocol()
    }

    /// The peer's certificate, verified when the configuration said so.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.side.common().peer_certificates()?.first()
    }
}

impl fmt::Debug for TlsCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Server(_) => "server",
            Side::Client(_) => "client",
        };
        f.debug_struct("TlsCodec")
            .field("side", &side)
            .field("version", &self.version())
            .field("held", &self.held.len())
            .field("owed", &self.owed.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
