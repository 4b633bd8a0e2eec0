//! What becomes of clients when traffic goes to another node, or to none, and when the loop drains.

use std::time::Duration;

use trunkline_settings::{PoolMode, Settings};
use trunkline_wire::SqlState;

use super::{Drill, pass};
use crate::{
    cluster::{NodeId, Traffic},
    engine::message::Message,
    handover::ErrorReport,
};

/// The node that is the primary at first.
const OLD: NodeId = NodeId(0);

/// Its successor.
const NEW: NodeId = NodeId(1);

/// One loop, and so many clients that are logged in.
fn drill(settings: Settings, clients: usize) -> Drill {
    let mut drill = Drill::new(1, settings);
    for _ in 0..clients {
        drill.log_in(0);
    }
    drill.settle();
    for client in 0..clients {
        assert!(drill.told(client).ends_with('Z'), "client {client} was not let in");
    }
    drill
}

impl Drill {
    fn traffic(&mut self, primary: Option<NodeId>, doubtful: &[NodeId]) {
        let doubtful = doubtful.to_vec();
        let traffic = Traffic { primary, doubtful, ..Traffic::default() };
        self.shared.send_all(|| Message::Traffic(traffic.clone()));
        self.settle();
    }

    /// The client says this, the server answers; afterwards the transaction has this status.
    fn converse(&mut self, client: usize, server: usize, sql: &str, status: u8) {
        self.ask(client, sql);
        self.settle();
        assert_eq!(self.asked(server), [sql]);
        self.answer(server, "DONE", status);
        self.settle();
        assert_eq!(self.told(client), "CZ");
    }

    /// The client was told this error, and closed; and the server's connection is closed.
    fn assert_cut(&mut self, client: usize, server: usize, error: &str) {
        assert_eq!(self.errors(client), [error], "client {client}");
        assert!(self.clients[client].closed, "client {client}");
        self.servers[server].receive();
        assert!(self.servers[server].closed, "server {server}");
    }

    fn error_count(&self) -> u64 {
        self.reports()[0].pools[0].stats.errors
    }
}

/// Settings in session mode.
fn sessions() -> Settings {
    let mut settings = Settings::default();
    settings.pool.mode = PoolMode::Session;
    settings
}

const PINNING: &str = "LOAD 'library'";

