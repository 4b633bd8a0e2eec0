//! The channel binding `tls-server-end-point` (RFC 5929, section 4): a hash of the server's certificate.

use std::fmt;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier};
use x509_cert::der::{self, Decode as _, Reader as _, SliceReader, TagNumber};
use x509_cert::spki::AlgorithmIdentifierRef;

/// The hash a login is bound to. Not a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EndPointHash(Box<[u8]>);

/// A certificate that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a DER-encoded X.509 certificate")]
pub struct CertificateError;

impl EndPointHash {
    /// The hash of a DER-encoded certificate, made with the hash function the certificate is signed with;
    /// SHA-256 in place of MD5 and SHA-1. `None` when its signature has no hash function of its own
    /// (Ed25519, Ed448) or one that is not known here: such a connection cannot be bound.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn of_certificate(certificate: &[u8]) -> Result<Option<Self>, CertificateError> {
        let signature = signature_algorithm(certificate).map_err(|_| CertificateError)?;
        let hash = match hash_of(&signature) {
            Some(Hash::Sha224) => Sha224::digest(certificate).as_slice().into(),
            Some(Hash::Sha256) => Sha256::digest(certificate).as_slice().into(),
            Some(Hash::Sha384) => Sha384::digest(certificate).as_slice().into(),
            Some(Hash::Sha512) => Sha512::digest(certificate).as_slice().into(),
            None => return Ok(None),
        };
        Ok(Some(Self(hash)))
    }

    /// The hash: 28 to 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EndPointHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndPointHash({} bytes)", self.0.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Reads no more of a certificate than has to be read: what stands inside its first part does not matter
/// here, and odd certificates should not be locked out for it.
fn signature_algorithm(certificate: &[u8]) -> der::Result<AlgorithmIdentifierRef<'_>> {
    let mut reader = SliceReader::new(certificate)?;
    let algorithm = reader.sequence(|inner| {
        AnyRef::decode(inner)?;
        let algorithm = AlgorithmIdentifierRef::decode(inner)?;
        BitStringRef::decode(inner)?;
        Ok::<_, der::Error>(algorithm)
    })?;
    reader.finish()?;
    Ok(algorithm)
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// RSASSA-PSS, which names its hash function in its parameters (RFC 4055).
const RSASSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");

/// Signature algorithms and the hash to bind with: their own, or SHA-256 where RFC 5929 says so.
const SIGNATURES: [(ObjectIdentifier, Hash); 14] = [
    // RSA with MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512 (RFC 8017).
    (oid("1.2.840.113549.1.1.4"), Hash::Sha256),
    (oid("1.2.840.113549.1.1.5"), Hash::Sha256),
    (oid("1.2.840.113549.1.1.14"), Hash::Sha224),
    (oid("1.2.840.113549.1.1.11"), Hash::Sha256),
    (oid("1.2.840.113549.1.1.12"), Hash::Sha384),
    (oid("1.2.840.113549.1.1.13"), Hash::Sha512),
    // ECDSA with SHA-1 and the others (RFC 5758).
    (oid("1.2.840.10045.4.1"), Hash::Sha256),
    (oid("1.2.840.10045.4.3.1"), Hash::Sha224),
    (oid("1.2.840.10045.4.3.2"), Hash::Sha256),
    (oid("1.2.840.10045.4.3.3"), Hash::Sha384),
    (oid("1.2.840.10045.4.3.4"), Hash::Sha512),
    // DSA with SHA-1, SHA-224, SHA-256 (RFC 5758).
    (oid("1.2.840.10040.4.3"), Hash::Sha256),
    (oid("2.16.840.1.101.3.4.3.1"), Hash::Sha224),
    (oid("2.16.840.1.101.3.4.3.2"), Hash::Sha256),
];

/// Hash functions by themselves (RFC 4055, section 2.1), and the hash to bind with.
const HASHES: [(ObjectIdentifier, Hash); 5] = [
    (oid("1.3.14.3.2.26"), Hash::Sha256),
    (oid("2.16.840.1.101.3.4.2.4"), Hash::Sha224),
    (oid("2.16.840.1.101.3.4.2.1"), Hash::Sha256),
    (oid("2.16.840.1.101.3.4.2.2"), Hash::Sha384),
    (oid("2.16.840.1.101.3.4.2.3"), Hash::Sha512),
];

fn hash_of(signature: &AlgorithmIdentifierRef<'_>) -> Option<Hash> {
    if signature.oid == RSASSA_PSS {
        return pss_hash(signature.parameters);
    }
    look_up(&SIGNATURES, signature.oid)
}

fn look_up(known: &[(ObjectIdentifier, Hash)], wanted: ObjectIdentifier) -> Option<Hash> {
    known.iter().find(|(oid, _)| *oid == wanted).map(|(_, hash)| *hash)
}

/// The hash function in RSASSA-PSS parameters, where none means SHA-1 (RFC 4055, section 3.1).
fn pss_hash(parameters: Option<AnyRef<'_>>) -> Option<Hash> {
    let Some(parameters) = parameters else { return Some(Hash::Sha256) };
    let hash = parameters
        .sequence(|inner| {
            let hash = ContextSpecific::<AlgorithmIdentifierRef<'_>>::decode_explicit(
                inner,
                TagNumber(0),
            )?;
            // Mask function, salt length and trailer do not matter here.
            while !inner.is_finished() {
                AnyRef::decode(inner)?;
            }
            Ok::<_, der::Error>(hash)
        })
        .ok()?;
    hash.map_or(Some(Hash::Sha256), |hash| look_up(&HASHES, hash.value.oid))
}

#[cfg(test)]
mod tests;
