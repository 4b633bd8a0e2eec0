//! An orderly end lets transactions finish, tells clients why, and never takes longer than it may.

mod common;

use std::process::ExitStatus;

use common::{Scene, backend, ensure, error_in, one, refused, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// The exit code when clients were cut off.
const FORCED: i32 = 1;

fn orderly(status: ExitStatus) -> Result<()> {
    ensure(status.code() == Some(0), status)
}

fn forced(status: ExitStatus) -> Result<()> {
    ensure(status.code() == Some(FORCED), status)
}

#[tokio::test]
async fn idle_clients_are_told_and_transactions_end_first() -> Result<()> {
    let scene = Scene::calm("orderly", "[pool]\nsize = 3").await?;
    let (mut idle, mut busy, mut kept) =
        (scene.raw().await?, scene.raw().await?, scene.raw().await?);
    run(&mut idle, "SELECT 1").await?;
    run(&mut kept, "CREATE TEMP TABLE t (i int)").await?;
    run(&mut busy, "CREATE TABLE done (i int)").await?;
    run(&mut busy, "BEGIN").await?;
    scene.trunkline.terminate()?;
    for mut client in [idle, kept] {
        error_in(&client.expect_closed().await?, "57P01")?;
    }
    refused(scene.raw().await, "57P03")?;
    run(&mut busy, "INSERT INTO done VALUES (1)").await?;
    busy.send(&say::query("COMMIT")).await?;
    let said = busy.expect_closed().await?;
    ensure(said.iter().any(|frame| frame.tag == b'C'), format!("{said:?}"))?;
    error_in(&said, "57P01")?;
    orderly(scene.trunkline.ended().await?)?;
    let count = "SELECT count(*) FROM orderly.done";
    assert_eq!(scene.node.query_text(common::DATABASE, count).await?, "1");
    scene.servers_are(0).await?;
    Ok(())
}

#[tokio::test]
async fn clients_in_session_mode_go_when_they_are_between_transactions() -> Result<()> {
    let scene = Scene::calm("leaving", "[pool]\nmode = \"session\"").await?;
    let (mut idle, mut busy) = (scene.raw().await?, scene.raw().await?);
    run(&mut idle, "SELECT 1").await?;
    run(&mut busy, "BEGIN").await?;
    scene.trunkline.terminate()?;
    error_in(&idle.expect_closed().await?, "57P01")?;
    run(&mut busy, "SELECT 1").await?;
    busy.send(&say::query("COMMIT")).await?;
    error_in(&busy.expect_closed().await?, "57P01")?;
    orderly(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn those_who_wait_for_a_server_do_not_wait_for_transactions_to_end() -> Result<()> {
    let config = "[pool]\nsize = 1\nwait_timeout = \"0s\"\n[general]\nshutdown_timeout = \"1h\"";
    let scene = Scene::calm("queueing", config).await?;
    let (mut busy, mut waiting) = (scene.raw().await?, scene.raw().await?);
    run(&mut busy, "BEGIN").await?;
    waiting.send(&say::query("SELECT 1")).await?;
    scene.waiting_are(1).await?;
    scene.trunkline.terminate()?;
    error_in(&waiting.expect_closed().await?, "57P01")?;
    busy.send(&say::query("COMMIT")).await?;
    error_in(&busy.expect_closed().await?, "57P01")?;
    orderly(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn during_the_delay_new_clients_are_let_in_and_a_second_signal_ends_it() -> Result<()> {
    let scene = Scene::calm("delaying", "[general]\ndrain_delay = \"1h\"").await?;
    let mut before = scene.raw().await?;
    run(&mut before, "BEGIN").await?;
    scene.trunkline.terminate()?;
    scene.trunkline.logged("shutting down").await?;
    let mut during = scene.raw().await?;
    assert_eq!(one(&mut during, "SELECT 1").await?, "1");
    run(&mut before, "SELECT 1").await?;
    scene.trunkline.terminate()?;
    for mut client in [before, during] {
        error_in(&client.expect_closed().await?, "57P01")?;
    }
    forced(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn at_the_deadline_open_transactions_are_rolled_back() -> Result<()> {
    let scene = Scene::calm("late", "[general]\nshutdown_timeout = \"300ms\"").await?;
    let mut busy = scene.raw().await?;
    run(&mut busy, "CREATE TABLE undone (i int)").await?;
    run(&mut busy, "BEGIN; INSERT INTO undone VALUES (1)").await?;
    let mut working = scene.raw().await?;
    working.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    scene.trunkline.terminate()?;
    for mut client in [busy, working] {
        error_in(&client.expect_closed().await?, "57P01")?;
    }
    forced(scene.trunkline.ended().await?)?;
    let count = "SELECT count(*) FROM late.undone";
    assert_eq!(scene.node.query_text(common::DATABASE, count).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_and_quit_end_at_once() -> Result<()> {
    for second in [true, false] {
        let user = if second { "twice" } else { "quitting" };
        let scene = Scene::calm(user, "[general]\nshutdown_timeout = \"1h\"").await?;
        let mut busy = scene.raw().await?;
        run(&mut busy, "BEGIN").await?;
        if second {
            scene.trunkline.terminate()?;
            scene.trunkline.logged("shutting down").await?;
            assert!(scene.trunkline.exit_status().is_none());
            scene.trunkline.terminate()?;
        } else {
            scene.trunkline.quit()?;
        }
        error_in(&busy.expect_closed().await?, "57P01")?;
        forced(scene.trunkline.ended().await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_console_does_not_keep_the_end_from_coming() -> Result<()> {
    let config = "[general]\nshutdown_timeout = \"1h\"\n[console]\nadmin_users = [\"operating\"]";
    let scene = Scene::calm("operating", config).await?;
    let console = async || scene.trunkline.raw("operating", common::PASSWORD, "trunkline").await;
    let (mut silent, mut used) = (console().await?, console().await?);
    used.query("SHOW POOLS").await?;
    scene.trunkline.terminate()?;
    for operator in [&mut silent, &mut used] {
        error_in(&operator.expect_closed().await?, "57P01")?;
    }
    orderly(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn a_reload_is_answered_while_the_end_comes() -> Result<()> {
    let config = "[general]\ndrain_delay = \"1h\"\n[console]\nadmin_users = [\"reloading\"]";
    let scene = Scene::calm("reloading", config).await?;
    let mut operator = scene.trunkline.raw("reloading", common::PASSWORD, "trunkline").await?;
    scene.trunkline.terminate()?;
    scene.trunkline.logged("shutting down").await?;
    let said = operator.query("RELOAD").await?;
    ensure(tags(&said).ends_with("CZ"), tags(&said))?;
    // And so is one by a signal.
    scene.reload("[pool]\nsize = 3", "pool.size: 20 -> 3").await?;
    scene.trunkline.interrupt()?;
    forced(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn to_quit_when_nobody_is_there_cuts_off_nobody() -> Result<()> {
    let scene = Scene::calm("empty", "").await?;
    run(&mut scene.raw().await?, "SELECT 1").await?;
    wait_for("the client has gone", PATIENCE, async || {
        let metrics = scene.trunkline.get("/metrics").await?.body;
        let clients = metrics.lines().find(|line| line.starts_with("trunkline_clients_connected "));
        ensure(clients.is_some_and(|line| line.ends_with(" 0")), clients.unwrap_or("none"))
    })
    .await?;
    scene.trunkline.quit()?;
    orderly(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_the_delay() -> Result<()> {
    let scene = Scene::calm("interrupted", "[general]\ndrain_delay = \"1h\"").await?;
    let mut idle = scene.raw().await?;
    run(&mut idle, "SELECT 1").await?;
    scene.trunkline.interrupt()?;
    error_in(&idle.expect_closed().await?, "57P01")?;
    orderly(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn cancel_requests_are_taken_while_clients_finish() -> Result<()> {
    let config = "[general]\nshutdown_timeout = \"1h\"\n[pool]\nsize = 1";
    let scene = Scene::calm("draining", config).await?;
    let mut client = RawClient::tcp(scene.trunkline.address()).await?;
    let key = client.login("draining", common::PASSWORD, common::DATABASE).await?;
    run(&mut client, "BEGIN").await?;
    backend(&mut client).await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    scene.trunkline.terminate()?;
    wait_for("new clients are refused", PATIENCE, async || refused(scene.raw().await, "57P03"))
        .await?;
    RawClient::cancel(scene.trunkline.address(), &key).await?;
    error_in(&client.read_until(b'Z').await?, "57014")?;
    client.send(&say::query("ROLLBACK")).await?;
    error_in(&client.expect_closed().await?, "57P01")?;
    orderly(scene.trunkline.ended().await?)
}
