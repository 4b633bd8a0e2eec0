//! A client that shares server connections with others sees its own session and nobody else's,
//! and no limit of server connections is ever exceeded.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{
    DATABASE, PASSWORD, Scene, backend, ensure, error_in, fails, one, refused, run, run_each, words,
};
use trunkline_testkit::peer::{RawClient, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

#[tokio::test]
async fn between_transactions_clients_share_a_server() -> Result<()> {
    let scene = Scene::calm("sharing", "[pool]\nsize = 1").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    let server = backend(&mut alice).await?;
    assert_eq!(backend(&mut bob).await?, server);
    run(&mut alice, "BEGIN").await?;
    bob.send(&say::query("SELECT pg_backend_pid()")).await?;
    // As long as the transaction is open, the other one waits.
    for _ in 0..20 {
        assert_eq!(backend(&mut alice).await?, server);
    }
    run(&mut alice, "COMMIT").await?;
    assert_eq!(tags(&bob.read_until(b'Z').await?), "TDCZ");
    scene.servers_are(1).await?;
    Ok(())
}

#[tokio::test]
async fn settings_stay_with_the_client_that_made_them() -> Result<()> {
    let scene = Scene::calm("settings", "[pool]\nsize = 1").await?;
    scene
        .node
        .execute(DATABASE, "CREATE ROLE settings_other; GRANT settings_other TO settings")
        .await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    let names = ["search_path", "TimeZone", "application_name", "role", "work_mem", "my.own"];
    let mut defaults = Vec::new();
    for name in names {
        defaults.push(one(&mut bob, &format!("SELECT current_setting('{name}', true)")).await?);
    }
    let values = ["pg_catalog", "Asia/Tokyo", "alice's", "settings_other", "7MB", "mine"];
    for (name, value) in names.iter().zip(values) {
        let value = value.replace('\'', "''");
        run(&mut alice, &format!("SET {name} = '{value}'")).await?;
    }
    for _ in 0..3 {
        for (index, name) in names.iter().enumerate() {
            let show = format!("SELECT current_setting('{name}', true)");
            assert_eq!(one(&mut alice, &show).await?, values[index], "{name}");
            assert_eq!(one(&mut bob, &show).await?, defaults[index], "{name}");
        }
    }
    for name in &names[..5] {
        run(&mut alice, &format!("RESET {name}")).await?;
    }
    for (index, name) in names[..5].iter().enumerate() {
        let show = format!("SELECT current_setting('{name}', true)");
        assert_eq!(one(&mut alice, &show).await?, defaults[index], "{name}");
    }
    assert_eq!(scene.servers().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_setting_of_a_transaction_that_fails_is_not_kept() -> Result<()> {
    let scene = Scene::calm("undone", "[pool]\nsize = 1").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "SET work_mem = '5MB'").await?;
    run(&mut alice, "BEGIN; SET work_mem = '6MB'; SET LOCAL TimeZone = 'Asia/Tokyo'").await?;
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "6MB");
    run(&mut alice, "ROLLBACK").await?;
    assert_eq!(one(&mut bob, "SHOW work_mem").await?, "4MB");
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "5MB");
    assert_eq!(one(&mut alice, "SHOW TimeZone").await?, "UTC");
    Ok(())
}

