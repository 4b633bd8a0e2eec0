//! rustls' two kinds of connection as one, and what each of their states asks for.

use bytes::BytesMut;
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use super::TlsError;

/// The payload of a full record.
pub(super) const RECORD_PAYLOAD: usize = 16 * 1024;

/// Room for a record's header, nonce, padding byte and tag, for every cipher rustls offers.
const RECORD_OVERHEAD: usize = 32;

/// Room for a key update that goes out before the data.
const KEY_UPDATE_ROOM: usize = 64;

/// What is to be written.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    Data(&'a [u8]),
    Close,
}

impl Outgoing<'_> {
    /// The most bytes it takes on the wire.
    pub(super) fn room(self) -> usize {
        let payload = match self {
            Self::Data(plain) => plain.len(),
            Self::Close => 0,
        };
        payload + (payload / RECORD_PAYLOAD + 1) * RECORD_OVERHEAD + KEY_UPDATE_ROOM
    }
}

/// Why nothing was written.
pub(super) enum WriteFault {
    /// So many bytes are needed.
    Room(usize),
    Tls(TlsError),
}

/// A connection of either kind.
pub(super) enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
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
    pub(super) fn common(&self) -> &CommonState {
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
    pub(super) fn drive(
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
    pub(super) fn write(
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
