//! When a server connection fails, the client gets PostgreSQL's own error or a clear one, never a
//! hang and never another client's bytes; and a client that dies leaves no trace.

mod common;

use common::{
    DATABASE, PASSWORD, Scene, backend, ended_with, ensure, error_in, fails, one, run, run_each,
};
use trunkline_testkit::Result;
use trunkline_testkit::cluster::{Cluster, StopMode};
use trunkline_testkit::link::{Ending, Link};
use trunkline_testkit::peer::{RawClient, Script, answer, say, tags};
use trunkline_testkit::process::{Signal, signal};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Two servers, and a log that tells when an idle one is lost.
const NOTED: &str = "[pool]\nsize = 2\nwait_timeout = \"1m\"\n[log]\nlevel = \"debug\"";

/// Sends a statement that takes long, and waits until the server is at it.
async fn sleeping(scene: &Scene<'_>) -> Result<(RawClient, u32)> {
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    let server = backend(&mut client).await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    Ok((client, server))
}

#[tokio::test]
async fn a_terminated_server_tells_its_client_and_no_other() -> Result<()> {
    let scene = Scene::calm("terminated", "[pool]\nsize = 2").await?;
    let mut other = scene.raw().await?;
    run(&mut other, "BEGIN").await?;
    let (mut client, server) = sleeping(&scene).await?;
    let terminate = format!("SELECT pg_terminate_backend({server})");
    scene.node.execute(DATABASE, &terminate).await?;
    ended_with(&mut client, "57P01").await?;
    assert_eq!(one(&mut other, "SELECT 1").await?, "1");
    run(&mut other, "COMMIT").await?;
    scene.served_again().await
}

