//! An operator can ask of any statement where it goes and why, and see afterwards where statements went.

mod common;

use common::{Scene, ensure, error_in, fails, one, run, shown, words};
use tokio::sync::OnceCell;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Result};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";
const OFF: &str = "[routing]\nmode = \"off\"\n[cluster]\nprobe_interval = \"100ms\"";
const SHADOW: &str = "[routing]\nmode = \"shadow\"\n[cluster]\nprobe_interval = \"100ms\"";

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// A primary and a standby, for tests that do no harm to them.
async fn calm() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(cluster).await
}

async fn cluster() -> Result<Cluster> {
    Cluster::builder().standbys(1).setting("max_connections", 100).start().await
}

/// Rows of `EXPLAIN ROUTE`, each as a line.
fn lines(frames: &[Frame]) -> Result<Vec<String>> {
    let rows = frames.iter().filter(|frame| frame.tag == b'D');
    let line = |frame: &Frame| {
        let cells: Vec<String> = frame.row()?.into_iter().flatten().collect();
        Ok(cells.join(": "))
    };
    rows.map(line).collect()
}

async fn explained(client: &mut RawClient, sql: &str) -> Result<Vec<String>> {
    let frames = client.query(&format!("EXPLAIN ROUTE {sql}")).await?;
    let seen = tags(&frames);
    ensure(seen.starts_with("TDD") && seen.ends_with("DCZ"), format!("{frames:?}"))?;
    lines(&frames)
}

/// The value of a line.
fn value<'a>(lines: &'a [String], what: &str) -> Result<&'a str> {
    let head = format!("{what}: ");
    let line = lines.iter().find_map(|line| line.strip_prefix(&head));
    line.ok_or_else(|| Error::msg(format!("no {what} in {lines:#?}")))
}

/// Waits until a read of the client would go there for that reason.
async fn goes(client: &mut RawClient, sql: &str, route: &str) -> Result<Vec<String>> {
    wait_for(&format!("{sql} goes to: {route}"), PATIENCE, async || {
        let told = explained(client, sql).await?;
        let now = format!("{}: {}", value(&told, "route")?, value(&told, "reason")?);
        ensure(now == route, format!("{told:#?}"))?;
        Ok(told)
    })
    .await
}

/// A row of `SHOW ROUTES`: its count.
async fn counted(scene: &Scene<'_>, mode: &str, route: &str, reason: &str) -> Result<u64> {
    let operator = scene.console().await?;
    let mut columns = Vec::new();
    for column in ["mode", "route", "reason", "count"] {
        columns.push(shown(&operator, "SHOW ROUTES", column).await?);
    }
    let [modes, routes, reasons, counts] = &columns[..] else { return Ok(0) };
    let rows = modes.iter().zip(routes).zip(reasons).zip(counts);
    let mut found = rows.filter(|(((m, r), w), _)| *m == mode && *r == route && *w == reason);
    Ok(found.next().map_or(Ok(0), |(_, count)| count.parse())?)
}

