//! Where the log of a real primary ends, and how far its standbys have replayed it.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod login_support;

use std::sync::Arc;
use std::time::Duration;

use login_support::{password, target, targets};
use tokio::time::Instant;
use trunkline_cluster::{Lsn, NodeId};
use trunkline_proxy::control::{Clock, Pace, ProbeTarget, Sampler, sample};
use trunkline_proxy::positions::{Positions, Sample, Ticket};
use trunkline_testkit::cluster::{SUPERUSER_PASSWORD, query_text};
use trunkline_testkit::peer::{Answers, Peer};
use trunkline_testkit::wait::{PATIENCE, wait_for};
use trunkline_testkit::{Cluster, Error, Result, StopMode};

const PRIMARY: NodeId = NodeId(0);
const FIRST: NodeId = NodeId(1);
const SECOND: NodeId = NodeId(2);

/// Between two questions to a node.
const INTERVAL: Duration = Duration::from_millis(2);

/// The positions of these nodes, which are asked as long as this is held.
struct Scene<C = Cluster> {
    cluster: C,
    positions: Arc<Positions>,
    _sampler: Sampler,
}

impl Scene {
    async fn new(standbys: usize, interval: Duration) -> Result<Self> {
        let cluster = Cluster::builder().standbys(standbys).start().await?;
        let targets = targets(&cluster);
        Ok(Self::of(cluster, targets, interval))
    }
}

