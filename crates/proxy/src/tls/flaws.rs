//! What is wrong with the TLS files of settings: found when they are loaded, so that a start with them is refused
//! like any other mistake, and a reload changes nothing.

use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::{CertificateDer, ServerName};
use trunkline_settings::{CaSource, Flaw, PemFile, Settings};

use super::config::{ClientSide, ServerSide, TlsConfigError, provider, system_roots};
use super::pem::{bad, certificates, plain, private_key, roots, unreadable};

/// Every flaw of the files in `[client_tls]` and `[server_tls]`, also where the mode makes no use of them. A file that
/// is empty here could not be read, which is known already.
pub fn flaws(settings: &Settings) -> Vec<Flaw> {
    let mut finder = Finder { provider: &provider(), found: Vec::new() };
    let client = &settings.client_tls;
    let paths = ["client_tls.certificate", "client_tls.key"];
    finder.identity(paths, client.certificate.as_ref(), client.key.as_ref());
    finder.authorities("client_tls.ca", client.ca.as_ref());
    let server = &settings.server_tls;
    let paths = ["server_tls.certificate", "server_tls.key"];
    finder.identity(paths, server.certificate.as_ref(), server.key.as_ref());
    match &server.ca {
        CaSource::File(file) => finder.authorities("server_tls.ca", Some(file)),
        CaSource::System if server.mode.verifies() => {
            finder.note("server_tls.ca", system_roots().err());
        }
        CaSource::System => {}
    }
    if let Some(name) = &server.server_name
        && ServerName::try_from(name.as_str()).is_err()
    {
        finder.note("server_tls.server_name", Some("no certificate can have this name"));
    }
    if finder.found.is_empty() && is_complete(settings) {
        // Nothing is left that should fail; if it does, a start with these settings would.
        finder.note("client_tls.mode", ClientSide::new(client).err());
        finder.note("server_tls.mode", ServerSide::new(server).err());
    }
    finder.found
}

/// Whether every file that is named has been read, and none is missing.
fn is_complete(settings: &Settings) -> bool {
    let (client, server) = (&settings.client_tls, &settings.server_tls);
    let server_ca = match &server.ca {
        CaSource::File(file) => Some(file),
        CaSource::System => None,
    };
    let named = [&client.certificate, &client.key, &client.ca, &server.certificate, &server.key];
    let mut files = named.into_iter().flatten().chain(server_ca);
    let offers = client.mode != trunkline_settings::ClientTlsMode::Disable;
    let identified = client.certificate.is_some() && client.key.is_some();
    let anchored = client.ca.is_some() || !client.mode.demands_certificate();
    files.all(is_read) && (!offers || identified && anchored)
}

fn is_read(file: &PemFile) -> bool {
    !file.pem.expose().is_empty()
}

struct Finder<'a> {
    provider: &'a CryptoProvider,
    found: Vec<Flaw>,
}

impl Finder<'_> {
    fn note(&mut self, setting: &'static str, problem: Option<impl ToString>) {
        self.found.extend(problem.map(|problem| Flaw { setting, message: problem.to_string() }));
    }

    /// What a result holds, or a flaw.
    fn take<T, E: ToString>(&mut self, setting: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.note(setting, Some(error))).ok()
    }

    /// A certificate with its chain, its key, and whether they belong together.
    fn identity(
        &mut self,
        [certificate_path, key_path]: [&'static str; 2],
        certificate: Option<&PemFile>,
        key: Option<&PemFile>,
    ) {
        let certificate = certificate.filter(|file| is_read(file));
        let key = key.filter(|file| is_read(file));
        let chain = certificate.and_then(|file| {
            let found = self.take(certificate_path, certificates(file))?;
            self.take(certificate_path, chain(file, &found)).map(|()| found)
        });
        let signing = key.and_then(|file| {
            let der = self.take(key_path, private_key(file))?;
            let loaded = self.provider.key_provider.load_private_key(der);
            let of_file =
                |error| bad(file, format_args!("the key cannot be used: {}", plain(&error)));
            self.take(key_path, loaded.map_err(of_file))
        });
        let (Some(chain), Some(signing)) = (chain, signing) else { return };
        let (Some(certificate), Some(key)) = (certificate, key) else { return };
        match CertifiedKey::new(chain, signing).keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let problem = format!(
                    "{}: this is not the key of the certificate in {}",
                    shown(key),
                    shown(certificate)
                );
                self.note(key_path, Some(problem));
            }
        }
    }

    fn authorities(&mut self, path: &'static str, file: Option<&PemFile>) {
        if let Some(file) = file.filter(|file| is_read(file)) {
            self.take(path, roots(file));
        }
    }
}

