//! Certificates for tests: an authority, and what it signs for servers and clients.
//!
//! ```
//! # fn example() -> trunkline_testkit::Result<()> {
//! use trunkline_testkit::certs::Authority;
//!
//! let authority = Authority::new("Test Authority")?;
//! let server = authority.server(&["localhost", "127.0.0.1"])?;
//! let directory = tempfile::tempdir()?;
//! let files = server.write_to(directory.path(), "server")?;
//! assert!(files.key.ends_with("server.key"));
//! # Ok(())
//! # }
//! # example().unwrap();
//! ```

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Who signs. Two authorities with the same name are still two: they have different keys.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named(name);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate as PEM, for those who are to believe it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes [`Self::pem`] to `<directory>/<name>.crt` and tells the path.
    pub fn write_to(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        let path = directory.join(format!("{name}.crt"));
        fs::write(&path, &self.pem).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// A certificate for a server with these names and addresses; the first one is also its
    /// common name.
    pub fn server(&self, names: &[&str]) -> Result<Certificate> {
        self.sign(&server_params(names)?)
    }

    /// The same, but valid for the year 2001 only.
    pub fn expired_server(&self, names: &[&str]) -> Result<Certificate> {
        let mut params = server_params(names)?;
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2001, 12, 31);
        self.sign(&params)
    }

    /// A certificate for a client whose common name is `user` (method `cert` of `pg_hba.conf`).
    pub fn client(&self, user: &str) -> Result<Certificate> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Certificate { pem: certificate.pem(), key: key.serialize_pem() })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("pem", &self.pem).finish_non_exhaustive()
    }
}

/// A certificate with its private key, both as PEM.
#[derive(Clone)]
pub struct Certificate {
    pem: String,
    key: String,
}

impl Certificate {
    /// The certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The private key (PKCS#8).
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Writes `<directory>/<name>.crt` and `<name>.key`; the key can be read by its owner only,
    /// or libpq and PostgreSQL would refuse it.
    pub fn write_to(&self, directory: &Path, name: &str) -> Result<CertificateFiles> {
        let files = CertificateFiles {
            certificate: directory.join(format!("{name}.crt")),
            key: directory.join(format!("{name}.key")),
        };
        let failed = || format!("cannot write {} in {}", name, directory.display());
        fs::write(&files.certificate, &self.pem).with_context(failed)?;
        fs::write(&files.key, &self.key).with_context(failed)?;
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).with_context(failed)?;
        Ok(files)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("pem", &self.pem).finish_non_exhaustive()
    }
}

/// Where [`Certificate::write_to`] has put them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

fn server_params(names: &[&str]) -> Result<CertificateParams> {
    let mut params =
        CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name = named(names.first().context("a server needs a name")?);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
