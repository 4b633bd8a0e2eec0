use tokio::{io::AsyncReadExt, sync::mpsc};
use trunkline_proxy::{
    frontend::{Slots, StartupParams},
    handover::ConsoleRights,
    net::Peer,
    seats::Seats,
};

use super::*;
use crate::testing::Puppet;

#[tokio::test]
async fn everything_is_served_until_it_is_told_to_stop() {
    let (logins, consoles) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let http = HttpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = http.address();
    let options = Options { http: Some(http), ..Options::default() };
    let server = tokio::spawn(serve(Puppet::new(), consoles, options, stopped));
    let (mut near, far) = tokio::io::duplex(4096);
    let slots = Slots::new(1);
    let user: Arc<str> = "postgres".into();
    let login = ConsoleLogin {
        stream: Box::new(far),
        user: Arc::clone(&user),
        database: "trunkline".into(),
        rights: ConsoleRights::Read,
        startup: StartupParams::default(),
        peer: Peer::Unix { uid: 0, gid: 0, pid: None },
        slot: slots.take(&user, None).unwrap(),
    };
    logins.send((login, Seats::default().take())).unwrap();
    // The pooler's side of the channel ends first in a shutdown.
    drop(logins);
    assert_eq!(near.read_u8().await.unwrap(), b'S');
    tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(slots.taken(), 1);
    stop.send(true).unwrap();
    let mut words = Vec::new();
    near.read_to_end(&mut words).await.unwrap();
    assert!(String::from_utf8_lossy(&words).contains("57P01"));
    timeout(STOP_DEADLINE, server).await.expect("ends in time").unwrap();
    assert_eq!(slots.taken(), 0, "the place is given back");
}

#[tokio::test(start_paused = true)]
async fn counters_are_remembered_once_in_a_period() {
    let puppet = Puppet::new();
    let (sender, marks) = watch::channel(Arc::default());
    let origin = Instant::now();
    let console = Console { pooler: puppet.clone(), marks, origin, shutdown: None };
    let console = Arc::new(console);
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(take_marks(Arc::clone(&console), sender, stopped));
    // Two marks with 42 queries each, then 180 more.
    tokio::time::sleep(PERIOD * 2 + Duration::from_secs(30)).await;
    puppet.with(|strings| strings.loops[0].pools[0].stats.queries += 180);
    let snapshot = console.snapshot().await.unwrap();
    let totals = pools::by_database(&snapshot.counters);
    let averages = snapshot.marks.averages("shop", &totals["shop"], snapshot.now_us);
    // 180 queries in the 90 s since the older mark.
    assert_eq!(averages.queries, 2);
    drop(stop);
    task.await.unwrap();
}