async fn scene(cluster: &'static Cluster, user: &str, config: &str) -> Result<Scene<'static>> {
    Scene::operated_before(cluster, user, config).await
}

#[tokio::test]
async fn the_lines_are_the_same_for_every_statement_and_stand_in_order() -> Result<()> {
    let scene = scene(calm().await?, "lines", ON).await?;
    let mut client = scene.raw().await?;
    let read = goes(
        &mut client,
        "SELECT relname FROM pg_class WHERE lower(relname) = 'x'",
        "standby: read",
    )
    .await?;
    let heads: Vec<&str> = read.iter().filter_map(|line| line.split(": ").next()).collect();
    let expected = [
        "route",
        "reason",
        "node",
        "mode",
        "asked",
        "by itself",
        "class",
        "hint",
        "relations",
        "calls",
        "path",
        "primary primary",
        "standby standby1",
    ];
    assert_eq!(heads, expected);
    let expected = [
        "route: standby",
        "reason: read",
        "node: standby1",
        "mode: on",
        "asked: any",
        "by itself: standby: read",
        "class: read",
        "hint: ",
        "relations: pg_class",
        "calls: lower/1",
    ];
    assert_eq!(read[..10], expected);
    assert!(
        value(&read, "standby standby1")?
            .starts_with("fit, 0 bytes and 0.0 ms behind, floor reached"),
        "{read:#?}"
    );
    assert!(value(&read, "primary primary")?.ends_with(" busy"), "{read:#?}");
    let write = explained(&mut client, "/* trunkline:standby */ DELETE FROM pg_class").await?;
    assert_eq!(write[0..2], ["route: primary", "reason: write"]);
    assert_eq!(value(&write, "node")?, "primary");
    assert_eq!(value(&write, "hint")?, "standby");
    assert_eq!(value(&write, "by itself")?, "primary: write");
    let begin = explained(&mut client, "BEGIN READ ONLY").await?;
    assert_eq!(begin[0..2], ["route: standby", "reason: read-only transaction"]);
    let both = explained(&mut client, "SELECT 1; DROP TABLE x").await?;
    assert_eq!(both[0..2], ["route: primary", "reason: ddl"]);
    let odd = explained(&mut client, "FROBNICATE 'x").await?;
    assert_eq!(odd[0..2], ["route: primary", "reason: not understood"]);
    let long = explained(&mut client, &format!("SELECT '{}'", "x".repeat(40_000))).await?;
    assert_eq!(long[1], "reason: too long, or in another encoding than UTF-8");
    let studied = format!("SELECT '{}'", "x".repeat(9_000));
    assert_eq!(explained(&mut client, &studied).await?[1], "reason: being judged");
    goes(&mut client, &studied, "standby: read").await?;
    run(&mut client, "SET trunkline.route = 'primary'").await?;
    let set = explained(&mut client, "SELECT 1").await?;
    assert_eq!(set[..2], ["route: primary", "reason: setting"]);
    assert_eq!(value(&set, "asked")?, "primary, by trunkline.route");
    run(&mut client, "RESET trunkline.route").await?;
    Ok(())
}

#[tokio::test]
async fn without_a_statement_it_is_an_error_and_what_only_looks_like_it_is_postgresqls()
-> Result<()> {
    let scene = scene(calm().await?, "empty", ON).await?;
    let mut client = scene.raw().await?;
    for nothing in ["", " ", ";", "/* SELECT 1 */ ;"] {
        let error = fails(&mut client, &format!("EXPLAIN ROUTE {nothing}"), "42601").await?;
        assert!(words(&error).starts_with("EXPLAIN ROUTE needs a statement"), "{error:?}");
    }
    // What only looks like it is PostgreSQL's.
    fails(&mut client, "EXPLAIN ROUTES SELECT 1", "42601").await?;
    assert!(one(&mut client, "EXPLAIN SELECT 1").await?.starts_with("Result"));
    Ok(())
}

#[tokio::test]
async fn it_is_answered_by_messages_of_the_extended_protocol_as_drivers_send_them() -> Result<()> {
    let scene = scene(calm().await?, "extended", ON).await?;
    let mut client = scene.raw().await?;
    goes(&mut client, "SELECT 1", "standby: read").await?;
    let read = "explain  route\tSELECT $1::text, $2";
    for in_transaction in [false, true] {
        let (begin, status) = if in_transaction { ("BEGIN", 'T') } else { ("SELECT 1", 'I') };
        run(&mut client, begin).await?;
        // All at once.
        let all = [say::parse("", read, &[23]), say::bind("", "", &[Some("1"), None])];
        let all = [all.concat(), say::describe_portal("").to_vec(), say::execute("", 0).to_vec()];
        let frames = client.exchange(&[all.concat(), say::sync().to_vec()].concat(), 1).await?;
        assert_eq!(tags(&frames).replace('D', ""), "12TCZ");
        assert_eq!(frames.last().and_then(Frame::status), Some(status));
        let told = lines(&frames)?;
        let reason = if in_transaction { "reason: in a transaction" } else { "reason: read" };
        assert_eq!(told[1], reason, "{told:#?}");
        assert_eq!(value(&told, "by itself")?, "standby: read");
        // Prepared by name, described, used twice, and closed.
        let prepare = [say::parse("s", read, &[23]), say::describe_statement("s"), say::sync()];
        let frames = client.exchange(&prepare.concat(), 1).await?;
        assert_eq!(tags(&frames), "1tTZ");
        assert_eq!(frames[1].body[..], [0, 2, 0, 0, 0, 23, 0, 0, 0, 25], "an int and a text");
        for _ in 0..2 {
            let run =
                [say::bind("", "s", &[Some("1"), Some("2")]), say::execute("", 0), say::sync()];
            let frames = client.exchange(&run.concat(), 1).await?;
            assert_eq!(tags(&frames).replace('D', ""), "2CZ");
            assert_eq!(lines(&frames)?, told);
        }
        let again = [say::parse("s", read, &[]), say::sync()].concat();
        let frames = client.exchange(&again, 1).await?;
        if in_transaction {
            assert_eq!(frames.last().and_then(Frame::status), Some('T'));
        }
        error_in(&frames, "42P05")?;
        let close = [say::close_statement("s"), say::sync()].concat();
        assert_eq!(tags(&client.exchange(&close, 1).await?), "3Z");
        run(&mut client, if in_transaction { "COMMIT" } else { "SELECT 1" }).await?;
    }
    let gone = [say::bind("", "s", &[]), say::sync()].concat();
    error_in(&client.exchange(&gone, 1).await?, "26000")?;
    // Prepared without a name, and used behind a Sync; a statement in its place is the client's own again.
    let prepare = [say::parse("", "EXPLAIN ROUTE SELECT 1", &[]), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&prepare, 1).await?), "1Z");
    let use_it = [say::bind("", "", &[]), say::execute("", 0), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&use_it, 1).await?).replace('D', ""), "2CZ");
    let prepare = [say::parse("", "SELECT 7", &[]), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&prepare, 1).await?), "1Z");
    assert_eq!(tags(&client.exchange(&use_it, 1).await?), "2DCZ");
    // An error ends its group and nothing else.
    let empty =
        [say::parse("", "EXPLAIN ROUTE ;", &[]), say::bind("", "", &[]), say::execute("", 0)];
    let frames = client.exchange(&[empty.concat(), say::sync().to_vec()].concat(), 1).await?;
    assert_eq!(tags(&frames), "EZ");
    error_in(&frames, "42601")?;
    // Before other statements of its group, and as a part of a pipeline.
    let group = [
        say::parse("", "EXPLAIN ROUTE SELECT 1", &[]),
        say::bind("", "", &[]),
        say::execute("", 0),
        say::parse("", "SELECT 5", &[]),
        say::bind("", "", &[]),
        say::execute("", 0),
        say::sync(),
        say::query("EXPLAIN ROUTE SELECT 2"),
        say::query("SELECT 6"),
        say::query("EXPLAIN ROUTE SELECT 3"),
    ];
    let frames = client.exchange(&group.concat(), 4).await?;
    let seen = tags(&frames);
    let parts: Vec<String> = seen.split('C').map(|part| part.replace('D', "")).collect();
    assert_eq!(parts, ["12", "12", "ZT", "ZT", "ZT", "Z"], "{seen}");
    Ok(())
}

