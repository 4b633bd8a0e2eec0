//! A real database is read, and what its statements call and name is judged by the rules.

#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use common::{mark, read, rows, snapshot};
use tokio_postgres::Client;
use trunkline_route::{Call, HiddenKind, Limits, Named, Path, Snapshot, Unknown, Verdict, resolve};
use trunkline_testkit::{Cluster, Result};

const SCHEMA: &str = include_str!("catalog/schema.sql");

/// A path of a user without a schema of his own.
const PUBLIC: Path<'_> = Path::Known(&["public"]);

async fn database() -> Result<(Cluster, Client)> {
    let cluster = Cluster::builder().start().await?;
    cluster.primary().execute("postgres", SCHEMA).await?;
    let client = cluster.primary().connect("postgres").await?;
    Ok((cluster, client))
}

fn named(text: &str) -> Named<'_> {
    match text.split_once('.') {
        Some((schema, name)) => Named { schema: Some(schema), name },
        None => Named { schema: None, name: text },
    }
}

/// What becomes of a statement that makes this call: `name/arguments`, with the literal behind a colon.
fn call(snapshot: &Snapshot, path: Path<'_>, text: &str) -> String {
    let (text, literal) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
    let (name, arguments) = text.split_once('/').expect("a number of arguments");
    let call =
        Call { function: named(name), arguments: arguments.parse().expect("a number"), literal };
    words(resolve(snapshot, path, [call], []))
}

/// What becomes of a statement that names this relation.
fn relation(snapshot: &Snapshot, path: Path<'_>, name: &str) -> String {
    words(resolve(snapshot, path, [], [named(name)]))
}

fn words(verdict: Verdict<'_>) -> String {
    match verdict {
        Verdict::Harmless => "read".to_owned(),
        Verdict::Primary(cause) => cause.to_string(),
    }
}

#[tokio::test]
async fn a_database_is_judged_by_the_rules() -> Result<()> {
    let (_cluster, client) = database().await?;
    let snapshot = read(&client).await?;
    assert_eq!(snapshot.why_unknown(), None);
    functions_by_what_they_are_declared_as_and_name(&snapshot);
    functions_by_the_path(&snapshot);
    relations_by_what_they_are(&snapshot);
    views_by_what_they_call_and_read(&snapshot);
    causes_say_where_and_through_what(&snapshot);
    what_no_text_shows_is_listed(&snapshot);
    assert_eq!(snapshot.mark(), mark(&client).await?);
    let schemas: Vec<&str> = snapshot.schemas().collect();
    assert_eq!(schemas, ["app", "information_schema", "legacy", "pg_catalog", "public"]);
    Ok(())
}

fn functions_by_what_they_are_declared_as_and_name(snapshot: &Snapshot) {
    for (text, expected) in [
        ("tax/1", "read"),
        ("total_of/1", "read"),
        ("standard/1", "read"),
        ("standard_lock/1", "unproven function"),
        ("volatile_reader/0", "unproven function"),
        ("liar/0", "unproven function"),
        ("liar_outer/0", "unproven function"),
        ("runs_text/1", "unproven function"),
        ("reads_cache/0", "unproven function"),
        ("reads_activity/0", "unproven function"),
        ("tenant/0", "read"),
        ("which_port/0", "unproven function"),
        ("escaped/0", "unproven function"),
        ("endless/0", "read"),
        ("too_long/0", "unproven function"),
        ("my_txid/0", "unproven function"),
        ("defaulted/0", "unproven function"),
        ("optional/0", "unknown function"),
        ("optional/1", "read"),
        ("optional/3", "read"),
        ("optional/4", "unknown function"),
        ("many/0", "unknown function"),
        ("many/1", "read"),
        ("many/9", "read"),
        ("overloaded/1", "unproven function"),
        ("overloaded/2", "read"),
        ("quotes/0", "unproven function"),
        ("closing/0", "unknown function"),
        ("tell/0", "unknown function"),
        ("mutual_a/1", "read"),
        ("product/1", "read"),
        ("logged_sum/1", "unproven function"),
        ("nextval/1", "sequence function"),
        ("pg_catalog.nextval/1", "sequence function"),
        ("now/0", "read"),
        ("random/0", "read"),
        ("txid_current/0", "writing function"),
        ("count/0", "read"),
        ("count/1", "read"),
        ("no_such/0", "unknown function"),
        ("public.now/0", "unknown function"),
        ("pg_temp.now/0", "unknown function"),
        ("information_schema._pg_truetypid/2", "read"),
        ("information_schema._pg_index_position/2", "read"),
        ("current_setting/1:app.tenant", "read"),
        ("current_setting/1:TimeZone", "read"),
        ("current_setting/1:port", "node-local function"),
        ("current_setting/1", "node-local function"),
    ] {
        assert_eq!(call(snapshot, PUBLIC, text), expected, "{text}");
    }
}

