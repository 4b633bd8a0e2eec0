//! Replication connections, message by message: each has a server of its own, within limits, and is ended in order.

mod common;

use std::process::ExitStatus;

use common::{
    DATABASE, PASSWORD, Scene, cluster, ended_with, ensure, error_in, one, refused, run, words,
};
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::link::Link;
use trunkline_testkit::peer::{RawClient, Welcome, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

/// The scene of a role that may replicate.
async fn scene<'a>(cluster: &'a Cluster, user: &str, config: &str) -> Result<Scene<'a>> {
    let scene = Scene::before(cluster, user, config).await?;
    allow(&scene).await?;
    Ok(scene)
}

async fn allow(scene: &Scene<'_>) -> Result<()> {
    scene.node.execute(DATABASE, &format!("ALTER ROLE {} REPLICATION", scene.user)).await
}

/// Logs in with this value of `replication`.
async fn log_in(scene: &Scene<'_>, value: &str) -> Result<RawClient> {
    log_in_as(scene, &[("replication", value)]).await.map(|(client, _)| client)
}

async fn log_in_as(scene: &Scene<'_>, more: &[(&str, &str)]) -> Result<(RawClient, Welcome)> {
    let mut client = RawClient::tcp(scene.trunkline.address()).await?;
    let own = [("user", scene.user.as_str()), ("database", DATABASE)];
    let all = [&own, more].concat();
    let welcome = client.login_with(say::PROTOCOL_3_0, &all, PASSWORD).await?;
    Ok((client, welcome))
}

/// Begins to receive WAL from where it ends.
async fn stream(client: &mut RawClient) -> Result<()> {
    let here = client.rows("IDENTIFY_SYSTEM").await?;
    let position = here.first().and_then(|row| row.get(2)).cloned().flatten().unwrap_or_default();
    client.send(&say::query(&format!("START_REPLICATION PHYSICAL {position}"))).await?;
    client.expect(b'W').await.map(drop)
}

/// Waits until this many servers send WAL to the role.
async fn senders_are(scene: &Scene<'_>, count: usize) -> Result<()> {
    let sql = format!("SELECT count(*) FROM pg_stat_replication WHERE usename = '{}'", scene.user);
    wait_for(&format!("{count} servers send"), PATIENCE, async || {
        let seen = scene.node.query_text(DATABASE, &sql).await?;
        ensure(seen == count.to_string(), seen)
    })
    .await
}

/// The value of a metric without labels.
async fn metric(scene: &Scene<'_>, name: &str) -> Result<u64> {
    let metrics = scene.trunkline.get("/metrics").await?.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.unwrap_or("none").parse()?)
}

fn orderly(status: ExitStatus) -> Result<()> {
    ensure(status.code() == Some(0), status)
}

#[tokio::test]
async fn a_logical_connection_takes_statements_and_commands_and_is_not_pooled() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "logical", "[pool]\nsize = 1").await?;
    let options = [
        ("replication", "database"),
        ("application_name", "replica 7"),
        ("options", "-c work_mem=7MB"),
    ];
    let (mut client, welcome) = log_in_as(&scene, &options).await?;
    assert_eq!(welcome.parameters.get("application_name").map(String::as_str), Some("replica 7"));
    assert_eq!(one(&mut client, "SHOW work_mem").await?, "7MB");
    assert_eq!(one(&mut client, "SELECT current_database()").await?, DATABASE);
    let pid = one(&mut client, "SELECT pg_backend_pid()").await?;
    // Its session is its own, and takes no place in the pool.
    run(&mut client, "SET work_mem = '9MB'").await?;
    let mut other = scene.raw().await?;
    run(&mut other, "BEGIN").await?;
    assert_eq!(one(&mut client, "SHOW work_mem").await?, "9MB");
    assert_eq!(one(&mut client, "SELECT pg_backend_pid()").await?, pid);
    assert_eq!(client.rows("IDENTIFY_SYSTEM").await?.len(), 1);
    client.send(&say::terminate()).await?;
    assert_eq!(tags(&client.expect_closed().await?), "");
    senders_are(&scene, 0).await
}

