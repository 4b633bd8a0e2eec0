//! What becomes of session state in transaction mode, kind by kind, as the table in the README says: each test is a row of
//! it. Two clients share two servers; what one of them does in its session the other must not see, and must not lose it.

mod common;

use std::collections::BTreeSet;

use common::{DATABASE, Scene, Seesaw, backend, ensure, error_in, one, pins_are, run};
use tokio_postgres::Client;
use trunkline_testkit::Result;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Two servers, and two clients that use them in turn.
struct Pair {
    scene: Scene<'static>,
    alice: RawClient,
    bob: RawClient,
    operator: Client,
}

impl Pair {
    async fn new(name: &'static str) -> Result<Self> {
        Self::after(name, "").await
    }

    /// The same after something was done in the database.
    async fn after(name: &'static str, setup: &str) -> Result<Self> {
        let scene = Scene::operated(name, "[pool]\nsize = 2").await?;
        scene.node.execute(DATABASE, setup).await?;
        let (alice, bob) = (scene.raw().await?, scene.raw().await?);
        let operator = scene.console().await?;
        Ok(Self { scene, alice, bob, operator })
    }

    /// Alice finds `hers` and Bob `his`, on one server and on the other.
    async fn see(&mut self, sql: &str, hers: &str, his: &str) -> Result<()> {
        let mut seesaw = Seesaw::of(&self.scene).await?;
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        for _ in 0..4 {
            let both = [(&mut self.alice, hers), (&mut self.bob, his)];
            for ((client, expected), servers) in both.into_iter().zip(&mut seen) {
                assert_eq!(one(client, sql).await?, expected, "{sql}");
                servers.insert(backend(client).await?);
            }
            seesaw.tilt().await?;
        }
        assert_eq!(seen.map(|servers| servers.len()), [2, 2], "{sql}");
        Ok(())
    }

    async fn pins_are(&self, expected: &[&str]) -> Result<()> {
        pins_are(&self.operator, expected).await
    }
}

#[tokio::test]
async fn settings_and_roles_are_replayed() -> Result<()> {
    let make =
        "CREATE ROLE row_other; GRANT row_other TO row_settings; ALTER ROLE row_settings SUPERUSER";
    let mut pair = Pair::after("row_settings", make).await?;
    for (set, show, hers, his, back) in [
        ("SET work_mem = '7MB'", "SHOW work_mem", "7MB", "4MB", "RESET work_mem"),
        ("SET SESSION jit = off", "SHOW jit", "off", "on", "SET jit TO DEFAULT"),
        (
            "SELECT set_config('timezone', 'Asia/Tokyo', false)",
            "SHOW timezone",
            "Asia/Tokyo",
            "UTC",
            "RESET ALL",
        ),
        (
            "SET search_path = pg_catalog",
            "SHOW search_path",
            "pg_catalog",
            "\"$user\", public",
            "DISCARD ALL",
        ),
        ("SET ROLE row_other", "SELECT current_user", "row_other", "row_settings", "RESET ROLE"),
        (
            "SET SESSION AUTHORIZATION row_other",
            "SELECT session_user",
            "row_other",
            "row_settings",
            "RESET SESSION AUTHORIZATION",
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "SHOW transaction_isolation",
            "serializable",
            "read committed",
            "RESET default_transaction_isolation",
        ),
    ] {
        run(&mut pair.alice, set).await?;
        pair.see(show, hers, his).await?;
        run(&mut pair.alice, back).await?;
        pair.see(show, his, his).await?;
        run(&mut pair.alice, &format!("BEGIN; {set}; ROLLBACK")).await?;
        pair.see(show, his, his).await?;
    }
    run(&mut pair.alice, "BEGIN; SET LOCAL work_mem = '9MB'; COMMIT").await?;
    pair.see("SHOW work_mem", "4MB", "4MB").await?;
    pair.pins_are(&[]).await
}

#[tokio::test]
async fn startup_parameters_are_the_servers_own_defaults() -> Result<()> {
    let mut pair = Pair::new("row_startup").await?;
    pair.alice = pair.scene.raw_with(&[("options", "-c work_mem=3MB")]).await?;
    for _ in 0..3 {
        assert_eq!(one(&mut pair.alice, "SHOW work_mem").await?, "3MB");
        assert_eq!(one(&mut pair.bob, "SHOW work_mem").await?, "4MB");
        run(&mut pair.alice, "SET work_mem = '5MB'; RESET work_mem").await?;
    }
    let source = "SELECT reset_val || ' ' || source FROM pg_settings WHERE name = 'work_mem'";
    assert_eq!(one(&mut pair.alice, source).await?, "3072 client");
    pair.pins_are(&[]).await
}

