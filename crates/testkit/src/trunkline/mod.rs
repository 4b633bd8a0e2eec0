//! The program itself, built by cargo, as a process of its own.
//!
//! ```no_run
//! # async fn example(cluster: &trunkline_testkit::Cluster) -> trunkline_testkit::Result<()> {
//! use trunkline_testkit::Trunkline;
//!
//! let trunkline = Trunkline::builder()
//!     .cluster(cluster)
//!     .user("alice", "secret")
//!     .config("[pool]\nsize = 5")
//!     .start()
//!     .await?;
//! let client = trunkline.connect("alice", "secret", "postgres").await?;
//! client.batch_execute("SELECT 1").await?;
//! trunkline.terminate()?;
//! assert!(trunkline.ended().await?.success());
//! # Ok(())
//! # }
//! ```
//!
//! `options` says what is wanted and writes the configuration, `http` asks its HTTP endpoints.

mod http;
mod options;

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::Signal;
use tokio_postgres::Client;

pub use self::http::Reply;
pub use self::options::{BINARY_VARIABLE, TrunklineOptions};
use crate::cluster::connect_tcp;
use crate::guard::Guard;
use crate::peer::{RawClient, say};
use crate::ports::{free_port, free_port_beside};
use crate::process::{self, Account, Usage};
use crate::wait::{PATIENCE, wait_for};

/// How often other ports are drawn when somebody else took one.
const PORT_TRIES_MAX: usize = 5;

/// How much of the end of the log an error message shows, in bytes.
const LOG_TAIL: usize = 8000;

/// A running Trunkline on ports of 127.0.0.1; ended and removed when dropped. If the test panics,
/// its log is shown.
#[derive(Debug)]
pub struct Trunkline {
    address: SocketAddr,
    http: SocketAddr,
    binary: PathBuf,
    state: Mutex<State>,
    // Last, so that nothing is in use any more when it kills and removes.
    guard: Guard,
}

#[derive(Debug)]
struct State {
    /// It is to find leaks.
    finds_leaks: bool,
    options: TrunklineOptions,
    process: Option<Child>,
    last_exit: Option<ExitStatus>,
}

impl Trunkline {
    /// What is wanted of the program.
    pub fn builder() -> TrunklineOptions {
        TrunklineOptions::default()
    }

    /// Starts the program and waits until it takes connections.
    pub async fn start(options: TrunklineOptions) -> Result<Self> {
        for _ in 1..PORT_TRIES_MAX {
            match Self::start_once(options.clone()).await {
                Err(error) if options.draws_port() && format!("{error:#}").contains("in use") => {}
                other => return other,
            }
        }
        Self::start_once(options).await
    }

