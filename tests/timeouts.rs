//! Each limit of time ends what it is about, with PostgreSQL's SQLSTATE, and nothing else.

mod common;

use std::time::Duration;

use common::{DATABASE, Scene, backend, ensure, error_in, one, run, words};
use trunkline_testkit::Result;
use trunkline_testkit::link::Link;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::process::{Signal, signal};
use trunkline_testkit::wait::{PATIENCE, wait_for};

#[tokio::test]
async fn an_idle_client_is_closed_and_a_busy_one_is_not() -> Result<()> {
    let scene = Scene::calm("idling", "[pool]\nsize = 3").await?;
    // One that never said anything, one that keeps its server, and one whose statement takes long.
    let (mut silent, mut idle) = (scene.raw().await?, scene.raw().await?);
    run(&mut idle, "SELECT 1").await?;
    let (mut kept, mut busy) = (scene.raw().await?, scene.raw().await?);
    run(&mut kept, "CREATE TEMP TABLE t (i int)").await?;
    let owner = scene.node.connect(DATABASE).await?;
    owner.batch_execute("SELECT pg_advisory_lock(41)").await?;
    busy.send(&say::query("SELECT pg_advisory_lock(41)")).await?;
    scene.in_state("active", 1).await?;
    scene.reload("[timeouts]\nclient_idle = \"300ms\"", "timeouts.client_idle").await?;
    for client in [&mut silent, &mut idle, &mut kept] {
        error_in(&client.expect_closed().await?, "57P05")?;
    }
    owner.batch_execute("SELECT pg_advisory_unlock(41)").await?;
    assert_eq!(tags(&busy.read_until(b'Z').await?), "TDCZ");
    error_in(&busy.expect_closed().await?, "57P05")?;
    // Those who come later as well.
    error_in(&scene.raw().await?.expect_closed().await?, "57P05").map(drop)
}

