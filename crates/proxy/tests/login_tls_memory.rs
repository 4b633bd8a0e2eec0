//! What an idle TLS connection costs. Alone in its program, so that nothing else allocates meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod login_support;

use std::sync::Arc;

use bytes::BytesMut;
use login_support::{Authority, pem, tls};
use trunkline_proxy::tls::{ClientSide, Progress, ServerSide, TlsCodec};
use trunkline_settings::{ClientTls, ClientTlsMode, Host, ServerTlsMode};

/// Connections measured; each has two ends.
const PAIRS: usize = 1000;

/// The most an idle end may cost, in bytes. Measured: 3.9 kB, all of it rustls' connection; the rest is room
/// for another version and another allocator.
const MAX_IDLE: usize = 8 * 1024;

/// The memory of this process that is in use, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn pair(client: &ClientSide, server: &ServerSide) -> (Box<TlsCodec>, Box<TlsCodec>) {
    let name = server.name_for(&Host::parse("db.test").unwrap()).unwrap();
    let acceptor = client.acceptor.as_ref().unwrap();
    let mut ours = Box::new(TlsCodec::server(Arc::clone(&acceptor.config)).unwrap());
    let mut theirs = Box::new(TlsCodec::client(Arc::clone(&server.config), name).unwrap());
    let mut plain = BytesMut::new();
    let mut wire = BytesMut::new();
    theirs.decrypt(&mut [], &mut plain).unwrap();
    loop {
        theirs.take_owed(&mut wire);
        let up = ours.decrypt(&mut wire.split(), &mut plain).unwrap();
        ours.take_owed(&mut wire);
        let down = theirs.decrypt(&mut wire.split(), &mut plain).unwrap();
        if up == Progress::Open && down == Progress::Open {
            break;
        }
    }
    // A query each way, so that whatever is made by the first use is there.
    ours.encrypt(&[7; 4096], &mut wire).unwrap();
    theirs.decrypt(&mut wire.split(), &mut plain).unwrap();
    theirs.encrypt(&[7; 4096], &mut wire).unwrap();
    ours.decrypt(&mut wire.split(), &mut plain).unwrap();
    (ours, theirs)
}

#[test]
fn an_idle_connection_holds_no_buffers() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server", &["db.test"]);
    let client = ClientSide::new(&ClientTls {
        mode: ClientTlsMode::Require,
        certificate: Some(pem(&certificate)),
        key: Some(pem(&key)),
        ..ClientTls::default()
    });
    let client = client.unwrap();
    let server = ServerSide::new(&tls(ServerTlsMode::VerifyFull, Some(&authority))).unwrap();
    let warm: Vec<_> = (0..10).map(|_| pair(&client, &server)).collect();
    let before = resident();
    let pairs: Vec<_> = (0..PAIRS).map(|_| pair(&client, &server)).collect();
    let each = (resident() - before) / (2 * PAIRS);
    assert!(each < MAX_IDLE, "an idle TLS connection costs {each} bytes");
    drop((warm, pairs));
}
