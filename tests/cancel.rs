//! A cancel request ends the statement of the client that sent it and never another one.

mod common;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{DATABASE, PASSWORD, Scene, ensure, error_in, one, refused, run};
use trunkline_testkit::peer::{RawClient, Welcome, answer, say, tags};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Result, Trunkline};

/// Asks for another number of random cancels than [`CANCELS`].
const CANCELS_VARIABLE: &str = "TRUNKLINE_TEST_CANCELS";

/// Random cancels that are sent unless the variable says otherwise.
const CANCELS: usize = 5_000;

/// Repeats the throws of the dice of a run. The seed of a run is printed.
const SEED_VARIABLE: &str = "TRUNKLINE_TEST_CANCELS_SEED";

/// Keeps the dice of a run apart from those of one with the next seed.
const SEED_STEP: u64 = 1_000_003;

/// Of so many cancels at least one hits its own statement; the others come too early or too late.
const HITS_PART: usize = 20;

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

/// A client whose statements are cancelled, and the cancel requests for it.
struct Target {
    key: Welcome,
    begun: AtomicUsize,
    over: AtomicUsize,
}

impl Target {
    async fn cancel(&self, address: SocketAddr) -> Result<()> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        RawClient::cancel(address, &self.key).await?;
        self.over.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Runs statements as long as there are cancels `left`. Says how many there were, and how many of them were cancelled:
/// none may be while no cancel request for this client is under way.
async fn work(
    mut client: RawClient,
    mut dice: Dice,
    left: Arc<AtomicUsize>,
    target: Option<Arc<Target>>,
) -> Result<(usize, usize)> {
    let (mut all, mut cancelled) = (0, 0);
    while left.load(Ordering::Relaxed) > 0 {
        let over = target.as_ref().map_or(0, |target| target.over.load(Ordering::SeqCst));
        let millis = dice.below(4);
        let sql = format!("SELECT pg_sleep({})", f64::from(u32::try_from(millis)?) / 1000.0);
        let frames = match dice.below(3) {
            0 => client.exchange(&say::extended(&sql, &[]), 1).await?,
            1 => client.query(&format!("BEGIN; {sql}; COMMIT")).await?,
            _ => client.query(&sql).await?,
        };
        all += 1;
        if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
            ensure(error.sqlstate() == "57014", format!("{error:?}"))?;
            let begun = target.as_ref().map_or(0, |target| target.begun.load(Ordering::SeqCst));
            ensure(begun > over, format!("a stray cancel, of {begun} for this client"))?;
            cancelled += 1;
            // A cancel may hit the statement that cleans up as well.
            while client.query("ROLLBACK").await?.iter().any(|frame| frame.tag == b'E') {}
        }
    }
    Ok((all, cancelled))
}

fn number(name: &str) -> Result<Option<u64>> {
    Ok(std::env::var(name).ok().map(|text| text.parse()).transpose()?)
}

/// Tells whoever runs the tests, also when they pass: not `println!`, which the harness keeps to itself.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}

#[tokio::test]
async fn no_random_cancel_hits_a_client_that_sent_none() -> Result<()> {
    let count = number(CANCELS_VARIABLE)?.map_or(Ok(CANCELS), usize::try_from)?;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let seed = number(SEED_VARIABLE)?.unwrap_or_else(clock);
    tell(&format!("{count} random cancels, {SEED_VARIABLE}={seed}"));
    let dice = |number: u64| Dice(seed.wrapping_mul(SEED_STEP).wrapping_add(number));
    let scene = Scene::calm("random", "[general]\nworkers = 2\n[pool]\nsize = 3").await?;
    let left = Arc::new(AtomicUsize::new(count));
    let (mut targets, mut cancelling, mut quiet) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..6 {
        let (client, key) = with_key(&scene.trunkline, "random").await?;
        let target = Target { key, begun: AtomicUsize::new(0), over: AtomicUsize::new(0) };
        let target = Arc::new(target);
        targets.push(Arc::clone(&target));
        let work_on = work(client, dice(number), Arc::clone(&left), Some(target));
        cancelling.push(tokio::spawn(work_on));
        let (client, _) = with_key(&scene.trunkline, "random").await?;
        quiet.push(tokio::spawn(work(client, dice(number + 100), Arc::clone(&left), None)));
    }
    let address = scene.trunkline.address();
    let senders: Vec<_> = (0..4)
        .map(|number| {
            let (targets, left, mut dice) =
                (targets.clone(), Arc::clone(&left), dice(number + 1000));
            tokio::spawn(async move {
                let one_less = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                    targets[usize::try_from(dice.below(6))?].cancel(address).await?;
                    tokio::time::sleep(Duration::from_millis(dice.below(3))).await;
                }
                Result::<()>::Ok(())
            })
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    let (mut hits, mut others) = (0, 0);
    for task in cancelling {
        hits += task.await??.1;
    }
    for task in quiet {
        others += task.await??.0;
    }
    tell(&format!(
        "{hits} of {count} cancels hit their own statement, {others} others were let be"
    ));
    assert!(hits >= count / HITS_PART, "{hits} of {count} cancels hit anything");
    assert!(
        others >= count / HITS_PART,
        "{others} statements of others ran beside {count} cancels"
    );
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
