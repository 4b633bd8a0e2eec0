//! Opening a server connection: every address of the node, with and without TLS as the mode says.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};
use trunkline_settings::{Negotiation, ServerSecret, ServerTlsMode};
use trunkline_wire::SqlState;
use trunkline_wire::startup::{ProtocolVersion, ssl_request};

use super::KeyRing;
use super::dial::{Endpoint, NodeAddress, dial, io_failed, resolve};
use super::login::login;
use super::names::Names;
use super::verdict::refuse;
use crate::frontend::StartupParams;
use crate::handover::{Away, NewServer, OpenError};
use crate::net::{Channel, TcpOptions};
use crate::tls::{ALPN, ServerSide};

/// What to open: where, as whom, with which settings.
#[derive(Clone)]
pub struct OpenTarget {
    /// The node.
    pub address: NodeAddress,
    /// Who knows what its name means.
    pub names: Names,
    /// The database's name on the server.
    pub database: Arc<str>,
    /// The role on the server.
    pub user: Arc<str>,
    /// What the settings know to log in with.
    pub secret: ServerSecret,
    /// What logins and derivations have taught us; also told what the server refuses.
    pub ring: Arc<KeyRing>,
    /// What the server's session starts with.
    pub startup: StartupParams,
    /// How TLS is done with servers.
    pub tls: Arc<ServerSide>,
    /// The protocol to ask for; a server that does not know it negotiates down.
    pub protocol: ProtocolVersion,
    /// For everything together: looking up the name, all addresses, TLS and login.
    pub connect_timeout: Duration,
    /// Options for TCP sockets.
    pub tcp: TcpOptions,
    /// Whether a password may go in clear over a connection that is not encrypted.
    pub allow_cleartext: bool,
}

impl fmt::Debug for OpenTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTarget")
            .field("address", &self.address)
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Opens a connection and logs in. Answers once the server has said that it is ready.
pub async fn open(target: &OpenTarget) -> Result<NewServer, OpenError> {
    let start = Instant::now();
    let deadline = start.checked_add(target.connect_timeout).unwrap_or(start);
    let endpoints =
        resolve(&target.address, &target.names, deadline).await.map_err(OpenError::Away)?;
    let mut failure = Away::Timeout { address: target.address.to_string() };
    let mut left = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
    for endpoint in &endpoints {
        // One address that does not answer must not use up the time of those behind it.
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left.max(1);
        left = left.saturating_sub(1);
        match timeout_at(now + share, open_at(target, endpoint)).await {
            Ok(Ok(server)) => return Ok(server),
            // The next address of the same name may be a server that is better off.
            Ok(Err(OpenError::Away(away))) => failure = away,
            Ok(Err(error)) => return Err(error),
            Err(_) => failure = Away::Timeout { address: endpoint.to_string() },
        }
    }
    Err(OpenError::Away(failure))
}

/// How a connection is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Without a word about TLS.
    Plain,
    /// With TLS if the server offers it.
    TlsIfOffered,
    /// With TLS or not at all.
    Tls,
}

/// The way to try, and the one to try after it when it fails in a manner that encryption can cause.
fn ways(mode: ServerTlsMode, endpoint: &Endpoint) -> (Way, Option<Way>) {
    if matches!(endpoint, Endpoint::Unix(_)) {
        return (Way::Plain, None);
    }
    match mode {
        ServerTlsMode::Disable => (Way::Plain, None),
        ServerTlsMode::Allow => (Way::Plain, Some(Way::Tls)),
        ServerTlsMode::Prefer => (Way::TlsIfOffered, Some(Way::Plain)),
        ServerTlsMode::Require | ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull => {
            (Way::Tls, None)
        }
    }
}

async fn open_at(target: &OpenTarget, endpoint: &Endpoint) -> Result<NewServer, OpenError> {
    let (first, second) = ways(target.tls.mode, endpoint);
    match (attempt(target, endpoint, first).await, second) {
        (Err(error), Some(second)) if encryption_may_be_why(&error) => {
            attempt(target, endpoint, second).await
        }
        (result, _) => result,
    }
}

