//! Stories of a primary and its standbys, told through the whole state; and properties of the record.

use proptest::prelude::*;

use super::*;
use crate::{Action, Event, Failure, Observation, Policy, Position, Readers, Role, State, View};

const PRIMARY: u16 = 0;
const STANDBY: u16 = 1;
const OTHER: u16 = 2;

fn at(millis: u64) -> Moment {
    Moment::after(Duration::from_millis(millis))
}

const LIMITS: LagPolicy = LagPolicy {
    max_bytes: 1000,
    max_time: Duration::from_secs(10),
    stale_reads_max: Duration::from_secs(60),
};

/// A cluster of three nodes that are probed once a second, by a clock that stands still meanwhile.
struct Story {
    state: State,
    seconds: u64,
    readers: Readers,
    views: usize,
}

impl Story {
    fn new(lag: LagPolicy) -> Self {
        let policy = Policy { down_failures: 2, down_after: Duration::from_secs(1), lag };
        let state = State::new(policy, [PRIMARY, STANDBY, OTHER].map(NodeId));
        Self { state, seconds: 0, readers: Readers::default(), views: 0 }
    }

    /// One in which the primary is known, every node having been asked once, and has been asked since.
    fn begun(lag: LagPolicy) -> Self {
        let mut story = Self::new(lag);
        story.second(0, [0, 0]).second(0, [0, 0]);
        story
    }

    fn step(&mut self, event: Event) -> &mut Self {
        let (state, actions) = self.state.clone().step(at(self.seconds * 1000), event);
        self.state = state;
        for action in actions {
            match action {
                Action::Readers(readers) => {
                    assert_ne!(readers, self.readers, "told without a change");
                    self.readers = readers;
                }
                Action::Publish(view) => {
                    drop::<View>(view);
                    self.views += 1;
                }
                Action::Recovered(_) => {}
            }
        }
        self
    }

    fn see(&mut self, node: u16, role: Role, timeline: u32, lsn: u64) -> &mut Self {
        let observation = Observation { role, system: 7, timeline: Some(timeline) };
        let position = Position { reached: Some(Lsn(lsn)), ahead: None };
        self.step(Event::Observed { node: NodeId(node), observation, position })
    }

    /// A second later the primary is here, and the standbys are there.
    fn second(&mut self, primary: u64, standbys: [u64; 2]) -> &mut Self {
        self.seconds += 1;
        self.see(PRIMARY, Role::Primary, 1, primary);
        self.see(STANDBY, Role::Standby, 1, standbys[0]).see(OTHER, Role::Standby, 1, standbys[1])
    }

    /// A second later the primary says nothing.
    fn silent(&mut self, standby: u64) -> &mut Self {
        self.seconds += 1;
        self.step(Event::Failed { node: NodeId(PRIMARY), failure: Failure::Silent });
        self.see(STANDBY, Role::Standby, 1, standby)
    }

    fn unfit(&self, node: u16) -> Option<Unfit> {
        self.readers.node(NodeId(node)).unwrap().unfit
    }

    fn lag(&self, node: u16) -> Lag {
        self.readers.node(NodeId(node)).unwrap().lag.unwrap()
    }
}

#[test]
fn standbys_that_keep_up_are_fit_and_the_primary_is_none_of_them() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 100]);
    story.second(200, [250, 150]);
    let fit: Vec<NodeId> = story.readers.fit().collect();
    assert_eq!(fit, [STANDBY, OTHER].map(NodeId));
    assert_eq!(story.lag(STANDBY), Lag { bytes: 0, time: Duration::ZERO, or_more: false });
    let behind = Lag { bytes: 50, time: Duration::from_secs(1), or_more: false };
    assert_eq!(story.lag(OTHER), behind);
    assert_eq!(story.readers.node(NodeId(PRIMARY)), None);
}

#[test]
fn a_standby_of_which_nothing_is_known_is_not_read_from() {
    let mut story = Story::new(LIMITS);
    // Before the primary is known there is nothing to compare with.
    story.see(STANDBY, Role::Standby, 1, 100).see(OTHER, Role::Standby, 1, 100);
    story.see(PRIMARY, Role::Primary, 1, 100);
    assert_eq!([STANDBY, OTHER].map(|node| story.unfit(node)), [Some(Unfit::UnknownLag); 2]);
    // One that does not say how far it is.
    let observation = Observation { role: Role::Standby, system: 7, timeline: Some(1) };
    let node = NodeId(OTHER);
    story.second(100, [100, 100]).step(Event::Observed {
        node,
        observation,
        position: Position::default(),
    });
    assert_eq!([STANDBY, OTHER].map(|node| story.unfit(node)), [None, Some(Unfit::UnknownLag)]);
}

