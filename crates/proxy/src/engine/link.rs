//! A socket of the data path with its TLS state and what could not be written yet.

use std::io;

use bytes::{Buf, BytesMut};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};

use super::readiness::{Registry, Token};
use crate::{
    net::Socket,
    tls::{Progress, TlsCodec},
};

/// Size of the read buffer that all connections of a loop share. A buffer smaller than the reply costs a system call
/// per reply.
pub(crate) const READ_BUFFER: usize = 64 << 10;

/// The buffers of a loop into which every connection is read.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    raw: Vec<u8>,
    /// Decrypted bytes of TLS connections.
    plain: BytesMut,
    /// Where the bytes of the last read are.
    from: Source,
}

#[derive(Debug, Default, Clone, Copy)]
enum Source {
    #[default]
    Nowhere,
    Raw(usize),
    Plain,
}

impl Inflow {
    /// Buffers for one loop.
    pub(crate) fn new() -> Self {
        Self { raw: vec![0; READ_BUFFER], plain: BytesMut::new(), from: Source::Nowhere }
    }

    /// The bytes of the last read.
    pub(crate) fn data(&self) -> &[u8] {
        match self.from {
            Source::Nowhere => &[],
            Source::Raw(len) => self.raw.get(..len).unwrap_or_default(),
            Source::Plain => &self.plain,
        }
    }
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Bytes are in the inflow; `drained` when the socket has no more for now.
    Bytes {
        /// The read was shorter than the buffer.
        drained: bool,
    },
    /// Nothing is there for now.
    Blocked,
    /// The other side has closed.
    Closed,
}

/// A socket of the data path.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    tls: Option<Box<TlsCodec>>,
    /// Bytes (ciphertext under TLS) that the socket has not taken yet. No memory when empty.
    out: BytesMut,
    /// Bytes before them that it has taken, and whose memory is still there.
    spent: usize,
    /// Whether the poll was asked to tell of writability.
    wants_write: bool,
    /// The other side is gone: what is sent to it is dropped.
    mute: bool,
}

impl Link {
    /// Takes over a socket.
    pub(crate) fn new(socket: Socket, tls: Option<Box<TlsCodec>>) -> Self {
        Self { socket, tls, out: BytesMut::new(), spent: 0, wants_write: false, mute: false }
    }

    /// Registers with a loop, edge-triggered for reading.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        #[cfg(test)]
        super::fault::point();
        self.wants_write = !self.out.is_empty();
        registry.add(&self.socket, token, self.wants_write)
    }

    /// Leaves its loop.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        #[cfg(test)]
        super::fault::point();
        // Closing the descriptor would do the same; an error leaves nothing behind.
        drop(registry.delete(&self.socket));
    }

    /// Asks the poll to tell of writability exactly while something is unwritten.
    #[inline]
    pub(crate) fn update_interest(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let wants = !self.out.is_empty();
        if wants == self.wants_write {
            return Ok(());
        }
        self.wants_write = wants;
        registry.modify(&self.socket, token, wants)
    }

    /// Whether everything was written, and the poll knows.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.out.is_empty() && !self.wants_write
    }

    /// How much memory takes what is not written yet.
    pub(crate) fn footprint(&self) -> usize {
        self.out.capacity().saturating_add(self.spent)
    }

    /// Whether it is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes not written yet.
    #[inline]
    pub(crate) fn backlog(&self) -> usize {
        self.out.len()
    }

    /// Reads once into the inflow.
    pub(crate) fn receive(&mut self, inflow: &mut Inflow) -> io::Result<Received> {
        #[cfg(test)]
        super::fault::point();
        let len = loop {
            // Straight to the kernel: as a cancellation point of the C library each call costs a hundred
            // instructions more.
            match recv(&self.socket, inflow.raw.as_mut_slice(), RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Received::Closed),
                Ok((len, _)) => break len,
                Err(Errno::AGAIN) => return Ok(Received::Blocked),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let drained = len < inflow.raw.len();
        let Some(tls) = &mut self.tls else {
            inflow.from = Source::Raw(len);
            return Ok(Received::Bytes { drained });
        };
        inflow.from = Source::Plain;
        inflow.plain.clear();
        let cipher = inflow.raw.get_mut(..len).unwrap_or_default();
        let progress = tls.decrypt(cipher, &mut inflow.plain).map_err(io::Error::other)?;
        if tls.has_owed() {
            tls.take_owed(&mut self.out);
            self.flush()?;
        }
        match progress {
            Progress::PeerClosed if inflow.plain.is_empty() => Ok(Received::Closed),
            _ => Ok(Received::Bytes { drained }),
        }
    }

    /// Drops what is unwritten, and all that is to be sent from now on: the other side does not hear it.
    pub(crate) fn mute(&mut self) {
        self.empty();
        self.mute = true;
    }

    /// Writes at once what the socket takes; the rest is kept for [`Link::flush`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        super::fault::point();
        if self.mute {
            return Ok(());
        }
        if let Some(tls) = &mut self.tls {
            tls.encrypt(bytes, &mut self.out).map_err(io::Error::other)?;
            return self.flush();
        }
        let mut rest = bytes;
        if self.out.is_empty() {
            while !rest.is_empty() {
                match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if !rest.is_empty() {
            self.out.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Writes what was kept, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match send(&self.socket, &self.out, SendFlags::NOSIGNAL) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    self.out.advance(len);
                    self.spent = self.spent.saturating_add(len);
                }
                Err(Errno::AGAIN) => {
                    self.shrink();
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.empty();
        Ok(())
    }

    /// The memory of what was written is given back once it is as much as that of what was not.
    fn shrink(&mut self) {
        if self.spent >= self.out.len() {
            self.out = BytesMut::from(&self.out[..]);
            self.spent = 0;
        }
    }

    /// Nothing is left to write.
    fn empty(&mut self) {
        self.out = BytesMut::new();
        self.spent = 0;
    }

    /// Says that nothing more will be written; what the other side still sends can be read.
    pub(crate) fn finish(&mut self) {
        #[cfg(test)]
        super::fault::point();
        self.close_notify();
        self.empty();
        // A connection that is broken already has ended in both directions.
        rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write).ok();
    }

    /// Says goodbye on the TLS layer, as far as the socket takes it.
    pub(crate) fn close_notify(&mut self) {
        if !self.mute
            && let Some(tls) = &mut self.tls
            && tls.close_notify(&mut self.out).is_ok()
        {
            drop(self.flush());
        }
    }
}