/// Whether every certificate of a chain is one.
fn chain(file: &PemFile, chain: &[CertificateDer<'_>]) -> Result<(), TlsConfigError> {
    for (certificate, number) in chain.iter().zip(1..) {
        ParsedCertificate::try_from(certificate)
            .map_err(|error| unreadable(file, number, &error))?;
    }
    Ok(())
}

fn shown(file: &PemFile) -> String {
    file.path.display().to_string()
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use trunkline_settings::{ClientTlsMode, Secret, ServerTlsMode};

    use super::*;

    fn file(path: &str, pem: &str) -> PemFile {
        PemFile { path: path.into(), pem: Secret::new(pem) }
    }

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let mut params = CertificateParams::new(vec!["db.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// Settings in which every file is sound.
    fn sound() -> Settings {
        let (certificate, key) = pair();
        let mut settings = Settings::default();
        settings.client_tls.mode = ClientTlsMode::VerifyFull;
        settings.client_tls.certificate = Some(file("c.crt", &certificate));
        settings.client_tls.key = Some(file("c.key", &key));
        settings.client_tls.ca = Some(file("c.ca", &certificate));
        settings.server_tls.mode = ServerTlsMode::VerifyFull;
        settings.server_tls.certificate = Some(file("s.crt", &certificate));
        settings.server_tls.key = Some(file("s.key", &key));
        settings.server_tls.ca = CaSource::File(file("s.ca", &certificate));
        settings
    }

    fn found(spoil: impl FnOnce(&mut Settings)) -> Vec<(&'static str, String)> {
        let mut settings = sound();
        spoil(&mut settings);
        flaws(&settings).into_iter().map(|flaw| (flaw.setting, flaw.message)).collect()
    }

    /// A section whose body is base64 of something else.
    fn garbage(label: &str) -> String {
        format!("-----BEGIN {label}-----\naHVudGVyMg==\n-----END {label}-----\n")
    }

    #[test]
    fn sound_files_have_no_flaw() {
        assert_eq!(found(|_| {}), []);
        assert_eq!(flaws(&Settings::default()), []);
    }

    #[test]
    fn a_key_of_another_certificate_is_named_with_both_files() {
        let (_, other) = pair();
        let seen = found(|settings| {
            settings.client_tls.key = Some(file("c.key", &other));
            settings.server_tls.key = Some(file("s.key", &other));
        });
        let message = |side: &str| {
            format!("{side}.key: this is not the key of the certificate in {side}.crt")
        };
        assert_eq!(seen, [("client_tls.key", message("c")), ("server_tls.key", message("s"))]);
    }

    #[test]
    fn every_file_with_garbage_in_it_is_named() {
        for label in ["CERTIFICATE", "PRIVATE KEY"] {
            for body in [garbage(label), garbage(label).replace("aHVudGVyMg==", "hunter2 §")] {
                let seen = found(|settings| {
                    let (client, server) = (&mut settings.client_tls, &mut settings.server_tls);
                    if label == "CERTIFICATE" {
                        client.certificate = Some(file("c.crt", &body));
                        client.ca = Some(file("c.ca", &body));
                        server.certificate = Some(file("s.crt", &body));
                        server.ca = CaSource::File(file("s.ca", &body));
                    } else {
                        client.key = Some(file("c.key", &body));
                        server.key = Some(file("s.key", &body));
                    }
                });
                let settings: Vec<&str> = seen.iter().map(|(setting, _)| *setting).collect();
                let expected: &[&str] = if label == "CERTIFICATE" {
                    &[
                        "client_tls.certificate",
                        "client_tls.ca",
                        "server_tls.certificate",
                        "server_tls.ca",
                    ]
                } else {
                    &["client_tls.key", "server_tls.key"]
                };
                assert_eq!(settings, expected, "{seen:?}");
                assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
                assert!(
                    seen.iter()
                        .all(|(_, message)| message.contains(". ") || message.contains(": "))
                );
            }
        }
    }

    /// Made by `openssl x509 -req -signkey` of a request without extensions.
    const OF_VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBJDCBywIUFoLYlYrG46WYoEM0B4yrjeg5Y04wCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTEwNDU1OFoYDzIxMjYxMTA1MTA0NTU4
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARQcaKFNOPwU5fwpmHo4xvAQUwS96tPoyiRLgc3fm1fuswmblu1Q2GLjNj1agyK
DzvBVF6FR6rF+ati4tqgyoSMMAoGCCqGSM49BAMCA0gAMEUCIQCSXSD0dAWC9dq0
GX5mcMJPoFFOlt6Vr2omuE+X/QpqQwIgc4HtaEyffAv8Xo16clfzco9DtAJnAuPh
nyu9DvNLk8Q=
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_of_version_1_is_refused_with_what_to_do() {
        let seen = found(|settings| {
            settings.client_tls.certificate = Some(file("c.crt", OF_VERSION_1));
            settings.client_tls.ca = Some(file("c.ca", OF_VERSION_1));
        });
        let [("client_tls.certificate", message)] = seen.as_slice() else { panic!("{seen:?}") };
        assert!(message.contains("version 1 of X.509; issue it with extensions"), "{message}");
    }

    #[test]
    fn a_chain_is_read_to_its_end() {
        let seen = found(|settings| {
            let (certificate, key) = pair();
            settings.client_tls.key = Some(file("c.key", &key));
            let chain = format!("{certificate}{}", garbage("CERTIFICATE"));
            settings.client_tls.certificate = Some(file("c.crt", &chain));
        });
        let [("client_tls.certificate", message)] = seen.as_slice() else { panic!("{seen:?}") };
        assert!(message.starts_with("c.crt: certificate 2 of it"), "{message}");
    }

    #[test]
    fn files_are_looked_at_whatever_the_mode_and_those_unread_are_left_alone() {
        let (_, other) = pair();
        let seen = found(|settings| {
            settings.client_tls.mode = ClientTlsMode::Disable;
            settings.client_tls.key = Some(file("c.key", &other));
            settings.server_tls.mode = ServerTlsMode::Prefer;
            settings.server_tls.ca = CaSource::File(file("s.ca", ""));
            settings.server_tls.key = Some(file("s.key", ""));
        });
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_refused() {
        let seen = found(|settings| settings.server_tls.server_name = Some("not a name".into()));
        assert_eq!(seen.first().map(|(setting, _)| *setting), Some("server_tls.server_name"));
    }
}
