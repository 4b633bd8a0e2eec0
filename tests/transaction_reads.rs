//! With `transaction_reads = "until_first_write"` a transaction reads at a standby until it does more, and its client sees
//! nothing of that.

mod common;
mod transactions;

use common::nodes::{is_primary, mark, place, three, where_is};
use common::{ensure, error_in, fails, one, run};
use transactions::{at_a_standby, at_the_primary, begun_at_a_standby, scene, shared, status};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

#[tokio::test]
async fn a_transaction_reads_at_a_standby_until_it_writes() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "until").await?;
    let mut client = scene.raw().await?;
    at_a_standby(&mut client, cluster).await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    assert!(at_the_primary(&mut client, cluster).await?);
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    run(&mut client, "ROLLBACK").await?;
    for end in ["COMMIT", "ROLLBACK", "END"] {
        at_a_standby(&mut client, cluster).await?;
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
        let frames = client.query(end).await?;
        assert_eq!((tags(&frames).as_str(), status(&frames)), ("CZ", 'I'), "{end}");
    }
    // One that writes at once, and one that is the primary's by its own words.
    run(&mut client, "BEGIN").await?;
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    run(&mut client, "COMMIT").await?;
    begun_at_a_standby(&mut client, cluster, "START TRANSACTION").await?;
    run(&mut client, "COMMIT").await?;
    run(&mut client, "/* trunkline:primary */ BEGIN").await?;
    assert!(at_the_primary(&mut client, cluster).await?);
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    run(&mut client, "COMMIT").await?;
    Ok(())
}

#[tokio::test]
async fn whatever_is_more_than_a_read_is_the_primarys_with_all_behind_it() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "more").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE SEQUENCE ticket; PREPARE kept AS SELECT 7").await?;
    for sql in [
        "UPDATE t SET i = i + 1",
        "SELECT i FROM t FOR UPDATE",
        "SELECT nextval('ticket')",
        "SELECT pg_advisory_xact_lock(7)",
        "SET LOCAL work_mem = '1MB'",
        "SELECT set_config('work_mem', '1MB', true)",
        "SAVEPOINT s",
        "LOCK TABLE t IN SHARE MODE",
        "DECLARE c CURSOR FOR SELECT i FROM t",
        "SHOW transaction_read_only",
        "CREATE TABLE made (i int)",
        "EXECUTE kept",
        "DO $$ BEGIN NULL; END $$",
        "NOTIFY nobody",
        "SELECT 1; SELECT nextval('ticket')",
        "SELECT pg_is_in_recovery()",
        "COPY t TO STDOUT; COPY (SELECT 1) TO STDOUT; TRUNCATE t",
    ] {
        at_a_standby(&mut client, cluster).await?;
        let mark = mark();
        let frames = client.query(&format!("{sql} -- {mark} ")).await?;
        assert!(!tags(&frames).contains('E') && status(&frames) == 'T', "{sql}: {frames:?}");
        assert!(is_primary(where_is(&mark, cluster)?, cluster), "{sql}");
        assert!(at_the_primary(&mut client, cluster).await?, "{sql}");
        run(&mut client, "ROLLBACK").await?;
    }
    at_a_standby(&mut client, cluster).await?;
    assert_eq!(one(&mut client, "SHOW transaction_read_only").await?, "off");
    run(&mut client, "ROLLBACK").await?;
    // The server's own words for what is no message of a client's at all.
    at_a_standby(&mut client, cluster).await?;
    fails(&mut client, "SELEC 1", "42601").await?;
    fails(&mut client, "SELECT 1", "25P02").await?;
    assert_eq!(status(&client.query("ROLLBACK").await?), 'I');
    Ok(())
}

