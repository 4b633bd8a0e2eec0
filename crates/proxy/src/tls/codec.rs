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
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, ProtocolVersion, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName};

/// Bytes before the payload of a record: type, version, length (RFC 8446, 5.1).
const RECORD_HEADER: usize = 5;

/// The most ciphertext kept between two calls. rustls refuses records above 18 KiB and handshake messages
/// above 64 KiB, so more than both together means that something is wrong.
const MAX_HELD: usize = 128 * 1024;

/// The payload of a full record.
const RECORD_PAYLOAD: usize = 16 * 1024;

/// Room for a record's header, nonce, padding byte and tag, for every cipher rustls offers.
const RECORD_OVERHEAD: usize = 32;

/// Room for a key update that goes out before the data.
const KEY_UPDATE_ROOM: usize = 64;

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

/// What is to be written.
#[derive(Clone, Copy)]
enum Outgoing<'a> {
    Data(&'a [u8]),
    Close,
}

impl Outgoing<'_> {
    /// The most bytes it takes on the wire.
    fn room(self) -> usize {
        let payload = match self {
            Self::Data(plain) => plain.len(),
            Self::Close => 0,
        };
        payload + (payload / RECORD_PAYLOAD + 1) * RECORD_OVERHEAD + KEY_UPDATE_ROOM
    }
}

/// Why nothing was written.
enum WriteFault {
    /// So many bytes are needed.
    Room(usize),
    Tls(TlsError),
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
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

/// What one state of rustls led to.
enum Settled {
    /// There may be more to do with the same bytes.
    More,
    /// Nothing more without new bytes.
    Blocked,
    /// The peer sends nothing more.
    PeerClosed,
}

/// Performs what rustls asks for: hands out plaintext, writes down records for the peer.
fn settle<D>(
    state: ConnectionState<'_, '_, D>,
    plain: &mut BytesMut,
    owed: &mut BytesMut,
) -> Settled {
    match state {
        ConnectionState::ReadTraffic(mut records) => {
            while let Some(Ok(record)) = records.next_record() {
                plain.extend_from_slice(record.payload);
            }
            Settled::More
        }
        ConnectionState::EncodeTlsData(mut record) => {
            let start = owed.len();
            if let Err(EncodeError::InsufficientSize(size)) = record.encode(&mut []) {
                owed.resize(start + size.required_size, 0);
                let room = owed.get_mut(start..).unwrap_or_default();
                let written = record.encode(room).unwrap_or(0);
                owed.truncate(start + written);
            }
            Settled::More
        }
        ConnectionState::TransmitTlsData(sent) => {
            sent.done();
            Settled::More
        }
        ConnectionState::PeerClosed => Settled::PeerClosed,
        // Early data is not enabled, and a state unknown here cannot be acted on.
        _ => Settled::Blocked,
    }
}

/// [`settle`], or the write when the connection is ready for it (`Some(bytes written)`).
fn settle_or_write<D>(
    state: ConnectionState<'_, '_, D>,
    owed: &mut BytesMut,
    what: Outgoing<'_>,
    free: &mut [u8],
) -> Result<Option<usize>, WriteFault> {
    let ConnectionState::WriteTraffic(mut ready) = state else {
        let mut nowhere = BytesMut::new();
        return match settle(state, &mut nowhere, owed) {
            Settled::Blocked => Err(WriteFault::Tls(TlsError::NotOpen)),
            Settled::More | Settled::PeerClosed => Ok(None),
        };
    };
    let written = match what {
        Outgoing::Data(plain) => ready.encrypt(plain, free),
        Outgoing::Close => ready.queue_close_notify(free),
    };
    match written {
        Ok(written) => Ok(Some(written)),
        Err(EncryptError::InsufficientSize(size)) => Err(WriteFault::Room(size.required_size)),
        Err(EncryptError::EncryptExhausted) => Err(WriteFault::Tls(TlsError::Exhausted)),
    }
}

impl Side {
    fn common(&self) -> &CommonState {
        match self {
            Self::Server(server) => server,
            Self::Client(client) => client,
        }
    }

    /// Asks rustls once; answers how many bytes of the front are done with, and what came of it.
    fn step(
        &mut self,
        incoming: &mut [u8],
        plain: &mut BytesMut,
        owed: &mut BytesMut,
    ) -> (usize, Result<Settled, rustls::Error>) {
        match self {
            Self::Server(server) => {
                let UnbufferedStatus { discard, state } = server.process_tls_records(incoming);
                (discard, state.map(|state| settle(state, plain, owed)))
            }
            Self::Client(client) => {
                let UnbufferedStatus { discard, state } = client.process_tls_records(incoming);
                (discard, state.map(|state| settle(state, plain, owed)))
            }
        }
    }

    /// Works off `incoming` as far as it goes; answers how many bytes of its front are done with.
    fn drive(
        &mut self,
        incoming: &mut [u8],
        plain: &mut BytesMut,
        owed: &mut BytesMut,
        peer_closed: &mut bool,
    ) -> Result<usize, TlsError> {
        let mut used = 0;
        loop {
            let rest = incoming.get_mut(used..).unwrap_or_default();
            let (discard, step) = self.step(rest, plain, owed);
            used += discard;
            match step {
                Ok(Settled::More) => {}
                Ok(Settled::Blocked) => return Ok(used),
                Ok(Settled::PeerClosed) => *peer_closed = true,
                Err(error) => {
                    // The same bytes again, because rustls counts its unfinished ones from their front:
                    // the alert comes out before they are looked at.
                    let rest = incoming.get_mut(used..).unwrap_or_default();
                    let mut nowhere = BytesMut::new();
                    drop(self.step(rest, &mut nowhere, owed));
                    return Err(error.into());
                }
            }
        }
    }

    /// Asks rustls once, with data to write when it is ready for them.
    ///
    /// `held` goes along because rustls counts its unfinished bytes from the front of what it is shown. They
    /// have been worked off as far as they go, so nothing of them is done with here.
    fn write(
        &mut self,
        held: &mut [u8],
        owed: &mut BytesMut,
        what: Outgoing<'_>,
        free: &mut [u8],
    ) -> Result<Option<usize>, WriteFault> {
        match self {
            Self::Server(server) => match server.process_tls_records(held).state {
                Ok(state) => settle_or_write(state, owed, what, free),
                Err(error) => Err(WriteFault::Tls(error.into())),
            },
            Self::Client(client) => match client.process_tls_records(held).state {
                Ok(state) => settle_or_write(state, owed, what, free),
                Err(error) => Err(WriteFault::Tls(error.into())),
            },
        }
    }
}

#[cfg(test)]
mod tests;
