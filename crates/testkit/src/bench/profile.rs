//! Trunkline under `callgrind`: what a number of transactions costs in instructions, system calls
//! and allocations, repeatable to a small part of a percent however busy the machine is.
//!
//! A run of N and a run of 2 N transactions differ by N transactions and nothing else: start, login
//! and end cost the same in both.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::Cluster;
use crate::peer::{RawClient, say};
use crate::trunkline::Trunkline;

use super::pgbench::Protocol;

/// What of the C library gives memory. Rust's allocator ends in one of these.
const ALLOCATORS: [&str; 6] =
    ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// The C library's way to the clock. Under valgrind it is a system call, elsewhere the kernel answers it
/// without one (vdso(7)), so it is taken out of the system calls.
const CLOCK: [&str; 2] = ["clock_gettime", "clock_gettime@@GLIBC_2.17"];

/// Transactions before those that count, so that buffers have their size.
const WARM_UP: usize = 200;

/// Until a standby is fit to be read from, each try is a transaction on the primary, and asks the nodes how far they are: how
/// many there are must not count.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// The most of them.
const TRIES_MAX: usize = 60;

/// The statement of every transaction.
const STATEMENT: &str = "SELECT 1";

/// What is counted over one run, or per transaction as a difference of two.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Instructions in user mode, all threads.
    pub instructions: f64,
    /// System calls, but for those that ask for the time.
    pub system_calls: f64,
    /// Calls of the C library's allocation functions.
    pub allocations: f64,
}

/// What to run under callgrind.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'a> {
    /// The program: an optimised build with symbols.
    pub binary: &'a Path,
    /// The server behind it.
    pub cluster: &'a Cluster,
    /// A role of that server.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Reads go to the cluster's standby, which logs its statements.
    pub routing: bool,
}

impl Profile<'_> {
    /// The cost of one transaction over one connection, from the difference of two runs.
    pub async fn per_transaction(&self, protocol: Protocol, count: usize) -> Result<Counts> {
        let once = self.run(protocol, count).await?;
        let twice = self.run(protocol, count * 2).await?;
        #[expect(clippy::as_conversions, reason = "a count of transactions, far below 2^52")]
        #[expect(clippy::cast_precision_loss, reason = "a count of transactions, far below 2^52")]
        let each = |once: f64, twice: f64| (twice - once) / count as f64;
        Ok(Counts {
            instructions: each(once.instructions, twice.instructions),
            system_calls: each(once.system_calls, twice.system_calls),
            allocations: each(once.allocations, twice.allocations),
        })
    }

    fn file_name(&self, protocol: Protocol, count: usize) -> String {
        let routed = if self.routing { ".routed" } else { "" };
        format!("callgrind.out.{protocol}{routed}.{count}")
    }

    /// Everything from start to end with this many transactions.
    async fn run(&self, protocol: Protocol, count: usize) -> Result<Counts> {
        let directory = tempfile::tempdir()?;
        let out = directory.path().join("callgrind.out");
        let trunkline = Trunkline::builder()
            .binary(wrapper(directory.path(), self.binary, &out)?)
            .cluster(self.cluster)
            .user(self.user, self.password)
            // One loop, and next to nothing that runs by the clock while transactions are counted. A standby is read
            // from when it has been asked how far it is.
            .set("general", "workers", 1)
            .set("routing", "mode", if self.routing { "on" } else { "off" })
            .set("cluster", "probe_interval", if self.routing { "3s" } else { "1h" })
            .set("cluster", "probe_timeout", "1m")
            .set("pool", "connect_timeout", "1m")
            .start()
            .await?;
        transact(&trunkline, self, protocol, count).await?;
        trunkline.terminate()?;
        let status = trunkline.ended().await?;
        ensure!(status.success(), "{status}: {}", trunkline.log_tail());
        let text = fs::read_to_string(&out).context("callgrind has written nothing")?;
        if let Some(kept) = std::env::var_os(KEEP_VARIABLE) {
            fs::copy(&out, PathBuf::from(kept).join(self.file_name(protocol, count)))?;
        }
        counts(&text)
    }
}

/// Names a directory where the files of callgrind are kept for a look with `callgrind_annotate`.
pub const KEEP_VARIABLE: &str = "TRUNKLINE_CALLGRIND_DIR";

/// Sends the message until the standby has been given it.
async fn read_from_standby(
    cluster: &Cluster,
    client: &mut RawClient,
    message: &[u8],
) -> Result<()> {
    let standby = cluster.standby(0)?;
    let logged = || standby.log().matches(STATEMENT).count();
    let before = logged();
    let mut tries = tokio::time::interval(TRY_EVERY);
    for _ in 0..TRIES_MAX {
        tries.tick().await;
        client.exchange(message, 1).await?;
        if logged() > before {
            return Ok(());
        }
    }
    bail!("no standby was read from after {TRIES_MAX} tries: {}", standby.log())
}

