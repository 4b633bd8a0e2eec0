//! System calls of a process, counted by `strace`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

use crate::wait::{PATIENCE, wait_for};

/// `strace` on all threads of a process, until it is told to stop.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    file: PathBuf,
}

impl Strace {
    /// Begins to count the calls of process `pid`; the result is written below `directory`. Not
    /// everybody may: without the right to trace other processes this is an error.
    pub async fn attach(pid: u32, directory: &Path) -> Result<Self> {
        let file = directory.join("strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-qq", "-p", &pid.to_string(), "-o"]).arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.kill_on_drop(true).spawn().context("strace cannot be run")?;
        let mut strace = Self { child, file };
        wait_for("strace is attached", PATIENCE, async || {
            if let Some(status) = strace.child.try_wait()? {
                return Ok(Err(status));
            }
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            ensure!(tracer.is_some_and(|it| it.trim() != "0"), "nobody traces it yet");
            Ok(Ok(()))
        })
        .await?
        .map_err(|status| anyhow::anyhow!("strace may not trace {pid}: {status}"))?;
        Ok(strace)
    }

    /// Ends the counting; gives the calls by name.
    pub async fn stop(mut self) -> Result<BTreeMap<String, u64>> {
        let pid = self.child.id().context("strace has ended")?;
        crate::process::signal(pid, rustix::process::Signal::INT)?;
        self.child.wait().await?;
        let text = std::fs::read_to_string(&self.file).context("strace has written nothing")?;
        Ok(calls_of(&text))
    }
}

/// `% time  seconds  usecs/call  calls  [errors]  syscall`, the errors being left out when 0.
fn calls_of(table: &str) -> BTreeMap<String, u64> {
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let name = fields.last().filter(|name| **name != "total")?;
            let calls = fields.get(3)?.parse().ok()?;
            Some(((*name).to_owned(), calls))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_and_without_errors() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ------------------\n\
                      60.00    0.001200           3       400         7 recvfrom\n\
                      40.00    0.000800           2       300           sendto\n\
                     100.00    0.002000           2       700         7 total\n";
        let calls = calls_of(table);
        assert_eq!(calls.get("recvfrom"), Some(&400));
        assert_eq!(calls.get("sendto"), Some(&300));
        assert_eq!(calls.len(), 2);
    }
}
