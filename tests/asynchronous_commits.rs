//! What is not on disk yet on the primary is on no standby: reads wait for it if somebody may have seen it, and not otherwise.

mod common;
mod reading;

use common::{DATABASE, ensure, one, run};
use reading::{ON, on_a_standby, scene};
use trunkline_testkit::cluster::query_text;
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Cluster, Result};

/// Writes, each with a read behind it.
const PAIRS: usize = 30;

/// A cluster whose primary writes to disk what nobody commits, or what is committed asynchronously, some time later.
async fn lazy() -> Result<Cluster> {
    Cluster::builder().standbys(2).setting("wal_writer_delay", "1s").start().await
}

/// Bytes of the primary's log that are not on disk.
const UNFLUSHED: &str =
    "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn())::bigint";

/// What has been written and not been committed keeps nobody from standbys.
#[tokio::test]
async fn what_nobody_has_committed_is_not_waited_for() -> Result<()> {
    let cluster = lazy().await?;
    let scene = scene(&cluster, "patient", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t AS SELECT 0 AS n").await?;
    on_a_standby(&mut client, &cluster).await?;
    let other = cluster.primary().connect(DATABASE).await?;
    let mut written = 0;
    wait_for(
        "a standby serves the session while the log is not all on disk",
        PATIENCE,
        async || {
            written += 1;
            run(&mut client, &format!("UPDATE t SET n = {written}")).await?;
            other.batch_execute("BEGIN; CREATE TABLE patient.other (i int)").await?;
            // The session has been on the primary when that was written.
            run(&mut client, "/* trunkline:primary */ SELECT n FROM t").await?;
            on_a_standby(&mut client, &cluster).await?;
            let unflushed: i64 = query_text(&other, UNFLUSHED).await?.parse()?;
            other.batch_execute("ROLLBACK").await?;
            assert_eq!(one(&mut client, "SELECT n FROM t").await?, written.to_string());
            ensure(unflushed > 0, "all of it was on disk")
        },
    )
    .await
}

/// Writes and reads, more than once behind each.
async fn pairs(client: &mut RawClient) -> Result<()> {
    for written in 1..=PAIRS {
        run(client, &format!("UPDATE t SET n = {written}")).await?;
        // Who is turned away eight times in a row waits for a sample.
        for _ in 0..20 {
            assert_eq!(one(client, "SELECT n FROM t").await?, written.to_string());
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_commits_asynchronously_finds_it() -> Result<()> {
    let cluster = lazy().await?;
    for (user, set, reset) in [
        ("setter", "SET synchronous_commit = off", "SET synchronous_commit = on"),
        ("config", "SELECT set_config('synchronous_commit', 'off', false)", "SELECT 1"),
    ] {
        let scene = scene(&cluster, user, ON).await?;
        let mut client = scene.raw().await?;
        run(&mut client, "CREATE TABLE t AS SELECT 0 AS n").await?;
        on_a_standby(&mut client, &cluster).await?;
        run(&mut client, set).await?;
        pairs(&mut client).await?;
        run(&mut client, reset).await?;
        pairs(&mut client).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_logs_in_to_commit_asynchronously_finds_it() -> Result<()> {
    let cluster = lazy().await?;
    let scene = scene(&cluster, "options", ON).await?;
    run(&mut scene.raw().await?, "CREATE TABLE t AS SELECT 0 AS n").await?;
    let mut client = scene.raw_with(&[("options", "-c synchronous_commit=off")]).await?;
    on_a_standby(&mut client, &cluster).await?;
    assert_eq!(one(&mut client, "SHOW synchronous_commit").await?, "off");
    pairs(&mut client).await
}

#[tokio::test]
async fn a_role_that_commits_asynchronously_by_itself_finds_it() -> Result<()> {
    let cluster = lazy().await?;
    let scene = scene(&cluster, "role", ON).await?;
    let sql = "CREATE TABLE role.t AS SELECT 0 AS n; ALTER TABLE role.t OWNER TO role; \
               ALTER ROLE role SET synchronous_commit = off";
    cluster.primary().execute(DATABASE, sql).await?;
    let mut client = scene.raw().await?;
    on_a_standby(&mut client, &cluster).await?;
    assert_eq!(one(&mut client, "SHOW synchronous_commit").await?, "off");
    pairs(&mut client).await
}

/// Whatever pool it is of, and whatever it finds itself: others see its commits.
#[tokio::test]
async fn what_a_session_of_ours_commits_asynchronously_does_not_go_away_for_others() -> Result<()> {
    let cluster = lazy().await?;
    for (pool, more) in
        [("whole", "pool_mode = \"session\""), ("loose", "read_after_write = \"off\"")]
    {
        let config =
            format!("{ON}[databases.postgres]\n[databases.{pool}]\ndbname = \"postgres\"\n{more}");
        let scene = scene(&cluster, pool, &config).await?;
        let mut client = scene.raw().await?;
        run(&mut client, "CREATE TABLE t AS SELECT 0 AS n").await?;
        on_a_standby(&mut client, &cluster).await?;
        let mut other = scene.trunkline.raw(pool, common::PASSWORD, pool).await?;
        run(&mut other, "SET synchronous_commit = off").await?;
        for written in 1..=PAIRS {
            run(&mut other, &format!("UPDATE t SET n = {written}")).await?;
            let seen = one(&mut client, "/* trunkline:primary */ SELECT n FROM t").await?;
            assert_eq!(seen, written.to_string());
            for _ in 0..20 {
                let now = one(&mut client, "SELECT n FROM t").await?;
                assert_eq!(now, seen, "{pool}: it is not seen any more");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_others_commit_asynchronously_is_found_if_it_is_assumed_that_they_do() -> Result<()> {
    let cluster = lazy().await?;
    let assumed = ON.replace("mode =", "asynchronous_commits = \"assumed\"\nmode =");
    let scene = scene(&cluster, "others", &assumed).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t AS SELECT 0 AS n").await?;
    on_a_standby(&mut client, &cluster).await?;
    let other = cluster.primary().connect(DATABASE).await?;
    other.batch_execute("SET synchronous_commit = off").await?;
    for written in 1..=PAIRS {
        other.batch_execute(&format!("UPDATE others.t SET n = {written}")).await?;
        let seen = one(&mut client, "/* trunkline:primary */ SELECT n FROM t").await?;
        assert_eq!(seen, written.to_string());
        assert_eq!(one(&mut client, "SELECT n FROM t").await?, seen, "it is not seen any more");
    }
    Ok(())
}