async fn transact(
    trunkline: &Trunkline,
    who: &Profile<'_>,
    protocol: Protocol,
    count: usize,
) -> Result<()> {
    let mut client = trunkline.raw(who.user, who.password, "postgres").await?;
    let message = match protocol {
        Protocol::Simple => say::query(STATEMENT),
        Protocol::Extended => say::extended(STATEMENT, &[]),
        Protocol::Prepared => {
            let prepare = [say::parse("s1", STATEMENT, &[]), say::sync()].concat();
            client.exchange(&prepare, 1).await?;
            let parts = [
                say::bind("", "s1", &[]),
                say::describe_portal(""),
                say::execute("", 0),
                say::sync(),
            ];
            parts.concat().into()
        }
    };
    if who.routing {
        read_from_standby(who.cluster, &mut client, &message).await?;
    }
    for _ in 0..WARM_UP + count {
        let frames = client.exchange(&message, 1).await?;
        let failed = frames.iter().find(|frame| frame.tag == b'E');
        ensure!(failed.is_none(), "a transaction fails: {failed:?}");
    }
    client.send(&say::terminate()).await
}

/// A program that runs `binary` under callgrind. It bears the name of the program, because by that
/// name the fixture's guard knows what to end.
fn wrapper(directory: &Path, binary: &Path, out: &Path) -> Result<PathBuf> {
    let path = directory.join("trunkline");
    let text = format!(
        "#!/bin/bash\nexec -a trunkline valgrind --tool=callgrind --callgrind-out-file='{}' \
         --collect-systime=yes --dump-line={} --error-exitcode=0 '{}' \"$@\"\n",
        out.display(),
        // Who keeps the profile wants to know the lines.
        if std::env::var_os(KEEP_VARIABLE).is_some() { "yes" } else { "no" },
        binary.display(),
    );
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Reads a profile (valgrind manual, "Callgrind Format Specification").
fn counts(profile: &str) -> Result<Counts> {
    let events = line_of(profile, "events: ")?;
    let totals = line_of(profile, "totals: ").or_else(|_| line_of(profile, "summary: "))?;
    let total = |name: &str| -> Result<f64> {
        let place = events.split(' ').position(|event| event == name);
        let place = place.with_context(|| format!("the profile does not count {name}"))?;
        let value = totals.split(' ').nth(place).unwrap_or("0");
        value.parse().with_context(|| format!("{value} is no count"))
    };
    Ok(Counts {
        instructions: total("Ir")?,
        system_calls: total("sysCount")? - calls_of(profile, &CLOCK)?,
        allocations: calls_of(profile, &ALLOCATORS)?,
    })
}

fn line_of<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .with_context(|| format!("the profile has no {name:?}"))
}

/// How often these functions were called. A called function stands in a line `cfn=` with
/// its number in parentheses and, the first time only, its name; the next line `calls=` begins with
/// how often.
fn calls_of(profile: &str, functions: &[&str]) -> Result<f64> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut called = None;
    let mut sum = 0.0;
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            called = line.starts_with("cfn=").then(|| names.get(number).copied()).flatten();
        } else if let Some(calls) = line.strip_prefix("calls=")
            && called.is_some_and(|name| functions.contains(&name))
        {
            let count = calls.split(' ').next().unwrap_or_default();
            sum += count.parse::<f64>().with_context(|| format!("{count} is no count"))?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_calls_of_allocators_are_read_by_name() {
        let profile = "events: Ir sysCount sysTime\n\
                       fn=(1) main\n0 10\n\
                       cfn=(2) malloc\ncalls=3 0\n0 30\n\
                       cfn=(3) send\ncalls=7 0\n0 70\n\
                       cfn=(4) clock_gettime@@GLIBC_2.17\ncalls=2 0\n0 20\n\
                       fn=(3)\n0 5 7\n\
                       cfn=(2)\ncalls=4 0\n0 40\n\
                       totals: 175 9 1\n";
        let found = counts(profile).unwrap();
        assert_eq!(found, Counts { instructions: 175.0, system_calls: 7.0, allocations: 7.0 });
    }

    #[test]
    fn a_profile_without_system_calls_is_refused() {
        let error = counts("events: Ir\ntotals: 5\n").unwrap_err();
        assert!(error.to_string().contains("sysCount"), "{error}");
    }
}
