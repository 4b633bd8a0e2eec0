//! Asks the primary where its write-ahead log ends, and the standbys how far they have replayed it, while sessions need
//! to know.
//!
//! One question to the primary serves every session that wanted an answer before it, so what is asked does not depend on
//! the number of sessions. While nobody wants anything, nothing is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use trunkline_cluster::{Lsn, NodeId};

use super::connection::Row;
use super::kept::Kept;
use super::probe::{ProbeTarget, lsn};
use crate::positions::{End, History, Leader, Positions, Replayed, Sample, without_header};

/// Prepares the question, and asks for what does not change while a connection lasts: the size of a page of the log, and
/// the system identifier.
///
/// In recovery or not, the place in the log, the timeline. A standby's timeline is the one it receives, or that of its
/// last restart point while it receives none. A standby begins to receive a timeline only if that branches off at or
/// behind what it has replayed: if it receives the primary's, then all that it has replayed is in the primary's history.
///
/// The place of a primary is to be at or behind every commit that was answered, or could be seen, before the question came.
/// With `synchronous_commit` `on`, `local`, `remote_write` and `remote_apply` a commit is flushed before it can be seen, so
/// that the place up to which the log is flushed will do. With `off` it is answered and seen before that, and only where the
/// next record goes is behind it. But behind the flushed place is also what no commit needs: a read that tidies up a page
/// writes a record that is flushed, and reaches the standbys, with somebody's next commit or by the WAL writer, which may
/// sleep for seconds. So the flushed place is taken as long as `synchronous_commit` is not off, and is nobody's own matter.
const GREETING: &str = "\
PREPARE trunkline_log AS
SELECT in_recovery,
       CASE WHEN in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
         ELSE pg_catalog.pg_current_wal_flush_lsn() END,
       CASE WHEN in_recovery
         THEN coalesce((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
                       (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))
         ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int4
       END,
       CASE WHEN NOT in_recovery THEN pg_catalog.pg_current_wal_insert_lsn() END,
       pg_catalog.current_setting('synchronous_commit') = 'off'
         OR EXISTS (SELECT FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS own
                     WHERE own ILIKE 'synchronous_commit=%')
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery OFFSET 0) AS now;
SELECT pg_catalog.current_setting('wal_block_size'),
       (SELECT system_identifier FROM pg_catalog.pg_control_system())";

/// The question.
const QUESTION: &str = "EXECUTE trunkline_log";

/// A standby that has not replayed a sample is asked again and again. Behind so much time the gaps between the questions
/// grow: it is late, and a few milliseconds more do not matter.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest of these gaps.
const LONGEST_GAP: Duration = Duration::from_millis(250);

/// How long it is good to know how far a standby has replayed; then it is asked with the next sample, even if it is known
/// to have replayed that. It may have started again and be behind what it was: see [`Replayed::asked_at_us`].
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Microseconds of the engine's clock.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How fast it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The least time between two questions to a node.
    pub interval: Duration,
    /// How long an answer may take.
    pub limit: Duration,
    /// Commits may be seen before they are on disk, whatever the server says.
    pub asynchronous: bool,
}

/// The running sampler. Dropped, it ends.
#[derive(Debug)]
pub struct Sampler(Vec<JoinHandle<()>>);

/// Starts to tell the positions of these nodes, when they are wanted. Each node has a task of its own, so that one that
/// does not answer holds up no other.
pub fn sample(
    targets: Vec<ProbeTarget>,
    pace: Pace,
    positions: &Arc<Positions>,
    clock: &Clock,
) -> Sampler {
    // Nobody has watched whether they have started again.
    positions.forget_standbys();
    let start = |ProbeTarget { node, target }: ProbeTarget| {
        let asker = Asker {
            node,
            kept: Kept::new(target, GREETING, (pace.limit, pace.interval)),
            pace,
            leader: positions.leader(),
            samples: positions.samples(),
            doubts: positions.doubts(),
            alive: (0, 0),
            positions: Arc::clone(positions),
            clock: Arc::clone(clock),
        };
        tokio::spawn(asker.run())
    };
    Sampler(targets.into_iter().map(start).collect())
}

