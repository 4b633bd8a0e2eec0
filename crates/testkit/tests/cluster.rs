//! The cluster fixture before real PostgreSQL servers: that it is what it says, that each verb
//! does what it says, and that nothing is left behind.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use trunkline_testkit::cluster::{SUPERUSER_PASSWORD, query_text};
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, Result, StopMode, wait_for};

/// Processes whose command line names `mark`, other than this one.
fn processes_naming(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc can be read").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(mark) {
            found.push(line);
        }
    }
    found
}

#[tokio::test]
async fn rows_of_the_primary_reach_both_standbys() -> Result<()> {
    let cluster = Cluster::builder().standbys(2).start().await?;
    let primary = cluster.primary();
    primary.execute("postgres", "CREATE TABLE t AS SELECT generate_series(1, 100) AS i").await?;
    cluster.caught_up().await?;
    for standby in cluster.standbys() {
        assert_eq!(standby.query_text("postgres", "SELECT count(*) FROM t").await?, "100");
        assert_eq!(standby.query_text("postgres", "SELECT pg_is_in_recovery()").await?, "t");
    }
    let slots = "SELECT string_agg(slot_name, ',' ORDER BY slot_name) FROM pg_replication_slots \
                 WHERE active";
    assert_eq!(primary.query_text("postgres", slots).await?, "standby1,standby2");
    let checksums = primary.query_text("postgres", "SHOW data_checksums").await?;
    assert_eq!(checksums, "on");
    Ok(())
}

#[tokio::test]
async fn options_reach_every_node_and_users_log_in_over_tcp() -> Result<()> {
    let cluster = Cluster::builder()
        .standbys(1)
        .setting("max_connections", 33)
        .hba("host all mallory 127.0.0.1/32 reject")
        .user("alice", "o'clock")
        .user("mallory", "m")
        .database("shop", "alice")
        .start()
        .await?;
    for node in cluster.nodes() {
        assert_eq!(node.query_text("postgres", "SHOW max_connections").await?, "33");
        let alice = node.connect_as("alice", "o'clock", "shop").await?;
        assert_eq!(query_text(&alice, "SELECT current_user").await?, "alice");
        let error = node.connect_as("mallory", "m", "shop").await.err().unwrap();
        assert!(format!("{error:#}").contains("pg_hba.conf rejects"), "{error:#}");
        assert!(node.connect_as("alice", "wrong", "shop").await.is_err());
        node.connect_as("postgres", SUPERUSER_PASSWORD, "postgres").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_primary_comes_back_with_what_was_committed() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let primary = cluster.primary();
    primary.execute("postgres", "CREATE TABLE t AS SELECT 1 AS i").await?;
    let client = primary.connect("postgres").await?;
    primary.kill().await?;
    assert!(!primary.is_running());
    assert!(primary.processes()?.is_empty());
    assert!(client.simple_query("SELECT 1").await.is_err());
    primary.start().await?;
    assert_eq!(primary.query_text("postgres", "SELECT i FROM t").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_killed_postmaster_leaves_its_busy_backend_alive() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let primary = cluster.primary();
    let client = primary.connect("postgres").await?;
    // Never looks at its latch, so it cannot notice the death of the postmaster by itself.
    let busy = "DO $$ BEGIN LOOP END LOOP; END $$";
    let query = tokio::spawn(async move { client.simple_query(busy).await.is_ok() });
    wait_for("the backend is busy", PATIENCE, async || {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$%' AND state = 'active'";
        anyhow::ensure!(primary.query_text("postgres", sql).await? == "1", "it is not");
        Ok(())
    })
    .await?;
    primary.kill_postmaster().await?;
    assert!(!primary.is_running());
    wait_for("only the busy backend is left", PATIENCE, async || {
        let left = primary.processes()?;
        anyhow::ensure!(left.len() == 1, "processes {left:?}");
        Ok(())
    })
    .await?;
    assert!(!query.is_finished());
    Ok(())
}

#[tokio::test]
async fn a_frozen_node_does_not_answer_until_it_is_thawed() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let primary = cluster.primary();
    let client = primary.connect("postgres").await?;
    primary.freeze()?;
    let mut answer = Box::pin(client.simple_query("SELECT 1"));
    let early = tokio::time::timeout(Duration::from_millis(50), answer.as_mut()).await;
    assert!(early.is_err(), "a stopped process cannot answer");
    primary.thaw()?;
    answer.await?;
    Ok(())
}

#[tokio::test]
async fn a_frozen_postmaster_still_answers_on_kept_connections() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let primary = cluster.primary();
    let client = primary.connect("postgres").await?;
    primary.freeze_postmaster()?;
    assert_eq!(query_text(&client, "SELECT 1").await?, "1");
    let fresh = tokio::time::timeout(Duration::from_millis(50), primary.connect("postgres")).await;
    assert!(fresh.is_err(), "nobody forks a server process");
    primary.thaw()?;
    primary.connect("postgres").await?;
    Ok(())
}

