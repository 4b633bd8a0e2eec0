//! Reads find what their sessions have done and seen, whichever node serves them.

#[path = "reading/checker.rs"]
mod checker;
mod common;
mod reading;

use std::time::Duration;

use checker::{Plan, check};
use common::{DATABASE, ensure, one, run};
use reading::{ON, PLACE, at_level, cluster, delay, on_a_standby, pause, place, resume, scene};
use tokio::time::Instant;
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Cluster, Error, Result};

/// Names the number of pairs of a write and a read; `scripts/test --long` sets it.
const PAIRS: &str = "TRUNKLINE_TEST_PAIRS";

/// Names the seed of a run that is to be repeated.
const SEED: &str = "TRUNKLINE_TEST_SEED";

/// So many of them otherwise.
const PAIRS_SHORT: usize = 3000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Many sessions write and read, in every protocol, while one standby stops to replay, the other one lags, or both
/// at once.
#[tokio::test]
async fn no_read_is_stale_and_none_sees_less_than_the_one_before() -> Result<()> {
    let pairs = number(PAIRS).and_then(|pairs| usize::try_from(pairs).ok()).unwrap_or(PAIRS_SHORT);
    let seed = number(SEED).unwrap_or_else(|| u64::from(std::process::id()));
    let cluster = cluster().await?;
    let scene = scene(&cluster, "checked", &format!("{ON}[pool]\nsize = 20\n")).await?;
    let plan = Plan { tasks: 20, sessions: 10, pairs, seed };
    checker::show(&format!("{plan:?}; {SEED} repeats it"));
    let counts = check(&cluster, &scene, plan).await?;
    checker::show(&format!("{counts:?}"));
    ensure(counts.pairs >= pairs, format!("{counts:?}"))?;
    ensure(counts.after_write_at_standbys * 100 >= counts.after_write * 30, format!("{counts:?}"))?;
    ensure(counts.others_at_standbys * 100 >= counts.others * 80, format!("{counts:?}"))
}

/// So many times in a row a session that reads all the time is served by the primary at most.
const READS_MAX: usize = 5000;

#[tokio::test]
async fn a_session_that_reads_without_a_pause_gets_away_from_the_primary() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "hasty", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t AS SELECT 0 AS n").await?;
    on_a_standby(&mut client, &cluster).await?;
    for written in 1..=3 {
        run(&mut client, &format!("UPDATE t SET n = {written}")).await?;
        let mut reads = 0;
        while place(&mut client, &cluster).await? == 0 {
            reads += 1;
            ensure(reads < READS_MAX, "it stays there")?;
        }
        assert_eq!(one(&mut client, "SELECT n FROM t").await?, written.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn at_level_cluster_a_read_finds_what_others_have_been_told_is_done() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "everyone", &at_level("cluster")).await?;
    let (mut writer, mut reader) = (scene.raw().await?, scene.raw().await?);
    run(&mut writer, "CREATE TABLE t AS SELECT 0 AS n").await?;
    on_a_standby(&mut reader, &cluster).await?;
    pause(&cluster).await?;
    for written in 1..=20 {
        run(&mut writer, &format!("UPDATE t SET n = {written}")).await?;
        assert_eq!(one(&mut reader, "SELECT n FROM t").await?, written.to_string());
    }
    run(&mut writer, "BEGIN").await?;
    run(&mut writer, "UPDATE t SET n = 21").await?;
    run(&mut writer, "COMMIT").await?;
    let mut newcomer = scene.raw().await?;
    assert_eq!(one(&mut newcomer, "SELECT n FROM t").await?, "21");
    resume(&cluster).await?;
    // Sessions that only read on the primary meanwhile keep nobody from standbys.
    for client in [&mut newcomer, &mut reader, &mut writer] {
        on_a_standby(client, &cluster).await?;
        assert_eq!(one(client, "SELECT n FROM t").await?, "21");
    }
    Ok(())
}

#[tokio::test]
async fn at_level_session_others_are_not_waited_for_and_at_level_off_nobody_is() -> Result<()> {
    let cluster = cluster().await?;
    let config = format!(
        "{ON}[databases.postgres]\n[databases.loose]\ndbname = \"postgres\"\nread_after_write = \"off\"\n"
    );
    let scene = scene(&cluster, "levels", &config).await?;
    let (mut writer, mut reader) = (scene.raw().await?, scene.raw().await?);
    let mut loose = scene.trunkline.raw(&scene.user, common::PASSWORD, "loose").await?;
    run(&mut writer, "CREATE TABLE t AS SELECT 0 AS n").await?;
    cluster.caught_up().await?;
    for client in [&mut writer, &mut reader, &mut loose] {
        on_a_standby(client, &cluster).await?;
    }
    pause(&cluster).await?;
    run(&mut writer, "UPDATE t SET n = 1").await?;
    assert_eq!(one(&mut writer, "SELECT n FROM t").await?, "1");
    assert_eq!(one(&mut reader, "SELECT n FROM t").await?, "0");
    run(&mut loose, "UPDATE t SET n = 2").await?;
    assert_eq!(one(&mut loose, "SELECT n FROM t").await?, "0");
    // Another level holds from the next read on.
    let strict = config.replace("read_after_write = \"off\"", "read_after_write = \"session\"");
    scene.reload(&strict, "databases.loose.read_after_write").await?;
    wait_for("its own write is found", PATIENCE, async || {
        let seen = one(&mut loose, "SELECT n FROM t").await?;
        ensure(seen == "2", seen)
    })
    .await?;
    resume(&cluster).await
}

