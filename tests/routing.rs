//! Reads go to standbys, all else to the primary, and nobody is shown less than he has seen or done.

mod common;

use common::nodes::{is_primary, mark, on_a_standby, place, three, where_is};
use common::{Scene, backend, by_itself, ensure, fails, one, run};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Node, Result};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

async fn scene<'a>(cluster: &'a Cluster, user: &str, config: &str) -> Result<Scene<'a>> {
    let scene = Scene::operated_before(cluster, user, config).await?;
    cluster.caught_up().await?;
    Ok(scene)
}

#[tokio::test]
async fn reads_are_served_by_standbys_and_all_else_by_the_primary() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "split", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int); INSERT INTO t VALUES (1); CREATE SEQUENCE ticket")
        .await?;
    on_a_standby(&mut client, &cluster).await?;
    // In every way in which a statement comes.
    let (unnamed, named) = (mark(), mark());
    let parse = say::parse("", &format!("SELECT i, '{unnamed} ' FROM t"), &[]);
    let parts = [parse, say::bind("", "", &[]), say::execute("", 0), say::sync()];
    assert_eq!(tags(&client.exchange(&parts.concat(), 1).await?), "12DCZ");
    assert!(!is_primary(where_is(&unnamed, &cluster)?, &cluster));
    let parse = say::parse("s", &format!("SELECT i, '{named} ' FROM t"), &[]);
    let parts = [parse, say::describe_statement("s"), say::sync()];
    assert_eq!(tags(&client.exchange(&parts.concat(), 1).await?), "1tTZ");
    let parts = [say::bind("", "s", &[]), say::execute("", 0), say::sync()];
    assert_eq!(tags(&client.exchange(&parts.concat(), 1).await?), "2DCZ");
    assert!(!is_primary(where_is(&named, &cluster)?, &cluster));
    // A transaction that does not say that it only reads is the primary's.
    run(&mut client, "BEGIN").await?;
    assert!(is_primary(place(&mut client, &cluster).await?, &cluster));
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "2");
    run(&mut client, "COMMIT").await?;
    for sql in [
        "SELECT nextval('ticket')",
        "SELECT i FROM t FOR UPDATE",
        "WITH w AS (INSERT INTO t VALUES (3) RETURNING i) SELECT * FROM w",
        "SELECT pg_is_in_recovery(), i FROM t",
        "SELECT pg_advisory_lock(1), pg_advisory_unlock(1)",
        "SHOW work_mem",
        "SELECT i FROM t; INSERT INTO t VALUES (4)",
    ] {
        on_a_standby(&mut client, &cluster).await?;
        let mark = mark();
        run(&mut client, &format!("{sql} -- {mark} ")).await?;
        assert!(is_primary(where_is(&mark, &cluster)?, &cluster), "{sql}");
    }
    assert_eq!(one(&mut client, "SHOW in_hot_standby").await?, "off");
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_only_reads_is_one_standbys_as_a_whole() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "blocks", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    let standby = on_a_standby(&mut client, &cluster).await?.port();
    run(&mut client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    assert_eq!(place(&mut client, &cluster).await?.port(), standby);
    run(&mut client, "DECLARE c CURSOR FOR SELECT inet_server_port()").await?;
    assert_eq!(one(&mut client, "FETCH c").await?, standby.to_string());
    fails(&mut client, "INSERT INTO t VALUES (1)", "25006").await?;
    fails(&mut client, "SELECT 1", "25P02").await?;
    run(&mut client, "ROLLBACK").await?;
    // What is sent behind its end goes where it belongs.
    let burst = ["BEGIN READ ONLY", "SELECT 1", "COMMIT", "INSERT INTO t VALUES (1)", "SELECT 2"];
    let frames = client.exchange(&burst.map(say::query).concat(), 5).await?;
    assert_eq!(tags(&frames), "CZTDCZCZCZTDCZ");
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    Ok(())
}

#[tokio::test]
async fn what_is_serializable_is_not_even_tried_at_a_standby() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "serial", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    cluster.caught_up().await?;
    on_a_standby(&mut client, &cluster).await?;
    let read = "SELECT count(*) FROM t";
    let alone = async |client: &mut RawClient| -> Result<()> {
        assert_eq!(by_itself(client, read).await?, ["primary", "isolation level"]);
        for _ in 0..3 {
            cluster.caught_up().await?;
            // It would be on two nodes if it had been tried.
            assert!(is_primary(place(client, &cluster).await?, &cluster));
        }
        Ok(())
    };
    run(&mut client, "SET default_transaction_isolation = 'serializable'").await?;
    alone(&mut client).await?;
    run(&mut client, "SET default_transaction_isolation = 'repeatable read'").await?;
    on_a_standby(&mut client, &cluster).await?;
    assert_eq!(by_itself(&mut client, read).await?, ["standby", "read"]);
    let alter = "ALTER ROLE serial SET default_transaction_isolation = 'serializable'";
    scene.node.execute(common::DATABASE, alter).await?;
    let mut other = scene.raw().await?;
    wait_for("it is known that the role has this level", PATIENCE, async || {
        let [_, reason] = by_itself(&mut other, read).await?;
        ensure(reason == "isolation level", reason)
    })
    .await?;
    alone(&mut other).await?;
    // What the session says counts.
    run(&mut other, "SET default_transaction_isolation = 'read committed'").await?;
    on_a_standby(&mut other, &cluster).await?;
    Ok(())
}

