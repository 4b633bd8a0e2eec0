use std::collections::BTreeMap;

use super::*;
use crate::{
    averages::{Mark, Marks},
    console::table::{Kind, Value},
    pooler::Pooler,
    testing::{Puppet, client_report},
};

/// Recorded from a running PgBouncer; the file says how.
const RECORDED: &str = include_str!("../../../tests/data/pgbouncer-1.18-columns.txt");

fn recorded() -> BTreeMap<&'static str, Vec<(&'static str, u32)>> {
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    let mut table = "";
    for line in RECORDED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("SHOW ") {
            table = name;
        } else {
            let (name, oid) = line.trim().split_once(' ').unwrap();
            tables.entry(table).or_default().push((name, oid.parse().unwrap()));
        }
    }
    tables
}

async fn snapshot(puppet: &Puppet) -> Snapshot {
    Snapshot::take(puppet, std::sync::Arc::default(), 60_000_000).await.unwrap()
}

/// The rows as texts, by column.
async fn shown(view: View, puppet: &Puppet) -> Vec<BTreeMap<&'static str, String>> {
    let rows = view.rows(&snapshot(puppet).await);
    let named = |row: Row| {
        let values = row.into_iter().map(|value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Text(text) => text,
            Value::Int4(number) => number.to_string(),
            Value::Numeric(number) => number.to_string(),
        });
        view.columns().iter().map(|column| column.name).zip(values).collect()
    };
    rows.into_iter().map(named).collect()
}

fn pick<const N: usize>(row: &BTreeMap<&str, String>, names: [&str; N]) -> [String; N] {
    names.map(|name| row[name].clone())
}

#[test]
fn columns_begin_like_those_of_pgbouncer() {
    let recorded = recorded();
    assert_eq!(recorded.len(), 12);
    for (name, columns) in recorded {
        let view = View::ALL.into_iter().find(|view| view.name() == name).unwrap();
        let ours: Vec<(&str, u32)> = view
            .columns()
            .iter()
            .map(|column| {
                let oid = match column.kind {
                    Kind::Text => 25,
                    Kind::Int4 => 23,
                    Kind::Numeric => 1700,
                };
                (column.name, oid)
            })
            .collect();
        assert_eq!(&ours[..columns.len()], columns, "SHOW {name}");
        // Prometheus' exporter for PgBouncer refuses these two if they have other columns too.
        if ["LISTS", "CONFIG"].contains(&name) {
            assert_eq!(ours.len(), columns.len(), "SHOW {name}");
        }
    }
}

#[tokio::test]
async fn every_row_has_a_fitting_value_in_every_column() {
    let puppet = Puppet::new();
    let snapshot = snapshot(&puppet).await;
    for view in View::ALL {
        let columns = view.columns();
        let rows = view.rows(&snapshot);
        assert!(!rows.is_empty() || view == View::Users, "SHOW {} is empty", view.name());
        for row in rows {
            assert_eq!(row.len(), columns.len(), "SHOW {}", view.name());
            for (value, column) in row.iter().zip(columns) {
                let fits = match value {
                    Value::Null => true,
                    Value::Text(_) => column.kind == Kind::Text,
                    Value::Int4(_) => column.kind == Kind::Int4,
                    Value::Numeric(_) => column.kind == Kind::Numeric,
                };
                assert!(fits, "SHOW {}.{}: {value:?}", view.name(), column.name);
            }
        }
        let mut names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), columns.len(), "SHOW {} names a column twice", view.name());
    }
}

#[tokio::test]
async fn pools_count_idle_clients_as_active_and_split_the_longest_wait() {
    let rows = shown(View::Pools, &Puppet::new()).await;
    assert_eq!(rows.len(), 2);
    let found = pick(
        &rows[0],
        ["database", "user", "cl_active", "cl_waiting", "cl_linked", "sv_active", "sv_idle"],
    );
    assert_eq!(found, ["shop", "alice", "3", "1", "1", "1", "1"]);
    let found = pick(&rows[0], ["maxwait", "maxwait_us", "pool_mode", "last_error"]);
    assert_eq!(found, ["2", "500000", "transaction", "NULL"]);
}

#[tokio::test]
async fn clients_and_servers_name_each_other() {
    let puppet = Puppet::new();
    let clients = shown(View::Clients, &puppet).await;
    let servers = shown(View::Servers, &puppet).await;
    assert_eq!(clients[0]["link"], servers[0]["ptr"]);
    assert_eq!(servers[0]["link"], clients[0]["ptr"]);
    assert_eq!((&*clients[1]["link"], &*servers[1]["link"]), ("", ""));
    let found = pick(&clients[0], ["addr", "port", "state", "pins", "server_pid"]);
    assert_eq!(found, ["192.0.2.7", "50001", "active", "advisory lock", "4001"]);
    let found = pick(&servers[0], ["addr", "port", "node", "client_pid", "application_name"]);
    assert_eq!(found, ["10.0.0.11", "5432", "pg1", "101", "psql"]);
    assert_eq!(shown(View::Pins, &puppet).await.len(), 1);
}