#[tokio::test]
async fn prepared_statements_follow_the_client_from_server_to_server() -> Result<()> {
    let scene = Scene::calm("preparing", "[pool]\nsize = 2").await?;
    let mut alice = scene.raw().await?;
    let sql = "SELECT pg_backend_pid(), $1::text";
    let parse = [say::parse("mine", sql, &[]), say::sync()].concat();
    assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
    let execute = async |client: &mut RawClient| -> Result<(u32, String)> {
        let run = [say::bind("", "mine", &[Some("x")]), say::execute("", 0), say::sync()];
        let frames = client.exchange(&run.concat(), 1).await?;
        ensure(tags(&frames) == "2DCZ", format!("{frames:?}"))?;
        let row = frames[1].row()?;
        let cell = |index: usize| row[index].clone().unwrap_or_default();
        Ok((cell(0).parse()?, cell(1)))
    };
    let (first, value) = execute(&mut alice).await?;
    assert_eq!(value, "x");
    // Another client keeps that server, so the next one is another.
    let (mut holder, mut other) = (scene.raw().await?, scene.raw().await?);
    run(&mut holder, "BEGIN").await?;
    run(&mut other, "BEGIN").await?;
    let held = backend(&mut holder).await?;
    run(&mut (if held == first { other } else { holder }), "COMMIT").await?;
    let (second, _) = execute(&mut alice).await?;
    assert_ne!(second, first);
    // A name belongs to its client alone.
    let mut bob = scene.raw().await?;
    let bind = [say::bind("", "mine", &[Some("x")]), say::sync()].concat();
    error_in(&bob.exchange(&bind, 1).await?, "26000")?;
    // What is closed is gone, whatever the servers still have.
    let close = [say::close_statement("mine"), say::sync()].concat();
    assert_eq!(tags(&alice.exchange(&close, 1).await?), "3Z");
    error_in(&alice.exchange(&bind, 1).await?, "26000")?;
    assert_eq!(tags(&alice.exchange(&parse, 1).await?), "1Z");
    run(&mut alice, "DISCARD ALL").await?;
    error_in(&alice.exchange(&bind, 1).await?, "26000")?;
    Ok(())
}

#[tokio::test]
async fn a_temporary_table_keeps_its_server_and_leaves_nothing_to_the_next_client() -> Result<()> {
    let scene = Scene::calm("temporary", "[pool]\nsize = 2").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "CREATE TEMP TABLE t AS SELECT 42 AS answer; SET work_mem = '9MB'").await?;
    for _ in 0..5 {
        fails(&mut bob, "SELECT * FROM t", "42P01").await?;
        assert_eq!(one(&mut alice, "SELECT answer FROM t").await?, "42");
    }
    assert_ne!(backend(&mut alice).await?, backend(&mut bob).await?);
    let kept = backend(&mut alice).await?;
    run(&mut bob, "BEGIN").await?;
    drop(alice);
    let mut next = scene.raw().await?;
    wait_for("the server is given to the next client", PATIENCE, async || {
        let server = backend(&mut next).await?;
        ensure(server == kept, server)
    })
    .await?;
    fails(&mut next, "SELECT * FROM t", "42P01").await?;
    assert_eq!(one(&mut next, "SHOW work_mem").await?, "4MB");
    Ok(())
}

#[tokio::test]
async fn a_pool_is_never_wholly_kept() -> Result<()> {
    let scene = Scene::calm("keeping", "[pool]\nsize = 3\nmax_pinned = 2").await?;
    let mut keepers = scene.crowd(2).await?;
    run_each(&mut keepers, "CREATE TEMP TABLE mine (i int)").await?;
    let mut third = scene.raw().await?;
    third.send(&say::query("CREATE TEMP TABLE mine (i int)")).await?;
    let said = third.expect_closed().await?;
    let error = error_in(&said, "53400")?;
    let told = words(&error);
    for word in ["keeping", "temporary object", "pool.max_pinned", "2"] {
        assert!(told.contains(word), "{word} is not in: {told}");
    }
    // The others still have a server to share, without a trace of the third.
    let mut bob = scene.raw().await?;
    fails(&mut bob, "SELECT * FROM mine", "42P01").await?;
    // A place that is given up can be taken again.
    run(&mut keepers[0], "DISCARD ALL").await?;
    let mut fourth = scene.raw().await?;
    run(&mut fourth, "CREATE TEMP TABLE mine (i int)").await?;
    run(&mut fourth, "INSERT INTO mine VALUES (1)").await?;
    Ok(())
}

#[tokio::test]
async fn notifications_reach_those_who_listen() -> Result<()> {
    let scene = Scene::calm("listening", "[pool]\nsize = 2").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN news").await?;
    run(&mut bob, "NOTIFY news, 'hello'").await?;
    let heard = alice.expect(b'A').await?;
    assert!(heard.body.windows(5).any(|bytes| bytes == b"hello"), "{heard:?}");
    drop(alice);
    // Nobody inherits the subscription: both servers are asked.
    let mut carol = scene.raw().await?;
    wait_for("nobody listens any more", PATIENCE, async || {
        run(&mut bob, "BEGIN").await?;
        let sql = "SELECT count(*) FROM pg_listening_channels()";
        let (first, second) = (one(&mut bob, sql).await?, one(&mut carol, sql).await?);
        run(&mut bob, "COMMIT").await?;
        ensure(first == "0" && second == "0", format!("{first} and {second}"))
    })
    .await
}

