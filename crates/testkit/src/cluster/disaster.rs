//! What can befall a node.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::Node;
use crate::process;
use crate::wait::{PATIENCE, wait_for};

/// Rounds of looking for processes that were forked while others were being signalled.
const ROUNDS_MAX: usize = 100;

impl Node {
    /// SIGKILL to every process of the server, as if the machine had lost power. What had been
    /// committed is still there after [`Node::start`].
    pub async fn kill(&self) -> Result<()> {
        // Stopped first, the postmaster forks nobody new, nor restarts after the loss of a child.
        self.signal_postmaster(Signal::STOP)?;
        for _ in 0..ROUNDS_MAX {
            let processes = self.processes()?;
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                process::signal(pid, Signal::KILL)?;
            }
            self.is_running();
        }
        self.gone().await?;
        self.all_gone().await
    }

    /// SIGKILL to the postmaster alone. Its server processes live on for a while: idle ones end
    /// when they notice, busy ones finish their statement, and may acknowledge a commit.
    pub async fn kill_postmaster(&self) -> Result<()> {
        self.signal_postmaster(Signal::KILL)?;
        self.gone().await
    }

    /// Waits until no process of the server is left, as after [`Self::kill_postmaster`].
    pub async fn all_gone(&self) -> Result<()> {
        wait_for(&format!("no process of {} is left", self.name()), PATIENCE, async || {
            let left = self.processes()?;
            ensure!(left.is_empty(), "processes {left:?}");
            Ok(())
        })
        .await
    }

    /// SIGSTOP to every process: connections stay open and nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.signal_postmaster(Signal::STOP)?;
        let mut frozen = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let fresh: Vec<u32> =
                self.processes()?.into_iter().filter(|pid| !frozen.contains(pid)).collect();
            if fresh.is_empty() {
                return Ok(());
            }
            for pid in fresh {
                process::signal(pid, Signal::STOP)?;
                frozen.push(pid);
            }
        }
        anyhow::bail!("{} forks faster than it can be frozen", self.name())
    }

    /// SIGSTOP to the postmaster alone: kept connections go on answering, new ones are accepted by
    /// the kernel and never served.
    pub fn freeze_postmaster(&self) -> Result<()> {
        self.signal_postmaster(Signal::STOP)
    }

    /// SIGCONT to every process, after either way of freezing.
    pub fn thaw(&self) -> Result<()> {
        for pid in self.processes()? {
            process::signal(pid, Signal::CONT)?;
        }
        Ok(())
    }

    /// Ends every client connection to the server with 57P01 and tells how many there were.
    pub async fn cut_connections(&self) -> Result<u64> {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.query_text("postgres", sql).await?.parse().context("the count is no number")
    }

    /// Stops a standby from replaying what it goes on receiving, and waits until it has stopped.
    pub async fn pause_replay(&self) -> Result<()> {
        self.execute("postgres", "SELECT pg_wal_replay_pause()").await?;
        wait_for(&format!("{} has paused its replay", self.name()), PATIENCE, async || {
            let state =
                self.query_text("postgres", "SELECT pg_get_wal_replay_pause_state()").await?;
            ensure!(state == "paused", "its replay is {state}");
            Ok(())
        })
        .await
    }

    /// Lets a standby replay again.
    pub async fn resume_replay(&self) -> Result<()> {
        self.execute("postgres", "SELECT pg_wal_replay_resume()").await
    }

    /// Makes a standby the primary of a new timeline and waits until it takes writes.
    pub async fn promote(&self) -> Result<()> {
        self.execute("postgres", "SELECT pg_promote(wait => false)").await?;
        wait_for(&format!("{} is promoted", self.name()), PATIENCE, async || {
            let recovering = self.query_text("postgres", "SELECT pg_is_in_recovery()").await?;
            ensure!(recovering == "f", "it is still in recovery");
            Ok(())
        })
        .await
    }

    /// The processes of the server: the postmaster by its data directory, the others by
    /// `cluster_name` in their titles.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let title = format!("postgres: {}: ", self.title);
        let argument = format!("\0{}\0", self.data_directory().display());
        let own = self.pid();
        let mut found = process::find(|line| {
            line.starts_with(&title) || (is_postmaster(line) && line.contains(&argument))
        })?;
        // A zombie has no command line, but is still to be waited for by `gone`.
        found.retain(|&pid| Some(pid) != own || self.is_running());
        Ok(found)
    }
}

/// Whether the first word of a command line is the path of the server program.
fn is_postmaster(line: &str) -> bool {
    line.split('\0').next().is_some_and(|program| program.ends_with("/postgres"))
}
