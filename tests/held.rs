//! What all clients together make the program hold has a limit: memory stays below it, whoever is served is served on,
//! and nothing stays counted.

mod common;

use common::{DATABASE, Scene, ensure, error_in, one, run, words};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};

/// What may be held.
const LIMIT: u64 = 16 << 20;

/// How much more memory than at rest, and than what is held, the program may use: sessions of the clients, and what the
/// allocator does not give back.
const GROWTH_MAX: u64 = 24 << 20;

const CLIENTS: usize = 600;

/// What each of them makes the program hold.
const LEN: usize = 200 << 10;

/// A statement that runs for longer than a message may be on its way.
const LONGER_THAN_GRACE: &str = "SELECT pg_sleep(1.1)";

fn settings(workers: usize, rest: &str) -> String {
    format!(
        "[general]\nworkers = {workers}\n[auth]\nmethod = \"trust\"\n[limits]\nheld_total = {LIMIT}\n{rest}"
    )
}

/// A statement of so many bytes.
fn statement(len: usize) -> Vec<u8> {
    say::query(&format!("SELECT length('{}')", "x".repeat(len))).to_vec()
}

/// A metric without labels.
async fn metric(scene: &Scene<'_>, name: &str) -> Result<u64> {
    let text = scene.trunkline.get("/metrics").await?.body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.unwrap_or("none").parse()?)
}

async fn nothing_is_held(scene: &Scene<'_>) -> Result<()> {
    wait_for("nothing is held", PATIENCE, async || {
        let held = metric(scene, "trunkline_held_bytes").await?;
        ensure(held == 0, held)
    })
    .await
}

async fn holds_more_than(scene: &Scene<'_>, bytes: u64) -> Result<()> {
    wait_for("something is held", PATIENCE, async || {
        let held = metric(scene, "trunkline_held_bytes").await?;
        ensure(held > bytes, held)
    })
    .await
}

/// No more is held than may be, and no more memory was used than follows from that.
async fn memory_is_bounded(scene: &Scene<'_>, at_rest: u64) -> Result<()> {
    let held = metric(scene, "trunkline_held_bytes").await?;
    assert!(held <= LIMIT, "{held} bytes are held");
    assert!(metric(scene, "trunkline_held_limit_bytes").await? <= LIMIT);
    let peak = scene.trunkline.usage()?.resident_peak_bytes;
    ensure(
        peak <= at_rest + LIMIT + GROWTH_MAX,
        format!("{peak} bytes resident, {at_rest} at rest"),
    )
}

#[tokio::test]
async fn clients_that_send_half_a_message_are_bounded_together() -> Result<()> {
    let scene = Scene::calm("halves", &settings(2, "")).await?;
    let mut other = scene.raw().await?;
    let mut clients = scene.crowd(CLIENTS).await?;
    run(&mut other, "SELECT repeat('x', 1000000)").await?;
    let at_rest = scene.trunkline.usage()?.resident_bytes;
    let message = statement(LEN + 1000);
    let (first, last) = message.split_at(LEN);
    // The first takes longer for it than any message may take that is just on its way.
    clients[0].send(first).await?;
    run(&mut other, LONGER_THAN_GRACE).await?;
    for client in &mut clients[1..] {
        for part in first.chunks(LEN / 4) {
            client.send(part).await?;
        }
        assert_eq!(one(&mut other, "SELECT 42").await?, "42");
    }
    memory_is_bounded(&scene, at_rest).await?;
    let refused = metric(&scene, "trunkline_held_refused_total").await?;
    let room = usize::try_from(LIMIT)? / LEN;
    assert!(usize::try_from(refused)? >= CLIENTS - room, "{refused} were refused");
    // Who was first is told; who is quicker than the others is served.
    let told = common::ended_with(&mut clients[0], "53200").await?;
    assert_eq!(told.fields()[&'S'], "FATAL");
    let text = words(&told);
    assert!(text.contains("limits.held_total") && text.contains(&LIMIT.to_string()), "{text}");
    run(&mut other, LONGER_THAN_GRACE).await?;
    other.send(first).await?;
    let frames = other.exchange(last, 1).await?;
    assert!(frames.iter().all(|frame| frame.tag != b'E'), "{frames:?}");
    drop(clients);
    nothing_is_held(&scene).await
}

