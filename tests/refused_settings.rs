//! A setting that a server does not take over, because what it needs has gone between two transactions: nothing of the client's
//! runs in another state than it has set, and the client is told why.

mod common;

use common::{DATABASE, Scene, error_in, one, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say, tags};

/// A client that has set something, and gets a server next that has not been used yet; and who holds the others.
async fn moved(scene: &Scene<'_>, set: &str) -> Result<(RawClient, [RawClient; 2])> {
    let mut alice = scene.raw().await?;
    run(&mut alice, set).await?;
    // There may be two servers by now, as one is opened for whoever waits.
    let mut holders = [scene.raw().await?, scene.raw().await?];
    for holder in &mut holders {
        run(holder, "BEGIN").await?;
    }
    Ok((alice, holders))
}

/// Both protocols refuse with this code, and name the setting; the session lives on, and so do others.
async fn is_refused(
    scene: &Scene<'_>,
    alice: &mut RawClient,
    code: &str,
    name: &str,
) -> Result<()> {
    let simple = say::query("INSERT INTO untouched VALUES (1)");
    let extended = [
        say::parse("", "INSERT INTO untouched VALUES (1)", &[]),
        say::bind("", "", &[]),
        say::execute("", 0),
        say::sync(),
    ];
    for messages in [simple.to_vec(), extended.concat()] {
        let said = alice.exchange(&messages, 1).await?;
        assert_eq!(tags(&said), "EZ");
        let error = common::words(&error_in(&said, code)?);
        assert!(error.contains(&format!("\"{name}\"")) && error.contains("not run"), "{error}");
    }
    assert_eq!(one(&mut scene.raw().await?, "SELECT count(*) FROM untouched").await?, "0");
    Ok(())
}

async fn scene(name: &'static str) -> Result<Scene<'static>> {
    let scene = Scene::calm(name, "[pool]\nsize = 3").await?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS untouched (i int); GRANT ALL ON untouched TO public; GRANT CREATE ON SCHEMA public TO {name}"
    );
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
