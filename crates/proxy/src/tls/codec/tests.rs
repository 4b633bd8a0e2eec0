use std::io::{Read, Write};
use std::sync::Arc;

use bytes::BytesMut;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};

use super::side::RECORD_PAYLOAD;
use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["db.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("db.test").unwrap()
}

/// Moves everything both codecs have to say, `step` bytes at a time, until nothing is left.
fn talk(server: &mut TlsCodec, client: &mut TlsCodec, step: usize) -> (BytesMut, BytesMut) {
    let (mut at_server, mut at_client) = (BytesMut::new(), BytesMut::new());
    client.decrypt(&mut [], &mut at_client).unwrap();
    loop {
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        client.take_owed(&mut up);
        server.take_owed(&mut down);
        if up.is_empty() && down.is_empty() {
            return (at_server, at_client);
        }
        for piece in up.chunks_mut(step) {
            server.decrypt(piece, &mut at_server).unwrap();
        }
        for piece in down.chunks_mut(step) {
            client.decrypt(piece, &mut at_client).unwrap();
        }
    }
}

fn pair(version: &'static SupportedProtocolVersion, step: usize) -> (TlsCodec, TlsCodec) {
    let (server, client) = configs(version);
    let mut server = TlsCodec::server(server).unwrap();
    let mut client = TlsCodec::client(client, name()).unwrap();
    talk(&mut server, &mut client, step);
    (server, client)
}

/// Gives a codec bytes; answers its state and what they said.
fn give(codec: &mut TlsCodec, bytes: &[u8]) -> (Progress, BytesMut) {
    let mut plain = BytesMut::new();
    let progress = codec.decrypt(&mut bytes.to_vec(), &mut plain).unwrap();
    (progress, plain)
}

#[test]
fn two_codecs_agree_whatever_the_size_of_the_pieces() {
    for version in VERSIONS {
        for step in [1, 2, 3, 5, 7, 100, 4096, usize::MAX] {
            let (mut server, mut client) = pair(version, step);
            for (from, to) in [(0, 1), (1, 0)] {
                let mut wire = BytesMut::new();
                let ends = [&mut server, &mut client];
                ends[from].encrypt(b"hello", &mut wire).unwrap();
                assert_eq!(give(ends[to], &wire), (Progress::Open, BytesMut::from("hello")));
            }
            assert_eq!(server.version(), Some(version.version));
            assert_eq!(client.version(), Some(version.version));
            assert!(client.peer_certificate().is_some());
        }
    }
}

#[test]
fn records_cut_at_every_byte_give_the_same_plaintext() {
    for version in VERSIONS {
        let (_, mut client) = pair(version, usize::MAX);
        let (first, second) = (vec![b'a'; 300], vec![b'b'; 40]);
        let sample = |client: &mut TlsCodec| {
            let mut wire = BytesMut::new();
            client.encrypt(&first, &mut wire).unwrap();
            client.encrypt(&second, &mut wire).unwrap();
            wire
        };
        let whole = [first.clone(), second.clone()].concat();
        let len = sample(&mut client).len();
        // The sample above was never delivered, so the record numbers would not fit: start over.
        let (mut server, mut client) = pair(version, usize::MAX);
        for cut in 0..=len {
            let wire = sample(&mut client);
            let mut plain = give(&mut server, &wire[..cut]).1;
            plain.extend_from_slice(&give(&mut server, &wire[cut..]).1);
            assert_eq!(plain, whole, "cut at {cut}");
            assert!(
                server.held.is_empty() && server.held.capacity() == 0,
                "memory is kept after {cut}"
            );
        }
    }
}

#[test]
fn only_an_incomplete_record_is_kept() {
    let (mut server, mut client) = pair(&rustls::version::TLS13, usize::MAX);
    let mut wire = BytesMut::new();
    client.encrypt(&vec![7; 50_000], &mut wire).unwrap();
    let (_, plain) = give(&mut server, &wire[..wire.len() - 1]);
    assert_eq!(plain.len(), 3 * RECORD_PAYLOAD);
    assert!(server.held.len() < RECORD_PAYLOAD);
    assert_eq!(give(&mut server, &wire[wire.len() - 1..]).1.len(), 50_000 - 3 * RECORD_PAYLOAD);
}

#[test]
fn it_talks_with_the_buffered_rustls_on_either_side() {
    for version in VERSIONS {
        let (server_config, client_config) = configs(version);
        let mut codec = TlsCodec::server(Arc::clone(&server_config)).unwrap();
        let mut other = ClientConnection::new(Arc::clone(&client_config), name()).unwrap().into();
        converse(&mut codec, &mut other);
        let mut codec = TlsCodec::client(client_config, name()).unwrap();
        let mut other = ServerConnection::new(server_config).unwrap().into();
        converse(&mut codec, &mut other);
    }
}

