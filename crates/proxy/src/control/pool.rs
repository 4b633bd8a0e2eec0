//! Control connections to one node that several questions share.

use std::fmt;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts,
    WeakPool,
};

use super::connection::ControlConnection;
use crate::backend::OpenTarget;
use crate::handover::{Away, OpenError};

/// Connections to one node. Questions are short, so that a few serve many logins; each takes a process of
/// the server.
const MAX_CONNECTIONS: usize = 4;

/// How long a connection may be idle before it is closed: there may be no login for days.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How often idle connections are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// A few connections, opened when they are needed and closed when they have not been for a while.
#[derive(Clone)]
pub struct ControlPool(Pool<Opener>);

/// A connection of the pool, given back when dropped.
pub type Pooled = Object<Opener>;

/// Opens connections for a [`ControlPool`].
#[derive(Debug)]
pub struct Opener(OpenTarget);

impl Manager for Opener {
    type Type = ControlConnection;
    type Error = OpenError;

    async fn create(&self) -> Result<ControlConnection, OpenError> {
        ControlConnection::connect(&self.0).await
    }

    async fn recycle(
        &self,
        connection: &mut ControlConnection,
        _: &Metrics,
    ) -> RecycleResult<OpenError> {
        if connection.is_usable() {
            return Ok(());
        }
        Err(RecycleError::message("the connection was closed or left in the middle of an answer"))
    }
}

impl ControlPool {
    /// An empty pool; opens nothing yet. Called in the runtime that will use it.
    pub fn new(target: OpenTarget) -> Self {
        let wait = target.connect_timeout;
        let timeouts = Timeouts { wait: Some(wait), create: Some(wait), recycle: None };
        let pool = Pool::builder(Opener(target))
            .max_size(MAX_CONNECTIONS)
            .queue_mode(QueueMode::Lifo)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build();
        // The only error is a timeout without a runtime, and there is one.
        let pool = pool.expect("a runtime is given");
        tokio::spawn(sweep(pool.weak()));
        Self(pool)
    }

    /// A connection, within the target's `connect_timeout` for waiting and again for opening.
    pub async fn get(&self) -> Result<Pooled, OpenError> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            _ => OpenError::Away(Away::Timeout { address: self.0.manager().0.address.to_string() }),
        })
    }
}

/// Closes idle connections for as long as the pool is there.
async fn sweep(pool: WeakPool<Opener>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.retain(|_, metrics| metrics.last_used() < IDLE_MAX);
    }
}

impl fmt::Debug for ControlPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPool").field("target", &self.0.manager().0).finish_non_exhaustive()
    }
}
