//! Which node of a cluster is given what: all of them log their statements.

use std::sync::atomic::{AtomicUsize, Ordering};

use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result};

use super::{ensure, one};

/// A primary and two standbys, which log their statements.
pub async fn three() -> Result<Cluster> {
    let options = Cluster::builder().standbys(2).setting("max_connections", 100);
    options.setting("log_statement", "all").start().await
}

/// A word that no other statement has.
pub fn mark() -> String {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    format!("mark_{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// The node that has been given a statement with this word.
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

/// Whether the node is the one that began as the primary.
pub fn is_primary(node: &Node, cluster: &Cluster) -> bool {
    node.port() == cluster.primary().port()
}

/// Waits until the client reads from a standby; which one.
pub async fn on_a_standby<'a>(client: &mut RawClient, cluster: &'a Cluster) -> Result<&'a Node> {
    let mut seen = cluster.primary();
    wait_for("a read is served by a standby", PATIENCE, async || {
        seen = place(client, cluster).await?;
        ensure(!is_primary(seen, cluster), "it is served by the primary")
    })
    .await?;
    Ok(seen)
}
