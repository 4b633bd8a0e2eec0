//! How often what clients sent went where, and why; and what standbys did not carry out.

use trunkline_route::Because;

use super::refusal::Refusal;

/// Why the primary has carried out what had gone to a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Healed {
    /// The standby has refused it as more than a read.
    Refused,
    /// The standby did not have what it names, has cancelled it for what it had to replay, or ends.
    Passing,
    /// The connection to the standby was lost.
    Lost,
}

impl Healed {
    /// Every one, each at the place of its number.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Passing, Self::Lost];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused by the standby",
            Self::Passing => "not replayed, or cancelled",
            Self::Lost => "standby lost",
        }
    }

    #[expect(clippy::as_conversions, reason = "the number of a variant, which has no fields")]
    const fn index(self) -> usize {
        self as usize
    }
}

impl From<Refusal> for Healed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Write => Self::Refused,
            Refusal::Passing => Self::Passing,
        }
    }
}

/// Counts of decisions by their reasons, and of what came of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteCounts {
    decided: [u64; Because::COUNT],
    healed: [u64; Healed::ALL.len()],
    /// Texts remembered as such that a standby refuses.
    pub learnt: u64,
}

impl Default for RouteCounts {
    fn default() -> Self {
        Self { decided: [0; Because::COUNT], healed: [0; Healed::ALL.len()], learnt: 0 }
    }
}

impl RouteCounts {
    /// Counts a decision.
    pub fn decide(&mut self, because: Because) {
        add(&mut self.decided, because.index(), 1);
    }

    /// Counts what the primary has carried out in the place of a standby.
    pub fn heal(&mut self, healed: Healed) {
        add(&mut self.healed, healed.index(), 1);
    }

    /// How often each reason decided, all of them in their order.
    pub fn decided(&self) -> impl Iterator<Item = (Because, u64)> {
        Because::all().zip(self.decided.iter().copied())
    }

    /// How often the primary has carried out what had gone to a standby, by why.
    pub fn healed(&self) -> impl Iterator<Item = (Healed, u64)> {
        Healed::ALL.into_iter().zip(self.healed.iter().copied())
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        for (place, count) in other.decided.iter().enumerate() {
            add(&mut self.decided, place, *count);
        }
        for (place, count) in other.healed.iter().enumerate() {
            add(&mut self.healed, place, *count);
        }
        self.learnt = self.learnt.wrapping_add(other.learnt);
    }
}

fn add(counts: &mut [u64], place: usize, more: u64) {
    if let Some(count) = counts.get_mut(place) {
        *count = count.wrapping_add(more);
    }
}

/// What was decided for the clients of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// With `routing.mode = "on"`.
    pub on: RouteCounts,
    /// With `routing.mode = "shadow"`: where it would have gone.
    pub shadow: RouteCounts,
}

impl Routes {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.on.add(&other.on);
        self.shadow.add(&other.shadow);
    }
}

#[cfg(test)]
mod tests {
    use trunkline_route::Plain;

    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself_and_sums_are_sums() {
        let mut counts = RouteCounts::default();
        for (place, because) in Because::all().enumerate() {
            (0..=place).for_each(|_| counts.decide(because));
        }
        for (place, healed) in Healed::ALL.into_iter().enumerate() {
            assert_eq!(healed.index(), place, "{healed:?}");
            (0..=place).for_each(|_| counts.heal(healed));
        }
        counts.learnt = 7;
        let mut sum = counts.clone();
        sum.add(&counts);
        for (place, (because, count)) in sum.decided().enumerate() {
            assert_eq!(count, 2 * (u64::try_from(place).unwrap() + 1), "{because}");
        }
        for (place, (healed, count)) in sum.healed().enumerate() {
            assert_eq!(count, 2 * (u64::try_from(place).unwrap() + 1), "{healed:?}");
        }
        assert_eq!(sum.learnt, 14);
        let read = sum.decided().find(|(because, _)| *because == Plain::Read.into());
        assert_eq!(read.map(|(_, count)| count), Some(2));
    }
}
