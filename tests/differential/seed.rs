//! Where everything random comes from, and what may be asked of a run by variables of the environment.

use trunkline_testkit::Result;

use crate::stage::CLIENTS;

/// The seed of a run that names none.
const SEED: u64 = 15;

/// Scripts of a run that names no number.
const SCRIPTS: usize = 1_024;

/// Another seed than [`SEED`].
pub const SEED_VARIABLE: &str = "TRUNKLINE_DIFFERENTIAL_SEED";

/// Another number of scripts than [`SCRIPTS`].
pub const SCRIPTS_VARIABLE: &str = "TRUNKLINE_DIFFERENTIAL_SCRIPTS";

/// Plays only the batch with this number.
pub const BATCH_VARIABLE: &str = "TRUNKLINE_DIFFERENTIAL_BATCH";

/// Plays only the script with this number, without the others of its batch, and prints it.
pub const SCRIPT_VARIABLE: &str = "TRUNKLINE_DIFFERENTIAL_SCRIPT";

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of their own for each thing that has a number.
    pub fn new(seed: u64, purpose: u64, number: usize) -> Self {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let mut dice = Self(seed ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.0 = dice.next().wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03));
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from((self.next() >> 11) % limit).unwrap_or_default()
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        let place = self.below(all.len());
        all.get(place).expect("something to choose from")
    }
}

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// All that is random follows from this.
    pub seed: u64,
    /// How many scripts.
    pub scripts: usize,
    /// Only this batch.
    pub batch: Option<usize>,
    /// Only this script.
    pub script: Option<usize>,
}

impl Wish {
    /// What the environment asks for.
    pub fn of_environment() -> Result<Self> {
        let seed = number(SEED_VARIABLE)?.map(u64::try_from).transpose()?;
        Ok(Self {
            seed: seed.unwrap_or(SEED),
            scripts: number(SCRIPTS_VARIABLE)?.unwrap_or(SCRIPTS),
            batch: number(BATCH_VARIABLE)?,
            script: number(SCRIPT_VARIABLE)?,
        })
    }

    /// The numbers of the batches.
    pub fn batches(&self) -> impl Iterator<Item = usize> + use<> {
        let only = self.batch.or_else(|| self.script.map(|script| script / CLIENTS));
        let all = 0..self.scripts.div_ceil(CLIENTS);
        only.map_or(all, |only| only..only + 1)
    }

    /// Whether so much is played that each rule must come about.
    pub fn is_whole(&self) -> bool {
        self.batch.is_none() && self.script.is_none() && self.scripts >= SCRIPTS
    }
}

fn number(variable: &str) -> Result<Option<usize>> {
    let text = std::env::var(variable).ok();
    Ok(text.map(|text| text.parse()).transpose()?)
}
