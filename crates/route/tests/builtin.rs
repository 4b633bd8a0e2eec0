//! The tables of built-in functions and views against a real server.

#![allow(clippy::indexing_slicing, reason = "a wrong index fails the test, as it should")]

mod common;

use std::collections::BTreeSet;

use common::{read, rows_of, snapshot};
use tokio_postgres::Client;
use trunkline_route::builtin::{self, Class, NEWEST, SystemView};
use trunkline_route::{CATALOG, Call, Limits, Named, Path, Reason, Verdict, resolve};
use trunkline_testkit::{Cluster, Result};

/// Declared volatile, and still harmless: they tell the time, draw numbers, wait, or read what is replicated. `timezone` is
/// so in PostgreSQL 14 for one of its forms only, `bernoulli` and `system` stand in a TABLESAMPLE.
const VOLATILE_AND_HARMLESS: [&str; 20] = [
    "amvalidate",
    "array_sample",
    "array_shuffle",
    "bernoulli",
    "clock_timestamp",
    "current_query",
    "gen_random_uuid",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "random",
    "random_normal",
    "system",
    "timeofday",
    "timezone",
    "ts_rewrite",
    "uuidv4",
    "uuidv7",
];

/// Declared stable, of a name that may answer about the server, and still harmless: they read catalogs, or tell what is fixed
/// in the program. A session with temporary objects does not leave its server, so all temporary schemas are those of others. Those
/// that only send and receive a type go by their ending.
#[rustfmt::skip]
const STABLE_AND_HARMLESS: [&str; 56] = [
    "pg_basetype", "pg_char_to_encoding", "pg_client_encoding", "pg_collation_for", "pg_column_compression",
    "pg_column_is_updatable", "pg_column_size", "pg_column_toast_chunk_id",
    "pg_describe_object", "pg_encoding_to_char", "pg_get_acl", "pg_get_catalog_foreign_keys", "pg_get_constraintdef",
    "pg_get_expr", "pg_get_function_arg_default", "pg_get_function_arguments", "pg_get_function_identity_arguments",
    "pg_get_function_result", "pg_get_function_sqlbody", "pg_get_functiondef", "pg_get_indexdef", "pg_get_keywords",
    "pg_get_object_address", "pg_get_partition_constraintdef", "pg_get_partkeydef", "pg_get_publication_tables",
    "pg_get_replica_identity_index", "pg_get_ruledef", "pg_get_serial_sequence", "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns", "pg_get_statisticsobjdef_expressions", "pg_get_triggerdef", "pg_get_userbyid",
    "pg_get_viewdef", "pg_has_role", "pg_identify_object", "pg_identify_object_as_address", "pg_index_column_has_property",
    "pg_index_has_property", "pg_indexam_has_property", "pg_input_error_info", "pg_input_is_valid",
    "pg_is_other_temp_schema", "pg_mcv_list_items",
    "pg_options_to_table", "pg_relation_is_publishable", "pg_relation_is_updatable",
    "pg_sequence_parameters", "pg_settings_get_flags", "pg_split_walfile_name", "pg_timezone_abbrevs",
    "pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs_zone", "pg_trigger_depth", "pg_typeof",
];

async fn server() -> Result<(Cluster, Client, bool)> {
    let cluster = Cluster::builder().start().await?;
    let newer = cluster.binaries().major() > NEWEST;
    let client = cluster.primary().connect("postgres").await?;
    Ok((cluster, client, newer))
}

#[tokio::test]
async fn every_function_of_the_server_is_in_the_table() -> Result<()> {
    let (_cluster, client, newer) = server().await?;
    let rows = client
        .query(
            "SELECT oid, proname::text, pronargs, pronargdefaults, provariadic <> 0, provolatile::text
             FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace",
            &[],
        )
        .await?;
    assert!(rows.len() > 3000, "{}", rows.len());
    let mut careless = BTreeSet::new();
    for row in &rows {
        let (oid, name): (u32, &str) = (row.get(0), row.get(1));
        let (arguments, defaults): (i16, i16) = (row.get(2), row.get(3));
        let variadic: bool = row.get(4);
        let Some(builtin) = builtin::named(name) else {
            assert!(newer, "{name} ({oid}) is not in the table");
            continue;
        };
        for given in [arguments - defaults, arguments, arguments + if variadic { 50 } else { 0 }] {
            let found = builtin::call(name, usize::try_from(given)?);
            assert!(newer || found.is_some(), "{name} ({oid}) with {given} arguments");
        }
        if oid < 10_000 {
            // A number may have had another name in another version, but then no better class.
            let by_number = builtin::by_oid(oid);
            assert!(newer || by_number.is_some(), "{name} ({oid})");
        }
        let harmless = builtin.class == Class::Harmless;
        if harmless && is_to_be_reviewed(name, row.get(5)) {
            careless.insert(name.to_owned());
        }
    }
    assert!(careless.is_empty(), "harmless, and nobody has said why: {careless:?}");
    Ok(())
}

/// Whether a function is harmless only because somebody has looked at it.
fn is_to_be_reviewed(name: &str, volatility: &str) -> bool {
    let server =
        ["pg_", "txid_", "inet_", "lo_", "version"].iter().any(|begin| name.starts_with(begin));
    let plain = ["_recv", "_send", "_is_visible"].iter().any(|end| name.ends_with(end));
    match volatility {
        "v" => !VOLATILE_AND_HARMLESS.contains(&name),
        "s" => server && !plain && !STABLE_AND_HARMLESS.contains(&name),
        _ => false,
    }
}

