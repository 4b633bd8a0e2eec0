//! How often what clients sent went where, and why; and what standbys did not carry out.

use std::{collections::BTreeMap, sync::Arc};

use trunkline_route::{Because, Plain};

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
    /// How often which rule of the settings has sent to the primary: a part of what [`Plain::Rule`] has decided.
    by_rule: BTreeMap<Arc<str>, u64>,
    /// Texts remembered as such that a standby refuses.
    pub learnt: u64,
}

/// Rules that are counted by their names. Those that come beyond that, by settings that are loaded again, are counted together.
const RULES_MAX: usize = 256;

/// How often a reason decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// To a standby; else to the primary.
    pub to_standby: bool,
    /// The words for it.
    pub reason: String,
    /// How often.
    pub count: u64,
}

impl Default for RouteCounts {
    fn default() -> Self {
        Self {
            decided: [0; Because::COUNT],
            healed: [0; Healed::ALL.len()],
            by_rule: BTreeMap::new(),
            learnt: 0,
        }
    }
}

impl RouteCounts {
    /// Counts a decision.
    pub fn decide(&mut self, because: Because) {
        add(&mut self.decided, because.index(), 1);
    }

    /// Counts a decision by a rule of this name.
    pub fn decide_by_rule(&mut self, rule: &Arc<str>) {
        self.decide(Plain::Rule.into());
        self.add_rule(rule, 1);
    }

    fn add_rule(&mut self, rule: &Arc<str>, more: u64) {
        if let Some(count) = self.by_rule.get_mut(rule) {
            *count = count.wrapping_add(more);
        } else if self.by_rule.len() < RULES_MAX {
            self.by_rule.insert(Arc::clone(rule), more);
        }
    }

    /// Counts what the primary has carried out in the place of a standby.
    pub fn heal(&mut self, healed: Healed) {
        add(&mut self.healed, healed.index(), 1);
    }

    /// How often each reason decided, all of them in their order.
    pub fn decided(&self) -> impl Iterator<Item = (Because, u64)> {
        Because::all().zip(self.decided.iter().copied())
    }

    /// How often each reason decided, in words, and rules each by its name.
    pub fn told(&self) -> Vec<Told> {
        let mut all = Vec::new();
        for (because, mut count) in self.decided() {
            let to_standby = because.is_to_standby();
            if because == Plain::Rule.into() {
                for (rule, of_it) in &self.by_rule {
                    let reason = format!("{because} {rule}");
                    all.push(Told { to_standby, reason, count: *of_it });
                    count = count.saturating_sub(*of_it);
                }
            }
            all.push(Told { to_standby, reason: because.words().into(), count });
        }
        all
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
        for (rule, count) in &other.by_rule {
            self.add_rule(rule, *count);
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
        let batch: Arc<str> = "batch".into();
        let before = counts.clone();
        counts.decide_by_rule(&batch);
        let of_rules = |counts: &RouteCounts| {
            let told = counts.told().into_iter();
            let rules = told.filter(|told| told.reason.starts_with("rule") && !told.to_standby);
            rules.map(|told| (told.reason, told.count)).collect::<Vec<_>>()
        };
        let by_rules = before.decided().find(|(because, _)| *because == Plain::Rule.into());
        let by_rules = by_rules.map_or(0, |(_, count)| count);
        let expected = [("rule batch".into(), 1), ("rule".into(), by_rules)];
        assert_eq!(of_rules(&counts), expected);
        let mut twice = counts.clone();
        twice.add(&counts);
        assert_eq!(of_rules(&twice)[0], ("rule batch".into(), 2));
        for number in 0..2 * RULES_MAX {
            twice.decide_by_rule(&number.to_string().into());
        }
        assert_eq!(of_rules(&twice).len(), RULES_MAX + 1);
        counts = before;
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
