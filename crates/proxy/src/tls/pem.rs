//! Certificates and keys out of PEM files. No error quotes a file, which may hold a key.

use std::fmt;

use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use trunkline_settings::PemFile;

use super::config::TlsConfigError;

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Certificate chain and key, when both files are given.
pub(super) fn identity(
    certificate: Option<&PemFile>,
    key: Option<&PemFile>,
) -> Option<Result<Identity, TlsConfigError>> {
    let (certificate, key) = (certificate?, key?);
    Some(certificates(certificate).and_then(|chain| Ok((chain, private_key(key)?))))
}

pub(super) fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(file.pem.expose().as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(bad(file, "no certificate in it")),
        Err(error) => Err(bad(file, broken(&error))),
    }
}

pub(super) fn private_key(file: &PemFile) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let text = file.pem.expose();
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound if text.contains("ENCRYPTED PRIVATE KEY") => {
            bad(file, "the private key is encrypted, which is not supported")
        }
        pem::Error::NoItemsFound => bad(file, "no private key in it"),
        // The parser's own words may quote the file.
        _ => bad(file, "not a private key in PEM form"),
    })
}

/// The authorities of a file, and the file's certificates as they are.
pub(super) fn roots(
    file: &PemFile,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsConfigError> {
    let known = certificates(file)?;
    let mut roots = RootCertStore::empty();
    for (certificate, number) in known.iter().zip(1..) {
        roots.add(certificate.clone()).map_err(|error| unreadable(file, number, &error))?;
    }
    Ok((roots, known))
}

/// The error of a file.
pub(super) fn bad(file: &PemFile, problem: impl fmt::Display) -> TlsConfigError {
    TlsConfigError::File { path: file.path.clone(), problem: problem.to_string() }
}

/// The error of a file in which the certificate of this number, from 1, is none.
pub(super) fn unreadable(file: &PemFile, number: usize, error: &Error) -> TlsConfigError {
    bad(file, format_args!("certificate {number} of it cannot be read: {}", plain(error)))
}

/// What the library that verifies certificates calls one that is not of version 3.
const UNSUPPORTED_VERSION: &str = "UnsupportedCertVersion";

/// The words of rustls, or ours for what people meet.
pub(super) fn plain(error: &Error) -> String {
    match error {
        // Theirs speak of the peer's certificate.
        Error::InvalidCertificate(CertificateError::BadEncoding) => "its encoding is wrong".into(),
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string() == UNSUPPORTED_VERSION =>
        {
            "it is of version 1 of X.509; issue it with extensions, which makes it version 3".into()
        }
        Error::InvalidCertificate(kind) => format!("{kind:?}"),
        Error::General(words) => words.clone(),
        other => other.to_string(),
    }
}

/// What is wrong with the form of a file.
fn broken(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section of it has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line of it is malformed",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64",
        _ => "it is not in PEM form",
    }
}
