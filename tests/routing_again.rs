//! What is sent again and again is known again, and judged anew as soon as it means something else.

mod common;

use common::nodes::{is_primary, mark, on_a_standby, three};
use common::{Scene, ensure, run};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Result};

const ON: &str = "[routing]\nmode = \"on\"\ntransaction_reads = \"until_first_write\"\n[cluster]\nprobe_interval = \"100ms\"";

/// A statement that a client sends again and again.
struct Again<'a> {
    cluster: &'a Cluster,
    mark: String,
    messages: Vec<u8>,
    answer: &'static str,
}

impl Again<'_> {
    /// How often each node has been given it.
    fn counts(&self) -> Vec<usize> {
        let word = format!("{} ", self.mark);
        self.cluster.nodes().iter().map(|node| node.log().matches(&word).count()).collect()
    }

    /// Sends it; whether the primary has carried it out.
    async fn is_at_the_primary(&self, client: &mut RawClient) -> Result<bool> {
        let before = self.counts();
        let frames = client.exchange(&self.messages, 1).await?;
        ensure(tags(&frames) == self.answer, format!("{frames:?}"))?;
        let after = self.counts();
        let mut nodes = self.cluster.nodes().iter().zip(before.iter().zip(&after));
        let node = nodes.find(|(_, (before, after))| before < after);
        let (node, _) = node.ok_or_else(|| Error::msg("no node has been given it"))?;
        Ok(is_primary(node, self.cluster))
    }

    async fn comes_to_a_standby(&self, client: &mut RawClient) -> Result<()> {
        wait_for("it is at a standby", PATIENCE, async || {
            ensure(!self.is_at_the_primary(client).await?, "it is at the primary")
        })
        .await?;
        // From then on always: nothing was written.
        for _ in 0..5 {
            assert!(!self.is_at_the_primary(client).await?);
        }
        Ok(())
    }

    async fn goes_to_the_primary(&self, client: &mut RawClient, why: &str) -> Result<()> {
        for _ in 0..3 {
            assert!(self.is_at_the_primary(client).await?, "{why}");
        }
        Ok(())
    }
}

/// The function of the client's path, by an unnamed and by a named statement.
fn both<'a>(cluster: &'a Cluster, value: &str) -> [Again<'a>; 2] {
    let (unnamed, named) = (mark(), mark());
    let bound = |name: &str| {
        [say::bind("", name, &[Some(value)]), say::execute("", 0), say::sync()].concat()
    };
    let parse = say::parse("", &text(&unnamed), &[]);
    let messages = [&parse[..], &bound("")].concat();
    let unnamed = Again { cluster, mark: unnamed, messages, answer: "12DCZ" };
    [unnamed, Again { cluster, mark: named, messages: bound("s"), answer: "2DCZ" }]
}

fn text(mark: &str) -> String {
    format!("SELECT f(), $1::text /* {mark} */")
}

async fn prepare(client: &mut RawClient, sql: &str) -> Result<()> {
    let messages = [say::parse("s", sql, &[]), say::sync()].concat();
    let frames = client.exchange(&messages, 1).await?;
    ensure(tags(&frames) == "1Z", format!("{frames:?}"))
}

#[tokio::test]
async fn what_is_sent_again_is_judged_anew_when_it_means_something_else() -> Result<()> {
    let cluster = three().await?;
    let scene = Scene::operated_before(&cluster, "again", ON).await?;
    let mut client = scene.raw().await?;
    let made = "CREATE TABLE t (i int); CREATE SEQUENCE ticket;
        CREATE FUNCTION f() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM again.t';
        CREATE FUNCTION bump() RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''again.ticket'')'";
    run(&mut client, made).await?;
    let (admin, to_others) = (scene.node, "GRANT CREATE ON DATABASE postgres TO again");
    admin.execute(common::DATABASE, to_others).await?;
    run(&mut client, "CREATE SCHEMA other").await?;
    run(
        &mut client,
        "CREATE FUNCTION other.f() RETURNS bigint LANGUAGE sql AS 'SELECT again.bump()'",
    )
    .await?;
    cluster.caught_up().await?;
    on_a_standby(&mut client, &cluster).await?;
    let all = both(&cluster, "1");
    prepare(&mut client, &text(&all[1].mark)).await?;
    for again in &all {
        again.comes_to_a_standby(&mut client).await?;
        // Its path, in and out of a transaction.
        run(&mut client, "SET search_path = other").await?;
        again.goes_to_the_primary(&mut client, "another path").await?;
        run(&mut client, "RESET search_path").await?;
        again.comes_to_a_standby(&mut client).await?;
        run(&mut client, "BEGIN; SET search_path = other; COMMIT").await?;
        again.goes_to_the_primary(&mut client, "a path of a transaction").await?;
        run(&mut client, "RESET search_path").await?;
        again.comes_to_a_standby(&mut client).await?;
        // What it wants.
        run(&mut client, "SET trunkline.route = 'primary'").await?;
        again.goes_to_the_primary(&mut client, "the session wants that").await?;
        run(&mut client, "RESET trunkline.route").await?;
        again.comes_to_a_standby(&mut client).await?;
        // What the function does.
        let body = |does: &str| {
            format!("CREATE OR REPLACE FUNCTION f() RETURNS bigint STABLE LANGUAGE sql AS '{does}'")
        };
        run(&mut client, &body("SELECT again.bump()")).await?;
        again.goes_to_the_primary(&mut client, "another function").await?;
        run(&mut client, &body("SELECT count(*) FROM again.t")).await?;
        again.comes_to_a_standby(&mut client).await?;
    }
    // What the name means.
    let [_, named] = &all;
    let close = [say::close_statement("s"), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&close, 1).await?), "3Z");
    let writes = format!("INSERT INTO t VALUES (1) RETURNING $1::text /* {} */", named.mark);
    prepare(&mut client, &writes).await?;
    named.goes_to_the_primary(&mut client, "the name is that of a write").await?;
    Ok(())
}
