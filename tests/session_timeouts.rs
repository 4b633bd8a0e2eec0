//! Timeouts that a client sets for its own session: they hold for it, and for no server that nobody uses.

mod common;

use common::{
    DATABASE, PASSWORD, Scene, backend, ended_with, ensure, fails, one, refused, run, words,
};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, Talk, answer, say, tags};

/// The version of PostgreSQL that brought `transaction_timeout`.
const TRANSACTION_TIMEOUT_SINCE: u32 = 170_000;

/// What PostgreSQL says.
const IDLE: &str = "terminating connection due to idle-session timeout";

/// Waits until the client is told that it was idle for too long.
async fn idles_out(client: &mut RawClient) -> Result<()> {
    let told = words(&ended_with(client, "57P05").await?);
    ensure(told.lines().next() == Some(IDLE), told)
}

#[tokio::test]
async fn idle_session_timeout_ends_the_client_and_not_the_server() -> Result<()> {
    let scene = Scene::calm("idling", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    let server = backend(&mut client).await?;
    let set = "SET idle_session_timeout = '300ms'; SHOW idle_session_timeout";
    assert_eq!(one(&mut client, set).await?, "300ms");
    idles_out(&mut client).await?;
    let mut next = scene.raw().await?;
    assert_eq!(one(&mut next, "SHOW idle_session_timeout").await?, "0");
    assert_eq!(backend(&mut next).await?, server);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_taken_back_or_rolled_back_ends_nobody() -> Result<()> {
    let scene = Scene::calm("taken", "[pool]\nsize = 1").await?;
    let (mut reset, mut rolled, mut clock) =
        (scene.raw().await?, scene.raw().await?, scene.raw().await?);
    run(&mut reset, "SET idle_session_timeout = '100ms'; RESET idle_session_timeout").await?;
    run(&mut rolled, "BEGIN; SET idle_session_timeout = '100ms'; ROLLBACK").await?;
    let server = backend(&mut reset).await?;
    run(&mut clock, "SELECT set_config('idle_session_timeout', '1s', false)").await?;
    idles_out(&mut clock).await?;
    for client in [&mut reset, &mut rolled] {
        assert_eq!(one(client, "SHOW idle_session_timeout").await?, "0");
        assert_eq!(backend(client).await?, server);
    }
    Ok(())
}

#[tokio::test]
async fn a_limit_of_the_startup_packet_is_the_clients_own() -> Result<()> {
    let scene = Scene::calm("starting", "[pool]\nsize = 1").await?;
    let options = [("options", "-c idle_session_timeout=1s")];
    let server = backend(&mut scene.raw().await?).await?;
    let mut client = scene.raw_with(&options).await?;
    let reset = "SET idle_session_timeout = '1h'; RESET ALL; SHOW idle_session_timeout";
    assert_eq!(one(&mut client, reset).await?, "1s");
    idles_out(&mut client).await?;
    // Never having said a word.
    idles_out(&mut scene.raw_with(&options).await?).await?;
    let mut next = scene.raw().await?;
    assert_eq!(one(&mut next, "SHOW idle_session_timeout").await?, "0");
    assert_eq!(backend(&mut next).await?, server);
    let wrong = [("options", "-c idle_session_timeout=soon")];
    refused(scene.raw_with(&wrong).await, "22023")
}

#[tokio::test]
async fn a_limit_of_the_role_ends_no_server_that_nobody_uses() -> Result<()> {
    let scene = Scene::calm("roled", "[pool]\nsize = 1").await?;
    scene.node.execute(DATABASE, "ALTER ROLE roled SET idle_session_timeout = '100ms'").await?;
    let mut client = scene.raw().await?;
    let server = backend(&mut client).await?;
    let mut clock = scene.raw().await?;
    run(&mut clock, "SET idle_session_timeout = '1s'").await?;
    idles_out(&mut clock).await?;
    assert_eq!(backend(&mut client).await?, server);
    run(&mut client, "DISCARD ALL").await?;
    let mut clock = scene.raw().await?;
    run(&mut clock, "SET idle_session_timeout = '1s'").await?;
    idles_out(&mut clock).await?;
    assert_eq!(backend(&mut client).await?, server);
    Ok(())
}

#[tokio::test]
async fn a_client_that_keeps_its_server_is_told_by_it() -> Result<()> {
    let scene = Scene::calm("keeping", "[pool]\nsize = 2").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TEMP TABLE own (i int)").await?;
    run(&mut client, "SET idle_session_timeout = '300ms'").await?;
    idles_out(&mut client).await?;
    let mut next = scene.raw().await?;
    assert_eq!(one(&mut next, "SELECT to_regclass('pg_temp.own') IS NULL").await?, "t");
    Ok(())
}

#[tokio::test]
async fn a_limit_that_only_the_server_understands_holds_while_a_server_serves() -> Result<()> {
    let scene = Scene::calm("rarely", "[pool]\nsize = 1").await?;
    let (mut client, mut clock) = (scene.raw().await?, scene.raw().await?);
    run(&mut client, "SET idle_session_timeout = '0x3e8'").await?;
    run(&mut clock, "SET idle_session_timeout = '2s'").await?;
    idles_out(&mut clock).await?;
    assert_eq!(one(&mut client, "SHOW idle_session_timeout").await?, "1s");
    run(&mut client, "CREATE TEMP TABLE own (i int)").await?;
    idles_out(&mut client).await
}

#[tokio::test]
async fn a_statement_that_takes_long_is_no_idleness() -> Result<()> {
    let scene = Scene::calm("working", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "SET idle_session_timeout = '3s'").await?;
    client.send(&[say::query("SELECT pg_sleep(4)"), say::query("SELECT 1")].concat()).await?;
    for _ in 0..2 {
        assert_eq!(tags(&client.read_until(b'Z').await?), "TDCZ");
    }
    idles_out(&mut client).await
}

#[tokio::test]
async fn idle_in_transaction_session_timeout_is_the_servers_own() -> Result<()> {
    let scene = Scene::calm("open", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "SET idle_in_transaction_session_timeout = '300ms'").await?;
    let mut other = scene.raw().await?;
    // It is nobody else's.
    assert_eq!(one(&mut other, "SHOW idle_in_transaction_session_timeout").await?, "0");
    let sql = "BEGIN; CREATE TABLE undone (i int); SHOW idle_in_transaction_session_timeout";
    assert_eq!(one(&mut client, sql).await?, "300ms");
    let told = words(&ended_with(&mut client, "25P03").await?);
    ensure(told.contains("idle-in-transaction timeout"), told)?;
    assert_eq!(one(&mut other, "SELECT to_regclass('undone') IS NULL").await?, "t");
    Ok(())
}

#[tokio::test]
async fn transaction_timeout_is_the_servers_own() -> Result<()> {
    let scene = Scene::calm("lasting", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    let set = "SET transaction_timeout = '500ms'";
    let version = one(&mut client, "SHOW server_version_num").await?;
    if version.parse::<u32>()? < TRANSACTION_TIMEOUT_SINCE {
        // So is the refusal by a server that does not know it, and nothing of it is replayed.
        fails(&mut client, set, "42704").await?;
        return run(&mut client, "SELECT 1").await;
    }
    run(&mut client, set).await?;
    client.send(&say::query("BEGIN; SELECT pg_sleep(3600)")).await?;
    let told = words(&ended_with(&mut client, "25P04").await?);
    ensure(told.contains("transaction timeout"), told)?;
    let mut other = scene.raw().await?;
    assert_eq!(one(&mut other, "SHOW transaction_timeout").await?, "0");
    Ok(())
}

/// PostgreSQL 13 and poolers do.
#[tokio::test]
async fn a_server_that_knows_of_no_limit_of_idleness_is_opened_without_one() -> Result<()> {
    let (mut peer, trunkline) = common::scripted("[pool]\nsize = 1").await?;
    let client = trunkline.raw("alice", PASSWORD, DATABASE);
    let retried = async {
        let mut refused = peer.accept_unanswered().await?;
        assert_eq!(refused.startup().parameter("idle_session_timeout"), "0");
        let message = "unrecognized configuration parameter \"idle_session_timeout\"";
        refused.send(&answer::error("FATAL", "42704", message)).await?;
        drop(refused);
        let talk = peer.accept().await?;
        assert_eq!(talk.startup().parameter("idle_session_timeout"), "");
        Ok::<Talk, trunkline_testkit::Error>(talk)
    };
    let (client, server) = tokio::join!(client, retried);
    let (mut client, mut server) = (client?, server?);
    client.send(&say::query("SELECT 1")).await?;
    server.answer_query("SELECT 1", &["a"], &[&[Some("1")]]).await?;
    client.read_until(b'Z').await.map(drop)
}
