//! Transactions that read at a standby until they write, when something fails: the standby refuses them, dies or lags, or the
//! primary is not to be had.

mod common;
mod transactions;

use common::nodes::{on_a_standby, three};
use common::{Scene, ensure, fails, one, run};
use transactions::{
    ON, at_a_standby, at_the_primary, execution, scene, scene_with, status, synced,
};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result};

#[tokio::test]
async fn what_a_standby_refuses_goes_on_at_the_primary_unseen() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "refused").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE SEQUENCE ticket").await?;
    // A text does not show what an operator calls.
    run(
        &mut client,
        "CREATE FUNCTION bump(text) RETURNS bigint LANGUAGE sql AS 'SELECT nextval($1::regclass)'; \
         CREATE OPERATOR ## (RIGHTARG = text, FUNCTION = bump)",
    )
    .await?;
    cluster.caught_up().await?;
    for next in 1..=3 {
        at_a_standby(&mut client, &cluster).await?;
        assert_eq!(one(&mut client, "SELECT ## text 'ticket'").await?, next.to_string());
        assert!(at_the_primary(&mut client, &cluster).await?);
        run(&mut client, "INSERT INTO t VALUES (2)").await?;
        run(&mut client, "COMMIT").await?;
    }
    let count = |node: &Node| node.log().matches("statement: SELECT ## text 'ticket'").count();
    let tried: usize = cluster.standbys().iter().map(count).sum();
    ensure(tried == 1, format!("it was tried at standbys {tried} times"))?;
    // In one group with what begins the transaction.
    on_a_standby(&mut client, &cluster).await?;
    let group = [execution("BEGIN", 1), synced("SELECT ## text 'ticket' AS n")].concat();
    let frames = client.exchange(&group, 1).await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("12C12DCZ", 'T'));
    run(&mut client, "COMMIT").await?;
    // A table that the standbys do not have yet.
    for standby in cluster.standbys() {
        standby.pause_replay().await?;
    }
    let mut other = scene.raw().await?;
    at_a_standby(&mut other, &cluster).await?;
    scene.node.execute(common::DATABASE, "CREATE TABLE refused.late AS SELECT 7 AS i").await?;
    scene.node.execute(common::DATABASE, "GRANT SELECT ON refused.late TO refused").await?;
    let mut asking = scene.raw().await?;
    wait_for("the table is known", PATIENCE, async || {
        let rows = asking.rows("EXPLAIN ROUTE SELECT i FROM late").await?;
        let told: String = rows.into_iter().flatten().flatten().collect();
        ensure(!told.contains("unknown relation"), told)
    })
    .await?;
    assert!(!at_the_primary(&mut other, &cluster).await?);
    assert_eq!(one(&mut other, "SELECT i FROM late").await?, "7");
    assert!(at_the_primary(&mut other, &cluster).await?);
    run(&mut other, "COMMIT").await?;
    Ok(())
}

#[tokio::test]
async fn who_has_a_transaction_open_at_a_standby_that_dies_goes_on_unseen() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "dies").await?;
    let mut idle = scene.raw().await?;
    let standby = at_a_standby(&mut idle, &cluster).await?;
    let mut writer = at_this_standby(&scene, &cluster, standby).await?;
    let mut ends = at_this_standby(&scene, &cluster, standby).await?;
    let mut failed = at_this_standby(&scene, &cluster, standby).await?;
    fails(&mut failed, "SELECT 1 / (i - i) FROM t", "22012").await?;
    standby.kill().await?;
    standby.all_gone().await?;
    assert_eq!(one(&mut idle, "SELECT count(*) FROM t").await?, "1");
    assert!(at_the_primary(&mut idle, &cluster).await?);
    fails(&mut idle, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "25001").await?;
    assert_eq!(status(&idle.query("ROLLBACK").await?), 'I');
    run(&mut writer, "INSERT INTO t VALUES (2)").await?;
    assert_eq!(one(&mut writer, "SELECT count(*) FROM t").await?, "2");
    assert_eq!(status(&writer.query("COMMIT").await?), 'I');
    let frames = ends.query("COMMIT").await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("CZ", 'I'));
    assert!(frames[0].body.starts_with(b"COMMIT"));
    assert_eq!(one(&mut ends, "SELECT count(*) FROM t").await?, "2");
    // One that has failed there has failed still.
    fails(&mut failed, "SELECT 1", "25P02").await?;
    let frames = failed.query("COMMIT").await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("CZ", 'I'));
    assert!(frames[0].body.starts_with(b"ROLLBACK"));
    assert_eq!(one(&mut failed, "SELECT count(*) FROM t").await?, "2");
    Ok(())
}

