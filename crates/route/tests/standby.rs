//! What is called harmless has the same answer on a standby as on the primary, asked of both.

mod common;

use std::collections::BTreeMap;

use tokio_postgres::{Client, SimpleQueryMessage};
use trunkline_route::builtin::{self, Class, SystemView};
use trunkline_route::{Call, Named, Path, Verdict, resolve};
use trunkline_testkit::{Cluster, Result};

/// Something of most kinds, so that functions over catalogs have something to tell.
const SCHEMA: &str = "
    CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric CHECK (total > 0), note text);
    COMMENT ON TABLE orders IS 'what was bought';
    INSERT INTO orders (total, note) SELECT i, repeat('x', i) FROM generate_series(1, 100) AS i;
    CREATE INDEX ON orders (note);
    CREATE STATISTICS both_of_them ON total, note FROM orders;
    CREATE VIEW recent AS SELECT * FROM orders;
    CREATE SEQUENCE numbers;
    CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * $1';
    CREATE TABLE parts (id integer) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
    CREATE PUBLICATION told FOR TABLE orders;
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON orders USING (total > 1);
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    SELECT nextval('numbers'), lo_from_bytea(16400000, 'abc');
    ANALYZE;";

/// They have another answer with each call, or take their time.
const NEVER_THE_SAME: [&str; 19] = [
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "current_query",
    "gen_random_uuid",
    "now",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "random",
    "random_normal",
    "statement_timestamp",
    "timeofday",
    "transaction_timestamp",
    "uuidv4",
    "uuidv7",
    "current_setting",
    // The answer of the moment: a standby hears of a transaction number when something is written under it.
    "age",
    "mxid_age",
];

/// A few values of a type, as SQL; none if it cannot be written.
fn values(argument: &str) -> &'static [&'static str] {
    match argument {
        "oid" => &["'orders'::regclass::oid", "1259", "0"],
        "regclass" => &["'orders'::regclass", "'recent'::regclass"],
        "text" | "cstring" => &["'orders'", "'public'", "'a1'"],
        "name" => &["'orders'::name", "'postgres'::name"],
        "integer" => &["1", "0"],
        "smallint" => &["1::smallint"],
        "bigint" => &["1::bigint", "12345::bigint"],
        "boolean" => &["true", "false"],
        "real" => &["1.5::real"],
        "double precision" => &["0.5::float8"],
        "numeric" => &["1.25::numeric"],
        "timestamp with time zone" => &["'2026-01-02 03:04+00'::timestamptz"],
        "timestamp without time zone" => &["'2026-01-02 03:04'::timestamp"],
        "date" => &["'2026-01-02'::date"],
        "time without time zone" => &["'03:04'::time"],
        "time with time zone" => &["'03:04+00'::timetz"],
        "interval" => &["'1 day 2 hours'::interval"],
        "json" => &["'{\"a\": [1, 2]}'::json"],
        "jsonb" => &["'{\"a\": [1, 2]}'::jsonb"],
        "bytea" => &["'abc'::bytea"],
        "uuid" => &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"],
        "inet" => &["'10.0.0.1/8'::inet"],
        "xid" => &["'3'::xid"],
        "xid8" => &["'3'::xid8"],
        "pg_lsn" => &["'0/1000000'::pg_lsn"],
        "tsvector" => &["'a b'::tsvector"],
        "tsquery" => &["'a & b'::tsquery"],
        "regconfig" => &["'english'::regconfig"],
        "regtype" => &["'mood'::regtype"],
        "anyelement" | "\"any\"" | "anynonarray" => &["'x'::text", "3"],
        "anyarray" => &["ARRAY[1, 2, 3]"],
        "text[]" => &["ARRAY['a', 'b']"],
        _ => &[],
    }
}

/// Calls of one function; the second argument and those behind it have their first value only.
fn calls(schema: &str, name: &str, arguments: &[String]) -> Vec<String> {
    let rest: Option<Vec<&str>> =
        arguments.iter().skip(1).map(|argument| values(argument).first().copied()).collect();
    let Some(rest) = rest else { return Vec::new() };
    let call = |first: Option<&&str>| {
        let given: Vec<&str> = first.into_iter().chain(&rest).copied().collect();
        let quoted = name.replace('"', "\"\"");
        format!(
            "SELECT string_agg(x::text, '|') FROM {schema}.\"{quoted}\"({}) AS x",
            given.join(", ")
        )
    };
    match arguments.first() {
        None => vec![call(None)],
        Some(first) => values(first).iter().map(|value| call(Some(value))).collect(),
    }
}

/// All that a relation shows, in short.
fn whole(schema: &str, name: &str) -> String {
    format!(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(x::text, ' ' ORDER BY x::text COLLATE \"C\")), '')
         FROM {schema}.\"{name}\" AS x"
    )
}

/// What a server answers: a value, or an error.
async fn answer(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => {
            let row = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            row.unwrap_or("NULL").to_owned()
        }
        Err(error) => error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string),
    }
}

async fn both(schema: &str) -> Result<(Cluster, Client, Client)> {
    let cluster = Cluster::builder()
        .standbys(1)
        .setting("autovacuum", "off")
        .setting("jit", "off")
        .start()
        .await?;
    cluster.primary().execute("postgres", schema).await?;
    cluster.primary().execute("postgres", "CHECKPOINT").await?;
    cluster.caught_up().await?;
    let primary = cluster.primary().connect("postgres").await?;
    let standby = cluster.standby(0)?.connect("postgres").await?;
    Ok((cluster, primary, standby))
}