#[tokio::test]
async fn in_session_mode_a_client_keeps_its_server_until_it_leaves() -> Result<()> {
    let scene = Scene::calm("sessions", "[pool]\nsize = 1\nmode = \"session\"").await?;
    let mut alice = scene.raw().await?;
    run(&mut alice, "CREATE TEMP TABLE t (i int); SET work_mem = '9MB'; PREPARE p AS SELECT 1")
        .await?;
    run(&mut alice, "SELECT pg_advisory_lock(77)").await?;
    let server = backend(&mut alice).await?;
    let mut bob = scene.raw().await?;
    bob.send(&say::query("SHOW work_mem")).await?;
    assert_eq!(one(&mut alice, "SHOW work_mem").await?, "9MB");
    run(&mut alice, "EXECUTE p").await?;
    alice.send(&say::terminate()).await?;
    let rows = bob.read_until(b'Z').await?;
    assert_eq!(rows[1].row()?, [Some("4MB".to_owned())]);
    assert_eq!(backend(&mut bob).await?, server);
    fails(&mut bob, "SELECT * FROM t", "42P01").await?;
    fails(&mut bob, "EXECUTE p", "26000").await?;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77";
    assert_eq!(one(&mut bob, locks).await?, "0");
    Ok(())
}

#[tokio::test]
async fn in_statement_mode_transactions_are_refused() -> Result<()> {
    let scene = Scene::calm("statements", "[pool]\nsize = 1\nmode = \"statement\"").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    assert_eq!(backend(&mut alice).await?, backend(&mut bob).await?);
    alice.send(&say::query("BEGIN")).await?;
    error_in(&alice.expect_closed().await?, "0A000")?;
    assert_eq!(one(&mut bob, "SELECT 1").await?, "1");
    let mut carol = scene.raw().await?;
    carol.send(&say::extended("START TRANSACTION", &[])).await?;
    error_in(&carol.expect_closed().await?, "0A000")?;
    Ok(())
}

#[tokio::test]
async fn startup_parameters_are_the_defaults_of_their_client() -> Result<()> {
    let scene = Scene::calm("variants", "[pool]\nsize = 2\nmax_startup_variants = 2").await?;
    let mut plain = scene.raw().await?;
    let mut small = scene.raw_with(&[("options", "-c work_mem=1MB")]).await?;
    let mut large = scene.raw_with(&[("options", "-c work_mem=8MB")]).await?;
    // No place for servers of its own is left for this one; it gets what it asked for all the same.
    let mut third = scene.raw_with(&[("options", "-c work_mem=3MB")]).await?;
    for _ in 0..2 {
        assert_eq!(one(&mut plain, "SHOW work_mem").await?, "4MB");
        assert_eq!(one(&mut small, "SHOW work_mem").await?, "1MB");
        assert_eq!(one(&mut large, "SHOW work_mem").await?, "8MB");
        assert_eq!(one(&mut third, "SHOW work_mem").await?, "3MB");
        run(&mut small, "SET work_mem = '2MB'").await?;
        assert_eq!(one(&mut large, "SHOW work_mem").await?, "8MB");
        assert_eq!(one(&mut small, "SHOW work_mem").await?, "2MB");
        run(&mut small, "RESET work_mem").await?;
    }
    // One that had to make room may still be on its way out.
    scene.servers_are_at_most(2).await
}

#[tokio::test]
async fn a_rare_set_of_startup_parameters_gets_a_server_beside_a_crowd_that_always_waits()
-> Result<()> {
    let config = "[pool]\nsize = 2\nwait_timeout = \"5m\"";
    let scene = Scene::calm("rare", config).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let (mut client, stop) = (scene.raw().await?, Arc::clone(&stop));
        crowd.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                run(&mut client, "SELECT 1").await?;
            }
            Result::<()>::Ok(())
        }));
    }
    let mut rare = scene.raw_with(&[("work_mem", "1MB")]).await?;
    for _ in 0..3 {
        assert_eq!(one(&mut rare, "SHOW work_mem").await?, "1MB");
    }
    stop.store(true, Ordering::Relaxed);
    for client in crowd {
        client.await??;
    }
    Ok(())
}

