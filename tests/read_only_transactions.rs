//! A transaction that only reads by its own words is a standby's, but for what a primary does in it and a standby does not:
//! for that it goes on on the primary, and its client sees nothing of it.

mod common;

use common::nodes::{is_primary, mark, on_a_standby, place, three, where_is};
use common::{Scene, by_itself, error_in, fails, one, run};
use tokio::sync::OnceCell;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::{Node, Result};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

async fn shared() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(three).await
}

async fn scene<'a>(cluster: &'a Cluster, user: &str) -> Result<Scene<'a>> {
    let scene = Scene::operated_before(cluster, user, ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int); INSERT INTO t VALUES (1)").await?;
    cluster.caught_up().await?;
    Ok(scene)
}

/// Begins a transaction with these words, at a standby.
async fn begin<'a>(client: &mut RawClient, cluster: &'a Cluster, words: &str) -> Result<&'a Node> {
    on_a_standby(client, cluster).await?;
    let mark = mark();
    run(client, &format!("{words} -- {mark} ")).await?;
    let node = where_is(&mark, cluster)?;
    assert!(!is_primary(node, cluster), "{words}");
    Ok(node)
}

/// The node on which the client is given this.
async fn node_of<'a>(client: &mut RawClient, cluster: &'a Cluster, sql: &str) -> Result<&'a Node> {
    let mark = mark();
    let frames = client.query(&format!("{sql} -- {mark} ")).await?;
    assert!(!tags(&frames).contains('E'), "{sql}: {frames:?}");
    where_is(&mark, cluster)
}

#[tokio::test]
async fn what_a_standby_would_not_do_in_it_is_done_on_the_primary() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "across").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE SEQUENCE ticket; CREATE UNLOGGED TABLE here (i int)").await?;
    for sql in [
        "SELECT pg_advisory_xact_lock(7)",
        "SELECT txid_current()",
        "SELECT last_value FROM ticket",
        "SELECT count(*) FROM here",
        "LOCK TABLE t IN SHARE MODE",
        "NOTIFY nobody",
        "SELECT pg_notify('nobody', 'x')",
        "/* trunkline:primary */ SELECT 1",
    ] {
        for words in
            ["BEGIN READ ONLY", "START TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED"]
        {
            let began = begin(&mut client, cluster, words).await?.port();
            assert_eq!(place(&mut client, cluster).await?.port(), began);
            assert!(is_primary(node_of(&mut client, cluster, sql).await?, cluster), "{sql}");
            // It is what it was.
            assert!(is_primary(place(&mut client, cluster).await?, cluster), "{sql}");
            assert_eq!(one(&mut client, "SHOW transaction_read_only").await?, "on");
            fails(&mut client, "INSERT INTO t VALUES (2)", "25006").await?;
            run(&mut client, "ROLLBACK").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn it_may_come_to_write_and_to_be_serializable_before_it_reads() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "write").await?;
    let mut client = scene.raw().await?;
    let all_at_one = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    for (count, words) in [(2, "BEGIN READ ONLY"), (3, all_at_one)] {
        begin(&mut client, cluster, words).await?;
        run(&mut client, "SET TRANSACTION READ WRITE").await?;
        run(&mut client, "INSERT INTO t VALUES (2)").await?;
        run(&mut client, "COMMIT").await?;
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, count.to_string());
        begin(&mut client, cluster, words).await?;
        run(&mut client, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await?;
        assert_eq!(one(&mut client, "SHOW transaction_isolation").await?, "serializable");
        assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, count.to_string());
        run(&mut client, "COMMIT").await?;
    }
    // Behind a read it is too late, as PostgreSQL says it.
    begin(&mut client, cluster, "BEGIN READ ONLY").await?;
    place(&mut client, cluster).await?;
    fails(&mut client, "SET TRANSACTION READ WRITE", "25001").await?;
    run(&mut client, "ROLLBACK").await
}

#[tokio::test]
async fn what_sees_one_state_crosses_before_it_has_seen_it_or_never() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "state").await?;
    let mut client = scene.raw().await?;
    let words = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    begin(&mut client, cluster, words).await?;
    assert!(is_primary(node_of(&mut client, cluster, "NOTIFY nobody").await?, cluster));
    assert_eq!(one(&mut client, "SHOW transaction_isolation").await?, "repeatable read");
    run(&mut client, "COMMIT").await?;
    let began = begin(&mut client, cluster, words).await?.port();
    place(&mut client, cluster).await?;
    fails(&mut client, "NOTIFY nobody", "25006").await?;
    run(&mut client, "ROLLBACK").await?;
    begin(&mut client, cluster, words).await?;
    let place = place(&mut client, cluster).await?.port();
    assert_eq!(place, began, "a session stays with its standby");
    run(&mut client, "COMMIT").await
}