fn functions_by_the_path(snapshot: &Snapshot) {
    let (app, legacy) = (Path::Known(&["app"]), Path::Known(&["app", "legacy"]));
    for (path, text, expected) in [
        (PUBLIC, "round/1", "unproven function"),
        (PUBLIC, "round/2", "read"),
        (PUBLIC, "pg_catalog.round/1", "read"),
        (app, "round/1", "read"),
        (Path::Known(&[]), "round/1", "read"),
        (Path::Unknown, "round/1", "unproven function"),
        (app, "lower/1", "read"),
        (legacy, "lower/1", "unproven function"),
        (app, "steady/1", "read"),
        (legacy, "steady/1", "unproven function"),
        (legacy, "app.steady/1", "read"),
        (app, "Round Up/1", "read"),
        (PUBLIC, "Round Up/1", "unknown function"),
        (Path::Unknown, "Round Up/1", "read"),
        (app, "tax/1", "unknown function"),
        (app, "nowhere.tax/1", "unknown function"),
        (app, "nowhere.round/1", "unproven function"),
        (app, "nowhere.nextval/1", "sequence function"),
        (app, "legacy.round/1", "unknown function"),
        (Path::Possible(&["app", "legacy"]), "steady/1", "unproven function"),
    ] {
        assert_eq!(call(snapshot, path, text), expected, "{text} under {path:?}");
    }
}

fn relations_by_what_they_are(snapshot: &Snapshot) {
    for (name, expected) in [
        ("orders", "read"),
        ("public.orders", "read"),
        ("Mixed", "read"),
        ("mixed", "unknown relation"),
        ("tags", "unknown relation"),
        ("app.tags", "read"),
        ("legacy.tags", "unlogged table"),
        ("cache", "unlogged table"),
        ("metrics", "unlogged table"),
        ("metrics_north", "unlogged table"),
        ("metrics_cold", "read"),
        ("events", "read"),
        ("far_jobs", "foreign table"),
        ("jobs", "foreign table"),
        ("numbers", "sequence"),
        ("orders_id_seq", "sequence"),
        ("numbered", "read"),
        ("pg_temp.orders", "temporary table"),
        ("pg_class", "read"),
        ("pg_catalog.pg_type", "read"),
        ("public.pg_class", "unknown relation"),
        ("information_schema.tables", "read"),
        ("tables", "unknown relation"),
        ("pg_roles", "read"),
        ("pg_stat_activity", "node-local view"),
        ("pg_settings", "node-local view"),
        ("pg_sequences", "view sequence function"),
        ("notes", "read"),
        ("secrets", "view unproven function"),
        ("drafts", "read"),
        ("dormant", "read"),
    ] {
        assert_eq!(relation(snapshot, PUBLIC, name), expected, "{name}");
    }
    for (path, expected) in [
        (Path::Known(&["app"]), "read"),
        (Path::Known(&["app", "legacy"]), "read"),
        (Path::Known(&["legacy", "app"]), "unlogged table"),
        (Path::Possible(&["app", "legacy"]), "unlogged table"),
        (Path::Possible(&["app"]), "read"),
    ] {
        assert_eq!(relation(snapshot, path, "tags"), expected, "{path:?}");
    }
    assert_eq!(relation(snapshot, Path::Unknown, "tags"), "unlogged table");
    assert_eq!(relation(snapshot, Path::Unknown, "orders"), "read");
}

