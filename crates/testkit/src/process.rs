//! Processes as the kernel shows them: whose they are, what they use, and signals to them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
pub use rustix::process::Signal;

/// Users a PostgreSQL server is run as when the tests run as root, in order of preference.
const SERVER_USERS: [&str; 2] = ["postgres", "nobody"];

/// The user that servers run as. PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// User and group, if they are not our own.
    ids: Option<(u32, u32)>,
}

impl Account {
    /// Who we are ourselves.
    pub(crate) const OURS: Self = Self { ids: None };

    /// Ourselves, or an unprivileged user of this machine if we are root.
    pub(crate) fn for_server() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::OURS);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        SERVER_USERS
            .iter()
            .find_map(|name| ids_of(&users, name))
            .map(|ids| Self { ids: Some(ids) })
            .with_context(|| {
                format!("PostgreSQL refuses to run as root, and none of {SERVER_USERS:?} exists")
            })
    }

    /// Lets `command` run as this user.
    pub(crate) fn run_as(self, command: &mut Command) {
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
    }

    /// Makes this user the owner of `path`.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.ids else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .with_context(|| format!("cannot give {} to user {user}", path.display()))
    }
}

/// User and group number of `name` in the text of `/etc/passwd`.
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        found.then_some((user, group))
    })
}

/// Sends `signal` to process `pid`. That it has already gone is no error.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let number = number.with_context(|| format!("{pid} is not a process number"))?;
    match rustix::process::kill_process(number, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(anyhow!("cannot signal process {pid}: {error}")),
    }
}

/// The processes for whose command line (arguments separated by NUL) `wanted` holds.
pub(crate) fn find(wanted: impl Fn(&str) -> bool) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // A process that ends while we look is one we need not find.
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        if wanted(&OsString::from_vec(line).to_string_lossy()) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// What a process has used so far, as `/proc` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes (`VmRSS`).
    pub resident_bytes: u64,
    /// The largest [`Self::resident_bytes`] ever (`VmHWM`).
    pub resident_peak_bytes: u64,
    /// Memory of the process alone: not shared with any other, in bytes (`Private_*` of
    /// `smaps_rollup`).
    pub private_bytes: u64,
    /// Processor time in user and kernel mode.
    pub cpu: Duration,
    /// Threads now.
    pub threads: u64,
    /// Open file descriptors now.
    pub descriptors: u64,
}

impl Usage {
    /// Reads the usage of process `pid`, which must be ours (or we root).
    pub fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let status = read("status")?;
        let maps = read("smaps_rollup")?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
            .with_context(|| format!("cannot list the descriptors of {pid}"))?
            .count();
        Ok(Self {
            resident_bytes: kilobytes(&status, "VmRSS:")?,
            resident_peak_bytes: kilobytes(&status, "VmHWM:")?,
            private_bytes: kilobytes(&maps, "Private_Clean:")?
                + kilobytes(&maps, "Private_Dirty:")?,
            cpu: cpu_time(&read("stat")?)?,
            threads: field(&status, "Threads:")?,
            descriptors: u64::try_from(descriptors)?,
        })
    }
}

/// The number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("no number is given for {name}"))
}

/// The same for numbers that the kernel gives in KiB; the answer is in bytes.
fn kilobytes(text: &str, name: &str) -> Result<u64> {
    Ok(field(text, name)? * 1024)
}

/// User plus system time of a line of `/proc/<pid>/stat` (fields 14 and 15, proc(5)).
fn cpu_time(stat: &str) -> Result<Duration> {
    // The program's name, field 2, stands in parentheses and may itself hold blanks.
    let (_, rest) = stat.rsplit_once(')').context("no program name in /proc/<pid>/stat")?;
    let ticks: Vec<u64> =
        rest.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    ensure!(ticks.len() == 2, "/proc/<pid>/stat is cut short");
    let milliseconds = ticks.iter().sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_group_are_read_from_the_third_and_fourth_field() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib:/bin/bash\n";
        assert_eq!(ids_of(users, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(users, "post"), None);
    }

    #[test]
    fn a_program_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 0";
        let expected = Duration::from_millis(300 * 1000 / rustix::param::clock_ticks_per_second());
        assert_eq!(cpu_time(stat).unwrap(), expected);
    }

    #[test]
    fn our_own_usage_is_plausible() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.resident_peak_bytes >= usage.resident_bytes / 2, "{usage:?}");
        assert!(usage.threads >= 1 && usage.descriptors >= 3, "{usage:?}");
    }
}