/// A client with a transaction open at this standby.
async fn at_this_standby(scene: &Scene<'_>, cluster: &Cluster, at: &Node) -> Result<RawClient> {
    // Each goes where less is under way, and so the next one elsewhere.
    let mut others = Vec::new();
    wait_for("it is at the same standby", PATIENCE, async || {
        let mut client = scene.raw().await?;
        let seen = at_a_standby(&mut client, cluster).await?.port();
        if seen == at.port() {
            return Ok(client);
        }
        others.push(client);
        Err(Error::msg("it is at another one"))
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_a_standby_ends_for_its_replay_goes_on_unseen() -> Result<()> {
    let cluster = three().await?;
    for standby in cluster.standbys() {
        standby.set("max_standby_streaming_delay", "10ms")?;
        standby.reload().await?;
    }
    let scene = scene(&cluster, "replay").await?;
    let mut client = scene.raw().await?;
    let standby = at_a_standby(&mut client, &cluster).await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    // It has the table open; the standby waits for no lock.
    scene.node.execute(common::DATABASE, "ALTER TABLE replay.t ADD COLUMN j int").await?;
    wait_for("the standby has ended the transaction", PATIENCE, async || {
        let log = standby.log();
        ensure(log.contains("terminating connection due to conflict with recovery"), "not yet")
    })
    .await?;
    run(&mut client, "INSERT INTO t VALUES (2, 2)").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    assert_eq!(status(&client.query("COMMIT").await?), 'I');
    // An administrator ends it.
    let standby = at_a_standby(&mut client, &cluster).await?;
    standby.cut_connections().await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    assert_eq!(status(&client.query("COMMIT").await?), 'I');
    Ok(())
}

#[tokio::test]
async fn who_gets_no_server_of_the_primary_has_a_failed_transaction() -> Result<()> {
    let cluster = three().await?;
    let config = format!("{ON}\n[pool]\nsize = 2\nwait_timeout = \"2s\"");
    let scene = scene_with(&cluster, "crowded", &config).await?;
    let mut client = scene.raw().await?;
    at_a_standby(&mut client, &cluster).await?;
    let mut holders = Vec::new();
    for _ in 0..2 {
        let mut holder = scene.raw().await?;
        run(&mut holder, "BEGIN READ WRITE").await?;
        holders.push(holder);
    }
    let frames = client.query("INSERT INTO t VALUES (2)").await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("EZ", 'E'));
    let frames = client.exchange(&synced("INSERT INTO t VALUES (2)"), 1).await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("EZ", 'E'));
    run(&mut holders[0], "COMMIT").await?;
    fails(&mut client, "INSERT INTO t VALUES (2)", "25P02").await?;
    let frames = client.query("COMMIT").await?;
    assert!(frames[0].body.starts_with(b"ROLLBACK") && status(&frames) == 'I');
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    Ok(())
}

#[tokio::test]
async fn the_setting_may_change_while_transactions_are_open() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "changing").await?;
    let mut client = scene.raw().await?;
    at_a_standby(&mut client, &cluster).await?;
    let off = ON.replace("until_first_write", "primary");
    scene.reload(&off, "transaction_reads").await?;
    assert!(!at_the_primary(&mut client, &cluster).await?);
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    run(&mut client, "COMMIT").await?;
    on_a_standby(&mut client, &cluster).await?;
    run(&mut client, "BEGIN").await?;
    assert!(at_the_primary(&mut client, &cluster).await?);
    run(&mut client, "COMMIT").await?;
    scene.reload(ON, "transaction_reads").await?;
    at_a_standby(&mut client, &cluster).await?;
    scene.reload(&ON.replace("mode = \"on\"", "mode = \"off\""), "mode").await?;
    run(&mut client, "INSERT INTO t VALUES (3)").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "3");
    run(&mut client, "COMMIT").await?;
    Ok(())
}

/// Numbers by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Sessions at once, each with a counter of its own.
const SESSIONS: u64 = 40;

/// Transactions of each.
const ROUNDS: usize = 25;

/// How they begin.
const BEGINS: [&str; 3] = ["BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL READ COMMITTED"];

/// The one number that a query of one parameter gives, in the extended protocol.
async fn number(client: &mut RawClient, sql: &str, session: u64) -> Result<i64> {
    let value = session.to_string();
    let frames = client.exchange(&say::extended(sql, &[Some(&value)]), 1).await?;
    let row = frames.iter().find(|frame| frame.tag == b'D');
    let row = row.ok_or_else(|| Error::msg(format!("no row in {frames:?}")))?.row()?;
    Ok(row.into_iter().flatten().next().unwrap_or_default().parse()?)
}

