//! TLS of the raw client.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certs::{Authority, Certificate};
use crate::wait::PATIENCE;

/// The protocol name that direct TLS must offer (PostgreSQL manual, 55.2.11).
pub const POSTGRESQL_ALPN: &[u8] = b"postgresql";

/// What a client shows and expects in a TLS handshake.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    /// Who must have signed the server's certificate.
    pub authority: &'a Authority,
    /// The name or address that it must have; also sent as SNI if it is a name.
    pub server_name: &'a str,
    /// What to show to a server that asks.
    pub certificate: Option<&'a Certificate>,
    /// The protocols to offer (ALPN); none for most clients that ask by `SSLRequest`.
    pub protocols: &'a [&'a [u8]],
}

impl<'a> Tls<'a> {
    /// No certificate and no protocols.
    pub fn new(authority: &'a Authority, server_name: &'a str) -> Self {
        Self { authority, server_name, certificate: None, protocols: &[] }
    }

    /// Does the handshake.
    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.server_name.to_owned())
            .with_context(|| format!("{} is no server name", self.server_name))?;
        let connector = TlsConnector::from(Arc::new(self.config()?));
        let handshake = timeout(PATIENCE, connector.connect(name, stream)).await;
        handshake.context("the TLS handshake does not end")?.context("the TLS handshake fails")
    }

    fn config(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes())?],
                PrivateKeyDer::from_pem_slice(certificate.key().as_bytes())?,
            )?,
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

/// What `tls-server-end-point` binds to (RFC 5929): the SHA-256 of the server's certificate, for
/// the certificates of [`crate::certs`] are signed with SHA-256.
pub(super) fn end_point(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    Some(Sha256::digest(certificate).to_vec())
}
