//! A directory of conversations, each played in every way.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;
use tokio_postgres::Client;

use super::compare::{Difference, Taken, Tally, compare};
use super::masks::Masks;
use super::play::{Target, play};
use super::script::{Conversation, Names};
use super::transcript::Transcript;
use crate::cluster::{Node, query_text};

/// The ending of the file names of conversations.
const ENDING: &str = "talk";

/// The database that every conversation gets a copy of.
pub const TEMPLATE: &str = "talk_template";

/// Failures whose transcripts are printed in full; the others are told in a few lines.
const FULL_MAX: usize = 5;

/// One way of being answered: by the server itself, or through something before it.
#[derive(Debug, Clone)]
pub struct Way {
    /// Its name in reports, one word.
    pub name: String,
    /// Where and as whom.
    pub target: Target,
}

/// Conversations and masks.
#[derive(Debug)]
pub struct Suite {
    sources: Vec<Source>,
    masks: Masks,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Conversations times ways, without the oracle's.
    pub compared: usize,
    /// What the masks hid.
    pub tally: Tally,
    /// The conversations that did not get the same answers, or could not be played.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A conversation that failed by one way.
#[derive(Debug)]
pub struct Failure {
    /// The conversation.
    pub conversation: String,
    /// The way.
    pub way: String,
    /// Where the transcripts part; `None` if one could not be taken.
    pub difference: Option<Difference>,
    /// What the oracle said.
    pub expected: Transcript,
    /// What was said by this way.
    pub found: Transcript,
}

impl Suite {
    /// Reads the conversations below `directory` and the masks in its `masks.txt`.
    ///
    /// # Errors
    /// A file that cannot be read, a mistake in a conversation or in the masks, or a mask that
    /// names a conversation which is not there.
    pub fn load(directory: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(directory, &mut files)?;
        files.sort();
        let mut sources = Vec::new();
        for file in files {
            let name = file.strip_prefix(directory)?.with_extension("");
            let name = name.to_str().context("a name is not UTF-8")?.to_owned();
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            ensure!(text.starts_with("# "), "{name} does not say what it shows");
            Conversation::read(&name, &text, Names { database: "d", user: "u" })?;
            sources.push(Source { name, text });
        }
        let masks = fs::read_to_string(directory.join("masks.txt")).context("masks.txt")?;
        let masks = Masks::read(&masks)?;
        let names: BTreeSet<_> = sources.iter().map(|source| source.name.clone()).collect();
        let dangling: Vec<_> = masks.dangling(&names).collect();
        ensure!(
            dangling.is_empty(),
            "masks are for conversations that are not there: {dangling:?}"
        );
        Ok(Self { sources, masks })
    }

    /// How many conversations there are.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Keeps only the conversations whose name holds `part`.
    #[must_use]
    pub fn only(mut self, part: &str) -> Self {
        self.sources.retain(|source| source.name.contains(part));
        self
    }

    /// Plays every conversation against the server itself and by each of `ways`, each time in a
    /// clone of [`TEMPLATE`] that belongs to the user of that way.
    ///
    /// # Errors
    /// What keeps the run from being made at all; what the conversations show is in the report.
    pub async fn run(&self, node: &Node, oracle: Way, ways: Vec<Way>) -> Result<Report> {
        let start = Instant::now();
        let next = AtomicUsize::new(0);
        let all = [vec![oracle], ways].concat();
        let work = || self.work(node, &all, &next);
        let (first, second, third, fourth) = tokio::try_join!(work(), work(), work(), work())?;
        let mut report = Report::default();
        for part in [first, second, third, fourth] {
            report.compared += part.compared;
            report.tally.add(part.tally);
            report.failures.extend(part.failures);
        }
        report.failures.sort_by(|left, right| {
            (&left.way, &left.conversation).cmp(&(&right.way, &right.conversation))
        });
        report.elapsed = start.elapsed();
        Ok(report)
    }