#[tokio::test]
async fn a_client_idle_in_a_transaction_is_closed_and_rolled_back() -> Result<()> {
    let config = "[pool]\nsize = 1\n[timeouts]\nidle_in_transaction = \"300ms\"";
    let scene = Scene::calm("dawdling", config).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE kept (i int)").await?;
    run(&mut client, "BEGIN; INSERT INTO kept VALUES (1)").await?;
    error_in(&client.expect_closed().await?, "25P03")?;
    let mut next = scene.raw().await?;
    assert_eq!(one(&mut next, "SELECT count(*) FROM kept").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_long_statement_is_cancelled_and_its_session_goes_on() -> Result<()> {
    let scene = Scene::calm("hurried", "[pool]\nsize = 1\n[timeouts]\nquery = \"2s\"").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    let server = backend(&mut client).await?;
    for bytes in [say::query("SELECT pg_sleep(3600)"), say::extended("SELECT pg_sleep(3600)", &[])]
    {
        let error = error_in(&client.exchange(&bytes, 1).await?, "57014")?;
        ensure(words(&error).contains("timeouts.query"), words(&error))?;
        run(&mut client, "ROLLBACK").await?;
        run(&mut client, "BEGIN").await?;
        assert_eq!(backend(&mut client).await?, server);
    }
    // Short ones may follow each other for as long as they like.
    for _ in 0..6 {
        run(&mut client, "SELECT pg_sleep(0.4)").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_on_a_silent_server_ends_with_its_client() -> Result<()> {
    let cluster = common::shared().await?;
    let link = Link::to(cluster.primary().address()).await?;
    let scene = Scene::over(&link, cluster, "stranded", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    let hasty = "[timeouts]\nquery = \"300ms\"\ncancel = \"400ms\"";
    scene.reload(hasty, "timeouts.query").await?;
    link.vanish().await?;
    client.send(&say::query("SELECT 1")).await?;
    let error = common::ended_with(&mut client, "57014").await?;
    ensure(words(&error).contains("timeouts.query"), words(&error))?;
    link.heal().await?;
    scene.served_again().await
}

/// Waits until the client is closed because it was waited for in vain; what came before that, by tag.
async fn waited_for_in_vain(client: &mut RawClient) -> Result<String> {
    let said = client.expect_closed().await?;
    error_in(&said, "25P03")?;
    Ok(tags(&said))
}

/// Sends a row each second, by the clock of a server, until something fails.
async fn feed(feeding: &mut RawClient, pace: &mut RawClient) -> anyhow::Error {
    loop {
        let fed = async {
            run(pace, "SELECT pg_sleep(1)").await?;
            feeding.send(&say::copy_data(b"1\n")).await
        };
        if let Err(error) = fed.await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_client_that_stops_amid_its_messages_is_idle_too() -> Result<()> {
    let config = "[pool]\nsize = 9\n[timeouts]\nidle_in_transaction = \"3s\"";
    let scene = Scene::calm("stopping", config).await?;
    let messages = |sql: &str, last: &[u8]| {
        let all =
            [&say::parse("", sql, &[])[..], &say::bind("", "", &[]), &say::execute("", 0), last];
        all.concat()
    };
    let mut clients = scene.crowd(5).await?;
    let [flushed, unflushed, copying, torn, slow] = &mut clients[..] else { unreachable!() };
    run(copying, "CREATE TABLE fed (i int)").await?;
    unflushed.send(&messages("SELECT 1", &[])).await?;
    copying.send(&say::query("COPY fed FROM STDIN")).await?;
    copying.read_until(b'G').await?;
    // So long that it goes on to the server before it is complete.
    let long = say::query(&format!("SELECT '{}'", "x".repeat(600_000)));
    torn.send(&long.slice(..500_000)).await?;
    // A statement that takes longer than clients may be idle is no idleness.
    slow.send(&messages("SELECT pg_sleep(4)", &say::flush())).await?;
    // Nor is a slow feed, however long it lasts: it goes on until others who stopped after it began are closed, at a pace
    // that leaves two seconds for a busy machine.
    let (mut feeding, mut pace) = (scene.raw().await?, scene.raw().await?);
    feeding.send(&say::query("COPY fed FROM STDIN")).await?;
    feeding.read_until(b'G').await?;
    flushed.send(&messages("SELECT 1", &say::flush())).await?;
    let told = async {
        tokio::select! {
            told = waited_for_in_vain(flushed) => told,
            error = feed(&mut feeding, &mut pace) => Err(error),
        }
    };
    assert_eq!(told.await?, "12DCE");
    feeding.send(&say::copy_done()).await?;
    assert_eq!(tags(&feeding.read_until(b'Z').await?), "CZ");
    assert_eq!(waited_for_in_vain(unflushed).await?, "12DCE");
    assert_eq!(waited_for_in_vain(copying).await?, "E");
    assert_eq!(waited_for_in_vain(torn).await?, "E");
    assert_eq!(waited_for_in_vain(slow).await?, "12DCE");
    scene.in_state("idle in transaction", 0).await
}

#[tokio::test]
async fn a_long_transaction_is_ended_together_with_its_client() -> Result<()> {
    let scene =
        Scene::calm("endless", "[pool]\nsize = 1\n[timeouts]\ntransaction = \"400ms\"").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    let ended = wait_for("the transaction is ended", PATIENCE, async || {
        match client.query("SELECT pg_sleep(0.05)").await {
            Ok(frames) if tags(&frames) == "TDCZ" => ensure(false, "still open").map(|()| None),
            Ok(frames) => Ok(Some(frames)),
            Err(error) => Ok(Some(Vec::new())).inspect(|_| drop(error)),
        }
    })
    .await?;
    if let Some(frames) = ended.filter(|frames| !frames.is_empty()) {
        error_in(&frames, "25P04")?;
    }
    let mut next = scene.raw().await?;
    next.send(&say::query("BEGIN; SELECT pg_sleep(3600)")).await?;
    error_in(&next.expect_closed().await?, "25P04")?;
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_is_told_with_pool_time_and_setting() -> Result<()> {
    let scene = Scene::calm("waiting", "[pool]\nsize = 1").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    scene.reload("[pool]\nwait_timeout = \"400ms\"", "pool.wait_timeout").await?;
    let mut client = scene.raw().await?;
    for bytes in [say::query("SELECT 1"), say::extended("SELECT 1", &[])] {
        let frames = client.exchange(&bytes, 1).await?;
        assert_eq!(tags(&frames), "EZ");
        let told = words(&error_in(&frames, "53300")?);
        for word in ["\"waiting\"", "\"postgres\"", "400ms", "pool.wait_timeout"] {
            assert!(told.contains(word), "{word} is not in: {told}");
        }
    }
    run(&mut holder, "COMMIT").await?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_is_told_with_the_cap_that_is_full() -> Result<()> {
    let address = common::shared().await?.primary().address();
    let node = format!(
        "[[node]]\nname = \"primary\"\nhost = \"{}\"\nport = {}\nmax_connections = 2",
        address.ip(),
        address.port()
    );
    for (number, (config, setting)) in [
        ("[pool]\nsize = 2", "of the pool are in use (pool.size)"),
        ("[users.full1]\npool_size = 2", "of the pool are in use (users.full1.pool_size)"),
        ("[databases.postgres]\npool_size = 2", "of the pool are in use (databases.postgres.pool_size)"),
        ("[databases.\"*\"]\nmax_connections = 2", "(databases.\"*\".max_connections)"),
        ("[users.full4]\nmax_connections = 2", "of user \"full4\" are in use (users.full4.max_connections)"),
        (node.as_str(), "to node \"primary\" are in use (node.primary.max_connections)"),
        ("[pool]\nmax_connections = 2", "(pool.max_connections)"),
        (
            "[pool]\nsize = 1\nreserve_size = 2\nreserve_after = \"10ms\"\nmax_connections = 2",
            "all 1 server connections of the pool are in use (pool.size); and all 2 server connections of all pools",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let scene = Scene::calm(&format!("full{number}"), config).await?;
        let holders = scene.holders(2).await?;
        scene.reload("[pool]\nwait_timeout = \"300ms\"", "pool.wait_timeout").await?;
        let mut client = scene.raw().await?;
        let told = words(&error_in(&client.query("SELECT 1").await?, "53300")?);
        ensure(told.contains(setting) && told.contains("all 2 server"), told)?;
        drop(holders);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() -> Result<()> {
    let cluster = common::shared().await?;
    let link = Link::to(cluster.primary().address()).await?;
    let unwatched = "[pool]\nsize = 2\n[cluster]\nprobe_interval = \"1h\"\nprobe_timeout = \"30m\"";
    let scene = Scene::over(&link, cluster, "blackhole", unwatched).await?;
    let mut first = scene.raw().await?;
    run(&mut first, "BEGIN").await?;
    let hasty = "[pool]\nconnect_timeout = \"300ms\"\nwait_timeout = \"2s\"";
    scene.reload(hasty, "pool.wait_timeout").await?;
    link.vanish().await?;
    let mut second = scene.raw().await?;
    let frames = second.query("SELECT 1").await?;
    assert_eq!(tags(&frames), "EZ");
    let told = words(&error_in(&frames, "57P03")?);
    assert!(told.contains("pool.wait_timeout") && told.contains("connect"), "{told}");
    link.heal().await?;
    scene
        .reload("[pool]\nconnect_timeout = \"30s\"", "pool.connect_timeout: \"300ms\" -> \"30s\"")
        .await?;
    wait_for("the second client is served", PATIENCE, async || {
        let seen = tags(&second.query("SELECT 1").await?);
        ensure(seen == "TDCZ", seen)
    })
    .await
}

#[tokio::test]
async fn idle_servers_are_closed_and_old_ones_replaced() -> Result<()> {
    let scene = Scene::calm("aging", "[pool]\nsize = 2\nidle_timeout = \"200ms\"").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "SELECT 1").await?;
    scene.servers_are(0).await?;
    run(&mut client, "SELECT 1").await?;
    let scene = Scene::calm("aged", "[pool]\nsize = 1\nmax_age = \"300ms\"").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    let first = backend(&mut client).await?;
    run(&mut client, "SELECT pg_sleep(0.6)").await?;
    // Not within a transaction, but after it.
    assert_eq!(backend(&mut client).await?, first);
    run(&mut client, "COMMIT").await?;
    assert_ne!(backend(&mut client).await?, first);
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_died_silently_is_not_given_to_a_client() -> Result<()> {
    let config = "[pool]\nsize = 2\nserver_check = \"1ms\"\nserver_check_timeout = \"300ms\"";
    let scene = Scene::calm("checked", config).await?;
    let mut client = scene.raw().await?;
    let frozen = backend(&mut client).await?;
    signal(frozen, Signal::STOP)?;
    // A server that answered less than `server_check` ago is given out without being asked; this is
    // far longer, on a slow machine even more so.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let served = one(&mut client, "SELECT pg_backend_pid()").await;
    signal(frozen, Signal::CONT)?;
    assert_ne!(served?, frozen.to_string());
    let database = scene.node.query_text(DATABASE, "SELECT 1").await?;
    assert_eq!(database, "1");
    Ok(())
}