#[tokio::test]
async fn a_physical_connection_needs_no_database_that_clients_may_name() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "physical", "[databases.shop]").await?;
    for value in ["true", "on", "1", "yes"] {
        let mut client = log_in(&scene, value).await?;
        assert_eq!(client.rows("IDENTIFY_SYSTEM").await?.len(), 1);
        let ours = client.query("SELECT 1").await?;
        let theirs = direct(&scene, value).await?.query("SELECT 1").await?;
        assert_eq!(ours, theirs);
        assert_eq!(tags(&ours), "EZ");
    }
    refused(log_in(&scene, "database").await, "3D000")
}

#[tokio::test]
async fn what_postgresql_refuses_is_refused_in_its_words() -> Result<()> {
    let cluster = cluster().await?;
    let scene = Scene::before(&cluster, "refusing", "").await?;
    for value in ["perhaps", "Database", "o", ""] {
        refused(log_in(&scene, value).await, "22023")?;
        refused(direct(&scene, value).await, "22023")?;
    }
    for value in ["true", "database"] {
        let (ours, theirs) = (log_in(&scene, value).await, direct(&scene, value).await);
        let told = |login: Result<RawClient>| format!("{:#}", login.expect_err("no right to it"));
        let (ours, theirs) = (told(ours), told(theirs));
        ensure(ours.contains("42501"), &ours)?;
        assert_eq!(ours, theirs);
    }
    let client = log_in(&scene, "off").await?;
    drop(client);
    Ok(())
}

/// The same login at the server itself.
async fn direct(scene: &Scene<'_>, value: &str) -> Result<RawClient> {
    let mut client = RawClient::tcp(scene.node.address()).await?;
    let all = [("user", &*scene.user), ("database", DATABASE), ("replication", value)];
    client.login_with(say::PROTOCOL_3_0, &all, PASSWORD).await?;
    Ok(client)
}

#[tokio::test]
async fn a_cancel_request_reaches_the_server_of_a_replication_connection() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "cancelled", "").await?;
    let (mut client, welcome) = log_in_as(&scene, &[("replication", "database")]).await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    // Not with another key.
    let mut wrong = welcome.clone();
    wrong.key = vec![0; wrong.key.len()].into();
    RawClient::cancel(scene.trunkline.address(), &wrong).await?;
    scene.in_state("active", 1).await?;
    RawClient::cancel(scene.trunkline.address(), &welcome).await?;
    error_in(&client.read_until(b'Z').await?, "57014")?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn there_are_no_more_than_the_limit_and_a_full_node_says_so() -> Result<()> {
    let cluster =
        Cluster::builder().setting("max_connections", 30).setting("max_wal_senders", 3).start();
    let cluster = cluster.await?;
    let scene = scene(&cluster, "limited", "[limits]\nreplication = 1").await?;
    let first = log_in(&scene, "true").await?;
    let told = log_in(&scene, "true").await.err().map(|error| format!("{error:#}"));
    let told = told.unwrap_or_default();
    ensure(told.contains("53300") && told.contains("limits.replication"), told)?;
    assert_eq!(metric(&scene, "trunkline_replication_refused_total").await?, 1);
    scene.reload("[limits]\nreplication = 9", "limits.replication").await?;
    let others = (log_in(&scene, "true").await?, log_in(&scene, "true").await?);
    let told = log_in(&scene, "true").await.err().map(|error| format!("{error:#}"));
    let told = told.unwrap_or_default();
    ensure(told.contains("53300") && told.contains("max_wal_senders"), told)?;
    // The one that was refused is being closed.
    wait_for("three are left", PATIENCE, async || {
        let left = metric(&scene, "trunkline_replication_connections").await?;
        ensure(left == 3, left)
    })
    .await?;
    drop((first, others));
    wait_for("all have left", PATIENCE, async || {
        let left = metric(&scene, "trunkline_replication_connections").await?;
        ensure(left == 0, left)
    })
    .await
}

