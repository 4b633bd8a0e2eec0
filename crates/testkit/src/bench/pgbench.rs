//! `pgbench` as the load, measured over a window after its connect phase.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::Instant;

use super::summary::{quantile, sorted};
use crate::process::Usage;

/// Seconds after the one in which the first transactions ended that are not measured: caches fill
/// and pools open.
const WARM_UP: u32 = 1;

/// Seconds in which all clients must have logged in. `pgbench` counts them as part of its duration,
/// so it is told a longer one and ended when the window has closed.
const LOGIN_MAX: u32 = 120;

/// The share of transactions whose latency is logged.
const LOGGED_SHARE: f64 = 0.1;

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// `SELECT 1`: no table, nearly all of it is protocol.
    One,
    /// `pgbench -S`: one row of `pgbench_accounts` by its key.
    Select,
}

/// How it is sent: `pgbench -M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One `Query`.
    Simple,
    /// Parse, Bind, Describe, Execute and Sync of the unnamed statement.
    Extended,
    /// Bind, Describe, Execute and Sync of a statement prepared once.
    Prepared,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "SELECT 1",
            Self::Select => "pgbench -S",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        })
    }
}

/// Whom to load, as whom, and with which program.
#[derive(Debug, Clone)]
pub struct Pgbench {
    /// The program.
    pub program: PathBuf,
    /// Where the pooler or server takes connections.
    pub address: SocketAddr,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The database, which has the tables of `pgbench -i`.
    pub database: String,
    /// Where scripts and logs may be written.
    pub directory: PathBuf,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What a transaction does.
    pub work: Work,
    /// How it is sent.
    pub protocol: Protocol,
    /// Connections.
    pub clients: usize,
}

/// What one run has shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Transactions per second over the window.
    pub rate: f64,
    /// Processor time of the watched process per transaction, user and system, in microseconds.
    pub cpu_us: f64,
    /// The median latency in milliseconds as `pgbench` sees it.
    pub p50_ms: f64,
    /// The latency in milliseconds that one of a hundred transactions exceeds.
    pub p99_ms: f64,
}