#[tokio::test]
async fn messages_may_come_in_pieces() -> Result<()> {
    let scene = scene(calm().await?, "pieces", ON).await?;
    let mut client = scene.raw().await?;
    goes(&mut client, "SELECT 1", "standby: read").await?;
    let query = say::query("EXPLAIN ROUTE SELECT 1").to_vec();
    let extended = say::extended("EXPLAIN ROUTE SELECT 1", &[]).to_vec();
    for begin in ["SELECT 1", "BEGIN"] {
        run(&mut client, begin).await?;
        for message in [&query, &extended] {
            let whole = client.exchange(message, 1).await?;
            for cut in (1..message.len()).step_by(3) {
                client.send(&message[..cut]).await?;
                tokio::task::yield_now().await;
                assert_eq!(client.exchange(&message[cut..], 1).await?, whole, "cut at {cut}");
            }
        }
    }
    run(&mut client, "ROLLBACK").await
}

#[tokio::test]
async fn in_a_transaction_it_says_where_that_stays_and_leaves_it_as_it_is() -> Result<()> {
    let scene = scene(calm().await?, "inside", ON).await?;
    let mut client = scene.raw().await?;
    goes(&mut client, "SELECT 1", "standby: read").await?;
    run(&mut client, "BEGIN").await?;
    let frames = client.query("EXPLAIN ROUTE SELECT 1").await?;
    assert_eq!(frames.last().and_then(Frame::status), Some('T'));
    let told = lines(&frames)?;
    assert_eq!(told[..3], ["route: primary", "reason: in a transaction", "node: primary"]);
    fails(&mut client, "SELECT 1 / 0", "22012").await?;
    let frames = client.query("EXPLAIN ROUTE SELECT 1").await?;
    assert_eq!((tags(&frames), frames.last().and_then(Frame::status)), ("EZ".into(), Some('E')));
    error_in(&frames, "25P02")?;
    let frames = client.exchange(&say::extended("EXPLAIN ROUTE SELECT 1", &[]), 1).await?;
    assert_eq!((tags(&frames), frames.last().and_then(Frame::status)), ("EZ".into(), Some('E')));
    run(&mut client, "ROLLBACK").await?;
    // It waits for the answers to what was sent before it.
    let mut pipeline: Vec<_> =
        ["BEGIN", "SELECT 1", "EXPLAIN ROUTE SELECT 1"].map(say::query).into();
    pipeline.push(say::extended("SELECT 2", &[]));
    pipeline.push(say::extended("EXPLAIN ROUTE SELECT 2", &[]));
    pipeline.extend(["EXPLAIN ROUTE SELECT 3", "ROLLBACK"].map(say::query));
    let frames = client.exchange(&pipeline.concat(), 7).await?;
    let seen = tags(&frames);
    let parts: Vec<String> = seen.split('Z').map(|part| part.replace('D', "")).collect();
    assert_eq!(parts, ["C", "TC", "TC", "12TC", "12TC", "TC", "C", ""], "{seen}");
    goes(&mut client, "SELECT 1", "standby: read").await?;
    run(&mut client, "BEGIN READ ONLY").await?;
    goes(&mut client, "DELETE FROM pg_class", "standby: in a transaction").await?;
    run(&mut client, "COMMIT").await?;
    // A session that keeps its server.
    run(&mut client, "CREATE TEMP TABLE kept (i int)").await?;
    goes(&mut client, "SELECT 1", "primary: kept by the session").await?;
    run(&mut client, "DISCARD ALL").await?;
    goes(&mut client, "SELECT 1", "standby: read").await.map(drop)
}

