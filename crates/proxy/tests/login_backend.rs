//! Opening connections to a real server: every method, TLS in every mode, and cancelling.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod login_support;

use std::sync::Arc;
use std::time::Duration;

use login_support::{Authority, password, pem, target, tls};
use trunkline_proxy::backend::{
    CancelTarget, Endpoint, Learnt, NodeAddress, OpenTarget, cancel, open,
};
use trunkline_proxy::handover::{Away, NewServer, NoCredential, OpenError, StartupParams};
use trunkline_proxy::net::{AsyncSocket, Channel};
use trunkline_proxy::tls::ServerSide;
use trunkline_settings::{Host, Secret, ServerSecret, ServerTlsMode, ServerTlsMode as Mode};
use trunkline_testkit::cluster::SUPERUSER_PASSWORD;
use trunkline_testkit::ports::Reservation;
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, ClusterOptions};
use trunkline_wire::auth::{Md5Hash, SaltedPassword, Verifier};
use trunkline_wire::startup::ProtocolVersion;

fn options() -> ClusterOptions {
    Cluster::builder()
        .initial_sql(
            "postgres",
            "SET password_encryption = md5; CREATE ROLE mia LOGIN PASSWORD 'old'",
        )
        .user("sam", "secret")
        .user("clara", "clear")
        .user("trusty", "unused")
        .hba("host all mia 127.0.0.1/32 md5")
        .hba("host all clara 127.0.0.1/32 password")
        .hba("host all trusty 127.0.0.1/32 trust")
}

async fn opened(target: &OpenTarget) -> NewServer {
    open(target).await.unwrap_or_else(|error| panic!("{error}"))
}

fn code(error: &OpenError) -> &str {
    match error {
        OpenError::Final(report) => report.code.as_str(),
        other => panic!("not final: {other:?}"),
    }
}

#[tokio::test]
async fn each_password_method_works_and_wrong_passwords_are_final() {
    let cluster = options().start().await.unwrap();
    let port = cluster.primary().port();

    let server = opened(&target(port, "sam", password("secret"))).await;
    assert!(server.pid > 0 && server.cancel_key.len() == 4);
    assert!(server.reported.get(b"server_version").is_some_and(|version| !version.is_empty()));
    assert!(server.tls.is_none() && server.early.is_empty());

    opened(&target(port, "mia", password("old"))).await;
    let hash = Md5Hash::new(b"old", b"mia").to_text();
    let hash = Secret::new(std::str::from_utf8(&*hash).unwrap());
    opened(&target(port, "mia", ServerSecret::Md5(hash.clone()))).await;
    opened(&target(port, "trusty", ServerSecret::Nothing)).await;

    let refused = open(&target(port, "sam", password("wrong"))).await.unwrap_err();
    assert_eq!(code(&refused), "28P01");
    let missing =
        OpenTarget { database: Arc::from("nowhere"), ..target(port, "sam", password("secret")) };
    assert_eq!(code(&open(&missing).await.unwrap_err()), "3D000");
    let md5_only = open(&target(port, "sam", ServerSecret::Md5(hash))).await.unwrap_err();
    assert_eq!(md5_only, OpenError::NoCredential(NoCredential::Md5Only));
    let nothing = open(&target(port, "sam", ServerSecret::Nothing)).await.unwrap_err();
    assert_eq!(nothing, OpenError::NoCredential(NoCredential::NotConfigured));
}

#[tokio::test]
async fn a_password_goes_in_clear_only_where_it_is_allowed() {
    let cluster = options().start().await.unwrap();
    let mut clara = target(cluster.primary().port(), "clara", password("clear"));
    assert_eq!(code(&open(&clara).await.unwrap_err()), "08001");
    clara.allow_cleartext = true;
    opened(&clara).await;
}

#[tokio::test]
async fn a_key_learnt_from_a_login_opens_servers_until_it_is_refused() {
    let cluster = options().start().await.unwrap();
    let primary = cluster.primary();
    let sam = target(primary.port(), "sam", ServerSecret::Learnt);
    let missing = open(&sam).await.unwrap_err();
    assert_eq!(missing, OpenError::NoCredential(NoCredential::NoKeyYet));

    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'sam'";
    let verifier = primary.query_text("postgres", stored).await.unwrap();
    let verifier = Verifier::parse(verifier.as_bytes()).unwrap();
    let salted = SaltedPassword::derive(b"secret", verifier.salt(), verifier.iterations()).unwrap();
    sam.ring.learn_key(&sam.user, salted.client_key(), verifier.clone());
    opened(&sam).await;

    // The same password again gives another salt, so the key fits no more, and says so.
    primary.execute("postgres", "ALTER ROLE sam PASSWORD 'secret'").await.unwrap();
    let outdated = open(&sam).await.unwrap_err();
    assert_eq!(outdated, OpenError::NoCredential(NoCredential::OtherVerifier));

    sam.ring.learn(&sam.user, Learnt::Password(Secret::new("stale")));
    assert_eq!(code(&open(&sam).await.unwrap_err()), "28P01");
    assert_eq!(sam.ring.learnt("sam"), None);
}