#[tokio::test]
async fn listeners_tell_for_whom_they_listen_and_what_they_have_heard() {
    let rows = shown(View::Listeners, &Puppet::new()).await;
    let found = pick(&rows[0], ["database", "state", "age", "clients", "channels", "last_error"]);
    assert_eq!(found, ["shop", "connected", "7", "2", "3", "NULL"]);
    assert_eq!(pick(&rows[0], ["heard", "told", "reconnects"]), ["40", "80", "1"]);
}

#[tokio::test]
async fn a_client_on_this_machine_has_its_process_and_no_port() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        let mut client = client_report(7, "shop", "alice");
        client.peer = trunkline_proxy::net::Peer::Unix { uid: 1, gid: 1, pid: Some(99) };
        strings.loops[0].clients = vec![client];
    });
    let clients = shown(View::Clients, &puppet).await;
    assert_eq!(pick(&clients[0], ["addr", "port", "remote_pid"]), ["unix", "NULL", "99"]);
}

#[tokio::test]
async fn averages_are_those_since_the_older_mark() {
    let puppet = Puppet::new();
    let mut snapshot = snapshot(&puppet).await;
    let rows = View::StatsAverages.rows(&snapshot);
    // 42 queries that took 84 s in the first 60 s.
    let number = |row: &Row, at: usize| match row[at] {
        Value::Numeric(number) => number,
        ref other => panic!("{other:?}"),
    };
    assert_eq!((number(&rows[0], 2), number(&rows[0], 6)), (0, 2_000_000));
    let totals = crate::pools::by_database(&snapshot.counters);
    let mark = Mark { at_us: 60_000_000, totals };
    snapshot.marks = Marks::default().advance(mark.clone()).advance(mark).into();
    snapshot.now_us = 61_000_000;
    let rows = View::StatsAverages.rows(&snapshot);
    assert_eq!((number(&rows[0], 2), number(&rows[0], 6)), (0, 0));
    let rows = View::StatsTotals.rows(&snapshot);
    assert_eq!(number(&rows[0], 2), 42);
    let rows = View::Totals.rows(&snapshot);
    assert_eq!(rows[1], [Value::text("total_query_count"), Value::Numeric(42)]);
}

#[tokio::test]
async fn databases_are_those_of_the_settings_and_those_in_use() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        let table = trunkline_settings::Database {
            dbname: Some("shop_prod".to_owned()),
            pool_size: Some(7),
            user: Some("app".to_owned()),
            ..Default::default()
        };
        strings.settings.databases.0.insert("shop".to_owned(), table);
        strings
            .settings
            .databases
            .0
            .insert("unused".to_owned(), trunkline_settings::Database::default());
    });
    puppet.pause(Some("shop"));
    let rows = shown(View::Databases, &puppet).await;
    let names: Vec<&str> = rows.iter().map(|row| &*row["name"]).collect();
    assert_eq!(names, ["shop", "unused", "wiki"]);
    let found = pick(&rows[0], ["host", "database", "force_user", "pool_size", "paused"]);
    assert_eq!(found, ["10.0.0.11", "shop_prod", "app", "7", "1"]);
    assert_eq!(pick(&rows[0], ["current_connections", "disabled"]), ["2", "0"]);
    // Without the wildcard, a database that is still in use takes no new clients.
    puppet.with(|strings| strings.settings.databases.0.remove("*"));
    assert_eq!(shown(View::Databases, &puppet).await[2]["disabled"], "1");
}

#[tokio::test]
async fn the_settings_are_shown_with_their_defaults_and_without_secrets() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.settings.pool.size = 33;
        strings.settings.cluster.password = Some(trunkline_settings::Secret::new("swordfish"));
    });
    let rows = shown(View::Config, &puppet).await;
    let get = |key: &str| {
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key}"));
        pick(row, ["value", "default", "changeable"])
    };
    assert_eq!(get("pool.size"), ["33", "20", "yes"]);
    assert_eq!(get("pool.min_idle"), ["0", "0", "yes"]);
    assert_eq!(get("listen.backlog")[2], "no");
    assert_eq!(get("node.pg1.name")[0], "\"pg1\"");
    assert_eq!(get("node.pg1.host")[0], "\"10.0.0.11\"");
    assert_eq!(get("cluster.password")[0], "\"***\"");
    assert_eq!(get("databases.*.max_connections"), ["0", "0", "yes"]);
    assert_eq!(get("max_client_conn"), ["5000", "100", "yes"]);
    assert!(rows.iter().all(|row| row.values().all(|value| !value.contains("swordfish"))));
}

