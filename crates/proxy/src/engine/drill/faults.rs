//! What one client's misfortune costs the others, and what a pause costs those who wait.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use trunkline_settings::Settings;

use super::{Drill, pass};
use crate::{cluster::NodeId, engine::message::Message, handover::CancelTicket};

#[tokio::test(start_paused = true)]
async fn a_panic_costs_the_client_that_is_served_and_its_server_and_nobody_else() {
    let mut drill = Drill::new(1, Settings::default());
    let clients: Vec<usize> = (0..3).map(|_| drill.log_in(0)).collect();
    drill.settle();
    for client in &clients {
        drill.told(*client);
        drill.ask(*client, "BEGIN");
    }
    drill.settle();
    for server in 0..3 {
        assert_eq!(drill.asked(server), ["BEGIN"]);
        drill.answer(server, "BEGIN", b'T');
    }
    drill.settle();
    assert!(clients.iter().all(|client| drill.told(*client) == "CZ"));
    drill.loops[0].fault = Some("SELECT 'panic'");
    drill.ask(clients[1], "SELECT 'panic'");
    for client in [clients[0], clients[2]] {
        drill.ask(client, "SELECT 1");
    }
    drill.settle();
    drill.told(clients[1]);
    assert!(drill.clients[1].closed);
    let report = &drill.reports()[0];
    assert_eq!((report.panics, report.clients.len()), (1, 2));
    let mut gone = 0;
    for server in 0..3 {
        match &drill.asked(server)[..] {
            [sql] if sql == "SELECT 1" => drill.answer(server, "SELECT 1", b'T'),
            _ => {
                assert!(drill.servers[server].closed, "the server of the client that has gone");
                gone += 1;
            }
        }
    }
    assert_eq!(gone, 1);
    drill.settle();
    assert_eq!((drill.told(clients[0]), drill.told(clients[2])), ("CZ".into(), "CZ".into()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_queued_statement_is_sent_costs_the_client_that_waited() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = Drill::new(1, settings);
    let (holder, waiter) = (drill.log_in(0), drill.log_in(0));
    drill.settle();
    drill.ask(holder, "BEGIN");
    drill.settle();
    drill.answer(0, "BEGIN", b'T');
    drill.settle();
    drill.ask(waiter, "SELECT 'panic'");
    drill.settle();
    drill.loops[0].fault = Some("SELECT 'panic'");
    // The holder leaves, its transaction is rolled back, and the server goes to the waiter.
    drill.clients[holder].stream.shutdown(std::net::Shutdown::Both).expect("a socket");
    drill.settle();
    assert_eq!(drill.asked(0), ["BEGIN", "ROLLBACK"]);
    drill.answer(0, "ROLLBACK", b'I');
    drill.settle();
    drill.told(waiter);
    assert!(drill.clients[waiter].closed);
    let report = &drill.reports()[0];
    assert_eq!((report.panics, report.clients.len()), (1, 0));
}

/// As when the task that opens it panics.
#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_outcome_gives_its_place_back_and_is_made_again() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let backoff = settings.pool.retry_backoff_min;
    let mut drill = Drill::new(1, settings);
    drill.opener.loses.store(true, Ordering::Relaxed);
    let client = drill.log_in(0);
    drill.settle();
    let pool = &drill.reports()[0].pools[0];
    assert_eq!((pool.servers_opening, pool.clients_waiting), (0, 1));
    assert!(pool.last_error.as_ref().is_some_and(|error| error.contains("internal error")));
    let family = &drill.shared.registry.families()[0];
    let [cap, ..] = drill.shared.caps_of(family, NodeId(0));
    assert_eq!((cap.used(), family.tenants.held()), (0, 0));
    drill.opener.loses.store(false, Ordering::Relaxed);
    pass(backoff + Duration::from_millis(25)).await;
    drill.settle();
    assert!(drill.told(client).ends_with('Z'));
}

/// As when the task that sends it panics: it may be with the server, and hit whatever runs there.
#[tokio::test(start_paused = true)]
async fn a_server_whose_cancel_request_has_no_outcome_is_given_to_nobody_else() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = Drill::new(1, settings);
    let (asker, next) = (drill.log_in(0), drill.log_in(0));
    drill.settle();
    let key = drill.clients[asker].receive().into_iter().find(|(tag, _)| *tag == b'K');
    let (_, key) = key.expect("a key");
    let (pid, key) = key.split_first_chunk().expect("a process id");
    drill.ask(asker, "SELECT pg_sleep(3600)");
    drill.settle();
    assert_eq!(drill.asked(0).len(), 1);
    drill.told(next);
    drill.ask(next, "SELECT 1");
    drill.opener.loses.store(true, Ordering::Relaxed);
    let (ticket, _) = CancelTicket::new();
    let message =
        Message::Cancel { slot: 0, pid: i32::from_be_bytes(*pid), key: key.into(), ticket };
    drill.shared.send(0, message);
    drill.settle();
    drill.opener.loses.store(false, Ordering::Relaxed);
    drill.answer(0, "SELECT 1", b'I');
    drill.settle();
    assert_eq!(drill.told(asker), "CZ");
    assert!(drill.asked(0).is_empty() && drill.servers[0].closed, "the server was kept");
    drill.servers[0].stream.shutdown(std::net::Shutdown::Both).expect("a socket");
    drill.settle();
    assert_eq!(drill.asked(1), ["SELECT 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_pool_has_counted_stays_when_it_is_forgotten_and_goes_on_when_it_comes_back() {
    let mut drill = Drill::new(1, Settings::default());
    for round in 1..=2 {
        drill.shared.registry.apply(&drill.settings, &[], |_| false);
        let client = drill.log_in(0);
        drill.settle();
        drill.ask(client, "SELECT 1");
        drill.settle();
        let server = drill.servers.len() - 1;
        drill.answer(server, "SELECT 1", b'I');
        drill.settle();
        let report = &drill.reports()[0];
        let gone = report.departed.iter().map(|gone| gone.stats.queries).sum::<u64>();
        assert_eq!((report.pools[0].stats.queries, gone), (1, round - 1));
        let mut none = Settings::default();
        none.databases.0.clear();
        drill.shared.registry.apply(&Arc::new(none), &[], |_| false);
        drill.shared.send_all(|| Message::Recheck);
        drill.settle();
        let report = &drill.reports()[0];
        let gone = &report.departed[0];
        assert_eq!((report.pools.len(), report.departed.len()), (0, 1));
        assert_eq!((&*gone.database, &*gone.user), ("shop", "alice"));
        assert_eq!((gone.stats.queries, gone.stats.logins), (round, round));
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_pause_is_no_time_of_waiting() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    settings.pool.wait_timeout = Duration::from_secs(2);
    let mut drill = Drill::new(1, settings);
    let (holder, waiter) = (drill.log_in(0), drill.log_in(0));
    drill.settle();
    drill.ask(holder, "BEGIN");
    drill.ask(waiter, "SELECT 1");
    drill.settle();
    drill.told(waiter);
    pass(Duration::from_secs(1)).await;
    drill.settle();
    let registry = Arc::clone(&drill.shared.registry);
    registry.set_paused(None, true);
    drill.shared.send_all(|| Message::Recheck);
    drill.settle();
    pass(Duration::from_secs(60)).await;
    drill.settle();
    registry.set_paused(None, false);
    drill.shared.send_all(|| Message::Recheck);
    drill.settle();
    pass(Duration::from_millis(900)).await;
    drill.settle();
    assert_eq!(drill.told(waiter), "");
    pass(Duration::from_millis(200)).await;
    drill.settle();
    assert_eq!(drill.told(waiter), "EZ");
}