#[test]
fn one_that_lags_by_bytes_comes_back_well_below_the_limit() {
    let mut story = Story::begun(LIMITS);
    let unfit = [
        (5_000, 4_000, None),
        (9_000, 7_999, Some(Unfit::LagsByBytes)),
        (9_100, 8_500, Some(Unfit::LagsByBytes)),
        (9_200, 8_700, None),
        (9_900, 8_900, None),
    ];
    for (primary, standby, expected) in unfit {
        story.second(primary, [standby, primary]);
        assert_eq!((story.unfit(STANDBY), story.unfit(OTHER)), (expected, None), "at {primary}");
    }
}

#[test]
fn one_that_lags_by_time_comes_back_well_below_the_limit() {
    let mut story = Story::begun(LIMITS);
    for second in 1..=30 {
        story.second(second, [second.min(5), second]);
        let expected = (second > 15).then_some(Unfit::LagsByTime);
        assert_eq!((story.unfit(STANDBY), story.unfit(OTHER)), (expected, None), "at {second}");
    }
    // Where the primary was 6 s ago, and 5 s ago.
    story.second(31, [25, 31]);
    assert_eq!(story.unfit(STANDBY), Some(Unfit::LagsByTime));
    story.second(32, [27, 32]);
    assert_eq!((story.unfit(STANDBY), story.lag(STANDBY).time), (None, Duration::from_secs(5)));
}

#[test]
fn a_cluster_without_writes_is_not_behind() {
    let mut story = Story::new(LIMITS);
    for _ in 0..100 {
        story.second(500, [500, 499]);
    }
    assert_eq!((story.unfit(STANDBY), story.lag(STANDBY).time), (None, Duration::ZERO));
    // Not even where the primary has ever been seen, and that for longer than the limit.
    assert_eq!((story.unfit(OTHER), story.lag(OTHER).or_more), (Some(Unfit::LagsByTime), true));
}

#[test]
fn limits_of_zero_are_none() {
    let none = LagPolicy { max_bytes: 0, max_time: Duration::ZERO, ..LIMITS };
    let mut story = Story::begun(none);
    for second in 1..=100 {
        story.second(second * 1_000_000, [0, second]);
    }
    assert_eq!([STANDBY, OTHER].map(|node| story.unfit(node)), [None, None]);
}

#[test]
fn while_no_primary_is_known_a_standby_is_fit_by_its_last_proof_for_a_time() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 20]).second(5_000, [4_500, 20]);
    let mut told = Vec::new();
    for _ in 0..61 {
        // It replays what it has received.
        story.silent(4_500);
        told.push(story.unfit(STANDBY));
    }
    let (fit, stale) = told.split_at(59);
    assert_eq!((fit.iter().flatten().count(), stale), (0, &[Some(Unfit::Stale); 2][..]));
    // One that was too far behind to be read from is so still.
    assert_eq!(story.unfit(OTHER), Some(Unfit::LagsByBytes));
    story.second(5_000, [5_000, 5_000]);
    assert_eq!([STANDBY, OTHER].map(|node| story.unfit(node)), [None, None]);
}

#[test]
fn without_a_time_for_stale_reads_nobody_is_fit_once_no_primary_is_known() {
    let mut story = Story::begun(LagPolicy { stale_reads_max: Duration::ZERO, ..LIMITS });
    story.second(100, [100, 100]).silent(100);
    assert_eq!(story.unfit(STANDBY), None, "one lost probe says nothing");
    story.silent(100);
    assert_eq!(story.unfit(STANDBY), Some(Unfit::Stale));
}

#[test]
fn behind_a_promotion_a_standby_counts_when_it_has_followed() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 100]);
    story.seconds += 1;
    story.see(STANDBY, Role::Primary, 2, 110).see(OTHER, Role::Standby, 1, 120);
    // The old primary is not read from, and the other standby may have gone on with the old timeline.
    assert_eq!(story.unfit(PRIMARY), Some(Unfit::NotAStandby));
    assert_eq!(story.unfit(OTHER), Some(Unfit::OtherTimeline));
    story.see(OTHER, Role::Standby, 2, 110).see(PRIMARY, Role::Standby, 2, 115);
    assert_eq!([PRIMARY, OTHER].map(|node| story.unfit(node)), [None, None]);
    assert_eq!(story.readers.node(NodeId(STANDBY)), None);
}

