//! All that the console and HTTP know of the running pooler.

use std::{sync::Arc, time::SystemTime};

use trunkline_proxy::{
    Handle, ListenersReport, NodeId, NodeReport, Readiness, ReplicationReport,
    engine::report::{LoopReport, StatementsReport},
};
use trunkline_settings::Settings;

/// A running pooler, as far as operators may look at it and steer it. [`Handle`] is one; tests bring their own.
pub trait Pooler: Clone + Send + Sync + 'static {
    /// What every worker loop is doing now.
    fn report(&self) -> impl Future<Output = Vec<LoopReport>> + Send;

    /// The nodes, as the probes see them.
    fn nodes(&self) -> Arc<Vec<NodeReport>>;

    /// The nodes of the settings: the number that reports know each by, and its name.
    fn node_names(&self) -> Vec<(NodeId, Arc<str>)>;

    /// The settings in force.
    fn settings(&self) -> Arc<Settings>;

    /// Whether clients should be sent here.
    fn readiness(&self) -> Readiness;

    /// Clients connected, and how many may be.
    fn client_slots(&self) -> (usize, usize);

    /// The named prepared statements of all clients.
    fn statements(&self) -> StatementsReport;

    /// The listeners for clients that share servers.
    fn listeners(&self) -> ListenersReport;
    /// Replication connections.
    fn replication(&self) -> ReplicationReport;

    /// Panics caught beside the worker loops.
    fn panics(&self) -> u64;

    /// When the pooler was started.
    fn started_at(&self) -> SystemTime;

    /// Whether clients of this database are given no servers now.
    fn is_paused(&self, database: &str) -> bool;

    /// Stops giving servers to the clients of a database, or of all.
    fn pause(&self, database: Option<&str>);

    /// Ends a pause.
    fn resume(&self, database: Option<&str>);

    /// Closes the server connections of a database, or of all, as soon as no client holds them.
    fn reconnect(&self, database: Option<&str>);

    /// Reads the settings again.
    ///
    /// # Errors
    /// Why nothing changed.
    fn reload(&self) -> impl Future<Output = Result<Vec<String>, String>> + Send;
}

impl Pooler for Handle {
    fn report(&self) -> impl Future<Output = Vec<LoopReport>> + Send {
        Self::report(self)
    }

    fn nodes(&self) -> Arc<Vec<NodeReport>> {
        Self::nodes(self)
    }

    fn node_names(&self) -> Vec<(NodeId, Arc<str>)> {
        Self::node_names(self)
    }

    fn settings(&self) -> Arc<Settings> {
        Self::settings(self)
    }

    fn readiness(&self) -> Readiness {
        Self::readiness(self)
    }

    fn client_slots(&self) -> (usize, usize) {
        Self::client_slots(self)
    }

    fn statements(&self) -> StatementsReport {
        Self::statements(self)
    }

    fn listeners(&self) -> ListenersReport {
        Self::listeners(self)
    }

    fn replication(&self) -> ReplicationReport {
        Self::replication(self)
    }

    fn panics(&self) -> u64 {
        Self::panics(self)
    }

    fn started_at(&self) -> SystemTime {
        Self::started_at(self)
    }

    fn is_paused(&self, database: &str) -> bool {
        Self::is_paused(self, database)
    }

    // That no pool of the database exists yet is no news to an operator: the pause holds for those to come.
    fn pause(&self, database: Option<&str>) {
        Self::pause(self, database);
    }

    fn resume(&self, database: Option<&str>) {
        Self::resume(self, database);
    }

    fn reconnect(&self, database: Option<&str>) {
        Self::reconnect(self, database);
    }

    fn reload(&self) -> impl Future<Output = Result<Vec<String>, String>> + Send {
        Self::reload(self)
    }
}
