//! What runs: PostgreSQL, Trunkline with one loop and with its default, and PgBouncer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;
use trunkline_testkit::bench::idle::IdleClients;
use trunkline_testkit::bench::pgbench::{Load, Measured, Pgbench};
use trunkline_testkit::bench::pgbouncer::{PgBouncer, PgBouncerOptions};
use trunkline_testkit::bench::strace::Strace;
use trunkline_testkit::certs::Authority;
use trunkline_testkit::trunkline::BINARY_VARIABLE;
use trunkline_testkit::{Cluster, Trunkline, TrunklineOptions};

use crate::arguments::Arguments;

const USER: &str = "bench";
const PASSWORD: &str = "bench-password";
const DATABASE: &str = "bench";

/// Server connections of every pooler.
const POOL_SIZE: usize = 20;

/// `pgbench -i -s`: a million rows, all in memory.
const SCALE: u32 = 10;

/// Transactions per client of the shorter of two runs whose system calls are compared.
const CALLS_TRANSACTIONS: usize = 200;

/// Standbys where routing is measured.
const STANDBYS: usize = 2;

/// What a Trunkline is called that routing is compared with.
pub(crate) const ROUTING_OFF: &str = "routing off";

/// Clients beyond those that are measured.
const CLIENTS_SPARE: usize = 100;

/// A pooler that is measured.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// Keeps named statements over transactions.
    pub(crate) prepares: bool,
    /// Takes TLS from clients.
    pub(crate) tls: bool,
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) contestants: Vec<Contestant>,
    idle: usize,
    pgbench: PathBuf,
    authority: Arc<Authority>,
    versions: Vec<String>,
    directory: TempDir,
    // Ended from top to bottom: poolers before their server.
    _poolers: (Vec<Trunkline>, Option<PgBouncer>),
    cluster: Cluster,
}

impl Field {
    /// Starts everything, and fills the tables.
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self> {
        let cluster = Cluster::builder()
            .setting("max_connections", POOL_SIZE * 4 + CLIENTS_SPARE)
            .setting("shared_buffers", "512MB")
            .user(USER, PASSWORD)
            .database(DATABASE, USER)
            .standbys(if arguments.routing { STANDBYS } else { 0 })
            .start()
            .await?;
        let directory = tempfile::tempdir()?;
        let authority = Arc::new(Authority::new("Bench Authority")?);
        let clients = arguments.clients.iter().copied().chain([arguments.idle]).max();
        let clients_max = clients.unwrap_or_default() + CLIENTS_SPARE;
        let mut trunklines = Vec::new();
        let mut contestants = Vec::new();
        for (name, setup) in line_up(arguments.routing) {
            let setup = Setup { clients_max, ..setup };
            let trunkline = trunkline(&cluster, &authority, directory.path(), setup).await?;
            contestants.push(Contestant {
                name,
                address: trunkline.address(),
                pid: trunkline.pid().context("Trunkline does not run")?,
                prepares: true,
                tls: true,
            });
            trunklines.push(trunkline);
        }
        let mut versions = vec![cluster.binaries().version().to_owned(), trunkline_version()];
        let pgbouncer = if arguments.alone || arguments.routing {
            None
        } else {
            Some(pgbouncer(&cluster, arguments, clients_max).await?)
        };
        if let Some(pgbouncer) = &pgbouncer {
            versions.push(pgbouncer.version().to_owned());
            contestants.push(Contestant {
                name: "PgBouncer",
                address: pgbouncer.address(),
                pid: pgbouncer.pid(),
                prepares: false,
                tls: false,
            });
        }
        let field = Self {
            contestants,
            idle: arguments.idle,
            pgbench: cluster.binaries().program("pgbench")?,
            authority,
            versions,
            directory,
            _poolers: (trunklines, pgbouncer),
            cluster,
        };
        field.load_of(field.cluster.primary().address()).initialise(SCALE).await?;
        field.cluster.primary().execute(DATABASE, "VACUUM ANALYZE").await?;
        field.cluster.caught_up().await?;
        Ok(field)
    }

    /// What is measured, one line each.
    pub(crate) fn versions(&self) -> &[String] {
        &self.versions
    }

    /// One round.
    pub(crate) async fn run(&self, of: &Contestant, load: Load, seconds: u32) -> Result<Measured> {
        let load = Load { protocol: of.protocol(load.protocol), ..load };
        let measured = self.load_of(of.address).run(load, seconds, of.pid).await;
        measured.with_context(|| format!("{} with {load:?}", of.name))
    }

