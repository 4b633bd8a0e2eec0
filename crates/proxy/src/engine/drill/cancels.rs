//! Cancel requests that come while something of ours stands before the client's statement.

use super::Drill;
use crate::{
    engine::{Shared, message::Message},
    handover::CancelTicket,
};
use trunkline_settings::Settings;

/// What a client is told who has sent a cancel request: process id and secret.
type Key = (i32, Box<[u8]>);

const CANCELED: &[u8] = b"E\0\0\0\x1eSERROR\0VERROR\0C57014\0Mno\0\0Z\0\0\0\x05I";

/// Two clients of one server. The first has told it `sql`, and the second has asked for a statement: what the server has
/// been told of that so far is `then`.
fn after(sql: &str, then: &[&str]) -> (Drill, [usize; 2], Key) {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = Drill::new(1, settings);
    let clients = [drill.log_in(0), drill.log_in(0)];
    drill.settle();
    let key = drill.clients[clients[1]].receive().into_iter().find(|(tag, _)| *tag == b'K');
    let (_, key) = key.expect("a key");
    let (pid, key) = key.split_first_chunk().expect("a process id");
    drill.ask(clients[0], sql);
    drill.settle();
    assert_eq!(drill.asked(0), [sql]);
    drill.answer(0, "SET", b'I');
    drill.settle();
    drill.told(clients[1]);
    drill.ask(clients[1], "SELECT 1");
    drill.settle();
    assert_eq!(drill.asked(0), then);
    (drill, clients, (i32::from_be_bytes(*pid), key.into()))
}

fn cancel(drill: &mut Drill, (pid, key): &Key) {
    let (ticket, _) = CancelTicket::new();
    let (at, slot) = Shared::place_of_pid(*pid).expect("a place");
    drill.shared.send(at, Message::Cancel { slot, pid: *pid, key: key.clone(), ticket });
    drill.settle();
}

#[tokio::test(start_paused = true)]
async fn a_cancel_does_not_hit_the_settings_that_go_before_the_statement() {
    let (mut drill, [_, client], key) =
        after("SET work_mem TO '8MB'", &["RESET \"work_mem\";", "SELECT 1"]);
    cancel(&mut drill, &key);
    assert_eq!(drill.opener.cancelled(), 0);
    drill.answer(0, "RESET", b'I');
    drill.settle();
    assert_eq!(drill.opener.cancelled(), 1);
    drill.servers[0].send(CANCELED);
    drill.settle();
    assert_eq!(drill.errors(client), ["57014"]);
    // It is not remembered for another statement.
    drill.ask(client, "SELECT 2");
    drill.settle();
    assert_eq!((drill.asked(0), drill.opener.cancelled()), (vec!["SELECT 2".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn nor_what_comes_behind_the_statement_if_that_ends_with_the_settings() {
    let (mut drill, [other, client], key) =
        after("SET work_mem TO '8MB'", &["RESET \"work_mem\";", "SELECT 1"]);
    cancel(&mut drill, &key);
    drill.servers[0].send(b"C\0\0\0\x0aRESET\0Z\0\0\0\x05IC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I");
    drill.told(other);
    drill.ask(other, "SELECT 2");
    drill.settle();
    assert_eq!((drill.told(client).as_str(), drill.opener.cancelled()), ("CZ", 0));
    for command in ["SET", "SELECT 1"] {
        drill.answer(0, command, b'I');
    }
    drill.settle();
    assert_eq!(drill.told(other), "CZ");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_settings_that_are_awaited_is_one_of_the_statement() {
    let (mut drill, [_, client], key) =
        after("SET app.tenant TO '7'", &["RESET \"app\".\"tenant\";"]);
    cancel(&mut drill, &key);
    assert_eq!(drill.opener.cancelled(), 1);
    drill.servers[0].send(CANCELED);
    drill.settle();
    assert_eq!(drill.errors(client), ["57014"]);
    assert!(!drill.clients[client].closed);
}

#[tokio::test(start_paused = true)]
async fn settings_that_fail_although_they_cannot_cost_who_relied_on_them_the_connection() {
    let (mut drill, [_, client], _) =
        after("SET statement_timeout TO 1", &["RESET \"statement_timeout\";", "SELECT 1"]);
    drill.servers[0].send(CANCELED);
    drill.settle();
    assert_eq!(drill.errors(client), ["08006"]);
    assert!(drill.clients[client].closed && drill.servers[0].receive().is_empty());
}
