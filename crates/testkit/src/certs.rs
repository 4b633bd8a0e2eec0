//! Certificates for tests: an authority, and what it signs for servers and clients.

use std::fmt;

/// A certificate chain with its private key, both as PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate, then those that signed it.
    pub chain: String,
    /// The authority whose clients are believed, if client certificates are wanted.
    pub authority: Option<String>,
    key: String,
}

impl Certificate {
    /// The private key (PKCS#8).
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("authority", &self.authority.is_some())
            .finish_non_exhaustive()
    }
}
