//! Placeholders (`app.tenant`): what one client has set there is not seen by another that has not.

mod common;

use common::{DATABASE, Scene, backend, fails, one, run, servers, shown};
use trunkline_testkit::peer::RawClient;
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Error, Result};

/// What the client sees of a placeholder that has no value there.
async fn unset(client: &mut RawClient, name: &str) -> Result<Option<String>> {
    let rows = client.rows(&format!("SELECT current_setting('{name}', true)")).await?;
    Ok(rows.into_iter().flatten().next().flatten())
}

/// Waits until so many servers are free: one that comes back may be looked at before it is.
async fn free_are(scene: &Scene<'_>, count: usize) -> Result<()> {
    let console = scene.console().await?;
    wait_for(&format!("{count} servers are free"), PATIENCE, async || {
        let free = shown(&console, "SHOW POOLS", "sv_idle").await?;
        if free.contains(&count.to_string()) {
            Ok(())
        } else {
            Err(Error::msg(format!("{free:?}")))
        }
    })
    .await
}

/// Two servers, of which the one that was used last is that where Alice has run this.
async fn scene(user: &str, config: &str, sql: &str) -> Result<(Scene<'static>, RawClient, u32)> {
    let scene = Scene::operated(user, &format!("[pool]\nsize = 2\n{config}")).await?;
    let mut alice = scene.raw().await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let held = backend(&mut holder).await?;
    run(&mut alice, sql).await?;
    let hers = backend(&mut alice).await?;
    assert_ne!(hers, held);
    run(&mut holder, "COMMIT").await?;
    free_are(&scene, 2).await?;
    // Both are free, and she has a preference.
    assert_eq!(backend(&mut alice).await?, hers, "{sql}");
    free_are(&scene, 2).await?;
    Ok((scene, alice, hers))
}

#[tokio::test]
async fn who_has_never_set_one_gets_a_server_without_it() -> Result<()> {
    for (user, sql) in [
        ("session", "SET app.tenant = 'hers'"),
        ("transaction", "BEGIN; SET LOCAL app.tenant = 'hers'; COMMIT"),
        ("function", "SELECT set_config('app.tenant', 'hers', true)"),
        ("rolledback", "BEGIN; SET app.tenant = 'hers'; ROLLBACK"),
    ] {
        let (scene, mut alice, hers) = scene(user, "", sql).await?;
        let mut bob = scene.raw().await?;
        assert_ne!(backend(&mut bob).await?, hers, "{sql}");
        free_are(&scene, 2).await?;
        assert_eq!(unset(&mut bob, "app.tenant").await?, None, "{sql}");
        free_are(&scene, 2).await?;
        fails(&mut bob, "SHOW app.tenant", "42704").await?;
        free_are(&scene, 2).await?;
        // She has it still, or what PostgreSQL leaves of it.
        run(&mut alice, "RESET app.tenant").await?;
        free_are(&scene, 2).await?;
        assert_eq!(unset(&mut alice, "app.tenant").await?.as_deref(), Some(""), "{sql}");
        free_are(&scene, 2).await?;
        assert_eq!(backend(&mut alice).await?, hers, "{sql}");
        free_are(&scene, 2).await?;
        // If there is no other, he gets hers.
        let mut holder = scene.raw().await?;
        run(&mut holder, "BEGIN").await?;
        let held = backend(&mut holder).await?;
        let other = backend(&mut bob).await?;
        assert_eq!((held == hers, other == hers), (false, true), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn what_functions_set_counts_as_well() -> Result<()> {
    let user = "hidingset";
    let (scene, _alice, hers) = scene(
        user,
        "",
        "CREATE FUNCTION hide() RETURNS void LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM set_config('app.hidden', 'x', false); END $$; SELECT hide()",
    )
    .await?;
    let mut bob = scene.raw().await?;
    // Her server is asked behind her answer.
    assert_eq!(unset(&mut bob, "app.hidden").await?, None);
    free_are(&scene, 2).await?;
    assert_ne!(backend(&mut bob).await?, hers);
    Ok(())
}

#[tokio::test]
async fn strictly_a_server_that_has_one_is_closed_for_others() -> Result<()> {
    let config = "placeholders = \"strict\"";
    let (scene, mut alice, hers) = scene("strictly", config, "SET app.tenant = 'hers'").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let held = backend(&mut holder).await?;
    assert_ne!(held, hers);
    // The only one that is free is hers.
    let mut bob = scene.raw().await?;
    let his = backend(&mut bob).await?;
    assert!(his != hers && his != held);
    assert_eq!(unset(&mut bob, "app.tenant").await?, None);
    assert!(!servers(scene.node, &scene.user).await?.contains(&hers));
    // She sets it where she goes.
    assert_eq!(one(&mut alice, "SHOW app.tenant").await?, "hers");
    assert_eq!(backend(&mut alice).await?, his);
    // One who waits for a server gets no other either.
    run(&mut alice, "BEGIN").await?;
    bob.send(&trunkline_testkit::peer::say::query("SELECT current_setting('app.tenant', true)"))
        .await?;
    scene.waiting_are(1).await?;
    run(&mut alice, "COMMIT").await?;
    let answer = bob.read_until(b'Z').await?;
    let row = answer.iter().find(|frame| frame.tag == b'D').expect("a row").row()?;
    assert_eq!(row, [None]);
    assert!(!servers(scene.node, &scene.user).await?.contains(&his));
    Ok(())
}

#[tokio::test]
async fn a_database_may_be_stricter_than_the_others() -> Result<()> {
    let config = format!("[databases.{DATABASE}]\nplaceholders = \"strict\"");
    let (scene, _alice, hers) = scene("stricter", &config, "SET app.tenant = 'hers'").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let mut bob = scene.raw().await?;
    assert_ne!(backend(&mut bob).await?, hers);
    assert!(!servers(scene.node, &scene.user).await?.contains(&hers));
    Ok(())
}
