use super::*;
use crate::positions::{End, History, Positions, Replayed};

const PRIMARY: NodeId = NodeId(0);
const FIRST: NodeId = NodeId(1);
const SECOND: NodeId = NodeId(2);
const SYSTEM: u64 = 7;

/// The primary leads; nothing is known yet.
fn led() -> Positions {
    let positions = Positions::default();
    positions.led_by(Some(PRIMARY));
    positions
}

fn sample(positions: &Positions, lsn: u64, timeline: u32) {
    let question = positions.begin(positions.read(|picture| picture.epoch), 5);
    let history = History { system: SYSTEM, timeline, page: 8192 };
    positions.answered(question, End { place: Lsn(lsn), next: Lsn(lsn) }, history);
}

fn replay(positions: &Positions, node: NodeId, lsn: u64) {
    let epoch = positions.read(|picture| picture.epoch);
    let replayed = Replayed { lsn: Lsn(lsn), asked_at_us: 6, alive_since_us: 1 };
    positions.has_replayed(epoch, node, replayed);
}

fn reached(floor: &mut Floor, positions: &Positions, node: NodeId) -> Result<(), Below> {
    positions.read(|picture| floor.is_reached(picture, node))
}

fn token(timeline: u32, lsn: u64) -> Token {
    Token { system: SYSTEM, timeline, lsn }
}

#[test]
fn who_has_written_reads_where_a_later_sample_is_replayed() {
    let positions = led();
    replay(&positions, FIRST, 100);
    let mut floor = Floor::default();
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()), "it has been nowhere");
    sample(&positions, 90, 1);
    floor.raise(positions.want());
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::Unknown));
    sample(&positions, 110, 1);
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
    assert_eq!(reached(&mut floor, &positions, SECOND), Err(Below::NotReached), "not known");
    replay(&positions, FIRST, 110);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
    // Later samples are about what others have done.
    sample(&positions, 120, 1);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
}

#[test]
fn what_the_place_covers_already_asks_for_nothing() {
    let positions = led();
    let (early, late) = (positions.want(), positions.want());
    sample(&positions, 100, 1);
    replay(&positions, FIRST, 100);
    let mut floor = Floor::default();
    floor.raise(late);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
    let before = floor;
    floor.raise(early);
    assert_eq!(floor, before);
    // One that it does not cover does, whatever order they come in.
    let later = positions.want();
    floor.raise(later);
    floor.raise(early);
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::Unknown));
}

#[test]
fn a_sample_that_is_known_is_a_place_whatever_was_sampled_later() {
    let positions = led();
    sample(&positions, 100, 1);
    let early = positions.latest().unwrap();
    sample(&positions, 200, 1);
    replay(&positions, FIRST, 100);
    let mut floor = Floor::default();
    floor.raise_to(&early);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
    floor.raise_to(&positions.latest().unwrap());
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
    floor.raise_to(&early);
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
}

#[test]
fn after_a_promotion_the_place_is_where_the_new_primary_began() {
    let positions = led();
    let mut floor = Floor::default();
    floor.raise(positions.want());
    sample(&positions, 500, 1);
    replay(&positions, SECOND, 500);
    assert_eq!(reached(&mut floor, &positions, SECOND), Ok(()));
    positions.led_by(Some(FIRST));
    assert_eq!(reached(&mut floor, &positions, SECOND), Err(Below::Unknown));
    // The new primary had not received all of it.
    sample(&positions, 400, 2);
    replay(&positions, SECOND, 390);
    assert_eq!(reached(&mut floor, &positions, SECOND), Err(Below::NotReached));
    sample(&positions, 450, 2);
    replay(&positions, SECOND, 400);
    assert_eq!(reached(&mut floor, &positions, SECOND), Ok(()));
}

#[test]
fn a_standby_that_may_have_started_again_may_show_less_than_it_did() {
    let positions = led();
    sample(&positions, 100, 1);
    let mut floor = Floor::default();
    let less = |floor: &Floor| positions.read(|picture| floor.may_show_less(picture));
    assert!(!less(&floor), "it has seen nothing");
    replay(&positions, FIRST, 100);
    floor.reads_from(FIRST, 10);
    assert_eq!(floor.reader(), Some(FIRST));
    assert!(!less(&floor));
    positions.forget(FIRST);
    assert!(less(&floor));
    let epoch = positions.read(|picture| picture.epoch);
    let again = Replayed { lsn: Lsn(100), asked_at_us: 12, alive_since_us: 11 };
    positions.has_replayed(epoch, FIRST, again);
    assert!(less(&floor));
    floor.has_read(12);
    assert!(!less(&floor));
    // What it must find from now on is all that it has seen.
    positions.forget(FIRST);
    floor.cover(positions.want());
    assert!(less(&floor));
    floor.raise(positions.want());
    assert_eq!((less(&floor), floor.reader()), (false, None));
}

