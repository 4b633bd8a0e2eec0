//! The console of the running program: what operators do while clients are at work.

mod common;

use common::{PASSWORD, Scene, ensure, error_in, run};
use tokio_postgres::{Client, SimpleQueryMessage};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// A scene whose user may give every command.
async fn scene(user: &str) -> Result<Scene<'static>> {
    Scene::calm(user, &format!("[pool]\nsize = 2\n[console]\nadmin_users = [\"{user}\"]")).await
}

/// Why clients are pinned, and whether the console can say since when.
async fn pins(operator: &Client) -> Result<Vec<(String, bool)>> {
    let shown = operator.simple_query("SHOW PINS").await?;
    let rows = shown.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((row.get("reasons").unwrap_or_default().to_owned(), row.get("age").is_some()))
        }
        _ => None,
    });
    Ok(rows.collect())
}

#[tokio::test]
async fn ctrl_c_ends_a_waiting_pause_and_the_console_goes_on() -> Result<()> {
    let scene = scene("pausing").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    let mut operator = RawClient::tcp(scene.trunkline.address()).await?;
    let key = operator.login("pausing", PASSWORD, "trunkline").await?;
    for _ in 0..2 {
        operator.send(&say::query("PAUSE")).await?;
        wait_for("the pause has begun", PATIENCE, async || {
            ensure(is_paused(&scene).await?, "not yet")
        })
        .await?;
        RawClient::cancel(scene.trunkline.address(), &key).await?;
        let said = operator.read_until(b'Z').await?;
        assert_eq!(tags(&said), "EZ");
        error_in(&said, "57014")?;
        // What the client has begun, it can end; others wait.
        run(&mut client, "SELECT 1").await?;
        assert!(is_paused(&scene).await?, "the pause has ended with the wait for it");
        assert_eq!(tags(&operator.query("RESUME").await?), "CZ");
    }
    assert_eq!(tags(&operator.query("SHOW VERSION").await?), "TDCZ");
    run(&mut client, "COMMIT").await?;
    run(&mut client, "SELECT 1").await
}

/// Whether the pool is paused.
async fn is_paused(scene: &Scene<'_>) -> Result<bool> {
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let paused = metrics.lines().find(|line| line.starts_with("trunkline_pool_paused{"));
    Ok(paused.is_some_and(|line| line.ends_with(" 1")))
}

#[tokio::test]
async fn pins_are_shown_with_their_reason_and_age() -> Result<()> {
    let scene = scene("pinned").await?;
    let operator = scene.trunkline.connect("pinned", PASSWORD, "trunkline").await?;
    assert_eq!(pins(&operator).await?, []);
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN; CREATE TEMP TABLE t (i int)").await?;
    assert_eq!(pins(&operator).await?, [("state not asked for yet".to_owned(), false)]);
    run(&mut client, "COMMIT").await?;
    pins_are(&operator, &[("temporary object".to_owned(), true)]).await?;
    run(&mut client, "DROP TABLE t").await?;
    pins_are(&operator, &[]).await?;
    run(&mut client, "CREATE TEMP TABLE t (i int)").await?;
    run(&mut client, "DISCARD ALL").await?;
    assert_eq!(pins(&operator).await?, []);
    Ok(())
}

/// Waits until these are the pins: the server is asked behind the client's answer.
async fn pins_are(operator: &Client, expected: &[(String, bool)]) -> Result<()> {
    wait_for("the pins are what they should be", PATIENCE, async || {
        let seen = pins(operator).await?;
        ensure(seen == expected, format!("{seen:?}"))
    })
    .await
}
