//! Of any standbys the right ones are chosen, and as often as they weigh.

use proptest::prelude::*;
use trunkline_route::{Balance, Candidate, Dice, Lost, choose, lost};

fn candidates() -> impl Strategy<Value = Vec<Candidate<usize>>> {
    let obstacle = prop::sample::select(vec![
        Lost::Unfit,
        Lost::Warm,
        Lost::Unplaced,
        Lost::NotReached,
        Lost::Unreachable,
    ]);
    let one = (prop::option::weighted(0.4, obstacle), 0_u32..4, any::<bool>(), 0_usize..20);
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let made = all.into_iter().enumerate();
        made.map(|(node, (obstacle, weight, elsewhere, busy))| Candidate {
            node,
            obstacle,
            weight,
            elsewhere,
            busy,
        })
        .collect()
    })
}

fn balance() -> impl Strategy<Value = Balance> {
    prop_oneof![Just(Balance::LeastBusy), Just(Balance::RoundRobin), Just(Balance::Random)]
}

fn dice() -> impl Strategy<Value = Dice> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    numbers.prop_map(|(first, second, turn)| Dice { first, second, turn })
}

/// What decides between groups: the lowest comes first.
fn rank(it: &Candidate<usize>) -> (bool, bool) {
    (it.weight == 0, it.weight != 0 && it.elsewhere)
}

proptest! {
    #[test]
    fn one_is_chosen_if_any_can_serve_and_none_is_better(
        all in candidates(),
        stays in prop::option::of(0_usize..6),
        balance in balance(),
        dice in dice(),
    ) {
        let able: Vec<_> = all.iter().filter(|it| it.obstacle.is_none()).collect();
        let chosen = choose(&all, stays, balance, dice);
        prop_assert_eq!(chosen.is_ok(), !able.is_empty());
        if let Ok(chosen) = chosen {
            let it = able.iter().find(|it| it.node == chosen);
            let best = able.iter().map(|it| rank(it)).min();
            prop_assert_eq!(it.map(|it| rank(it)), best);
            if let Some(before) = able.iter().find(|it| stays == Some(it.node) && Some(rank(it)) == best) {
                prop_assert_eq!(chosen, before.node);
            }
        }
        let told: Vec<_> = lost(&all, stays, chosen.ok()).collect();
        prop_assert_eq!(told.len(), all.len());
        for (node, why) in told {
            prop_assert_eq!(why.is_none(), chosen == Ok(node));
            let own = all.iter().find(|it| it.node == node).and_then(|it| it.obstacle);
            prop_assert!(own.is_none() || why == own);
        }
    }

    #[test]
    fn of_two_the_busier_is_not_chosen(busy in 0_usize..50, more in 1_usize..50, dice in dice()) {
        let standby = |node, busy| Candidate { busy, ..able(node, 1) };
        let all = [standby(0, busy + more), standby(1, busy)];
        prop_assert_eq!(choose(&all, None, Balance::LeastBusy, dice), Ok(1));
    }
}

fn able(node: usize, weight: u32) -> Candidate<usize> {
    Candidate { node, obstacle: None, weight, elsewhere: false, busy: 0 }
}

/// Numbers as by chance (splitmix64), the same in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

const ROUNDS: u64 = 30_000;

/// Chi-square for two degrees of freedom is above this once in 100,000 times.
const LIMIT: f64 = 23.0;

/// How often each of three standbys of these weights is chosen while nobody is busy.
fn counts(weights: [u32; 3], balance: Balance, seed: u64) -> [u32; 3] {
    let all: Vec<_> =
        weights.iter().enumerate().map(|(node, weight)| able(node, *weight)).collect();
    let (mut chance, mut counts) = (Chance(seed), [0_u32; 3]);
    for turn in 0..ROUNDS {
        let dice = Dice { first: chance.next(), second: chance.next(), turn };
        if let Some(count) =
            choose(&all, None, balance, dice).ok().and_then(|it| counts.get_mut(it))
        {
            *count += 1;
        }
    }
    counts
}

#[test]
fn each_is_chosen_as_often_as_it_weighs() {
    for weights in [[1, 1, 1], [1, 2, 3], [7, 2, 1], [100, 50, 50]] {
        let total = f64::from(weights.iter().sum::<u32>());
        let expected = weights.map(|weight| 30_000.0 * f64::from(weight) / total);
        for balance in [Balance::Random, Balance::LeastBusy] {
            for seed in 1..=5 {
                let counts = counts(weights, balance, seed);
                let off = counts.iter().zip(expected);
                let off: f64 =
                    off.map(|(count, due)| (f64::from(*count) - due).powi(2) / due).sum();
                assert!(off < LIMIT, "{weights:?} {balance:?} {seed}: {counts:?}, {off}");
            }
        }
        let turns = counts(weights, Balance::RoundRobin, 0);
        for (count, due) in turns.iter().zip(expected) {
            assert!((f64::from(*count) - due).abs() <= f64::from(weights.iter().sum::<u32>()));
        }
    }
}

#[test]
fn under_load_the_less_busy_of_two_keeps_all_as_busy_as_they_weigh() {
    let mut all = [able(0, 1), able(1, 2), able(2, 3)];
    let mut chance = Chance(7);
    let mut running: Vec<usize> = Vec::new();
    for turn in 0..ROUNDS {
        let dice = Dice { first: chance.next(), second: chance.next(), turn };
        let chosen = choose(&all, None, Balance::LeastBusy, dice).expect("all can serve");
        running.push(chosen);
        all[chosen].busy += 1;
        if running.len() > 60 {
            let ends = usize::try_from(chance.next() % 61).expect("it is small");
            let ended = running.swap_remove(ends);
            all[ended].busy -= 1;
        }
    }
    for it in &all {
        let due = 10 * usize::try_from(it.weight).expect("it is small");
        assert!(it.busy.abs_diff(due) <= 5, "{all:?}");
    }
}

#[test]
fn whoever_is_lost_has_words_for_it() {
    assert_eq!(Lost::Warm.to_string(), "warm");
}
