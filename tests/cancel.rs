//! A cancel request ends the statement of the client that sent it and never another one.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{DATABASE, PASSWORD, Scene, ensure, error_in, one, refused, run};
use trunkline_testkit::peer::{RawClient, Welcome, answer, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

/// Asks for another number of random cancels than [`CANCELS`].
const CANCELS_VARIABLE: &str = "TRUNKLINE_TEST_CANCELS";

/// Random cancels that are sent unless the variable says otherwise.
const CANCELS: usize = 5_000;

/// A client, and with what it cancels.
async fn with_key(trunkline: &Trunkline, user: &str) -> Result<(RawClient, Welcome)> {
    let mut client = RawClient::tcp(trunkline.address()).await?;
    let welcome = client.login(user, PASSWORD, DATABASE).await?;
    Ok((client, welcome))
}

#[tokio::test]
async fn a_cancel_ends_the_statement_and_the_session_goes_on() -> Result<()> {
    let scene = Scene::calm("cancelling", "[pool]\nsize = 1").await?;
    let (mut client, key) = with_key(&scene.trunkline, "cancelling").await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    RawClient::cancel(scene.trunkline.address(), &key).await?;
    error_in(&client.read_until(b'Z').await?, "57014")?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    // One that comes too late hits nothing.
    RawClient::cancel(scene.trunkline.address(), &key).await?;
    assert_eq!(one(&mut client, "SELECT 2").await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_cancels_nothing() -> Result<()> {
    let scene = Scene::calm("guessing", "[pool]\nsize = 2").await?;
    let (mut client, key) = with_key(&scene.trunkline, "guessing").await?;
    let (_other, strange) = with_key(&scene.trunkline, "guessing").await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    let address = scene.trunkline.address();
    for wrong in [
        Welcome { key: strange.key.clone(), ..key.clone() },
        Welcome { key: key.key.slice(..3), ..key.clone() },
        Welcome { key: Vec::new().into(), ..key.clone() },
        Welcome { pid: strange.pid, ..key.clone() },
        Welcome { pid: 0, ..key.clone() },
        Welcome { pid: u32::MAX, ..key.clone() },
        Welcome { pid: key.pid | 0x7000_0000, ..key.clone() },
    ] {
        RawClient::cancel(address, &wrong).await?;
    }
    scene.in_state("active", 1).await?;
    RawClient::cancel(address, &key).await?;
    let said = client.read_until(b'Z').await?;
    error_in(&said, "57014")?;
    assert_eq!(one(&mut client, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_cancel_ends_the_wait_for_a_server() -> Result<()> {
    let scene = Scene::calm("queueing", "[pool]\nsize = 1").await?;
    let mut holder = scene.raw().await?;
    run(&mut holder, "BEGIN").await?;
    let (mut waiting, key) = with_key(&scene.trunkline, "queueing").await?;
    for extended in [false, true] {
        let bytes = if extended { say::extended("SELECT 1", &[]) } else { say::query("SELECT 1") };
        waiting.send(&bytes).await?;
        scene.waiting_are(1).await?;
        RawClient::cancel(scene.trunkline.address(), &key).await?;
        let said = waiting.read_until(b'Z').await?;
        assert_eq!(tags(&said), "EZ");
        error_in(&said, "57014")?;
    }
    run(&mut holder, "COMMIT").await?;
    assert_eq!(one(&mut waiting, "SELECT 3").await?, "3");
    Ok(())
}

#[tokio::test]
async fn a_connection_is_withheld_until_its_cancel_is_done() -> Result<()> {
    let config = "[pool]\nsize = 1\nmax_waiting = 1\n[timeouts]\ncancel = \"1h\"";
    let (mut peer, trunkline) = common::scripted(config).await?;
    let login = with_key(&trunkline, "alice");
    let (client, talk) = tokio::join!(login, peer.accept());
    let ((mut alice, key), mut talk) = (client?, talk?);
    alice.send(&say::query("SELECT 1")).await?;
    talk.expect_query("SELECT 1").await?;
    let address = trunkline.address();
    let cancel = tokio::spawn(async move { RawClient::cancel(address, &key).await });
    // The server has taken the cancel request and is slow to act on it.
    let call = peer.cancel().await?;
    assert_eq!((call.pid, &call.key[..]), (talk.pid(), &talk.key()[..]));
    // Who asked for it is kept waiting as well.
    assert!(!cancel.is_finished());
    talk.send(&answer::table(&["a"], &[&[Some("1")]])).await?;
    assert_eq!(tags(&alice.read_until(b'Z').await?), "TDCZ");
    // Now it would hit whoever comes next.
    let mut bob = trunkline.raw("alice", PASSWORD, DATABASE).await?;
    bob.send(&say::query("SELECT 2")).await?;
    let mut carol = trunkline.raw("alice", PASSWORD, DATABASE).await?;
    error_in(&carol.query("SELECT 3").await?, "53300")?;
    // So Bob waits, although the connection has nothing to do, until the server is done with the request.
    drop(call);
    cancel.await??;
    talk.expect_query("SELECT 2").await?;
    talk.send(&answer::table(&["a"], &[&[Some("2")]])).await?;
    assert_eq!(tags(&bob.read_until(b'Z').await?), "TDCZ");
    Ok(())
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

/// Runs statements until `stop`; counts those that were cancelled.
async fn work(mut client: RawClient, mut dice: Dice, stop: Arc<AtomicUsize>) -> Result<usize> {
    let mut cancelled = 0;
    while stop.load(Ordering::Relaxed) > 0 {
        let millis = dice.below(4);
        let sql = format!("SELECT pg_sleep({})", f64::from(u32::try_from(millis)?) / 1000.0);
        let frames = match dice.below(3) {
            0 => client.exchange(&say::extended(&sql, &[]), 1).await?,
            1 => client.query(&format!("BEGIN; {sql}; COMMIT")).await?,
            _ => client.query(&sql).await?,
        };
        if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
            ensure(error.sqlstate() == "57014", format!("{error:?}"))?;
            cancelled += 1;
            // A cancel may hit the statement that cleans up as well.
            while client.query("ROLLBACK").await?.iter().any(|frame| frame.tag == b'E') {}
        }
    }
    Ok(cancelled)
}

#[tokio::test]
async fn no_random_cancel_hits_a_client_that_sent_none() -> Result<()> {
    let count = match std::env::var(CANCELS_VARIABLE) {
        Ok(count) => count.parse()?,
        Err(_) => CANCELS,
    };
    let scene = Scene::calm("random", "[general]\nworkers = 2\n[pool]\nsize = 3").await?;
    let left = Arc::new(AtomicUsize::new(count));
    let (mut keys, mut cancelling, mut quiet) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..6 {
        let (client, key) = with_key(&scene.trunkline, "random").await?;
        keys.push(key);
        cancelling.push(tokio::spawn(work(client, Dice(seed), Arc::clone(&left))));
        let (client, _) = with_key(&scene.trunkline, "random").await?;
        quiet.push(tokio::spawn(work(client, Dice(seed + 100), Arc::clone(&left))));
    }
    let address = scene.trunkline.address();
    let senders: Vec<_> = (0..4)
        .map(|seed| {
            let (keys, left, mut dice) = (keys.clone(), Arc::clone(&left), Dice(seed + 1000));
            tokio::spawn(async move {
                let one_less = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                    let place = usize::try_from(dice.below(6))?;
                    RawClient::cancel(address, &keys[place]).await?;
                }
                Result::<()>::Ok(())
            })
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    let (mut hits, mut strays) = (0, 0);
    for task in cancelling {
        hits += task.await??;
    }
    for task in quiet {
        strays += task.await??;
    }
    assert!(hits > 0, "not one of {count} cancels hit anything");
    assert_eq!(strays, 0, "of {count} cancels hit a client that sent none");
    Ok(())
}

#[tokio::test]
async fn cancels_are_taken_although_all_places_for_clients_are() -> Result<()> {
    let config = "[general]\nmax_clients = 1\n[pool]\nsize = 1";
    let scene = Scene::calm("crowded", config).await?;
    let (mut client, key) = with_key(&scene.trunkline, "crowded").await?;
    client.send(&say::query("SELECT pg_sleep(3600)")).await?;
    scene.in_state("active", 1).await?;
    refused(scene.raw().await, "53300")?;
    RawClient::cancel(scene.trunkline.address(), &key).await?;
    error_in(&client.read_until(b'Z').await?, "57014")?;
    wait_for("the place is free again", PATIENCE, async || client.query("SELECT 1").await.map(drop))
        .await
}
