//! TLS towards clients and towards servers.

use std::path::PathBuf;

use crate::Secret;
use crate::choice::choice;
use crate::group::group;
use crate::hba::CertificateDemand;
use crate::value::{Field, Kind, Value};

choice! {
    /// What is asked of clients.
    pub enum ClientTlsMode {
        /// TLS is not offered.
        Disable = "disable",
        /// TLS is offered, not demanded.
        Allow = "allow",
        /// TLS is demanded.
        Require = "require",
        /// TLS and a client certificate of a known authority are demanded.
        VerifyCa = "verify-ca",
        /// As `verify-ca`, and the certificate's common name must be the user's name.
        VerifyFull = "verify-full",
    }
}

impl ClientTlsMode {
    /// Whether clients without TLS are refused.
    pub fn demands_tls(self) -> bool {
        self >= Self::Require
    }

    /// What is asked of a TCP client's certificate.
    pub fn certificate_demand(self) -> CertificateDemand {
        match self {
            Self::Disable | Self::Allow | Self::Require => CertificateDemand::Nothing,
            Self::VerifyCa => CertificateDemand::Authority,
            Self::VerifyFull => CertificateDemand::Full,
        }
    }

    /// Whether clients must show a certificate.
    pub fn demands_certificate(self) -> bool {
        self >= Self::VerifyCa
    }
}

choice! {
    /// What is asked of servers, in the words of libpq's `sslmode`.
    pub enum ServerTlsMode {
        /// TLS is not used.
        Disable = "disable",
        /// Without TLS first, with TLS if the server refuses that.
        Allow = "allow",
        /// With TLS if the server offers it.
        Prefer = "prefer",
        /// TLS is demanded; the certificate is not checked.
        Require = "require",
        /// The certificate must come from a known authority.
        VerifyCa = "verify-ca",
        /// As `verify-ca`, and the certificate must be for the node's host.
        VerifyFull = "verify-full",
    }
}

impl ServerTlsMode {
    /// Whether a connection without TLS is out of the question.
    pub fn demands_tls(self) -> bool {
        self >= Self::Require
    }

    /// Whether the server's certificate is checked against the authorities.
    pub fn verifies(self) -> bool {
        self >= Self::VerifyCa
    }
}

choice! {
    /// Versions of TLS.
    pub enum TlsVersion {
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

choice! {
    /// How TLS begins on a server connection, in the words of libpq's `sslnegotiation`.
    pub enum Negotiation {
        /// With PostgreSQL's `SSLRequest`.
        Postgres = "postgres",
        /// At once (PostgreSQL 17 and later).
        Direct = "direct",
    }
}

group! {
    /// TLS towards clients.
    pub struct ClientTls in "client_tls" {
        /// What is asked of clients over TCP: no TLS, TLS if they want, TLS, or TLS with a client certificate.
        pub mode: ClientTlsMode = ClientTlsMode::Disable
            => Kind::Word(ClientTlsMode::WORDS), NewConnections, "\"require\"";
        /// PEM file with our certificate and those between it and its authority.
        pub certificate: Option<PemFile> = None => Kind::Path, NewConnections, "\"server.crt\"";
        /// PEM file with the key of our certificate.
        pub key: Option<PemFile> = None => Kind::Path, NewConnections, "\"server.key\"";
        /// PEM file with the authorities that client certificates must come from.
        pub ca: Option<PemFile> = None => Kind::Path, NewConnections, "\"clients-ca.crt\"";
        /// Oldest version of TLS that is spoken.
        pub min_version: TlsVersion = TlsVersion::Tls12 => Kind::Word(TlsVersion::WORDS), NewConnections, "\"1.3\"";
    }
}

group! {
    /// TLS towards servers. It is not used over Unix sockets.
    pub struct ServerTls in "server_tls" {
        /// What is asked of servers, in the words of libpq's `sslmode`.
        pub mode: ServerTlsMode = ServerTlsMode::Prefer
            => Kind::Word(ServerTlsMode::WORDS), NewConnections, "\"verify-full\"";
        /// Authorities that server certificates must come from: a PEM file, or `"system"` for those of the
        /// operating system.
        pub ca: CaSource = CaSource::System => Kind::Path, NewConnections, "\"servers-ca.crt\"";
        /// PEM file with the certificate that we show to servers.
        pub certificate: Option<PemFile> = None => Kind::Path, NewConnections, "\"trunkline.crt\"";
        /// PEM file with the key of that certificate.
        pub key: Option<PemFile> = None => Kind::Path, NewConnections, "\"trunkline.key\"";
        /// The name that server certificates must have under `verify-full`, and that is sent as SNI.
        /// Not given: the host of the node.
        pub server_name: Option<String> = None => Kind::Text, NewConnections, "\"db.example.com\"";
        /// How TLS begins: after PostgreSQL's `SSLRequest`, or at once (PostgreSQL 17 and later).
        pub negotiation: Negotiation = Negotiation::Postgres
            => Kind::Word(Negotiation::WORDS), NewConnections, "\"direct\"";
    }
}

/// A PEM file as it was when the settings were loaded: a reload finds out when its content has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its content.
    pub pem: Secret,
}

impl PemFile {
    fn named(path: String) -> Self {
        Self { path: PathBuf::from(path), pem: Secret::default() }
    }

    fn shown(&self) -> Value {
        Value::File(self.path.display().to_string(), self.pem.clone())
    }
}

impl Field for Option<PemFile> {
    fn show(&self) -> Value {
        self.as_ref().map_or_else(|| Value::Text(String::new()), PemFile::shown)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let path = value.into_text()?;
        *self = (!path.is_empty()).then(|| PemFile::named(path));
        Ok(())
    }
}

/// Where trust in server certificates comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaSource {
    /// The operating system's list of authorities.
    System,
    /// The authorities of a PEM file.
    File(PemFile),
}

/// The word that stands for the operating system's list of authorities.
pub(crate) const SYSTEM_CA: &str = "system";

impl Field for CaSource {
    fn show(&self) -> Value {
        match self {
            Self::System => Value::Text(SYSTEM_CA.to_owned()),
            Self::File(file) => file.shown(),
        }
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        *self =
            match text.as_str() {
                "" => return Err(
                    "the path is empty; write \"system\" for the operating system's authorities"
                        .into(),
                ),
                SYSTEM_CA => Self::System,
                _ => Self::File(PemFile::named(text)),
            };
        Ok(())
    }
}
