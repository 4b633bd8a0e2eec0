//! Scripts with the answers of PostgreSQL, each over a connection of its own. They are written while they are played.

use futures_util::{StreamExt, TryStreamExt, stream};
use trunkline_testkit::Result;

use crate::draft::Draft;
use crate::player::{Place, Player};
use crate::script::Step;
use crate::seed::Dice;
use crate::stage::{CLIENTS, Stage};
use crate::transcript::Answer;

/// Direct connections at once.
const DIRECT_MAX: usize = 8;

/// Dice are for writing a script.
const WRITING: u64 = 1;
/// Dice are for the startup parameters of a batch.
const STARTING: u64 = 2;

/// What a script with startup parameters of its own begins with.
type Startup = &'static [(&'static str, &'static str)];

const PLAIN: Startup = &[];
const NAMED: Startup = &[("application_name", "named at the start"), ("client_encoding", "UTF8")];
const WITH_OPTIONS: Startup =
    &[("options", "-c work_mem=7MB -c app.tenant=started -c TimeZone=Asia/Tokyo")];

/// A step and PostgreSQL's answer.
#[derive(Debug)]
pub struct Played {
    /// What was said.
    pub step: Step,
    /// What was answered.
    pub answer: Answer,
    /// How many notifications had come by then.
    pub notified: usize,
}

/// A script with its answers.
#[derive(Debug)]
pub struct Recording {
    /// Its number in the run.
    pub number: usize,
    /// Its startup parameters.
    pub startup: Startup,
    /// What the client is told at its login.
    pub parameters: String,
    /// Its steps.
    pub played: Vec<Played>,
    /// All notifications.
    pub notified: Vec<String>,
}

/// The scripts that are played at once.
#[derive(Debug)]
pub struct Batch {
    /// Its number in the run.
    pub number: usize,
    /// Its scripts.
    pub recordings: Vec<Recording>,
}

impl Batch {
    /// Plays those scripts of a batch that are below `end` in a copy of the template.
    pub async fn record(stage: &Stage, seed: u64, number: usize, end: usize) -> Result<Self> {
        let place = stage.copy(None).await?;
        let first = number * CLIENTS;
        let startups = startups(&mut Dice::new(seed, STARTING, number));
        let all = (first..end.min(first + CLIENTS)).zip(startups);
        let record = |(script, startup)| record(&place, seed, script, startup);
        let recordings = stream::iter(all).map(record).buffered(DIRECT_MAX).try_collect().await?;
        stage.remove(place).await?;
        Ok(Self { number, recordings })
    }
}

/// The startup parameters of a batch: mostly none, sometimes the same for all, sometimes different ones. Those that
/// are not replayed cost servers of their own, so different ones cost connections.
fn startups(dice: &mut Dice) -> Vec<Startup> {
    let kinds = [PLAIN, NAMED, WITH_OPTIONS];
    let whole = dice.below(8);
    let choose = |_| match whole {
        0..=3 => PLAIN,
        4 => WITH_OPTIONS,
        5 => kinds.get(dice.below(kinds.len())).copied().unwrap_or(PLAIN),
        _ => kinds.get(dice.below(2)).copied().unwrap_or(PLAIN),
    };
    (0..CLIENTS).map(choose).collect()
}

async fn record(place: &Place, seed: u64, number: usize, startup: Startup) -> Result<Recording> {
    let mut player = Player::enter(place, startup).await?;
    let mut draft = Draft::new(Dice::new(seed, WRITING, number), number % CLIENTS);
    let mut steps = Vec::new();
    while let Some(step) = draft.next() {
        let answer = player.play(&step).await.map_err(|error| error.context(step.to_string()))?;
        draft.answered(&step, &answer);
        steps.push(Played { step, answer, notified: player.notified().len() });
    }
    let notified = player.notified().to_vec();
    Ok(Recording { number, startup, parameters: player.parameters, played: steps, notified })
}