/// Carries out transactions by chance. What a session has counted itself is what it finds, and never less than before what
/// all others have.
async fn transactions(client: &mut RawClient, session: u64) -> Result<()> {
    let mut chance = Chance(session);
    let (mut committed, mut seen) = (0_i64, 0_i64);
    for _ in 0..ROUNDS {
        let (mut own, mut saved) = (committed, None);
        let begin = BEGINS.get(usize::try_from(chance.below(3))?).unwrap_or(&"BEGIN");
        run(client, begin).await?;
        for _ in 0..chance.below(7) {
            match (chance.below(10), saved) {
                (0..4, _) => {
                    let sql = "SELECT n FROM counters WHERE i = $1";
                    let found = number(client, sql, session).await?;
                    ensure(found == own, format!("{found} and not {own}"))?;
                }
                (4 | 5, _) => {
                    let sql = "SELECT sum(n) FROM counters WHERE i <> $1 /* all */";
                    let all = number(client, sql, session).await?;
                    ensure(all >= seen, format!("{all} behind {seen}"))?;
                    seen = all;
                }
                (6 | 7, _) => {
                    own += 1;
                    let sql = format!("UPDATE counters SET n = {own} WHERE i = {session}");
                    run(client, &sql).await?;
                }
                (8, _) => {
                    run(client, "SAVEPOINT s").await?;
                    saved = Some(own);
                }
                (_, Some(saved)) => {
                    run(client, "ROLLBACK TO s").await?;
                    own = saved;
                }
                (_, None) => {}
            }
        }
        if chance.below(4) == 0 {
            run(client, "ROLLBACK").await?;
        } else {
            run(client, "COMMIT").await?;
            committed = own;
        }
        let found = number(client, "SELECT n FROM counters WHERE i = $1", session).await?;
        ensure(found == committed, format!("{found} and not {committed}"))?;
    }
    Ok(())
}

/// Sessions at once that carry out transactions by chance, while something happens to the standbys.
async fn of_many_sessions(
    cluster: &Cluster,
    user: &str,
    meanwhile: impl AsyncFnOnce(&Cluster) -> Result<()>,
) -> Result<()> {
    let scene = scene_with(cluster, user, &format!("{ON}\n[pool]\nsize = 10")).await?;
    let mut first = scene.raw().await?;
    run(&mut first, "CREATE TABLE counters AS SELECT i, 0 AS n FROM generate_series(1, 40) AS i")
        .await?;
    on_a_standby(&mut first, cluster).await?;
    let mut sessions = Vec::new();
    for session in 1..=SESSIONS {
        let mut client = scene.raw().await?;
        sessions.push(tokio::spawn(async move { transactions(&mut client, session).await }));
    }
    meanwhile(cluster).await?;
    for session in sessions {
        session.await??;
    }
    for node in cluster.standbys() {
        ensure(node.log().contains("/* all */"), format!("{} has served no read", node.name()))?;
        ensure(!node.log().contains("read-only transaction"), "a write has come to a standby")?;
    }
    Ok(())
}

#[tokio::test]
async fn of_many_sessions_each_finds_what_its_transactions_have_done() -> Result<()> {
    let cluster = three().await?;
    let late = cluster.standby(1)?;
    late.set("recovery_min_apply_delay", "20ms")?;
    late.reload().await?;
    of_many_sessions(&cluster, "many", async |_| Ok(())).await
}

#[tokio::test]
async fn many_sessions_go_on_when_a_standby_dies_and_replay_ends_their_reads() -> Result<()> {
    let cluster = three().await?;
    for standby in cluster.standbys() {
        standby.set("max_standby_streaming_delay", "0")?;
        standby.reload().await?;
    }
    of_many_sessions(&cluster, "survivors", async |cluster| {
        let dying = cluster.standby(1)?;
        wait_for("both standbys serve reads", PATIENCE, async || {
            let serve = |node: &Node| node.log().matches("/* all */").count() > 20;
            ensure(cluster.standbys().iter().all(serve), "not yet")
        })
        .await?;
        for _ in 0..5 {
            // What it locks is locked at the standbys, too, whoever reads there.
            let sql = "BEGIN; LOCK TABLE survivors.counters; COMMIT";
            cluster.primary().execute(common::DATABASE, sql).await?;
        }
        dying.kill().await
    })
    .await
}