#[tokio::test]
async fn what_it_holds_at_the_standby_keeps_it_there() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "holds").await?;
    let mut client = scene.raw().await?;
    for (sql, then) in [
        ("SAVEPOINT s", "ROLLBACK TO s"),
        ("DECLARE c CURSOR FOR SELECT i FROM t", "FETCH c"),
        ("SET LOCAL work_mem = '1MB'", "SHOW work_mem"),
    ] {
        let began = begin(&mut client, cluster, "BEGIN READ ONLY").await?.port();
        assert_eq!(place(&mut client, cluster).await?.port(), began);
        run(&mut client, sql).await?;
        run(&mut client, then).await?;
        let lock = "SELECT pg_advisory_xact_lock_shared(8)";
        assert_eq!(node_of(&mut client, cluster, lock).await?.port(), began, "{sql}");
        run(&mut client, "COMMIT").await?;
    }
    // Rows of a portal that have not been asked for.
    let began = begin(&mut client, cluster, "BEGIN READ ONLY").await?.port();
    let parse = say::parse("", "SELECT generate_series(1, 3)", &[]);
    let first = [parse, say::bind("p", "", &[]), say::execute("p", 1), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&first, 1).await?), "12DsZ");
    let lock = "SELECT pg_advisory_xact_lock_shared(8)";
    assert_eq!(node_of(&mut client, cluster, lock).await?.port(), began);
    let more = [say::execute("p", 0), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&more, 1).await?), "DDCZ");
    run(&mut client, "COMMIT").await
}

#[tokio::test]
async fn a_function_is_believed_to_read_until_a_standby_refuses_it() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "believed").await?;
    let mut client = scene.raw().await?;
    let make = "CREATE FUNCTION counts() RETURNS int LANGUAGE plpgsql AS \
                $$ BEGIN RETURN count(*) FROM t; END $$;
                CREATE FUNCTION numbers() RETURNS text LANGUAGE plpgsql AS \
                $$ DECLARE n text; BEGIN EXECUTE 'SELECT txid_' || 'current()' INTO n; RETURN n; END $$";
    run(&mut client, make).await?;
    cluster.caught_up().await?;
    let began = begin(&mut client, cluster, "BEGIN READ ONLY").await?.port();
    assert_eq!(node_of(&mut client, cluster, "SELECT counts()").await?.port(), began);
    // The standby refuses it, and the client does not come to know.
    let number = one(&mut client, "SELECT numbers()").await?;
    assert!(number.parse::<u64>().is_ok(), "{number}");
    assert!(is_primary(place(&mut client, cluster).await?, cluster));
    run(&mut client, "COMMIT").await?;
    assert_eq!(one(&mut client, "SELECT counts()").await?, "1");
    // Only there.
    for words in ["BEGIN READ ONLY", "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ"] {
        begin(&mut client, cluster, words).await?;
        run(&mut client, "COMMIT").await?;
        let told = by_itself(&mut client, "SELECT counts()").await?;
        assert_eq!(told, ["primary", "unproven function"]);
        assert!(is_primary(node_of(&mut client, cluster, "SELECT counts()").await?, cluster));
    }
    Ok(())
}

#[tokio::test]
async fn errors_are_what_they_were() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "errors").await?;
    let mut client = scene.raw().await?;
    for (sql, code) in [
        ("INSERT INTO t VALUES (2)", "25006"),
        ("CREATE TABLE other (i int)", "25006"),
        ("SELECT i FROM t FOR UPDATE", "25006"),
        ("SELECT i FROM nothing", "42P01"),
        ("SELECT 1 / (i - i) FROM t", "22012"),
        ("SELEC 1", "42601"),
    ] {
        begin(&mut client, cluster, "BEGIN READ ONLY").await?;
        place(&mut client, cluster).await?;
        fails(&mut client, sql, code).await?;
        error_in(&client.query("SELECT 1").await?, "25P02")?;
        let frames = client.query("COMMIT").await?;
        assert!(frames[0].body.starts_with(b"ROLLBACK"), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn it_goes_on_at_the_primary_if_its_standby_dies_between_two_statements() -> Result<()> {
    let cluster = three().await?;
    let scene = scene(&cluster, "dies").await?;
    let mut client = scene.raw().await?;
    let standby = begin(&mut client, &cluster, "BEGIN READ ONLY").await?;
    let one_state = "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ";
    // Each goes where less is under way, and so the next one elsewhere.
    let mut others = Vec::new();
    let mut other = loop {
        let mut other = scene.raw().await?;
        if begin(&mut other, &cluster, one_state).await?.port() == standby.port() {
            break other;
        }
        others.push(other);
    };
    for client in [&mut client, &mut other] {
        assert_eq!(one(client, "SELECT count(*) FROM t").await?, "1");
    }
    standby.kill().await?;
    standby.all_gone().await?;
    assert_eq!(one(&mut client, "SELECT count(*) FROM t").await?, "1");
    assert!(is_primary(place(&mut client, &cluster).await?, &cluster));
    assert_eq!(one(&mut client, "SHOW transaction_read_only").await?, "on");
    run(&mut client, "COMMIT").await?;
    // What has seen one state of the database would see another one.
    let said = other.expect_closed().await?;
    assert_eq!(tags(&said), "E", "{said:?}");
    Ok(())
}
