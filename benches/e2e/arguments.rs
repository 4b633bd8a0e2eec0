//! What is asked for on the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use trunkline_testkit::bench::pgbench::{Protocol, Work};

/// Clients while system calls are counted.
pub(crate) const CALLS_CLIENTS: usize = 16;

const HELP: &str = "\
Measures Trunkline beside PgBouncer before one PostgreSQL.

  --rounds N         rounds of each load (9)
  --seconds N        measured seconds of a round, after one of warming up (3)
  --clients A,B,C    numbers of clients (16,64,500)
  --modes M,N        one-simple, one-extended, one-prepared, select-simple, select-extended,
                     select-prepared (all)
  --pgbouncer PATH   the PgBouncer to compare with (the one that is installed)
  --alone            without PgBouncer
  --routing          one loop with routing beside one without it, before a primary and two standbys
  --idle N           idle clients for the memory of each (5000); 0: not measured
  --no-calls         does not count system calls
  --short            3 rounds of 2 s, 16 and 64 clients, 1,000 idle clients
  --json FILE        writes all rounds to a file
";

/// The loads that there are, by name.
const MODES: [(&str, Work, Protocol); 6] = [
    ("one-simple", Work::One, Protocol::Simple),
    ("one-extended", Work::One, Protocol::Extended),
    ("one-prepared", Work::One, Protocol::Prepared),
    ("select-simple", Work::Select, Protocol::Simple),
    ("select-extended", Work::Select, Protocol::Extended),
    ("select-prepared", Work::Select, Protocol::Prepared),
];

/// The most rounds, clients and seconds: beyond, a run takes days.
const MOST: usize = 100_000;

/// What is to be measured.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    pub(crate) clients: Vec<usize>,
    pub(crate) modes: Vec<(Work, Protocol)>,
    pub(crate) pgbouncer: Option<PathBuf>,
    pub(crate) alone: bool,
    pub(crate) routing: bool,
    pub(crate) idle: usize,
    pub(crate) calls: bool,
    pub(crate) json: Option<PathBuf>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            rounds: 9,
            seconds: 3,
            clients: vec![16, 64, 500],
            modes: MODES.iter().map(|(_, work, protocol)| (*work, *protocol)).collect(),
            pgbouncer: None,
            alone: false,
            routing: false,
            idle: 5000,
            calls: true,
            json: None,
        }
    }
}

impl Arguments {
    /// Reads the command line; none if help was asked for and given.
    #[expect(clippy::print_stdout, reason = "help goes to the standard output")]
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().with_context(|| format!("{word} needs a value; see --help"));
            match word.as_str() {
                "--rounds" => arguments.rounds = number(&value()?)?,
                "--seconds" => arguments.seconds = u32::try_from(number(&value()?)?)?,
                "--clients" => {
                    arguments.clients = value()?.split(',').map(number).collect::<Result<_>>()?;
                }
                "--modes" => {
                    arguments.modes = value()?.split(',').map(mode).collect::<Result<_>>()?;
                }
                "--pgbouncer" => arguments.pgbouncer = Some(value()?.into()),
                "--alone" => arguments.alone = true,
                "--routing" => arguments.routing = true,
                "--idle" => arguments.idle = value()?.parse().context("--idle")?,
                "--no-calls" => arguments.calls = false,
                "--short" => arguments.shorten(),
                "--json" => arguments.json = Some(value()?.into()),
                // Given by `cargo bench` to every benchmark.
                "--bench" => {}
                "--help" | "-h" => {
                    print!("{HELP}");
                    return Ok(None);
                }
                _ => bail!("{word} is no option; see --help"),
            }
        }
        ensure!(arguments.idle <= MOST, "--idle: at most {MOST}");
        Ok(Some(arguments))
    }

    fn shorten(&mut self) {
        self.rounds = 3;
        self.seconds = 2;
        self.clients = vec![16, 64];
        self.idle = 1000;
    }
}

fn number(text: &str) -> Result<usize> {
    let number = text.parse().with_context(|| format!("{text} is no number"))?;
    ensure!((1..=MOST).contains(&number), "{text}: from 1 to {MOST}");
    Ok(number)
}

fn mode(name: &str) -> Result<(Work, Protocol)> {
    let found = MODES.iter().find(|(known, ..)| *known == name);
    let (_, work, protocol) = found.with_context(|| format!("{name} is no mode; see --help"))?;
    Ok((*work, *protocol))
}
