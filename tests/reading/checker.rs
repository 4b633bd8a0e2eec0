//! Sessions that write and read by chance, and look at each answer.

#![allow(unreachable_pub, reason = "as with everything that tests share")]

use std::io::Write as _;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, Error, Node, Result};

use crate::common::{Scene, ensure, run};
use crate::reading::{self, PLACE, delay, on_a_standby};

/// What is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Tasks that work at the same time.
    pub tasks: u64,
    /// Sessions of each. Every fourth one only reads.
    pub sessions: u64,
    /// Writes with a read behind each, of all together.
    pub pairs: usize,
    /// Decides the rest.
    pub seed: u64,
}

/// What was seen. All of it was checked.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Writes with a read behind each.
    pub pairs: usize,
    /// Reads behind a write of the session: one at once, those until a standby serves it, and one more.
    pub after_write: usize,
    /// Those of them that standbys have served.
    pub after_write_at_standbys: usize,
    /// Reads of sessions that do not write.
    pub others: usize,
    /// Those of them that standbys have served.
    pub others_at_standbys: usize,
    /// How often a standby has shown a session a commit before the primary has.
    pub ahead: usize,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            pairs: self.pairs + other.pairs,
            after_write: self.after_write + other.after_write,
            after_write_at_standbys: self.after_write_at_standbys + other.after_write_at_standbys,
            others: self.others + other.others,
            others_at_standbys: self.others_at_standbys + other.others_at_standbys,
            ahead: self.ahead + other.ahead,
        }
    }
}

/// A line that is seen also when the test passes.
pub fn show(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}

/// Numbers that look random and are the same in every run.
#[derive(Debug, Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

/// One session.
struct Session {
    client: RawClient,
    row: u64,
    /// What it has written last.
    written: u32,
    /// What it has seen of all rows, and whether a standby has shown it.
    total: i64,
    at_standby: bool,
    /// How often a standby has shown it a commit before the primary has.
    ahead: usize,
}

impl Session {
    async fn write(&mut self) -> Result<()> {
        self.written += 1;
        let sql = format!("UPDATE counters SET n = {} WHERE i = {}", self.written, self.row);
        run(&mut self.client, &sql).await
    }

    /// Reads, and checks the answer; says whether a standby has given it.
    ///
    /// A standby shows a commit as soon as it has replayed its record. The primary shows it when the server process that
    /// commits goes on behind writing the record, which may be later. So a session that goes from a standby to the primary may
    /// see less there, of what nobody has been told yet; but only until these processes have gone on.
    async fn reads_at_standby(&mut self, cluster: &Cluster, dice: &mut Dice) -> Result<bool> {
        let begun = Instant::now();
        loop {
            let (place, total) = self.read(cluster, dice).await?;
            let at_standby = place > 0;
            if total >= self.total {
                (self.total, self.at_standby) = (total, at_standby);
                return Ok(at_standby);
            }
            let early = self.at_standby && !at_standby && begun.elapsed() < PATIENCE;
            let who = format!("session {} at node {place}", self.row);
            ensure(early, format!("{who}: {total} behind {}", self.total))?;
            self.ahead += 1;
        }
    }

    /// Reads in one of the ways in which clients do; from which node, and the sum of all rows.
    async fn read(&mut self, cluster: &Cluster, dice: &mut Dice) -> Result<(usize, i64)> {
        let sql = format!(
            "SELECT {PLACE}, n, (SELECT sum(n) FROM counters) FROM counters WHERE i = {}",
            self.row
        );
        let frames = match dice.below(4) {
            0 => self.client.query(&sql).await?,
            1 => self.client.exchange(&say::extended(&sql, &[]), 1).await?,
            2 => {
                let all = [say::query("BEGIN READ ONLY"), say::query(&sql), say::query("COMMIT")];
                self.client.exchange(&all.concat(), 3).await?
            }
            _ => {
                let parts = [
                    say::parse("read", &sql, &[]),
                    say::bind("", "read", &[]),
                    say::execute("", 0),
                    say::close_statement("read"),
                    say::sync(),
                ];
                self.client.exchange(&parts.concat(), 1).await?
            }
        };
        self.look(cluster, &frames)
    }

    fn look(&self, cluster: &Cluster, frames: &[Frame]) -> Result<(usize, i64)> {
        let row = frames.iter().find(|frame| frame.tag == b'D');
        let row = row.ok_or_else(|| Error::msg(format!("{frames:?}")))?.row()?;
        let [Some(port), Some(own), Some(total)] = row.as_slice() else {
            return Err(Error::msg(format!("{row:?}")));
        };
        let (own, total): (u32, i64) = (own.parse()?, total.parse()?);
        let place = reading::number(cluster, port)?;
        let who = format!("session {} at node {place}", self.row);
        ensure(own == self.written, format!("{who}: {own} for {}", self.written))?;
        Ok((place, total))
    }
}

/// The one that chance names.
fn one_of<'a>(sessions: &'a mut [Session], dice: &mut Dice) -> Result<&'a mut Session> {
    let place = usize::try_from(dice.below(u64::try_from(sessions.len())?))?;
    sessions.get_mut(place).ok_or_else(|| Error::msg("there is no session"))
}

/// Whether all standbys replay what they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Calm,
    Rough,
}

/// How far it is, and how the standbys are.
struct Run {
    plan: Plan,
    pairs: watch::Sender<usize>,
    weather: watch::Sender<Weather>,
}

