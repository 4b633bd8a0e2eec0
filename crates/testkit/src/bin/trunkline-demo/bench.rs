//! `psql` and `pgbench` through Trunkline, and what they say.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::scene::Scene;

/// How much of what a failed program wrote is shown, in lines.
const SHOWN_LINES_MAX: usize = 30;

/// What a run of `pgbench` came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// Transactions that were committed.
    pub(crate) transactions: u64,
    /// Transactions per second.
    pub(crate) rate: f64,
}

/// Runs `psql` with these commands and gives what it prints, unaligned and without headers.
pub(crate) async fn psql(scene: &Scene, database: &str, commands: &[&str]) -> Result<String> {
    let mut words = vec!["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"];
    for command in commands {
        words.extend(["-c", command]);
    }
    run(scene, "psql", &words, database).await
}

/// Runs `pgbench` with these arguments. Any aborted client or failed transaction is an error.
pub(crate) async fn pgbench(scene: &Scene, words: &[&str]) -> Result<Outcome> {
    let printed = run(scene, "pgbench", words, super::scene::USER).await?;
    let outcome = parse(&printed).with_context(|| format!("pgbench prints:\n{printed}"))?;
    let failed = number(&printed, "number of failed transactions: ").unwrap_or(0.0);
    ensure!(failed == 0.0, "pgbench {}: {failed} transactions failed", words.join(" "));
    Ok(outcome)
}

/// Runs `pgbench -i`.
pub(crate) async fn initialize(scene: &Scene) -> Result<()> {
    run(scene, "pgbench", &["-i", "-q"], super::scene::USER).await.map(drop)
}

/// Runs a program of the installation against a database through Trunkline.
async fn run(scene: &Scene, program: &str, words: &[&str], database: &str) -> Result<String> {
    let path = scene.cluster.binaries().program(program)?;
    let mut command = Command::new(path);
    command.args(words).arg(scene.url(database)).stdin(Stdio::null()).kill_on_drop(true);
    // Nothing of the person's own settings may lead elsewhere.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    let output = command.output().await.with_context(|| format!("cannot run {program}"))?;
    let (printed, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(
        output.status.success(),
        "{program} {}: {}\n{}\n{}",
        words.join(" "),
        output.status,
        tail(&complaints),
        scene.trunkline.log_tail()
    );
    Ok(printed.into_owned())
}

/// The last lines of a text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(SHOWN_LINES_MAX);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// What `pgbench` reports at its end.
fn parse(printed: &str) -> Option<Outcome> {
    let line = "number of transactions actually processed: ";
    let transactions = printed.lines().find_map(|it| it.strip_prefix(line))?;
    // With -t it is `10/10`.
    let transactions = transactions.split('/').next()?.trim().parse().ok()?;
    Some(Outcome { transactions, rate: number(printed, "tps = ")? })
}

/// The number behind `name` at the start of a line.
fn number(printed: &str, name: &str) -> Option<f64> {
    let rest = printed.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: <builtin: select only>
number of transactions actually processed: 51234
number of failed transactions: 2 (0.004%)
latency average = 0.781 ms
tps = 12801.5 (without initial connection time)
";

    #[test]
    fn transactions_rate_and_failures_are_read_from_the_report() {
        assert_eq!(parse(PRINTED), Some(Outcome { transactions: 51234, rate: 12_801.5 }));
        assert_eq!(number(PRINTED, "number of failed transactions: "), Some(2.0));
        assert_eq!(parse("pgbench: error: connection failed"), None);
    }
}
