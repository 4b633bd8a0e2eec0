//! One PostgreSQL server of a cluster: its files, its settings, its start and stop.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::Signal;

use super::{
    Binaries, ClusterOptions, PORT_TRIES_MAX, SUPERUSER, SUPERUSER_PASSWORD, config, files,
};
use crate::guard::Guard;
use crate::ports::free_port;
use crate::process::Account;
use crate::wait::{PATIENCE, wait_for};

/// How much of the end of a log an error message shows, in bytes.
const LOG_TAIL: usize = 4000;

/// What the server logs when somebody else is bound to its port.
const PORT_TAKEN: &str = "Address already in use";

/// How a server is asked to stop (`pg_ctl stop -m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until every client has left.
    Smart,
    /// Ends the sessions with 57P01 and writes a checkpoint.
    Fast,
    /// Ends at once; the next start recovers from the WAL.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::TERM,
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}

/// A PostgreSQL server. See the other methods in `disaster.rs` (what can befall it) and `sql.rs`
/// (what can be asked of it).
#[derive(Debug)]
pub struct Node {
    name: String,
    data: PathBuf,
    log: PathBuf,
    socket_directory: PathBuf,
    /// What its processes have in their titles (`cluster_name`); unique on the machine.
    pub(super) title: String,
    binaries: Binaries,
    account: Account,
    options: Arc<ClusterOptions>,
    state: Mutex<State>,
}

/// What changes while a node lives.
#[derive(Debug)]
struct State {
    port: u16,
    settings: BTreeMap<String, String>,
    postmaster: Option<Child>,
    last_exit: Option<ExitStatus>,
}

