//! A real PostgreSQL cluster in one call.
//!
//! ```no_run
//! # async fn example() -> trunkline_testkit::Result<()> {
//! use trunkline_testkit::Cluster;
//!
//! let cluster = Cluster::builder().standbys(2).setting("max_connections", 50).start().await?;
//! cluster.primary().execute("postgres", "CREATE TABLE t (i int)").await?;
//! cluster.caught_up().await?;
//! cluster.primary().kill().await?;
//! cluster.standby(0)?.promote().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The way to a cluster: [`options`] says what is wanted, [`binaries`] finds an installation,
//! `template` gives a data directory (made by `initdb` once per version, then copied), the primary
//! is started once with its final settings, stopped and copied for each standby, and all
//! [`node`]s are started.

pub mod binaries;
pub mod node;
pub mod options;

mod config;
mod disaster;
mod files;
mod sql;
mod template;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

pub use self::binaries::Binaries;
pub use self::node::{Node, StopMode};
pub use self::options::{ClusterOptions, SUPERUSER, SUPERUSER_PASSWORD};
pub use self::sql::{connect_tcp, query_text};
use crate::guard::Guard;
use crate::process::Account;
use crate::wait::{PATIENCE, wait_for};

/// How often the cluster is moved to another port when somebody else took the one it had drawn.
const PORT_TRIES_MAX: usize = 5;

/// A running primary and its streaming standbys; ended and removed when dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    binaries: Binaries,
    // Last, so that the nodes are already out of use when the guard kills them.
    guard: Guard,
}

impl Cluster {
    /// What is wanted of the cluster, to begin with the defaults.
    pub fn builder() -> ClusterOptions {
        ClusterOptions::default()
    }

    /// Starts a cluster and returns when its primary takes connections and every standby streams.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        let binaries = match &options.binaries {
            Some(binaries) => binaries.clone(),
            None => Binaries::find()?,
        };
        let account = Account::for_server()?;
        let guard = Guard::new("postgres", account)?;
        let options = Arc::new(options);
        let mut nodes = vec![Node::new("primary", &guard, &binaries, account, &options)?];
        for number in 1..=options.standbys {
            nodes.push(Node::new(
                &format!("standby{number}"),
                &guard,
                &binaries,
                account,
                &options,
            )?);
        }
        let cluster = Self { nodes, binaries, guard };
        cluster.create_primary(account, &options).await?;
        cluster.create_standbys(account).await?;
        cluster.all_streaming().await?;
        Ok(cluster)
    }

    /// The node that was started as primary. It stays this node whatever is promoted later.
    #[expect(clippy::indexing_slicing, reason = "`start` always puts the primary in first")]
    pub fn primary(&self) -> &Node {
        &self.nodes[0]
    }

    /// The standby with this number, counted from 0.
    pub fn standby(&self, number: usize) -> Result<&Node> {
        self.standbys().get(number).with_context(|| format!("there is no standby {number}"))
    }

    /// The nodes that were started as standbys.
    pub fn standbys(&self) -> &[Node] {
        self.nodes.get(1..).unwrap_or_default()
    }

    /// All nodes: the primary, then the standbys.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The installation in use.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The directory that holds everything of the cluster.
    pub fn directory(&self) -> &Path {
        self.guard.root()
    }

    /// Waits until every running standby has replayed all that the primary has written so far.
    pub async fn caught_up(&self) -> Result<()> {
        let target = self.primary().query_text("postgres", "SELECT pg_current_wal_lsn()").await?;
        for standby in self.standbys().iter().filter(|standby| standby.is_running()) {
            standby.replayed(&target).await?;
        }
        Ok(())
    }

    /// Waits until the primary reports every standby as streaming.
    pub async fn all_streaming(&self) -> Result<()> {
        let wanted = self.standbys().len();
        wait_for("every standby is streaming", PATIENCE, async || {
            let sql = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
            let seen = self.primary().query_text("postgres", sql).await?;
            ensure!(seen == wanted.to_string(), "{seen} of {wanted} standbys are streaming");
            Ok(())
        })
        .await
    }

    /// Fills the primary's data directory and starts it; runs what the options want to be run.
    async fn create_primary(&self, account: Account, options: &ClusterOptions) -> Result<()> {
        let primary = self.primary();
        let (binaries, target) = (self.binaries.clone(), primary.data_directory().to_owned());
        let root = self.guard.root().to_owned();
        tokio::task::spawn_blocking(move || template::copy_to(&binaries, account, &root, &target))
            .await??;
        self.start_primary().await?;
        for standby in self.standbys() {
            let slot = standby.name();
            let sql = format!("SELECT pg_create_physical_replication_slot('{slot}', true)");
            primary.execute("postgres", &sql).await?;
        }
        for (database, sql) in &options.initial_sql {
            primary.execute(database, sql).await.with_context(|| format!("initial SQL: {sql}"))?;
        }
        Ok(())
    }

    /// Copies the stopped primary, which has run with its final settings: a standby refuses to
    /// start with fewer connections, workers or locks than the control file says that the primary
    /// had (PostgreSQL manual, 27.4.3).
    async fn create_standbys(&self, account: Account) -> Result<()> {
        if self.standbys().is_empty() {
            return Ok(());
        }
        self.primary().stop(StopMode::Fast).await?;
        let source = self.primary().data_directory().to_owned();
        let targets: Vec<_> =
            self.standbys().iter().map(|node| node.data_directory().to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            targets.iter().try_for_each(|target| files::copy_standby(&source, target, account))
        })
        .await??;
        self.start_primary().await?;
        let port = self.primary().port();
        for standby in self.standbys() {
            standby.follow(port)?;
            standby.start_anywhere().await?;
        }
        Ok(())
    }

    /// Starts the primary, elsewhere if its port has been taken meanwhile.
    async fn start_primary(&self) -> Result<()> {
        self.primary().start_anywhere().await
    }
}
