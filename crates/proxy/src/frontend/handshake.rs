//! What a client says before it says who it is: questions about encryption, a cancel request, or the
//! startup packet (`ProcessStartupPacket` in `src/backend/tcop/backend_startup.c`).

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use trunkline_wire::SqlState;
use trunkline_wire::startup::{self, Opening, ProtocolVersion, Startup, StartupError, negotiate};

use super::config::LoginConfig;
use super::params::{APPLICATION_NAME, OptionsError, StartupParams};
use super::refusal::{Ended, Refusal};
use super::replication::{self, REPLICATION, Replication};
use crate::net::{Channel, Peer};
use crate::tls::ALPN;

/// What the client came for.
#[derive(Debug)]
pub(super) enum Greeting {
    /// To cancel a statement. There is no answer.
    Cancel { pid: i32, key: Box<[u8]> },
    /// To log in.
    Login(Box<Request>),
}

/// A startup packet that has been understood.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) user: Arc<str>,
    pub(super) database: Arc<str>,
    pub(super) params: StartupParams,
    /// Whether it wants a connection of its own to a server, which sends what is replicated.
    pub(super) replication: Option<Replication>,
    /// Something in its `options` cannot be followed. It is told when it has proved who it is.
    pub(super) fault: Option<OptionsError>,
    pub(super) protocol: ProtocolVersion,
    /// Messages that go out in front of the first one of the authentication.
    pub(super) preface: BytesMut,
}

/// Answers the client's questions until it says what it came for.
pub(super) async fn greet(
    channel: &mut Channel,
    peer: &Peer,
    config: &LoginConfig,
) -> Result<Greeting, Ended> {
    // Each question may be asked once, as in PostgreSQL: a client cannot keep us busy with them.
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        match read_opening(channel).await? {
            Asked::Tls if !asked_tls => {
                asked_tls = true;
                answer_tls(channel, peer, config).await?;
            }
            Asked::Gss if !asked_gss => {
                asked_gss = true;
                channel.send(b"N").await?;
            }
            Asked::Tls => return Err(unsupported(ProtocolVersion { major: 1234, minor: 5679 })),
            Asked::Gss => return Err(unsupported(ProtocolVersion { major: 1234, minor: 5680 })),
            Asked::DirectTls if !asked_tls && !asked_gss && channel.tls().is_none() => {
                start_direct_tls(channel, peer, config).await?;
                asked_tls = true;
            }
            Asked::DirectTls => return Err(Ended::Silently("TLS inside a session".to_owned())),
            Asked::Session(Greeting::Login(request)) => {
                check_encryption(channel, peer, config)?;
                return Ok(Greeting::Login(request));
            }
            Asked::Session(greeting) => return Ok(greeting),
        }
    }
}

/// One packet, taken out of the buffer.
enum Asked {
    Tls,
    Gss,
    DirectTls,
    Session(Greeting),
}

async fn read_opening(channel: &mut Channel) -> Result<Asked, Ended> {
    // A packet is bounded by the parser, so the buffer cannot grow beyond one packet and one read.
    while startup::parse(channel.received()).map_err(not_a_packet)?.is_none() {
        if channel.fill().await? == 0 {
            return Err(Ended::Silently("the client left before it said anything".to_owned()));
        }
    }
    let received = channel.received();
    let Some((opening, taken)) = startup::parse(received).map_err(not_a_packet)? else {
        return Err(Ended::Silently("the packet is not whole".to_owned()));
    };
    let asked = match opening {
        Opening::SslRequest => Asked::Tls,
        Opening::GssEncRequest => Asked::Gss,
        Opening::DirectTls => Asked::DirectTls,
        Opening::Cancel(cancel) => {
            Asked::Session(Greeting::Cancel { pid: cancel.pid, key: cancel.key.into() })
        }
        Opening::Startup(packet) => Asked::Session(Greeting::Login(understand(&packet)?.into())),
    };
    received.advance(taken);
    Ok(asked)
}

fn not_a_packet(error: StartupError) -> Ended {
    if error.is_told() {
        Refusal::new(error.sqlstate(), error.to_string()).into()
    } else {
        Ended::Silently(error.to_string())
    }
}

