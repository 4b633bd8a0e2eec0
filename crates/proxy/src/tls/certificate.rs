//! What has to be read out of a certificate: whom it names, its key and its dates.

use rustls_pki_types::{CertificateDer, ServerName};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The common name. `None` when there is none, more than one, or one that is not a plain string.
    pub common_name: Option<String>,
    /// The whole name in the form of RFC 4514 (`CN=alice,O=Example`), as `clientname=DN` compares it.
    pub distinguished_name: String,
}

impl Subject {
    /// Reads a certificate; `None` when it is no X.509.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = Certificate::from_der(certificate).ok()?;
        let name = parsed.tbs_certificate().subject();
        let mut common_names = name.iter().filter(|part| part.oid == COMMON_NAME);
        // Two common names are two answers to "who is it?", which is none.
        let common_name = match (common_names.next(), common_names.next()) {
            (Some(only), None) => text(only.value.value()),
            _ => None,
        };
        Some(Self { common_name, distinguished_name: name.to_string() })
    }
}

/// The string in a certificate attribute. A NUL in it has fooled many readers, so it is refused.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.contains('\0')).then(|| text.to_owned())
}

/// Whether the common name of a certificate that has no alternative names at all is `name`, as libpq takes
/// it (documentation of `sslmode`): case does not count, and a `*` stands for the first label.
pub(super) fn common_name_fits(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(parsed) = Certificate::from_der(certificate) else { return false };
    let alternatives = parsed.tbs_certificate().get_extension::<SubjectAltName>();
    let names_hosts =
        |name: &GeneralName| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
    if !matches!(&alternatives, Ok(found)
        if !found.as_ref().is_some_and(|(_, names)| names.0.iter().any(names_hosts)))
    {
        return false;
    }
    let Some(common_name) = Subject::of(certificate).and_then(|subject| subject.common_name) else {
        return false;
    };
    let host = name.to_str();
    if common_name.eq_ignore_ascii_case(&host) {
        return true;
    }
    let (ServerName::DnsName(_), Some(suffix)) = (name, common_name.strip_prefix("*.")) else {
        return false;
    };
    host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix))
}

/// The public key of a certificate, as `SubjectPublicKeyInfo`.
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    parsed.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// Whether `now` (seconds since 1970) lies within the certificate's validity.
pub(super) fn is_valid_at(certificate: &CertificateDer<'_>, now: u64) -> bool {
    let Ok(parsed) = Certificate::from_der(certificate) else { return false };
    let validity = parsed.tbs_certificate().validity();
    let (from, until) = (validity.not_before, validity.not_after);
    (from.to_unix_duration().as_secs()..=until.to_unix_duration().as_secs()).contains(&now)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[&str], subject: &[(DnType, &str)]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_subject_is_read_in_the_order_hba_rules_compare() {
        let made = certificate(
            &[],
            &[(DnType::OrganizationName, "Example, Inc"), (DnType::CommonName, "alice")],
        );
        let subject = Subject::of(&made).unwrap();
        assert_eq!(subject.common_name.as_deref(), Some("alice"));
        assert_eq!(subject.distinguished_name, r"CN=alice,O=Example\, Inc");
        assert_eq!(Subject::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn a_common_name_counts_only_without_alternative_names() {
        let fits = |certificate: &CertificateDer<'_>, name: &'static str| {
            common_name_fits(certificate, &ServerName::try_from(name).unwrap())
        };
        let plain = certificate(&[], &[(DnType::CommonName, "Db.Example.com")]);
        assert!(fits(&plain, "db.example.com") && !fits(&plain, "other.example.com"));
        let wild = certificate(&[], &[(DnType::CommonName, "*.example.com")]);
        assert!(fits(&wild, "db.example.com"));
        assert!(!fits(&wild, "a.db.example.com") && !fits(&wild, "example.com"));
        let named = certificate(&["real.example.com"], &[(DnType::CommonName, "db.example.com")]);
        assert!(!fits(&named, "db.example.com"));
        let address = certificate(&[], &[(DnType::CommonName, "127.0.0.1")]);
        assert!(fits(&address, "127.0.0.1"));
    }
}
