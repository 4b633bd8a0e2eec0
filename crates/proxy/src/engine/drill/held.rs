//! More is kept for clients than the share of their loop.

use std::{net::Shutdown, time::Duration};

use trunkline_settings::Settings;

use super::{Drill, pass};

/// The share of the loop.
const SHARE: usize = 20_000;

/// Clients that are logged in at one loop, whose pool has one server.
fn scene(clients: usize) -> (Drill, Vec<usize>) {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = Drill::new(1, settings);
    let clients: Vec<usize> = (0..clients).map(|_| drill.log_in(0)).collect();
    drill.settle();
    for client in &clients {
        drill.told(*client);
    }
    drill.loops[0].ledger.set_share(SHARE);
    (drill, clients)
}

/// The first `len` bytes of a query that is twice as long.
pub(super) fn half(len: usize) -> Vec<u8> {
    let mut query = vec![b'Q'];
    query.extend(u32::try_from(2 * len).expect("short").to_be_bytes());
    query.extend(b"SELECT 1 -- ");
    query.resize(len, b'x');
    query
}

/// What the ledger says is what there is.
pub(super) fn check_ledger(drill: &Drill) {
    for worker in &drill.loops {
        let counted: usize = worker.clients.iter().map(|(_, it)| it.rare.entry.counted).sum();
        let there: usize =
            worker.clients.iter().map(|(_, it)| it.held.footprint() + it.link.footprint()).sum();
        assert_eq!((worker.ledger.held(), counted), (there, there), "loop {}", worker.index);
    }
}

async fn settle(drill: &mut Drill) {
    pass(Duration::from_millis(1)).await;
    drill.settle();
    check_ledger(drill);
}

/// A client takes the only server, for a transaction.
async fn take_the_server(drill: &mut Drill, client: usize) {
    drill.ask(client, "BEGIN");
    drill.settle();
    drill.asked(0);
    drill.answer(0, "BEGIN", b'T');
    settle(drill).await;
}

