//! PostgreSQL's own programs for replication through Trunkline, which gives each connection a server of its own.

mod common;
#[path = "drivers/rust/program.rs"]
mod program;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use common::{DATABASE, PASSWORD, Scene, ensure};
use program::{Place, succeed};
use tokio::process::Command;
use trunkline_testkit::certs::Authority;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

/// The longest that one program may take. They take seconds.
const TIME_MAX: Duration = Duration::from_secs(120);

const USER: &str = "copying";

/// A server that can send what is decoded, and Trunkline before it.
async fn stage<'a>(cluster: &'a Cluster, config: &str) -> Result<Scene<'a>> {
    let options = Trunkline::builder().cluster(cluster).user(USER, PASSWORD).config(config);
    let scene = Scene::with(cluster, USER, options).await?;
    let sql = format!("ALTER ROLE {USER} REPLICATION; CREATE TABLE {USER}.kept (i int)");
    scene.node.execute(DATABASE, &sql).await?;
    Ok(scene)
}

async fn cluster() -> Result<Cluster> {
    Cluster::builder().setting("wal_level", "logical").setting("max_connections", 30).start().await
}

/// One of PostgreSQL's programs, of the server's own version.
fn program(scene: &Scene<'_>, cluster: &Cluster, name: &str) -> Result<Command> {
    let place = Place {
        port: scene.trunkline.port(),
        user: USER,
        password: PASSWORD,
        database: DATABASE.to_owned(),
    };
    Ok(place.command(cluster.binaries().program(name)?))
}

async fn done(scene: &Scene<'_>, command: Command) -> Result<String> {
    succeed(command, TIME_MAX).await.with_context(|| scene.trunkline.log_tail())
}

/// The end of the WAL now.
async fn wal_end(scene: &Scene<'_>) -> Result<String> {
    scene.node.query_text(DATABASE, "SELECT pg_current_wal_flush_lsn()").await
}

async fn base_backup(scene: &Scene<'_>, cluster: &Cluster, target: &Path) -> Result<()> {
    let mut backup = program(scene, cluster, "pg_basebackup")?;
    backup.arg("-D").arg(target).args(["-X", "stream", "--checkpoint=fast"]);
    done(scene, backup).await?;
    let mut verify = program(scene, cluster, "pg_verifybackup")?;
    verify.arg(target);
    let said = done(scene, verify).await?;
    ensure(said.contains("backup successfully verified"), said)
}

#[tokio::test]
async fn pg_basebackup_copies_the_whole_cluster() -> Result<()> {
    let cluster = cluster().await?;
    let scene = stage(&cluster, "").await?;
    let sql = "INSERT INTO copying.kept SELECT generate_series(1, 100000)";
    scene.node.execute(DATABASE, sql).await?;
    base_backup(&scene, &cluster, &cluster.directory().join("copy")).await
}

#[tokio::test]
async fn pg_basebackup_copies_over_tls_on_both_sides() -> Result<()> {
    let authority = Authority::new("Ours")?;
    let certificate = authority.server(&["127.0.0.1", "localhost"])?;
    let hba = "hostssl replication all 127.0.0.1/32 scram-sha-256";
    let plain = "hostnossl replication all 127.0.0.1/32 reject";
    let builder = Cluster::builder().setting("wal_level", "logical").tls(&certificate);
    let cluster = builder.hba(hba).hba(plain).start().await?;
    let options = Trunkline::builder()
        .cluster(&cluster)
        .user(USER, PASSWORD)
        .file("server.crt", certificate.pem())
        .file("server.key", certificate.key())
        .config(
            "[client_tls]\nmode = \"require\"\ncertificate = \"server.crt\"\nkey = \"server.key\"",
        )
        .config("[server_tls]\nmode = \"require\"");
    let scene = Scene::with(&cluster, USER, options).await?;
    scene.node.execute(DATABASE, &format!("ALTER ROLE {USER} REPLICATION")).await?;
    base_backup(&scene, &cluster, &cluster.directory().join("copy")).await
}

