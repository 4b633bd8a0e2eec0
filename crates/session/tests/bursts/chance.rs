//! Bursts by chance, of the kinds that go wrong in different ways.

use proptest::prelude::*;
use trunkline_wire::frontend;

use super::say::{Op, PORTALS, STATEMENTS, Say};
use crate::model::sql::Sql;

/// Clients of one run. They have one mode, as the clients of a pool do.
pub(crate) const CLIENTS: usize = 4;

/// Servers of one run.
pub(crate) const SERVERS: usize = 2;

pub(crate) fn setting() -> impl Strategy<Value = String> {
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

pub(crate) fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["one", "two", "two", "bad"]).prop_map(str::to_owned)
}

pub(crate) fn label() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned)
}

/// A name that a statement of the protocol may have, or one of SQL only.
pub(crate) fn prepared() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["s", "t", "sql_a", "sql_b"]).prop_map(str::to_owned)
}

/// What SQL prepares.
pub(crate) fn made() -> impl Strategy<Value = Sql> {
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
pub(crate) fn sql() -> impl Strategy<Value = Sql> {
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
pub(crate) fn simple() -> impl Strategy<Value = Sql> {
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
pub(crate) const LONG: usize = 200;

/// Few messages are long.
pub(crate) fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![8 => Just(0_usize), 1 => Just(50), 1 => Just(LONG)]
}

pub(crate) fn query() -> impl Strategy<Value = Say> {
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

pub(crate) fn parse() -> impl Strategy<Value = Say> {
    (0..STATEMENTS.len(), sql(), padding()).prop_map(|(name, sql, padding)| match (name, padding) {
        // The names in a text that is not read whole are not found.
        (_, LONG) if sql.names_others() => {
            Say::Parse { name: name % (STATEMENTS.len() - 1), sql, padding: 0 }
        }
        (1.., LONG) => Say::Parse { name: STATEMENTS.len() - 1, sql, padding },
        _ => Say::Parse { name: name % (STATEMENTS.len() - 1), sql, padding },
    })
}

pub(crate) fn bind() -> impl Strategy<Value = Say> {
    (0..PORTALS.len(), 0..STATEMENTS.len(), padding())
        .prop_map(|(portal, name, padding)| Say::Bind { portal, name, padding })
}

pub(crate) fn say() -> impl Strategy<Value = Say> {
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
pub(crate) fn amid_copy() -> impl Strategy<Value = Vec<Say>> {
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
pub(crate) fn copy() -> impl Strategy<Value = Vec<Say>> {
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
pub(crate) fn copying() -> impl Strategy<Value = Vec<Say>> {
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
pub(crate) fn burst() -> impl Strategy<Value = Vec<Say>> {
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
pub(crate) fn folding() -> impl Strategy<Value = Vec<Say>> {
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
pub(crate) fn taking_back() -> impl Strategy<Value = Vec<Say>> {
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
pub(crate) fn naming() -> impl Strategy<Value = Vec<Say>> {
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

pub(crate) fn op(burst: impl Strategy<Value = Vec<Say>>) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..CLIENTS, burst, prop::bool::weighted(0.7), 0_usize..400)
            .prop_map(|(client, burst, waits, cut)| Op::Send { client, burst, waits, cut }),
        3 => (0..SERVERS, 1_usize..6).prop_map(|(server, most)| Op::Serve { server, most }),
        3 => (0..SERVERS, 1_usize..6).prop_map(|(server, most)| Op::Deliver { server, most }),
        1 => (0..CLIENTS).prop_map(|client| Op::Leave { client }),
    ]
}
