//! Clients that share server connections listen, and hear what PostgreSQL would tell them, without a server of their own.

mod common;

use common::{
    DATABASE, PASSWORD, Scene, ended_with, ensure, fails, nobody_is_pinned, one, pins_are, run,
    run_each, shown,
};
use trunkline_testkit::Result;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::peer::{Frame, RawClient, say, tags};
use trunkline_testkit::process::{self, Signal};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// Servers that all clients of a scene share.
const TWO: &str = "[pool]\nsize = 2";

async fn scene(user: &str) -> Result<Scene<'static>> {
    Scene::operated(user, TWO).await
}

/// A client, and the process number that it was told.
async fn client(scene: &Scene<'_>) -> Result<(RawClient, u32)> {
    let mut client = RawClient::tcp(scene.trunkline.address()).await?;
    let welcome = client.login(&scene.user, PASSWORD, DATABASE).await?;
    Ok((client, welcome.pid))
}

/// A notification: who sent it, the channel, the payload.
fn note(frame: &Frame) -> (u32, String, String) {
    let (pid, rest) = frame.body.split_first_chunk::<4>().expect("a process number");
    let mut parts = rest.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into());
    (u32::from_be_bytes(*pid), parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// The payload of the next notification.
async fn hear(client: &mut RawClient) -> Result<String> {
    Ok(note(&client.expect(b'A').await?).2)
}

/// The next notification must be the one that `teller` sends now: none before it was for the client.
async fn hears_nothing_else(
    client: &mut RawClient,
    teller: &mut RawClient,
    channel: &str,
) -> Result<()> {
    run(teller, &format!("NOTIFY \"{channel}\", 'the only one'")).await?;
    let heard = hear(client).await?;
    ensure(heard == "the only one", heard)
}

#[tokio::test]
async fn notifications_reach_idle_clients_that_hold_no_server() -> Result<()> {
    let scene = scene("idle_listeners").await?;
    let (mut alice, _) = client(&scene).await?;
    let (mut bob, bobs) = client(&scene).await?;
    assert_eq!(tags(&alice.query("LISTEN news").await?), "CZ");
    run(&mut bob, "NOTIFY news, 'hello'").await?;
    let heard = alice.expect(b'A').await?;
    assert_eq!(note(&heard), (bobs, "news".to_owned(), "hello".to_owned()));
    nobody_is_pinned(&scene).await?;
    // Nobody else listens, whatever server he gets.
    let (mut carol, mut dave) = (scene.raw().await?, scene.raw().await?);
    run(&mut carol, "BEGIN").await?;
    for client in [&mut carol, &mut dave] {
        assert_eq!(one(client, "SELECT count(*) FROM pg_listening_channels()").await?, "0");
    }
    run(&mut carol, "COMMIT").await?;
    run(&mut bob, "SELECT pg_notify('news', 'again')").await?;
    assert_eq!(note(&alice.expect(b'A').await?), (bobs, "news".into(), "again".into()));
    Ok(())
}

#[tokio::test]
async fn a_client_hears_itself_by_its_own_process_number() -> Result<()> {
    let scene = scene("own_numbers").await?;
    let mut all = Vec::new();
    for _ in 0..6 {
        let (mut client, pid) = client(&scene).await?;
        run(&mut client, "LISTEN me").await?;
        all.push((client, pid));
    }
    for round in 0..30 {
        let sender = round % all.len();
        let (speaker, pid) = &mut all[sender];
        let pid = *pid;
        let sql = match round % 3 {
            0 => format!("NOTIFY me, '{round}'"),
            1 => format!("SELECT pg_notify('me', '{round}')"),
            _ => format!("BEGIN; NOTIFY me, '{round}'; COMMIT"),
        };
        let answer = speaker.query(&sql).await?;
        let early = answer.iter().filter(|frame| frame.tag == b'A').count();
        for (place, (client, _)) in all.iter_mut().enumerate() {
            if place == sender && early > 0 {
                continue;
            }
            let heard = note(&client.expect(b'A').await?);
            assert_eq!(heard, (pid, "me".to_owned(), round.to_string()), "client {place}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn ten_thousand_notifications_come_in_order() -> Result<()> {
    let scene = scene("ordered").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN line").await?;
    let sql = "SELECT count(pg_notify('line', i::text)) FROM generate_series($1::int, $2) i";
    for start in (1..10_000).step_by(500) {
        let (first, last) = (start.to_string(), (start + 499).to_string());
        let message = say::extended(sql, &[Some(&first), Some(&last)]);
        bob.exchange(&message, 1).await?;
    }
    for expected in 1..=10_000 {
        assert_eq!(hear(&mut alice).await?, expected.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn channels_and_payloads_are_as_postgresql_has_them() -> Result<()> {
    let scene = scene("payloads").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    let (long, cut) = ("n".repeat(80), "n".repeat(63));
    run(&mut alice, &format!("LISTEN \"Mixed \"\"Case\"; LISTEN ÄÖ; LISTEN {long}; listen PLAIN"))
        .await?;
    let wide = "ß€𝄞".repeat(800);
    for (channel, payload) in [
        ("Mixed \"Case", ""),
        ("Mixed \"Case", wide.as_str()),
        (cut.as_str(), "'quoted' \\ and \n more"),
        ("plain", "p"),
    ] {
        let message = say::extended("SELECT pg_notify($1, $2)", &[Some(channel), Some(payload)]);
        bob.exchange(&message, 1).await?;
        let (_, heard, said) = note(&alice.expect(b'A').await?);
        assert_eq!((heard.as_str(), said.as_str()), (channel, payload));
    }
    Ok(())
}

#[tokio::test]
async fn listen_counts_from_its_commit_and_not_after_a_rollback() -> Result<()> {
    let scene = scene("commits").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN always").await?;
    for undo in ["ROLLBACK", "SELECT 1/0; COMMIT"] {
        run(&mut alice, "BEGIN; LISTEN never").await?;
        alice.query(undo).await?;
        alice.query("ROLLBACK").await?;
        run(&mut bob, "NOTIFY never").await?;
        hears_nothing_else(&mut alice, &mut bob, "always").await?;
    }
    run(&mut alice, "BEGIN; SAVEPOINT a; LISTEN never; SAVEPOINT b; LISTEN later").await?;
    run(&mut alice, "ROLLBACK TO b; LISTEN kept; ROLLBACK TO b; RELEASE b; LISTEN kept").await?;
    run(&mut alice, "ROLLBACK TO a; SAVEPOINT c; LISTEN kept; RELEASE a").await?;
    run(&mut bob, "NOTIFY kept, 'too early'").await?;
    run(&mut alice, "COMMIT").await?;
    run(&mut bob, "NOTIFY never; NOTIFY later; NOTIFY kept, 'in time'").await?;
    assert_eq!(hear(&mut alice).await?, "in time");
    hears_nothing_else(&mut alice, &mut bob, "always").await
}

#[tokio::test]
async fn what_a_transaction_sends_itself_after_its_listen_is_heard() -> Result<()> {
    let scene = scene("selves").await?;
    let (mut alice, own) = client(&scene).await?;
    run(&mut alice, "BEGIN; LISTEN self; NOTIFY self, 'one'").await?;
    let mut answer = alice.query("COMMIT").await?;
    answer.retain(|frame| frame.tag == b'A');
    let heard = match answer.pop() {
        Some(frame) => frame,
        None => alice.expect(b'A').await?,
    };
    assert_eq!(note(&heard), (own, "self".to_owned(), "one".to_owned()));
    // In one text, and in messages without waiting for answers.
    alice.send(&say::query("LISTEN other; NOTIFY other, 'two'")).await?;
    alice.send(&say::extended("LISTEN third", &[])).await?;
    alice.send(&say::extended("NOTIFY third, 'three'", &[])).await?;
    let (mut heard, mut ready) = (Vec::new(), 0);
    while heard.len() < 2 || ready < 3 {
        let frame = alice.read().await?;
        ready += usize::from(frame.tag == b'Z');
        if frame.tag == b'A' {
            heard.push(note(&frame));
        }
    }
    let expected = [
        (own, "other".to_owned(), "two".to_owned()),
        (own, "third".to_owned(), "three".to_owned()),
    ];
    assert_eq!(heard, expected);
    Ok(())
}

#[tokio::test]
async fn unlisten_and_discard_all_end_it() -> Result<()> {
    let scene = scene("enders").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    for end in ["UNLISTEN gone", "UNLISTEN *", "DISCARD ALL"] {
        run(&mut alice, "LISTEN gone; LISTEN gone").await?;
        run(&mut bob, "NOTIFY gone, 'once'").await?;
        assert_eq!(hear(&mut alice).await?, "once");
        run(&mut alice, end).await?;
        run(&mut alice, "LISTEN stays").await?;
        run(&mut bob, "NOTIFY gone").await?;
        hears_nothing_else(&mut alice, &mut bob, "stays").await?;
    }
    // A rolled back UNLISTEN is none.
    run(&mut alice, "BEGIN; UNLISTEN *; ROLLBACK").await?;
    hears_nothing_else(&mut alice, &mut bob, "stays").await
}

#[tokio::test]
async fn errors_of_listen_are_the_servers_own() -> Result<()> {
    let scene = scene("mistaken").await?;
    let mut alice = scene.raw().await?;
    fails(&mut alice, "LISTEN 5", "42601").await?;
    fails(&mut alice, "LISTEN a b", "42601").await?;
    fails(&mut alice, "LISTEN", "42601").await?;
    run(&mut alice, "BEGIN").await?;
    fails(&mut alice, "SELECT 1/0", "22012").await?;
    fails(&mut alice, "LISTEN c", "25P02").await?;
    run(&mut alice, "ROLLBACK").await?;
    let pipeline = [say::extended("SELECT 1/0", &[]), say::extended("LISTEN c", &[])].concat();
    let answers = alice.exchange(&pipeline, 2).await?;
    assert_eq!(tags(&answers), "1EZ12nCZ");
    let mut bob = scene.raw().await?;
    hears_nothing_else(&mut alice, &mut bob, "c").await
}

#[tokio::test]
async fn nothing_comes_within_a_transaction_and_all_behind_it() -> Result<()> {
    let scene = scene("patient").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN news_behind").await?;
    run(&mut alice, "BEGIN").await?;
    run(&mut bob, "NOTIFY news_behind, 'one'; NOTIFY news_behind, 'two'").await?;
    // The other listener is told at once, and both are told by the same connection.
    let mut carol = scene.raw().await?;
    run(&mut bob, "LISTEN news_behind").await?;
    hears_nothing_else(&mut bob, &mut carol, "news_behind").await?;
    assert_eq!(tags(&alice.query("SELECT 1").await?), "TDCZ");
    assert_eq!(tags(&alice.query("COMMIT").await?), "CZ");
    for expected in ["one", "two", "the only one"] {
        assert_eq!(hear(&mut alice).await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn many_clients_on_two_servers_hear_what_they_asked_for() -> Result<()> {
    let scene = scene("crowded").await?;
    let mut crowd = scene.crowd(60).await?;
    for (place, client) in crowd.iter_mut().enumerate() {
        run(client, &format!("LISTEN own_{place}; LISTEN third_{}; LISTEN everyone", place % 3))
            .await?;
    }
    scene.servers_are_at_most(2).await?;
    let mut teller = scene.raw().await?;
    for place in 0..crowd.len() {
        run(&mut teller, &format!("NOTIFY own_{place}, 'own {place}'")).await?;
    }
    for third in 0..3 {
        run(&mut teller, &format!("NOTIFY third_{third}, 'third {third}'")).await?;
    }
    run(&mut teller, "NOTIFY everyone, 'everyone'").await?;
    for (place, client) in crowd.iter_mut().enumerate() {
        let expected =
            [format!("own {place}"), format!("third {}", place % 3), "everyone".to_owned()];
        for wanted in expected {
            assert_eq!(hear(client).await?, wanted, "client {place}");
        }
    }
    nobody_is_pinned(&scene).await?;
    run_each(&mut crowd, "UNLISTEN *").await
}

#[tokio::test]
async fn who_has_a_transaction_open_for_too_long_is_closed_and_told_why() -> Result<()> {
    let config = format!("{TWO}\n[limits]\nnotifications = \"64KiB\"");
    let scene = Scene::calm("deaf", &config).await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    let mut carol = scene.raw().await?;
    run(&mut alice, "LISTEN flood").await?;
    run(&mut alice, "BEGIN").await?;
    run(&mut carol, "LISTEN flood").await?;
    let flood =
        "SELECT count(pg_notify('flood', i || repeat('x', 1000))) FROM generate_series(1, 100) i";
    run(&mut bob, flood).await?;
    let error = ended_with(&mut alice, "53400").await?;
    assert!(common::words(&error).contains("limits.notifications"), "{error:?}");
    // Who reads hears all.
    for expected in 1..=100 {
        assert!(hear(&mut carol).await?.starts_with(&format!("{expected}x")));
    }
    Ok(())
}

/// Terminates the listener, and says how many there were.
async fn kill_listeners(scene: &Scene<'_>) -> Result<String> {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'trunkline listener'";
    scene.node.query_text(DATABASE, sql).await
}

/// A flood fills the buffers of the sockets within so many rounds.
const ROUNDS_MAX: usize = 200;

#[tokio::test]
async fn who_does_not_read_is_closed() -> Result<()> {
    let config = format!("{TWO}\n[limits]\nnotifications = \"64KiB\"");
    let scene = Scene::operated("unread", &config).await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN flood_unread").await?;
    let flood_unread = "SELECT count(pg_notify('flood_unread', i || repeat('x', 7000))) FROM generate_series(1, 100) i";
    for _ in 0..ROUNDS_MAX {
        run(&mut bob, flood_unread).await?;
        let states = shown(&scene.console().await?, "SHOW CLIENTS", "state").await?;
        if states.len() < 2 || states.iter().any(|state| state == "closing") {
            return Ok(());
        }
    }
    Err(anyhow::anyhow!("nobody is closed"))
}

#[tokio::test]
async fn clients_of_rare_encodings_keep_servers_when_four_are_listened_for() -> Result<()> {
    let scene = scene("rarely").await?;
    let mut clients = Vec::new();
    for encoding in ["UTF8", "LATIN1", "LATIN2", "WIN1252", "LATIN9"] {
        let mut client = scene.raw_with(&[("client_encoding", encoding)]).await?;
        run(&mut client, "LISTEN rare_news").await?;
        clients.push(client);
    }
    assert_eq!(shown(&scene.console().await?, "SHOW PINS", "reasons").await?, ["listen"]);
    run(&mut scene.raw().await?, "NOTIFY rare_news, 'all'").await?;
    for client in &mut clients {
        assert_eq!(hear(client).await?, "all");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_listens_to_more_than_a_thousand_channels_keeps_its_server() -> Result<()> {
    let scene = scene("thousands").await?;
    let mut alice = scene.raw().await?;
    let listen = |from: u32, to: u32| {
        (from..=to).map(|number| format!("LISTEN c{number}")).collect::<Vec<_>>().join("; ")
    };
    run(&mut alice, &listen(1, 1000)).await?;
    assert_eq!(shown(&scene.console().await?, "SHOW PINS", "reasons").await?, Vec::<String>::new());
    run(&mut alice, &listen(1001, 1001)).await?;
    assert_eq!(shown(&scene.console().await?, "SHOW PINS", "reasons").await?, ["listen"]);
    let mut bob = scene.raw().await?;
    for channel in ["c1001", "c1", "c1000"] {
        hears_nothing_else(&mut alice, &mut bob, channel).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_cancel_while_a_client_waits_to_hear_itself_cancels_nothing() -> Result<()> {
    let cluster = common::cluster().await?;
    let scene = Scene::operated_before(&cluster, "unsaid", TWO).await?;
    let mut alice = RawClient::tcp(scene.trunkline.address()).await?;
    let welcome = alice.login(&scene.user, PASSWORD, DATABASE).await?;
    run(&mut alice, "LISTEN me").await?;
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'trunkline listener'";
    let listener = scene.node.query_text(DATABASE, sql).await?.parse()?;
    process::signal(listener, Signal::STOP)?;
    // What is asked first is answered first, but it has been given up then.
    alice.send(&say::query("LISTEN more")).await?;
    let waits = "a client waits for the listener";
    wait_for(waits, PATIENCE, async || {
        let states = shown(&scene.console().await?, "SHOW CLIENTS", "state").await?;
        ensure(states.iter().any(|state| state == "waiting"), states.join(" "))
    })
    .await?;
    RawClient::cancel(scene.trunkline.address(), &welcome).await?;
    assert_eq!(alice.expect(b'E').await?.sqlstate(), "57014");
    alice.expect(b'Z').await?;
    alice.send(&say::query("NOTIFY me, 'heard'")).await?;
    alice.expect(b'C').await?;
    RawClient::cancel(scene.trunkline.address(), &welcome).await?;
    process::signal(listener, Signal::CONT)?;
    assert_eq!(hear(&mut alice).await?, "heard");
    alice.expect(b'Z').await?;
    assert_eq!(one(&mut alice, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn after_the_listener_was_lost_clients_are_warned_and_hear_again() -> Result<()> {
    let cluster = common::cluster().await?;
    let scene = Scene::operated_before(&cluster, "warned", TWO).await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN news").await?;
    run(&mut bob, "LISTEN news").await?;
    run(&mut bob, "BEGIN").await?;
    assert_eq!(kill_listeners(&scene).await?, "1");
    let warning = alice.expect(b'N').await?;
    assert_eq!(warning.sqlstate(), "01000");
    assert!(common::words(&warning).contains("may have been missed"), "{warning:?}");
    let mut carol = scene.raw().await?;
    run(&mut carol, "NOTIFY news, 'after'").await?;
    assert_eq!(hear(&mut alice).await?, "after");
    // In a transaction nothing is told.
    assert_eq!(tags(&bob.query("SELECT 1").await?), "TDCZ");
    assert_eq!(tags(&bob.query("COMMIT").await?), "CZ");
    assert_eq!(bob.read().await?.tag, b'N');
    assert_eq!(hear(&mut bob).await?, "after");
    // Who has never listened is not warned.
    assert_eq!(tags(&carol.query("SELECT 1").await?), "TDCZ");
    Ok(())
}

#[tokio::test]
async fn without_a_listener_a_client_keeps_its_server_and_hears_all_the_same() -> Result<()> {
    let cluster = common::cluster().await?;
    let scene = Scene::operated_before(&cluster, "kept", TWO).await?;
    // The control role may not connect to this database.
    let role = "CREATE ROLE prober LOGIN PASSWORD 'p' IN ROLE pg_monitor";
    scene.node.execute(DATABASE, role).await?;
    scene.node.execute(DATABASE, "CREATE DATABASE closed OWNER kept").await?;
    scene.node.execute("closed", "REVOKE CONNECT ON DATABASE closed FROM public").await?;
    scene.reload("[cluster]\nuser = \"prober\"\npassword = \"p\"", "cluster.user").await?;
    let mut alice = scene.trunkline.raw("kept", PASSWORD, "closed").await?;
    run(&mut alice, "LISTEN news_direct").await?;
    pins_are(&scene.console().await?, &["listen"]).await?;
    let mut bob = scene.trunkline.raw("kept", PASSWORD, "closed").await?;
    run(&mut bob, "NOTIFY news_direct, 'all the same'").await?;
    assert_eq!(hear(&mut alice).await?, "all the same");
    run(&mut alice, "UNLISTEN *").await?;
    nobody_is_pinned(&scene).await?;
    Ok(())
}

#[tokio::test]
async fn the_listener_follows_the_primary() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).setting("max_connections", 50).start().await?;
    let scene = Scene::operated_before(&cluster, "followers", TWO).await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN news").await?;
    run(&mut bob, "NOTIFY news, 'before'").await?;
    assert_eq!(hear(&mut alice).await?, "before");
    cluster.caught_up().await?;
    cluster.standby(0)?.promote().await?;
    assert!(common::words(&alice.expect(b'N').await?).contains("may have been missed"));
    let port = cluster.standby(0)?.port().to_string();
    assert_eq!(one(&mut bob, "SELECT inet_server_port()").await?, port);
    run(&mut bob, "NOTIFY news, 'after'").await?;
    assert_eq!(hear(&mut alice).await?, "after");
    Ok(())
}

#[tokio::test]
async fn what_is_kept_is_limited_by_the_setting_in_force() -> Result<()> {
    let scene = scene("limited").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN flood_limited").await?;
    run(&mut alice, "BEGIN").await?;
    let tell = "SELECT count(pg_notify('flood_limited', i || repeat('x', 1000))) FROM generate_series(1, 100) i";
    run(&mut bob, tell).await?;
    run(&mut alice, "COMMIT").await?;
    for _ in 0..100 {
        hear(&mut alice).await?;
    }
    scene.reload("[limits]\nnotifications = \"64KiB\"", "limits.notifications").await?;
    run(&mut alice, "BEGIN").await?;
    run(&mut bob, tell).await?;
    ended_with(&mut alice, "53400").await.map(drop)
}

#[tokio::test]
async fn what_a_trigger_sends_carries_the_number_of_the_only_client_it_can_be_from() -> Result<()> {
    let scene = scene("triggered").await?;
    let (mut alice, own) = client(&scene).await?;
    run(
        &mut alice,
        "CREATE TABLE told (i int); \
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_notify('rows', new.i::text); RETURN new; END $$; \
         CREATE TRIGGER tell AFTER INSERT ON told FOR EACH ROW EXECUTE FUNCTION tell()",
    )
    .await?;
    run(&mut alice, "LISTEN rows").await?;
    let sql = "INSERT INTO told VALUES (1)";
    let mut heard = alice.query(sql).await?;
    heard.retain(|frame| frame.tag == b'A');
    let first = match heard.pop() {
        Some(frame) => frame,
        None => alice.expect(b'A').await?,
    };
    assert_eq!(note(&first), (own, "rows".to_owned(), "1".to_owned()));
    nobody_is_pinned(&scene).await?;
    Ok(())
}

#[tokio::test]
async fn a_listen_inside_a_block_pins_and_each_notification_is_heard_once() -> Result<()> {
    let scene = scene("hiders").await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN shown").await?;
    run(&mut alice, "DO $$ BEGIN EXECUTE 'LISTEN hidden'; EXECUTE 'LISTEN shown'; END $$").await?;
    run(&mut alice, "LISTEN block_later").await?;
    pins_are(&scene.console().await?, &["listen"]).await?;
    run(&mut bob, "NOTIFY hidden, 'h'; NOTIFY shown, 's'; NOTIFY block_later, 'l'").await?;
    // One comes from the client's own server, the others from the listener.
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(hear(&mut alice).await?);
    }
    heard.sort();
    assert_eq!(heard, ["h", "l", "s"]);
    hears_nothing_else(&mut alice, &mut bob, "shown").await?;
    run(&mut alice, "UNLISTEN *").await?;
    nobody_is_pinned(&scene).await?;
    Ok(())
}

#[tokio::test]
async fn channels_that_nobody_wants_any_more_are_given_up() -> Result<()> {
    let cluster = common::cluster().await?;
    let scene = Scene::operated_before(&cluster, "leavers", TWO).await?;
    let (mut alice, mut bob) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN one; LISTEN two").await?;
    run(&mut bob, "LISTEN two; LISTEN three").await?;
    drop(alice);
    let operator = scene.console().await?;
    wait_for("the first channel is given up", PATIENCE, async || {
        let seen = shown(&operator, "SHOW LISTENERS", "channels").await?;
        ensure(seen == ["2"], format!("{seen:?}"))
    })
    .await?;
    let mut carol = scene.raw().await?;
    run(&mut carol, "NOTIFY one; NOTIFY two, 'two'").await?;
    assert_eq!(hear(&mut bob).await?, "two");
    Ok(())
}

#[tokio::test]
async fn clients_are_told_in_their_own_encoding() -> Result<()> {
    let scene = scene("encoded").await?;
    let mut alice = scene.raw_with(&[("client_encoding", "LATIN1")]).await?;
    let (mut bob, mut carol) = (scene.raw().await?, scene.raw().await?);
    run(&mut alice, "LISTEN words").await?;
    run(&mut bob, "LISTEN words").await?;
    run(&mut carol, "NOTIFY words, 'größer'").await?;
    assert_eq!(hear(&mut bob).await?, "größer");
    let heard = alice.expect(b'A').await?;
    assert!(heard.body.windows(2).any(|bytes| bytes == b"\xf6\xdf"), "{heard:?}");
    Ok(())
}
