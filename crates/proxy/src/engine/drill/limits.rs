//! Limits of time and number: servers that say nothing, statements that cannot be cancelled, queues that are full.

use std::{net::Shutdown, time::Duration};

use trunkline_settings::Settings;
use trunkline_wire::backend::Fields;

use super::{Drill, pass};
use crate::{cluster::NodeId, watch::move_on};

/// More than the time between two looks after pools.
const LOOK: Duration = Duration::from_millis(25);

/// How long a silent server that was told to go is waited for, at most.
const SILENT: Duration = Duration::from_secs(1);

fn settings(size: usize) -> Settings {
    let mut settings = Settings::default();
    settings.pool.size = size;
    settings
}

async fn later(drill: &mut Drill, time: Duration) {
    pass(time).await;
    drill.settle();
}

/// The clients are let in, and each has opened a transaction on the server of its number.
fn holders(drill: &mut Drill, homes: &[usize]) -> Vec<usize> {
    let clients: Vec<usize> = homes.iter().map(|home| drill.log_in(*home)).collect();
    drill.settle();
    for client in &clients {
        drill.told(*client);
        drill.ask(*client, "BEGIN");
        drill.settle();
    }
    for server in 0..drill.servers.len() {
        if drill.asked(server).contains(&"BEGIN".to_owned()) {
            drill.answer(server, "BEGIN", b'T');
        }
    }
    drill.settle();
    assert!(clients.iter().all(|client| drill.told(*client) == "CZ"));
    clients
}

/// Ends the transaction of a client, whose server this is.
fn commit(drill: &mut Drill, client: usize, server: usize) {
    drill.ask(client, "COMMIT");
    drill.settle();
    assert_eq!(drill.asked(server), ["COMMIT"]);
    drill.answer(server, "COMMIT", b'I');
    drill.settle();
    assert_eq!(drill.told(client), "CZ");
}