#[tokio::test]
async fn every_view_of_the_server_is_in_the_tables_and_does_what_they_say() -> Result<()> {
    let (_cluster, client, newer) = server().await?;
    let snapshot = read(&client).await?;
    let views = client
        .query(
            "SELECT c.relname::text, n.nspname::text,
               ARRAY(SELECT DISTINCT m[1]::oid FROM regexp_matches(r.ev_action::text,
                 ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([1-9]\\d*)', 'g') AS m),
               ARRAY(SELECT DISTINCT s.relname::text FROM regexp_matches(r.ev_action::text, ':relid ([1-9]\\d*)', 'g') AS m
                 JOIN pg_class s ON s.oid = m[1]::oid WHERE s.oid <> c.oid AND s.relnamespace = 'pg_catalog'::regnamespace)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               JOIN pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1'
             WHERE n.nspname IN ('pg_catalog', 'information_schema')",
            &[],
        )
        .await?;
    assert!(views.len() > 120, "{}", views.len());
    for view in &views {
        let (name, schema): (&str, &str) = (view.get(0), view.get(1));
        let (calls, reads): (Vec<u32>, Vec<String>) = (view.get(2), view.get(3));
        let known =
            if schema == "pg_catalog" { builtin::view(name) } else { Some(SystemView::Catalog) };
        let Some(known) = known else {
            assert!(newer, "{name} is in no table");
            continue;
        };
        // Numbers from 10000 on are those of information_schema, which are proved by another test.
        // `pg_my_temp_schema` says which temporary tables are one's own: in `information_schema.tables`, none.
        let called = calls.iter().filter_map(|oid| builtin::by_oid(*oid));
        let called = called
            .filter(|it| it.name != "pg_my_temp_schema")
            .find(|it| it.class.trouble(None).is_some());
        let read = reads
            .iter()
            .find(|name| builtin::view(name).is_some_and(|it| it != SystemView::Catalog));
        let harmless = called.is_none() && read.is_none();
        assert_eq!(harmless, known == SystemView::Catalog, "{schema}.{name}: {called:?}, {read:?}");
        let named = Named { schema: Some(schema), name };
        let verdict = resolve(&snapshot, Path::Known(&[]), [], [named]);
        assert_eq!(verdict == Verdict::Harmless, harmless, "{schema}.{name}: {verdict:?}");
    }
    Ok(())
}

#[tokio::test]
async fn all_of_the_information_schema_is_harmless() -> Result<()> {
    let (_cluster, client, _) = server().await?;
    let snapshot = read(&client).await?;
    let sql = "SELECT proname::text, pronargs FROM pg_proc WHERE pronamespace = 'information_schema'::regnamespace";
    let functions = client.query(sql, &[]).await?;
    assert!(functions.len() > 10);
    for row in &functions {
        let (name, arguments): (&str, i16) = (row.get(0), row.get(1));
        let function = Named { schema: Some("information_schema"), name };
        let call = Call { function, arguments: usize::try_from(arguments)?, literal: None };
        assert_eq!(resolve(&snapshot, Path::Known(&[]), [call], []), Verdict::Harmless, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_function_that_a_superuser_adds_to_pg_catalog_is_judged_too() -> Result<()> {
    let (_cluster, client, _) = server().await?;
    let make = "CREATE FUNCTION pg_catalog.added(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
        CREATE FUNCTION pg_catalog.steady(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
        CREATE FUNCTION pg_catalog.abs(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
        SET check_function_bodies = off;
        CREATE OR REPLACE FUNCTION pg_catalog.sinh(float8) RETURNS float8 VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'";
    client.batch_execute(make).await?;
    let snapshot = read(&client).await?;
    let reason = |name: &'static str, schema: Option<&'static str>| {
        let call = Call { function: Named { schema, name }, arguments: 1, literal: None };
        match resolve(&snapshot, Path::Known(&["public"]), [call], []) {
            Verdict::Harmless => None,
            Verdict::Primary(cause) => Some(cause.step().reason),
        }
    };
    for schema in [None, Some("pg_catalog")] {
        assert_eq!(reason("added", schema), Some(Reason::UnprovenFunction));
        assert_eq!(reason("steady", schema), None);
        assert_eq!(reason("abs", schema), Some(Reason::UnprovenFunction));
        assert_eq!(reason("sinh", schema), Some(Reason::UnprovenFunction));
        assert_eq!(reason("cosh", schema), None);
    }
    Ok(())
}

#[tokio::test]
async fn of_a_newer_version_all_functions_are_asked_and_the_known_ones_are_left_out() -> Result<()>
{
    let (_cluster, client, _) = server().await?;
    let newest = format!("{}", NEWEST + 1);
    assert_eq!(CATALOG.matches(&format!("{newest}0000")).count(), 1, "it asks for newer ones");
    let question = CATALOG.replace(&format!("{newest}0000"), "140000");
    let all = rows_of(&client, &question, Limits::default()).await?;
    let functions = all.iter().filter(|row| row[0].as_deref() == Some("function")).count();
    assert!(functions > 3000, "{functions}");
    assert_eq!(snapshot(&all).counts(), read(&client).await?.counts());
    Ok(())
}