impl<C> Scene<C> {
    fn of(cluster: C, targets: Vec<ProbeTarget>, interval: Duration) -> Self {
        let positions = Arc::new(Positions::default());
        let begun = Instant::now();
        let clock: Clock =
            Arc::new(move || u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        let pace = Pace { interval, limit: PATIENCE, asynchronous: true };
        let sampler = sample(targets, pace, &positions, &clock);
        positions.led_by(Some(PRIMARY));
        Self { cluster, positions, _sampler: sampler }
    }

    /// A sample that covers the ticket.
    async fn covering(&self, ticket: Ticket) -> Result<Sample> {
        wait_for("a sample covers the ticket", PATIENCE, async || {
            let latest = self.positions.latest();
            latest.filter(|sample| sample.covers(ticket)).ok_or_else(|| not_yet(&latest))
        })
        .await
    }

    /// One that is taken from now on.
    async fn sample(&self) -> Result<Sample> {
        self.covering(self.positions.want()).await
    }

    /// Waits until the standby is known to have replayed the sample.
    async fn replayed(&self, node: NodeId, sample: &Sample) -> Result<()> {
        wait_for("the standby is known to have replayed it", PATIENCE, async || {
            let known = self.positions.replayed(node);
            if known.is_some_and(|lsn| lsn >= sample.lsn) { Ok(()) } else { Err(not_yet(&known)) }
        })
        .await
    }

    /// Waits until it is not known how far the standby is.
    async fn forgotten(&self, node: NodeId) -> Result<()> {
        wait_for("the standby is forgotten", PATIENCE, async || {
            self.positions.replayed(node).map_or(Ok(()), |known| Err(not_yet(&known)))
        })
        .await
    }
}

fn not_yet(seen: &dyn std::fmt::Debug) -> Error {
    Error::msg(format!("{seen:?}"))
}

/// Sessions at the same time.
const SESSIONS: usize = 8;

/// Writes of each, each followed by a read.
const WRITES: usize = 50;

/// Whatever the setting, what was answered before the question is before the place in the answer.
const DURABLE: [&str; 5] = ["on", "off", "local", "remote_write", "remote_apply"];

#[tokio::test(flavor = "multi_thread")]
async fn who_has_written_finds_it_where_the_sample_behind_it_is_replayed() -> Result<()> {
    let scene = Arc::new(Scene::new(2, INTERVAL).await?);
    let sql = "CREATE TABLE written (session int, write int)";
    scene.cluster.primary().execute("postgres", sql).await?;
    let thread = tokio::task::LocalSet::new();
    let mut sessions = tokio::task::JoinSet::new();
    for session in 0..SESSIONS {
        sessions.spawn_local_on(writes(Arc::clone(&scene), session), &thread);
    }
    thread.run_until(sessions.join_all()).await.into_iter().collect()
}

/// Writes, and reads from one standby and the other by turns.
async fn writes(scene: Arc<Scene>, session: usize) -> Result<()> {
    let primary = scene.cluster.primary().connect("postgres").await?;
    let mut standbys = Vec::new();
    for (number, node) in [(FIRST, 0), (SECOND, 1)] {
        standbys.push((number, scene.cluster.standby(node)?.connect("postgres").await?));
    }
    for write in 1..=WRITES {
        let durable = DURABLE[(session + write) % DURABLE.len()];
        let sql = format!(
            "BEGIN; SET LOCAL synchronous_commit = {durable}; \
             INSERT INTO written VALUES ({session}, {write}); COMMIT; SELECT 1"
        );
        query_text(&primary, &sql).await?;
        let sample = scene.sample().await?;
        let (number, standby) = &standbys[write % standbys.len()];
        scene.replayed(*number, &sample).await?;
        let sql = format!("SELECT max(write) FROM written WHERE session = {session}");
        let seen = query_text(standby, &sql).await?;
        assert_eq!(seen, write.to_string(), "{number} with synchronous_commit {durable}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_does_not_replay_is_not_known_to_and_holds_up_no_other() -> Result<()> {
    let scene = Scene::new(2, INTERVAL).await?;
    let sample = scene.sample().await?;
    scene.replayed(FIRST, &sample).await?;
    scene.replayed(SECOND, &sample).await?;
    scene.cluster.standby(0)?.pause_replay().await?;
    scene.cluster.primary().execute("postgres", "CREATE TABLE written (i int)").await?;
    let behind = scene.sample().await?;
    assert!(behind.lsn > sample.lsn);
    scene.replayed(SECOND, &behind).await?;
    assert!(scene.positions.replayed(FIRST).is_none_or(|lsn| lsn < behind.lsn));
    // One that answers nothing at all does not hold up others either.
    scene.cluster.standby(0)?.freeze()?;
    scene.cluster.primary().execute("postgres", "CREATE TABLE more (i int)").await?;
    let further = scene.sample().await?;
    scene.replayed(SECOND, &further).await?;
    scene.cluster.standby(0)?.thaw()?;
    // Nobody has to want anything again for what is replayed late to be known.
    scene.cluster.standby(0)?.resume_replay().await?;
    scene.replayed(FIRST, &further).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_comes_to_rest_at_the_begin_of_a_page_is_caught_up_with() -> Result<()> {
    let scene = Scene::new(1, INTERVAL).await?;
    let primary = scene.cluster.primary().connect("postgres").await?;
    // Behind a switch the next record goes behind the header of the first page of a file. The commit is before it; another
    // process may write a record at once, but not each time.
    let mut at_rest = 0;
    for _ in 0..5 {
        query_text(&primary, "SELECT txid_current()").await?;
        query_text(&primary, "SELECT pg_switch_wal()").await?;
        let sample = scene.sample().await?;
        let place = query_text(&primary, "SELECT pg_current_wal_insert_lsn()").await?;
        scene.replayed(FIRST, &sample).await?;
        if place.parse::<Lsn>().unwrap().since(sample.lsn) == 40 {
            at_rest += 1;
        }
    }
    assert!(at_rest > 0, "the log has never come to rest there");
    Ok(())
}

/// Samples behind each of which a standby is asked again.
const SAMPLES: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_goes_on_with_the_old_timeline_is_not_known_however_far_it_is() -> Result<()>
{
    let scene = Scene::new(2, INTERVAL).await?;
    let (old, other) = (scene.cluster.primary(), scene.cluster.standby(1)?);
    let before = scene.sample().await?;
    scene.replayed(SECOND, &before).await?;
    scene.cluster.standby(0)?.promote().await?;
    // It replays what the old primary goes on to write, and that is not in the history of the new one.
    old.execute("postgres", "CREATE TABLE lost AS SELECT generate_series(1, 10000) AS i").await?;
    let end = old.query_text("postgres", "SELECT pg_current_wal_flush_lsn()").await?;
    other.replayed(&end).await?;
    scene.positions.led_by(Some(FIRST));
    let first = scene.sample().await?;
    assert_eq!(
        (before.epoch, before.history.timeline, first.epoch, first.history.timeline),
        (1, 1, 2, 2)
    );
    for _ in 0..SAMPLES {
        let sample = scene.sample().await?;
        assert!(sample.lsn < end.parse().unwrap(), "{sample:?}");
        // Nor is the old primary a standby.
        assert_eq!([SECOND, PRIMARY].map(|node| scene.positions.replayed(node)), [None; 2]);
    }
    // The sampler may have asked before it was asked for a sample.
    let known = scene.positions.read(|picture| picture.first).expect("it is of this epoch");
    assert_eq!((known.epoch, known.history), (first.epoch, first.history));
    assert!(known.asked_at_us <= first.asked_at_us);
    Ok(())
}

/// A server that says this of itself and of its log.
async fn played(system: &str, log: [&str; 3]) -> Result<Peer> {
    let about = [Some("8192"), Some(system)];
    let [recovery, place, timeline] = log;
    let next = (recovery == "f").then_some(place);
    let answers = Answers::new().on("wal_block_size", &["page", "system"], &[&about]).on(
        "EXECUTE",
        &["in_recovery", "place", "timeline", "next", "asynchronous"],
        &[&[Some(recovery), Some(place), Some(timeline), next, Some("f")]],
    );
    Peer::start_with(|_| true, answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_of_another_cluster_is_not_known_however_far_it_is() -> Result<()> {
    let servers = [
        played("7", ["f", "0/3000100", "1"]).await?,
        played("7", ["t", "0/3000100", "1"]).await?,
        played("8", ["t", "0/9000000", "1"]).await?,
    ];
    let target = |(number, server): (u16, &Peer)| {
        let target = target(server.address().port(), "postgres", password("any"));
        ProbeTarget { node: NodeId(number), target }
    };
    let targets = (0..).zip(&servers).map(target).collect();
    let scene = Scene::of(servers, targets, INTERVAL);
    for _ in 0..SAMPLES {
        let sample = scene.sample().await?;
        assert_eq!((sample.history.system, sample.lsn), (7, "0/3000100".parse().unwrap()));
        scene.replayed(FIRST, &sample).await?;
        assert_eq!(scene.positions.replayed(SECOND), None);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_follows_to_the_new_timeline_is_known_there() -> Result<()> {
    let scene = Scene::new(2, INTERVAL).await?;
    let (old, new, other) =
        (scene.cluster.primary(), scene.cluster.standby(0)?, scene.cluster.standby(1)?);
    scene.sample().await?;
    // It ends when both have all of its log.
    old.stop(StopMode::Fast).await?;
    new.promote().await?;
    other.set("primary_slot_name", "")?;
    let directory = new.socket_directory().display();
    let login = format!("user=postgres password={SUPERUSER_PASSWORD}");
    other.set("primary_conninfo", format!("host='{directory}' port={} {login}", new.port()))?;
    other.reload().await?;
    scene.positions.led_by(Some(FIRST));
    new.execute("postgres", "CREATE TABLE written (i int)").await?;
    let sample = scene.sample().await?;
    scene.replayed(SECOND, &sample).await?;
    assert_eq!(other.query_text("postgres", "SELECT count(*) FROM written").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_has_gone_is_forgotten_at_once_and_known_again_when_it_is_back() -> Result<()>
{
    let scene = Scene::new(2, INTERVAL).await?;
    let sample = scene.sample().await?;
    scene.replayed(FIRST, &sample).await?;
    scene.replayed(SECOND, &sample).await?;
    // Nothing is asked meanwhile: its connection tells.
    scene.cluster.standby(0)?.kill().await?;
    scene.forgotten(FIRST).await?;
    assert!(scene.positions.replayed(SECOND).is_some());
    scene.cluster.standby(0)?.start().await?;
    let sample = scene.sample().await?;
    scene.replayed(FIRST, &sample).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_starts_again_is_sampled_again() -> Result<()> {
    let scene = Scene::new(1, INTERVAL).await?;
    scene.sample().await?;
    scene.cluster.primary().kill().await?;
    let ticket = scene.positions.want();
    scene.cluster.primary().start().await?;
    let sample = scene.covering(ticket).await?;
    scene.replayed(FIRST, &sample).await
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_want_a_sample_the_primary_is_asked_no_more_often_than_it_may_be() -> Result<()>
{
    let interval = Duration::from_millis(20);
    let scene = Scene::new(1, interval).await?;
    let first = scene.sample().await?;
    let mut asked_at_us = vec![first.asked_at_us];
    while asked_at_us.len() < 10 {
        let sample = scene.sample().await?;
        asked_at_us.push(sample.asked_at_us);
    }
    let gaps = asked_at_us.windows(2).map(|pair| Duration::from_micros(pair[1] - pair[0]));
    // The clock tells whole microseconds.
    assert!(gaps.min().unwrap() + Duration::from_micros(1) >= interval, "{asked_at_us:?}");
    Ok(())
}
