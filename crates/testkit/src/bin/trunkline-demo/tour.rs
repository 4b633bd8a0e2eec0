//! The tour: what a person would try first, done by itself, with checks that the servers answer.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::bench::{self, Outcome};
use super::scene::{POOL_SIZE, Scene, USER};
use super::watch::Watch;

/// Clients of the ordinary runs: more than the pool has connections, so that they must share.
const CLIENTS: &str = "60";

/// Seconds of each ordinary run.
const SECONDS: &str = "3";

/// Clients of the last runs.
const MANY_CLIENTS: &str = "1000";

/// Seconds of each of the last runs; a thousand logins come before them.
const MANY_SECONDS: &str = "8";

/// The longest the whole tour may take, on a slow and busy machine.
const TOUR_TIME_MAX: Duration = Duration::from_secs(900);

/// The ways in which `pgbench` sends its statements.
const MODES: [&str; 3] = ["simple", "extended", "prepared"];

/// Walks the tour; an error is the first thing that did not hold.
pub(crate) async fn walk(scene: &Scene) -> Result<()> {
    let walked = tokio::time::timeout(TOUR_TIME_MAX, stations(scene)).await;
    walked.map_err(|_| anyhow::anyhow!("the tour takes longer than {TOUR_TIME_MAX:?}"))??;
    println!("\nAll held.");
    Ok(())
}

async fn stations(scene: &Scene) -> Result<()> {
    let watch = Watch::begin(&scene.cluster).await?;
    talk(scene).await?;
    println!("\npgbench -i (tables, COPY, VACUUM, keys) …");
    bench::initialize(scene).await?;
    let mut committed = 0;
    for connect in [false, true] {
        println!(
            "\n{}",
            if connect { "A new login for every transaction (-C):" } else { "pgbench:" }
        );
        for mode in MODES {
            run(scene, mode, connect, true).await?;
            committed += run(scene, mode, connect, false).await?.transactions;
        }
    }
    println!("\n{MANY_CLIENTS} clients on {POOL_SIZE} connections:");
    many(scene, &["-S", "-M", "prepared"]).await?;
    committed += many(scene, &["-M", "simple"]).await?.transactions;
    nothing_lost(scene, committed).await?;
    cap_kept(watch).await?;
    usage(scene)
}

/// A person with `psql`: a transaction, a setting that lasts, a temporary table, an error.
async fn talk(scene: &Scene) -> Result<()> {
    println!("\npsql:");
    let said = bench::psql(
        scene,
        USER,
        &[
            "SELECT current_user || ' in ' || current_database()",
            "SET application_name = 'tour'",
            "BEGIN",
            "CREATE TEMPORARY TABLE t (i int)",
            "INSERT INTO t SELECT generate_series(1, 10)",
            "COMMIT",
            "SELECT sum(i) FROM t",
            "SHOW application_name",
        ],
    )
    .await?;
    ensure!(said == "demo in demo\n55\ntour\n", "psql prints {said:?}");
    println!("  a transaction, a setting and a temporary table stay with their session");
    let failed = bench::psql(scene, USER, &["SELECT 1/0"]).await;
    let failed = failed.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(failed.contains("division by zero"), "1/0 gives: {failed}");
    println!("  an error of the server arrives as it is");
    Ok(())
}

/// One ordinary run of `pgbench`.
async fn run(scene: &Scene, mode: &str, connect: bool, reads: bool) -> Result<Outcome> {
    let mut words = vec!["-n", "-j", "2", "-c", CLIENTS, "-T", SECONDS, "-M", mode];
    if reads {
        words.push("-S");
    }
    if connect {
        words.push("-C");
    }
    let outcome = bench::pgbench(scene, &words).await?;
    let kind = if reads { "read-only" } else { "TPC-B" };
    report(&format!("{mode}, {kind}, {CLIENTS} clients"), outcome)?;
    Ok(outcome)
}

/// A run with many clients.
async fn many(scene: &Scene, how: &[&str]) -> Result<Outcome> {
    let mut words = vec!["-n", "-j", "2", "-c", MANY_CLIENTS, "-T", MANY_SECONDS];
    words.extend(how);
    let outcome = bench::pgbench(scene, &words).await?;
    report(&how.join(" "), outcome)?;
    Ok(outcome)
}

fn report(what: &str, outcome: Outcome) -> Result<()> {
    let Outcome { transactions, rate } = outcome;
    ensure!(transactions > 0, "{what}: no transaction was made");
    println!("  {what:36} {transactions:8} transactions {rate:10.0} per second");
    Ok(())
}

/// Every transaction that `pgbench` counts is in the tables, once, on every server.
async fn nothing_lost(scene: &Scene, committed: u64) -> Result<()> {
    scene.cluster.caught_up().await?;
    let sql = "SELECT count(*) || ' ' || (coalesce(sum(delta), 0) = (SELECT sum(abalance) FROM \
               pgbench_accounts) AND coalesce(sum(delta), 0) = (SELECT sum(tbalance) FROM \
               pgbench_tellers) AND coalesce(sum(delta), 0) = (SELECT sum(bbalance) FROM \
               pgbench_branches)) FROM pgbench_history";
    println!("\nThe servers, asked directly:");
    for node in scene.cluster.nodes() {
        let found = node.query_text(USER, sql).await?;
        let wanted = format!("{committed} true");
        ensure!(found == wanted, "{}: {found} instead of {wanted}", node.name());
    }
    println!("  all {committed} TPC-B transactions are on every server, and the sums agree");
    Ok(())
}

/// No server ever had more connections than the pool may have.
async fn cap_kept(watch: Watch) -> Result<()> {
    for seen in watch.end().await? {
        let (name, most) = (&seen.name, seen.most);
        println!(
            "  {name:9} at most {most:2} connections of Trunkline's clients, in {} looks",
            seen.looks
        );
        ensure!(most <= POOL_SIZE, "{name} had {most} connections; the pool may have {POOL_SIZE}");
    }
    Ok(())
}

/// What it took.
fn usage(scene: &Scene) -> Result<()> {
    let usage = scene.trunkline.usage()?;
    let mebibytes = usage.resident_peak_bytes / (1024 * 1024);
    println!("\nTrunkline used {:.1} s of processor time,", usage.cpu.as_secs_f64());
    println!("and {mebibytes} MiB of memory at most.");
    Ok(())
}