#[tokio::test]
async fn the_state_is_paused_only_when_everything_is() {
    let puppet = Puppet::new();
    let value = async |key: &str| {
        let rows = shown(View::State, &puppet).await;
        rows.iter().find(|row| row["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(value("paused").await, "no");
    puppet.pause(Some("shop"));
    assert_eq!((value("paused").await, value("active").await), ("no".into(), "yes".into()));
    puppet.pause(None);
    assert_eq!((value("paused").await, value("active").await), ("yes".into(), "no".into()));
    assert_eq!(value("started").await, "2026-11-21 01:49:40 UTC");
}

#[tokio::test]
async fn nodes_tell_their_connections_and_what_is_not_known_yet() {
    let puppet = Puppet::new();
    let rows = shown(View::Nodes, &puppet).await;
    let found = pick(&rows[0], ["node", "role", "timeline", "connections", "system_identifier"]);
    assert_eq!(found, ["pg1", "primary", "3", "2", "7300000000000000001"]);
    puppet.with(|strings| {
        strings.nodes[0].timeline = 0;
        strings.nodes[0].system_identifier = 0;
    });
    let rows = shown(View::Nodes, &puppet).await;
    assert_eq!(pick(&rows[0], ["timeline", "system_identifier"]), ["NULL", "NULL"]);
}

#[tokio::test]
async fn standbys_tell_how_far_behind_they_are_and_whether_they_may_be_read_from() {
    let puppet = Puppet::new();
    let columns = ["lag_bytes", "lag_us", "fit"];
    let rows = shown(View::Nodes, &puppet).await;
    assert_eq!(pick(&rows[0], columns), ["NULL"; 3]);
    puppet.with(|strings| {
        strings.nodes[0].lag_bytes = Some(5_000_000_000);
        strings.nodes[0].lag = Some(std::time::Duration::from_millis(1500));
        strings.nodes[0].fit = Some("lags by bytes");
    });
    let rows = shown(View::Nodes, &puppet).await;
    assert_eq!(pick(&rows[0], columns), ["5000000000", "1500000", "lags by bytes"]);
}

#[tokio::test]
async fn lists_have_pgbouncers_rows() {
    let rows = shown(View::Lists, &Puppet::new()).await;
    let found: Vec<(&str, &str)> = rows.iter().map(|row| (&*row["list"], &*row["items"])).collect();
    let expected = [
        ("databases", "2"),
        ("users", "2"),
        ("pools", "2"),
        ("free_clients", "96"),
        ("used_clients", "4"),
        ("login_clients", "0"),
        ("free_servers", "1"),
        ("used_servers", "1"),
        ("dns_names", "0"),
        ("dns_zones", "0"),
        ("dns_queries", "0"),
        ("dns_pending", "0"),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_server_of_a_node_that_was_removed_is_still_shown() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.loops[0].servers[1].node = trunkline_proxy::NodeId(9);
        strings.loops[0].servers[1].state = "cancel";
    });
    let rows = shown(View::Servers, &puppet).await;
    let found = pick(&rows[1], ["node", "addr", "port", "state"]);
    assert_eq!(found, ["NULL", "NULL", "NULL", "being_canceled"]);
}

#[tokio::test]
async fn routes_are_counted_by_database_over_loops_users_and_pools_that_are_gone() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        let counted = |word: &str, count: usize| {
            let mut routes = trunkline_proxy::engine::report::Routes::default();
            let all = routes.on.decided();
            let because = all.map(|(because, _)| because).find(|it| it.words() == word).unwrap();
            (0..count).for_each(|_| routes.on.decide(because));
            (0..count).for_each(|_| routes.shadow.decide(because));
            Some(Box::new(routes))
        };
        strings.loops[0].pools[0].routes = counted("write", 1);
        strings.loops[1].pools[0].routes = counted("read", 5);
        let mut other = crate::testing::pool_report(7, "shop", "carol");
        other.routes = counted("read", 2);
        strings.loops[1].pools.push(other);
        strings.loops[1].departed = vec![trunkline_proxy::engine::report::DepartedReport {
            database: "shop".into(),
            user: "dave".into(),
            stats: trunkline_proxy::engine::report::PoolStats::default(),
            routes: counted("write", 1).map(|mut routes| {
                routes.on.heal(trunkline_proxy::engine::report::Healed::Lost);
                routes.on.learnt = 3;
                routes
            }),
        }];
    });
    let rows = shown(View::Routes, &puppet).await;
    let columns = ["database", "mode", "route", "reason", "count", "percent"];
    let found: Vec<String> = rows.iter().map(|row| pick(row, columns).join(" | ")).collect();
    let expected = [
        "shop | on | standby | read | 2 | 50.0",
        "shop | on | primary | write | 2 | 50.0",
        "shop | on | run again | standby lost | 1 | NULL",
        "shop | on | learnt | refused by a standby | 3 | NULL",
        "shop | shadow | standby | read | 2 | 50.0",
        "shop | shadow | primary | write | 2 | 50.0",
        "wiki | on | standby | read | 5 | 100.0",
        "wiki | shadow | standby | read | 5 | 100.0",
    ];
    assert_eq!(found, expected);
}