#[tokio::test]
async fn statements_of_the_protocol_are_prepared_where_they_are_used() -> Result<()> {
    let mut pair = Pair::new("row_protocol").await?;
    run(&mut pair.alice, "SET timezone = 'Asia/Tokyo'").await?;
    let text = "SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::bigint";
    let parse = [say::parse("same", text, &[]), say::sync()].concat();
    for client in [&mut pair.alice, &mut pair.bob] {
        assert_eq!(tags(&client.exchange(&parse, 1).await?), "1Z");
        error_in(&client.exchange(&parse, 1).await?, "42P05")?;
    }
    let execute = [say::bind("", "same", &[]), say::execute("", 0), say::sync()].concat();
    let mut seesaw = Seesaw::of(&pair.scene).await?;
    let mut servers = BTreeSet::new();
    for _ in 0..4 {
        for (client, epoch) in [(&mut pair.alice, "1704034800"), (&mut pair.bob, "1704067200")] {
            let said = client.exchange(&execute, 1).await?;
            assert_eq!(said[1].row()?, [Some(epoch.to_owned())]);
            servers.insert(backend(client).await?);
        }
        seesaw.tilt().await?;
    }
    assert_eq!(servers.len(), 2);
    let close = [say::close_statement("same"), say::sync()].concat();
    assert_eq!(tags(&pair.alice.exchange(&close, 1).await?), "3Z");
    error_in(&pair.alice.exchange(&execute, 1).await?, "26000")?;
    assert_eq!(tags(&pair.bob.exchange(&execute, 1).await?), "2DCZ");
    pair.pins_are(&[]).await
}

#[tokio::test]
async fn statements_of_sql_are_in_the_same_store() -> Result<()> {
    let mut pair = Pair::new("row_sql").await?;
    run(&mut pair.alice, "PREPARE same (int) AS SELECT 'hers ' || $1").await?;
    run(&mut pair.bob, "PREPARE same (int) AS SELECT 'his ' || $1").await?;
    pair.see("EXECUTE same(1)", "hers 1", "his 1").await?;
    let bind = [say::bind("", "same", &[Some("2")]), say::execute("", 0), say::sync()].concat();
    assert_eq!(pair.alice.exchange(&bind, 1).await?[1].row()?, [Some("hers 2".to_owned())]);
    run(&mut pair.alice, "DEALLOCATE same").await?;
    common::fails(&mut pair.alice, "EXECUTE same(1)", "26000").await?;
    assert_eq!(one(&mut pair.bob, "EXECUTE same(3)").await?, "his 3");
    pair.pins_are(&[]).await
}

#[tokio::test]
async fn what_lives_on_one_server_pins_until_it_is_gone() -> Result<()> {
    let mut pair = Pair::new("row_pins").await?;
    for (make, gone, reason) in [
        ("CREATE TEMP TABLE kept (i int)", "DROP TABLE kept", "temporary object"),
        ("CREATE TEMP TABLE kept AS SELECT 1", "DISCARD TEMP", "temporary object"),
        ("SELECT 1 AS i INTO TEMP kept", "DROP TABLE kept", "temporary object"),
        (
            "CREATE FUNCTION pg_temp.kept() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION pg_temp.kept()",
            "temporary object",
        ),
        ("DECLARE kept CURSOR WITH HOLD FOR SELECT 1", "CLOSE kept", "cursor with hold"),
        ("SELECT pg_advisory_lock(81)", "SELECT pg_advisory_unlock(81)", "advisory lock"),
        (
            "SELECT pg_try_advisory_lock_shared(81)",
            "SELECT pg_advisory_unlock_all()",
            "advisory lock",
        ),
    ] {
        run(&mut pair.alice, make).await?;
        pair.pins_are(&[reason]).await?;
        let server = backend(&mut pair.alice).await?;
        assert_ne!(backend(&mut pair.bob).await?, server, "{make}");
        run(&mut pair.alice, gone).await?;
        pair.pins_are(&[]).await?;
        // And by what ends with the transaction, nobody is kept. A lock of the session does not.
        run(&mut pair.alice, &format!("BEGIN; {make}; ROLLBACK")).await?;
        if reason == "advisory lock" {
            pair.pins_are(&[reason]).await?;
            run(&mut pair.alice, gone).await?;
        }
        pair.pins_are(&[]).await?;
    }
    run(&mut pair.alice, "BEGIN; CREATE TEMP TABLE kept (i int) ON COMMIT DROP; COMMIT").await?;
    pair.pins_are(&[]).await?;
    pair.scene.node.execute(DATABASE, "ALTER ROLE row_pins SUPERUSER").await?;
    run(&mut pair.alice, "LOAD 'plpgsql'").await?;
    pair.pins_are(&["load"]).await
}