#[tokio::test]
async fn what_was_done_before_routing_was_switched_on_is_found() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "switched", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t AS SELECT 0 AS n").await?;
    on_a_standby(&mut client, &cluster).await?;
    scene.reload(&ON.replace("\"on\"", "\"off\""), "routing.mode").await?;
    wait_for("all goes to the primary", PATIENCE, async || {
        ensure(place(&mut client, &cluster).await? == 0, "it is served by a standby")
    })
    .await?;
    pause(&cluster).await?;
    run(&mut client, "UPDATE t SET n = 1").await?;
    scene.trunkline.reload(ON)?;
    wait_for("a session that comes anew is served by a standby", PATIENCE, async || {
        let mut newcomer = scene.raw().await?;
        assert_eq!(one(&mut client, "SELECT n FROM t").await?, "1");
        ensure(place(&mut newcomer, &cluster).await? > 0, "it is served by the primary")
    })
    .await?;
    assert_eq!(one(&mut client, "SELECT n FROM t").await?, "1");
    resume(&cluster).await?;
    on_a_standby(&mut client, &cluster).await?;
    Ok(())
}

#[tokio::test]
async fn who_is_notified_finds_what_was_done_before() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "notified", ON).await?;
    let (mut writer, mut listener) = (scene.raw().await?, scene.raw().await?);
    run(&mut writer, "CREATE TABLE t AS SELECT 0 AS n").await?;
    run(&mut listener, "LISTEN news").await?;
    on_a_standby(&mut listener, &cluster).await?;
    pause(&cluster).await?;
    for told in 1..=20 {
        // By one that does not come through Trunkline, too.
        let sql = format!("UPDATE notified.t SET n = {told}; NOTIFY news, '{told}'");
        if told % 2 == 0 {
            cluster.primary().execute(DATABASE, &sql).await?;
        } else {
            run(&mut writer, &sql).await?;
        }
        listener.expect(b'A').await?;
        assert_eq!(one(&mut listener, "SELECT n FROM t").await?, told.to_string());
        if told % 5 == 0 {
            resume(&cluster).await?;
            on_a_standby(&mut listener, &cluster).await?;
            pause(&cluster).await?;
        }
    }
    resume(&cluster).await
}

#[tokio::test]
async fn a_change_of_the_catalog_is_found_by_every_session_of_the_database() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "changed", ON).await?;
    let mut owner = scene.raw().await?;
    run(&mut owner, "CREATE TABLE t AS SELECT 0 AS n; CREATE VIEW v AS SELECT 0 AS n").await?;
    let mut readers = scene.crowd(6).await?;
    for reader in &mut readers {
        on_a_standby(reader, &cluster).await?;
    }
    for round in 1..=5 {
        pause(&cluster).await?;
        run(&mut owner, &format!("CREATE TABLE t{round} AS SELECT {round} AS n")).await?;
        run(&mut owner, &format!("ALTER TABLE t ADD COLUMN c{round} int DEFAULT {round}")).await?;
        run(
            &mut owner,
            &format!("CREATE FUNCTION f{round}() RETURNS int IMMUTABLE RETURN {round}"),
        )
        .await?;
        // What there was before gives no error on a standby that does not have the change.
        run(&mut owner, &format!("CREATE OR REPLACE VIEW v AS SELECT {round} AS n")).await?;
        for reader in &mut readers {
            for sql in [
                "SELECT n FROM v".to_owned(),
                format!("SELECT n FROM t{round}"),
                format!("SELECT c{round} FROM t"),
                format!("SELECT f{round}()"),
            ] {
                assert_eq!(one(reader, &sql).await?, round.to_string(), "{sql}");
            }
        }
        resume(&cluster).await?;
        for reader in &mut readers {
            on_a_standby(reader, &cluster).await?;
        }
    }
    Ok(())
}

/// What the session sees of the counter.
async fn counter(client: &mut RawClient) -> Result<i64> {
    Ok(one(client, "SELECT n FROM t").await?.parse()?)
}