    async fn start_once(options: TrunklineOptions) -> Result<Self> {
        let port = options.port.map_or_else(free_port, Ok)?;
        let trunkline = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port_beside(port)?)),
            binary: options.find_binary()?,
            guard: Guard::new("trunkline", Account::OURS)?,
            state: Mutex::new(State {
                finds_leaks: false,
                options,
                process: None,
                last_exit: None,
            }),
        };
        trunkline.start_again().await?;
        Ok(trunkline)
    }

    /// Starts the program after it has ended, with the same ports and configuration.
    pub async fn start_again(&self) -> Result<()> {
        self.write_files()?;
        self.spawn()?;
        wait_for("Trunkline takes connections", PATIENCE, async || {
            if let Some(status) = self.exit_status() {
                return Ok(Err(status));
            }
            let mut client = RawClient::tcp(self.address).await?;
            client.send(&say::ssl_request()).await?;
            client.read_bytes(1).await?;
            Ok(Ok(()))
        })
        .await
        .and_then(|started| started.map_err(|status| anyhow!("Trunkline has ended: {status}")))
        .map_err(|error| self.explained(&error))
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Self::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where its HTTP endpoints are.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The directory of its configuration, its log and its Unix socket.
    pub fn directory(&self) -> &Path {
        self.guard.root()
    }

    /// The path of its configuration.
    pub fn config_path(&self) -> PathBuf {
        self.directory().join("trunkline.toml")
    }

    /// A connection through it; it lives until the client is dropped.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Client> {
        let connected = connect_tcp(self.port(), user, password, database).await;
        connected.map_err(|error| self.explained(&error))
    }

    /// A connection through it, message by message.
    pub async fn raw(&self, user: &str, password: &str, database: &str) -> Result<RawClient> {
        let client = RawClient::logged_in(self.address, user, password, database).await;
        client.map_err(|error| self.explained(&error))
    }

    /// Asks an HTTP endpoint (`/readyz`) and gives status and body.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        http::get(self.http, path).await
    }

    /// All that it has logged, over all starts.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// Waits until a line of the log contains `text`.
    pub async fn logged(&self, text: &str) -> Result<String> {
        wait_for(&format!("Trunkline logs {text:?}"), PATIENCE, async || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(text));
            line.map(str::to_owned).with_context(|| self.log_tail())
        })
        .await
    }

    /// Puts settings over the present ones (as [`TrunklineOptions::config`]) and sends SIGHUP. That
    /// they are in force is seen by what they change, or in the log.
    pub fn reload(&self, config: &str) -> Result<()> {
        {
            let mut state = self.state();
            state.options = state.options.clone().config(config);
        }
        self.write_files()?;
        self.signal(Signal::HUP)
    }

    /// Replaces the configuration by this text as it stands, and sends SIGHUP.
    pub fn reload_text(&self, config: &str) -> Result<()> {
        fs::write(self.config_path(), config)?;
        self.signal(Signal::HUP)
    }

    /// SIGTERM: an orderly end.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGINT.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// SIGQUIT: an end at once.
    pub fn quit(&self) -> Result<()> {
        self.signal(Signal::QUIT)
    }

    /// SIGKILL, and waits until it has gone.
    pub async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended().await.map(drop)
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // Not reaped while the lock is held, so the number cannot belong to another.
        let mut state = self.state();
        if let Some(status) = state.exit_status() {
            bail!("Trunkline has ended before the signal: {status}\n{}", self.log_tail());
        }
        process::signal(state.process.as_ref().map(Child::id).context("no process")?, signal)
    }

    /// Waits until it has ended, and tells how.
    pub async fn ended(&self) -> Result<ExitStatus> {
        wait_for("Trunkline has ended", PATIENCE, async || {
            self.exit_status().context("it still runs")
        })
        .await
        .map_err(|error| self.explained(&error))
    }

    /// How it ended, if it does not run.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.state().exit_status()
    }

    /// The number of its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut state = self.state();
        state.exit_status();
        state.process.as_ref().map(Child::id)
    }

    /// What it has used so far: memory, processor time, threads, descriptors.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid().context("Trunkline does not run")?)
    }

    /// The end of the log, for an error message.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let mut start = log.len().saturating_sub(LOG_TAIL);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        format!("log of Trunkline:\n{}", log.get(start..).unwrap_or_default())
    }

    /// An error with the log below it.
    fn explained(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}\n{}", self.log_tail())
    }

    fn log_path(&self) -> PathBuf {
        self.directory().join("trunkline.log")
    }

    /// Writes the configuration and the files that it names.
    fn write_files(&self) -> Result<()> {
        let options = self.state().options.clone();
        for (name, text) in &options.files {
            fs::write(self.directory().join(name), text)?;
        }
        let text = options.text(self.address, self.http, self.directory())?;
        fs::write(self.config_path(), text)?;
        Ok(())
    }

    /// Starts the process in a group of its own, so that Ctrl-C reaches the test only.
    fn spawn(&self) -> Result<()> {
        let mut state = self.state();
        ensure!(state.exit_status().is_some() || state.process.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(&self.binary);
        // By this the guard knows it, whatever the program is called and whether or not it is given a file.
        command.arg0(self.directory().join("trunkline"));
        command.arg("run").process_group(0);
        if let Some(url) = &state.options.url {
            command.arg(url);
            command.env("TRUNKLINE__LISTEN__ADDRESSES", self.address.to_string());
            command.env("TRUNKLINE__HTTP__ADDRESS", self.http.to_string());
        } else {
            command.arg("--config").arg(self.config_path());
        }
        command.envs(state.options.environment.iter().cloned());
        command.current_dir(self.directory());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        state.process = Some(command.spawn().with_context(|| format!("cannot run {command:?}"))?);
        state.last_exit = None;
        Ok(())
    }

    /// This one is to find servers in another state than they should be in; otherwise that fails the test.
    pub fn expect_leaks(&self) {
        self.state().finds_leaks = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is logged of a server connection that came back in another state than it should be in.
const LEAK: &str = "a server connection is not in the state that it should be in";

/// How often at most it is looked whether servers are still being asked; each look asks all loops.
const AUDIT_LOOKS: usize = 500;

impl Trunkline {
    /// Waits until no server is being asked what is there, as the last clients have only just given theirs back.
    fn await_audits(&self) {
        for _ in 0..AUDIT_LOOKS {
            let Some(metrics) = http::get_now(self.http, "/metrics") else { return };
            let busy = metrics.lines().filter(|line| line.contains("state=\"busy\""));
            if busy.filter(|line| !line.ends_with(" 0")).count() == 0 {
                return;
            }
        }
    }
}

impl Drop for Trunkline {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
            {
                eprintln!("{}", self.log_tail());
            }
            return;
        }
        // Only said with `pool.paranoid`, which this variable sets for every test.
        if std::env::var_os("TRUNKLINE__POOL__PARANOID").is_some() {
            self.await_audits();
        }
        let log = self.log();
        let leak = log.lines().find(|line| line.contains(LEAK));
        assert!(leak.is_none() || self.state().finds_leaks, "{}", leak.unwrap_or_default());
    }
}

impl State {
    /// Takes note of an end of the process, and tells how the last one was if it does not run.
    fn exit_status(&mut self) -> Option<ExitStatus> {
        if let Some(process) = &mut self.process {
            // An error means that it cannot be waited for: it is gone.
            let status = process.try_wait().unwrap_or_else(|_| Some(ExitStatus::default()))?;
            self.process = None;
            self.last_exit = Some(status);
        }
        self.last_exit
    }
}
