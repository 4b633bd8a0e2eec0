//! The console of the running program: what operators do while clients are at work.

mod common;

use common::{PASSWORD, Scene, ensure, error_in, pins, pins_are, run, shown};
use tokio_postgres::Client;
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// A scene whose user may give every command.
async fn scene(user: &str) -> Result<Scene<'static>> {
    Scene::operated(user, "[pool]\nsize = 2").await
}

/// Whether the console can say since when clients are pinned.
async fn ages(operator: &Client) -> Result<Vec<bool>> {
    let ages = shown(operator, "SHOW PINS", "age").await?;
    Ok(ages.iter().map(|age| !age.is_empty()).collect())
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
    let operator = scene.console().await?;
    assert_eq!(pins(&operator).await?, Vec::<String>::new());
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN; CREATE TEMP TABLE t (i int)").await?;
    assert_eq!(pins(&operator).await?, ["state not asked for yet"]);
    assert_eq!(ages(&operator).await?, [false]);
    run(&mut client, "COMMIT").await?;
    pins_are(&operator, &["temporary object"]).await?;
    assert_eq!(ages(&operator).await?, [true]);
    run(&mut client, "DROP TABLE t").await?;
    pins_are(&operator, &[]).await?;
    run(&mut client, "CREATE TEMP TABLE t (i int)").await?;
    run(&mut client, "DISCARD ALL").await?;
    assert_eq!(pins(&operator).await?, Vec::<String>::new());
    Ok(())
}
