//! What a standby refuses because it is one is carried out by the primary; what the client has done wrong is told as it is, and
//! not tried twice.

mod common;

use common::{DATABASE, Scene, by_itself, ensure, fails, one, run};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Node, Result};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

/// Operators, of which a text does not show what they call: one writes, one reads what a standby does not have.
const OPERATORS: &str = "
CREATE TABLE t (i int); INSERT INTO t VALUES (7); CREATE SEQUENCE s; CREATE UNLOGGED TABLE cache AS SELECT 7::bigint AS i;
CREATE FUNCTION ticket(int, int) RETURNS bigint LANGUAGE sql AS $$SELECT nextval('s')$$;
CREATE FUNCTION cached(int, int) RETURNS bigint LANGUAGE sql AS $$SELECT i FROM cache$$;
CREATE FUNCTION numbered(int, int) RETURNS boolean LANGUAGE sql AS $$SELECT pg_current_xact_id() IS NOT NULL$$;
CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = ticket);
CREATE OPERATOR <=~> (LEFTARG = int, RIGHTARG = int, FUNCTION = cached);
CREATE OPERATOR <#~> (LEFTARG = int, RIGHTARG = int, FUNCTION = numbered);
CREATE MATERIALIZED VIEW hollow AS SELECT i FROM t WITH NO DATA;
";

async fn reason(client: &mut RawClient, sql: &str) -> Result<String> {
    let [_, reason] = by_itself(client, sql).await?;
    Ok(reason)
}

/// How often a node was given this text. It tells of it again with an error.
fn count(node: &Node, text: &str) -> usize {
    node.log().matches(&format!("statement: {text}")).count()
}

/// Waits until the client's reads are served by the standby.
async fn on_the_standby(client: &mut RawClient, standby: &Node) -> Result<()> {
    wait_for("a read is served by the standby", PATIENCE, async || {
        let before = count(standby, "SELECT 1 AS probing");
        one(client, "SELECT 1 AS probing").await?;
        ensure(count(standby, "SELECT 1 AS probing") > before, "it is served by the primary")
    })
    .await
}

#[tokio::test]
async fn a_standbys_refusal_is_told_from_the_clients_own_mistake() -> Result<()> {
    let options = Cluster::builder().standbys(1).setting("max_connections", 60);
    let cluster = options.setting("log_statement", "all").start().await?;
    let (primary, standby) = (cluster.primary(), cluster.standby(0)?);
    let scene = Scene::operated_before(&cluster, "refused", ON).await?;
    cluster.caught_up().await?;
    let mut client = scene.raw().await?;
    run(&mut client, OPERATORS).await?;

    for (sql, answer) in [
        ("SELECT i <~> 1 FROM t", "1"),
        ("SELECT i <=~> 1 FROM t", "7"),
        ("SELECT i <#~> 1 FROM t", "t"),
    ] {
        on_the_standby(&mut client, standby).await?;
        assert_eq!(reason(&mut client, sql).await?, "read", "{sql}");
        assert_eq!(one(&mut client, sql).await?, answer);
        assert_eq!((count(primary, sql), count(standby, sql)), (1, 1), "{sql}");
        assert_eq!(reason(&mut client, sql).await?, "refused by a standby before", "{sql}");
    }

    // What is not supported at all.
    let sql = "SELECT count(DISTINCT i) OVER () FROM t";
    on_the_standby(&mut client, standby).await?;
    fails(&mut client, sql, "0A000").await?;
    assert_eq!((count(primary, sql), count(standby, sql)), (0, 1));
    assert_eq!(reason(&mut client, sql).await?, "read");

    // What will be there later.
    let sql = "SELECT i FROM hollow";
    on_the_standby(&mut client, standby).await?;
    fails(&mut client, sql, "55000").await?;
    assert_eq!(reason(&mut client, sql).await?, "read", "it is not remembered");
    primary.execute(DATABASE, "REFRESH MATERIALIZED VIEW refused.hollow").await?;
    cluster.caught_up().await?;
    on_the_standby(&mut client, standby).await?;
    let before = count(standby, sql);
    assert_eq!(one(&mut client, sql).await?, "7");
    assert_eq!(count(standby, sql), before + 1);
    Ok(())
}

/// A standby that has to replay what a query there reads cancels it, time and again: the text is none the worse for it.
#[tokio::test]
async fn a_conflict_with_what_is_replayed_is_not_remembered() -> Result<()> {
    let options = Cluster::builder().standbys(1).setting("max_connections", 60);
    let options = options.setting("max_standby_streaming_delay", "0");
    let options = options.setting("hot_standby_feedback", "off");
    let cluster = options.setting("log_statement", "all").start().await?;
    let (primary, standby) = (cluster.primary(), cluster.standby(0)?);
    let scene = Scene::operated_before(&cluster, "conflicting", ON).await?;
    cluster.caught_up().await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE gone (i int); INSERT INTO gone VALUES (7)").await?;
    on_the_standby(&mut client, standby).await?;
    // It is under way there when what it reads is dropped.
    let sql = "SELECT i FROM gone WHERE CASE WHEN i = 7 THEN pg_sleep(30)::text = '' ELSE true END";
    let admin = primary.connect(DATABASE).await?;
    let dropped = async {
        wait_for("the query is under way", PATIENCE, async || {
            ensure(count(standby, sql) == 1, "it has not come to the standby")
        })
        .await?;
        admin
            .batch_execute("TRUNCATE conflicting.gone; INSERT INTO conflicting.gone VALUES (8)")
            .await?;
        Ok(())
    };
    let (answer, dropped): (_, Result<()>) = tokio::join!(one(&mut client, sql), dropped);
    dropped?;
    assert_eq!(answer?, "8", "the primary has carried it out");
    assert_eq!((count(primary, sql), count(standby, sql)), (1, 1));
    assert_eq!(reason(&mut client, sql).await?, "read");
    Ok(())
}