/// Handshake, 100 kB each way in odd pieces, and an orderly end.
fn converse(codec: &mut TlsCodec, other: &mut rustls::Connection) {
    let mut wire = BytesMut::new();
    let mut plain = BytesMut::new();
    codec.decrypt(&mut [], &mut plain).unwrap();
    while other.is_handshaking() || codec.progress() == Progress::Handshaking {
        codec.take_owed(&mut wire);
        feed(other, &mut wire);
        let mut back = Vec::new();
        while other.wants_write() {
            other.write_tls(&mut back).unwrap();
        }
        codec.decrypt(&mut back, &mut plain).unwrap();
    }
    let data: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    other.set_buffer_limit(None);
    other.writer().write_all(&data).unwrap();
    other.send_close_notify();
    let mut back = Vec::new();
    while other.wants_write() {
        other.write_tls(&mut back).unwrap();
    }
    let mut progress = Progress::Open;
    for piece in back.chunks_mut(1_337) {
        progress = codec.decrypt(piece, &mut plain).unwrap();
    }
    assert_eq!((plain.as_ref(), progress), (data.as_slice(), Progress::PeerClosed));

    codec.encrypt(&data, &mut wire).unwrap();
    codec.close_notify(&mut wire).unwrap();
    let mut received = feed(other, &mut wire);
    assert!(other.process_new_packets().unwrap().peer_has_closed());
    other.reader().read_to_end(&mut received).unwrap();
    assert_eq!(received, data);
}

/// Gives all of `wire` to the buffered side; answers what it said.
fn feed(other: &mut rustls::Connection, wire: &mut BytesMut) -> Vec<u8> {
    let bytes = wire.split();
    let mut rest: &[u8] = &bytes;
    let mut received = Vec::new();
    while !rest.is_empty() {
        other.read_tls(&mut rest).unwrap();
        let ready = other.process_new_packets().unwrap().plaintext_bytes_to_read();
        let start = received.len();
        received.resize(start + ready, 0);
        other.reader().read_exact(&mut received[start..]).unwrap();
    }
    received
}

#[test]
fn key_updates_of_the_peer_are_answered() {
    let (server_config, client_config) = configs(&rustls::version::TLS13);
    let mut codec = TlsCodec::server(server_config).unwrap();
    let mut other: rustls::Connection =
        ClientConnection::new(client_config, name()).unwrap().into();
    let (mut wire, mut plain) = (BytesMut::new(), BytesMut::new());
    while other.is_handshaking() || codec.progress() == Progress::Handshaking {
        let mut up = Vec::new();
        while other.wants_write() {
            other.write_tls(&mut up).unwrap();
        }
        codec.decrypt(&mut up, &mut plain).unwrap();
        codec.take_owed(&mut wire);
        feed(&mut other, &mut wire);
    }
    for round in 0..5 {
        match &mut other {
            rustls::Connection::Client(client) => client.refresh_traffic_keys().unwrap(),
            rustls::Connection::Server(_) => unreachable!("the other side is a client"),
        }
        other.writer().write_all(b"ping").unwrap();
        let mut up = Vec::new();
        while other.wants_write() {
            other.write_tls(&mut up).unwrap();
        }
        plain.clear();
        codec.decrypt(&mut up, &mut plain).unwrap();
        assert_eq!(plain.as_ref(), b"ping", "round {round}");
        codec.encrypt(b"pong", &mut wire).unwrap();
        // An answer to the update stands before the data: 22 bytes more than a record of four bytes.
        assert!(wire.len() > 4 + 22, "no answer to the key update in round {round}");
        assert_eq!(feed(&mut other, &mut wire), b"pong");
    }
}

#[test]
fn a_failed_handshake_owes_the_peer_an_alert_and_stays_failed() {
    let (server_config, _) = configs(&rustls::version::TLS13);
    let mut codec = TlsCodec::server(server_config).unwrap();
    let mut client = TlsCodec::client(configs(&rustls::version::TLS12).1, name()).unwrap();
    let mut hello = BytesMut::new();
    client.decrypt(&mut [], &mut BytesMut::new()).unwrap();
    client.take_owed(&mut hello);
    assert!(codec.decrypt(&mut hello, &mut BytesMut::new()).is_err());
    let mut out = BytesMut::new();
    assert!(codec.take_owed(&mut out));
    assert_eq!(out.first(), Some(&0x15), "not an alert: {out:?}");
    assert!(matches!(codec.decrypt(&mut [], &mut BytesMut::new()), Err(TlsError::NotOpen)));
    assert!(matches!(codec.encrypt(b"x", &mut out), Err(TlsError::NotOpen)));
}

#[test]
fn a_corrupted_record_is_an_error_with_an_alert() {
    for version in VERSIONS {
        let (mut server, mut client) = pair(version, usize::MAX);
        let mut wire = BytesMut::new();
        client.encrypt(b"select 1", &mut wire).unwrap();
        let last = wire.len() - 1;
        wire[last] ^= 1;
        assert!(server.decrypt(&mut wire, &mut BytesMut::new()).is_err());
        assert!(server.has_owed());
    }
}

#[test]
fn what_comes_after_the_close_is_not_kept() {
    let (mut server, mut client) = pair(&rustls::version::TLS13, usize::MAX);
    let mut wire = BytesMut::new();
    client.encrypt(b"last", &mut wire).unwrap();
    client.close_notify(&mut wire).unwrap();
    wire.extend_from_slice(&[0x17; 1000]);
    assert_eq!(give(&mut server, &wire), (Progress::PeerClosed, BytesMut::from("last")));
    assert!(server.held.is_empty());
}

#[test]
fn data_cannot_be_sent_before_the_handshake() {
    let (server_config, _) = configs(&rustls::version::TLS13);
    let mut codec = TlsCodec::server(server_config).unwrap();
    assert!(matches!(codec.encrypt(b"x", &mut BytesMut::new()), Err(TlsError::NotOpen)));
}
