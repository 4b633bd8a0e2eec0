use loom::thread;

use super::*;

const PRIMARY: NodeId = NodeId(0);
const STANDBY: NodeId = NodeId(1);
const HISTORY: History = History { system: 7, timeline: 1, page: 8192 };

fn led() -> Positions {
    let positions = Positions::default();
    positions.led_by(Some(PRIMARY));
    positions
}

/// The answer to a question that is asked and answered at once.
fn sample(positions: &Positions, lsn: u64, timeline: u32) -> Sample {
    let question = positions.begin(positions.read(|picture| picture.epoch), 5);
    positions.answered(
        question,
        End { place: Lsn(lsn), next: Lsn(lsn) },
        History { timeline, ..HISTORY },
    );
    positions.latest().unwrap()
}

fn replayed(lsn: u64) -> Replayed {
    Replayed { lsn: Lsn(lsn), asked_at_us: 6, alive_since_us: 1 }
}

#[test]
fn a_sample_covers_what_was_wanted_before_it_was_asked_for_and_nothing_later() {
    let positions = led();
    let early = positions.want();
    let question = positions.begin(1, 5);
    let late = positions.want();
    positions.answered(question, End { place: Lsn(100), next: Lsn(100) }, HISTORY);
    let first = positions.latest().unwrap();
    assert!(first.covers(early) && !first.covers(late));
    assert_eq!((first.asked_at_us, first.epoch, first.lsn), (5, 1, Lsn(100)));
    assert!(positions.wishes.is_wanted(), "the late wish is not forgotten");
    assert!(sample(&positions, 100, 1).covers(late));
    assert!(!positions.wishes.is_wanted());
}

#[test]
fn a_new_primary_begins_an_epoch_in_which_nothing_is_known() {
    let positions = led();
    let before = sample(&positions, 100, 1);
    positions.has_replayed(before.epoch, STANDBY, replayed(100));
    let late = positions.begin(before.epoch, 7);
    positions.led_by(Some(STANDBY));
    // What was asked of the old one is not what the new one says.
    positions.answered(late, End { place: Lsn(110), next: Lsn(110) }, HISTORY);
    positions.has_replayed(before.epoch, PRIMARY, replayed(110));
    positions.read(|picture| {
        assert_eq!(*picture, Picture { version: picture.version, ..Picture::of_epoch(2) });
    });
    // Who goes by samples needs one of the new epoch.
    assert!(positions.wishes.is_wanted());
    let first = sample(&positions, 105, 2);
    let second = sample(&positions, 120, 2);
    positions.read(|picture| {
        assert_eq!((picture.epoch, picture.first, picture.latest), (2, Some(first), Some(second)));
    });
}

#[test]
fn while_no_primary_is_known_what_was_known_goes_on_and_one_that_comes_back_is_a_new_one() {
    let positions = led();
    let before = sample(&positions, 100, 1);
    positions.has_replayed(1, STANDBY, replayed(100));
    positions.led_by(None);
    assert_eq!((positions.latest(), positions.replayed(STANDBY)), (Some(before), Some(Lsn(100))));
    positions.led_by(Some(PRIMARY));
    positions.read(|picture| {
        assert_eq!(*picture, Picture { version: picture.version, ..Picture::of_epoch(2) });
    });
    positions.led_by(Some(PRIMARY));
    assert_eq!(positions.read(|picture| picture.epoch), 2, "the same news again");
}

#[test]
fn a_primary_that_has_lost_log_or_changed_its_timeline_begins_an_epoch() {
    for (lsn, timeline) in [(99, 1), (200, 2)] {
        let positions = led();
        sample(&positions, 100, 1);
        positions.has_replayed(1, STANDBY, replayed(100));
        let ticket = positions.want();
        let mut leader = positions.leader();
        leader.mark_unchanged();
        let now = sample(&positions, lsn, timeline);
        assert_eq!((now.epoch, positions.replayed(STANDBY)), (2, None));
        assert!(now.covers(ticket));
        assert_eq!(positions.read(|picture| picture.first), Some(now));
        assert_eq!(*leader.borrow_and_update(), Leader { node: Some(PRIMARY), epoch: 2 });
    }
}

#[test]
fn a_standby_that_is_lost_sight_of_is_not_known() {
    let positions = led();
    sample(&positions, 100, 1);
    positions.has_replayed(1, STANDBY, replayed(90));
    positions.has_replayed(1, STANDBY, replayed(100));
    assert_eq!(positions.read(|picture| picture.standby(STANDBY)), Some(replayed(100)));
    positions.forget(STANDBY);
    assert_eq!(positions.replayed(STANDBY), None);
    positions.has_replayed(1, STANDBY, replayed(100));
    positions.moved(STANDBY);
    assert_eq!((positions.replayed(STANDBY), positions.read(|picture| picture.epoch)), (None, 1));
    // Another machine under the primary's name has a log of its own.
    positions.has_replayed(1, STANDBY, replayed(100));
    positions.moved(PRIMARY);
    positions.read(|picture| {
        assert_eq!(*picture, Picture { version: picture.version, ..Picture::of_epoch(2) });
    });
}