#[tokio::test]
async fn a_client_that_dies_takes_its_server_with_it() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "dying", "").await?;
    let mut client = log_in(&scene, "true").await?;
    stream(&mut client).await?;
    senders_are(&scene, 1).await?;
    client.reset()?;
    senders_are(&scene, 0).await
}

#[tokio::test]
async fn who_does_not_read_is_not_read_for() -> Result<()> {
    /// Much more than the sockets between here and the server hold, and the server's own buffer.
    const COPY: u64 = 100 << 20;
    /// What Trunkline and the sockets hold, at most.
    const HELD_MAX: u64 = 32 << 20;
    let cluster = cluster().await?;
    let scene = scene(&cluster, "unread", "").await?;
    let rows = usize::try_from(COPY / 1000)?;
    let sql = format!(
        "CREATE TABLE unread.bulk AS SELECT repeat('x', 1000) t FROM generate_series(1, {rows}); \
         ALTER TABLE unread.bulk OWNER TO unread"
    );
    scene.node.execute(DATABASE, &sql).await?;
    let mut client = log_in(&scene, "database").await?;
    client.send(&say::query("SELECT t FROM bulk")).await?;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'unread' AND wait_event = 'ClientWrite'";
    wait_for("the server waits", PATIENCE, async || {
        let seen = scene.node.query_text(DATABASE, waits).await?;
        ensure(seen == "1", seen)
    })
    .await?;
    let sent = metric(&scene, "trunkline_replication_sent_bytes_total").await?;
    ensure(sent < HELD_MAX, sent)?;
    let said = client.read_until(b'Z').await?;
    assert_eq!(said.iter().filter(|frame| frame.tag == b'D').count(), rows);
    Ok(())
}

#[tokio::test]
async fn those_of_an_old_primary_are_told_that_it_has_changed() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).setting("max_connections", 50).start().await?;
    let scene = scene(&cluster, "moving", "").await?;
    cluster.caught_up().await?;
    let (mut idle, mut busy) = (log_in(&scene, "true").await?, log_in(&scene, "true").await?);
    stream(&mut busy).await?;
    cluster.standby(0)?.promote().await?;
    for client in [&mut idle, &mut busy] {
        let told = words(&ended_with(client, "57P01").await?);
        ensure(told.contains("the primary has changed"), told)?;
    }
    let mut client = log_in(&scene, "database").await?;
    let port = cluster.standby(0)?.port().to_string();
    assert_eq!(one(&mut client, "SELECT inet_server_port()").await?, port);
    Ok(())
}

#[tokio::test]
async fn at_the_end_streams_are_closed_and_commands_carried_out() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "ending", "").await?;
    let (mut idle, mut endless) = (log_in(&scene, "true").await?, log_in(&scene, "true").await?);
    stream(&mut endless).await?;
    let mut busy = log_in(&scene, "database").await?;
    // It goes on when we let it.
    let mut holder = direct(&scene, "off").await?;
    run(&mut holder, "SELECT pg_advisory_lock(1)").await?;
    busy.send(&say::query("SELECT pg_advisory_lock(1)")).await?;
    scene.in_state("active", 2).await?;
    scene.trunkline.terminate()?;
    for client in [&mut idle, &mut endless] {
        ended_with(client, "57P01").await?;
    }
    run(&mut holder, "SELECT pg_advisory_unlock(1)").await?;
    let said = busy.expect_closed().await?;
    assert_eq!(tags(&said), "TDCZE");
    error_in(&said, "57P01")?;
    orderly(scene.trunkline.ended().await?)
}

