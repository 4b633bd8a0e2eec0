//! When another node is the primary, nothing is done on the old one any more, whether it lives or not.

mod common;

use common::{DATABASE, Scene, ended_with, ensure, one, run, words};
use trunkline_testkit::Result;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Clients of each kind, each at something on the primary.
struct Clients {
    /// Between transactions, with a temporary table.
    pinned: RawClient,
    /// In a transaction that has written.
    open: RawClient,
    /// In a statement that takes long.
    busy: RawClient,
    /// Between transactions.
    idle: RawClient,
}

async fn cluster() -> Result<Cluster> {
    Cluster::builder().standbys(1).setting("max_connections", 50).start().await
}

impl Clients {
    async fn of(scene: &Scene<'_>, cluster: &Cluster) -> Result<Self> {
        let mut pinned = scene.raw().await?;
        run(&mut pinned, "CREATE TABLE written (i int)").await?;
        run(&mut pinned, "CREATE TEMP TABLE own (i int)").await?;
        cluster.caught_up().await?;
        let mut open = scene.raw().await?;
        run(&mut open, "BEGIN; INSERT INTO written VALUES (1)").await?;
        let mut busy = scene.raw().await?;
        busy.send(&say::query("SELECT pg_sleep(3600)")).await?;
        scene.in_state("active", 1).await?;
        let mut idle = scene.raw().await?;
        run(&mut idle, "SELECT 1").await?;
        Ok(Self { pinned, open, busy, idle })
    }

    /// Each is told, or goes on, as it must when the other node has been promoted.
    async fn have_moved(mut self, cluster: &Cluster) -> Result<()> {
        for client in [&mut self.pinned, &mut self.open] {
            let told = words(&ended_with(client, "57P01").await?);
            ensure(told.contains("the primary has changed"), told)?;
        }
        let told = words(&ended_with(&mut self.busy, "08006").await?);
        ensure(told.contains("outcome"), told)?;
        let port = cluster.standby(0)?.port().to_string();
        assert_eq!(one(&mut self.idle, "SELECT inet_server_port()").await?, port);
        assert_eq!(one(&mut self.idle, "SELECT count(*) FROM written").await?, "0");
        Ok(())
    }
}

#[tokio::test]
async fn an_old_primary_that_lives_is_left_at_once() -> Result<()> {
    let cluster = cluster().await?;
    let scene = Scene::before(&cluster, "living", "").await?;
    let clients = Clients::of(&scene, &cluster).await?;
    cluster.standby(0)?.promote().await?;
    clients.have_moved(&cluster).await?;
    scene.servers_are(0).await?;
    let count = scene.node.query_text(DATABASE, "SELECT count(*) FROM living.written").await?;
    assert_eq!(count, "0");
    Ok(())
}

#[tokio::test]
async fn an_old_primary_that_says_nothing_holds_nobody() -> Result<()> {
    let cluster = cluster().await?;
    let config =
        "[cluster]\nprobe_interval = \"100ms\"\nprobe_timeout = \"200ms\"\ndown_after = \"0s\"";
    let scene = Scene::before(&cluster, "frozen", config).await?;
    let clients = Clients::of(&scene, &cluster).await?;
    scene.node.freeze()?;
    cluster.standby(0)?.promote().await?;
    let moved = clients.have_moved(&cluster).await;
    scene.node.thaw()?;
    moved?;
    scene.servers_are(0).await.map(drop)
}

#[tokio::test]
async fn a_session_outlives_a_primary_that_falls_silent_and_is_the_same_again() -> Result<()> {
    let cluster = cluster().await?;
    let config = "[cluster]\nprobe_interval = \"100ms\"\nprobe_timeout = \"200ms\"\ndown_after = \"0s\"\n\
                  [pool]\nmode = \"session\"\nwait_timeout = \"0s\"";
    let scene = Scene::before(&cluster, "silent", config).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TEMP TABLE own (i int)").await?;
    scene.node.freeze()?;
    let down = wait_for("the node counts as down", PATIENCE, async || {
        let seen = scene.trunkline.get("/readyz").await?;
        ensure(seen.status == 503, format!("{seen:?}"))
    });
    let down = down.await;
    client.send(&say::query("SELECT count(*) FROM own")).await?;
    scene.node.thaw()?;
    down?;
    let frames = client.read_until(b'Z').await?;
    assert_eq!(frames[1].row()?, [Some("0".to_owned())]);
    Ok(())
}