#[tokio::test]
async fn savepoints_never_lose_the_node_of_their_transaction() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "saved", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    for (begin, writes) in [("BEGIN", true), ("BEGIN READ ONLY", false)] {
        on_a_standby(&mut client, &cluster).await?;
        run(&mut client, begin).await?;
        if writes {
            run(&mut client, "INSERT INTO t VALUES (1)").await?;
        }
        let count = one(&mut client, "SELECT count(*) FROM t").await?;
        let node = place(&mut client, &cluster).await?.port();
        assert_eq!(node == cluster.primary().port(), writes);
        for _ in 0..2 {
            run(&mut client, "SAVEPOINT a").await?;
            fails(&mut client, "SELECT 1 / (SELECT count(*) - count(*) FROM t)", "22012").await?;
            fails(&mut client, "SELECT 1", "25P02").await?;
            run(&mut client, "ROLLBACK TO a").await?;
            assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, count);
            assert_eq!(place(&mut client, &cluster).await?.port(), node);
            run(&mut client, "RELEASE a").await?;
        }
        run(&mut client, "COMMIT").await?;
    }
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_client_reads_what_it_has_written_although_a_standby_lags() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "own", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    on_a_standby(&mut client, &cluster).await?;
    for standby in cluster.standbys() {
        standby.pause_replay().await?;
    }
    for written in 1..=20 {
        run(&mut client, &format!("INSERT INTO t VALUES ({written})")).await?;
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, written.to_string());
        assert!(is_primary(place(&mut client, &cluster).await?, &cluster));
    }
    // One that has written nothing reads from a standby, and sees what that has.
    let mut other = scene.raw().await?;
    assert!(!is_primary(place(&mut other, &cluster).await?, &cluster));
    assert_eq!(one(&mut other, "SELECT count(*) FROM t").await?, "0");
    for standby in cluster.standbys() {
        standby.resume_replay().await?;
    }
    on_a_standby(&mut client, &cluster).await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "20");
    Ok(())
}

#[tokio::test]
async fn who_reads_from_a_standby_that_goes_away_reads_on_elsewhere() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "gone", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    let standby = on_a_standby(&mut client, &cluster).await?;
    standby.kill().await?;
    for _ in 0..20 {
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "0");
    }
    assert!(backend(&mut client).await? > 0);
    Ok(())
}

#[tokio::test]
async fn what_a_standby_refuses_is_carried_out_by_the_primary_unseen() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "healed", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE SEQUENCE ticket; CREATE TABLE t (i int)").await?;
    // A text does not show what an operator calls.
    run(
        &mut client,
        "CREATE FUNCTION draw(int) RETURNS bigint LANGUAGE sql AS $$SELECT nextval('ticket')$$; \
         CREATE OPERATOR <+> (RIGHTARG = int, FUNCTION = draw)",
    )
    .await?;
    for next in 1..=3 {
        on_a_standby(&mut client, &cluster).await?;
        assert_eq!(one(&mut client, "SELECT <+> 1").await?, next.to_string());
    }
    let count = |node: &Node| node.log().matches("statement: SELECT <+> 1").count();
    let tried: usize = cluster.standbys().iter().map(count).sum();
    assert_eq!(tried, 1, "a standby was asked once, and then it was known");
    // A server that gets the settings of its client just before is no other one.
    let mut other = scene.raw().await?;
    run(&mut other, "SET work_mem = '5MB'").await?;
    on_a_standby(&mut other, &cluster).await?;
    run(&mut client, "SELECT 1").await?;
    assert_eq!(one(&mut other, "SELECT <+> 1 AS again").await?, "4");
    let parse = say::parse("s", "SELECT <+> $1", &[]);
    let parts = [parse, say::bind("", "s", &[Some("1")]), say::execute("", 0), say::sync()];
    on_a_standby(&mut client, &cluster).await?;
    let frames = client.exchange(&parts.concat(), 1).await?;
    assert_eq!(tags(&frames), "12DCZ");
    assert_eq!(frames[2].row()?, [Some("5".to_owned())]);
    // What its own mistakes are, it is told.
    on_a_standby(&mut client, &cluster).await?;
    fails(&mut client, "SELECT 1 / (i - i) FROM (VALUES (1)) AS v (i)", "22012").await?;
    fails(&mut client, "SELECT nothing FROM t", "42703").await?;
    // A column that the standbys do not have yet, and of which no text of a client has told.
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut reader = scene.raw().await?;
        on_a_standby(&mut reader, &cluster).await?;
        readers.push(reader);
    }
    for standby in cluster.standbys() {
        standby.pause_replay().await?;
    }
    let late =
        "ALTER TABLE healed.t ADD COLUMN late int DEFAULT 7; INSERT INTO healed.t VALUES (1)";
    scene.node.execute(common::DATABASE, late).await?;
    for reader in &mut readers {
        assert_eq!(one(reader, "SELECT late FROM t").await?, "7");
    }
    Ok(())
}