#[tokio::test]
async fn replay_is_held_and_released() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).start().await?;
    let (primary, standby) = (cluster.primary(), cluster.standby(0)?);
    primary.execute("postgres", "CREATE TABLE t (i int)").await?;
    cluster.caught_up().await?;
    standby.pause_replay().await?;
    primary.execute("postgres", "INSERT INTO t VALUES (1)").await?;
    assert_eq!(standby.query_text("postgres", "SELECT count(*) FROM t").await?, "0");
    standby.resume_replay().await?;
    cluster.caught_up().await?;
    assert_eq!(standby.query_text("postgres", "SELECT count(*) FROM t").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_standby_is_promoted_after_the_death_of_the_primary() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).start().await?;
    cluster.primary().kill().await?;
    let standby = cluster.standby(0)?;
    standby.promote().await?;
    standby.execute("postgres", "CREATE TABLE t (i int)").await?;
    Ok(())
}

#[tokio::test]
async fn connections_are_cut_and_settings_reloaded() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let primary = cluster.primary();
    let client = primary.connect("postgres").await?;
    // One with which the kit has looked whether the server is up may still be on its way out.
    assert!(primary.cut_connections().await? >= 1);
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert!(error.is_closed() || error.code().is_some_and(|it| it.code() == "57P01"), "{error}");
    primary.set("work_mem", "5MB")?;
    primary.reload().await?;
    assert_eq!(primary.query_text("postgres", "SHOW work_mem").await?, "5MB");
    primary.restart().await?;
    assert_eq!(primary.query_text("postgres", "SHOW work_mem").await?, "5MB");
    Ok(())
}

#[tokio::test]
async fn a_setting_that_the_server_refuses_is_told_with_its_log() {
    let error = Cluster::builder().setting("no_such_setting", 1).start().await.err().unwrap();
    let text = format!("{error:#}");
    assert!(text.contains("unrecognized configuration parameter \"no_such_setting\""), "{text}");
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_cluster() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).start().await?;
    let root = cluster.directory().to_owned();
    let mark = root.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(processes_naming(&mark).len() > 4);
    cluster.standby(0)?.freeze()?;
    cluster.primary().kill_postmaster().await?;
    drop(cluster);
    assert!(!root.exists());
    assert_eq!(processes_naming(&mark), Vec::<String>::new());
    Ok(())
}

/// Runs the next test in a process of its own and kills that process while its cluster runs.
#[tokio::test]
async fn nothing_is_left_when_the_test_process_is_killed() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let told = directory.path().join("root");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "waits_to_be_killed_if_the_test_above_has_started_it"])
        .env("TESTKIT_TELL_ROOT", &told)
        .spawn()?;
    let root = wait_for("the cluster of the other process runs", PATIENCE, async || {
        Ok(PathBuf::from(std::fs::read_to_string(&told)?))
    })
    .await?;
    assert!(root.exists());
    child.kill()?;
    child.wait()?;
    wait_for("its cluster is removed", PATIENCE, async || {
        anyhow::ensure!(!root.exists(), "{} is still there", root.display());
        Ok(())
    })
    .await?;
    let mark = root.file_name().unwrap().to_str().unwrap();
    wait_for("its processes have gone", PATIENCE, async || {
        let left = processes_naming(mark);
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn waits_to_be_killed_if_the_test_above_has_started_it() -> Result<()> {
    let Some(told) = std::env::var_os("TESTKIT_TELL_ROOT").map(PathBuf::from) else {
        return Ok(());
    };
    let cluster = Cluster::builder().start().await?;
    let unfinished = told.with_extension("unfinished");
    std::fs::write(&unfinished, cluster.directory().to_str().unwrap())?;
    std::fs::rename(&unfinished, &told)?;
    std::future::pending().await
}

#[tokio::test]
async fn a_smart_stop_waits_for_the_last_client() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let primary = cluster.primary();
    let client = primary.connect("postgres").await?;
    let mut stop = Box::pin(primary.stop(StopMode::Smart));
    let early = tokio::time::timeout(Duration::from_millis(50), stop.as_mut()).await;
    assert!(early.is_err() && primary.is_running(), "a client is still connected");
    drop(client);
    stop.await?;
    assert!(!primary.is_running());
    assert!(primary.last_exit().is_some_and(|status| status.success()));
    Ok(())
}
