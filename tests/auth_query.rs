//! Users whose passwords are looked up on the cluster: when they are let in, and when no more.

mod common;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use common::{
    DATABASE, PASSWORD, Scene, create_role, ensure, error_in, one, refused, run, shared, words,
};
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

/// The query that we recommend.
fn query() -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example: toml::Table =
        fs::read_to_string(root.join("config/examples/auth_query.toml"))?.parse()?;
    let query = example.get("auth").and_then(|auth| auth.get("auth_query"));
    let query = query.and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let sample = fs::read_to_string(root.join("config/trunkline.toml"))?.replace("\n# ", " ");
    ensure(sample.contains(&query), "config/trunkline.toml has another query")?;
    Ok(query)
}

/// Passwords are looked up again when they have been remembered for long enough, and not before.
const REMEMBERED: &str = "[auth]\nauth_query_refresh = \"1h\"\n";

/// A scene whose role is looked up.
async fn scene(user: &str, config: &str) -> Result<Scene<'static>> {
    let cluster = shared().await?;
    let options = Trunkline::builder().cluster(cluster).set("auth", "auth_query", query()?);
    Scene::with(cluster, user, options.config(config)).await
}

async fn log_in(scene: &Scene<'_>, user: &str, password: &str) -> Result<RawClient> {
    RawClient::logged_in(scene.trunkline.address(), user, password, DATABASE).await
}

/// As every wrong password.
fn refused_as_wrong(login: Result<RawClient>, user: &str) -> Result<()> {
    let told = login.err().map_or_else(|| "let in".to_owned(), |error| format!("{error:#}"));
    let words = format!("password authentication failed for user \\\"{user}\\\"");
    ensure(told.contains("28P01") && told.contains(&words), told)
}

#[tokio::test]
async fn a_role_whose_password_has_expired_is_refused_as_for_a_wrong_one() -> Result<()> {
    let scene = scene("fading", "[auth]\nauth_query_cache = \"500ms\"\n[pool]\nsize = 1").await?;
    scene.node.execute(DATABASE, "ALTER ROLE fading VALID UNTIL '2100-01-01'").await?;
    let mut before = scene.raw().await?;
    run(&mut before, "SELECT 1").await?;
    let server = scene.servers_are(1).await?;
    scene.node.execute(DATABASE, "ALTER ROLE fading VALID UNTIL '2001-01-01'").await?;
    wait_for("it is refused when its password is not remembered any more", PATIENCE, async || {
        refused_as_wrong(log_in(&scene, "fading", PASSWORD).await, "fading")
    })
    .await?;
    // Sessions go on, as in PostgreSQL, and it is the same server that would have served the one that was refused.
    run(&mut before, "SELECT 1").await?;
    assert_eq!(scene.servers().await?, server);
    create_role(scene.node, "faded").await?;
    scene.node.execute(DATABASE, "ALTER ROLE faded VALID UNTIL '2001-01-01'").await?;
    refused_as_wrong(log_in(&scene, "faded", PASSWORD).await, "faded")?;
    refused_as_wrong(log_in(&scene, "fading", "wrong").await, "fading")?;
    // And it counts when the end is put off.
    scene.node.execute(DATABASE, "ALTER ROLE faded VALID UNTIL 'infinity'").await?;
    wait_for("it is let in", PATIENCE, async || log_in(&scene, "faded", PASSWORD).await.map(drop))
        .await
}

