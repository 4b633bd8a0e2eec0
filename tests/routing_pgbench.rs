//! pgbench through Trunkline before a primary and two standbys: its reads are spread over all nodes, and what it writes goes
//! where it belongs without an error.

#[path = "drivers/rust/program.rs"]
mod program;

use std::time::Duration;

use anyhow::{Context, ensure};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Cluster, Result, Trunkline};

use crate::program::{Place, succeed};

const USER: &str = "app";
const PASSWORD: &str = "app-password";

/// The longest that one program may take. They take seconds.
const TIME_MAX: Duration = Duration::from_secs(120);

/// What `pgbench -S` reads with.
const READ: &str = "SELECT abalance FROM pgbench_accounts";

async fn cluster() -> Result<Cluster> {
    let options = Cluster::builder().standbys(2).setting("max_connections", 60);
    let options = options.setting("autovacuum", "off").setting("log_statement", "all");
    options.user(USER, PASSWORD).database(USER, USER).start().await
}

/// Trunkline with these settings of routing.
async fn trunkline(cluster: &Cluster, primary_weight: i64) -> Result<Trunkline> {
    Trunkline::builder()
        .cluster(cluster)
        .user(USER, PASSWORD)
        .set("pool", "size", 10)
        .set("pool", "wait_timeout", "100s")
        .set("cluster", "probe_interval", "100ms")
        .set("routing", "mode", "on")
        .set("routing", "balance", "round_robin")
        .set("routing", "primary_weight", primary_weight)
        .start()
        .await
}

/// Runs pgbench, which is to do so many transactions without an error.
async fn pgbench(trunkline: &Trunkline, arguments: &str, transactions: usize) -> Result<()> {
    let (user, password, database) = (USER, PASSWORD, USER.to_owned());
    let mut command = Place { port: trunkline.port(), user, password, database }.command("pgbench");
    command.args(arguments.split_whitespace());
    let text = succeed(command, TIME_MAX).await.with_context(|| trunkline.log_tail())?;
    let done = format!("number of transactions actually processed: {transactions}/{transactions}");
    let good = text.contains(&done)
        && text.contains("number of failed transactions: 0 ")
        && !text.contains("error")
        && !text.contains("aborted");
    ensure!(good, "pgbench {arguments}\n{text}\n{}", trunkline.log_tail());
    Ok(())
}

/// How many reads each node has been given so far.
fn reads(cluster: &Cluster) -> Vec<usize> {
    cluster.nodes().iter().map(|node| node.log().matches(READ).count()).collect()
}

/// Waits until pgbench's reads reach both standbys.
async fn ready(cluster: &Cluster, trunkline: &Trunkline) -> Result<()> {
    cluster.caught_up().await?;
    wait_for("both standbys are read from", PATIENCE, async || {
        let before = reads(cluster);
        pgbench(trunkline, "-n -S -c 4 -t 1", 4).await?;
        let after = reads(cluster);
        let all = before.iter().zip(&after).skip(1).all(|(before, after)| after > before);
        ensure!(all, "{before:?} {after:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn reads_of_pgbench_are_spread_over_all_nodes() -> Result<()> {
    let cluster = cluster().await?;
    let trunkline = trunkline(&cluster, 1).await?;
    pgbench_tables(&trunkline).await?;
    ready(&cluster, &trunkline).await?;
    for mode in ["simple", "extended", "prepared"] {
        let before = reads(&cluster);
        pgbench(&trunkline, &format!("-n -S -M {mode} -c 12 -j 2 -t 50"), 600).await?;
        let after = reads(&cluster);
        let given: Vec<usize> = before.iter().zip(&after).map(|(b, a)| a - b).collect();
        // Each session takes its turn with its first read, and keeps to its node. By how much it is ahead of the others then
        // does not matter.
        ensure!(given.iter().all(|count| *count >= 100), "{mode}: {given:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_share_the_primary_serves_no_reads_that_standbys_can() -> Result<()> {
    let cluster = cluster().await?;
    let trunkline = trunkline(&cluster, 0).await?;
    pgbench_tables(&trunkline).await?;
    ready(&cluster, &trunkline).await?;
    let before = reads(&cluster);
    pgbench(&trunkline, "-n -S -M prepared -c 8 -j 2 -t 50", 400).await?;
    let after = reads(&cluster);
    let given: Vec<usize> = before.iter().zip(&after).map(|(b, a)| a - b).collect();
    ensure!(given[0] == 0 && given[1] > 0 && given[2] > 0, "{given:?}");
    Ok(())
}

#[tokio::test]
async fn transactions_of_pgbench_write_to_the_primary_without_an_error() -> Result<()> {
    let cluster = cluster().await?;
    let trunkline = trunkline(&cluster, 1).await?;
    pgbench_tables(&trunkline).await?;
    ready(&cluster, &trunkline).await?;
    for mode in ["simple", "extended", "prepared"] {
        for script in ["-b tpcb-like", "-b simple-update", "-b select-only@3 -b tpcb-like@1"] {
            pgbench(&trunkline, &format!("-n {script} -M {mode} -c 12 -j 2 -t 20"), 240).await?;
        }
    }
    // A simple update leaves tellers and branches as they are.
    let books = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history) \
         AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches)";
    let balance = cluster.primary().query_text(USER, books).await?;
    ensure!(balance == "t", "the books do not balance: {balance}");
    Ok(())
}

async fn pgbench_tables(trunkline: &Trunkline) -> Result<()> {
    let (user, password, database) = (USER, PASSWORD, USER.to_owned());
    let mut command = Place { port: trunkline.port(), user, password, database }.command("pgbench");
    command.args(["--initialize", "--quiet", "--scale", "1"]);
    succeed(command, TIME_MAX).await.with_context(|| trunkline.log_tail())?;
    Ok(())
}
