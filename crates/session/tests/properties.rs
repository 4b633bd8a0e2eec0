//! Whatever clients do, each sees what it would see on a server of its own.
//!
//! Clients of all pooling modes send random messages over few servers, with random delays; beside each client a
//! server of its own is told the same. Servers and the truth are the same small model of PostgreSQL.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a wrong index or a panic fails the test, as it should"
)]

mod bursts;
mod model;
mod shared;

use proptest::prelude::*;
use trunkline_session::PoolMode;

use crate::bursts::chance::{CLIENTS, SERVERS, burst, copying, folding, naming, op, taking_back};
use crate::bursts::say::{Op, STATEMENTS, Say};
use crate::model::{shell::Shell, sql::Sql};
use crate::shared::written;

/// Plays it, and checks after each step.
fn play(mode: PoolMode, ops: &[Op]) {
    let mut shell = Shell::new(mode, CLIENTS, SERVERS);
    let mut gone = [false; CLIENTS];
    for op in ops {
        match op {
            Op::Send { client, burst, waits, cut } if !gone[*client] => {
                for group in burst.split_inclusive(|say| matches!(say, Say::Sync)) {
                    if *waits && !shell.is_answered(*client) {
                        shell.settle();
                    }
                    let bytes = written(|out| group.iter().for_each(|say| say.write(out)));
                    shell.send(*client, &bytes, *cut);
                }
            }
            Op::Serve { server, most } => drop(shell.serve(*server, *most)),
            Op::Deliver { server, most } => drop(shell.deliver(*server, *most)),
            Op::Leave { client } if !gone[*client] => {
                gone[*client] = true;
                shell.leave(*client);
            }
            Op::Send { .. } | Op::Leave { .. } => {}
        }
        (0..CLIENTS).for_each(|client| shell.check(client));
    }
    for (client, gone) in gone.iter().enumerate() {
        shell.settle();
        if !gone {
            shell.check_answered(client);
            shell.leave(client);
        }
    }
    shell.settle();
}

/// `PROPTEST_CASES` asks for more than usual.
fn config() -> ProptestConfig {
    let usual = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: usual.cases.max(1500), ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_client_sees_what_it_would_see_on_a_server_of_its_own(
        mode in prop_oneof![
            9 => Just(PoolMode::Transaction),
            1 => Just(PoolMode::Session),
            2 => Just(PoolMode::Statement),
        ],
        ops in prop::collection::vec(op(burst()), 1..40)
    ) {
        play(mode, &ops);
    }

    #[test]
    fn statements_keep_what_was_folded_into_them(
        ops in prop::collection::vec(op(folding()), 1..60)
    ) {
        play(PoolMode::Transaction, &ops);
    }

    #[test]
    fn statements_of_sql_and_of_the_protocol_share_their_names(
        mode in prop_oneof![9 => Just(PoolMode::Transaction), 1 => Just(PoolMode::Statement)],
        ops in prop::collection::vec(op(naming()), 1..60)
    ) {
        play(mode, &ops);
    }

    #[test]
    fn what_the_startup_packet_has_said_is_what_settings_go_back_to(
        mode in prop_oneof![Just(PoolMode::Transaction), Just(PoolMode::Session)],
        ops in prop::collection::vec(op(taking_back()), 1..60)
    ) {
        play(mode, &ops);
    }

    #[test]
    fn syncs_amid_copy_data_are_answered_or_ignored(
        mode in prop_oneof![3 => Just(PoolMode::Transaction), 1 => Just(PoolMode::Session)],
        ops in prop::collection::vec(op(copying()), 1..30)
    ) {
        play(mode, &ops);
    }
}

/// What is lent to a statement that is parsed is not taken back inside a COPY that a simple query begins before the Sync.
#[test]
fn a_copy_by_a_simple_query_is_not_disturbed_by_what_was_lent_before_it() {
    let send = |burst| Op::Send { client: 0, burst, waits: false, cut: 0 };
    let parse = |name, sql| Say::Parse { name, sql, padding: 0 };
    let copy = Say::Query { all: vec![Sql::CopyIn], padding: 0 };
    let t = STATEMENTS[2].to_owned();
    play(
        PoolMode::Transaction,
        &[
            send(vec![parse(2, Sql::Rows(1)), Say::Sync]),
            send(vec![
                parse(0, Sql::Execute(t)),
                copy,
                Say::Sync,
                Say::CopyData { good: true },
                Say::CopyDone,
                Say::Sync,
            ]),
        ],
    );
}

/// Nothing is lent to a portal that is gone: its error is that of the server, not that of what was lent.
#[test]
fn a_portal_that_has_ended_names_nothing() {
    let execute = || Say::Execute { portal: 1, most: 0 };
    let own = STATEMENTS[1].to_owned();
    let bound = vec![
        Say::Parse { name: 1, sql: Sql::Execute(own), padding: 0 },
        Say::Bind { portal: 1, name: 1, padding: 0 },
        execute(),
        Say::Sync,
    ];
    let query = |sql| Say::Query { all: vec![sql], padding: 0 };
    let fails = [query(Sql::Begin), query(Sql::Fails), execute(), Say::Sync];
    let send = |burst: &[Say]| Op::Send { client: 0, burst: burst.to_vec(), waits: true, cut: 0 };
    play(PoolMode::Transaction, &[send(&bound), send(&fails)]);
}
