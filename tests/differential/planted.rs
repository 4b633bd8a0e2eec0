//! Bugs that are planted in the program, one after the other: each must be found, and soon.

use std::collections::{BTreeMap, btree_map::Entry};

use trunkline_session::Bug;
use trunkline_testkit::Result;

use crate::recording::Batch;
use crate::stage::{CLIENTS, Stage};
use crate::{play, tell};

/// Scripts that must be enough to find any of them.
const SCRIPTS_MAX: usize = 2_000;

/// Names the bug in the environment of the program, which heeds it in test builds only.
const VARIABLE: &str = "TRUNKLINE_PLANTED";

/// Batches that were played directly, for all bugs to be compared with.
#[derive(Debug, Default)]
struct Recorded(BTreeMap<usize, Batch>);

impl Recorded {
    async fn batch(&mut self, stage: &Stage, seed: u64, number: usize) -> Result<&Batch> {
        Ok(match self.0.entry(number) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let end = (number + 1) * CLIENTS;
                place.insert(Batch::record(stage, seed, number, end).await?)
            }
        })
    }
}

/// Plants each bug and counts the scripts until it is found.
pub async fn find_all(seed: u64) -> Result<()> {
    let stage = Stage::set().await?;
    let mut recorded = Recorded::default();
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match find(&stage, &mut recorded, seed, bug).await? {
            Some((scripts, step)) => {
                tell(&format!("{}: found within {scripts} scripts, by {step}", bug.name()));
            }
            None => missed.push(bug.name()),
        }
    }
    assert!(missed.is_empty(), "not found within {SCRIPTS_MAX} scripts of seed {seed}: {missed:?}");
    Ok(())
}

/// How many scripts were played until one was answered wrongly, and at which step.
async fn find(
    stage: &Stage,
    recorded: &mut Recorded,
    seed: u64,
    bug: Bug,
) -> Result<Option<(usize, String)>> {
    let trunkline = stage.trunkline(&[(VARIABLE, bug.name())]).await?;
    trunkline.expect_leaks();
    for number in 0..SCRIPTS_MAX / CLIENTS {
        let batch = recorded.batch(stage, seed, number).await?;
        let outcome = play(stage, &trunkline, batch, seed, true).await?;
        if let Some(difference) = outcome.differences.first() {
            return Ok(Some(((number + 1) * CLIENTS, difference.step.clone())));
        }
    }
    Ok(None)
}