impl Drop for Sampler {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Asks one node.
struct Asker {
    node: NodeId,
    kept: Kept,
    pace: Pace,
    leader: watch::Receiver<Leader>,
    samples: watch::Receiver<Option<Sample>>,
    doubts: watch::Receiver<u64>,
    /// The number of the connection on which it was asked last, and since when that is there.
    alive: (u64, u64),
    positions: Arc<Positions>,
    clock: Clock,
}

/// A node's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    in_recovery: bool,
    /// Up to where a standby has replayed, and a primary has flushed.
    lsn: Lsn,
    /// Where a primary's next record goes.
    next: Option<Lsn>,
    /// A commit may be seen that is not flushed.
    asynchronous: bool,
    history: History,
}

/// What a node says when it is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct About {
    /// The size of a page of its log.
    page: u64,
    system: u64,
}

impl Asker {
    async fn run(mut self) {
        loop {
            let leader = *self.leader.borrow_and_update();
            if leader.node == Some(self.node) {
                self.lead(leader.epoch).await;
            } else {
                self.follow(leader.epoch).await;
            }
        }
    }

    /// Takes samples of the primary until another one is, or another epoch begins.
    async fn lead(&mut self, epoch: u64) {
        let positions = Arc::clone(&self.positions);
        loop {
            tokio::select! {
                _ = self.leader.changed() => return,
                () = positions.wanted() => {}
                () = self.kept.lost() => continue,
            }
            if !self.kept.is_ready().await {
                continue;
            }
            if self.leader.has_changed().unwrap_or(true) {
                return;
            }
            let question = positions.begin(epoch, (self.clock)());
            match self.ask().await {
                Some(Answer {
                    in_recovery: false,
                    lsn,
                    next: Some(next),
                    asynchronous,
                    history,
                }) => {
                    // Whoever was noticed before the question is known by now.
                    let unflushed =
                        asynchronous || self.pace.asynchronous || positions.is_asynchronous();
                    let place = if unflushed { next } else { lsn };
                    positions.answered(question, End { place, next }, history);
                }
                Some(_) => {
                    // It is wanted still, but not of this node, which is no primary any more.
                    positions.want();
                    self.kept.hold_back().await;
                }
                None => drop(positions.want()),
            }
        }
    }

    /// Asks the standby behind each sample how far it is, until the epoch has changed.
    async fn follow(&mut self, epoch: u64) {
        loop {
            let sample = *self.samples.borrow_and_update();
            self.doubts.mark_unchanged();
            if let Some(sample) = sample.filter(|sample| sample.epoch == epoch)
                && !self.has_replayed(&sample)
                && !self.pursue(&sample).await
            {
                return;
            }
            tokio::select! {
                _ = self.leader.changed() => return,
                _ = self.samples.changed() => {}
                _ = self.doubts.changed() => {}
                () = self.kept.lost() => self.positions.forget(self.node),
            }
        }
    }

    /// Whether it is known, and not for too long, that the standby has replayed the sample; and would be noticed if it
    /// started again.
    fn has_replayed(&self, sample: &Sample) -> bool {
        let known = self.positions.read(|picture| picture.standby(self.node));
        let good_for = u64::try_from(GOOD_FOR.as_micros()).unwrap_or(u64::MAX);
        let doubted_us = *self.doubts.borrow();
        known.is_some_and(|replayed| {
            let age = sample.asked_at_us.saturating_sub(replayed.asked_at_us);
            self.kept.is_open()
                && replayed.lsn >= sample.lsn
                && age < good_for
                && replayed.asked_at_us >= doubted_us
        })
    }

    /// Asks the standby until it has replayed the sample; says whether the epoch is still the same.
    async fn pursue(&mut self, sample: &Sample) -> bool {
        let begun = Instant::now();
        let mut gap = self.pace.interval;
        loop {
            if self.kept.is_ready().await && self.look(sample).await {
                return true;
            }
            tokio::select! {
                _ = self.leader.changed() => return false,
                () = sleep(gap) => {}
                () = self.kept.lost() => self.positions.forget(self.node),
            }
            if begun.elapsed() >= PATIENCE {
                gap = gap.saturating_mul(2).min(LONGEST_GAP.max(self.pace.interval));
            }
        }
    }

