//! A panic at each point of a story in which everything happens to two loops that can: whatever it hits, the loops go on,
//! it costs one client and one server at most, and nothing is left behind.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    held::{check_ledger, half},
    story::{NODE, Story, settings},
};
use crate::{
    cluster::Traffic,
    engine::{fault, local::LocalPool, message::Message},
};

/// Server connections that the node takes.
const CONNECTIONS: usize = 4;

/// Clients of the database that has the most.
const CLIENTS: usize = 8;

/// Clients come, work and go; of those who are still there everybody must have been served at the end of it.
async fn work(story: &mut Story) {
    for client in 0..CLIENTS {
        story.log_in("shop", client % 2);
    }
    story.play();
    // All places are taken by transactions; the fifth and the sixth client wait, at different loops.
    for client in 0..4 {
        story.ask(client, "BEGIN");
        story.play();
    }
    for client in [4, 5] {
        story.ask(client, "SELECT 1");
    }
    story.play();
    story.cancel(4);
    story.ask(0, "COMMIT");
    story.play();
    story.ask(1, "SLEEP");
    story.play();
    story.cancel(1);
    // One goes in its transaction, the server of another one breaks.
    story.leave(2);
    if let Some(server) = story.server_of(3) {
        story.close(server);
    }
    story.play();
    // A database that has no connection takes the place of one that is idle, or that comes back.
    for at in 0..2 {
        let client = story.log_in("wiki", at);
        story.play();
        story.ask(client, "SELECT 1");
        story.wait(Duration::from_millis(25)).await;
    }
    // More is kept for one than may be, who has sent a part of a message; then for one whose statement waits.
    let clients = [story.log_in("shop", 0), story.log_in("wiki", 0)];
    story.play();
    story.overload(clients[0], &half(3_000));
    story.drill.shared.registry.set_paused(Some("wiki"), true);
    story.send_all(|| Message::Recheck);
    story.overload(clients[1], &[half(3_000), vec![b'x'; 3_000], vec![0]].concat());
    story.drill.shared.registry.set_paused(Some("wiki"), false);
    story.send_all(|| Message::Recheck);
}

/// What operators and time do.
async fn events(story: &mut Story) {
    let registry = Arc::clone(&story.drill.shared.registry);
    registry.set_paused(None, true);
    story.send_all(|| Message::Recheck);
    for client in [4, 5] {
        story.ask(client, "SELECT 1");
    }
    story.wait(Duration::from_secs(1)).await;
    registry.set_paused(None, false);
    story.send_all(|| Message::Recheck);
    let mut short = settings();
    short.timeouts.idle_in_transaction = Duration::from_secs(600);
    let (usual, short) = (Arc::clone(&story.drill.settings), Arc::new(short));
    story.send_all(|| Message::Settings(Arc::clone(&short)));
    story.send_all(|| Message::Settings(Arc::clone(&usual)));
    story.send_all(|| Message::Report(oneshot::channel().0));
    let [cap, ..] = story.drill.shared.caps_of(&registry.families()[0], NODE);
    story.send_all(|| Message::Evict(Arc::clone(&cap)));
    story.send_all(|| Message::Traffic(Traffic { doubtful: vec![NODE], ..Traffic::default() }));
    story.send_all(|| Message::Traffic(Traffic { primary: Some(NODE), ..Traffic::default() }));
    for client in [2, 3] {
        story.ask(client, "BEGIN");
        story.play();
    }
    story.ask(3, "SELECT 1");
    story.send_all(|| Message::Traffic(Traffic::default()));
    story.send_all(|| Message::Traffic(Traffic { primary: Some(NODE), ..Traffic::default() }));
    story.send_all(|| Message::Recovered(NODE));
    // All places are taken again, and those who wait give up.
    for client in [0, 1, 4, 5] {
        story.ask(client, "BEGIN");
        story.play();
    }
    for client in [6, 7] {
        story.ask(client, "SELECT 1");
    }
    story.wait(Duration::from_secs(6)).await;
    for client in [0, 1, 4, 5] {
        story.ask(client, "COMMIT");
    }
    story.play();
    story.wait(Duration::from_secs(90)).await;
}