impl Node {
    pub(super) fn new(
        name: &str,
        guard: &Guard,
        binaries: &Binaries,
        account: Account,
        options: &Arc<ClusterOptions>,
    ) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            data: guard.root().join(name),
            log: guard.root().join(format!("{name}.log")),
            socket_directory: guard.root().to_owned(),
            title: format!("{}-{name}", guard.mark()),
            binaries: binaries.clone(),
            account,
            options: Arc::clone(options),
            state: Mutex::new(State {
                port: free_port()?,
                settings: config::settings(&options.settings),
                postmaster: None,
                last_exit: None,
            }),
        })
    }

    /// `primary`, `standby1`, `standby2`, …
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data directory.
    pub fn data_directory(&self) -> &Path {
        &self.data
    }

    /// The directory of the Unix socket, which has the same port number.
    pub fn socket_directory(&self) -> &Path {
        &self.socket_directory
    }

    /// The TCP port on 127.0.0.1. It stays the same over stops and starts.
    pub fn port(&self) -> u16 {
        self.state().port
    }

    /// Where it listens on TCP.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()))
    }

    /// The number of the postmaster's process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.is_running().then(|| self.state().postmaster.as_ref().map(Child::id)).flatten()
    }

    /// Whether the postmaster runs (a frozen one does).
    pub fn is_running(&self) -> bool {
        self.state().reap().is_none()
    }

    /// How the postmaster ended last, if it has ever ended.
    pub fn last_exit(&self) -> Option<ExitStatus> {
        let mut state = self.state();
        state.reap();
        state.last_exit
    }

    /// All that the server has logged since it was made.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// Starts the server with its settings and waits until it takes connections.
    pub async fn start(&self) -> Result<()> {
        self.write_config()?;
        let logged_before = self.log().len();
        self.spawn()?;
        let what = format!("{} takes connections", self.name);
        let started = wait_for(&what, PATIENCE, async || {
            let ended = self.state().reap();
            match ended {
                Some(status) => Ok(Err(status)),
                None => self.ready().map(Ok),
            }
        })
        .await;
        match started {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => {
                Err(anyhow!("{}: {status}\n{}", self.name, self.log_tail(logged_before)))
            }
            Err(error) => Err(anyhow!("{error:#}\n{}", self.log_tail(logged_before))),
        }
    }

    /// Stops the server and waits until it has gone.
    pub async fn stop(&self, mode: StopMode) -> Result<()> {
        self.signal_postmaster(mode.signal())?;
        self.gone().await
    }

    /// A fast stop and a start.
    pub async fn restart(&self) -> Result<()> {
        self.stop(StopMode::Fast).await?;
        self.start().await
    }

    /// Waits until the postmaster has ended, however it came to that.
    pub async fn gone(&self) -> Result<()> {
        wait_for(&format!("{} has ended", self.name), PATIENCE, async || {
            ensure!(!self.is_running(), "its postmaster still runs");
            Ok(())
        })
        .await
        .map_err(|error| anyhow!("{error:#}\n{}", self.log_tail(0)))
    }

    /// Changes a setting in `postgresql.conf`, for the next start or [`Self::reload`].
    pub fn set(&self, name: &str, value: impl std::fmt::Display) -> Result<()> {
        self.state().settings.insert(name.to_owned(), value.to_string());
        self.write_config()
    }

    /// Makes the server read its configuration files anew and waits until it has.
    pub async fn reload(&self) -> Result<()> {
        let loaded = "SELECT pg_conf_load_time()";
        let before = self.query_text("postgres", loaded).await?;
        self.signal_postmaster(Signal::HUP)?;
        wait_for(&format!("{} has reloaded", self.name), PATIENCE, async || {
            // A new connection each time: it is forked from the postmaster that has reloaded.
            let now = self.query_text("postgres", loaded).await?;
            ensure!(now != before, "its settings are those of {before}");
            Ok(())
        })
        .await
    }

    /// Replaces `pg_hba.conf` by these lines followed by those of the kit; takes effect with
    /// [`Self::reload`].
    pub fn set_hba(&self, lines: &[&str]) -> Result<()> {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let text = config::pg_hba_conf(&lines, self.options.local_trust);
        self.write_file("pg_hba.conf", &text)
    }

    /// Starts on the port drawn at first or, if somebody has taken that one, on another.
    pub(super) async fn start_anywhere(&self) -> Result<()> {
        let hba: Vec<&str> = self.options.hba.iter().map(String::as_str).collect();
        self.set_hba(&hba)?;
        for _ in 1..PORT_TRIES_MAX {
            match self.start().await {
                Err(error) if format!("{error:#}").contains(PORT_TAKEN) => {
                    self.state().port = free_port()?;
                }
                other => return other,
            }
        }
        self.start().await
    }

    /// Makes the node a standby of the server on this port.
    pub(super) fn follow(&self, port: u16) -> Result<()> {
        let host = config::conninfo_value(&self.socket_directory);
        let name = &self.name;
        let upstream = format!(
            "host={host} port={port} user={SUPERUSER} password={SUPERUSER_PASSWORD} \
             application_name={name}"
        );
        self.set("primary_conninfo", upstream)?;
        self.set("primary_slot_name", name)
    }

    /// Sends a signal to the postmaster.
    pub(super) fn signal_postmaster(&self, signal: Signal) -> Result<()> {
        // The child is not reaped while the lock is held, so its number cannot belong to another.
        let mut state = self.state();
        ensure!(state.reap().is_none(), "{} does not run", self.name);
        let pid = state.postmaster.as_ref().map(Child::id).context("no postmaster")?;
        crate::process::signal(pid, signal)
    }

    /// The end of what was logged after `from` bytes, for an error message.
    pub(super) fn log_tail(&self, from: usize) -> String {
        let log = self.log();
        let mut start = from.max(log.len().saturating_sub(LOG_TAIL)).min(log.len());
        while !log.is_char_boundary(start) {
            start += 1;
        }
        format!("log of {}:\n{}", self.name, log.get(start..).unwrap_or_default())
    }

    /// Writes `postgresql.conf`, and the certificate if TLS is wanted.
    fn write_config(&self) -> Result<()> {
        let (mut settings, port) = {
            let state = self.state();
            (state.settings.clone(), state.port)
        };
        let mut put = |name: &str, value: String| settings.insert(name.to_owned(), value);
        put("port", port.to_string());
        put("unix_socket_directories", self.socket_directory.display().to_string());
        put("cluster_name", self.title.clone());
        if let Some(certificate) = &self.options.certificate {
            put("ssl", "on".to_owned());
            self.write_file("server.crt", certificate.pem())?;
            self.write_file("server.key", certificate.key())?;
        }
        if let Some(authority) = &self.options.client_authority {
            put("ssl_ca_file", "authority.crt".to_owned());
            self.write_file("authority.crt", authority)?;
        }
        self.write_file("postgresql.conf", &config::postgresql_conf(&settings))
    }

    /// Writes a file of the data directory.
    fn write_file(&self, name: &str, text: &str) -> Result<()> {
        files::write(&self.data.join(name), text, self.account)
    }

    /// Starts the postmaster in a process group of its own.
    fn spawn(&self) -> Result<()> {
        let mut state = self.state();
        ensure!(state.reap().is_some(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(self.binaries.directory().join("postgres"));
        command.arg("-D").arg(&self.data).current_dir(&self.data).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // The server's time zone, locale and port are those of its configuration.
        command.env_remove("TZ").env_remove("PGPORT").env_remove("PGDATA");
        self.account.run_as(&mut command);
        state.postmaster =
            Some(command.spawn().with_context(|| format!("cannot run {command:?}"))?);
        Ok(())
    }

    /// Whether the postmaster says that it takes connections: the eighth line of its pid file
    /// (`LOCK_FILE_LINE_PM_STATUS`), which `pg_ctl` believes too.
    fn ready(&self) -> Result<()> {
        let file = fs::read_to_string(self.data.join("postmaster.pid"))
            .context("there is no postmaster.pid yet")?;
        let mut lines = file.lines();
        let pid = lines.next().and_then(|line| line.trim().parse().ok());
        if pid != self.state().postmaster.as_ref().map(Child::id) {
            bail!("postmaster.pid is an old one");
        }
        let status = lines.nth(6).map_or("none", str::trim);
        ensure!(status == "ready", "the status in postmaster.pid is {status}");
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes note of an end of the postmaster. Tells how it ended if it does not run; a node that
    /// was never started counts as ended well.
    fn reap(&mut self) -> Option<ExitStatus> {
        if let Some(child) = &mut self.postmaster {
            // An error means that it cannot be waited for: it is gone.
            let status = child.try_wait().unwrap_or_else(|_| Some(ExitStatus::default()))?;
            self.postmaster = None;
            self.last_exit = Some(status);
        }
        Some(self.last_exit.unwrap_or_default())
    }
}