#[test]
fn a_token_is_found_where_its_place_is_replayed() {
    let positions = led();
    let mut floor = Floor::default();
    floor.raise_by(token(1, 200));
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::Unknown));
    sample(&positions, 300, 1);
    replay(&positions, FIRST, 199);
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
    replay(&positions, FIRST, 200);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()), "the sample is further on");
    // An older one takes nothing back.
    floor.raise_by(token(1, 150));
    replay(&positions, SECOND, 199);
    assert_eq!(reached(&mut floor, &positions, SECOND), Err(Below::NotReached));
    // Nor does what the session does itself.
    floor.raise_by(token(1, 900));
    floor.raise(positions.want());
    sample(&positions, 310, 1);
    replay(&positions, FIRST, 310);
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
}

#[test]
fn the_header_of_a_page_in_a_token_is_no_log_to_be_replayed() {
    let positions = led();
    sample(&positions, 0x4000, 1);
    replay(&positions, FIRST, 0x2000);
    let mut floor = Floor::default();
    floor.raise_by(token(1, 0x2018));
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
}

#[test]
fn a_token_of_an_older_timeline_is_found_where_the_new_one_began() {
    let positions = led();
    sample(&positions, 400, 2);
    sample(&positions, 600, 2);
    replay(&positions, FIRST, 399);
    let mut floor = Floor::default();
    floor.raise_by(token(1, 900));
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
    replay(&positions, FIRST, 400);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
}

#[test]
fn a_token_of_a_newer_timeline_waits_until_that_is_seen() {
    let positions = led();
    sample(&positions, 400, 1);
    replay(&positions, FIRST, 400);
    let mut floor = Floor::default();
    floor.raise_by(token(2, 300));
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::Unknown));
    positions.led_by(Some(SECOND));
    sample(&positions, 250, 2);
    replay(&positions, FIRST, 299);
    assert_eq!(reached(&mut floor, &positions, FIRST), Err(Below::NotReached));
    replay(&positions, FIRST, 300);
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
}

#[test]
fn a_token_of_another_cluster_has_no_place_here() {
    let positions = led();
    sample(&positions, 100, 1);
    replay(&positions, FIRST, 100);
    let mut floor = Floor::default();
    floor.raise_by(Token { system: 8, ..token(1, 900) });
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
}

#[test]
fn what_was_seen_holds_until_there_is_more_to_be_found() {
    let positions = led();
    sample(&positions, 100, 1);
    replay(&positions, FIRST, 100);
    let by = SeenBy { picture: 3, generation: 7, since_us: 1 };
    let resting = || {
        let mut floor = Floor::default();
        floor.raise_to(&positions.latest().unwrap());
        floor.reads_from(FIRST, 1);
        floor.is_seen_by(by);
        floor
    };
    let mut floor = resting();
    assert_eq!(floor.rests_at(by), Some(FIRST));
    floor.reads_from(FIRST, 2);
    floor.has_read(3);
    floor.raise_to(&positions.latest().unwrap());
    assert_eq!(reached(&mut floor, &positions, FIRST), Ok(()));
    assert_eq!(floor.rests_at(by), Some(FIRST), "that is no more");
    for other in
        [SeenBy { picture: 4, ..by }, SeenBy { generation: 8, ..by }, SeenBy { since_us: 2, ..by }]
    {
        assert_eq!(floor.rests_at(other), None);
    }
    let ticket = positions.want();
    let more: [&dyn Fn(&mut Floor); 4] = [
        &|floor| floor.raise(ticket),
        &|floor| floor.cover(ticket),
        &|floor| floor.reads_from(SECOND, 2),
        &|floor| floor.raise_by(Token { system: 1, timeline: 1, lsn: 500 }),
    ];
    for more in more {
        let mut floor = resting();
        more(&mut floor);
        assert_eq!(floor.rests_at(by), None);
    }
    sample(&positions, 200, 1);
    let mut floor = resting();
    sample(&positions, 300, 1);
    floor.raise_to(&positions.latest().unwrap());
    assert_eq!(floor.rests_at(by), None);
}