#[tokio::test]
async fn servers_terminated_while_idle_are_noticed_before_they_are_used() -> Result<()> {
    let scene = Scene::calm("idlers", "[pool]\nsize = 5").await?;
    let mut clients = scene.holders(5).await?;
    run_each(&mut clients, "COMMIT").await?;
    let before = scene.servers_are(5).await?;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'idlers'";
    scene.node.execute(DATABASE, sql).await?;
    scene.servers_are(0).await?;
    for client in &mut clients {
        assert!(!before.contains(&backend(client).await?));
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_server_process_ends_its_client_and_all_recover() -> Result<()> {
    let cluster = common::cluster().await?;
    let scene = Scene::before(&cluster, "killed", NOTED).await?;
    let (mut client, server) = sleeping(&scene).await?;
    let mut idle = scene.raw().await?;
    run(&mut idle, "SELECT 1").await?;
    signal(server, Signal::KILL)?;
    let said = client.expect_closed().await?;
    ensure(said.last().is_some_and(|last| last.tag == b'E'), format!("{said:?}"))?;
    // The postmaster ends all others and starts anew; who was between transactions goes on.
    scene.trunkline.logged("a server connection ended").await?;
    run(&mut idle, "SELECT 1").await?;
    scene.served_again().await
}

#[tokio::test]
async fn a_restart_of_postgresql_ends_transactions_and_spares_idle_clients() -> Result<()> {
    let cluster = common::cluster().await?;
    let scene =
        Scene::before(&cluster, "restarted", "[pool]\nsize = 3\nwait_timeout = \"1m\"").await?;
    let (mut busy, _) = sleeping(&scene).await?;
    let mut open = scene.raw().await?;
    run(&mut open, "BEGIN").await?;
    let mut idle = scene.raw().await?;
    run(&mut idle, "SET work_mem = '7MB'").await?;
    cluster.primary().stop(StopMode::Fast).await?;
    ended_with(&mut busy, "57P01").await?;
    ended_with(&mut open, "57P01").await?;
    idle.send(&say::query("SHOW work_mem")).await?;
    cluster.primary().start().await?;
    let frames = idle.read_until(b'Z').await?;
    assert_eq!(tags(&frames), "TDCZ", "{frames:?}");
    assert_eq!(frames[1].row()?, [Some("7MB".to_owned())]);
    scene.served_again().await
}

#[tokio::test]
async fn a_server_that_is_back_serves_those_who_wait_before_the_next_attempt_is_due() -> Result<()>
{
    let cluster = common::cluster().await?;
    // Only the answer to a probe can be why it is tried again; it never counts as down.
    let config = "[pool]\nretry_backoff_min = \"1h\"\nretry_backoff_max = \"2h\"\nwait_timeout = \"0s\"\n\
                  [cluster]\ndown_failures = 1000";
    let scene = Scene::before(&cluster, "back", config).await?;
    let mut clients = scene.crowd(5).await?;
    run(&mut clients[0], "SELECT 1").await?;
    cluster.primary().stop(StopMode::Fast).await?;
    for client in &mut clients {
        client.send(&say::query("SELECT 1")).await?;
    }
    scene.trunkline.logged("no server connection could be opened").await?;
    cluster.primary().start().await?;
    for client in &mut clients {
        assert_eq!(tags(&client.read_until(b'Z').await?), "TDCZ");
    }
    Ok(())
}

/// A Trunkline whose way to the server is a link.
async fn linked(
    cluster: &'static Cluster,
    user: &str,
    config: &str,
) -> Result<(Link, Scene<'static>)> {
    let link = Link::to(cluster.primary().address()).await?;
    let scene = Scene::over(&link, cluster, user, config).await?;
    Ok((link, scene))
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_with_the_doubt_about_its_outcome() -> Result<()> {
    let (link, scene) = linked(common::shared().await?, "broken", NOTED).await?;
    for ending in [Ending::Reset, Ending::Close] {
        let (mut client, server) = sleeping(&scene).await?;
        link.cut(ending);
        let said = client.expect_closed().await?;
        let error = error_in(&said, "08006")?;
        assert!(common::words(&error).contains("outcome"), "{error:?}");
        scene.served_again().await?;
        let terminate = format!("SELECT pg_terminate_backend({server})");
        scene.node.execute(DATABASE, &terminate).await?;
    }
    // Somebody who was idle when everything broke is not told at all.
    let mut idle = scene.raw().await?;
    run(&mut idle, "SELECT 1").await?;
    let ends = || scene.trunkline.log().matches("a server connection ended").count();
    let before = ends();
    link.cut(Ending::Reset);
    wait_for("the idle server connection has ended", PATIENCE, async || {
        let now = ends();
        ensure(now > before, now)
    })
    .await?;
    run(&mut idle, "SELECT 1").await
}

#[tokio::test]
async fn an_answer_that_is_cut_anywhere_ends_the_client_and_no_other() -> Result<()> {
    let (link, scene) = linked(common::shared().await?, "cutting", "[pool]\nsize = 2").await?;
    let mut other = scene.raw().await?;
    for bytes in [1_u64, 5, 6, 40, 300, 5_000, 70_000, 400_000] {
        let mut client = scene.raw().await?;
        run(&mut client, "BEGIN").await?;
        let seen = link.passed(trunkline_testkit::link::Direction::ToClient);
        client.send(&say::query("SELECT repeat('x', 1000) FROM generate_series(1, 2000)")).await?;
        wait_for("bytes have passed", PATIENCE, async || {
            let now = link.passed(trunkline_testkit::link::Direction::ToClient);
            ensure(now >= seen + bytes, now)
        })
        .await?;
        link.cut(Ending::Reset);
        // The connection ends with an error, or within a row, where nothing can be said any more; the answer may
        // also have been complete before the cut.
        match client.expect_closed().await {
            Ok(said) => {
                let told = said.last().is_some_and(|last| matches!(last.tag, b'E' | b'Z'));
                ensure(told, tags(&said))?;
            }
            Err(error) => {
                let how = format!("{error:#}");
                ensure(how.contains("closed inside a message"), how)?;
            }
        }
        wait_for("another client goes on", PATIENCE, async || {
            let seen = one(&mut other, "SELECT 42").await?;
            ensure(seen == "42", seen)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_talks_nonsense_is_left_and_its_client_told() -> Result<()> {
    let (mut peer, trunkline) = common::scripted("[pool]\nsize = 1").await?;
    let row = answer::data_row(&[Some("1")]);
    let nonsense: Vec<(&str, Vec<u8>)> = vec![
        ("junk", b"\x00\x01\x02\x03\x04\x05\x06\x07HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("an impossible length", vec![b'C', 0, 0, 0, 1, 0]),
        ("a negative length", vec![b'D', 0xFF, 0xFF, 0xFF, 0xFF]),
        ("a long message of a short kind", vec![b'Z', 0x10, 0, 0, 0, b'I']),
        ("an unknown message", vec![b'!', 0, 0, 0, 4]),
        ("an unknown status", vec![b'Z', 0, 0, 0, 5, b'?']),
        ("half a row", row[..row.len() - 2].to_vec()),
        ("a completion of the extended protocol", answer::parse_complete().to_vec()),
        ("authentication", answer::authentication_ok().to_vec()),
    ];
    // The first client has to wait for a server, which the pool then has.
    let login = trunkline.raw("alice", PASSWORD, "shop");
    let (client, talk) = tokio::join!(login, peer.accept());
    let (mut client, mut ready) = (client?, Some(talk?));
    for (what, bytes) in nonsense {
        client.send(&say::query("SELECT 1")).await?;
        let mut talk = match ready.take() {
            Some(talk) => talk,
            None => peer.accept().await?,
        };
        talk.expect_query("SELECT 1").await?;
        talk.send(&bytes).await?;
        if what == "half a row" {
            talk.reset()?;
        }
        let said = client.expect_closed().await?;
        let told = said.last().is_some_and(|last| last.tag == b'E');
        ensure(told, format!("{what}: {said:?}"))?;
        client = trunkline.raw("alice", PASSWORD, "shop").await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_server_says_unasked_reaches_nobody() -> Result<()> {
    let (mut peer, trunkline) = common::scripted("[pool]\nsize = 1").await?;
    let login = trunkline.raw("alice", PASSWORD, "shop");
    let (client, talk) = tokio::join!(login, peer.accept());
    let (mut client, mut talk) = (client?, talk?);
    // A result for nobody, while nobody is served: that server must not be used again.
    talk.send(&answer::table(&["stolen"], &[&[Some("secret of another")]])).await?;
    talk.expect_closed().await?;
    client.send(&say::query("SELECT 2")).await?;
    let mut next = peer.accept().await?;
    next.expect_query("SELECT 2").await?;
    next.send(&answer::table(&["mine"], &[&[Some("2")]])).await?;
    let frames = client.read_until(b'Z').await?;
    assert_eq!(frames[1].row()?, [Some("2".to_owned())]);
    // More than was asked for: the surplus must not be the answer to the next statement.
    client.send(&say::query("SELECT 3")).await?;
    next.expect_query("SELECT 3").await?;
    let answer = answer::table(&["mine"], &[&[Some("3")]]);
    next.send(&[answer.clone(), answer].concat()).await?;
    let frames = client.read_until(b'Z').await?;
    assert_eq!(frames[1].row()?, [Some("3".to_owned())]);
    next.expect_closed().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_fails_at_login_is_tried_again() -> Result<()> {
    let (mut peer, trunkline) =
        common::scripted("[pool]\nsize = 1\nretry_backoff_min = \"1ms\"").await?;
    let mut login = Box::pin(trunkline.raw("alice", PASSWORD, "shop"));
    for _ in 0..3 {
        tokio::select! {
            talk = peer.accept_unanswered() => talk?.reset()?,
            _ = &mut login => panic!("there is no server to log in to"),
        }
    }
    let script = Script::new()
        .expect_query("SELECT 1")
        .send(answer::table(&["a"], &[&[Some("1")]]))
        .expect_closed();
    let played = async {
        let scripts = [script];
        peer.play(&scripts).await
    };
    let asked = async {
        let mut client = login.await?;
        let seen = one(&mut client, "SELECT 1").await?;
        drop(client);
        trunkline.terminate()?;
        ensure(seen == "1", seen)
    };
    let (played, asked) = tokio::join!(played, asked);
    asked?;
    played
}

#[tokio::test]
async fn a_client_that_dies_leaves_no_trace() -> Result<()> {
    let scene = Scene::calm("dying", "[pool]\nsize = 1").await?;
    let mut setup = scene.raw().await?;
    run(&mut setup, "CREATE TABLE traces (i int); INSERT INTO traces VALUES (1)").await?;
    for (how, bytes) in deaths() {
        for reset in [true, false] {
            let mut client = scene.raw().await?;
            client.send(&bytes).await?;
            begun(&scene, &mut client, how).await?;
            if reset {
                client.reset()?;
            } else {
                drop(client);
            }
            let mut next = scene.raw().await?;
            let clean = next_sees_nothing(&mut next).await;
            clean.map_err(|error| error.context(format!("died {how}, reset: {reset}")))?;
        }
    }
    Ok(())
}

const WORKING: &str = "while the server works";
const HALF: &str = "within a message";

/// When clients die, and what they have said by then.
fn deaths() -> Vec<(&'static str, Vec<u8>)> {
    let update = [
        say::parse("", "UPDATE traces SET i = 5", &[]),
        say::bind("", "", &[]),
        say::execute("", 0),
        say::flush(),
    ];
    let copy = say::query("COPY traces FROM STDIN");
    let own = "CREATE TEMP TABLE left_behind (i int); SELECT pg_advisory_lock(5); \
               SET work_mem = '8MB'; LISTEN gossip; DECLARE c CURSOR WITH HOLD FOR SELECT 1";
    let query = |sql: &str| say::query(sql).to_vec();
    vec![
        ("in a transaction", query("BEGIN; UPDATE traces SET i = 2; LOCK TABLE traces")),
        ("in a failed transaction", query("BEGIN; SET work_mem = '9MB'; SELECT 1/0")),
        ("in COPY in", [&copy[..], &say::copy_data(b"7\n8\n")].concat()),
        ("in COPY in, within a message", [&copy[..], b"d\x00\x01\x00\x00half"].concat()),
        ("in a big result", query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")),
        (WORKING, query("BEGIN; LOCK TABLE traces; SELECT pg_sleep(3600)")),
        (HALF, say::query("SELECT 'never sent whole'").slice(..20).to_vec()),
        ("without a Sync", update.concat()),
        ("with things of its own", query(own)),
    ]
}

/// Waits until the server has begun with what the client has sent.
async fn begun(scene: &Scene<'_>, client: &mut RawClient, how: &str) -> Result<()> {
    if how == HALF {
        return Ok(());
    }
    if how != WORKING {
        return client.read_bytes(1).await.map(drop);
    }
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE usename = 'dying' AND wait_event = 'PgSleep'";
    wait_for("the server sleeps", PATIENCE, async || {
        let seen = scene.node.query_text(DATABASE, sql).await?;
        ensure(seen == "1", seen)
    })
    .await
}

async fn next_sees_nothing(next: &mut RawClient) -> Result<()> {
    let frames = next.query("SELECT i FROM traces").await?;
    let idle = frames.last().is_some_and(|last| last.status() == Some('I'));
    ensure(tags(&frames) == "TDCZ" && idle, format!("{frames:?}"))?;
    let seen = one(next, "SELECT sum(i) FROM traces").await?;
    ensure(seen == "1", seen)?;
    let memory = one(next, "SHOW work_mem").await?;
    ensure(memory == "4MB", memory)?;
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE usename = 'dying' AND (locktype = 'advisory' OR \
                 relation = 'dying.traces'::regclass)";
    let locks = one(next, locks).await?;
    ensure(locks == "0", format!("{locks} locks"))?;
    let left = one(next, "SELECT count(*) FROM pg_cursors").await?;
    ensure(left == "0", format!("{left} cursors"))?;
    let left = one(next, "SELECT count(*) FROM pg_listening_channels()").await?;
    ensure(left == "0", format!("{left} subscriptions"))?;
    fails(next, "SELECT * FROM left_behind", "42P01").await.map(drop)
}

#[tokio::test]
async fn a_broken_connection_makes_its_node_be_asked_at_once() -> Result<()> {
    let cluster = common::cluster().await?;
    // Otherwise an hour would pass before anybody noticed.
    let config = "[cluster]\nprobe_interval = \"1h\"\ndown_failures = 1\ndown_after = \"0s\"";
    let scene = Scene::before(&cluster, "asked", config).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "BEGIN").await?;
    assert_eq!(scene.trunkline.get("/readyz").await?.status, 200);
    scene.node.kill().await?;
    wait_for("the node counts as down", PATIENCE, async || {
        let seen = scene.trunkline.get("/readyz").await?;
        ensure(seen.status == 503, format!("{seen:?}"))
    })
    .await
}
