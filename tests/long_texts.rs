//! Texts that would take long to judge are judged where nobody waits for it.

mod common;

use common::{Scene, by_itself, ensure, fails, one, run};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Node, Result};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

async fn cluster() -> Result<Cluster> {
    let options = Cluster::builder().standbys(1).setting("max_connections", 60);
    options.setting("log_statement", "all").start().await
}

async fn goes_to(client: &mut RawClient, sql: &str, expected: [&str; 2]) -> Result<()> {
    wait_for(&format!("it goes to the {}", expected[0]), PATIENCE, async || {
        let found = by_itself(client, sql).await?;
        ensure(found == expected, found.join(", "))
    })
    .await
}

/// A query of so many bytes, or a few more, with this word in it.
fn query(word: &str, bytes: usize) -> String {
    let mut text = format!("SELECT i AS {word}");
    while text.len() < bytes {
        text.push_str(", i AS a_column_with_a_name");
    }
    text + " FROM t"
}

fn has(node: &Node, word: &str) -> bool {
    node.log().contains(word)
}

#[tokio::test]
async fn a_long_text_goes_to_a_standby_once_it_has_been_judged() -> Result<()> {
    let cluster = cluster().await?;
    let (primary, standby) = (cluster.primary(), cluster.standby(0)?);
    let scene = Scene::operated_before(&cluster, "longer", ON).await?;
    cluster.caught_up().await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t (i int); INSERT INTO t VALUES (7); CREATE SEQUENCE s").await?;
    goes_to(&mut client, "SELECT i FROM t", ["standby", "read"]).await?;
    wait_for("a short read is served by the standby", PATIENCE, async || {
        one(&mut client, "SELECT i AS shortly FROM t").await?;
        ensure(has(standby, "shortly"), "it is served by the primary")
    })
    .await?;

    let long = query("lengthy", 6 << 10);
    assert_eq!(one(&mut client, &long).await?, "7");
    assert!(has(primary, "lengthy") && !has(standby, "lengthy"), "it has not been judged yet");
    goes_to(&mut client, &long, ["standby", "read"]).await?;
    wait_for("it is served by the standby", PATIENCE, async || {
        assert_eq!(one(&mut client, &long).await?, "7");
        ensure(has(standby, "lengthy"), "it is served by the primary")
    })
    .await?;
    // By the extended protocol too.
    let parse = say::parse("", &long, &[]);
    let parts = [parse, say::bind("", "", &[]), say::execute("", 0), say::sync()];
    assert_eq!(tags(&client.exchange(&parts.concat(), 1).await?), "12DCZ");

    // One that is more than a read, and one that a standby refuses.
    let writing = query("writing", 6 << 10).replace("writing", "writing, nextval('s')");
    assert_eq!(one(&mut client, &writing).await?, "7");
    goes_to(&mut client, &writing, ["primary", "sequence function"]).await?;
    // A text does not show what an operator calls.
    run(
        &mut client,
        "CREATE FUNCTION ticket(int, int) RETURNS bigint LANGUAGE sql AS $$SELECT nextval('s')$$;
         CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = ticket)",
    )
    .await?;
    let sly = query("slyly", 20 << 10).replace("slyly", "slyly, i <~> 1");
    goes_to(&mut client, &sly, ["standby", "read"]).await?;
    for _ in 0..3 {
        assert_eq!(one(&mut client, &sly).await?, "7", "the primary carries it out");
    }
    let learnt = ["primary", "refused by a standby before"];
    wait_for("it is known to be no read", PATIENCE, async || {
        assert_eq!(one(&mut client, &sly).await?, "7");
        ensure(by_itself(&mut client, &sly).await? == learnt, "it was never refused")
    })
    .await?;

    let too_long = query("endlessly", 40 << 10);
    for _ in 0..3 {
        assert_eq!(one(&mut client, &too_long).await?, "7");
    }
    let reason = "too long, or in another encoding than UTF-8";
    assert_eq!(by_itself(&mut client, &too_long).await?, ["primary", reason]);
    assert!(has(primary, "endlessly") && !has(standby, "endlessly"));
    fails(&mut client, &query("wrongly", 6 << 10).replace(" FROM t", " FROM nowhere"), "42P01")
        .await?;
    Ok(())
}

/// Texts that are sent at once, none of which is known.
const AT_ONCE: usize = 200;

#[tokio::test]
async fn many_texts_that_nobody_knows_come_to_their_turn_in_order() -> Result<()> {
    let cluster = cluster().await?;
    let scene = Scene::before(&cluster, "many", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t AS SELECT 7 AS i").await?;
    goes_to(&mut client, "SELECT i FROM t", ["standby", "read"]).await?;
    for extended in [false, true] {
        let text = |number: usize| {
            let word = format!("w{extended}{number}");
            query(&word, 900).replace(" FROM t", &format!(", {number} FROM t"))
        };
        let message = |number| {
            if extended { say::extended(&text(number), &[]) } else { say::query(&text(number)) }
        };
        let all: Vec<_> = (0..AT_ONCE).map(message).collect();
        client.send(&all.concat()).await?;
        for number in 0..AT_ONCE {
            let frames = client.read_until(b'Z').await?;
            let row = frames.iter().find(|frame| frame.tag == b'D').map(Frame::row).transpose()?;
            let last = row.and_then(|row| row.last().cloned().flatten());
            ensure(last == Some(number.to_string()), format!("{number}: {frames:?}"))?;
        }
        let last = format!("wtrue{}", AT_ONCE - 1);
        ensure(!extended || has(cluster.standby(0)?, &last), "the last was no read")?;
    }
    Ok(())
}