/// As libpq with `allow` and `prefer`: a failed handshake, or the server's rules forbidding this kind of
/// connection. A wrong password is wrong either way.
fn encryption_may_be_why(error: &OpenError) -> bool {
    match error {
        OpenError::Final(report) => report.code == SqlState::INVALID_AUTHORIZATION,
        OpenError::Away(Away::Tls { .. }) => true,
        _ => false,
    }
}

async fn attempt(
    target: &OpenTarget,
    endpoint: &Endpoint,
    way: Way,
) -> Result<NewServer, OpenError> {
    let lost = |error: io::Error| OpenError::Away(io_failed(endpoint, &error));
    let socket = dial(endpoint, &target.tcp).await.map_err(lost)?;
    let mut channel = Channel::new(socket);
    if way != Way::Plain {
        start_tls(&mut channel, &target.tls, &target.address, endpoint, way).await?;
    }
    login(channel, target, endpoint).await
}

/// Brings TLS up on a fresh connection, or finds that the server does not offer it.
pub(super) async fn start_tls(
    channel: &mut Channel,
    tls: &ServerSide,
    address: &NodeAddress,
    endpoint: &Endpoint,
    way: Way,
) -> Result<(), OpenError> {
    let lost = |error: io::Error| OpenError::Away(io_failed(endpoint, &error));
    let direct = tls.negotiation == Negotiation::Direct;
    if !direct && !is_offered(channel, endpoint).await? {
        return match way {
            Way::Tls => Err(refuse(
                &format!("server at {endpoint} does not support SSL, but SSL was required"),
                "Enable ssl on the server, or lower server_tls.mode.",
            )),
            Way::Plain | Way::TlsIfOffered => Ok(()),
        };
    }
    let name = tls.name_for(&address.host).ok_or_else(|| {
        refuse(
            &format!("\"{}\" cannot be the name in a server's certificate", address.host),
            "Set server_tls.server_name.",
        )
    })?;
    match channel.connect_tls(Arc::clone(&tls.config), name).await {
        Ok(()) if direct && channel.tls().and_then(|tls| tls.alpn()) != Some(ALPN) => Err(refuse(
            &format!("server at {endpoint} accepted direct SSL connection without ALPN"),
            "Set server_tls.negotiation to \"postgres\" unless this is PostgreSQL 17 or later.",
        )),
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(OpenError::Away(Away::Tls {
                address: endpoint.to_string(),
                reason: error.to_string(),
            }))
        }
        Err(error) => Err(lost(error)),
    }
}

/// Asks whether the server does TLS.
async fn is_offered(channel: &mut Channel, endpoint: &Endpoint) -> Result<bool, OpenError> {
    let lost = |error: io::Error| OpenError::Away(io_failed(endpoint, &error));
    let mut question = BytesMut::new();
    ssl_request(&mut question);
    channel.send(&question).await.map_err(lost)?;
    if channel.fill().await.map_err(lost)? == 0 {
        return Err(lost(io::ErrorKind::UnexpectedEof.into()));
    }
    let answer = channel.received().split();
    match answer.first() {
        // Anything behind the answer was not protected by the handshake, and would be taken for the
        // server's words after it (CVE-2021-23222).
        Some(b'S') if answer.len() == 1 => Ok(true),
        Some(b'N') if answer.len() == 1 => Ok(false),
        // A server that is out of processes answers with an error in place of the letter. It is not
        // authenticated, so its words are not passed on (CVE-2024-10977).
        Some(b'E') => Err(OpenError::Away(Away::Protocol {
            address: endpoint.to_string(),
            reason: "server sent an error response during SSL exchange".to_owned(),
        })),
        _ => Err(OpenError::Away(Away::Protocol {
            address: endpoint.to_string(),
            reason: "received invalid response to SSL negotiation".to_owned(),
        })),
    }
}