/// The sessions of one task.
struct Part {
    writers: Vec<Session>,
    readers: Vec<Session>,
    dice: Dice,
    counts: Counts,
}

impl Part {
    async fn new(scene: &Scene<'_>, plan: Plan, task: u64) -> Result<Self> {
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for number in 0..plan.sessions {
            let row = task * plan.sessions + number;
            let client = scene.raw().await?;
            let session =
                Session { client, row, written: 0, total: 0, at_standby: false, ahead: 0 };
            if number % 4 == 3 { readers.push(session) } else { writers.push(session) }
        }
        let dice = Dice(plan.seed ^ task.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Ok(Self { writers, readers, dice, counts: Counts::default() })
    }

    async fn work(mut self, cluster: &Cluster, run: &Run) -> Result<Counts> {
        while *run.pairs.borrow() < run.plan.pairs {
            self.pair(cluster, run).await?;
            let reader = one_of(&mut self.readers, &mut self.dice)?;
            let at_standby = reader.reads_at_standby(cluster, &mut self.dice).await?;
            self.counts.others += 1;
            self.counts.others_at_standbys += usize::from(at_standby);
            run.pairs.send_modify(|pairs| *pairs += 1);
        }
        let sessions = self.writers.iter().chain(&self.readers);
        self.counts.ahead = sessions.map(|session| session.ahead).sum();
        Ok(self.counts)
    }

    /// Writes and reads at once; and, while standbys replay, goes on to read, and thinks longer each time, until one has
    /// served the session, and once more.
    async fn pair(&mut self, cluster: &Cluster, run: &Run) -> Result<()> {
        const THINKS: Duration = Duration::from_millis(2);
        let session = one_of(&mut self.writers, &mut self.dice)?;
        session.write().await?;
        self.counts.pairs += 1;
        let (begun, mut thinks, mut reads) = (Instant::now(), THINKS, 0);
        loop {
            let at_standby = session.reads_at_standby(cluster, &mut self.dice).await?;
            self.counts.after_write += 1;
            self.counts.after_write_at_standbys += usize::from(at_standby);
            reads += 1;
            if *run.weather.borrow() == Weather::Rough || at_standby && reads > 1 {
                return Ok(());
            }
            ensure(begun.elapsed() < PATIENCE, format!("session {} stays away", session.row))?;
            if !at_standby {
                sleep(thinks).await;
                thinks *= 2;
            }
        }
    }
}

/// What happens to a standby.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It does not replay what it gets.
    Paused,
    /// It replays it late.
    Delayed,
}

impl Trouble {
    async fn begin(self, standby: &Node) -> Result<()> {
        match self {
            Self::Paused => standby.pause_replay().await,
            Self::Delayed => delay(standby, "100ms").await,
        }
    }

    async fn end(self, standby: &Node) -> Result<()> {
        match self {
            Self::Paused => standby.resume_replay().await,
            Self::Delayed => delay(standby, "0").await,
        }
    }
}

/// What happens to the standbys, one after the other: to one of them, or to both at once.
const STORMS: [[Option<Trouble>; 2]; 4] = [
    [Some(Trouble::Paused), None],
    [Some(Trouble::Delayed), Some(Trouble::Paused)],
    [Some(Trouble::Paused), Some(Trouble::Delayed)],
    [None, Some(Trouble::Delayed)],
];

/// A quarter of the time there is a storm.
async fn storms(cluster: &Cluster, run: &Run) -> Result<()> {
    const CALMS: usize = 3;
    let mut pairs = run.pairs.subscribe();
    let steps = STORMS.len() * (1 + CALMS);
    let until = |step: usize| run.plan.pairs * (step + 1) / steps;
    for (number, storm) in STORMS.iter().enumerate() {
        let step = number * (1 + CALMS);
        pairs.wait_for(|pairs| *pairs >= until(step)).await?;
        run.weather.send_replace(Weather::Rough);
        for (standby, trouble) in cluster.standbys().iter().zip(storm) {
            if let Some(trouble) = trouble {
                trouble.begin(standby).await?;
            }
        }
        pairs.wait_for(|pairs| *pairs >= until(step + 1)).await?;
        for (standby, trouble) in cluster.standbys().iter().zip(storm) {
            if let Some(trouble) = trouble {
                trouble.end(standby).await?;
            }
        }
        run.weather.send_replace(Weather::Calm);
        pairs.wait_for(|pairs| *pairs >= until(step + CALMS)).await?;
    }
    Ok(())
}

/// Carries out a plan.
pub async fn check(cluster: &Cluster, scene: &Scene<'_>, plan: Plan) -> Result<Counts> {
    let mut owner = scene.raw().await?;
    let last = plan.tasks * plan.sessions;
    let sql =
        format!("CREATE TABLE counters AS SELECT i, 0 AS n FROM generate_series(0, {last}) AS i");
    run(&mut owner, &sql).await?;
    run(&mut owner, "CREATE INDEX ON counters (i)").await?;
    on_a_standby(&mut owner, cluster).await?;
    let parts = try_join_all((0..plan.tasks).map(|task| Part::new(scene, plan, task))).await?;
    let run =
        Run { plan, pairs: watch::Sender::new(0), weather: watch::Sender::new(Weather::Calm) };
    let work = try_join_all(parts.into_iter().map(|part| part.work(cluster, &run)));
    let (counts, ()) = tokio::try_join!(work, storms(cluster, &run))?;
    Ok(counts.into_iter().fold(Counts::default(), Counts::and))
}