#[tokio::test]
async fn a_unix_socket_a_startup_setting_and_a_newer_protocol_work() {
    let cluster = options().start().await.unwrap();
    let primary = cluster.primary();
    let mut boss = target(primary.port(), "postgres", ServerSecret::Nothing);
    let directory = primary.socket_directory().to_str().unwrap();
    boss.address.host = Host::parse(directory).unwrap();
    boss.protocol = ProtocolVersion::V3_2;
    boss.startup = StartupParams::new(
        [("options", "-c DateStyle=German"), ("TimeZone", "Asia/Tokyo")].into_iter(),
    )
    .unwrap();
    let server = opened(&boss).await;
    assert_eq!(server.reported.get(b"TimeZone"), Some(&b"Asia/Tokyo"[..]));
    assert_eq!(server.reported.get(b"DateStyle"), Some(&b"German, DMY"[..]));
    let newest = if cluster.binaries().major() >= 18 {
        ProtocolVersion::V3_2
    } else {
        ProtocolVersion::V3_0
    };
    assert_eq!(server.protocol, newest);

    boss.startup = StartupParams::new([("no_such_setting", "1")].into_iter()).unwrap();
    assert_eq!(code(&open(&boss).await.unwrap_err()), "42704");
}

#[tokio::test]
async fn a_full_node_an_absent_one_and_a_silent_one_are_told_apart() {
    let cluster = options().setting("max_connections", 6).setting("max_wal_senders", 0);
    let cluster = cluster.setting("superuser_reserved_connections", 3).start().await.unwrap();
    let sam = target(cluster.primary().port(), "sam", password("secret"));
    let mut held = Vec::new();
    let full = loop {
        match open(&sam).await {
            Ok(server) => held.push(server),
            Err(error) => break error,
        }
        assert!(held.len() < 6, "more connections than the server has");
    };
    assert!(
        matches!(&full, OpenError::NodeFull(report) if report.code.as_str() == "53300"),
        "{full}"
    );

    let nobody = Reservation::new().unwrap();
    let absent =
        open(&target(nobody.address().port(), "sam", password("secret"))).await.unwrap_err();
    assert!(matches!(absent, OpenError::Away(Away::Io { .. })), "{absent}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = target(silent.local_addr().unwrap().port(), "sam", password("secret"));
    target.connect_timeout = Duration::from_millis(200);
    let silent = open(&target).await.unwrap_err();
    assert!(matches!(silent, OpenError::Away(Away::Timeout { .. })), "{silent}");
}

/// A cluster with TLS. `tina` may come with TLS only, `nora` without only, `carl` with a certificate.
async fn tls_cluster(authority: &Authority) -> Cluster {
    let cluster = options()
        .user("tina", "secret")
        .user("nora", "secret")
        .user("carl", "unused")
        .hba("hostssl all tina 127.0.0.1/32 scram-sha-256")
        .hba("host all tina 127.0.0.1/32 reject")
        .hba("hostnossl all nora 127.0.0.1/32 scram-sha-256")
        .hba("host all nora 127.0.0.1/32 reject")
        .hba("hostssl all carl 127.0.0.1/32 cert")
        .start()
        .await
        .unwrap();
    authority.install(cluster.primary(), &["127.0.0.1", "db.test"]).await;
    cluster
}

#[tokio::test]
async fn every_tls_mode_meets_a_server_as_libpq_would() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cluster = tls_cluster(&authority).await;
    let port = cluster.primary().port();
    let go = async |user: &str, mode, ca: &Authority, host: &str| {
        let mut target = target(port, user, password("secret"));
        let mut settings = tls(mode, Some(ca));
        settings.server_name = Some(host.to_owned());
        target.tls = Arc::new(ServerSide::new(&settings).unwrap());
        open(&target).await.map(|server| server.tls.is_some())
    };
    assert_eq!(go("sam", Mode::Disable, &authority, "db.test").await, Ok(false));
    assert_eq!(go("sam", Mode::Prefer, &authority, "db.test").await, Ok(true));
    assert_eq!(go("sam", Mode::Allow, &authority, "db.test").await, Ok(false));
    // The server's rules decide which of the two ways is open.
    assert_eq!(go("tina", Mode::Allow, &authority, "db.test").await, Ok(true));
    assert_eq!(go("nora", Mode::Prefer, &authority, "db.test").await, Ok(false));
    assert_eq!(code(&go("tina", Mode::Disable, &authority, "db.test").await.unwrap_err()), "28000");
    assert_eq!(code(&go("nora", Mode::Require, &authority, "db.test").await.unwrap_err()), "28000");

    assert_eq!(go("sam", Mode::Require, &stranger, "wrong.test").await, Ok(true));
    assert_eq!(go("sam", Mode::VerifyCa, &authority, "wrong.test").await, Ok(true));
    assert_eq!(go("sam", Mode::VerifyFull, &authority, "db.test").await, Ok(true));
    for (ca, host) in [(&stranger, "db.test"), (&authority, "wrong.test")] {
        let refused = go("sam", Mode::VerifyFull, ca, host).await.unwrap_err();
        assert!(matches!(refused, OpenError::Away(Away::Tls { .. })), "{refused}");
    }
    let logged = cluster.primary().log();
    assert!(!logged.contains("channel binding"), "channel binding failed: {logged}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let cluster = options().start().await.unwrap();
    let mut sam = target(cluster.primary().port(), "sam", password("secret"));
    let with = |mode| Arc::new(ServerSide::new(&tls(mode, None)).unwrap());
    sam.tls = with(ServerTlsMode::Require);
    let refused = open(&sam).await.unwrap_err();
    assert!(refused.to_string().contains("does not support SSL"), "{refused}");
    sam.tls = with(ServerTlsMode::Prefer);
    assert!(opened(&sam).await.tls.is_none());
}

#[tokio::test]
async fn a_client_certificate_logs_in_without_a_password() {
    let authority = Authority::new();
    let cluster = tls_cluster(&authority).await;
    let mut carl = target(cluster.primary().port(), "carl", ServerSecret::Nothing);
    let mut settings = tls(ServerTlsMode::VerifyCa, Some(&authority));
    let (certificate, key) = authority.sign("carl", &[]);
    settings.certificate = Some(pem(&certificate));
    settings.key = Some(pem(&key));
    carl.tls = Arc::new(ServerSide::new(&settings).unwrap());
    assert!(opened(&carl).await.tls.is_some());
}

#[tokio::test]
async fn a_cancel_request_ends_the_statement_with_and_without_tls() {
    let authority = Authority::new();
    let cluster = tls_cluster(&authority).await;
    let mut sam = target(cluster.primary().port(), "sam", password("secret"));
    for mode in [ServerTlsMode::Disable, ServerTlsMode::Require] {
        sam.tls = Arc::new(ServerSide::new(&tls(mode, None)).unwrap());
        let server = opened(&sam).await;
        let request = CancelTarget {
            endpoint: server.endpoint.clone(),
            address: NodeAddress { ..sam.address.clone() },
            encrypted: server.tls.is_some(),
            tls: Arc::clone(&sam.tls),
            tcp: sam.tcp,
            timeout: PATIENCE,
        };
        assert!(matches!(server.endpoint, Endpoint::Tcp(_)));
        let (pid, key) = (server.pid, server.cancel_key.clone());
        let mut channel =
            Channel::resume(AsyncSocket::new(server.socket).unwrap(), server.tls, server.early);
        let mut query = bytes::BytesMut::new();
        trunkline_wire::frontend::query(&mut query, b"SELECT pg_sleep(60)");
        channel.send(&query).await.unwrap();
        let active =
            format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'");
        trunkline_testkit::wait_for("the statement runs", PATIENCE, async || {
            let seen = cluster.primary().query_text("postgres", &active).await?;
            if seen == "1" { Ok(()) } else { Err(std::io::Error::other(seen).into()) }
        })
        .await
        .unwrap();
        cancel(&request, pid, &key).await.unwrap();
        let code = loop {
            let message = channel.message(1 << 16).await.unwrap();
            if message.tag == b'E' {
                break trunkline_wire::backend::Fields::parse(message.body())
                    .unwrap()
                    .code()
                    .unwrap();
            }
        };
        assert_eq!(code.as_str(), "57014", "{mode:?}");
    }
}

#[tokio::test]
async fn the_superuser_of_the_kit_can_log_in_by_name() {
    let cluster = options().start().await.unwrap();
    let mut boss = target(cluster.primary().port(), "postgres", password(SUPERUSER_PASSWORD));
    // A name with several addresses: all are tried.
    boss.address.host = Host::parse("localhost").unwrap();
    assert!(matches!(opened(&boss).await.endpoint, Endpoint::Tcp(_)));
}
