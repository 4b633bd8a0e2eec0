//! The results as lines for people and as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trunkline_testkit::bench::pgbench::{Load, Measured};
use trunkline_testkit::bench::summary::{Ratio, Spread};

use crate::arguments::Arguments;
use crate::field::ROUTING_OFF;

/// System calls rarer than this per transaction are not shown.
const RARE: f64 = 0.005;

/// All rounds of one load.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) load: Load,
    /// By contestant; the one that others are compared with, if it takes part, is the last.
    pub(crate) rounds: Vec<(String, Vec<Measured>)>,
}

/// What has been measured so far.
#[derive(Debug)]
pub(crate) struct Sheet {
    found: Vec<Value>,
    about: Value,
}

impl Sheet {
    /// Begins with what is measured, and how.
    pub(crate) fn new(versions: &[String], arguments: &Arguments) -> Self {
        let kernel = read("/proc/sys/kernel/osrelease");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (rounds, seconds) = (arguments.rounds, arguments.seconds);
        say(&format!("{}; kernel {kernel}, {cores} cores", versions.join("; ")));
        say(&format!(
            "{rounds} interleaved rounds of {seconds} s; medians (smallest to largest round); CPU is \
             user and system time of the pooler"
        ));
        say(&format!(
            "{:<44} {:>22} {:>22} {:>7} {:>7}  {}",
            "",
            "transactions/s",
            "CPU us/transaction",
            "p50 ms",
            "p99 ms",
            if arguments.routing { "CPU ratio to routing off" } else { "CPU ratio to PgBouncer" }
        ));
        let about = json!({
            "versions": versions, "kernel": kernel, "cores": cores,
            "rounds": rounds, "seconds": seconds,
        });
        Self { found: Vec::new(), about }
    }

    /// One load.
    pub(crate) fn add(&mut self, line: &Line) {
        let load = line.load;
        let of = |rounds: &[Measured], value: fn(&Measured) -> f64| -> Vec<f64> {
            rounds.iter().map(value).collect()
        };
        let theirs = line
            .rounds
            .last()
            .filter(|(name, _)| name.starts_with("PgBouncer") || name == ROUTING_OFF)
            .map(|(_, rounds)| of(rounds, |it| it.cpu_us));
        for (name, rounds) in &line.rounds {
            let cpu = of(rounds, |it| it.cpu_us);
            let ratio = theirs.as_ref().and_then(|theirs| Ratio::of(&cpu, theirs));
            let (rate, cpu_spread) = (Spread::of(&of(rounds, |it| it.rate)), Spread::of(&cpu));
            let p50 = Spread::of(&of(rounds, |it| it.p50_ms)).median;
            let p99 = Spread::of(&of(rounds, |it| it.p99_ms)).median;
            let title = format!("{} {}, {}: {name}", load.work, load.protocol, load.clients);
            let ratio_text = ratio.map_or_else(String::new, |ratio| {
                format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.low, ratio.high)
            });
            say(&format!(
                "{title:<44} {:>22} {:>22} {p50:>7.3} {p99:>7.3}  {ratio_text}",
                spread_text(rate, 0),
                spread_text(cpu_spread, 2),
            ));
            self.found.push(json!({
                "work": load.work.to_string(), "protocol": load.protocol.to_string(),
                "clients": load.clients, "pooler": name,
                "rate": of(rounds, |it| it.rate), "cpu_us": cpu,
                "p50_ms": of(rounds, |it| it.p50_ms), "p99_ms": of(rounds, |it| it.p99_ms),
                "cpu_ratio": ratio.map(|ratio| [ratio.median, ratio.low, ratio.high]),
            }));
        }
    }

    /// System calls per transaction.
    pub(crate) fn calls(&mut self, load: Load, name: &str, calls: &Result<BTreeMap<String, f64>>) {
        let title = format!("calls of {} {}, {}: {name}", load.work, load.protocol, load.clients);
        match calls {
            Ok(calls) => {
                let sum: f64 = calls.values().sum();
                let parts = calls
                    .iter()
                    .filter(|(_, count)| **count >= RARE)
                    .map(|(name, count)| format!("{name} {count:.2}"))
                    .collect::<Vec<_>>();
                say(&format!("{title:<55} {sum:.2}: {}", parts.join(", ")));
                self.found.push(json!({
                    "work": load.work.to_string(), "protocol": load.protocol.to_string(),
                    "clients": load.clients, "pooler": name, "calls": calls,
                }));
            }
            Err(error) => say(&format!("{title:<55} not counted: {error:#}")),
        }
    }

    /// Memory of an idle client.
    pub(crate) fn memory(&mut self, name: &str, tls: bool, bytes: &Result<Option<f64>>) {
        let title = format!("idle client{}: {name}", if tls { " with TLS" } else { "" });
        match bytes {
            Ok(Some(bytes)) => {
                say(&format!("{title:<55} {bytes:.0} bytes"));
                self.found.push(json!({ "pooler": name, "tls": tls, "idle_bytes": bytes }));
            }
            Ok(None) => {}
            Err(error) => say(&format!("{title:<55} not measured: {error:#}")),
        }
    }

    /// Writes everything to a file, if one is wanted.
    pub(crate) fn save(self, path: Option<&Path>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let text =
            serde_json::to_string_pretty(&json!({ "about": self.about, "found": self.found }))?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn spread_text(spread: Spread, digits: usize) -> String {
    let Spread { median, least, most } = spread;
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}
