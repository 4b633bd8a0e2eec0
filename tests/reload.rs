//! New settings take effect while clients go on, and a mistake in them changes nothing.

mod common;

use std::fs;

use common::{DATABASE, PASSWORD, Scene, backend, ensure, error_in, one, refused, run, run_each};
use trunkline_testkit::Result;
use trunkline_testkit::link::Link;
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_told_with_its_place() -> Result<()> {
    let scene = Scene::calm("mistaken", "[pool]\nsize = 1").await?;
    let mut client = scene.raw().await?;
    let server = backend(&mut client).await?;
    let good = fs::read_to_string(scene.trunkline.config_path())?;
    scene.trunkline.reload_text(&format!("{good}\n[pools]\nsise = 3\n"))?;
    scene.trunkline.logged("settings not changed").await?;
    let line = good.lines().count() + 2;
    let place = format!("trunkline.toml:{line}");
    wait_for("the log names file and line", PATIENCE, async || {
        let log = scene.trunkline.log();
        ensure(log.contains(&place), format!("no {place} in {log}"))
    })
    .await?;
    assert_eq!(backend(&mut client).await?, server);
    assert_eq!(backend(&mut scene.raw().await?).await?, server);
    Ok(())
}

#[tokio::test]
async fn an_unchanged_pool_keeps_its_connections() -> Result<()> {
    let scene = Scene::calm("unchanged", "[pool]\nsize = 3").await?;
    let mut holders = scene.holders(3).await?;
    run_each(&mut holders, "COMMIT").await?;
    let before = scene.servers_are(3).await?;
    let others = "[pool]\nmax_waiting = 77\n[users.another]\npassword = 'x'";
    scene.reload(others, "pool.max_waiting").await?;
    run_each(&mut holders, "BEGIN").await?;
    assert_eq!(scene.servers().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_changed_file_is_read_without_a_signal() -> Result<()> {
    let scene = Scene::calm("unsignalled", "[pool]\nsize = 1").await?;
    let text = fs::read_to_string(scene.trunkline.config_path())?;
    let text = text.replace("size = 1", "size = 2");
    // Put in place by a rename, as editors and Kubernetes do.
    let beside = scene.trunkline.directory().join("new.toml");
    fs::write(&beside, text)?;
    fs::rename(beside, scene.trunkline.config_path())?;
    scene.trunkline.logged("pool.size: 1 -> 2").await?;
    let (mut first, mut second) = (scene.raw().await?, scene.raw().await?);
    run(&mut first, "BEGIN").await?;
    run(&mut second, "BEGIN").await
}

#[tokio::test]
async fn a_pool_grows_and_shrinks() -> Result<()> {
    let scene = Scene::calm("growing", "[pool]\nsize = 1").await?;
    let mut clients = scene.crowd(3).await?;
    run(&mut clients[0], "BEGIN").await?;
    clients[1].send(&say::query("BEGIN")).await?;
    clients[2].send(&say::query("BEGIN")).await?;
    scene.trunkline.reload("[pool]\nsize = 3")?;
    clients[1].read_until(b'Z').await?;
    clients[2].read_until(b'Z').await?;
    scene.servers_are(3).await?;
    scene.reload("[pool]\nsize = 1", "pool.size: 3 -> 1").await?;
    // Transactions are not disturbed; what is too much goes when they end.
    for client in &mut clients {
        run(client, "SELECT 1").await?;
        run(client, "COMMIT").await?;
    }
    scene.servers_are(1).await?;
    assert_eq!(one(&mut clients[2], "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn clients_of_a_removed_database_are_told_at_their_next_idle_moment() -> Result<()> {
    let both = "[databases.shop]\ndbname = \"postgres\"\n[databases.postgres]";
    let scene = Scene::calm("removed", both).await?;
    let shop = async || scene.trunkline.raw("removed", PASSWORD, "shop").await;
    let (idle, mut busy, mut kept) = (shop().await?, shop().await?, shop().await?);
    run(&mut kept, "CREATE TEMP TABLE t (i int)").await?;
    run(&mut busy, "BEGIN").await?;
    let mut other = scene.raw().await?;
    run(&mut other, "SELECT 1").await?;
    scene.trunkline.reload_text(&without(&scene, "databases", "shop")?)?;
    for mut client in [idle, kept] {
        error_in(&client.expect_closed().await?, "57P01")?;
    }
    run(&mut busy, "SELECT 1").await?;
    busy.send(&say::query("COMMIT")).await?;
    let said = busy.expect_closed().await?;
    error_in(&said, "57P01")?;
    ensure(said.iter().any(|frame| frame.tag == b'C'), "the transaction was not committed")?;
    refused(shop().await, "3D000")?;
    assert_eq!(one(&mut other, "SELECT 1").await?, "1");
    // Its connections go with it.
    scene.servers_are(1).await?;
    Ok(())
}

/// The settings that hold, without one table of a section.
fn without(scene: &Scene<'_>, section: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(scene.trunkline.config_path())?;
    let mut settings: toml::Table = text.parse()?;
    let section = settings.get_mut(section).and_then(toml::Value::as_table_mut);
    ensure(section.is_some_and(|table| table.remove(name).is_some()), &text)?;
    Ok(settings.to_string())
}

/// An idle client and one in a transaction are told when their user has gone; `remove` removes him.
async fn told_at_their_next_idle_moment(
    scene: &Scene<'_>,
    user: &str,
    remove: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let client = async || scene.trunkline.raw(user, PASSWORD, DATABASE).await;
    let (mut idle, mut busy) = (client().await?, client().await?);
    run(&mut idle, "SELECT 1").await?;
    run(&mut busy, "BEGIN").await?;
    remove().await?;
    error_in(&idle.expect_closed().await?, "57P01")?;
    run(&mut busy, "SELECT 1").await?;
    busy.send(&say::query("COMMIT")).await?;
    let said = busy.expect_closed().await?;
    error_in(&said, "57P01")?;
    ensure(said.iter().any(|frame| frame.tag == b'C'), "the transaction was not committed")?;
    refused(client().await, "28P01")
}

#[tokio::test]
async fn clients_of_a_removed_user_are_told_at_their_next_idle_moment() -> Result<()> {
    let scene = Scene::calm("fired", "[pool]\nsize = 2\n[users.stays]\npassword = 'x'").await?;
    let gone = without(&scene, "users", "fired")?;
    let remove = async || scene.trunkline.reload_text(&gone);
    told_at_their_next_idle_moment(&scene, "fired", remove).await?;
    // His servers go with him.
    scene.servers_are(0).await.map(drop)
}

#[tokio::test]
async fn clients_of_a_user_who_has_left_the_user_file_are_told_too() -> Result<()> {
    let cluster = common::shared().await?;
    let list = "\"unlisted\" \"secret\"\n\"listed\" \"secret\"\n";
    let options = trunkline_testkit::Trunkline::builder()
        .cluster(cluster)
        .file("users.txt", list)
        .config("[auth]\nuser_file = \"users.txt\"");
    let scene = Scene::with(cluster, "unlisted", options).await?;
    common::create_role(scene.node, "listed").await?;
    let mut other = scene.trunkline.raw("listed", PASSWORD, DATABASE).await?;
    run(&mut other, "SELECT 1").await?;
    let remove = async || {
        let path = scene.trunkline.directory().join("users.txt");
        fs::write(path, "\"listed\" \"secret\"\n")?;
        scene.trunkline.signal(trunkline_testkit::process::Signal::HUP)
    };
    told_at_their_next_idle_moment(&scene, "unlisted", remove).await?;
    run(&mut other, "SELECT 1").await
}

#[tokio::test]
async fn a_user_whom_auth_query_may_know_is_not_removed() -> Result<()> {
    let query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1";
    let scene = Scene::calm("asked", &format!("[auth]\nauth_query = \"{query}\"")).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "SELECT 1").await?;
    scene.trunkline.reload_text(&without(&scene, "users", "asked")?)?;
    scene.trunkline.logged("users.asked").await?;
    // Another client's login shows that the loops have the settings.
    run(&mut scene.raw().await?, "SELECT 1").await?;
    run(&mut client, "SELECT 1").await
}

#[tokio::test]
async fn a_login_that_began_before_its_user_was_removed_is_turned_away() -> Result<()> {
    let config = "[auth]\nmethod = \"password\"\n[users.stays]\npassword = 'x'";
    let scene = Scene::calm("late", config).await?;
    let mut client = RawClient::tcp(scene.trunkline.address()).await?;
    let parameters = [("user", "late"), ("database", DATABASE)];
    client.send(&say::startup(say::PROTOCOL_3_0, &parameters)).await?;
    client.read_until(b'R').await?;
    scene.trunkline.reload_text(&without(&scene, "users", "late")?)?;
    scene.trunkline.logged("users.late").await?;
    client.send(&say::password(PASSWORD)).await?;
    error_in(&client.expect_closed().await?, "57P01").map(drop)
}

#[tokio::test]
async fn passwords_and_users_change_for_new_logins() -> Result<()> {
    let scene = Scene::calm("renewed", "[pool]\nsize = 2").await?;
    let mut before = scene.raw().await?;
    run(&mut before, "SELECT 1").await?;
    common::create_role(scene.node, "newcomer").await?;
    scene.node.execute(DATABASE, "ALTER ROLE renewed PASSWORD 'changed'").await?;
    scene.trunkline.reload(
        "[users.renewed]\npassword = \"changed\"\n[users.newcomer]\npassword = \"secret\"",
    )?;
    let address = scene.trunkline.address();
    wait_for("the new password is taken", PATIENCE, async || {
        let mut client = RawClient::logged_in(address, "renewed", "changed", DATABASE).await?;
        run(&mut client, "SELECT 1").await
    })
    .await?;
    let old = RawClient::logged_in(address, "renewed", PASSWORD, DATABASE).await;
    refused(old, "28P01")?;
    let mut newcomer = RawClient::logged_in(address, "newcomer", PASSWORD, DATABASE).await?;
    assert_eq!(one(&mut newcomer, "SELECT current_user").await?, "newcomer");
    run(&mut before, "SELECT 1").await
}

#[tokio::test]
async fn another_address_of_the_server_takes_new_connections() -> Result<()> {
    let cluster = common::shared().await?;
    let (first, second) = (
        Link::to(cluster.primary().address()).await?,
        Link::to(cluster.primary().address()).await?,
    );
    let scene = Scene::over(&first, cluster, "moving", "").await?;
    let (mut idle, mut busy) = (scene.raw().await?, scene.raw().await?);
    run(&mut busy, "BEGIN").await?;
    let kept = backend(&mut busy).await?;
    run(&mut idle, "SELECT 1").await?;
    let node = format!(
        "[[node]]\nname = \"primary\"\nhost = \"127.0.0.1\"\nport = {}",
        second.address().port()
    );
    scene.trunkline.reload(&node)?;
    wait_for("the idle client is served over the other way", PATIENCE, async || {
        run(&mut idle, "SELECT 1").await?;
        ensure(second.open_connections() > 0 && first.open_connections() == 1, "not yet")
    })
    .await?;
    // The transaction that was open ends where it began.
    assert_eq!(backend(&mut busy).await?, kept);
    run(&mut busy, "COMMIT").await?;
    wait_for("nothing goes over the old way", PATIENCE, async || {
        ensure(first.open_connections() == 0, first.open_connections())
    })
    .await?;
    run(&mut busy, "SELECT 1").await
}
