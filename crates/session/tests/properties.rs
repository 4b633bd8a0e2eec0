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

mod model;
mod shared;

use bytes::BytesMut;
use proptest::prelude::*;
use trunkline_session::PoolMode;
use trunkline_wire::frontend;

use crate::model::{shell::Shell, sql::Sql};
use crate::shared::written;

/// Clients of one run. They have one mode, as the clients of a pool do.
const CLIENTS: usize = 4;

/// Servers of one run.
const SERVERS: usize = 2;

#[derive(Debug, Clone)]
enum Op {
    /// A client sends a burst, cut somewhere; it may wait until it has got all answers before.
    Send { client: usize, burst: Vec<Say>, waits: bool, cut: usize },
    /// A server takes messages.
    Serve { server: usize, most: usize },
    /// Messages of a server arrive.
    Deliver { server: usize, most: usize },
    /// A client goes.
    Leave { client: usize },
}

/// One message of a client.
#[derive(Debug, Clone)]
enum Say {
    Query { all: Vec<Sql>, padding: usize },
    Parse { name: usize, sql: Sql, padding: usize },
    Bind { portal: usize, name: usize, padding: usize },
    Describe { kind: u8, name: usize },
    Execute { portal: usize, most: i32 },
    Close { kind: u8, name: usize },
    Sync,
    Flush,
    CopyData { good: bool },
    CopyDone,
    CopyFail,
    Function,
}

/// The last one is only given to texts that are too long to be kept, whose names are not followed.
const STATEMENTS: [&str; 5] = ["", "s", "t", "__trunkline_1", UNFOLLOWED];
const UNFOLLOWED: &str = "__trunkline_2";
const PORTALS: [&str; 3] = ["", "p", "q"];

impl Say {
    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Query { all, padding } => {
                let text = all.iter().map(Sql::text).collect::<Vec<_>>().join("; ");
                frontend::query(out, padded(&text, *padding).as_bytes());
            }
            Self::Parse { name, sql, padding } => {
                let text = padded(&sql.text(), *padding);
                if STATEMENTS[*name] == UNFOLLOWED {
                    // Whether it is followed depends on how it arrives; that it is taken is not noticed then.
                    frontend::close(out, frontend::STATEMENT, UNFOLLOWED.as_bytes());
                }
                frontend::parse(out, STATEMENTS[*name].as_bytes(), text.as_bytes(), b"\0\0");
            }
            Self::Bind { portal, name, padding } => {
                let rest = [&b"\0\0\0\0\0\0"[..], &vec![0; *padding]].concat();
                let (portal, name) = (PORTALS[*portal], STATEMENTS[*name]);
                frontend::bind(out, portal.as_bytes(), name.as_bytes(), &rest);
            }
            Self::Describe { kind, name } => {
                frontend::describe(out, *kind, target(*kind, *name).as_bytes());
            }
            Self::Execute { portal, most } => {
                frontend::execute(out, PORTALS[*portal].as_bytes(), *most);
            }
            Self::Close { kind, name } => {
                frontend::close(out, *kind, target(*kind, *name).as_bytes());
            }
            Self::Sync => frontend::sync(out),
            Self::Flush => frontend::flush(out),
            Self::CopyData { good } => {
                frontend::copy_data(out, if *good { b"1\n" } else { b"bad\n" });
            }
            Self::CopyDone => frontend::copy_done(out),
            Self::CopyFail => frontend::copy_fail(out, b"enough"),
            Self::Function => frontend::function_call(out, 1, b"\0\0\0\0\0\0"),
        }
    }
}

fn target(kind: u8, name: usize) -> &'static str {
    if kind == frontend::STATEMENT { STATEMENTS[name] } else { PORTALS[name % PORTALS.len()] }
}

fn padded(text: &str, padding: usize) -> String {
    if padding == 0 { text.to_owned() } else { format!("{text} /*{}*/", "-".repeat(padding)) }
}

