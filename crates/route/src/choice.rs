//! Which of several standbys a session reads from, and why each of the others was not taken.

use std::fmt;

use crate::Plain;

/// How one of those is chosen that may be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Of two that chance names, the one that is less busy for its weight.
    LeastBusy,
    /// Each in its turn, as often as it weighs.
    RoundRobin,
    /// By chance, as often as it weighs.
    Random,
}

/// A standby, with all that counts when one is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<N> {
    /// Which one.
    pub node: N,
    /// Why it cannot serve the session at all.
    pub obstacle: Option<Lost>,
    /// Its share of the reads compared with others; 0: only if there is no other.
    pub weight: u32,
    /// It is in another zone than this Trunkline.
    pub elsewhere: bool,
    /// How many work or wait there.
    pub busy: usize,
}

/// Numbers by chance, or one after the other, that a choice is made by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dice {
    /// By chance.
    pub first: u64,
    /// By chance.
    pub second: u64,
    /// How many choices were made before.
    pub turn: u64,
}

/// Why a standby was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// It is not fit to be read from.
    Unfit,
    /// It is kept for a failover.
    Warm,
    /// The place that the session must find is not known.
    Unplaced,
    /// It is not known to have replayed what the session must find.
    NotReached,
    /// No connection can be made to it.
    Unreachable,
    /// Another one is nearer.
    OtherZone,
    /// Its weight is 0, and there are others.
    Weightless,
    /// The session has read from another one, and would have to show that it sees no less here.
    Elsewhere,
    /// It was another one's turn, or that is less busy.
    Passed,
}

impl Lost {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unfit => "not fit",
            Self::Warm => "warm",
            Self::Unplaced => "own writes not placed",
            Self::NotReached => "floor not reached",
            Self::Unreachable => "no connection",
            Self::OtherZone => "other zone",
            Self::Weightless => "weight 0",
            Self::Elsewhere => "the session reads from another one",
            Self::Passed => "another one was chosen",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words())
    }
}

/// Standbys of one rank are chosen among; those of a lower one only if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Near,
    Far,
    Weightless,
}

impl<N> Candidate<N> {
    const fn rank(&self) -> Rank {
        match (self.weight, self.elsewhere) {
            (0, _) => Rank::Weightless,
            (_, false) => Rank::Near,
            (_, true) => Rank::Far,
        }
    }

    /// Whether none can be preferred to it as long as it has no obstacle: a session that has read there stays there, whatever the
    /// others are.
    pub const fn is_of_first_rank(&self) -> bool {
        matches!(self.rank(), Rank::Near)
    }

    /// Those without a weight weigh the same among each other.
    fn weight(&self) -> u64 {
        u64::from(self.weight).max(1)
    }
}

/// Chooses a standby for a session, which `stays` where it has read before if it can; or says why there is none.
pub fn choose<N: Copy + PartialEq>(
    candidates: &[Candidate<N>],
    stays: Option<N>,
    balance: Balance,
    dice: Dice,
) -> Result<N, Plain> {
    let able = || candidates.iter().filter(|it| it.obstacle.is_none());
    let Some(best) = able().map(Candidate::rank).min() else { return Err(none_of(candidates)) };
    let among = || able().filter(|it| it.rank() == best);
    if let Some(before) = among().find(|it| stays == Some(it.node)) {
        return Ok(before.node);
    }
    let chosen = match balance {
        Balance::RoundRobin => drawn(among(), dice.turn),
        Balance::Random => drawn(among(), dice.first),
        Balance::LeastBusy => drawn(among(), dice.first).map(|one| {
            let others = || among().filter(|it| it.node != one.node);
            drawn(others(), dice.second).map_or(one, |other| less_busy(one, other))
        }),
    };
    chosen.map(|chosen| chosen.node).ok_or(Plain::NoFitStandby)
}

/// Why each of them was not taken, if this one was.
pub fn lost<N: Copy + PartialEq>(
    candidates: &[Candidate<N>],
    stays: Option<N>,
    chosen: Option<N>,
) -> impl Iterator<Item = (N, Option<Lost>)> {
    let winner = candidates.iter().find(|it| chosen == Some(it.node));
    candidates.iter().map(move |it| {
        if chosen == Some(it.node) {
            return (it.node, None);
        }
        let why = it.obstacle.unwrap_or_else(|| match winner.map(Candidate::rank) {
            Some(rank) if it.rank() > rank && it.weight == 0 => Lost::Weightless,
            Some(rank) if it.rank() > rank => Lost::OtherZone,
            _ if stays.is_some() && stays == chosen => Lost::Elsewhere,
            _ => Lost::Passed,
        });
        (it.node, Some(why))
    })
}

