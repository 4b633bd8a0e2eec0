//! The cluster and the Trunkline before it.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use trunkline_testkit::cluster::Binaries;
use trunkline_testkit::{Cluster, Trunkline};

use super::arguments::Arguments;

/// Name, password and database of the demo's user.
pub(crate) const USER: &str = "demo";

/// Server connections that a pool may have on one server.
pub(crate) const POOL_SIZE: usize = 20;

/// Open files that a thousand clients and their servers need, in each process, with room.
const FILES_NEEDED: u64 = 4096;

/// All that has been started.
#[derive(Debug)]
pub(crate) struct Scene {
    // First, so that clients are gone before their servers.
    pub(crate) trunkline: Trunkline,
    pub(crate) cluster: Cluster,
}

impl Scene {
    /// Starts everything and tells how far it is.
    pub(crate) async fn set(arguments: &Arguments) -> Result<Self> {
        if let Some(port) = arguments.port {
            refuse_taken_port(port)?;
        }
        raise_file_limit()?;
        let binaries = match &arguments.programs {
            Some(directory) => Binaries::at(directory).context("--pg-bin")?,
            None => Binaries::find()?,
        };
        println!("Starting {} from {}:", binaries.version(), binaries.directory().display());
        println!("a primary and two streaming standbys …");
        let cluster = Cluster::builder()
            .binaries(binaries)
            .standbys(2)
            .user(USER, USER)
            .database(USER, USER)
            .setting("log_connections", "on")
            .setting("log_disconnections", "on")
            .start()
            .await?;
        for node in cluster.nodes() {
            println!("  {:9} {}", node.name(), node.address());
        }
        println!("Starting Trunkline …");
        let mut options = Trunkline::builder();
        if let Some(port) = arguments.port {
            options = options.port(port);
        }
        let trunkline = options
            .cluster(&cluster)
            .user(USER, USER)
            .set("pool", "size", i64::try_from(POOL_SIZE)?)
            .set("console", "admin_users", vec![USER])
            .start()
            .await?;
        println!("  listens on {}, {POOL_SIZE} connections per server", trunkline.address());
        Ok(Self { trunkline, cluster })
    }

    /// A connection string through Trunkline.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgresql://{USER}:{USER}@{}/{database}", self.trunkline.address())
    }

    /// Shows what can be done now.
    pub(crate) async fn invite(&self) -> Result<()> {
        let binaries = self.cluster.binaries();
        let psql = binaries.program("psql")?.display().to_string();
        let pgbench = binaries.program("pgbench")?.display().to_string();
        let (url, console) = (self.url(USER), self.url("trunkline"));
        println!("\nReady. In another terminal:\n");
        println!("  {psql} {url}");
        println!("  {pgbench} -i {url}");
        println!("  {pgbench} -n -c 100 -j 2 -T 10 -P 1 -M prepared {url}");
        println!("  {psql} {console} -c 'SHOW POOLS'");
        if self.trunkline.get("/metrics").await.is_ok_and(|reply| reply.status == 200) {
            println!("  curl http://{}/metrics", self.trunkline.http_address());
        }
        println!("\nThe configuration: {}", self.trunkline.config_path().display());
        println!("Logs, here and there: {}/*.log", self.trunkline.directory().display());
        println!("                      {}/*.log", self.cluster.directory().display());
        println!("\nCtrl-C ends and removes everything.");
        Ok(())
    }

    /// Waits for ever, unless Trunkline ends by itself.
    pub(crate) async fn last(&self) -> Result<()> {
        loop {
            if let Some(status) = self.trunkline.exit_status() {
                bail!("Trunkline has ended: {status}\n{}", self.trunkline.log_tail());
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

/// The signals by which a person or a supervisor ends the demo.
#[derive(Debug)]
pub(crate) struct Interrupt {
    signals: [Signal; 3],
}

impl Interrupt {
    pub(crate) fn new() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// Waits for one of them.
    pub(crate) async fn came(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Tells early, and what to do, if the port is not free.
fn refuse_taken_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "port {port} of 127.0.0.1 cannot be had ({error}). Is another Trunkline or PgBouncer \
             running? Stop it, or choose another port: scripts/demo --port {}",
            if port < u16::MAX - 1000 { port + 1000 } else { 6432 }
        ),
    }
}

/// Lets this process, and those it starts, open as many files as the system allows.
fn raise_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= FILES_NEEDED);
    ensure!(
        enough(limit.maximum),
        "a process may open only {} files here; a thousand clients need {FILES_NEEDED}: \
         ulimit -Hn {FILES_NEEDED}",
        limit.maximum.unwrap_or_default()
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("cannot raise the limit of open files")
}
