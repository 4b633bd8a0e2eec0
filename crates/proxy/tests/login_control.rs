//! Probes of a real cluster, users found by a query, keys passed through, and a storm of logins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod login_support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use login_support::parlour::{Parlour, answer, complaint};
use login_support::{boss, password, target, targets};
use tokio::time::timeout;
use trunkline_cluster::{NodeId, Policy, State, Verdict};
use trunkline_proxy::backend::{Names, open};
use trunkline_proxy::control::{
    AuthQuery, ControlConnection, ControlError, ControlPool, Overseer, ProbeTarget, Probing,
    oversee, probe,
};
use trunkline_settings::{Host, ServerSecret, Settings};
use trunkline_testkit::link::Link;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Cluster, Error};

const INTERVAL: Duration = Duration::from_millis(100);

/// Waits until the verdict is this.
async fn expect(overseer: &mut Overseer, wanted: &Verdict) {
    let seen =
        overseer.view.wait_for(|view| view.as_ref().is_some_and(|view| view.verdict == *wanted));
    let came = timeout(PATIENCE, seen).await.is_ok();
    assert!(came, "wanted {wanted:?}, last seen {:?}", overseer.view.borrow());
}

/// Watches every node of the cluster; their numbers are their places in it.
fn watch(cluster: &Cluster) -> (Overseer, Probing) {
    let policy =
        Policy { down_failures: 3, down_after: Duration::from_millis(300), ..Policy::default() };
    let targets = targets(cluster);
    let overseer = oversee(State::new(policy, targets.iter().map(|target| target.node)));
    let probing = probe(targets, INTERVAL, Duration::from_secs(2), &overseer.events);
    (overseer, probing)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_followed_and_the_old_primary_is_left_alone() {
    let cluster = Cluster::builder().standbys(1).start().await.unwrap();
    let (mut overseer, probing) = watch(&cluster);
    expect(&mut overseer, &Verdict::Primary(NodeId(0))).await;
    overseer
        .view
        .wait_for(|view| {
            view.as_ref().is_some_and(|view| view.nodes.iter().all(|node| node.last.is_some()))
        })
        .await
        .unwrap();

    // Nothing is stopped: for a moment both take writes, and the newer timeline wins.
    cluster.standby(0).unwrap().promote().await.unwrap();
    probing.all_at_once();
    expect(&mut overseer, &Verdict::Primary(NodeId(1))).await;
    cluster.standby(0).unwrap().kill().await.unwrap();
    probing.at_once(NodeId(1));
    expect(&mut overseer, &Verdict::NoPrimary).await;
    cluster.standby(0).unwrap().start().await.unwrap();
    expect(&mut overseer, &Verdict::Primary(NodeId(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_probe_connection_is_no_failure_and_a_frozen_server_is() {
    let cluster = Cluster::builder().start().await.unwrap();
    let (mut overseer, _probing) = watch(&cluster);
    expect(&mut overseer, &Verdict::Primary(NodeId(0))).await;
    overseer.view.mark_unchanged();
    cluster.primary().cut_connections().await.unwrap();
    let changed = timeout(INTERVAL * 10, overseer.view.changed()).await;
    assert!(changed.is_err(), "a cut connection was seen as {:?}", overseer.view.borrow());
    cluster.primary().freeze().unwrap();
    expect(&mut overseer, &Verdict::NoPrimary).await;
    cluster.primary().thaw().unwrap();
    expect(&mut overseer, &Verdict::Primary(NodeId(0))).await;
}

/// What a name service answers, which can be changed; how often it was asked.
#[derive(Debug, Clone)]
struct Service {
    answer: Arc<Mutex<Option<SocketAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Service {
    fn names(&self) -> Names {
        let service = self.clone();
        Names::by(move |name, _| {
            assert_eq!(name, "db.example");
            service.asked.fetch_add(1, Ordering::Relaxed);
            let answer = *service.answer.lock().unwrap();
            Box::pin(async move {
                match answer {
                    Some(address) => Ok(vec![address]),
                    None => std::future::pending().await,
                }
            })
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_comes_to_mean_another_machine_is_followed() {
    let cluster = Cluster::builder().start().await.unwrap();
    let address = cluster.primary().address();
    let (first, second) = (Link::to(address).await.unwrap(), Link::to(address).await.unwrap());
    let answer = Arc::new(Mutex::new(Some(first.address())));
    let service = Service { answer, asked: Arc::default() };
    let mut target = boss(cluster.primary());
    target.address.host = Host::parse("db.example").unwrap();
    target.names = service.names();
    let node = NodeId(7);
    let policy =
        Policy { down_failures: 3, down_after: Duration::from_millis(300), ..Policy::default() };
    let mut overseer = oversee(State::new(policy, [node]));
    let limit = Duration::from_secs(2);
    let targets = vec![ProbeTarget { node, target }];
    let mut probing = probe(targets, INTERVAL, limit, &overseer.events);
    expect(&mut overseer, &Verdict::Primary(node)).await;
    // The same answer again and again is no news.
    assert!(timeout(INTERVAL * 5, probing.moved()).await.is_err());
    assert!(service.asked.load(Ordering::Relaxed) > 2, "the name was not looked up again");
    *service.answer.lock().unwrap() = Some(second.address());
    assert_eq!(timeout(PATIENCE, probing.moved()).await.unwrap(), Some(node));
    wait_for("the probe has left the first address", PATIENCE, async || {
        let open = (first.open_connections(), second.open_connections());
        if open == (0, 1) { Ok(()) } else { Err(Error::msg(format!("{open:?}"))) }
    })
    .await
    .unwrap();
    // A service that does not answer disturbs nothing, and is not asked once more meanwhile.
    *service.answer.lock().unwrap() = None;
    tokio::time::sleep(INTERVAL * 3).await;
    let asked = service.asked.load(Ordering::Relaxed);
    overseer.view.mark_unchanged();
    assert!(timeout(INTERVAL * 5, probing.moved()).await.is_err());
    assert_eq!(service.asked.load(Ordering::Relaxed), asked);
    assert!(!overseer.view.has_changed().unwrap() && second.open_connections() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_connection_answers_until_it_is_spoilt() {
    let cluster = Cluster::builder().start().await.unwrap();
    let mut connection = ControlConnection::connect(&boss(cluster.primary())).await.unwrap();
    let limit = PATIENCE;
    let rows = connection
        .query_with("SELECT $1::text || '!', NULL", &["it's \"quoted\""], limit)
        .await
        .unwrap();
    assert_eq!(rows[0][0].as_deref(), Some(&b"it's \"quoted\"!"[..]));
    assert_eq!(rows[0][1], None);
    let failed = connection.query("SELECT 1/0", limit).await.unwrap_err();
    assert!(
        matches!(&failed, ControlError::Server(report) if report.code.as_str() == "22012"),
        "{failed}"
    );
    assert!(connection.is_usable());
    let long = connection.query("SELECT repeat('x', 2000000)", limit).await.unwrap_err();
    assert!(matches!(long, ControlError::Lost(_) | ControlError::TooLong), "{long}");
    assert!(!connection.is_usable());

    let mut connection = ControlConnection::connect(&boss(cluster.primary())).await.unwrap();
    let slow =
        connection.query("SELECT pg_sleep(60)", Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(slow, ControlError::Timeout) && !connection.is_usable());

    let pool = ControlPool::new(boss(cluster.primary()));
    let mut first = pool.get().await.unwrap();
    let pid = first.query("SELECT pg_backend_pid()", limit).await.unwrap();
    drop(first);
    cluster.primary().cut_connections().await.unwrap();
    wait_for("the pool notices", PATIENCE, async || {
        let mut again = pool.get().await?;
        let now = again.query("SELECT pg_backend_pid()", limit).await?;
        if now == pid { Err(std::io::Error::other("the same connection").into()) } else { Ok(()) }
    })
    .await
    .unwrap();
}

const QUERY: &str = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END \
    FROM pg_authid WHERE rolname = $1 AND rolcanlogin";

/// A front whose users are those of the cluster.
fn parlour(cluster: &Cluster) -> Parlour {
    let mut settings = Settings::default();
    QUERY.clone_into(&mut settings.auth.auth_query);
    settings.auth.auth_query_cache = Duration::from_secs(3600);
    settings.auth.auth_query_refresh = Duration::from_secs(3600);
    let pool = ControlPool::new(boss(cluster.primary()));
    let source = AuthQuery::new(QUERY.to_owned(), vec![(NodeId(0), pool)], PATIENCE);
    source.prefer(Some(NodeId(0)));
    Parlour::with_source(settings, Some(Arc::new(source)))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_the_cluster_log_in_and_their_keys_open_servers() {
    let cluster = Cluster::builder()
        .user("sam", "secret")
        .initial_sql(
            "postgres",
            "CREATE ROLE late LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01'",
        )
        .initial_sql("postgres", "CREATE ROLE crowd PASSWORD 'secret'")
        .start()
        .await
        .unwrap();
    let parlour = parlour(&cluster);
    let mut sam = target(cluster.primary().port(), "sam", ServerSecret::Learnt);
    sam.ring = Arc::clone(&parlour.ring);
    open(&sam).await.unwrap_err();
    assert_eq!(answer(&parlour.psql("secret", "user=sam").await), "sam@shop");
    open(&sam).await.unwrap();
    for user in ["late", "crowd", "nobody"] {
        let refused = complaint(&parlour.psql("secret", &format!("user={user}")).await);
        assert!(
            refused.ends_with(&format!("password authentication failed for user \"{user}\"")),
            "{refused}"
        );
    }

    // The change is noticed at the first failure, and the old key goes.
    cluster.primary().execute("postgres", "ALTER ROLE sam PASSWORD 'changed'").await.unwrap();
    // A password is not looked up twice within a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    complaint(&parlour.psql("changed", "user=sam").await);
    assert_eq!(parlour.ring.learnt("sam"), None);
    answer(&parlour.psql("changed", "user=sam").await);
    open(&sam).await.unwrap();

    // Whoever could log in a moment ago can while the cluster is away; others are told the truth.
    cluster.primary().kill().await.unwrap();
    answer(&parlour.psql("changed", "user=sam").await);
    let unknown = complaint(&parlour.psql("secret", "user=new").await);
    assert!(unknown.contains("cannot be checked now"), "{unknown}");
}

/// Logins at the same time.
const STORM: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_logins_at_once_all_succeed() {
    let cluster = Cluster::builder().user("sam", "secret").start().await.unwrap();
    let parlour = parlour(&cluster);
    let mut sam = target(parlour.port, "sam", password("secret"));
    sam.database = Arc::from("shop");
    sam.connect_timeout = PATIENCE;
    let begun = tokio::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..STORM {
        let sam = sam.clone();
        tasks.spawn(async move {
            let server = open(&sam).await.unwrap_or_else(|error| panic!("{error}"));
            (server.pid, tokio::time::Instant::now())
        });
    }
    let mut slowest = Duration::ZERO;
    while let Some(done) = tasks.join_next().await {
        let (pid, at) = done.unwrap();
        assert_eq!(pid, 42);
        slowest = slowest.max(at - begun);
    }
    assert!(slowest < PATIENCE, "the slowest login took {slowest:?}");
}