#[tokio::test]
async fn a_login_waits_for_a_server_that_is_away_and_no_longer_than_others() -> Result<()> {
    let cluster = cluster().await?;
    let link = Link::to(cluster.primary().address()).await?;
    let config = |wait: &str| {
        format!(
            "[pool]\nwait_timeout = \"{wait}\"\nretry_backoff_max = \"100ms\"\n\
             [console]\nstats_users = [\"waiting\"]"
        )
    };
    let scene = Scene::over(&link, &cluster, "waiting", &config("1s")).await?;
    allow(&scene).await?;
    link.refuse().await;
    refused(log_in(&scene, "true").await, "53300")?;
    scene.reload(&config("1h"), "pool.wait_timeout").await?;
    let mut console = scene.trunkline.raw("waiting", PASSWORD, "trunkline").await?;
    let client = log_in(&scene, "true");
    let healed = async {
        wait_for("a connection is opening", PATIENCE, async || {
            let shown = console.rows("SHOW REPLICATION").await?;
            let state = shown.first().and_then(|row| row.get(4)).cloned().flatten();
            ensure(state.as_deref() == Some("opening"), format!("{shown:?}"))
        })
        .await?;
        link.heal().await
    };
    let (client, healed) = tokio::join!(client, healed);
    healed?;
    assert_eq!(client?.rows("IDENTIFY_SYSTEM").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn orders_to_the_pools_do_not_touch_them() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "unpaused", "[console]\nadmin_users = [\"unpaused\"]").await?;
    let mut before = log_in(&scene, "true").await?;
    let mut console = scene.trunkline.raw("unpaused", PASSWORD, "trunkline").await?;
    run(&mut console, "PAUSE").await?;
    let mut behind = log_in(&scene, "true").await?;
    for command in ["RESUME", "RECONNECT"] {
        for client in [&mut before, &mut behind] {
            assert_eq!(client.rows("IDENTIFY_SYSTEM").await?.len(), 1);
        }
        run(&mut console, command).await?;
    }
    for client in [&mut before, &mut behind] {
        assert_eq!(client.rows("IDENTIFY_SYSTEM").await?.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn operators_see_each_connection() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "seen", "[console]\nstats_users = [\"seen\"]").await?;
    let mut client = log_in(&scene, "database").await?;
    let pid = one(&mut client, "SELECT pg_backend_pid()").await?;
    let mut console = scene.trunkline.raw("seen", PASSWORD, "trunkline").await?;
    let shown = console.rows("SHOW REPLICATION").await?;
    let shown: Vec<Vec<String>> = shown
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
        .collect();
    let row = shown.first().cloned().unwrap_or_default();
    assert_eq!(row.get(1..5).unwrap_or_default(), ["seen", DATABASE, "logical", "idle"]);
    assert_eq!(row.get(10..12).unwrap_or_default(), ["primary", &*pid]);
    Ok(())
}

#[tokio::test]
async fn who_is_removed_from_the_settings_is_cut_off() -> Result<()> {
    let cluster = cluster().await?;
    let scene = scene(&cluster, "removed", "[users.stays]\npassword = \"x\"").await?;
    let mut client = log_in(&scene, "true").await?;
    let text = std::fs::read_to_string(scene.trunkline.config_path())?;
    let mut settings: toml::Table = text.parse()?;
    let users = settings.get_mut("users").and_then(toml::Value::as_table_mut);
    users.and_then(|users| users.remove("removed")).expect("it was there");
    scene.trunkline.reload_text(&settings.to_string())?;
    ended_with(&mut client, "57P01").await?;
    refused(log_in(&scene, "true").await, "28P01")
}

/// The role's password is known from its login only.
#[tokio::test]
async fn a_key_learnt_from_the_login_opens_the_server() -> Result<()> {
    let cluster = cluster().await?;
    let query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin";
    let options = Trunkline::builder().cluster(&cluster).set("auth", "auth_query", query);
    let scene = Scene::with(&cluster, "learnt", options).await?;
    allow(&scene).await?;
    let mut client = log_in(&scene, "true").await?;
    assert_eq!(client.rows("IDENTIFY_SYSTEM").await?.len(), 1);
    Ok(())
}
