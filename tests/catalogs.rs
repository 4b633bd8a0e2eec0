//! The catalogs of several databases are read side by side.

mod common;

use common::{PASSWORD, Scene, ensure};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

/// When the question for the catalog of a database was put that waits for a lock.
const WAITING: &str = "SELECT query_start::text FROM pg_stat_activity
    WHERE datname = 'slow' AND wait_event_type = 'Lock' AND query LIKE '%that routing reads%' AND pid <> pg_backend_pid()";

async fn route(client: &mut RawClient) -> Result<String> {
    let rows = client.rows("EXPLAIN ROUTE SELECT 1").await?;
    let line = rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten());
    Ok(line.unwrap_or_default())
}

#[tokio::test]
async fn a_database_that_is_slow_to_tell_holds_up_no_other() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).setting("max_connections", 60).start().await?;
    let node = cluster.primary();
    for database in ["slow", "swift"] {
        node.execute("postgres", &format!("CREATE DATABASE {database}")).await?;
    }
    let options = Trunkline::builder().cluster(&cluster).user("reader", PASSWORD).config(ON);
    let scene = Scene::with(&cluster, "reader", options).await?;
    cluster.caught_up().await?;

    // What the question reads is locked.
    let lock = node.connect("slow").await?;
    lock.batch_execute("BEGIN; LOCK TABLE pg_policy IN ACCESS EXCLUSIVE MODE").await?;
    let mut slow = scene.trunkline.raw("reader", PASSWORD, "slow").await?;
    let admin = node.connect("postgres").await?;
    let mut asked = None;
    wait_for("the slow database is asked", PATIENCE, async || {
        route(&mut slow).await?;
        asked = admin.query_opt(WAITING, &[]).await?.map(|row| row.get::<_, String>(0));
        ensure(asked.is_some(), "nobody waits for the lock")
    })
    .await?;

    let mut swift = scene.trunkline.raw("reader", PASSWORD, "swift").await?;
    wait_for("the other is known", PATIENCE, async || {
        let route = route(&mut swift).await?;
        ensure(route == "standby", route)
    })
    .await?;
    let now = admin.query_opt(WAITING, &[]).await?.map(|row| row.get::<_, String>(0));
    assert_eq!(now, asked, "the first question is not answered yet");
    assert_eq!(route(&mut slow).await?, "primary");
    lock.batch_execute("ROLLBACK").await?;
    wait_for("the slow one is known too", PATIENCE, async || {
        let route = route(&mut slow).await?;
        ensure(route == "standby", route)
    })
    .await
}