#[tokio::test]
async fn idle_servers_are_kept_ready() -> Result<()> {
    let config =
        "[general]\nworkers = 4\n[pool]\nsize = 40\nmin_idle = 5\nidle_timeout = \"100ms\"";
    let scene = Scene::calm("ready", config).await?;
    assert!(scene.servers().await?.is_empty());
    let mut client = scene.raw().await?;
    run(&mut client, "SELECT 1").await?;
    scene.servers_are(5).await?;
    // What is more than those is closed when it is idle; those are not.
    let crowd = scene.holders(12).await?;
    assert!(scene.servers().await?.len() >= 12);
    drop(crowd);
    scene.servers_are(5).await?;
    // One that serves a client is not ready for another.
    run(&mut client, "BEGIN").await?;
    scene.servers_are(6).await?;
    let mut others = scene.holders(3).await?;
    scene.servers_are(9).await?;
    run(&mut client, "COMMIT").await?;
    run_each(&mut others, "COMMIT").await?;
    scene.servers_are(5).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_told_to_go_holds_its_place_until_it_has_gone() -> Result<()> {
    // In session mode a server is not brought back to rest amid a statement.
    let config = "[pool]\nmode = \"session\"\nsize = 1\nmax_waiting = 1";
    let (mut peer, trunkline) = common::scripted(config).await?;
    let login = trunkline.raw("alice", PASSWORD, DATABASE);
    let (client, talk) = tokio::join!(login, peer.accept());
    let (mut alice, mut slow) = (client?, talk?);
    alice.send(&say::query("SELECT 1")).await?;
    slow.expect_query("SELECT 1").await?;
    // Nobody waits for the answer any more.
    drop(alice);
    drop(peer.cancel().await?);
    assert!(slow.read_or_end().await?.is_none());
    let before = peer.accepted();
    let mut bob = trunkline.raw("alice", PASSWORD, DATABASE).await?;
    bob.send(&say::query("SELECT 2")).await?;
    let mut carol = trunkline.raw("alice", PASSWORD, DATABASE).await?;
    error_in(&carol.query("SELECT 3").await?, "53300")?;
    assert_eq!(peer.accepted(), before, "another server while the first one is still there");
    drop(slow);
    let mut next = peer.accept().await?;
    next.answer_query("SELECT 2", &["a"], &[&[Some("2")]]).await?;
    assert_eq!(tags(&bob.read_until(b'Z').await?), "TDCZ");
    Ok(())
}

#[tokio::test]
async fn the_reserve_serves_those_who_have_waited_long() -> Result<()> {
    let config = "[pool]\nsize = 1\nreserve_size = 2\nreserve_after = \"300ms\"";
    let scene = Scene::calm("reserves", config).await?;
    let mut holders = scene.holders(3).await?;
    assert_eq!(scene.servers().await?.len(), 3);
    let mut fourth = scene.raw().await?;
    fourth.send(&say::query("SELECT 1")).await?;
    for _ in 0..40 {
        run(&mut holders[0], "SELECT pg_sleep(0.02)").await?;
        assert_eq!(scene.servers().await?.len(), 3);
    }
    run_each(&mut holders, "COMMIT").await?;
    assert_eq!(tags(&fourth.read_until(b'Z').await?), "TDCZ");
    // The reserve is given up when nobody waits.
    scene.servers_are(1).await?;
    Ok(())
}

/// Two roles whose clients come through one Trunkline.
async fn two_users(first: &str, second: &str, config: &str) -> Result<Scene<'static>> {
    let cluster = common::shared().await?;
    common::create_role(cluster.primary(), second).await?;
    let options = Trunkline::builder()
        .cluster(cluster)
        .user(first, PASSWORD)
        .user(second, PASSWORD)
        .config(config);
    Scene::with(cluster, first, options).await
}

