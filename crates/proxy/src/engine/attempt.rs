//! How a loop's attempts to open connections of a pool stand.

use std::sync::Arc;

use super::shared::GiveUp;
use crate::pool::Cap;

/// How attempts to open connections stand.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// No attempt before this time, in microseconds.
    pub(super) not_before: u64,
    /// The wait after the last failure that counted; the next one is twice as long.
    pub(super) backoff_us: u64,
    /// The cap that was full at the last attempt.
    pub(super) full: Option<Arc<Cap>>,
    /// The cap that kept the reserve of the pool from being used at the last attempt; for the error of those who wait in
    /// vain.
    pub(super) reserve_full: Option<Arc<Cap>>,
    /// The cap under which the next place is claimed.
    pub(super) claim: Option<Arc<Cap>>,
    /// Why the last attempt failed; none after a success.
    pub(super) failure: Option<Failure>,
    under_way: Vec<UnderWay>,
    /// The number of the last one.
    last: u64,
    /// Attempts that begin without a wait between them are one round. What fails them all, such as a restart of the
    /// server, is one failure and not as many as there are attempts.
    round: u64,
}

/// Why a connection could not be opened.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) message: Arc<str>,
    /// The body of an `ErrorResponse` for those who must be told now; none if waiting may help.
    pub(super) body: Option<bytes::Bytes>,
    /// We had nothing to prove the user with. The next login of the user may change that.
    pub(super) lacks_credential: bool,
}

/// Which attempts a failed one began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round(u64);

/// An attempt; given up when dropped before it has ended.
struct UnderWay {
    number: u64,
    round: Round,
    give_up: Option<GiveUp>,
}

impl std::fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnderWay").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(give_up) = self.give_up.take() {
            give_up();
        }
    }
}

impl Attempts {
    /// Attempts that have not ended.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Makes an attempt: `open` gets the number by which it is told that it has [`ended`](Self::ended).
    pub(super) fn begin(&mut self, open: impl FnOnce(u64) -> GiveUp) {
        self.last = self.last.wrapping_add(1);
        let (number, round) = (self.last, Round(self.round));
        // It is under way before it begins: it may end, or fail to begin, before this returns.
        self.under_way.push(UnderWay { number, round, give_up: None });
        let give_up = open(number);
        if let Some(attempt) = self.under_way.last_mut() {
            attempt.give_up = Some(give_up);
        }
    }

    /// The attempt of this number has ended by itself; none if it was given up before.
    pub(super) fn ended(&mut self, number: u64) -> Option<Round> {
        let place = self.under_way.iter().position(|attempt| attempt.number == number)?;
        let mut attempt = self.under_way.swap_remove(place);
        attempt.give_up = None;
        Some(attempt.round)
    }

    /// A connection was opened: what began before it and fails tells nothing new.
    pub(super) fn succeeded(&mut self) {
        self.go_on();
        self.failure = None;
    }

    /// An attempt has failed. The first failure of a round makes the next round wait, between `least` and `most`; says
    /// whether it was the first.
    pub(super) fn failed(&mut self, round: Round, now: u64, (least, most): (u64, u64)) -> bool {
        if round.0 != self.round {
            return false;
        }
        self.round = self.round.wrapping_add(1);
        self.backoff_us = self.backoff_us.saturating_mul(2).clamp(least, most);
        self.not_before = now.saturating_add(self.backoff_us);
        true
    }

    /// The next attempt need not wait, whatever has failed before.
    pub(super) fn go_on(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.backoff_us = 0;
        self.not_before = 0;
    }

    /// A client has logged in: if that was lacking, the next attempt is made by this time.
    pub(super) fn hope(&mut self, by: u64) {
        if self.failure.as_ref().is_some_and(|failure| failure.lacks_credential) {
            self.not_before = self.not_before.min(by);
            self.backoff_us = 0;
        }
    }

    /// Gives up what is under way, and forgets what has failed: the next attempt leads elsewhere.
    pub(super) fn begin_anew(&mut self) {
        self.under_way.clear();
        self.succeeded();
        self.full = None;
        self.reserve_full = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LIMITS: (u64, u64) = (100, 5_000);

    /// Begins so many attempts; their numbers.
    fn begin(attempts: &mut Attempts, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            attempts.begin(|number| {
                numbers.push(number);
                Box::new(|| ())
            });
        }
        numbers
    }

    fn fail(attempts: &mut Attempts, number: u64, now: u64) -> bool {
        let round = attempts.ended(number).expect("it is under way");
        attempts.failed(round, now, LIMITS)
    }

    #[test]
    fn all_failures_of_one_round_make_one_wait() {
        let mut attempts = Attempts::default();
        let mut now = 0;
        for wait in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let round = begin(&mut attempts, 16);
            let counted = round.into_iter().filter(|number| fail(&mut attempts, *number, now));
            assert_eq!(counted.count(), 1);
            assert_eq!((attempts.backoff_us, attempts.not_before), (wait, now + wait));
            assert_eq!(attempts.under_way(), 0);
            now += wait;
        }
    }

    #[test]
    fn what_began_before_a_success_or_before_the_wait_was_lifted_does_not_count() {
        let mut attempts = Attempts::default();
        let first = begin(&mut attempts, 3);
        assert!(fail(&mut attempts, first[0], 0));
        attempts.ended(first[1]);
        attempts.succeeded();
        assert!(!fail(&mut attempts, first[2], 1));
        assert_eq!((attempts.backoff_us, attempts.not_before), (0, 0));
        let second = begin(&mut attempts, 1);
        attempts.go_on();
        assert!(!fail(&mut attempts, second[0], 2));
        let third = begin(&mut attempts, 1);
        assert!(fail(&mut attempts, third[0], 3));
        assert_eq!((attempts.backoff_us, attempts.not_before), (100, 103));
    }

    #[test]
    fn to_begin_anew_gives_up_what_has_not_ended() {
        let given_up = Arc::new(AtomicUsize::new(0));
        let mut attempts = Attempts::default();
        let mut numbers = Vec::new();
        for _ in 0..3 {
            attempts.begin(|number| {
                numbers.push(number);
                let given_up = Arc::clone(&given_up);
                Box::new(move || {
                    given_up.fetch_add(1, Ordering::Relaxed);
                })
            });
        }
        assert!(fail(&mut attempts, numbers[0], 0));
        attempts.begin_anew();
        assert_eq!((attempts.under_way(), given_up.load(Ordering::Relaxed)), (0, 2));
        assert_eq!((attempts.not_before, attempts.ended(numbers[1])), (0, None));
    }
}
