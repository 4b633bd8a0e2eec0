//! The hunt for leaks itself: what a client has left on its server unknown to Trunkline is found when the server comes back,
//! and reaches nobody.

mod common;

use common::{DATABASE, Scene, backend, one, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// A scene with one server, and functions that do what they are told and are taken for the built-in ones of the same names,
/// which leave nothing behind: a known limit.
async fn scene(name: &'static str, config: &str) -> Result<Scene<'static>> {
    let scene = Scene::calm(name, &format!("[pool]\nsize = 1\n{config}")).await?;
    // What is in this schema is found first.
    let make = format!(
        "GRANT USAGE ON SCHEMA {name} TO public; ALTER ROLE {name} SET search_path = {name}, public;
         CREATE FUNCTION {name}.abs(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE t; RETURN 1; END $$;
         CREATE FUNCTION {name}.acos(t text) RETURNS int LANGUAGE plpgsql AS $$ DECLARE n text; BEGIN
         FOR n IN SELECT name FROM pg_prepared_statements WHERE statement = t LOOP EXECUTE format('DEALLOCATE %I', n); END LOOP;
         RETURN 1; END $$;
         CREATE ROLE {name}_a; CREATE ROLE {name}_b; GRANT {name}_a, {name}_b TO {name}; ALTER ROLE {name} SUPERUSER"
    );
    scene.node.execute(DATABASE, &make).await?;
    Ok(scene)
}

/// How often it was found that something is wrong, and how often it was looked.
async fn counts(scene: &Scene<'_>) -> Result<(u64, u64)> {
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let sum = |name: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    Ok((sum("trunkline_leaks_total{"), sum("trunkline_audits_total{")))
}

#[tokio::test]
async fn whatever_differs_from_what_is_known_is_found_and_reaches_nobody() -> Result<()> {
    let scene = scene("hunted", "paranoid = true").await?;
    scene.trunkline.expect_leaks();
    // A placeholder is found by its name only.
    run(&mut scene.raw().await?, "SET hunted.id = 'his'").await?;
    for (before, unseen, told) in [
        ("", "SELECT set_config(''hunted.id'', ''x'', false)", "\"hunted.id\" is set, and nobody"),
        ("", "SET work_mem = ''8MB''", "\"work_mem\" is set, and nobody"),
        ("SET work_mem = '8MB'", "SET work_mem = ''9MB''", "\"work_mem\" has another value"),
        ("SET jit = off", "SET jit = on", "\"jit\" has another value"),
        ("SET work_mem = '8MB'", "RESET work_mem", "\"work_mem\" is not set, and is believed"),
        ("SET ROLE hunted_a", "SET ROLE hunted_b", "the role is not"),
        ("", "SET ROLE hunted_a", "the role is not"),
        ("SET ROLE hunted_a", "RESET ROLE", "the role is not"),
        ("", "SET SESSION AUTHORIZATION hunted_a", "the session''s user is not"),
        ("", "PREPARE stray AS SELECT 1", "a statement \"stray\" of a client"),
        ("", "SELECT pg_advisory_lock(91)", "an advisory lock"),
        ("", "CREATE TEMP TABLE left_behind (i int)", "a temporary object"),
        ("", "LISTEN left_behind", "a channel"),
    ] {
        let mut alice = scene.raw().await?;
        if !before.is_empty() {
            run(&mut alice, before).await?;
        }
        let server = backend(&mut alice).await?;
        let (leaks, _) = counts(&scene).await?;
        run(&mut alice, &format!("SELECT abs('{unseen}'::text)")).await?;
        wait_for(&format!("{unseen} is found"), PATIENCE, async || {
            let found = counts(&scene).await?.0;
            common::ensure(found == leaks + 1, found)
        })
        .await?;
        let log = scene.trunkline.log();
        let line = log.lines().rfind(|line| line.contains("is not in the state")).unwrap_or("");
        assert!(line.contains(&told.replace("''", "'")), "{unseen}: {line}");
        assert_ne!(backend(&mut scene.raw().await?).await?, server, "{unseen}");
    }
    // One of ours that the server has lost; or all, the question itself among them.
    for (lose, told) in [
        ("SELECT acos('SELECT 2'::text)", "is known and not there"),
        ("SELECT abs('DEALLOCATE ALL'::text)", "it cannot be asked"),
    ] {
        let mut alice = scene.raw().await?;
        let parse = [say::parse("named", "SELECT 2", &[]), say::sync()].concat();
        assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
        let execute = [say::bind("", "named", &[]), say::execute("", 0), say::sync()].concat();
        assert_eq!(tags(&alice.exchange(&execute, 1).await?), "2DCZ");
        run(&mut alice, lose).await?;
        scene.trunkline.logged(told).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_known_is_no_leak() -> Result<()> {
    let scene = scene("unhunted", "paranoid = true").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    let server = backend(&mut alice).await?;
    for set in [
        "SET work_mem = '8MB'",
        "SET statement_timeout TO '5s'",
        "SET jit = FALSE",
        "SET search_path = \"a b\", public",
        "SET timezone = 'europe/berlin'",
        // What it leaves is the default, and counts as set for PostgreSQL.
        "RESET work_mem; SET LOCAL work_mem = '1MB'",
        "SET datestyle = German",
        "SET intervalstyle = ISO_8601",
        "SET role unhunted_a",
        "SET unhunted.id = 'it''s'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ] {
        run(&mut alice, set).await?;
        one(&mut bob, "SELECT 1").await?;
    }
    run(&mut alice, "PREPARE known AS SELECT 1").await?;
    assert_eq!(backend(&mut bob).await?, server);
    let (leaks, audits) = counts(&scene).await?;
    assert!(leaks == 0 && audits >= 20, "{leaks} {audits}");
    Ok(())
}

/// The suites that hunt are run with this variable: it must be in force.
#[tokio::test]
async fn servers_are_looked_at_where_the_environment_says_so_and_nowhere_else() -> Result<()> {
    let scene = scene("hunting", "").await?;
    let mut alice = scene.raw().await?;
    for _ in 0..3 {
        run(&mut alice, "SELECT 1").await?;
    }
    let hunts = std::env::var_os("TRUNKLINE__POOL__PARANOID").is_some();
    wait_for("servers are looked at, or not", PATIENCE, async || {
        let (_, audits) = counts(&scene).await?;
        common::ensure(if hunts { audits >= 3 } else { audits == 0 }, audits)
    })
    .await
}