#[tokio::test]
async fn idle_servers_of_one_pool_make_room_for_another() -> Result<()> {
    let config = "[general]\nworkers = 4\n[pool]\nsize = 2\nmax_connections = 2";
    let scene = two_users("evicted", "evicting", config).await?;
    for _ in 0..3 {
        for user in ["evicted", "evicting"] {
            let mut clients = Vec::new();
            for _ in 0..2 {
                let mut client = scene.trunkline.raw(user, PASSWORD, DATABASE).await?;
                run(&mut client, "BEGIN").await?;
                clients.push(client);
            }
            // Those of its last turn may still be on their way out.
            wait_for("two servers are left", PATIENCE, async || {
                let servers = common::servers(scene.node, user).await?.len();
                ensure(servers == 2, servers)
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn caps_of_user_database_and_node_hold() -> Result<()> {
    for (number, config) in [
        "[pool]\nsize = 8\n[databases.\"*\"]\nmax_connections = 3".to_owned(),
        "[pool]\nsize = 8\nmax_connections = 3".to_owned(),
        "[pool]\nsize = 8\n[users.capped2]\nmax_connections = 3".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let user = format!("capped{number}");
        let scene = Scene::calm(&user, config).await?;
        caps_at_three(&scene).await?;
    }
    let cluster = common::shared().await?;
    let address = cluster.primary().address();
    let node = format!(
        "[[node]]\nname = \"primary\"\nhost = \"{}\"\nport = {}\nmax_connections = 3\n\
         [pool]\nsize = 8",
        address.ip(),
        address.port()
    );
    let scene = Scene::calm("capped3", &node).await?;
    caps_at_three(&scene).await
}

async fn caps_at_three(scene: &Scene<'_>) -> Result<()> {
    let mut holders = scene.holders(3).await?;
    let mut waiting = scene.crowd(5).await?;
    for client in &mut waiting {
        client.send(&say::query("SELECT pg_sleep(0.01)")).await?;
    }
    scene.waiting_are(5).await?;
    for _ in 0..5 {
        run_each(&mut holders, "SELECT 1").await?;
        assert_eq!(scene.servers().await?.len(), 3);
    }
    run_each(&mut holders, "COMMIT").await?;
    for client in &mut waiting {
        assert_eq!(tags(&client.read_until(b'Z').await?), "TDCZ");
        assert!(scene.servers().await?.len() <= 3);
    }
    Ok(())
}

#[tokio::test]
async fn a_database_may_have_another_name_on_the_server() -> Result<()> {
    let config = format!(
        "[databases.shop]\ndbname = \"{DATABASE}\"\n[databases.\"*\"]\ndbname = \"template1\""
    );
    let scene = Scene::calm("mapped", &config).await?;
    for (database, server) in [("shop", DATABASE), ("anything", "template1")] {
        let mut client = scene.trunkline.raw("mapped", PASSWORD, database).await?;
        assert_eq!(one(&mut client, "SELECT current_database()").await?, server);
    }
    let config = "[databases.shop]\ndbname = \"postgres\"";
    let scene = Scene::calm("unmapped", config).await?;
    refused(scene.trunkline.raw("unmapped", PASSWORD, "other").await, "3D000")
}

#[tokio::test]
async fn nobody_reads_what_another_has_got_from_a_sequence() -> Result<()> {
    let scene = Scene::calm("counting", "[pool]\nsize = 1").await?;
    scene
        .node
        .execute(DATABASE, "CREATE SEQUENCE tickets; GRANT ALL ON SEQUENCE tickets TO counting")
        .await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    assert_eq!(one(&mut alice, "SELECT nextval('tickets')").await?, "1");
    // For all that is known of it, this could have called nextval.
    run(&mut bob, "BEGIN; SELECT pg_sleep(0)").await?;
    let told = fails(&mut bob, "SELECT lastval()", "55000").await?;
    ensure(words(&told).contains("not yet defined in this session"), words(&told))?;
    run(&mut bob, "ROLLBACK").await?;
    // From then on a session's own values are all that is there.
    run(&mut alice, "SELECT nextval('tickets')").await?;
    run(&mut bob, "BEGIN; SELECT nextval('tickets')").await?;
    assert_eq!(one(&mut bob, "SELECT currval('tickets')").await?, "3");
    assert_eq!(one(&mut bob, "SELECT lastval()").await?, "3");
    run(&mut bob, "COMMIT").await?;
    assert_eq!(one(&mut bob, "SELECT lastval()").await?, "3");
    Ok(())
}