#[tokio::test]
async fn what_discard_all_does_not_take_away_stays_with_one_client() -> Result<()> {
    let loads = "CREATE FUNCTION row_loads() RETURNS void LANGUAGE plpgsql AS \
                 $$ BEGIN LOAD 'auto_explain'; END $$; \
                 CREATE PROCEDURE row_calls() LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM row_loads(); END $$; \
                 SELECT pg_replication_origin_create('row_origin'); ALTER ROLE row_stays SUPERUSER";
    let mut pair = Pair::after("row_stays", loads).await?;
    for (make, reason) in [
        ("LOAD 'auto_explain'", "load"),
        ("DO $$ BEGIN LOAD 'auto_explain'; END $$", "load"),
        ("SELECT row_loads()", "object of the server session"),
        ("CALL row_calls()", "object of the server session"),
        (
            "SELECT pg_create_physical_replication_slot('row_slot', false, true)",
            "object of the server session",
        ),
        (
            "SELECT pg_replication_origin_session_setup('row_origin')",
            "object of the server session",
        ),
    ] {
        let mut client = pair.scene.raw().await?;
        run(&mut client, make).await?;
        pair.pins_are(&[reason]).await?;
        run(&mut client, "DISCARD ALL").await?;
        pair.pins_are(&[reason]).await?;
        let server = backend(&mut client).await?;
        assert_ne!(backend(&mut pair.bob).await?, server, "{make}");
        client.send(&say::terminate()).await?;
        let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {server}");
        wait_for(&format!("its server is closed behind {make}"), PATIENCE, async || {
            let there = pair.scene.node.query_text(DATABASE, &there).await?;
            ensure(there == "0", there)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_reads_the_sequences_of_another() -> Result<()> {
    let mut pair = Pair::new("row_sequences").await?;
    run(&mut pair.alice, "CREATE SEQUENCE row_numbers").await?;
    for _ in 0..3 {
        let hers = one(&mut pair.alice, "SELECT nextval('row_numbers')").await?;
        let read = pair.bob.query("SELECT currval('row_numbers')").await?;
        error_in(&read, "55000")?;
        let both = "BEGIN; SELECT nextval('row_numbers'); COMMIT";
        run(&mut pair.alice, both).await?;
        let seen = pair.alice.query("SELECT currval('row_numbers')").await?;
        // Her own, or none.
        let next = hers.parse::<i64>()? + 1;
        match seen.iter().find(|frame| frame.tag == b'D').map(Frame::row).transpose()? {
            Some(row) => assert_eq!(row, [Some(next.to_string())]),
            None => drop(error_in(&seen, "55000")?),
        }
        // It keeps her server from now on.
        let again = "SELECT nextval('row_numbers'); SELECT currval('row_numbers')";
        let rows = pair.alice.rows(again).await?;
        assert_eq!(rows.last(), Some(&vec![Some((next + 1).to_string())]));
        let read = one(&mut pair.alice, "SELECT currval('row_numbers')").await?;
        assert_eq!(read, (next + 1).to_string());
        pair.pins_are(&["sequence state"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn placeholders_are_replayed() -> Result<()> {
    let mut pair = Pair::new("row_placeholders").await?;
    run(&mut pair.alice, "SET app.tenant = 'hers'").await?;
    run(&mut pair.bob, "SELECT set_config('app.tenant', 'his', false)").await?;
    pair.see("SELECT current_setting('app.tenant')", "hers", "his").await?;
    pair.pins_are(&[]).await
}

#[tokio::test]
async fn an_open_transaction_keeps_its_server_until_it_ends() -> Result<()> {
    let mut pair = Pair::new("row_open").await?;
    run(&mut pair.alice, "BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 3)").await?;
    let server = backend(&mut pair.alice).await?;
    for row in ["1", "2", "3"] {
        assert_ne!(backend(&mut pair.bob).await?, server);
        assert_eq!(one(&mut pair.alice, "FETCH c").await?, row);
    }
    common::fails(&mut pair.alice, "SELECT 1/0", "22012").await?;
    common::fails(&mut pair.alice, "SELECT 1", "25P02").await?;
    assert_ne!(backend(&mut pair.bob).await?, server);
    run(&mut pair.alice, "ROLLBACK").await?;
    run(&mut pair.alice, "CREATE TABLE row_copied (i int)").await?;
    pair.alice.send(&say::query("COPY row_copied FROM STDIN")).await?;
    assert_eq!(tags(&pair.alice.read_until(b'G').await?), "G");
    backend(&mut pair.bob).await?;
    let data = [say::copy_data(b"1\n2\n"), say::copy_done()].concat();
    assert_eq!(tags(&pair.alice.exchange(&data, 1).await?), "CZ");
    // A portal that is not at its end, without a Sync.
    let portal = [
        say::parse("", "SELECT i FROM row_copied ORDER BY i", &[]),
        say::bind("p", "", &[]),
        say::execute("p", 1),
        say::flush(),
    ];
    pair.alice.send(&portal.concat()).await?;
    assert_eq!(tags(&pair.alice.read_until(b's').await?), "12Ds");
    backend(&mut pair.bob).await?;
    let rest = [say::execute("p", 0), say::sync()].concat();
    assert_eq!(tags(&pair.alice.exchange(&rest, 1).await?), "DCZ");
    pair.pins_are(&[]).await
}
