//! What the tests of transactions share that read at standbys until they write.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OnceCell;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result};

use crate::common::{Scene, ensure, one, run};

/// Reads go to standbys, and those of transactions, too.
pub const ON: &str = "[routing]\nmode = \"on\"\ntransaction_reads = \"until_first_write\"\n\
                  [cluster]\nprobe_interval = \"100ms\"";

/// A primary and two standbys.
pub async fn cluster() -> Result<Cluster> {
    let options = Cluster::builder().standbys(2).setting("max_connections", 60);
    options.setting("log_statement", "all").start().await
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// That of the calm tests.
pub async fn shared() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(cluster).await
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

/// A word that no other statement has.
pub fn mark() -> String {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    format!("mark_{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// The node that has been given a statement with this word: all of them log what they are given.
pub fn where_is<'a>(mark: &str, cluster: &'a Cluster) -> Result<&'a Node> {
    let has = |node: &&Node| node.log().contains(&format!("{mark} "));
    let nodes: Vec<&Node> = cluster.nodes().iter().filter(has).collect();
    match nodes[..] {
        [node] => Ok(node),
        _ => Err(Error::msg(format!("{mark} is on {} nodes", nodes.len()))),
    }
}

/// The node that serves the client's reads.
pub async fn place<'a>(client: &mut RawClient, cluster: &'a Cluster) -> Result<&'a Node> {
    let mark = mark();
    assert_eq!(one(client, &format!("SELECT '{mark} '")).await?, format!("{mark} "));
    where_is(&mark, cluster)
}

pub fn is_primary(node: &Node, cluster: &Cluster) -> bool {
    node.port() == cluster.primary().port()
}

/// Whether the client's next read is served by the primary.
pub async fn at_the_primary(client: &mut RawClient, cluster: &Cluster) -> Result<bool> {
    Ok(is_primary(place(client, cluster).await?, cluster))
}

/// Begins transactions until one reads at a standby, and leaves that open.
pub async fn at_a_standby<'a>(client: &mut RawClient, cluster: &'a Cluster) -> Result<&'a Node> {
    begun_at_a_standby(client, cluster, "BEGIN").await
}

/// Waits until the client reads from a standby, outside of transactions.
pub async fn on_a_standby(client: &mut RawClient, cluster: &Cluster) -> Result<()> {
    wait_for("a read is served by a standby", PATIENCE, async || {
        ensure(!at_the_primary(client, cluster).await?, "it is served by the primary")
    })
    .await
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