/// The route and the reason that `EXPLAIN ROUTE` tells, and what is behind that.
async fn explained(client: &mut RawClient, sql: &str) -> Result<Vec<String>> {
    let rows = client.rows(&format!("EXPLAIN ROUTE {sql}")).await?;
    let line = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(": ");
    Ok(rows.into_iter().map(line).collect())
}

#[tokio::test]
async fn a_client_may_ask_where_a_statement_goes() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "asking", ON).await?;
    let mut client = scene.raw().await?;
    run(
        &mut client,
        "CREATE TABLE t (i int); CREATE SEQUENCE ticket; \
         CREATE VIEW numbered AS SELECT nextval('ticket') AS n, i FROM t",
    )
    .await?;
    on_a_standby(&mut client, &cluster).await?;
    for (sql, route, reason) in [
        ("SELECT count(*) FROM t", "standby", "read"),
        ("SELECT * FROM numbered", "primary", "view sequence function"),
        ("UPDATE t SET i = 1", "primary", "write"),
        ("/* trunkline:primary */ SELECT 1", "primary", "hint"),
        ("/* trunkline:primary */ UPDATE t SET i = 1", "primary", "write"),
    ] {
        let told = explained(&mut client, sql).await?;
        assert_eq!(told[..2], [format!("route: {route}"), format!("reason: {reason}")], "{sql}");
        let step = "because of: sequence function pg_catalog.nextval".to_owned();
        assert_eq!(told.contains(&step), reason.starts_with("view"), "{told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_session_keeps_at_a_standby_stays_there_until_it_is_gone() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "keeping", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int); INSERT INTO t VALUES (1), (2)").await?;
    let standby = on_a_standby(&mut client, &cluster).await?.port();
    run(&mut client, "BEGIN READ ONLY").await?;
    run(&mut client, "DECLARE c CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i").await?;
    run(&mut client, "COMMIT").await?;
    assert_eq!(one(&mut client, "FETCH c").await?, "1");
    assert_eq!(one(&mut client, "SELECT inet_server_port()").await?, standby.to_string());
    fails(&mut client, "INSERT INTO t VALUES (3)", "25006").await?;
    assert_eq!(one(&mut client, "FETCH c").await?, "2");
    run(&mut client, "CLOSE c").await?;
    wait_for("it goes to the primary again", PATIENCE, async || {
        client.query("INSERT INTO t VALUES (3)").await.map(drop)
    })
    .await?;
    let primary = cluster.primary().port().to_string();
    assert_eq!(one(&mut client, "SELECT inet_server_port()").await?, primary);
    Ok(())
}

/// Sessions that read what they have written, at once.
const SESSIONS: usize = 40;

#[tokio::test]
async fn of_many_sessions_each_finds_its_writes_and_never_sees_less_than_before() -> Result<()> {
    let cluster = three().await?;
    let late = cluster.standby(1)?;
    late.set("recovery_min_apply_delay", "150ms")?;
    late.reload().await?;
    let config = format!("{ON}\n[pool]\nsize = 10");
    let scene = scene(&cluster, "many", &config).await?;
    let mut first = scene.raw().await?;
    run(&mut first, "CREATE TABLE counters AS SELECT i, 0 AS n FROM generate_series(1, 40) AS i")
        .await?;
    on_a_standby(&mut first, &cluster).await?;
    let mut sessions = Vec::new();
    for session in 1..=SESSIONS {
        let mut client = scene.raw().await?;
        sessions.push(tokio::spawn(async move {
            for round in 1..=15 {
                run(&mut client, &format!("UPDATE counters SET n = {round} WHERE i = {session}"))
                    .await?;
                let mut total = 0_i64;
                for _ in 0..8 {
                    let own = format!("SELECT n FROM counters WHERE i = {session}");
                    ensure(
                        one(&mut client, &own).await? == round.to_string(),
                        "its own write is missing",
                    )?;
                    let sum: i64 =
                        one(&mut client, "SELECT sum(n) FROM counters /* sum */").await?.parse()?;
                    ensure(sum >= total, format!("{sum} behind {total}"))?;
                    total = sum;
                    tokio::task::yield_now().await;
                }
            }
            Ok::<_, Error>(())
        }));
    }
    for session in sessions {
        session.await??;
    }
    let reads = |node: &Node| node.log().matches("/* sum */").count();
    let at_standbys: usize = cluster.standbys().iter().map(reads).sum();
    ensure(at_standbys > 0, "no standby has served a read")
}
