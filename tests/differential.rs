//! Sessions of many clients on few servers, written by chance, are answered as each of them would be alone on a
//! connection of its own.
//!
//! A run is told by its seed. `TRUNKLINE_DIFFERENTIAL_SCRIPTS=10000` plays more scripts, `TRUNKLINE_DIFFERENTIAL_SEED`
//! others, `TRUNKLINE_DIFFERENTIAL_BATCH` only those of one batch, `TRUNKLINE_DIFFERENTIAL_SCRIPT` one alone.

#![allow(unreachable_pub, reason = "the rooms of a test are private to it")]

#[path = "differential/comparison.rs"]
mod comparison;
#[path = "differential/coverage.rs"]
mod coverage;
#[path = "differential/draft.rs"]
mod draft;
#[path = "differential/planted.rs"]
mod planted;
#[path = "differential/player.rs"]
mod player;
#[path = "differential/recording.rs"]
mod recording;
#[path = "differential/rules/mod.rs"]
mod rules;
#[path = "differential/schedule.rs"]
mod schedule;
#[path = "differential/script.rs"]
mod script;
#[path = "differential/seed.rs"]
mod seed;
#[path = "differential/stage.rs"]
mod stage;
#[path = "differential/transcript.rs"]
mod transcript;

use std::io::Write as _;

use trunkline_testkit::{Result, Trunkline};

use crate::comparison::Difference;
use crate::coverage::Coverage;
use crate::recording::Batch;
use crate::schedule::{Crowd, Outcome};
use crate::seed::{BATCH_VARIABLE, SCRIPT_VARIABLE, SEED_VARIABLE, Wish};
use crate::stage::{CLIENTS, Stage};

/// Scripts that differ that are shown in full.
const SHOWN_MAX: usize = 5;

/// A run with so many scripts that differ goes on no longer.
const DIFFERENCES_MAX: usize = 20;

/// Plays a batch through Trunkline, in a new copy of the template.
async fn play(
    stage: &Stage,
    trunkline: &Trunkline,
    batch: &Batch,
    seed: u64,
    until_first: bool,
) -> Result<Outcome> {
    let place = stage.copy(Some(trunkline)).await?;
    let outcome = Crowd::enter(&place, batch, seed).await?.play(until_first).await?;
    stage.remove(place).await?;
    Ok(outcome)
}

/// Not `println!`, which the harness keeps to itself when a test passes.
fn tell(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("stderr takes a few lines");
}

fn judge(differences: &[Difference], seed: u64) {
    let mut text = String::new();
    for difference in differences.iter().take(SHOWN_MAX) {
        let (number, batch) = (difference.number, difference.number / CLIENTS);
        let seed = format!("{SEED_VARIABLE}={seed}");
        let again = format!("  again: {seed} {BATCH_VARIABLE}={batch}");
        let alone = format!("    alone: {seed} {SCRIPT_VARIABLE}={number}\n");
        text.extend([difference.to_string(), again, alone]);
    }
    let numbers: Vec<_> = differences.iter().map(|difference| difference.number).collect();
    assert!(differences.is_empty(), "answered otherwise, seed {seed}: {numbers:?}\n{text}");
}

/// Plays what is wanted, and tells of it.
async fn play_all(wish: Wish) -> Result<(Coverage, Vec<Difference>)> {
    let stage = Stage::set().await?;
    let trunkline = stage.trunkline(&[]).await?;
    let mut coverage = Coverage::default();
    let mut differences = Vec::new();
    for number in wish.batches() {
        let mut batch = Batch::record(&stage, wish.seed, number, wish.scripts).await?;
        if let Some(only) = wish.script {
            batch.recordings.retain(|recording| recording.number == only);
            batch.recordings.iter().for_each(|recording| tell(&comparison::whole(recording)));
        }
        let outcome = play(&stage, &trunkline, &batch, wish.seed, false).await?;
        coverage.add(&batch, outcome.moves);
        differences.extend(outcome.differences);
        if differences.len() >= DIFFERENCES_MAX {
            break;
        }
    }
    Ok((coverage, differences))
}

#[tokio::test]
async fn scripts_are_answered_as_on_connections_of_their_own() -> Result<()> {
    let wish = Wish::of_environment()?;
    tell(&format!("differential: seed {}, {} scripts", wish.seed, wish.scripts));
    let (coverage, differences) = play_all(wish).await?;
    tell(&coverage.to_string());
    judge(&differences, wish.seed);
    let complaints = coverage.complaints();
    assert!(complaints.is_empty() || !wish.is_whole(), "{complaints:#?}");
    Ok(())
}

#[tokio::test]
async fn planted_bugs_are_found() -> Result<()> {
    planted::find_all(Wish::of_environment()?.seed).await
}
