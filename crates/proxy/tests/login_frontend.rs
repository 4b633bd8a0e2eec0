//! Logins by psql: every method, TLS, rules, limits, and a storm of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod login_support;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use login_support::parlour::{Parlour, answer, complaint, settings, with_rules};
use login_support::{Authority, password, pem, target, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trunkline_proxy::backend::{CancelTarget, Learnt, cancel, open};
use trunkline_proxy::handover::{ConsoleRights, Replication};
use trunkline_proxy::net::{AsyncSocket, Channel};
use trunkline_proxy::tls::ServerSide;
use trunkline_settings::{
    AuthMethod, ClientTls, ClientTlsMode, Negotiation, ServerTlsMode, Settings,
};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_wire::auth::{
    self, Binding, ClientKeys, DEFAULT_ITERATIONS, EndPointHash, Md5Hash, SaltedPassword, Verifier,
};
use trunkline_wire::frontend::{sasl_initial, sasl_response};
use trunkline_wire::startup::{ProtocolVersion, startup_message};

fn verifier(password: &str) -> String {
    let verifier = Verifier::derive(password.as_bytes(), &[7; 16], DEFAULT_ITERATIONS).unwrap();
    verifier.to_text().to_string()
}

fn md5(password: &str, user: &str) -> String {
    let hash = Md5Hash::new(password.as_bytes(), user.as_bytes()).to_text();
    String::from_utf8(hash.to_vec()).unwrap()
}

fn known() -> Settings {
    settings(&[("sam", &verifier("secret")), ("mia", &md5("secret", "mia")), ("pat", "secret")])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_lets_in_who_knows_the_password_and_nobody_else() {
    let rules = "host all all 127.0.0.1/32 METHOD\nlocal all all METHOD";
    for (method, user, used) in [
        ("scram-sha-256", "sam", "scram-sha-256"),
        ("scram-sha-256", "pat", "scram-sha-256"),
        ("md5", "mia", "md5"),
        ("md5", "pat", "md5"),
        ("md5", "sam", "scram-sha-256"),
        ("password", "sam", "password"),
        ("password", "mia", "password"),
        ("password", "pat", "password"),
    ] {
        let mut parlour = Parlour::open(with_rules(known(), &rules.replace("METHOD", method)));
        let user_is = format!("user={user}");
        assert_eq!(
            answer(&parlour.psql("secret", &user_is).await),
            format!("{user}@shop"),
            "{method}"
        );
        let visit = parlour.visits.recv().await.unwrap();
        assert_eq!((visit.user.as_str(), visit.method), (user, used));
        let local = parlour.psql_local("secret", &user_is).await;
        assert_eq!(answer(&local), format!("{user}@shop"), "{method} over the Unix socket");
        for (password, user) in [("wrong", user), ("secret", "nobody")] {
            let refused = complaint(&parlour.psql(password, &format!("user={user}")).await);
            let expected = format!("FATAL:  password authentication failed for user \"{user}\"");
            assert!(refused.ends_with(&expected), "{method}: {refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_does_not_let_in_a_user_whose_password_is_stored_as_md5() {
    let parlour = Parlour::open(known());
    let refused = complaint(&parlour.psql("secret", "user=mia").await);
    assert!(refused.contains("password authentication failed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_by_address_database_and_encryption() {
    let rules = "host shop trusty 127.0.0.1/32 trust\nhost all banned all reject\nhost shop sam samehost scram-sha-256";
    let mut parlour = Parlour::open(with_rules(known(), rules));
    assert_eq!(answer(&parlour.psql("", "user=trusty").await), "trusty@shop");
    assert_eq!(parlour.visits.recv().await.unwrap().method, "trust");
    assert_eq!(answer(&parlour.psql("secret", "user=sam").await), "sam@shop");
    let refused = complaint(&parlour.psql("", "user=banned").await);
    assert!(
        refused.contains("pg_hba.conf rejects connection for host \"127.0.0.1\", user \"banned\", database \"shop\", no encryption"),
        "{refused}"
    );
    let refused = complaint(&parlour.psql_local("", "user=sam").await);
    assert!(refused.contains("no pg_hba.conf entry for host \"[local]\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_teaches_the_key_that_opens_servers() {
    let mut settings = known();
    settings.auth.method = AuthMethod::Md5;
    let parlour = Parlour::open(settings);
    for user in ["sam", "mia"] {
        complaint(&parlour.psql("wrong", &format!("user={user}")).await);
        assert_eq!(parlour.ring.learnt(user), None);
        answer(&parlour.psql("secret", &format!("user={user}")).await);
    }
    assert!(matches!(parlour.ring.learnt("sam"), Some(Learnt::Keys(_))));
    assert!(matches!(parlour.ring.learnt("mia"), Some(Learnt::Md5(_))));
}

/// Settings with TLS in this mode; client certificates come from `authority`.
fn with_tls(mut settings: Settings, authority: &Authority, mode: ClientTlsMode) -> Settings {
    let (certificate, key) = authority.sign("server", &["127.0.0.1", "db.test"]);
    settings.client_tls = ClientTls {
        mode,
        certificate: Some(pem(&certificate)),
        key: Some(pem(&key)),
        ca: Some(pem(&authority.pem())),
        ..ClientTls::default()
    };
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_offered_demanded_and_bound_to() {
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    let root = files.path().join("root.crt");
    std::fs::write(&root, authority.pem()).unwrap();
    let root = format!("sslrootcert={}", root.display());

    let mut parlour = Parlour::open(with_tls(known(), &authority, ClientTlsMode::Require));
    let refused = complaint(&parlour.psql("secret", "user=sam sslmode=disable").await);
    assert!(refused.contains("SSL connection is required"), "{refused}");
    for options in [
        "sslmode=require",
        "sslmode=verify-full",
        "sslmode=verify-ca channel_binding=require",
        "sslmode=require ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2 channel_binding=require",
    ] {
        let seen = parlour.psql("secret", &format!("user=sam {root} {options}")).await;
        assert_eq!(answer(&seen), "sam@shop", "{options}");
        assert!(parlour.visits.recv().await.unwrap().encrypted);
    }
    // A Unix socket needs none.
    answer(&parlour.psql_local("secret", "user=sam").await);

    let bare = Parlour::open(known());
    answer(&bare.psql("secret", "user=sam sslmode=prefer gssencmode=prefer").await);
    let refused = complaint(&bare.psql("secret", "user=sam sslmode=require").await);
    assert!(refused.contains("server does not support SSL"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_logs_in_whom_it_names() {
    use std::os::unix::fs::PermissionsExt;
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = authority.sign("carl", &[]);
    let shown = format!(
        "sslmode=require sslcert={} sslkey={}",
        write("c.crt", &certificate),
        write("c.key", &key)
    );

    let settings =
        with_tls(with_rules(known(), "hostssl all all all cert"), &authority, ClientTlsMode::Allow);
    let mut parlour = Parlour::open(settings);
    assert_eq!(answer(&parlour.psql("", &format!("user=carl {shown}")).await), "carl@shop");
    assert_eq!(parlour.visits.recv().await.unwrap().method, "cert");
    let refused = complaint(&parlour.psql("", &format!("user=sam {shown}")).await);
    assert!(refused.contains("certificate authentication failed for user \"sam\""), "{refused}");
    let refused = complaint(&parlour.psql("", "user=carl sslmode=require").await);
    assert!(refused.contains("connection requires a valid client certificate"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn startup_settings_arrive() {
    let mut parlour = Parlour::open(known());
    let options = "user=pat application_name=report options='-c work_mem=1MB --DateStyle=ISO'";
    answer(&parlour.psql("secret", options).await);
    let startup = parlour.visits.recv().await.unwrap().startup;
    assert_eq!(startup.application_name.as_deref(), Some("report"));
    let others: Vec<_> = startup.others.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(others, [("work_mem", "1MB"), ("DateStyle", "ISO")]);
    let refused = complaint(&parlour.psql("secret", "user=pat options='-d 5'").await);
    assert!(refused.contains("invalid command-line argument for server process: -d"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_goes_its_own_way_by_its_own_rules() {
    let rules = "local replication pat trust\nlocal shop sam trust\nlocal all all reject\n";
    let mut parlour = Parlour::open(with_rules(known(), rules));
    let options = "user=pat replication=yes application_name=wal options='-c work_mem=1MB'";
    complaint(&parlour.psql_local("", options).await);
    let visit = parlour.visits.recv().await.unwrap();
    assert_eq!((visit.replication, &*visit.database), (Some(Replication::Physical), ""));
    assert_eq!(visit.startup.application_name.as_deref(), Some("wal"));
    let others: Vec<_> =
        visit.startup.others.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(others, [("options", "-c work_mem=1MB")]);
    complaint(&parlour.psql_local("", "user=sam replication=database dbname=shop").await);
    let visit = parlour.visits.recv().await.unwrap();
    assert_eq!((visit.replication, &*visit.database), (Some(Replication::Logical), "shop"));
    // The keyword is for physical replication only, and a database's name is not for that.
    let refused =
        complaint(&parlour.psql_local("", "user=pat replication=database dbname=shop").await);
    assert!(refused.contains("rejects connection for host \"[local]\""), "{refused}");
    let refused = complaint(&parlour.psql_local("", "user=sam replication=true dbname=shop").await);
    assert!(refused.contains("no pg_hba.conf entry for replication connection"), "{refused}");
    let refused = complaint(&parlour.psql_local("", "user=pat replication=perhaps").await);
    assert!(
        refused.contains("invalid value for parameter \"replication\": \"perhaps\""),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn full_places_unknown_databases_and_draining_are_told_apart() {
    let mut settings = known();
    settings.general.max_clients = 1;
    settings.general.admin_slots = 1;
    settings.console.admin_users = vec!["pat".to_owned()];
    let shop = settings.databases.0.remove("*").unwrap();
    settings.databases.0.insert("shop".to_owned(), shop);
    let parlour = Parlour::open(settings);
    let refused = complaint(&parlour.psql("secret", "user=pat dbname=other").await);
    assert!(refused.contains("database \"other\" does not exist"), "{refused}");
    let refused = complaint(&parlour.psql("secret", "user=sam dbname=trunkline").await);
    assert!(refused.contains("not allowed to use the admin console"), "{refused}");

    let held = tokio::process::Command::new("psql")
        .args(["-Xw", "-d"])
        .arg(format!("host=127.0.0.1 port={} user=pat dbname=shop", parlour.port))
        .env("PGPASSWORD", "secret")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until(|| parlour.frontend.clients() == 1).await;
    let refused = complaint(&parlour.psql("secret", "user=pat").await);
    assert!(refused.contains("sorry, too many clients already"), "{refused}");
    let console = tokio::spawn({
        let port = parlour.port;
        async move {
            tokio::process::Command::new("psql")
                .args(["-Xw", "-d"])
                .arg(format!("host=127.0.0.1 port={port} user=pat dbname=pgbouncer"))
                .env("PGPASSWORD", "secret")
                .stdin(std::process::Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        }
    });
    let console = console.await.unwrap();
    until(|| *parlour.consoles.lock().unwrap() == [ConsoleRights::Admin]).await;
    drop((held, console));
    until(|| parlour.frontend.clients() == 0).await;

    parlour.frontend.drain();
    let refused = complaint(&parlour.psql("secret", "user=pat").await);
    assert!(refused.contains("the database system is shutting down"), "{refused}");
    let mut cancel = TcpStream::connect(("127.0.0.1", parlour.port)).await.unwrap();
    cancel
        .write_all(b"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x07\x09\x08\x07\x06")
        .await
        .unwrap();
    assert_eq!(cancel.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(*parlour.cancels.lock().unwrap(), [(7, vec![9, 8, 7, 6])]);
}

/// Waits for what another task does.
async fn until(done: impl Fn() -> bool) {
    wait_for("it is done", PATIENCE, async || {
        if done() { Ok(()) } else { Err(std::io::Error::other("not yet").into()) }
    })
    .await
    .unwrap();
}

/// Sends bytes and reads until the server closes.
async fn say(port: u16, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
    }
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    heard
}

const SSL_REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x30";

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_met_with_silence_or_with_postgresqls_words() {
    let authority = Authority::new();
    let bare = Parlour::open(known());
    let tls = Parlour::open(with_tls(known(), &authority, ClientTlsMode::Allow));
    for junk in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x00\x00\x00\x04",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        assert_eq!(say(bare.port, &[junk]).await, b"", "{junk:?}");
    }
    let heard = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let version = say(bare.port, &[b"\x00\x00\x00\x08\x00\x02\x00\x00"]).await;
    let old = "EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0";
    assert_eq!(heard(&version), old);
    let nobody = say(bare.port, &[b"\x00\x00\x00\x09\x00\x03\x00\x00\x00"]).await;
    assert!(heard(&nobody).contains("no PostgreSQL user name specified"), "{}", heard(&nobody));
    let twice = say(bare.port, &[SSL_REQUEST, GSS_REQUEST, SSL_REQUEST]).await;
    assert!(twice.starts_with(b"NNE"), "{}", heard(&twice));
    assert!(heard(&twice).contains("unsupported frontend protocol 1234.5679"), "{}", heard(&twice));

    // What is sent in one go with the question was never encrypted.
    let smuggled =
        say(tls.port, &[&[SSL_REQUEST, b"\x00\x00\x00\x09\x00\x03\x00\x00\x00"].concat()]).await;
    assert!(
        heard(&smuggled).contains("received unencrypted data after SSL request"),
        "{}",
        heard(&smuggled)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_protocol_option_is_negotiated_away() {
    let mut settings = known();
    settings.auth.method = AuthMethod::Trust;
    let parlour = Parlour::open(settings);
    let mut stream = TcpStream::connect(("127.0.0.1", parlour.port)).await.unwrap();
    let body = b"\x00\x03\x27\x0fuser\0pat\0_pq_.strange\0on\0\0";
    stream.write_u32(u32::try_from(body.len() + 4).unwrap()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let expected = b"v\x00\x00\x00\x19\x00\x03\x00\x02\x00\x00\x00\x01_pq_.strange\0R\x00\x00\x00\x08\x00\x00\x00\x00";
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, expected, "{:?}", String::from_utf8_lossy(&heard));
}

/// A startup packet of protocol 3.0 for this user.
fn startup(user: &str) -> BytesMut {
    let mut out = BytesMut::new();
    let params: [(&[u8], &[u8]); 2] = [(b"user", user.as_bytes()), (b"database", b"shop")];
    startup_message(&mut out, ProtocolVersion::V3_0, params);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_startup_packet_may_come_byte_by_byte_with_a_query_behind_it() {
    let mut settings = known();
    settings.auth.method = AuthMethod::Trust;
    let parlour = Parlour::open(settings);
    let mut stream = TcpStream::connect(("127.0.0.1", parlour.port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in startup("pat") {
        stream.write_all(&[byte]).await.unwrap();
    }
    stream.write_all(b"Q\0\0\0\x0dSELECT 1\0X\0\0\0\x04").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.contains("pat@shop"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_tls_works_with_the_right_protocol_name_and_carries_cancels() {
    let authority = Authority::new();
    let mut parlour = Parlour::open(with_tls(known(), &authority, ClientTlsMode::Require));
    let mut pat = target(parlour.port, "pat", password("secret"));
    let mut direct = tls(ServerTlsMode::VerifyFull, Some(&authority));
    direct.negotiation = Negotiation::Direct;
    pat.tls = Arc::new(ServerSide::new(&direct).unwrap());
    let server = open(&pat).await.unwrap();
    assert!(parlour.visits.recv().await.unwrap().encrypted);

    let request = CancelTarget {
        endpoint: server.endpoint,
        address: pat.address.clone(),
        encrypted: true,
        tls: Arc::clone(&pat.tls),
        tcp: pat.tcp,
        timeout: PATIENCE,
    };
    cancel(&request, 7, &[1, 2, 3, 4]).await.unwrap();
    assert_eq!(*parlour.cancels.lock().unwrap(), [(7, vec![1, 2, 3, 4])]);

    // Whoever comes without the name may have been sent here by someone else.
    let mut config = (*pat.tls.config).clone();
    config.alpn_protocols.clear();
    let socket = TcpStream::connect(("127.0.0.1", parlour.port)).await.unwrap();
    let mut channel = Channel::new(AsyncSocket::Tcp(socket));
    channel.connect_tls(Arc::new(config), "127.0.0.1".try_into().unwrap()).await.unwrap();
    channel.send(&startup("pat")).await.ok();
    assert!(matches!(channel.fill().await, Ok(0) | Err(_)), "served without a protocol name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_binds_to_another_certificate_is_refused() {
    let authority = Authority::new();
    let parlour = Parlour::open(with_tls(known(), &authority, ClientTlsMode::Require));
    // In the middle: ends TLS with a certificate of its own and passes on what it hears.
    let middle = Parlour::open(with_tls(known(), &authority, ClientTlsMode::Require));
    let heard = relay(&parlour, &middle).await;
    assert!(heard.contains("SCRAM channel binding check failed"), "{heard}");
}

/// Plays a client that binds its proof to the certificate of `middle` towards `parlour`.
async fn relay(parlour: &Parlour, middle: &Parlour) -> String {
    let connect = async |port: u16| {
        let settings = tls(ServerTlsMode::Require, None);
        let config = ServerSide::new(&settings).unwrap().config;
        let socket = AsyncSocket::Tcp(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        let mut channel = Channel::new(socket);
        channel.send(SSL_REQUEST).await.unwrap();
        channel.fill().await.unwrap();
        channel.received().clear();
        channel.connect_tls(config, "db.test".try_into().unwrap()).await.unwrap();
        channel
    };
    let other = connect(middle.port).await;
    let certificate = other.tls().unwrap().peer_certificate().unwrap();
    let hash = EndPointHash::of_certificate(certificate).unwrap().unwrap();
    let mut channel = connect(parlour.port).await;
    channel.send(&startup("sam")).await.unwrap();
    channel.message(1 << 16).await.unwrap();
    let (expecting, first) = auth::start(Binding::Bound(hash), &[b'n'; 18]);
    let mut out = BytesMut::new();
    sasl_initial(&mut out, b"SCRAM-SHA-256-PLUS", Some(&first));
    channel.send(&out).await.unwrap();
    let challenge = channel.message(1 << 16).await.unwrap();
    let challenge = expecting.server_first(&challenge.body()[4..]).unwrap();
    let salted =
        SaltedPassword::derive(b"secret", challenge.salt(), challenge.iterations()).unwrap();
    let (_, proof) = challenge.answer(&ClientKeys::from_salted(&salted));
    out.clear();
    sasl_response(&mut out, &proof);
    channel.send(&out).await.unwrap();
    let last = channel.message(1 << 16).await.unwrap();
    String::from_utf8_lossy(last.body()).into_owned()
}

/// The types and lengths of what the server says to a SCRAM login with a wrong password.
async fn transcript(port: u16, user: &str) -> Vec<(u8, usize)> {
    let socket = AsyncSocket::Tcp(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    let mut channel = Channel::new(socket);
    let mut seen = Vec::new();
    channel.send(&startup(user)).await.unwrap();
    let offer = channel.message(1 << 16).await.unwrap();
    seen.push((offer.tag, offer.body().len()));
    let (expecting, first) = auth::start(Binding::No, &[b'n'; 18]);
    let mut out = BytesMut::new();
    sasl_initial(&mut out, b"SCRAM-SHA-256", Some(&first));
    channel.send(&out).await.unwrap();
    let challenge = channel.message(1 << 16).await.unwrap();
    seen.push((challenge.tag, challenge.body().len()));
    let challenge = expecting.server_first(&challenge.body()[4..]).unwrap();
    let salted =
        SaltedPassword::derive(b"wrong", challenge.salt(), challenge.iterations()).unwrap();
    let (_, proof) = challenge.answer(&ClientKeys::from_salted(&salted));
    out.clear();
    sasl_response(&mut out, &proof);
    channel.send(&out).await.unwrap();
    let error = channel.message(1 << 16).await.unwrap();
    seen.push((error.tag, error.body().len()));
    assert_eq!(channel.fill().await.unwrap(), 0);
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_cannot_be_told_from_a_wrong_password() {
    let parlour = Parlour::open(known());
    let known = transcript(parlour.port, "sam").await;
    assert_eq!(known.len(), 3);
    // The name is as long as the other's, because the message repeats it.
    assert_eq!(transcript(parlour.port, "xxx").await, known);
    assert_eq!(transcript(parlour.port, "mia").await, known, "a user with an md5 password");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_in_the_settings_forgets_what_was_learnt() {
    let parlour = Parlour::open(known());
    answer(&parlour.psql("secret", "user=sam").await);
    parlour.frontend.reload(&Arc::new(known())).unwrap();
    assert!(parlour.ring.learnt("sam").is_some(), "forgotten without a change");
    parlour.frontend.reload(&Arc::new(settings(&[("sam", &verifier("other"))]))).unwrap();
    assert_eq!(parlour.ring.learnt("sam"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_dawdle_are_cut_off_and_do_not_keep_others_out() {
    let mut settings = known();
    // Long enough for three to come before the first of them is cut off.
    settings.general.login_timeout = Duration::from_secs(3);
    settings.general.max_pending_logins = 3;
    let parlour = Parlour::open(settings);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(("127.0.0.1", parlour.port)).await.unwrap();
        stream.write_all(b"\x00\x00").await.unwrap();
        held.push(stream);
    }
    until(|| parlour.frontend.pending() == 3).await;
    let mut fourth = TcpStream::connect(("127.0.0.1", parlour.port)).await.unwrap();
    assert!(matches!(fourth.read(&mut [0; 1]).await, Ok(0) | Err(_)), "the fourth was served");
    for mut stream in held {
        assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)), "a dawdler was answered");
    }
    until(|| parlour.frontend.pending() == 0).await;
    answer(&parlour.psql("secret", "user=pat").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_with_a_bad_file_changes_nothing() {
    let authority = Authority::new();
    let good = with_tls(known(), &authority, ClientTlsMode::Allow);
    let parlour = Parlour::open(good.clone());
    let mut bad = good.clone();
    bad.client_tls.certificate = Some(pem("nonsense"));
    bad.users.0.clear();
    parlour.frontend.reload(&Arc::new(bad)).unwrap_err();
    answer(&parlour.psql("secret", "user=pat sslmode=require").await);

    // A new certificate counts for the next login.
    let renewed = Authority::new();
    let root = parlour.directory.path().join("root.crt");
    std::fs::write(&root, renewed.pem()).unwrap();
    let verify = format!("user=pat sslmode=verify-full sslrootcert={}", root.display());
    complaint(&parlour.psql("secret", &verify).await);
    parlour.frontend.reload(&Arc::new(with_tls(known(), &renewed, ClientTlsMode::Allow))).unwrap();
    answer(&parlour.psql("secret", &verify).await);
}
