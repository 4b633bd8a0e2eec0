//! Control connections that are kept between queries.

use std::{sync::Arc, time::Duration};

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use tokio::time::timeout;
use trunkline_settings::{Secret, ServerSecret};
use trunkline_wire::startup::ProtocolVersion;

use super::connection::{ControlConnection, ControlError, Row};
use crate::{
    backend::{self, KeyRing, OpenTarget},
    cold::{InForce, NodeEntry},
    frontend::StartupParams,
};

/// Control connections to one node: one for probes, one for look-ups beside it.
const CONNECTIONS_PER_NODE: usize = 2;

/// What is told to the server as `application_name`.
const APPLICATION_NAME: &str = "trunkline control";

/// Opens control connections to one node.
#[derive(Debug)]
pub(crate) struct Keeper {
    target: OpenTarget,
}

/// Kept control connections to one node.
#[derive(Debug, Clone)]
pub(crate) struct ControlPool(Pool<Keeper>);

impl Manager for Keeper {
    type Type = ControlConnection;
    type Error = ControlError;

    async fn create(&self) -> Result<ControlConnection, ControlError> {
        let server = backend::open(&self.target).await?;
        Ok(ControlConnection::new(server)?)
    }

    async fn recycle(
        &self,
        connection: &mut ControlConnection,
        _: &Metrics,
    ) -> RecycleResult<ControlError> {
        if connection.is_settled() {
            Ok(())
        } else {
            Err(RecycleError::message("a query was given up"))
        }
    }
}

impl ControlPool {
    /// Connections to this target, opened when needed.
    pub(crate) fn new(target: OpenTarget) -> Self {
        let pool = Pool::builder(Keeper { target }).max_size(CONNECTIONS_PER_NODE).build();
        // The builder only fails when timeouts are set without a runtime, and none are.
        Self(pool.unwrap_or_else(|_| unreachable!("no timeouts are configured")))
    }

    /// Asks one query, within `limit` for everything.
    pub(crate) async fn query(
        &self,
        text: &str,
        parameters: &[&str],
        limit: Duration,
    ) -> Result<Vec<Row>, ControlError> {
        timeout(limit, self.ask(text, parameters)).await.unwrap_or(Err(ControlError::Timeout))
    }

    async fn ask(&self, text: &str, parameters: &[&str]) -> Result<Vec<Row>, ControlError> {
        let mut connection = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            _ => ControlError::Unexpected("the control connections are closed"),
        })?;
        let fresh = Object::metrics(&connection).recycle_count == 0;
        match connection.query(text, parameters).await {
            // A kept connection may have died unnoticed: one try with a new one.
            Err(ControlError::Io(_)) if !fresh => {
                drop(Object::take(connection));
                let mut connection = self.0.get().await.map_err(|error| match error {
                    PoolError::Backend(error) => error,
                    _ => ControlError::Unexpected("the control connections are closed"),
                })?;
                connection.query(text, parameters).await
            }
            other => other,
        }
    }
}

/// How the control connections to a node are opened; `database` other than the probes' for look-ups.
pub(crate) fn control_target(
    in_force: &InForce,
    entry: &NodeEntry,
    ring: &Arc<KeyRing>,
    database: &str,
) -> OpenTarget {
    let cluster = &in_force.settings.cluster;
    let options = [("application_name", APPLICATION_NAME), ("search_path", "pg_catalog")];
    OpenTarget {
        address: entry.address.clone(),
        database: database.into(),
        user: cluster.user.as_str().into(),
        secret: ServerSecret::Plain(cluster.password.clone().unwrap_or_else(|| Secret::new(""))),
        ring: Arc::clone(ring),
        startup: StartupParams::new(options.into_iter()).unwrap_or_default(),
        tls: Arc::clone(&in_force.server_tls),
        protocol: ProtocolVersion::V3_0,
        connect_timeout: cluster.probe_timeout,
        tcp: in_force.tcp,
        allow_cleartext: in_force.settings.auth.allow_cleartext_to_server,
    }
}