    /// System calls per transaction by name, from the difference of two runs.
    pub(crate) async fn calls(&self, of: &Contestant, load: Load) -> Result<BTreeMap<String, f64>> {
        let load = Load { protocol: of.protocol(load.protocol), ..load };
        let pgbench = self.load_of(of.address);
        let mut counts = Vec::new();
        for transactions in [CALLS_TRANSACTIONS, CALLS_TRANSACTIONS * 2] {
            let strace = Strace::attach(of.pid, self.directory.path()).await?;
            pgbench.run_count(load, transactions).await?;
            counts.push(strace.stop().await?);
        }
        let divisor = f64::from(u32::try_from(CALLS_TRANSACTIONS * load.clients)?);
        let (once, twice) = (counts.first(), counts.last());
        let of_name = |counts: Option<&BTreeMap<String, u64>>, name: &str| {
            let count = counts.and_then(|counts| counts.get(name)).copied().unwrap_or_default();
            u32::try_from(count).map_or(f64::MAX, f64::from)
        };
        let names = twice.into_iter().flat_map(BTreeMap::keys);
        let difference = |name: &String| (of_name(twice, name) - of_name(once, name)) / divisor;
        Ok(names.map(|name| (name.clone(), difference(name))).collect())
    }

    /// Bytes per idle client; none if it takes no TLS here.
    pub(crate) async fn memory(&self, of: &Contestant, tls: bool) -> Result<Option<f64>> {
        if tls && !of.tls {
            return Ok(None);
        }
        let clients = IdleClients {
            address: of.address,
            pid: of.pid,
            user: USER,
            password: PASSWORD,
            database: DATABASE,
            count: self.idle,
            named: of.prepares,
            authority: tls.then(|| Arc::clone(&self.authority)),
        };
        clients.bytes_per_client().await.map(Some).with_context(|| of.name)
    }

    fn load_of(&self, address: SocketAddr) -> Pgbench {
        Pgbench {
            program: self.pgbench.clone(),
            address,
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            database: DATABASE.to_owned(),
            directory: self.directory.path().to_owned(),
        }
    }
}

/// How a Trunkline differs from others.
#[derive(Debug, Clone, Copy)]
struct Setup {
    workers: i64,
    routing: &'static str,
    /// How many of the cluster's nodes it knows, the primary first.
    nodes: usize,
    clients_max: usize,
}

/// Which ones are measured.
fn line_up(routing: bool) -> Vec<(&'static str, Setup)> {
    let one = Setup { workers: 1, routing: "off", nodes: 1 + STANDBYS, clients_max: 0 };
    if routing {
        let on = Setup { routing: "on", ..one };
        // Reads go to one server, as they do without routing.
        let to_one = Setup { nodes: 2, ..on };
        vec![("routing on", on), ("routing on, 1 standby", to_one), (ROUTING_OFF, one)]
    } else {
        vec![("Trunkline, 1 loop", one), ("Trunkline", Setup { workers: 0, ..one })]
    }
}

async fn trunkline(
    cluster: &Cluster,
    authority: &Authority,
    directory: &Path,
    setup: Setup,
) -> Result<Trunkline> {
    let files = authority.server(&["localhost"])?.write_to(directory, "server")?;
    let named = std::env::var_os(BINARY_VARIABLE);
    let builder = Trunkline::builder()
        .binary(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_trunkline").into()));
    let nodes = cluster.nodes().iter().take(setup.nodes);
    nodes
        .fold(builder, TrunklineOptions::postgres)
        .user(USER, PASSWORD)
        .set("general", "workers", setup.workers)
        .set("routing", "mode", setup.routing)
        .set("general", "max_clients", i64::try_from(setup.clients_max)?)
        .set("pool", "size", i64::try_from(POOL_SIZE)?)
        .set("server_tls", "mode", "disable")
        .set("client_tls", "mode", "allow")
        .set("client_tls", "certificate", files.certificate.display().to_string())
        .set("client_tls", "key", files.key.display().to_string())
        .start()
        .await
}

async fn pgbouncer(
    cluster: &Cluster,
    arguments: &Arguments,
    clients_max: usize,
) -> Result<PgBouncer> {
    let options = PgBouncerOptions {
        program: arguments.pgbouncer.as_deref(),
        users: &[(USER, PASSWORD)],
        pool_size: POOL_SIZE,
        clients_max,
    };
    PgBouncer::start(cluster.primary(), &options).await
}

fn trunkline_version() -> String {
    format!("Trunkline {}", env!("CARGO_PKG_VERSION"))
}