fn setting() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "timezone",
        "timezone",
        "application_name",
        "work_mem",
        "search_path",
        "app.x",
    ])
    .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["one", "two", "two", "bad"]).prop_map(str::to_owned)
}

fn label() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned)
}

/// A name that a statement of the protocol may have, or one of SQL only.
fn prepared() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["s", "t", "sql_a", "sql_b"]).prop_map(str::to_owned)
}

/// What SQL prepares.
fn made() -> impl Strategy<Value = Sql> {
    let body = prop_oneof![
        3 => (0_usize..4).prop_map(Sql::Rows),
        3 => Just(Sql::Folded),
        2 => (setting(), value()).prop_map(|(name, value)| Sql::SetConfig(name, value)),
        1 => Just(Sql::Fails),
        1 => Just(Sql::Bad),
    ];
    (prepared(), body).prop_map(|(name, body)| Sql::Prepare(name, Box::new(body)))
}

/// What may be prepared as well as sent.
fn sql() -> impl Strategy<Value = Sql> {
    prop_oneof![
        3 => (0_usize..4).prop_map(Sql::Rows),
        3 => Just(Sql::Folded),
        2 => prepared().prop_map(Sql::Execute),
        1 => made(),
        1 => prepared().prop_map(Sql::Deallocate),
        1 => Just(Sql::DeallocateAll),
        1 => setting().prop_map(Sql::SetLocalDefault),
        1 => Just(Sql::Set { name: "app.x".to_owned(), value: "frail".to_owned(), local: false }),
        2 => Just(Sql::Begin),
        2 => Just(Sql::Commit),
        1 => Just(Sql::Rollback),
        1 => label().prop_map(Sql::Savepoint),
        1 => label().prop_map(Sql::RollbackTo),
        1 => label().prop_map(Sql::Release),
        3 => (setting(), value(), prop::bool::weighted(0.2))
            .prop_map(|(name, value, local)| Sql::Set { name, value, local }),
        1 => (setting(), value()).prop_map(|(name, value)| Sql::SetConfig(name, value)),
        1 => setting().prop_map(Sql::Reset),
        3 => setting().prop_map(Sql::Show),
        2 => Just(Sql::Fails),
        1 => Just(Sql::Empty),
        1 => Just(Sql::Bad),
        1 => Just(Sql::CopyIn),
        1 => Just(Sql::CopyInFails),
        1 => Just(Sql::CopyOut),
        1 => Just(Sql::ResetAll),
    ]
}

/// What is only sent as a simple query.
fn simple() -> impl Strategy<Value = Sql> {
    prop_oneof![
        12 => sql(),
        1 => Just(Sql::DiscardAll),
        1 => label().prop_map(|name| Sql::Temp(format!("temp_{name}"))),
        1 => label().prop_map(|name| Sql::FromTemp(format!("temp_{name}"))),
        2 => made(),
        2 => prepared().prop_map(Sql::Execute),
        1 => prepared().prop_map(Sql::Deallocate),
    ]
}

/// A padding that makes any message long.
const LONG: usize = 200;

/// Few messages are long.
fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![8 => Just(0_usize), 1 => Just(50), 1 => Just(LONG)]
}

fn query() -> impl Strategy<Value = Say> {
    let all = prop_oneof![3 => prop::collection::vec(simple(), 1), 1 => prop::collection::vec(simple(), 0..4)];
    (all, padding()).prop_map(|(mut all, padding): (Vec<Sql>, _)| {
        // What a text names is not there for it when the text is known at its end only, or may begin a COPY.
        let names =
            |sql: &Sql| matches!(sql, Sql::Execute(_) | Sql::Deallocate(_) | Sql::Prepare(..));
        if !all.iter().any(names) {
            return Say::Query { all, padding };
        }
        all.retain(|sql| !matches!(sql, Sql::CopyIn | Sql::CopyInFails | Sql::CopyOut));
        let padding = 0;
        Say::Query { all, padding }
    })
}