#[test]
fn the_header_of_a_page_is_no_log_to_be_replayed() {
    for (place, end) in [
        (0x0100_0028, 0x0100_0000),
        (0x0100_2018, 0x0100_2000),
        (0x0100_2000, 0x0100_2000),
        (0x0100_2020, 0x0100_2020),
        (0x0100_1FF8, 0x0100_1FF8),
    ] {
        assert_eq!(without_header(Lsn(place), HISTORY.page), Lsn(end), "{place:x}");
    }
}

#[test]
fn a_sample_covers_what_clients_were_told_before_it_was_asked_for() {
    let positions = led();
    assert_eq!(positions.acknowledged(), None);
    positions.acknowledge();
    let early = positions.acknowledged().unwrap();
    let question = positions.begin(1, 5);
    assert!(!positions.wishes.is_wanted());
    positions.acknowledge();
    let late = positions.acknowledged().unwrap();
    positions.answered(question, End { place: Lsn(100), next: Lsn(100) }, HISTORY);
    let first = positions.latest().unwrap();
    assert!(first.covers(early) && !first.covers(late));
    assert!(sample(&positions, 100, 1).covers(late), "a sample was wanted for it");
    assert_eq!(positions.acknowledged(), Some(late));
}

/// Long enough for everything that is not waited for.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_standby_is_heard_of_when_it_was_asked_since_that_moment() {
    let positions = led();
    let doubts = positions.doubts();
    sample(&positions, 100, 1);
    let heard = |asked_at_us| {
        positions.has_replayed(1, STANDBY, Replayed { asked_at_us, ..replayed(100) });
    };
    heard(9);
    let waits = tokio::time::timeout(LONG, positions.heard_since(STANDBY, 10)).await;
    assert!(waits.is_err(), "it may have started again since");
    assert_eq!(*doubts.borrow(), 10);
    let answer = async { heard(10) };
    tokio::join!(positions.heard_since(STANDBY, 10), answer);
    positions.heard_since(STANDBY, 8).await;
    assert_eq!(*doubts.borrow(), 10, "what is enough already is not asked for");
}

#[tokio::test(start_paused = true)]
async fn loops_are_told_of_a_standby_only_when_they_wait_for_one() {
    let positions = led();
    sample(&positions, 100, 1);
    positions.has_replayed(1, STANDBY, replayed(100));
    assert!(tokio::time::timeout(LONG, positions.caught_up()).await.is_err());
    positions.await_standbys();
    positions.has_replayed(1, STANDBY, replayed(100));
    positions.caught_up().await;
    positions.has_replayed(1, STANDBY, replayed(100));
    assert!(tokio::time::timeout(LONG, positions.caught_up()).await.is_err());
}

impl Number for loom::sync::atomic::AtomicU64 {
    fn load(&self) -> u64 {
        Self::load(self, Ordering::Acquire)
    }

    fn swap(&self, value: u64) -> u64 {
        Self::swap(self, value, Ordering::AcqRel)
    }

    fn add(&self, more: u64) -> u64 {
        self.fetch_add(more, Ordering::AcqRel)
    }
}

/// In every order in which the sampler and two sessions may act, and their stores may reach each other: whoever wants a
/// sample gets one that was begun after that, or leaves a wish behind that the sampler is woken for.
#[test]
fn a_wish_is_never_lost() {
    loom::model(|| {
        let zero = || loom::sync::atomic::AtomicU64::new(0);
        let wishes = loom::sync::Arc::new(Wishes { wanted: zero(), begun: zero() });
        let sessions: Vec<_> = (0..2)
            .map(|_| {
                let wishes = loom::sync::Arc::clone(&wishes);
                thread::spawn(move || wishes.want())
            })
            .collect();
        // The sampler, which was woken for what went before.
        wishes.begin();
        let wanted: Vec<_> =
            sessions.into_iter().map(|session| session.join().expect("no panic")).collect();
        let begun = Number::load(&wishes.begun);
        let open = wanted.iter().filter(|(ticket, _)| *ticket >= begun).count();
        let woken = wanted.iter().filter(|(_, wake)| *wake).count();
        assert!(open == 0 || wishes.is_wanted(), "{wanted:?}");
        assert!(!wishes.is_wanted() || woken > 0, "nobody has woken the sampler: {wanted:?}");
    });
}
