//! rustls configurations from settings. A configuration is built whole or not at all, so that a reload with
//! a bad file changes nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use trunkline_settings::{
    CaSource, ClientTls, ClientTlsMode, Host, Negotiation, ServerTls, ServerTlsMode, TlsVersion,
};
use trunkline_wire::auth::EndPointHash;

use super::pem::{bad, identity, roots};
use super::trust::{Check, Trust};

/// The application protocol of PostgreSQL, demanded where TLS begins without an `SSLRequest`.
pub const ALPN: &[u8] = b"postgresql";

/// Why TLS cannot be set up as the settings ask.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The settings lack a file that the mode needs.
    #[error("{section}.{setting} is needed for mode \"{mode}\"")]
    Missing {
        /// `client_tls` or `server_tls`.
        section: &'static str,
        /// The missing setting.
        setting: &'static str,
        /// The mode that needs it.
        mode: &'static str,
    },
    /// A file does not hold what it should.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system's authorities cannot be read.
    #[error("the operating system's certificate authorities cannot be read: {0}")]
    System(String),
    /// rustls refuses the combination, for instance a key that is not the certificate's.
    #[error("{0}")]
    Refused(#[from] rustls::Error),
}

/// How clients are met: what is demanded, and with which certificate.
#[derive(Clone)]
pub struct ClientSide {
    /// What is demanded of clients over TCP.
    pub mode: ClientTlsMode,
    /// Our side of the handshake; `None` when TLS is not offered.
    pub acceptor: Option<Acceptor>,
}

/// Our side of a handshake with a client.
#[derive(Clone)]
pub struct Acceptor {
    /// For [`TlsCodec::server`](super::TlsCodec::server).
    pub config: Arc<ServerConfig>,
    /// The channel binding of our certificate, for SCRAM-SHA-256-PLUS.
    pub endpoint_hash: Option<EndPointHash>,
}

/// How servers are met.
#[derive(Clone)]
pub struct ServerSide {
    /// What is demanded of servers over TCP.
    pub mode: ServerTlsMode,
    /// How TLS begins.
    pub negotiation: Negotiation,
    /// Replaces the node's host as the name the certificate must have.
    pub server_name: Option<String>,
    /// For [`TlsCodec::client`](super::TlsCodec::client).
    pub config: Arc<ClientConfig>,
}

impl ClientSide {
    /// Builds the configuration for clients.
    pub fn new(settings: &ClientTls) -> Result<Self, TlsConfigError> {
        let mode = settings.mode;
        if mode == ClientTlsMode::Disable {
            return Ok(Self { mode, acceptor: None });
        }
        let missing =
            |setting| TlsConfigError::Missing { section: "client_tls", setting, mode: word(mode) };
        let (chain, key) = identity(settings.certificate.as_ref(), settings.key.as_ref())
            .ok_or_else(|| missing("certificate and client_tls.key"))??;
        let provider = provider();
        let verifier = match &settings.ca {
            None if mode.demands_certificate() => return Err(missing("ca")),
            None => WebPkiClientVerifier::no_client_auth(),
            Some(file) => {
                let roots = Arc::new(roots(file)?.0);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                // Without the demand a certificate is asked for, so that `cert` rules can be met.
                let verifier = if mode.demands_certificate() {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                verifier.build().map_err(|error| bad(file, error))?
            }
        };
        let leaf = chain.first();
        // A certificate that cannot be read here is refused with its reason below.
        let endpoint_hash = leaf.and_then(|leaf| EndPointHash::of_certificate(leaf).ok().flatten());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(settings.min_version))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // As PostgreSQL: no session is resumed, so that every connection proves itself anew.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { mode, acceptor: Some(Acceptor { config: Arc::new(config), endpoint_hash }) })
    }
}

impl ServerSide {
    /// Builds the configuration for servers.
    pub fn new(settings: &ServerTls) -> Result<Self, TlsConfigError> {
        let provider = provider();
        let check = match settings.mode {
            ServerTlsMode::VerifyFull => Check::AuthorityAndHost,
            ServerTlsMode::VerifyCa => Check::Authority,
            _ => Check::Nothing,
        };
        let (roots, known) = match (&settings.ca, check) {
            (_, Check::Nothing) => (RootCertStore::empty(), Vec::new()),
            (CaSource::File(file), _) => roots(file)?,
            (CaSource::System, _) => (system_roots()?, Vec::new()),
        };
        let trust = Trust { check, roots, known, provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(TlsVersion::Tls12))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let mut config = match identity(settings.certificate.as_ref(), settings.key.as_ref()) {
            None => builder.with_no_client_auth(),
            Some(found) => {
                let (chain, key) = found?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self {
            mode: settings.mode,
            negotiation: settings.negotiation,
            server_name: settings.server_name.clone(),
            config: Arc::new(config),
        })
    }

    /// The name a server's certificate is checked for, and that is sent as SNI; `None` for a host that can
    /// be no name in a certificate.
    pub fn name_for(&self, host: &Host) -> Option<ServerName<'static>> {
        if let Some(name) = &self.server_name {
            return ServerName::try_from(name.clone()).ok();
        }
        match host {
            Host::Name(name) => ServerName::try_from(name.clone()).ok(),
            Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
            Host::Socket(_) => None,
        }
    }
}

impl fmt::Debug for ClientSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSide").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSide").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// The cryptography is named here and nowhere else, so that another library in the process that installs a
/// default of its own cannot change ours.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static NEW_ONLY: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    static BOTH: [&SupportedProtocolVersion; 2] =
        [&rustls::version::TLS13, &rustls::version::TLS12];
    match oldest {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => &NEW_ONLY,
    }
}

fn word(mode: ClientTlsMode) -> &'static str {
    match mode {
        ClientTlsMode::Disable => "disable",
        ClientTlsMode::Allow => "allow",
        ClientTlsMode::Require => "require",
        ClientTlsMode::VerifyCa => "verify-ca",
        ClientTlsMode::VerifyFull => "verify-full",
    }
}

pub(super) fn system_roots() -> Result<RootCertStore, TlsConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A single odd certificate among a hundred is no reason to trust none of them.
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reason =
            found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(TlsConfigError::System(reason));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
