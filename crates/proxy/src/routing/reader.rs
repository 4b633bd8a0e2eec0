//! Reading the catalogs of the databases that statements are routed for, in the background.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{Instant, MissedTickBehavior, timeout},
};
use trunkline_route::{Builder, CATALOG, Limits, MARK, Row, Snapshot};

use super::catalog::Catalog;
use crate::{
    backend::{KeyRing, OpenTarget},
    cluster::{NodeId, Traffic},
    cold::InForce,
    control::{ControlConnection, ControlError, Most, control_target},
    pool::Registry,
    positions::Positions,
};

/// How often it is looked whether clients have changed a catalog.
const LOOK: Duration = Duration::from_millis(50);

/// How often a catalog is compared by its mark, for changes that clients of ours have not made.
const COMPARE: Duration = Duration::from_secs(5);

/// The same if it is doubted, as by each refusal of a standby.
const DOUBTED: Duration = Duration::from_millis(500);

/// After a failure, a catalog is not asked for again for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// How long a database may take to tell its catalog.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take until it is known where in the log a catalog has its place. Until then, whoever goes by it finds all
/// that was there later.
const PLACED_MAX: Duration = Duration::from_millis(500);

/// The type `int8`.
const INT8: u32 = 20;

/// So many databases are read at the same time: one that is slow to tell holds up no other.
const READ_AT_ONCE: usize = 8;

/// What the reader works with.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) registry: Arc<Registry>,
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) traffic: watch::Receiver<Traffic>,
    pub(crate) positions: Arc<Positions>,
}

/// A connection that is kept for the next question, and the node it leads to.
type Kept = Option<(NodeId, ControlConnection)>;

/// What came of reading a database.
type Read = (Kept, Result<(), String>);

/// A database that is read.
#[derive(Debug)]
struct State {
    connection: Kept,
    /// Who reads it now.
    reader: Option<Id>,
    /// When it is compared next, or asked again after a failure.
    due: Instant,
    /// Why it could not be read the last time; told once.
    failure: String,
}

/// All that are read.
#[derive(Debug, Default)]
struct States(BTreeMap<String, State>);

impl States {
    /// The state of a database if it is to be read now.
    fn due(&mut self, catalog: &Catalog) -> Option<&mut State> {
        let now = Instant::now();
        let state = self.0.entry(catalog.database.clone()).or_insert_with(|| State {
            connection: None,
            reader: None,
            due: now,
            failure: String::new(),
        });
        let failed = !state.failure.is_empty();
        let doubted = catalog.is_doubted() && now + COMPARE >= state.due + DOUBTED;
        let waits = now < state.due && (failed || !(catalog.is_outdated() || doubted));
        (state.reader.is_none() && !waits).then_some(state)
    }

    /// A reader has ended.
    fn ended(&mut self, reader: Id, (connection, read): Read) {
        let mut states = self.0.iter_mut();
        let Some((database, state)) = states.find(|(_, state)| state.reader == Some(reader)) else {
            return;
        };
        let (wait, failure) = match read {
            Ok(()) => (COMPARE, String::new()),
            Err(failure) => (AFTER_FAILURE, failure),
        };
        if !failure.is_empty() && failure != state.failure {
            tracing::warn!(
                %database,
                "the catalog cannot be read, so that all statements go to the primary: {failure}"
            );
        }
        *state = State { connection, reader: None, due: Instant::now() + wait, failure };
    }
}

impl Library {
    /// Reads what is asked for, again and again.
    pub(crate) async fn run(self) {
        let library = Arc::new(self);
        let (mut states, mut readers) = (States::default(), JoinSet::new());
        let mut generation = 0_u64;
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let bell = library.registry.catalog_bell();
        loop {
            let catalogs = library.registry.catalogs();
            if readers.is_empty() && !catalogs.iter().any(|catalog| catalog.is_wanted()) {
                bell.notified().await;
                continue;
            }
            tokio::select! {
                _ = ticks.tick() => {}
                Some(ended) = readers.join_next_with_id() => {
                    match ended {
                        Ok((reader, read)) => states.ended(reader, read),
                        Err(error) => states.ended(error.id(), (None, Err(error.to_string()))),
                    }
                    continue;
                }
            }
            states.0.retain(|database, _| catalogs.iter().any(|it| it.database == *database));
            let Some(node) = library.traffic.borrow().primary else { continue };
            for catalog in catalogs.iter().filter(|catalog| catalog.is_wanted()) {
                if readers.len() >= READ_AT_ONCE {
                    break;
                }
                let Some(state) = states.due(catalog) else { continue };
                generation = generation.wrapping_add(1);
                let kept = state.connection.take();
                let (library, catalog) = (Arc::clone(&library), Arc::clone(catalog));
                let reader = async move { library.read(kept, &catalog, node, generation).await };
                state.reader = Some(readers.spawn(reader).id());
            }
        }
    }

    /// Reads a catalog if it has changed.
    async fn read(&self, kept: Kept, catalog: &Catalog, node: NodeId, generation: u64) -> Read {
        let connection = match kept {
            Some((at, kept)) if at == node => Ok(kept),
            _ => self.connect(&catalog.database, node).await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(failure) => return (None, Err(failure)),
        };
        catalog.begin_comparison();
        let changes = catalog.changes();
        let outdated = catalog.is_outdated();
        let positions = &self.positions;
        let read = read(&mut connection, catalog, (outdated, changes), generation, positions).await;
        let kept = connection.is_usable().then_some((node, connection));
        (kept, read.map_err(|error| error.to_string()))
    }

    async fn connect(&self, database: &str, node: NodeId) -> Result<ControlConnection, String> {
        let target = self.target(database, node).ok_or("the primary is not in the settings")?;
        ControlConnection::connect(&target).await.map_err(|error| error.to_string())
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
    positions: &Positions,
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
    let snapshot = read_snapshot(connection, generation).await?;
    // What it tells of was done before.
    let ticket = positions.want();
    catalog.learn(snapshot, changes, ticket);
    if let Ok(place) = timeout(PLACED_MAX, positions.covering(ticket)).await {
        catalog.placed(ticket, place);
    }
    Ok(())
}

/// Reads the catalog of the database of this connection.
pub(super) async fn read_snapshot(
    connection: &mut ControlConnection,
    generation: u64,
) -> Result<Snapshot, ControlError> {
    let limits = Limits::default().parameters().map(|limit| limit.to_string());
    let limits: Vec<&str> = limits.iter().map(String::as_str).collect();
    let rows = connection.query_long(CATALOG, &limits, (INT8, MOST), PATIENCE).await?;
    Ok(snapshot(&rows, generation))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_that_is_doubted_is_compared_at_once_but_not_behind_a_failure() {
        let catalog = Catalog::new("shop".into(), Arc::default(), Arc::default());
        let mut states = States::default();
        assert!(states.due(&catalog).is_some(), "nothing is known of it");
        catalog.learn(
            Snapshot::builder(1).finish(),
            catalog.changes(),
            Positions::default().want(),
        );
        let state = states.0.get_mut("shop").expect("it was asked for");
        state.due = Instant::now() + COMPARE;
        assert!(states.due(&catalog).is_none(), "it has just been read");
        catalog.doubt();
        assert!(states.due(&catalog).is_none(), "it is not asked all the time");
        states.0.get_mut("shop").expect("it was asked for").due -= DOUBTED;
        assert!(states.due(&catalog).is_some(), "it is not what it was");
        states.0.get_mut("shop").expect("it was asked for").failure = "no".into();
        assert!(states.due(&catalog).is_none(), "it is asked again later");
    }
}