#[tokio::test]
async fn statements_that_wait_are_bounded_together() -> Result<()> {
    let settings = settings(2, "[pool]\nsize = 1\nwait_timeout = \"5m\"");
    let scene = Scene::calm("waiters", &settings).await?;
    let mut holder = scene.holders(1).await?.pop().unwrap();
    let (mut short, mut clients) = (scene.raw().await?, scene.crowd(CLIENTS).await?);
    run(&mut holder, "SELECT repeat('x', 1000000)").await?;
    let at_rest = scene.trunkline.usage()?.resident_bytes;
    short.send(&say::query("SELECT 7")).await?;
    scene.waiting_are(1).await?;
    let message = statement(LEN);
    for client in &mut clients {
        client.send(&message).await?;
        assert_eq!(one(&mut holder, "SELECT 42").await?, "42");
    }
    memory_is_bounded(&scene, at_rest).await?;
    let refused = usize::try_from(metric(&scene, "trunkline_held_refused_total").await?)?;
    assert!((CLIENTS - usize::try_from(LIMIT)? / LEN..CLIENTS).contains(&refused), "{refused}");
    // All others are served, and so is a statement that was refused when it comes again.
    run(&mut holder, "COMMIT").await?;
    assert_eq!(short.read_until(b'Z').await?.iter().filter(|frame| frame.tag == b'D').count(), 1);
    let mut seen = 0;
    for client in &mut clients {
        let frames = client.read_until(b'Z').await?;
        if frames.iter().any(|frame| frame.tag == b'E') {
            let error = error_in(&frames, "53200")?;
            assert_eq!(error.fields()[&'S'], "ERROR");
            assert!(words(&error).contains("limits.held_total"), "{}", words(&error));
            seen += 1;
            let frames = client.exchange(&message, 1).await?;
            assert!(frames.iter().any(|frame| frame.tag == b'D'), "{frames:?}");
        }
    }
    assert_eq!(seen, refused);
    nothing_is_held(&scene).await
}

/// So many clients that do not read.
const DEAF: usize = 40;

#[tokio::test]
async fn results_that_nobody_reads_are_bounded_together() -> Result<()> {
    let rest = "client_buffer = \"1MiB\"\n[pool]\nsize = 45";
    let scene = Scene::calm("deaf", &settings(1, rest)).await?;
    let mut other = scene.raw().await?;
    run(&mut other, "SELECT repeat('x', 1000000)").await?;
    let mut clients = scene.crowd(DEAF).await?;
    let at_rest = scene.trunkline.usage()?.resident_bytes;
    for client in &mut clients {
        let sql = "SELECT repeat('x', 30000) FROM generate_series(1, 1000)";
        client.send(&say::query(sql)).await?;
        assert_eq!(one(&mut other, "SELECT 42").await?, "42");
    }
    wait_for("the first are cut off", PATIENCE, async || {
        assert_eq!(one(&mut other, "SELECT 42").await?, "42");
        let refused = metric(&scene, "trunkline_held_refused_total").await?;
        ensure(refused > 10, refused)
    })
    .await?;
    memory_is_bounded(&scene, at_rest).await?;
    let line = scene.trunkline.logged("it has not read for").await?;
    assert!(line.contains("limits.held_total"), "{line}");
    drop(clients);
    nothing_is_held(&scene).await
}

#[tokio::test]
async fn what_ends_badly_is_not_counted_any_more() -> Result<()> {
    let scene = Scene::calm("badly", &settings(2, "[pool]\nsize = 1")).await?;
    let message = statement(LEN);
    let first = &message[..LEN];
    let kept = u64::try_from(LEN)? / 2;
    // A server that breaks in a transaction, while the next message of its client comes in parts.
    let mut client = scene.holders(1).await?.pop().unwrap();
    client.send(first).await?;
    holds_more_than(&scene, kept).await?;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'badly'";
    scene.node.execute(DATABASE, kill).await?;
    common::ended_with(&mut client, "57P01").await?;
    nothing_is_held(&scene).await?;
    // A client that dies, one whose message is an error, and one that waits and is cancelled.
    let mut client = scene.raw().await?;
    client.send(first).await?;
    holds_more_than(&scene, kept).await?;
    client.reset()?;
    nothing_is_held(&scene).await?;
    let mut client = scene.raw().await?;
    let wrong = say::query(&"x".repeat(LEN));
    client.send(&wrong[..LEN]).await?;
    holds_more_than(&scene, kept).await?;
    error_in(&client.exchange(&wrong[LEN..], 1).await?, "42601")?;
    drop(client);
    nothing_is_held(&scene).await?;
    let holder = scene.holders(1).await?;
    let mut client = RawClient::tcp(scene.trunkline.address()).await?;
    let welcome = client.login(&scene.user, "", DATABASE).await?;
    client.send(&message).await?;
    holds_more_than(&scene, kept).await?;
    RawClient::cancel(scene.trunkline.address(), &welcome).await?;
    error_in(&client.read_until(b'Z').await?, "57014")?;
    nothing_is_held(&scene).await?;
    drop(holder);
    Ok(())
}

#[tokio::test]
async fn a_lower_limit_holds_for_what_is_held_already() -> Result<()> {
    let scene = Scene::calm("lowered", &settings(1, "").replace("16777216", "67108864")).await?;
    let mut clients = scene.crowd(200).await?;
    let message = statement(LEN);
    for client in &mut clients {
        client.send(&message[..LEN]).await?;
    }
    holds_more_than(&scene, 2 * LIMIT).await?;
    scene.reload(&settings(1, ""), "limits.held_total").await?;
    wait_for("less is held", PATIENCE, async || {
        let held = metric(&scene, "trunkline_held_bytes").await?;
        ensure(held <= LIMIT, held)
    })
    .await
}