    /// Performs one conversation after the other, as long as there are any. Several of these side
    /// by side keep both the servers and us busy.
    async fn work(&self, node: &Node, ways: &[Way], next: &AtomicUsize) -> Result<Report> {
        let copies = Copies::of(node).await?;
        let mut report = Report::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = self.sources.get(number) else { return Ok(report) };
            let outcome = self.perform(number, source, ways, &copies, &mut report).await;
            outcome.with_context(|| source.name.clone())?;
        }
    }

    async fn perform(
        &self,
        number: usize,
        source: &Source,
        ways: &[Way],
        copies: &Copies,
        report: &mut Report,
    ) -> Result<()> {
        let mut oracle: Option<(Transcript, String)> = None;
        let names = Names { database: TEMPLATE, user: TEMPLATE };
        let with_noise = Conversation::read(&source.name, &source.text, names)?.bears_noise();
        for (place, way) in ways.iter().enumerate() {
            if way.target.noisy && !with_noise {
                continue;
            }
            // All names are of one length, and so are the messages that hold them.
            let database = format!("talk_{number:03}_{place}");
            let transcript = copies.take(source, way, &database).await?;
            let Some((expected, expected_database)) = &oracle else {
                oracle = Some((transcript, database));
                continue;
            };
            report.compared += 1;
            let left = Taken { transcript: expected, database: expected_database };
            let right = Taken { transcript: &transcript, database: &database };
            let difference = compare(&source.name, left, right, &self.masks, &mut report.tally);
            if difference.is_some() || expected.failure.is_some() || transcript.failure.is_some() {
                report.failures.push(Failure {
                    conversation: source.name.clone(),
                    way: way.name.clone(),
                    difference,
                    expected: expected.clone(),
                    found: transcript,
                });
            }
        }
        Ok(())
    }
}

/// Where copies of the template are made.
struct Copies {
    /// A connection to the server itself, as superuser.
    witness: Client,
    /// How a database is copied.
    strategy: &'static str,
}

impl Copies {
    async fn of(node: &Node) -> Result<Self> {
        let witness = node.connect("postgres").await?;
        let version: u32 = query_text(&witness, "SHOW server_version_num").await?.parse()?;
        // Less than half the work of a copy that goes through the WAL, as it does since version 15.
        let strategy = if version >= 150_000 { "STRATEGY file_copy" } else { "" };
        Ok(Self { witness, strategy })
    }

    /// Plays a conversation once, in a copy of its own.
    async fn take(&self, source: &Source, way: &Way, database: &str) -> Result<Transcript> {
        let Self { witness, strategy } = self;
        let user = &way.target.user;
        let create =
            format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE} OWNER {user} {strategy}");
        witness.batch_execute(&create).await.context(create)?;
        let names = Names { database, user };
        let conversation = Conversation::read(&source.name, &source.text, names)?;
        let transcript = play(&conversation, &way.target, database, witness).await;
        let drop = format!("DROP DATABASE {database} WITH (FORCE)");
        witness.batch_execute(&drop).await.context(drop)?;
        Ok(transcript)
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    Ok(())
}

impl Report {
    /// What the masks hid, how much was compared, and how long that took.
    pub fn summary(&self) -> String {
        let Self { compared, tally, failures, elapsed } = self;
        let (seconds, failures) = (elapsed.as_secs_f64(), failures.len());
        format!("{tally}{compared} transcripts compared in {seconds:.1} s, {failures} failures")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, failure) in self.failures.iter().enumerate() {
            failure.write(f, number < FULL_MAX)?;
        }
        writeln!(f, "{}", self.summary())
    }
}

impl Failure {
    fn write(&self, f: &mut fmt::Formatter<'_>, in_full: bool) -> fmt::Result {
        writeln!(f, "{} ({})", self.conversation, self.way)?;
        if let Some(Difference { expected, found, missing_masks }) = &self.difference {
            writeln!(f, "  PostgreSQL: {expected}\n  {:<11} {found}", format!("{}:", self.way))?;
            for mask in missing_masks {
                writeln!(f, "  The mask {mask} would hide it, but is not for this conversation.")?;
            }
        }
        let failed = self.expected.failure.is_some() || self.found.failure.is_some();
        if in_full || failed {
            write!(f, "  PostgreSQL\n{}  {}\n{}", self.expected, self.way, self.found)?;
        }
        Ok(())
    }
}
