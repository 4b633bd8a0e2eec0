//! A panic during a login costs that login, and nothing of it stays.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trunkline_proxy::backend::KeyRing;
use trunkline_proxy::frontend::{Frontend, Listeners, LookupFuture, PasswordSource};
use trunkline_proxy::handover::{CancelTicket, ConsoleLogin, Handoff, LoggedIn, ReplicationLogin};
use trunkline_settings::{Listen, MemoryFiles, Settings, hba};
use trunkline_wire::startup::{ProtocolVersion, startup_message};

/// Panics with those who are called so.
const BAD: &str = "bad";

/// Keeps nobody: a client that is handed over is closed.
struct Door;

impl Handoff for Door {
    fn logged_in(&self, client: LoggedIn) {
        assert!(*client.user != *BAD, "a panic on purpose");
    }

    fn cancel(&self, _: i32, _: &[u8], _: CancelTicket) {}

    fn console(&self, _: ConsoleLogin) {}

    fn replication(&self, _: ReplicationLogin) {}
}

#[derive(Debug)]
struct Book;

impl PasswordSource for Book {
    fn look_up<'a>(&'a self, user: &'a str) -> LookupFuture<'a> {
        Box::pin(async move {
            assert!(*user != *BAD, "a panic on purpose");
            Ok(None)
        })
    }
}

/// What is said to a client of this name, until it is closed.
async fn visit(address: SocketAddr, user: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address).await?;
    let mut hello = BytesMut::new();
    let parameters = [(b"user".as_slice(), user.as_bytes()), (b"database", b"shop")];
    startup_message(&mut hello, ProtocolVersion::V3_0, parameters);
    trunkline_wire::frontend::password(&mut hello, b"secret");
    socket.write_all(&hello).await?;
    let mut said = Vec::new();
    socket.read_to_end(&mut said).await?;
    Ok(said)
}

#[tokio::test]
async fn a_panic_costs_the_login_it_happens_in_and_is_counted() {
    let mut settings = Settings::default();
    settings.general.max_clients = 1;
    settings.general.max_pending_logins = 1;
    settings.auth.auth_query = "SELECT 1".to_owned();
    // The one panics when it is handed over, the other while its password is looked up.
    for rule in ["host all all 127.0.0.1/32 trust", "host all all all password"] {
        let files = MemoryFiles::default();
        settings.access.rules = hba::parse(Path::new("pg_hba.conf"), rule, &files).ok();
        let source: Arc<dyn PasswordSource> = Arc::new(Book);
        let ring = Arc::new(KeyRing::new());
        let frontend =
            Frontend::new(&Arc::new(settings.clone()), Arc::new(Door), ring, Some(source)).unwrap();
        let listen = Listen { addresses: vec![([127, 0, 0, 1], 0).into()], ..Listen::default() };
        let listeners = Listeners::bind(&listen).unwrap();
        let address = listeners.addresses()[0];
        let _serving = frontend.serve(listeners);
        for round in 1..=2 {
            visit(address, BAD).await.ok();
            let seen = (frontend.panics(), frontend.clients(), frontend.pending());
            assert_eq!(seen, (round, 0, 0), "{rule}");
            let said = visit(address, "good").await.unwrap();
            assert_eq!(said[0], b'R', "{rule}");
        }
    }
}