fn parse() -> impl Strategy<Value = Say> {
    (0..STATEMENTS.len(), sql(), padding()).prop_map(|(name, sql, padding)| match (name, padding) {
        // The names in a text that is not read whole are not found.
        (_, LONG) if sql.names_others() => {
            Say::Parse { name: name % (STATEMENTS.len() - 1), sql, padding: 0 }
        }
        (1.., LONG) => Say::Parse { name: STATEMENTS.len() - 1, sql, padding },
        _ => Say::Parse { name: name % (STATEMENTS.len() - 1), sql, padding },
    })
}

fn bind() -> impl Strategy<Value = Say> {
    (0..PORTALS.len(), 0..STATEMENTS.len(), padding())
        .prop_map(|(portal, name, padding)| Say::Bind { portal, name, padding })
}

fn say() -> impl Strategy<Value = Say> {
    let kind = || prop::sample::select(vec![frontend::STATEMENT, frontend::PORTAL]);
    prop_oneof![
        2 => query(),
        4 => parse(),
        4 => bind(),
        2 => (kind(), 0..STATEMENTS.len()).prop_map(|(kind, name)| Say::Describe { kind, name }),
        4 => (0..PORTALS.len(), 0..3_i32).prop_map(|(portal, most)| Say::Execute { portal, most }),
        2 => (kind(), 0..STATEMENTS.len()).prop_map(|(kind, name)| Say::Close { kind, name }),
        3 => Just(Say::Sync),
        1 => Just(Say::Flush),
        1 => Just(Say::CopyData { good: true }),
        1 => Just(Say::CopyDone),
        1 => Just(Say::CopyFail),
        1 => Just(Say::Function),
    ]
}

/// Data, with a mistake anywhere or none, and Syncs anywhere.
fn amid_copy() -> impl Strategy<Value = Vec<Say>> {
    let amid = prop_oneof![
        4 => prop::bool::weighted(0.8).prop_map(|good| Say::CopyData { good }),
        2 => Just(Say::Sync),
        1 => Just(Say::Flush),
    ];
    let end = prop_oneof![
        6 => Just(Some(Say::CopyDone)),
        2 => Just(Some(Say::CopyFail)),
        1 => Just(None),
    ];
    (prop::collection::vec(amid, 0..5), end).prop_map(|(mut amid, end)| {
        amid.extend(end);
        amid
    })
}

/// A COPY in either protocol, with all of its data.
fn copy() -> impl Strategy<Value = Vec<Say>> {
    let sql = prop_oneof![4 => Just(Sql::CopyIn), 1 => Just(Sql::CopyInFails)];
    (sql, any::<bool>(), amid_copy()).prop_map(|(sql, simple, amid)| {
        let mut all = if simple {
            vec![Say::Query { all: vec![sql], padding: 0 }]
        } else {
            vec![
                Say::Parse { name: 0, sql, padding: 0 },
                Say::Bind { portal: 0, name: 0, padding: 0 },
                Say::Execute { portal: 0, most: 0 },
            ]
        };
        all.extend(amid);
        all.extend((!simple).then_some(Say::Sync));
        all
    })
}

/// A COPY, cut short or followed by anything.
fn copying() -> impl Strategy<Value = Vec<Say>> {
    let cut = (copy(), 1_usize..8).prop_map(|(mut all, most)| {
        all.truncate(most);
        all
    });
    let several = prop::sample::select(vec![
        vec![Sql::CopyIn, Sql::CopyIn],
        vec![Sql::CopyIn, Sql::Rows(1)],
        vec![Sql::Rows(1), Sql::CopyIn],
    ]);
    let several = several.prop_map(|all| vec![Say::Query { all, padding: 0 }]);
    let behind = (copy(), say()).prop_map(|(mut all, say)| {
        all.push(say);
        all
    });
    prop_oneof![
        4 => copy(),
        3 => cut,
        2 => behind,
        1 => several,
        3 => amid_copy(),
        2 => prop::collection::vec(say(), 1..3),
        1 => prop::sample::select(vec![Sql::Begin, Sql::Rollback, Sql::Rows(1)])
            .prop_map(|sql| vec![Say::Query { all: vec![sql], padding: 0 }]),
    ]
}