#[tokio::test(start_paused = true)]
async fn a_session_is_closed_at_rest_when_the_primary_changes() {
    for (settings, sql) in [(sessions(), "SELECT 1"), (Settings::default(), PINNING)] {
        let mut drill = drill(settings, 1);
        drill.converse(0, 0, sql, b'I');
        drill.traffic(Some(NEW), &[]);
        let told = drill.clients[0].receive();
        let [(b'E', body)] = &told[..] else { panic!("not an error: {told:?}") };
        let text = String::from_utf8_lossy(body);
        for part in ["FATAL", "57P01", "the primary has changed", "Connect again"] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        drill.servers[0].receive();
        assert!(drill.clients[0].closed && drill.servers[0].closed);
        assert_eq!(drill.error_count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn last_words_that_come_with_the_answer_are_for_a_client_that_needs_the_server_still() {
    let last_words = {
        let mut out = bytes::BytesMut::new();
        let report = trunkline_wire::backend::Report::fatal(SqlState::ADMIN_SHUTDOWN, "over");
        trunkline_wire::backend::error_response(&mut out, &report);
        out
    };
    for (settings, status, told) in [
        (Settings::default(), b'I', "CZ"),
        (Settings::default(), b'T', "CZE"),
        (sessions(), b'I', "CZE"),
    ] {
        let mut drill = drill(settings, 1);
        drill.ask(0, "SELECT 1");
        drill.settle();
        let done = [b"C\0\0\0\x09DONE\0Z\0\0\0\x05", &[status][..], &last_words].concat();
        drill.servers[0].send(&done);
        drill.settle();
        assert_eq!(drill.told(0), told);
        drill.servers[0].stream.shutdown(std::net::Shutdown::Both).expect("it is open");
        drill.settle();
        drill.clients[0].receive();
        assert_eq!(drill.clients[0].closed, told != "CZ");
        if told == "CZ" {
            drill.converse(0, 1, "SELECT 2", b'I');
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_transaction_ends_when_the_primary_changes() {
    let mut drill = drill(Settings::default(), 4);
    for (client, sql) in ["SELECT 1", "UPDATE t SET i = 1", "COMMIT"].iter().enumerate() {
        drill.converse(client, client, "BEGIN", b'T');
        if client > 0 {
            drill.ask(client, sql);
        }
    }
    drill.settle();
    drill.traffic(Some(NEW), &[]);
    for (client, error) in ["57P01", "08006", "08007"].iter().enumerate() {
        drill.assert_cut(client, client, error);
    }
    assert_eq!(drill.error_count(), 3);
    // Who was between transactions goes on, on the new one.
    drill.converse(3, 3, "SELECT 2", b'I');
    assert_eq!(drill.reports()[0].servers.iter().map(|it| it.node).collect::<Vec<_>>(), [NEW]);
}

#[tokio::test(start_paused = true)]
async fn servers_of_the_old_primary_take_no_places_from_the_new_one() {
    let mut settings = Settings::default();
    settings.pool.max_connections = 2;
    let mut drill = drill(settings, 3);
    drill.shared.registry.apply(&drill.settings, &[], |_| false);
    drill.converse(0, 0, "BEGIN", b'T');
    drill.converse(1, 1, "BEGIN", b'T');
    drill.ask(2, "SELECT 1");
    drill.settle();
    // They never close: their node is dead.
    drill.traffic(Some(NEW), &[]);
    assert_eq!(drill.asked(2), ["SELECT 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_half_a_row_is_closed_without_a_word() {
    let mut drill = drill(Settings::default(), 1);
    drill.ask(0, "SELECT lots");
    drill.settle();
    drill.servers[0].send(b"D\x00\x10\x00\x00");
    drill.servers[0].send(&[b'x'; 10_000]);
    drill.settle();
    drill.traffic(Some(NEW), &[]);
    drill.clients[0].receive();
    assert!(drill.clients[0].closed);
    assert_eq!((drill.clients[0].read.len(), drill.error_count()), (10_005, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_certain_not_to_be_the_primary_is_cut_off_although_there_is_no_other() {
    let mut drill = drill(sessions(), 2);
    drill.converse(0, 0, "SELECT 1", b'I');
    drill.converse(1, 1, "BEGIN", b'T');
    drill.traffic(None, &[]);
    drill.assert_cut(0, 0, "57P01");
    drill.assert_cut(1, 1, "57P01");
}

#[tokio::test(start_paused = true)]
async fn while_no_primary_is_known_transactions_end_and_none_begin() {
    for settings in [sessions(), Settings::default()] {
        let mut drill = drill(settings, 2);
        drill.converse(0, 0, PINNING, b'I');
        drill.converse(1, 1, "BEGIN", b'T');
        drill.traffic(None, &[OLD]);
        drill.converse(1, 1, "COMMIT", b'I');
        for client in [0, 1] {
            drill.ask(client, "SELECT 3");
        }
        drill.settle();
        assert!(drill.asked(0).is_empty() && drill.asked(1).is_empty());
        assert_eq!((drill.told(0), drill.told(1)), (String::new(), String::new()));
        // It was a false alarm.
        drill.traffic(Some(OLD), &[]);
        assert_eq!(drill.asked(0), ["SELECT 3"]);
        drill.answer(0, "SELECT 1", b'I');
        drill.settle();
        assert_eq!(drill.told(0), "CZ");
        // The other one has another server, in transaction mode.
        let served = drill.servers.len() - 1;
        assert_eq!(drill.asked(served), ["SELECT 3"]);
        drill.answer(served, "SELECT 1", b'I');
        drill.settle();
        assert_eq!((drill.told(1), drill.error_count()), ("CZ".into(), 0));
        drill.converse(0, 0, "SELECT 4", b'I');
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_was_held_back_never_reaches_the_old_primary() {
    let mut drill = drill(sessions(), 1);
    drill.converse(0, 0, "SELECT 1", b'I');
    drill.traffic(None, &[OLD]);
    drill.ask(0, "DELETE FROM t");
    drill.settle();
    drill.traffic(Some(NEW), &[]);
    assert!(drill.asked(0).is_empty());
    drill.assert_cut(0, 0, "57P01");
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_for_a_primary_as_long_as_others() {
    let mut settings = sessions();
    settings.pool.wait_timeout = Duration::from_secs(3);
    let mut drill = drill(settings, 1);
    drill.converse(0, 0, "SELECT 1", b'I');
    drill.traffic(None, &[OLD]);
    pass(Duration::from_millis(2_900)).await;
    drill.settle();
    assert_eq!(drill.told(0), "");
    // The pools are looked after twice a second when nobody waits.
    pass(Duration::from_millis(600)).await;
    drill.settle();
    drill.assert_cut(0, 0, "57P01");
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_client_has_left_while_it_was_held_back_serves_the_next() {
    let mut drill = drill(sessions(), 2);
    drill.converse(0, 0, "SELECT 1", b'I');
    drill.traffic(None, &[OLD]);
    drill.clients[0].stream.shutdown(std::net::Shutdown::Both).expect("a socket");
    drill.settle();
    // It is not read, so it might still have something to say.
    pass(Duration::from_micros(crate::engine::leaving::LINGER_US + 100_000)).await;
    drill.settle();
    assert_eq!(drill.asked(0), ["DISCARD ALL"]);
    drill.traffic(Some(OLD), &[]);
    drill.answer(0, "DISCARD ALL", b'I');
    drill.settle();
    drill.converse(1, 0, "SELECT 2", b'I');
}

#[tokio::test(start_paused = true)]
async fn at_the_end_those_who_wait_for_a_server_are_told_at_once() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let mut drill = drill(settings, 2);
    drill.converse(0, 0, "BEGIN", b'T');
    drill.ask(1, "SELECT 2");
    drill.settle();
    drill.shared.send_all(|| Message::Drain);
    drill.settle();
    assert_eq!(drill.errors(1), ["57P01"]);
    assert!(drill.clients[1].closed);
    drill.ask(0, "COMMIT");
    drill.settle();
    assert_eq!(drill.asked(0), ["COMMIT"]);
    drill.answer(0, "COMMIT", b'I');
    drill.settle();
    assert_eq!(drill.told(0), "CZE");
    // An end is no error.
    assert_eq!(drill.error_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_those_who_wait_at_their_login_are_told_at_once() {
    let mut drill = Drill::new(1, Settings::default());
    drill.open_by_hand();
    drill.log_in(0);
    drill.settle();
    assert_eq!(drill.attempts(), [0]);
    drill.shared.send_all(|| Message::Drain);
    drill.settle();
    assert_eq!(drill.errors(0), ["57P01"]);
    assert!(drill.clients[0].closed);
}

#[tokio::test(start_paused = true)]
async fn each_client_that_is_refused_or_failed_is_counted_once() {
    let mut settings = Settings::default();
    settings.pool.wait_timeout = Duration::from_secs(2);
    settings.timeouts.idle_in_transaction = Duration::from_secs(1);
    let mut drill = Drill::new(1, settings);
    drill.open_by_hand();
    for _ in 0..3 {
        drill.log_in(0);
    }
    drill.settle();
    // In the words of the server.
    let body = bytes::Bytes::from_static(b"SFATAL\0C3D000\0Mno such database\0\0");
    let code = SqlState::INVALID_CATALOG_NAME;
    drill.turn_away(1, &ErrorReport { code, message: "no such database".to_owned(), body });
    assert_eq!((drill.errors(0), drill.error_count()), (vec!["3D000".to_owned()], 3));
    // By a timeout of ours, at the login, in a transaction and in the queue.
    let late = drill.log_in(0);
    drill.settle();
    for _ in 0..3 {
        pass(Duration::from_secs(1)).await;
        drill.settle();
    }
    assert_eq!((drill.errors(late), drill.error_count()), (vec!["57P03".to_owned()], 4));
    let idle = drill.log_in(0);
    drill.settle();
    drill.accept(1);
    drill.told(idle);
    drill.converse(idle, 0, "BEGIN", b'T');
    let waiter = drill.log_in(0);
    drill.settle();
    drill.told(waiter);
    pass(Duration::from_millis(1_100)).await;
    drill.settle();
    assert_eq!((drill.errors(idle), drill.error_count()), (vec!["25P03".to_owned()], 5));
    // A lost server, and a broken message.
    drill.asked(0);
    drill.answer(0, "ROLLBACK", b'I');
    drill.settle();
    drill.converse(waiter, 0, "BEGIN", b'T');
    drill.servers[0].stream.shutdown(std::net::Shutdown::Both).expect("a socket");
    drill.settle();
    assert_eq!((drill.errors(waiter), drill.error_count()), (vec!["08006".to_owned()], 6));
    let wrong = drill.log_in(0);
    drill.settle();
    drill.told(wrong);
    drill.clients[wrong].send(b"!\0\0\0\x04");
    drill.settle();
    assert_eq!((drill.errors(wrong), drill.error_count()), (vec!["08P01".to_owned()], 7));
}
