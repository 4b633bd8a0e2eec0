//! How far standbys are behind.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::{LagPolicy, Lsn, Moment, NodeId, Unfit};

/// Samples of the primary that are remembered. With one a second the last two minutes are known to the second, and what
/// was before more and more coarsely; see [`Record::thin`].
const SAMPLES_MAX: usize = 256;

/// A standby that was beyond a limit is fit again when it is below this part of it: one that is just at the limit must
/// not come and go with every probe.
const FIT_AGAIN_BELOW: u32 = 2;

/// How far a standby was behind when it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of log that the primary had on disk when it was asked before that, and that the standby had not replayed.
    pub bytes: u64,
    /// How long ago the primary was where the standby is. Nothing if the standby had replayed all that the primary was
    /// known to have. It is measured between questions of ours; no server's clock is read.
    pub time: Duration,
    /// Whether it may be more than `time`: the standby is not even where the primary was when it was first asked.
    pub or_more: bool,
}

/// Where the primary was at what moment, the oldest first. Moments and places only ever grow from one sample to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Record(VecDeque<Sample>);

/// A place at which the primary was seen, once or again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    lsn: Lsn,
    first: Moment,
    last: Moment,
}

impl Record {
    fn add(&mut self, at: Moment, lsn: Lsn) {
        // After a crash a primary has lost what was not on disk. What is lost is nowhere to be reached.
        while self.0.back().is_some_and(|last| last.lsn > lsn) {
            self.0.pop_back();
        }
        match self.0.back_mut() {
            // It has not moved: who has replayed as much now is where it is now.
            Some(sample) if sample.lsn == lsn => sample.last = at,
            _ => self.0.push_back(Sample { lsn, first: at, last: at }),
        }
        if self.0.len() > SAMPLES_MAX {
            self.thin();
        }
    }

    /// Forgets every second sample of the older half. So the record reaches back further the coarser it is, and a
    /// standby is never taken for being less far behind than it is: the sample it has reached is an older one then.
    fn thin(&mut self) {
        let half = self.0.len() / 2;
        let mut place = 0;
        self.0.retain(|_| {
            place += 1;
            // The first stays: the record reaches as far back as before.
            place > half || place % 2 == 1
        });
    }

    /// How far behind one is who has replayed so much now; while the primary is not `known`, how far behind its last
    /// sample.
    fn lag(&self, now: Moment, replayed: Lsn, known: bool) -> Option<Lag> {
        let (oldest, newest) = (self.0.front()?, self.0.back()?);
        let now = if known { now } else { newest.last };
        let bytes = newest.lsn.since(replayed);
        let known = self.0.partition_point(|sample| sample.lsn <= replayed);
        let reached = known.checked_sub(1).and_then(|place| self.0.get(place));
        Some(match reached {
            _ if bytes == 0 => Lag { bytes, time: Duration::ZERO, or_more: false },
            Some(reached) => Lag { bytes, time: now.since(reached.last), or_more: false },
            None => Lag { bytes, time: now.since(oldest.first), or_more: true },
        })
    }
}

/// What is known of the primary's and the standbys' places in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lags {
    /// The node and the timeline that the record is about: the last primary that was known.
    about: Option<(NodeId, Option<u32>)>,
    record: Record,
    standbys: BTreeMap<NodeId, Behind>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behind {
    replayed: Option<Lsn>,
    lag: Option<Lag>,
    /// The limit it was beyond, until it is well below both.
    held_out: Option<Unfit>,
}

impl Lags {
    /// This node is the primary, on this timeline. If it was another one before, or the node has come to another
    /// timeline, the places known so far are those of another history, and compared with no more.
    pub(crate) fn led_by(&mut self, primary: NodeId, timeline: Option<u32>) {
        let about = Some((primary, timeline));
        if self.about != about {
            *self = Self { about, ..Self::default() };
        }
    }

    /// The primary has come so far.
    pub(crate) fn written(&mut self, now: Moment, lsn: Lsn) {
        self.record.add(now, lsn);
    }

    /// The standby has replayed so much. While no primary is `known`, it is compared with where the last one was when it
    /// was last heard of.
    pub(crate) fn replayed(
        &mut self,
        node: NodeId,
        lsn: Lsn,
        (now, known): (Moment, bool),
        policy: &LagPolicy,
    ) {
        let behind = self.standbys.entry(node).or_default();
        behind.replayed = Some(lsn);
        behind.lag = self.record.lag(now, lsn, known);
        if let Some(lag) = behind.lag {
            behind.held_out = held_out(behind.held_out, lag, policy);
        }
    }

    /// It is not known how far this node has replayed.
    pub(crate) fn unknown(&mut self, node: NodeId) {
        self.standbys.remove(&node);
    }

    /// Nothing that was known of this node counts any more.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if self.about.is_some_and(|(primary, _)| primary == node) {
            *self = Self::default();
        }
        self.standbys.remove(&node);
    }

    /// Only these nodes are there.
    pub(crate) fn retain(&mut self, is_there: impl Fn(NodeId) -> bool) {
        self.standbys.retain(|node, _| is_there(*node));
    }

    /// The timeline of the last primary that was known.
    pub(crate) fn timeline(&self) -> Option<u32> {
        self.about.and_then(|(_, timeline)| timeline)
    }

    /// How far the standby has replayed, and how far behind it was then.
    pub(crate) fn of(&self, node: NodeId) -> (Option<Lsn>, Option<Lag>) {
        self.standbys.get(&node).map_or((None, None), |behind| (behind.replayed, behind.lag))
    }

    /// What speaks against reading from this standby, as far as its place in the log goes. While no primary is
    /// `known`, nothing new can be found out: it counts what was, for a time.
    pub(crate) fn objection(
        &self,
        node: NodeId,
        now: Moment,
        known: bool,
        policy: &LagPolicy,
    ) -> Option<Unfit> {
        let behind = self.standbys.get(&node).copied().unwrap_or_default();
        let Some(lag) = behind.lag else { return Some(Unfit::UnknownLag) };
        if behind.held_out.is_some() {
            return behind.held_out;
        }
        if lag.or_more && !policy.max_time.is_zero() {
            return Some(Unfit::UnknownLag);
        }
        let newest = self.record.0.back()?;
        let stale = !known && now.since(newest.last) >= policy.stale_reads_max;
        stale.then_some(Unfit::Stale)
    }
}

/// The limit that a standby with this lag is beyond, given the one that it was beyond before.
fn held_out(before: Option<Unfit>, lag: Lag, policy: &LagPolicy) -> Option<Unfit> {
    let part = |limit| if before == Some(limit) { FIT_AGAIN_BELOW } else { 1 };
    let most = policy.max_bytes / u64::from(part(Unfit::LagsByBytes));
    let longest = policy.max_time / part(Unfit::LagsByTime);
    if policy.max_bytes > 0 && lag.bytes > most {
        return Some(Unfit::LagsByBytes);
    }
    (!policy.max_time.is_zero() && lag.time > longest).then_some(Unfit::LagsByTime)
}

#[cfg(test)]
mod tests;