/// Everybody is served who is still there, and new ones are.
async fn end_of_work(story: &mut Story) {
    for client in 0..story.guests.len() {
        if story.guests[client].in_transaction {
            story.ask(client, "COMMIT");
        }
    }
    for at in 0..2 {
        let client = story.log_in("shop", at);
        story.wait(Duration::from_secs(1)).await;
        story.ask(client, "SELECT 1");
    }
    // As long as a server has to close, and attempts to open one are apart.
    for _ in 0..20 {
        story.wait(Duration::from_secs(1)).await;
    }
    for (client, guest) in story.guests.iter().enumerate() {
        assert!(guest.closed || !guest.waits, "client {client} hangs");
    }
    let newcomers = &story.guests[story.guests.len() - 2..];
    assert!(newcomers.iter().any(|guest| !guest.closed), "nobody new is served");
}

/// What the loops, the caps and the faces say agrees.
fn check_books(story: &Story) {
    let drill = &story.drill;
    check_ledger(drill);
    let open = story.hosts.iter().filter(|host| !host.closed).count();
    let mut servers = 0;
    for worker in &drill.loops {
        servers += worker.servers.len();
        for (_, pool) in &worker.pools {
            assert_eq!(
                (pool.attempt.under_way(), pool.waiters.len(), pool.welcoming.len()),
                (0, 0, 0)
            );
        }
    }
    assert_eq!(servers, open, "connections that nobody serves");
    for family in drill.shared.registry.families() {
        let local = |index: usize| {
            let worker = &drill.loops[index];
            worker.by_family.get(&family.id).map(|place| &worker.pools[*place])
        };
        let count =
            |count: fn(&LocalPool) -> usize| (0..2).filter_map(local).map(count).sum::<usize>();
        assert_eq!(family.tenants.held(), count(|pool| pool.servers), "places of {}", family.id);
        let idle: Vec<(usize, u64)> = (0..2)
            .map(|index| (index, local(index).map_or(0, LocalPool::idle_count)))
            .filter(|(_, idle)| *idle > 0)
            .collect();
        assert_eq!(family.faces.idle_elsewhere(2).collect::<Vec<_>>(), idle);
        assert_eq!(family.faces.oldest_elsewhere(2), None);
        let [.., node, _] = drill.shared.caps_of(&family, NODE);
        assert_eq!((node.used(), node.leaving()), (open, 0));
    }
    let there = story.guests.iter().filter(|guest| !guest.closed).count();
    assert_eq!(drill.slots.taken(), there, "places of clients");
}

/// All databases are removed: nobody and nothing stays.
async fn empty(story: &mut Story) {
    let mut none = settings();
    none.databases.0.clear();
    story.drill.shared.registry.apply(&Arc::new(none), &[(NODE, CONNECTIONS)], |_| false);
    story.send_all(|| Message::Recheck);
    story.send_all(|| Message::Drain);
    for _ in 0..20 {
        story.wait(Duration::from_secs(1)).await;
    }
    assert!(story.guests.iter().all(|guest| guest.closed), "a client stays");
    for worker in &story.drill.loops {
        let left = (worker.clients.len(), worker.servers.len(), worker.pools.len());
        assert_eq!(left, (0, 0, 0), "clients, servers and pools");
        assert_eq!(worker.ledger.held(), 0);
    }
}

/// Tells the story with a panic at the `nth` point.
async fn tell(nth: u64) -> (Story, u64) {
    fault::arm(nth);
    let mut story = Story::begin(settings(), CONNECTIONS);
    work(&mut story).await;
    events(&mut story).await;
    end_of_work(&mut story).await;
    check_books(&story);
    empty(&mut story).await;
    check_books(&story);
    let points = fault::passed();
    fault::arm(0);
    (story, points)
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_costs_one_client_and_one_server_at_most_and_leaves_nothing_behind() {
    let (usual, points) = tell(0).await;
    assert_eq!((usual.panics(), usual.hit), (0, None));
    assert!(points > 500, "the story has {points} points only");
    let refused: u64 = usual.drill.loops.iter().map(|worker| worker.ledger.refused).sum();
    assert_eq!(refused, 2, "of those for whom too much is kept");
    for nth in 1..=points {
        let (story, _) = tell(nth).await;
        assert_eq!(story.panics(), 1, "point {nth}");
        let step = story.hit.expect("a panic is part of a step");
        let ((lost, closed), (left, retired)) = (&story.losses[step], &usual.losses[step]);
        let lost = lost.difference(left).count();
        let closed = closed.saturating_sub(*retired);
        assert!(lost <= 1 && closed <= 1, "point {nth} costs {lost} clients, {closed} servers");
    }
}
