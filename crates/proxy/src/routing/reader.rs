//! Reading the catalogs of the databases that statements are routed for, in the background.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use trunkline_route::{Builder, CATALOG, Limits, MARK, Row, Snapshot};

use super::catalog::Catalog;
use crate::{
    backend::{KeyRing, OpenTarget},
    cluster::{NodeId, Traffic},
    cold::InForce,
    control::{ControlConnection, ControlError, Most, control_target},
    pool::Registry,
};

/// How often it is looked whether clients have changed a catalog.
const LOOK: Duration = Duration::from_millis(50);

/// How often a catalog is compared by its mark, for changes that clients of ours have not made.
const COMPARE: Duration = Duration::from_secs(5);

/// After a failure, a catalog is not asked for again for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// How long a database may take to tell its catalog.
const PATIENCE: Duration = Duration::from_secs(30);

/// The type `int8`.
const INT8: u32 = 20;

/// What the reader works with.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) registry: Arc<Registry>,
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) traffic: watch::Receiver<Traffic>,
}

/// A database that is read.
#[derive(Debug)]
struct State {
    connection: Option<(NodeId, ControlConnection)>,
    /// When it is compared next, or asked again after a failure.
    due: Instant,
    /// Why it could not be read the last time; told once.
    failure: String,
}

impl Library {
    /// Reads what is asked for, again and again.
    pub(crate) async fn run(self) {
        let mut read_before: BTreeMap<String, State> = BTreeMap::new();
        let mut generation = 0_u64;
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let bell = self.registry.catalog_bell();
        loop {
            let catalogs = self.registry.catalogs();
            if !catalogs.iter().any(|catalog| catalog.is_wanted()) {
                bell.notified().await;
                continue;
            }
            ticks.tick().await;
            read_before.retain(|database, _| catalogs.iter().any(|it| it.database == *database));
            let Some(node) = self.traffic.borrow().primary else { continue };
            for catalog in catalogs.iter().filter(|catalog| catalog.is_wanted()) {
                let state = read_before.entry(catalog.database.clone()).or_insert_with(|| State {
                    connection: None,
                    due: Instant::now(),
                    failure: String::new(),
                });
                let now = Instant::now();
                let failed = !state.failure.is_empty();
                if now < state.due && (failed || !catalog.is_outdated()) {
                    continue;
                }
                generation = generation.wrapping_add(1);
                let read = self.read(state, catalog, node, generation).await;
                let (wait, failure) = match read {
                    Ok(()) => (COMPARE, String::new()),
                    Err(failure) => (AFTER_FAILURE, failure),
                };
                if !failure.is_empty() && failure != state.failure {
                    tracing::warn!(
                        database = %catalog.database,
                        "the catalog cannot be read, so that all statements go to the primary: {failure}"
                    );
                }
                (state.due, state.failure) = (Instant::now() + wait, failure);
            }
        }
    }

    /// Reads a catalog if it has changed.
    async fn read(
        &self,
        state: &mut State,
        catalog: &Catalog,
        node: NodeId,
        generation: u64,
    ) -> Result<(), String> {
        let mut connection = match state.connection.take() {
            Some((at, kept)) if at == node => kept,
            _ => {
                let target = self.target(&catalog.database, node);
                let target = target.ok_or("the primary is not in the settings")?;
                ControlConnection::connect(&target).await.map_err(|error| error.to_string())?
            }
        };
        let changes = catalog.changes();
        let outdated = catalog.is_outdated();
        let read = read(&mut connection, catalog, (outdated, changes), generation).await;
        if connection.is_usable() {
            state.connection = Some((node, connection));
        }
        read.map_err(|error| error.to_string())
    }

    fn target(&self, database: &str, node: NodeId) -> Option<OpenTarget> {
        let in_force = self.in_force.load();
        let entry = in_force.nodes.get(&node)?;
        let node = in_force.settings.node(&entry.name)?;
        let mut target = control_target(&in_force.settings, node, &in_force.server_tls, &self.ring);
        target.database = database.into();
        target.connect_timeout = in_force.settings.pool.connect_timeout;
        let patience = PATIENCE.as_millis().to_string();
        // All that is asked names its schemas, and how sessions begin shows only to one that has brought no path itself.
        target.startup.others.retain(|(name, _)| **name != *"search_path");
        for (name, value) in &mut target.startup.others {
            if **name == *"statement_timeout" {
                *value = patience.as_str().into();
            }
        }
        Some(target)
    }
}

async fn read(
    connection: &mut ControlConnection,
    catalog: &Catalog,
    (outdated, changes): (bool, u32),
    generation: u64,
) -> Result<(), ControlError> {
    if !outdated {
        let rows = connection.query(MARK, PATIENCE).await?;
        let mark = rows.first().and_then(|row| row.first().cloned().flatten());
        if mark
            .is_some_and(|mark| catalog.mark().is_some_and(|known| known.as_bytes() == &mark[..]))
        {
            return Ok(());
        }
    }
    let limits = Limits::default().parameters().map(|limit| limit.to_string());
    let limits: Vec<&str> = limits.iter().map(String::as_str).collect();
    let rows = connection.query_long(CATALOG, &limits, (INT8, MOST), PATIENCE).await?;
    catalog.learn(snapshot(&rows, generation), changes);
    Ok(())
}

/// Longer than any answer that is within [`Limits`]: what objects use comes in rows of its own.
const MOST: Most = Most { rows: 500_000, bytes: 128 << 20 };

fn snapshot(rows: &[crate::control::Row], generation: u64) -> Snapshot {
    let mut builder = Builder::new(generation);
    for row in rows {
        let column = |at: usize| {
            row.get(at).and_then(Option::as_ref).and_then(|value| std::str::from_utf8(value).ok())
        };
        builder.row(&Row {
            kind: column(0).unwrap_or_default(),
            number: column(1),
            schema: column(2),
            name: column(3),
            traits: column(4),
            detail: column(5),
        });
    }
    builder.finish()
}