#[tokio::test]
async fn with_routing_off_it_says_where_a_statement_would_go() -> Result<()> {
    let scene = scene(calm().await?, "off", OFF).await?;
    let mut client = scene.raw().await?;
    let told = goes(&mut client, "SELECT 1", "standby: read").await?;
    assert_eq!(value(&told, "mode")?, "off: with \"on\" this is where it would go");
    assert_eq!(explained(&mut client, "DELETE FROM pg_class").await?[1], "reason: write");
    goes(&mut client, "BEGIN READ ONLY", "standby: read-only transaction").await?;
    goes(&mut client, "/* trunkline:primary */ BEGIN READ ONLY", "primary: hint").await?;
    // The client has given its server back.
    let mut others = scene.crowd(2).await?;
    common::run_each(&mut others, "SELECT 1").await?;
    wait_for("nobody holds a server", PATIENCE, async || {
        let linked = shown(&scene.console().await?, "SHOW POOLS", "cl_linked").await?;
        ensure(linked.iter().all(|count| count == "0"), format!("{linked:?}"))
    })
    .await?;
    assert_eq!(counted(&scene, "on", "standby", "read").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_a_session_has_written_shows_as_a_floor_that_a_standby_has_not_reached() -> Result<()>
{
    let cluster = cluster().await?;
    let scene = Scene::operated_before(&cluster, "floors", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    goes(&mut client, "SELECT i FROM t", "standby: read").await?;
    cluster.standby(0)?.pause_replay().await?;
    run(&mut client, "INSERT INTO t VALUES (1)").await?;
    let told = goes(&mut client, "SELECT i FROM t", "primary: floor not reached").await?;
    assert_eq!(value(&told, "by itself")?, "standby: read");
    assert!(value(&told, "standby standby1")?.contains("floor not reached"), "{told:#?}");
    run(&mut client, "SELECT i FROM t").await?;
    wait_for("it is counted", PATIENCE, async || {
        run(&mut client, "SELECT i FROM t").await?;
        let count = counted(&scene, "on", "primary", "floor not reached").await?;
        ensure(count > 0, count)
    })
    .await?;
    cluster.standby(0)?.resume_replay().await?;
    goes(&mut client, "SELECT i FROM t", "standby: read").await?;
    cluster.standby(0)?.kill().await?;
    goes(&mut client, "SELECT i FROM t", "primary: no fit standby").await?;
    Ok(())
}

#[tokio::test]
async fn every_decision_is_counted_under_its_reason() -> Result<()> {
    let scene = scene(calm().await?, "counts", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE counts.t (i int)").await?;
    goes(&mut client, "SELECT i FROM t", "standby: read").await?;
    let mut expected = Vec::new();
    for (sql, route, reason) in [
        ("SELECT i FROM t", "standby", "read"),
        ("INSERT INTO t VALUES (1)", "primary", "write"),
        ("SELECT pg_is_in_recovery()", "primary", "node-local function"),
        ("SHOW work_mem", "primary", "show"),
    ] {
        goes(&mut client, "SELECT i FROM t", "standby: read").await?;
        let before = counted(&scene, "on", route, reason).await?;
        run(&mut client, sql).await?;
        assert_eq!(counted(&scene, "on", route, reason).await?, before + 1, "{sql}");
        expected.push(format!("trunkline_routes_total{{route=\"{route}\",reason=\"{reason}\"}}"));
    }
    // The questions themselves are none.
    assert_eq!(counted(&scene, "on", "primary", "not understood").await?, 0);
    let metrics = scene.trunkline.get("/metrics").await?.body;
    for series in expected {
        assert!(metrics.lines().any(|line| line.starts_with(&series)), "{series}\n{metrics}");
    }
    let operator = scene.console().await?;
    assert_eq!(shown(&operator, "SHOW ROUTES", "database").await?[0], common::DATABASE);
    assert_eq!(shown(&operator, "SHOW NODES", "serving").await?, ["1", "1"]);
    // They stay when routing is switched off, and when it is switched on again.
    let reads = counted(&scene, "on", "standby", "read").await?;
    scene.reload(OFF, "routing.mode").await?;
    run(&mut client, "SELECT i FROM t").await?;
    assert_eq!(counted(&scene, "on", "standby", "read").await?, reads);
    wait_for("the standby serves no more", PATIENCE, async || {
        let serving = shown(&operator, "SHOW NODES", "serving").await?;
        ensure(serving == ["1", "0"], format!("{serving:?}"))
    })
    .await
}

#[tokio::test]
async fn a_transaction_that_reads_until_its_first_write_is_told_where_it_is_and_goes_on()
-> Result<()> {
    let config = ON.replace("mode =", "transaction_reads = \"until_first_write\"\nmode =");
    let scene = Scene::before(calm().await?, "until", &config).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE until.t (i int)").await?;
    let begin = "standby: transaction until its first write";
    goes(&mut client, "BEGIN", begin).await?;
    goes(&mut client, "BEGIN READ ONLY", "standby: read-only transaction").await?;
    goes(&mut client, "/* trunkline:primary */ BEGIN READ ONLY", "primary: hint").await?;
    goes(&mut client, "BEGIN ISOLATION LEVEL SERIALIZABLE", "primary: transaction").await?;
    goes(&mut client, "BEGIN", begin).await?;
    run(&mut client, "BEGIN").await?;
    run(&mut client, "SELECT i FROM until.t").await?;
    for (sql, route) in [
        ("SELECT 1", "standby: in a transaction"),
        ("INSERT INTO until.t VALUES (1)", "primary: first write of a transaction"),
        ("SAVEPOINT s", "primary: first write of a transaction"),
        // It was only asked.
        ("SELECT 1", "standby: in a transaction"),
    ] {
        let told = explained(&mut client, sql).await?;
        let now = format!("{}: {}", value(&told, "route")?, value(&told, "reason")?);
        assert_eq!(now, route, "{sql}: {told:#?}");
    }
    let frames = client.exchange(&say::extended("EXPLAIN ROUTE SELECT 1", &[]), 1).await?;
    assert_eq!(lines(&frames)?[..2], ["route: standby", "reason: in a transaction"]);
    run(&mut client, "INSERT INTO until.t VALUES (1)").await?;
    let told = explained(&mut client, "SELECT 1").await?;
    assert_eq!(told[..2], ["route: primary", "reason: in a transaction"]);
    run(&mut client, "COMMIT").await
}

#[tokio::test]
async fn what_a_standby_refuses_is_counted_as_run_again_and_as_learnt() -> Result<()> {
    let scene = scene(calm().await?, "healed", ON).await?;
    let mut client = scene.raw().await?;
    // A function that says that it does not write, and does; a column of a view calls it by an operator.
    run(
        &mut client,
        "CREATE TABLE healed.t (i int); \
         CREATE FUNCTION healed.sly(int, int) RETURNS int LANGUAGE plpgsql VOLATILE AS \
         $$ BEGIN INSERT INTO healed.t VALUES ($1); RETURN $2; END $$; \
         CREATE OPERATOR healed.<+> (LEFTARG = int, RIGHTARG = int, FUNCTION = healed.sly)",
    )
    .await?;
    let sql = "SELECT 1 OPERATOR(healed.<+>) 2";
    goes(&mut client, sql, "standby: read").await?;
    assert_eq!(one(&mut client, sql).await?, "2");
    assert_eq!(counted(&scene, "on", "run again", "refused by the standby").await?, 1);
    assert_eq!(counted(&scene, "on", "learnt", "refused by a standby").await?, 1);
    assert_eq!(counted(&scene, "on", "primary", "run again").await?, 1);
    let told = explained(&mut client, sql).await?;
    assert_eq!(told[..2], ["route: primary", "reason: refused by a standby before"]);
    let metrics = scene.trunkline.get("/metrics").await?.body;
    for line in [
        "trunkline_run_again_total{reason=\"refused by the standby\"} 1",
        "trunkline_learnt_texts_total 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn a_shadow_decides_and_counts_as_if_and_leaves_all_to_the_primary() -> Result<()> {
    let cluster = cluster().await?;
    let scene = Scene::operated_before(&cluster, "shadow", SHADOW).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    let would = async |client: &mut RawClient| {
        let told = goes(client, "SELECT count(*) FROM t", "standby: read").await?;
        let mode = value(&told, "mode")?;
        ensure(mode == "shadow: this is told, and the primary serves it", mode)
    };
    would(&mut client).await?;
    // Read after read goes on there: none raises the floor of the next.
    let before = counted(&scene, "shadow", "standby", "read").await?;
    for _ in 0..20 {
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "0");
    }
    assert_eq!(counted(&scene, "shadow", "standby", "read").await?, before + 20);
    // So does a transaction that only reads, as a whole.
    run(&mut client, "BEGIN READ ONLY").await?;
    run(&mut client, "SELECT count(*) FROM t").await?;
    run(&mut client, "COMMIT").await?;
    would(&mut client).await?;
    assert_eq!(counted(&scene, "shadow", "standby", "read-only transaction").await?, 1);
    // What would be stale is told.
    cluster.standby(0)?.pause_replay().await?;
    run(&mut client, "INSERT INTO t VALUES (1)").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    goes(&mut client, "SELECT count(*) FROM t", "primary: floor not reached").await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    assert!(counted(&scene, "shadow", "primary", "floor not reached").await? > 0);
    // A write behind a read in one burst counts for what comes next.
    cluster.standby(0)?.resume_replay().await?;
    would(&mut client).await?;
    cluster.standby(0)?.pause_replay().await?;
    let burst = [say::query("SELECT 1"), say::query("INSERT INTO t VALUES (2)")].concat();
    assert_eq!(tags(&client.exchange(&burst, 2).await?), "TDCZCZ");
    goes(&mut client, "SELECT count(*) FROM t", "primary: floor not reached").await?;
    cluster.standby(0)?.resume_replay().await?;
    assert_eq!(counted(&scene, "on", "standby", "read").await?, 0);
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let series = "trunkline_shadow_routes_total{route=\"standby\",reason=\"read\"}";
    assert!(metrics.lines().any(|line| line.starts_with(series)), "{metrics}");
    assert_eq!(shown(&scene.console().await?, "SHOW NODES", "serving").await?, ["1", "0"]);
    let standby = cluster.standby(0)?;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shadow'";
    assert_eq!(standby.query_text(common::DATABASE, sql).await?, "0", "a connection is there");
    Ok(())
}

#[tokio::test]
async fn each_mode_finds_what_was_written_under_the_one_before() -> Result<()> {
    let cluster = cluster().await?;
    let scene = Scene::operated_before(&cluster, "modes", OFF).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int)").await?;
    goes(&mut client, "SELECT count(*) FROM t", "standby: read").await?;
    cluster.standby(0)?.pause_replay().await?;
    let operator = scene.console().await?;
    for (number, config) in (1..).zip([ON, SHADOW, ON, OFF, ON]) {
        run(&mut client, "INSERT INTO t VALUES (1)").await?;
        scene.trunkline.reload(config)?;
        operator.simple_query("RELOAD").await?;
        for _ in 0..20 {
            let seen = one(&mut client, "SELECT count(*) FROM t").await?;
            assert_eq!(seen, number.to_string());
        }
    }
    cluster.standby(0)?.resume_replay().await
}

#[tokio::test]
async fn the_log_tells_of_statements_without_their_constants_if_it_is_to() -> Result<()> {
    let config = ON.replace("mode", "log = \"primary\"\nmode");
    let scene = scene(calm().await?, "logged", &config).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE logged.t (word text)").await?;
    goes(&mut client, "SELECT word FROM t", "standby: read").await?;
    run(&mut client, "INSERT INTO t VALUES ('hidden words')").await?;
    goes(&mut client, "SELECT word FROM t", "standby: read").await?;
    run(&mut client, "SELECT word AS unlogged FROM t").await?;
    let prepared =
        say::extended("UPDATE t SET word = $1 WHERE word = 'more hidden'", &[Some("deep hidden")]);
    client.exchange(&prepared, 1).await?;
    scene.trunkline.logged("UPDATE t SET word = $1 WHERE word = ?").await?;
    let line = scene.trunkline.logged("INSERT INTO t VALUES (?)").await?;
    assert!(line.contains("a statement goes to the primary"), "{line}");
    let log = scene.trunkline.log();
    for part in ["reason=\"write\"", "node=\"primary\"", "user=logged", "database=postgres"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!log.contains("hidden"), "{log}");
    assert!(!log.contains("unlogged"), "{log}");
    scene.reload(&ON.replace("mode", "log = \"standby\"\nmode"), "routing.log").await?;
    // The loops take over what was reloaded a little after it is told.
    wait_for("a read at a standby is logged", PATIENCE, async || {
        run(&mut client, "SELECT word AS seen FROM t").await?;
        ensure(scene.trunkline.log().contains("SELECT word AS seen FROM t"), "it is not")
    })
    .await?;
    let line = scene.trunkline.logged("SELECT word AS seen FROM t").await?;
    assert!(line.contains("goes to the standby") && line.contains("standby1"), "{line}");
    Ok(())
}