fn views_by_what_they_call_and_read(snapshot: &Snapshot) {
    for (name, expected) in [
        ("recent", "read"),
        ("tickets", "view sequence function"),
        ("app.tickets", "view sequence function"),
        ("told", "view unproven function"),
        ("untold", "read"),
        ("cached", "view unlogged table"),
        ("far", "view foreign table"),
        ("busy", "view node-local view"),
        ("last_number", "view sequence"),
        ("ported", "view node-local function"),
        ("any_setting", "view node-local function"),
        ("windowed", "view unproven function"),
        ("sums", "view unproven function"),
        ("roles", "read"),
        ("drawn", "read"),
        ("titles", "view unproven function"),
    ] {
        assert_eq!(relation(snapshot, PUBLIC, name), expected, "{name}");
    }
}

fn causes_say_where_and_through_what(snapshot: &Snapshot) {
    let steps = |verdict: Verdict<'_>| match verdict {
        Verdict::Harmless => Vec::new(),
        Verdict::Primary(cause) => cause.steps().map(|step| step.to_string()).collect(),
    };
    assert_eq!(
        steps(resolve(snapshot, PUBLIC, [], [named("app.tickets")])),
        ["view app.tickets", "view public.tickets", "sequence function pg_catalog.nextval"]
    );
    assert_eq!(
        steps(resolve(snapshot, PUBLIC, [], [named("metrics")])),
        [
            "unlogged table public.metrics",
            "unlogged table public.metrics_north",
            "unlogged table public.metrics_hot"
        ]
    );
    let liar = Call { function: named("liar_outer"), arguments: 0, literal: None };
    assert_eq!(
        steps(resolve(snapshot, PUBLIC, [liar], [named("cache")])),
        [
            "unproven function public.liar_outer",
            "unproven function public.liar",
            "sequence function pg_catalog.nextval"
        ]
    );
}

fn what_no_text_shows_is_listed(snapshot: &Snapshot) {
    let mut hidden: Vec<_> =
        snapshot.hidden().map(|hidden| (hidden.kind, hidden.schema, hidden.name)).collect();
    hidden.sort_by_key(|hidden| hidden.2);
    assert_eq!(
        hidden,
        [
            (HiddenKind::Operator, Some("app"), "<~>"),
            (HiddenKind::Cast, None, "public.celsius AS pg_catalog.float8"),
            (HiddenKind::Attribute, Some("public"), "warm"),
            (HiddenKind::Domain, Some("public"), "word"),
        ]
    );
}