#[tokio::test]
async fn a_savepoint_and_a_cursor_are_where_they_were_made() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "savepoint").await?;
    let mut client = scene.raw().await?;
    at_a_standby(&mut client, cluster).await?;
    run(&mut client, "SAVEPOINT a").await?;
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    fails(&mut client, "SELECT 1 / (i - i) FROM t", "22012").await?;
    run(&mut client, "ROLLBACK TO a").await?;
    assert!(at_the_primary(&mut client, cluster).await?);
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    run(&mut client, "INSERT INTO t VALUES (3)").await?;
    run(&mut client, "DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i").await?;
    assert_eq!(one(&mut client, "FETCH c").await?, "1");
    run(&mut client, "RELEASE a").await?;
    assert_eq!(one(&mut client, "FETCH c").await?, "3");
    run(&mut client, "COMMIT").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    Ok(())
}

#[tokio::test]
async fn only_a_transaction_that_is_read_committed_goes_from_node_to_node() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "level").await?;
    let mut client = scene.raw().await?;
    for begin in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
        "START TRANSACTION READ WRITE",
    ] {
        at_a_standby(&mut client, cluster).await?;
        run(&mut client, "COMMIT").await?;
        run(&mut client, begin).await?;
        assert!(at_the_primary(&mut client, cluster).await?, "{begin}");
        run(&mut client, "COMMIT").await?;
    }
    let level = async |client: &mut RawClient| one(client, "SHOW transaction_isolation").await;
    for set in [
        "SET default_transaction_isolation = 'repeatable read'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ] {
        run(&mut client, set).await?;
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
        begun_at_a_standby(&mut client, cluster, begin).await?;
        assert_eq!(level(&mut client).await?, "read committed", "its own words count: {set}");
        run(&mut client, "COMMIT").await?;
        begun_at_a_standby(&mut client, cluster, begin).await?;
        run(&mut client, "COMMIT").await?;
        run(&mut client, "BEGIN").await?;
        assert!(at_the_primary(&mut client, cluster).await?, "{set}");
        assert_ne!(level(&mut client).await?, "read committed");
        run(&mut client, "COMMIT").await?;
    }
    run(&mut client, "RESET default_transaction_isolation").await?;
    at_a_standby(&mut client, cluster).await?;
    run(&mut client, "COMMIT").await?;
    // What its startup packet says, and its role.
    let options = [("options", "-c default_transaction_isolation=repeatable\\ read")];
    let mut asked = scene.raw_with(&options).await?;
    run(&mut asked, "BEGIN").await?;
    assert!(at_the_primary(&mut asked, cluster).await?);
    assert_eq!(level(&mut asked).await?, "repeatable read");
    run(&mut asked, "COMMIT").await?;
    let alter = "ALTER ROLE level SET default_transaction_isolation = 'serializable'";
    scene.node.execute(common::DATABASE, alter).await?;
    wait_for("it is known that the role has another level", PATIENCE, async || {
        run(&mut client, "BEGIN").await?;
        let primary = at_the_primary(&mut client, cluster).await?;
        run(&mut client, "COMMIT").await?;
        let mut other = scene.raw().await?;
        begun_at_a_standby(&mut other, cluster, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        run(&mut other, "COMMIT").await?;
        ensure(primary, "it is at a standby")
    })
    .await?;
    // A standby would refuse it.
    run(&mut client, "BEGIN READ ONLY").await?;
    assert!(at_the_primary(&mut client, cluster).await?);
    run(&mut client, "COMMIT").await?;
    begun_at_a_standby(&mut client, cluster, "BEGIN READ ONLY, ISOLATION LEVEL READ COMMITTED")
        .await?;
    run(&mut client, "COMMIT").await
}

