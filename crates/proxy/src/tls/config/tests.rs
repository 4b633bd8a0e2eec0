use bytes::BytesMut;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use trunkline_settings::{PemFile, Secret};

use super::*;
use crate::tls::{Progress, Subject, TlsCodec};

/// An authority and what it has signed, as PEM files.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> PemFile {
        file(&self.0.pem())
    }

    fn sign(&self, common_name: &str, host: &str) -> (PemFile, PemFile) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (file(&params.signed_by(&key, &self.0).unwrap().pem()), file(&key.serialize_pem()))
    }
}

fn file(pem: &str) -> PemFile {
    PemFile { path: "test.pem".into(), pem: Secret::new(pem) }
}

/// The settings of a server that shows a certificate for `db.test`.
fn listening(authority: &Authority, mode: ClientTlsMode, ca: Option<PemFile>) -> ClientTls {
    let (certificate, key) = authority.sign("server", "db.test");
    ClientTls { mode, certificate: Some(certificate), key: Some(key), ca, ..ClientTls::default() }
}

fn connecting(mode: ServerTlsMode, ca: PemFile) -> ServerTls {
    ServerTls { mode, ca: CaSource::File(ca), ..ServerTls::default() }
}

/// Plays a handshake between the two configurations; answers our side, or the first error.
fn handshake(client: &ClientSide, server: &ServerSide, host: &str) -> Result<TlsCodec, String> {
    let name = server.name_for(&Host::parse(host).unwrap()).unwrap();
    let acceptor = client.acceptor.as_ref().unwrap();
    let mut ours = TlsCodec::server(Arc::clone(&acceptor.config)).unwrap();
    let mut theirs = TlsCodec::client(Arc::clone(&server.config), name).unwrap();
    let mut plain = BytesMut::new();
    theirs.decrypt(&mut [], &mut plain).map_err(|error| error.to_string())?;
    loop {
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        theirs.take_owed(&mut up);
        let progress = ours.decrypt(&mut up, &mut plain).map_err(|error| error.to_string())?;
        let answered = ours.take_owed(&mut down);
        theirs.decrypt(&mut down, &mut plain).map_err(|error| error.to_string())?;
        if progress == Progress::Open && !theirs.has_owed() && !answered {
            return Ok(ours);
        }
    }
}

#[test]
fn each_server_mode_checks_what_it_says() {
    let (ours, other) = (Authority::new(), Authority::new());
    let client = ClientSide::new(&listening(&ours, ClientTlsMode::Allow, None)).unwrap();
    let shake = |mode, ca: &Authority, host: &str| {
        handshake(&client, &ServerSide::new(&connecting(mode, ca.pem())).unwrap(), host).is_ok()
    };
    assert!(shake(ServerTlsMode::Require, &other, "wrong.test"));
    assert!(shake(ServerTlsMode::VerifyCa, &ours, "wrong.test"));
    assert!(!shake(ServerTlsMode::VerifyCa, &other, "db.test"));
    assert!(shake(ServerTlsMode::VerifyFull, &ours, "db.test"));
    assert!(!shake(ServerTlsMode::VerifyFull, &ours, "wrong.test"));
    assert!(!shake(ServerTlsMode::VerifyFull, &other, "db.test"));
}

#[test]
fn a_server_name_of_the_settings_replaces_the_host() {
    let authority = Authority::new();
    let client = ClientSide::new(&listening(&authority, ClientTlsMode::Allow, None)).unwrap();
    let mut settings = connecting(ServerTlsMode::VerifyFull, authority.pem());
    settings.server_name = Some("db.test".to_owned());
    assert!(handshake(&client, &ServerSide::new(&settings).unwrap(), "10.0.0.1").is_ok());
}

#[test]
fn a_certificate_that_is_itself_in_the_ca_file_is_trusted() {
    let mut params = CertificateParams::new(vec!["db.test".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = file(&params.self_signed(&key).unwrap().pem());
    let settings = ClientTls {
        mode: ClientTlsMode::Require,
        certificate: Some(certificate.clone()),
        key: Some(file(&key.serialize_pem())),
        ..ClientTls::default()
    };
    let client = ClientSide::new(&settings).unwrap();
    let server = ServerSide::new(&connecting(ServerTlsMode::VerifyFull, certificate)).unwrap();
    assert!(handshake(&client, &server, "db.test").is_ok());
    assert!(handshake(&client, &server, "wrong.test").is_err());
}

#[test]
fn client_certificates_are_asked_for_and_demanded_by_mode() {
    let (ours, other) = (Authority::new(), Authority::new());
    let bare = ServerSide::new(&connecting(ServerTlsMode::Require, ours.pem())).unwrap();
    let showing = |authority: &Authority| {
        let (certificate, key) = authority.sign("alice", "client.test");
        let mut settings = connecting(ServerTlsMode::Require, ours.pem());
        settings.certificate = Some(certificate);
        settings.key = Some(key);
        ServerSide::new(&settings).unwrap()
    };
    let with = |mode| ClientSide::new(&listening(&ours, mode, Some(ours.pem()))).unwrap();
    assert!(handshake(&with(ClientTlsMode::Allow), &bare, "db.test").is_ok());
    assert!(handshake(&with(ClientTlsMode::VerifyCa), &bare, "db.test").is_err());
    assert!(handshake(&with(ClientTlsMode::VerifyCa), &showing(&other), "db.test").is_err());
    let codec = handshake(&with(ClientTlsMode::VerifyCa), &showing(&ours), "db.test").unwrap();
    let subject = Subject::of(codec.peer_certificate().unwrap()).unwrap();
    assert_eq!(subject.common_name.as_deref(), Some("alice"));
    assert_eq!(codec.alpn(), Some(ALPN));
}

#[test]
fn mistakes_in_files_are_named() {
    let authority = Authority::new();
    let good = listening(&authority, ClientTlsMode::Require, None);
    let failure = |settings: &ClientTls| ClientSide::new(settings).unwrap_err().to_string();

    let without = ClientTls { certificate: None, ..good.clone() };
    assert!(failure(&without).contains("client_tls.certificate"), "{}", failure(&without));
    let no_ca = ClientTls { mode: ClientTlsMode::VerifyCa, ..good.clone() };
    assert_eq!(failure(&no_ca), "client_tls.ca is needed for mode \"verify-ca\"");
    let junk = ClientTls { certificate: Some(file("junk")), ..good.clone() };
    assert_eq!(failure(&junk), "test.pem: no certificate in it");
    let swapped = ClientTls { key: good.certificate.clone(), ..good.clone() };
    assert_eq!(failure(&swapped), "test.pem: no private key in it");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = ClientTls { key: Some(file(encrypted)), ..good.clone() };
    assert!(failure(&encrypted).contains("encrypted"), "{}", failure(&encrypted));
    let foreign =
        ClientTls { key: listening(&authority, ClientTlsMode::Require, None).key, ..good };
    assert!(failure(&foreign).contains("keys may not be consistent"), "{}", failure(&foreign));
}