#[tokio::test]
async fn the_question_means_the_same_under_any_path() -> Result<()> {
    let (_cluster, client) = database().await?;
    let mut expected = rows(&client, Limits::default()).await?;
    let before = mark(&client).await?;
    // Operators, functions and types that would be taken instead of PostgreSQL's own.
    client
        .batch_execute(
            "BEGIN; CREATE SCHEMA evil;
             CREATE FUNCTION evil.never(oid, oid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
             CREATE FUNCTION evil.never(name, name) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
             CREATE FUNCTION evil.never(\"char\", \"char\") RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
             CREATE FUNCTION evil.never(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
             CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.never);
             CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.never);
             CREATE OPERATOR evil.= (LEFTARG = \"char\", RIGHTARG = \"char\", FUNCTION = evil.never);
             CREATE OPERATOR evil.<> (LEFTARG = \"char\", RIGHTARG = \"char\", FUNCTION = evil.never);
             CREATE OPERATOR evil.>= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.never);
             CREATE FUNCTION evil.concat(VARIADIC \"any\") RETURNS text LANGUAGE internal IMMUTABLE AS 'jsonb_build_array';
             CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 0::bigint';
             CREATE DOMAIN evil.text AS varchar(1); CREATE DOMAIN evil.oid AS integer;
             CREATE TABLE evil.pg_proc (oid integer); CREATE TABLE evil.pg_class (oid integer);
             SET search_path = evil, pg_catalog",
        )
        .await?;
    let mut seen = rows(&client, Limits::default()).await?;
    client.batch_execute("ROLLBACK").await?;
    assert_eq!(mark(&client).await?, before);
    // The path that this session has been given hides the server's own.
    let own = |row: &[Option<String>; 6]| {
        row[0].as_deref() != Some("mark")
            && row[2].as_deref() != Some("evil")
            && (row[0].as_deref(), row[3].as_deref()) != (Some("default"), Some("search_path"))
    };
    seen.retain(own);
    expected.retain(own);
    seen.sort();
    expected.sort();
    let lost: Vec<_> = expected.iter().filter(|row| !seen.contains(row)).collect();
    let added: Vec<_> = seen.iter().filter(|row| !expected.contains(row)).collect();
    assert!(lost.is_empty() && added.is_empty(), "lost: {lost:?}, added: {added:?}");
    Ok(())
}

#[tokio::test]
async fn the_mark_is_another_one_when_something_else_may_be_called_or_read() -> Result<()> {
    let (_cluster, client) = database().await?;
    let mut before = mark(&client).await?;
    for sql in [
        "CREATE OR REPLACE FUNCTION tax(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT 2.0'",
        "ALTER FUNCTION tax(numeric) STABLE",
        "ALTER FUNCTION tax(numeric) RENAME TO taxes",
        "DROP FUNCTION checked CASCADE",
        "CREATE TABLE another (id integer)",
        "ALTER TABLE another SET UNLOGGED",
        "ALTER TABLE another RENAME TO other",
        "ALTER TABLE other ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY one ON other USING (true)",
        "ALTER POLICY one ON other USING (id = 1)",
        "CREATE OR REPLACE VIEW recent AS SELECT o.id, taxes(o.total) AS tax, now() FROM orders o",
        "ALTER TABLE other INHERIT jobs",
        "ALTER TABLE jobs ADD COLUMN extra integer; ALTER TABLE other ADD COLUMN extra2 integer; ALTER TABLE other NO INHERIT jobs",
        "CREATE SCHEMA third",
        "ALTER SCHEMA third RENAME TO fourth",
        "ALTER TABLE other SET SCHEMA fourth",
        "DROP OPERATOR app.<~> (text, text)",
        "DROP CAST (celsius AS float8)",
        "ALTER DOMAIN amount ADD CHECK (VALUE < 10)",
        "CREATE AGGREGATE second(numeric) (SFUNC = numeric_mul, STYPE = numeric)",
    ] {
        client.batch_execute(sql).await?;
        let after = mark(&client).await?;
        assert_ne!(before, after, "{sql}");
        before = after;
    }
    for sql in [
        "INSERT INTO orders (total) VALUES (1)",
        "TRUNCATE orders",
        "ANALYZE orders",
        "REFRESH MATERIALIZED VIEW numbered",
        "CREATE INDEX ON orders (id)",
        "GRANT SELECT ON orders TO public",
        "CREATE TEMP TABLE mine (id integer); CREATE TEMP VIEW seen AS SELECT * FROM mine",
        "SELECT nextval('numbers')",
        "BEGIN; CREATE TABLE gone (id integer); ROLLBACK",
    ] {
        client.batch_execute(sql).await?;
        assert_eq!(before, mark(&client).await?, "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn of_a_database_that_is_too_large_nothing_is_known_and_it_is_said_why() -> Result<()> {
    let (_cluster, client) = database().await?;
    client.batch_execute("ALTER DATABASE postgres SET search_path = public").await?;
    let limits = Limits::default();
    for (limits, what) in [
        (Limits { functions: 3, ..limits }, "functions"),
        (Limits { relations: 3, ..limits }, "relations"),
        (Limits { bytes: 3, ..limits }, "bytes"),
        (Limits { defaults: 0, ..limits }, "defaults"),
    ] {
        let rows = rows(&client, limits).await?;
        assert_eq!(rows.len(), 2, "{rows:?}");
        let snapshot = snapshot(&rows);
        assert_eq!(snapshot.why_unknown(), Some(&Unknown::TooMuch(what.into())));
        assert_eq!(call(&snapshot, PUBLIC, "now/0"), "unknown function");
        assert_eq!(call(&snapshot, PUBLIC, "pg_catalog.now/0"), "read");
        assert_eq!(relation(&snapshot, PUBLIC, "orders"), "unknown relation");
    }
    Ok(())
}