#[tokio::test]
async fn what_has_to_stand_first_in_a_transaction_may_and_is_too_late_behind_a_read() -> Result<()>
{
    let cluster = shared().await?;
    let scene = scene(cluster, "first").await?;
    let mut client = scene.raw().await?;
    let begin = async |client: &mut RawClient| {
        at_a_standby(client, cluster).await?;
        run(client, "COMMIT").await?;
        run(client, "BEGIN").await
    };
    begin(&mut client).await?;
    run(&mut client, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE").await?;
    assert_eq!(one(&mut client, "SHOW transaction_isolation").await?, "serializable");
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    run(&mut client, "COMMIT").await?;
    begin(&mut client).await?;
    run(&mut client, "SET TRANSACTION READ ONLY").await?;
    fails(&mut client, "INSERT INTO t VALUES (2)", "25006").await?;
    run(&mut client, "ROLLBACK").await?;
    begin(&mut client).await?;
    place(&mut client, cluster).await?;
    fails(&mut client, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "25001").await?;
    run(&mut client, "ROLLBACK").await?;
    run(&mut client, "SET default_transaction_read_only = on").await?;
    at_a_standby(&mut client, cluster).await?;
    fails(&mut client, "INSERT INTO t VALUES (2)", "25006").await?;
    run(&mut client, "ROLLBACK").await?;
    begin(&mut client).await?;
    run(&mut client, "SET TRANSACTION READ WRITE").await?;
    run(&mut client, "INSERT INTO t VALUES (3)").await?;
    run(&mut client, "COMMIT").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "3");
    Ok(())
}

#[tokio::test]
async fn a_failed_transaction_stays_where_it_is_until_its_end() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "failed").await?;
    let mut client = scene.raw().await?;
    for (end, tag) in [("COMMIT", "ROLLBACK"), ("ROLLBACK", "ROLLBACK")] {
        at_a_standby(&mut client, cluster).await?;
        fails(&mut client, "SELECT 1 / (i - i) FROM t", "22012").await?;
        for sql in ["SELECT 1", "INSERT INTO t VALUES (9)", "SAVEPOINT s"] {
            let frames = client.query(sql).await?;
            error_in(&frames, "25P02")?;
            assert_eq!(status(&frames), 'E');
        }
        let frames = client.query(end).await?;
        assert!(frames[0].body.starts_with(tag.as_bytes()) && status(&frames) == 'I');
    }
    // A chain goes on with the next transaction.
    at_a_standby(&mut client, cluster).await?;
    fails(&mut client, "SELECT 1 / (i - i) FROM t", "22012").await?;
    assert_eq!(status(&client.query("ROLLBACK AND CHAIN").await?), 'T');
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    assert_eq!(status(&client.query("COMMIT AND CHAIN").await?), 'T');
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    run(&mut client, "INSERT INTO t VALUES (3)").await?;
    assert_eq!(status(&client.query("ROLLBACK").await?), 'I');
    at_a_standby(&mut client, cluster).await?;
    assert_eq!(status(&client.query("COMMIT AND CHAIN").await?), 'T');
    run(&mut client, "INSERT INTO t VALUES (3)").await?;
    assert_eq!(status(&client.query("COMMIT").await?), 'I');
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "3");
    Ok(())
}

#[tokio::test]
async fn a_transaction_finds_what_its_session_has_written_although_the_standbys_lag() -> Result<()>
{
    let cluster = three().await?;
    let scene = scene(&cluster, "own").await?;
    let mut client = scene.raw().await?;
    at_a_standby(&mut client, &cluster).await?;
    run(&mut client, "COMMIT").await?;
    for standby in cluster.standbys() {
        standby.pause_replay().await?;
    }
    let mut other = scene.raw().await?;
    at_a_standby(&mut other, &cluster).await?;
    for written in 2..=10 {
        run(&mut client, "BEGIN").await?;
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, (written - 1).to_string());
        run(&mut client, &format!("INSERT INTO t VALUES ({written})")).await?;
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, written.to_string());
        run(&mut client, "COMMIT").await?;
    }
    // One that has read what the standby has goes on with what the primary has.
    assert_eq!(one(&mut other, "SELECT count(*) FROM t").await?, "1");
    run(&mut other, "INSERT INTO t VALUES (11)").await?;
    assert_eq!(one(&mut other, "SELECT count(*) FROM t").await?, "11");
    run(&mut other, "COMMIT").await?;
    run(&mut other, "BEGIN").await?;
    assert_eq!(one(&mut other, "SELECT count(*) FROM t").await?, "11");
    run(&mut other, "COMMIT").await?;
    for standby in cluster.standbys() {
        standby.resume_replay().await?;
    }
    at_a_standby(&mut client, &cluster).await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "11");
    Ok(())
}