#[tokio::test]
async fn pg_receivewal_receives_what_is_written() -> Result<()> {
    let cluster = cluster().await?;
    let scene = stage(&cluster, "").await?;
    let target = cluster.directory().join("received");
    std::fs::create_dir(&target)?;
    let receive = || -> Result<Command> {
        let mut command = program(&scene, &cluster, "pg_receivewal")?;
        command.arg("-D").arg(&target).args(["--slot", "received", "--no-loop"]);
        Ok(command)
    };
    let mut create = receive()?;
    create.arg("--create-slot");
    done(&scene, create).await?;
    scene.node.execute(DATABASE, "INSERT INTO copying.kept VALUES (1)").await?;
    let end = wal_end(&scene).await?;
    let mut until = receive()?;
    until.args(["--endpos", &end, "--status-interval", "1"]);
    done(&scene, until).await?;
    let mut dump = program(&scene, &cluster, "pg_waldump")?;
    let partial = std::fs::read_dir(&target)?.next().context("nothing was received")??.path();
    let segment = partial.with_extension("");
    std::fs::rename(&partial, &segment)?;
    dump.args(["--quiet", "--end", &end]).arg(segment);
    // That it finds the beginning and no error before the end is enough.
    done(&scene, dump).await.map(drop)
}

#[tokio::test]
async fn pg_recvlogical_receives_changes() -> Result<()> {
    let cluster = cluster().await?;
    let scene = stage(&cluster, "").await?;
    let receive = || -> Result<Command> {
        let mut command = program(&scene, &cluster, "pg_recvlogical")?;
        command.args(["--dbname", DATABASE, "--slot", "changes", "--no-loop"]);
        Ok(command)
    };
    let mut create = receive()?;
    create.args(["--create-slot", "--plugin", "test_decoding"]);
    done(&scene, create).await?;
    scene.node.execute(DATABASE, "INSERT INTO copying.kept VALUES (42)").await?;
    let mut start = receive()?;
    start.args(["--start", "--file", "-", "--endpos", &wal_end(&scene).await?]);
    let said = done(&scene, start).await?;
    ensure(said.contains("table copying.kept: INSERT: i[integer]:42"), said)?;
    let mut drop_slot = receive()?;
    drop_slot.arg("--drop-slot");
    done(&scene, drop_slot).await.map(drop)
}

/// The subscriber is another database of the same cluster, so the slot is made before.
#[tokio::test]
async fn a_subscription_gets_what_is_there_and_what_comes() -> Result<()> {
    let cluster = cluster().await?;
    let scene = stage(&cluster, "").await?;
    let slot = "SELECT pg_create_logical_replication_slot('fed', 'pgoutput')";
    scene.node.execute(DATABASE, slot).await?;
    let sql = "CREATE PUBLICATION all_of_it FOR TABLE copying.kept; \
               GRANT SELECT ON copying.kept TO copying; INSERT INTO copying.kept VALUES (1)";
    scene.node.execute(DATABASE, sql).await?;
    scene.node.execute(DATABASE, "CREATE DATABASE fed").await?;
    let own = "CREATE SCHEMA copying; CREATE TABLE copying.kept (i int)";
    scene.node.execute("fed", own).await?;
    let port = scene.trunkline.port();
    let subscribe = format!(
        "CREATE SUBSCRIPTION fed CONNECTION 'host=127.0.0.1 port={port} user={USER} password={PASSWORD} \
         dbname={DATABASE}' PUBLICATION all_of_it WITH (create_slot = false)"
    );
    scene.node.execute("fed", &subscribe).await?;
    for number in 2..4 {
        let sql = format!("INSERT INTO copying.kept VALUES ({number})");
        scene.node.execute(DATABASE, &sql).await?;
    }
    let all = "SELECT string_agg(i::text, ' ' ORDER BY i) FROM copying.kept";
    wait_for("all has come", PATIENCE, async || {
        let there = scene.node.query_text("fed", all).await.unwrap_or_default();
        ensure(there == "1 2 3", there)
    })
    .await?;
    scene.node.execute("fed", "DROP SUBSCRIPTION fed").await
}