/// Who was nearest to being taken says why nobody was.
fn none_of<N>(candidates: &[Candidate<N>]) -> Plain {
    let obstacles = || candidates.iter().filter_map(|it| it.obstacle);
    let first = |lost: Lost| obstacles().any(|it| it == lost);
    if first(Lost::NotReached) {
        Plain::FloorNotReached
    } else if first(Lost::Unplaced) {
        Plain::OwnWrites
    } else if first(Lost::Unreachable) {
        Plain::NoConnection
    } else {
        Plain::NoFitStandby
    }
}

/// The one on which a number falls if each takes as many of them as it weighs.
fn drawn<'a, N>(
    among: impl Iterator<Item = &'a Candidate<N>> + Clone,
    number: u64,
) -> Option<&'a Candidate<N>> {
    let total: u64 = among.clone().map(Candidate::weight).sum();
    let mut left = number.checked_rem(total)?;
    let mut among = among;
    among.find(|it| {
        let falls = left < it.weight();
        left = left.saturating_sub(it.weight());
        falls
    })
}

/// The first if both are as busy for what they weigh.
fn less_busy<'a, N>(one: &'a Candidate<N>, other: &'a Candidate<N>) -> &'a Candidate<N> {
    let load = |of: &Candidate<N>, against: &Candidate<N>| {
        u64::try_from(of.busy).unwrap_or(u64::MAX).saturating_mul(against.weight())
    };
    if load(other, one) < load(one, other) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standby(node: u8) -> Candidate<u8> {
        Candidate { node, obstacle: None, weight: 1, elsewhere: false, busy: 0 }
    }

    fn chosen(candidates: &[Candidate<u8>], stays: Option<u8>) -> Result<u8, Plain> {
        choose(candidates, stays, Balance::LeastBusy, Dice::default())
    }

    #[test]
    fn what_cannot_serve_is_never_chosen_and_says_why() {
        let able = standby(1);
        for (obstacle, alone) in [
            (Lost::Unfit, Plain::NoFitStandby),
            (Lost::Warm, Plain::NoFitStandby),
            (Lost::Unreachable, Plain::NoConnection),
            (Lost::Unplaced, Plain::OwnWrites),
            (Lost::NotReached, Plain::FloorNotReached),
        ] {
            let other = Candidate { obstacle: Some(obstacle), ..standby(2) };
            assert_eq!(chosen(&[other], Some(2)), Err(alone));
            assert_eq!(chosen(&[other, able], Some(2)), Ok(1), "{obstacle}");
            let told: Vec<_> = lost(&[other, able], None, Some(1)).collect();
            assert_eq!(told, [(2, Some(obstacle)), (1, None)]);
        }
        assert_eq!(chosen(&[], None), Err(Plain::NoFitStandby));
    }

    #[test]
    fn the_zone_comes_first_and_what_weighs_nothing_last() {
        let far = Candidate { elsewhere: true, ..standby(2) };
        let light = Candidate { weight: 0, ..standby(3) };
        let away = Candidate { obstacle: Some(Lost::Unfit), ..standby(1) };
        assert_eq!(chosen(&[light, far, standby(1)], None), Ok(1));
        assert_eq!(chosen(&[light, far, away], None), Ok(2));
        assert_eq!(chosen(&[light, away], None), Ok(3));
        // Also for a session that has read elsewhere.
        assert_eq!(chosen(&[far, standby(1)], Some(2)), Ok(1));
        let told: Vec<_> = lost(&[light, far, standby(1)], None, Some(1)).collect();
        assert_eq!(told, [(3, Some(Lost::Weightless)), (2, Some(Lost::OtherZone)), (1, None)]);
    }

    #[test]
    fn a_session_stays_where_it_has_read() {
        let busy = Candidate { busy: 9, ..standby(2) };
        assert_eq!(chosen(&[standby(1), busy], Some(2)), Ok(2));
        let told: Vec<_> = lost(&[standby(1), busy], Some(2), Some(2)).collect();
        assert_eq!(told, [(1, Some(Lost::Elsewhere)), (2, None)]);
        assert_eq!(chosen(&[standby(1), busy], None), Ok(1));
        // One of the first rank need not be compared with others for that.
        let far = Candidate { elsewhere: true, ..standby(2) };
        let light = Candidate { weight: 0, ..standby(2) };
        for (read, is_first) in [(busy, true), (far, false), (light, false)] {
            assert_eq!(read.is_of_first_rank(), is_first);
            assert_eq!(chosen(&[standby(1), read], Some(2)) == Ok(2), is_first);
        }
    }

    #[test]
    fn turns_go_round_by_weight() {
        let candidates = [standby(1), Candidate { weight: 2, ..standby(2) }];
        let of =
            |turn| choose(&candidates, None, Balance::RoundRobin, Dice { turn, ..Dice::default() });
        let turns: Vec<u8> = (0..6).filter_map(|turn| of(turn).ok()).collect();
        assert_eq!(turns, [1, 2, 2, 1, 2, 2]);
    }
}
