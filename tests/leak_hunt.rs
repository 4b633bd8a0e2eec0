//! The hunt for leaks itself: what a client has left on its server unknown to Trunkline is found when the server comes back,
//! and reaches nobody.

mod common;

use common::{DATABASE, Scene, backend, one, run};
use trunkline_testkit::Result;

#[tokio::test]
async fn a_server_in_a_state_that_nobody_knows_of_is_found_and_closed() -> Result<()> {
    let scene = Scene::calm("hunted", "[pool]\nsize = 1\nparanoid = true").await?;
    scene.trunkline.expect_leaks();
    // It is taken for the built-in function of the same name: a known limit.
    let make = "CREATE FUNCTION abs(t text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('hunted.id', t, false) $$";
    scene.node.execute(DATABASE, make).await?;
    let mut alice = scene.raw().await?;
    let server = backend(&mut alice).await?;
    run(&mut alice, "SET work_mem = '8MB'; SELECT 1").await?;
    assert_eq!(backend(&mut alice).await?, server, "there is nothing to be found");
    run(&mut alice, "SELECT abs('alice'::text)").await?;
    let found = scene.trunkline.logged("is not in the state that it should be in").await?;
    assert!(found.contains("hunted.id"), "{found}");
    let mut bob = scene.raw().await?;
    let seen =
        one(&mut bob, "SELECT coalesce(current_setting('hunted.id', true), 'nothing')").await?;
    assert_eq!(seen, "nothing");
    assert_ne!(backend(&mut bob).await?, server);
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let leaks = metrics.lines().find(|line| line.starts_with("trunkline_leaks_total{"));
    assert!(leaks.is_some_and(|line| line.ends_with(" 1")), "{leaks:?}");
    Ok(())
}
