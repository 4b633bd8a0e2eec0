//! How a connection begins: `StartupMessage`, or one of the requests in its place.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes};

use super::frame::take_text;
use super::say::{CANCEL_CODE, GSS_CODE, SSL_CODE};
use super::socket::Socket;

/// Refusals of encryption before a client must have started; libpq sends at most two requests.
const REFUSALS_MAX: usize = 4;

/// A client's `StartupMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The protocol version: 0x30000 is 3.0.
    pub version: u32,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Startup {
    /// A parameter, empty if it was not sent.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

/// A `CancelRequest`. Its socket stays open until this is dropped, so that a test decides when the
/// sender learns that the cancel is done.
#[derive(Debug)]
pub struct CancelCall {
    /// The process to be cancelled.
    pub pid: u32,
    /// Its key.
    pub key: Bytes,
    pub(super) _held: Socket,
}

/// The first thing that a client says.
#[derive(Debug)]
pub(super) enum Opening {
    Startup(Startup, Socket),
    Cancel(CancelCall),
}

/// Reads how a connection begins; encryption is refused with `N`.
pub(super) async fn read(mut socket: Socket) -> Result<Opening> {
    for _ in 0..REFUSALS_MAX {
        let mut body = socket.untagged().await.context("waiting for a StartupMessage")?;
        match body.try_get_u32()? {
            SSL_CODE | GSS_CODE => socket.write(b"N").await?,
            CANCEL_CODE => {
                let pid = body.try_get_u32()?;
                return Ok(Opening::Cancel(CancelCall { pid, key: body, _held: socket }));
            }
            version => {
                let parameters = parameters(body)?;
                return Ok(Opening::Startup(Startup { version, parameters }, socket));
            }
        }
    }
    bail!("the client asks for encryption again and again")
}

/// Names and values up to an empty name.
fn parameters(mut body: Bytes) -> Result<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    loop {
        let name = take_text(&mut body)?;
        if name.is_empty() {
            return Ok(parameters);
        }
        parameters.insert(name, take_text(&mut body)?);
    }
}