    /// Asks the standby how far it is; says whether it has replayed the sample.
    async fn look(&mut self, sample: &Sample) -> bool {
        let asked_at_us = (self.clock)();
        if self.alive.0 != self.kept.number() {
            self.alive = (self.kept.number(), asked_at_us);
        }
        match self.ask().await {
            Some(Answer { in_recovery: true, lsn, history, .. }) if history == sample.history => {
                let replayed = Replayed { lsn, asked_at_us, alive_since_us: self.alive.1 };
                self.positions.has_replayed(sample.epoch, self.node, replayed);
                lsn >= sample.lsn
            }
            _ => {
                self.positions.forget(self.node);
                false
            }
        }
    }

    async fn ask(&mut self) -> Option<Answer> {
        let about = about(self.kept.greeted());
        let rows = self.kept.ask(QUESTION).await?;
        let answer = about.and_then(|about| read(&rows, about));
        if answer.is_none() {
            self.kept.hold_back().await;
        }
        answer
    }
}

/// None if the node does not say it.
fn about(greeted: &[Row]) -> Option<About> {
    let [row] = greeted else { return None };
    let [Some(page), Some(system)] = row.as_slice() else { return None };
    Some(About { page: number(page)?, system: number(system)? })
}

/// None if the node does not know: a standby that has not replayed anything yet, or one that knows no timeline.
fn read(rows: &[Row], about: About) -> Option<Answer> {
    let [row] = rows else { return None };
    let [Some(in_recovery), Some(place), Some(timeline), next, Some(asynchronous)] = row.as_slice()
    else {
        return None;
    };
    let next = match next {
        Some(next) => Some(without_header(lsn(next)?, about.page)),
        None => None,
    };
    let history = History { system: about.system, timeline: number(timeline)?, page: about.page };
    Some(Answer {
        in_recovery: truth(in_recovery)?,
        lsn: without_header(lsn(place)?, about.page),
        next,
        asynchronous: truth(asynchronous)?,
        history,
    })
}

fn truth(text: &[u8]) -> Option<bool> {
    match text {
        b"t" => Some(true),
        b"f" => Some(false),
        _ => None,
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ABOUT: About = About { page: 8192, system: 7 };

    fn row(values: &[Option<&'static str>]) -> Row {
        values.iter().map(|value| value.map(|text| Bytes::from_static(text.as_bytes()))).collect()
    }

    #[test]
    fn an_answer_is_read_and_an_odd_one_is_not() {
        let history = History { system: 7, timeline: 2, page: 8192 };
        let told = [Some("t"), Some("0/7"), Some("2"), None, Some("f")];
        let known =
            Answer { in_recovery: true, lsn: Lsn(7), next: None, asynchronous: false, history };
        assert_eq!(read(&[row(&told)], ABOUT), Some(known));
        let primary = [Some("f"), Some("0/2018"), Some("2"), Some("0/4028"), Some("t")];
        let (lsn, next) = (Lsn(0x2000), Some(Lsn(0x4000)));
        let known = Answer { in_recovery: false, lsn, next, asynchronous: true, history };
        assert_eq!(read(&[row(&primary)], ABOUT), Some(known));
        for (place, odd) in [
            (0, Some("x")),
            (1, None),
            (1, Some("7")),
            (2, None),
            (2, Some("two")),
            (3, Some("7")),
            (4, None),
            (4, Some("x")),
        ] {
            let mut said = told;
            said[place] = odd;
            assert_eq!(read(&[row(&said)], ABOUT), None, "{place} {odd:?}");
        }
        assert_eq!(read(&[], ABOUT), None);
    }

    #[test]
    fn a_node_says_once_what_its_log_is_like() {
        assert_eq!(about(&[row(&[Some("8192"), Some("7")])]), Some(ABOUT));
        for odd in [[None, Some("7")], [Some("8192"), None], [Some("8 kB"), Some("7")]] {
            assert_eq!(about(&[row(&odd)]), None);
        }
        assert_eq!(about(&[]), None);
    }
}
