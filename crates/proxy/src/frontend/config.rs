//! What logins need of the settings, built once for each load of them.

use std::sync::Arc;

use trunkline_settings::hba::{Connection, Decision, Interface, Method, Rules, Transport};
use trunkline_settings::{Settings, Tcp};

use super::handshake::Request;
use super::replication::Replication;
use crate::net::{Keepalive, Peer, TcpOptions};
use crate::tls::{ClientSide, TlsConfigError};

/// Settings in the form logins use. Replaced as a whole on reload; a login keeps the one it began with.
#[derive(Debug)]
pub struct LoginConfig {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: ClientSide,
    pub(super) tcp: TcpOptions,
    /// This machine's addresses; empty unless a rule looks at them.
    interfaces: Vec<Interface>,
}

impl LoginConfig {
    /// Builds it, reading nothing but the settings and, for `samehost` and `samenet` rules, the machine's
    /// addresses.
    pub fn new(settings: Arc<Settings>) -> Result<Self, TlsConfigError> {
        let tls = ClientSide::new(&settings.client_tls)?;
        let tcp = TcpOptions::from(&settings.tcp);
        let needed = settings.access.rules.as_ref().is_some_and(Rules::needs_interfaces);
        let interfaces = if needed { interfaces() } else { Vec::new() };
        Ok(Self { settings, tls, tcp, interfaces })
    }

    /// What the rules say about a client.
    pub(super) fn decide(&self, peer: &Peer, tls: bool, request: &Request) -> Decision {
        let Some(rules) = &self.settings.access.rules else {
            return Decision::Ask(Method::plain(self.settings.auth.method));
        };
        let transport = match peer {
            Peer::Unix { .. } => Transport::Local,
            Peer::Tcp(address) => {
                Transport::Tcp { address: address.ip(), interfaces: &self.interfaces }
            }
        };
        let replication = request.replication == Some(Replication::Physical);
        let (database, user) = (&request.database, &request.user);
        rules.decide(&Connection { transport, tls, database, user, replication })
    }
}

impl From<&Tcp> for TcpOptions {
    fn from(tcp: &Tcp) -> Self {
        let keepalive = tcp.keepalive.then_some(Keepalive {
            idle: tcp.keepalive_idle,
            interval: tcp.keepalive_interval,
            count: tcp.keepalive_count,
        });
        Self { keepalive, user_timeout: tcp.user_timeout }
    }
}

/// The machine's addresses. Where they cannot be read nothing is `samehost` or `samenet`, so that a rule
/// lets in less rather than more.
fn interfaces() -> Vec<Interface> {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine cannot be read");
        Vec::new()
    });
    found
        .into_iter()
        .map(|interface| Interface {
            address: interface.ip(),
            prefix: match interface.addr {
                if_addrs::IfAddr::V4(address) => address.prefixlen,
                if_addrs::IfAddr::V6(address) => address.prefixlen,
            },
        })
        .collect()
}
