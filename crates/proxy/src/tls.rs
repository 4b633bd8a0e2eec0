//! TLS on both sides, by rustls with the ring provider: the connection as a value ([`TlsCodec`]), and the
//! configurations built from settings.

mod codec;

pub use codec::{Progress, TlsCodec, TlsError};