#[test]
fn what_a_primary_has_lost_in_a_crash_is_not_waited_for() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 100]).second(900, [100, 100]).second(120, [120, 110]);
    assert_eq!((story.lag(STANDBY).bytes, story.lag(OTHER).bytes), (0, 10));
    assert_eq!(story.unfit(STANDBY), None);
}

#[test]
fn another_machine_under_the_same_name_has_to_prove_itself() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 100]).step(Event::Moved(NodeId(STANDBY)));
    assert_eq!([STANDBY, OTHER].map(|node| story.unfit(node)), [Some(Unfit::UnknownLag), None]);
    story.second(100, [100, 100]).step(Event::Moved(NodeId(PRIMARY)));
    assert_eq!([STANDBY, OTHER].map(|node| story.unfit(node)), [Some(Unfit::UnknownLag); 2]);
    story.second(100, [100, 100]);
    assert_eq!(story.readers.fit().count(), 2);
}

#[test]
fn a_standby_that_is_down_is_not_read_from() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 100]);
    let fail = Event::Failed { node: NodeId(STANDBY), failure: Failure::Unreachable };
    story.step(fail.clone());
    assert_eq!(story.unfit(STANDBY), None, "one lost probe says nothing");
    story.seconds += 1;
    story.step(fail);
    assert_eq!(story.unfit(STANDBY), Some(Unfit::Down));
}

#[test]
fn what_probes_see_of_the_log_changes_no_view() {
    let mut story = Story::begun(LIMITS);
    story.second(100, [100, 100]);
    let views = story.views;
    for second in 0..10 {
        story.second(200 + second, [200, 150 + second]);
    }
    assert_eq!(story.views, views);
}

proptest! {
    /// Whatever is forgotten, nobody is taken for being less far behind than he is.
    #[test]
    fn a_record_that_has_forgotten_does_not_flatter(
        steps in prop::collection::vec((1_u64..5_000, 0_u64..1000), 1..2_000),
        standby in 0_u64..1_000_000,
    ) {
        let mut record = Record::default();
        let mut whole = Vec::new();
        let (mut now, mut lsn) = (0, 0);
        for (millis, bytes) in steps {
            (now, lsn) = (now + millis, lsn + bytes);
            record.add(at(now), Lsn(lsn));
            whole.push((now, lsn));
        }
        prop_assert!(record.0.len() <= SAMPLES_MAX);
        let ordered = record.0.iter().zip(record.0.iter().skip(1));
        prop_assert!(ordered.clone().all(|(one, next)| one.last < next.first && one.lsn < next.lsn));
        let lag = record.lag(at(now), Lsn(standby), true).unwrap();
        prop_assert_eq!(lag.bytes, lsn.saturating_sub(standby));
        let last = whole.iter().rev().find(|(_, lsn)| *lsn <= standby);
        let truth = match last {
            _ if lag.bytes == 0 => 0,
            Some((then, _)) => now - then,
            None => now - whole[0].0,
        };
        let told = u64::try_from(lag.time.as_millis()).unwrap();
        prop_assert!(told >= truth, "{told} ms, and it is {truth} ms");
        prop_assert_eq!(lag.or_more, lag.bytes > 0 && last.is_none());
    }

    /// Between being held out and being fit again there is always a stretch in which nothing changes.
    #[test]
    fn a_lag_that_trembles_at_a_limit_does_not_change_the_verdict_twice(
        base in 501_u64..1000,
        tremble in prop::collection::vec(0_u64..2, 1..100),
    ) {
        let mut before = Some(Unfit::LagsByBytes);
        for more in tremble {
            let lag = Lag { bytes: base + more, time: Duration::ZERO, or_more: false };
            before = held_out(before, lag, &LIMITS);
            prop_assert_eq!(before, Some(Unfit::LagsByBytes));
        }
        let lag = Lag { bytes: 500, time: Duration::ZERO, or_more: false };
        prop_assert_eq!(held_out(before, lag, &LIMITS), None);
    }
}
