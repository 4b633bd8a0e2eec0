//! TLS on both sides, by rustls with the ring provider: the connection as a value ([`TlsCodec`]), and the
//! configurations built from settings.

mod certificate;
mod codec;
mod config;
mod flaws;
mod pem;
mod trust;

pub use certificate::Subject;
pub use codec::{Progress, TlsCodec, TlsError};
pub use config::{ALPN, Acceptor, ClientSide, ServerSide, TlsConfigError};
pub use flaws::flaws;
