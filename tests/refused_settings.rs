//! A setting that a server does not take over, because what it needs has gone between two transactions: nothing of the client's
//! runs in another state than it has set, and the client is told why.

mod common;

use common::{DATABASE, Scene, error_in, one, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};

/// A client that has set something, and gets a server next that has not been used yet; and who holds the others.
async fn moved(scene: &Scene<'_>, set: &str) -> Result<(RawClient, Vec<RawClient>)> {
    let mut alice = scene.raw().await?;
    run(&mut alice, set).await?;
    // There may be two servers by now, as one is opened for whoever waits.
    Ok((alice, scene.holders(2).await?))
}

/// Both protocols refuse with this code, and name the setting; the session lives on, and so do others.
async fn is_refused(
    scene: &Scene<'_>,
    alice: &mut RawClient,
    code: &str,
    name: &str,
) -> Result<()> {
    let sql = format!("INSERT INTO {}_untouched VALUES (1)", scene.user);
    for messages in [say::query(&sql), say::extended(&sql, &[])] {
        let said = alice.exchange(&messages, 1).await?;
        assert_eq!(tags(&said), "EZ");
        let error = common::words(&error_in(&said, code)?);
        assert!(error.contains(&format!("\"{name}\"")) && error.contains("not run"), "{error}");
    }
    let sql = format!("SELECT count(*) FROM {}_untouched", scene.user);
    assert_eq!(one(&mut scene.raw().await?, &sql).await?, "0");
    Ok(())
}

async fn scene(name: &'static str) -> Result<Scene<'static>> {
    let scene = Scene::calm(name, "[pool]\nsize = 3").await?;
    let table =
        format!("CREATE TABLE {name}_untouched (i int); GRANT ALL ON {name}_untouched TO public");
    scene.node.execute(DATABASE, &table).await?;
    Ok(scene)
}

#[tokio::test]
async fn a_role_that_was_dropped_is_told_and_nothing_runs_without_it() -> Result<()> {
    let scene = scene("roleless").await?;
    scene
        .node
        .execute(DATABASE, "CREATE ROLE roleless_other; GRANT roleless_other TO roleless")
        .await?;
    let (mut alice, _holders) = moved(&scene, "SET ROLE roleless_other").await?;
    scene.node.execute(DATABASE, "DROP ROLE roleless_other").await?;
    is_refused(&scene, &mut alice, "22023", "role").await
}

#[tokio::test]
async fn a_right_on_a_parameter_that_was_revoked_is_told() -> Result<()> {
    let scene = scene("rightless").await?;
    scene.node.execute(DATABASE, "GRANT SET ON PARAMETER log_min_messages TO rightless").await?;
    let set = "SET work_mem = '8MB'; SET log_min_messages = 'fatal'";
    let (mut alice, _holders) = moved(&scene, set).await?;
    scene.node.execute(DATABASE, "REVOKE SET ON PARAMETER log_min_messages FROM rightless").await?;
    is_refused(&scene, &mut alice, "42501", "log_min_messages").await
}

#[tokio::test]
async fn what_a_setting_names_and_is_not_there_is_told() -> Result<()> {
    let scene = scene("nameless").await?;
    let make = "CREATE TEXT SEARCH CONFIGURATION nameless (COPY = simple)";
    scene.node.execute(DATABASE, make).await?;
    let set = "SET default_text_search_config = 'public.nameless'";
    let (mut alice, _holders) = moved(&scene, set).await?;
    scene.node.execute(DATABASE, "DROP TEXT SEARCH CONFIGURATION nameless").await?;
    is_refused(&scene, &mut alice, "22023", "default_text_search_config").await
}