/// A burst as drivers send it, or any messages.
fn burst() -> impl Strategy<Value = Vec<Say>> {
    let name = 0..STATEMENTS.len();
    let whole = (0..STATEMENTS.len() - 1, sql(), 0..PORTALS.len(), 0..3_i32).prop_map(
        |(name, sql, portal, most)| {
            vec![
                Say::Parse { name, sql, padding: 0 },
                Say::Bind { portal, name, padding: 0 },
                Say::Execute { portal, most },
                Say::Sync,
            ]
        },
    );
    let again = (name, 0..PORTALS.len()).prop_map(|(name, portal)| {
        vec![
            Say::Bind { portal, name, padding: 0 },
            Say::Describe { kind: frontend::PORTAL, name: portal },
            Say::Execute { portal, most: 0 },
            Say::Sync,
        ]
    });
    prop_oneof![
        3 => prop::collection::vec(query(), 1..3),
        3 => whole,
        3 => again,
        2 => copy(),
        1 => Just(vec![Say::Sync]),
        3 => prop::collection::vec(say(), 1..8),
    ]
}

/// What decides what is folded into a statement, and the use of it: by few names, so that clients share statements and
/// meet on servers.
fn folding() -> impl Strategy<Value = Vec<Say>> {
    let name = || 1_usize..3;
    let query = |sql: Sql| vec![Say::Query { all: vec![sql], padding: 0 }];
    let set = (
        prop::sample::select(vec!["timezone", "timezone", "search_path"]),
        prop::sample::select(vec!["one", "two"]),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(name, value, local)| Sql::Set {
            name: name.to_owned(),
            value: value.to_owned(),
            local,
        });
    let fold = |name| Say::Parse { name, sql: Sql::Folded, padding: 0 };
    let uses = |name| {
        let bind = Say::Bind { portal: 0, name, padding: 0 };
        vec![bind, Say::Execute { portal: 0, most: 0 }, Say::Sync]
    };
    let pipelined = (set.clone(), name()).prop_map(move |(sql, name)| {
        let mut all = vec![
            Say::Parse { name: 0, sql, padding: 0 },
            Say::Bind { portal: 0, name: 0, padding: 0 },
            Say::Execute { portal: 0, most: 0 },
        ];
        all.extend(uses(name));
        all
    });
    prop_oneof![
        4 => name().prop_map(move |name| vec![fold(name), Say::Sync]),
        1 => Just(vec![fold(0), Say::Sync]),
        4 => set.prop_map(query),
        1 => Just(query(Sql::Reset("timezone".to_owned()))),
        6 => (0_usize..3).prop_map(uses),
        1 => pipelined,
        1 => name().prop_map(move |name| query(Sql::Execute(STATEMENTS[name].to_owned()))),
        1 => Just(query(Sql::Begin)),
        1 => Just(query(Sql::Commit)),
        1 => Just(query(Sql::Rollback)),
        1 => Just(query(Sql::Fails)),
    ]
}

