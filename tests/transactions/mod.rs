//! What the tests of transactions share that read at standbys until they write.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use tokio::sync::OnceCell;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Node, Result};

use crate::common::nodes::{is_primary, place, three};
use crate::common::{Scene, ensure, run};

/// Reads go to standbys, and those of transactions, too.
pub const ON: &str = "[routing]\nmode = \"on\"\ntransaction_reads = \"until_first_write\"\n\
                  [cluster]\nprobe_interval = \"100ms\"";

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// That of the calm tests.
pub async fn shared() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(three).await
}

pub async fn scene<'a>(cluster: &'a Cluster, user: &str) -> Result<Scene<'a>> {
    scene_with(cluster, user, ON).await
}

/// A Trunkline with these settings, a table with a row, and standbys that are read from.
pub async fn scene_with<'a>(cluster: &'a Cluster, user: &str, config: &str) -> Result<Scene<'a>> {
    let scene = Scene::operated_before(cluster, user, config).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int); INSERT INTO t VALUES (1)").await?;
    cluster.caught_up().await?;
    at_a_standby(&mut client, cluster).await?;
    run(&mut client, "COMMIT").await?;
    Ok(scene)
}

/// Whether the client's next read is served by the primary.
pub async fn at_the_primary(client: &mut RawClient, cluster: &Cluster) -> Result<bool> {
    Ok(is_primary(place(client, cluster).await?, cluster))
}

/// Begins transactions until one reads at a standby, and leaves that open.
pub async fn at_a_standby<'a>(client: &mut RawClient, cluster: &'a Cluster) -> Result<&'a Node> {
    begun_at_a_standby(client, cluster, "BEGIN").await
}

/// Begins transactions with these words until one reads at a standby, and leaves that open.
pub async fn begun_at_a_standby<'a>(
    client: &mut RawClient,
    cluster: &'a Cluster,
    begin: &str,
) -> Result<&'a Node> {
    let mut seen = cluster.primary();
    let mut open = false;
    wait_for("a transaction begins at a standby", PATIENCE, async || {
        if std::mem::replace(&mut open, true) {
            run(client, "ROLLBACK").await?;
        }
        run(client, begin).await?;
        seen = place(client, cluster).await?;
        ensure(!is_primary(seen, cluster), "it is at the primary")
    })
    .await?;
    Ok(seen)
}

/// The status of the last `ReadyForQuery`.
pub fn status(frames: &[Frame]) -> char {
    frames.last().and_then(Frame::status).unwrap_or('-')
}

/// Messages that execute a text, of which so many rows are wanted at most.
pub fn execution(sql: &str, rows_max: i32) -> Vec<u8> {
    [say::parse("", sql, &[]), say::bind("", "", &[]), say::execute("", rows_max)].concat()
}

/// The same as the last ones before a Sync.
pub fn synced(sql: &str) -> Vec<u8> {
    [&execution(sql, 0)[..], &say::sync()].concat()
}