/// The texts of the last error that a client was told: message and detail.
fn last_error(drill: &mut Drill, client: usize) -> (String, String, String) {
    let mut errors = drill.clients[client].receive().into_iter().filter(|(tag, _)| *tag == b'E');
    let (_, body) = errors.next_back().expect("an error");
    let fields = Fields::parse(&body).expect("an error");
    let text =
        |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let code = fields.code().expect("an error has a code").to_string();
    (code, text(fields.message()), text(fields.detail()))
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_its_check_gives_its_place_to_another_one_soon() {
    let settings = settings(1);
    let (check, patience) = (settings.pool.server_check, settings.pool.server_check_timeout);
    let mut drill = Drill::new(1, settings);
    let client = holders(&mut drill, &[0])[0];
    commit(&mut drill, client, 0);
    later(&mut drill, check + LOOK).await;
    drill.ask(client, "SELECT 1");
    drill.settle();
    assert_eq!(drill.asked(0), [""]);
    later(&mut drill, patience + LOOK).await;
    assert_eq!(drill.servers.len(), 1, "the place is not free yet");
    later(&mut drill, SILENT + LOOK).await;
    assert_eq!(drill.servers.len(), 2, "the place is not free");
    assert_eq!(drill.asked(1), ["SELECT 1"]);
}

#[tokio::test(start_paused = true)]
async fn when_one_server_fails_its_check_the_others_are_asked_before_they_are_used() {
    for loops in [1, 2] {
        let mut settings = settings(3);
        settings.pool.slots_per_worker = 1;
        let (check, patience) = (settings.pool.server_check, settings.pool.server_check_timeout);
        let mut drill = Drill::new(loops, settings);
        let homes = [0, 0, loops - 1];
        let clients = holders(&mut drill, &homes);
        // Which server is whose: each has been asked by one client only.
        let own: Vec<usize> = clients
            .iter()
            .map(|client| {
                drill.ask(*client, &format!("SELECT {client}"));
                drill.settle();
                let all = 0..drill.servers.len();
                let found = all.into_iter().find(|server| !drill.asked(*server).is_empty());
                let server = found.expect("a server was asked");
                drill.answer(server, "SELECT 1", b'T');
                drill.settle();
                assert_eq!(drill.told(*client), "CZ");
                server
            })
            .collect();
        commit(&mut drill, clients[0], own[0]);
        later(&mut drill, check + LOOK).await;
        drill.ask(clients[0], "SELECT 1");
        drill.settle();
        assert_eq!(drill.asked(own[0]), [""]);
        // The others are parked meanwhile; the first of them serves who waits.
        drill.ask(clients[1], "COMMIT");
        drill.settle();
        drill.asked(own[1]);
        drill.answer(own[1], "COMMIT", b'I');
        drill.settle();
        assert_eq!(drill.asked(own[1]), ["SELECT 1"]);
        drill.answer(own[1], "SELECT 1", b'I');
        commit(&mut drill, clients[2], own[2]);
        later(&mut drill, patience + LOOK).await;
        for server in &own[1..] {
            assert_eq!(drill.asked(*server), [""], "{loops} loops: server {server} was not asked");
            drill.answer(*server, "", b'I');
        }
        drill.settle();
        drill.told(clients[2]);
        drill.ask(clients[2], "SELECT 2");
        drill.settle();
        let served = own[1..].iter().any(|server| drill.asked(*server) == ["SELECT 2"]);
        assert!(served, "{loops} loops: nobody was asked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_cannot_be_cancelled_costs_the_client_and_its_server() {
    let mut settings = settings(1);
    settings.timeouts.query = Duration::from_secs(3);
    settings.timeouts.cancel = Duration::from_secs(4);
    let mut drill = Drill::new(1, settings);
    let client = holders(&mut drill, &[0])[0];
    let next = drill.log_in(0);
    drill.settle();
    drill.told(next);
    drill.ask(client, "SELECT pg_sleep(3600)");
    drill.settle();
    drill.ask(next, "SELECT 1");
    // The cancel request is taken, and nothing comes of it.
    later(&mut drill, Duration::from_secs(3) + LOOK).await;
    later(&mut drill, Duration::from_millis(3_950)).await;
    assert_eq!(drill.told(client), "");
    later(&mut drill, 4 * LOOK).await;
    let (code, _, detail) = last_error(&mut drill, client);
    assert_eq!(code, "57014");
    assert!(detail.contains("3s (timeouts.query)"), "{detail}");
    assert!(drill.clients[client].closed);
    later(&mut drill, SILENT + LOOK).await;
    assert_eq!(drill.asked(1), ["SELECT 1"]);
}

#[tokio::test(start_paused = true)]
async fn of_a_cancelled_statement_is_told_that_it_took_too_long_and_of_no_other() {
    let mut settings = settings(1);
    settings.timeouts.query = Duration::from_secs(3);
    let mut drill = Drill::new(1, settings);
    let client = holders(&mut drill, &[0])[0];
    let wait = Duration::from_secs(3) + LOOK;
    let fails = |drill: &mut Drill| {
        drill.servers[0].send(b"E\0\0\0\x25SERROR\0VERROR\0C57014\0Mcanceling\0\0");
        drill.answer(0, "ROLLBACK", b'E');
        drill.settle();
        last_error(drill, client)
    };
    drill.ask(client, "SELECT pg_sleep(3600)");
    drill.settle();
    later(&mut drill, wait).await;
    let (code, _, detail) = fails(&mut drill);
    assert!(code == "57014" && detail.contains("timeouts.query"), "{code} {detail}");
    // A statement that ends although it is cancelled leaves nothing behind.
    drill.ask(client, "SELECT 1");
    drill.settle();
    later(&mut drill, wait).await;
    drill.answer(0, "SELECT 1", b'E');
    drill.settle();
    drill.told(client);
    drill.ask(client, "SELECT pg_sleep(3600)");
    drill.settle();
    let (code, _, detail) = fails(&mut drill);
    assert_eq!((code.as_str(), detail.as_str()), ("57014", ""));
}

#[tokio::test(start_paused = true)]
async fn what_goes_ahead_of_a_statement_takes_of_its_time() {
    let mut settings = settings(1);
    settings.timeouts.query = Duration::from_secs(3);
    let mut drill = Drill::new(1, settings);
    let clients = [drill.log_in(0), drill.log_in(0)];
    drill.settle();
    drill.ask(clients[0], "SELECT nextval('s')");
    drill.settle();
    drill.answer(0, "SELECT 1", b'I');
    drill.ask(clients[1], "SELECT currval('s')");
    drill.settle();
    assert_eq!(drill.asked(0), ["SELECT nextval('s')"]);
    later(&mut drill, Duration::from_secs(3) + LOOK).await;
    drill.servers[0].send(b"E\0\0\0\x25SERROR\0VERROR\0C57014\0Mcanceling\0\0Z\0\0\0\x05I");
    drill.settle();
    let (code, _, detail) = last_error(&mut drill, clients[1]);
    assert!(code == "57014" && detail.contains("timeouts.query"), "{code} {detail}");
    drill.servers[0].send(b"Z\0\0\0\x05I");
    drill.settle();
    assert_eq!(drill.told(clients[1]), "Z");
    drill.ask(clients[0], "SELECT 2");
    drill.settle();
    assert_eq!(drill.asked(0), ["DISCARD SEQUENCES", "SELECT 2"]);
}

#[tokio::test(start_paused = true)]
async fn as_many_wait_as_may_over_all_loops_together() {
    let mut settings = settings(4);
    settings.pool.slots_per_worker = 2;
    settings.pool.max_waiting = 3;
    let mut drill = Drill::new(2, settings);
    let holders = holders(&mut drill, &[0, 1, 0, 1]);
    let guests: Vec<usize> = (0..6).map(|number| drill.log_in(number % 2)).collect();
    drill.settle();
    for guest in &guests {
        drill.told(*guest);
        drill.ask(*guest, "SELECT 1");
        drill.settle();
    }
    let refused: Vec<bool> = guests.iter().map(|guest| drill.told(*guest) == "EZ").collect();
    assert_eq!(refused, [false, false, false, true, true, true]);
    // One who is served, and one who leaves, make room.
    drill.clients[guests[1]].stream.shutdown(Shutdown::Both).expect("a socket");
    drill.settle();
    later(&mut drill, Duration::from_secs(6)).await;
    drill.ask(guests[3], "SELECT 1");
    drill.settle();
    assert_eq!(drill.told(guests[3]), "");
    drill.ask(guests[4], "SELECT 1");
    drill.settle();
    assert_eq!(drill.told(guests[4]), "EZ");
    drill.ask(holders[0], "COMMIT");
    drill.settle();
    for server in 0..drill.servers.len() {
        for sql in drill.asked(server) {
            drill.answer(server, &sql, b'I');
        }
    }
    drill.settle();
    drill.ask(guests[5], "SELECT 1");
    drill.settle();
    assert_eq!(drill.told(guests[5]), "");
}

#[tokio::test(start_paused = true)]
async fn when_a_node_is_another_machine_the_connections_to_the_old_one_are_used_no_more() {
    let mut drill = Drill::new(1, settings(2));
    let clients = holders(&mut drill, &[0, 0]);
    commit(&mut drill, clients[0], 0);
    move_on(&drill.shared, NodeId(0));
    drill.settle();
    drill.asked(0);
    assert!(drill.servers[0].closed, "the parked connection is kept");
    // The transaction that is open ends where it began.
    commit(&mut drill, clients[1], 1);
    drill.asked(1);
    assert!(drill.servers[1].closed, "the connection that came back is kept");
    for server in &drill.servers {
        server.stream.shutdown(Shutdown::Both).expect("a socket");
    }
    drill.settle();
    drill.ask(clients[0], "SELECT 1");
    drill.settle();
    assert_eq!(drill.asked(2), ["SELECT 1"]);
}
