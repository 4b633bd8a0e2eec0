//! What tests of reads from standbys share: a primary with two standbys, and reads that tell where they were served.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result};

use crate::common::{self, DATABASE, Scene};

/// Standbys are read from, however late they are.
pub const ON: &str = "[routing]\nmode = \"on\"\nmax_lag_bytes = 0\nmax_lag_time = \"0s\"\n\
                      [cluster]\nprobe_interval = \"100ms\"\n";

/// The same at a level of `read_after_write`.
pub fn at_level(level: &str) -> String {
    ON.replace("mode =", &format!("read_after_write = \"{level}\"\nmode ="))
}

/// A primary and two standbys.
pub async fn cluster() -> Result<Cluster> {
    Cluster::builder().standbys(2).setting("max_connections", 80).start().await
}

/// A Trunkline before them, and an operator that tells a setting of the server where it is carried out.
///
/// That is a matter of the server, so Trunkline would keep a statement on the primary that calls the function; but it does not
/// see which functions operators call.
pub async fn scene<'a>(cluster: &'a Cluster, user: &str, config: &str) -> Result<Scene<'a>> {
    let scene = Scene::operated_before(cluster, user, config).await?;
    let operator =
        format!("CREATE OPERATOR {user}.<?> (RIGHTARG = text, FUNCTION = current_setting)");
    cluster.primary().execute(DATABASE, &operator).await?;
    cluster.caught_up().await?;
    Ok(scene)
}

/// What tells where a statement is carried out: for [`number`].
pub const PLACE: &str = "<?> 'port'::text";

/// The number of a port of the cluster: 0 is the primary.
pub fn number(cluster: &Cluster, port: &str) -> Result<usize> {
    let place = cluster.nodes().iter().position(|node| node.port().to_string() == port);
    place.ok_or_else(|| Error::msg(format!("no node has the port {port}")))
}

/// Where the client's reads are served: 0 is the primary.
pub async fn place(client: &mut RawClient, cluster: &Cluster) -> Result<usize> {
    number(cluster, &common::one(client, &format!("SELECT {PLACE}")).await?)
}

/// Waits until the client reads from a standby; which one.
pub async fn on_a_standby(client: &mut RawClient, cluster: &Cluster) -> Result<usize> {
    wait_for("a read is served by a standby", PATIENCE, async || {
        let place = place(client, cluster).await?;
        if place == 0 {
            let why = client.rows(&format!("EXPLAIN ROUTE SELECT {PLACE}")).await?;
            return Err(Error::msg(format!("it is served by the primary: {why:?}")));
        }
        Ok(place)
    })
    .await
}

/// Lets no standby replay anything.
pub async fn pause(cluster: &Cluster) -> Result<()> {
    for standby in cluster.standbys() {
        standby.pause_replay().await?;
    }
    Ok(())
}

/// Lets them go on.
pub async fn resume(cluster: &Cluster) -> Result<()> {
    for standby in cluster.standbys() {
        standby.resume_replay().await?;
    }
    Ok(())
}

/// Makes a standby replay commits so much later; the empty text: at once.
pub async fn delay(standby: &Node, delay: &str) -> Result<()> {
    standby.set("recovery_min_apply_delay", delay)?;
    standby.reload().await
}