#[tokio::test]
async fn harmless_functions_answer_alike_on_a_standby() -> Result<()> {
    let (_cluster, primary, standby) = both(SCHEMA).await?;
    let functions = primary
        .query(
            "SELECT proname::text, ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS a(t, n)
               ORDER BY n)
             FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' ORDER BY proname, oid",
            &[],
        )
        .await?;
    let mut different = BTreeMap::new();
    let mut answered = 0;
    for function in &functions {
        let (name, arguments): (&str, Vec<String>) = (function.get(0), function.get(1));
        let class = builtin::call(name, arguments.len()).map(|found| found.class);
        if class != Some(Class::Harmless) || NEVER_THE_SAME.contains(&name) {
            continue;
        }
        for sql in calls("pg_catalog", name, &arguments) {
            let expected = answer(&primary, &sql).await;
            let seen = answer(&standby, &sql).await;
            answered += usize::from(!expected.starts_with("ERROR"));
            if expected != seen {
                different.insert(sql, (expected, seen));
            }
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(answered > 1500, "only {answered} calls had an answer");
    Ok(())
}

#[tokio::test]
async fn harmless_relations_of_the_system_show_the_same_on_a_standby() -> Result<()> {
    let (_cluster, primary, standby) = both(SCHEMA).await?;
    let relations = primary
        .query(
            "SELECT n.nspname::text, c.relname::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE n.nspname IN ('pg_catalog', 'information_schema') AND relkind IN ('r', 'v')",
            &[],
        )
        .await?;
    let mut different = BTreeMap::new();
    for relation in &relations {
        let (schema, name, kind): (&str, &str, &str) =
            (relation.get(0), relation.get(1), relation.get(2));
        if schema == "pg_catalog" && kind == "v" && builtin::view(name) != Some(SystemView::Catalog)
        {
            continue;
        }
        let sql = whole(schema, name);
        let (expected, seen) = (answer(&primary, &sql).await, answer(&standby, &sql).await);
        if expected != seen {
            different.insert(name, (expected, seen));
        }
    }
    assert!(relations.len() > 150);
    assert!(different.is_empty(), "{different:#?}");
    Ok(())
}

#[tokio::test]
async fn what_answers_otherwise_on_a_standby_is_not_called_harmless() -> Result<()> {
    let (_cluster, primary, standby) = both(SCHEMA).await?;
    for (sql, name, arguments) in [
        ("SELECT pg_is_in_recovery()", "pg_is_in_recovery", 0),
        ("SELECT pg_current_wal_lsn()", "pg_current_wal_lsn", 0),
        ("SELECT pg_backend_pid()", "pg_backend_pid", 0),
        ("SELECT pg_postmaster_start_time()", "pg_postmaster_start_time", 0),
        ("SELECT txid_current()", "txid_current", 0),
        ("SELECT nextval('numbers')", "nextval", 1),
        ("SELECT lastval()", "lastval", 0),
        ("SELECT pg_walfile_name('0/1000000')", "pg_walfile_name", 1),
        ("SELECT lo_create(0)", "lo_create", 1),
        ("SELECT pg_last_wal_replay_lsn()", "pg_last_wal_replay_lsn", 0),
    ] {
        let (expected, seen) = (answer(&primary, sql).await, answer(&standby, sql).await);
        assert!(expected != seen || name == "lastval", "{sql}: {expected}");
        let class = builtin::call(name, arguments).map(|found| found.class);
        assert!(matches!(class, Some(Class::Primary(_))), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn harmless_functions_and_relations_of_users_answer_alike_on_a_standby() -> Result<()> {
    let (_cluster, primary, standby) = both(include_str!("catalog/schema.sql")).await?;
    let snapshot = common::read(&primary).await?;
    let mut asked = Vec::new();
    let functions = primary
        .query(
            "SELECT n.nspname::text, proname::text, ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS a(t, n)
               ORDER BY n)
             FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE p.oid >= 16384 AND prokind = 'f'",
            &[],
        )
        .await?;
    for row in &functions {
        let (schema, name, arguments): (&str, &str, Vec<String>) =
            (row.get(0), row.get(1), row.get(2));
        let function = Named { schema: Some(schema), name };
        let call = Call { function, arguments: arguments.len(), literal: None };
        // These two call each other until the stack is full.
        if resolve(&snapshot, Path::Unknown, [call], []) == Verdict::Harmless
            && !name.starts_with("mutual")
        {
            asked.extend(calls(schema, name, &arguments));
        }
    }
    let relations = primary
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE c.oid >= 16384 AND relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND n.nspname <> 'pg_toast'",
            &[],
        )
        .await?;
    for row in &relations {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        let named = Named { schema: Some(schema), name };
        // It draws numbers.
        if resolve(&snapshot, Path::Unknown, [], [named]) == Verdict::Harmless && name != "drawn" {
            asked.push(whole(schema, name));
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
    let mut different = BTreeMap::new();
    for sql in asked {
        let (expected, seen) = (answer(&primary, &sql).await, answer(&standby, &sql).await);
        if expected != seen {
            different.insert(sql, (expected, seen));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    Ok(())
}