/// What sets the application name, takes it back and shows it, by few names that come to mean something else.
fn taking_back() -> impl Strategy<Value = Vec<Say>> {
    let application_name = || "application_name".to_owned();
    let sql = prop_oneof![
        2 => prop::sample::select(vec!["one", "two"]).prop_map(move |value| Sql::Set {
            name: application_name(),
            value: value.to_owned(),
            local: false,
        }),
        2 => Just(Sql::Reset(application_name())),
        1 => Just(Sql::ResetAll),
        1 => Just(Sql::SetLocalDefault(application_name())),
        2 => Just(Sql::Show(application_name())),
        1 => Just(Sql::Fails),
        1 => prop::sample::select(vec![Sql::Begin, Sql::Commit, Sql::Rollback]),
    ];
    let message = prop_oneof![
        4 => (0_usize..3, sql.clone()).prop_map(|(name, sql)| Say::Parse { name, sql, padding: 0 }),
        4 => (0_usize..2, 0_usize..3)
            .prop_map(|(portal, name)| Say::Bind { portal, name, padding: 0 }),
        4 => (0_usize..2).prop_map(|portal| Say::Execute { portal, most: 0 }),
        1 => (1_usize..3).prop_map(|name| Say::Close { kind: frontend::STATEMENT, name }),
        2 => Just(Say::Sync),
        1 => prop_oneof![4 => sql, 1 => Just(Sql::DiscardAll), 1 => Just(Sql::DeallocateAll)]
            .prop_map(|sql| Say::Query { all: vec![sql], padding: 0 }),
    ];
    let show = vec![Say::Query { all: vec![Sql::Show(application_name())], padding: 0 }];
    let show = [vec![Say::Sync], show].concat();
    prop_oneof![4 => prop::collection::vec(message, 1..8), 1 => Just(show)]
}

/// Statements of both kinds under few names, prepared, used and given up in either way.
fn naming() -> impl Strategy<Value = Vec<Say>> {
    let name = || 1_usize..3;
    let own = || name().prop_map(|name| STATEMENTS[name].to_owned());
    let sql = prop_oneof![
        4 => made(),
        2 => (own(), (1_usize..4)).prop_map(|(name, rows)| Sql::Prepare(name, Box::new(Sql::Rows(rows)))),
        4 => own().prop_map(Sql::Execute),
        2 => prepared().prop_map(Sql::Execute),
        2 => own().prop_map(Sql::Deallocate),
        1 => Just(Sql::DeallocateAll),
        1 => Just(Sql::Fails),
        2 => prop::sample::select(vec![Sql::Begin, Sql::Commit, Sql::Rollback]),
        1 => (setting(), value())
            .prop_map(|(name, value)| Sql::Set { name, value, local: false }),
        1 => Just(Sql::Folded),
    ];
    let execute = || Say::Execute { portal: 0, most: 0 };
    let by_message = move |sql| {
        vec![
            Say::Parse { name: 0, sql, padding: 0 },
            Say::Bind { portal: 0, name: 0, padding: 0 },
            execute(),
        ]
    };
    let message = prop_oneof![
        4 => prop::collection::vec(sql.clone(), 1..4).prop_map(|mut all| {
            // Names in a text that is known at its end only are not found.
            while all.iter().map(|sql| sql.text().len() + 2).sum::<usize>() > LONG / 2 && all.len() > 1 {
                all.pop();
            }
            vec![Say::Query { all, padding: 0 }]
        }),
        3 => sql.clone().prop_map(by_message),
        2 => (name(), sql).prop_map(|(name, sql)| vec![Say::Parse { name, sql, padding: 0 }]),
        4 => name()
            .prop_map(move |name| vec![Say::Bind { portal: 0, name, padding: 0 }, execute()]),
        2 => name().prop_map(|name| vec![Say::Describe { kind: frontend::STATEMENT, name }]),
        2 => name().prop_map(|name| vec![Say::Close { kind: frontend::STATEMENT, name }]),
        4 => Just(vec![Say::Sync]),
    ];
    prop::collection::vec(message, 1..5).prop_map(|all| all.concat())
}

fn op(burst: impl Strategy<Value = Vec<Say>>) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..CLIENTS, burst, prop::bool::weighted(0.7), 0_usize..400)
            .prop_map(|(client, burst, waits, cut)| Op::Send { client, burst, waits, cut }),
        3 => (0..SERVERS, 1_usize..6).prop_map(|(server, most)| Op::Serve { server, most }),
        3 => (0..SERVERS, 1_usize..6).prop_map(|(server, most)| Op::Deliver { server, most }),
        1 => (0..CLIENTS).prop_map(|client| Op::Leave { client }),
    ]
}

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
