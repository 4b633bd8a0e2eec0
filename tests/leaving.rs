//! A client that ends its side gets what it asked for before: statements that stand before a goodbye are carried out,
//! and a client that only stops sending hears all answers.

mod common;

use common::{Scene, ensure, one, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Waits until the table has so many rows.
async fn rows_are(witness: &mut RawClient, count: usize) -> Result<()> {
    wait_for(&format!("{count} rows are there"), PATIENCE, async || {
        let seen = one(witness, "SELECT count(*) FROM kept").await?;
        ensure(seen == count.to_string(), seen)
    })
    .await
}

/// A table, and who looks at it. The pool has a server for him and one for the client that leaves.
async fn witness(scene: &Scene<'_>) -> Result<RawClient> {
    let mut witness = scene.raw().await?;
    run(&mut witness, "CREATE TABLE kept (i int)").await?;
    Ok(witness)
}

#[tokio::test]
async fn a_commit_with_a_goodbye_behind_it_is_carried_out() -> Result<()> {
    let scene = Scene::calm("committing", "[pool]\nsize = 2").await?;
    let mut witness = witness(&scene).await?;
    // Long enough that the client has gone when the server is at it.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ \
                BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$; \
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED \
                FOR EACH ROW EXECUTE FUNCTION slow()";
    run(&mut witness, slow).await?;
    let commit = say::query("COMMIT");
    let prepared =
        [say::parse("", "COMMIT", &[]), say::bind("", "", &[]), say::execute("", 0)].concat();
    let synced = [&prepared[..], &say::sync()].concat();
    for (done, commit) in [&commit[..], &prepared, &synced].into_iter().enumerate() {
        let mut client = scene.raw().await?;
        run(&mut client, "BEGIN; INSERT INTO kept VALUES (1)").await?;
        client.send(&[commit, &say::terminate()].concat()).await?;
        drop(client);
        rows_are(&mut witness, done + 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn all_statements_before_a_goodbye_are_carried_out_although_nobody_listens() -> Result<()> {
    let scene = Scene::calm("unheard", "[pool]\nsize = 2").await?;
    let mut witness = witness(&scene).await?;
    let mut client = scene.raw().await?;
    let mut bytes = Vec::new();
    for number in 0..100 {
        let sql = format!("INSERT INTO kept SELECT {number} FROM pg_sleep(0.002)");
        bytes.extend_from_slice(&say::query(&sql));
    }
    bytes.extend_from_slice(&say::terminate());
    client.send(&bytes).await?;
    // The first answer lies unread in its socket, so that closing it is a reset.
    client.read_bytes(1).await?;
    drop(client);
    rows_are(&mut witness, 100).await?;
    // Its server is free again.
    let (mut first, mut second) = (scene.raw().await?, scene.raw().await?);
    run(&mut first, "BEGIN").await?;
    run(&mut second, "BEGIN").await
}

#[tokio::test]
async fn a_goodbye_in_a_transaction_rolls_it_back() -> Result<()> {
    let scene = Scene::calm("rolled", "[pool]\nsize = 1").await?;
    let mut witness = witness(&scene).await?;
    let mut client = scene.raw().await?;
    let last = [say::query("BEGIN; INSERT INTO kept VALUES (1)"), say::terminate()].concat();
    client.send(&last).await?;
    let said = client.expect_closed().await?;
    assert_eq!(tags(&said), "CCZ", "{said:?}");
    assert_eq!(one(&mut witness, "SELECT count(*) FROM kept").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_stopped_sending_hears_a_long_answer_to_its_end() -> Result<()> {
    let scene = Scene::calm("listening", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 50000)";
    let both = [say::query(sql), say::extended("SELECT 'last'", &[])].concat();
    client.send(&both).await?;
    client.finish().await?;
    let said = client.expect_closed().await?;
    assert_eq!(said.iter().filter(|frame| frame.tag == b'D').count(), 50_001);
    assert_eq!(said.last().map(|last| last.tag), Some(b'Z'));
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_stopped_sending_is_served_when_its_turn_comes() -> Result<()> {
    let scene = Scene::calm("queueing", "[pool]\nsize = 1").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let mut client = scene.raw().await?;
    let both = [say::query("SELECT 1"), say::query("SELECT 2")].concat();
    client.send(&both).await?;
    client.finish().await?;
    // Its end is known by the time it is served.
    for _ in 0..20 {
        run(&mut holder, "SELECT 1").await?;
    }
    run(&mut holder, "COMMIT").await?;
    assert_eq!(tags(&client.expect_closed().await?), "TDCZTDCZ");
    Ok(())
}