impl Pgbench {
    /// Fills the tables of `pgbench -S`, 100,000 rows for each step of `scale`.
    pub async fn initialise(&self, scale: u32) -> Result<()> {
        let mut command = self.command();
        command.args(["-i", "-q", "-s", &scale.to_string()]).stdout(Stdio::null());
        let output = command.stderr(Stdio::piped()).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs `load` for `seconds` after a second of warming up, and watches what process `pid` uses
    /// meanwhile.
    pub async fn run(&self, load: Load, seconds: u32, pid: u32) -> Result<Measured> {
        let log = self.directory.join("latency");
        remove_logs(&self.directory)?;
        let mut command = self.command();
        self.load(&mut command, load)?;
        command.args(["-P", "1", "-T", &(LOGIN_MAX + seconds).to_string()]);
        command.arg("-l").arg("--log-prefix").arg(&log);
        command.args(["--sampling-rate", &LOGGED_SHARE.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let mut progress = Progress::of(&mut child)?;
        progress.begun().await?;
        progress.mean(WARM_UP).await?;
        let window = Window::open(pid)?;
        let rate = progress.mean(seconds).await?;
        let (cpu, wall, from, until) = window.close()?;
        // What its own timer would say: it ends orderly, with its log written.
        crate::process::signal(child.id().context("pgbench has ended")?, Signal::ALARM)?;
        let mut rest = String::new();
        progress.lines.get_mut().read_to_string(&mut rest).await?;
        let status = child.wait().await?;
        ensure!(status.success(), "pgbench ends with {status}: {rest}");
        let latencies = sorted(&latencies(&self.directory, from, until)?);
        Ok(Measured {
            rate,
            cpu_us: cpu.as_secs_f64() * 1e6 / (rate * wall.as_secs_f64()),
            p50_ms: quantile(&latencies, 0.5) / 1000.0,
            p99_ms: quantile(&latencies, 0.99) / 1000.0,
        })
    }

    /// Runs exactly `transactions` per client.
    pub async fn run_count(&self, load: Load, transactions: usize) -> Result<()> {
        let mut command = self.command();
        self.load(&mut command, load)?;
        command.args(["-t", &transactions.to_string()]);
        let output = command.kill_on_drop(true).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn load(&self, command: &mut Command, load: Load) -> Result<()> {
        command.args(["-n", "-j", "1", "-c", &load.clients.to_string()]);
        command.args(["-M", &load.protocol.to_string()]);
        match load.work {
            Work::Select => drop(command.arg("-S")),
            Work::One => {
                let script = self.directory.join("one.sql");
                fs::write(&script, "SELECT 1;\n")?;
                command.arg("-f").arg(script);
            }
        }
        Ok(())
    }

    /// The program with its connection; the database name is the last argument that it allows
    /// anywhere, but options must not follow it on every system, so it goes by the environment.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("PGHOST", self.address.ip().to_string())
            .env("PGPORT", self.address.port().to_string())
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database)
            .env("PGSSLMODE", "disable")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

/// The lines that `pgbench -P 1` writes each second once all clients have connected.
struct Progress {
    lines: Lines<BufReader<ChildStderr>>,
    seen: String,
}

impl Progress {
    fn of(child: &mut Child) -> Result<Self> {
        let stderr = child.stderr.take().context("pgbench has no standard error")?;
        Ok(Self { lines: BufReader::new(stderr).lines(), seen: String::new() })
    }

    /// Waits for the first second in which transactions ended.
    async fn begun(&mut self) -> Result<()> {
        while self.next().await? <= 0.0 {}
        Ok(())
    }

    /// The mean rate of the next `count` seconds.
    async fn mean(&mut self, count: u32) -> Result<f64> {
        let mut sum = 0.0;
        for _ in 0..count {
            sum += self.next().await?;
        }
        Ok(sum / f64::from(count.max(1)))
    }

    /// The rate of the next second.
    async fn next(&mut self) -> Result<f64> {
        while let Some(line) = self.lines.next_line().await? {
            if let Some(rate) = rate_of(&line) {
                return Ok(rate);
            }
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        bail!("pgbench ends before its time: {}", self.seen)
    }
}

/// `progress: 1.0 s, 12345.6 tps, lat 1.2 ms stddev 0.3, 0 failed`
fn rate_of(line: &str) -> Option<f64> {
    let rest = line.strip_prefix("progress: ")?;
    let (rate, _) = rest.split_once(" tps")?;
    rate.rsplit_once(' ')?.1.parse().ok()
}

/// What a process uses between two moments.
struct Window {
    pid: u32,
    cpu: Duration,
    opened: Instant,
    from: Duration,
}

impl Window {
    fn open(pid: u32) -> Result<Self> {
        let (from, opened) = (since_epoch()?, Instant::now());
        Ok(Self { pid, cpu: Usage::of(pid)?.cpu, opened, from })
    }

    /// Processor time, wall time, and the window's ends since 1970.
    fn close(self) -> Result<(Duration, Duration, Duration, Duration)> {
        let cpu = Usage::of(self.pid)?.cpu.saturating_sub(self.cpu);
        Ok((cpu, self.opened.elapsed(), self.from, since_epoch()?))
    }
}

fn since_epoch() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

fn log_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let is_log = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("latency"))
    };
    Ok(entries.into_iter().map(|entry| entry.path()).filter(is_log).collect())
}

fn remove_logs(directory: &Path) -> Result<()> {
    log_files(directory)?.into_iter().try_for_each(fs::remove_file).context("removing old logs")
}

/// The logged latencies in microseconds of transactions that ended in the window.
fn latencies(directory: &Path, from: Duration, until: Duration) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    for file in log_files(directory)? {
        let text = fs::read_to_string(file)?;
        found.extend(text.lines().filter_map(|line| latency_of(line, from, until)));
    }
    Ok(found)
}

/// `client transaction time script epoch_seconds microseconds` (PostgreSQL manual, pgbench,
/// per-transaction logging).
fn latency_of(line: &str, from: Duration, until: Duration) -> Option<f64> {
    let mut fields = line.split(' ');
    let latency = fields.nth(2)?.parse().ok()?;
    let seconds = fields.nth(1)?.parse().ok()?;
    let micros: u64 = fields.next()?.parse().ok()?;
    let at = Duration::from_secs(seconds) + Duration::from_micros(micros);
    (from <= at && at <= until).then_some(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_a_line_of_progress() {
        let line = "progress: 2.0 s, 15821.3 tps, lat 1.010 ms stddev 0.4, 0 failed";
        assert_eq!(rate_of(line), Some(15821.3));
        assert_eq!(rate_of("pgbench (15.18)"), None);
    }

    #[test]
    fn a_latency_counts_only_within_the_window() {
        let line = "0 199 2241 0 1175850568 995598";
        let at = Duration::from_micros(1_175_850_568_995_598);
        let second = Duration::from_secs(1);
        assert_eq!(latency_of(line, at.saturating_sub(second), at + second), Some(2241.0));
        assert_eq!(latency_of(line, at + second, at + second * 2), None);
    }
}
