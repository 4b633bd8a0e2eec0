//! Transactions in two phases: what is prepared belongs to nobody's session, so it keeps no server.

mod common;

use common::{Scene, backend, ensure, fails, nobody_is_pinned, one, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{say, tags};

/// A scene with one server, which nobody may keep.
async fn scene(user: &str) -> Result<Scene<'static>> {
    let scene = Scene::operated(user, "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE kept (i int)").await?;
    Ok(scene)
}

#[tokio::test]
async fn a_prepared_transaction_keeps_no_server_and_any_client_may_end_it() -> Result<()> {
    let scene = scene("preparing").await?;
    let (mut first, mut second) = (scene.raw().await?, scene.raw().await?);
    let server = backend(&mut first).await?;
    for ending in ["COMMIT", "ROLLBACK"] {
        run(&mut first, "BEGIN; SET LOCAL work_mem = '7MB'; INSERT INTO kept VALUES (1)").await?;
        run(&mut first, "PREPARE TRANSACTION 'ended'").await?;
        // The only server is there for the other one.
        assert_eq!(backend(&mut second).await?, server);
        nobody_is_pinned(&scene).await?;
        run(&mut second, &format!("{ending} PREPARED 'ended'")).await?;
        assert_eq!(one(&mut first, "SELECT count(*) FROM kept").await?, "1");
    }
    assert_eq!(backend(&mut first).await?, server);
    Ok(())
}

#[tokio::test]
async fn one_that_cannot_be_prepared_is_rolled_back() -> Result<()> {
    let scene = scene("failing").await?;
    let (mut first, mut second) = (scene.raw().await?, scene.raw().await?);
    // It has used a temporary table.
    run(&mut first, "BEGIN; CREATE TEMP TABLE own (i int) ON COMMIT DROP").await?;
    fails(&mut first, "PREPARE TRANSACTION 'refused'", "0A000").await?;
    assert_eq!(one(&mut second, "SELECT count(*) FROM kept").await?, "0");
    // It has failed before.
    run(&mut first, "BEGIN; INSERT INTO kept VALUES (1)").await?;
    fails(&mut first, "SELECT 1/0", "22012").await?;
    assert_eq!(tags(&first.query("PREPARE TRANSACTION 'refused'").await?), "CZ");
    fails(&mut second, "COMMIT PREPARED 'refused'", "42704").await.map(drop)
}

#[tokio::test]
async fn settings_that_are_prepared_hold_and_by_messages_it_is_the_same() -> Result<()> {
    let scene = scene("setting").await?;
    let (mut first, mut second) = (scene.raw().await?, scene.raw().await?);
    let prepare = [
        say::parse("", "BEGIN", &[]),
        say::bind("", "", &[]),
        say::execute("", 0),
        say::extended("SET work_mem = '7MB'", &[]),
        say::extended("INSERT INTO kept VALUES (1)", &[]),
        say::extended("PREPARE TRANSACTION 'by messages'", &[]),
    ];
    let said = first.exchange(&prepare.concat(), 3).await?;
    ensure(
        said.last().and_then(trunkline_testkit::peer::Frame::status) == Some('I'),
        format!("{said:?}"),
    )?;
    ensure(!tags(&said).contains('E'), format!("{said:?}"))?;
    // As in PostgreSQL, which keeps what was set.
    assert_eq!(one(&mut first, "SHOW work_mem").await?, "7MB");
    assert_eq!(one(&mut second, "SHOW work_mem").await?, "4MB");
    run(&mut second, "ROLLBACK PREPARED 'by messages'").await?;
    assert_eq!(one(&mut first, "SHOW work_mem").await?, "7MB");
    Ok(())
}
