//! A client that ends its side gets what it asked for before: statements that stand before a goodbye are carried out,
//! and a client that only stops sending hears all answers.

mod common;

use common::{DATABASE, Scene, backend, ensure, one, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Waits until the table has so many rows.
async fn rows_are(witness: &mut RawClient, count: usize) -> Result<()> {
    wait_for(&format!("{count} rows are there"), PATIENCE, async || {
        let seen = one(witness, "SELECT count(*) FROM kept").await?;
        ensure(seen == count.to_string(), seen)
    })
    .await
}

/// A table, and who looks at it. The pool has a server for him and one for the client that leaves.
async fn witness(scene: &Scene<'_>) -> Result<RawClient> {
    let mut witness = scene.raw().await?;
    run(&mut witness, "CREATE TABLE kept (i int)").await?;
    Ok(witness)
}

#[tokio::test]
async fn a_commit_with_a_goodbye_behind_it_is_carried_out() -> Result<()> {
    let scene = Scene::calm("committing", "[pool]\nsize = 2").await?;
    let mut witness = witness(&scene).await?;
    // Long enough that the client has gone when the server is at it.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ \
                BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$; \
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED \
                FOR EACH ROW EXECUTE FUNCTION slow()";
    run(&mut witness, slow).await?;
    let commit = say::query("COMMIT");
    let prepared =
        [say::parse("", "COMMIT", &[]), say::bind("", "", &[]), say::execute("", 0)].concat();
    let synced = [&prepared[..], &say::sync()].concat();
    for (done, commit) in [&commit[..], &prepared, &synced].into_iter().enumerate() {
        let mut client = scene.raw().await?;
        run(&mut client, "BEGIN; INSERT INTO kept VALUES (1)").await?;
        client.send(&[commit, &say::terminate()].concat()).await?;
        drop(client);
        rows_are(&mut witness, done + 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn all_statements_before_a_goodbye_are_carried_out_although_nobody_listens() -> Result<()> {
    let scene = Scene::calm("unheard", "[pool]\nsize = 2").await?;
    let mut witness = witness(&scene).await?;
    let mut client = scene.raw().await?;
    let mut bytes = Vec::new();
    for number in 0..100 {
        let sql = format!("INSERT INTO kept SELECT {number} FROM pg_sleep(0.002)");
        bytes.extend_from_slice(&say::query(&sql));
    }
    bytes.extend_from_slice(&say::terminate());
    client.send(&bytes).await?;
    // The first answer lies unread in its socket, so that closing it is a reset.
    client.read_bytes(1).await?;
    drop(client);
    rows_are(&mut witness, 100).await?;
    // Its server is free again.
    let (mut first, mut second) = (scene.raw().await?, scene.raw().await?);
    run(&mut first, "BEGIN").await?;
    run(&mut second, "BEGIN").await
}

#[tokio::test]
async fn a_goodbye_in_a_transaction_rolls_it_back() -> Result<()> {
    let scene = Scene::calm("rolled", "[pool]\nsize = 1").await?;
    let mut witness = witness(&scene).await?;
    let mut client = scene.raw().await?;
    let last = [say::query("BEGIN; INSERT INTO kept VALUES (1)"), say::terminate()].concat();
    client.send(&last).await?;
    let said = client.expect_closed().await?;
    assert_eq!(tags(&said), "CCZ", "{said:?}");
    assert_eq!(one(&mut witness, "SELECT count(*) FROM kept").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_stopped_sending_hears_a_long_answer_to_its_end() -> Result<()> {
    let scene = Scene::calm("listening", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 50000)";
    let both = [say::query(sql), say::extended("SELECT 'last'", &[])].concat();
    client.send(&both).await?;
    client.finish().await?;
    let said = client.expect_closed().await?;
    assert_eq!(said.iter().filter(|frame| frame.tag == b'D').count(), 50_001);
    assert_eq!(said.last().map(|last| last.tag), Some(b'Z'));
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_stopped_sending_is_served_when_its_turn_comes() -> Result<()> {
    let scene = Scene::calm("queueing", "[pool]\nsize = 1").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let mut client = scene.raw().await?;
    let both = [say::query("SELECT 1"), say::query("SELECT 2")].concat();
    client.send(&both).await?;
    client.finish().await?;
    // Its end is known by the time it is served.
    for _ in 0..20 {
        run(&mut holder, "SELECT 1").await?;
    }
    run(&mut holder, "COMMIT").await?;
    assert_eq!(tags(&client.expect_closed().await?), "TDCZTDCZ");
    Ok(())
}

/// Servers of the pool that a crowd dies on, and how often it does.
const SERVERS: usize = 20;
const TIMES: usize = 10;

/// Connections that may be opened beside those of the pool: a handful.
const LOST_MAX: usize = 3;

/// What clients are amid when they die, and the state of their servers then.
const AMID: [(&str, &str); 5] = [
    ("an idle transaction", "idle in transaction"),
    ("a failed transaction", "idle in transaction (aborted)"),
    ("a statement", "active"),
    ("COPY data", "active"),
    ("a pipeline", "active"),
];

/// Brings a client to what it dies amid. Each has written in a transaction, and has left something in its session.
async fn begin(client: &mut RawClient, what: &str) -> Result<()> {
    run(client, "BEGIN; INSERT INTO kept VALUES (1)").await?;
    match what {
        "a failed transaction" => {
            client.query("SELECT 1/0").await?;
        }
        "a statement" => {
            let sql = "CREATE TEMP TABLE own (i int); SET work_mem = '7MB'; SELECT pg_sleep(3600)";
            client.send(&say::query(sql)).await?;
        }
        "COPY data" => {
            client.send(&say::query("COPY kept FROM STDIN")).await?;
            client.expect(b'G').await?;
            client.send(&say::copy_data(b"1\n2\n")).await?;
        }
        "a pipeline" => {
            let insert = [
                say::parse("own", "INSERT INTO kept VALUES (1)", &[]),
                say::bind("", "own", &[]),
                say::execute("", 0),
                say::flush(),
            ];
            client.send(&insert.concat()).await?;
            client.read_until(b'C').await?;
        }
        _ => {}
    }
    Ok(())
}

/// Connections to servers that Trunkline has opened for its clients.
async fn opened(scene: &Scene<'_>) -> Result<u64> {
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let line = metrics.lines().find(|line| line.starts_with("trunkline_servers_opened_total{"));
    Ok(line.and_then(|line| line.rsplit(' ').next()).unwrap_or("none").parse()?)
}

#[tokio::test]
async fn two_hundred_clients_killed_in_transactions_cost_a_handful_of_servers() -> Result<()> {
    let scene = Scene::calm("killed", &format!("[pool]\nsize = {SERVERS}")).await?;
    let mut setup = scene.raw().await?;
    run(&mut setup, "CREATE TABLE kept (i int)").await?;
    for time in 0..TIMES {
        let mut clients = scene.crowd(SERVERS).await?;
        for (client, (what, _)) in clients.iter_mut().zip(AMID.iter().cycle()) {
            begin(client, what).await?;
        }
        for state in ["idle in transaction", "idle in transaction (aborted)", "active"] {
            let kinds = AMID.iter().filter(|(_, its)| *its == state).count();
            scene.in_state(state, kinds * SERVERS / AMID.len()).await?;
        }
        for client in clients {
            // One that only closes cannot be told from one that still listens until the server has long been silent.
            if time == 0 { drop(client) } else { client.reset()? }
        }
        scene.in_state("idle", SERVERS).await?;
    }
    let opened = usize::try_from(opened(&scene).await?)?;
    ensure(opened <= SERVERS + LOST_MAX, format!("{opened} connections were opened"))?;
    // Whoever comes next finds nothing of them.
    let mut all = scene.crowd(SERVERS).await?;
    for client in &mut all {
        run(client, "BEGIN").await?;
        assert_eq!(one(client, "SELECT count(*) FROM kept").await?, "0");
        assert_eq!(one(client, "SHOW work_mem").await?, "4MB");
        assert_eq!(one(client, "SELECT to_regclass('pg_temp.own') IS NULL").await?, "t");
        let theirs = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'";
        assert_eq!(one(client, theirs).await?, "0");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_be_made_clean_serves_nobody_else() -> Result<()> {
    let scene = Scene::calm("loading", "[pool]\nsize = 1").await?;
    scene.node.execute(DATABASE, "ALTER ROLE loading SUPERUSER").await?;
    for load in ["BEGIN; LOAD 'auto_explain'", "LOAD 'auto_explain'", "BEGIN; LOAD 'nothing'"] {
        let mut client = scene.raw().await?;
        let before = backend(&mut client).await?;
        client.query(load).await?;
        client.reset()?;
        let mut next = scene.raw().await?;
        let after = backend(&mut next).await?;
        ensure(before != after, format!("{load}: process {after} serves on"))?;
    }
    // Amid the statement, when nothing of it is answered.
    let make = "CREATE FUNCTION loads() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LOAD 'auto_explain'; END $$";
    run(&mut scene.raw().await?, make).await?;
    for load in ["LOAD 'auto_explain'", "SELECT loads()", "DO $$ BEGIN LOAD 'auto_explain'; END $$"]
    {
        let mut client = scene.raw().await?;
        let before = backend(&mut client).await?;
        client.send(&say::query(&format!("{load}; SELECT pg_sleep(3600)"))).await?;
        scene.in_state("active", 1).await?;
        client.reset()?;
        let mut next = scene.raw().await?;
        let after = backend(&mut next).await?;
        ensure(before != after, format!("{load}: process {after} serves on"))?;
    }
    let mut next = scene.raw().await?;
    let after = backend(&mut next).await?;
    // What leaves nothing there that stays.
    run(&mut next, "BEGIN; CREATE TEMP TABLE own (i int)").await?;
    next.reset()?;
    assert_eq!(backend(&mut scene.raw().await?).await?, after);
    Ok(())
}