#[tokio::test(start_paused = true)]
async fn whose_message_has_been_incomplete_for_longest_is_refused_and_nobody_else() {
    let (mut drill, clients) = scene(4);
    let lens = [3_000, 6_500, 4_000];
    for (client, len) in clients.iter().zip(lens) {
        drill.clients[*client].send(&half(len));
        settle(&mut drill).await;
    }
    // It has sent the first part first, and goes on.
    drill.clients[clients[0]].send(b"x");
    settle(&mut drill).await;
    let held = drill.loops[0].ledger.held();
    assert!((12_000..SHARE).contains(&held), "{held}");
    assert_eq!(drill.told(clients[0]), "");
    pass(Duration::from_secs(1)).await;
    drill.clients[clients[3]].send(&half(SHARE - held + 500));
    settle(&mut drill).await;
    assert_eq!(drill.errors(clients[0]), ["53200"]);
    assert!(drill.clients[clients[0]].closed);
    assert!(drill.loops[0].ledger.held() <= SHARE);
    // The others go on, and nothing is kept when they are through.
    for (client, len) in clients[1..].iter().zip([lens[1], lens[2], SHARE - held + 500]) {
        assert_eq!(drill.told(*client), "");
        drill.clients[*client].send(&[vec![b'x'; len], vec![0]].concat());
        settle(&mut drill).await;
        assert_eq!(drill.asked(0).len(), 1);
        drill.answer(0, "SELECT 1", b'I');
        settle(&mut drill).await;
        assert_eq!(drill.told(*client), "CZ");
    }
    assert_eq!(drill.loops[0].ledger.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_longest_statements_that_wait_are_refused_and_their_sessions_go_on() {
    let (mut drill, clients) = scene(6);
    take_the_server(&mut drill, clients[0]).await;
    for (client, len) in clients[1..].iter().zip([10, 9_000, 7_000, 10, 8_000]) {
        drill.ask(*client, &format!("SELECT '{}'", "x".repeat(len)));
        settle(&mut drill).await;
    }
    let told: Vec<String> = clients[1..].iter().map(|client| drill.told(*client)).collect();
    assert_eq!(told, ["", "EZ", "", "", ""]);
    // Who has sent many ahead would only wait with the next of them.
    drill.ask_all(clients[2], vec!["SELECT 'something of some length'"; 600]);
    settle(&mut drill).await;
    assert_eq!(drill.errors(clients[2]).last().map(String::as_str), Some("53200"));
    assert!(drill.clients[clients[2]].closed);
    drill.ask(clients[0], "COMMIT");
    drill.settle();
    for _ in 0..5 {
        for sql in drill.asked(0) {
            drill.answer(0, &sql, b'I');
        }
        settle(&mut drill).await;
    }
    let told = [1, 3, 4, 5].map(|client| drill.told(clients[client]));
    assert_eq!(told, ["CZ"; 4]);
    assert_eq!(drill.loops[0].ledger.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_sends_a_part_or_does_not_read_goes_before_who_waits() {
    let (mut drill, clients) = scene(4);
    take_the_server(&mut drill, clients[0]).await;
    drill.ask(clients[1], &"x".repeat(12_000));
    settle(&mut drill).await;
    drill.clients[clients[2]].send(&half(4_000));
    settle(&mut drill).await;
    pass(Duration::from_secs(1)).await;
    drill.clients[clients[3]].send(&half(5_000));
    settle(&mut drill).await;
    assert_eq!(drill.errors(clients[2]), ["53200"]);
    // Whose message may well be on its way is not to blame.
    assert_eq!((drill.told(clients[1]), drill.told(clients[3])), (String::new(), String::new()));
    drill.clients[clients[3]].send(&half(5_000));
    settle(&mut drill).await;
    assert_eq!((drill.told(clients[1]), drill.told(clients[3])), ("EZ".into(), String::new()));
    drill.clients[clients[3]].stream.shutdown(Shutdown::Both).expect("a socket");
    // A result that is not read, and a statement that takes much more.
    drill.loops[0].ledger.set_share(1_000_000);
    drill.ask(clients[1], &"x".repeat(100_000));
    drill.ask(clients[0], "SELECT 1");
    let row = [b"D\0\0\x40\x0a\0\x01\0\0\x40\0".as_slice(), &[b'x'; 0x4000]].concat();
    while !drill.loops[0].clients.iter().any(|(_, it)| it.link.backlog() > 0) {
        drill.servers[0].send(&row);
        drill.settle();
    }
    pass(Duration::from_secs(1)).await;
    settle(&mut drill).await;
    let held = drill.loops[0].ledger.held();
    assert!((100_000..200_000).contains(&held), "{held}");
    drill.loops[0].ledger.set_share(held - 1);
    drill.loops[0].relieve();
    settle(&mut drill).await;
    assert_eq!(drill.slots.taken(), 1, "who does not read is still there");
    drill.told(clients[0]);
    assert!(drill.clients[clients[0]].closed);
    assert_eq!(drill.told(clients[1]), "");
    // The statement that waited gets a new server.
    drill.servers[0].stream.shutdown(Shutdown::Both).expect("a socket");
    for _ in 0..4 {
        pass(Duration::from_secs(1)).await;
        drill.settle();
    }
    assert_eq!(drill.asked(1).len(), 1);
    assert_eq!(drill.told(clients[1]), "");
    drill.answer(1, "SELECT 1", b'I');
    settle(&mut drill).await;
    assert_eq!(drill.told(clients[1]), "CZ");
    assert_eq!(drill.loops[0].ledger.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_smaller_share_is_felt_at_once_and_what_a_client_leaves_is_not_counted() {
    let (mut drill, clients) = scene(3);
    for client in &clients {
        drill.clients[*client].send(&half(3_000));
        settle(&mut drill).await;
    }
    drill.clients[clients[0]].stream.shutdown(Shutdown::Both).expect("a socket");
    settle(&mut drill).await;
    let held = drill.loops[0].ledger.held();
    assert!((6_000..7_000).contains(&held), "{held}");
    drill.loops[0].ledger.set_share(6_500);
    pass(Duration::from_secs(1)).await;
    drill.clients[clients[2]].send(b"x");
    settle(&mut drill).await;
    assert_eq!(drill.errors(clients[1]), ["53200"]);
    assert_eq!(drill.told(clients[2]), "");
    drill.clients[clients[2]].stream.shutdown(Shutdown::Both).expect("a socket");
    settle(&mut drill).await;
    assert_eq!(drill.loops[0].ledger.held(), 0);
}