async fn answer_tls(channel: &mut Channel, peer: &Peer, config: &LoginConfig) -> Result<(), Ended> {
    let (Some(acceptor), Peer::Tcp(_)) = (&config.tls.acceptor, peer) else {
        return Ok(channel.send(b"N").await?);
    };
    if !channel.received().is_empty() {
        // What follows the question was not encrypted, and would count as if it had been (CVE-2021-23222).
        let mut refusal = Refusal::new(
            SqlState::PROTOCOL_VIOLATION,
            "received unencrypted data after SSL request",
        );
        refusal.detail = Some(
            "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."
                .to_owned(),
        );
        return Err(refusal.into());
    }
    channel.send(b"S").await?;
    channel.accept_tls(Arc::clone(&acceptor.config)).await.map_err(not_tls)
}

async fn start_direct_tls(
    channel: &mut Channel,
    peer: &Peer,
    config: &LoginConfig,
) -> Result<(), Ended> {
    let (Some(acceptor), Peer::Tcp(_)) = (&config.tls.acceptor, peer) else {
        return Err(Ended::WithoutTls("TLS is not offered here".to_owned()));
    };
    channel.accept_tls(Arc::clone(&acceptor.config)).await.map_err(not_tls)?;
    // Without it, a request meant for another protocol's server could be replayed here (ALPACA).
    if channel.tls().and_then(|tls| tls.alpn()) != Some(ALPN) {
        let reason = "it began at once and without the protocol name postgresql";
        return Err(Ended::WithoutTls(reason.to_owned()));
    }
    Ok(())
}

/// A client that leaves in the middle is like any other that leaves; everything else is a refusal, by either side.
fn not_tls(error: io::Error) -> Ended {
    if error.kind() == io::ErrorKind::InvalidData {
        Ended::WithoutTls(error.to_string())
    } else {
        error.into()
    }
}

fn check_encryption(channel: &Channel, peer: &Peer, config: &LoginConfig) -> Result<(), Ended> {
    let remote = matches!(peer, Peer::Tcp(_));
    if remote && config.tls.mode.demands_tls() && channel.tls().is_none() {
        return Err(Refusal::new(SqlState::INVALID_AUTHORIZATION, "SSL connection is required")
            .with_hint("Set sslmode=require or stronger in the client.")
            .into());
    }
    Ok(())
}

fn unsupported(version: ProtocolVersion) -> Ended {
    let error = startup::UnsupportedProtocol(version);
    let mut refusal = Refusal::new(error.sqlstate(), error.to_string());
    refusal.in_old_form = version.major < ProtocolVersion::V3_0.major;
    refusal.into()
}

fn understand(packet: &Startup<'_>) -> Result<Request, Ended> {
    let (protocol, negotiation) =
        negotiate(packet.version, packet.protocol_options().map(|(name, _)| name))
            .map_err(|error| unsupported(error.0))?;
    let mut preface = BytesMut::new();
    if let Some(negotiation) = negotiation {
        negotiation.write(&mut preface);
    }
    let user = packet.user().ok_or_else(|| {
        Refusal::new(
            SqlState::INVALID_AUTHORIZATION,
            "no PostgreSQL user name specified in startup packet",
        )
    })?;
    let user = text(user)?;
    let database = packet.database().map_or(Ok(user), text)?;
    let asked = packet.params().filter(|(name, _)| *name == REPLICATION);
    let asked = asked.map(|(_, value)| text(value)).collect::<Result<Vec<_>, Ended>>()?;
    let replication = replication::asked_for(asked.into_iter())?;
    let named = |name: &[u8]| name.eq_ignore_ascii_case(APPLICATION_NAME.as_bytes());
    let params = packet
        .params()
        .filter(|(name, _)| !matches!(*name, b"user" | b"database" | REPLICATION) && !named(name))
        .map(|(name, value)| Ok((text(name)?, text(value)?)))
        .collect::<Result<Vec<_>, Ended>>()?;
    let (mut params, fault) = match StartupParams::new(params.iter().copied()) {
        // The server looks at them itself.
        _ if replication.is_some() => (StartupParams::verbatim(&params), None),
        Ok(params) => (params, None),
        Err(fault) => (StartupParams::default(), Some(fault)),
    };
    if let Some((_, name)) = packet.params().filter(|(name, _)| named(name)).last() {
        params.set_application_name(name);
    }
    let (user, database) = (Arc::from(user), Arc::from(database));
    Ok(Request { user, database, params, replication, fault, protocol, preface })
}

fn text(bytes: &[u8]) -> Result<&str, Ended> {
    std::str::from_utf8(bytes).map_err(|_| {
        let message = "invalid byte sequence for encoding \"UTF8\" in startup packet";
        Refusal::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message).into()
    })
}
