//! Drivers that are used without autocommit read at standbys with `transaction_reads = "until_first_write"`, and write as
//! ever. What a driver does is written in its own language, in `tests/drivers`.

mod common;
#[path = "drivers/rust/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{DATABASE, PASSWORD, Scene, ensure, one, run};
use tokio::process::Command;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Node, Result};

use crate::program::{Place, root, succeed};

const ON: &str = "[routing]\nmode = \"on\"\ntransaction_reads = \"until_first_write\"\n\
                  [cluster]\nprobe_interval = \"100ms\"";

/// The longest that a driver may take. They take seconds.
const TIME_MAX: Duration = Duration::from_secs(150);

/// What the drivers work with.
const TABLE: &str = "CREATE TABLE counters AS SELECT i, 0 AS n FROM generate_series(1, 8) AS i; \
     ALTER TABLE counters ADD PRIMARY KEY (i)";

/// Lets a driver do its work: its reads have come to standbys, and none of its writes.
async fn prove(user: &'static str, script: impl FnOnce(&Place) -> Result<Command>) -> Result<()> {
    let options = Cluster::builder().standbys(2).setting("max_connections", 60);
    let cluster = options.setting("log_statement", "all").start().await?;
    let scene = Scene::before(&cluster, user, ON).await?;
    run(&mut scene.raw().await?, TABLE).await?;
    cluster.caught_up().await?;
    let served = |node: &Node, mark: &str| node.log().contains(mark);
    wait_for("standbys are read from", PATIENCE, async || {
        one(&mut scene.raw().await?, "SELECT '/* at a standby */' FROM counters").await?;
        let any = cluster.standbys().iter().any(|node| served(node, "/* at a standby */"));
        ensure(any, "the primary is")
    })
    .await?;
    let port = scene.trunkline.port();
    let place = Place { port, user, password: PASSWORD, database: DATABASE.to_owned() };
    let said = succeed(script(&place)?, TIME_MAX).await;
    said.map_err(|error| error.context(scene.trunkline.log_tail()))?;
    let read = |node: &Node| node.log().matches("/* read */").count();
    let at_standbys: usize = cluster.standbys().iter().map(read).sum();
    ensure(at_standbys > 0, "no standby has served a read")?;
    let at_primary = read(cluster.primary());
    ensure(at_primary == 0, format!("the primary has served {at_primary} of who never writes"))?;
    for node in cluster.nodes() {
        ensure(!node.log().contains("ERROR: "), node.log())?;
    }
    Ok(())
}

fn installed(path: PathBuf) -> Result<PathBuf> {
    ensure(path.exists(), format!("{} is missing: run scripts/test-deps", path.display()))?;
    Ok(path)
}

#[tokio::test]
async fn sqlalchemy_reads_at_standbys() -> Result<()> {
    prove("sqlalchemy", |place| {
        let mut command = place.command(installed(root().join(".venv/bin/python"))?);
        command.arg(root().join("tests/drivers/python/transaction_reads_checks.py"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    })
    .await
}

#[tokio::test]
async fn pgjdbc_reads_at_standbys() -> Result<()> {
    prove("pgjdbc", |place| {
        let named = std::env::var_os("TRUNKLINE_PGJDBC").map(PathBuf::from);
        let debian = || Path::new("/usr/share/java/postgresql.jar").to_owned();
        let mut command = place.command("java");
        command.arg("-cp").arg(installed(named.unwrap_or_else(debian))?);
        command.arg(root().join("tests/drivers/java/TransactionReads.java"));
        Ok(command)
    })
    .await
}