#[tokio::test]
async fn an_old_password_that_is_remembered_ends_like_a_wrong_one_and_is_forgotten() -> Result<()> {
    let scene = scene("changing", &format!("{REMEMBERED}[pool]\nsize = 1")).await?;
    let mut before = scene.raw().await?;
    run(&mut before, "SELECT 1").await?;
    scene.node.execute(DATABASE, "ALTER ROLE changing PASSWORD 'changed'").await?;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'";
    scene.node.execute(DATABASE, end).await?;
    scene.servers_are(0).await?;
    // The door still takes it, a server does not.
    let mut old = log_in(&scene, "changing", PASSWORD).await?;
    old.send(&say::query("SELECT 1")).await?;
    let error = error_in(&old.expect_closed().await?, "28P01")?;
    let told = words(&error);
    for part in ["password authentication failed for user \"changing\"", "log in again"] {
        ensure(told.contains(part), &told)?;
    }
    // At once, and not when 30 s are over.
    let mut new = log_in(&scene, "changing", "changed").await?;
    assert_eq!(one(&mut new, "SELECT 1").await?, "1");
    refused_as_wrong(log_in(&scene, "changing", PASSWORD).await, "changing")?;
    // The session that was there before is served by what the new login has brought.
    drop(new);
    assert_eq!(one(&mut before, "SELECT 2").await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_new_password_that_is_not_looked_up_counts_from_the_second_attempt() -> Result<()> {
    for (user, method) in [("renewed", "scram-sha-256"), ("reclear", "password")] {
        let scene =
            scene(user, &format!("{REMEMBERED}method = \"{method}\"\n[pool]\nsize = 1")).await?;
        run(&mut scene.raw().await?, "SELECT 1").await?;
        scene.node.execute(DATABASE, &format!("ALTER ROLE {user} PASSWORD 'changed'")).await?;
        if method == "scram-sha-256" {
            // Such an exchange cannot be begun again: it is bound to the salt of the old password.
            refused_as_wrong(log_in(&scene, user, "changed").await, user)?;
        }
        let mut client = log_in(&scene, user, "changed").await?;
        assert_eq!(one(&mut client, "SELECT 1").await?, "1");
        refused_as_wrong(log_in(&scene, user, PASSWORD).await, user)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_new_password_counts_from_the_first_attempt_if_it_is_looked_up_then() -> Result<()> {
    let always = "[auth]\nauth_query_refresh = \"0s\"\n[pool]\nsize = 1";
    let scene = scene("refreshed", always).await?;
    run(&mut scene.raw().await?, "SELECT 1").await?;
    for password in ["changed", "changed again"] {
        let change = format!("ALTER ROLE refreshed PASSWORD '{password}'");
        scene.node.execute(DATABASE, &change).await?;
        let mut client = log_in(&scene, "refreshed", password).await?;
        assert_eq!(one(&mut client, "SELECT 1").await?, "1");
        refused_as_wrong(log_in(&scene, "refreshed", PASSWORD).await, "refreshed")?;
    }
    Ok(())
}

/// The salt that a user is shown who begins to log in by SCRAM.
async fn salt_of(scene: &Scene<'_>, user: &str) -> Result<String> {
    let mut client = RawClient::tcp(scene.trunkline.address()).await?;
    let packet = say::startup(say::PROTOCOL_3_0, &[("user", user), ("database", DATABASE)]);
    client.send(&packet).await?;
    client.expect(b'R').await?;
    client.send(&say::sasl_initial("SCRAM-SHA-256", b"n,,n=,r=nonce")).await?;
    let challenge = client.expect(b'R').await?;
    let challenge = String::from_utf8_lossy(&challenge.body).into_owned();
    let salt = challenge.split(',').find_map(|part| part.strip_prefix("s="));
    salt.map(str::to_owned).with_context(|| challenge.clone())
}

#[tokio::test]
async fn a_user_who_does_not_exist_has_the_same_salt_after_a_restart() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("salt.key");
    fs::write(&file, "a secret of some length")?;
    let scene = scene("salty", &format!("[auth]\nsalt_file = \"{}\"", file.display())).await?;
    let users = ["salty", "nobody of that name"];
    let salts = async || -> Result<Vec<String>> {
        Ok(vec![salt_of(&scene, users[0]).await?, salt_of(&scene, users[1]).await?])
    };
    let restart = async || -> Result<()> {
        scene.trunkline.kill().await?;
        scene.trunkline.start_again().await
    };
    let before = salts().await?;
    assert_eq!(salts().await?, before);
    restart().await?;
    assert_eq!(salts().await?, before);
    // It is the file that decides.
    fs::write(&file, "another one of some length")?;
    restart().await?;
    let after = salts().await?;
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    Ok(())
}

#[tokio::test]
async fn who_has_shown_no_password_is_told_what_to_do() -> Result<()> {
    let scene = scene("trusting", "[auth]\nmethod = \"trust\"").await?;
    let told = scene.raw().await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    for part in ["28000", "no key yet", "Log in again as this user with its password"] {
        ensure(told.contains(part), &told)?;
    }
    // A login that brings a key helps those who come later.
    scene.reload("[auth]\nmethod = \"scram-sha-256\"", "auth.method").await?;
    let mut client = scene.raw().await?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    refused(log_in(&scene, "trusting", "wrong").await, "28P01")
}