#[tokio::test]
async fn a_counter_never_goes_down_while_two_standbys_lag_by_turns() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "turns", ON).await?;
    let mut writer = scene.raw().await?;
    run(&mut writer, "CREATE TABLE t AS SELECT 0 AS n").await?;
    let mut readers = scene.crowd(10).await?;
    let mut seen = vec![0; readers.len()];
    for round in 0..30 {
        let late = cluster.standby(round % 2)?;
        late.pause_replay().await?;
        run(&mut writer, "UPDATE t SET n = n + 1").await?;
        for (reader, seen) in readers.iter_mut().zip(&mut seen) {
            for _ in 0..3 {
                let now = counter(reader).await?;
                ensure(now >= *seen, format!("{now} behind {seen} in round {round}"))?;
                *seen = now;
            }
        }
        late.resume_replay().await?;
    }
    for reader in &mut readers {
        on_a_standby(reader, &cluster).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_that_has_started_again_shows_nobody_less_than_before() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "again", ON).await?;
    let (mut writer, mut reader) = (scene.raw().await?, scene.raw().await?);
    run(&mut writer, "CREATE TABLE t AS SELECT 0 AS n").await?;
    cluster.primary().execute(DATABASE, "CHECKPOINT").await?;
    cluster.caught_up().await?;
    for standby in cluster.standbys() {
        standby.execute(DATABASE, "CHECKPOINT").await?;
    }
    // The catalog is read before: whoever goes by it finds all that was there then.
    on_a_standby(&mut reader, &cluster).await?;
    run(&mut writer, "UPDATE t SET n = 1").await?;
    cluster.caught_up().await?;
    let served_by = on_a_standby(&mut reader, &cluster).await?;
    wait_for("it sees the write", PATIENCE, async || {
        ensure(counter(&mut reader).await? == 1, "it does not")
    })
    .await?;
    // It has shown what it does not remember, and is in no hurry to replay it again.
    let standby = &cluster.nodes()[served_by];
    delay(standby, "1h").await?;
    standby.kill().await?;
    standby.start().await?;
    assert_eq!(standby.query_text(DATABASE, "SELECT n FROM again.t").await?, "0");
    wait_for("connections are made to it again", PATIENCE, async || {
        assert_eq!(counter(&mut reader).await?, 1);
        let mut newcomer = scene.raw().await?;
        let place = place(&mut newcomer, &cluster).await?;
        ensure(place == served_by, format!("a newcomer is served by {place}"))
    })
    .await?;
    for _ in 0..20 {
        assert_eq!(counter(&mut reader).await?, 1);
    }
    Ok(())
}

/// Between two writes of a session.
const WRITE_EVERY: Duration = Duration::from_millis(200);

/// Reads between them.
const READS: u32 = 20;

/// A standby has had time to replay a write that is so old.
const SETTLED: Duration = Duration::from_millis(50);

/// What a session that writes now and then has seen: reads of settled writes, and how many of them standbys have served.
async fn now_and_then(
    client: &mut RawClient,
    cluster: &Cluster,
    (rounds, row): (u32, usize),
) -> Result<(u32, u32)> {
    let (mut settled, mut at_standbys) = (0, 0);
    let mut ticks = tokio::time::interval(WRITE_EVERY / READS);
    for written in 1..=rounds {
        run(client, &format!("UPDATE counters SET n = {written} WHERE i = {row}")).await?;
        let wrote_at = Instant::now();
        for _ in 0..READS {
            ticks.tick().await;
            let is_settled = wrote_at.elapsed() > SETTLED;
            let sql = format!("SELECT n, {PLACE} FROM counters WHERE i = {row}");
            let rows = client.rows(&sql).await?;
            let [Some(own), Some(port)] = rows.first().map_or(&[][..], |row| row) else {
                return Err(Error::msg(format!("{rows:?}")));
            };
            ensure(*own == written.to_string(), format!("row {row}: {own} for {written}"))?;
            settled += u32::from(is_settled);
            at_standbys += u32::from(is_settled && reading::number(cluster, port)? > 0);
        }
    }
    Ok((settled, at_standbys))
}

/// How many reads standbys serve is a matter of time here, so it counts only in a run that is long enough to even out what else
/// the machine does.
#[tokio::test]
async fn sessions_that_write_now_and_then_read_from_standbys_in_between() -> Result<()> {
    let is_long = number(PAIRS).is_some();
    let cluster = cluster().await?;
    let scene = scene(&cluster, "between", ON).await?;
    let mut clients = scene.crowd(10).await?;
    run(
        &mut clients[0],
        "CREATE TABLE counters AS SELECT i, 0 AS n FROM generate_series(0, 9) AS i",
    )
    .await?;
    on_a_standby(&mut clients[0], &cluster).await?;
    let rounds = if is_long { 100 } else { 5 };
    let each = clients.iter_mut().enumerate();
    let each = each.map(|(row, client)| now_and_then(client, &cluster, (rounds, row)));
    let counts = futures_util::future::try_join_all(each).await?;
    let sum = |part: fn(&(u32, u32)) -> u32| counts.iter().map(part).sum::<u32>();
    let (settled, at_standbys) = (sum(|it| it.0), sum(|it| it.1));
    checker::show(&format!(
        "of {settled} reads of settled writes standbys have served {at_standbys}"
    ));
    ensure(!is_long || at_standbys * 10 >= settled * 9, "too few of them")
}
