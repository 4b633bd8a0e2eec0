//! One coarse timer wheel per loop.

/// Width of one step, in microseconds. Timeouts are accurate to about one step.
pub(crate) const STEP_US: u64 = 10_000;

/// Steps of one turn of the wheel; a deadline beyond it is put back when its step comes.
const STEPS: u64 = 1024;

/// Deadlines of slots. An entry is not moved when its deadline moves out: it fires at the old time, and the owner
/// arms it again for what is left.
#[derive(Debug)]
pub(crate) struct Wheel {
    steps: Vec<Vec<Entry>>,
    /// The first step that was not over when the wheel was last looked at.
    at: u64,
    entries: usize,
    /// No entry is in an earlier step. Every turn asks for the next deadline, and the way to a distant one would
    /// lead over a thousand empty steps.
    soonest: u64,
    /// What that is in microseconds, as every turn asks.
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    slot: usize,
    due: u64,
}

impl Wheel {
    /// A wheel that starts at `now` microseconds.
    pub(crate) fn new(now: u64) -> Self {
        let steps = (0..STEPS).map(|_| Vec::new()).collect();
        Self { steps, at: now / STEP_US, entries: 0, soonest: 0, next: u64::MAX }
    }

    /// Calls for `slot` at `due` microseconds, or shortly after.
    pub(crate) fn arm(&mut self, slot: usize, due: u64) {
        self.put(self.at, Entry { slot, due });
        self.foresee();
    }

    /// Takes out the slots whose time has come by `now`.
    pub(crate) fn expired(&mut self, now: u64, out: &mut Vec<usize>) {
        let last = now / STEP_US;
        let first = self.at;
        self.at = last.max(first);
        if self.entries > 0 {
            self.take_expired(first, (last, now), out);
        }
        self.foresee();
    }

    fn take_expired(&mut self, first: u64, (last, now): (u64, u64), out: &mut Vec<usize>) {
        for step in first..=last.min(first.saturating_add(STEPS.saturating_sub(1))) {
            let Some(entries) = self.steps.get_mut(Self::place(step)) else { continue };
            if entries.is_empty() {
                continue;
            }
            let found = std::mem::take(entries);
            self.entries = self.entries.saturating_sub(found.len());
            for entry in found {
                if entry.due <= now {
                    out.push(entry.slot);
                } else {
                    // Beyond one turn, or within the step that is not over.
                    self.put(last, entry);
                }
            }
        }
        if self.soonest < self.at {
            self.soonest = self.first_step().unwrap_or(self.at);
        }
    }

    /// Microseconds of the end of the next step that holds entries, or held some until it was looked at;
    /// [`u64::MAX`] if the wheel is empty.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    fn foresee(&mut self) {
        self.next = if self.entries == 0 {
            u64::MAX
        } else {
            self.soonest.max(self.at).saturating_add(1).saturating_mul(STEP_US)
        };
    }

    /// The first step that holds entries.
    fn first_step(&self) -> Option<u64> {
        if self.entries == 0 {
            return None;
        }
        (self.soonest.max(self.at)..self.at.saturating_add(STEPS)).find(|step| {
            self.steps.get(Self::place(*step)).is_some_and(|entries| !entries.is_empty())
        })
    }

    /// Puts an entry into the step of its deadline, at the latest one turn after `at`.
    fn put(&mut self, at: u64, entry: Entry) {
        let step = (entry.due / STEP_US).clamp(at, at.saturating_add(STEPS.saturating_sub(1)));
        if let Some(entries) = self.steps.get_mut(Self::place(step)) {
            entries.push(entry);
            self.soonest = if self.entries == 0 { step } else { self.soonest.min(step) };
            self.entries = self.entries.saturating_add(1);
        }
    }

    fn place(step: u64) -> usize {
        usize::try_from(step % STEPS).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel, now: u64) -> Vec<usize> {
        let mut out = Vec::new();
        wheel.expired(now, &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn slots_fire_once_and_not_early() {
        let mut wheel = Wheel::new(0);
        wheel.arm(1, 25_000);
        wheel.arm(2, 5_000);
        assert!(fired(&mut wheel, 4_000).is_empty());
        assert_eq!(fired(&mut wheel, 10_000), [2]);
        assert!(fired(&mut wheel, 24_000).is_empty());
        assert_eq!(fired(&mut wheel, 25_000), [1]);
        assert!(fired(&mut wheel, 10_000_000).is_empty());
        assert_eq!(wheel.next(), u64::MAX);
    }

    #[test]
    fn the_next_deadline_is_known_after_an_earlier_one_has_fired_or_come() {
        let mut wheel = Wheel::new(0);
        let end_of_step = |due: u64| (due / STEP_US + 1) * STEP_US;
        wheel.arm(1, 5_000_000);
        assert_eq!(wheel.next(), end_of_step(5_000_000));
        wheel.arm(2, 20_000);
        assert_eq!(wheel.next(), end_of_step(20_000));
        assert_eq!(fired(&mut wheel, 40_000), [2]);
        assert_eq!(wheel.next(), end_of_step(5_000_000));
        assert_eq!(fired(&mut wheel, 5_010_000), [1]);
        wheel.arm(3, 9_000_000);
        assert_eq!(wheel.next(), end_of_step(9_000_000));
    }

    #[test]
    fn deadlines_beyond_a_turn_wait_their_time() {
        let mut wheel = Wheel::new(1_000_000);
        let far = 60_000_000;
        wheel.arm(7, far);
        let mut now = 1_000_000;
        while now < far {
            assert!(fired(&mut wheel, now).is_empty(), "early at {now}");
            now += 7_000;
        }
        assert_eq!(fired(&mut wheel, far + STEP_US), [7]);
    }

    #[test]
    fn a_long_sleep_fires_all() {
        let mut wheel = Wheel::new(0);
        for slot in 0..100 {
            wheel.arm(slot, u64::try_from(slot).unwrap() * 100_000);
        }
        let mut all = fired(&mut wheel, 100_000_000);
        all.extend(fired(&mut wheel, 100_010_000));
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn next_is_never_after_the_first_deadline_by_more_than_a_step() {
        let mut wheel = Wheel::new(0);
        wheel.arm(1, 123_456);
        let next = wheel.next();
        assert!((123_456..=123_456 + STEP_US).contains(&next));
    }
}
